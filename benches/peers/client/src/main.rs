//! Frames, orders and the way from a tick to an order: `polymarket_client_sdk_v2`, `polyfill-rs` and
//! polydesk in one run, on the same frames and the same loopback venue.
//!
//! `cargo run --release -p client-peers [-- frames|orders|tick]`

#[path = "../../../../crates/polymarket-api/benches/speed/bare.rs"]
mod bare;
#[path = "../../../../crates/polymarket-api/benches/speed/count.rs"]
mod count;
#[path = "../../../../crates/polymarket-api/benches/speed/loopback.rs"]
mod loopback;
#[path = "../../../../crates/polymarket-api/benches/speed/mix.rs"]
mod mix;
mod official;
#[path = "../../../../crates/polymarket-api/benches/speed/ours.rs"]
#[expect(dead_code, reason = "parts of our own work are measured by our own benchmark")]
mod ours;
mod polyfill;
#[expect(dead_code, reason = "a check that only our own benchmark makes")]
#[path = "../../../../crates/polymarket-api/benches/speed/rounds.rs"]
mod rounds;

use std::sync::Arc;

use mix::Mix;
use rounds::{Subject, measure, print};

const FRAMES: usize = 2_000;
const ORDERS: usize = 50;
const TICKS: usize = 2_000;

fn main() {
    let only: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |part: &str| only.is_empty() || only.iter().any(|word| word == part);
    let mix = Arc::new(Mix::new(1, FRAMES));
    if wanted("frames") {
        frames(&mix);
    }
    if wanted("orders") {
        let mut subjects: Vec<Box<dyn Subject>> = vec![
            Box::new(ours::Orders::new(&mix, ORDERS)),
            Box::new(polyfill::Orders::new(&mix, ORDERS)),
            Box::new(official::Orders::new(&mix, ORDERS)),
        ];
        print("Orders", "order", &measure(&mut subjects, ORDERS, 2.0));
        println!(
            "The official SDK makes its L2 headers in private: n/a, they are missing from its line."
        );
    }
    if wanted("tick") {
        loopback::heading();
        for _ in 0..2 {
            bare::lines(&mix, TICKS);
            ours::lines(&mix, TICKS);
            loopback::tick_to_order("polyfill-rs, no journal", &mix, TICKS, polyfill::bot);
            loopback::tick_to_order("official SDK, no journal", &mix, TICKS, official::bot);
        }
    }
}

fn frames(mix: &Arc<Mix>) {
    let mut subjects: Vec<Box<dyn Subject>> = vec![
        Box::new(ours::Frames::new(mix, true)),
        Box::new(polyfill::Frames::new(mix)),
        Box::new(official::Frames::new(mix, false)),
        Box::new(official::Frames::new(mix, true)),
    ];
    let figures = measure(&mut subjects, FRAMES, 2.0);
    let title = format!("Frames, {} bytes on average, {} tokens", mix.mean_bytes(), mix.ids.len());
    print(&title, "frame", &figures);
    // Everybody must end with the same best prices, or they did not do the same work.
    let ours = subjects[0].finals();
    for subject in &subjects[1..] {
        let theirs = subject.finals();
        let differ = ours.iter().zip(&theirs).filter(|(ours, theirs)| ours != theirs).count();
        assert_eq!(differ, 0, "{} ends with other best prices", subject.name());
    }
}
