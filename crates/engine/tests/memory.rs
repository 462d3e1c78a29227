//! Delisting gives back what listing took. Memory is counted over the whole process, so this file holds
//! one test only.
#![expect(
    unsafe_code,
    reason = "an allocator cannot be written without; it only counts and passes on"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering::Relaxed};

use polydesk_domain::{
    AccountEvent, AccountSnapshot, Action, BookSnapshot, CancelReason, Cash, CashKind, Command,
    ControlEvent, Conversion, Event, FeeRate, Fees, Fill, LevelChange, Market, MarketEvent,
    MarketKey, MarketState, NegRisk, OrderUpdate, Outbox, Outcome, OwnTrade, Payout, PlaceOrder,
    Price, Quote, Reason, Role, Shares, Side, Signal, SignalId, Size, Stamped, StrategyId, Tick,
    Time, TradeId, TradeStatus, Usdc, WorldEvent,
};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::{RawRisk, RiskLimits};
use polydesk_strategies::CATALOGUE;

static BLOCKS: AtomicIsize = AtomicIsize::new(0);
static BYTES: AtomicIsize = AtomicIsize::new(0);

/// The system's allocator with a count of what is held.
struct Counting;

// SAFETY: every call is handed to the system's allocator as it came.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BLOCKS.fetch_add(1, Relaxed);
        BYTES.fetch_add(layout.size() as isize, Relaxed);
        // SAFETY: as above.
        unsafe { System.alloc(layout) }
    }
    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        BLOCKS.fetch_sub(1, Relaxed);
        BYTES.fetch_sub(layout.size() as isize, Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(at, layout) }
    }
    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        BYTES.fetch_add(size as isize - layout.size() as isize, Relaxed);
        // SAFETY: as above.
        unsafe { System.realloc(at, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Blocks and bytes on the heap now.
fn held() -> (isize, isize) {
    (BLOCKS.load(Relaxed), BYTES.load(Relaxed))
}

const TRADER: StrategyId = StrategyId::literal("trader");
const WAVES: u32 = 20;
const WAVE: u32 = 1_000;
/// The most that arrays keep for a key for ever: places of its book, sums and strategies' memories.
const PLACE: isize = 640;

/// An engine and a venue that answers at once.
struct Bench {
    engine: Engine,
    out: Outbox,
    millis: i64,
    signals: u64,
    placed: u64,
}

impl Bench {
    fn new() -> Bench {
        let most = Usdc::whole(1_000_000);
        let raw = RawRisk {
            max_market_usd: most,
            max_event_usd: most,
            max_category_usd: most,
            max_strategy_usd: most,
            max_account_usd: most,
            max_unsettled_usd: most,
            max_open_orders: 100_000,
            max_orders_per_minute: 100_000_000,
            orders_per_second: 1_000_000,
            order_burst: 1_000_000,
            cancels_per_second: 1_000_000,
            cancel_burst: 1_000_000,
            ..RawRisk::default()
        };
        let strategies =
            CATALOGUE.iter().map(|line| (line.build)(line.id, &(line.defaults)()).unwrap());
        let setup = Setup::simulated(RiskLimits::try_from(&raw).unwrap());
        let engine = Engine::new(setup, strategies.collect()).unwrap();
        let mut bench =
            Bench { engine, out: Outbox::new(), millis: 1_000_000, signals: 0, placed: 0 };
        let cash = Usdc::whole(1_000_000);
        let deposit = Cash {
            kind: CashKind::Deposit,
            conversion: None,
            strategy: None,
            market: None,
            amount: cash,
            shares: Default::default(),
        };
        bench.hear(Event::cash(deposit));
        bench.hear(ControlEvent::Start(polydesk_domain::RunStart::backtest()).into());
        let snapshot = AccountSnapshot { complete: true, cash, ..AccountSnapshot::default() };
        bench.hear(AccountEvent::Snapshot(snapshot).into());
        bench
    }

    fn hear(&mut self, event: Event) {
        self.millis += 1;
        let at = Time::from_millis(self.millis);
        self.engine.handle(&Stamped { at, venue_at: at, seq: 0, event }, &mut self.out);
        self.out.records.clear();
        for command in core::mem::take(&mut self.out.commands) {
            self.answer(command);
        }
    }

    fn answer(&mut self, command: Command) {
        match command {
            Command::Place(orders) => {
                for order in orders {
                    self.placed += 1;
                    self.hear(Event::order(order.id, OrderUpdate::Live));
                    if order.strategy == TRADER {
                        self.fill(&order);
                    }
                }
            }
            Command::Cancel(id) => {
                let (reason, matched) = (CancelReason::Requested, Shares::ZERO);
                self.hear(Event::order(id, OrderUpdate::Cancelled { reason, matched }));
            }
            Command::Convert { id, strategy, market, action: Conversion::Redeem } => {
                let held = self.engine.manager().positions().all();
                let held = held.filter(|(_, token, _)| *token == market.token(Outcome::Yes));
                let shares: Shares = held.map(|(_, _, holding)| holding.held()).sum();
                self.hear(Event::cash(Cash {
                    kind: CashKind::Redeem,
                    conversion: Some(id),
                    strategy: Some(strategy),
                    market: Some(market),
                    amount: shares.face_value(),
                    shares: [shares, Shares::ZERO],
                }));
            }
            _ => {}
        }
    }

    fn fill(&mut self, order: &PlaceOrder) {
        let Size::Shares(shares) = order.size else { return };
        let notional = order.price.notional_ceil(shares);
        let fill =
            Fill { shares, notional, fee: Usdc::ZERO, level: None, basis: Default::default() };
        for status in [TradeStatus::Matched, TradeStatus::Confirmed] {
            self.hear(Event::trade(OwnTrade {
                trade: TradeId(u128::from(order.id.0)),
                order: order.id,
                token: order.token,
                side: order.side,
                role: Role::Maker,
                fill,
                status,
            }));
        }
        self.hear(Event::order(order.id, OrderUpdate::Filled { matched: shares }));
    }

    fn buy(&mut self, key: MarketKey) {
        self.signals += 1;
        let quote = Quote {
            token: key.token(Outcome::Yes),
            side: Side::Buy,
            price: Price::cents(20),
            size: Shares::whole(10),
            exit: None,
        };
        self.hear(Event::from(WorldEvent::Signal(Signal {
            id: SignalId { producer: TRADER, epoch: 0, counter: self.signals },
            strategy: TRADER,
            market: key,
            action: Action::Quotes(vec![quote]),
            created: Time::from_millis(self.millis),
            expires: Time::MAX,
            edge: Usdc::ZERO,
            reason: Reason::new("memory"),
        })));
    }

    /// A market's life: listed, quoted, traded in, listed again, resolved. It is not delisted yet.
    fn live(&mut self, key: MarketKey) {
        self.hear(MarketEvent::Listed { key, market: Arc::new(market(key, "one")) }.into());
        let token = key.token(Outcome::Yes);
        let levels = |cents: [u16; 3]| {
            cents.map(|cents| (Price::cents(cents), Shares::whole(2_000))).to_vec()
        };
        let snapshot =
            BookSnapshot { token, bids: levels([24, 23, 15]), asks: levels([26, 27, 60]) };
        self.hear(MarketEvent::Snapshot(Arc::new(snapshot.clone())).into());
        self.hear(MarketEvent::Tick { market: key, tick: Tick::Thousandth }.into());
        self.hear(MarketEvent::Snapshot(Arc::new(snapshot)).into());
        let change = |cents| {
            MarketEvent::Level(LevelChange {
                token,
                side: Side::Buy,
                price: Price::cents(cents),
                size: Shares::whole(500),
                top: None,
            })
        };
        for cents in [22, 21, 19] {
            self.hear(change(cents).into());
        }
        if key.0.is_multiple_of(10) {
            self.buy(key);
        }
        self.hear(MarketEvent::Listed { key, market: Arc::new(market(key, "two")) }.into());
    }

    fn end(&mut self, key: MarketKey) {
        for state in [MarketState::Closed, MarketState::Resolved(Payout::YES)] {
            self.hear(MarketEvent::State { market: key, state }.into());
        }
        self.hear(MarketEvent::Delisted { market: key }.into());
        let left = self.engine.universe().get(key);
        assert!(left.is_none(), "{key:?} stays listed");
    }
}

fn market(key: MarketKey, name: &str) -> Market {
    let mut market = Market::plain(u64::from(key.0) + 1, "memory");
    market.fees = Fees::flat(FeeRate { rate_ppm: 50_000, exponent: 1, rebate_ppm: 0 });
    market.closes = Some(Time::from_secs(10_000_000));
    market.category = format!("category {name} {}", key.0 / 100);
    market.event = format!("event {name} {}", key.0 / 10);
    market.neg_risk = key.0.is_multiple_of(3).then(|| NegRisk {
        group: format!("group {name} {}", key.0 / 12),
        members: Some(4),
        augmented: false,
        placeholder: false,
    });
    market
}

#[test]
fn markets_that_come_and_go_leave_nothing_on_the_heap_but_their_places() {
    let mut bench = Bench::new();
    let mut after = Vec::new();
    for wave in 0..WAVES {
        let keys = (wave * WAVE..(wave + 1) * WAVE).map(MarketKey);
        assert_eq!(bench.engine.universe().next_key(), MarketKey(wave * WAVE));
        let before = held();
        keys.clone().for_each(|key| bench.live(key));
        bench.hear(ControlEvent::Timer.into());
        assert!(held().1 - before.1 > 1_000 * WAVE as isize, "a wave takes memory");
        assert!(bench.engine.manager().positions().all().count() >= WAVE as usize / 10);
        keys.for_each(|key| bench.end(key));
        bench.hear(ControlEvent::Timer.into());
        let manager = bench.engine.manager();
        assert_eq!(manager.halted(), None);
        assert_eq!((manager.orders().count(), manager.positions().all().count()), (0, 0));
        assert_eq!(manager.state().markets.len(), 0);
        assert_eq!(manager.marks().count(), 0);
        after.push(held());
    }
    assert!(bench.placed > u64::from(WAVES * WAVE / 10), "the bidder places too");
    // Nothing of its own is left of any market; the arrays with a place for each key grow by doubling.
    let ((blocks, _), (blocks_now, bytes_now)) = (after[1], after[WAVES as usize - 1]);
    assert!(blocks_now <= blocks + 10, "{after:?}");
    let places = (WAVES * WAVE).next_power_of_two() as isize;
    assert!(bytes_now <= places * PLACE, "{after:?}");
    // A market that comes back gets a new key.
    let back = Arc::new(market(MarketKey(7), "one"));
    let key = MarketKey(WAVES * WAVE);
    bench.hear(MarketEvent::Listed { key, market: back }.into());
    assert_eq!(bench.engine.refused_listings(), 0);
    assert_eq!(
        bench.engine.universe().market(key).condition,
        market(MarketKey(7), "one").condition
    );
}
