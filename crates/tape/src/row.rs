//! One event as the flat row that is stored, and back.
//!
//! Level changes, prints and best prices fit the fixed columns; every rarer kind carries the rest
//! as compact JSON in `payload`. Rows name venue ids, never the dense numbers of a process.

use std::sync::Arc;

use polydesk_domain::{
    ConditionId, Event, Gap, LevelChange, MarketKey, Outcome, Price, Print, Shares, Side, Stamped,
    Time, Token, Top, Universe,
};

use crate::payload::{self, PayloadError};

/// What a row says. The number is what the `kind` column holds; numbers are never reused.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Kind {
    /// A level's new total size: outcome, side, price, size, best prices where carried.
    Level = 0,
    /// A public trade: outcome, side, price, size.
    Print = 1,
    /// Best prices without a level: outcome, best_bid, best_ask.
    Best = 2,
    /// A whole book: outcome; payload `{"bids":[[price,size],…],"asks":[…]}` in integer units.
    Snapshot = 3,
    /// A new price grid: price holds the tick.
    Tick = 4,
    /// A new market state: payload `{"state":…,"yes_micros":…}`.
    State = 5,
    /// An interruption, of one market or of all.
    Gap = 6,
    /// A market's facts: payload is the market.
    Listed = 7,
    /// News of an own order.
    Order = 8,
    /// News of an own fill.
    Trade = 9,
    /// Money or sets moved.
    Cash = 10,
    /// A followed wallet's trade.
    Wallet = 11,
    /// A news article.
    Article = 12,
    /// A model's answer.
    Forecast = 13,
    /// A person acted.
    Operator = 14,
    /// New parameters of a strategy.
    Params = 15,
    /// Time passed.
    Timer = 16,
    /// The run began.
    Start = 17,
    /// The run ended.
    Stop = 18,
}

impl Kind {
    /// All kinds, by number.
    pub const ALL: [Kind; 19] = [
        Kind::Level,
        Kind::Print,
        Kind::Best,
        Kind::Snapshot,
        Kind::Tick,
        Kind::State,
        Kind::Gap,
        Kind::Listed,
        Kind::Order,
        Kind::Trade,
        Kind::Cash,
        Kind::Wallet,
        Kind::Article,
        Kind::Forecast,
        Kind::Operator,
        Kind::Params,
        Kind::Timer,
        Kind::Start,
        Kind::Stop,
    ];

    /// The kind with this number.
    pub fn from_number(number: i32) -> Option<Kind> {
        usize::try_from(number).ok().and_then(|n| Kind::ALL.get(n).copied())
    }

    /// The word used in certificates and in the file's metadata.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Level => "level",
            Kind::Print => "print",
            Kind::Best => "best",
            Kind::Snapshot => "snapshot",
            Kind::Tick => "tick",
            Kind::State => "state",
            Kind::Gap => "gap",
            Kind::Listed => "listed",
            Kind::Order => "order",
            Kind::Trade => "trade",
            Kind::Cash => "cash",
            Kind::Wallet => "wallet",
            Kind::Article => "article",
            Kind::Forecast => "forecast",
            Kind::Operator => "operator",
            Kind::Params => "params",
            Kind::Timer => "timer",
            Kind::Start => "start",
            Kind::Stop => "stop",
        }
    }

    /// The kind of an event.
    pub fn of(event: &Event) -> Kind {
        match event {
            Event::Market(MarketEvent::Level(_)) => Kind::Level,
            Event::Market(MarketEvent::Print(_)) => Kind::Print,
            Event::Market(MarketEvent::Best { .. }) => Kind::Best,
            Event::Market(MarketEvent::Snapshot(_)) => Kind::Snapshot,
            Event::Market(MarketEvent::Tick { .. }) => Kind::Tick,
            Event::Market(MarketEvent::State { .. }) => Kind::State,
            Event::Market(MarketEvent::Interrupted(_)) => Kind::Gap,
            Event::Market(MarketEvent::Listed { .. }) => Kind::Listed,
            Event::OrderFIX(_) => Kind::Order,
            Event::TradeFIX(_) => Kind::Trade,
            Event::CashFIX(_) => Kind::Cash,
            Event::WalletFIX(_) => Kind::Wallet,
            Event::ArticleFIX(_) => Kind::Article,
            Event::ForecastFIX(_) => Kind::Forecast,
            Event::OperatorFIX(_) => Kind::Operator,
            Event::from(ControlEvent::Params { .. }) => Kind::Params,
            Event::from(ControlEvent::Timer) => Kind::Timer,
            Event::from(ControlEvent::Start) => Kind::Start,
            Event::from(ControlEvent::Stop) => Kind::Stop,
        }
    }
}

/// `outcome` and `side` of rows that have none; `best_bid`/`best_ask`/`price` of rows without one.
pub const ABSENT: i16 = -1;
/// `best_bid`/`best_ask` when the venue stated that the side is empty.
pub const EMPTY_SIDE: i16 = -2;

/// The fixed columns of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Row {
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

impl Row {
    fn bare(stamped: &Stamped, kind: Kind) -> Row {
        Row {
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

    fn with_token(mut self, token: Token) -> Row {
        self.outcome = token.outcome() as i8;
        self
    }

    fn with_top(mut self, top: Top) -> Row {
        let side = |price: Option<Price>| price.map_or(EMPTY_SIDE, |price| price.units() as i16);
        (self.best_bid, self.best_ask) = (side(top.bid), side(top.ask));
        self
    }
}

/// A row with everything that belongs to it.
pub(crate) struct Encoded {
    pub row: Row,
    pub market: Option<ConditionId>,
    pub payload: Option<String>,
}

/// Turns an event into its row. The universe must know every market the event speaks of.
pub(crate) fn encode(stamped: &Stamped, universe: &Universe) -> Result<Encoded, String> {
    let kind = Kind::of(&stamped.event);
    let bare = Row::bare(stamped, kind);
    let condition = |key: MarketKey| {
        universe
            .get(key)
            .map(|market| market.condition)
            .ok_or_else(|| format!("market number {} was never listed", key.0))
    };
    let mut encoded = Encoded { row: bare, market: None, payload: None };
    match &stamped.event {
        Event::Market(MarketEvent::Level(change)) => {
            let row = bare.with_token(change.token);
            encoded.row = match change.top {
                Some(top) => row.with_top(top),
                None => row,
            };
            encoded.row.side = change.side as i8;
            encoded.row.price = change.price.units() as i16;
            encoded.row.size = change.size.micros();
            encoded.market = Some(condition(change.token.market())?);
        }
        Event::Market(MarketEvent::Print(print)) => {
            encoded.row = bare.with_token(print.token);
            encoded.row.side = print.side as i8;
            encoded.row.price = print.price.units() as i16;
            encoded.row.size = print.size.micros();
            encoded.market = Some(condition(print.token.market())?);
        }
        Event::Market(MarketEvent::Best { token, top }) => {
            encoded.row = bare.with_token(*token).with_top(*top);
            encoded.market = Some(condition(token.market())?);
        }
        Event::Market(MarketEvent::Snapshot(snapshot)) => {
            encoded.row = bare.with_token(snapshot.token);
            encoded.market = Some(condition(snapshot.token.market())?);
            encoded.payload = Some(payload::snapshot_text(snapshot));
        }
        Event::Market(MarketEvent::Tick { market, tick }) => {
            encoded.row.price = tick.units() as i16;
            encoded.market = Some(condition(*market)?);
        }
        Event::Market(MarketEvent::State { market, .. }) => {
            encoded.market = Some(condition(*market)?);
            encoded.payload = Some(payload::encode(&stamped.event, universe)?);
        }
        Event::Market(MarketEvent::Interrupted(gap)) => encoded.market = gap.market.map(condition).transpose()?,
        Event::Market(MarketEvent::Listed { market, .. }) => {
            encoded.market = Some(market.condition);
            encoded.payload = Some(payload::encode(&stamped.event, universe)?);
        }
        Event::from(ControlEvent::Timer) | Event::from(ControlEvent::Start) | Event::from(ControlEvent::Stop) => (),
        _ => encoded.payload = Some(payload::encode(&stamped.event, universe)?),
    }
    if encoded.row.size > Shares::SANE_MAX.micros() {
        return Err(format!("its size of {} is above {ABSURD}", Shares::new(encoded.row.size)));
    }
    Ok(encoded)
}

/// The hot path: a level change, unless something is wrong with it (then [`decode`] says what).
///
/// Nothing here allocates, and nothing is looked up.
#[inline(always)]
pub(crate) fn level(row: &Row, key: MarketKey) -> Option<LevelChange> {
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
        (bid, ask) => Some(Top { bid: best(bid)?, ask: best(ask)? }),
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
    row: &Row,
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
    row: &Row,
    key: Option<MarketKey>,
    payload: Option<&str>,
    universe: &Universe,
) -> Result<Event, PayloadError> {
    let kind = Kind::from_number(i32::from(row.kind))
        .ok_or_else(|| PayloadError(format!("kind {} is unknown", row.kind)))?;
    let market = || key.ok_or_else(|| PayloadError(format!("{} without a market", kind.name())));
    let text = || payload.ok_or_else(|| PayloadError(format!("{} without payload", kind.name())));
    Ok(match kind {
        Kind::Level => Event::Market(MarketEvent::Level(LevelChange {
            token: token(row, key)?,
            side: side(row)?,
            price: price(row.price)?,
            size: size(row)?,
            top: match (row.best_bid, row.best_ask) {
                (ABSENT, ABSENT) => None,
                (bid, ask) => Some(Top { bid: best(bid)?, ask: best(ask)? }),
            },
        })),
        Kind::Print => Event::Market(MarketEvent::Print(Print {
            token: token(row, key)?,
            side: side(row)?,
            price: price(row.price)?,
            size: size(row)?,
        })),
        Kind::Best => Event::Market(MarketEvent::Best {
            token: token(row, key)?,
            top: Top { bid: best(row.best_bid)?, ask: best(row.best_ask)? },
        }),
        Kind::Snapshot => {
            Event::Market(MarketEvent::Snapshot(Arc::new(payload::read_snapshot(token(row, key)?, text()?)?)))
        }
        Kind::Tick => Event::Market(MarketEvent::Tick {
            market: market()?,
            tick: u16::try_from(row.price)
                .ok()
                .and_then(polydesk_domain::Tick::from_units)
                .ok_or_else(|| PayloadError(format!("tick of {} units is unknown", row.price)))?,
        }),
        Kind::Gap => Event::Market(MarketEvent::Interrupted(Interruption { market: key })),
        Kind::Timer => Event::from(ControlEvent::Timer),
        Kind::Start => Event::from(ControlEvent::Start),
        Kind::Stop => Event::from(ControlEvent::Stop),
        _ => payload::decode(kind, key, text()?, universe)?,
    })
}

/// What `Shares::SANE_MAX` is, in words.
const ABSURD: &str = "500 million shares";

#[inline]
fn size(row: &Row) -> Result<Shares, PayloadError> {
    if row.size > Shares::SANE_MAX.micros() {
        return Err(PayloadError(format!("size of {} millionths is above {ABSURD}", row.size)));
    }
    Ok(Shares::new(row.size))
}

#[inline]
fn token(row: &Row, key: Option<MarketKey>) -> Result<Token, PayloadError> {
    match (key, row.outcome) {
        (Some(key), 0) => Ok(key.token(Outcome::Yes)),
        (Some(key), 1) => Ok(key.token(Outcome::No)),
        _ => Err(PayloadError(format!("outcome {} is neither 0 nor 1", row.outcome))),
    }
}

#[inline]
fn side(row: &Row) -> Result<Side, PayloadError> {
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
