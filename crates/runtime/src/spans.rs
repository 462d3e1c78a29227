//! Log lines of records, each inside the span of its order: signal, order, fills and end are found together.

use std::collections::BTreeMap;

use polydesk_domain::{ClientOrderId, Record, Time, TradeStatus};
use tracing::Span;

use crate::decisions::{Line, Weight};

/// The most spans kept: an order that is never heard of again must not cost memory for ever.
const MOST: usize = 10_000;

/// The spans of orders that are not over and settled.
#[derive(Debug, Default)]
pub struct Spans {
    open: BTreeMap<ClientOrderId, Span>,
}

impl Spans {
    /// Writes one line.
    pub fn emit(&mut self, record: &Record, line: &Line, at: Time) {
        if let Record::Placed(order) = record {
            let signal = order.signal.map(|signal| signal.to_string()).unwrap_or_default();
            let span = tracing::info_span!(
                target: "decision",
                "order",
                order = %order.id,
                strategy = %order.strategy,
                market = %order.market,
                signal,
            );
            self.open.insert(order.id, span);
            if self.open.len() > MOST {
                self.open.pop_first();
            }
        }
        let (of, over) = subject(record);
        match of.and_then(|id| self.open.get(&id)) {
            Some(span) => span.in_scope(|| write(line, at)),
            None => write(line, at),
        }
        if let Some(id) = of.filter(|_| over) {
            self.open.remove(&id);
        }
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.open.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }
}

/// The order that a record is about, and whether it is the last one about it.
fn subject(record: &Record) -> (Option<ClientOrderId>, bool) {
    match record {
        Record::Placed(order) => (Some(order.id), false),
        Record::OrderChanged { id, state, matched, .. } => {
            (Some(*id), state.ended() && matched.is_zero())
        }
        Record::Fill(fill) => {
            let settled = matches!(fill.status, TradeStatus::Confirmed | TradeStatus::Failed);
            (Some(fill.order), settled)
        }
        Record::Correction(correction) => (Some(correction.order), false),
        _ => (None, false),
    }
}

/// The target `decision` is what standard error shows when it is no terminal.
fn write(line: &Line, at: Time) {
    let (kind, text) = (line.kind, line.text.as_str());
    match line.weight {
        Weight::Detail => tracing::debug!(target: "decision", kind, %at, "{text}"),
        Weight::Decision => tracing::info!(target: "decision", kind, %at, "{text}"),
        Weight::Warning => tracing::warn!(target: "decision", kind, %at, "{text}"),
        Weight::Critical => tracing::error!(target: "decision", kind, %at, "{text}"),
    }
}
