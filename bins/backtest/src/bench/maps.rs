//! The yardstick: books as most programs keep them, two sorted maps per token.
//!
//! It knows no batches and no mirror: every row changes the book of its own token, and the best
//! prices are read after each.

use std::collections::BTreeMap;

use polydesk_domain::{Event, LevelChange, MarketEvent, Price, Shares, Side};

#[derive(Default)]
struct Sides {
    bids: BTreeMap<Price, Shares>,
    asks: BTreeMap<Price, Shares>,
}

/// A pair of sorted maps for each token.
#[derive(Default)]
pub struct Maps {
    tokens: Vec<Sides>,
}

impl Maps {
    /// Applies a level change and returns the sum of the token's best prices; anything else is zero.
    #[inline]
    pub fn apply(&mut self, event: &Event) -> u64 {
        match event {
            Event::Market(MarketEvent::Level(change)) => self.level(change),
            _ => 0,
        }
    }

    #[inline]
    fn level(&mut self, change: &LevelChange) -> u64 {
        let index = change.token.0 as usize;
        if self.tokens.len() <= index {
            self.tokens.resize_with(index + 1, Sides::default);
        }
        let sides = &mut self.tokens[index];
        let side = if change.side == Side::Buy { &mut sides.bids } else { &mut sides.asks };
        if change.size.is_zero() {
            side.remove(&change.price);
        } else {
            side.insert(change.price, change.size);
        }
        let bid = sides.bids.last_key_value().map_or(0, |(price, _)| u64::from(price.units()));
        let ask = sides.asks.first_key_value().map_or(0, |(price, _)| u64::from(price.units()));
        bid + ask
    }
}
