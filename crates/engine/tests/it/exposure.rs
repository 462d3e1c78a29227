//! What counts as at risk, and for which limit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use polydesk_domain::{
    AccountEvent, AccountSnapshot, Action, Basket, BasketKind, BookSnapshot, CancelReason, Cash,
    CashKind, ClientOrderId, Close, Command, ControlEvent, ConversionId, Event, FeeRate, Fees,
    Fill, Leg, Market, MarketEvent, MarketKey, MarketState, NegRisk, OrderUpdate, Outbox, OwnTrade,
    Price, Quote, Reason, Role, Shares, Side, Size, Span, Stamped, StrategyId, Tick, Time, Token,
    TradeId, TradeIntent, TradeStatus, Urgency, Usdc,
};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::{Exposure, Facts, LedgerAccount, RawRisk, RiskLimits};
use polydesk_strategies::{Emit, Kinds, Saved, StateError, Strategy, Trigger, View};

const ALPHA: StrategyId = StrategyId::literal("alpha");
const BETA: StrategyId = StrategyId::literal("beta");

type Script = Arc<Mutex<VecDeque<(MarketKey, Action)>>>;

/// Emits at the next timer what the test puts into its script.
struct Puppet(StrategyId, Script);

impl Strategy for Puppet {
    fn id(&self) -> StrategyId {
        self.0
    }
    fn kinds(&self) -> Kinds {
        Kinds::REFERENCE
    }
    fn wants(&self, _: &Market) -> bool {
        true
    }
    fn save(&self) -> Saved {
        Saved::NOTHING
    }
    fn load(&mut self, saved: &Saved) -> Result<(), StateError> {
        saved.expect_nothing(self.id())
    }
    fn on_event(&mut self, _: &View<'_>, _: Trigger<'_>, out: &mut Emit<'_>) {
        for (key, action) in self.1.lock().unwrap().drain(..) {
            out.signal(key, action, Span::secs(600), Usdc::cents(10), Reason::new("test"));
        }
    }
}

fn engine(limits: &RawRisk, scripts: &[Script; 2]) -> Engine {
    let puppets = [ALPHA, BETA].iter().zip(scripts);
    let puppets = puppets
        .map(|(id, script)| Box::new(Puppet(*id, Arc::clone(script))) as Box<dyn Strategy>)
        .collect();
    Engine::new(Setup::simulated(RiskLimits::try_from(limits).unwrap()), puppets).unwrap()
}

/// A market named by its number with group, event and category; empty where it has none.
fn market(number: u64, group: &str, event: &str, category: &str) -> Market {
    let mut market = Market::plain(number, "test");
    market.fees = Fees::flat(FeeRate { rate_ppm: 50_000, exponent: 1, rebate_ppm: 0 });
    (market.event, market.category) = (event.to_owned(), category.to_owned());
    market.neg_risk = (!group.is_empty()).then(|| NegRisk {
        group: group.to_owned(),
        members: None,
        augmented: false,
        placeholder: false,
    });
    market
}

/// Markets with books at 0.40 to 0.44, two strategies, an account that agrees.
struct Bench {
    engine: Engine,
    scripts: [Script; 2],
    now: i64,
    commands: Vec<Command>,
}

impl Bench {
    fn new(change: impl FnOnce(&mut RawRisk), markets: &[Market]) -> Bench {
        let mut limits = RawRisk::default();
        change(&mut limits);
        let scripts = <[Script; 2]>::default();
        let engine = engine(&limits, &scripts);
        let mut bench = Bench { engine, scripts, now: 1_000_000, commands: Vec::new() };
        for (key, market) in (0..).map(MarketKey).zip(markets) {
            bench.list(key, market);
        }
        let deposit = Cash {
            kind: CashKind::Deposit,
            conversion: None,
            strategy: None,
            market: None,
            amount: Usdc::whole(1_000),
            shares: Default::default(),
        };
        bench.hear(Event::cash(deposit));
        for key in (0..markets.len() as u32).map(MarketKey) {
            bench.book(key, 40, 44);
        }
        bench.hear(ControlEvent::Start(polydesk_domain::RunStart::backtest()).into());
        let cash = Usdc::whole(1_000);
        let snapshot = AccountSnapshot { complete: true, cash, ..AccountSnapshot::default() };
        bench.hear(AccountEvent::Snapshot(snapshot).into());
        bench
    }

    fn hear(&mut self, event: Event) {
        self.now += 1;
        let at = Time::from_millis(self.now);
        let mut out = Outbox::new();
        self.engine.handle(&Stamped { at, venue_at: at, seq: 0, event }, &mut out);
        self.commands.append(&mut out.commands);
        let state = self.engine.manager().state();
        assert!(!state.sums_lag());
        assert_eq!(state.check_sums(), Ok(()));
    }

    fn list(&mut self, key: MarketKey, market: &Market) {
        self.hear(MarketEvent::Listed { key, market: Arc::new(market.clone()) }.into());
    }

    fn book(&mut self, key: MarketKey, bid: u16, ask: u16) {
        let level = |cents| vec![(Price::cents(cents), Shares::whole(500))];
        let token = key.token(polydesk_domain::Outcome::Yes);
        let snapshot = BookSnapshot { token, bids: level(bid), asks: level(ask) };
        self.hear(MarketEvent::Snapshot(Arc::new(snapshot)).into());
        // A later print of the same market completes the batch.
        let print = polydesk_domain::Print {
            token,
            side: Side::Buy,
            price: Price::cents(ask),
            size: Shares::whole(1),
        };
        self.hear(MarketEvent::Print(print).into());
    }

    /// A strategy emits an action; the codes of the denials that it meets.
    fn say(&mut self, strategy: StrategyId, key: u32, action: Action) -> Vec<&'static str> {
        let before = self.engine.manager().counts().denials.clone();
        let script = &self.scripts[usize::from(strategy == BETA)];
        script.lock().unwrap().push_back((MarketKey(key), action));
        self.hear(crate::harness::go());
        let after = &self.engine.manager().counts().denials;
        let new = after.iter().filter(|(key, count)| before.get(*key) != Some(*count));
        new.map(|((_, code), _)| code.as_str()).collect()
    }

    /// A resting bid of `shares` at `cents` for YES of a market.
    fn bid(
        &mut self,
        strategy: StrategyId,
        key: u32,
        cents: u16,
        shares: u64,
    ) -> Vec<&'static str> {
        self.say(strategy, key, bids(key, &[(cents, shares)]))
    }

    fn order(&mut self, id: u64, update: OrderUpdate) {
        self.hear(Event::order(ClientOrderId(id), update));
    }

    /// A fill of YES of an order, at the order's market.
    fn fill(&mut self, id: u64, shares: u64, cents: u16, fee: Usdc, status: TradeStatus) {
        let order = self.engine.manager().orders().get(ClientOrderId(id)).unwrap();
        let (token, side, shares) = (order.token, order.side, Shares::whole(shares));
        let notional = Price::cents(cents).notional_floor(shares);
        let fill = Fill { shares, notional, fee, level: None, basis: Default::default() };
        let (trade, role) = (TradeId(u128::from(id)), Role::Taker);
        let order = ClientOrderId(id);
        self.hear(Event::trade(OwnTrade { trade, order, token, side, role, fill, status }));
    }

    /// Buys for a strategy at once, to the last word of the settlement.
    fn bought(&mut self, strategy: StrategyId, key: u32, cents: u16, shares: u64) -> u64 {
        assert_eq!(self.bid(strategy, key, cents, shares), <[&str; 0]>::default());
        let id = self.last();
        self.order(id, OrderUpdate::Live);
        self.fill(id, shares, cents, Usdc::ZERO, TradeStatus::Matched);
        self.order(id, OrderUpdate::Filled { matched: Shares::whole(shares) });
        self.fill(id, shares, cents, Usdc::ZERO, TradeStatus::Confirmed);
        id
    }

    fn last(&self) -> u64 {
        let open = self.engine.manager().orders().open().map(|order| order.id.0);
        open.max().unwrap_or(0)
    }

    fn exposure(&self, strategy: StrategyId, key: u32) -> Exposure {
        exposure(&self.engine, strategy, key)
    }

    fn free_cash(&self) -> Usdc {
        self.engine.manager().free_cash()
    }
}

/// Around YES of a market.
fn exposure(engine: &Engine, strategy: StrategyId, key: u32) -> Exposure {
    let facts = Facts {
        now: engine.now(),
        universe: engine.universe(),
        books: engine.books(),
        states: engine.states(),
        state: engine.manager().state(),
    };
    facts.exposure(strategy, Token(key * 2))
}

fn bids(key: u32, list: &[(u16, u64)]) -> Action {
    let quote = |(cents, shares): &(u16, u64)| Quote {
        token: Token(key * 2),
        side: Side::Buy,
        price: Price::cents(*cents),
        size: Shares::whole(*shares),
        exit: None,
    };
    Action::Quotes(list.iter().map(quote).collect())
}

fn take(key: u32, side: Side, cents: u16, shares: u64) -> Action {
    Action::Trade(TradeIntent {
        token: Token(key * 2),
        side,
        size: Size::Shares(Shares::whole(shares)),
        limit: Price::cents(cents),
        urgency: Urgency::Now,
        all_or_nothing: false,
        exit: None,
    })
}

fn usd(text: &str) -> Usdc {
    text.parse().unwrap()
}

const NONE: [&str; 0] = [];

/// One key per market: the neg-risk group, else the event, else the market itself.
#[test]
fn markets_count_as_one_event_by_group_else_by_event_else_alone() {
    for (one, other, together) in [
        (["g", "e", ""], ["g", "f", ""], true),
        (["g", "", ""], ["h", "", ""], false),
        (["", "e", ""], ["", "e", ""], true),
        (["", "e", ""], ["", "f", ""], false),
        // A group is more than its event: what has a group counts by that alone.
        (["g", "e", ""], ["", "e", ""], false),
        (["x", "", ""], ["", "x", ""], false),
        (["", "", ""], ["", "", ""], false),
    ] {
        let of =
            |number, [group, event, category]: [&str; 3]| market(number, group, event, category);
        let mut bench = Bench::new(|_| (), &[of(1, one), of(2, other)]);
        assert_eq!(bench.bid(ALPHA, 0, 30, 10), NONE);
        let around = bench.exposure(ALPHA, 1);
        let want = if together { Usdc::whole(3) } else { Usdc::ZERO };
        assert_eq!((around.event, around.market), (want, Usdc::ZERO), "{one:?} {other:?}");
        assert_eq!(bench.exposure(ALPHA, 0).event, Usdc::whole(3), "{one:?} {other:?}");
    }
}

#[test]
fn the_category_limit_counts_all_markets_of_one_category() {
    let markets = ["sports", "sports", "crypto", "", ""];
    let markets: Vec<Market> =
        (1..).zip(markets).map(|(number, category)| market(number, "", "", category)).collect();
    let mut bench = Bench::new(|risk| risk.max_category_usd = Usdc::whole(5), &markets);
    assert_eq!(bench.bid(ALPHA, 0, 30, 10), NONE);
    assert_eq!(bench.bid(BETA, 1, 30, 10), ["max_category"]);
    assert_eq!(bench.bid(BETA, 2, 30, 10), NONE);
    // Markets without a category are not known to be of one.
    assert_eq!(bench.bid(ALPHA, 3, 30, 10), NONE);
    assert_eq!(bench.bid(ALPHA, 4, 30, 10), NONE);
    assert_eq!(bench.say(ALPHA, 4, bids(4, &[(30, 10), (29, 10)])), ["max_category"]);
}

#[test]
fn each_strategy_has_a_limit_of_its_own_and_all_share_that_of_the_account() {
    let markets: Vec<Market> = (1..4).map(|number| market(number, "", "", "")).collect();
    let limits = |risk: &mut RawRisk| {
        (risk.max_strategy_usd, risk.max_account_usd) = (Usdc::whole(5), Usdc::whole(8));
    };
    let mut bench = Bench::new(limits, &markets);
    assert_eq!(bench.bid(ALPHA, 0, 30, 10), NONE);
    assert_eq!(bench.bid(ALPHA, 1, 30, 10), ["max_strategy"]);
    assert_eq!(bench.bid(BETA, 1, 30, 10), NONE);
    assert_eq!(bench.exposure(ALPHA, 0).strategy, Usdc::whole(3));
    assert_eq!(bench.exposure(ALPHA, 0).account, Usdc::whole(6));
    assert_eq!(bench.bid(ALPHA, 2, 20, 9), NONE);
    assert_eq!(bench.bid(BETA, 2, 10, 10), ["max_account"]);
}

#[test]
fn a_split_under_way_counts_by_market_and_its_money_and_shares_are_spoken_for() {
    let limits = |risk: &mut RawRisk| {
        (risk.max_market_usd, risk.max_shares) = (Usdc::whole(24), 60);
    };
    let mut bench = Bench::new(limits, &[market(1, "", "", "")]);
    // YES for 0.56 and NO for 0.50: a set sold for more than a dollar.
    bench.book(MarketKey(0), 56, 50);
    let leg = |outcome, cents| Leg {
        token: MarketKey(0).token(outcome),
        side: Side::Sell,
        limit: Price::cents(cents),
    };
    let basket = Basket {
        kind: BasketKind::SellPair,
        legs: vec![leg(polydesk_domain::Outcome::Yes, 56), leg(polydesk_domain::Outcome::No, 50)],
        sets: Shares::whole(20),
        min_edge_per_set: Usdc::new(1),
    };
    assert_eq!(bench.say(ALPHA, 0, Action::Basket(basket)), NONE);
    assert!(matches!(bench.commands.last(), Some(Command::Convert { .. })), "{:?}", bench.commands);
    let around = bench.exposure(ALPHA, 0);
    assert_eq!((around.market, around.strategy), (Usdc::whole(20), Usdc::whole(20)));
    assert_eq!((around.reserved, around.shares), (Usdc::whole(20), Shares::whole(20)));
    assert_eq!(bench.free_cash(), Usdc::whole(980));
    bench.book(MarketKey(0), 40, 44);
    assert_eq!(bench.bid(BETA, 0, 40, 12), ["max_market"]);
    assert_eq!(bench.bid(BETA, 0, 5, 41), ["max_shares"]);
    // It failed: nothing of it is left.
    let failed = Cash {
        kind: CashKind::Failed,
        conversion: Some(ConversionId(1)),
        strategy: None,
        market: Some(MarketKey(0)),
        amount: Usdc::ZERO,
        shares: Default::default(),
    };
    bench.hear(Event::cash(failed));
    assert_eq!(bench.exposure(ALPHA, 0), Exposure::default());
    assert_eq!(bench.free_cash(), Usdc::whole(1_000));
}

#[test]
fn whatever_is_open_may_match_now_and_settle_late() {
    let limits = |risk: &mut RawRisk| risk.max_unsettled_usd = Usdc::whole(5);
    let mut bench = Bench::new(limits, &[market(1, "", "", ""), market(2, "", "", "")]);
    assert_eq!(bench.bid(ALPHA, 0, 30, 10), NONE);
    assert_eq!(bench.bid(ALPHA, 1, 30, 10), ["unsettled"]);
    // Bought and not final it counts as before, final it does not.
    let id = bench.last();
    bench.fill(id, 10, 30, Usdc::ZERO, TradeStatus::Matched);
    bench.order(id, OrderUpdate::Filled { matched: Shares::whole(10) });
    assert_eq!(bench.exposure(ALPHA, 0).unsettled, Usdc::whole(3));
    assert_eq!(bench.bid(ALPHA, 1, 31, 10), ["unsettled"]);
    bench.fill(id, 10, 30, Usdc::ZERO, TradeStatus::Confirmed);
    assert_eq!(bench.bid(ALPHA, 1, 30, 10), NONE);
}

#[test]
fn an_immediate_buy_counts_the_shares_that_its_money_buys_at_the_lowest_price() {
    let mut bench = Bench::new(|risk| risk.max_shares = 500, &[market(1, "", "", "")]);
    // $4.40 at 0.44: ten shares by the limit, 440 at a cent.
    assert_eq!(bench.say(ALPHA, 0, take(0, Side::Buy, 44, 10)), NONE);
    assert_eq!(bench.exposure(ALPHA, 0).shares, Shares::whole(440));
    assert_eq!(bench.bid(BETA, 0, 30, 61), ["max_shares"]);
    assert_eq!(bench.bid(BETA, 0, 30, 60), NONE);
    // What was spent cannot be spent again, and what it bought is held.
    bench.fill(1, 5, 44, Usdc::ZERO, TradeStatus::Matched);
    assert_eq!(bench.exposure(ALPHA, 0).shares, Shares::whole(220 + 5 + 60));
    // On a finer grid the rest may bring ten times as many.
    let tick = Tick::Thousandth;
    bench.hear(MarketEvent::Tick { market: MarketKey(0), tick }.into());
    assert_eq!(bench.exposure(ALPHA, 0).shares, Shares::whole(2_200 + 5 + 60));
    let reason = CancelReason::Killed;
    bench.order(1, OrderUpdate::Cancelled { reason, matched: Shares::whole(5) });
    assert_eq!(bench.exposure(ALPHA, 0).shares, Shares::whole(5 + 60));
}

#[test]
fn one_immediate_buy_alone_can_be_too_many_shares() {
    let mut bench = Bench::new(|risk| risk.max_shares = 400, &[market(1, "", "", "")]);
    assert_eq!(bench.say(ALPHA, 0, take(0, Side::Buy, 44, 10)), ["max_shares"]);
}

#[test]
fn a_fee_is_reserved_until_it_is_charged_and_then_part_of_the_cost() {
    let mut bench = Bench::new(|_| (), &[market(1, "", "", "")]);
    assert_eq!(bench.say(ALPHA, 0, take(0, Side::Buy, 44, 10)), NONE);
    // At worst 5 % of $4.40, and a little for rounding.
    assert_eq!(bench.exposure(ALPHA, 0).reserved, usd("4.6201"));
    bench.fill(1, 5, 44, usd("0.0616"), TradeStatus::Matched);
    let around = bench.exposure(ALPHA, 0);
    assert_eq!(around.reserved, usd("2.20") + usd("0.2201") - usd("0.0616"));
    assert_eq!(around.market, usd("4.6201"));
    assert_eq!(bench.free_cash(), Usdc::whole(1_000) - usd("4.6201"));
    let reason = CancelReason::Killed;
    bench.order(1, OrderUpdate::Cancelled { reason, matched: Shares::whole(5) });
    assert_eq!(bench.exposure(ALPHA, 0).market, usd("2.2616"));
    assert_eq!(bench.exposure(ALPHA, 0).reserved, Usdc::ZERO);
}

#[test]
fn what_failed_to_settle_cannot_be_spent_again() {
    let mut bench = Bench::new(|_| (), &[market(1, "", "", "")]);
    assert_eq!(bench.say(ALPHA, 0, take(0, Side::Buy, 44, 10)), NONE);
    bench.fill(1, 5, 44, Usdc::ZERO, TradeStatus::Matched);
    bench.fill(1, 5, 44, Usdc::ZERO, TradeStatus::Failed);
    // $2.20 of $4.40, and the fee that is reserved.
    assert_eq!(bench.exposure(ALPHA, 0).market, usd("2.4201"));
    assert_eq!(bench.exposure(ALPHA, 0).shares, Shares::whole(220));
}

/// A resting order that may take is bounded by its money like any other: what it buys below its limit
/// leaves money for more shares.
#[test]
fn a_resting_buy_that_takes_at_a_better_price_counts_with_the_money_it_has_left() {
    let mut bench = Bench::new(|_| (), &[market(1, "", "", "")]);
    let intent = TradeIntent {
        token: Token(0),
        side: Side::Buy,
        size: Size::Shares(Shares::whole(100)),
        limit: Price::cents(50),
        urgency: Urgency::Rest,
        all_or_nothing: false,
        exit: None,
    };
    assert_eq!(bench.say(ALPHA, 0, Action::Trade(intent)), NONE);
    let fees = bench.exposure(ALPHA, 0).reserved - Usdc::whole(50);
    bench.fill(1, 100, 44, Usdc::ZERO, TradeStatus::Matched);
    bench.order(1, OrderUpdate::Live);
    // $6 of $50 are left, for twelve shares more at the limit and 600 at worst.
    let around = bench.exposure(ALPHA, 0);
    assert_eq!((around.market, around.reserved), (Usdc::whole(50) + fees, Usdc::whole(6) + fees));
    assert_eq!(around.shares, Shares::whole(100 + 600));
}

#[test]
fn a_sale_counts_until_it_is_final() {
    let mut bench = Bench::new(|_| (), &[market(1, "", "event", "category")]);
    bench.bought(ALPHA, 0, 30, 10);
    // Nothing is sold into a book that has not stood for a second.
    bench.now += 1_000;
    bench.hear(ControlEvent::Timer.into());
    let close = Close { token: Token(0), fraction_ppm: 1_000_000, floor: Price::cents(20) };
    bench.say(ALPHA, 0, Action::Close(close));
    let id = bench.last();
    bench.fill(id, 10, 40, Usdc::ZERO, TradeStatus::Matched);
    bench.order(id, OrderUpdate::Filled { matched: Shares::whole(10) });
    let around = bench.exposure(ALPHA, 0);
    let sums = [around.market, around.event, around.category, around.strategy, around.account];
    assert_eq!(sums, [Usdc::whole(3); 5]);
    assert_eq!(around.shares, Shares::whole(10));
    assert!(!bench.engine.manager().flat(MarketKey(0)));
    bench.fill(id, 10, 40, Usdc::ZERO, TradeStatus::Confirmed);
    assert_eq!(bench.exposure(ALPHA, 0), Exposure::default());
    assert!(bench.engine.manager().flat(MarketKey(0)));
}

#[test]
fn a_relisting_moves_what_the_market_has_to_its_new_event_and_category() {
    let named = |number, name: &str| market(number, "", name, name);
    let mut bench =
        Bench::new(|_| (), &[named(1, "a"), named(2, "a"), named(3, "b"), named(4, "c")]);
    bench.bought(ALPHA, 0, 30, 10);
    bench.bid(ALPHA, 1, 20, 10);
    bench.bid(BETA, 2, 10, 10);
    let sums = |bench: &Bench| {
        [0, 1, 2, 3].map(|key| {
            let around = bench.exposure(ALPHA, key);
            assert_eq!(around.event, around.category);
            around.event.micros() / 1_000_000
        })
    };
    assert_eq!(sums(&bench), [5, 5, 1, 0]);
    bench.list(MarketKey(0), &named(1, "b"));
    assert_eq!(sums(&bench), [4, 2, 4, 0]);
    bench.list(MarketKey(2), &named(3, "c"));
    assert_eq!(sums(&bench), [3, 2, 1, 1]);
    bench.list(MarketKey(1), &named(2, ""));
    assert_eq!(sums(&bench), [3, 2, 1, 1]);
    // A group takes a market out of its event; its category stays.
    bench.list(MarketKey(2), &market(3, "group", "c", "c"));
    let around = bench.exposure(ALPHA, 3);
    assert_eq!((around.event, around.category), (Usdc::ZERO, Usdc::whole(1)));
}

/// Sums are not saved: a loaded engine makes them again, for markets listed before and those it lists.
#[test]
fn a_loaded_engine_has_the_same_sums() {
    let markets = [
        market(1, "", "e", "c"),
        market(2, "g", "e", "c"),
        market(3, "g", "f", "d"),
        market(4, "", "e", ""),
    ];
    let mut bench = Bench::new(|_| (), &markets);
    bench.bought(ALPHA, 0, 30, 10);
    bench.bid(BETA, 1, 20, 10);
    bench.say(ALPHA, 3, take(3, Side::Buy, 44, 10));
    let all = |engine: &Engine| {
        let around = |key| [ALPHA, BETA].map(|strategy| exposure(engine, strategy, key));
        (0..4).map(around).collect::<Vec<_>>()
    };
    let listed_before = |count: usize| {
        let mut two = engine(&RawRisk::default(), &Default::default());
        let at = bench.engine.now();
        for (key, market) in (0..).map(MarketKey).zip(&markets).take(count) {
            let event = MarketEvent::Listed { key, market: Arc::new(market.clone()) }.into();
            two.handle(&Stamped { at, venue_at: at, seq: 0, event }, &mut Outbox::new());
        }
        two.load(&bench.engine.save()).unwrap();
        assert_eq!(two.manager().state().check_sums(), Ok(()));
        two
    };
    assert_eq!(all(&listed_before(4)), all(&bench.engine));
    // Without the third market, in which nothing is, the fourth gets its key.
    let two = listed_before(0);
    assert_eq!(exposure(&two, BETA, 0), bench.exposure(BETA, 0));
    assert_eq!(exposure(&two, BETA, 2), bench.exposure(BETA, 3));
    assert_eq!(two.manager().free_cash(), bench.free_cash());
}

#[test]
fn a_market_is_flat_only_when_nothing_of_ours_is_left_in_it() {
    let mut bench = Bench::new(|_| (), &[market(1, "", "", ""), market(2, "", "", "")]);
    let delist = |bench: &mut Bench| {
        bench.hear(MarketEvent::Delisted { market: MarketKey(0) }.into());
        bench.engine.universe().get(MarketKey(0)).is_none()
    };
    bench.bid(ALPHA, 0, 30, 10);
    assert!(!delist(&mut bench), "an open order");
    let id = bench.last();
    bench.fill(id, 4, 30, Usdc::ZERO, TradeStatus::Matched);
    bench.say(ALPHA, 0, bids(0, &[]));
    let reason = CancelReason::Requested;
    bench.order(id, OrderUpdate::Cancelled { reason, matched: Shares::whole(4) });
    assert!(!delist(&mut bench), "a fill that is not final, and shares");
    bench.fill(id, 4, 30, Usdc::ZERO, TradeStatus::Failed);
    assert_eq!(bench.exposure(ALPHA, 0), Exposure::default());
    bench.bought(BETA, 1, 30, 10);
    assert!(delist(&mut bench));
    // What is in the other market is untouched, and the orders of the first are forgotten.
    assert_eq!(bench.exposure(BETA, 1).account, Usdc::whole(3));
    assert!(bench.engine.manager().orders().get(ClientOrderId(id)).is_none());
    assert_eq!(bench.engine.manager().orders().count(), 1);
    assert_eq!(bench.engine.states()[0], MarketState::Closed);
    let cash = bench.engine.manager().ledger().balance(LedgerAccount::Cash);
    assert_eq!(cash, Usdc::whole(997));
}
