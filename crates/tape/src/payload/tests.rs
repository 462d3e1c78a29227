//! The stored form of every kind is shown in `docs/tape.md`, kept, and refused when damaged.

use std::fmt::Write as _;
use std::sync::Arc;

use expect_test::expect_file;
use polydesk_domain::{
    AccountEvent, AccountSnapshot, Action, Article, AskId, Basis, Basket, BasketKind, BookSnapshot,
    CancelReason, Cash, CashKind, Cause, Channel, ClientOrderId, Close, Code, ControlEvent,
    ConversionId, Event, ExitPlan, ExternalOrder, Fill, Finding, Forecast, Interruption,
    LeaderState, Leg, LevelChange, Market, MarketEvent, MarketKey, MarketState, Operator,
    OperatorCommand, OrderHash, OrderUpdate, OwnTrade, Payout, Price, Print, Quote, Reason,
    Reference, RejectReason, Role, Shares, Side, Signal, SignalId, Size, Span, Stamped, StrategyId,
    TakeProfit, Tick, Time, Token, Top, TradeId, TradeIntent, TradeStatus, Universe, Urgency, Usdc,
    WalletTrade, WorldEvent,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::kind::Kind;
use crate::row::{self, ABSENT, Encoded, TapeRow};

const FIRST: MarketKey = MarketKey(0);
const YES: Token = Token(0);
const NO: Token = Token(1);
const AT: Time = Time::from_secs(1_780_272_000);

/// One market, as the examples name it.
fn universe() -> Universe {
    let mut universe = Universe::new();
    universe.assign(listed()).unwrap();
    universe
}

fn listed() -> Arc<Market> {
    Arc::new(Market { category: "weather".into(), ..Market::plain(1, "will-it-rain") })
}

/// One event of each kind, and more where kinds have several shapes.
fn examples() -> Vec<Event> {
    let code = Code::literal;
    let mut examples: Vec<Event> = vec![
        MarketEvent::Level(LevelChange {
            token: YES,
            side: Side::Buy,
            price: Price::cents(42),
            size: Shares::whole(100),
            top: Some(Top::new(Some(Price::cents(42)), None)),
        })
        .into(),
        MarketEvent::Print(Print {
            token: NO,
            side: Side::Sell,
            price: Price::cents(58),
            size: Shares::whole(5),
        })
        .into(),
        MarketEvent::Best {
            token: YES,
            top: Top::new(Some(Price::cents(42)), Some(Price::cents(44))),
        }
        .into(),
        MarketEvent::Snapshot(Arc::new(BookSnapshot {
            token: YES,
            bids: vec![
                (Price::cents(42), Shares::whole(100)),
                (Price::cents(41), Shares::whole(7)),
            ],
            asks: vec![(Price::cents(44), Shares::whole(50))],
        }))
        .into(),
        MarketEvent::Tick { market: FIRST, tick: Tick::Thousandth }.into(),
        MarketEvent::State { market: FIRST, state: MarketState::Resolved(Payout::YES) }.into(),
        MarketEvent::Interrupted(Interruption { market: Some(FIRST) }).into(),
        MarketEvent::Listed { key: FIRST, market: listed() }.into(),
        Event::trade(own_trade(Basis::Settled)),
        Event::trade(own_trade(Basis::Estimated)),
        Event::cash(Cash {
            kind: CashKind::Split,
            conversion: Some(ConversionId(8)),
            strategy: Some(StrategyId::ARB_SCANNER),
            market: Some(FIRST),
            amount: Usdc::whole(-20),
            shares: [Shares::whole(20); 2],
        }),
        WorldEvent::Wallet(WalletTrade {
            wallet: "0x56687bf447db6ffa42ffe2204a05edaa20f55839".into(),
            token: YES,
            side: Side::Buy,
            price: Price::cents(43),
            size: Shares::whole(250),
            transaction: "0x5c1f".into(),
        })
        .into(),
        WorldEvent::Article(Article {
            source: "weather.example".into(),
            title: "Clouds".into(),
            body: String::new(),
            url: String::new(),
            markets: vec![FIRST],
        })
        .into(),
        WorldEvent::Forecast(forecast(None)).into(),
        WorldEvent::Forecast(forecast(Some(AskId(9)))).into(),
    ];
    examples.extend(order_examples());
    examples.extend(operator_examples());
    let toml = || Arc::<str>::from("size = \"5\"");
    let control = [
        ControlEvent::Params { strategy: StrategyId::STINK_BIDDER, toml: toml() },
        ControlEvent::Timer,
        ControlEvent::Start(polydesk_domain::RunStart::backtest()),
        ControlEvent::Start(polydesk_domain::RunStart {
            mode: polydesk_domain::RunMode::Paper,
            blockers: vec![(Cause::Link(Channel::Market), "not connected yet".into())],
        }),
        ControlEvent::Stop,
        ControlEvent::Blocker {
            cause: Cause::Link(Channel::User),
            on: true,
            detail: "silent for 12 s".into(),
        },
        ControlEvent::Blocker { cause: Cause::Market(FIRST), on: false, detail: String::new() },
        ControlEvent::Limits { toml: "order_max = \"50\"".into() },
        ControlEvent::Strategy { id: StrategyId::STINK_BIDDER, run: false },
    ];
    let world = [
        WorldEvent::LeaderState(LeaderState {
            wallet: "0x56687bf447db6ffa42ffe2204a05edaa20f55839".into(),
            asked_at: AT,
            complete: true,
            positions: vec![(YES, Shares::whole(250))],
            value: Usdc::whole(1_250),
            cash: Some(Usdc::whole(300)),
        }),
        WorldEvent::NoForecast { ask: AskId(9), code: code("budget") },
        WorldEvent::Signal(signal()),
        WorldEvent::Signal(Signal { action: quotes(Shares::whole(20)), ..signal() }),
        WorldEvent::Signal(Signal { action: basket(), ..signal() }),
        WorldEvent::Signal(Signal {
            action: Action::Close(Close {
                token: YES,
                fraction_ppm: 1_000_000,
                floor: Price::cents(30),
            }),
            ..signal()
        }),
    ];
    let account = [
        AccountEvent::Link { channel: Channel::User, up: false },
        AccountEvent::Snapshot(AccountSnapshot {
            epoch: 2,
            asked_at: AT,
            complete: true,
            cash: Usdc::whole(1_000),
            shares: [(YES, Shares::whole(5)), (NO, Shares::whole(1))].into(),
            open: [(OrderHash::from_bytes([7; 32]), Shares::ZERO)].into(),
        }),
        AccountEvent::External(ExternalOrder {
            id: ClientOrderId::external(0, 1),
            hash: OrderHash::from_bytes([7; 32]),
            token: YES,
            side: Side::Buy,
            price: Price::cents(40),
            size: Shares::whole(10),
            open: true,
        }),
        AccountEvent::Finding(Finding::Cash { amount: Usdc::whole(25), code: code("deposit_log") }),
        AccountEvent::Finding(Finding::Shares {
            token: YES,
            micros: -5_000_000,
            code: code("transfer_log"),
        }),
        AccountEvent::Finding(Finding::Freeze { token: YES, detail: "5 held, 3 there".into() }),
        AccountEvent::Finding(Finding::CashMismatch { difference: Usdc::whole(2) }),
    ];
    let market = [
        MarketEvent::Delisted { market: FIRST },
        MarketEvent::Unverified { market: FIRST, on: true },
        MarketEvent::Reference(Arc::new(Reference {
            symbol: "btcusdt".into(),
            price_micros: 97_250_120_000,
        })),
    ];
    examples.extend(market.map(Event::from));
    examples.extend(account.map(Event::from));
    examples.extend(world.map(Event::from));
    examples.extend(control.map(Event::from));
    examples.sort_by_key(Kind::of);
    examples
}

fn order_examples() -> impl Iterator<Item = Event> {
    let matched = Shares::whole(5);
    let updates = [
        OrderUpdate::Bound { hash: OrderHash::from_bytes([7; 32]) },
        OrderUpdate::Sent,
        OrderUpdate::Live,
        OrderUpdate::Delayed,
        OrderUpdate::Matched,
        OrderUpdate::Rejected { reason: RejectReason::Tick },
        OrderUpdate::Rejected { reason: RejectReason::Other("not today".into()) },
        OrderUpdate::Unknown,
        OrderUpdate::Cancelled { reason: CancelReason::Requested, matched },
        OrderUpdate::Expired { matched },
        OrderUpdate::Filled { matched },
        OrderUpdate::CancelRefused { still_open: true },
        OrderUpdate::Absent,
    ];
    updates.into_iter().map(|update| Event::order(ClientOrderId(7), update))
}

fn operator_examples() -> Vec<Event> {
    use OperatorCommand::*;
    let commands = [
        Pause,
        Flatten { market: Some(FIRST), collar: None },
        Flatten { market: None, collar: Some(Price::cents(20)) },
        Close { token: YES, fraction_ppm: 500_000, collar: None },
        CancelOrder(ClientOrderId(7)),
        CancelMarket(None),
        ReleaseMarket(FIRST),
        ReleaseToken(YES),
        ReleaseBlocker(Cause::CrashLoop),
    ];
    let mut events: Vec<Event> = Vec::new();
    for command in commands {
        let (by, why, key) = (String::new(), String::new(), String::new());
        let mut operator = Operator { by, why, key, command };
        if let Close { .. } = command {
            operator.by = "anna@telegram".into();
            operator.why = "too large".into();
            operator.key = "c0ffee".into();
        }
        events.push(ControlEvent::Operator(operator).into());
    }
    events
}

fn own_trade(basis: Basis) -> OwnTrade {
    OwnTrade {
        trade: TradeId(340_282_366_920_938_463_463_374_607_431_768_211_455),
        order: ClientOrderId(7),
        token: YES,
        side: Side::Buy,
        role: Role::Taker,
        fill: Fill {
            shares: Shares::whole(5),
            notional: Usdc::new(2_150_000),
            fee: Usdc::new(12_255),
            level: Some(Price::cents(43)),
            basis,
        },
        status: TradeStatus::Matched,
    }
}

fn forecast(answers: Option<AskId>) -> Forecast {
    let condition = listed().condition;
    Forecast { answers, condition, yes_ppm: 620_000, model: "model-1".into(), evidence_until: AT }
}

fn signal() -> Signal {
    let take_profit = Some(TakeProfit { gain: 300, rest: true });
    Signal {
        id: SignalId { producer: StrategyId::AI_PREDICTOR, epoch: 3, counter: 12 },
        strategy: StrategyId::AI_PREDICTOR,
        market: FIRST,
        action: Action::Trade(TradeIntent {
            token: YES,
            side: Side::Buy,
            size: Size::Spend(Usdc::new(12_500_000)),
            limit: Price::cents(44),
            urgency: Urgency::Now,
            all_or_nothing: false,
            exit: Some(ExitPlan { take_profit, ..ExitPlan::default() }),
        }),
        created: AT,
        expires: AT + Span::secs(30),
        edge: Usdc::new(1_800_000),
        reason: Reason::new("model_edge").with("edge_ppm", 180_000),
    }
}

fn quotes(size: Shares) -> Action {
    let (token, side, price) = (YES, Side::Buy, Price::cents(41));
    Action::Quotes(vec![Quote { token, side, price, size, exit: None }])
}

fn basket() -> Action {
    let leg = |token, cents| Leg { token, side: Side::Buy, limit: Price::cents(cents) };
    Action::Basket(Basket {
        kind: BasketKind::BuyPair,
        legs: vec![leg(YES, 44), leg(NO, 54)],
        sets: Shares::whole(50),
        min_edge_per_set: Usdc::new(5_000),
    })
}

fn encoded(event: &Event) -> Encoded {
    let stamped = Stamped { at: AT, venue_at: AT, seq: 0, event: event.clone() };
    row::encode(&stamped, &universe()).unwrap()
}

fn decoded(row: &TapeRow, payload: Option<&str>) -> Result<Event, super::PayloadError> {
    row::decode(row, Some(FIRST), payload, &universe()).map(|stamped| stamped.event)
}

/// The meaning of a kind's row, for the page.
const fn meaning(kind: Kind) -> &'static str {
    match kind {
        Kind::Level => "A level's new total size; zero removes it.",
        Kind::Print => "A public trade. The side is the taker's as published.",
        Kind::Best => "The best prices without a level.",
        Kind::Snapshot => "A whole book of one token: price and size of each level.",
        Kind::Tick => {
            "A new tick size: `price` holds it. The book is invalidated until the next snapshot."
        }
        Kind::State => {
            "A new state: `open`, `paused`, `closed`, `disputed`, or `resolved` with what a YES share pays."
        }
        Kind::Gap => "The stream was interrupted, for one market or, in `market=none`, for all.",
        Kind::Listed => "A market became known, or its facts changed.",
        Kind::Order => "An update of one of our orders. Amounts are decimal text.",
        Kind::Trade => {
            "A fill of ours, or a later stage of its settlement. Amounts are settled ones unless `basis` \
             says `estimated`."
        }
        Kind::Cash => {
            "Money or complete sets moved without an order. `command` is the conversion that it answers."
        }
        Kind::Wallet => "A followed wallet traded.",
        Kind::Article => "An article. Without markets it concerns all.",
        Kind::Forecast => "A model's answer; `answers` names the question where one was asked.",
        Kind::Operator => {
            "An operator command. `by`, `why` and `key` may be absent; each command has the fields that it needs."
        }
        Kind::Params => "New parameters of a strategy.",
        Kind::Timer => "Time passed.",
        Kind::Start => "The run began.",
        Kind::Stop => "The run ended.",
        Kind::Delisted => {
            "A market is over and flat. No row of it follows unless it is listed again."
        }
        Kind::Unverified => "The last proof of the market's book is too old (`on`), or came again.",
        Kind::Reference => "A price of something outside the venue, in millionths of its currency.",
        Kind::Link => "A connection that reports what happens to us came up or went down.",
        Kind::Account => {
            "What one pass of reads at the venue and on the chain showed. It corrects nothing."
        }
        Kind::External => "An order of our wallet that this bot did not place.",
        Kind::Finding => "A correction that reconciliation found to be due.",
        Kind::LeaderState => "What a followed wallet holds.",
        Kind::NoForecast => "A question will not be answered.",
        Kind::Signal => "A signal of another process. Prices and amounts are decimal text.",
        Kind::Blocker => "The runtime set or cleared a reason not to trade.",
        Kind::Limits => "New limits: the section `risk`.",
        Kind::Strategy => "A strategy was switched on or off.",
    }
}

/// The fixed columns that a row uses.
fn columns(row: &TapeRow) -> String {
    let mut text = String::new();
    let mut column = |name: &str, value: i64| {
        let comma = if text.is_empty() { "" } else { ", " };
        let _ = write!(text, "{comma}`{name}` {value}");
    };
    for (name, value) in [("outcome", row.outcome), ("side", row.side)] {
        if i16::from(value) != ABSENT {
            column(name, i64::from(value));
        }
    }
    if row.price != ABSENT {
        column("price", i64::from(row.price));
    }
    if row.size != 0 {
        column("size", row.size as i64);
    }
    for (name, value) in [("best_bid", row.best_bid), ("best_ask", row.best_ask)] {
        if value != ABSENT {
            column(name, i64::from(value));
        }
    }
    text
}

const HEAD: &str = "\
# The kinds of rows on a tape

Every event that the engine can take has a row. The columns are described in `crates/tape/src/lib.rs`; this page, written by a
test, shows what each kind stores. Rows that stand with their market are in its partition, all others in `market=none`. Ids
are the venue's: the dense numbers of markets and tokens inside a process are given by the reader, in the order of the
listings, and stored nowhere. Amounts are integers in the smallest unit (prices in ten-thousandths of a dollar, shares and
pUSD in millionths, times in nanoseconds UTC) unless stated otherwise. Sizes above 500 million shares and fields that a kind
does not have are refused.

Numbers of kinds are never reused and the form of a kind changes by optional fields only, so all tapes of schema version 1
stay readable. A program refuses a row whose kind it does not know.
";

#[test]
fn the_stored_form_of_every_kind_is_the_one_on_the_page() {
    let mut page = HEAD.to_owned();
    let mut shown = None;
    for event in examples() {
        let kind = Kind::of(&event);
        let Encoded { row, market, payload } = encoded(&event);
        if shown != Some(kind) {
            let _ = write!(page, "\n## {} `{}`\n\n{}", kind as u8, kind.name(), meaning(kind));
            page.push_str(if market.is_some() { " Stands with its market.\n" } else { "\n" });
            let columns = columns(&row);
            if !columns.is_empty() {
                let _ = writeln!(page, "\nColumns: {columns}.");
            }
            if payload.is_some() {
                page.push('\n');
            }
        }
        shown = Some(kind);
        if let Some(payload) = payload {
            let _ = writeln!(page, "    {payload}");
        }
    }
    expect_file!["../../../../docs/tape.md"].assert_eq(&page);
    let mut kinds: Vec<Kind> = examples().iter().map(Kind::of).collect();
    kinds.dedup();
    assert_eq!(kinds, Kind::ALL);
}

#[test]
fn every_example_is_read_back() {
    for event in examples() {
        let Encoded { row, payload, .. } = encoded(&event);
        assert_eq!(decoded(&row, payload.as_deref()).as_ref(), Ok(&event));
        // The start of a backtest has none.
        if payload.is_some() && row.kind != crate::Kind::Start as u8 {
            let error = decoded(&row, None).unwrap_err().to_string();
            assert!(error.contains("without payload"), "{error}");
        }
    }
}

#[test]
fn every_example_is_read_back_from_bytes_that_stand_alone_and_a_part_of_them_never_panics() {
    let universe = universe();
    for event in examples() {
        let stamped = Stamped {
            at: Time::from_nanos(7_000_000_001),
            venue_at: Time::from_nanos(-5),
            seq: 1 << 40,
            event,
        };
        let mut bytes = Vec::new();
        crate::encode_event(&stamped, &universe, &mut bytes).unwrap();
        assert_eq!(crate::decode_event(&bytes, &universe).as_ref(), Ok(&stamped));
        for len in 0..bytes.len() {
            let part = crate::decode_event(&bytes[..len], &universe);
            assert_ne!(part.as_ref(), Ok(&stamped), "{len} of {} bytes", bytes.len());
        }
        let mut longer = bytes.clone();
        longer.push(b'x');
        assert!(crate::decode_event(&longer, &universe).is_err());
        bytes[3] |= 4;
        assert!(crate::decode_event(&bytes, &universe).is_err());
    }
    let known = Universe::new();
    let event = examples().into_iter().find(|event| matches!(event, Event::Market(_))).unwrap();
    let at = Time::from_nanos(1);
    let mut bytes = Vec::new();
    let stamped = Stamped { at, venue_at: at, seq: 1, event };
    crate::encode_event(&stamped, &universe, &mut bytes).unwrap();
    let error = crate::decode_event(&bytes, &known).unwrap_err().to_string();
    assert!(error.contains("is not listed"), "{error}");
}

/// Calls `change` once for every place of the document, with a fresh copy each time.
fn at_every_place(
    text: &str,
    mut change: impl FnMut(&mut Value) -> bool,
    mut see: impl FnMut(&str),
) {
    let original: Value = serde_json::from_str(text).unwrap();
    let mut places = vec![String::new()];
    let mut next = 0;
    while let Some(place) = places.get(next).cloned() {
        next += 1;
        match original.pointer(&place).unwrap() {
            Value::Object(fields) => {
                places.extend(fields.keys().map(|key| format!("{place}/{key}")))
            }
            Value::Array(items) => places.extend((0..items.len()).map(|i| format!("{place}/{i}"))),
            _ => (),
        }
        let mut copy = original.clone();
        if change(copy.pointer_mut(&place).unwrap()) {
            see(&copy.to_string());
        }
    }
}

#[test]
fn an_unknown_field_is_refused_wherever_it_stands() {
    for event in examples() {
        let Encoded { row, payload: Some(payload), .. } = encoded(&event) else { continue };
        let add = |value: &mut Value| match value {
            Value::Object(fields) => fields.insert("zzz".to_owned(), Value::Bool(true)).is_none(),
            _ => false,
        };
        at_every_place(&payload, add, |damaged| {
            let read = decoded(&row, Some(damaged));
            assert!(read.is_err(), "{damaged} became {read:?}");
        });
    }
}

#[test]
fn a_wrong_value_is_an_error_or_another_event_but_no_panic() {
    let wrong = [
        Value::Null,
        Value::Bool(true),
        Value::from(-1),
        Value::from(u64::MAX),
        Value::from(1e300),
        Value::from("zzz"),
        Value::Array(Vec::new()),
        Value::Object(serde_json::Map::new()),
    ];
    for event in examples() {
        let Encoded { row, payload: Some(payload), .. } = encoded(&event) else { continue };
        for wrong in &wrong {
            let put = |value: &mut Value| {
                *value = wrong.clone();
                true
            };
            at_every_place(&payload, put, |damaged| {
                if let Ok(read) = decoded(&row, Some(damaged)) {
                    let Encoded { row, payload, .. } = encoded(&read);
                    assert_eq!(decoded(&row, payload.as_deref()).as_ref(), Ok(&read), "{damaged}");
                }
            });
        }
    }
}

/// The row of a kind with a payload, and the error that it gives.
fn refused(kind: Kind, payload: &str) -> String {
    let example = examples().into_iter().find(|event| Kind::of(event) == kind).unwrap();
    decoded(&encoded(&example).row, Some(payload)).unwrap_err().to_string()
}

#[test]
fn a_damaged_payload_names_the_rule_that_it_breaks() {
    let (market, token) = ("0x".to_owned() + &"ab".repeat(32), "99");
    let own = encoded(&Event::trade(own_trade(Basis::Settled))).payload.unwrap();
    let hash = format!("0x{}", "07".repeat(32));
    for (kind, payload, rule) in [
        (Kind::Trade, own.replace("5000000", "500000000000001"), "500 million shares"),
        (Kind::Trade, own.replace("4300", "10001"), "price 10001 is outside 0..=10000"),
        (Kind::Trade, own.replace("\"1002\"", "\"99\""), "token 99 is not listed here"),
        (Kind::Trade, own.replace("\"trade\":\"", "\"trade\":\"-"), "not a whole number"),
        (Kind::Trade, own.replace("}", ",\"basis\":\"guessed\"}"), "unknown variant `guessed`"),
        (Kind::Cash, r#"{"kind":"gift"}"#.into(), "unknown variant `gift`"),
        (Kind::State, r#"{"state":"resolved"}"#.into(), "resolved without yes_micros"),
        (Kind::State, r#"{"state":"open","yes_micros":1}"#.into(), "open with yes_micros"),
        (Kind::State, r#"{"state":"resolved","yes_micros":1000001}"#.into(), "above one dollar"),
        (Kind::Unverified, "{}".into(), "missing field `on`"),
        (
            Kind::Account,
            format!(
                r#"{{"epoch":0,"asked_at":0,"complete":true,"cash":0,"shares":[],"open":[["{hash}",1],["{hash}",1]]}}"#
            ),
            "stands twice among the open orders",
        ),
        (
            Kind::Account,
            r#"{"epoch":0,"asked_at":0,"complete":true,"cash":0,"shares":[["1002",1],["1002",1]],"open":[]}"#.into(),
            "token 1002 stands twice",
        ),
        (Kind::Finding, r#"{"freeze":{"token":"1002"}}"#.into(), "missing field `detail`"),
        (Kind::Finding, r#"{"loss":{}}"#.into(), "unknown variant `loss`"),
        (Kind::NoForecast, r#"{"ask":1,"code":"two words"}"#.into(), "is not a code"),
        (Kind::Blocker, format!(r#"{{"cause":{{"market":"{market}"}},"on":true,"detail":""}}"#), "is not listed here"),
        (Kind::Blocker, format!(r#"{{"cause":{{"token":"{token}"}},"on":true,"detail":""}}"#), "token 99 is not listed here"),
        (Kind::Operator, r#"{"command":"explode"}"#.into(), "operator command \"explode\" is unknown"),
        (Kind::Operator, r#"{"command":"close","token":"1002"}"#.into(), "\"close\" needs fraction_ppm"),
        (Kind::Operator, r#"{"command":"release_token"}"#.into(), "\"release_token\" needs token"),
        (Kind::Operator, r#"{"command":"pause","order":7}"#.into(), "\"pause\" has a field of another one"),
        (Kind::Strategy, r#"{"strategy":"two words","run":true}"#.into(), "strategy name"),
        (Kind::Signal, "{".into(), "EOF"),
    ] {
        let error = refused(kind, &payload);
        assert!(error.contains(rule), "{payload}: {error}");
    }
    let signal = encoded(&WorldEvent::Signal(signal()).into()).payload.unwrap();
    for (from, to, rule) in [
        (
            "\"rest\":true",
            "\"rest\":true,\"zzz\":1",
            "the field `action.?.exit.?.take_profit.?.zzz` is unknown",
        ),
        ("\"1002\"", "\"99\"", "token 99 is not listed here"),
        ("\"0.4400\"", "\"1.4400\"", "price"),
        ("\"12.50\"", "\"12.5000001\"", "decimals"),
    ] {
        assert!(signal.contains(from), "{signal}");
        let error = refused(Kind::Signal, &signal.replace(from, to));
        assert!(error.contains(rule), "{error}");
    }
    let unknown =
        TapeRow { kind: Kind::ALL.len() as u8, ..encoded(&ControlEvent::Timer.into()).row };
    assert_eq!(decoded(&unknown, None).unwrap_err().to_string(), "kind 32 is unknown");
}

#[test]
fn what_could_not_be_read_is_not_written() {
    let absurd = Shares::new(Shares::SANE_MAX.micros() + 1);
    let mut trade = own_trade(Basis::Settled);
    trade.fill.shares = absurd;
    let endless = Signal { action: quotes(absurd), ..signal() };
    let elsewhere = MarketKey(1);
    for (event, rule) in [
        (Event::trade(trade), "500 million shares"),
        (WorldEvent::Signal(endless).into(), "500 million shares"),
        (
            ControlEvent::Blocker {
                cause: Cause::Market(elsewhere),
                on: true,
                detail: String::new(),
            }
            .into(),
            "market number 1 is not listed here",
        ),
        (
            WorldEvent::Signal(Signal { market: elsewhere, ..signal() }).into(),
            "market number 1 is not listed here",
        ),
        (MarketEvent::Delisted { market: elsewhere }.into(), "market number 1 is not listed here"),
    ] {
        let stamped = Stamped { at: AT, venue_at: AT, seq: 0, event };
        let error = row::encode(&stamped, &universe()).unwrap_err().to_string();
        assert!(error.contains(rule), "{error}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(256) })]

    #[test]
    fn damaged_text_is_an_error_or_another_event_but_no_panic(
        example in any::<prop::sample::Index>(),
        place in any::<prop::sample::Index>(),
        put in "[ -~]{0,2}",
        cut in 0usize..3,
    ) {
        let examples = examples();
        let Encoded { row, payload, .. } = encoded(example.get(&examples));
        let Some(payload) = payload else { return Ok(()) };
        // Every example is ASCII.
        let at = place.index(payload.len());
        let rest = payload.get(at + cut..).unwrap_or("");
        let damaged = format!("{}{put}{rest}", &payload[..at]);
        if let Ok(read) = decoded(&row, Some(&damaged)) {
            let Encoded { row, payload, .. } = encoded(&read);
            prop_assert_eq!(decoded(&row, payload.as_deref()), Ok(read));
        }
    }
}
