//! The wallet's lane on the chain, against the local exchange's nodes and relayer in virtual time.

mod conversions;
mod moves;
mod relayer_key;
mod world;
