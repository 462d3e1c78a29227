//! The account of a program that has a key: where the key is, which wallet holds the money, the venue's credentials, the
//! checks of all of them, and the wallet's lane on the chain with the record of what it has signed.
//!
//! Not in here: trading, and anything that paper trading could need.

pub mod access;
pub mod chain;
pub mod checks;
pub mod conversions;
pub mod opened;
pub mod relayer_key;

pub use access::Stage;
pub use opened::Opened;
