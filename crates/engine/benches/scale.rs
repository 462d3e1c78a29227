//! `cargo bench -p polydesk-engine`: whether cost depends on how many markets, orders and holdings there
//! are. Everything is measured small and large in one run: ratios hold where absolute times do not.
//!
//! It prints and judges nothing. Times are by the wall, so a busy machine shows in the highest percentiles.

use std::sync::Arc;
use std::time::{Duration, Instant};

use polydesk_domain::{
    AccountEvent, AccountSnapshot, Action, BookSnapshot, CancelReason, Cash, CashKind,
    ClientOrderId, ControlEvent, Event, FeeRate, Fees, Fill, LevelChange, Market, MarketEvent,
    MarketKey, NegRisk, OrderUpdate, Outbox, Outcome, OwnTrade, Price, Purpose, Quote, Reason,
    Role, Shares, Side, Signal, SignalId, Stamped, StrategyId, Time, Top, TradeId, TradeStatus,
    Usdc, WorldEvent,
};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::{Facts, GateRequest, RawRisk, RiskLimits};
use polydesk_strategies::CATALOGUE;

const SMALL: Size = Size { markets: 50, orders: 50 };
const LARGE: Size = Size { markets: 5_000, orders: 1_000 };

/// Places and cancels measured.
const CYCLES: u32 = 10_000;
const ROWS: u32 = 200_000;
const REPEATS: usize = 3;

#[derive(Clone, Copy)]
struct Size {
    markets: u32,
    orders: u32,
}

fn main() {
    println!("small: 50 markets, 50 open orders; large: 5,000 markets, 1,000 open orders\n");
    println!("{:<52} {:>11} {:>11} {:>7}", "", "small", "large", "ratio");
    listing();
    gate();
    rows();
    timers();
}

fn line(what: &str, small: Duration, large: Duration) {
    let ratio = large.as_secs_f64() / small.as_secs_f64().max(1e-9);
    println!("{what:<52} {:>11} {:>11} {ratio:>7.1}", shown(small), shown(large));
}

fn shown(time: Duration) -> String {
    let nanos = time.as_nanos();
    match nanos {
        0..10_000 => format!("{nanos} ns"),
        10_000..10_000_000 => format!("{:.1} us", time.as_secs_f64() * 1e6),
        _ => format!("{:.1} ms", time.as_secs_f64() * 1e3),
    }
}

#[expect(clippy::disallowed_methods, reason = "measuring is what this program is for")]
fn timed(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

/// The shortest of some repetitions.
fn best(mut work: impl FnMut() -> Duration) -> Duration {
    (0..REPEATS).map(|_| work()).min().unwrap_or_default()
}

/// The median and the 99th percentile.
fn percentiles(mut times: Vec<Duration>) -> [Duration; 2] {
    times.sort();
    [50, 99].map(|percent| times[(times.len() - 1) * percent / 100])
}

/// Limits that stop nothing here.
fn limits() -> RiskLimits {
    let most = Usdc::whole(1_000_000_000);
    let raw = RawRisk {
        max_order_usd: most,
        max_market_usd: most,
        max_event_usd: most,
        max_category_usd: most,
        max_strategy_usd: most,
        max_account_usd: most,
        max_unsettled_usd: most,
        daily_loss_usd: most,
        max_drawdown_usd: most,
        max_shares: 100_000_000,
        max_open_orders: 1_000_000,
        max_orders_per_minute: 100_000_000,
        orders_per_second: 100_000_000,
        order_burst: 100_000_000,
        cancels_per_second: 100_000_000,
        cancel_burst: 100_000_000,
        ..RawRisk::default()
    };
    RiskLimits::try_from(&raw).unwrap()
}

/// Ten markets of one neg-risk group or of one event, in turn; eight categories.
fn market(number: u32, generation: u32) -> Arc<Market> {
    let mut market = Market::plain(u64::from(number) + 1, "bench");
    market.fees = Fees::flat(FeeRate { rate_ppm: 50_000, exponent: 1, rebate_ppm: 0 });
    market.question = format!("generation {generation}");
    let family = format!("family {} of {generation}", number / 10);
    if (number / 10).is_multiple_of(2) {
        market.neg_risk = Some(NegRisk {
            group: family,
            members: Some(10),
            augmented: false,
            placeholder: false,
        });
    } else {
        market.event = family;
    }
    market.category = format!("category {}", (number + generation) % 8);
    Arc::new(market)
}

const RESTING: StrategyId = StrategyId::literal("resting");
const MAKER: StrategyId = StrategyId::literal("maker");

/// An engine fed event by event.
struct Bench {
    engine: Engine,
    out: Outbox,
    nanos: i64,
    signals: u64,
}

impl Bench {
    /// With all strategies of the catalogue, or none.
    fn new(strategies: bool) -> Bench {
        let built = CATALOGUE.iter().filter(|_| strategies);
        let built = built.map(|line| (line.build)(line.id, &(line.defaults)()).unwrap()).collect();
        let engine = Engine::new(Setup::simulated(limits()), built).unwrap();
        Bench { engine, out: Outbox::new(), nanos: 1_000_000_000_000, signals: 0 }
    }

    fn stamped(&mut self, event: Event) -> Stamped {
        self.nanos += 1_000;
        let at = Time::from_nanos(self.nanos);
        Stamped { at, venue_at: at, seq: 0, event }
    }

    fn hear(&mut self, event: Event) -> Duration {
        let stamped = self.stamped(event);
        self.out.clear();
        timed(|| self.engine.handle(&stamped, &mut self.out))
    }

    fn list(&mut self, markets: u32, generation: u32) -> Duration {
        let events: Vec<Stamped> = (0..markets)
            .map(|number| {
                let (key, market) = (MarketKey(number), market(number, generation));
                self.stamped(MarketEvent::Listed { key, market }.into())
            })
            .collect();
        timed(|| {
            for stamped in &events {
                self.out.clear();
                self.engine.handle(stamped, &mut self.out);
            }
        })
    }

    /// Markets with books, an account that agrees, and open orders spread over the markets.
    fn ready(size: Size) -> Bench {
        let mut bench = Bench::new(false);
        bench.list(size.markets, 0);
        let cash = Usdc::whole(10_000_000);
        let deposit = Cash {
            kind: CashKind::Deposit,
            conversion: None,
            strategy: None,
            market: None,
            amount: cash,
            shares: Default::default(),
        };
        bench.hear(Event::cash(deposit));
        for number in 0..size.markets {
            let level = |cents| vec![(Price::cents(cents), Shares::whole(500))];
            let token = MarketKey(number).token(Outcome::Yes);
            let snapshot = BookSnapshot { token, bids: level(40), asks: level(44) };
            bench.hear(MarketEvent::Snapshot(Arc::new(snapshot)).into());
        }
        bench.hear(ControlEvent::Start(polydesk_domain::RunStart::backtest()).into());
        let snapshot = AccountSnapshot { complete: true, cash, ..AccountSnapshot::default() };
        bench.hear(AccountEvent::Snapshot(snapshot).into());
        for order in 0..size.orders {
            let key = MarketKey((u64::from(order) * 7_919 % u64::from(size.markets)) as u32);
            bench.quote(RESTING, key, Some(20));
            bench.update(OrderUpdate::Live);
        }
        assert_eq!(bench.engine.manager().orders().open_count(), size.orders as usize);
        bench
    }

    /// Wants one bid in a market, or none.
    fn quote(&mut self, strategy: StrategyId, key: MarketKey, cents: Option<u16>) -> Duration {
        self.signals += 1;
        let quote = |cents| Quote {
            token: key.token(Outcome::Yes),
            side: Side::Buy,
            price: Price::cents(cents),
            size: Shares::whole(10),
            exit: None,
        };
        let now = Time::from_nanos(self.nanos);
        let signal = Signal {
            id: SignalId { producer: strategy, epoch: 0, counter: self.signals },
            strategy,
            market: key,
            action: Action::Quotes(cents.map(quote).into_iter().collect()),
            created: now,
            expires: Time::MAX,
            edge: Usdc::cents(1),
            reason: Reason::new("bench"),
        };
        self.hear(Event::from(WorldEvent::Signal(signal)))
    }

    /// The latest order.
    fn latest(&self) -> ClientOrderId {
        ClientOrderId::of_run(0, self.engine.manager().state().counters.get().orders)
    }

    fn update(&mut self, update: OrderUpdate) -> Duration {
        let id = self.latest();
        self.hear(Event::order(id, update))
    }

    /// Buys in a market, final.
    fn hold(&mut self, key: MarketKey) {
        self.quote(MAKER, key, Some(30));
        let (id, shares) = (self.latest(), Shares::whole(10));
        let notional = Price::cents(30).notional_ceil(shares);
        let fill =
            Fill { shares, notional, fee: Usdc::ZERO, level: None, basis: Default::default() };
        for status in [TradeStatus::Matched, TradeStatus::Confirmed] {
            let trade = OwnTrade {
                trade: TradeId(u128::from(id.0)),
                order: id,
                token: key.token(Outcome::Yes),
                side: Side::Buy,
                role: Role::Maker,
                fill,
                status,
            };
            self.hear(Event::trade(trade));
        }
        self.update(OrderUpdate::Filled { matched: shares });
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            now: self.engine.now(),
            universe: self.engine.universe(),
            books: self.engine.books(),
            states: self.engine.states(),
            state: self.engine.manager().state(),
        }
    }
}

fn listing() {
    let of = |markets| {
        let mut times = [Duration::MAX; 3];
        for _ in 0..REPEATS {
            let mut bench = Bench::new(true);
            for (generation, time) in [0, 0, 1].into_iter().zip(&mut times) {
                *time = (*time).min(bench.list(markets, generation));
            }
        }
        times
    };
    // Per market, and in brackets for all of the large one.
    let each = |what: &str, small: Duration, large: Duration| {
        line(&format!("{what} ({})", shown(large)), small / SMALL.markets, large / LARGE.markets);
    };
    let (small, large) = (of(SMALL.markets), of(LARGE.markets));
    each("list, both strategies on", small[0], large[0]);
    each("list again, nothing new", small[1], large[1]);
    each("list again in another event", small[2], large[2]);
    let with_orders = |size: Size| {
        let mut bench = Bench::ready(size);
        best(|| bench.list(size.markets, 2).min(bench.list(size.markets, 3)))
    };
    each("the same with open orders", with_orders(SMALL), with_orders(LARGE));
    let delisting = |size: Size| {
        let mut bench = Bench::ready(size);
        let keys = (0..size.markets).map(MarketKey);
        let events: Vec<Stamped> =
            keys.map(|market| bench.stamped(MarketEvent::Delisted { market }.into())).collect();
        timed(|| {
            for stamped in &events {
                bench.out.clear();
                bench.engine.handle(stamped, &mut bench.out);
            }
        })
    };
    each("delist, or refuse to", delisting(SMALL), delisting(LARGE));
    println!();
}

fn gate() {
    let of = |size: Size| {
        let mut bench = Bench::ready(size);
        let (mut places, mut cancels, mut fates) = (Vec::new(), Vec::new(), Vec::new());
        for cycle in 0..CYCLES {
            let key = MarketKey((u64::from(cycle) * 6_151 % u64::from(size.markets)) as u32);
            let before = bench.latest();
            places.push(bench.quote(MAKER, key, Some(21)));
            assert_ne!(bench.latest(), before, "{:?}", bench.engine.manager().counts().denials);
            fates.push(bench.update(OrderUpdate::Live));
            cancels.push(bench.quote(MAKER, key, None));
            let (reason, matched) = (CancelReason::Requested, Shares::ZERO);
            fates.push(bench.update(OrderUpdate::Cancelled { reason, matched }));
        }
        let mut admits = Vec::new();
        for cycle in 0..CYCLES {
            let key = MarketKey((u64::from(cycle) * 6_151 % u64::from(size.markets)) as u32);
            let ask = GateRequest {
                strategy: MAKER,
                token: key.token(Outcome::Yes),
                side: Side::Buy,
                price: Price::cents(21),
                cost: Usdc::cents(210),
                shares: Shares::whole(10),
                reduces: Purpose::Quote.reduces(),
            };
            let limits = bench.engine.manager().limits();
            let facts = bench.facts();
            admits.push(timed(|| assert_eq!(limits.admit(&ask, &facts), Ok(()))));
        }
        [admits, places, fates, cancels].map(percentiles)
    };
    let (small, large) = (of(SMALL), of(LARGE));
    for (i, what) in [
        "gate alone (admit)",
        "signal that places an order, gate included",
        "update of an order",
        "signal that cancels an order",
    ]
    .into_iter()
    .enumerate()
    {
        line(&format!("{what}, p50"), small[i][0], large[i][0]);
        line(&format!("{what}, p99"), small[i][1], large[i][1]);
    }
    println!();
}

fn rows() {
    let of = |size: Size, held: u32| {
        let mut bench = Bench::ready(size);
        // Elsewhere: the market of the rows is the first one.
        for key in 1..=held {
            bench.hold(MarketKey(key % size.markets));
        }
        let token = MarketKey(0).token(Outcome::Yes);
        let rows: Vec<Stamped> = (0..ROWS)
            .map(|row| {
                let change = LevelChange {
                    token,
                    side: Side::Buy,
                    price: Price::cents(39),
                    size: Shares::whole(u64::from(100 + row % 7)),
                    top: Some(Top::new(Some(Price::cents(40)), Some(Price::cents(44)))),
                };
                bench.stamped(MarketEvent::Level(change).into())
            })
            .collect();
        let run = |bench: &mut Bench| {
            best(|| {
                timed(|| {
                    for stamped in &rows {
                        bench.engine.handle(stamped, &mut bench.out);
                    }
                }) / ROWS
            })
        };
        let empty = run(&mut bench);
        bench.hold(MarketKey(0));
        let here = run(&mut bench);
        [empty, here]
    };
    let (small, large) = (of(SMALL, 0), of(LARGE, 0));
    line("row of a market, nothing held", small[0], large[0]);
    line("row of a market in which something is held", small[1], large[1]);
    for held in [500, 2_000] {
        let large = of(LARGE, held);
        line(&format!("the same, {held} held elsewhere (large)"), small[1], large[1]);
    }
    println!();
}

fn timers() {
    let of = |size: Size, held: u32| {
        let mut bench = Bench::ready(size);
        for key in 0..held {
            bench.hold(MarketKey(key % size.markets));
        }
        best(|| {
            bench.nanos += 1_000_000_000;
            bench.hear(ControlEvent::Timer.into())
        })
    };
    let small = of(SMALL, 50);
    for held in [50, 500, 2_000] {
        line(&format!("timer, 50 holdings; large: {held}"), small, of(LARGE, held));
    }
}
