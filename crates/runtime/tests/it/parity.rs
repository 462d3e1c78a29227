//! Paper trading on a tape, and the backtest of that tape.

use std::path::PathBuf;

use std::ops::ControlFlow;

use polydesk_domain::{Event, MarketEvent, Universe, Record, Recorded, Size, Time};
use polydesk_journal::{FileDisk, Kind, Row, Seq, read_records};
use polydesk_tape::decode_event;
use serde_json::Value;
use polydesk_engine::{Engine, Setup as EngineSetup};
use polydesk_local_exchange::{Setup, TapeSetup};
use polydesk_polymarket_api::ServerClock;
use polydesk_replay::{EventLog, Options, replay};
use polydesk_settings::Settings;
use polydesk_sim::Sim;
use polydesk_tape::{TapeReader, Times};

use crate::world::{World, pass, simulated};

fn tape() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tapes/synthetic-arbitrage")
}

#[derive(Clone, Default)]
struct Text(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
impl std::io::Write for Text {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

const FLAGS: [(&str, &str); 19] = [
    ("exchange.starting_cash", "100000"),
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

    ("journal.recording", "true"),
    ("exchange.latency.feed", "0ms"),
    ("exchange.latency.insert", "20ms"),
    ("exchange.latency.cancel", "20ms"),
    ("exchange.latency.answer", "10ms"),
    ("exchange.settlement.fail_ppm", "0"),
    ("exchange.settlement.winner_fail_ppm", "0"),
    ("exchange.faults.lose_order_ppm", "0"),
];

/// What a line of the event log says of an order or a fill, without names that a run gives.
fn line(text: &str, from: Time) -> Option<(f64, String)> {
    let value: Value = serde_json::from_str(text).unwrap();
    let at = Time::from_nanos(value["at"].as_i64().unwrap());
    let at = from.until(at).as_nanos() as f64 / 1e9;
    let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let what = match value["kind"].as_str().unwrap() {
        "place" => format!(
            "place {} {} {} {} {}{} {}",
            text("strategy"), text("token"), text("side"), text("price"), text("spend"), text("shares"), text("tif"),
        ),
        "trade" => format!("trade {} {} {} {} {}", text("token"), text("side"), text("role"), text("status"), value["fill"]),
        _ => return None,
    };
    Some((at, what))
}

fn backtest(settings: &Settings) -> (Vec<(f64, String)>, Time) {
    let mut reader = TapeReader::open(&tape()).unwrap();
    let from = reader.tapes().next().unwrap().0.span.unwrap().first;
    let mut engine =
        Engine::new(EngineSetup::simulated(settings.limits.clone()), settings.build()).unwrap();
    let mut sim = Sim::new(settings.exchange, settings.run.seed).unwrap();
    let options = Options::of(Times::VenueOnly);
    let text = Text::default();
    let mut log = EventLog::to(Box::new(text.clone()));
    replay(&mut reader, &mut engine, &mut sim, &options, &mut log, &mut |_, _| ()).unwrap();
    let text = String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
    let all = text.lines().filter_map(|text| line(text, from));
    (all.collect(), from)
}

#[test]
fn paper_on_a_tape_gives_the_orders_of_the_backtest_of_that_tape() {
    let from = TapeReader::open(&tape()).unwrap().tapes().next().unwrap().0.span.unwrap().first;
    let setup = Setup {
        tape: Some(TapeSetup::new(tape(), 1_000)),
        counterparties: false,
        ..Setup::test()
    };
    simulated(async {
        let mut world = World::with_clock(setup, ServerClock::runtime(from));
        world.flags = FLAGS.to_vec();
        let settings = world.settings();
        let process = world.start().await.unwrap();
        for check in &process.running.checks { println!("{check:?}"); }
        let g = process.until("gate", |g| g.open()).await; println!("{:?} {:?}", from.until(g.at), g.feed);
        for t in [1, 3, 2] { pass(t).await; let g = process.glance().unwrap(); println!("{:?}", from.until(g.at)); for d in g.decisions.iter().rev().take(6).rev() { println!("  {:?} {} {}", from.until(d.at), d.kind, d.text); } }
        pass(1_804).await;
        let finished = process.stop().await;
        let disk = FileDisk::open(&world.folder.path().join("journal")).unwrap();
        let text = Text::default();
        let mut log = EventLog::to(Box::new(text.clone()));
        let mut paper = Vec::new();
        let mut universe = Universe::default();
        read_records(&disk, Seq(1), |record| {
            match record.frame.kind {
                Kind::Input => {
                    let stamped = decode_event(record.frame.payload, &universe).unwrap();
                    if let Event::Market(MarketEvent::Listed { key, market }) = &stamped.event { universe.list(*key, market.clone()).unwrap(); }
                    log.event(&universe, &stamped).unwrap();
                }
                Kind::Record => {
                    let (_, row) = Row::decode(record.frame.payload).unwrap();
                    if let Ok(Recorded { at, record: Record::Placed(order), .. }) = serde_json::from_slice(row.body) {
                        let side = format!("{:?}", order.side).to_lowercase();
                        let size = match order.size { Size::Spend(usdc) => usdc.to_string(), Size::Shares(shares) => shares.to_string() };
                        let what = format!("place {} {} {side} {} {size} {:?}", order.strategy, order.token, order.price, order.tif);
                        paper.push((from.until(at).as_nanos() as f64 / 1e9, what));
                    }
                }
                _ => {}
            }
            ControlFlow::Continue(())
        })
        .unwrap();
        drop(log);
        let text = String::from_utf8(text.0.lock().unwrap().clone()).unwrap();
        paper.extend(text.lines().filter_map(|text| line(text, from)));
        paper.sort_by(|one, two| one.partial_cmp(two).unwrap());
        let show = |all: &[(f64, String)]| all.iter().map(|(at, what)| format!("{at:10.3} {what}")).collect::<Vec<_>>().join("\n");
        let (mut backtest, _) = backtest(&settings);
        backtest.sort_by(|one, two| one.partial_cmp(two).unwrap());
        std::fs::write("/tmp/par_paper.txt", show(&paper)).unwrap();
        std::fs::write("/tmp/par_back.txt", show(&backtest)).unwrap();
        println!("{} {}", paper.len(), backtest.len());
    });
}
