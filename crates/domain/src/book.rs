//! One order book per market: an array over all ticks with a bitmap of occupied levels.
//!
//! A bid for NO at `1 − p` *is* an offer of YES at `p`, so the book keeps one ladder of bids per
//! outcome and nothing else: YES asks are NO bids read backwards, the best price of every side is
//! the highest occupied slot of a ladder, and a change mirrored by the venue on the other token
//! lands on the same slot, where it changes nothing.
//!
//! The book does not know batches (see `Books`), does not judge whether prices are crossed, and
//! never allocates once the pages around the traded prices exist.

use crate::event::Top;
use crate::{Outcome, Price, Shares, Side, Tick, Usdc};

/// Levels of one page; two pages a side are enough for most cent-tick books.
const PAGE: usize = 32;
/// Pages of the finest tick size: a slot for each ten-thousandth from zero to one.
const MOST_PAGES: usize = 10_001usize.div_ceil(PAGE);

/// A price that is no multiple of the book's tick size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("price {price} is not a multiple of tick size {tick}")]
pub struct OffGrid {
    /// The price.
    pub price: Price,
    /// The tick size.
    pub tick: Tick,
}

/// The origin of a book's levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BookQuality {
    /// Nothing known since the epoch began.
    Empty,
    /// Built from changes alone; best prices are proven only as far as the venue's carried ones agree.
    Changes,
    /// Began with a snapshot.
    Snapshot,
}

/// A level whose size changed; the sim nets trades against cancels with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Touched {
    /// The outcome whose *bid* level it is.
    pub outcome: Outcome,
    /// The bid's price.
    pub price: Price,
    /// Size before.
    pub before: Shares,
    /// Size after.
    pub after: Shares,
}

/// Result of a walk over displayed depth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DepthWalk {
    /// Shares available up to the limit and the size asked for.
    pub shares: Shares,
    /// What they cost or bring, each level rounded against the taker to the micro-dollar.
    pub notional: Usdc,
    /// The last level reached.
    pub worst: Option<Price>,
}

/// Bids of one outcome.
#[derive(Debug, Clone, Default)]
struct Ladder {
    pages: Vec<Option<Box<[u64; PAGE]>>>,
    occupied: Vec<u32>,
    /// Slot of the best (highest) bid plus one; zero when empty.
    best: u32,
    levels: u32,
}

impl Ladder {
    fn new(slots: usize) -> Ladder {
        let pages = slots.div_ceil(PAGE);
        Ladder { pages: vec![None; pages], occupied: vec![0; pages], best: 0, levels: 0 }
    }

    #[inline]
    fn get(&self, slot: usize) -> u64 {
        match self.pages.get(slot / PAGE) {
            Some(Some(page)) => page[slot % PAGE],
            _ => 0,
        }
    }

    #[inline]
    fn set(&mut self, slot: usize, size: u64) -> u64 {
        let (page_index, bit) = (slot / PAGE, 1u32 << (slot % PAGE));
        // A freed ladder has no pages and takes no levels.
        let Some(place) = self.pages.get_mut(page_index) else { return 0 };
        let Some(page) = place else {
            if size != 0 {
                *place = Some(Box::new([0; PAGE]));
                return self.set(slot, size);
            }
            return 0;
        };
        let before = core::mem::replace(&mut page[slot % PAGE], size);
        if (before == 0) != (size == 0) {
            self.occupied[page_index] ^= bit;
            if size != 0 {
                self.levels += 1;
                self.best = self.best.max(slot as u32 + 1);
            } else {
                self.levels -= 1;
                if self.best == slot as u32 + 1 {
                    self.best = self.below(slot).map_or(0, |slot| slot as u32 + 1);
                }
            }
        }
        before
    }

    /// The highest occupied slot below `slot`.
    #[inline]
    fn below(&self, slot: usize) -> Option<usize> {
        let (mut page, bit) = (slot / PAGE, slot % PAGE);
        let mut word = self.occupied.get(page)? & ((1u32 << bit) - 1);
        loop {
            if word != 0 {
                return Some(page * PAGE + (31 - word.leading_zeros() as usize));
            }
            page = page.checked_sub(1)?;
            word = self.occupied[page];
        }
    }

    fn top(&self) -> Option<usize> {
        self.best.checked_sub(1).map(|slot| slot as usize)
    }

    fn clear(&mut self) {
        for (page, word) in self.pages.iter_mut().zip(&mut self.occupied) {
            if *word != 0 {
                if let Some(page) = page {
                    page.fill(0);
                }
                *word = 0;
            }
        }
        self.best = 0;
        self.levels = 0;
    }
}

/// The order book of one market.
#[derive(Debug, Clone)]
pub struct Book {
    tick: Tick,
    /// Bids for YES and bids for NO.
    bids: [Ladder; 2],
    epoch: u32,
    quality: BookQuality,
    version: u64,
    /// `2^32 / tick` rounded up: turns the division of the hot path into a multiplication.
    reciprocal: u64,
}

impl Book {
    /// An empty book with this tick size.
    pub fn new(tick: Tick) -> Book {
        let slots = usize::from(10_000 / tick.units()) + 1;
        Book {
            tick,
            bids: [Ladder::new(slots), Ladder::new(slots)],
            epoch: 0,
            quality: BookQuality::Empty,
            version: 0,
            reciprocal: (1u64 << 32).div_ceil(u64::from(tick.units())),
        }
    }

    /// Frees the heap memory of its levels, for a delisted market. The book stays empty.
    pub(crate) fn free(&mut self) {
        self.bids = Default::default();
        self.quality = BookQuality::Empty;
    }

    /// The current tick size.
    pub fn tick(&self) -> Tick {
        self.tick
    }
    /// Counts tick size changes and interruptions: data of an older epoch is invalid in this one.
    pub fn epoch(&self) -> u32 {
        self.epoch
    }
    /// Origin of its levels.
    pub fn quality(&self) -> BookQuality {
        self.quality
    }
    /// Grows with every change of any level.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Begins a new epoch with nothing known (announced tick change, interruption).
    pub fn reset(&mut self, tick: Tick) {
        let (epoch, version) = (self.epoch + 1, self.version + 1);
        if tick == self.tick {
            self.bids.iter_mut().for_each(Ladder::clear);
            self.quality = BookQuality::Empty;
        } else {
            *self = Book::new(tick);
        }
        (self.epoch, self.version) = (epoch, version);
    }

    /// Begins a new epoch with a finer tick size and keeps the levels (an unannounced change in a recording).
    pub fn refine(&mut self, tick: Tick) {
        let mut finer = Book::new(tick);
        for outcome in Outcome::BOTH {
            for (price, size) in self.levels(outcome, Side::Buy) {
                // Every price of the coarser tick size is a multiple of the finer one.
                let _ = finer.set(outcome, Side::Buy, price, size);
            }
        }
        finer.quality = self.quality;
        finer.epoch = self.epoch + 1;
        finer.version = self.version + 1;
        *self = finer;
    }

    #[inline]
    fn slot(&self, price: Price) -> Option<usize> {
        let slot = (u64::from(price.units()) * self.reciprocal) >> 32;
        (slot * u64::from(self.tick.units()) == u64::from(price.units())).then_some(slot as usize)
    }

    #[inline]
    fn price(&self, slot: usize) -> Price {
        Price::new(slot as u16 * self.tick.units()).unwrap_or(Price::ONE)
    }

    /// The ladder and the bid price that a level of `outcome`'s book is kept as.
    #[inline]
    fn place(outcome: Outcome, side: Side, price: Price) -> (Outcome, Price) {
        match side {
            Side::Buy => (outcome, price),
            Side::Sell => (outcome.other(), price.complement()),
        }
    }

    /// Sets a level's total size (zero removes it) and returns the change.
    #[inline]
    pub fn set(
        &mut self,
        outcome: Outcome,
        side: Side,
        price: Price,
        size: Shares,
    ) -> Result<Touched, OffGrid> {
        let (ladder, bid) = Book::place(outcome, side, price);
        let slot = self.slot(bid).ok_or(OffGrid { price, tick: self.tick })?;
        let before = Shares::new(self.bids[ladder.index()].set(slot, size.micros()));
        if before != size {
            self.version += 1;
        }
        if self.quality == BookQuality::Empty {
            self.quality = BookQuality::Changes;
        }
        Ok(Touched { outcome: ladder, price: bid, before, after: size })
    }

    /// Replaces all levels by a snapshot of `outcome`'s book and reports every level that differs.
    ///
    /// Levels between two ticks refine the tick size first, so none is lost.
    pub fn load(
        &mut self,
        outcome: Outcome,
        bids: &[(Price, Shares)],
        asks: &[(Price, Shares)],
        mut touched: impl FnMut(Touched),
    ) {
        for (price, _) in bids.iter().chain(asks) {
            if self.slot(*price).is_none() {
                self.refine(self.tick.refined_for(*price));
            }
        }
        for (side, levels) in [(Side::Buy, bids), (Side::Sell, asks)] {
            let (ladder, _) = Book::place(outcome, side, Price::ZERO);
            // A bit for each level that is shown; what is held and not shown is gone.
            let mut shown = [0u32; MOST_PAGES];
            for (price, size) in levels {
                if let Some(slot) = self.slot(Book::place(outcome, side, *price).1)
                    && !size.is_zero()
                {
                    shown[slot / PAGE] |= 1 << (slot % PAGE);
                }
            }
            for page in (0..self.bids[ladder.index()].occupied.len()).rev() {
                let mut gone = self.bids[ladder.index()].occupied[page] & !shown[page];
                while gone != 0 {
                    let bit = 31 - gone.leading_zeros();
                    gone ^= 1 << bit;
                    let bid = self.price(page * PAGE + bit as usize);
                    if let Ok(change) = self.set(ladder, Side::Buy, bid, Shares::ZERO) {
                        touched(change);
                    }
                }
            }
            for (price, size) in levels {
                if let Ok(change) = self.set(outcome, side, *price, *size)
                    && change.before != change.after
                {
                    touched(change);
                }
            }
        }
        self.quality = BookQuality::Snapshot;
    }

    /// The best bid of an outcome.
    #[inline]
    pub fn best_bid(&self, outcome: Outcome) -> Option<(Price, Shares)> {
        let ladder = &self.bids[outcome.index()];
        let slot = ladder.top()?;
        Some((self.price(slot), Shares::new(ladder.get(slot))))
    }

    /// The price of an outcome's best bid: cheaper than [`Book::best_bid`] where the size is not asked for.
    #[inline]
    pub fn best_bid_price(&self, outcome: Outcome) -> Option<Price> {
        self.bids[outcome.index()].top().map(|slot| self.price(slot))
    }

    /// The best prices of an outcome as a feed states them.
    #[inline]
    pub fn top(&self, outcome: Outcome) -> Top {
        let ask = self.best_bid_price(outcome.other()).map(Price::complement);
        Top::new(self.best_bid_price(outcome), ask)
    }

    /// The best ask of an outcome.
    #[inline]
    pub fn best_ask(&self, outcome: Outcome) -> Option<(Price, Shares)> {
        self.best_bid(outcome.other()).map(|(bid, size)| (bid.complement(), size))
    }

    /// The best price of a side.
    #[inline]
    pub fn best(&self, outcome: Outcome, side: Side) -> Option<(Price, Shares)> {
        match side {
            Side::Buy => self.best_bid(outcome),
            Side::Sell => self.best_ask(outcome),
        }
    }

    /// Twice the middle between best bid and ask, in ten-thousandths: exact, unlike the middle itself.
    #[inline]
    pub fn double_mid(&self, outcome: Outcome) -> Option<u32> {
        let bid = self.best_bid_price(outcome)?;
        let ask = self.best_bid_price(outcome.other())?.complement();
        Some(u32::from(bid.units()) + u32::from(ask.units()))
    }

    /// Best ask minus best bid in ten-thousandths; negative when crossed, the same for both outcomes.
    #[inline]
    pub fn spread_units(&self) -> Option<i32> {
        let yes = self.bids[0].top()?;
        let no = self.bids[1].top()?;
        let tick = i32::from(self.tick.units());
        Some(10_000 - (yes as i32 + no as i32) * tick)
    }

    /// Whether the best bid is at or above the best ask; never the case after a whole batch at the venue.
    #[inline]
    pub fn is_crossed(&self) -> bool {
        self.spread_units().is_some_and(|spread| spread <= 0)
    }

    /// The size at a level; zero for a price between two ticks.
    #[inline]
    pub fn size_at(&self, outcome: Outcome, side: Side, price: Price) -> Shares {
        let (ladder, bid) = Book::place(outcome, side, price);
        self.slot(bid).map_or(Shares::ZERO, |slot| Shares::new(self.bids[ladder.index()].get(slot)))
    }

    /// How many levels a side has.
    pub fn depth(&self, outcome: Outcome, side: Side) -> usize {
        self.bids[Book::place(outcome, side, Price::ZERO).0.index()].levels as usize
    }

    /// The levels of a side, best first.
    pub fn levels(&self, outcome: Outcome, side: Side) -> Levels<'_> {
        let (ladder, _) = Book::place(outcome, side, Price::ZERO);
        let ladder = &self.bids[ladder.index()];
        Levels { book: self, ladder, next: ladder.top(), asks: side == Side::Sell }
    }

    /// Shares on a side at `limit` or better.
    pub fn shares_within(&self, outcome: Outcome, side: Side, limit: Price) -> Shares {
        let within = |price: Price| match side {
            Side::Buy => price >= limit,
            Side::Sell => price <= limit,
        };
        self.levels(outcome, side)
            .take_while(|(price, _)| within(*price))
            .map(|(_, size)| size)
            .sum()
    }

    /// What an immediate order for `shares` of `outcome` at `limit` or better would get from displayed depth.
    ///
    /// `side` is the taker's: a buyer walks the asks (each level rounded up), a seller the bids
    /// (rounded down).
    pub fn walk(&self, outcome: Outcome, side: Side, limit: Price, shares: Shares) -> DepthWalk {
        let mut walk = DepthWalk::default();
        for (price, size) in self.levels(outcome, side.other()) {
            let within = match side {
                Side::Buy => price <= limit,
                Side::Sell => price >= limit,
            };
            let take = size.min(shares.saturating_sub(walk.shares));
            if !within || take.is_zero() {
                break;
            }
            walk.shares += take;
            walk.notional += match side {
                Side::Buy => price.notional_ceil(take),
                Side::Sell => price.notional_floor(take),
            };
            walk.worst = Some(price);
        }
        walk
    }

    /// Bytes held on the heap.
    pub fn heap_bytes(&self) -> usize {
        let ladder = |ladder: &Ladder| {
            ladder.pages.len() * (size_of::<Option<Box<[u64; PAGE]>>>() + size_of::<u32>())
                + ladder.pages.iter().flatten().count() * size_of::<[u64; PAGE]>()
        };
        self.bids.iter().map(ladder).sum()
    }
}

/// Walks the levels of a side, best first.
#[derive(Debug, Clone)]
pub struct Levels<'a> {
    book: &'a Book,
    ladder: &'a Ladder,
    next: Option<usize>,
    asks: bool,
}

impl Iterator for Levels<'_> {
    type Item = (Price, Shares);
    fn next(&mut self) -> Option<(Price, Shares)> {
        let slot = self.next?;
        self.next = self.ladder.below(slot);
        let bid = self.book.price(slot);
        let price = if self.asks { bid.complement() } else { bid };
        Some((price, Shares::new(self.ladder.get(slot))))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_no_book_is_the_mirror_of_the_yes_book() {
        let mut book = Book::new(Tick::Cent);
        book.set(Outcome::Yes, Side::Buy, Price::cents(31), Shares::whole(198)).unwrap();
        let mirrored =
            book.set(Outcome::No, Side::Sell, Price::cents(69), Shares::whole(198)).unwrap();
        assert_eq!(mirrored.before, mirrored.after, "a mirrored change changes nothing");
        assert_eq!(book.best_ask(Outcome::No), Some((Price::cents(69), Shares::whole(198))));
        assert_eq!(book.best_ask(Outcome::Yes), None);
        assert_eq!(book.version(), 1);
    }

    #[test]
    fn all_six_ticks_have_their_grid() {
        for tick in Tick::ALL {
            let mut book = Book::new(tick);
            let mut price = Price::new(tick.units());
            while let Some(at) = price {
                book.set(Outcome::Yes, Side::Buy, at, Shares::whole(1)).unwrap();
                price = at.up(tick);
            }
            assert_eq!(book.depth(Outcome::Yes, Side::Buy), usize::from(10_000 / tick.units()) - 1);
            if tick != Tick::TenThousandth {
                let off = Price::new(tick.units() + 1).unwrap();
                assert!(book.set(Outcome::Yes, Side::Buy, off, Shares::whole(1)).is_err());
            }
        }
    }

    #[test]
    fn a_finer_grid_keeps_the_levels_and_begins_an_epoch() {
        let mut book = Book::new(Tick::Cent);
        book.set(Outcome::No, Side::Sell, Price::cents(98), Shares::whole(7)).unwrap();
        book.refine(Tick::Thousandth);
        assert_eq!(book.best_ask(Outcome::No), Some((Price::cents(98), Shares::whole(7))));
        assert_eq!(book.epoch(), 1);
        book.reset(Tick::Cent);
        assert_eq!((book.epoch(), book.quality()), (2, BookQuality::Empty));
    }

    #[test]
    fn a_taker_walks_depth_and_pays_each_level() {
        let mut book = Book::new(Tick::Cent);
        for (cents, shares) in [(44, 10), (45, 20), (50, 100)] {
            book.set(Outcome::Yes, Side::Sell, Price::cents(cents), Shares::whole(shares)).unwrap();
        }
        let walk = book.walk(Outcome::Yes, Side::Buy, Price::cents(45), Shares::whole(25));
        assert_eq!((walk.shares, walk.worst), (Shares::whole(25), Some(Price::cents(45))));
        assert_eq!(walk.notional, Usdc::cents(44 * 10 + 45 * 15));
    }

    fn model_best(model: &BTreeMap<u16, u64>) -> Option<(u16, u64)> {
        model.iter().next_back().map(|(price, size)| (*price, *size))
    }

    proptest! {
        #[test]
        fn the_book_agrees_with_a_sorted_map(
            tick in prop::sample::select(Tick::ALL.to_vec()),
            changes in prop::collection::vec((0u16..=1_000, 0u64..3, any::<bool>(), any::<bool>()), 0..200),
        ) {
            let mut book = Book::new(tick);
            let mut model = [BTreeMap::new(), BTreeMap::new()];
            for (slot, size, yes, buy) in changes {
                let price = Price::new((slot % (10_000 / tick.units() + 1)) * tick.units()).unwrap();
                let outcome = if yes { Outcome::Yes } else { Outcome::No };
                let side = if buy { Side::Buy } else { Side::Sell };
                book.set(outcome, side, price, Shares::whole(size)).unwrap();
                let (ladder, bid) = Book::place(outcome, side, price);
                if size == 0 {
                    model[ladder.index()].remove(&bid.units());
                } else {
                    model[ladder.index()].insert(bid.units(), size);
                }
            }
            for outcome in Outcome::BOTH {
                let want = &model[outcome.index()];
                let best = book.best_bid(outcome).map(|(p, s)| (p.units(), s.micros() / 1_000_000));
                prop_assert_eq!(best, model_best(want));
                let got: Vec<_> = book.levels(outcome, Side::Buy).map(|(p, s)| (p.units(), s.micros() / 1_000_000)).collect();
                let want: Vec<_> = want.iter().rev().map(|(p, s)| (*p, *s)).collect();
                prop_assert_eq!(got, want);
            }
        }

        #[test]
        fn a_snapshot_reports_exactly_what_differs(
            before in prop::collection::btree_map(1u16..100, 1u64..5, 0..20),
            after in prop::collection::btree_map(1u16..100, 1u64..5, 0..20),
        ) {
            let levels = |map: &BTreeMap<u16, u64>| -> Vec<_> {
                map.iter().map(|(c, s)| (Price::cents(*c), Shares::whole(*s))).collect()
            };
            let mut book = Book::new(Tick::Cent);
            book.load(Outcome::No, &levels(&before), &[], |_| ());
            let mut changes = Vec::new();
            book.load(Outcome::No, &levels(&after), &[], |change| changes.push(change));
            let mut patched = before.clone();
            for change in &changes {
                prop_assert_ne!(change.before, change.after);
                let cents = change.price.units() / 100;
                prop_assert_eq!(patched.remove(&cents).unwrap_or(0), change.before.micros() / 1_000_000);
                if !change.after.is_zero() {
                    patched.insert(cents, change.after.micros() / 1_000_000);
                }
            }
            prop_assert_eq!(patched, after);
            prop_assert_eq!(book.quality(), BookQuality::Snapshot);
        }
    }
}
