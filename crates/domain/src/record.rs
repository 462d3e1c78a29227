//! Records: the engine's one output for event log, report, store, page and messages.
//!
//! Markets and tokens are named by the venue's ids, so a record means the same in every process.

use serde::{Deserialize, Serialize};

use crate::{
    Basis, BasketId, BasketKind, Cause, ClientOrderId, Code, Command, ConditionId, Conversion,
    ConversionId, ExitReason, Fill, Opportunity, OrderState, Outcome, Price, Purpose, Reason, Role,
    Shares, Side, Signal, SignalId, Size, StrategyId, Tif, Time, TokenId, TradeId, TradeStatus,
    Usdc,
};

/// A record with its place: the event that caused it and its number among that event's records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    /// Engine time.
    pub at: Time,
    /// The event that caused it.
    pub seq: u64,
    /// Counts from 0 within the event.
    pub n: u32,
    /// The payload.
    pub record: Record,
}

/// A decision or result of the engine that is neither event nor command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "record")]
pub enum Record {
    /// A strategy emitted a signal.
    Signal(Box<Signal<TokenId, ConditionId>>),
    /// A signal was dropped before anything acted on it.
    SignalDropped {
        /// The dropped signal.
        signal: SignalId,
        /// Strategy that it is booked to.
        strategy: StrategyId,
        /// Market, by its condition id.
        market: ConditionId,
        /// `expired`, `superseded`, `killed`, …
        code: Code,
    },
    /// A strategy's reason to skip a market changed.
    Skip {
        /// Strategy that it is booked to.
        strategy: StrategyId,
        /// Market, by its condition id.
        market: ConditionId,
        /// Code and figures.
        reason: Reason,
    },
    /// The gate, or a check before it, denied an order.
    Denied {
        /// Strategy that it is booked to.
        strategy: StrategyId,
        /// Market, if it is about one.
        market: Option<ConditionId>,
        /// Purpose of the denied order, if there was one.
        signal: Option<SignalId>,
        /// Code and figures.
        reason: Reason,
    },
    /// An order left the gate.
    Placed(Box<OrderRecord>),
    /// An order's state changed.
    OrderChanged {
        /// Our id of the order.
        id: ClientOrderId,
        /// Strategy that it is booked to.
        strategy: StrategyId,
        /// Its state now.
        state: OrderState,
        /// Shares filled, without failed trades.
        matched: Shares,
        /// The update that changed it (`live`, `rejected: tick`), or `reopened`.
        cause: String,
    },
    /// A fill was booked, or its settlement state changed.
    Fill(Box<FillRecord>),
    /// The amounts of a fill were corrected.
    Correction(Box<CorrectionRecord>),
    /// A part of a position was closed.
    Closed(ClosedTrade),
    /// An opportunity ended.
    Opportunity {
        /// Strategy that it is booked to.
        strategy: StrategyId,
        /// Its whole life, from first to last seen.
        opportunity: Opportunity<ConditionId>,
    },
    /// A basket ended.
    BasketEnded(BasketEnd),
    /// A conversion (split, merge, redeem) was requested or answered.
    Conversion {
        /// Id of the conversion.
        id: ConversionId,
        /// Strategy that it is booked to.
        strategy: StrategyId,
        /// Market, by its condition id.
        market: ConditionId,
        /// Split, merge or redeem, with the shares.
        action: Conversion,
        /// `asked`, `done`, `failed`.
        code: Code,
        /// Change of our pUSD.
        amount: Usdc,
    },
    /// A loss limit latched or was reset.
    Latch {
        /// `daily_loss`, `drawdown`, `runaway`.
        code: Code,
        /// `true`: set; `false`: cleared.
        on: bool,
        /// Loss when it latched.
        lost: Usdc,
    },
    /// A blocker was set or cleared.
    Blocker {
        /// Cause that is set or cleared; at most one blocker per cause.
        cause: Cause<TokenId, ConditionId>,
        /// `true`: set; `false`: cleared.
        on: bool,
        /// Text for the operator, with figures.
        detail: String,
    },
    /// A message to the operator.
    Note {
        /// Urgency.
        level: NoteLevel,
        /// Stable code of the message.
        code: Code,
        /// The message.
        text: String,
    },
}

/// Urgency of a message to the operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteLevel {
    /// Information; needs no action.
    Info,
    /// To be read within a day.
    Warning,
    /// To be read at once.
    Critical,
}

/// An order as it left the gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderRecord {
    /// Our name for it.
    pub id: ClientOrderId,
    /// Strategy that it is booked to.
    pub strategy: StrategyId,
    /// The signal that caused it; `None` for exits.
    pub signal: Option<SignalId>,
    /// Trade, quote, exit or basket leg.
    pub purpose: Purpose,
    /// Market, by its condition id.
    pub market: ConditionId,
    /// Outcome token, by the venue's id.
    pub token: TokenId,
    /// Outcome of that token.
    pub outcome: Outcome,
    /// Buy or sell of that token.
    pub side: Side,
    /// Limit price.
    pub price: Price,
    /// Shares; pUSD for an immediate buy.
    pub size: Size,
    /// Time in force.
    pub tif: Tif,
    /// Post-only: rejected if it would take.
    pub post_only: bool,
    /// Expiry of its signal.
    pub expires: Time,
    /// Bid + ask of the token at decision, in ten-thousandths: twice the mid price.
    pub double_mid: Option<u32>,
}

/// A fill of ours. Mid prices are given as bid + ask of the token, in ten-thousandths of a dollar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FillRecord {
    /// The venue's trade.
    pub trade: TradeId,
    /// Our order.
    pub order: ClientOrderId,
    /// Strategy that it is booked to.
    pub strategy: StrategyId,
    /// Purpose of the order.
    pub purpose: Purpose,
    /// When the order was decided.
    pub decided_at: Time,
    /// Market, by its condition id.
    pub market: ConditionId,
    /// Outcome token, by the venue's id.
    pub token: TokenId,
    /// Outcome of that token.
    pub outcome: Outcome,
    /// Buy or sell of that token.
    pub side: Side,
    /// Maker or taker.
    pub role: Role,
    /// Shares, pUSD and fee; estimated or settled by `fill.basis`.
    pub fill: Fill,
    /// Settlement state.
    pub status: TradeStatus,
    /// Bid + ask when the order was decided.
    pub double_mid_decided: Option<u32>,
    /// Bid + ask when the fill was reported.
    pub double_mid: Option<u32>,
}

/// The correction of a fill from estimated to settled amounts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorrectionRecord {
    /// The venue's trade.
    pub trade: TradeId,
    /// Our order.
    pub order: ClientOrderId,
    /// Strategy that it is booked to.
    pub strategy: StrategyId,
    /// Outcome token, by the venue's id.
    pub token: TokenId,
    /// Amounts booked before.
    pub before: Fill,
    /// Settled amounts.
    pub after: Fill,
    /// Basis of the amounts booked before.
    pub basis: Basis,
    /// Millionths of a share booked to the rounding account, because the lot was already sold.
    pub rounding_micros: i64,
}

/// A finished round trip, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedTrade {
    /// Strategy that it is booked to.
    pub strategy: StrategyId,
    /// Market, by its condition id.
    pub market: ConditionId,
    /// Outcome token, by the venue's id.
    pub token: TokenId,
    /// Outcome of that token.
    pub outcome: Outcome,
    /// Time of the purchase.
    pub opened_at: Time,
    /// Time of the sale, merge or redemption.
    pub closed_at: Time,
    /// Shares closed.
    pub shares: Shares,
    /// Paid, fees included.
    pub cost: Usdc,
    /// Received, fees taken off. Profit is `proceeds − cost`.
    pub proceeds: Usdc,
    /// Fees on the way in (part of `cost`).
    pub entry_fee: Usdc,
    /// Fees on the way out (already taken off `proceeds`).
    pub exit_fee: Usdc,
    /// Maker or taker on the way in.
    pub entry_role: Role,
    /// Maker or taker on the way out; `None` for merges and redemptions.
    pub exit_role: Option<Role>,
    /// Exit rule that sold them, or merge or resolution.
    pub reason: ExitReason,
    /// Names the closing this is part of: one exit order, or what was merged or redeemed within a minute.
    pub closing: u64,
}

/// How a basket ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BasketEnd {
    /// Its number.
    pub id: BasketId,
    /// Strategy that it is booked to.
    pub strategy: StrategyId,
    /// What a complete set of it becomes. Not `kind` in JSON: a line of the event log has one of its own.
    #[serde(rename = "basket")]
    pub kind: BasketKind,
    /// The market of its first leg.
    pub market: ConditionId,
    /// Complete sets intended.
    pub wanted: Shares,
    /// Complete sets reached.
    pub sets: Shares,
    /// Edge after fees expected when it started.
    pub expected: Usdc,
    /// Time of the signal.
    pub started: Time,
    /// Time at which its last leg was closed.
    pub ended: Time,
    /// Result: `merged`, `held`, `sold`, `nothing`, `unwound`, `carried`, `merged_back`, `resolved`, `redeemed`, `split_failed`, `merge_failed`.
    pub code: Code,
}

/// Output of the engine: commands to execute, records for logs and reports.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    /// Commands in order.
    pub commands: Vec<Command>,
    /// Records in order.
    pub records: Vec<Recorded>,
    at: Time,
    seq: u64,
    n: u32,
}

impl Outbox {
    /// An empty outbox.
    pub fn new() -> Outbox {
        Outbox::default()
    }

    /// Starts the output of the next event.
    #[inline]
    pub fn begin(&mut self, at: Time, seq: u64) {
        (self.at, self.seq, self.n) = (at, seq, 0);
    }

    /// Appends a command.
    pub fn command(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Appends a record, numbered under the current event.
    pub fn record(&mut self, record: Record) {
        self.records.push(Recorded { at: self.at, seq: self.seq, n: self.n, record });
        self.n += 1;
    }

    /// Appends a message to the operator.
    pub fn note(&mut self, level: NoteLevel, code: &'static str, text: String) {
        self.record(Record::Note { level, code: Code::literal(code), text });
    }

    /// Whether it has neither commands nor records.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.records.is_empty()
    }

    /// Empties it and keeps its capacity.
    pub fn clear(&mut self) {
        self.commands.clear();
        self.records.clear();
    }
}
