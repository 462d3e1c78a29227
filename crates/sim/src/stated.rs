//! Which prices of a market's ladders the data has stated since its book began: by a snapshot down to its
//! worst level, or one by one. A price that was not stated is unknown, not empty.

use polydesk_domain::{BookSnapshot, Outcome, Price, Shares, Side};

use crate::order::place;

/// One bit per ten-thousandth from zero to one.
const WORDS: usize = 10_001usize.div_ceil(64);

/// The stated prices of both ladders; sizes above zero are in the book.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stated {
    /// The lowest price that the last snapshot covers: recorders cut books at some depth, and what lies
    /// below the worst level shown is not in the data. A side without levels is covered wholly.
    floor: [Option<Price>; 2],
    /// Prices that a level change stated empty.
    empty: [Option<Box<[u64; WORDS]>>; 2],
}

impl Stated {
    /// Nothing is known any more.
    pub(crate) fn clear(&mut self) {
        self.floor = [None; 2];
        for bits in self.empty.iter_mut().flatten() {
            bits.fill(0);
        }
    }

    /// A snapshot covers both ladders down to its worst levels.
    pub(crate) fn cover(&mut self, snapshot: &BookSnapshot) {
        for (side, levels) in [(Side::Buy, &snapshot.bids), (Side::Sell, &snapshot.asks)] {
            let (ladder, _) = place(snapshot.token, side, Price::ZERO);
            let shown = levels.iter().filter(|(_, size)| !size.is_zero());
            let worst = shown.map(|(price, _)| place(snapshot.token, side, *price).1).min();
            self.floor[ladder.index()] = Some(worst.unwrap_or(Price::ZERO));
        }
    }

    /// A level change states a price to be empty or not.
    #[inline]
    pub(crate) fn state(&mut self, ladder: Outcome, price: Price, size: Shares) {
        let (word, bit) = (usize::from(price.units()) / 64, 1u64 << (price.units() % 64));
        match (&mut self.empty[ladder.index()], size.is_zero()) {
            (Some(bits), true) => bits[word] |= bit,
            (Some(bits), false) => bits[word] &= !bit,
            (None, false) => {}
            (bits @ None, true) => bits.insert(Box::new([0; WORDS]))[word] |= bit,
        }
    }

    /// Whether the size at a price is known where the book shows none.
    pub(crate) fn covers(&self, ladder: Outcome, price: Price) -> bool {
        let (word, bit) = (usize::from(price.units()) / 64, 1u64 << (price.units() % 64));
        let empty = self.empty[ladder.index()].as_ref();
        self.floor[ladder.index()].is_some_and(|floor| price >= floor)
            || empty.is_some_and(|bits| bits[word] & bit != 0)
    }
}
