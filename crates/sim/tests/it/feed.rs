//! The latency of a feed from outside.

use polydesk_domain::{Span, Time};
use polydesk_sim::{Delay, FeedLatency};

fn sent(millis: i64) -> Time {
    Time::from_secs(1_780_000_000) + Span::millis(millis)
}

#[test]
fn a_feed_that_is_minutes_late_depends_on_no_other_rows_either() {
    for (delay, correlation) in [
        (Delay::sampled_millis(20_000, 60_000), Span::millis(80)),
        (Delay::sampled_millis(60_000, 60_000), Span::ZERO),
        (Delay::sampled_millis(1, 60_000), Span::millis(4)),
    ] {
        let feed = || FeedLatency::new(7, 1, delay, correlation);
        let (mut all, mut last) = (feed(), Time::MIN);
        for second in 0..600 {
            let arrival = all.arrival(sent(second * 1_000));
            assert!(arrival >= last, "a row overtakes another");
            last = arrival;
            if second % 50 == 49 {
                assert_eq!(feed().arrival(sent(second * 1_000)), arrival, "{delay:?} {second}");
            }
        }
    }
}

#[test]
fn a_delay_without_spread_is_at_most_its_median() {
    let mut feed = FeedLatency::new(7, 1, Delay::sampled_millis(40, 40), Span::millis(80));
    for i in 0..5_000 {
        let at = sent(i * 7);
        let late = at.until(feed.arrival(at));
        assert!((Span::millis(20)..=Span::millis(40)).contains(&late), "{late}");
    }
}
