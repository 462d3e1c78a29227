//! All books of a process, and the batches in which the venue changes them.
//!
//! One venue event is often split into several frames with one timestamp; the states in between are
//! crossed. `Books` applies every change at once and reports when a market's batch is complete: the
//! carried best prices agree, or a later timestamp came, or the timeout passed. Strategies, crossings
//! and alarms read books only then.

use crate::{
    Book, BookQuality, Event, MarketEvent, MarketKey, Outcome, Price, Shares, Side, Span, Stamped,
    Tick, Time, Token, Top, Touched,
};

/// What applying an event did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applied {
    /// No market data, or data of an unlisted market.
    Nothing,
    /// The event belongs to a batch that is still open.
    Open(MarketKey),
    /// The batch is complete: the book is consistent.
    Complete(MarketKey),
}

/// What happened to the books so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct BatchStats {
    /// Level changes that changed something.
    pub changes: u64,
    /// Level changes that left the level as it was: mirrored or repeated.
    pub no_ops: u64,
    /// Batches completed.
    pub batches: u64,
    /// Batches after which the book was still crossed.
    pub crossed: u64,
    /// Batches after which the carried best prices differed from the book's.
    pub top_mismatches: u64,
    /// Levels removed because the carried best prices proved them gone: their removal message was lost.
    pub stale_levels: u64,
    /// Tick sizes inferred from prices between two ticks.
    pub inferred_ticks: u64,
    /// Events of unlisted markets.
    pub unlisted: u64,
}

/// One market's book with the state of its batch.
#[derive(Debug, Clone)]
struct MarketBook {
    book: Book,
    /// Version when the last batch was completed.
    seen: u64,
    venue_at: Time,
    opened_at: Time,
    changed_at: Time,
    /// The last book message, whether it changed anything or not.
    proven_at: Time,
    open: bool,
    /// The market is delisted: the book has no heap memory and takes no levels.
    freed: bool,
    /// The last proof that the book is current was reported as too old.
    unverified: bool,
    /// Whether the best prices carried last agreed with the book.
    agrees: Option<bool>,
    /// The best prices as carried last, and of which outcome.
    carried: Option<(Outcome, Top)>,
}

impl MarketBook {
    fn new(tick: Tick) -> MarketBook {
        MarketBook {
            book: Book::new(tick),
            seen: 0,
            venue_at: Time::MIN,
            opened_at: Time::MIN,
            changed_at: Time::MIN,
            proven_at: Time::MIN,
            open: false,
            freed: false,
            unverified: false,
            agrees: None,
            carried: None,
        }
    }

    /// The slot of a delisted market.
    fn freed(tick: Tick) -> MarketBook {
        let mut slot = MarketBook { freed: true, ..MarketBook::new(tick) };
        slot.book.free();
        slot
    }

    #[inline]
    fn matches_carried(&self) -> bool {
        // The book's prices are coded rather than the carried ones decoded: one comparison of a word.
        self.carried.is_some_and(|(outcome, top)| self.book.top(outcome) == top)
    }

    /// Removes levels better than the venue's own best price after a whole batch. They cannot exist:
    /// their removal was lost. Levels that are missing cannot be made up for.
    fn drop_stale(&mut self) -> u64 {
        let mut gone = 0;
        for outcome in Outcome::BOTH {
            let best = match self.carried {
                Some((of, top)) if of == outcome => top.bid(),
                Some((_, top)) => top.ask().map(Price::complement),
                None => None,
            };
            while let Some((price, _)) = self.book.best_bid(outcome)
                && best.is_none_or(|best| price > best)
            {
                if self.book.set(outcome, Side::Buy, price, Shares::ZERO).is_err() {
                    break;
                }
                gone += 1;
            }
        }
        gone
    }
}

/// The books of all listed markets.
#[derive(Debug, Clone)]
pub struct Books {
    slots: Vec<MarketBook>,
    open: Vec<MarketKey>,
    timeout: Span,
    stats: BatchStats,
}

impl Default for Books {
    fn default() -> Books {
        Books::new(Span::millis(100))
    }
}

impl Books {
    /// No market yet; batches still open after `timeout` of engine time are taken as complete.
    pub fn new(timeout: Span) -> Books {
        Books { slots: Vec::new(), open: Vec::new(), timeout, stats: BatchStats::default() }
    }

    /// Counters so far.
    pub fn stats(&self) -> BatchStats {
        self.stats
    }

    /// Makes room for a listed market. Listing again keeps the book.
    pub fn list(&mut self, key: MarketKey, tick: Tick) {
        // Keys come in order; a missing key would be a listing that this process did not see.
        while self.slots.len() <= key.index() {
            self.slots.push(MarketBook::new(tick));
        }
    }

    /// Frees the book of a delisted market. Its slot stays empty: later events of the market count as
    /// unlisted.
    pub fn delist(&mut self, key: MarketKey) {
        if let Some(slot) = self.slots.get_mut(key.index()) {
            *slot = MarketBook::freed(slot.book.tick());
            self.open.retain(|open| *open != key);
        }
    }

    /// The slot of a listed market.
    #[inline]
    fn slot_mut(&mut self, key: MarketKey) -> Option<&mut MarketBook> {
        self.slots.get_mut(key.index()).filter(|slot| !slot.freed)
    }

    /// Markets whose batch is open, the oldest first.
    pub fn open_batches(&self) -> &[MarketKey] {
        &self.open
    }

    /// Takes over one market's book from other books, where it has another key.
    pub fn adopt(&mut self, key: MarketKey, from: &Books, there: MarketKey) {
        let (Some(slot), Some(other)) =
            (self.slots.get_mut(key.index()), from.slots.get(there.index()))
        else {
            return;
        };
        *slot = other.clone();
        self.open.retain(|open| *open != key);
        if slot.open {
            let at = self.open.partition_point(|open| {
                self.slots[open.index()].opened_at <= self.slots[key.index()].opened_at
            });
            self.open.insert(at, key);
        }
    }

    /// The book of a listed market; of a delisted one, an empty book.
    pub fn get(&self, key: MarketKey) -> Option<&Book> {
        self.slots.get(key.index()).map(|slot| &slot.book)
    }

    /// When any level of the market last changed (engine time).
    pub fn changed_at(&self, key: MarketKey) -> Option<Time> {
        self.slots.get(key.index()).map(|slot| slot.changed_at).filter(|at| *at != Time::MIN)
    }

    /// When the last message about the market's book came (engine time): the last proof that it is
    /// current. A quiet market is not a frozen one, so this age is compared outside, and reported as
    /// [`MarketEvent::Unverified`].
    pub fn proven_at(&self, key: MarketKey) -> Option<Time> {
        self.slots.get(key.index()).map(|slot| slot.proven_at).filter(|at| *at != Time::MIN)
    }

    /// Whether the last proof of the book is not reported as too old ([`MarketEvent::Unverified`]).
    pub fn verified(&self, key: MarketKey) -> bool {
        self.slots.get(key.index()).is_some_and(|slot| !slot.unverified)
    }

    /// Whether the book is synced: its best prices equal those that the venue sent last.
    ///
    /// The carried best prices decide where the feed has them; without any, only a book that began
    /// with a snapshot counts.
    pub fn synced(&self, key: MarketKey) -> bool {
        let Some(slot) = self.slots.get(key.index()) else { return false };
        slot.agrees.unwrap_or(slot.book.quality() == BookQuality::Snapshot)
    }

    /// Whether the book is usable: synced and not crossed.
    pub fn usable(&self, key: MarketKey) -> bool {
        self.synced(key) && self.get(key).is_some_and(|book| !book.is_crossed())
    }

    /// Completes the batches that `next` shows to be over, oldest first, into `done`. Call before
    /// [`Books::apply`], and read the books of `done` before applying.
    #[inline]
    pub fn close_due(&mut self, next: &Stamped, done: &mut Vec<MarketKey>) {
        if self.open.is_empty() {
            return;
        }
        let market = market_of(&next.event);
        let mut kept = 0;
        for i in 0..self.open.len() {
            let key = self.open[i];
            let slot = &self.slots[key.index()];
            let over = match market {
                Some(market) if market == key => next.venue_at != slot.venue_at,
                Some(_) => next.venue_at > slot.venue_at,
                None => false,
            };
            if over || slot.opened_at.until(next.at) > self.timeout {
                self.complete(key);
                done.push(key);
            } else {
                self.open[kept] = key;
                kept += 1;
            }
        }
        self.open.truncate(kept);
    }

    /// The clock was wrong and went back: what is dated later counts as of now.
    pub fn turn_back(&mut self, now: Time) {
        for slot in &mut self.slots {
            let MarketBook { opened_at, changed_at, proven_at, .. } = slot;
            for time in [opened_at, changed_at, proven_at] {
                *time = (*time).min(now);
            }
        }
    }

    /// When the oldest open batch is taken as complete; [`Time::MAX`] if none is open.
    #[inline]
    pub fn next_timeout(&self) -> Time {
        let first = self.open.first().and_then(|key| self.slots.get(key.index()));
        first.map_or(Time::MAX, |slot| slot.opened_at + self.timeout + Span::nanos(1))
    }

    /// Completes every open batch: the stream is over.
    pub fn close_all(&mut self, done: &mut Vec<MarketKey>) {
        for key in core::mem::take(&mut self.open) {
            self.complete(key);
            done.push(key);
        }
    }

    fn complete(&mut self, key: MarketKey) {
        let slot = &mut self.slots[key.index()];
        if slot.agrees == Some(false) {
            let gone = slot.drop_stale();
            self.stats.stale_levels += gone;
            if gone > 0 {
                slot.agrees = Some(slot.matches_carried());
            }
        }
        slot.open = false;
        slot.seen = slot.book.version();
        self.stats.batches += 1;
        self.stats.crossed += u64::from(slot.book.is_crossed());
        self.stats.top_mismatches += u64::from(slot.agrees == Some(false));
    }

    /// Applies an event to the books; `touched` hears of every level of a book that was changed.
    #[inline]
    pub fn apply(
        &mut self,
        stamped: &Stamped,
        mut touched: impl FnMut(MarketKey, Touched),
    ) -> Applied {
        match &stamped.event {
            Event::Market(MarketEvent::Level(change)) => {
                let key = change.token.market();
                let Some(slot) = self.slots.get_mut(key.index()).filter(|slot| !slot.freed) else {
                    self.stats.unlisted += 1;
                    return Applied::Nothing;
                };
                let outcome = change.token.outcome();
                let mut version = slot.book.version();
                let set = slot.book.set(outcome, change.side, change.price, change.size);
                let level = match set {
                    Ok(level) => level,
                    Err(_) => {
                        self.stats.inferred_ticks += 1;
                        slot.book.refine(slot.book.tick().refined_for(change.price));
                        version = slot.book.version();
                        match slot.book.set(outcome, change.side, change.price, change.size) {
                            Ok(level) => level,
                            Err(_) => return Applied::Nothing,
                        }
                    }
                };
                if slot.book.version() == version {
                    self.stats.no_ops += 1;
                } else {
                    self.stats.changes += 1;
                    slot.changed_at = stamped.at;
                    touched(key, level);
                }
                self.after_change(key, stamped, change.top.map(|top| (outcome, top)))
            }
            Event::Market(MarketEvent::Snapshot(snapshot)) => {
                let key = snapshot.token.market();
                let Some(slot) = self.slots.get_mut(key.index()).filter(|slot| !slot.freed) else {
                    self.stats.unlisted += 1;
                    return Applied::Nothing;
                };
                let (outcome, epoch) = (snapshot.token.outcome(), slot.book.epoch());
                let mut changes = 0;
                slot.book.load(outcome, &snapshot.bids, &snapshot.asks, |level| {
                    changes += 1;
                    touched(key, level);
                });
                self.stats.changes += changes;
                self.stats.inferred_ticks += u64::from(slot.book.epoch() - epoch);
                slot.changed_at = stamped.at;
                slot.agrees = None;
                self.after_change(key, stamped, None)
            }
            Event::Market(MarketEvent::Best { token, top }) => {
                let key = token.market();
                if self.slot_mut(key).is_none() {
                    self.stats.unlisted += 1;
                    return Applied::Nothing;
                }
                self.after_change(key, stamped, Some((token.outcome(), *top)))
            }
            Event::Market(MarketEvent::Tick { market, tick }) => {
                // One that is announced again changes nothing.
                if self.get(*market).is_some_and(|book| book.tick() != *tick) {
                    self.reset(*market, Some(*tick), stamped.at);
                }
                Applied::Nothing
            }
            Event::Market(MarketEvent::Unverified { market, on }) => {
                if let Some(slot) = self.slot_mut(*market) {
                    slot.unverified = *on;
                    if !*on {
                        slot.proven_at = stamped.at;
                    }
                }
                Applied::Nothing
            }
            Event::Market(MarketEvent::Interrupted(interruption)) => {
                match interruption.market {
                    Some(market) => self.reset(market, None, stamped.at),
                    None => {
                        for index in 0..self.slots.len() {
                            self.reset(MarketKey(index as u32), None, stamped.at);
                        }
                    }
                }
                Applied::Nothing
            }
            _ => Applied::Nothing,
        }
    }

    fn reset(&mut self, key: MarketKey, tick: Option<Tick>, at: Time) {
        if let Some(slot) = self.slot_mut(key) {
            slot.book.reset(tick.unwrap_or(slot.book.tick()));
            slot.agrees = None;
            slot.changed_at = at;
        }
    }

    /// Opens, keeps open or completes the market's batch after a change.
    #[inline]
    fn after_change(
        &mut self,
        key: MarketKey,
        stamped: &Stamped,
        carried: Option<(Outcome, Top)>,
    ) -> Applied {
        let slot = &mut self.slots[key.index()];
        slot.proven_at = stamped.at;
        slot.unverified = false;
        if let Some((outcome, top)) = carried {
            slot.carried = Some((outcome, top));
            let agrees = slot.book.top(outcome) == top;
            slot.agrees = Some(agrees);
            if agrees {
                if slot.open {
                    self.open.retain(|open| *open != key);
                } else if slot.book.version() == slot.seen {
                    return Applied::Nothing;
                }
                self.complete(key);
                return Applied::Complete(key);
            }
        }
        if !slot.open {
            if slot.book.version() == slot.seen {
                return Applied::Nothing;
            }
            slot.open = true;
            slot.venue_at = stamped.venue_at;
            slot.opened_at = stamped.at;
            self.open.push(key);
        }
        Applied::Open(key)
    }

    /// Bytes held on the heap by all books.
    pub fn heap_bytes(&self) -> usize {
        self.slots.capacity() * size_of::<MarketBook>()
            + self.slots.iter().map(|slot| slot.book.heap_bytes()).sum::<usize>()
    }

    /// The best price of a side of a token's book.
    pub fn best(&self, token: Token, side: Side) -> Option<(crate::Price, crate::Shares)> {
        self.get(token.market())?.best(token.outcome(), side)
    }
}

/// The market whose stream an event belongs to, if any.
fn market_of(event: &Event) -> Option<MarketKey> {
    let Event::Market(event) = event else { return None };
    match event {
        MarketEvent::Level(change) => Some(change.token.market()),
        MarketEvent::Snapshot(snapshot) => Some(snapshot.token.market()),
        MarketEvent::Print(print) => Some(print.token.market()),
        MarketEvent::Best { token, .. } => Some(token.market()),
        MarketEvent::Tick { market, .. } | MarketEvent::State { market, .. } => Some(*market),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::LevelChange;

    fn level(at: i64, side: Side, cents: u16, shares: u64, top: Option<(u16, u16)>) -> Stamped {
        let price = |cents: u16| (cents != 0).then(|| Price::cents(cents));
        Stamped {
            at: Time::from_millis(at),
            venue_at: Time::from_millis(at),
            seq: 0,
            event: Event::Market(MarketEvent::Level(LevelChange {
                token: Token(0),
                side,
                price: Price::cents(cents),
                size: Shares::whole(shares),
                top: top.map(|(bid, ask)| Top::new(price(bid), price(ask))),
            })),
        }
    }

    fn books() -> Books {
        let mut books = Books::default();
        books.list(MarketKey(0), Tick::Cent);
        books
    }

    #[test]
    fn a_batch_completes_when_the_carried_best_prices_agree() {
        let mut books = books();
        let key = MarketKey(0);
        let apply = |books: &mut Books, stamped| books.apply(&stamped, |_, _| ());
        // A sweep of two levels, split over two frames: in between the book looks wrong.
        assert_eq!(
            apply(&mut books, level(1, Side::Buy, 40, 9, Some((40, 0)))),
            Applied::Complete(key)
        );
        assert_eq!(
            apply(&mut books, level(2, Side::Sell, 42, 5, Some((40, 42)))),
            Applied::Complete(key)
        );
        assert_eq!(
            apply(&mut books, level(3, Side::Sell, 42, 0, Some((40, 44)))),
            Applied::Open(key)
        );
        assert!(!books.usable(key));
        assert_eq!(
            apply(&mut books, level(3, Side::Sell, 44, 8, Some((40, 44)))),
            Applied::Complete(key)
        );
        assert!(books.usable(key));
        // The mirrored copy changes nothing and opens no batch.
        assert_eq!(
            apply(&mut books, level(3, Side::Sell, 44, 8, Some((40, 44)))),
            Applied::Nothing
        );
        assert_eq!(books.stats().batches, 3);
    }

    #[test]
    fn without_carried_prices_the_next_timestamp_completes_the_batch() {
        let mut books = books();
        let mut done = Vec::new();
        for (at, cents) in [(1, 40), (1, 41), (2, 42)] {
            let stamped = level(at, Side::Buy, cents, 1, None);
            books.close_due(&stamped, &mut done);
            assert_eq!(books.apply(&stamped, |_, _| ()), Applied::Open(MarketKey(0)));
        }
        assert_eq!(done, [MarketKey(0)]);
        books.close_all(&mut done);
        assert_eq!(books.stats().batches, 2);
    }

    #[test]
    fn a_level_better_than_the_venues_best_is_removed_with_the_batch() {
        let mut books = books();
        let mut done = Vec::new();
        books.apply(&level(1, Side::Buy, 45, 9, Some((45, 0))), |_, _| ());
        // The removal of 0.45 was lost: the venue's best bid is 0.40 after this change.
        let lost = level(2, Side::Buy, 40, 9, Some((40, 0)));
        assert_eq!(books.apply(&lost, |_, _| ()), Applied::Open(MarketKey(0)));
        assert!(!books.usable(MarketKey(0)));
        books.close_due(&level(3, Side::Buy, 39, 1, None), &mut done);
        assert_eq!(books.best(Token(0), Side::Buy), Some((Price::cents(40), Shares::whole(9))));
        assert_eq!(books.stats().stale_levels, 1);
        assert!(books.usable(MarketKey(0)));
    }

    #[test]
    fn a_price_between_two_ticks_refines_the_tick_size_and_is_counted() {
        let mut books = books();
        let mut stamped = level(1, Side::Buy, 40, 1, None);
        if let Event::Market(MarketEvent::Level(change)) = &mut stamped.event {
            change.price = "0.4025".parse().unwrap();
        }
        books.apply(&stamped, |_, _| ());
        assert_eq!(books.stats().inferred_ticks, 1);
        assert_eq!(books.get(MarketKey(0)).unwrap().tick(), Tick::QuarterCent);
    }

    #[test]
    fn a_delisted_market_frees_its_book_and_ignores_later_events() {
        let mut books = books();
        let key = MarketKey(0);
        books.apply(&level(1, Side::Buy, 40, 9, Some((40, 0))), |_, _| ());
        let full = books.heap_bytes();
        books.delist(key);
        let empty = books.slots.capacity() * size_of::<MarketBook>();
        assert!(full > empty);
        let event = |event: MarketEvent| Stamped {
            event: event.into(),
            ..level(2, Side::Buy, 41, 1, None)
        };
        let interrupted = |market| MarketEvent::Interrupted(crate::Interruption { market });
        let tick = MarketEvent::Tick { market: key, tick: Tick::Thousandth };
        let snapshot = crate::BookSnapshot {
            token: Token(0),
            bids: vec![(Price::cents(40), Shares::whole(1))],
            asks: vec![("0.4025".parse().unwrap(), Shares::whole(1))],
        };
        for stamped in [
            level(2, Side::Buy, 41, 1, None),
            level(2, Side::Buy, 41, 1, Some((41, 0))),
            event(MarketEvent::Snapshot(std::sync::Arc::new(snapshot))),
            event(MarketEvent::Best { token: Token(0), top: Top::new(None, None) }),
            event(MarketEvent::Unverified { market: key, on: true }),
            event(interrupted(None)),
            event(interrupted(Some(key))),
            event(tick),
        ] {
            assert_eq!(books.apply(&stamped, |_, _| ()), Applied::Nothing);
            assert_eq!(books.heap_bytes(), empty, "{:?}", stamped.event);
        }
        assert_eq!(books.stats().unlisted, 4);
        let book = books.get(key).unwrap();
        assert_eq!(book.size_at(Outcome::Yes, Side::Buy, Price::cents(40)), Shares::ZERO);
        assert_eq!(book.levels(Outcome::Yes, Side::Sell).count(), 0);
        assert!(!books.synced(key));
    }

    #[test]
    fn an_event_of_an_unlisted_market_is_counted() {
        let mut books = Books::default();
        assert_eq!(books.apply(&level(1, Side::Buy, 40, 1, None), |_, _| ()), Applied::Nothing);
        assert_eq!(books.stats().unlisted, 1);
    }
}
