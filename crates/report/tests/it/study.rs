//! How often the verdict is wrong: many samples of known worth, most of them worth nothing.
//!
//! The long form, with the table that `docs/report.md` shows:
//!
//!     POLYDESK_STUDY=2000 cargo test -p polydesk-report --test it study -- --nocapture

use crate::common::{condition, fill_with, market, quiet, token, trip};
use polydesk_domain::{
    ClosedTrade, ExitReason, Outcome, Shares, Span, StrategyId, Time, TradeStatus, Usdc,
};
use polydesk_report::analysis::Answer;
use polydesk_report::{MarkedFill, MarketRebate, OpenHolding, Options, Run, verdict_of};

/// SplitMix64 with the distributions of the shapes.
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// Above 0, at most 1.
    fn unit(&mut self) -> f64 {
        ((self.next() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
    fn happens(&mut self, probability: f64) -> bool {
        self.unit() <= probability
    }
    fn sign(&mut self) -> f64 {
        if self.happens(0.5) { 1.0 } else { -1.0 }
    }
    fn normal(&mut self) -> f64 {
        (-2.0 * self.unit().ln()).sqrt() * (core::f64::consts::TAU * self.unit()).cos()
    }
}

/// Midnight of the first day of every sample.
const FIRST: i64 = 20_717 * 86_400;

fn micros(dollars: f64) -> i64 {
    (dollars * 1e6).round() as i64
}

/// A run that is being made; dollars are rounded to the micro-dollar.
struct Made {
    run: Run,
    days: usize,
}

impl Made {
    fn new(days: usize) -> Made {
        let mut run = quiet();
        run.markets = Vec::new();
        let end = Time::from_secs(FIRST + days as i64 * 86_400 - 1);
        run.span = Some((Time::from_secs(FIRST), end));
        Made { run, days }
    }

    /// A market of an event; every event has a number.
    fn market(&mut self, event: usize) -> usize {
        let number = self.run.markets.len();
        let mut facts = market(number);
        facts.event = format!("event {event}");
        self.run.markets.push(facts);
        number
    }

    fn add(&mut self, dollars: i64) {
        self.run.totals.equity += Usdc::new(dollars);
    }

    /// A closed round trip of as many shares as dollars it cost.
    fn trip(&mut self, market: usize, day: usize, cost: f64, profit: f64) {
        let at = Time::from_secs(FIRST + (day % self.days) as i64 * 86_400 + 43_200);
        let (cost, profit) = (micros(cost), micros(profit));
        self.run.round_trips.push(ClosedTrade {
            opened_at: at - Span::secs(60),
            closed_at: at,
            shares: Shares::new(2 * cost.unsigned_abs()),
            cost: Usdc::new(cost),
            proceeds: Usdc::new(cost + profit),
            ..trip(market, 0)
        });
        self.add(profit);
    }

    /// A share bought at a price and held until it paid a dollar or nothing.
    fn settled(&mut self, market: usize, day: usize, price: f64, won: bool) {
        self.trip(market, day, price, if won { 1.0 - price } else { -price });
        if let Some(trip) = self.run.round_trips.last_mut() {
            trip.shares = Shares::whole(1);
            (trip.exit_role, trip.reason) = (None, ExitReason::Resolution);
        }
    }

    fn open(&mut self, market: usize, cost: f64, mark: f64) {
        self.run.open.push(OpenHolding {
            strategy: StrategyId::STINK_BIDDER,
            market: condition(market),
            token: token(market),
            outcome: Outcome::Yes,
            shares: Shares::new(2 * micros(cost).unsigned_abs()),
            cost: Usdc::new(micros(cost)),
            mark: Usdc::new(micros(mark)),
        });
        self.add(micros(mark) - micros(cost));
    }

    fn rebate(&mut self, market: usize, day: usize, amount: f64) {
        let at = Time::from_secs(FIRST + (day % self.days) as i64 * 86_400 + 40_000);
        let fill = fill_with(|record| record.market = condition(market));
        let settlement = TradeStatus::Confirmed;
        self.run.fills.push(MarkedFill { at, matched_at: at, settlement, ..fill });
        let amount = Usdc::new(micros(amount));
        self.run.rebates.push(MarketRebate { market: condition(market), amount });
        self.add(amount.micros());
    }
}

type Shape = fn(&mut Draw) -> Made;

/// Markets, each an event of its own, in which all trips share the market's result.
fn common_to_a_market(draw: &mut Draw) -> Made {
    let mut made = Made::new(6);
    for event in 0..12 {
        let (market, common) = (made.market(event), draw.normal());
        for _ in 0..5 {
            made.trip(market, event, 2.0, common + 0.2 * draw.normal());
        }
    }
    made
}

/// 36 trips in six markets of one game.
fn one_game(draw: &mut Draw) -> Made {
    let (mut made, common) = (Made::new(4), draw.normal());
    for market in 0..6 {
        made.market(0);
        for day in 0..6 {
            made.trip(market, day, 2.0, common + 0.5 * draw.normal());
        }
    }
    made
}

/// Twelve games of three markets with two trips each; the game decides most of it.
fn games(draw: &mut Draw) -> Made {
    let mut made = Made::new(6);
    for game in 0..12 {
        let common = draw.normal();
        for _ in 0..3 {
            let market = made.market(game);
            for _ in 0..2 {
                made.trip(market, game, 1.0, common + 0.5 * draw.normal());
            }
        }
    }
    made
}

/// Shares bought at a price, one an event, that win at a rate.
fn favourites(draw: &mut Draw, events: usize, price: f64, rate: f64) -> Made {
    favourites_on(draw, 10, events, price, rate)
}

fn favourites_on(draw: &mut Draw, days: usize, events: usize, price: f64, rate: f64) -> Made {
    let mut made = Made::new(days);
    for event in 0..events {
        let market = made.market(event);
        made.settled(market, event, price, draw.happens(rate));
    }
    made
}

/// The same without settlement: sold at the price of a settled market, where only the interval and the
/// largest possible loss stand in front of a verdict.
fn sold_favourites(draw: &mut Draw, days: usize, events: usize, price: f64) -> Made {
    let mut made = favourites_on(draw, days, events, price, price);
    for trip in &mut made.run.round_trips {
        (trip.exit_role, trip.reason) =
            (Some(polydesk_domain::Role::Taker), ExitReason::TakeProfit);
    }
    made
}

/// Winners are sold, losers are kept.
fn losers_held(draw: &mut Draw) -> Made {
    let mut made = Made::new(10);
    for event in 0..120 {
        let market = made.market(event);
        if draw.happens(0.5) {
            made.trip(market, event, 0.5, 0.5);
        } else {
            made.open(market, 0.5, 0.0);
        }
    }
    made
}

/// Round trips lose on average what rebates pay.
fn rebates(draw: &mut Draw, edge: f64) -> Made {
    let mut made = Made::new(10);
    for event in 0..40 {
        let market = made.market(event);
        made.trip(market, event, 0.8, edge - 0.3 + 0.3 * draw.normal());
        made.rebate(market, event, 0.3);
    }
    made
}

fn few_days(draw: &mut Draw, days: usize) -> Made {
    let mut made = Made::new(days);
    let common: Vec<f64> = (0..days).map(|_| draw.normal()).collect();
    for event in 0..60 {
        let market = made.market(event);
        made.trip(market, event, 0.5, common[event % days] + 0.5 * draw.normal());
    }
    made
}

/// Student's t with two and a half degrees of freedom, or so: now and then ten times the usual.
fn heavy_tails(draw: &mut Draw) -> Made {
    let mut made = Made::new(10);
    for event in 0..40 {
        let market = made.market(event);
        let size = draw.unit().powf(-0.4);
        made.trip(market, event, 0.5, draw.sign() * size * (1.0 + 0.1 * draw.normal()));
    }
    made
}

/// Rare losses of every size, at a mean of zero.
fn heavy_losses(draw: &mut Draw) -> Made {
    let mut made = Made::new(12);
    for event in 0..60 {
        let market = made.market(event);
        // Pareto of index 2.5 has a mean of 5/3.
        made.trip(market, event, 1.0, 5.0 / 3.0 - draw.unit().powf(-0.4));
    }
    made
}

/// Every event wins a little, but for one day in twenty on which all of them lose. The mean is zero.
fn rare_bad_days(draw: &mut Draw) -> Made {
    let mut made = Made::new(20);
    for day in 0..20 {
        let bad = draw.happens(0.05);
        for slot in 0..3 {
            let market = made.market(day * 3 + slot);
            let gain = 0.05 * (1.0 + 0.2 * draw.normal());
            made.trip(market, day, 0.95, if bad { -0.95 } else { gain });
        }
    }
    made
}

fn unequal_sizes(draw: &mut Draw) -> Made {
    let mut made = Made::new(8);
    for event in 0..24 {
        let (market, common) = (made.market(event), draw.normal());
        let trips = 1 + (draw.unit().powf(-1.0) as usize).min(40);
        for _ in 0..trips {
            made.trip(market, event, 0.2, 0.5 * common + draw.normal());
        }
    }
    made
}

/// Days that resemble the day before: a lag-one correlation of one half.
fn persistent_days(draw: &mut Draw, days: usize) -> Made {
    let (mut made, mut state) = (Made::new(days), draw.normal());
    for day in 0..days {
        for slot in 0..3 {
            let market = made.market(day * 3 + slot);
            made.trip(market, day, 0.5, state + 0.5 * draw.normal());
        }
        state = 0.5 * state + 0.75f64.sqrt() * draw.normal();
    }
    made
}

fn independent(draw: &mut Draw, events: usize, days: usize, edge: f64) -> Made {
    let mut made = Made::new(days);
    for event in 0..events {
        let market = made.market(event);
        made.trip(market, event, 1.5, edge + 0.5 * draw.normal());
    }
    made
}

/// Samples without an edge.
const WORTHLESS: [(&str, Shape); 28] = [
    ("results common to a market, 12 markets", common_to_a_market),
    ("36 trips in six markets of one game", one_game),
    ("12 games of three markets", games),
    ("win 3 ct, lose 97 ct, n 30", |draw| favourites(draw, 30, 0.97, 0.97)),
    ("win 3 ct, lose 97 ct, n 150", |draw| favourites(draw, 150, 0.97, 0.97)),
    ("win 3 ct, lose 97 ct, n 600", |draw| favourites(draw, 600, 0.97, 0.97)),
    ("win 1 ct, lose 99 ct, n 30", |draw| favourites(draw, 30, 0.99, 0.99)),
    ("win 1 ct, lose 99 ct, n 400", |draw| favourites(draw, 400, 0.99, 0.99)),
    ("3 ct and 97 ct, sold early, n 30", |draw| sold_favourites(draw, 10, 30, 0.97)),
    ("3 ct and 97 ct, sold early, n 150", |draw| sold_favourites(draw, 10, 150, 0.97)),
    ("3 ct and 97 ct, sold early, n 600", |draw| sold_favourites(draw, 10, 600, 0.97)),
    ("3 ct and 97 ct, sold early, n 150, four days", |draw| sold_favourites(draw, 4, 150, 0.97)),
    ("3 ct and 97 ct, sold early, n 600, thirty days", |draw| sold_favourites(draw, 30, 600, 0.97)),
    ("win 97 ct, lose 3 ct, n 60", |draw| favourites(draw, 60, 0.03, 0.03)),
    ("win 97 ct, lose 3 ct, n 600", |draw| favourites(draw, 600, 0.03, 0.03)),
    ("97 ct and 3 ct, sold early, n 60", |draw| sold_favourites(draw, 10, 60, 0.03)),
    ("winners closed, losers held", losers_held),
    ("a maker whose rebates are his losses", |draw| rebates(draw, 0.0)),
    ("three days", |draw| few_days(draw, 3)),
    ("five days", |draw| few_days(draw, 5)),
    ("heavy tails", heavy_tails),
    ("heavy losses", heavy_losses),
    ("unequal events", unequal_sizes),
    ("10 days like the day before", |draw| persistent_days(draw, 10)),
    ("15 days like the day before", |draw| persistent_days(draw, 15)),
    ("30 days like the day before", |draw| persistent_days(draw, 30)),
    ("60 days like the day before", |draw| persistent_days(draw, 60)),
    ("nothing special, n 20", |draw| independent(draw, 20, 10, 0.0)),
];

/// What no sample can show: on one day in twenty, not seen yet, every event loses at once. The rule of three
/// counts events, so it is deceived as often as there was no such day and the gain is large enough.
const UNSEEN: (&str, Shape) = ("a day on which all lose, 5 % of days", rare_bad_days);

/// Samples with one, and the least share of them that is found.
const WORTH: [(&str, Shape, f64); 5] = [
    ("0.5 deviations an event, n 60", |draw| independent(draw, 60, 20, 0.25), 0.7),
    ("0.8 deviations an event, n 60", |draw| independent(draw, 60, 20, 0.4), 0.9),
    ("0.4 deviations an event, n 200", |draw| independent(draw, 200, 40, 0.2), 0.9),
    ("a maker who earns by rebates, n 40", |draw| rebates(draw, 0.25), 0.8),
    ("favourites at 90 ct that win 97 %, n 300", |draw| favourites(draw, 300, 0.90, 0.97), 0.8),
];

/// Shares of the samples with EDGE, NO EDGE, an interval above zero, one below.
fn shares(shape: Shape, number: u64, samples: u64) -> [f64; 4] {
    let mut counts = [0u64; 4];
    for sample in 0..samples {
        let run = shape(&mut Draw(number << 32 | sample)).run;
        let verdict = verdict_of(&run, &Options { seed: sample, resamples: 500 });
        counts[0] += u64::from(verdict.answer == Answer::Edge);
        counts[1] += u64::from(verdict.answer == Answer::NoEdge);
        counts[2] += u64::from(verdict.interval.is_some_and(|(low, _)| low > Usdc::ZERO));
        counts[3] += u64::from(verdict.interval.is_some_and(|(_, high)| high < Usdc::ZERO));
    }
    counts.map(|count| count as f64 / samples as f64)
}

fn line(name: &str, of: [f64; 4]) {
    let [edge, none, above, below] = of.map(|share| share * 100.0);
    println!("| {name} | {edge:.1} | {none:.1} | {above:.1} | {below:.1} |");
}

fn samples() -> u64 {
    std::env::var("POLYDESK_STUDY").ok().and_then(|text| text.parse().ok()).unwrap_or(200)
}

#[test]
fn a_sample_without_an_edge_is_called_one_in_at_most_five_of_a_hundred_cases() {
    println!("| percent of samples | EDGE | NO EDGE | interval above 0 | below 0 |");
    let mut wrong = Vec::new();
    for (number, (name, shape)) in WORTHLESS.iter().enumerate() {
        let of = shares(*shape, number as u64, samples());
        line(name, of);
        if of[0] > 0.05 {
            wrong.push(format!("{name}: {:.1} %", of[0] * 100.0));
        }
    }
    let (name, shape) = UNSEEN;
    line(name, shares(shape, 900, samples()));
    assert!(wrong.is_empty(), "false EDGE in more than 5 %: {wrong:?}");
}

#[test]
fn a_real_edge_is_found() {
    println!("| percent of samples | EDGE | NO EDGE | interval above 0 | below 0 |");
    for (number, (name, shape, least)) in WORTH.iter().enumerate() {
        let of = shares(*shape, 1_000 + number as u64, samples());
        line(name, of);
        assert!(of[0] >= *least, "{name}: found in {:.1} %", of[0] * 100.0);
        assert_eq!(of[1], 0.0, "{name}");
    }
}
