//! Paper trading against the local exchange, both in one paused runtime over pipes: virtual minutes in milliseconds.

mod disk;
mod feed;
mod finding;
mod kill_beat;
mod kill_ladder;
mod kill_thread;
mod kill_world;
mod life;
mod live_adversary;
mod live_faults;
mod live_foreign;
mod live_guards;
mod live_money;
mod live_orders;
mod live_world;
mod parity;
mod receiving;
mod series;
mod serving;
mod starting;
mod trouble;
mod world;
