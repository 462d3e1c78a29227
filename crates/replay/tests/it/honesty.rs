//! Fills are honest: none is booked twice, without a counterparty, or from later data.

use std::sync::{Arc, Mutex};

use crate::common::{
    Dice, Whim, at, level, market, print, random_tape, row, run, run_logged, snapshot,
};
use polydesk_domain::{
    Action, Event, MarketEvent, Price, Quote, Reason, Shares, Side, Span, Stamped, StrategyId,
    Time, Token, TradeIntent, Urgency, Usdc,
};
use polydesk_replay::EventLog;
use polydesk_sim::{Delay, SimConfig};
use polydesk_strategies::{Emit, Kinds, Saved, StateError, Strategy, Trigger, View};

/// Emits one action at the first batch.
struct Once(Option<Action>);

impl Strategy for Once {
    fn id(&self) -> StrategyId {
        StrategyId::literal("once")
    }
    fn kinds(&self) -> Kinds {
        Kinds::BATCH
    }
    fn wants(&self, _: &polydesk_domain::Market) -> bool {
        true
    }
    fn save(&self) -> Saved {
        Saved::NOTHING
    }
    fn load(&mut self, saved: &Saved) -> Result<(), StateError> {
        saved.expect_nothing(self.id())
    }
    fn on_event(&mut self, _: &View<'_>, trigger: Trigger<'_>, out: &mut Emit<'_>) {
        if let (Trigger::Batch(key), Some(action)) = (trigger, self.0.take()) {
            out.signal(key, action, Span::secs(3_600), Usdc::ZERO, Reason::new("once"));
        }
    }
}

pub fn bid(cents: u16, shares: u64) -> Box<dyn Strategy> {
    let quote = Quote {
        token: Token(0),
        side: Side::Buy,
        price: Price::cents(cents),
        size: Shares::whole(shares),
        exit: None,
    };
    Box::new(Once(Some(Action::Quotes(vec![quote]))))
}

pub fn take(cents: u16, shares: u64) -> Box<dyn Strategy> {
    Box::new(Once(Some(Action::Trade(TradeIntent {
        token: Token(0),
        side: Side::Buy,
        size: polydesk_domain::Size::Shares(Shares::whole(shares)),
        limit: Price::cents(cents),
        urgency: Urgency::Rest,
        all_or_nothing: false,
        exit: None,
    }))))
}

pub fn listed() -> Stamped {
    row(
        0,
        Event::Market(MarketEvent::Listed {
            key: polydesk_domain::MarketKey(0),
            market: Arc::new(market(1)),
        }),
    )
}

fn filled(tape: Vec<Stamped>, strategy: Box<dyn Strategy>) -> Shares {
    let run = run(tape, vec![strategy], SimConfig::instant(), 1);
    run.recording.fills.iter().map(|fill| fill.fill.fill.shares).sum()
}

#[test]
fn a_tape_with_one_print_never_fills_twice() {
    let tape = |prints: &[Stamped]| {
        let mut rows = vec![
            listed(),
            snapshot(1, 0, &[(40, 10)], &[(44, 100)]),
            level(10, 0, Side::Sell, 45, 7),
        ];
        rows.extend_from_slice(prints);
        rows.push(level(9_000, 0, Side::Sell, 46, 7));
        rows
    };
    // We rest 50 behind the 10 at 0.40; one print of 30 serves the 10 ahead and then 20 of ours.
    let one = print(5_000, 0, Side::Sell, 40, 30);
    assert_eq!(filled(tape(core::slice::from_ref(&one)), bid(40, 50)), Shares::whole(20));
    assert_eq!(filled(tape(&[]), bid(40, 50)), Shares::ZERO);
}

#[test]
fn a_refreshed_snapshot_refills_nothing() {
    let mut rows = vec![listed(), snapshot(1, 0, &[(40, 10)], &[(44, 25)])];
    for second in 1..60 {
        rows.push(snapshot(second * 1_000, 0, &[(40, 10)], &[(44, 25)]));
    }
    // Forty wanted at 0.44, twenty-five shown: sixty refreshes show the same twenty-five.
    assert_eq!(filled(rows, take(44, 40)), Shares::whole(25));
}

#[test]
fn mirrored_books_give_liquidity_once() {
    let rows = vec![
        listed(),
        snapshot(1, 0, &[(40, 10)], &[(44, 25)]),
        // The same book, sent on the other token.
        snapshot(500, 1, &[(56, 25)], &[(60, 10)]),
        level(1_000, 1, Side::Buy, 56, 25),
        level(2_000, 0, Side::Sell, 44, 25),
        level(3_000, 0, Side::Sell, 47, 1),
    ];
    assert_eq!(filled(rows, take(44, 40)), Shares::whole(25));
}

/// Records its views with their times.
pub struct Witness(pub Arc<Mutex<Vec<(Time, Price)>>>);

impl Strategy for Witness {
    fn id(&self) -> StrategyId {
        StrategyId::literal("witness")
    }
    fn kinds(&self) -> Kinds {
        Kinds::BATCH
    }
    fn wants(&self, _: &polydesk_domain::Market) -> bool {
        true
    }
    fn save(&self) -> Saved {
        Saved::NOTHING
    }
    fn load(&mut self, saved: &Saved) -> Result<(), StateError> {
        saved.expect_nothing(self.id())
    }
    fn on_event(&mut self, view: &View<'_>, trigger: Trigger<'_>, _: &mut Emit<'_>) {
        if let Trigger::Batch(key) = trigger
            && let Some((bid, _)) =
                view.books.best(key.token(polydesk_domain::Outcome::Yes), Side::Buy)
        {
            self.0.lock().unwrap().push((view.now, bid));
        }
    }
}

#[test]
fn nothing_is_seen_before_its_feed_latency() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut config = SimConfig::instant();
    config.latency.feed = Delay::millis(250);
    let mut rows = vec![listed()];
    for (i, cents) in [40, 41, 42, 43].into_iter().enumerate() {
        rows.push(level(1_000 * (i as i64 + 1), 0, Side::Buy, cents, 5));
    }
    run(rows, vec![Box::new(Witness(Arc::clone(&seen)))], config, 1);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 4);
    for (when, bid) in seen.iter() {
        let happened = at(1_000 * (i64::from(bid.units()) / 100 - 39));
        assert!(*when >= happened + Span::millis(250), "{bid} was seen at {when}");
    }
}

/// Collects the log in memory.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Every command and every handled event before a time.
fn log_until(tape: Vec<Stamped>, seed: u64, until: Time) -> Vec<String> {
    let lines = Lines::default();
    let log = EventLog::to(Box::new(lines.clone()));
    run_logged(tape, vec![Box::new(Whim(Dice(seed)))], SimConfig::default(), seed, log);
    let bytes = lines.0.lock().unwrap().clone();
    let text = String::from_utf8(bytes).unwrap();
    let early = |line: &&str| {
        let at = line.split("\"at\":").nth(1).and_then(|rest| rest.split([',', '}']).next());
        at.and_then(|at| at.parse().ok()).is_some_and(|nanos| Time::from_nanos(nanos) < until)
    };
    text.lines().filter(early).map(str::to_owned).collect()
}

#[test]
fn changing_the_future_leaves_past_decisions_unchanged() {
    let mut compared = 0;
    for seed in 0..40 {
        let tape = random_tape(seed, 2, 150);
        let cut = tape.len() / 2;
        let until = tape[cut].at;
        let mut other = tape[..cut].to_vec();
        for mut later in random_tape(seed + 1_000, 2, 150) {
            if !matches!(later.event, Event::Market(MarketEvent::Listed { .. })) {
                later.at = later.at + at(0).until(until);
                later.venue_at = later.at;
                other.push(later);
            }
        }
        let (one, two) = (log_until(tape, seed, until), log_until(other, seed, until));
        assert_eq!(one, two, "seed {seed}");
        compared += one.len();
    }
    assert!(compared > 1_000, "only {compared} lines were compared");
}

#[test]
fn a_log_with_rows_is_the_log_without_them_and_every_row_of_the_tape() {
    let tape = random_tape(7, 2, 150);
    let log = |rows: bool| {
        let lines = Lines::default();
        let log = EventLog::to(Box::new(lines.clone()));
        let log = if rows { log.with_rows() } else { log };
        run_logged(tape.clone(), vec![Box::new(Whim(Dice(7)))], SimConfig::default(), 7, log);
        let bytes = lines.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    };
    let (short, long) = (log(false), log(true));
    let mut rest = short.lines().peekable();
    let rows = long.lines().filter(|line| rest.next_if_eq(line).is_none()).count();
    assert_eq!(rest.next(), None);
    assert_eq!(rows, tape.len());
}

#[test]
fn the_log_names_what_operators_and_findings_are_about_by_the_venues_ids() {
    use polydesk_domain::{
        AccountEvent, Code, ControlEvent, Finding, Market, MarketKey, Operator, OperatorCommand,
    };
    let mut universe = polydesk_domain::Universe::new();
    let market = Arc::new(Market::plain(7, "a market"));
    let (token_id, condition) = (market.tokens[0].to_string(), market.condition.to_string());
    universe.list(MarketKey(0), market).unwrap();
    let (token, code) = (Token(0), Code::literal("transfer_log"));
    let operator = |command| {
        let (by, why, key) = (String::new(), String::new(), String::new());
        Event::from(ControlEvent::Operator(Operator { by, why, key, command }))
    };
    let (collar, market) = (None, Some(MarketKey(0)));
    for (event, named) in [
        (operator(OperatorCommand::Flatten { market, collar }), &condition),
        (operator(OperatorCommand::CancelMarket(market)), &condition),
        (operator(OperatorCommand::Close { token, fraction_ppm: 500_000, collar }), &token_id),
        (operator(OperatorCommand::ReleaseToken(token)), &token_id),
        (AccountEvent::Finding(Finding::Shares { token, micros: -5, code }).into(), &token_id),
        (AccountEvent::Finding(Finding::Freeze { token, detail: String::new() }).into(), &token_id),
    ] {
        let lines = Lines::default();
        let mut log = EventLog::to(Box::new(lines.clone()));
        log.event(&universe, &Stamped { at: at(0), venue_at: at(0), seq: 1, event }).unwrap();
        let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
        assert!(text.contains(named.as_str()), "{named}: {text}");
        assert!(!text.contains("Token(") && !text.contains("MarketKey("), "{text}");
    }
}
