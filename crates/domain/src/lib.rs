//! Shared types of the bot: numbers with units, ids, markets, books, events and commands.
//!
//! The crate does no I/O, reads no clock and draws no random numbers. Money and shares
//! are integers inside newtypes; text becomes a number through `rust_decimal`; `f64` appears only
//! where an estimate or a recording made with floats crosses in, and each such function names how
//! it rounds.
//!
//! ```
//! use polydesk_domain::{Book, Outcome, Price, Shares, Side, Tick};
//!
//! let mut book = Book::new(Tick::Cent);
//! book.set(Outcome::Yes, Side::Buy, Price::cents(42), Shares::whole(100)).unwrap();
//! book.set(Outcome::Yes, Side::Sell, Price::cents(44), Shares::whole(50)).unwrap();
//! // The NO outcome is a view on the same levels.
//! assert_eq!(book.best_bid(Outcome::No), Some((Price::cents(56), Shares::whole(50))));
//! ```

mod amounts;
mod batch;
mod blocker;
mod book;
mod book_hash;
mod code;
mod command;
mod event;
mod exit;
mod fee;
mod id;
mod market;
mod num;
mod opportunity;
mod order;
mod outcome;
mod position;
mod purpose;
mod reason;
mod record;
mod signal;
mod time;

pub use amounts::{Amounts, AmountsError, Rounding, immediate_amounts, resting_amounts};
pub use batch::{Applied, BatchStats, Books};
pub use blocker::{Blocker, Cause, Scope};
pub use book::{Book, BookQuality, DepthWalk, Levels, OffGrid, Touched};
pub use book_hash::{HashInput, RawLevel, book_hash};
pub use code::{Code, CodeError};
pub use command::{Command, Conversion, PlaceOrder, Query};
pub use event::{
    AccountEvent, AccountSnapshot, Article, BookSnapshot, Cash, CashKind, Channel, ControlEvent,
    Event, ExternalOrder, Finding, Forecast, Interruption, LeaderState, LevelChange, MarketEvent,
    Operator, OperatorCommand, Print, Quality, Reference, RunMode, RunStart, Stamped, Top,
    WalletTrade, WorldEvent,
};
pub use exit::{ExitPlan, ExitReason, Stop, TakeProfit, Trailing};
pub use fee::{FeeError, FeePeriod, FeeRate, Fees};
pub use id::{
    AskId, BasketId, ClientOrderId, ConditionId, ConversionId, Digits, IdError, MarketKey,
    OrderHash, SignalId, StrategyId, Token, TokenId, TradeId,
};
pub use market::{Market, MarketError, MarketState, NegRisk, Payout, ProtocolVersion, Universe};
pub use num::{NumError, Price, Shares, Tick, Usdc};
pub use opportunity::{Opportunity, Subject};
pub use order::{
    Basis, CancelReason, Fill, OrderState, OrderUpdate, OwnTrade, RejectReason, Role, Side, Size,
    Tif, TradeStatus,
};
pub use outcome::Outcome;
pub use position::Position;
pub use purpose::Purpose;
pub use reason::{Figure, Reason};
pub use record::{
    BasketEnd, ClosedTrade, CorrectionRecord, FillRecord, NoteLevel, OrderRecord, Outbox, Record,
    Recorded,
};
pub use signal::{
    Action, ActionKind, Basket, BasketKind, Close, Leg, Quote, Signal, TradeIntent, Urgency,
};
pub use time::{Span, Time};
