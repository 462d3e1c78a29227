//! Counters of the exchange, for reports.

use std::collections::BTreeMap;

use polydesk_domain::{Fill, RejectReason, Shares, Usdc};
use serde::Serialize;

/// What happened so far.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct SimCounters {
    /// Market rows seen.
    pub rows: u64,
    /// Rows with a time before the exchange time reached; they are applied at that time.
    pub rows_back_in_time: u64,
    /// Listings refused (tokens that clash, a wrong key), and data of markets that are not listed.
    pub rows_refused: u64,
    /// Delistings of markets in which we still have orders, shares or conversions; their memory is kept.
    pub delisted_not_flat: u64,
    /// Public trades seen.
    pub prints: u64,
    /// Prints whose ladder neither a level change nor the book shows; the published side decides.
    pub prints_ambiguous: u64,
    /// Prints of which no recorded level change explains a part.
    pub prints_unexplained: u64,
    /// Prints whose rows came so late that the level change they explain had counted as a cancel: they do not
    /// move the queue again.
    pub prints_late: u64,
    /// How long level changes waited for their prints at the end, in milliseconds: the netting window, or the
    /// largest lag of a late print.
    pub netting_wait_ms: i64,
    /// Orders sent to the exchange.
    pub orders: u64,
    /// Orders that arrived there.
    pub orders_arrived: u64,
    /// Commands with an engine time before the exchange time reached.
    pub late_commands: u64,
    /// Orders or cancels that waited for a batch to complete.
    pub waited_for_batch: u64,
    /// Orders refused, by code.
    pub rejects: BTreeMap<&'static str, u64>,
    /// Refusals of orders that would trade with our own.
    pub self_cross_prevented: u64,
    /// Matches in which our order is the taker.
    pub fills_taker: u64,
    /// Matches in which our order is the maker.
    pub fills_maker: u64,
    /// Of those: by prints at our price, after the queue ahead was served.
    pub fills_by_queue: u64,
    /// Of those: by prints beyond our price.
    pub fills_by_print_through: u64,
    /// Of those: because the displayed opposite side crossed our price.
    pub fills_by_crossing: u64,
    /// Shares matched in all.
    pub shares_matched: Shares,
    /// pUSD matched in all, before fees.
    pub notional_matched: Usdc,
    /// Fees charged to us on confirmed matches.
    pub fees_paid: Usdc,
    /// Orders that rest with displayed shares ahead of them.
    pub queue_waits: u64,
    /// Orders that rest at a level which the data has not stated: no print at their price fills them yet.
    pub queues_unknown: u64,
    /// Resting orders cancelled because the opposite side turned out to stand through their price since they
    /// came to rest: the venue would have matched or refused them.
    pub rests_refuted: u64,
    /// Prints in markets whose book is invalidated: they fill nothing.
    pub prints_void: u64,
    /// Resting orders that were filled in part at least once.
    pub partials: u64,
    /// Orders held back by the taker delay.
    pub delayed: u64,
    /// Of those: by a delay that is not recorded and follows from category and date.
    pub delayed_by_assumption: u64,
    /// Takers that waited for the next snapshot of a tape that holds snapshots only.
    pub takers_awaiting_snapshot: u64,
    /// Orders filled.
    pub filled: u64,
    /// Orders that ended cancelled or killed.
    pub cancelled: u64,
    /// Orders that expired.
    pub expired: u64,
    /// Cancels refused.
    pub cancels_refused: u64,
    /// Matches that became final.
    pub confirmed: u64,
    /// Matches that were not broadcast for a long time.
    pub stalled: u64,
    /// Matches that were tried again.
    pub retried: u64,
    /// Matches that failed (ghost fills).
    pub ghost_fills: u64,
    /// Placements lost on the way.
    pub orders_lost: u64,
    /// Answers lost on the way back.
    pub answers_lost: u64,
    /// Cancels lost on the way.
    pub cancels_lost: u64,
    /// First reports of matches lost.
    pub fills_lost: u64,
    /// Reports of ends of orders lost.
    pub ends_lost: u64,
    /// Reports of settlement stages lost.
    pub settlements_lost: u64,
    /// Answers to splits, merges and redemptions lost.
    pub conversions_lost: u64,
    /// Levels of crossed books that a taker or a crossing skips.
    pub crossed_levels_skipped: u64,
    /// Splits, merges and redemptions done.
    pub conversions_done: u64,
    /// Splits, merges and redemptions that failed.
    pub conversions_failed: u64,
    /// Rebates paid.
    pub rebates_paid: Usdc,
    /// Rebates below the least payment.
    pub rebates_forfeited: Usdc,
    /// Checks of the bank's sums.
    pub conservation_checks: u64,
}

impl SimCounters {
    pub(crate) fn rejected(&mut self, reason: &RejectReason) {
        *self.rejects.entry(reason.code()).or_default() += 1;
    }
    /// Counts a match; sums saturate.
    pub(crate) fn matched(&mut self, fill: &Fill) {
        let shares = self.shares_matched.micros().saturating_add(fill.shares.micros());
        self.shares_matched = Shares::new(shares);
        let notional = self.notional_matched.micros().saturating_add(fill.notional.micros());
        self.notional_matched = Usdc::new(notional);
    }
    /// All refusals.
    pub fn rejects_total(&self) -> u64 {
        self.rejects.values().sum()
    }
    /// All matches.
    pub fn fills(&self) -> u64 {
        self.fills_taker + self.fills_maker
    }
}
