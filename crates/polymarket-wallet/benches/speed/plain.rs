//! The yardstick of frames: serde_json into one flat struct of borrowed texts, two sorted maps for each
//! token. It checks nothing and keeps no batches.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use crate::mix::Mix;
use crate::rounds::Subject;

#[derive(Deserialize, Default)]
#[serde(default)]
struct Flat<'f> {
    event_type: &'f str,
    asset_id: &'f str,
    #[serde(borrow)]
    bids: Vec<Level<'f>>,
    #[serde(borrow)]
    asks: Vec<Level<'f>>,
    #[serde(borrow)]
    price_changes: Vec<Change<'f>>,
}

#[derive(Deserialize)]
struct Level<'f> {
    price: &'f str,
    size: &'f str,
}

#[derive(Deserialize)]
struct Change<'f> {
    asset_id: &'f str,
    price: &'f str,
    size: &'f str,
    side: &'f str,
}

type Side = BTreeMap<u64, u64>;

/// Sorted maps per token.
pub struct Plain {
    mix: Arc<Mix>,
    tokens: BTreeMap<String, usize>,
    books: Vec<[Side; 2]>,
    check: u64,
}

fn scaled(text: &str, decimals: u32) -> u64 {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let number = |text: &str| text.bytes().fold(0u64, |n, b| n * 10 + u64::from(b - b'0'));
    let missing = decimals - (rest.len() as u32).min(decimals);
    number(whole) * 10u64.pow(decimals) + number(rest) * 10u64.pow(missing)
}

impl Plain {
    pub fn new(mix: &Arc<Mix>) -> Plain {
        let tokens = mix.ids.iter().enumerate().map(|(i, id)| (id.clone(), i)).collect();
        let books = mix.ids.iter().map(|_| Default::default()).collect();
        Plain { mix: mix.clone(), tokens, books, check: 0 }
    }

    fn frame(&mut self, frame: &[u8]) {
        let read: Flat<'_> = serde_json::from_slice(frame).expect("JSON");
        let mut last = None;
        match read.event_type {
            "book" => {
                let Some(&token) = self.tokens.get(read.asset_id) else { return };
                for (side, levels) in [(0, &read.bids), (1, &read.asks)] {
                    self.books[token][side] = levels
                        .iter()
                        .map(|level| (scaled(level.price, 4), scaled(level.size, 6)))
                        .collect();
                }
                last = Some(token);
            }
            "price_change" => {
                for change in &read.price_changes {
                    let Some(&token) = self.tokens.get(change.asset_id) else { continue };
                    let side = &mut self.books[token][usize::from(change.side == "SELL")];
                    let (price, size) = (scaled(change.price, 4), scaled(change.size, 6));
                    if size == 0 {
                        side.remove(&price);
                    } else {
                        side.insert(price, size);
                    }
                    last = Some(token);
                }
            }
            _ => last = self.tokens.get(read.asset_id).copied(),
        }
        if let Some(token) = last {
            let of = |level: Option<(&u64, &u64)>| level.map_or(0, |(p, s)| p << 48 | s);
            let [bids, asks] = &self.books[token];
            let (bid, ask) = (of(bids.last_key_value()), of(asks.first_key_value()));
            self.check = self.check.wrapping_mul(31).wrapping_add(bid ^ ask.rotate_left(32));
        }
    }
}

impl Subject for Plain {
    fn name(&self) -> &str {
        "serde_json, flat structs, two sorted maps per token"
    }
    fn prepare(&mut self) {
        let mix = self.mix.clone();
        mix.books.iter().for_each(|frame| self.frame(frame));
        self.check = 0;
    }
    fn pass(&mut self) -> u64 {
        let mix = self.mix.clone();
        mix.frames.iter().for_each(|frame| self.frame(frame));
        self.check
    }
}
