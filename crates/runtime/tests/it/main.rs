//! Paper trading against the local exchange, both in one paused runtime over pipes: virtual minutes in milliseconds.

mod feed;
mod life;
mod parity;
mod world;
