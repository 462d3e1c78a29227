//! Answers to orders, cancels and reads of one order.

use polydesk_domain::{
    AccountEvent, CancelReason, ClientOrderId, ExternalOrder, OrderHash, OrderUpdate, RejectReason,
    Shares, Size, Time, Universe,
};
use polydesk_polymarket_api::clob::{Cancelled, NotCanceled, OpenOrder, Placed, PlacedStatus};
use polydesk_polymarket_api::{ApiError, Refusal};

use crate::gateway::{Found, Gateway};
use crate::orders::{OrderEnd, WireOrder};
use crate::output::{Ask, Output};
use crate::states::{Reported, Steps, alive, finish, reopen, report};

impl Gateway {
    /// The answer to an order, or to one order of a batch.
    pub fn placed(
        &mut self,
        hash: &OrderHash,
        answer: Result<&Placed, &ApiError>,
        at: Time,
    ) -> Vec<Output> {
        let Some(order) = self.orders.get_mut(hash) else {
            return vec![Output::NotReconciled(format!(
                "an answer to order {hash}, which has no entry"
            ))];
        };
        order.updated_at = at;
        let id = order.id;
        match answer {
            Ok(placed) if placed.id != *hash => {
                // It shows that answers and orders do not belong together.
                let named = placed.id;
                let text = format!("the answer to order {hash} names order {named}");
                let unknown = Output::order(id, OrderUpdate::Unknown);
                vec![unknown, Output::NotReconciled(text), Output::Ask(Ask::Order(*hash))]
            }
            Ok(placed) => accepted(order, *hash, placed.status),
            Err(error) => vec![Output::order(id, refused(order, error))],
        }
    }

    /// The answer to a batch: its orders in the order in which they were sent. An error of the whole request is the
    /// outcome of each.
    pub fn batch(
        &mut self,
        sent: &[OrderHash],
        answer: &Result<Vec<Result<Placed, ApiError>>, ApiError>,
        at: Time,
    ) -> Vec<Output> {
        let mut out = Vec::new();
        match answer {
            Ok(rows) if rows.len() == sent.len() => {
                for (hash, row) in sent.iter().zip(rows) {
                    out.extend(self.placed(hash, row.as_ref(), at));
                }
            }
            Ok(rows) => {
                let text = format!("{} rows answer a batch of {} orders", rows.len(), sent.len());
                for hash in sent {
                    out.extend(self.placed(hash, Err(&ApiError::Unknown(text.clone())), at));
                }
                out.push(Output::NotReconciled(text));
            }
            Err(error) => {
                for hash in sent {
                    out.extend(self.placed(hash, Err(error), at));
                }
            }
        }
        out
    }

    /// The answer to a cancel of any kind. A cancel that failed proves nothing and gives nothing.
    pub fn cancelled(&mut self, answer: &Cancelled, at: Time) -> Vec<Output> {
        let mut out = Vec::new();
        for hash in &answer.canceled {
            let Some(order) = self.orders.get_mut(hash) else {
                // Cancel-all ends orders of others on the wallet, too.
                out.push(Output::Ask(Ask::Order(*hash)));
                continue;
            };
            out_of_book(order, at);
            // Not open, fills unknown: it stays reserved until a report shows what had matched.
            out.push(Output::order(order.id, OrderUpdate::CancelRefused { still_open: false }));
            out.extend([Output::Ask(Ask::Order(*hash)), Output::Ask(Ask::Trades(*hash))]);
        }
        for (hash, why) in &answer.not_canceled {
            let Some(order) = self.orders.get_mut(hash) else {
                out.push(Output::Ask(Ask::Order(*hash)));
                continue;
            };
            order.updated_at = at;
            let still_open = match why {
                // "Gone" is also said of an order that has not reached the book yet.
                NotCanceled::Gone if !order.acknowledged => {
                    order.not_found_at = Some(at);
                    false
                }
                NotCanceled::Matched | NotCanceled::AlreadyCanceled | NotCanceled::Gone => {
                    out_of_book(order, at);
                    out.push(Output::Ask(Ask::Trades(*hash)));
                    false
                }
                NotCanceled::NotFound => {
                    order.not_found_at = Some(at);
                    false
                }
                // A reason in other words does not say that it is out of the book.
                NotCanceled::Pending | NotCanceled::Other(_) => true,
            };
            let update = OrderUpdate::CancelRefused { still_open };
            // The engine takes one that may be open as a sign of life, after an end too.
            let updates = if still_open { alive(order, update) } else { vec![update] };
            out.extend(updates.into_iter().map(|update| Output::order(order.id, update)));
        }
        // In neither list: nothing is proven, and only these are cancelled again.
        out.extend(answer.unanswered.iter().map(|hash| Output::Ask(Ask::Cancel(*hash))));
        if !answer.unreadable.is_empty() {
            let first: String = answer.unreadable[0].chars().take(100).collect();
            let count = answer.unreadable.len();
            let text = format!(
                "the answer to a cancel has {count} order ids that are none, first {first:?}"
            );
            out.push(Output::NotReconciled(text));
        }
        out
    }

    /// The answer to a read of one order. `None`: the venue does not know it, which proves nothing.
    pub fn queried(
        &mut self,
        ids: &Universe,
        hash: &OrderHash,
        answer: Result<Option<&OpenOrder>, &ApiError>,
        at: Time,
    ) -> Vec<Output> {
        match answer {
            Ok(Some(row)) if row.hash() == Some(*hash) => self.row(ids, row, at),
            Ok(Some(row)) => {
                let named: String = row.id.chars().take(100).collect();
                let text = format!("a read of order {hash} answers with order {named:?}");
                vec![Output::NotReconciled(text)]
            }
            Ok(None) | Err(_) => match self.orders.get(hash) {
                Some(order) => vec![Output::order(order.id, OrderUpdate::Unknown)],
                None => Vec::new(),
            },
        }
    }

    /// One row of an order, read by id or from the list of open orders.
    pub(crate) fn row(&mut self, ids: &Universe, row: &OpenOrder, at: Time) -> Vec<Output> {
        let Some(hash) = row.hash() else {
            let id: String = row.id.chars().take(100).collect();
            return vec![Output::NotReconciled(format!("an order of the id {id:?} is unreadable"))];
        };
        let mut out = Vec::new();
        let unreadable =
            |what: &str| Output::NotReconciled(format!("order {hash} cannot be read: {what}"));
        let Some(token) = row.token() else { return vec![unreadable("asset_id is no token id")] };
        let Some(side) = side(&row.side) else {
            return vec![unreadable("side is neither BUY nor SELL")];
        };
        let Some((size, matched)) = row.sizes() else {
            return vec![unreadable("a size is missing or looks like millionths")];
        };
        if self.orders.get(&hash).is_none() {
            let Some(key) = ids.token(&token) else {
                return vec![
                    unreadable("its market is not listed"),
                    Output::Ask(Ask::Market(token)),
                ];
            };
            let price = row.price.and_then(|price| price.try_into().ok());
            let Some(price) = price else { return vec![unreadable("price is none")] };
            let open = !row.status.cancelled() && matched < size;
            let condition = ids.market(key.market()).condition;
            let found =
                Found { hash, id_token: token, condition, token: key, side, price, size, open };
            self.adopt(&found, at, &mut out);
        }
        let Some(order) = self.orders.get_mut(&hash) else { return out };
        if (order.facts.token, order.facts.side) != (token, side) {
            out.push(unreadable("token or side differ from what was signed"));
            return out;
        }
        let whole = size.saturating_sub(order.before);
        if order.id.is_external() && whole > order.facts.shares() {
            // Until now its fills were all that was known of its size.
            let (id, price) = (order.id, row.price.and_then(|price| price.try_into().ok()));
            let price = price.unwrap_or(order.facts.price);
            (order.facts.size, order.facts.price) = (Size::Shares(whole), price);
            let open = !row.status.cancelled() && matched < size;
            if open && order.ended == Some(OrderEnd::Filled) {
                order.ended = None;
            }
            if let Some(token) = ids.token(&token) {
                let size = whole;
                let external = ExternalOrder { id, hash, token, side, price, size, open };
                out.push(Output::Event(AccountEvent::External(external)));
            }
        }
        let reported = Reported {
            status: &row.status,
            cancelled: row.status.cancelled(),
            matched,
            at,
            present: true,
        };
        let id = order.id;
        let steps = report(order, &reported, at);
        push_steps(hash, id, steps, &mut out);
        out
    }
}

/// The outputs of a report.
pub(crate) fn push_steps(hash: OrderHash, id: ClientOrderId, steps: Steps, out: &mut Vec<Output>) {
    out.extend(steps.updates.into_iter().map(|update| Output::order(id, update)));
    if steps.ask_order {
        out.push(Output::Ask(Ask::Order(hash)));
    }
    if steps.ask_trades {
        out.push(Output::Ask(Ask::Trades(hash)));
    }
    if let Some(what) = steps.unreadable {
        out.push(Output::NotReconciled(format!("order {hash} cannot be read: {what}")));
    }
}

/// The words for sides.
pub(crate) fn side(word: &str) -> Option<polydesk_domain::Side> {
    use polydesk_domain::Side;
    [("BUY", Side::Buy), ("SELL", Side::Sell)]
        .into_iter()
        .find(|(name, _)| word.eq_ignore_ascii_case(name))
        .map(|(_, side)| side)
}

fn accepted(order: &mut WireOrder, hash: OrderHash, status: PlacedStatus) -> Vec<Output> {
    if order.ended.is_some_and(|end| matches!(end, OrderEnd::Rejected | OrderEnd::Absent)) {
        reopen(order);
    }
    order.acknowledged = true;
    let id = order.id;
    match status {
        // The answer can be older than what the channel has reported of its end.
        PlacedStatus::Live | PlacedStatus::Delayed | PlacedStatus::Matched
            if order.ended.is_some() =>
        {
            vec![Output::Ask(Ask::Order(hash))]
        }
        PlacedStatus::Live => vec![Output::order(id, OrderUpdate::Live)],
        PlacedStatus::Delayed => vec![Output::order(id, OrderUpdate::Delayed)],
        // Amounts in the answer have no certain unit: the trades carry them.
        PlacedStatus::Matched => {
            vec![Output::order(id, OrderUpdate::Matched), Output::Ask(Ask::Trades(hash))]
        }
        PlacedStatus::Unmatched => {
            vec![Output::order(id, OrderUpdate::Unknown), Output::Ask(Ask::Order(hash))]
        }
    }
}

/// What an error of an order means. Nothing counts as refused that is not known to be: an error that a later version
/// of the client adds is unknown, too.
fn refused(order: &mut WireOrder, error: &ApiError) -> OrderUpdate {
    let reason = match error {
        ApiError::Refused { why: Refusal::Other | Refusal::DelayedByMarket, .. } => {
            return OrderUpdate::Unknown;
        }
        // The engine reads it as life: it asks.
        ApiError::Duplicate(_) => {
            order.acknowledged = true;
            return OrderUpdate::Rejected { reason: RejectReason::Duplicate };
        }
        ApiError::Refused { why, text, .. } => why.reject_reason(text),
        ApiError::Throttled { .. } => RejectReason::RateLimited,
        ApiError::Restarting { .. }
        | ApiError::CancelOnly
        | ApiError::PostOnly { .. }
        | ApiError::Disabled(_) => RejectReason::Restricted,
        ApiError::Unauthorised(text) => {
            let text: String = text.chars().take(300).collect();
            RejectReason::Other(format!("unauthorised: {text}"))
        }
        ApiError::Misconfigured(text) => {
            let text: String = text.chars().take(300).collect();
            RejectReason::Other(format!("not sent: {text}"))
        }
        // Not a byte left.
        ApiError::Withheld(_) | ApiError::Unreachable(_) => return not_sent(order),
        _ => return OrderUpdate::Unknown,
    };
    let before = order.ended;
    let ends = finish(order, OrderEnd::Rejected, Shares::ZERO, CancelReason::ByVenue);
    match before {
        // The end is reported with its reason, once.
        None if order.ended.is_some() => OrderUpdate::Rejected { reason },
        _ => ends.into_iter().next().unwrap_or(OrderUpdate::Unknown),
    }
}

fn not_sent(order: &mut WireOrder) -> OrderUpdate {
    let ends = finish(order, OrderEnd::Absent, Shares::ZERO, CancelReason::ByVenue);
    order.withdrawn = order.ended == Some(OrderEnd::Absent);
    ends.into_iter().next().unwrap_or(OrderUpdate::Unknown)
}

fn out_of_book(order: &mut WireOrder, at: Time) {
    order.updated_at = at;
    order.acknowledged = true;
    order.unseen_since = None;
    order.out_of_book.get_or_insert(at);
}
