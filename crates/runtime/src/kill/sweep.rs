//! What is proven of each order while everything is cancelled: answers and reads in, the ids that are to be cancelled
//! next out. Without a clock and without a network.
//!
//! An order has ended when the venue says so by its id. That a read does not show it, or that the venue does not know
//! its id, proves nothing while the order may still arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use polydesk_domain::{ConditionId, OrderHash};
use polydesk_polymarket_api::clob::{Cancelled, NotCanceled, OpenOrder};

use super::switch::Listed;

/// How often an order that no read shows is cancelled by its id, beyond those that are in flight or unknown.
const MOST_TRIES: u32 = 5;
/// How long after the gate closed an order of which the venue knows nothing may still arrive.
pub const ABSENT_AFTER: Duration = Duration::from_secs(180);

/// What cancelling everything at once has brought so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum All {
    /// Nothing yet.
    Awaited,
    /// An answer.
    Answered,
    /// A refusal, or no answer within the patience: single ids and markets are tried.
    Failed,
    /// The venue takes no cancels at present: ids would be refused alike.
    Down,
}

/// The state of a sweep.
#[derive(Debug)]
pub struct Sweep {
    all: All,
    /// Without an answer to their placing, or known to none of the venue's answers so far.
    unanswered: BTreeSet<OrderHash>,
    /// Resting by the list of the process.
    resting: BTreeSet<OrderHash>,
    /// Open in the last complete read, or in any read since.
    open: BTreeSet<OrderHash>,
    ended: BTreeSet<OrderHash>,
    markets: BTreeMap<OrderHash, ConditionId>,
    tries: BTreeMap<OrderHash, u32>,
    /// Rows whose id cannot be read.
    unreadable: bool,
}

impl Default for Sweep {
    fn default() -> Sweep {
        Sweep {
            all: All::Awaited,
            unanswered: BTreeSet::new(),
            resting: BTreeSet::new(),
            open: BTreeSet::new(),
            ended: BTreeSet::new(),
            markets: BTreeMap::new(),
            tries: BTreeMap::new(),
            unreadable: false,
        }
    }
}

impl Sweep {
    /// Takes the list of the process over. What is no longer listed as in flight is proven not to be at the venue.
    pub fn listed(&mut self, orders: &BTreeMap<OrderHash, Listed>) {
        self.unanswered.retain(|order| orders.contains_key(order));
        for (order, listed) in orders {
            self.markets.insert(*order, listed.market);
            if self.ended.contains(order) {
                continue;
            }
            // One that rests by now stays unanswered: it left before the gate closed, and ends by an answer.
            match listed.resting {
                true => drop(self.resting.insert(*order)),
                false => drop(self.unanswered.insert(*order)),
            }
        }
    }

    /// Everything was cancelled at once, by the venue's answer.
    pub fn all_answered(&mut self, answer: &Cancelled) {
        self.all = All::Answered;
        self.take(answer);
    }

    /// Cancelling everything at once was refused or is not answered.
    pub fn all_failed(&mut self) {
        self.all = All::Failed;
    }

    /// The venue takes no cancels at present.
    pub fn all_down(&mut self) {
        self.all = All::Down;
    }

    /// These ids were asked for, and this is the answer.
    pub fn ids_answered(&mut self, asked: &[OrderHash], answer: &Cancelled) {
        for order in asked {
            let tries = self.tries.entry(*order).or_default();
            *tries = tries.saturating_add(1);
        }
        self.take(answer);
    }

    fn take(&mut self, answer: &Cancelled) {
        let over = |why: &NotCanceled| {
            matches!(why, NotCanceled::Matched | NotCanceled::AlreadyCanceled | NotCanceled::Gone)
        };
        let refused = answer.not_canceled.iter();
        let refused = refused.filter(|(_, why)| over(why)).map(|(order, _)| order);
        for order in answer.canceled.iter().chain(refused) {
            self.end(*order);
        }
    }

    fn end(&mut self, order: OrderHash) {
        for orders in [&mut self.unanswered, &mut self.resting, &mut self.open] {
            orders.remove(&order);
        }
        self.ended.insert(order);
    }

    /// Open orders were read. A complete read replaces the earlier ones.
    pub fn read(&mut self, rows: &[OpenOrder], complete: bool) {
        if complete {
            self.open.clear();
            self.unreadable = false;
        }
        for row in rows {
            let Some(order) = row.hash() else {
                self.unreadable = true;
                continue;
            };
            // A row that comes back after its end is open again, or the read is old: both are cancelled once more.
            self.ended.remove(&order);
            self.open.insert(order);
            if let Ok(market) = row.market.parse() {
                self.markets.insert(order, market);
            }
        }
    }

    /// Ids to cancel now, in no more than one round.
    pub fn ids(&self) -> Vec<OrderHash> {
        let mut ids = match self.all {
            All::Down => return Vec::new(),
            // The one request that needs no ids goes first; these cannot be in its answer.
            All::Awaited => self.unanswered.clone(),
            All::Answered | All::Failed => {
                let tried = |order: &&OrderHash| {
                    self.tries.get(order).is_some_and(|tries| *tries >= MOST_TRIES)
                };
                let resting = self.resting.iter().filter(|order| !tried(order));
                resting.chain(&self.open).chain(&self.unanswered).copied().collect()
            }
        };
        ids.retain(|order| !self.ended.contains(order));
        ids.into_iter().collect()
    }

    /// Markets to cancel as a whole, where cancelling everything at once has failed.
    pub fn markets(&self) -> Vec<ConditionId> {
        if self.all != All::Failed {
            return Vec::new();
        }
        let left = self.resting.iter().chain(&self.open).chain(&self.unanswered);
        let markets: BTreeSet<_> = left.filter_map(|order| self.markets.get(order)).collect();
        markets.into_iter().copied().collect()
    }

    /// Orders of which it is not proven that they cannot be at the venue; none of them counts any more once
    /// `passed` since the trigger is [`ABSENT_AFTER`].
    pub fn unknown(&self, passed: Duration) -> Vec<OrderHash> {
        match passed < ABSENT_AFTER {
            true => self.unanswered.iter().copied().collect(),
            false => Vec::new(),
        }
    }

    /// Orders that are open as far as known.
    pub fn open(&self) -> Vec<OrderHash> {
        self.open.iter().copied().collect()
    }

    /// Whether the last reads showed no open order.
    pub fn is_clean(&self) -> bool {
        self.open.is_empty() && !self.unreadable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(byte: u8) -> OrderHash {
        OrderHash::from_bytes([byte; 32])
    }

    fn row(byte: u8) -> OpenOrder {
        serde_json::from_value(serde_json::json!({ "id": order(byte).to_string() })).unwrap()
    }

    /// 1 and 2 rest, 3 and 4 have no answer.
    fn sweep() -> Sweep {
        let market = polydesk_domain::Market::plain(1, "rain").condition;
        let list = [(1, true), (2, true), (3, false), (4, false)]
            .map(|(byte, resting)| (order(byte), Listed { market, resting }));
        let mut sweep = Sweep::default();
        sweep.listed(&list.into());
        sweep
    }

    fn ids(sweep: &Sweep) -> Vec<u8> {
        sweep.ids().iter().map(|order| order.bytes()[0]).collect()
    }

    fn unknown(sweep: &Sweep) -> Vec<u8> {
        sweep.unknown(Duration::ZERO).iter().map(|order| order.bytes()[0]).collect()
    }

    fn canceled(bytes: &[u8]) -> Cancelled {
        Cancelled {
            canceled: bytes.iter().map(|byte| order(*byte)).collect(),
            ..Cancelled::default()
        }
    }

    #[test]
    fn before_an_answer_to_all_only_orders_without_an_answer_are_cancelled_by_id() {
        assert_eq!(ids(&sweep()), [3, 4]);
    }

    #[test]
    fn ids_that_an_answer_leaves_out_are_cancelled_by_id() {
        let mut sweep = sweep();
        sweep.all_answered(&canceled(&[1]));
        assert_eq!(ids(&sweep), [2, 3, 4]);
        assert_eq!(sweep.markets(), []);
        sweep.all_failed();
        assert_eq!((ids(&sweep), sweep.markets().len()), (vec![2, 3, 4], 1));
        // A venue that takes no cancels is asked for one thing only.
        sweep.all_down();
        assert!(ids(&sweep).is_empty());
    }

    #[test]
    fn each_reason_of_a_refusal_proves_its_own() {
        let cases = [
            (NotCanceled::Matched, true),
            (NotCanceled::AlreadyCanceled, true),
            (NotCanceled::Gone, true),
            (NotCanceled::NotFound, false),
            (NotCanceled::Pending, false),
            (NotCanceled::Other("words".to_owned()), false),
        ];
        for (why, over) in cases {
            let mut sweep = sweep();
            let answer =
                Cancelled { not_canceled: vec![(order(3), why.clone())], ..Cancelled::default() };
            sweep.ids_answered(&[order(3), order(4)], &answer);
            assert_eq!(unknown(&sweep), if over { vec![4] } else { vec![3, 4] }, "{why:?}");
        }
    }

    #[test]
    fn no_read_proves_that_an_order_in_flight_is_gone() {
        let mut sweep = sweep();
        sweep.all_answered(&canceled(&[1, 2]));
        sweep.read(&[], true);
        assert!(sweep.is_clean());
        assert_eq!((ids(&sweep), unknown(&sweep)), (vec![3, 4], vec![3, 4]));
        assert_eq!(sweep.unknown(ABSENT_AFTER), []);
        assert_eq!(sweep.unknown(ABSENT_AFTER - Duration::from_nanos(1)).len(), 2);
    }

    #[test]
    fn an_order_that_the_process_takes_off_its_list_is_proven_not_to_be_there() {
        let mut sweep = sweep();
        let market = polydesk_domain::Market::plain(1, "rain").condition;
        // 3 was refused; 4 rests by now, and is cancelled all the same.
        sweep.listed(&[(order(4), Listed { market, resting: true })].into());
        assert_eq!(unknown(&sweep), [4]);
        sweep.ids_answered(&[order(4)], &canceled(&[4]));
        assert!(unknown(&sweep).is_empty());
    }

    #[test]
    fn an_order_that_a_read_shows_is_cancelled_whoever_placed_it_and_again_after_its_end() {
        let mut sweep = Sweep::default();
        sweep.all_answered(&Cancelled::default());
        sweep.read(&[row(9)], true);
        assert_eq!(ids(&sweep), [9]);
        sweep.ids_answered(&[order(9)], &canceled(&[9]));
        assert!(sweep.is_clean() && ids(&sweep).is_empty());
        sweep.read(&[row(9)], false);
        assert_eq!((sweep.is_clean(), ids(&sweep)), (false, vec![9]));
        sweep.read(&[], false);
        assert!(!sweep.is_clean(), "an incomplete read takes nothing back");
        sweep.read(&[], true);
        assert!(sweep.is_clean());
    }

    #[test]
    fn a_row_whose_id_cannot_be_read_is_no_clean_read() {
        let mut sweep = Sweep::default();
        sweep.read(&[serde_json::from_value(serde_json::json!({ "id": "odd" })).unwrap()], true);
        assert!(!sweep.is_clean());
    }

    #[test]
    fn a_resting_order_that_no_read_shows_is_not_cancelled_for_ever() {
        let mut sweep = sweep();
        sweep.all_answered(&canceled(&[1]));
        for _ in 0..MOST_TRIES {
            assert!(ids(&sweep).contains(&2));
            sweep.ids_answered(&[order(2)], &Cancelled::default());
        }
        assert_eq!(ids(&sweep), [3, 4]);
        sweep.read(&[row(2)], true);
        assert_eq!(ids(&sweep), [2, 3, 4]);
    }
}
