use std::sync::Arc;

use polydesk_domain::{
    BookSnapshot, Books, FeeRate, Fees, MarketState, NegRisk, Price, Shares, Stamped, Token,
    Universe,
};

use super::*;
use crate::flat::Flat;
use crate::{Counter, Emitted, Skips};

struct Bench {
    universe: Universe,
    books: Books,
    scanner: ArbScanner,
    skips: Skips,
    emitted: Emitted,
    counter: Counter,
}

impl Bench {
    /// A group of `listed` markets whose stated size is `members`.
    fn new(
        listed: u64,
        members: Option<u32>,
        rate_ppm: u32,
        change: impl Fn(&mut Market),
    ) -> Bench {
        let mut bench = Bench {
            universe: Universe::new(),
            books: Books::default(),
            scanner: ArbScanner::new(
                StrategyId::ARB_SCANNER,
                ArbParams::try_from(&RawArbScanner::default()).unwrap(),
            ),
            skips: Skips::default(),
            emitted: Emitted::default(),
            counter: Counter::default(),
        };
        for number in 0..listed {
            let mut market = Market::plain(number, "member");
            market.fees = Fees::flat(FeeRate::checked(rate_ppm, 1, 0).unwrap());
            market.closes = Some(Time::from_secs(86_400));
            let group = "group".to_owned();
            market.neg_risk =
                Some(NegRisk { group, members, augmented: false, placeholder: false });
            change(&mut market);
            let tick = market.tick;
            let key = bench.universe.assign(Arc::new(market)).unwrap();
            bench.books.list(key, tick);
        }
        bench
    }

    fn quote(&mut self, market: u32, bid: u16, ask: u16, shares: u64) {
        let event = Event::Market(MarketEvent::Snapshot(Arc::new(BookSnapshot {
            token: Token(market * 2),
            bids: vec![(Price::cents(bid), Shares::whole(shares))],
            asks: vec![(Price::cents(ask), Shares::whole(shares))],
        })));
        self.books.apply(&Stamped { at: Time::MIN, venue_at: Time::MIN, seq: 0, event }, |_, _| ());
    }

    fn batch(&mut self, market: u32, secs: i64) -> Vec<(BasketKind, Shares, Usdc)> {
        let states = vec![MarketState::Open; self.universe.len()];
        let now = Time::from_secs(secs);
        let view = View {
            strategy: &StrategyId::ARB_SCANNER,
            now,
            universe: &self.universe,
            books: &self.books,
            states: &states,
            account: &Flat,
        };
        let id = self.scanner.id();
        let mut out = Emit::new(&id, now, &mut self.counter, &mut self.skips, &mut self.emitted);
        self.scanner.on_event(&view, Trigger::Batch(MarketKey(market)), &mut out);
        let basket = |action| match action {
            Action::Basket(basket) => (basket.kind, basket.sets),
            other => panic!("only baskets, not {other:?}"),
        };
        core::mem::take(&mut self.emitted.signals)
            .into_iter()
            .map(|s| (s.edge, basket(s.action)))
            .map(|(e, (k, n))| (k, n, e))
            .collect()
    }

    fn codes(&self) -> Vec<&'static str> {
        self.skips.by_code().into_iter().map(|(code, _)| code.as_str()).collect()
    }
}

#[test]
fn a_complete_group_below_one_dollar_is_a_basket() {
    let mut bench = Bench::new(3, Some(3), 0, |_| ());
    for market in 0..3 {
        bench.quote(market, 28, 30, 100);
    }
    // 80 % of the depth at 0.90 a set.
    assert_eq!(bench.batch(2, 1), [(BasketKind::AllYes, Shares::whole(80), Usdc::whole(8))]);
    assert_eq!(bench.batch(2, 2), [], "not again within the retry pause");
}

#[test]
fn fees_of_every_leg_count() {
    // 0.99 a set leaves one cent; a fee of 5 % takes 3 × 0.05 × 0.33 × 0.67 = 3.3 cents.
    let mut bench = Bench::new(3, Some(3), 50_000, |_| ());
    for market in 0..3 {
        bench.quote(market, 31, 33, 100);
    }
    assert_eq!(bench.batch(0, 1), []);
    assert_eq!(bench.codes(), ["fees_eat_it"]);
}

#[test]
fn an_unproven_group_is_not_an_arbitrage() {
    type Case = (u64, Option<u32>, fn(&mut NegRisk), &'static str);
    let cases: [Case; 5] = [
        (2, Some(3), |_| (), "group_incomplete"),
        (2, None, |_| (), "group_size_unknown"),
        (2, Some(2), |n| n.augmented = true, "group_augmented"),
        (2, Some(2), |n| n.placeholder = true, "group_placeholder"),
        (16, Some(16), |_| (), "too_many_legs"),
    ];
    for (listed, members, change, want) in cases {
        let mut bench =
            Bench::new(listed, members, 0, |market| change(market.neg_risk.as_mut().unwrap()));
        for market in 0..listed as u32 {
            bench.quote(market, 1, 3, 1_000);
        }
        assert_eq!(bench.batch(0, 1), [], "{want}");
        assert_eq!(bench.codes(), [want]);
    }
}

#[test]
fn all_no_pays_one_dollar_less_than_its_legs() {
    // NO asks are 1 − bid: 0.60 each, 1.80 for three that pay 2.
    let mut bench = Bench::new(3, Some(3), 0, |_| ());
    for market in 0..3 {
        bench.quote(market, 40, 42, 100);
    }
    assert_eq!(bench.batch(0, 1), [(BasketKind::AllNo, Shares::whole(80), Usdc::whole(16))]);
}

#[test]
fn a_crossed_book_is_a_pair_once_a_second_batch_still_shows_it() {
    let mut bench = Bench::new(1, Some(1), 0, |market| market.neg_risk = None);
    bench.quote(0, 52, 50, 100);
    assert_eq!(bench.batch(0, 1), []);
    assert_eq!(bench.codes(), ["first_sight"]);
    let got = bench.batch(0, 2);
    // Buying both costs 0.50 + 0.48. Selling both at 0.52 + 0.50 would take the same depth again.
    assert_eq!(got, [(BasketKind::BuyPair, Shares::whole(80), "1.6".parse().unwrap())]);
    assert_eq!(bench.codes(), ["first_sight", "taken_as_buy_pair"]);
    bench.quote(0, 48, 50, 100);
    assert_eq!(bench.batch(0, 3), []);
    let episodes: Vec<_> = bench
        .emitted
        .opportunities
        .iter()
        .map(|e| (e.kind, e.signals, e.best_gross_units))
        .collect();
    assert_eq!(episodes, [(BasketKind::BuyPair, 1, 200), (BasketKind::SellPair, 0, 200)]);
}

#[test]
fn small_change_and_slow_money_are_passed_over() {
    let mut bench = Bench::new(3, Some(3), 0, |_| ());
    for market in 0..3 {
        bench.quote(market, 28, 33, 10);
    }
    assert_eq!(bench.batch(0, 1), []);
    assert_eq!(bench.codes(), ["min_profit"]);

    let mut slow =
        Bench::new(3, Some(3), 0, |m| m.closes = Some(Time::from_secs(86_400 * 365 * 5)));
    for market in 0..3 {
        slow.quote(market, 31, 33, 1_000);
    }
    assert_eq!(slow.batch(0, 1), []);
    assert_eq!(slow.codes(), ["min_annualised"]);
}

#[test]
fn a_delisted_member_ends_the_episode_of_its_group() {
    let mut bench = Bench::new(3, Some(3), 0, |_| ());
    for market in 0..3 {
        bench.quote(market, 28, 30, 100);
    }
    assert_eq!(bench.batch(2, 1).len(), 1);
    let now = Time::from_secs(2);
    let view = View {
        strategy: &StrategyId::ARB_SCANNER,
        now,
        universe: &bench.universe,
        books: &bench.books,
        states: &[MarketState::Open; 3],
        account: &Flat,
    };
    let id = bench.scanner.id();
    let mut out = Emit::new(&id, now, &mut bench.counter, &mut bench.skips, &mut bench.emitted);
    let event = MarketEvent::Delisted { market: MarketKey(1) }.into();
    let stamped = Stamped { at: now, venue_at: now, seq: 0, event };
    bench.scanner.on_event(&view, Trigger::Event(&stamped), &mut out);
    assert!(bench.scanner.open.is_empty());
    assert_eq!(bench.emitted.opportunities.len(), 1);
}
