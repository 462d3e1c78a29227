//! Token streams without sockets.

use std::sync::atomic::{AtomicI64, Ordering};

use polydesk_domain::{HashInput, MarketKey, RawLevel, book_hash};

use super::*;

/// Two tokens of one market and a clock that is moved by hand, in milliseconds.
struct Bench {
    streams: TokenStreams,
    stats: Arc<FeedStats>,
    millis: Arc<AtomicI64>,
    ids: [TokenId; 2],
}

const START: i64 = 1_764_000_000_000;

impl Bench {
    fn new(config: FeedConfig) -> Bench {
        let millis = Arc::new(AtomicI64::new(START));
        let reads = millis.clone();
        let clock = ServerClock::over(move || Time::from_millis(reads.load(Ordering::Relaxed)));
        let stats = Arc::new(FeedStats::default());
        let mut streams = TokenStreams::new(&config, clock, stats.clone());
        let ids = [TokenId::from(11u64), TokenId::from(12u64)];
        let market = MarketKey(3);
        streams
            .add(vec![(ids[0], market.token(Outcome::Yes)), (ids[1], market.token(Outcome::No))]);
        Bench { streams, stats, millis, ids }
    }
    fn pass(&mut self, millis: i64) {
        self.millis.fetch_add(millis, Ordering::Relaxed);
        self.streams.watch();
    }
    fn at(&self) -> i64 {
        self.millis.load(Ordering::Relaxed)
    }
    /// A book of one level a side for both tokens.
    fn seed(&mut self) {
        let at = self.at();
        for id in ["11", "12"] {
            let frame = format!(
                r#"{{"event_type":"book","market":"0x01","asset_id":"{id}","timestamp":"{at}","hash":"","bids":[{{"price":"0.4","size":"10"}}],"asks":[{{"price":"0.6","size":"10"}}]}}"#
            );
            self.streams.message(frame.as_bytes());
        }
    }
    /// A bid of the first token, and the best prices carried with it.
    fn bid(&mut self, price: &str, best_bid: &str) {
        let at = self.at();
        let frame = format!(
            r#"{{"event_type":"price_change","market":"0x01","timestamp":"{at}","price_changes":[{{"asset_id":"11","price":"{price}","size":"5","side":"BUY","hash":"","best_bid":"{best_bid}","best_ask":"0.6"}}]}}"#
        );
        self.streams.message(frame.as_bytes());
    }
    fn interruptions(&mut self) -> usize {
        let emitted = self.streams.drain();
        emitted
            .filter(|item| {
                matches!(item, FeedItem::Market { event: MarketEvent::Interrupted(_), .. })
            })
            .count()
    }
    fn asked(&mut self) -> Vec<TokenId> {
        self.streams.ask().map(|(_, ids)| ids).unwrap_or_default()
    }
    fn wrong(&self) -> u64 {
        self.stats.best_wrong.load(Ordering::Relaxed)
    }
}

impl Bench {
    fn send(&mut self, frame: &str) {
        self.streams.message(frame.as_bytes());
    }
    /// A bid of 0.45 of the first token at a time of the venue's, with the hash it gives.
    fn bid_at(&mut self, at: i64, size: &str, hash: &str) {
        self.send(&format!(
                r#"{{"event_type":"price_change","market":"0x01","timestamp":"{at}","price_changes":[{{"asset_id":"11","price":"0.45","size":"{size}","side":"BUY","hash":"{hash}"}}]}}"#
            ));
    }
    fn book_at(&mut self, id: &str, at: i64) {
        self.send(&format!(
                r#"{{"event_type":"book","market":"0x01","asset_id":"{id}","timestamp":"{at}","hash":"","bids":[{{"price":"0.4","size":"10"}}],"asks":[{{"price":"0.6","size":"10"}}]}}"#
            ));
    }
    fn tick_at(&mut self, at: i64) {
        self.send(&format!(
                r#"{{"event_type":"tick_size_change","market":"0x01","asset_id":"11","old_tick_size":"0.01","new_tick_size":"0.001","timestamp":"{at}"}}"#
            ));
    }
    /// A book of the first token over REST is asked for and comes; how many are to be subscribed again.
    fn rest(&mut self, at: i64, tick: &str, price: &str) -> usize {
        let text = format!(
            r#"{{"market":"0x01","asset_id":"11","timestamp":"{at}","hash":"h","bids":[{{"price":"{price}","size":"10"}}],"asks":[{{"price":"0.6","size":"10"}}],"min_order_size":"5","tick_size":"{tick}","neg_risk":false,"last_trade_price":"0.5"}}"#
        );
        let token = MarketKey(3).token(Outcome::Yes);
        self.streams.compare(vec![token], Ok(vec![serde_json::from_str(&text).unwrap()])).len()
    }
    fn events(&mut self) -> Vec<FeedItem> {
        self.streams.drain().collect()
    }
    fn has_books(&self) -> [bool; 2] {
        Outcome::BOTH
            .map(|outcome| self.streams.states[&MarketKey(3).token(outcome)].snapshot_at.is_some())
    }
}

fn count(items: &[FeedItem], wanted: impl Fn(&MarketEvent) -> bool) -> usize {
    let wanted = |item: &&FeedItem| matches!(item, FeedItem::Market { event, .. } if wanted(event));
    items.iter().filter(wanted).count()
}

#[test]
fn a_change_older_than_the_book_invalidates_the_book() {
    let mut bench = Bench::new(FeedConfig::default());
    bench.seed();
    bench.events();
    bench.bid_at(START + 110, "0", "newer");
    bench.bid_at(START + 100, "5", "older");
    let emitted = bench.events();
    assert_eq!(
        count(&emitted, |e| matches!(e, MarketEvent::Level(_))),
        1,
        "the older one is not emitted"
    );
    assert_eq!(count(&emitted, |e| matches!(e, MarketEvent::Interrupted(_))), 1);
    assert_eq!(bench.stats.reordered.load(Ordering::Relaxed), 1);
    assert_eq!(bench.asked(), bench.ids);
    // Equal times are one batch, and prints may run ahead.
    bench.pass(150);
    bench.seed();
    bench.events();
    bench.send(&format!(
            r#"{{"event_type":"last_trade_price","market":"0x01","asset_id":"11","price":"0.5","size":"5","side":"BUY","timestamp":"{}"}}"#,
            START + 900
        ));
    bench.bid_at(START + 200, "5", "");
    bench.bid_at(START + 200, "6", "");
    assert_eq!(count(&bench.events(), |e| matches!(e, MarketEvent::Level(_))), 2);
    assert_eq!(bench.has_books(), [true; 2]);
}

#[test]
fn prints_are_told_apart_by_their_transaction_and_a_redelivery_is_not_repeated() {
    let hash = |digit: char| format!(r#","transaction_hash":"0x{}""#, digit.to_string().repeat(64));
    let (a, b, none) = (hash('a'), hash('b'), String::new());
    let cases: [(&str, Vec<&str>, usize); 6] = [
        ("two trades of one millisecond", vec![&a, &b], 2),
        ("one trade twice", vec![&a, &a], 1),
        ("two trades, and both again", vec![&a, &b, &a, &b], 2),
        ("without transactions they cannot be told apart", vec![&none, &none], 1),
        ("one with and one without", vec![&a, &none], 2),
        ("an empty text is no transaction", vec![r#","transaction_hash":"""#, &none], 1),
    ];
    for (name, prints, want) in cases {
        let mut bench = Bench::new(FeedConfig::default());
        bench.seed();
        bench.events();
        for hash in &prints {
            bench.send(&format!(
                r#"{{"event_type":"last_trade_price","market":"0x01","asset_id":"11","price":"0.5","size":"5","side":"BUY","timestamp":"{START}"{hash}}}"#
            ));
        }
        assert_eq!(count(&bench.events(), |e| matches!(e, MarketEvent::Print(_))), want, "{name}");
        let duplicates = bench.stats.duplicates.load(Ordering::Relaxed);
        assert_eq!(duplicates as usize, prints.len() - want, "{name}");
    }
}

#[test]
fn remembered_prints_are_few_and_leave_with_time() {
    let mut prints = RecentPrints::default();
    let at = |millis| Time::from_millis(START + millis);
    let mut is_new = |millis, hash: &str| {
        prints.is_new(at(millis), Price::cents(50), Shares::whole(5), Side::Buy, hash)
    };
    for number in 0..100 {
        assert!(is_new(number, "0xa"), "{number}");
        assert!(!is_new(number, "0xa"), "{number} again");
    }
    assert!(is_new(0, "0xa"), "the oldest are forgotten");
    assert!(is_new(60_000, "0xa"));
    assert_eq!(prints.0.len(), 1);
}

#[test]
fn a_message_from_the_future_invalidates_the_books_of_its_tokens() {
    let mut bench = Bench::new(FeedConfig::default());
    bench.seed();
    bench.events();
    bench.bid_at(START + 2 * 3_600_000, "5", "");
    assert_eq!(bench.interruptions(), 1);
    assert_eq!(bench.asked(), bench.ids);
}

#[test]
fn a_book_older_than_the_tick_size_change_is_dropped() {
    let mut bench = Bench::new(FeedConfig::default());
    bench.seed();
    bench.tick_at(START + 200);
    bench.book_at("11", START + 150);
    bench.book_at("12", START + 150);
    assert_eq!(bench.has_books(), [false; 2]);
    bench.rest(START + 199, "0.01", "0.4");
    assert_eq!(bench.has_books(), [false; 2], "nor over REST");
    bench.book_at("11", START + 200);
    assert_eq!(bench.has_books(), [true, false]);
}

#[test]
fn a_rest_book_with_the_new_tick_size_is_installed_whatever_its_time() {
    let mut bench = Bench::new(FeedConfig::default());
    bench.seed();
    bench.tick_at(START + 200);
    bench.rest(START + 150, "0.001", "0.4");
    assert_eq!(bench.has_books(), [true, false]);
}

#[test]
fn tick_size_learned_from_rest_does_not_suppress_the_later_tick_size_change() {
    let mut bench = Bench::new(FeedConfig::default());
    bench.seed();
    bench.rest(START, "0.001", "0.4");
    bench.events();
    bench.tick_at(START - 10);
    let emitted = bench.events();
    assert_eq!(
        count(&emitted, |e| matches!(e, MarketEvent::Tick { tick: Tick::Thousandth, .. })),
        1
    );
    assert_eq!(bench.has_books(), [false; 2]);
}

#[test]
fn a_tick_size_change_learned_from_rest_is_emitted() {
    let mut bench = Bench::new(FeedConfig::default());
    bench.seed();
    bench.rest(START, "0.01", "0.4");
    bench.events();
    bench.rest(START + 10, "0.001", "0.4");
    let emitted = bench.events();
    assert_eq!(
        count(&emitted, |e| matches!(e, MarketEvent::Tick { tick: Tick::Thousandth, .. })),
        1
    );
    assert_eq!(count(&emitted, |e| matches!(e, MarketEvent::Snapshot(_))), 1);
    assert_eq!(bench.has_books(), [true, false], "the other outcome's book has the old tick size");
}

#[test]
fn failed_resyncs_are_paced_and_end_the_connection() {
    for (price, again) in [("0.4", 1), ("7", 0)] {
        let mut bench = Bench::new(FeedConfig::default());
        let early = if again == 1 { START + 500 } else { START - 500 };
        bench.bid_at(early, "5", "");
        for round in 1..=FAILED_RESYNCS {
            bench.pass(5_100);
            assert_eq!(bench.asked(), bench.ids, "{price} {round}");
            assert_eq!(bench.streams.unusable(), None);
            assert_eq!(bench.rest(START, "0.01", price), again);
            let no = vec![MarketKey(3).token(Outcome::No)];
            bench.streams.compare(no, Ok(Vec::new()));
            bench.pass(1_000);
            assert_eq!(bench.asked(), [], "{price} {round}: a second later");
            bench.pass(-1_000);
        }
        assert_eq!(bench.streams.unusable(), Some(bench.ids[0]), "{price}");
    }
}

#[test]
fn disabled_verification_is_reported_once_and_enabled_by_the_next_connection() {
    let mut bench = Bench::new(FeedConfig::default());
    for connection in 0..2 {
        bench.streams.begin();
        let mut emitted = Vec::new();
        for _ in 0..5 {
            bench.seed();
            bench.bid("0.45", "0.49");
            bench.pass(1_100);
            emitted.extend(bench.events());
        }
        let unverified = FeedItem::Unverified {
            token: MarketKey(3).token(Outcome::Yes),
            at: Time::from_millis(START + (connection * 5 + 3) * 1_100),
        };
        let found = emitted.iter().filter(|item| matches!(item, FeedItem::Unverified { .. }));
        assert_eq!(found.collect::<Vec<_>>(), [&unverified]);
        assert_eq!(count(&emitted, |e| matches!(e, MarketEvent::Interrupted(_))), 3);
        bench.streams.end();
        bench.events();
    }
}

#[test]
fn a_resolution_without_a_known_winner_ends_the_market() {
    for hash_check_ms in [0, 5_000] {
        let mut bench = Bench::new(FeedConfig { hash_check_ms, ..FeedConfig::default() });
        bench.seed();
        bench.events();
        for (market, emitted) in [("0x02", 0), ("0x01", 1)] {
            bench.send(&format!(
                    r#"{{"event_type":"market_resolved","id":"1","market":"{market}","assets_ids":["11","12"],"winning_asset_id":"","winning_outcome":"","timestamp":"{START}"}}"#
                ));
            let over = |e: &MarketEvent| {
                *e == MarketEvent::State { market: MarketKey(3), state: MarketState::Closed }
            };
            assert_eq!(count(&bench.events(), over), emitted, "{market}");
        }
    }
}

#[test]
fn best_prices_that_differ_for_a_second_invalidate_the_book() {
    let mut bench = Bench::new(FeedConfig::default());
    bench.seed();
    bench.bid("0.45", "0.45");
    bench.pass(5_000);
    assert_eq!((bench.wrong(), bench.interruptions()), (0, 0), "they agree");
    bench.asked();
    // A level is missing here: 0.47 was lost.
    bench.bid("0.45", "0.47");
    bench.pass(900);
    assert_eq!((bench.wrong(), bench.interruptions()), (0, 0), "a batch may still be under way");
    bench.bid("0.47", "0.47");
    bench.pass(5_000);
    assert_eq!((bench.wrong(), bench.interruptions()), (0, 0), "it came");
    bench.bid("0.46", "0.48");
    bench.pass(1_100);
    assert_eq!(
        (bench.wrong(), bench.interruptions()),
        (1, 1),
        "one interruption for both outcomes"
    );
    assert_eq!(bench.asked(), bench.ids, "and both books are requested again");
}

#[test]
fn best_price_mismatches_invalidate_the_book_at_most_three_times() {
    let mut bench = Bench::new(FeedConfig::default());
    for round in 1..=6 {
        bench.seed();
        bench.bid("0.45", "0.49");
        bench.pass(1_100);
        assert_eq!(bench.interruptions(), usize::from(round <= 3), "round {round}");
    }
    assert_eq!(bench.wrong(), 3, "then it rests");
    // Once they agree, the check is reset.
    bench.seed();
    bench.bid("0.45", "0.45");
    bench.seed();
    bench.bid("0.45", "0.49");
    bench.pass(1_100);
    assert_eq!((bench.wrong(), bench.interruptions()), (4, 1));
}

#[test]
fn a_book_older_than_a_dropped_change_is_not_installed() {
    let mut bench = Bench::new(FeedConfig::default());
    let book = bench.at();
    bench.pass(10);
    bench.bid("0.45", "0.45");
    let old = format!(
        r#"{{"event_type":"book","market":"0x01","asset_id":"11","timestamp":"{book}","hash":"","bids":[{{"price":"0.4","size":"10"}}],"asks":[]}}"#
    );
    bench.streams.message(old.as_bytes());
    assert_eq!(bench.streams.drain().count(), 0, "it lacks the bid of 0.45");
    bench.seed();
    assert_eq!(bench.streams.drain().count(), 2, "this one was made after it");
}

#[test]
fn an_older_message_does_not_set_the_best_prices() {
    let mut bench = Bench::new(FeedConfig::default());
    bench.seed();
    bench.pass(10);
    bench.bid("0.45", "0.45");
    let late = format!(
        r#"{{"event_type":"best_bid_ask","market":"0x01","asset_id":"11","best_bid":"0.4","best_ask":"0.6","spread":"0.2","timestamp":"{START}"}}"#
    );
    bench.streams.message(late.as_bytes());
    bench.pass(5_000);
    assert_eq!(bench.wrong(), 0);
}

#[test]
fn a_resync_of_one_token_invalidates_its_market_only_and_requests_once() {
    let mut bench = Bench::new(FeedConfig::default());
    let other = MarketKey(4).token(Outcome::Yes);
    let id = TokenId::from(13u64);
    bench.streams.add(vec![(id, other)]);
    bench.seed();
    bench.interruptions();
    bench.asked();
    bench.streams.resync(Some(&[bench.ids[1], TokenId::from(99u64)]));
    assert_eq!(bench.interruptions(), 1);
    assert_eq!(bench.asked(), bench.ids);
    assert_eq!(bench.streams.ask(), None);
    bench.streams.resync(None);
    assert_eq!(bench.asked().len(), 3);
}

#[test]
fn a_silent_token_is_compared_over_rest_and_a_failed_request_is_repeated() {
    let mut bench = Bench::new(FeedConfig::default());
    bench.seed();
    bench.asked();
    bench.pass(80_000);
    assert_eq!(bench.asked(), []);
    bench.pass(11_000);
    let (tokens, ids) = bench.streams.ask().unwrap();
    assert_eq!(ids, bench.ids);
    bench.pass(100_000);
    assert_eq!(bench.asked(), [], "while a request is in flight, none is repeated");
    assert_eq!(bench.streams.compare(tokens, Err(ApiError::Unreachable("gone".into()))), []);
    bench.pass(91_000);
    assert_eq!(bench.asked(), bench.ids);
}

#[test]
fn more_books_than_fit_one_request_are_asked_for_in_turn() {
    let mut bench = Bench::new(FeedConfig::default());
    let more =
        (100..700u32).map(|n| (TokenId::from(u64::from(n)), MarketKey(n).token(Outcome::Yes)));
    bench.streams.add(more.collect());
    bench.streams.resync(None);
    let mut asked = Vec::new();
    while let Some((_, ids)) = bench.streams.ask() {
        assert!(ids.len() <= ASKED_AT_ONCE);
        asked.extend(ids);
    }
    assert_eq!(asked.len(), 602);
}

/// The hash of the first token's book with a bid of 5 at 0.45.
fn hash_at(at: i64, last_trade_price: &str) -> String {
    let level = |price, size| RawLevel { price, size };
    book_hash(&HashInput {
        market: "0x01",
        asset_id: "11",
        timestamp: &at.to_string(),
        bids: &[level("0.4", "10"), level("0.45", "5")],
        asks: &[level("0.6", "10")],
        min_order_size: "5",
        tick_size: "0.01",
        neg_risk: false,
        last_trade_price: Some(last_trade_price),
    })
}

#[test]
fn a_hash_is_checked_against_the_last_trade_that_it_was_made_with() {
    // Times of the print and of the next change after the hash, which hash, and how many are equal, wrong, unknown.
    let print = |at: i64| {
        format!(
            r#"{{"event_type":"last_trade_price","market":"0x01","asset_id":"12","price":"0.7","size":"5","side":"BUY","timestamp":"{at}"}}"#
        )
    };
    let cases = [
        ("a print later than the hash", 20, "0.5", (1, 0, 0)),
        ("a print later than a wrong hash", 20, "0.9", (0, 1, 0)),
        ("a print in the hash's millisecond, hashed before it", 10, "0.5", (0, 0, 1)),
        ("a print in the hash's millisecond, hashed after it", 10, "0.7", (0, 0, 1)),
    ];
    for (name, print_at, last, wanted) in cases {
        let mut bench = Bench::new(FeedConfig::default());
        bench.seed();
        bench.rest(START, "0.01", "0.4");
        bench.events();
        bench.bid_at(START + 10, "5", &hash_at(START + 10, last));
        bench.send(&print(START + print_at));
        bench.bid_at(START + 30, "5", "");
        let read = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let stats = &bench.stats;
        let found =
            (read(&stats.hashes_equal), read(&stats.hashes_wrong), read(&stats.hashes_unknown));
        assert_eq!(found, wanted, "{name}");
        let interrupted = count(&bench.events(), |e| matches!(e, MarketEvent::Interrupted(_)));
        assert_eq!(interrupted as u64, wanted.1, "{name}");
    }
}
