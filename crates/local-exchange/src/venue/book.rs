//! The resting orders of one market in price-time priority.
//!
//! As everywhere in this project both outcomes share one book of two ladders of bids: a sell of YES at
//! `p` rests among the bids for NO at `1 − p`. So a buyer of YES matches sellers of YES and buyers of NO
//! in one queue, which is what the venue does.

use std::collections::{BTreeMap, VecDeque};

use polydesk_domain::{OrderHash, Outcome, Price, Shares, Side};

/// One price of a ladder.
#[derive(Debug, Clone, Default)]
pub(crate) struct Level {
    /// First in, first out.
    pub(crate) orders: VecDeque<OrderHash>,
    /// What they show together.
    pub(crate) total: Shares,
}

/// Both ladders.
#[derive(Debug, Clone, Default)]
pub(crate) struct Ladders([BTreeMap<Price, Level>; 2]);

/// The ladder an order waits on, and its price there.
pub(crate) fn place(outcome: Outcome, side: Side, price: Price) -> (Outcome, Price) {
    match side {
        Side::Buy => (outcome, price),
        Side::Sell => (outcome.other(), price.complement()),
    }
}

/// Whether bids of opposite ladders trade: together they pay for a complete set.
pub(crate) fn crosses(one: Price, other: Price) -> bool {
    one.units() + other.units() >= 10_000
}

impl Ladders {
    /// Puts an order at the end of its level.
    pub(crate) fn add(&mut self, ladder: Outcome, bid: Price, id: OrderHash, size: Shares) {
        let level = self.0[ladder.index()].entry(bid).or_default();
        level.orders.push_back(id);
        level.total += size;
    }

    /// Takes shares of an order off the book; the order itself leaves when `gone`.
    pub(crate) fn take(
        &mut self,
        ladder: Outcome,
        bid: Price,
        id: OrderHash,
        size: Shares,
        gone: bool,
    ) {
        let levels = &mut self.0[ladder.index()];
        let Some(level) = levels.get_mut(&bid) else { return };
        level.total = level.total.saturating_sub(size);
        if gone {
            level.orders.retain(|order| *order != id);
        }
        if level.orders.is_empty() {
            levels.remove(&bid);
        }
    }

    /// A ladder's levels, best bid first.
    pub(crate) fn best_first(&self, ladder: Outcome) -> impl Iterator<Item = (Price, &Level)> {
        self.0[ladder.index()].iter().rev().map(|(bid, level)| (*bid, level))
    }

    /// The best bid of a ladder.
    pub(crate) fn best(&self, ladder: Outcome) -> Option<Price> {
        self.0[ladder.index()].keys().next_back().copied()
    }

    /// What a level of a ladder shows.
    pub(crate) fn shown(&self, ladder: Outcome, bid: Price) -> Shares {
        self.0[ladder.index()].get(&bid).map_or(Shares::ZERO, |level| level.total)
    }

    /// An outcome's levels of a side with the best last, as the venue writes them.
    pub(crate) fn levels(&self, outcome: Outcome, side: Side) -> Vec<(Price, Shares)> {
        let (ladder, _) = place(outcome, side, Price::ZERO);
        let shown = |bid: &Price| if side == Side::Buy { *bid } else { bid.complement() };
        self.0[ladder.index()].iter().map(|(bid, level)| (shown(bid), level.total)).collect()
    }

    /// Every resting order.
    pub(crate) fn orders(&self) -> impl Iterator<Item = OrderHash> {
        self.0
            .iter()
            .flat_map(|levels| levels.values())
            .flat_map(|level| level.orders.iter().copied())
    }
}
