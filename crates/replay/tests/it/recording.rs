//! What a run records about its fills, its equity and its alarms.

use crate::common::{Run, at, level, run, run_limited, snapshot};
use crate::honesty::{bid, listed, take};
use polydesk_domain::{
    Event, Interruption, MarketEvent, MarketKey, MarketState, Role, Side, Span, Stamped, Time, Usdc,
};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::{RawRisk, RiskLimits};
use polydesk_replay::{EventLog, FillRow, Options, Recording, replay};
use polydesk_sim::{Delay, SimConfig};
use polydesk_tape::{MemorySource, Times};

/// A market at 40 / 44 in which a taker buys 40 at 0.44; he is filled at 10 ms.
fn opening() -> Vec<Stamped> {
    vec![listed(), snapshot(1, 0, &[(40, 500)], &[(44, 500)]), level(10, 0, Side::Sell, 60, 7)]
}

/// The book with these best prices from `millis` on.
fn book(millis: i64, bid: u16, ask: u16) -> Stamped {
    snapshot(millis, 0, &[(bid, 500)], &[(ask, 500)])
}

fn state(millis: i64, event: MarketEvent) -> Stamped {
    crate::common::row(millis, Event::Market(event))
}

/// The only fill of a taker over the opening and these rows, with this delay of answers.
fn fill(rows: Vec<Stamped>, answer_millis: i64) -> FillRow {
    let mut config = SimConfig::instant();
    config.latency.answer = Delay::millis(answer_millis);
    let tape = [opening(), rows].concat();
    let Run { recording, .. } = run(tape, vec![take(44, 40)], config, 1);
    let [fill] = recording.fills.as_slice() else { panic!("{} fills", recording.fills.len()) };
    assert_eq!((fill.matched_at, fill.double_mid_matched), (at(10), Some(8_400)));
    fill.clone()
}

#[test]
fn markouts_are_read_at_their_horizon_and_not_before_or_after() {
    // Each horizon's book stands for one millisecond; before and after it another one does.
    let around = |secs: i64, bid: u16| {
        let due = 10 + secs * 1_000;
        [book(due - 1, 10, 12), book(due, bid, bid + 4), book(due + 1, 20, 22)]
    };
    let rows = [around(5, 50), around(30, 51), around(60, 52), around(300, 53)].concat();
    let fill = fill(rows, 0);
    assert_eq!(fill.double_mid_later, [Some(10_400), Some(10_600), Some(10_800), Some(11_000)]);
}

#[test]
fn the_delay_of_the_report_moves_nothing_but_the_middle_when_it_was_known() {
    let rows = || vec![book(1_000, 46, 50), book(4_000, 30, 34), book(400_000, 20, 24)];
    let known: Vec<_> = [0, 50, 2_000, 8_000]
        .into_iter()
        .map(|delay| {
            let fill = fill(rows(), delay);
            assert_eq!(fill.at, at(10 + delay));
            assert_eq!(fill.double_mid_later, [Some(6_400); 4], "answers after {delay} ms");
            fill.double_mid_known
        })
        .collect();
    assert_eq!(known, [Some(8_400), Some(8_400), Some(9_600), Some(6_400)]);
}

#[test]
fn the_middle_when_a_fill_is_known_is_the_exchanges_and_not_the_late_one_of_the_feed() {
    let mut config = SimConfig::instant();
    (config.latency.feed, config.latency.answer) = (Delay::millis(3_000), Delay::millis(500));
    let rows = vec![book(3_300, 46, 50), book(9_000, 20, 24)];
    let recording = run([opening(), rows].concat(), vec![take(44, 40)], config, 1).recording;
    let fill = &recording.fills[0];
    // Decided on the book of 10 ms at 3,010 ms; the engine still sees it when the fill is reported.
    assert_eq!((fill.matched_at, fill.at), (at(3_010), at(3_510)));
    assert_eq!((fill.double_mid_matched, fill.double_mid_known), (Some(8_400), Some(9_600)));
    assert_eq!(fill.fill.double_mid, Some(8_400));
}

#[test]
fn no_markout_is_read_where_nothing_is_known() {
    let market = MarketKey(0);
    let closed = state(20_000, MarketEvent::State { market, state: MarketState::Closed });
    let interrupted =
        state(20_000, MarketEvent::Interrupted(Interruption { market: Some(market) }));
    let end = || book(400_000, 50, 54);
    let last = Some(10_400);
    let (first, none) = (Some(8_400), None);
    for (name, rows, want) in [
        ("quiet", vec![end()], [first; 4]),
        ("the tape ends", vec![book(40_000, 50, 54)], [first, first, none, none]),
        ("it ends at a horizon", vec![book(5_010, 50, 54)], [last, none, none, none]),
        ("closed", vec![closed, end()], [first, none, none, none]),
        ("interrupted", vec![interrupted.clone(), end()], [first, none, none, none]),
        ("synced again", vec![interrupted, book(45_000, 50, 54), end()], [first, none, last, last]),
        ("crossed", vec![book(20_000, 60, 50), end()], [first, none, none, none]),
        ("a silence of 15 minutes", vec![book(900_010, 50, 54)], [first, first, first, first]),
        (
            "a longer one",
            vec![book(7_000, 40, 44), book(907_001, 50, 54)],
            [first, none, none, none],
        ),
    ] {
        assert_eq!(fill(rows, 0).double_mid_later, want, "{name}");
    }
    // One-sided: there is no middle.
    let one_sided = snapshot(20_000, 0, &[(40, 500)], &[]);
    assert_eq!(fill(vec![one_sided, end()], 0).double_mid_later, [first, none, none, none]);
}

#[test]
fn received_tapes_match_at_venue_time_and_report_at_receive_time() {
    // Every row is received two seconds after the venue's time.
    let mut tape = [opening(), vec![book(1_500, 46, 50), book(9_000, 20, 24)]].concat();
    for row in &mut tape {
        row.at = row.at + Span::secs(2);
    }
    let mut engine =
        Engine::new(Setup::simulated(RiskLimits::default()), vec![take(44, 40)]).unwrap();
    let mut sim = polydesk_sim::Sim::new(SimConfig::instant(), 1).unwrap();
    let options = Options::of(Times::Received);
    let recording: Recording = replay(
        &mut MemorySource::new(tape),
        &mut engine,
        &mut sim,
        &options,
        &mut EventLog::hash_only(),
        &mut |_, _| (),
    )
    .unwrap();
    // The engine decides at 2,010 ms on a book that has moved at the exchange: the order rests there until
    // the ask comes down, seven seconds later by the venue's time.
    let [fill] = recording.fills.as_slice() else { panic!("{} fills", recording.fills.len()) };
    assert_eq!(fill.fill.role, Role::Maker);
    assert_eq!((fill.matched_at, fill.at), (at(9_000), at(9_000)));
    // The book that fell on the order stood at 46 / 50 before.
    assert_eq!((fill.double_mid_matched, fill.double_mid_known), (Some(9_600), Some(4_400)));
    // The engine's own book is two seconds older.
    assert_eq!(fill.fill.double_mid, Some(9_600));
}

/// The drawdown of a holder of 40 whose book loses its bids for one second.
fn dip(second: i64, hours: i64) -> (Usdc, Option<(Time, Option<Time>)>, usize) {
    let mut rows = opening();
    // The price is fair to begin with, so that the dip is the only fall.
    rows.push(book(100_000, 44, 46));
    rows.push(snapshot(second * 1_000 - 500, 0, &[(2, 500)], &[(46, 500)]));
    rows.push(book(second * 1_000 + 500, 44, 46));
    let mut seconds = 0;
    while seconds < hours * 3_600 {
        seconds += 600;
        rows.push(book(seconds * 1_000 + 1, 44, 46));
    }
    rows.sort_by_key(|row| row.at);
    let recording = run(rows, vec![take(44, 40)], SimConfig::instant(), 1).recording;
    let extremes = recording.extremes;
    let fall = extremes.fall.map(|fall| (fall.bottom.1, fall.recovered));
    let depth = extremes.fall.map_or(Usdc::ZERO, |fall| fall.peak.0 - fall.bottom.0);
    (depth, fall, recording.equity.len())
}

#[test]
fn a_dip_of_one_second_is_the_drawdown_whatever_its_parity() {
    let (even, when, _) = dip(20_300, 7);
    // 40 shares at 0.02 instead of at 0.44, after the fee of the purchase.
    assert!(even > Usdc::cents(1_680), "{even}");
    assert_eq!(when.map(|(bottom, _)| bottom), Some(at(20_300_000)));
    let (odd, when, points) = dip(20_301, 7);
    assert_eq!(odd, even);
    assert_eq!(when.map(|(bottom, _)| bottom), Some(at(20_301_000)));
    assert!(points <= 20_001, "{points} points");
}

#[test]
fn latches_are_recorded_as_alarms_with_their_loss() {
    let raw = RawRisk { max_drawdown_usd: Usdc::whole(5), ..RawRisk::default() };
    let limits = RiskLimits::try_from(&raw).unwrap();
    let rows = vec![book(20_000, 10, 12), book(60_000, 10, 12)];
    let tape = [opening(), rows].concat();
    let run = run_limited(tape, vec![take(44, 40)], SimConfig::instant(), 1, limits);
    let alarms = &run.recording.alarms;
    let latch = alarms.iter().find(|alarm| alarm.kind == "latch").expect("it latched");
    assert_eq!(latch.code.as_str(), "drawdown");
    assert!(latch.text.starts_with("lost 1"), "{latch:?}");
    assert!(alarms.iter().any(|alarm| alarm.kind == "critical"), "{alarms:?}");
}

#[test]
fn rebates_are_recorded_by_market_and_add_up_to_the_ledgers() {
    let mut config = SimConfig::instant();
    config.rebates.least = Usdc::ZERO;
    let print = crate::common::print(5_000, 0, Side::Sell, 38, 200);
    let rows = vec![print, book(6_000, 40, 44)];
    let run = run([opening(), rows].concat(), vec![bid(40, 50)], config, 1);
    let ledger = run.engine.manager().ledger();
    let booked = -ledger.balance(polydesk_execution::LedgerAccount::Rebates);
    assert!(booked > Usdc::ZERO);
    let condition = run.engine.universe().market(MarketKey(0)).condition;
    assert_eq!(run.recording.rebates, [(condition, booked)].into_iter().collect());
}

#[test]
fn a_maker_is_measured_against_the_book_that_the_trade_met() {
    let sold = |rows: Vec<Stamped>| {
        let tape = [opening(), rows].concat();
        let recording = run(tape, vec![bid(42, 50)], SimConfig::instant(), 1).recording;
        let fill = recording.fills.first().expect("filled");
        (fill.matched_at, fill.double_mid_matched, fill.double_mid_known)
    };
    let print = |millis| crate::common::print(millis, 0, Side::Sell, 42, 200);
    // The trade and the level changes that it made are one batch.
    let batch = vec![book(5_000, 30, 34), print(5_000), book(9_000, 20, 24)];
    assert_eq!(sold(batch), (at(5_000), Some(8_400), Some(6_400)));
    // A book that crosses the bid.
    let crossed = vec![book(5_000, 30, 34), book(9_000, 20, 24)];
    assert_eq!(sold(crossed), (at(5_000), Some(8_400), Some(6_400)));
    // A book that was void before says nothing.
    let void = state(4_000, MarketEvent::Interrupted(Interruption { market: None }));
    let crossed = vec![void, book(5_000, 30, 34), book(9_000, 20, 24)];
    assert_eq!(sold(crossed), (at(5_000), None, Some(6_400)));
}

#[test]
fn every_fill_has_its_match_and_the_extremes_are_those_of_the_whole_curve() {
    let (mut fills, mut falls) = (0, 0);
    for seed in 0..60 {
        let tape = crate::common::random_tape(seed, 2, 200);
        let strategy = Box::new(crate::common::Whim(crate::common::Dice(seed)));
        let run = run(tape, vec![strategy], SimConfig::default(), seed);
        let recording = run.recording;
        for fill in &recording.fills {
            // A report takes 30 ms or so; a fill that was not found at the exchange would be matched at once.
            assert!(fill.matched_at < fill.at, "seed {seed}: {fill:?}");
            fills += 1;
        }
        // Short runs keep every sample.
        let start = run.sim.config().starting_cash;
        let equity = || recording.equity.iter().map(|point| point.equity).chain([start]);
        let (mut peak, mut deepest) = (start, Usdc::ZERO);
        for point in &recording.equity {
            peak = peak.max(point.equity);
            deepest = deepest.max(peak - point.equity);
        }
        let extremes = &recording.extremes;
        let depth = extremes.fall.map_or(Usdc::ZERO, |fall| fall.peak.0 - fall.bottom.0);
        let locked = recording.equity.iter().map(|point| point.locked).max();
        // What settles after the tape's end belongs to the curve.
        let end = recording.equity.last().map(|point| point.equity);
        assert_eq!(end, Some(run.engine.manager().equity().now), "seed {seed}");
        assert_eq!(depth, deepest, "seed {seed}");
        assert_eq!(Some(extremes.lowest), equity().min(), "seed {seed}");
        assert_eq!(Some(extremes.highest), equity().max(), "seed {seed}");
        assert_eq!(Some(extremes.peak_locked), locked, "seed {seed}");
        assert!(extremes.mean_locked <= extremes.peak_locked, "seed {seed}");
        assert!(extremes.exposed <= extremes.observed, "seed {seed}");
        falls += usize::from(depth > Usdc::ZERO);
    }
    assert!(fills > 500 && falls > 30, "{fills} fills, {falls} runs with a fall");
}
