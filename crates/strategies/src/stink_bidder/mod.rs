//! Rests ladders of post-only bids far below fair value, to be filled by urgent sellers.
//!
//! Fair value is the mid price of a usable book. A ladder moves only when the mid price has moved by
//! `reanchor` or the ladder is old. Quotes are pulled near the close, after a tick size change, after an
//! article and after a fill. Exits belong to the position manager.

mod params;
mod state;

pub(crate) use params::Rules;
pub use params::{RawRung, RawStinkBidder, Rung, StinkParams};

use polydesk_domain::{
    AccountEvent, Action, Book, Code, ConditionId, ControlEvent, Event, ExitPlan, Market,
    MarketEvent, MarketKey, Outcome, Price, Quote, Reason, Shares, Side, Span, Stamped, Stop,
    StrategyId, TakeProfit, Time, Trailing, Usdc, WorldEvent,
};
use state::MarketMemory;

use std::collections::{BTreeMap, BTreeSet};

use crate::{Emit, Kinds, Saved, StateError, Strategy, Trigger, View};

/// Saved memory of a market is not loaded if it was last used so much earlier than the latest one.
const KEPT: Span = Span::secs(7 * 86_400);

/// The stink bidder. Its memory is soft: ranges and depths are rebuilt within their windows.
pub struct StinkBidder {
    id: StrategyId,
    params: StinkParams,
    memory: Vec<MarketMemory>,
    /// Loaded memory of markets that have not been evaluated since.
    saved: BTreeMap<ConditionId, MarketMemory>,
    /// pUSD of all resting ladders and holdings.
    committed: Usdc,
    /// Markets with a resting ladder.
    laddered: BTreeSet<MarketKey>,
}

impl StinkBidder {
    /// With validated parameters.
    pub fn new(id: StrategyId, params: StinkParams) -> StinkBidder {
        StinkBidder {
            id,
            params,
            memory: Vec::new(),
            saved: BTreeMap::new(),
            committed: Usdc::ZERO,
            laddered: BTreeSet::new(),
        }
    }

    /// Makes the memory of a market, from the loaded one if there is one.
    fn load_memory(&mut self, view: &View<'_>, key: MarketKey) {
        let known = self.memory.get(key.index()).is_some_and(|memory| memory.condition.is_some());
        if known {
            return;
        }
        let condition = view.market(key).condition;
        let saved = self.saved.remove(&condition).unwrap_or_default();
        self.change(key, |memory| *memory = MarketMemory { condition: Some(condition), ..saved });
    }

    /// Changes the ladder or holding of a market and the sums over all markets with it.
    fn change(&mut self, key: MarketKey, change: impl FnOnce(&mut MarketMemory)) {
        let memory = self.memory(key);
        let before = memory.resting + memory.held;
        change(memory);
        let (after, laddered) = (memory.resting + memory.held, memory.anchor.is_some());
        self.committed += after - before;
        if laddered {
            self.laddered.insert(key);
        } else {
            self.laddered.remove(&key);
        }
    }

    fn memory(&mut self, key: MarketKey) -> &mut MarketMemory {
        if self.memory.len() <= key.index() {
            self.memory.resize_with(key.index() + 1, MarketMemory::default);
        }
        &mut self.memory[key.index()]
    }

    /// Evaluates one market and emits its ladder if it changed.
    fn evaluate(&mut self, view: &View<'_>, key: MarketKey, out: &mut Emit<'_>) {
        let now = view.now;
        // Nearly every batch ends here. A memory that was not loaded yet has no next review.
        if self.memory.get(key.index()).is_some_and(|memory| now < memory.next_review) {
            return;
        }
        self.load_memory(view, key);
        let review = self.params.review;
        let memory = self.memory(key);
        if now < memory.next_review {
            return;
        }
        memory.next_review = now + review;
        if memory.anchor.is_some() && !view.account.quoted(*view.strategy, key) {
            // The ladder expired, was rejected, or was cancelled by the operator.
            memory.anchor = None;
            memory.resting = Usdc::ZERO;
        }
        match self.wanted(view, key) {
            Ok(None) => {}
            Ok(Some(ladder)) => self.quote(key, ladder, now, out),
            Err(reason) => {
                out.skip(key, reason);
                self.pull_quotes(key, reason, out);
            }
        }
    }

    fn quote(&mut self, key: MarketKey, ladder: Ladder, now: Time, out: &mut Emit<'_>) {
        let ttl = self.params.ttl;
        self.change(key, |memory| {
            memory.anchor = Some(ladder.anchor);
            memory.anchored_at = now;
            memory.resting = ladder.spend;
            memory.in_vacuum = ladder.vacuum;
        });
        let code = if ladder.vacuum { "vacuum_ladder" } else { "ladder" };
        let reason = Reason::new(code)
            .with("double_mid_units", i64::from(ladder.anchor))
            .with("rungs", ladder.quotes.len() as i64);
        // Twice the age at which a ladder is emitted again: a stalled strategy loses its quotes, a slow one does not.
        out.signal(key, Action::Quotes(ladder.quotes), ttl + ttl, ladder.edge, reason);
    }

    /// Pulls the quotes of a market, if a ladder rests there.
    fn pull_quotes(&mut self, key: MarketKey, reason: Reason, out: &mut Emit<'_>) {
        let ttl = self.params.ttl;
        if self.memory(key).anchor.is_some() {
            self.change(key, |memory| (memory.anchor, memory.resting) = (None, Usdc::ZERO));
            out.signal(key, Action::Quotes(Vec::new()), ttl, Usdc::ZERO, reason);
        }
    }

    /// The ladder that should rest now; `None` if the resting one stays.
    fn wanted(&mut self, view: &View<'_>, key: MarketKey) -> Result<Option<Ladder>, Reason> {
        let market = view.market(key);
        let params = &self.params;
        if !view.trades(key) {
            return Err(Reason::new("market_not_open"));
        }
        if !params.categories.is_empty() && !params.categories.contains(&market.category) {
            return Err(Reason::new("category"));
        }
        match view.to_close(key) {
            Some(left) if left <= params.quiet_before_close => {
                return Err(Reason::new("near_close").with("secs_left", left.as_millis() / 1_000));
            }
            None if !params.trade_without_close => return Err(Reason::new("close_unknown")),
            _ => {}
        }
        if market.fees.at(view.now).is_err() {
            return Err(Reason::new("fee_unknown"));
        }
        let Some(book) = view.usable_book(key) else {
            return Err(Reason::new("book_not_trusted"));
        };
        let (Some(mid), Some(spread)) = (book.double_mid(Outcome::Yes), book.spread_units()) else {
            return Err(Reason::new("one_sided"));
        };
        let now = view.now;
        let (window, memory) = (params.range_window, &mut self.memory[key.index()]);
        // Recordings contain unannounced tick size changes; the book's epoch shows them.
        if memory.epoch.replace(book.epoch()).is_some_and(|epoch| epoch != book.epoch()) {
            memory.quiet_until = memory.quiet_until.max(now + params.tick_pause);
            memory.quiet_code = Code::literal("tick_changed");
        }
        let range = memory.range.note(now, mid, window);
        let near = depth_near(book, params.depth_window);
        let vacuum = memory.depth.vacuum(now, near, params.vacuum_below_ppm, params.vacuum);
        if now < memory.quiet_until {
            return Err(Reason::of(memory.quiet_code));
        }
        if spread > i32::from(params.max_spread) {
            return Err(Reason::new("spread").with("spread_units", i64::from(spread)));
        }
        if near < params.min_depth && !vacuum {
            return Err(Reason::new("thin").with("depth_micros", near.micros()));
        }
        if range < u32::from(params.min_range) * 2 || range > u32::from(params.max_range) * 2 {
            return Err(Reason::new("range").with("double_range_units", i64::from(range)));
        }
        let old = memory.anchored_at.until(now) >= params.ttl;
        let moved = memory.anchor.is_none_or(|a| a.abs_diff(mid) >= u32::from(params.reanchor) * 2);
        if !(old || moved || vacuum != memory.in_vacuum) {
            return Ok(None);
        }
        self.ladder(view, key, book, mid, vacuum).map(Some)
    }

    fn ladder(
        &self,
        view: &View<'_>,
        key: MarketKey,
        book: &Book,
        mid: u32,
        vacuum: bool,
    ) -> Result<Ladder, Reason> {
        let params = &self.params;
        let outcomes = if params.both_outcomes { &Outcome::BOTH[..] } else { &[Outcome::Yes] };
        let here = &self.memory[key.index()];
        let elsewhere = self.committed - here.resting - here.held;
        let held = self.held(view, key);
        let room = (params.max_market - held).min(params.max_total - elsewhere - held);
        let mut ladder =
            Ladder { quotes: Vec::new(), anchor: mid, spend: Usdc::ZERO, edge: Usdc::ZERO, vacuum };
        let mut in_band = false;
        for outcome in outcomes {
            let mid = if *outcome == Outcome::Yes { mid } else { 20_000 - mid };
            if mid < u32::from(params.min_mid) * 2 || mid > u32::from(params.max_mid) * 2 {
                continue;
            }
            in_band = true;
            let extra: &[Rung] = if vacuum { &params.vacuum_rungs } else { &[] };
            for rung in extra.iter().chain(&params.rungs) {
                self.rung(view, key, book, *outcome, mid, *rung, room, &mut ladder);
            }
        }
        if !in_band {
            return Err(Reason::new("price_band").with("double_mid_units", i64::from(mid)));
        }
        if ladder.quotes.is_empty() {
            return Err(Reason::new("caps").with("room_micros", room.micros()));
        }
        Ok(ladder)
    }

    #[expect(clippy::too_many_arguments, reason = "one rung needs all of the ladder's context")]
    fn rung(
        &self,
        view: &View<'_>,
        key: MarketKey,
        book: &Book,
        outcome: Outcome,
        double_mid: u32,
        rung: Rung,
        room: Usdc,
        ladder: &mut Ladder,
    ) {
        let tick = book.tick().units();
        let Some(target) = (double_mid / 2).checked_sub(u32::from(rung.below)) else { return };
        let units = target as u16 / tick * tick;
        let Some(price) = Price::new(units).filter(|price| price.tradable(book.tick())) else {
            return;
        };
        // A price far below the mid price can still cross when the ask has come down.
        if book.best_ask(outcome).is_some_and(|(ask, _)| price >= ask) {
            return;
        }
        let Some(size) = price.shares_for(rung.spend).map(Shares::floor_cents) else { return };
        if size < view.market(key).min_size {
            return;
        }
        let cost = price.notional_ceil(size);
        if ladder.spend + cost > room {
            return;
        }
        if ladder.quotes.iter().any(|q| q.token == key.token(outcome) && q.price == price) {
            return;
        }
        let way_back = (double_mid / 2).saturating_sub(u32::from(units));
        let gain = (u64::from(way_back) * self.params.take_profit_ppm / 1_000_000) as u16;
        let gain = (gain / tick * tick).max(tick);
        ladder.spend += cost;
        ladder.edge += Price::new(gain).map_or(Usdc::ZERO, |gain| gain.notional_floor(size));
        ladder.quotes.push(Quote {
            token: key.token(outcome),
            side: Side::Buy,
            price,
            size,
            exit: Some(self.exit(gain)),
        });
    }

    fn exit(&self, gain: u16) -> ExitPlan {
        let params = &self.params;
        ExitPlan {
            take_profit: Some(TakeProfit { gain, rest: true }),
            stop: params.stop_loss.map(|loss| Stop { loss, floor: params.stop_floor }),
            trailing: params.trailing.map(|(activate, distance)| Trailing { activate, distance }),
            max_hold: params.max_hold,
            before_close: Some(params.quiet_before_close),
        }
    }

    fn held(&self, view: &View<'_>, key: MarketKey) -> Usdc {
        let cost = |outcome| view.account.position(self.id(), key.token(outcome)).cost;
        cost(Outcome::Yes) + cost(Outcome::No)
    }

    /// Pulls the quotes of a market and stays out until `until`.
    fn pause(&mut self, key: MarketKey, until: Time, code: &'static str, out: &mut Emit<'_>) {
        let memory = self.memory(key);
        memory.quiet_until = memory.quiet_until.max(until);
        memory.quiet_code = Code::literal(code);
        self.pull_quotes(key, Reason::new(code), out);
    }

    fn on_other(&mut self, view: &View<'_>, stamped: &Stamped, out: &mut Emit<'_>) {
        match &stamped.event {
            Event::Market(event) => self.on_market(view, event, out),
            Event::Account(event) => self.on_own(view, event, out),
            Event::World(event) => {
                if let WorldEvent::Article(article) = event.as_ref() {
                    let until = view.now + self.params.news_pause;
                    for key in &article.markets {
                        self.load_memory(view, *key);
                        self.pause(*key, until, "news", out);
                    }
                }
            }
            Event::Control(event) => match event.as_ref() {
                ControlEvent::Timer => self.each(|this, key| this.evaluate(view, key, out)),
                ControlEvent::Stop => {
                    self.each(|this, key| this.pull_quotes(key, Reason::new("stop"), out));
                }
                _ => {}
            },
        }
    }

    fn on_market(&mut self, view: &View<'_>, event: &MarketEvent, out: &mut Emit<'_>) {
        let reason = || Reason::new("gap");
        match event {
            MarketEvent::Tick { market, .. } => {
                self.pause(*market, view.now + self.params.tick_pause, "tick_changed", out);
            }
            MarketEvent::State { market, .. } => {
                self.pull_quotes(*market, Reason::new("market_state"), out);
            }
            MarketEvent::Interrupted(interruption) => match interruption.market {
                Some(key) => self.pull_quotes(key, reason(), out),
                None => self.each(|this, key| this.pull_quotes(key, reason(), out)),
            },
            MarketEvent::Delisted { market } => {
                self.saved.remove(&view.market(*market).condition);
                self.change(*market, |memory| *memory = MarketMemory::default());
            }
            _ => {}
        }
    }

    fn on_own(&mut self, view: &View<'_>, event: &AccountEvent, out: &mut Emit<'_>) {
        match event {
            AccountEvent::Trade(trade) => {
                let key = trade.token.market();
                let held = self.held(view, key);
                self.change(key, |memory| memory.held = held);
                if trade.side == Side::Buy {
                    self.pause(key, view.now + self.params.cooldown, "cooldown", out);
                }
            }
            AccountEvent::Cash(cash) => {
                if let Some(key) = cash.market {
                    let held = self.held(view, key);
                    self.change(key, |memory| memory.held = held);
                }
            }
            _ => {}
        }
    }

    /// Calls `act` for every market that has a ladder.
    fn each(&mut self, mut act: impl FnMut(&mut StinkBidder, MarketKey)) {
        for key in self.laddered.clone() {
            act(self, key);
        }
    }
}

/// A ladder to be emitted.
struct Ladder {
    quotes: Vec<Quote>,
    /// Bid + ask of YES at which it is anchored, in ten-thousandths: twice the mid price.
    anchor: u32,
    spend: Usdc,
    /// Profit if every rung fills and reaches its target.
    edge: Usdc,
    vacuum: bool,
}

/// pUSD of bids for both outcomes within `window` of the best of each: offers of YES are bids for NO.
fn depth_near(book: &Book, window: u16) -> Usdc {
    let mut sum = Usdc::ZERO;
    for outcome in Outcome::BOTH {
        let Some((best, _)) = book.best_bid(outcome) else { continue };
        let worst = best.units().saturating_sub(window);
        for (price, size) in book.levels(outcome, Side::Buy) {
            if price.units() < worst {
                break;
            }
            sum += price.notional_floor(size);
        }
    }
    sum
}

impl Strategy for StinkBidder {
    fn id(&self) -> StrategyId {
        self.id
    }

    fn kinds(&self) -> Kinds {
        let market = Kinds::BATCH.and(Kinds::STATE);
        market.and(Kinds::OWN).and(Kinds::NEWS).and(Kinds::TIMER).and(Kinds::RUN)
    }

    fn wants(&self, _: &Market) -> bool {
        true
    }

    fn on_event(&mut self, view: &View<'_>, trigger: Trigger<'_>, out: &mut Emit<'_>) {
        match trigger {
            Trigger::Batch(key) => self.evaluate(view, key, out),
            Trigger::Event(stamped) => self.on_other(view, stamped, out),
        }
    }

    fn reconfigure(&mut self, toml: &str) -> Result<(), StateError> {
        let params = |detail| StateError::Params { strategy: self.id, detail };
        let raw: RawStinkBidder =
            toml::from_str(toml).map_err(|error| params(error.to_string()))?;
        self.params = StinkParams::try_from(&raw).map_err(|broken| params(broken.join("\n")))?;
        Ok(())
    }

    fn save(&self) -> Saved {
        let seen = self.memory.iter().filter_map(|memory| Some((memory.condition?, memory)));
        let all: BTreeMap<_, _> =
            self.saved.iter().map(|(id, memory)| (*id, memory)).chain(seen).collect();
        Saved { version: 1, bytes: serde_json::to_vec(&all).unwrap_or_default() }
    }

    fn load(&mut self, saved: &Saved) -> Result<(), StateError> {
        let strategy = self.id;
        if saved.version != 1 {
            return Err(StateError::Version { strategy, found: saved.version, known: 1 });
        }
        self.saved = serde_json::from_slice(&saved.bytes)
            .map_err(|error| StateError::Damaged { strategy, detail: error.to_string() })?;
        // A market that ended while no process ran is never delisted in this one.
        let used = |memory: &MarketMemory| memory.next_review.max(memory.quiet_until);
        let latest = self.saved.values().map(used).max().unwrap_or(Time::MIN);
        self.saved.retain(|_, memory| used(memory).until(latest) <= KEPT);
        self.memory.clear();
        self.laddered.clear();
        self.committed = Usdc::ZERO;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
