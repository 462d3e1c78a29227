//! From a market frame to an order on loopback, through the threads of live trading, beside bare sockets with a
//! signature: `cargo bench -p polydesk-runtime --bench order`.
//!
//! A venue in threads of its own writes a book, and notes when the last byte of the order that follows has come. Both
//! bots meet the same frames; they take turns, so that a busy moment of the machine meets both. `--spin MICROS` replaces
//! how long threads look for work before they park; `--ticks COUNT` the ticks of a turn; `--durable power` waits for the
//! disk.

#[path = "order/bare.rs"]
mod bare;
#[path = "order/ours.rs"]
mod ours;
#[path = "order/venue.rs"]
mod venue;

use std::time::{Duration, Instant};

use venue::Venue;

/// Ticks before those that are counted.
const WARM: usize = 300;
const TURNS: usize = 3;

#[expect(clippy::disallowed_methods, reason = "measuring is what this program is for")]
fn now() -> Instant {
    Instant::now()
}

fn argument(name: &str) -> Option<String> {
    let mut words = std::env::args().skip_while(|word| word != name);
    words.next().and_then(|_| words.next())
}

fn main() {
    let ticks = argument("--ticks").map_or(3_000, |text| text.parse().expect("a number"));
    let spin = argument("--spin").map_or(polydesk_runtime::spin::BEFORE_PARKING, |text| {
        Duration::from_micros(text.parse().expect("microseconds"))
    });
    let power = argument("--durable").is_some_and(|text| text == "power");
    println!(
        "from before the frame is written to the whole order read, µs; {TURNS} turns of {ticks} ticks, spin {} µs, durable {}",
        spin.as_micros(),
        if power { "power" } else { "process" }
    );
    println!("{:<64} {:>8} {:>8} {:>8}", "", "least", "p50", "p99");
    let (mut bare, mut ours) = (Vec::new(), Vec::new());
    let mut hops: [Vec<f64>; 5] = Default::default();
    for _ in 0..TURNS {
        let (venue, mut ticker) = Venue::open();
        let bot = std::thread::spawn(move || bare::run(&venue, WARM + ticks));
        bare.extend(ticker.run(WARM, ticks).iter().map(|(sent, came)| micros(*sent, *came)));
        bot.join().expect("the bare bot ends");

        let (venue, mut ticker) = Venue::open();
        let (bot, marks) = ours::start(&venue, spin, power);
        let taken = ticker.run(WARM, ticks);
        bot.stop();
        let marks = marks.lock().expect("no panic");
        assert_eq!(marks.len(), taken.len() + WARM, "one order for each tick");
        for ((sent, came), way) in taken.iter().zip(&marks[WARM..]) {
            ours.push(micros(*sent, *came));
            let points = [*sent, way.decides, way.prepares, way.signed, way.leaves, *came];
            for (hop, pair) in hops.iter_mut().zip(points.windows(2)) {
                hop.push(micros(pair[0], pair[1]));
            }
        }
    }
    let floor = line("bare sockets: frame read, one signature, kept-alive POST", &mut bare);
    let whole = line("polydesk: feed, journal, engine, gate, lane of orders", &mut ours);
    let names = [
        "  frame written to the strategy's call (read, parsed, journaled)",
        "  decision, gate, changes journaled, handed to the lane",
        "  signed",
        "  entry journaled and flushed, request made, last check",
        "  first byte to the last byte read at the venue",
    ];
    for (name, hop) in names.iter().zip(&mut hops) {
        line(name, hop);
    }
    println!("p50 ours / bare: {:.2}", whole / floor);
}

fn micros(from: Instant, to: Instant) -> f64 {
    to.saturating_duration_since(from).as_nanos() as f64 / 1e3
}

/// Prints a line; the median.
fn line(name: &str, taken: &mut [f64]) -> f64 {
    taken.sort_by(f64::total_cmp);
    let at = |share: f64| taken[((taken.len() - 1) as f64 * share) as usize];
    println!("{name:<64} {:>8.1} {:>8.1} {:>8.1}", taken[0], at(0.5), at(0.99));
    at(0.5)
}
