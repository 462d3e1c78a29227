//! The gateway: what the venue answers and reports becomes account events, and an account is compared with its truth.
//!
//! It knows which order hash belongs to which order of the engine ([`Orders`]), reads answers ([`Gateway::placed`],
//! [`Gateway::batch`], [`Gateway::cancelled`], [`Gateway::queried`]), the user channel ([`Gateway::user`]) and own
//! trades ([`Gateway::trade`]), and concludes from complete reads only what they prove ([`reconcile()`]).
//! Everything is a function of its arguments. It does not send, does not wait and does not ask for the time: what has
//! to be read or cancelled next is an [`Ask`] among its [`Output`]s.

mod amounts;
mod answers;
mod gateway;
mod logs;
mod orders;
mod output;
mod reads;
mod reconcile;
mod states;
mod user;

pub use amounts::{BuilderFees, estimate};
pub use gateway::{Account, Gateway};
pub use logs::{DEPTH, FilledLog};
pub use orders::{
    BindError, OrderEnd, OrderFacts, Orders, WireFill, WireOrder, WireRow, WireRowError,
};
pub use output::{Ask, Output};
pub use reads::{ChainMove, ChainRead, Reads};
pub use reconcile::{View, ViewOrder, reconcile};
