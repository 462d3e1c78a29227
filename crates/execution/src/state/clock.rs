//! A clock that was wrong and went back: what is dated later than now counts as of now.

use polydesk_domain::Time;

use super::lots::{ExitState, Lot};
use super::order::Order;
use super::tracked::Tracked;
use super::{PendingConversion, State};

fn clamp(now: Time, times: &mut [&mut Time]) {
    for time in times {
        **time = (**time).min(now);
    }
}

fn clamp_some(now: Time, times: &mut [&mut Option<Time>]) {
    for time in times.iter_mut().filter_map(|time| time.as_mut()) {
        *time = (*time).min(now);
    }
}

/// Changes the entries of a table; those that stay as they are are not marked.
fn each<K: Ord + Clone, V: Clone + PartialEq>(table: &mut Tracked<K, V>, change: impl Fn(&mut V)) {
    for key in table.keys().cloned().collect::<Vec<_>>() {
        let Some(mut value) = table.get(&key).cloned() else { continue };
        change(&mut value);
        table.put(key, value);
    }
}

impl State {
    /// Pauses that end later end now, and what waits for an age begins to wait: an age is never negative.
    pub(crate) fn turn_back(&mut self, now: Time) {
        each(&mut self.orders.all, |order| turn_order(order, now));
        self.orders.derive();
        let lot = |lot: &mut Lot| clamp(now, &mut [&mut lot.opened_at]);
        each(&mut self.positions.holdings, |holding| holding.lots.iter_mut().for_each(lot));
        each(&mut self.positions.sales, |sale| sale.slices.iter_mut().for_each(lot));
        each(&mut self.positions.exits, |exit| turn_exit(exit, now));
        each(&mut self.baskets, |basket| {
            clamp(now, &mut [&mut basket.started, &mut basket.naked_since]);
        });
        each(&mut self.conversions, |pending| {
            let PendingConversion { asked_at, queried_at, .. } = pending;
            clamp(now, &mut [asked_at]);
            clamp_some(now, &mut [queried_at]);
        });
        each(&mut self.blockers, |blocker| clamp(now, &mut [&mut blocker.since]));
        each(&mut self.quotes, |desired| clamp(now, &mut [&mut desired.retry_at]));
        each(&mut self.asks, |ask| clamp(now, &mut [&mut ask.asked_at]));
        each(&mut self.rejections, |refused| clamp(now, &mut [&mut refused.until]));
        each(&mut self.redemptions, |failed| clamp(now, &mut [&mut failed.next_at]));
        each(&mut self.failures, |recent| {
            recent.at.iter_mut().for_each(|at| clamp(now, &mut [at]));
        });
        each(&mut self.pace, |pace| clamp(now, &mut [&mut pace.since]));
        each(&mut self.off, |at| clamp(now, &mut [at]));
        each(&mut self.stopped, |at| clamp(now, &mut [at]));
        each(&mut self.operator, |at| clamp(now, &mut [at]));
        self.ledger.turn_back(now);
        let mut marks = *self.equity.get();
        marks.day = marks.day.map(|day| day.min(now.day()));
        self.equity.put(marks);
    }

    /// The latest time that anything here is dated, of what is written often.
    pub(crate) fn latest(&self) -> Time {
        let orders = self.orders.all.values().map(|order| order.updated_at);
        let blockers = self.blockers.values().map(|blocker| blocker.since);
        let conversions = self.conversions.values().map(|pending| pending.asked_at);
        orders.chain(blockers).chain(conversions).max().unwrap_or(Time::MIN)
    }
}

fn turn_order(order: &mut Order, now: Time) {
    let Order { placed_at, updated_at, data_at, fills, .. } = order;
    clamp(now, &mut [placed_at, updated_at, data_at]);
    fills.values_mut().for_each(|fill| clamp(now, &mut [&mut fill.at]));
    let Order { ended_at, settled_at, cancel_at, queried_at, .. } = order;
    clamp_some(now, &mut [ended_at, settled_at, cancel_at, queried_at]);
}

fn turn_exit(exit: &mut ExitState, now: Time) {
    let (resting, own) = (&mut exit.rest_tries.again_at, &mut exit.own_tries.again_at);
    clamp_some(now, &mut [&mut exit.taken_at, resting, own]);
    exit.tries.values_mut().for_each(|tries| clamp_some(now, &mut [&mut tries.again_at]));
}
