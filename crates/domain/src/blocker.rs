//! Blockers: the gate is open when none is set.

use serde::{Deserialize, Serialize};

use crate::{Channel, Code, MarketKey, Time, Token, Usdc};

/// The cause of a blocker. Each component clears only the causes that it sets itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause<T = Token, M = MarketKey> {
    /// The account has not been reconciled with the venue since updates may have been missed.
    NotReconciled,
    /// A feed connection is down.
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
    /// The journal lost its tail and fills came in the meantime: an operator has to check.
    LostTail,
    /// An unexplained difference in cash.
    CashMismatch,
    /// The venue counts money as used that is not: it refuses orders that the wallet can pay.
    FundsHeld,
    /// Too many starts after crashes.
    CrashLoop,
    /// Paused by an operator.
    Paused,
    /// Reduce-only, set by an operator.
    ReduceOnly,
    /// The daily loss limit is exceeded.
    DailyLoss,
    /// The drawdown limit is exceeded.
    Drawdown,
    /// A loop was stopped: runaway orders, repeated rejections, failing settlements, failing legs.
    Runaway(Code),
    /// Invariant violation: no order leaves until an operator resumes.
    Halted,
    /// Kill switch: no order leaves until an operator rearms.
    Killed,
    /// No order in this market.
    Market(M),
    /// No order in this token.
    Token(T),
    /// The holdings in this market are uncertain: a trade that does not settle, or redemption money
    /// before the resolution. Cleared by the event that resolves it.
    Unsettled(M),
    /// An operator leaves this market: nothing is bought in it before a resume.
    Flattened(M),
    /// Any other reason of the runtime.
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
    /// The orders that it stops.
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
            | Cause::FundsHeld
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

    /// Whether the operator's `resume` clears it.
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

    /// Whether an operator may clear it by name.
    pub const fn releasable(&self) -> bool {
        matches!(
            self,
            Cause::Market(_)
                | Cause::Token(_)
                | Cause::Unsettled(_)
                | Cause::Flattened(_)
                | Cause::LostTail
                | Cause::CashMismatch
                | Cause::FundsHeld
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
                | Cause::FundsHeld
                | Cause::CrashLoop
                | Cause::Market(_)
                | Cause::Token(_)
                | Cause::Flattened(_)
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

    /// Stable name: the code of a denial.
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
            Cause::FundsHeld => "funds_held",
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
            Cause::FundsHeld => Cause::FundsHeld,
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
    /// Time at which it was set.
    pub since: Time,
    /// Text for the operator, with figures.
    pub detail: String,
    /// Of a loss latch: the loss when it latched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lost: Option<Usdc>,
    /// Of `not_reconciled`: how often it was set; an account snapshot clears only the epoch it began in.
    #[serde(default)]
    pub epoch: u32,
}
