//! What live trading plugs in beside the signer of orders: the wallet's lane on the chain, and the record of what it
//! has signed.

pub mod chain;
pub mod conversions;
pub mod relayer_key;
