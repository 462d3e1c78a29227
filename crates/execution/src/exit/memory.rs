//! What exits remember of a book: prices at which one could have sold, and depth that stood.
//!
//! Soft: a restart begins without it, and waits until there is something to remember again.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use polydesk_domain::{Book, Code, Outcome, Price, Shares, Side, Span, Time};

use crate::state::{FillKey, average_units};

/// Prices that the median is of.
const PRICES: usize = 5;
/// They are at least this far apart: a burst of batches counts once.
const PRICE_EVERY: Span = Span::millis(250);
/// Older prices are ignored.
const PRICE_AGE: Span = Span::secs(30);
/// Depth within so long is kept as its minimum.
const DEPTH_EVERY: Span = Span::millis(100);
/// Levels of a book that are looked at: beyond them depth counts as what is above.
const LEVELS: usize = 64;

/// What is remembered for one holding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExitMemory {
    /// What the smallest sale would have brought, in ten-thousandths.
    prices: VecDeque<(Time, u64)>,
    depth: VecDeque<Depth>,
    /// Depth as it was seen last: in force until it is looked at again.
    seen: Bids,
    /// Lots whose stop is broken, and since which check.
    pub(crate) broken: BTreeMap<FillKey, Time>,
    /// What the most urgent exit waits for.
    pub(crate) waiting: Option<Waiting>,
    /// Merges that failed in a row, and when the next may be tried; with the YES of a pair.
    pub(crate) merges: (u32, Time),
}

/// An exit that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub code: Code,
    /// Since when nothing could be sold.
    pub since: Time,
    /// When it was counted last.
    pub counted_at: Time,
    /// Whether it was reported to the operator.
    pub noted: bool,
}

/// Shares bid at each price or better, best first. Shared: nearly every check finds what the last one saw.
type Bids = Arc<Vec<(Price, Shares)>>;

/// The least depth from a time until that of the next one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Depth {
    from: Time,
    bids: Bids,
}

impl Depth {
    fn at(&self, limit: Price) -> Shares {
        let within = self.bids.partition_point(|(price, _)| *price >= limit);
        within.checked_sub(1).map_or(Shares::ZERO, |last| self.bids[last].1)
    }

    /// The lesser one at every price.
    fn least(&self, other: &[(Price, Shares)]) -> Vec<(Price, Shares)> {
        let mut least: Vec<(Price, Shares)> = Vec::with_capacity(self.bids.len());
        let (mut ours, mut theirs) = (self.bids.iter().peekable(), other.iter().peekable());
        let (mut here, mut there) = (Shares::ZERO, Shares::ZERO);
        loop {
            let price = match (ours.peek(), theirs.peek()) {
                (Some((one, _)), Some((two, _))) => *one.max(two),
                (Some((price, _)), None) | (None, Some((price, _))) => *price,
                (None, None) => return least,
            };
            if let Some((_, shares)) = ours.next_if(|(at, _)| *at == price) {
                here = *shares;
            }
            if let Some((_, shares)) = theirs.next_if(|(at, _)| *at == price) {
                there = *shares;
            }
            if here.min(there) > least.last().map_or(Shares::ZERO, |(_, shares)| *shares) {
                least.push((price, here.min(there)));
            }
        }
    }
}

impl Default for ExitMemory {
    fn default() -> ExitMemory {
        ExitMemory {
            prices: VecDeque::new(),
            depth: VecDeque::new(),
            seen: Bids::default(),
            broken: BTreeMap::new(),
            waiting: None,
            merges: (0, Time::MIN),
        }
    }
}

impl ExitMemory {
    /// Looks at a complete book. `clip` is the smallest sale, `held` what could be sold at most, `stands`
    /// for how long depth has to stand.
    pub fn observe(
        &mut self,
        now: Time,
        book: &Book,
        outcome: Outcome,
        (clip, held): (Shares, Shares),
        stands: Span,
    ) {
        if self.prices.back().is_none_or(|(at, _)| at.until(now) >= PRICE_EVERY) {
            let walk = book.walk(outcome, Side::Sell, Price::ZERO, clip);
            if walk.shares == clip && !clip.is_zero() {
                self.prices.push_back((now, average_units(walk.notional, clip)));
            }
            if self.prices.len() > PRICES {
                self.prices.pop_front();
            }
        }
        let bids = depth(book, outcome, held + held);
        if !bids.clone().eq(self.seen.iter().copied()) {
            self.see(now, Arc::new(bids.collect()));
        } else if self.depth.back().is_none_or(|last| last.from.until(now) >= DEPTH_EVERY) {
            self.see(now, Arc::clone(&self.seen));
        }
        while self.depth.get(1).is_some_and(|next| next.from <= now - stands) {
            self.depth.pop_front();
        }
    }

    fn see(&mut self, now: Time, bids: Bids) {
        match self.depth.back_mut() {
            Some(last) if last.from.until(now) < DEPTH_EVERY => {
                if last.bids != bids {
                    last.bids = Arc::new(last.least(&bids));
                }
            }
            Some(last) if last.bids != self.seen => {
                // The least of a short time holds for that time only.
                let (from, bids_then) = (last.from + DEPTH_EVERY, Arc::clone(&self.seen));
                self.depth.push_back(Depth { from, bids: bids_then });
                self.depth.push_back(Depth { from: now, bids: Arc::clone(&bids) });
            }
            _ => self.depth.push_back(Depth { from: now, bids: Arc::clone(&bids) }),
        }
        self.seen = bids;
    }

    /// Since which check a lot's stop is broken.
    pub(crate) fn broken(&self, lot: FillKey) -> Option<Time> {
        self.broken.get(&lot).copied()
    }

    /// The book could not be relied on: depth begins to stand again.
    pub fn interrupted(&mut self) {
        self.depth.clear();
    }

    /// The median of recent prices before now, of two the better one.
    pub fn recent_price(&self, now: Time) -> Option<u64> {
        let recent = self.prices.iter().filter(|(at, _)| *at < now && at.until(now) <= PRICE_AGE);
        let mut recent: Vec<u64> = recent.map(|(_, price)| *price).collect();
        recent.sort();
        recent.get(recent.len() / 2).copied()
    }

    /// Shares that could have been sold at `limit` or better at any time within the last `stands`.
    pub fn standing(&self, now: Time, limit: Price, stands: Span) -> Shares {
        let watched = self.depth.front().is_some_and(|first| first.from <= now - stands);
        if !watched {
            return Shares::ZERO;
        }
        self.depth.iter().map(|depth| depth.at(limit)).min().unwrap_or_default()
    }
}

/// What is bid at each price or better, down to where it is enough.
fn depth(
    book: &Book,
    outcome: Outcome,
    enough: Shares,
) -> impl Iterator<Item = (Price, Shares)> + Clone + '_ {
    let levels = book.levels(outcome, Side::Buy).take(LEVELS);
    levels.scan(Some(Shares::ZERO), move |sum, (price, shares)| {
        let total = (*sum)? + shares;
        *sum = (total < enough).then_some(total);
        Some((price, total))
    })
}

#[cfg(test)]
mod tests {
    use polydesk_domain::Tick;

    use super::*;

    fn book(bids: &[(u16, u64)]) -> Book {
        let mut book = Book::new(Tick::Cent);
        for (cents, shares) in bids {
            let (price, shares) = (Price::cents(*cents), Shares::whole(*shares));
            book.set(Outcome::Yes, Side::Buy, price, shares).unwrap();
        }
        book
    }

    /// Observes a book at each time; the memory then, for sales of 5 at least and 100 at most.
    fn memory(books: &[(i64, &[(u16, u64)])]) -> ExitMemory {
        let mut memory = ExitMemory::default();
        for (millis, bids) in books {
            let sizes = (Shares::whole(5), Shares::whole(100));
            let at = Time::from_millis(*millis);
            memory.observe(at, &book(bids), Outcome::Yes, sizes, Span::secs(1));
        }
        memory
    }

    #[test]
    fn depth_stands_if_it_could_be_sold_to_all_the_time() {
        let deep = &[(39, 200)][..];
        for (name, books, now, limit, want) in [
            ("watched too briefly", &[(0, deep)][..], 999, 39, 0),
            ("watched long enough", &[(0, deep)], 1_000, 39, 200),
            ("long ago", &[(0, deep)], 100_000, 39, 200),
            ("not at this price", &[(0, deep)], 1_000, 40, 0),
            ("thin for 50 ms", &[(0, deep), (900, &[(39, 5)]), (950, deep)], 1_000, 39, 5),
            ("a thin batch", &[(0, deep), (950, &[(39, 5)]), (950, deep)], 1_000, 39, 5),
            (
                "thin more than a second ago",
                &[(0, deep), (900, &[(39, 5)]), (950, deep)],
                2_050,
                39,
                200,
            ),
            ("deep for 50 ms", &[(0, &[(39, 5)]), (950, deep)], 1_000, 39, 5),
            ("plenty that stays", &[(0, &[(39, 5)]), (950, deep)], 1_950, 39, 200),
            // At 0.37 or better 200 could have been sold at any time.
            (
                "bids that fall",
                &[(0, deep), (500, &[(38, 200)]), (900, &[(37, 200)])],
                1_100,
                37,
                200,
            ),
            ("the best of them fell", &[(0, deep), (500, &[(38, 200)])], 1_100, 39, 0),
            ("levels together", &[(0, &[(39, 60), (38, 60)]), (500, &[(38, 90)])], 1_100, 38, 90),
            ("empty for 10 ms", &[(0, deep), (500, &[]), (510, deep)], 1_100, 39, 0),
        ] {
            let last = books.last().unwrap().1;
            let books: Vec<_> = books.iter().copied().chain([(now, last)]).collect();
            let now = Time::from_millis(now);
            let standing = memory(&books).standing(now, Price::cents(limit), Span::secs(1));
            assert_eq!(standing, Shares::whole(want), "{name}");
        }
        let mut interrupted = memory(&[(0, deep), (900, deep)]);
        interrupted.interrupted();
        let now = Time::from_millis(1_000);
        assert_eq!(interrupted.standing(now, Price::cents(39), Span::secs(1)), Shares::ZERO);
    }

    #[test]
    fn the_recent_price_is_a_median_over_time() {
        let at = |cents: u16| -> &'static [(u16, u64)] {
            match cents {
                39 => &[(39, 200)],
                38 => &[(38, 200)],
                // Five shares bring 0.25 on average.
                25 => &[(39, 2), (15, 100), (16, 1)],
                4 => &[(4, 200)],
                _ => &[(39, 4)],
            }
        };
        let price = |list: &[(i64, u16)], now: i64| {
            let books: Vec<_> = list.iter().map(|(millis, cents)| (*millis, at(*cents))).collect();
            memory(&books).recent_price(Time::from_millis(now))
        };
        for (name, list, now, want) in [
            ("the first check only records", &[(0, 39)][..], 0, None),
            ("the second has one", &[(0, 39)], 1, Some(3_900)),
            ("of two the better", &[(0, 38), (250, 39)], 251, Some(3_900)),
            ("one bad one of three", &[(0, 38), (250, 4), (500, 39)], 501, Some(3_800)),
            ("a burst counts once", &[(0, 39), (10, 4), (20, 4), (30, 4)], 31, Some(3_900)),
            (
                "the last five",
                &[(0, 39), (300, 39), (600, 39), (900, 4), (1_200, 4), (1_500, 4)],
                1_501,
                Some(400),
            ),
            ("too old", &[(0, 39)], 30_001, None),
            ("too thin is no price", &[(0, 1)], 1, None),
            ("what a sale would bring", &[(0, 25)], 1, Some(2_480)),
        ] {
            assert_eq!(price(list, now), want, "{name}");
        }
    }
}
