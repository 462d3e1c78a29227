//! One event as the flat row that is stored, and back.
//!
//! Level changes, prints and best prices fit the fixed columns; every rarer kind carries the rest
//! as compact JSON in `payload`. Rows name venue ids, never the dense numbers of a process.

use std::sync::Arc;

use polydesk_domain::{
    ConditionId, ControlEvent, Event, Interruption, LevelChange, MarketEvent, MarketKey, Outcome,
    Price, Print, Shares, Side, Stamped, Tick, Time, Token, Top, Universe,
};

use crate::kind::Kind;
use crate::payload::{self, Ids, PayloadError};

/// `outcome` and `side` of rows that have none; `best_bid`/`best_ask`/`price` of rows without one.
pub const ABSENT: i16 = -1;
/// `best_bid`/`best_ask` when the venue stated that the side is empty.
pub const EMPTY_SIDE: i16 = -2;

/// The fixed columns of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TapeRow {
    pub at: i64,
    pub venue_at: i64,
    pub seq: u64,
    pub size: u64,
    pub price: i16,
    pub best_bid: i16,
    pub best_ask: i16,
    pub kind: u8,
    pub outcome: i8,
    pub side: i8,
}

impl TapeRow {
    fn bare(stamped: &Stamped, kind: Kind) -> TapeRow {
        TapeRow {
            at: stamped.at.nanos(),
            venue_at: stamped.venue_at.nanos(),
            seq: stamped.seq,
            size: 0,
            price: ABSENT,
            best_bid: ABSENT,
            best_ask: ABSENT,
            kind: kind as u8,
            outcome: -1,
            side: -1,
        }
    }

    fn with_token(mut self, token: Token) -> TapeRow {
        self.outcome = token.outcome() as i8;
        self
    }

    fn with_top(mut self, top: Top) -> TapeRow {
        let side = |price: Option<Price>| price.map_or(EMPTY_SIDE, |price| price.units() as i16);
        (self.best_bid, self.best_ask) = (side(top.bid()), side(top.ask()));
        self
    }
}

/// A row with everything that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Encoded {
    pub row: TapeRow,
    pub market: Option<ConditionId>,
    pub payload: Option<String>,
}

/// Turns an event into its row. The universe must know every market the event speaks of, except one that
/// it lists.
pub(crate) fn encode(stamped: &Stamped, universe: &Universe) -> Result<Encoded, PayloadError> {
    let ids = Ids(universe);
    let row = TapeRow::bare(stamped, Kind::of(&stamped.event));
    let of_none = |payload| Encoded { row, market: None, payload };
    Ok(match &stamped.event {
        Event::Market(event) => encode_market(event, row, ids)?,
        Event::Account(event) => of_none(Some(payload::account::encode(event, ids)?)),
        Event::World(event) => of_none(Some(payload::world::encode(event, ids)?)),
        Event::Control(event) => of_none(payload::control::encode(event, ids)?),
    })
}

fn encode_market(event: &MarketEvent, row: TapeRow, ids: Ids<'_>) -> Result<Encoded, PayloadError> {
    let mut encoded = Encoded { row, market: None, payload: None };
    let row = &mut encoded.row;
    let key = match event {
        MarketEvent::Level(change) => {
            *row = row.with_token(change.token);
            if let Some(top) = change.top {
                *row = row.with_top(top);
            }
            row.side = change.side as i8;
            row.price = change.price.units() as i16;
            row.size = payload::micros(change.size)?;
            change.token.market()
        }
        MarketEvent::Print(print) => {
            *row = row.with_token(print.token);
            row.side = print.side as i8;
            row.price = print.price.units() as i16;
            row.size = payload::micros(print.size)?;
            print.token.market()
        }
        MarketEvent::Best { token, top } => {
            *row = row.with_token(*token).with_top(*top);
            token.market()
        }
        MarketEvent::Snapshot(snapshot) => {
            *row = row.with_token(snapshot.token);
            encoded.payload = Some(payload::market::snapshot_text(snapshot)?);
            snapshot.token.market()
        }
        MarketEvent::Tick { market, tick } => {
            row.price = tick.units() as i16;
            *market
        }
        MarketEvent::State { market, state } => {
            encoded.payload = Some(payload::market::state_text(*state)?);
            *market
        }
        MarketEvent::Unverified { market, on } => {
            encoded.payload = Some(payload::market::unverified_text(*on)?);
            *market
        }
        MarketEvent::Listed { market, .. } => {
            encoded.market = Some(market.condition);
            encoded.payload = Some(payload::market::listed_text(market)?);
            return Ok(encoded);
        }
        MarketEvent::Delisted { market } => *market,
        MarketEvent::Interrupted(Interruption { market: Some(market) }) => *market,
        MarketEvent::Interrupted(Interruption { market: None }) => return Ok(encoded),
        MarketEvent::Reference(reference) => {
            encoded.payload = Some(payload::market::reference_text(reference)?);
            return Ok(encoded);
        }
    };
    encoded.market = Some(ids.condition(key)?);
    Ok(encoded)
}

/// The hot path: a level change, unless it is malformed (then [`decode`] returns the error).
///
/// Nothing here allocates, and nothing is looked up.
#[inline(always)]
pub(crate) fn level(row: &TapeRow, key: MarketKey) -> Option<LevelChange> {
    let token = match row.outcome {
        0 => key.token(Outcome::Yes),
        1 => key.token(Outcome::No),
        _ => return None,
    };
    let side = match row.side {
        0 => Side::Buy,
        1 => Side::Sell,
        _ => return None,
    };
    let known = |units: i16| Price::new(units as u16);
    let best = |units: i16| match units {
        EMPTY_SIDE => Some(None),
        units => known(units).map(Some),
    };
    let top = match (row.best_bid, row.best_ask) {
        (ABSENT, ABSENT) => None,
        (bid, ask) => Some(Top::new(best(bid)?, best(ask)?)),
    };
    if row.size > Shares::SANE_MAX.micros() {
        return None;
    }
    Some(LevelChange { token, side, price: known(row.price)?, size: Shares::new(row.size), top })
}

/// Turns a row of the market `key` back into its event.
///
/// `None` for the key is the partition of rows that belong to no market.
pub(crate) fn decode(
    row: &TapeRow,
    key: Option<MarketKey>,
    payload: Option<&str>,
    universe: &Universe,
) -> Result<Stamped, PayloadError> {
    let stamped = |event| Stamped {
        at: Time::from_nanos(row.at),
        venue_at: Time::from_nanos(row.venue_at),
        seq: row.seq,
        event,
    };
    Ok(stamped(decode_rare(row, key, payload, universe)?))
}

fn decode_rare(
    row: &TapeRow,
    key: Option<MarketKey>,
    payload: Option<&str>,
    universe: &Universe,
) -> Result<Event, PayloadError> {
    let ids = Ids(universe);
    let kind = Kind::from_number(i32::from(row.kind))
        .ok_or_else(|| PayloadError(format!("kind {} is unknown", row.kind)))?;
    let market = || key.ok_or_else(|| PayloadError(format!("{} without a market", kind.name())));
    let text = || payload.ok_or_else(|| PayloadError(format!("{} without payload", kind.name())));
    Ok(match kind {
        Kind::Level => Event::Market(MarketEvent::Level(LevelChange {
            token: token(row, key)?,
            side: side(row)?,
            price: price(row.price)?,
            size: payload::shares(row.size)?,
            top: match (row.best_bid, row.best_ask) {
                (ABSENT, ABSENT) => None,
                (bid, ask) => Some(Top::new(best(bid)?, best(ask)?)),
            },
        })),
        Kind::Print => Event::Market(MarketEvent::Print(Print {
            token: token(row, key)?,
            side: side(row)?,
            price: price(row.price)?,
            size: payload::shares(row.size)?,
        })),
        Kind::Best => Event::Market(MarketEvent::Best {
            token: token(row, key)?,
            top: Top::new(best(row.best_bid)?, best(row.best_ask)?),
        }),
        Kind::Snapshot => {
            let snapshot = payload::market::read_snapshot(token(row, key)?, text()?)?;
            Event::Market(MarketEvent::Snapshot(Arc::new(snapshot)))
        }
        Kind::Tick => Event::Market(MarketEvent::Tick {
            market: market()?,
            tick: u16::try_from(row.price)
                .ok()
                .and_then(Tick::from_units)
                .ok_or_else(|| PayloadError(format!("tick of {} units is unknown", row.price)))?,
        }),
        Kind::State => Event::Market(MarketEvent::State {
            market: market()?,
            state: payload::market::read_state(text()?)?,
        }),
        Kind::Gap => Event::Market(MarketEvent::Interrupted(Interruption { market: key })),
        Kind::Listed => {
            let facts = Arc::new(payload::market::read_listed(text()?)?);
            // The file stores no key: a market keeps the one it has, a new one gets the next.
            let key = universe.key(&facts.condition).unwrap_or(universe.next_key());
            Event::Market(MarketEvent::Listed { key, market: facts })
        }
        Kind::Delisted => Event::Market(MarketEvent::Delisted { market: market()? }),
        Kind::Unverified => Event::Market(MarketEvent::Unverified {
            market: market()?,
            on: payload::market::read_unverified(text()?)?,
        }),
        Kind::Reference => {
            let reference = payload::market::read_reference(text()?)?;
            Event::Market(MarketEvent::Reference(Arc::new(reference)))
        }
        Kind::Order
        | Kind::Trade
        | Kind::Cash
        | Kind::Link
        | Kind::Account
        | Kind::External
        | Kind::Finding => payload::account::decode(kind, text()?, ids)?.into(),
        Kind::Wallet
        | Kind::LeaderState
        | Kind::Article
        | Kind::Forecast
        | Kind::NoForecast
        | Kind::Signal => payload::world::decode(kind, text()?, ids)?.into(),
        Kind::Timer => ControlEvent::Timer.into(),
        Kind::Start => payload::control::start(payload, ids)?.into(),
        Kind::Stop => ControlEvent::Stop.into(),
        Kind::Blocker | Kind::Limits | Kind::Params | Kind::Strategy | Kind::Operator => {
            payload::control::decode(kind, text()?, ids)?.into()
        }
    })
}

#[inline]
fn token(row: &TapeRow, key: Option<MarketKey>) -> Result<Token, PayloadError> {
    match (key, row.outcome) {
        (Some(key), 0) => Ok(key.token(Outcome::Yes)),
        (Some(key), 1) => Ok(key.token(Outcome::No)),
        _ => Err(PayloadError(format!("outcome {} is neither 0 nor 1", row.outcome))),
    }
}

#[inline]
fn side(row: &TapeRow) -> Result<Side, PayloadError> {
    match row.side {
        0 => Ok(Side::Buy),
        1 => Ok(Side::Sell),
        other => Err(PayloadError(format!("side {other} is neither 0 nor 1"))),
    }
}

#[inline]
fn price(units: i16) -> Result<Price, PayloadError> {
    match u16::try_from(units).ok().and_then(Price::new) {
        Some(price) => Ok(price),
        None => Err(PayloadError(format!("price {units} is outside 0..=10000"))),
    }
}

#[inline]
fn best(units: i16) -> Result<Option<Price>, PayloadError> {
    if units == EMPTY_SIDE { Ok(None) } else { price(units).map(Some) }
}
