//! What the engine counts as at risk: equal to a recount of its entries after every event, and never less
//! than what the exchange has of ours.

use std::collections::BTreeMap;

use polydesk_domain::{
    AccountEvent, ClientOrderId, Command, Conversion, ConversionId, Event, MarketKey, MarketState,
    Outbox, Outcome, OwnTrade, PlaceOrder, Shares, Side, Size, Stamped, StrategyId, Token, TradeId,
    TradeStatus, Universe, Usdc,
};
use polydesk_engine::Engine;
use polydesk_execution::{Exposure, Facts, RawRisk, RiskLimits};
use polydesk_sim::{QueueModel, Sim, SimConfig};
use proptest::prelude::*;

use crate::common::{Dice, OTHER, WHIM, random_tape, restless, two_whims};
use crate::laws::{cases, rough};
use crate::rig::{World, engine_of};

const STRATEGIES: [StrategyId; 2] = [WHIM, OTHER];

fn facts(engine: &Engine) -> Facts<'_> {
    Facts {
        now: engine.now(),
        universe: engine.universe(),
        books: engine.books(),
        states: engine.states(),
        state: engine.manager().state(),
    }
}

/// Whether two markets count as one event: by neg-risk group, else by event, else alone.
fn one_event(ids: &Universe, one: MarketKey, other: MarketKey) -> bool {
    let group = |key: MarketKey| {
        let group = ids.market(key).neg_risk.as_ref().map(|neg_risk| neg_risk.group.as_str());
        group.filter(|group| !group.is_empty())
    };
    let event = |key: MarketKey| ids.market(key).event.as_str();
    match (group(one), group(other)) {
        (Some(one), Some(other)) => one == other,
        (None, None) if !event(one).is_empty() => event(one) == event(other),
        _ => one == other,
    }
}

fn one_category(ids: &Universe, one: MarketKey, other: MarketKey) -> bool {
    let category = |key: MarketKey| ids.market(key).category.as_str();
    if category(one).is_empty() { one == other } else { category(one) == category(other) }
}

/// The exposure around a token by walking everything the engine has.
fn recount(engine: &Engine, strategy: StrategyId, token: Token) -> Exposure {
    let (ids, state) = (engine.universe(), engine.manager().state());
    let mut sum = Exposure::default();
    let here = token.market();
    let mut add = |owner: StrategyId, market: MarketKey, cost: Usdc| {
        let hit = |is: bool| if is { cost } else { Usdc::ZERO };
        sum.account += cost;
        sum.market += hit(market == here);
        sum.event += hit(one_event(ids, market, here));
        sum.category += hit(one_category(ids, market, here));
        sum.strategy += hit(owner == strategy);
    };
    let mut shares = Shares::ZERO;
    for (owner, of, holding) in state.positions.all() {
        add(owner, of.market(), holding.cost());
        shares += if of == token { holding.held() } else { Shares::ZERO };
    }
    for (owner, of, cost, sold) in state.positions.unsettled_sales() {
        add(owner, of.market(), cost);
        shares += if of == token { sold } else { Shares::ZERO };
    }
    let mut reserved = Usdc::ZERO;
    let tick = engine.books().get(here).unwrap().tick();
    for order in state.orders.open() {
        let cost = order.remaining_cost();
        reserved += cost;
        add(order.strategy, order.token.market(), cost);
        if (order.token, order.side) == (token, Side::Buy) {
            shares += order.remaining_shares(tick);
        }
    }
    for pending in state.conversions.values() {
        let Conversion::Split(sets) = pending.action else { continue };
        reserved += sets.face_value();
        add(pending.strategy, pending.market, sets.face_value());
        shares += if pending.market == here { sets } else { Shares::ZERO };
    }
    sum.shares = shares;
    sum.reserved = reserved;
    sum.unsettled = state.positions.unsettled_cost();
    sum
}

/// A rough exchange whose reports of fills, ends, settlements and conversions get lost too.
fn lossy(seed: u64) -> SimConfig {
    let mut config = rough(QueueModel::Pessimistic, seed);
    let mut dice = Dice(seed ^ 77);
    for ppm in [
        &mut config.faults.lose_fill_ppm,
        &mut config.faults.lose_end_ppm,
        &mut config.faults.lose_settlement_ppm,
        &mut config.faults.lose_conversion_ppm,
    ] {
        *ppm = dice.roll(100_000) as u32;
    }
    config
}

/// Plays a tape to its end and looks after every event.
fn play(
    tape: Vec<Stamped>,
    config: SimConfig,
    seed: u64,
    limits: &RiskLimits,
    mut look: impl FnMut(&Engine, &World, &Stamped, &Outbox) -> Result<(), TestCaseError>,
) -> Result<(Engine, World), TestCaseError> {
    let mut world = World::new(tape, config, seed);
    let mut engine = engine_of(limits, two_whims(seed));
    let mut out = Outbox::new();
    while let Some(stamped) = world.next(engine.next_wake()) {
        engine.handle(&stamped, &mut out);
        let sent = out.clone();
        world.take(stamped.at, &mut out);
        look(&engine, &world, &stamped, &sent)?;
    }
    Ok((engine, world))
}

proptest! {
    #![proptest_config(cases())]

    /// The running sums are those of the entries after every event, relistings and tick size changes among
    /// them.
    #[test]
    fn the_sums_are_those_of_the_entries_after_every_event(seed: u64, markets in 1u32..6) {
        let tape = restless(seed, random_tape(seed, markets, 60));
        let config = rough(QueueModel::Proportional, seed);
        play(tape, config, seed, &RiskLimits::default(), |engine, _, stamped, _| {
            let state = engine.manager().state();
            prop_assert!(!state.sums_lag());
            prop_assert_eq!(state.check_sums(), Ok(()), "{:?}", stamped.event);
            for (i, key) in engine.universe().keys().enumerate() {
                for token in Outcome::BOTH.map(|outcome| key.token(outcome)) {
                    let strategy = STRATEGIES[i % 2];
                    let want = recount(engine, strategy, token);
                    let got = facts(engine).exposure(strategy, token);
                    prop_assert_eq!(got, want, "{:?} after {:?}", token, stamped.event);
                }
            }
            Ok(())
        })?;
    }
}

/// What the exchange has of ours, from its own views and from what was sent to it.
#[derive(Default)]
struct Truth {
    placed: BTreeMap<ClientOrderId, PlaceOrder>,
    matches: BTreeMap<TradeId, OwnTrade>,
    /// Splits and merges whose answer the engine has not received, and merges that it has.
    conversions: BTreeMap<ConversionId, (StrategyId, MarketKey, Conversion)>,
    /// Complete sets that were ever asked for in a market.
    split: BTreeMap<MarketKey, Shares>,
    merged: BTreeMap<(StrategyId, MarketKey), Shares>,
}

impl Truth {
    fn take(&mut self, stamped: &Stamped, sent: &Outbox, sim: &Sim) {
        for command in &sent.commands {
            match command {
                Command::Place(orders) => {
                    self.placed.extend(orders.iter().map(|order| (order.id, order.clone())));
                }
                Command::Convert { id, strategy, market, action } => {
                    self.conversions.insert(*id, (*strategy, *market, *action));
                    match action {
                        Conversion::Split(sets) => {
                            *self.split.entry(*market).or_default() += *sets;
                        }
                        Conversion::Merge(sets) => {
                            *self.merged.entry((*strategy, *market)).or_default() += *sets;
                        }
                        Conversion::Redeem => {}
                    }
                }
                _ => {}
            }
        }
        if let Event::Account(event) = &stamped.event
            && let AccountEvent::Cash(cash) = event.as_ref()
            && let Some(id) = cash.conversion
        {
            self.conversions.remove(&id);
        }
        self.matches.extend(sim.matches().map(|own| (own.trade, *own)));
    }

    /// pUSD at risk by (strategy, market), and by market: at least this much.
    ///
    /// - Matched and not failed buys count with what they cost, as far as their shares are still ours at
    ///   the exchange: free, reserved, locked, sold and not final, bought and not final. Which lots those
    ///   are is a matter of book-keeping, so the cheapest count, and shares that came from splits count
    ///   nothing.
    /// - Buys in flight or open count with what they can still spend at their limit, fees apart.
    /// - Splits count from the command to their answer.
    fn at_risk(&self, sim: &Sim, states: &[MarketState]) -> AtRisk {
        let account = sim.account();
        let mut risk = AtRisk::default();
        let mut lots: BTreeMap<Token, Vec<(StrategyId, Shares, Usdc)>> = BTreeMap::new();
        let mut sold: BTreeMap<(StrategyId, Token), Shares> = BTreeMap::new();
        let mut spent: BTreeMap<ClientOrderId, Usdc> = BTreeMap::new();
        for own in self.matches.values() {
            let (fill, strategy) = (own.fill, self.placed[&own.order].strategy);
            if own.side == Side::Buy {
                // What failed was spent all the same as far as the order is concerned.
                *spent.entry(own.order).or_default() += fill.notional;
            }
            match (own.side, own.status) {
                (_, TradeStatus::Failed) => {}
                (Side::Buy, _) => {
                    let lot = (strategy, fill.shares, fill.notional + fill.fee);
                    lots.entry(own.token).or_default().push(lot);
                }
                (Side::Sell, TradeStatus::Confirmed) => {
                    *sold.entry((strategy, own.token)).or_default() += fill.shares;
                }
                (Side::Sell, _) => {}
            }
        }
        for (token, mut lots) in lots {
            let market = token.market();
            let there = account.token(token);
            let ours = there.settled() + there.incoming;
            let split = self.split.get(&market).copied().unwrap_or_default();
            // Cheapest first, by cross-multiplication.
            lots.sort_by_key(|(_, shares, cost)| {
                i128::from(cost.micros()) * 1_000_000_000 / i128::from(shares.micros().max(1))
            });
            let cheapest = |owner: Option<StrategyId>, mut left: Shares| {
                let mut sum = Usdc::ZERO;
                let own = lots.iter().filter(|(of, ..)| owner.is_none_or(|owner| owner == *of));
                for (_, shares, cost) in own {
                    let part = left.min(*shares);
                    sum += cost.scale_floor(part.micros(), shares.micros().max(1));
                    left = left.saturating_sub(part);
                }
                sum
            };
            *risk.markets.entry(market).or_default() += cheapest(None, ours.saturating_sub(split));
            // A redemption takes from every holder; before it, sales and merges of each are known.
            if matches!(states.get(market.index()), Some(MarketState::Resolved(_))) {
                continue;
            }
            for strategy in STRATEGIES {
                let own = lots.iter().filter(|(owner, ..)| *owner == strategy);
                let bought: Shares = own.map(|(_, shares, _)| *shares).sum();
                let sold = sold.get(&(strategy, token)).copied().unwrap_or_default();
                let merged = self.merged.get(&(strategy, market)).copied().unwrap_or_default();
                let left = bought.saturating_sub(sold).saturating_sub(merged).min(ours);
                *risk.strategies.entry(strategy).or_default() += cheapest(Some(strategy), left);
            }
        }
        let open: BTreeMap<ClientOrderId, Shares> =
            sim.open_orders().into_iter().map(|order| (order.id, order.open)).collect();
        for id in sim.in_flight().chain(open.keys().copied()) {
            let order = &self.placed[&id];
            if order.side == Side::Sell {
                continue;
            }
            let spent = spent.get(&id).copied().unwrap_or_default();
            let left = match (order.size, open.get(&id)) {
                (Size::Spend(spend), _) => spend - spent,
                (Size::Shares(_), Some(open)) => order.price.notional_ceil(*open),
                (Size::Shares(size), None) => order.price.notional_ceil(size),
            };
            risk.add(order.strategy, order.token.market(), left.max(Usdc::ZERO));
        }
        for (strategy, market, action) in self.conversions.values() {
            if let Conversion::Split(sets) = action {
                risk.add(*strategy, *market, sets.face_value());
            }
        }
        risk
    }
}

#[derive(Default)]
struct AtRisk {
    markets: BTreeMap<MarketKey, Usdc>,
    strategies: BTreeMap<StrategyId, Usdc>,
}

impl AtRisk {
    fn add(&mut self, strategy: StrategyId, market: MarketKey, cost: Usdc) {
        *self.markets.entry(market).or_default() += cost;
        *self.strategies.entry(strategy).or_default() += cost;
    }

    /// The same around a token of a market, by every grouping that has a limit.
    fn around(&self, ids: &Universe, strategy: StrategyId, here: MarketKey) -> [Usdc; 5] {
        let sum = |of: &dyn Fn(MarketKey) -> bool| -> Usdc {
            let markets = self.markets.iter().filter(|(key, _)| of(**key));
            markets.map(|(_, cost)| *cost).sum()
        };
        [
            sum(&|key| key == here),
            sum(&|key| one_event(ids, key, here)),
            sum(&|key| one_category(ids, key, here)),
            self.strategies.get(&strategy).copied().unwrap_or_default(),
            sum(&|_| true),
        ]
    }
}

const GROUPINGS: [&str; 5] = ["market", "event", "category", "strategy", "account"];

fn by_grouping(around: Exposure) -> [Usdc; 5] {
    [around.market, around.event, around.category, around.strategy, around.account]
}

/// Rounding: each piece of a lot or of an order may be a micro-dollar off.
fn slack(truth: &Truth) -> Usdc {
    Usdc::new(truth.matches.len() as i64 + 10)
}

proptest! {
    #![proptest_config(cases())]

    /// At every instant the engine counts at least what the exchange has of ours (filled, resting, in
    /// flight), per market, event, category, strategy and account, and at least its shares per token.
    /// Reports on their way make the engine's figure larger, never smaller.
    #[test]
    fn the_engine_never_counts_less_than_the_exchange_has(seed: u64, markets in 1u32..6, calm: bool) {
        let tape = restless(seed, random_tape(seed, markets, 80));
        let config = if calm { SimConfig::instant() } else { lossy(seed) };
        let mut truth = Truth::default();
        play(tape, config, seed, &RiskLimits::default(), |engine, world, stamped, sent| {
            truth.take(stamped, sent, &world.sim);
            let risk = truth.at_risk(&world.sim, engine.states());
            let account = world.sim.account();
            for key in engine.universe().keys() {
                for strategy in STRATEGIES {
                    let counted = by_grouping(facts(engine).exposure(strategy, key.token(Outcome::Yes)));
                    let there = risk.around(engine.universe(), strategy, key);
                    for ((counted, there), grouping) in counted.into_iter().zip(there).zip(GROUPINGS) {
                        prop_assert!(
                            counted + slack(&truth) >= there,
                            "{} of {:?} for {}: {} counted, {} at the exchange after {:?}",
                            grouping, key, strategy, counted, there, stamped.event
                        );
                    }
                }
                for token in Outcome::BOTH.map(|outcome| key.token(outcome)) {
                    let there = account.token(token);
                    let counted = facts(engine).exposure(WHIM, token).shares;
                    prop_assert!(
                        counted >= there.settled() + there.incoming,
                        "{:?}: {} counted, {:?} there after {:?}", token, counted, there, stamped.event
                    );
                }
            }
            Ok(())
        })?;
    }

    /// With nothing on its way the engine counts no more than the exchange has either: the same pUSD
    /// reserved, fees apart, and the same shares.
    #[test]
    fn with_nothing_on_its_way_both_count_the_same(seed: u64, markets in 1u32..6) {
        let tape = restless(seed, random_tape(seed, markets, 80));
        let mut config = SimConfig::instant();
        config.rebates.paid = false;
        play(tape, config, seed, &RiskLimits::default(), |engine, world, stamped, _| {
            if !world.quiet() {
                return Ok(());
            }
            let (state, account) = (engine.manager().state(), world.sim.account());
            let fees: Usdc = state.orders.open().map(|order| order.fee_reserve).sum();
            let rounding = Usdc::new(state.orders.open_count() as i64);
            let reserved = state.reserved() - fees;
            prop_assert!(
                (reserved - account.cash_reserved).abs() <= rounding,
                "{} reserved, {} there after {:?}", reserved, account.cash_reserved, stamped.event
            );
            for token in (0..markets * 2).map(Token) {
                let held = state.positions.all().filter(|(_, of, _)| *of == token);
                let held: Shares = held.map(|(_, _, holding)| holding.held()).sum();
                prop_assert_eq!(held, account.token(token).settled(), "{:?}", token);
            }
            Ok(())
        })?;
    }

    /// No limit is ever exceeded at the exchange, whatever is lost, late or fails. Without relistings: what
    /// moves into an event that is full already is admitted nowhere.
    #[test]
    fn limits_hold_on_what_the_exchange_has(seed: u64, markets in 2u32..6) {
        let usd = Usdc::whole;
        let tight = RawRisk {
            max_order_usd: usd(15),
            max_market_usd: usd(25),
            max_event_usd: usd(32),
            max_category_usd: usd(40),
            max_strategy_usd: usd(35),
            max_account_usd: usd(60),
            max_unsettled_usd: usd(60),
            ..RawRisk::default()
        };
        let most = [usd(25), usd(32), usd(40), usd(35), usd(60)];
        let tape = random_tape(seed, markets, 100);
        let mut truth = Truth::default();
        let limits = RiskLimits::try_from(&tight).unwrap();
        let config = lossy(seed);
        play(tape, config, seed, &limits, |engine, world, stamped, sent| {
            truth.take(stamped, sent, &world.sim);
            let risk = truth.at_risk(&world.sim, engine.states());
            for key in engine.universe().keys() {
                for strategy in STRATEGIES {
                    let there = risk.around(engine.universe(), strategy, key);
                    for ((there, most), grouping) in there.into_iter().zip(most).zip(GROUPINGS) {
                        prop_assert!(
                            there <= most + slack(&truth),
                            "{} of {:?}: {} after {:?}", grouping, key, there, stamped.event
                        );
                    }
                }
            }
            Ok(())
        })?;
    }
}

/// The laws above would be empty if nothing was near a limit.
#[test]
fn the_random_runs_meet_every_limit_of_exposure() {
    let mut met: BTreeMap<&'static str, u64> = BTreeMap::new();
    let usd = Usdc::whole;
    for seed in 0..40 {
        let tight = RawRisk {
            max_order_usd: usd(15),
            max_market_usd: usd(25),
            max_event_usd: usd(32),
            max_category_usd: usd(40),
            max_strategy_usd: usd(35),
            max_account_usd: usd(60),
            max_unsettled_usd: usd(25),
            ..RawRisk::default()
        };
        let tape = restless(seed, random_tape(seed, 5, 100));
        let limits = RiskLimits::try_from(&tight).unwrap();
        let config = rough(QueueModel::Pessimistic, seed);
        let played = play(tape, config, seed, &limits, |_, _, _, _| Ok(()));
        let (engine, _) = played.unwrap();
        for ((_, code), count) in &engine.manager().counts().denials {
            *met.entry(code.as_str()).or_default() += count;
        }
    }
    for code in
        ["max_market", "max_event", "max_category", "max_strategy", "max_account", "unsettled"]
    {
        assert!(met.get(code).copied().unwrap_or(0) > 0, "no {code} in {met:?}");
    }
}

#[test]
fn the_random_runs_rest_hold_and_split() {
    let (mut resting, mut held, mut splits) = (0, 0, 0);
    for seed in 0..20 {
        let tape = restless(seed, random_tape(seed, 4, 80));
        let mut config = SimConfig::instant();
        config.rebates.paid = false;
        let limits = RiskLimits::default();
        let look = |_: &Engine, world: &World, _: &Stamped, _: &Outbox| {
            let account = world.sim.account();
            resting += u64::from(world.quiet() && !account.cash_reserved.is_zero());
            held += u64::from(world.quiet() && !account.tokens.is_empty());
            Ok(())
        };
        assert!(play(tape, config, seed, &limits, look).is_ok());
        let tape = restless(seed, random_tape(seed, 4, 80));
        let look = |_: &Engine, _: &World, _: &Stamped, sent: &Outbox| {
            let split = |command: &&Command| {
                matches!(command, Command::Convert { action: Conversion::Split(_), .. })
            };
            splits += sent.commands.iter().filter(split).count();
            Ok(())
        };
        assert!(play(tape, lossy(seed), seed, &limits, look).is_ok());
    }
    assert!(resting > 500 && held > 500, "{resting} resting, {held} held");
    assert!(splits > 10, "{splits} splits");
}
