//! Reasons not to trade: the gate is open when none is set.

use serde::{Deserialize, Serialize};

use crate::{Channel, Code, MarketKey, Time, Token, Usdc};

/// Why the gate is closed, and who may open it again: whoever sets a cause clears that one and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause<T = Token, M = MarketKey> {
    /// The account was not compared with the venue since something may have been missed.
    NotReconciled,
    /// A connection that would report what happens to us is down.
    Link(Channel),
    /// The venue did not confirm a heartbeat in time.
    Heartbeat,
    /// The clock's offset to the venue is too large or unknown.
    Clock,
    /// Another process may hold the wallet.
    Lease,
    /// The venue speaks another version of its contracts.
    Version,
    /// The disk is full or nearly so.
    Disk,
    /// The journal does not keep up.
    JournalSlow,
    /// The journal lost its tail and fills came meanwhile: a person looks first.
    LostTail,
    /// Cash differs and nothing explains it.
    CashMismatch,
    /// Too many starts after crashes.
    CrashLoop,
    /// A person paused.
    Paused,
    /// A person allows reductions only.
    ReduceOnly,
    /// The limit of a day's loss is broken.
    DailyLoss,
    /// The limit of the drawdown is broken.
    Drawdown,
    /// A loop was stopped: runaway orders, equal rejections, failing settlements, dying legs.
    Runaway(Code),
    /// A broken invariant: everything stops until a person resumes.
    Halted,
    /// A person killed: everything stops until a person rearms.
    Killed,
    /// No order in this market.
    Market(M),
    /// No order in this token.
    Token(T),
    /// What is held in this market is not certain: a settlement that does not end, or redemption money
    /// before the resolution. Cleared by what makes it certain.
    Unsettled(M),
    /// A person wants out of this market: nothing is bought in it.
    Flattened(M),
    /// Set by the runtime for a reason of its own.
    Other(Code),
}

/// What a blocker stops. Cancels always pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// New exposure; exits go on.
    Entries,
    /// Every order, exits too.
    Orders,
}

impl<T, M> Cause<T, M> {
    /// What it stops.
    pub const fn scope(&self) -> Scope {
        match self {
            Cause::Paused
            | Cause::ReduceOnly
            | Cause::DailyLoss
            | Cause::Drawdown
            | Cause::Runaway(_)
            | Cause::Flattened(_)
            | Cause::Disk
            | Cause::Lease
            | Cause::LostTail
            | Cause::CashMismatch
            | Cause::CrashLoop => Scope::Entries,
            Cause::NotReconciled
            | Cause::Link(_)
            | Cause::Heartbeat
            | Cause::Clock
            | Cause::Version
            | Cause::JournalSlow
            | Cause::Halted
            | Cause::Killed
            | Cause::Market(_)
            | Cause::Token(_)
            | Cause::Unsettled(_)
            | Cause::Other(_) => Scope::Orders,
        }
    }

    /// Whether a person's `resume` clears it.
    pub const fn resumable(&self) -> bool {
        matches!(
            self,
            Cause::Paused
                | Cause::ReduceOnly
                | Cause::DailyLoss
                | Cause::Drawdown
                | Cause::Runaway(_)
                | Cause::Flattened(_)
                | Cause::Halted
        )
    }

    /// Whether a person may clear it by name.
    pub const fn releasable(&self) -> bool {
        matches!(
            self,
            Cause::Market(_)
                | Cause::Token(_)
                | Cause::Unsettled(_)
                | Cause::Flattened(_)
                | Cause::LostTail
                | Cause::CashMismatch
                | Cause::CrashLoop
                | Cause::Runaway(_)
        )
    }

    /// Whether the runtime sets and clears it by events.
    pub const fn of_runtime(&self) -> bool {
        matches!(
            self,
            Cause::Heartbeat
                | Cause::Clock
                | Cause::Lease
                | Cause::Version
                | Cause::Disk
                | Cause::JournalSlow
                | Cause::LostTail
                | Cause::CrashLoop
                | Cause::Market(_)
                | Cause::Token(_)
                | Cause::Other(_)
        )
    }

    /// Whether it stops only what concerns one market or token.
    pub const fn is_local(&self) -> bool {
        matches!(
            self,
            Cause::Market(_) | Cause::Token(_) | Cause::Unsettled(_) | Cause::Flattened(_)
        )
    }

    /// A stable word: the code of a denial.
    pub const fn code(&self) -> &'static str {
        match self {
            Cause::NotReconciled => "not_reconciled",
            Cause::Link(Channel::Market) => "market_link_down",
            Cause::Link(Channel::User) => "user_link_down",
            Cause::Heartbeat => "heartbeat",
            Cause::Clock => "clock",
            Cause::Lease => "lease",
            Cause::Version => "version",
            Cause::Disk => "disk",
            Cause::JournalSlow => "journal_slow",
            Cause::LostTail => "lost_tail",
            Cause::CashMismatch => "cash_mismatch",
            Cause::CrashLoop => "crash_loop",
            Cause::Paused => "paused",
            Cause::ReduceOnly => "reduce_only",
            Cause::DailyLoss => "daily_loss",
            Cause::Drawdown => "drawdown",
            Cause::Runaway(code) | Cause::Other(code) => code.as_str(),
            Cause::Halted => "halted",
            Cause::Killed => "killed",
            Cause::Market(_) => "market_frozen",
            Cause::Token(_) => "token_frozen",
            Cause::Unsettled(_) => "market_unsettled",
            Cause::Flattened(_) => "flattened",
        }
    }

    /// The same cause with token and market replaced, where it has one and both are known.
    pub fn with_ids<U, N>(
        self,
        token: impl FnOnce(T) -> Option<U>,
        market: impl FnOnce(M) -> Option<N>,
    ) -> Option<Cause<U, N>> {
        Some(match self {
            Cause::Market(key) => Cause::Market(market(key)?),
            Cause::Token(key) => Cause::Token(token(key)?),
            Cause::Unsettled(key) => Cause::Unsettled(market(key)?),
            Cause::Flattened(key) => Cause::Flattened(market(key)?),
            Cause::NotReconciled => Cause::NotReconciled,
            Cause::Link(channel) => Cause::Link(channel),
            Cause::Heartbeat => Cause::Heartbeat,
            Cause::Clock => Cause::Clock,
            Cause::Lease => Cause::Lease,
            Cause::Version => Cause::Version,
            Cause::Disk => Cause::Disk,
            Cause::JournalSlow => Cause::JournalSlow,
            Cause::LostTail => Cause::LostTail,
            Cause::CashMismatch => Cause::CashMismatch,
            Cause::CrashLoop => Cause::CrashLoop,
            Cause::Paused => Cause::Paused,
            Cause::ReduceOnly => Cause::ReduceOnly,
            Cause::DailyLoss => Cause::DailyLoss,
            Cause::Drawdown => Cause::Drawdown,
            Cause::Runaway(code) => Cause::Runaway(code),
            Cause::Halted => Cause::Halted,
            Cause::Killed => Cause::Killed,
            Cause::Other(code) => Cause::Other(code),
        })
    }
}

/// A blocker that is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocker {
    /// Since when.
    pub since: Time,
    /// For people, with figures.
    pub detail: String,
    /// Of a loss latch: what was lost when it broke.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Usdc>,
    /// Of `not_reconciled`: how often it was raised; a pass clears only the epoch it began in.
    #[serde(default)]
    pub epoch: u32,
}
