//! Stories of books, without sockets.

use std::sync::atomic::{AtomicI64, Ordering};

use polydesk_domain::MarketKey;

use super::*;

/// Two tokens of one market and a clock that is moved by hand, in milliseconds.
struct Desk {
    books: Books,
    stats: Arc<FeedStats>,
    millis: Arc<AtomicI64>,
    ids: [TokenId; 2],
}

const START: i64 = 1_764_000_000_000;

impl Desk {
    fn new(config: FeedConfig) -> Desk {
        let millis = Arc::new(AtomicI64::new(START));
        let reads = millis.clone();
        let clock = ServerClock::over(move || Time::from_millis(reads.load(Ordering::Relaxed)));
        let stats = Arc::new(FeedStats::default());
        let mut books = Books::new(&config, clock, stats.clone());
        let ids = [TokenId::from(11u64), TokenId::from(12u64)];
        let market = MarketKey(3);
        books.add(vec![(ids[0], market.token(Outcome::Yes)), (ids[1], market.token(Outcome::No))]);
        Desk { books, stats, millis, ids }
    }
    fn pass(&mut self, millis: i64) {
        self.millis.fetch_add(millis, Ordering::Relaxed);
        self.books.watch();
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
            self.books.message(frame.as_bytes());
        }
    }
    /// A bid of the first token, and the best prices the venue tells with it.
    fn bid(&mut self, price: &str, best_bid: &str) {
        let at = self.at();
        let frame = format!(
            r#"{{"event_type":"price_change","market":"0x01","timestamp":"{at}","price_changes":[{{"asset_id":"11","price":"{price}","size":"5","side":"BUY","hash":"","best_bid":"{best_bid}","best_ask":"0.6"}}]}}"#
        );
        self.books.message(frame.as_bytes());
    }
    fn gaps(&mut self) -> usize {
        let told = self.books.told();
        told.filter(|item| {
            matches!(item, FeedItem::Market { event: MarketEvent::Interrupted(_), .. })
        })
        .count()
    }
    fn asked(&mut self) -> Vec<TokenId> {
        self.books.ask().map(|(_, ids)| ids).unwrap_or_default()
    }
    fn wrong(&self) -> u64 {
        self.stats.best_wrong.load(Ordering::Relaxed)
    }
}

impl Desk {
    fn send(&mut self, frame: &str) {
        self.books.message(frame.as_bytes());
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
    /// A book of the first token over REST is asked for and comes; how many are to be subscribed anew.
    fn rest(&mut self, at: i64, tick: &str, price: &str) -> usize {
        let text = format!(
            r#"{{"market":"0x01","asset_id":"11","timestamp":"{at}","hash":"h","bids":[{{"price":"{price}","size":"10"}}],"asks":[{{"price":"0.6","size":"10"}}],"min_order_size":"5","tick_size":"{tick}","neg_risk":false,"last_trade_price":"0.5"}}"#
        );
        let token = MarketKey(3).token(Outcome::Yes);
        self.books.compare(vec![token], Ok(vec![serde_json::from_str(&text).unwrap()])).len()
    }
    fn events(&mut self) -> Vec<FeedItem> {
        self.books.told().collect()
    }
    fn based(&self) -> [bool; 2] {
        Outcome::BOTH.map(|outcome| self.books.states[&MarketKey(3).token(outcome)].based.is_some())
    }
}

fn count(items: &[FeedItem], wanted: impl Fn(&MarketEvent) -> bool) -> usize {
    let wanted = |item: &&FeedItem| matches!(item, FeedItem::Market { event, .. } if wanted(event));
    items.iter().filter(wanted).count()
}

#[test]
fn a_change_after_a_newer_one_voids_the_book_instead_of_bringing_a_level_back() {
    let mut desk = Desk::new(FeedConfig::default());
    desk.seed();
    desk.events();
    desk.bid_at(START + 110, "0", "newer");
    desk.bid_at(START + 100, "5", "older");
    let told = desk.events();
    assert_eq!(
        count(&told, |e| matches!(e, MarketEvent::Level(_))),
        1,
        "the older one is not told"
    );
    assert_eq!(count(&told, |e| matches!(e, MarketEvent::Interrupted(_))), 1);
    assert_eq!(desk.stats.reordered.load(Ordering::Relaxed), 1);
    assert_eq!(desk.asked(), desk.ids);
    // Equal times are one batch, and prints may run ahead.
    desk.pass(150);
    desk.seed();
    desk.events();
    desk.send(&format!(
            r#"{{"event_type":"last_trade_price","market":"0x01","asset_id":"11","price":"0.5","size":"5","side":"BUY","timestamp":"{}"}}"#,
            START + 900
        ));
    desk.bid_at(START + 200, "5", "");
    desk.bid_at(START + 200, "6", "");
    assert_eq!(count(&desk.events(), |e| matches!(e, MarketEvent::Level(_))), 2);
    assert_eq!(desk.based(), [true; 2]);
}

#[test]
fn a_message_from_the_future_voids_the_books_it_was_about() {
    let mut desk = Desk::new(FeedConfig::default());
    desk.seed();
    desk.events();
    desk.bid_at(START + 2 * 3_600_000, "5", "");
    assert_eq!(desk.gaps(), 1);
    assert_eq!(desk.asked(), desk.ids);
}

#[test]
fn a_book_from_before_the_grid_changed_does_not_come_into_force() {
    let mut desk = Desk::new(FeedConfig::default());
    desk.seed();
    desk.tick_at(START + 200);
    desk.book_at("11", START + 150);
    desk.book_at("12", START + 150);
    assert_eq!(desk.based(), [false; 2]);
    desk.rest(START + 199, "0.01", "0.4");
    assert_eq!(desk.based(), [false; 2], "nor over REST");
    desk.book_at("11", START + 200);
    assert_eq!(desk.based(), [true, false]);
}

#[test]
fn a_book_over_rest_that_knows_the_new_grid_is_taken_whatever_its_time() {
    let mut desk = Desk::new(FeedConfig::default());
    desk.seed();
    desk.tick_at(START + 200);
    desk.rest(START + 150, "0.001", "0.4");
    assert_eq!(desk.based(), [true, false]);
}

#[test]
fn a_grid_first_heard_over_rest_does_not_swallow_its_announcement() {
    let mut desk = Desk::new(FeedConfig::default());
    desk.seed();
    desk.rest(START, "0.001", "0.4");
    desk.events();
    desk.tick_at(START - 10);
    let told = desk.events();
    assert_eq!(count(&told, |e| matches!(e, MarketEvent::Tick { tick: Tick::Thousandth, .. })), 1);
    assert_eq!(desk.based(), [false; 2]);
}

#[test]
fn a_grid_learned_over_rest_is_told() {
    let mut desk = Desk::new(FeedConfig::default());
    desk.seed();
    desk.rest(START, "0.01", "0.4");
    desk.events();
    desk.rest(START + 10, "0.001", "0.4");
    let told = desk.events();
    assert_eq!(count(&told, |e| matches!(e, MarketEvent::Tick { tick: Tick::Thousandth, .. })), 1);
    assert_eq!(count(&told, |e| matches!(e, MarketEvent::Snapshot(_))), 1);
    assert_eq!(desk.based(), [true, false], "the other outcome's book is of the old grid");
}

#[test]
fn answers_that_bring_no_book_are_not_asked_for_at_every_tick_and_end_the_connection() {
    for (price, anew) in [("0.4", 1), ("7", 0)] {
        let mut desk = Desk::new(FeedConfig::default());
        let early = if anew == 1 { START + 500 } else { START - 500 };
        desk.bid_at(early, "5", "");
        for round in 1..=FRUITLESS {
            desk.pass(5_100);
            assert_eq!(desk.asked(), desk.ids, "{price} {round}");
            assert_eq!(desk.books.stuck(), None);
            assert_eq!(desk.rest(START, "0.01", price), anew);
            let no = vec![MarketKey(3).token(Outcome::No)];
            desk.books.compare(no, Ok(Vec::new()));
            desk.pass(1_000);
            assert_eq!(desk.asked(), [], "{price} {round}: a second later");
            desk.pass(-1_000);
        }
        assert_eq!(desk.books.stuck(), Some(desk.ids[0]), "{price}");
    }
}

#[test]
fn a_book_that_cannot_be_verified_is_told_once_and_tried_again_on_the_next_connection() {
    let mut desk = Desk::new(FeedConfig::default());
    for connection in 0..2 {
        desk.books.begin();
        let mut told = Vec::new();
        for _ in 0..5 {
            desk.seed();
            desk.bid("0.45", "0.49");
            desk.pass(1_100);
            told.extend(desk.events());
        }
        let unverified = FeedItem::Unverified {
            token: MarketKey(3).token(Outcome::Yes),
            at: Time::from_millis(START + (connection * 5 + 3) * 1_100),
        };
        let found = told.iter().filter(|item| matches!(item, FeedItem::Unverified { .. }));
        assert_eq!(found.collect::<Vec<_>>(), [&unverified]);
        assert_eq!(count(&told, |e| matches!(e, MarketEvent::Interrupted(_))), 3);
        desk.books.end();
        desk.events();
    }
}

#[test]
fn a_resolution_without_a_winner_of_ours_ends_the_market() {
    for hash_check_ms in [0, 5_000] {
        let mut desk = Desk::new(FeedConfig { hash_check_ms, ..FeedConfig::default() });
        desk.seed();
        desk.events();
        for (market, told) in [("0x02", 0), ("0x01", 1)] {
            desk.send(&format!(
                    r#"{{"event_type":"market_resolved","id":"1","market":"{market}","assets_ids":["11","12"],"winning_asset_id":"","winning_outcome":"","timestamp":"{START}"}}"#
                ));
            let over = |e: &MarketEvent| {
                *e == MarketEvent::State { market: MarketKey(3), state: MarketState::Closed }
            };
            assert_eq!(count(&desk.events(), over), told, "{market}");
        }
    }
}

#[test]
fn best_prices_that_the_book_does_not_have_void_it_after_a_second() {
    let mut desk = Desk::new(FeedConfig::default());
    desk.seed();
    desk.bid("0.45", "0.45");
    desk.pass(5_000);
    assert_eq!((desk.wrong(), desk.gaps()), (0, 0), "they agree");
    desk.asked();
    // A level is missing here: 0.47 was lost.
    desk.bid("0.45", "0.47");
    desk.pass(900);
    assert_eq!((desk.wrong(), desk.gaps()), (0, 0), "a batch may still be under way");
    desk.bid("0.47", "0.47");
    desk.pass(5_000);
    assert_eq!((desk.wrong(), desk.gaps()), (0, 0), "it came");
    desk.bid("0.46", "0.48");
    desk.pass(1_100);
    assert_eq!((desk.wrong(), desk.gaps()), (1, 1), "one gap for both outcomes");
    assert_eq!(desk.asked(), desk.ids, "and both books are wanted anew");
}

#[test]
fn best_prices_of_a_meaning_not_known_here_stop_trading_three_times_and_no_more() {
    let mut desk = Desk::new(FeedConfig::default());
    for round in 1..=6 {
        desk.seed();
        desk.bid("0.45", "0.49");
        desk.pass(1_100);
        assert_eq!(desk.gaps(), usize::from(round <= 3), "round {round}");
    }
    assert_eq!(desk.wrong(), 3, "then it rests");
    // Once they agree, all is forgiven.
    desk.seed();
    desk.bid("0.45", "0.45");
    desk.seed();
    desk.bid("0.45", "0.49");
    desk.pass(1_100);
    assert_eq!((desk.wrong(), desk.gaps()), (4, 1));
}

#[test]
fn a_book_from_before_a_change_that_was_dropped_is_not_taken() {
    let mut desk = Desk::new(FeedConfig::default());
    let book = desk.at();
    desk.pass(10);
    desk.bid("0.45", "0.45");
    let old = format!(
        r#"{{"event_type":"book","market":"0x01","asset_id":"11","timestamp":"{book}","hash":"","bids":[{{"price":"0.4","size":"10"}}],"asks":[]}}"#
    );
    desk.books.message(old.as_bytes());
    assert_eq!(desk.books.told().count(), 0, "it lacks the bid of 0.45");
    desk.seed();
    assert_eq!(desk.books.told().count(), 2, "this one was made after it");
}

#[test]
fn an_older_message_does_not_tell_the_best_prices() {
    let mut desk = Desk::new(FeedConfig::default());
    desk.seed();
    desk.pass(10);
    desk.bid("0.45", "0.45");
    let late = format!(
        r#"{{"event_type":"best_bid_ask","market":"0x01","asset_id":"11","best_bid":"0.4","best_ask":"0.6","spread":"0.2","timestamp":"{START}"}}"#
    );
    desk.books.message(late.as_bytes());
    desk.pass(5_000);
    assert_eq!(desk.wrong(), 0);
}

#[test]
fn a_resync_of_one_token_voids_its_market_only_and_asks_once() {
    let mut desk = Desk::new(FeedConfig::default());
    let other = MarketKey(4).token(Outcome::Yes);
    let id = TokenId::from(13u64);
    desk.books.add(vec![(id, other)]);
    desk.seed();
    desk.gaps();
    desk.asked();
    desk.books.resync(Some(&[desk.ids[1], TokenId::from(99u64)]));
    assert_eq!(desk.gaps(), 1);
    assert_eq!(desk.asked(), desk.ids);
    assert_eq!(desk.books.ask(), None);
    desk.books.resync(None);
    assert_eq!(desk.asked().len(), 3);
}

#[test]
fn silence_is_asked_about_and_a_failed_answer_is_asked_for_again() {
    let mut desk = Desk::new(FeedConfig::default());
    desk.seed();
    desk.asked();
    desk.pass(80_000);
    assert_eq!(desk.asked(), []);
    desk.pass(11_000);
    let (tokens, ids) = desk.books.ask().unwrap();
    assert_eq!(ids, desk.ids);
    desk.pass(100_000);
    assert_eq!(desk.asked(), [], "while the answer is out, nobody asks again");
    assert_eq!(desk.books.compare(tokens, Err(ApiError::Unreachable("gone".into()))), []);
    desk.pass(91_000);
    assert_eq!(desk.asked(), desk.ids);
}

#[test]
fn more_books_than_fit_one_request_are_asked_for_in_turn() {
    let mut desk = Desk::new(FeedConfig::default());
    let more =
        (100..700u32).map(|n| (TokenId::from(u64::from(n)), MarketKey(n).token(Outcome::Yes)));
    desk.books.add(more.collect());
    desk.books.resync(None);
    let mut asked = Vec::new();
    while let Some((_, ids)) = desk.books.ask() {
        assert!(ids.len() <= ASKED_AT_ONCE);
        asked.extend(ids);
    }
    assert_eq!(asked.len(), 602);
}
