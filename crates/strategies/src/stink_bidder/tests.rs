use std::sync::Arc;

use expect_test::{Expect, expect};
use polydesk_domain::{
    Article, BookSnapshot, Books, LevelChange, Market, MarketState, Tick, Token, Universe,
};

use super::*;
use crate::flat::Flat;
use crate::{Counter, Emitted, Skips};

struct Bench {
    universe: Universe,
    books: Books,
    bidder: StinkBidder,
    skips: Skips,
    counter: Counter,
}

impl Bench {
    fn new(change: impl FnOnce(&mut RawStinkBidder)) -> Bench {
        let mut raw = RawStinkBidder { review_ms: 0, ..RawStinkBidder::default() };
        change(&mut raw);
        let mut universe = Universe::new();
        let mut market = Market::plain(1, "test");
        market.closes = Some(Time::from_secs(10_000));
        let key = universe.assign(Arc::new(market)).unwrap();
        let mut books = Books::default();
        books.list(key, Tick::Cent);
        let bidder =
            StinkBidder::new(StrategyId::STINK_BIDDER, StinkParams::try_from(&raw).unwrap());
        Bench { universe, books, bidder, skips: Skips::default(), counter: Counter::default() }
    }

    fn quote(&mut self, bid: u16, ask: u16) {
        let event = Event::Market(MarketEvent::Snapshot(Arc::new(BookSnapshot {
            token: Token(0),
            bids: vec![(Price::cents(bid), Shares::whole(2_000))],
            asks: vec![(Price::cents(ask), Shares::whole(2_000))],
        })));
        self.books.apply(&Stamped { at: Time::MIN, venue_at: Time::MIN, seq: 0, event }, |_, _| ());
    }

    fn call(&mut self, secs: i64, event: Option<Event>) -> String {
        let states = [MarketState::Open];
        let now = Time::from_secs(secs);
        let view = View {
            strategy: &StrategyId::STINK_BIDDER,
            now,
            universe: &self.universe,
            books: &self.books,
            states: &states,
            account: &Flat,
        };
        let mut emitted = Emitted::default();
        let id = self.bidder.id();
        let mut out = Emit::new(&id, now, &mut self.counter, &mut self.skips, &mut emitted);
        let stamped = event.map(|event| Stamped { at: now, venue_at: now, seq: 0, event });
        let trigger = match &stamped {
            Some(stamped) => Trigger::Event(stamped),
            None => Trigger::Batch(MarketKey(0)),
        };
        self.bidder.on_event(&view, trigger, &mut out);
        let mut lines: Vec<String> =
            emitted.skips.iter().map(|(_, reason)| format!("skip {reason}")).collect();
        for signal in emitted.signals {
            let Action::Quotes(quotes) = signal.action else { panic!("only quotes") };
            lines.push(format!("{} edge {}", signal.reason, signal.edge));
            for quote in quotes {
                let gain = quote.exit.and_then(|exit| exit.take_profit).map_or(0, |tp| tp.gain);
                lines.push(format!(
                    "  {} {} x {} +{gain}",
                    quote.token.outcome(),
                    quote.price,
                    quote.size
                ));
            }
        }
        lines.join("\n")
    }
}

fn check(got: &str, want: Expect) {
    want.assert_eq(got);
}

#[test]
fn rests_a_ladder_on_both_outcomes_and_keeps_it_while_the_middle_stays() {
    let mut bench = Bench::new(|_| ());
    bench.quote(40, 42);
    check(
        &bench.call(1, None),
        expect![[r#"
            ladder double_mid_units=8200 rungs=6 edge 24.3783
              yes 0.3600 x 55.55 +300
              yes 0.3300 x 90.9 +400
              yes 0.2900 x 137.93 +700
              no 0.5400 x 37.03 +300
              no 0.5100 x 58.82 +400
              no 0.4700 x 85.1 +700"#]],
    );
    bench.quote(41, 43);
    check(&bench.call(2, None), expect![""]);
    bench.quote(44, 46);
    assert!(bench.call(3, None).starts_with("ladder double_mid_units=9000"));
}

#[test]
fn an_old_ladder_is_anchored_anew() {
    let mut bench = Bench::new(|raw| raw.ttl_secs = 10);
    bench.quote(40, 42);
    bench.call(1, None);
    assert_eq!(bench.call(10, None), "");
    assert!(bench.call(11, None).starts_with("ladder"));
}

#[test]
fn steps_aside_on_news_and_comes_back() {
    let mut bench = Bench::new(|raw| raw.news_pause_secs = 20);
    bench.quote(40, 42);
    bench.call(1, None);
    let article = Article {
        source: "espn".into(),
        title: "goal".into(),
        body: String::new(),
        url: String::new(),
        markets: vec![MarketKey(0)],
    };
    check(
        &bench.call(2, Some(Event::from(WorldEvent::Article(article)))),
        expect!["news edge 0.00"],
    );
    check(&bench.call(3, None), expect!["skip news"]);
    assert!(bench.call(22, None).starts_with("ladder"));
}

#[test]
fn steps_aside_when_the_grid_changes_silently() {
    let mut bench = Bench::new(|raw| raw.tick_pause_secs = 10);
    bench.quote(40, 42);
    assert!(bench.call(1, None).starts_with("ladder"));
    let finer = LevelChange {
        token: Token(0),
        side: Side::Buy,
        price: "0.3955".parse().unwrap(),
        size: Shares::whole(1),
        top: None,
    };
    let stamped = Stamped {
        at: Time::MIN,
        venue_at: Time::MIN,
        seq: 0,
        event: Event::Market(MarketEvent::Level(finer)),
    };
    bench.books.apply(&stamped, |_, _| ());
    check(
        &bench.call(2, None),
        expect![[r#"
            skip tick_changed
            tick_changed edge 0.00"#]],
    );
    assert!(bench.call(12, None).starts_with("ladder"));
}

#[test]
fn passes_over_what_its_rules_exclude_and_says_why() {
    for (change, bid, ask, at, want) in [
        (
            (|raw| raw.max_spread = 0.01) as fn(&mut RawStinkBidder),
            40,
            42,
            1,
            "skip spread spread_units=200",
        ),
        (|raw| raw.min_depth_usd = 1e6, 40, 42, 1, "skip thin depth_micros=1960000000"),
        (|raw| raw.categories = vec!["crypto".into()], 40, 42, 1, "skip category"),
        (|_| (), 40, 42, 9_990, "skip near_close secs_left=10"),
        (|_| (), 4, 6, 1, "skip price_band double_mid_units=1000"),
        (|raw| raw.min_range = 0.05, 40, 42, 1, "skip range double_range_units=0"),
        (|raw| raw.max_market_usd = 5.0, 40, 42, 1, "skip caps room_micros=5000000"),
    ] {
        let mut bench = Bench::new(change);
        bench.quote(bid, ask);
        assert_eq!(bench.call(at, None), want);
    }
}

#[test]
fn a_book_that_is_not_trusted_takes_the_ladder_away() {
    let mut bench = Bench::new(|_| ());
    bench.quote(40, 42);
    bench.call(1, None);
    let crossed = LevelChange {
        token: Token(0),
        side: Side::Buy,
        price: Price::cents(45),
        size: Shares::whole(1),
        top: None,
    };
    let stamped = Stamped {
        at: Time::MIN,
        venue_at: Time::MIN,
        seq: 0,
        event: Event::Market(MarketEvent::Level(crossed)),
    };
    bench.books.apply(&stamped, |_, _| ());
    check(
        &bench.call(2, None),
        expect![[r#"
        skip book_not_trusted
        book_not_trusted edge 0.00"#]],
    );
}

#[test]
fn all_broken_rules_are_told_at_once() {
    let raw = RawStinkBidder {
        min_mid: 0.9,
        max_mid: 0.1,
        rungs: Vec::new(),
        max_spread: f64::NAN,
        ..Default::default()
    };
    check(
        &StinkParams::try_from(&raw).unwrap_err().join("\n"),
        expect![[r#"
        stink_bidder.rungs is 0 rungs; it must be 1 to 10 rungs
        stink_bidder.min_mid is 0.9; it must be below max_mid
        stink_bidder.max_spread is NaN; it must be between 0.0001 and 0.99 dollars"#]],
    );
}

#[test]
fn memory_of_a_delisted_market_and_of_one_that_ended_long_ago_is_dropped() {
    let mut bench = Bench::new(|_| ());
    let condition = |number| Market::plain(number, "other").condition;
    let used = |number, secs| {
        let (id, next_review) = (condition(number), Time::from_secs(secs));
        (id, MarketMemory { condition: Some(id), next_review, ..MarketMemory::default() })
    };
    let saved = BTreeMap::from([used(1, 700_000), used(2, 0), used(3, 100_000)]);
    let bytes = serde_json::to_vec(&saved).unwrap();
    bench.bidder.load(&Saved { version: 1, bytes }).unwrap();
    let kept = |bench: &Bench| -> Vec<ConditionId> {
        let all: BTreeMap<ConditionId, MarketMemory> =
            serde_json::from_slice(&bench.bidder.save().bytes).unwrap();
        all.into_keys().collect()
    };
    assert_eq!(kept(&bench), [condition(1), condition(3)]);
    bench.call(1, Some(MarketEvent::Delisted { market: MarketKey(0) }.into()));
    assert_eq!(kept(&bench), [condition(3)]);
}

#[test]
fn what_all_markets_commit_is_kept_as_a_sum() {
    let mut bench = Bench::new(|_| ());
    bench.quote(40, 42);
    bench.call(1, None);
    let of_all = |bidder: &StinkBidder| bidder.memory.iter().map(|m| m.resting + m.held).sum();
    assert!(bench.bidder.committed > Usdc::ZERO);
    assert_eq!(bench.bidder.committed, of_all(&bench.bidder));
    assert_eq!(bench.bidder.laddered.len(), 1);
    bench.call(2, Some(MarketEvent::Delisted { market: MarketKey(0) }.into()));
    assert_eq!((bench.bidder.committed, bench.bidder.laddered.len()), (Usdc::ZERO, 0));
}
