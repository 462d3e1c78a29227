//! A tape in memory at 32 bytes a row, for runs that must not wait for a disk.

use polydesk_domain::{
    Event, LevelChange, MarketEvent, Price, Print, Shares, Side, Span, Stamped, Time, Token, Top,
};

use crate::source::blank;
use crate::{EventSource, TapeError};

const LEVEL: u8 = 0;
const LEVEL_WITH_TOP: u8 = 1;
const PRINT: u8 = 2;
const RARE: u8 = 3;
const SELL: u8 = 128;
const NO_PRICE: u16 = u16::MAX;

/// One level change or print; for anything else an index into the rare events.
#[derive(Debug, Clone, Copy)]
struct Packed {
    at: i64,
    /// Millionths of a share; for rare events the index.
    size: u64,
    token: u32,
    /// `venue_at - at` in nanoseconds.
    venue: i32,
    price: u16,
    bid: u16,
    ask: u16,
    tag: u8,
    /// Added to the previous sequence number.
    step: u8,
}

/// Events in memory: 32 bytes for a level change or a print, whole events for the rest.
#[derive(Debug, Clone, Default)]
pub struct PackedTape {
    rows: Vec<Packed>,
    rare: Vec<Stamped>,
}

impl PackedTape {
    /// Reads a source to its end.
    ///
    /// # Errors
    /// The source fails.
    pub fn read(source: &mut dyn EventSource) -> Result<PackedTape, TapeError> {
        let mut tape = PackedTape::default();
        let mut last = None;
        while let Some(stamped) = source.next_event()? {
            let seq = stamped.seq;
            tape.push(stamped, last);
            last = Some(seq);
        }
        tape.rows.shrink_to_fit();
        tape.rare.shrink_to_fit();
        Ok(tape)
    }

    fn push(&mut self, stamped: Stamped, last: Option<u64>) {
        let step = last
            .and_then(|last| stamped.seq.checked_sub(last))
            .and_then(|step| u8::try_from(step).ok());
        let venue = i32::try_from(stamped.at.until(stamped.venue_at).as_nanos()).ok();
        let packed = match (step, venue) {
            (Some(step), Some(venue)) => pack(&stamped, step, venue),
            _ => None,
        };
        if let Some(packed) = packed {
            self.rows.push(packed);
            return;
        }
        self.rows.push(Packed {
            at: stamped.at.nanos(),
            size: self.rare.len() as u64,
            token: 0,
            venue: 0,
            price: 0,
            bid: 0,
            ask: 0,
            tag: RARE,
            step: 0,
        });
        self.rare.push(stamped);
    }

    /// How many events there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Bytes held on the heap, without what rare events point to.
    pub fn heap_bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Packed>() + self.rare.capacity() * size_of::<Stamped>()
    }

    /// Plays the events from the beginning.
    pub fn events(&self) -> PackedReader<'_> {
        PackedReader { tape: self, next: 0, seq: 0 }
    }
}

fn pack(stamped: &Stamped, step: u8, venue: i32) -> Option<Packed> {
    let units = |price: Option<Price>| price.map_or(NO_PRICE, Price::units);
    let way = |side: Side| if side == Side::Sell { SELL } else { 0 };
    let mut packed = Packed {
        at: stamped.at.nanos(),
        size: 0,
        token: 0,
        venue,
        price: 0,
        bid: NO_PRICE,
        ask: NO_PRICE,
        tag: 0,
        step,
    };
    match &stamped.event {
        Event::Market(MarketEvent::Level(change)) => {
            packed.size = change.size.micros();
            packed.token = change.token.0;
            packed.price = change.price.units();
            packed.tag = LEVEL | way(change.side);
            if let Some(top) = change.top {
                packed.tag = LEVEL_WITH_TOP | way(change.side);
                (packed.bid, packed.ask) = (units(top.bid()), units(top.ask()));
            }
        }
        Event::Market(MarketEvent::Print(print)) => {
            packed.size = print.size.micros();
            packed.token = print.token.0;
            packed.price = print.price.units();
            packed.tag = PRINT | way(print.side);
        }
        _ => return None,
    }
    Some(packed)
}

/// Plays a packed tape.
#[derive(Debug, Clone)]
pub struct PackedReader<'a> {
    tape: &'a PackedTape,
    next: usize,
    seq: u64,
}

impl EventSource for PackedReader<'_> {
    #[inline]
    fn next_event(&mut self) -> Result<Option<Stamped>, TapeError> {
        let mut stamped = blank();
        Ok(self.next_into(&mut stamped)?.then_some(stamped))
    }

    #[inline]
    fn next_into(&mut self, into: &mut Stamped) -> Result<bool, TapeError> {
        let Some(row) = self.tape.rows.get(self.next) else { return Ok(false) };
        self.next += 1;
        let side = if row.tag & SELL != 0 { Side::Sell } else { Side::Buy };
        // Every stored price came from a `Price`, so nothing is capped here.
        let price = |units: u16| Price::new(units).unwrap_or(Price::ONE);
        let best = |units: u16| if units == NO_PRICE { None } else { Some(price(units)) };
        let kind = row.tag & !SELL;
        match kind {
            LEVEL | LEVEL_WITH_TOP => {
                let top = Top::new(best(row.bid), best(row.ask));
                into.event.put(Event::Market(MarketEvent::Level(LevelChange {
                    token: Token(row.token),
                    side,
                    price: price(row.price),
                    size: Shares::new(row.size),
                    top: (kind == LEVEL_WITH_TOP).then_some(top),
                })));
            }
            PRINT => {
                into.event.put(Event::Market(MarketEvent::Print(Print {
                    token: Token(row.token),
                    side,
                    price: price(row.price),
                    size: Shares::new(row.size),
                })));
            }
            _ => {
                into.clone_from(&self.tape.rare[row.size as usize]);
                self.seq = into.seq;
                return Ok(true);
            }
        }
        self.seq += u64::from(row.step);
        into.at = Time::from_nanos(row.at);
        into.venue_at = into.at + Span::nanos(i64::from(row.venue));
        into.seq = self.seq;
        Ok(true)
    }
}
