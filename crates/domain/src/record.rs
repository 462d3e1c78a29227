//! What the engine reports of itself: the one output for event log, report, store, page and messages.
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
    /// What is reported.
    pub record: Record,
}

/// Something worth keeping that is neither event nor command.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "record")]
pub enum Record {
    /// A strategy emitted a signal.
    Signal(Box<Signal<TokenId, ConditionId>>),
    /// A signal was dropped before anything acted on it.
    SignalDropped {
        /// Which.
        signal: SignalId,
        /// Whose.
        strategy: StrategyId,
        /// Where.
        market: ConditionId,
        /// `expired`, `superseded`, `killed`, …
        code: Code,
    },
    /// A strategy passed over a market for another reason than before.
    Skip {
        /// Whose.
        strategy: StrategyId,
        /// Where.
        market: ConditionId,
        /// Why.
        reason: Reason,
    },
    /// The gate, or what comes before it, refused.
    Denied {
        /// Whose.
        strategy: StrategyId,
        /// Where, if anywhere.
        market: Option<ConditionId>,
        /// What was to be done for, if anything.
        signal: Option<SignalId>,
        /// Why.
        reason: Reason,
    },
    /// An order left the gate.
    Placed(Box<OrderRecord>),
    /// An order's state changed.
    OrderChanged {
        /// Which.
        id: ClientOrderId,
        /// Whose.
        strategy: StrategyId,
        /// Its state now.
        state: OrderState,
        /// Shares whose fills are booked and have not failed.
        matched: Shares,
        /// The update that changed it (`live`, `rejected: tick`), or `reopened`.
        cause: String,
    },
    /// A fill was booked, or its settlement went on.
    Fill(Box<FillRecord>),
    /// The amounts of a fill were corrected.
    Correction(Box<CorrectionRecord>),
    /// A part of a position was closed.
    Closed(ClosedTrade),
    /// An opportunity ended.
    Opportunity {
        /// Whose.
        strategy: StrategyId,
        /// From first to last sight.
        opportunity: Opportunity<ConditionId>,
    },
    /// A basket ended.
    BasketEnded(BasketEnd),
    /// A split, merge or redemption was asked for, or answered.
    Conversion {
        /// Which.
        id: ConversionId,
        /// Whose.
        strategy: StrategyId,
        /// Where.
        market: ConditionId,
        /// What.
        action: Conversion,
        /// `asked`, `done`, `failed`.
        code: Code,
        /// Change of our pUSD.
        amount: Usdc,
    },
    /// A limit of loss broke or was lifted.
    Latch {
        /// `daily_loss`, `drawdown`, `runaway`.
        code: Code,
        /// Whether it holds.
        on: bool,
        /// What was lost.
        lost: Usdc,
    },
    /// A blocker was set or cleared.
    Blocker {
        /// Which.
        cause: Cause<TokenId, ConditionId>,
        /// Whether it holds.
        on: bool,
        /// For people.
        detail: String,
    },
    /// For people.
    Note {
        /// How urgently.
        level: NoteLevel,
        /// Stable code of the message.
        code: Code,
        /// The message.
        text: String,
    },
}

/// How urgently people should know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteLevel {
    /// Good to know.
    Info,
    /// Look at it today.
    Warning,
    /// Look at it now.
    Critical,
}

/// An order as it left the gate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OrderRecord {
    /// Our name for it.
    pub id: ClientOrderId,
    /// Whose.
    pub strategy: StrategyId,
    /// From which signal.
    pub signal: Option<SignalId>,
    /// What for.
    pub purpose: Purpose,
    /// Which market.
    pub market: ConditionId,
    /// Which token.
    pub token: TokenId,
    /// Which outcome that is.
    pub outcome: Outcome,
    /// Which way.
    pub side: Side,
    /// Limit.
    pub price: Price,
    /// How much.
    pub size: Size,
    /// How long.
    pub tif: Tif,
    /// Whether it refuses to take.
    pub post_only: bool,
    /// When its signal ends.
    pub expires: Time,
    /// Twice the middle of its token when it was decided, in ten-thousandths.
    pub double_mid: Option<u32>,
}

/// A fill of ours. Middles are in ten-thousandths of a dollar **times two** (bid + ask), of the token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FillRecord {
    /// The venue's trade.
    pub trade: TradeId,
    /// Our order.
    pub order: ClientOrderId,
    /// Whose.
    pub strategy: StrategyId,
    /// What the order was for.
    pub purpose: Purpose,
    /// When the order was decided.
    pub decided_at: Time,
    /// Which market.
    pub market: ConditionId,
    /// Which token.
    pub token: TokenId,
    /// Which outcome that is.
    pub outcome: Outcome,
    /// Which way.
    pub side: Side,
    /// Maker or taker.
    pub role: Role,
    /// The amounts.
    pub fill: Fill,
    /// Where its settlement is.
    pub status: TradeStatus,
    /// Doubled middle when the order was decided.
    pub double_mid_decided: Option<u32>,
    /// Doubled middle when this became known.
    pub double_mid: Option<u32>,
}

/// What the settled amounts of a fill changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CorrectionRecord {
    /// The venue's trade.
    pub trade: TradeId,
    /// Our order.
    pub order: ClientOrderId,
    /// Whose.
    pub strategy: StrategyId,
    /// Which token.
    pub token: TokenId,
    /// What was booked.
    pub before: Fill,
    /// What the venue settled.
    pub after: Fill,
    /// Where it came from before.
    pub basis: Basis,
    /// Millionths of a share that went to the rounding account: their lot was sold already.
    pub rounding_micros: i64,
}

/// A finished round trip, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedTrade {
    /// Whose.
    pub strategy: StrategyId,
    /// Which market.
    pub market: ConditionId,
    /// Which token.
    pub token: TokenId,
    /// Which outcome that is.
    pub outcome: Outcome,
    /// Bought.
    pub opened_at: Time,
    /// Sold, merged or redeemed.
    pub closed_at: Time,
    /// How many.
    pub shares: Shares,
    /// Paid, fees included.
    pub cost: Usdc,
    /// Received, fees taken off. Profit is `proceeds − cost`.
    pub proceeds: Usdc,
    /// Fees on the way in (part of `cost`).
    pub entry_fee: Usdc,
    /// Fees on the way out (already taken off `proceeds`).
    pub exit_fee: Usdc,
    /// How they were bought.
    pub entry_role: Role,
    /// How they were sold; `None` for merges and redemptions.
    pub exit_role: Option<Role>,
    /// Why they were sold.
    pub reason: ExitReason,
    /// Names the closing this is part of: one exit order, or what was merged or redeemed within a minute.
    pub closing: u64,
}

/// How a basket ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BasketEnd {
    /// Its number.
    pub id: BasketId,
    /// Whose.
    pub strategy: StrategyId,
    /// What kind.
    pub kind: BasketKind,
    /// The market of its first leg.
    pub market: ConditionId,
    /// Complete sets aimed at.
    pub wanted: Shares,
    /// Complete sets reached.
    pub sets: Shares,
    /// Edge after fees expected when it started.
    pub expected: Usdc,
    /// When it started.
    pub started: Time,
    /// When it ended.
    pub ended: Time,
    /// How: `merged`, `held`, `sold`, `nothing`, `unwound`, `carried`, `merged_back`, `resolved`, `redeemed`, `split_failed`, `merge_failed`.
    pub code: Code,
}

/// What the engine puts out: commands for the world, records for everybody who wants to know.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    /// To be done, in order.
    pub commands: Vec<Command>,
    /// What was decided and why, in order.
    pub records: Vec<Recorded>,
    at: Time,
    seq: u64,
    n: u32,
}

impl Outbox {
    /// An empty one.
    pub fn new() -> Outbox {
        Outbox::default()
    }

    /// The event whose consequences follow.
    #[inline]
    pub fn begin(&mut self, at: Time, seq: u64) {
        (self.at, self.seq, self.n) = (at, seq, 0);
    }

    /// Asks for something.
    pub fn command(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Reports something, under the event that caused it.
    pub fn record(&mut self, record: Record) {
        self.records.push(Recorded { at: self.at, seq: self.seq, n: self.n, record });
        self.n += 1;
    }

    /// A message for people.
    pub fn note(&mut self, level: NoteLevel, code: &'static str, text: String) {
        self.record(Record::Note { level, code: Code::literal(code), text });
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty() && self.records.is_empty()
    }

    /// Takes everything out, the room stays.
    pub fn clear(&mut self) {
        self.commands.clear();
        self.records.clear();
    }
}
