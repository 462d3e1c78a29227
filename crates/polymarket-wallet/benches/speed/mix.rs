//! Frames as the venue sends them, made of a seed: real lengths of ids and hashes, books that change
//! consistently, best prices carried.
//!
//! Of a hundred frames 70 are a `price_change` with two entries (a level and its mirror), 8 one with ten,
//! 5 a `book` of some fifty levels a side, 8 a `last_trade_price`, 9 a `best_bid_ask`.

use std::fmt::Write;

/// Markets in the mix; each has two tokens.
pub const MARKETS: usize = 100;

/// The frames of a run.
pub struct Mix {
    /// Decimal ids, two for each market.
    pub ids: Vec<String>,
    /// A whole book of every token: what each pass begins with.
    pub books: Vec<Vec<u8>>,
    /// What is measured.
    pub frames: Vec<Vec<u8>>,
}

/// A sequence of numbers that only depends on its seed (splitmix64).
pub struct Chance(pub u64);

impl Chance {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
    fn hex(&mut self, digits: usize) -> String {
        let mut text = String::new();
        while text.len() < digits {
            let _ = write!(text, "{:016x}", self.next());
        }
        text.truncate(digits);
        text
    }
    /// A decimal id of 77 digits.
    pub fn id(&mut self) -> String {
        let mut text = (1 + self.below(9)).to_string();
        while text.len() < 77 {
            let _ = write!(text, "{:018}", self.next() % 1_000_000_000_000_000_000);
        }
        text.truncate(77);
        text
    }
}

/// A market's book in cents of its first outcome; sizes in hundredths of a share.
struct Market {
    condition: String,
    sizes: [u64; 100],
    /// Levels from here up are asks.
    first_ask: usize,
}

fn cents(price: usize) -> String {
    let text = format!("0.{price:02}");
    text.strip_suffix('0').filter(|text| text.len() > 2).unwrap_or(&text).to_owned()
}

fn size(size: u64) -> String {
    match (size / 100, size % 100) {
        (whole, 0) => format!("{whole}"),
        (whole, rest) if rest % 10 == 0 => format!("{whole}.{}", rest / 10),
        (whole, rest) => format!("{whole}.{rest:02}"),
    }
}

impl Market {
    fn best(&self) -> (usize, usize) {
        let bid = (1..self.first_ask).rev().find(|p| self.sizes[*p] > 0).unwrap_or(0);
        let ask = (self.first_ask..100).find(|p| self.sizes[*p] > 0).unwrap_or(100);
        (bid, ask)
    }

    /// Changes a level near the top and keeps at least twenty levels a side.
    fn change(&mut self, chance: &mut Chance) -> (usize, bool) {
        let (bid, ask) = self.best();
        let buys = chance.below(2) == 0;
        let depth = (chance.below(4) * chance.below(4)) as usize;
        let price = if buys {
            // Sometimes inside the spread.
            let top = if chance.below(4) == 0 && ask > bid + 1 { bid + 1 } else { bid };
            self.first_ask = self.first_ask.max(top + 1);
            top.saturating_sub(depth).max(1)
        } else {
            let top = if chance.below(4) == 0 && ask > bid + 1 { ask - 1 } else { ask };
            self.first_ask = self.first_ask.min(top);
            (top + depth).min(99)
        };
        let gone = self.sizes[price] > 0
            && chance.below(6) == 0
            && self.sizes.iter().filter(|size| **size > 0).count() > 80
            && price > 20
            && price < 80;
        self.sizes[price] = if gone { 0 } else { 100 + chance.below(2_000_000) };
        (price, buys)
    }
}

impl Mix {
    /// `count` frames.
    pub fn new(seed: u64, count: usize) -> Mix {
        let mut chance = Chance(seed);
        let ids: Vec<String> = (0..MARKETS * 2).map(|_| chance.id()).collect();
        let mut markets: Vec<Market> = (0..MARKETS)
            .map(|_| {
                let first_ask = 40 + chance.below(20) as usize;
                let mut sizes = [0; 100];
                sizes[1..].iter_mut().for_each(|size| *size = 100 + chance.below(2_000_000));
                Market { condition: format!("0x{}", chance.hex(64)), sizes, first_ask }
            })
            .collect();
        let mut now = 1_790_000_000_000u64;
        let books = (0..MARKETS * 2)
            .map(|token| book(&markets[token / 2], &ids[token], token % 2 == 1, now, &mut chance))
            .collect();
        let frames = (0..count)
            .map(|_| {
                now += 1 + chance.below(20);
                let which = chance.below(MARKETS as u64) as usize;
                let market = &mut markets[which];
                let (yes, no) = (&ids[which * 2], &ids[which * 2 + 1]);
                let outcome = chance.below(2) as usize;
                let id = &ids[which * 2 + outcome];
                match chance.below(100) {
                    0..70 => changes(market, [yes, no], 1, now, &mut chance),
                    70..78 => changes(market, [yes, no], 5, now, &mut chance),
                    78..83 => book(market, id, outcome == 1, now, &mut chance),
                    83..91 => print(market, id, outcome == 1, now, &mut chance),
                    _ => best(market, id, outcome == 1, now),
                }
            })
            .collect();
        Mix { ids, books, frames }
    }

    /// Bytes of a frame on average.
    pub fn mean_bytes(&self) -> usize {
        self.frames.iter().map(Vec::len).sum::<usize>() / self.frames.len()
    }
}

fn changes(
    market: &mut Market,
    [yes, no]: [&String; 2],
    count: usize,
    now: u64,
    chance: &mut Chance,
) -> Vec<u8> {
    // No level twice in one frame: what is printed is the total after all of it.
    let mut changed: Vec<(usize, bool)> = Vec::new();
    while changed.len() < count {
        let before = (market.sizes, market.first_ask);
        let change = market.change(chance);
        if changed.iter().any(|(price, _)| *price == change.0) {
            (market.sizes, market.first_ask) = before;
        } else {
            changed.push(change);
        }
    }
    let (bid, ask) = market.best();
    let mut text = format!("{{\"market\":\"{}\",\"price_changes\":[", market.condition);
    let hashes = [chance.hex(40), chance.hex(40)];
    for (i, (price, buys)) in changed.into_iter().enumerate() {
        let total = size(market.sizes[price]);
        for (mirrored, id) in [(false, yes), (true, no)] {
            let comma = if i + usize::from(mirrored) == 0 { "" } else { "," };
            let shown = cents(if mirrored { 100 - price } else { price });
            let side = if buys != mirrored { "BUY" } else { "SELL" };
            let (bid, ask) = if mirrored { (100 - ask, 100 - bid) } else { (bid, ask) };
            let _ = write!(
                text,
                "{comma}{{\"asset_id\":\"{id}\",\"price\":\"{shown}\",\"size\":\"{total}\",\"side\":\"{side}\",\
                 \"hash\":\"{}\",\"best_bid\":\"{}\",\"best_ask\":\"{}\"}}",
                hashes[usize::from(mirrored)],
                cents(bid),
                cents(ask)
            );
        }
    }
    let _ = write!(text, "],\"timestamp\":\"{now}\",\"event_type\":\"price_change\"}}");
    text.into_bytes()
}

fn book(market: &Market, id: &str, mirrored: bool, now: u64, chance: &mut Chance) -> Vec<u8> {
    let mut text = format!(
        "{{\"market\":\"{}\",\"asset_id\":\"{id}\",\"timestamp\":\"{now}\",\"hash\":\"{}\"",
        market.condition,
        chance.hex(40)
    );
    let bids: Vec<usize> = (1..market.first_ask).collect();
    let asks: Vec<usize> = (market.first_ask..100).rev().collect();
    let at = |price: usize| if mirrored { 100 - price } else { price };
    let (bids, asks) = if mirrored {
        (asks.into_iter().collect::<Vec<_>>(), bids.into_iter().collect())
    } else {
        (bids, asks)
    };
    for (name, side) in [("bids", bids), ("asks", asks)] {
        let _ = write!(text, ",\"{name}\":[");
        let mut comma = "";
        for price in side.into_iter().filter(|price| market.sizes[*price] > 0) {
            let _ = write!(
                text,
                "{comma}{{\"price\":\"{}\",\"size\":\"{}\"}}",
                cents(at(price)),
                size(market.sizes[price])
            );
            comma = ",";
        }
        text.push(']');
    }
    text.push_str(
        ",\"tick_size\":\"0.01\",\"event_type\":\"book\",\"last_trade_price\":\"0.510\"}",
    );
    text.into_bytes()
}

fn print(market: &Market, id: &str, mirrored: bool, now: u64, chance: &mut Chance) -> Vec<u8> {
    let (bid, ask) = market.best();
    let price = if mirrored { 100 - bid } else { ask };
    format!(
        "{{\"market\":\"{}\",\"asset_id\":\"{id}\",\"price\":\"{}\",\"size\":\"{}\",\"fee_rate_bps\":\"0\",\
         \"side\":\"BUY\",\"timestamp\":\"{now}\",\"event_type\":\"last_trade_price\",\
         \"transaction_hash\":\"0x{}\"}}",
        market.condition,
        cents(price),
        size(100 + chance.below(100_000)),
        chance.hex(64)
    )
    .into_bytes()
}

fn best(market: &Market, id: &str, mirrored: bool, now: u64) -> Vec<u8> {
    let (bid, ask) = market.best();
    let (bid, ask) = if mirrored { (100 - ask, 100 - bid) } else { (bid, ask) };
    format!(
        "{{\"market\":\"{}\",\"asset_id\":\"{id}\",\"best_bid\":\"{}\",\"best_ask\":\"{}\",\
         \"spread\":\"{}\",\"timestamp\":\"{now}\",\"event_type\":\"best_bid_ask\"}}",
        market.condition,
        cents(bid),
        cents(ask),
        cents(ask - bid)
    )
    .into_bytes()
}
