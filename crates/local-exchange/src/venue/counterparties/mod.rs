//! The demo's counterparties: makers whose quotes follow a fair value, and a taker who prints, sells into
//! bids, makes a group cheap and ends a market.
//!
//! They are ordinary accounts: their orders pass the same checks, rest in the same books and meet
//! everybody's orders by price and time. They act at times drawn from the seed, as scheduled actions of the
//! venue, so a seed and the requests of others give the whole run. Deliberately absent: knowledge of other
//! accounts' orders, and a market of a tape.

mod makers;
pub(super) mod state;
mod taker;

use std::collections::BTreeMap;

use alloy::primitives::Address;
use polydesk_domain::{
    MarketKey, MarketState, OrderHash, Outcome, Payout, Shares, Span, Tick, Time, Usdc,
};

use super::order::Status;
use super::{Venue, VenueAction};
use crate::chance::SeededRandom;
use crate::setup::{made_up_condition, made_up_tokens};
use crate::wallets::WalletKind;
use state::{
    CASH_LEAST, Counterparties, MAKERS, PROPOSED_AFTER, RESOLVED_AFTER, SHARES_LEAST, Traded,
    Trader, Turn, WALK,
};

/// Numbers of the markets of series begin here.
const SERIES_NUMBERS: u64 = 1_000_000;

impl Venue {
    /// Opens and funds the counterparties; every market is quoted when this returns.
    pub(super) fn open_counterparties(&mut self, seed: u64) {
        let mut traders = Vec::new();
        for index in 0..=MAKERS.len() {
            let mut owner = [0u8; 20];
            owner[16..].copy_from_slice(&(0x00C0_FFE0_u32 + index as u32).to_be_bytes());
            let owner = Address::from(owner);
            let wallet = self.open_wallet(owner, WalletKind::Eoa);
            let Some(credentials) = self.create_key(owner, 0) else { return };
            traders.push(Trader { key: credentials.key, wallet });
        }
        let Some(taker) = traders.pop() else { return };
        let mut parties = Counterparties {
            chance: SeededRandom::new(seed, 2),
            makers: traders,
            taker,
            markets: Vec::new(),
            groups: Vec::new(),
            taken: Vec::new(),
        };
        self.meet_markets(&mut parties);
        for market in 0..parties.markets.len() {
            self.begin_quotes(&mut parties, market);
        }
        self.turn_in(WALK, Turn::Walk);
        self.turn_in(parties.later(500, 1_500), Turn::Print);
        self.turn_in(parties.later(15_000, 25_000), Turn::Dip);
        if !parties.groups.is_empty() {
            self.turn_in(parties.later(8_000, 16_000), Turn::CheapGroup);
        }
        for market in 0..parties.markets.len() {
            self.schedule_end(&parties, market);
        }
        self.counterparties = Some(Box::new(parties));
    }

    /// A market that is listed later is traded, too.
    pub(super) fn counterparties_meet(&mut self, key: MarketKey) {
        let Some(mut parties) = self.counterparties.take() else { return };
        self.meet_late(&mut parties, key);
        self.counterparties = Some(parties);
    }

    fn meet_late(&mut self, parties: &mut Counterparties, key: MarketKey) {
        let market = parties.markets.len();
        self.meet(parties, key);
        self.begin_quotes(parties, market);
        self.schedule_end(parties, market);
    }

    fn begin_quotes(&mut self, parties: &mut Counterparties, market: usize) {
        for maker in 0..MAKERS.len() {
            self.requote(parties, maker, market, usize::MAX);
            self.turn_in(parties.later(200, 2_000), Turn::Quote { maker, market });
        }
    }

    fn schedule_end(&mut self, parties: &Counterparties, market: usize) {
        let market = &parties.markets[market];
        let (key, Some((at, _))) = (market.key, market.ends) else { return };
        let series = self.listed[key.index()].listing.series.as_ref();
        let next = series.map(|series| (at - series.ahead, Turn::Next(key)));
        let propose = (at + PROPOSED_AFTER, Turn::Propose(key));
        let resolve = (at + RESOLVED_AFTER, Turn::Resolve(key));
        for (at, turn) in [propose, resolve].into_iter().chain(next) {
            self.schedule(at, VenueAction::Counterparty(turn));
        }
    }

    /// Lists the market that follows in a series.
    fn next_of_series(&mut self, parties: &mut Counterparties, key: MarketKey) {
        let mut listing = self.listed[key.index()].listing.clone();
        let (Some(series), Some(begins)) = (&listing.series, listing.market.closes) else { return };
        let slug = format!("{}-{}", series.slug, begins.millis() / 1_000);
        let number = SERIES_NUMBERS + self.universe.len() as u64;
        listing.market.condition = made_up_condition(number);
        listing.market.tokens = made_up_tokens(number);
        listing.market.closes = Some(begins + series.lasts);
        listing.market.state = MarketState::Open;
        // The last part of the life of the one before made it finer.
        listing.market.tick = Tick::Cent;
        (listing.market.slug, listing.market.event) = (slug.clone(), slug);
        let next = self.universe.next_key();
        // The ids are new: it cannot be refused.
        if self.list(listing).is_ok() {
            self.meet_late(parties, next);
        }
    }

    /// Draws the fair value of every market; those of a group add up to one dollar.
    fn meet_markets(&mut self, parties: &mut Counterparties) {
        // In the order in which each group first appears.
        let mut groups: Vec<(String, Vec<usize>)> = Vec::new();
        let mut places: BTreeMap<String, usize> = BTreeMap::new();
        for (index, key) in self.universe.keys().enumerate() {
            self.meet(parties, key);
            let Some(group) = &self.market(key).neg_risk else { continue };
            let place = *places.entry(group.group.clone()).or_insert(groups.len());
            match groups.get_mut(place) {
                Some((_, members)) => members.push(index),
                None => groups.push((group.group.clone(), vec![index])),
            }
        }
        groups.retain(|(_, members)| members.len() > 1);
        for (_, members) in &groups {
            let mut left = 10_000;
            for (place, member) in members.iter().enumerate() {
                let rest = (members.len() - place) as i32;
                let even = left / rest / 100 * 100;
                let moved = even + parties.between(-4, 4) as i32 * 100;
                let centre = if rest == 1 { left } else { moved.clamp(100, 9_900) };
                left -= centre;
                let market = &mut parties.markets[*member];
                (market.centre, market.fair, market.shown) = (centre, centre, centre);
                market.grouped = true;
            }
        }
        parties.groups = groups.into_iter().map(|(_, members)| members).collect();
    }

    /// Draws the fair value of a market and its result.
    fn meet(&self, parties: &mut Counterparties, key: MarketKey) {
        let listing = &self.listed[key.index()].listing;
        let centre = 3_000 + parties.between(0, 39) as i32 * 100;
        let result = if parties.chance.below(2) == 0 { Payout::YES } else { Payout::NO };
        let ends = listing.market.closes.filter(|_| listing.resolves).map(|at| (at, result));
        parties.markets.push(Traded {
            key,
            centre,
            fair: centre,
            shown: centre,
            quotes: Default::default(),
            away: [Time::MIN; MAKERS.len()],
            ends,
            grouped: false,
            over: false,
        });
    }

    fn turn_in(&mut self, span: Span, turn: Turn) {
        self.schedule(self.now + span, VenueAction::Counterparty(turn));
    }

    /// Whether an EOA is one of the counterparties.
    pub fn is_counterparty(&self, signer: &Address) -> bool {
        let Some(parties) = &self.counterparties else { return false };
        parties.makers.iter().chain([&parties.taker]).any(|trader| trader.wallet == *signer)
    }

    /// One turn, and the time of the next one of its kind.
    pub(super) fn counterparty(&mut self, turn: Turn) {
        let Some(mut parties) = self.counterparties.take() else { return };
        let next = match turn {
            Turn::Walk => {
                parties.markets.iter_mut().for_each(|market| market.follow_end(self.now));
                parties.walk();
                Some(WALK)
            }
            Turn::Quote { maker, market } => self.quote_turn(&mut parties, maker, market),
            Turn::Print => {
                self.print_turn(&mut parties);
                Some(parties.later(400, 1_400))
            }
            Turn::Dip => {
                self.dip_turn(&mut parties);
                Some(parties.later(20_000, 32_000))
            }
            Turn::CheapGroup => {
                self.cheap_group_turn(&mut parties);
                Some(parties.later(24_000, 36_000))
            }
            Turn::Withdraw(id) => {
                self.end(id, Status::Canceled(String::new()));
                None
            }
            Turn::Propose(key) => {
                self.propose(key);
                None
            }
            Turn::Resolve(key) => {
                self.resolve_turn(&mut parties, key);
                None
            }
            Turn::Next(key) => {
                self.next_of_series(&mut parties, key);
                None
            }
        };
        self.forget_taken(&mut parties);
        self.counterparties = Some(parties);
        if let Some(span) = next {
            self.turn_in(span, turn);
        }
    }

    fn resolve_turn(&mut self, parties: &mut Counterparties, key: MarketKey) {
        let market = parties.markets.iter_mut().find(|market| market.key == key);
        if let Some(market) = market
            && let Some((_, result)) = market.ends
        {
            market.over = true;
            for quoted in market.quotes.iter_mut().flat_map(core::mem::take) {
                self.end(quoted.id, Status::MarketResolved);
                self.forget_ended(&quoted.id);
            }
            self.resolve(key, result);
            for trader in parties.makers.iter().chain([&parties.taker]) {
                self.redeem(&trader.wallet, key);
            }
        }
    }

    /// Gives an account what it needs for its next orders in a market, from outside.
    fn top_up(&mut self, trader: Trader, key: MarketKey) {
        let Some(wallet) = self.ledger.wallet(&trader.wallet) else { return };
        let poor = wallet.free() < CASH_LEAST;
        let short = |outcome| wallet.holding(key.token(outcome)).free() < SHARES_LEAST;
        let short = Outcome::BOTH.into_iter().any(short);
        if poor {
            self.fund(trader.wallet, Usdc::whole(10_000_000));
        }
        if short {
            self.give_set(trader.wallet, key, Shares::whole(1_000_000));
        }
    }

    /// Drops the taker's orders that have ended: nothing asks for them again.
    fn forget_taken(&mut self, parties: &mut Counterparties) {
        parties.taken.retain(|id| !self.forget_ended(id));
    }

    /// Drops an order of a counterparty if it has ended; whether it is gone.
    fn forget_ended(&mut self, id: &OrderHash) -> bool {
        let ended = self.orders.get(id).is_none_or(|order| order.status.ended());
        if ended {
            self.orders.remove(id);
        }
        ended
    }
}
