//! What a reported state of an order means to the engine, whichever source reported it.
//!
//! An end is reported once in one word: the answer to an order, the user channel and a read of it by id often name the
//! same end differently ("refused: FOK killed", then "cancelled").

use polydesk_domain::{CancelReason, OrderUpdate, Shares, Span, Tif, Time};
use polydesk_polymarket_api::clob::OrderStatus;

use crate::orders::{OrderEnd, WireOrder};

/// The venue removes a GTD order a minute before its stated expiration.
pub(crate) const GTD_EARLY: Span = Span::secs(60);
/// How much earlier than that a removal still counts as the expiry.
const GTD_SLACK: Span = Span::secs(5);
/// Shares by which a finished order may be off.
pub(crate) const DUST: Shares = Shares::new(10_000);

/// A state of an order as one source reported it.
pub(crate) struct Reported<'a> {
    pub status: &'a OrderStatus,
    /// Out of the book for good.
    pub cancelled: bool,
    /// Total shares matched.
    pub matched: Shares,
    /// When the venue made the report; ours where it did not say.
    pub at: Time,
    /// A read of the order: its status is the present one. A message of the channel is one step of several.
    pub present: bool,
}

/// What a report gives.
#[derive(Default, Debug, PartialEq, Eq)]
pub(crate) struct Steps {
    pub updates: Vec<OrderUpdate>,
    /// Only a read of the order shows its state.
    pub ask_order: bool,
    /// Fills of it were reported that are not here.
    pub ask_trades: bool,
    /// A word that this program does not know.
    pub unreadable: Option<String>,
}

/// Takes in a report of an order.
pub(crate) fn report(order: &mut WireOrder, reported: &Reported<'_>, now: Time) -> Steps {
    let mut steps = Steps::default();
    order.updated_at = order.updated_at.max(now);
    order.acknowledged = true;
    order.unseen_since = None;
    order.not_found_at = None;
    let matched = reported.matched.saturating_sub(order.before);
    if reported.cancelled {
        let end = if expired(order, reported) { OrderEnd::Expired } else { OrderEnd::Cancelled };
        steps.updates = finish(order, end, matched, why(order, reported.status));
    } else {
        order.matched = order.matched.max(matched);
        match reported.status {
            OrderStatus::Live => {
                steps.updates = alive(order, OrderUpdate::Live);
                if !matched.is_zero() {
                    steps.updates.push(OrderUpdate::Matched);
                }
            }
            OrderStatus::Delayed => steps.updates = alive(order, OrderUpdate::Delayed),
            // The delay passed without a match: it may rest or be killed, so a read has to show it.
            OrderStatus::Unmatched => {
                steps.updates.push(OrderUpdate::Unknown);
                steps.ask_order = !reported.present;
            }
            OrderStatus::Matched if matched + DUST >= order.facts.shares() => {
                steps.updates = finish(order, OrderEnd::Filled, matched, CancelReason::ByVenue);
            }
            // The status and the quantity are read apart: over, with a part filled.
            OrderStatus::Matched if reported.present => {
                let why = why(order, reported.status);
                steps.updates = finish(order, OrderEnd::Cancelled, matched, why);
            }
            OrderStatus::Matched => {
                steps.updates = alive(order, OrderUpdate::Matched);
                steps.ask_order = true;
            }
            other => {
                steps.unreadable = Some(format!("the status {other:?}"));
                steps.updates.push(OrderUpdate::Unknown);
            }
        }
    }
    steps.ask_trades = order.matched > order.filled();
    steps.ask_order |= order.doubtful && !reported.present;
    steps
}

/// An update of an order that lives. After its end the engine takes the first one as a doubt and the second one,
/// after a read, as a proof.
pub(crate) fn alive(order: &mut WireOrder, update: OrderUpdate) -> Vec<OrderUpdate> {
    if let Some(end) = order.ended {
        let never_there = matches!(end, OrderEnd::Rejected | OrderEnd::Absent);
        if order.doubtful || never_there {
            reopen(order);
        } else {
            order.doubtful = true;
        }
    }
    order.out_of_book = None;
    vec![update]
}

/// It may match again: what was concluded of it does not hold.
pub(crate) fn reopen(order: &mut WireOrder) {
    order.ended = None;
    order.withdrawn = false;
    order.doubtful = false;
    order.out_of_book = None;
    order.unseen_since = None;
    order.cancels = 0;
}

/// Ends an order, or repeats its end in the word that was used first.
pub(crate) fn finish(
    order: &mut WireOrder,
    end: OrderEnd,
    matched: Shares,
    reason: CancelReason,
) -> Vec<OrderUpdate> {
    let seen = order.matched.max(order.filled());
    order.matched = order.matched.max(matched);
    order.doubtful = false;
    let never_there = |end| matches!(end, OrderEnd::Rejected | OrderEnd::Absent);
    let end = match order.ended {
        // A refusal of an order that has matched is none: the engine asks.
        None if never_there(end) && !seen.is_zero() => return vec![OrderUpdate::Unknown],
        None => end,
        Some(before) if never_there(before) && !order.matched.is_zero() => {
            // The refusal was wrong. The engine re-opens it and asks; the next report ends it.
            reopen(order);
            return vec![OrderUpdate::Matched];
        }
        Some(OrderEnd::Rejected) => OrderEnd::Absent,
        Some(before) => before,
    };
    order.ended = order.ended.or(Some(end));
    let matched = order.matched;
    vec![match end {
        OrderEnd::Filled => OrderUpdate::Filled { matched },
        OrderEnd::Cancelled => OrderUpdate::Cancelled { reason, matched },
        OrderEnd::Expired => OrderUpdate::Expired { matched },
        // A refusal with its reason is reported where the reason is known.
        OrderEnd::Rejected | OrderEnd::Absent => OrderUpdate::Absent,
    }]
}

/// An expiry has no word of its own on the user channel: it is a cancellation near the stated time that nobody asked
/// for.
fn expired(order: &WireOrder, reported: &Reported<'_>) -> bool {
    if *reported.status == OrderStatus::CanceledExpired {
        return true;
    }
    let Tif::Gtd { expires } = order.facts.tif else { return false };
    let plain = *reported.status == OrderStatus::Canceled;
    plain
        && order.cancel_at.is_none()
        && reported.at.until(expires).as_nanos() <= GTD_EARLY.as_nanos() + GTD_SLACK.as_nanos()
}

fn why(order: &WireOrder, status: &OrderStatus) -> CancelReason {
    match status {
        OrderStatus::CanceledMarketResolved => CancelReason::MarketEnded,
        OrderStatus::Invalid | OrderStatus::CanceledNotEnoughBalance => CancelReason::ByVenue,
        _ if !order.facts.tif.rests() => CancelReason::Killed,
        _ if order.cancel_at.is_some() => CancelReason::Requested,
        _ => CancelReason::ByVenue,
    }
}
