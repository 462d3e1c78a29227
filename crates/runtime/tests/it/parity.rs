//! Paper trading on a tape gives what the backtest of that tape gives. The tape goes through the exchange's sockets, the
//! client, discovery, the inbox and the journal; every difference that is left has a name:
//!
//! - **start**: discovery lists a market after the tape's first row, so what is placed first is placed later;
//! - **crossed**: a book in which both outcomes together cost less than a dollar is never shown by a venue, whose
//!   matching would have taken it; a tape may hold one, and a backtest sees it.

use std::collections::BTreeSet;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use polydesk_domain::{Event, MarketEvent, Record, Recorded, Side, Size, Span, Time, Universe};
use polydesk_engine::{Engine, Setup as EngineSetup};
use polydesk_journal::{Kind, Row, Seq, read_records};
use polydesk_local_exchange::{Setup, TapeSetup};
use polydesk_polymarket_api::ServerClock;
use polydesk_replay::{EventLog, Options, replay};
use polydesk_settings::Settings;
use polydesk_sim::Sim;
use polydesk_tape::{EventSource, TapeReader, Times, decode_event};
use serde_json::Value;

use crate::world::{World, pass, simulated};

/// Delays that both have, no chance, and limits that do not bind: which market is listed first decides nothing then.
const FLAGS: [(&str, &str); 20] = [
    ("journal.recording", "true"),
    ("exchange.starting_cash", "100000"),
    ("exchange.latency.feed", "0ms"),
    ("exchange.latency.insert", "20ms"),
    ("exchange.latency.cancel", "20ms"),
    ("exchange.latency.answer", "10ms"),
    ("exchange.settlement.fail_ppm", "0"),
    ("exchange.settlement.winner_fail_ppm", "0"),
    ("exchange.faults.lose_order_ppm", "0"),
    ("risk.max_market_usd", "100000"),
    ("risk.max_event_usd", "100000"),
    ("risk.max_category_usd", "100000"),
    ("risk.max_strategy_usd", "100000"),
    ("risk.max_account_usd", "100000"),
    ("risk.cancel_burst", "1000"),
    ("risk.orders_per_second", "1000"),
    ("risk.order_burst", "1000"),
    ("risk.max_open_orders", "1000"),
    ("stink_bidder.max_total_usd", "100000"),
    // A ladder's age counts from its start, which differs.
    ("stink_bidder.ttl_secs", "86400"),
];

/// All markets have their first orders before it.
const STARTED: Span = Span::secs(10);

fn tape() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tapes/synthetic-arbitrage")
}

/// An order that was placed, or a fill of one; without names that a run gives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Line {
    /// Since the tape's first row.
    at_ms: i64,
    token: String,
    what: String,
}

/// Collects what is written.
#[derive(Clone, Default)]
struct Text(Arc<Mutex<Vec<u8>>>);

impl Write for Text {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Text {
    /// The orders and fills in an event log.
    fn lines(&self, from: Time) -> Vec<Line> {
        let bytes = self.0.lock().unwrap();
        let text = std::str::from_utf8(&bytes).unwrap();
        text.lines().filter_map(|text| logged(&serde_json::from_str(text).unwrap(), from)).collect()
    }
}

fn logged(value: &Value, from: Time) -> Option<Line> {
    let at = Time::from_nanos(value["at"].as_i64().unwrap());
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let what = match value["kind"].as_str().unwrap() {
        "place" => {
            let size = text("spend") + &text("shares");
            let tif = text("tif").to_lowercase();
            let (strategy, side, price) = (text("strategy"), text("side"), text("price"));
            format!("place {strategy} {side} {price} {size} {tif}")
        }
        "trade" => {
            let (side, role, status) = (text("side"), text("role"), text("status"));
            format!("trade {side} {role} {status} {}", value["fill"])
        }
        _ => return None,
    };
    Some(Line { at_ms: from.until(at).as_millis(), token: text("token"), what })
}

fn placed(recorded: Recorded, from: Time) -> Option<Line> {
    let Record::Placed(order) = recorded.record else { return None };
    let side = if order.side == Side::Buy { "buy" } else { "sell" };
    let size = match order.size {
        Size::Spend(usdc) => usdc.to_string(),
        Size::Shares(shares) => shares.to_string(),
    };
    let tif = format!("{:?}", order.tif).to_lowercase();
    let what = format!("place {} {side} {} {size} {tif}", order.strategy, order.price);
    let at_ms = from.until(recorded.at).as_millis();
    Some(Line { at_ms, token: order.token.to_string(), what })
}

fn backtest(settings: &Settings, from: Time) -> Vec<Line> {
    let mut reader = TapeReader::open(&tape()).unwrap();
    let limits = EngineSetup::simulated(settings.limits.clone());
    let mut engine = Engine::new(limits, settings.build()).unwrap();
    let mut sim = Sim::new(settings.exchange, settings.run.seed).unwrap();
    let (text, options) = (Text::default(), Options::of(Times::VenueOnly));
    let mut log = EventLog::to(Box::new(text.clone()));
    replay(&mut reader, &mut engine, &mut sim, &options, &mut log, &mut |_, _| ()).unwrap();
    log.finish().unwrap();
    text.lines(from)
}

/// What the journal of a run holds, and how often a book was found wrong in it.
fn journaled(world: &World, from: Time) -> (Vec<Line>, usize) {
    let disk = world.disk.as_ref().unwrap().disk.as_ref();
    let text = Text::default();
    let mut log = EventLog::to(Box::new(text.clone()));
    let (mut universe, mut lines, mut interrupted) = (Universe::default(), Vec::new(), 0);
    read_records(disk, Seq(1), |record| {
        match record.frame.kind {
            Kind::Input => {
                let stamped = decode_event(record.frame.payload, &universe).unwrap();
                match &stamped.event {
                    Event::Market(MarketEvent::Listed { key, market }) => {
                        universe.list(*key, market.clone()).unwrap();
                    }
                    Event::Market(MarketEvent::Interrupted(_)) => interrupted += 1,
                    _ => {}
                }
                log.event(&universe, &stamped).unwrap();
            }
            Kind::Record => {
                let (_, row) = Row::decode(record.frame.payload).unwrap();
                if let Ok(recorded) = serde_json::from_slice::<Recorded>(row.body) {
                    if let Record::Denied { reason, .. } = &recorded.record {
                        assert_ne!(reason.code.as_str(), "market_link_down", "{recorded:?}");
                    }
                    lines.extend(placed(recorded, from));
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    log.finish().unwrap();
    lines.extend(text.lines(from));
    (lines, interrupted)
}

/// Tokens of markets whose book is crossed at some time of the tape.
fn crossed() -> BTreeSet<String> {
    let mut reader = TapeReader::open(&tape()).unwrap();
    let (mut universe, mut crossed) = (Universe::default(), BTreeSet::new());
    while let Some(row) = reader.next_event().unwrap() {
        match &row.event {
            Event::Market(MarketEvent::Listed { key, market }) => {
                universe.list(*key, market.clone()).unwrap();
            }
            Event::Market(MarketEvent::Level(level)) => {
                let top = level.top.and_then(|top| Some((top.bid()?, top.ask()?)));
                if top.is_some_and(|(bid, ask)| bid >= ask) {
                    let market = universe.market(level.token.market());
                    crossed.extend(market.tokens.iter().map(ToString::to_string));
                }
            }
            _ => {}
        }
    }
    crossed
}

/// Both, for strategies.
fn compare(strategies: &'static str) -> (Vec<Line>, Vec<Line>) {
    let from = TapeReader::open(&tape()).unwrap().tapes().next().unwrap().0.span.unwrap().first;
    let setup =
        Setup { tape: Some(TapeSetup::new(tape(), 1_000)), counterparties: false, ..Setup::test() };
    simulated(async {
        let mut world = World::with_clock(setup, ServerClock::runtime(from));
        world.flags = FLAGS.to_vec();
        world.flags.push(("run.strategies", strategies));
        let settings = world.settings();
        let process = world.start().await.unwrap();
        pass(1_809).await;
        let _ = process.stop().await;
        let (mut paper, interrupted) = journaled(&world, from);
        assert_eq!(interrupted, 0, "over pipes that lose nothing no book is found wrong");
        let mut backtest = backtest(&settings, from);
        let crossed = crossed();
        for lines in [&mut paper, &mut backtest] {
            lines.retain(|line| !crossed.contains(&line.token) && line.at_ms < 1_808_000);
            for line in lines.iter_mut().filter(|line| line.at_ms < STARTED.as_millis()) {
                line.at_ms = 0;
            }
            lines.sort();
        }
        (paper, backtest)
    })
}

#[track_caller]
fn same(paper: &[Line], backtest: &[Line]) {
    let first = paper.iter().zip(backtest).find(|(paper, backtest)| paper != backtest);
    assert_eq!(first, None, "{} and {} lines", paper.len(), backtest.len());
    assert_eq!(paper.len(), backtest.len());
}

#[test]
fn paper_on_a_tape_places_the_bidders_orders_of_its_backtest_and_gets_its_fills() {
    let (paper, backtest) = compare("[\"stink_bidder\"]");
    same(&paper, &backtest);
    let fills = paper.iter().filter(|line| line.what.starts_with("trade")).count();
    assert!(paper.len() > 200 && fills > 20, "{} lines, {fills} of fills", paper.len());
}

#[test]
fn paper_on_a_tape_takes_the_groups_that_its_backtest_takes() {
    let (paper, backtest) = compare("[\"arb_scanner\"]");
    same(&paper, &backtest);
    assert!(paper.iter().any(|line| line.what.starts_with("place arb_scanner")), "{paper:#?}");
}
