//! The net in the words of the tables: what closed round trips, open holdings, rebates and rewards are of it.

use polydesk_domain::Usdc;
use serde::Serialize;

use super::waterfall::{net, saturated};
use crate::model::Run;

/// Parts of the net, in pUSD; they add up to it exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Balance {
    /// Closed round trips after fees: `net` of the tables.
    pub closed: Usdc,
    /// Open holdings at what displayed depth would pay, minus their cost: `open` of the tables.
    pub open: Usdc,
    /// Maker rebates received.
    pub rebates: Usdc,
    /// Rewards received.
    pub rewards: Usdc,
    /// The rest: money in flight, rounding, movements from outside.
    pub other: Usdc,
    /// Equity at the end minus money at the start.
    pub net: Usdc,
}

pub(crate) fn balance(run: &Run) -> Balance {
    let closed: i128 = run
        .round_trips
        .iter()
        .map(|trip| i128::from(trip.proceeds.micros()) - i128::from(trip.cost.micros()))
        .sum();
    let open: i128 = run
        .open
        .iter()
        .map(|open| i128::from(open.mark.micros()) - i128::from(open.cost.micros()))
        .sum();
    let paid = [run.totals.rebates, run.totals.rewards].map(|paid| i128::from(paid.micros()));
    of([closed, open, paid[0], paid[1], net(run)])
}

/// The balances of several runs as one.
pub(crate) fn total<'a>(all: impl Iterator<Item = &'a Balance>) -> Balance {
    let mut sums = [0; 5];
    for one in all {
        let parts = [one.closed, one.open, one.rebates, one.rewards, one.net];
        for (sum, part) in sums.iter_mut().zip(parts) {
            *sum += i128::from(part.micros());
        }
    }
    of(sums)
}

fn of(sums: [i128; 5]) -> Balance {
    let [closed, open, rebates, rewards, net] = sums.map(saturated);
    let parts = [closed, open, rebates, rewards].map(|part| i128::from(part.micros()));
    let other = saturated(i128::from(net.micros()) - parts.iter().sum::<i128>());
    Balance { closed, open, rebates, rewards, other, net }
}
