//! Markets as the venue lists them: books shown to others, ticks, games, pauses, resolution.

use std::sync::Arc;

use polydesk_domain::{
    Book, FeeRate, Fees, HashInput, Market, MarketError, MarketKey, MarketState, Outcome, Payout,
    Price, RawLevel, Shares, Side, Tick, Time, Token, TokenId, Usdc, book_hash,
};

use super::blockchain::Move;
use super::book::{Ladders, crosses, place};
use super::updates::{LevelUpdate, VenueUpdate};
use super::{Status, Venue, VenueAction};
use crate::setup::Listing;
use crate::text;

/// Prints of a market that are kept at least.
const HISTORY_LEAST: usize = 10_000;
/// How many of a market that is over.
const HISTORY_OF_CLOSED: usize = 24;

/// A token's book as the venue shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BookView {
    /// Which token.
    pub token: Token,
    /// Its id.
    pub asset: TokenId,
    /// Its market.
    pub market: Arc<Market>,
    /// When it last changed.
    pub at: Time,
    /// The venue's hash of it.
    pub hash: String,
    /// Best last.
    pub bids: Vec<(Price, Shares)>,
    /// Best last.
    pub asks: Vec<(Price, Shares)>,
    /// Price of the last trade.
    pub last: Option<Price>,
}

impl BookView {
    /// Best bid.
    pub fn bid(&self) -> Option<Price> {
        self.bids.last().map(|(price, _)| *price)
    }
    /// Best ask.
    pub fn ask(&self) -> Option<Price> {
        self.asks.last().map(|(price, _)| *price)
    }
    /// Last price as the venue writes it: empty before the first trade.
    pub fn last_text(&self) -> String {
        self.last.map(text::price).unwrap_or_default()
    }

    fn hashed(mut self) -> BookView {
        let texts = |levels: &[(Price, Shares)]| -> Vec<(String, String)> {
            levels.iter().map(|(price, size)| (text::price(*price), text::shares(*size))).collect()
        };
        let (bids, asks) = (texts(&self.bids), texts(&self.asks));
        fn raw(levels: &[(String, String)]) -> Vec<RawLevel<'_>> {
            levels.iter().map(|(price, size)| RawLevel { price, size }).collect()
        }
        self.hash = book_hash(&HashInput {
            market: &self.market.condition.to_string(),
            asset_id: &self.asset.to_string(),
            timestamp: &self.at.millis().to_string(),
            bids: &raw(&bids),
            asks: &raw(&asks),
            min_order_size: &text::shares(self.market.min_size),
            tick_size: &self.market.tick.to_string(),
            neg_risk: self.market.neg_risk.is_some(),
            last_trade_price: Some(&self.last_text()),
        });
        self
    }
}

/// A listed market.
#[derive(Debug)]
pub(crate) struct Listed {
    pub(crate) listing: Listing,
    pub(crate) number: u64,
    pub(crate) book: Ladders,
    /// What the tape shows instead.
    pub(crate) shown: Option<Book>,
    pub(crate) changed: Time,
    pub(crate) listed_at: Time,
    pub(crate) closed_at: Option<Time>,
    pub(crate) last: Option<(Outcome, Price, Side)>,
    pub(crate) history: Vec<(Time, Price)>,
    pub(crate) volume: Usdc,
    pub(crate) accepting: bool,
    /// A frozen book accepts no orders and does not change.
    pub(crate) frozen: bool,
    /// Whether a result is proposed and not final.
    pub(crate) proposed: bool,
    /// Whether the proposed result is disputed.
    pub(crate) disputed: bool,
    tops: [(Option<Price>, Option<Price>); 2],
}

impl Listed {
    pub(crate) fn market(&self) -> &Market {
        &self.listing.market
    }

    pub(crate) fn crossed(&self) -> bool {
        let best = Outcome::BOTH.map(|ladder| self.book.best(ladder));
        matches!(best, [Some(yes), Some(no)] if crosses(yes, no))
    }

    pub(crate) fn levels(&self, outcome: Outcome, side: Side) -> Vec<(Price, Shares)> {
        match &self.shown {
            None => self.book.levels(outcome, side),
            Some(book) => {
                let mut levels: Vec<_> = book.levels(outcome, side).collect();
                levels.reverse();
                levels
            }
        }
    }

    pub(crate) fn top(&self, outcome: Outcome) -> (Option<Price>, Option<Price>) {
        match &self.shown {
            None => {
                let ask = self.book.best(outcome.other()).map(Price::complement);
                (self.book.best(outcome), ask)
            }
            Some(book) => {
                (book.best_bid_price(outcome), book.best_ask(outcome).map(|(price, _)| price))
            }
        }
    }

    /// Price of the market's last trade, as it was printed on whichever token.
    pub(crate) fn last_printed(&self) -> Option<Price> {
        self.last.map(|(_, price, _)| price)
    }

    pub(crate) fn last_of(&self, outcome: Outcome) -> Option<(Price, Side)> {
        let (of, price, side) = self.last?;
        Some(if of == outcome { (price, side) } else { (price.complement(), side.other()) })
    }
}

/// What the endpoints that describe markets show.
#[derive(Debug, Clone)]
pub struct MarketView {
    /// Position in the register.
    pub key: MarketKey,
    /// Number in Gamma.
    pub number: u64,
    /// As it was listed, with the state of now.
    pub listing: Listing,
    /// Whether it takes orders.
    pub accepting: bool,
    /// When it was listed.
    pub listed_at: Time,
    /// When it was closed.
    pub closed_at: Option<Time>,
    /// Whether a result is proposed and not final.
    pub proposed: bool,
    /// Whether the proposed result is disputed.
    pub disputed: bool,
    /// Best bid and ask of YES.
    pub top: (Option<Price>, Option<Price>),
    /// Price of the last trade, of YES.
    pub last: Option<Price>,
    /// pUSD traded.
    pub volume: Usdc,
    /// pUSD resting.
    pub liquidity: Usdc,
}

impl MarketView {
    /// Price of an outcome: what it pays, else the middle, else the last trade, else a half.
    pub fn price(&self, outcome: Outcome) -> Price {
        let yes = match (self.listing.market.state, self.top) {
            (MarketState::Resolved(payout), _) => {
                Price::new((payout.per_share(Outcome::Yes) / 100) as u16).unwrap_or(Price::ONE)
            }
            (_, (Some(bid), Some(ask))) => {
                Price::new((bid.units() + ask.units()) / 2).unwrap_or(Price::ONE)
            }
            _ => self.last.unwrap_or(Price::cents(50)),
        };
        if outcome == Outcome::Yes { yes } else { yes.complement() }
    }
}

impl Venue {
    /// Lists a market.
    ///
    /// # Errors
    /// Its tokens belong to another.
    pub fn list(&mut self, listing: Listing) -> Result<MarketKey, MarketError> {
        let known = self.universe.key(&listing.market.condition);
        let key = known.unwrap_or(self.universe.next_key());
        self.list_under(key, listing).map(|()| key)
    }

    /// Lists a market under the key that its tape gives: it has to be the one it gets here.
    pub(super) fn list_under(
        &mut self,
        key: MarketKey,
        listing: Listing,
    ) -> Result<(), MarketError> {
        self.universe.list(key, Arc::new(listing.market.clone()))?;
        if key.index() < self.listed.len() {
            self.listed[key.index()].listing = listing;
            return Ok(());
        }
        if let Some(start) = listing.game_start.filter(|_| listing.clear_on_start) {
            self.schedule(start, VenueAction::GameStart(key));
        }
        self.ledger.add_market();
        if self.listed.len() == self.listed.capacity() {
            // Not twice as many: an exchange that runs for days has thousands.
            self.listed.reserve_exact(64);
        }
        self.listed.push(Listed {
            accepting: listing.market.state.trades(),
            number: 500_000 + key.0 as u64,
            listing,
            book: Ladders::default(),
            shown: None,
            changed: self.now,
            listed_at: self.now,
            closed_at: None,
            last: None,
            history: Vec::new(),
            volume: Usdc::ZERO,
            frozen: false,
            proposed: false,
            disputed: false,
            tops: [(None, None); 2],
        });
        self.tell(VenueUpdate::Listed { market: key, at: self.now });
        self.counterparties_meet(key);
        Ok(())
    }

    /// A token by the text of its id.
    pub fn token(&self, id: &str) -> Option<Token> {
        self.universe.token(&id.parse().ok()?)
    }

    /// A token's book, hashed.
    pub fn book(&self, token: Token) -> Option<BookView> {
        let listed = self.listed.get(token.market().index())?;
        let outcome = token.outcome();
        let view = BookView {
            token,
            asset: self.universe.token_id(token),
            market: self.market(token.market()).clone(),
            at: listed.changed,
            hash: String::new(),
            bids: listed.levels(outcome, Side::Buy),
            asks: listed.levels(outcome, Side::Sell),
            // The market's last price as it was printed: both tokens' books carry the same text.
            last: listed.last_printed(),
        };
        Some(view.hashed())
    }

    /// What the endpoints that describe a market show.
    pub fn market_view(&self, key: MarketKey) -> Option<MarketView> {
        let listed = self.listed.get(key.index())?;
        let worth = |side, outcome| -> Usdc {
            listed.levels(outcome, side).iter().map(|(p, s)| p.notional_floor(*s)).sum()
        };
        Some(MarketView {
            key,
            number: listed.number,
            listing: listed.listing.clone(),
            accepting: listed.accepting,
            listed_at: listed.listed_at,
            closed_at: listed.closed_at,
            proposed: listed.proposed,
            disputed: listed.disputed,
            top: listed.top(Outcome::Yes),
            last: listed.last_of(Outcome::Yes).map(|(price, _)| price),
            volume: listed.volume,
            liquidity: worth(Side::Buy, Outcome::Yes) + worth(Side::Buy, Outcome::No),
        })
    }

    /// All of them in the order of listing.
    pub fn market_views(&self) -> Vec<MarketView> {
        self.universe.keys().filter_map(|key| self.market_view(key)).collect()
    }

    /// Price and taker side of a token's last trade.
    pub fn last_trade(&self, token: Token) -> Option<(Price, Side)> {
        self.listed.get(token.market().index())?.last_of(token.outcome())
    }

    /// Prices of a token's trades.
    pub fn history(&self, token: Token) -> Vec<(Time, Price)> {
        let listed = self.listed.get(token.market().index());
        let of = |price: &Price| match token.outcome() {
            Outcome::Yes => *price,
            Outcome::No => price.complement(),
        };
        listed.map_or(Vec::new(), |listed| {
            listed.history.iter().map(|(at, price)| (*at, of(price))).collect()
        })
    }

    /// Publishes changed levels: given as bids of a ladder, published for both tokens.
    pub(super) fn tell_levels(&mut self, key: MarketKey, bids: &[(Outcome, Price)]) {
        self.listed[key.index()].changed = self.now;
        let views = Outcome::BOTH.map(|outcome| self.book(key.token(outcome)));
        let listed = &self.listed[key.index()];
        let mut changes = Vec::new();
        for (ladder, bid) in bids {
            for outcome in Outcome::BOTH {
                let (side, price) = if outcome == *ladder {
                    (Side::Buy, *bid)
                } else {
                    (Side::Sell, bid.complement())
                };
                let size = match &listed.shown {
                    None => listed.book.shown(*ladder, *bid),
                    Some(book) => book.size_at(*ladder, Side::Buy, *bid),
                };
                let (best_bid, best_ask) = listed.top(outcome);
                changes.push(LevelUpdate {
                    token: key.token(outcome),
                    side,
                    price,
                    size,
                    hash: views[outcome.index()].as_ref().map_or(String::new(), |v| v.hash.clone()),
                    bid: best_bid,
                    ask: best_ask,
                });
            }
        }
        let at = self.now;
        self.tell(VenueUpdate::Levels { market: key, at, changes });
        self.tell_tops(key);
    }

    pub(super) fn tell_tops(&mut self, key: MarketKey) {
        for outcome in Outcome::BOTH {
            let top = self.listed[key.index()].top(outcome);
            if self.listed[key.index()].tops[outcome.index()] != top {
                self.listed[key.index()].tops[outcome.index()] = top;
                let (bid, ask) = top;
                let (token, at) = (key.token(outcome), self.now);
                self.tell(VenueUpdate::Top { token, bid, ask, at });
            }
        }
    }

    pub(super) fn tell_books(&mut self, key: MarketKey) {
        for outcome in Outcome::BOTH {
            if let Some(view) = self.book(key.token(outcome)) {
                self.tell(VenueUpdate::Book(Box::new(view)));
            }
        }
    }

    /// Changes the tick size. Resting orders whose price is no multiple of it become INVALID at once, delayed
    /// ones at the end of their delay; the simulated exchange cancels them by the same rule,
    /// [`polydesk_domain::Price::tradable`].
    pub fn set_tick(&mut self, key: MarketKey, tick: Tick) {
        let Some(listed) = self.listed.get_mut(key.index()) else { return };
        let old = listed.listing.market.tick;
        if old == tick {
            return;
        }
        listed.listing.market.tick = tick;
        self.relist(key);
        let off: Vec<_> = self.listed[key.index()]
            .book
            .orders()
            .filter(|id| self.orders.get(id).is_some_and(|order| !order.limit.tradable(tick)))
            .collect();
        for id in off {
            self.end(id, Status::Invalid);
        }
        let at = self.now;
        self.tell(VenueUpdate::Tick { market: key, old, new: tick, at });
        self.listed[key.index()].changed = at;
        self.tell_books(key);
    }

    fn relist(&mut self, key: MarketKey) {
        let market = Arc::new(self.listed[key.index()].listing.market.clone());
        // The same tokens as before: it cannot be refused.
        let _ = self.universe.list(key, market);
    }

    /// The tick size becomes finer when the price leaves 0.04 to 0.96.
    pub(super) fn follow_price(&mut self, key: MarketKey) {
        if !self.rules.tick_follows_price || self.listed[key.index()].market().tick != Tick::Cent {
            return;
        }
        let listed = &self.listed[key.index()];
        let (bid, ask) = listed.top(Outcome::Yes);
        let far = |price: Price| price > Price::cents(96) || price < Price::cents(4);
        let middle =
            bid.zip(ask).and_then(|(bid, ask)| Price::new((bid.units() + ask.units()) / 2));
        let last = listed.last.map(|(_, price, _)| price);
        if middle.or(last).is_some_and(far) {
            self.set_tick(key, Tick::Thousandth);
        }
    }

    /// Pauses a market (its resting orders become INVALID) or lets it trade again.
    pub fn set_accepting(&mut self, key: MarketKey, accepting: bool) {
        let Some(listed) = self.listed.get_mut(key.index()) else { return };
        if listed.closed_at.is_some() {
            return;
        }
        listed.accepting = accepting;
        listed.listing.market.state =
            if accepting { MarketState::Open } else { MarketState::Paused };
        self.relist(key);
        if !accepting {
            self.clear(key, &Status::Invalid);
        }
    }

    /// Freezes a market's book: it takes nothing, matches nothing and changes nothing.
    pub fn freeze(&mut self, key: MarketKey, frozen: bool) {
        let Some(listed) = self.listed.get_mut(key.index()) else { return };
        listed.frozen = frozen;
        if frozen {
            return;
        }
        let delay = self.market(key).taker_delay;
        let overdue = self.orders.values().filter(|order| {
            order.token.market() == key
                && order.status == Status::Delayed
                && order.created + delay <= self.now
        });
        for id in overdue.map(|order| order.id).collect::<Vec<_>>() {
            self.release(id);
        }
    }

    /// Proposes a result: trading stops, and Gamma shows the market as proposed until it is resolved.
    pub fn propose(&mut self, key: MarketKey) {
        self.set_accepting(key, false);
        if let Some(listed) = self.listed.get_mut(key.index()) {
            listed.proposed = listed.closed_at.is_none();
        }
    }

    /// The proposed result is disputed, or that is over. Its book goes on.
    pub fn dispute(&mut self, key: MarketKey, disputed: bool) {
        if let Some(listed) = self.listed.get_mut(key.index()) {
            listed.disputed = disputed && listed.closed_at.is_none();
        }
    }

    /// Another fee from now on, in matches and in the metadata.
    pub fn set_fee(&mut self, key: MarketKey, rate: FeeRate) {
        let Some(listed) = self.listed.get_mut(key.index()) else { return };
        listed.listing.market.fees = Fees::flat(rate);
        self.relist(key);
    }

    pub(super) fn game_starts(&mut self, key: MarketKey) {
        self.clear(key, &Status::Canceled(String::new()));
    }

    fn clear(&mut self, key: MarketKey, status: &Status) {
        let of_market = |order: &&super::Order| order.token.market() == key;
        let open = self.orders.values().filter(of_market).filter(|order| !order.status.ended());
        for id in open.map(|order| order.id).collect::<Vec<_>>() {
            self.end(id, status.clone());
        }
    }

    /// Resolves a market: orders end, shares pay.
    pub fn resolve(&mut self, key: MarketKey, payout: Payout) {
        // A payout is final: another one would leave shares without collateral.
        if self.listed.get(key.index()).is_none_or(|listed| listed.closed_at.is_some()) {
            return;
        }
        self.clear(key, &Status::MarketResolved);
        let listed = &mut self.listed[key.index()];
        listed.accepting = false;
        (listed.proposed, listed.disputed) = (false, false);
        listed.closed_at = Some(self.now);
        // An exchange that lists series closes markets for as long as it runs: of each a rough curve stays, and no
        // empty node of a tree.
        listed.book = Ladders::default();
        let step = listed.history.len().div_ceil(HISTORY_OF_CLOSED).max(1);
        let last = listed.history.len().wrapping_sub(1) % step;
        let rough = listed.history.iter().enumerate().filter(|(n, _)| n % step == last);
        listed.history = rough.map(|(_, point)| *point).collect();
        listed.listing.market.state = MarketState::Resolved(payout);
        self.relist(key);
        self.ledger.resolve(key, payout);
        self.record_moves(vec![Move::Resolve { market: key, payout }]);
        let pays_all = |outcome: &Outcome| payout.per_share(*outcome) == 1_000_000;
        let winner = Outcome::BOTH.into_iter().find(pays_all).map(|outcome| key.token(outcome));
        let at = self.now;
        self.tell(VenueUpdate::Resolved { market: key, winner, at });
        self.ledger.check();
    }

    /// Opens and funds the house account.
    pub(super) fn open_house(&mut self) {
        use alloy::primitives::address;
        let owner = address!("00000000000000000000000000000000000A05E5");
        let wallet = self.open_wallet(owner, crate::wallets::WalletKind::Eoa);
        let Some(credentials) = self.create_key(owner, 0) else { return };
        self.house = Some(credentials.key);
        self.fund(wallet, Usdc::whole(10_000_000));
        self.give_sets(wallet, Shares::whole(1_000_000));
    }

    /// The house account quotes five levels around a price drawn for every market.
    pub(super) fn quote_everything(&mut self) {
        let Some(house) = self.house else { return };
        let Some((caller, _)) = self.caller(&house) else { return };
        let wallet = caller.signer;
        for key in self.universe.keys().collect::<Vec<_>>() {
            let tick = self.market(key).tick;
            let middle = 3_000 + self.chance.below(40) as u16 * 100;
            for step in 1..=5u16 {
                let size = Shares::whole(20 + self.chance.below(180));
                let away = step * tick.units().max(10);
                for (side, units) in [(Side::Buy, middle - away), (Side::Sell, middle + away)] {
                    let Some(price) = Price::new(units) else { continue };
                    let token = key.token(Outcome::Yes);
                    let spec = super::OrderSpec::limit(token, side, price, size);
                    let _ = self.place_as(house, wallet, &spec);
                }
            }
        }
    }

    /// The house account takes everything that rests at the best prices of a market.
    pub fn sweep_best(&mut self, key: MarketKey) {
        let Some(house) = self.house else { return };
        let Some((caller, _)) = self.caller(&house) else { return };
        for outcome in Outcome::BOTH {
            let listed = &self.listed[key.index()];
            let Some(bid) = listed.book.best(outcome) else { continue };
            let size = listed.book.shown(outcome, bid);
            let token = key.token(outcome);
            let mut spec = super::OrderSpec::limit(token, Side::Sell, bid, size);
            spec.tif = polydesk_domain::Tif::Fak;
            if let Err(refusal) = self.place_as(house, caller.signer, &spec) {
                tracing::warn!(%refusal, "the house account could not sweep");
            }
        }
    }

    pub(super) fn note_print(&mut self, token: Token, price: Price, side: Side, notional: Usdc) {
        let at = self.now;
        let listed = &mut self.listed[token.market().index()];
        listed.last = Some((token.outcome(), price, side));
        listed.volume += notional;
        let yes = place(token.outcome(), Side::Buy, price);
        let yes = if yes.0 == Outcome::Yes { yes.1 } else { yes.1.complement() };
        if listed.history.len() >= 2 * HISTORY_LEAST {
            listed.history.drain(..HISTORY_LEAST);
        }
        listed.history.push((at, yes));
    }
}
