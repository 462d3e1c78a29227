//! Level changes as fast as they can be made, with correct carried best prices.
//!
//! Every market keeps contiguous ladders, so the best prices are known without a book. Each change
//! is followed by its mirror on the other token, as the venue sends it; now and then there is a
//! print. Nothing is allocated per row.

use std::path::Path;
use std::sync::Arc;

use polydesk_domain::{
    Event, LevelChange, Market, MarketEvent, MarketKey, Outcome, Price, Print, Shares, Side, Span,
    Stamped, Time, Token, Top,
};

use super::SplitMix;
use crate::{Certificate, EventSource, Manifest, ManifestDraft, TapeError, TapeWriter, Times};

/// 2026-06-01T00:00:00Z.
const BEGIN: Time = Time::from_secs(1_780_272_000);
/// Levels every side begins with.
const DEPTH: u16 = 10;
/// About one change a millisecond.
const GAP_MS: u64 = 3;

/// Amount of data to generate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Speed {
    /// Outcome tokens: two per market, rounded up to whole markets.
    pub tokens: u32,
    /// Level changes and prints; listings come on top.
    pub rows: u64,
    /// Everything follows from it.
    pub seed: u64,
}

/// One market's quotes in cents of YES.
#[derive(Debug, Clone, Copy)]
struct Quotes {
    bid: u16,
    ask: u16,
    /// Lowest bid and highest ask of the contiguous ladders.
    low: u16,
    high: u16,
    /// Levels of the first ladders still to be sent.
    unsent: u16,
}

/// The generator.
#[derive(Debug, Clone)]
pub struct SpeedSource {
    spec: Speed,
    chance: SplitMix,
    markets: Vec<Quotes>,
    listed: usize,
    made: u64,
    seq: u64,
    now: Time,
    mirror: Option<LevelChange>,
    /// Two changes are less than this apart, in ms.
    gap_ms: u64,
}

impl Speed {
    /// Starts from the beginning; two sources of one `Speed` give the same events.
    pub fn source(self) -> SpeedSource {
        self.paced(GAP_MS)
    }

    /// The same kind of events, spread over about `length` instead of one every millisecond.
    pub fn source_over(self, length: Span) -> SpeedSource {
        // Every change brings its mirror, which takes no time; the mean of what is drawn is half the bound.
        let changes = (self.rows / 2).max(1);
        let millis = u64::try_from(length.as_millis()).unwrap_or(0);
        self.paced((2 * millis / changes).max(1))
    }

    fn paced(self, gap_ms: u64) -> SpeedSource {
        let markets = self.tokens.div_ceil(2).max(1);
        let mut chance = SplitMix::new(self.seed);
        let mut quotes = Vec::new();
        for _ in 0..markets {
            let bid = 20 + chance.below(60) as u16;
            quotes.push(Quotes {
                bid,
                ask: bid + 2,
                low: bid + 1 - DEPTH,
                high: bid + 1 + DEPTH,
                unsent: 2 * DEPTH,
            });
        }
        SpeedSource {
            spec: self,
            chance,
            markets: quotes,
            listed: 0,
            made: 0,
            seq: 0,
            now: BEGIN,
            mirror: None,
            gap_ms,
        }
    }

    /// Writes the events as a tape.
    ///
    /// # Errors
    /// The folder is not empty or the disk refuses.
    pub fn write(self, dir: &Path) -> Result<Manifest, TapeError> {
        self.write_from(self.source(), dir)
    }

    /// Writes the events of [`Speed::source_over`] as a tape.
    ///
    /// # Errors
    /// The folder is not empty or the disk refuses.
    pub fn write_over(self, length: Span, dir: &Path) -> Result<Manifest, TapeError> {
        self.write_from(self.source_over(length), dir)
    }

    fn write_from(self, mut source: SpeedSource, dir: &Path) -> Result<Manifest, TapeError> {
        let draft = ManifestDraft {
            name: format!("speed-{}x{}", self.tokens, self.rows),
            source: format!("synthetic::Speed, seed {}", self.seed),
            licence: "MIT OR Apache-2.0".to_owned(),
            times: Times::Received,
            synthetic: true,
        };
        let mut writer = TapeWriter::create(dir, draft)?;
        while let Some(stamped) = source.next_event()? {
            writer.push(&stamped)?;
        }
        let certificate = Certificate {
            format: "synthetic".to_owned(),
            silence_threshold: Some(Span::ZERO),
            ..Certificate::default()
        };
        writer.finish(certificate)
    }
}

impl EventSource for SpeedSource {
    #[inline]
    fn next_event(&mut self) -> Result<Option<Stamped>, TapeError> {
        if self.listed < self.markets.len() {
            return Ok(Some(self.listing()));
        }
        if self.made >= self.spec.rows {
            return Ok(None);
        }
        self.made += 1;
        if let Some(change) = self.mirror.take() {
            return Ok(Some(self.stamp(Event::Market(MarketEvent::Level(change)))));
        }
        self.now = self.now + Span::millis(self.chance.below(self.gap_ms) as i64);
        let index = self.chance.below(self.markets.len() as u64) as usize;
        Ok(Some(self.step(index)))
    }
}

impl SpeedSource {
    #[cold]
    fn listing(&mut self) -> Stamped {
        let number = self.listed as u64;
        let key = MarketKey(self.listed as u32);
        self.listed += 1;
        let market = Arc::new(Market::plain(number + 1, &format!("speed-{number}")));
        self.stamp(Event::Market(MarketEvent::Listed { key, market }))
    }

    #[inline]
    fn stamp(&mut self, event: Event) -> Stamped {
        let stamped = Stamped { at: self.now, venue_at: self.now, seq: self.seq, event };
        self.seq += 1;
        stamped
    }

    #[inline]
    fn step(&mut self, index: usize) -> Stamped {
        let dice = self.chance.next();
        let size = Shares::new((1 + (dice >> 40) % 50_000) * 10_000);
        let quotes = &mut self.markets[index];
        let token = MarketKey(index as u32).token(Outcome::Yes);
        if quotes.unsent > 0 {
            let sent = 2 * DEPTH - quotes.unsent;
            quotes.unsent -= 1;
            let (side, cents) = if sent.is_multiple_of(2) {
                (Side::Buy, quotes.bid - sent / 2)
            } else {
                (Side::Sell, quotes.ask + sent / 2)
            };
            return self.change(index, token, side, cents, size);
        }
        let side = if dice & 1 == 0 { Side::Buy } else { Side::Sell };
        match dice >> 1 & 63 {
            0 => {
                let price = Price::cents(if side == Side::Buy { quotes.ask } else { quotes.bid });
                self.stamp(Event::Market(MarketEvent::Print(Print { token, side, price, size })))
            }
            1..=4 => {
                let cents = quotes.improve(side);
                self.change(index, token, side, cents, size)
            }
            5..=8 => {
                let (cents, size) = quotes.retreat(side, size);
                self.change(index, token, side, cents, size)
            }
            other => {
                let back = (other % 8) as u16;
                let cents = match side {
                    Side::Buy => quotes.bid.saturating_sub(back).max(quotes.low),
                    Side::Sell => (quotes.ask + back).min(quotes.high),
                };
                self.change(index, token, side, cents, size)
            }
        }
    }

    /// The change with its best prices, and its mirror for the next call.
    #[inline]
    fn change(
        &mut self,
        index: usize,
        token: Token,
        side: Side,
        cents: u16,
        size: Shares,
    ) -> Stamped {
        let quotes = &self.markets[index];
        let price = Price::cents(cents);
        let (bid, ask) = quotes.sent_best();
        let top = Top::new(bid, ask);
        let mirrored = Top::new(ask.map(Price::complement), bid.map(Price::complement));
        self.mirror = Some(LevelChange {
            token: token.sibling(),
            side: side.other(),
            price: price.complement(),
            size,
            top: Some(mirrored),
        });
        self.stamp(Event::Market(MarketEvent::Level(LevelChange {
            token,
            side,
            price,
            size,
            top: Some(top),
        })))
    }
}

impl Quotes {
    /// Best prices of what has been sent so far: the first ladders are sent best level first.
    #[inline]
    fn sent_best(&self) -> (Option<Price>, Option<Price>) {
        let asks = self.unsent < 2 * DEPTH - 1;
        (Some(Price::cents(self.bid)), asks.then_some(Price::cents(self.ask)))
    }

    /// A better price on one side, unless that would close the spread.
    #[inline]
    fn improve(&mut self, side: Side) -> u16 {
        let room = self.ask - self.bid > 1;
        match side {
            Side::Buy => {
                self.bid += u16::from(room);
                self.bid
            }
            Side::Sell => {
                self.ask -= u16::from(room);
                self.ask
            }
        }
    }

    /// Takes the best level away, or deepens the ladder where there is nothing behind it.
    #[inline]
    fn retreat(&mut self, side: Side, size: Shares) -> (u16, Shares) {
        match side {
            Side::Buy if self.low < self.bid => {
                self.bid -= 1;
                (self.bid + 1, Shares::ZERO)
            }
            Side::Buy => {
                self.low = self.low.saturating_sub(1).max(1);
                (self.low, size)
            }
            Side::Sell if self.high > self.ask => {
                self.ask += 1;
                (self.ask - 1, Shares::ZERO)
            }
            Side::Sell => {
                self.high = (self.high + 1).min(99);
                (self.high, size)
            }
        }
    }
}
