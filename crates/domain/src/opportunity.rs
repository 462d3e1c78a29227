//! Opportunities that scanners saw, taken or not.

use serde::{Deserialize, Serialize};

use crate::{BasketKind, ConditionId, MarketKey, Reason, Shares, Time, Universe, Usdc};

/// The markets of an opportunity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject<M = MarketKey> {
    /// The two outcomes of one market.
    Market(M),
    /// A mutually exclusive group, by name.
    Group(String),
}

/// An opportunity from first to last seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opportunity<M = MarketKey> {
    /// Kind of basket that would take it.
    pub kind: BasketKind,
    /// The market or group.
    pub subject: Subject<M>,
    /// First seen.
    pub started: Time,
    /// Last seen.
    pub ended: Time,
    /// Best edge after fees over the whole depth; zero or less: fees exceed the gross edge.
    pub best_edge: Usdc,
    /// Complete sets at `best_edge`.
    pub best_sets: Shares,
    /// Best gross edge of one set at the best prices, in ten-thousandths of a dollar.
    pub best_gross_units: i32,
    /// Signals emitted for it.
    pub signals: u32,
    /// Why the last evaluation emitted no signal; `signalled` if it did.
    pub outcome: Reason,
}

impl Opportunity {
    /// The same by the venue's ids.
    pub fn by_venue_ids(self, universe: &Universe) -> Opportunity<ConditionId> {
        let Opportunity {
            kind,
            subject,
            started,
            ended,
            best_edge,
            best_sets,
            best_gross_units,
            signals,
            outcome,
        } = self;
        let subject = match subject {
            Subject::Market(key) => Subject::Market(universe.market(key).condition),
            Subject::Group(name) => Subject::Group(name),
        };
        Opportunity {
            kind,
            subject,
            started,
            ended,
            best_edge,
            best_sets,
            best_gross_units,
            signals,
            outcome,
        }
    }
}
