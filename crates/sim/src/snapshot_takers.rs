//! Takers on tapes of snapshots: the worse of the book they met and the next one.
//!
//! What happened between two snapshots is not recorded. An order that trades with the last one at once often
//! takes shares that were gone already; an order that waits for the next one gets only what both show.

use polydesk_domain::{ClientOrderId, FeeRate, MarketKey, OrderUpdate, Price, Shares, Span};

use crate::config::SnapshotTakers;
use crate::due::SimAction;
use crate::order::Depth;
use crate::state::Sim;

/// After so long without a snapshot the order trades with what is displayed.
const LONGEST_WAIT: Span = Span::secs(5);

impl Sim {
    /// Whether a taker in this market waits for the next snapshot.
    pub(crate) fn waits_for_snapshot(&self, key: MarketKey) -> bool {
        let slot = &self.slots[key.index()];
        self.config.matching.snapshot_takers == SnapshotTakers::Worse
            && slot.snapshots_seen
            && !slot.levels_seen
    }

    /// Holds an order back until the next snapshot, with the depth that it met.
    pub(crate) fn await_snapshot(&mut self, id: ClientOrderId) {
        let Some(order) = self.orders.get(&id) else { return };
        let (key, depth) = (order.token.market(), self.depth_for(order));
        self.slots[key.index()].awaiting.push(id);
        if let Some(order) = self.orders.get_mut(&id) {
            order.depth_met = Some(depth);
        }
        self.schedule(self.now + LONGEST_WAIT, SimAction::Release(id));
    }

    /// A snapshot is complete: the orders that waited for it trade.
    pub(crate) fn release_awaiting(&mut self, key: MarketKey) {
        for id in core::mem::take(&mut self.slots[key.index()].awaiting) {
            self.release(id);
        }
    }

    /// An order whose taker delay is over and that now waits for a snapshot too.
    pub(crate) fn waits_after_delay(&mut self, id: ClientOrderId, fee: FeeRate) -> bool {
        let Some(order) = self.orders.get(&id) else { return false };
        if order.depth_met.is_some() || !self.waits_for_snapshot(order.token.market()) {
            return false;
        }
        let order = order.clone();
        if self.walk_depth(&order, fee).takes.is_empty() {
            return false;
        }
        self.slots[order.token.market().index()].delayed.push(id);
        self.await_snapshot(id);
        true
    }

    /// The answer to an order that is held back for a snapshot.
    pub(crate) fn answer_awaiting(&mut self, key: MarketKey, id: ClientOrderId) {
        self.counters.takers_awaiting_snapshot += 1;
        self.slots[key.index()].delayed.push(id);
        self.await_snapshot(id);
        self.answer_placement(id, OrderUpdate::Delayed);
    }
}

/// The worse of two depths: down to each price no more than both show, at the price where the later of them
/// shows it.
pub(crate) fn worse(one: &[(Price, Shares)], two: &[(Price, Shares)]) -> Depth {
    let mut prices: Vec<Price> = one.iter().chain(two).map(|(price, _)| *price).collect();
    prices.sort_unstable_by_key(|price| core::cmp::Reverse(*price));
    prices.dedup();
    let down_to = |depth: &[(Price, Shares)], price: Price| -> Shares {
        depth.iter().filter(|(bid, _)| *bid >= price).map(|(_, shares)| *shares).sum()
    };
    let (mut depth, mut before) = (Depth::new(), Shares::ZERO);
    for price in prices {
        let both = down_to(one, price).min(down_to(two, price));
        let here = both.saturating_sub(before);
        if !here.is_zero() {
            depth.push((price, here));
        }
        before = before.max(both);
    }
    depth
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worse_of_two_depths_shows_down_to_each_price_what_both_show() {
        let depth = |levels: &[(u16, u64)]| -> Depth {
            levels.iter().map(|(c, s)| (Price::cents(*c), Shares::whole(*s))).collect()
        };
        for (one, two, want) in [
            (&[(55, 10)][..], &[(55, 4)][..], &[(55, 4)][..]),
            (&[(55, 10)], &[(54, 10)], &[(54, 10)]),
            (&[(55, 10), (54, 5)], &[(55, 2), (53, 20)], &[(55, 2), (53, 13)]),
            (&[(55, 10)], &[], &[]),
            (&[(55, 3), (54, 3)], &[(55, 9)], &[(55, 3), (54, 3)]),
        ] {
            assert_eq!(worse(&depth(one), &depth(two)), depth(want));
            assert_eq!(worse(&depth(two), &depth(one)), depth(want));
        }
    }
}
