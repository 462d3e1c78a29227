//! Laws for any tape and any commands: conservation, bounds of fills, replay, no look-ahead.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::common::{START, cases};
use polydesk_domain::*;
use polydesk_sim::{Delay, QueueModel, Sim, SimConfig};
use proptest::prelude::*;

/// What happens at one instant of a random run.
#[derive(Debug, Clone)]
enum Act {
    Snapshot { market: u32, bids: Vec<(u16, u64)>, asks: Vec<(u16, u64)> },
    Level { market: u32, bid: bool, cents: u16, size: u64 },
    Print { market: u32, no: bool, buy: bool, cents: u16, size: u64 },
    Place { token: u32, sell: bool, cents: u16, size: u64, tif: u8, post: bool },
    Cancel(usize),
    CancelAll,
    Query(usize),
    Split { market: u32, size: u64 },
    Merge { market: u32, size: u64 },
    Redeem { market: u32 },
    Interrupt,
    Tick { market: u32 },
    Resolve { market: u32, yes: u32 },
    Pause { market: u32, on: bool },
}

/// An act some milliseconds after the one before.
type Step = (i64, Act);

fn act() -> impl Strategy<Value = Act> {
    let cents = || 40u16..60;
    let size = || prop_oneof![1u64..30, 1u64..400];
    let levels = |from, to| proptest::collection::vec((from..to, 1u64..60), 0..5);
    let market = || 0u32..2;
    prop_oneof![
        12 => (market(), levels(40u16, 50), levels(50u16, 60))
            .prop_map(|(market, bids, asks)| Act::Snapshot { market, bids, asks }),
        24 => (market(), any::<bool>(), cents(), prop_oneof![Just(0u64), 1u64..80])
            .prop_map(|(market, bid, cents, size)| Act::Level { market, bid, cents, size }),
        24 => (market(), any::<bool>(), any::<bool>(), cents(), size()).prop_map(
            |(market, no, buy, cents, size)| Act::Print { market, no, buy, cents, size }
        ),
        40 => (0u32..4, 0u8..4, 44u16..57, 6u64..60, 0u8..7, 0u8..4).prop_map(
            |(token, sell, cents, size, tif, post)| {
                Act::Place { token, sell: sell == 0, cents, size, tif, post: post == 0 }
            }
        ),
        6 => (0usize..60).prop_map(Act::Cancel),
        1 => Just(Act::CancelAll),
        3 => (0usize..60).prop_map(Act::Query),
        6 => (market(), 1u64..60).prop_map(|(market, size)| Act::Split { market, size }),
        3 => (market(), 1u64..60).prop_map(|(market, size)| Act::Merge { market, size }),
        2 => market().prop_map(|market| Act::Redeem { market }),
        1 => Just(Act::Interrupt),
        1 => market().prop_map(|market| Act::Tick { market }),
        1 => (market(), 0u32..=1_000_000)
            .prop_map(|(market, yes)| Act::Resolve { market, yes }),
        3 => (market(), 0u8..3).prop_map(|(market, on)| Act::Pause { market, on: on == 0 }),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let pause = prop_oneof![3 => 0i64..4, 5 => 0i64..60, 3 => 60i64..900, 1 => 900i64..20_000];
    proptest::collection::vec((pause, act()), 1..120)
}

fn delay() -> impl Strategy<Value = Delay> {
    prop_oneof![
        Just(Delay::NONE),
        (0i64..300).prop_map(Delay::millis),
        (0i64..200, 0i64..900)
            .prop_map(|(median, more)| Delay::sampled_millis(median, median + more)),
    ]
}

fn calm_config() -> impl Strategy<Value = SimConfig> {
    let queue = prop_oneof![
        Just(QueueModel::Pessimistic),
        Just(QueueModel::Proportional),
        (1u8..=8).prop_map(|exponent| QueueModel::Power { exponent }),
    ];
    let wire = (delay(), delay(), delay());
    let chain = (delay(), delay(), 0u32..300_000, 0u32..300_000, any::<bool>());
    (queue, wire, chain, 20i64..4_000, 0i64..20).prop_map(
        |(queue, (insert, cancel, answer), chain, cash, timeout)| {
            let (mined, confirmed, retry_ppm, fail_ppm, auto_redeem) = chain;
            let mut config = SimConfig::instant();
            config.starting_cash = Usdc::whole(cash);
            config.queue = queue;
            (config.latency.insert, config.latency.cancel) = (insert, cancel);
            config.latency.answer = answer;
            (config.settlement.mined, config.settlement.confirmed) = (mined, confirmed);
            (config.settlement.retry_ppm, config.settlement.fail_ppm) = (retry_ppm, fail_ppm);
            config.settlement.winner_fail_ppm = fail_ppm;
            config.conversions.auto_redeem = auto_redeem;
            config.conversions.fail_ppm = fail_ppm / 2;
            config.matching.batch_timeout = Span::millis(timeout);
            config.rebates.least = Usdc::ZERO;
            config
        },
    )
}

fn wild_config() -> impl Strategy<Value = SimConfig> {
    let ppm = || prop_oneof![Just(0u32), 0u32..600_000];
    (calm_config(), ppm(), ppm(), ppm(), ppm(), ppm(), ppm()).prop_map(
        |(mut config, order, answer, cancel, cancel_answer, slow, late)| {
            let faults = &mut config.faults;
            faults.lose_order_ppm = order;
            faults.lose_answer_ppm = answer;
            faults.lose_cancel_ppm = cancel;
            faults.lose_cancel_answer_ppm = cancel_answer;
            faults.slow_answer_ppm = slow;
            faults.late_fill_ppm = late;
            faults.throttle_ppm = order / 4;
            config
        },
    )
}

/// As `wild_config`, and reports of fills, ends, settlement stages and conversions are lost too.
fn lossy_config() -> impl Strategy<Value = SimConfig> {
    let ppm = || prop_oneof![Just(0u32), 0u32..=1_000_000];
    (wild_config(), ppm(), ppm(), ppm(), ppm()).prop_map(
        |(mut config, fill, end, settlement, conversion)| {
            let faults = &mut config.faults;
            faults.lose_fill_ppm = fill;
            faults.lose_end_ppm = end;
            faults.lose_settlement_ppm = settlement;
            faults.lose_conversion_ppm = conversion;
            config
        },
    )
}

/// The input and the events of a run, for the judges.
#[derive(Debug, Default)]
struct Run {
    events: Vec<(Time, Event)>,
    placed: BTreeMap<ClientOrderId, (Time, PlaceOrder)>,
    converted: Vec<ConversionId>,
    /// Shares that ever appeared at a level of a ladder.
    shown: BTreeMap<(u32, Outcome, Price), u64>,
    /// Shares printed per market and YES price in cents.
    printed: BTreeMap<(u32, u16), u64>,
    counters: String,
}

/// The form in which rows are given to the exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RowForm {
    Plain,
    /// Every snapshot and level change comes twice.
    Twice,
    /// Books of NO instead of YES, and prints on the other token.
    Mirrored,
}

fn play(config: SimConfig, seed: u64, steps: &[Step], form: RowForm) -> Run {
    play_out(config, seed, steps, form).0
}

/// The run, and the exchange after everything settled.
fn play_out(config: SimConfig, seed: u64, steps: &[Step], form: RowForm) -> (Run, Sim) {
    let mut run = Run::default();
    let mut sim = Sim::new(config, seed).unwrap();
    let mut at = START;
    for number in 0..2 {
        let mut market = Market::plain(number, "law");
        market.fees = Fees::flat(FeeRate::checked(70_000, 1, 200_000).unwrap());
        // The second market has a taker delay.
        market.taker_delay = Span::millis(number as i64 * 250);
        let event = Event::Market(MarketEvent::Listed {
            key: MarketKey(number as u32),
            market: Arc::new(market),
        });
        sim.on_market(&Stamped { at, venue_at: at, seq: 0, event });
    }
    let mut shadow: BTreeMap<(u32, Outcome, Price), u64> = BTreeMap::new();
    for (seq, (pause, act)) in steps.iter().enumerate() {
        at = at + Span::millis(*pause);
        sim.advance(at - Span::nanos(1), &mut run.events);
        if let Some(command) = command(act, seq as u64, at) {
            if let Command::Place(orders) = &command {
                run.placed.extend(orders.iter().map(|order| (order.id, (at, order.clone()))));
            }
            if let Command::Convert { id, .. } = &command {
                run.converted.push(*id);
            }
            sim.submit(at, &command);
        }
        if let Some(event) = row(act, form) {
            note_shown(act, &mut shadow, &mut run);
            let twice = form == RowForm::Twice
                && matches!(
                    event,
                    Event::Market(MarketEvent::Level(_)) | Event::Market(MarketEvent::Snapshot(_))
                );
            for _ in 0..=u8::from(twice) {
                sim.on_market(&Stamped { at, venue_at: at, seq: 0, event: event.clone() });
            }
        }
        if let Err(broken) = sim.check_conservation() {
            panic!("after step {seq} {act:?}: {broken}");
        }
    }
    sim.advance(at + Span::secs(600), &mut run.events);
    sim.settle_rebates();
    sim.advance(at + Span::secs(700), &mut run.events);
    assert_eq!(sim.check_conservation(), Ok(()));
    assert_eq!(sim.broken(), None);
    let account = sim.account();
    assert!(account.cash_in_flight.is_zero() && account.cash_incoming.is_zero());
    run.counters = serde_json::to_string(sim.counters()).unwrap();
    (run, sim)
}

/// Queries every order and every conversion of a run.
fn query_all(run: &mut Run, sim: &mut Sim) {
    let at = sim.now();
    let orders = run.placed.keys().map(|id| Query::Order(*id));
    for query in orders.chain(run.converted.iter().map(|id| Query::Conversion(*id))) {
        sim.submit(at, &Command::Query(query));
    }
    sim.advance(at + Span::secs(60), &mut run.events);
}

/// The account that follows from the reports: each match with its last status, each conversion once, all
/// other cash as it comes.
#[derive(Debug, PartialEq)]
struct Reported {
    cash: Usdc,
    shares: BTreeMap<Token, i128>,
    /// Orders that are open by their last update.
    open: BTreeSet<ClientOrderId>,
}

fn reported(run: &Run, starting_cash: Usdc) -> Reported {
    let mut trades: BTreeMap<TradeId, OwnTrade> = BTreeMap::new();
    let mut conversions: BTreeMap<ConversionId, Cash> = BTreeMap::new();
    let (mut unasked, mut open) = (Vec::new(), BTreeSet::new());
    for (_, event) in &run.events {
        let Event::Account(event) = event else { panic!("{event:?}") };
        match &**event {
            AccountEvent::Trade(trade) => drop(trades.insert(trade.trade, *trade)),
            AccountEvent::Cash(cash) => match cash.conversion {
                Some(id) => drop(conversions.insert(id, *cash)),
                None => unasked.push(*cash),
            },
            AccountEvent::Order { id, update } => match update {
                OrderUpdate::Live | OrderUpdate::Matched | OrderUpdate::Delayed => {
                    open.insert(*id);
                }
                OrderUpdate::CancelRefused { .. } | OrderUpdate::Unknown => {}
                _ => drop(open.remove(id)),
            },
            other => panic!("{other:?}"),
        }
    }
    let mut account = Reported { cash: starting_cash, shares: BTreeMap::new(), open };
    for trade in trades.values() {
        let (fill, shares) = (trade.fill, i128::from(trade.fill.shares.micros()));
        match (trade.status, trade.side) {
            (TradeStatus::Failed, _) => continue,
            (TradeStatus::Confirmed, Side::Buy) => {
                account.cash -= fill.notional + fill.fee;
                *account.shares.entry(trade.token).or_default() += shares;
            }
            (TradeStatus::Confirmed, Side::Sell) => {
                account.cash += fill.notional - fill.fee;
                *account.shares.entry(trade.token).or_default() -= shares;
            }
            (status, _) => panic!("{:?} is {status:?}", trade.trade),
        }
    }
    for cash in conversions.values().chain(&unasked) {
        account.cash += cash.amount;
        let sign = if cash.kind == CashKind::Split { 1 } else { -1 };
        for outcome in Outcome::BOTH {
            let Some(market) = cash.market else { continue };
            let shares = i128::from(cash.shares[outcome.index()].micros());
            *account.shares.entry(market.token(outcome)).or_default() += sign * shares;
        }
    }
    account.shares.retain(|_, shares| *shares != 0);
    account
}

/// The account as the exchange keeps it.
fn kept(sim: &Sim) -> Reported {
    let snapshot = sim.account_snapshot(0);
    let shares = snapshot.shares.iter();
    Reported {
        cash: snapshot.cash,
        shares: shares.map(|(token, shares)| (*token, i128::from(shares.micros()))).collect(),
        open: sim.open_orders().iter().map(|order| order.id).collect(),
    }
}

fn token(market: u32, outcome: Outcome) -> Token {
    MarketKey(market).token(outcome)
}

fn row(act: &Act, form: RowForm) -> Option<Event> {
    let mirrored = form == RowForm::Mirrored;
    let outcome = if mirrored { Outcome::No } else { Outcome::Yes };
    let price = |cents: u16| {
        let price = Price::cents(cents);
        if mirrored { price.complement() } else { price }
    };
    let levels = |levels: &[(u16, u64)]| {
        levels.iter().map(|(cents, size)| (price(*cents), Shares::whole(*size))).collect::<Vec<_>>()
    };
    Some(match act {
        Act::Snapshot { market, bids, asks } => {
            let (mut bids, mut asks) = (levels(bids), levels(asks));
            if mirrored {
                std::mem::swap(&mut bids, &mut asks);
            }
            Event::Market(MarketEvent::Snapshot(Arc::new(BookSnapshot {
                token: token(*market, outcome),
                bids,
                asks,
            })))
        }
        Act::Level { market, bid, cents, size } => Event::Market(MarketEvent::Level(LevelChange {
            token: token(*market, outcome),
            side: if *bid != mirrored { Side::Buy } else { Side::Sell },
            price: price(*cents),
            size: Shares::whole(*size),
            top: None,
        })),
        Act::Print { market, no, buy, cents, size } => {
            let outcome = if *no != mirrored { Outcome::No } else { Outcome::Yes };
            Event::Market(MarketEvent::Print(Print {
                token: token(*market, outcome),
                side: if *buy != mirrored { Side::Buy } else { Side::Sell },
                price: price(*cents),
                size: Shares::whole(*size),
            }))
        }
        Act::Interrupt => Event::Market(MarketEvent::Interrupted(Interruption { market: None })),
        Act::Tick { market } => {
            Event::Market(MarketEvent::Tick { market: MarketKey(*market), tick: Tick::Cent })
        }
        Act::Resolve { market, yes } => Event::Market(MarketEvent::State {
            market: MarketKey(*market),
            state: MarketState::Resolved(Payout::yes_micros(*yes).unwrap()),
        }),
        Act::Pause { market, on } => Event::Market(MarketEvent::State {
            market: MarketKey(*market),
            state: if *on { MarketState::Paused } else { MarketState::Open },
        }),
        _ => return None,
    })
}

fn command(act: &Act, seq: u64, at: Time) -> Option<Command> {
    let id = ClientOrderId(seq);
    let set = |market: &u32, action| {
        let market = MarketKey(*market);
        Some(Command::Convert {
            id: ConversionId(seq),
            strategy: StrategyId::OPERATOR,
            market,
            action,
        })
    };
    match act {
        Act::Place { token, sell, cents, size, tif, post } => {
            let side = if *sell { Side::Sell } else { Side::Buy };
            let tif = match tif {
                0..=3 => Tif::Gtc,
                4 => Tif::Gtd { expires: at + Span::secs(200) },
                5 => Tif::Fok,
                _ => Tif::Fak,
            };
            let spend = !tif.rests() && side == Side::Buy;
            Some(Command::Place(vec![PlaceOrder {
                id,
                strategy: StrategyId::OPERATOR,
                signal: None,
                basket: None,
                token: Token(*token),
                side,
                price: Price::cents(*cents),
                size: match spend {
                    true => Size::Spend(Usdc::cents(*size as i64 * 37)),
                    false => Size::Shares(Shares::new(size * 770_000)),
                },
                tif,
                post_only: *post && tif.rests(),
                decided_at: at,
                data_at: at,
                expires: Time::MAX,
            }]))
        }
        Act::Cancel(which) => Some(Command::Cancel(ClientOrderId(*which as u64))),
        Act::CancelAll => Some(Command::CancelAll(None)),
        Act::Query(which) => Some(Command::Query(Query::Order(ClientOrderId(*which as u64)))),
        Act::Split { market, size } => set(market, Conversion::Split(Shares::whole(*size))),
        Act::Merge { market, size } => set(market, Conversion::Merge(Shares::whole(*size))),
        Act::Redeem { market } => set(market, Conversion::Redeem),
        _ => None,
    }
}

/// Keeps a plain book of its own and counts the shares that appear in it.
fn note_shown(act: &Act, shadow: &mut BTreeMap<(u32, Outcome, Price), u64>, run: &mut Run) {
    let mut set = |key: (u32, Outcome, Price), size: u64| {
        let before = shadow.insert(key, size).unwrap_or(0);
        *run.shown.entry(key).or_default() += size.saturating_sub(before);
    };
    let place = |bid: bool, cents: u16| match bid {
        true => (Outcome::Yes, Price::cents(cents)),
        false => (Outcome::No, Price::cents(cents).complement()),
    };
    match act {
        Act::Level { market, bid, cents, size } => {
            let (ladder, price) = place(*bid, *cents);
            set((*market, ladder, price), size * 1_000_000);
        }
        Act::Snapshot { market, bids, asks } => {
            for cents in 0..=100 {
                for (bid, levels) in [(true, bids), (false, asks)] {
                    let (ladder, price) = place(bid, cents);
                    let last = levels.iter().rev().find(|(level, _)| *level == cents);
                    // A level given twice counts with each of its sizes: an upper bound.
                    let sum: u64 =
                        levels.iter().filter(|level| level.0 == cents).map(|level| level.1).sum();
                    set((*market, ladder, price), sum * 1_000_000);
                    set((*market, ladder, price), last.map_or(0, |level| level.1) * 1_000_000);
                }
            }
        }
        Act::Print { market, no, cents, size, .. } => {
            let yes = if *no { 100 - cents } else { *cents };
            *run.printed.entry((*market, yes)).or_default() += size * 1_000_000;
        }
        _ => {}
    }
}

/// The first report of each match.
fn matches(run: &Run) -> Vec<(Time, OwnTrade)> {
    let (mut found, mut seen) = (Vec::new(), BTreeSet::new());
    for (at, event) in &run.events {
        if let Event::Account(event) = event
            && let AccountEvent::Trade(trade) = &**event
            && seen.insert(trade.trade)
        {
            found.push((*at, *trade));
        }
    }
    found
}

fn ladder_taken(trade: &OwnTrade) -> Outcome {
    match trade.side {
        Side::Buy => trade.token.outcome().other(),
        Side::Sell => trade.token.outcome(),
    }
}

/// No level gave takers more than ever appeared there; nothing gave makers more than was printed or
/// displayed in all.
fn judge_bounds(run: &Run) {
    let mut taken: BTreeMap<(u32, Outcome, Price), u64> = BTreeMap::new();
    let mut by_ladder: BTreeMap<(u32, Outcome), u64> = BTreeMap::new();
    let mut made: BTreeMap<u32, u64> = BTreeMap::new();
    for (_, trade) in matches(run) {
        let (market, ladder) = (trade.token.market().0, ladder_taken(&trade));
        let level = trade.fill.level.unwrap();
        let bid = if trade.side == Side::Buy { level.complement() } else { level };
        let shares = trade.fill.shares.micros();
        if trade.role == Role::Taker {
            *taken.entry((market, ladder, bid)).or_default() += shares;
            *by_ladder.entry((market, ladder)).or_default() += shares;
        } else {
            *made.entry(market).or_default() += shares;
        }
    }
    for (level, shares) in &taken {
        let shown = run.shown.get(level).copied().unwrap_or(0);
        // A print at a level that did not shrink means that as much was added again.
        let (market, ladder, bid) = *level;
        let yes = if ladder == Outcome::Yes { bid } else { bid.complement() };
        let printed = run.printed.get(&(market, yes.units() / 100)).copied().unwrap_or(0);
        assert!(*shares <= shown + printed, "{level:?} gave {shares} of {shown} + {printed}");
    }
    for (market, shares) in made {
        let shown: u64 =
            run.shown.iter().filter(|(level, _)| level.0 == market).map(|(_, size)| size).sum();
        let used: u64 =
            by_ladder.iter().filter(|(key, _)| key.0 == market).map(|(_, size)| size).sum();
        let printed: u64 =
            run.printed.iter().filter(|(key, _)| key.0 == market).map(|(_, size)| size).sum();
        assert!(
            shares + used <= 2 * printed + shown,
            "makers got {shares}, takers {used} of {printed} + {shown}"
        );
    }
}

/// No order gets more than it asked for (price, size, pUSD), nor anything before its arrival.
fn judge_orders(run: &Run, insert_at_least: Span) {
    let mut sums: BTreeMap<ClientOrderId, (u64, i64)> = BTreeMap::new();
    for (at, trade) in matches(run) {
        let (placed_at, order) = &run.placed[&trade.order];
        assert!(at >= *placed_at + insert_at_least, "{} before it arrived", trade.order);
        let level = trade.fill.level.unwrap();
        match order.side {
            Side::Buy => assert!(level <= order.price),
            Side::Sell => assert!(level >= order.price),
        }
        assert!(trade.fill.notional >= level.notional_floor(trade.fill.shares));
        assert!(trade.fill.notional <= level.notional_ceil(trade.fill.shares));
        let sum = sums.entry(trade.order).or_default();
        sum.0 += trade.fill.shares.micros();
        sum.1 += trade.fill.notional.micros();
    }
    for (id, (shares, money)) in &sums {
        let order = &run.placed[id].1;
        match (order.side, order.size) {
            (Side::Buy, Size::Spend(most)) => assert!(*money <= most.micros()),
            (Side::Buy, Size::Shares(size)) => {
                assert!(*money <= order.price.notional_ceil(size).micros());
            }
            (_, Size::Shares(size)) => assert!(*shares <= size.micros()),
            (Side::Sell, Size::Spend(_)) => panic!("a sell is sized in shares"),
        }
    }
    for (_, event) in &run.events {
        if let Event::Account(event) = event
            && let AccountEvent::Order { id, update } = &**event
            && let OrderUpdate::Filled { matched }
            | OrderUpdate::Cancelled { matched, .. }
            | OrderUpdate::Expired { matched } = update
        {
            let filled = sums.get(id).map_or(0, |sum| sum.0);
            assert_eq!(matched.micros(), filled, "the end of {id} counts its matches");
        }
    }
}

/// Without faults updates follow the table: bound, sent, one answer, then at most one end; and each match
/// goes through the settlement stages once.
fn judge_sequence_of_reports(run: &Run) {
    let mut stage: BTreeMap<ClientOrderId, u8> = BTreeMap::new();
    let mut trades: BTreeMap<TradeId, TradeStatus> = BTreeMap::new();
    let mut last = Time::MIN;
    for (at, event) in &run.events {
        assert!(*at >= last, "deliveries come in order");
        last = *at;
        let Event::Account(event) = event else { panic!("{event:?}") };
        match &**event {
            AccountEvent::Order { id, update } => {
                let now = stage.entry(*id).or_default();
                match update {
                    OrderUpdate::Bound { .. } => assert_eq!(*now, 0),
                    OrderUpdate::Sent => *now = 1,
                    OrderUpdate::Delayed => assert!(*now <= 2),
                    OrderUpdate::Live | OrderUpdate::Matched => {
                        assert!((1..=2).contains(now), "{id} {update:?} in stage {now}");
                        *now = 2;
                    }
                    OrderUpdate::Rejected { .. } => {
                        assert_eq!(*now, 1, "{id} {update:?}");
                        *now = 4;
                    }
                    OrderUpdate::Filled { .. }
                    | OrderUpdate::Cancelled { .. }
                    | OrderUpdate::Expired { .. } => {
                        // A query may repeat the end.
                        assert!((1..=3).contains(now), "{id} {update:?} in stage {now}");
                        *now = 3;
                    }
                    OrderUpdate::Unknown | OrderUpdate::Absent | OrderUpdate::NotSent { .. } => {}
                    OrderUpdate::CancelRefused { .. } => {}
                }
            }
            AccountEvent::Trade(trade) => {
                let before = trades.insert(trade.trade, trade.status);
                // A query repeats the present status.
                let legal = before == Some(trade.status)
                    || match (before, trade.status) {
                        (None, status) => status == TradeStatus::Matched,
                        (Some(TradeStatus::Matched), status) => {
                            matches!(status, TradeStatus::Mined | TradeStatus::Retrying)
                        }
                        (Some(TradeStatus::Retrying), status) => {
                            status != TradeStatus::Matched && status != TradeStatus::Confirmed
                        }
                        (Some(TradeStatus::Mined), status) => status == TradeStatus::Confirmed,
                        (Some(TradeStatus::Confirmed | TradeStatus::Failed), _) => false,
                    };
                assert!(legal, "{before:?} then {:?}", trade.status);
            }
            _ => {}
        }
    }
    for (trade, status) in trades {
        let ended = matches!(status, TradeStatus::Confirmed | TradeStatus::Failed);
        assert!(ended, "{trade:?} stays {status:?}");
    }
}

/// Only bids are shown and only buys of YES are sent: nothing can fill but prints.
fn bids_only(steps: Vec<Step>) -> Vec<Step> {
    let mut kept = Vec::new();
    for (pause, act) in steps {
        let act = match act {
            Act::Snapshot { market, bids, .. } => Act::Snapshot { market, bids, asks: Vec::new() },
            Act::Level { market, cents, size, .. } => Act::Level { market, bid: true, cents, size },
            Act::Place { token, cents, size, .. } => {
                Act::Place { token: token & !1, sell: false, cents, size, tif: 0, post: true }
            }
            Act::Resolve { .. } | Act::Pause { .. } => Act::CancelAll,
            other => other,
        };
        kept.push((pause, act));
    }
    kept
}

/// Makers got no more than was printed, and each order no more than was printed after it arrived.
fn judge_prints(run: &Run, steps: &[Step], insert: Span) {
    let mut prints: Vec<(Time, u32, u64)> = Vec::new();
    let mut at = START;
    for (pause, act) in steps {
        at = at + Span::millis(*pause);
        if let Act::Print { market, size, .. } = act {
            prints.push((at, *market, size * 1_000_000));
        }
    }
    let printed = |market: u32, after: Time| -> u64 {
        let counts = |print: &&(Time, u32, u64)| print.1 == market && print.0 > after;
        prints.iter().filter(counts).map(|print| print.2).sum()
    };
    let (mut markets, mut orders) = (BTreeMap::<u32, u64>::new(), BTreeMap::new());
    for (_, trade) in matches(run) {
        assert_eq!(trade.role, Role::Maker);
        *markets.entry(trade.token.market().0).or_default() += trade.fill.shares.micros();
        *orders.entry(trade.order).or_insert(0) += trade.fill.shares.micros();
    }
    for (market, shares) in &markets {
        let most = printed(*market, Time::MIN);
        assert!(*shares <= most, "market {market}: {shares} of {most} printed");
    }
    for (id, shares) in &orders {
        let (placed_at, order) = &run.placed[id];
        let most = printed(order.token.market().0, *placed_at + insert);
        assert!(*shares <= most, "{id}: {shares} of {most} printed after it arrived");
    }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn money_is_conserved_and_no_fill_exceeds_what_was_there(
        config in wild_config(), seed: u64, steps in steps()
    ) {
        let run = play(config, seed, &steps, RowForm::Plain);
        judge_bounds(&run);
        judge_orders(&run, Span::ZERO);
    }

    #[test]
    fn reports_come_in_a_legal_sequence_and_nothing_fills_before_its_arrival(
        config in calm_config(), insert in 0i64..500, seed: u64, steps in steps()
    ) {
        let mut config = config;
        config.latency.insert = Delay::millis(insert);
        let run = play(config, seed, &steps, RowForm::Plain);
        judge_bounds(&run);
        judge_orders(&run, Span::millis(insert));
        judge_sequence_of_reports(&run);
    }

    #[test]
    fn the_same_seed_gives_the_same_events(config in lossy_config(), seed: u64, steps in steps()) {
        let (one, two) = (
            play(config, seed, &steps, RowForm::Plain),
            play(config, seed, &steps, RowForm::Plain),
        );
        prop_assert_eq!(one.events, two.events);
        prop_assert_eq!(one.counters, two.counters);
    }

    #[test]
    fn repeated_rows_refill_nothing(config in lossy_config(), seed: u64, steps in steps()) {
        let one = play(config, seed, &steps, RowForm::Plain);
        let two = play(config, seed, &steps, RowForm::Twice);
        prop_assert_eq!(one.events, two.events);
    }

    #[test]
    fn it_does_not_matter_which_token_the_data_came_on(
        config in lossy_config(), seed: u64, steps in steps()
    ) {
        let one = play(config, seed, &steps, RowForm::Plain);
        let two = play(config, seed, &steps, RowForm::Mirrored);
        prop_assert_eq!(one.events, two.events);
    }

    #[test]
    fn later_rows_change_no_earlier_event(
        config in lossy_config(), seed: u64, steps in steps(), other in steps()
    ) {
        let end: i64 = steps.iter().map(|step| step.0).sum();
        let until = START + Span::millis(end);
        let mut longer = steps.clone();
        // Strictly later, so that nothing of the other future shares an instant with the past.
        longer.push((1, Act::CancelAll));
        longer.extend(other);
        let before = |run: Run| -> Vec<(Time, Event)> {
            run.events.into_iter().filter(|(at, _)| *at <= until).collect()
        };
        let (short, long) = (
            play(config, seed, &steps, RowForm::Plain),
            play(config, seed, &longer, RowForm::Plain),
        );
        prop_assert_eq!(before(short), before(long));
    }

    #[test]
    fn queries_find_what_was_not_reported(
        config in wild_config(), seed: u64, steps in steps()
    ) {
        let mut config = config;
        config.faults.lose_fill_ppm = 1_000_000;
        config.faults.lose_end_ppm = 1_000_000;
        config.faults.lose_settlement_ppm = 1_000_000;
        config.faults.lose_conversion_ppm = 1_000_000;
        let (mut run, mut sim) = play_out(config, seed, &steps, RowForm::Plain);
        query_all(&mut run, &mut sim);
        prop_assert_eq!(reported(&run, config.starting_cash), kept(&sim));
    }

    #[test]
    fn without_lost_reports_the_reports_sum_up_to_the_account(
        config in calm_config(), seed: u64, steps in steps()
    ) {
        let (run, sim) = play_out(config, seed, &steps, RowForm::Plain);
        prop_assert_eq!(reported(&run, config.starting_cash), kept(&sim));
    }

    #[test]
    fn makers_get_at_most_what_is_printed_after_their_arrival(
        config in calm_config(), insert in 0i64..500, seed: u64, steps in steps()
    ) {
        let mut config = config;
        config.latency.insert = Delay::millis(insert);
        config.starting_cash = Usdc::whole(100_000);
        let steps = bids_only(steps);
        let run = play(config, seed, &steps, RowForm::Plain);
        judge_prints(&run, &steps, Span::millis(insert));
    }
}
