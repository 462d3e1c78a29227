//! Tapes with receive times: the exchange lives in the venue's time, the engine in the time of receipt.

use std::sync::{Arc, Mutex};

use crate::common::{Dice, Whim, at, level, print, random_tape, snapshot};
use crate::honesty::{Witness, listed, take};
use polydesk_domain::{
    Event, LevelChange, MarketEvent, Price, Shares, Side, Span, Stamped, Time, Token, Top,
};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::RiskLimits;
use polydesk_replay::{Connection, EventLog, FeedFacts, Options, Recording, replay};
use polydesk_sim::{Delay, Sim, SimConfig};
use polydesk_strategies::Strategy;
use polydesk_tape::{MemorySource, Times};

fn run(
    tape: Vec<Stamped>,
    strategy: Box<dyn Strategy>,
    config: SimConfig,
    times: Times,
) -> (Recording, Sim) {
    let mut engine = Engine::new(Setup::simulated(RiskLimits::default()), vec![strategy]).unwrap();
    let mut sim = Sim::new(config, 1).unwrap();
    let options = Options::of(times);
    let (mut source, mut log) = (MemorySource::new(tape), EventLog::hash_only());
    let recording =
        replay(&mut source, &mut engine, &mut sim, &options, &mut log, &mut |_, _| ()).unwrap();
    (recording, sim)
}

/// A row that the recorder received some time after the venue sent it.
fn received(stamped: Stamped, millis: i64) -> Stamped {
    Stamped { at: at(millis), ..stamped }
}

/// A bid that is the best one, so that its batch is complete at once.
fn best(millis: i64, cents: u16) -> Stamped {
    let price = Price::cents(cents);
    let change = LevelChange {
        token: Token(0),
        side: Side::Buy,
        price,
        size: Shares::whole(5),
        top: Some(Top::new(Some(price), None)),
    };
    Stamped {
        event: Event::Market(MarketEvent::Level(change)),
        ..level(millis, 0, Side::Buy, cents, 5)
    }
}

/// A source whose rows come from two tapes in turn.
struct TwoTapes(Vec<(usize, Stamped)>, usize);

impl polydesk_tape::EventSource for TwoTapes {
    fn next_event(&mut self) -> Result<Option<Stamped>, polydesk_tape::TapeError> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let (tape, stamped) = self.0.remove(0);
        self.1 = tape;
        Ok(Some(stamped))
    }
    fn source(&self) -> usize {
        self.1
    }
}

#[test]
fn tapes_with_and_without_receive_times_are_late_each_in_its_own_way() {
    let connections = vec![
        Connection { times: Times::Received, name: 1 },
        Connection { times: Times::VenueOnly, name: 2 },
    ];
    let options = Options { connections, ..Options::default() };
    let mut config = SimConfig::instant();
    config.latency.feed = Delay::millis(25);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut engine = Engine::new(
        Setup::simulated(RiskLimits::default()),
        vec![Box::new(Witness(Arc::clone(&seen)))],
    )
    .unwrap();
    let mut sim = Sim::new(config, 1).unwrap();
    let rows = vec![
        (1, listed()),
        // Sent at 100, received at 170; the next one is of the other tape and overtakes it.
        (0, received(best(100, 42), 170)),
        (1, best(110, 41)),
        // Received no later than sent: drawn.
        (0, received(best(200, 43), 200)),
    ];
    let (mut source, mut log) = (TwoTapes(rows, 0), EventLog::off());
    let recording =
        replay(&mut source, &mut engine, &mut sim, &options, &mut log, &mut |_, _| ()).unwrap();
    let seen = seen.lock().unwrap().clone();
    let times: Vec<i64> = seen.iter().map(|(at, _)| at.millis()).collect();
    assert_eq!(times, [135, 170, 225].map(|ms| at(ms).millis()), "{seen:?}");
    let feed = recording.feed;
    assert_eq!((feed.rows, feed.received, feed.not_later), (4, 2, 1));
    assert_eq!((feed.median, feed.p99), (Some(Span::millis(25)), Some(Span::millis(70))));
}

#[test]
fn an_order_meets_the_book_of_the_venue_and_not_the_one_that_was_received() {
    let filled = |gone_at: i64| {
        let tape = vec![
            listed(),
            received(snapshot(100, 0, &[(40, 10)], &[(44, 25)]), 150),
            // Gone at the venue; the recorder hears of it at 600 ms.
            received(level(gone_at, 0, Side::Sell, 44, 0), 600),
            received(level(5_000, 0, Side::Sell, 47, 1), 5_100),
        ];
        let (recording, _) = run(tape, take(44, 25), SimConfig::instant(), Times::Received);
        recording.fills.iter().map(|fill| fill.fill.fill.shares).sum::<Shares>()
    };
    // The order is sent at 250 ms, when the batch of the snapshot is taken as complete.
    assert_eq!(filled(200), Shares::ZERO);
    assert_eq!(filled(500), Shares::whole(25));
}

fn seen(tape: Vec<Stamped>, config: SimConfig, times: Times) -> Vec<(Time, Price)> {
    let seen = Arc::new(Mutex::new(Vec::new()));
    run(tape, Box::new(Witness(Arc::clone(&seen))), config, times);
    let seen = seen.lock().unwrap();
    seen.clone()
}

#[test]
fn the_engine_sees_a_row_when_it_was_received_and_no_feed_latency_is_added() {
    let mut config = SimConfig::instant();
    config.latency.feed = Delay::millis(250);
    let tape = vec![
        listed(),
        received(best(1_000, 40), 1_300),
        // Received earlier than the row before it: a row does not overtake another.
        received(best(1_100, 41), 1_200),
        received(best(2_000, 42), 2_010),
    ];
    let cents = |cents| Price::cents(cents);
    assert_eq!(
        seen(tape, config, Times::Received),
        [(at(1_300), cents(40)), (at(1_300), cents(41)), (at(2_010), cents(42))]
    );
}

#[test]
fn a_row_of_the_feed_does_not_overtake_another() {
    let mut config = SimConfig::instant();
    config.latency.feed = Delay::sampled_millis(5, 900);
    let tape: Vec<_> = core::iter::once(listed())
        .chain((0..97).map(|i| best(1_000 + 10 * i, 1 + i as u16)))
        .collect();
    let seen = seen(tape, config, Times::VenueOnly);
    assert!(seen.is_sorted_by_key(|(when, _)| *when), "{seen:?}");
    let waited = |i: usize| at(1_000 + 10 * i as i64).until(seen[i].0);
    assert!((0..90).all(|i| waited(i) >= Span::millis(2)));
    let (_, sim) = run(random_tape(3, 2, 300), Box::new(Whim(Dice(3))), config, Times::VenueOnly);
    assert_eq!(sim.counters().late_commands, 0, "a command was sent in the past");
}

/// With the venue's time equal to the time of receipt both kinds of tapes are the same run, but for the feed.
#[test]
fn a_tape_received_at_once_is_a_tape_of_venue_times_without_feed_latency() {
    let mut config = SimConfig::default();
    config.latency.feed = Delay::NONE;
    let fills = |times| {
        let (recording, sim) = run(random_tape(5, 2, 300), Box::new(Whim(Dice(5))), config, times);
        let fills = recording.fills.iter().map(|fill| (fill.at, fill.fill.fill));
        (fills.collect::<Vec<_>>(), sim.account())
    };
    let (one, two) = (fills(Times::Received), fills(Times::VenueOnly));
    assert!(!one.0.is_empty());
    assert_eq!(one, two);
}

#[test]
fn an_empty_tape_is_a_run_of_nothing() {
    let (recording, sim) = run(vec![], take(44, 25), SimConfig::default(), Times::Received);
    assert_eq!((recording.rows, recording.fills.len(), recording.span), (0, 0, None));
    assert_eq!(recording.feed, FeedFacts::default());
    assert_eq!(sim.counters().orders, 0);
}

/// Half of the rows, and 99 of 100, are no later than the figures: of one row it is that row.
#[test]
fn the_percentiles_of_the_feed_are_of_whole_rows() {
    let facts = |late: &[i64]| {
        let rows = late.iter().enumerate().map(|(i, late)| {
            let sent = 10_000 * i as i64;
            let stamped = if i == 0 { listed() } else { best(sent, 1 + i as u16) };
            received(stamped, sent + late)
        });
        let tape = rows.collect();
        run(tape, take(99, 5), SimConfig::instant(), Times::Received).0.feed
    };
    let want = |feed: FeedFacts| [feed.median, feed.p99].map(|span| span.unwrap().as_millis());
    assert_eq!(want(facts(&[7])), [7, 7]);
    assert_eq!(want(facts(&[7, 9])), [7, 9]);
    assert_eq!(want(facts(&[9, 7, 8])), [8, 9]);
    // One in a hundred may be later than the second figure.
    let mut many = vec![5; 99];
    many.push(500);
    assert_eq!(want(facts(&many)), [5, 5]);
    many.truncate(98);
    many.extend([500, 500]);
    assert_eq!(want(facts(&many)), [5, 500]);
    // Longer than a minute counts as a minute.
    assert_eq!(want(facts(&[75_000])), [60_000, 60_000]);
}

#[test]
fn a_row_whose_venue_time_runs_back_does_not_turn_the_exchange_back() {
    let tape = vec![
        listed(),
        received(best(1_000, 40), 1_010),
        // 2.5 s late.
        received(best(500, 41), 3_000),
        received(best(3_010, 42), 3_020),
    ];
    let (recording, sim) = run(tape, take(44, 25), SimConfig::instant(), Times::Received);
    assert_eq!(sim.counters().rows_back_in_time, 0);
    assert_eq!(recording.feed.p99, Some(Span::millis(2_000)));
    assert_eq!(sim.counters().late_commands, 0);
}

/// What one tape brings is late in the same way, whatever is replayed beside it.
#[test]
fn another_tape_changes_no_arrival() {
    let arrivals = |beside: bool| {
        let mut config = SimConfig::instant();
        config.latency.feed = Delay::sampled_millis(25, 900);
        let connections = [1, 2].map(|name| Connection { times: Times::VenueOnly, name }).to_vec();
        let options = Options { connections, ..Options::default() };
        let seen = Arc::new(Mutex::new(Vec::new()));
        let witness = Box::new(Witness(Arc::clone(&seen)));
        let mut engine =
            Engine::new(Setup::simulated(RiskLimits::default()), vec![witness]).unwrap();
        let mut sim = Sim::new(config, 1).unwrap();
        let mut rows = vec![(0, listed())];
        for i in 0..90 {
            rows.push((0, best(1_000 + 100 * i, 1 + i as u16)));
            if beside {
                rows.push((1, print(1_050 + 100 * i, 2, Side::Buy, 50, 5)));
            }
        }
        let mut log = EventLog::off();
        let mut source = TwoTapes(rows, 0);
        replay(&mut source, &mut engine, &mut sim, &options, &mut log, &mut |_, _| ()).unwrap();
        let seen = seen.lock().unwrap().clone();
        assert_eq!(seen.len(), 90);
        seen
    };
    assert_eq!(arrivals(false), arrivals(true));
}

#[test]
fn a_row_received_before_the_venue_sent_it_happens_when_it_was_received() {
    let mut config = SimConfig::instant();
    config.latency.feed = Delay::millis(25);
    let tape = vec![listed(), received(best(200, 40), 190), received(best(300, 41), 290)];
    let (recording, sim) = run(tape, take(99, 5), config, Times::Received);
    let feed = recording.feed;
    assert_eq!((feed.rows, feed.received, feed.not_later), (3, 3, 3));
    assert_eq!((feed.median, feed.p99), (Some(Span::millis(25)), Some(Span::millis(25))));
    assert_eq!(sim.counters().rows_back_in_time, 0);
}
