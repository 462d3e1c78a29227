//! A match of one of our orders as the exchange keeps it. Nothing here decides what comes of it.

use polydesk_domain::{OwnTrade, Shares, Side, Time, Token, Usdc};

use crate::bank::Deal;

/// What comes next for a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It is to be put into a block.
    Mine,
    /// It will fail.
    Fail,
    /// It is in a block.
    Confirm,
    /// Nothing: it is final or failed.
    Over,
}

/// A match, kept as long as its order is.
#[derive(Debug, Clone)]
pub(crate) struct Trade {
    pub(crate) news: OwnTrade,
    pub(crate) deal: Deal,
    pub(crate) rebate: Usdc,
    pub(crate) step: Step,
    pub(crate) retried: bool,
    pub(crate) reports: Reports,
}

/// When the latest report of a match reaches the engine: reports of one match come in order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reports {
    pub(crate) last: Time,
    /// The same if the first report is not late: what a query waits for.
    pub(crate) prompt: Time,
}

impl Trade {
    pub(crate) fn token(&self) -> Token {
        self.news.token
    }
    pub(crate) fn side(&self) -> Side {
        self.news.side
    }
    pub(crate) fn shares(&self) -> Shares {
        self.news.fill.shares
    }
    /// Whether it is final or failed.
    pub(crate) fn is_over(&self) -> bool {
        self.step == Step::Over
    }
    /// Micro-dollars in flight, and to come.
    pub(crate) fn cash(&self) -> (i128, i128) {
        let fill = self.news.fill;
        match self.news.side {
            Side::Buy => (i128::from((fill.notional + fill.fee).micros()), 0),
            Side::Sell => (0, i128::from((fill.notional - fill.fee).micros())),
        }
    }
}
