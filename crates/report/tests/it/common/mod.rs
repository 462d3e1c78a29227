//! Small reports made by hand, for the tests of this crate.

use polydesk_domain::{
    ConditionId, Outcome, Price, Role, Shares, Side, StrategyId, Time, TradeStatus, Usdc,
};
use polydesk_report::{
    Band, Check, Codes, DataQuality, EpisodeRecord, EquityRecord, FillRecord, MarketFacts,
    OrderRecord, PlanRecord, Report, Run, Setting, TapeFacts, Totals, TradeRecord,
};

/// A text that would do harm if it were taken for markup, script or terminal control.
pub const HOSTILE: &str = "</script><img src=x onerror=alert(1)>\u{1b}[2J\"'&\u{202e}x";

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
        trades: Vec::new(),
        open: Vec::new(),
        equity: Vec::new(),
        orders: Vec::new(),
        codes: Codes::default(),
        episodes: Vec::new(),
        plans: Vec::new(),
        data: DataQuality::default(),
        checks: Vec::new(),
        bands: Vec::new(),
        log_sha256: "00".repeat(32),
        log_lines: 0,
    }
}

pub fn market(number: u8) -> MarketFacts {
    MarketFacts {
        condition: ConditionId::from_bytes([number; 32]),
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
pub fn fill() -> FillRecord {
    FillRecord {
        at: Time::from_secs(1_790_000_100),
        decided_at: Time::from_secs(1_790_000_090),
        order: 1,
        strategy: StrategyId::STINK_BIDDER,
        purpose: "quote".to_owned(),
        market: 0,
        outcome: Outcome::Yes,
        side: Side::Buy,
        role: Role::Maker,
        level: Some(Price::cents(40)),
        shares: Shares::whole(10),
        notional: Usdc::whole(4),
        fee: Usdc::ZERO,
        status: TradeStatus::Confirmed,
        double_mid_decided: Some(8_300),
        double_mid_filled: Some(8_400),
        double_mid_later: [Some(8_600); 4],
    }
}

/// A round trip of 10 YES in the given market with the given profit in cents.
pub fn trade(market: usize, profit_cents: i64) -> TradeRecord {
    TradeRecord {
        strategy: StrategyId::STINK_BIDDER,
        market,
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
        why: "take_profit".to_owned(),
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
    run.fills = vec![FillRecord { purpose: bad(), ..fill() }];
    run.trades = vec![TradeRecord { why: bad(), ..trade(0, -20) }];
    let point = |secs: i64, dollars| EquityRecord {
        at: Time::from_secs(1_790_000_000 + secs),
        equity: Usdc::whole(dollars),
        locked: Usdc::whole(4),
        realised: Usdc::ZERO,
    };
    run.equity = vec![point(1, 1_000), point(2, 997), point(3, 1_001)];
    run.orders = vec![OrderRecord {
        strategy: StrategyId::STINK_BIDDER,
        signals: 3,
        placed: 2,
        post_only: 2,
        touched: 1,
        filled: 1,
        waits_ms: vec![100, 300],
    }];
    let one = || [(bad(), 3)].into_iter().collect::<std::collections::BTreeMap<String, u64>>();
    let nested = || [(bad(), one())].into_iter().collect();
    run.codes = Codes {
        skips: nested(),
        drops: nested(),
        denials: nested(),
        rejects: nested(),
        ends: nested(),
        exit_waits: one(),
        oddities: one(),
        exchange: [(bad(), bad())].into_iter().collect(),
    };
    run.episodes = vec![EpisodeRecord {
        strategy: StrategyId::ARB_SCANNER,
        kind: bad(),
        subject: bad(),
        started: Time::from_secs(1_790_000_000),
        ended: Time::from_secs(1_790_000_002),
        best_edge: Usdc::whole(2),
        best_sets: Shares::whole(5),
        best_gross_units: 300,
        signals: 1,
        outcome: bad(),
    }];
    run.plans = vec![PlanRecord {
        strategy: StrategyId::ARB_SCANNER,
        kind: bad(),
        market: 0,
        wanted: Shares::whole(5),
        sets: Shares::whole(5),
        expected: Usdc::whole(2),
        started: Time::from_secs(1_790_000_000),
        ended: Time::from_secs(1_790_000_002),
        code: bad(),
    }];
    run.checks = vec![Check { name: bad(), passed: false, detail: bad() }];
    run.bands = vec![Band {
        name: bad(),
        settings: bad(),
        net: Usdc::whole(-1),
        fills: 1,
        trades: 1,
        fees: Usdc::ZERO,
    }];
    run
}

pub fn cases() -> u32 {
    std::env::var("POLYDESK_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}
