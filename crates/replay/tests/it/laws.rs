//! Properties of every tape and every strategy.

use std::collections::BTreeMap;

use crate::common::{Dice, Run, Whim, random_tape, run, run_limited};
use polydesk_domain::{OrderState, Shares, Side, Token, TradeStatus, Usdc};
use polydesk_execution::{LedgerAccount, RawRisk, RiskLimits};
use polydesk_sim::{Delay, Faults, QueueModel, Settlement, SimConfig};
use proptest::prelude::*;

/// `POLYDESK_CASES` sets how many cases the heavy laws run.
pub fn cases() -> ProptestConfig {
    let cases =
        std::env::var("POLYDESK_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(200);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// An exchange at which every fault occurs now and then.
pub fn rough(queue: QueueModel, seed: u64) -> SimConfig {
    let mut dice = Dice(seed);
    let mut ppm = |most: u64| dice.roll(most) as u32;
    // Random tapes last a minute: delays as measured would leave little room for trouble.
    let latency = polydesk_sim::Latency {
        insert: Delay::sampled_millis(60, 400),
        cancel: Delay::sampled_millis(45, 300),
        answer: Delay::sampled_millis(30, 200),
        ..polydesk_sim::Latency::default()
    };
    SimConfig {
        latency,
        queue,
        settlement: Settlement {
            fail_ppm: ppm(200_000),
            winner_fail_ppm: ppm(200_000),
            retry_ppm: ppm(200_000),
            ..Settlement::default()
        },
        faults: Faults {
            lose_order_ppm: ppm(50_000),
            lose_answer_ppm: ppm(50_000),
            lose_cancel_ppm: ppm(50_000),
            slow_answer_ppm: ppm(300_000),
            late_fill_ppm: ppm(300_000),
            lose_fill_ppm: ppm(100_000),
            lose_end_ppm: ppm(100_000),
            lose_settlement_ppm: ppm(100_000),
            lose_conversion_ppm: ppm(200_000),
            ..Faults::default()
        },
        ..SimConfig::default()
    }
}

fn held(run: &Run, token: Token) -> Shares {
    let all = run.engine.manager().positions().all();
    all.filter(|(_, t, _)| *t == token).map(|(_, _, holding)| holding.held()).sum()
}

proptest! {
    #![proptest_config(cases())]

    /// Money and complete sets are conserved at the exchange, and the order manager's ledger, made from
    /// events alone, ends at the same cash and shares to the micro-dollar.
    #[test]
    fn money_is_conserved_and_both_sides_agree(seed: u64, markets in 1u32..4, steps in 20u64..160, queue in 0u8..3) {
        let queue = match queue {
            0 => QueueModel::Pessimistic,
            1 => QueueModel::Proportional,
            _ => QueueModel::Power { exponent: 2 },
        };
        let tape = random_tape(seed, markets, steps);
        let run = run(tape, vec![Box::new(Whim(Dice(seed ^ 1)))], rough(queue, seed), seed);
        prop_assert_eq!(run.sim.check_conservation(), Ok(()));
        let execution = run.engine.manager();
        prop_assert_eq!(execution.halted(), None);
        prop_assert_eq!(execution.ledger().imbalance(), Usdc::ZERO);
        // After all settlements no order may be open: it would reserve money for ever.
        let open: Vec<_> = run.engine.manager().orders().open().map(|o| (o.id, o.state, o.missing())).collect();
        prop_assert!(open.is_empty(), "{:?}", open);
        let account = run.sim.account();
        prop_assert_eq!(execution.ledger().balance(LedgerAccount::Cash), account.cash_free + account.cash_reserved);
        for index in 0..markets * 2 {
            let theirs = account.token(Token(index));
            let there = theirs.free + theirs.reserved + theirs.locked + theirs.incoming;
            prop_assert_eq!(held(&run, Token(index)), there, "token {}", index);
        }
        prop_assert_eq!(execution.counts().anomalies.get("illegal_order_event"), None);
        prop_assert_eq!(execution.counts().anomalies.get("illegal_trade_event"), None);
    }

    /// The order manager's worst-case exposure never exceeds the limits.
    #[test]
    fn limits_hold_at_the_worst_case(seed: u64) {
        let tape = random_tape(seed, 2, 120);
        let tight = RawRisk {
            max_order_usd: Usdc::whole(15),
            max_market_usd: Usdc::whole(25),
            max_event_usd: Usdc::whole(25),
            max_account_usd: Usdc::whole(40),
            max_unsettled_usd: Usdc::whole(40),
            ..RawRisk::default()
        };
        let run = run_limited(
            tape,
            vec![Box::new(Whim(Dice(seed ^ 2)))],
            rough(QueueModel::Pessimistic, seed),
            seed,
            RiskLimits::try_from(&tight).unwrap(),
        );
        let limits = run.engine.manager().limits();
        prop_assert!(run.recording.orders.values().any(|stats| stats.placed > 0));
        for point in &run.recording.equity {
            prop_assert!(point.locked <= limits.max_account, "{:?}", point);
        }
        // A fill is never larger than its order, and an ended order has no fills on their way.
        let mut filled: BTreeMap<_, (Shares, Usdc)> = BTreeMap::new();
        for fill in run.recording.fills.iter().filter(|fill| fill.status != TradeStatus::Failed) {
            let (shares, money) = filled.entry(fill.fill.order).or_default();
            *shares += fill.fill.fill.shares;
            *money += fill.fill.fill.notional;
        }
        for (id, (shares, money)) in filled {
            let order = run.engine.manager().orders().get(id).unwrap();
            match (order.side, order.size) {
                (Side::Buy, polydesk_domain::Size::Spend(spend)) => prop_assert!(money <= spend),
                (_, polydesk_domain::Size::Shares(size)) => {
                    // A buy at a better price can receive more shares, never for more money.
                    let most = order.price.notional_ceil(size);
                    prop_assert!(shares <= size || (order.side == Side::Buy && money <= most));
                }
                _ => {}
            }
            prop_assert!(order.state.ended() || order.state == OrderState::Unknown, "{:?}", order.state);
        }
    }

    /// The same tape, seed and strategy give the same event log, byte for byte.
    #[test]
    fn a_run_repeats(seed: u64) {
        let one = |_| {
            let tape = random_tape(seed, 2, 80);
            run(tape, vec![Box::new(Whim(Dice(seed)))], rough(QueueModel::Proportional, seed), seed).hash
        };
        prop_assert_eq!(one(()), one(()));
    }
}

#[test]
fn the_seed_matters_only_where_chance_does() {
    let certain = SimConfig {
        latency: polydesk_sim::Latency {
            feed_correlation: polydesk_domain::Span::millis(80),
            feed: Delay::millis(5),
            insert: Delay::millis(10),
            cancel: Delay::millis(10),
            answer: Delay::millis(5),
        },
        settlement: SimConfig::instant().settlement,
        ..SimConfig::instant()
    };
    let fills = |config: SimConfig, seed| {
        let run = run(random_tape(3, 2, 200), vec![Box::new(Whim(Dice(3)))], config, seed);
        run.recording.fills.iter().map(|fill| (fill.at, fill.fill.fill)).collect::<Vec<_>>()
    };
    assert_eq!(fills(certain, 1), fills(certain, 2));
    assert!(!fills(certain, 1).is_empty());
    assert_ne!(fills(SimConfig::default(), 1), fills(SimConfig::default(), 2));
}

/// The laws above would be empty if nothing happened in them.
#[test]
fn the_random_runs_reach_every_kind_of_trouble() {
    let mut seen: BTreeMap<&str, u64> = BTreeMap::new();
    for seed in 0..150 {
        let tape = random_tape(seed, 3, 260);
        let impatient = RawRisk { max_naked_secs: 5, ..RawRisk::default() };
        let run = run_limited(
            tape,
            vec![Box::new(Whim(Dice(seed)))],
            rough(QueueModel::Pessimistic, seed),
            seed,
            RiskLimits::try_from(&impatient).unwrap(),
        );
        let counters = run.sim.counters();
        for (name, count) in [
            ("maker fills", counters.fills_maker),
            ("taker fills", counters.fills_taker),
            ("failed settlements", counters.ghost_fills),
            ("retries", counters.retried),
            ("lost orders", counters.orders_lost),
            ("lost answers", counters.answers_lost),
            ("lost fills", counters.fills_lost),
            ("lost ends", counters.ends_lost),
            ("lost settlements", counters.settlements_lost),
            ("lost answers to conversions", counters.conversions_lost),
            ("conversions", counters.conversions_done),
            ("refused cancels", counters.cancels_refused),
            ("round trips", run.recording.closed.len() as u64),
            ("baskets", run.recording.baskets.len() as u64),
        ] {
            *seen.entry(name).or_default() += count;
        }
        for trade in &run.recording.closed {
            *seen.entry(trade.reason.name()).or_default() += 1;
        }
        for basket in &run.recording.baskets {
            *seen.entry(basket.code.as_str()).or_default() += 1;
        }
    }
    for name in [
        "maker fills",
        "taker fills",
        "failed settlements",
        "retries",
        "lost orders",
        "lost answers",
        "lost fills",
        "lost ends",
        "lost settlements",
        "lost answers to conversions",
        "conversions",
        "refused cancels",
        "round trips",
        "baskets",
        "take_profit",
        "stop_loss",
        "trailing",
        "max_hold",
        "signal",
        "resolution",
        "unwind",
        "held",
        "unwound",
        "carried",
    ] {
        assert!(seen.get(name).copied().unwrap_or(0) > 0, "no {name} in {seen:?}");
    }
}
