//! How fast the client is, beside plainer ways in the same run: `cargo bench -p polydesk-polymarket-api`.
//!
//! (a) socket frames into updated books, (b) orders signed and made into requests, (c) the way from a tick
//! to an order on loopback, beside sockets that do nothing else. `frames`, `orders`, `tick`, or of the last
//! `bare` or `ours`, as an argument measures that part only.

#[path = "speed/bare.rs"]
mod bare;
#[path = "speed/count.rs"]
mod count;
#[path = "speed/loopback.rs"]
mod loopback;
#[path = "speed/mix.rs"]
mod mix;
#[path = "speed/ours.rs"]
mod ours;
#[path = "speed/plain.rs"]
mod plain;
#[path = "speed/rounds.rs"]
mod rounds;

use std::sync::Arc;

use mix::Mix;
use ours::{Frames, Orders, ParseOnly, Part, Parts};
use rounds::{Subject, measure, print};

const FRAMES: usize = 2_000;
const ORDERS: usize = 100;
const TICKS: usize = 3_000;

fn main() {
    let only: Vec<String> =
        std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |part: &str| only.is_empty() || only.iter().any(|word| word == part);
    let mix = Arc::new(Mix::new(1, FRAMES));
    if wanted("frames") {
        frames(&mix);
    }
    if wanted("orders") {
        let mut subjects: Vec<Box<dyn Subject>> = vec![
            Box::new(Orders::new(&mix, ORDERS)),
            Box::new(Parts::new(&mix, ORDERS, Part::Signature)),
            Box::new(Parts::new(&mix, ORDERS, Part::Body)),
            Box::new(Parts::new(&mix, ORDERS, Part::Headers)),
        ];
        print("Orders", "order", &measure(&mut subjects, ORDERS, 1.0));
    }
    let (bare, ours) = (wanted("tick") || wanted("bare"), wanted("tick") || wanted("ours"));
    if bare || ours {
        loopback::heading();
        for _ in 0..2 {
            if bare {
                bare::lines(&mix, TICKS);
            }
            if ours {
                ours::lines(&mix, TICKS);
            }
        }
    }
}

fn frames(mix: &Arc<Mix>) {
    let mut subjects: Vec<Box<dyn Subject>> = vec![
        Box::new(Frames::new(mix, true)),
        Box::new(ParseOnly(Frames::new(mix, true))),
        Box::new(Frames::new(mix, false)),
        Box::new(plain::Plain::new(mix)),
    ];
    let figures = measure(&mut subjects, FRAMES, 1.5);
    let title = format!("Frames, {} bytes on average, {} tokens", mix.mean_bytes(), mix.ids.len());
    print(&title, "frame", &figures);
    let mut scanned = Frames::new(mix, true);
    scanned.prepare();
    scanned.pass();
    let counts = scanned.counts();
    assert_eq!((counts.slow, counts.malformed, counts.foreign), (0, 0, 0), "{counts:?}");
    assert_eq!(figures[0].check, figures[2].check, "the two parsers disagree");
    assert_eq!(figures[0].check, figures[3].check, "the sorted maps disagree");
    assert_eq!(subjects[0].finals(), subjects[2].finals(), "the books differ at the end");
}
