//! A match of one of our orders as the exchange keeps it. It decides nothing about its settlement.

use polydesk_domain::{OwnTrade, Shares, Side, Time, Token, Usdc};

use crate::bank::Deal;

/// The next step of a match's settlement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It goes into a block, or is tried again.
    Mine,
    /// It fails.
    Fail,
    /// It becomes final.
    Confirm,
    /// None: it is final or has failed.
    Over,
}

/// A match, kept as long as its order.
#[derive(Debug, Clone)]
pub(crate) struct VenueTrade {
    pub(crate) own: OwnTrade,
    pub(crate) matched_at: Time,
    /// Bid + ask of the token when it was matched.
    pub(crate) double_mid: Option<u32>,
    pub(crate) deal: Deal,
    pub(crate) rebate: Usdc,
    pub(crate) step: Step,
    pub(crate) retried: bool,
    pub(crate) reported: ReportTimes,
}

/// When the latest report of a match reaches the engine; reports of one match arrive in sequence.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReportTimes {
    pub(crate) last: Time,
    /// The same without the lateness of a late first report: the earliest time of a query result.
    pub(crate) prompt: Time,
}

impl VenueTrade {
    pub(crate) fn token(&self) -> Token {
        self.own.token
    }
    pub(crate) fn side(&self) -> Side {
        self.own.side
    }
    pub(crate) fn shares(&self) -> Shares {
        self.own.fill.shares
    }
    /// Whether it is final or has failed.
    pub(crate) fn is_over(&self) -> bool {
        self.step == Step::Over
    }
    /// Micro-dollars on their way out, and on their way in.
    pub(crate) fn cash(&self) -> (i128, i128) {
        let fill = self.own.fill;
        match self.own.side {
            Side::Buy => (i128::from((fill.notional + fill.fee).micros()), 0),
            Side::Sell => (0, i128::from((fill.notional - fill.fee).micros())),
        }
    }
}
