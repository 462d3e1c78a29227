//! Small reports made by hand, for the tests of this crate.

#![allow(dead_code, reason = "every test file uses a part of it")]

use std::collections::BTreeMap;

use polydesk_domain::{
    Basis, BasketEnd, BasketId, BasketKind, ClientOrderId, ClosedTrade, Code, ConditionId,
    ExitReason, Fill, FillRecord, Opportunity, Outcome, Price, Purpose, Reason, Role, Shares, Side,
    Span, StrategyId, Subject, Time, TokenId, TradeId, TradeStatus, Usdc,
};
use polydesk_report::{
    Alarm, Band, Check, Codes, DataQuality, EquityPoint, Extremes, Feed, MarkedFill, MarketFacts,
    MarketRebate, OpenHolding, OrderCounts, Report, Run, SeenOpportunity, Setting, TapeFacts,
    Totals,
};

/// A text that would do harm if it were taken for markup, script or terminal control.
pub const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\u{1b}[2J\"'&\u{202e}x";

/// The same as a code: printable ASCII without spaces, at most 40 characters.
pub fn hostile_code() -> Code {
    Code::intern("</script><img/src=x/onerror=alert(1)>'&").expect("a code")
}

pub fn report(runs: Vec<Run>) -> Report {
    Report {
        program: "polydesk backtest 0.0.0".to_owned(),
        command: "backtest run --seed 1".to_owned(),
        config: vec![Setting {
            key: "run.seed".to_owned(),
            value: "1".to_owned(),
            origin: "default".to_owned(),
        }],
        runs,
    }
}

/// A run in which nothing happened, with 1 000 pUSD.
pub fn quiet() -> Run {
    let cash = Usdc::whole(1_000);
    Run {
        heading: "a run".to_owned(),
        synthetic: false,
        seed: 1,
        tapes: Vec::new(),
        markets: (0..12).map(market).collect(),
        span: Some((Time::from_secs(1_790_000_000), Time::from_secs(1_790_003_600))),
        rows: 10,
        models: Vec::new(),
        starting_cash: cash,
        totals: Totals { cash, equity: cash, ..Totals::default() },
        fills: Vec::new(),
        round_trips: Vec::new(),
        open: Vec::new(),
        rebates: Vec::new(),
        equity: Vec::new(),
        extremes: Extremes {
            lowest: cash,
            highest: cash,
            observed: Span::secs(3_600),
            ..Extremes::default()
        },
        alarms: Vec::new(),
        alarms_left_out: 0,
        orders: Vec::new(),
        codes: Codes::default(),
        opportunities: Vec::new(),
        baskets: Vec::new(),
        data: DataQuality::default(),
        checks: Vec::new(),
        feed: Feed::default(),
        draws: Band::default(),
        bands: Vec::new(),
        latency: Vec::new(),
        log_sha256: "00".repeat(32),
        log_lines: 0,
    }
}

/// The condition id of a market by its number; those from 12 on are not listed in [`quiet`].
pub fn condition(number: usize) -> ConditionId {
    let mut bytes = [0; 32];
    bytes[24..].copy_from_slice(&(number as u64).to_be_bytes());
    ConditionId::from_bytes(bytes)
}

/// Its YES token.
pub fn token(number: usize) -> TokenId {
    TokenId::from(number as u64 + 1)
}

pub fn market(number: usize) -> MarketFacts {
    MarketFacts {
        condition: condition(number),
        question: format!("Question {number}?"),
        slug: format!("question-{number}"),
        category: "tests".to_owned(),
        event: format!("event-{}", number / 3),
        group: None,
        yes_pays: None,
        fill_rule: "prints_and_crossings".to_owned(),
        assumed: Vec::new(),
    }
}

/// A buy of 10 YES at 0.40 as maker while the middle is 0.42, then 0.43 at every later time.
pub fn fill() -> MarkedFill {
    fill_with(|_| ())
}

/// The same fill with other facts.
pub fn fill_with(change: impl FnOnce(&mut FillRecord)) -> MarkedFill {
    let mut record = FillRecord {
        trade: TradeId(1),
        order: ClientOrderId(1),
        strategy: StrategyId::STINK_BIDDER,
        purpose: Purpose::Quote,
        decided_at: Time::from_secs(1_790_000_090),
        market: condition(0),
        token: token(0),
        outcome: Outcome::Yes,
        side: Side::Buy,
        role: Role::Maker,
        fill: Fill {
            shares: Shares::whole(10),
            notional: Usdc::whole(4),
            fee: Usdc::ZERO,
            level: Some(Price::cents(40)),
            basis: Basis::Settled,
        },
        status: TradeStatus::Matched,
        double_mid_decided: Some(8_300),
        double_mid: Some(8_400),
    };
    change(&mut record);
    MarkedFill {
        at: Time::from_secs(1_790_000_100),
        record,
        matched_at: Time::from_nanos(1_790_000_099_900_000_000),
        settlement: TradeStatus::Confirmed,
        double_mid_matched: Some(8_400),
        double_mid_known: Some(8_400),
        double_mid_later: [Some(8_600); 4],
    }
}

/// That fill after its settlement failed.
pub fn failed_fill() -> MarkedFill {
    MarkedFill { settlement: TradeStatus::Failed, ..fill() }
}

/// A round trip of 10 YES in the given market with the given profit in cents.
pub fn trip(market: usize, profit_cents: i64) -> ClosedTrade {
    ClosedTrade {
        strategy: StrategyId::STINK_BIDDER,
        market: condition(market),
        token: token(market),
        outcome: Outcome::Yes,
        opened_at: Time::from_secs(1_790_000_100),
        closed_at: Time::from_secs(1_790_000_160),
        shares: Shares::whole(10),
        cost: Usdc::whole(4),
        proceeds: Usdc::whole(4) + Usdc::cents(profit_cents),
        entry_fee: Usdc::ZERO,
        exit_fee: Usdc::cents(1),
        entry_role: Role::Maker,
        exit_role: Some(Role::Taker),
        reason: ExitReason::TakeProfit,
        closing: 1,
    }
}

/// Ten YES held at the end, with cost and mark in cents.
pub fn holding(market: usize, cost_cents: i64, mark_cents: i64) -> OpenHolding {
    OpenHolding {
        strategy: StrategyId::STINK_BIDDER,
        market: condition(market),
        token: token(market),
        outcome: Outcome::Yes,
        shares: Shares::whole(10),
        cost: Usdc::cents(cost_cents),
        mark: Usdc::cents(mark_cents),
    }
}

/// A pair worth two dollars, seen for two seconds.
pub fn opportunity() -> SeenOpportunity {
    let opportunity = Opportunity {
        kind: BasketKind::BuyPair,
        subject: Subject::Market(condition(0)),
        started: Time::from_secs(1_790_000_000),
        ended: Time::from_secs(1_790_000_002),
        best_edge: Usdc::whole(2),
        best_sets: Shares::whole(5),
        best_gross_units: 300,
        signals: 1,
        outcome: Reason::new("signalled"),
    };
    SeenOpportunity { strategy: StrategyId::ARB_SCANNER, opportunity }
}

/// A basket of five sets that was completed and merged.
pub fn basket() -> BasketEnd {
    BasketEnd {
        id: BasketId(1),
        strategy: StrategyId::ARB_SCANNER,
        kind: BasketKind::BuyPair,
        market: condition(0),
        wanted: Shares::whole(5),
        sets: Shares::whole(5),
        expected: Usdc::whole(2),
        started: Time::from_secs(1_790_000_000),
        ended: Time::from_secs(1_790_000_002),
        code: Code::literal("merged"),
    }
}

/// A run with something in every list and a hostile text wherever a text can stand.
pub fn hostile() -> Run {
    let bad = || HOSTILE.to_owned();
    let mut run = quiet();
    run.heading = bad();
    run.tapes.push(TapeFacts {
        name: bad(),
        content_sha256: bad(),
        source: bad(),
        licence: bad(),
        rows: 1,
        span: None,
        receive_times: true,
        synthetic: false,
        certificate: vec![bad()],
    });
    run.markets[0] = MarketFacts {
        question: bad(),
        slug: bad(),
        category: bad(),
        event: bad(),
        group: Some(bad()),
        fill_rule: bad(),
        assumed: vec![bad()],
        ..market(0)
    };
    run.models = vec![(bad(), bad())];
    run.fills = vec![fill()];
    run.round_trips = vec![trip(0, -20)];
    let point = |secs: i64, dollars| EquityPoint {
        at: Time::from_secs(1_790_000_000 + secs),
        equity: Usdc::whole(dollars),
        locked: Usdc::whole(4),
        realised: Usdc::ZERO,
    };
    run.rebates = vec![MarketRebate { market: condition(0), amount: Usdc::cents(3) }];
    run.alarms = vec![Alarm {
        at: Time::from_secs(1_790_000_002),
        kind: bad(),
        code: hostile_code(),
        text: bad(),
    }];
    run.alarms_left_out = 2;
    run.equity = vec![point(1, 1_000), point(2, 997), point(3, 1_001)];
    run.orders = vec![OrderCounts {
        strategy: StrategyId::STINK_BIDDER,
        signals: 3,
        placed: 2,
        post_only: 2,
        touched: 1,
        filled: 1,
        waits_ms: vec![100, 300],
    }];
    let one = || [(hostile_code(), 3)].into_iter().collect::<BTreeMap<Code, u64>>();
    let nested = || [(StrategyId::STINK_BIDDER, one())].into_iter().collect();
    run.codes = Codes {
        skips: nested(),
        drops: nested(),
        denials: nested(),
        rejects: nested(),
        ends: nested(),
        exit_waits: one(),
        anomalies: one(),
        exchange: [(bad(), bad())].into_iter().collect(),
    };
    let mut seen = opportunity();
    seen.opportunity.outcome = Reason::of(hostile_code());
    let mut group = opportunity();
    group.opportunity.subject = Subject::Group(bad());
    run.opportunities = vec![seen, group];
    run.baskets = vec![BasketEnd { code: hostile_code(), ..basket() }];
    run.checks = vec![Check { name: bad(), passed: false, detail: bad() }];
    let band = Band { name: bad(), settings: bad(), seeds: 9, ..Band::default() };
    let better = Band { net: band.net.map(|_| Usdc::whole(3)), ..band.clone() };
    (run.draws, run.latency) = (band.clone(), vec![band.clone()]);
    run.bands = vec![better, band];
    run
}

pub fn cases() -> u32 {
    std::env::var("POLYDESK_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}
