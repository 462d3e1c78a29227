//! The kinds of rows, by number and by name.

use polydesk_domain::{AccountEvent, ControlEvent, Event, MarketEvent, WorldEvent};

/// The kind of a row. The number is the value of the `kind` column; numbers are never reused. A program
/// that does not know a number refuses the row, so a new kind needs no new schema version.
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
    /// A new tick size: price holds it.
    Tick = 4,
    /// A new market state: payload `{"state":…,"yes_micros":…}`.
    State = 5,
    /// An interruption of the stream, of one market or of all.
    Gap = 6,
    /// A market's facts: payload is the market.
    Listed = 7,
    /// An update of an own order.
    Order = 8,
    /// An own fill, or a later stage of its settlement.
    Trade = 9,
    /// Money or complete sets moved.
    Cash = 10,
    /// A followed wallet's trade.
    Wallet = 11,
    /// An article.
    Article = 12,
    /// A model's answer.
    Forecast = 13,
    /// An operator command.
    Operator = 14,
    /// New parameters of a strategy.
    Params = 15,
    /// Time passed.
    Timer = 16,
    /// The run began.
    Start = 17,
    /// The run ended.
    Stop = 18,
    /// A market is over and flat.
    Delisted = 19,
    /// The last proof of a market's book is too old, or a new one came.
    Unverified = 20,
    /// A price of something outside the venue.
    Reference = 21,
    /// A feed connection came up or went down.
    Link = 22,
    /// An account snapshot: balances and open orders as read from venue and chain.
    Account = 23,
    /// An order of our wallet that this bot did not place.
    External = 24,
    /// A correction that reconciliation found to be due.
    Finding = 25,
    /// The positions of a followed wallet.
    LeaderState = 26,
    /// A question that no forecast will answer.
    NoForecast = 27,
    /// A signal of another process.
    Signal = 28,
    /// A blocker was set or cleared.
    Blocker = 29,
    /// New limits of risk.
    Limits = 30,
    /// A strategy was switched on or off.
    Strategy = 31,
}

impl Kind {
    /// All kinds, by number.
    pub const ALL: [Kind; 32] = [
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
        Kind::Delisted,
        Kind::Unverified,
        Kind::Reference,
        Kind::Link,
        Kind::Account,
        Kind::External,
        Kind::Finding,
        Kind::LeaderState,
        Kind::NoForecast,
        Kind::Signal,
        Kind::Blocker,
        Kind::Limits,
        Kind::Strategy,
    ];

    /// The kind with this number.
    pub fn from_number(number: i32) -> Option<Kind> {
        usize::try_from(number).ok().and_then(|n| Kind::ALL.get(n).copied())
    }

    /// Its name in certificates and in the file's metadata.
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
            Kind::Delisted => "delisted",
            Kind::Unverified => "unverified",
            Kind::Reference => "reference",
            Kind::Link => "link",
            Kind::Account => "account",
            Kind::External => "external",
            Kind::Finding => "finding",
            Kind::LeaderState => "leader_state",
            Kind::NoForecast => "no_forecast",
            Kind::Signal => "signal",
            Kind::Blocker => "blocker",
            Kind::Limits => "limits",
            Kind::Strategy => "strategy",
        }
    }

    /// The kind of an event.
    pub fn of(event: &Event) -> Kind {
        match event {
            Event::Market(event) => Kind::of_market(event),
            Event::Account(event) => match **event {
                AccountEvent::Link { .. } => Kind::Link,
                AccountEvent::Snapshot(_) => Kind::Account,
                AccountEvent::Order { .. } => Kind::Order,
                AccountEvent::Trade(_) => Kind::Trade,
                AccountEvent::Cash(_) => Kind::Cash,
                AccountEvent::External(_) => Kind::External,
                AccountEvent::Finding(_) => Kind::Finding,
            },
            Event::World(event) => match **event {
                WorldEvent::Wallet(_) => Kind::Wallet,
                WorldEvent::LeaderState(_) => Kind::LeaderState,
                WorldEvent::Article(_) => Kind::Article,
                WorldEvent::Forecast(_) => Kind::Forecast,
                WorldEvent::NoForecast { .. } => Kind::NoForecast,
                WorldEvent::Signal(_) => Kind::Signal,
            },
            Event::Control(event) => match **event {
                ControlEvent::Start(_) => Kind::Start,
                ControlEvent::Stop => Kind::Stop,
                ControlEvent::Timer => Kind::Timer,
                ControlEvent::Blocker { .. } => Kind::Blocker,
                ControlEvent::Limits { .. } => Kind::Limits,
                ControlEvent::Params { .. } => Kind::Params,
                ControlEvent::Strategy { .. } => Kind::Strategy,
                ControlEvent::Operator(_) => Kind::Operator,
            },
        }
    }

    const fn of_market(event: &MarketEvent) -> Kind {
        match event {
            MarketEvent::Level(_) => Kind::Level,
            MarketEvent::Print(_) => Kind::Print,
            MarketEvent::Best { .. } => Kind::Best,
            MarketEvent::Snapshot(_) => Kind::Snapshot,
            MarketEvent::Tick { .. } => Kind::Tick,
            MarketEvent::State { .. } => Kind::State,
            MarketEvent::Interrupted(_) => Kind::Gap,
            MarketEvent::Listed { .. } => Kind::Listed,
            MarketEvent::Delisted { .. } => Kind::Delisted,
            MarketEvent::Unverified { .. } => Kind::Unverified,
            MarketEvent::Reference(_) => Kind::Reference,
        }
    }
}
