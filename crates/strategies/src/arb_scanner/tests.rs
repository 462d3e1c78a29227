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
    /// A group of `listed` markets whose stated size is `members`, and of which no leg dies.
    fn new(
        listed: u64,
        members: Option<u32>,
        rate_ppm: u32,
        change: impl Fn(&mut Market),
    ) -> Bench {
        Bench::with(0.0, listed, members, rate_ppm, change)
    }

    /// A group of which every leg dies with the probability `leg_fail`.
    fn with(
        leg_fail: f64,
        listed: u64,
        members: Option<u32>,
        rate_ppm: u32,
        change: impl Fn(&mut Market),
    ) -> Bench {
        let raw = RawArbScanner { leg_fail, ..RawArbScanner::default() };
        let mut bench = Bench {
            universe: Universe::new(),
            books: Books::default(),
            scanner: ArbScanner::new(StrategyId::ARB_SCANNER, ArbParams::try_from(&raw).unwrap()),
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
        self.levels(market, &[(bid, shares)], &[(ask, shares)]);
    }

    /// States the book of YES: cents and shares.
    fn levels(&mut self, market: u32, bids: &[(u16, u64)], asks: &[(u16, u64)]) {
        let side = |levels: &[(u16, u64)]| {
            let level = |&(cents, shares): &_| (Price::cents(cents), Shares::whole(shares));
            levels.iter().map(level).collect()
        };
        let event = Event::Market(MarketEvent::Snapshot(Arc::new(BookSnapshot {
            token: Token(market * 2),
            bids: side(bids),
            asks: side(asks),
        })));
        self.books.apply(&Stamped { at: Time::MIN, venue_at: Time::MIN, seq: 0, event }, |_, _| ());
    }

    /// Kind, sets and expected profit of the baskets that a batch gives rise to.
    fn batch(&mut self, market: u32, secs: i64) -> Vec<(BasketKind, Shares, Usdc)> {
        let signals = self.signals(market, secs).into_iter();
        signals.map(|(basket, edge)| (basket.kind, basket.sets, edge)).collect()
    }

    fn signals(&mut self, market: u32, secs: i64) -> Vec<(Basket, Usdc)> {
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
            Action::Basket(basket) => basket,
            other => panic!("only baskets, not {other:?}"),
        };
        core::mem::take(&mut self.emitted.signals)
            .into_iter()
            .map(|signal| (basket(signal.action), signal.edge))
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
fn the_edge_of_a_group_pays_for_legs_that_die() {
    // Three asks of 0.30 leave 0.10 a set, 8.00 for 80 sets.
    type Case<'a> = (f64, u32, &'a [(u16, u64)], Result<&'a str, &'a str>);
    let cases: [Case<'_>; 7] = [
        (0.0, 0, &[(28, 100)], Ok("8")),
        // 0.9³ = 0.729 complete. Selling again loses 3 × 80 × 0.02 = 4.80 in the other 0.9 − 0.729 of a leg:
        // 8 × 0.729 − 4.80 × 0.171.
        (0.1, 0, &[(28, 100)], Ok("5.0112")),
        // 8 × 0.216 − 4.80 × 0.384 is below zero; with bids a cent higher 2.40 is lost instead.
        (0.4, 0, &[(28, 100)], Err("dying_legs_eat_it")),
        (0.4, 0, &[(29, 100)], Ok("0.8064")),
        // Bids at 0.10 are 0.20 away, but no share is sold below 0.25: 3 × 80 × 0.05 = 12.
        (0.1, 0, &[(10, 100)], Ok("3.78")),
        // 40 sold at 0.28, the other 40 of a leg lose 0.05 each: 3 × (0.80 + 2.00) = 8.40.
        (0.1, 0, &[(28, 40), (20, 100)], Ok("4.3956")),
        // Fees of 5 % × p × (1 − p): 2.52 to buy, 2.4192 to sell at 0.28. 5.48 × 0.729 − 9.7392 × 0.171.
        (0.1, 50_000, &[(28, 100)], Ok("2.329516")),
    ];
    for (fail, rate_ppm, bids, want) in cases {
        let mut bench = Bench::with(fail, 3, Some(3), rate_ppm, |_| ());
        for market in 0..3 {
            bench.levels(market, bids, &[(30, 100)]);
        }
        let got = bench.batch(2, 1);
        let case = format!("{fail} {rate_ppm} {bids:?}");
        match want {
            Ok(expected) => {
                let basket = (BasketKind::AllYes, Shares::whole(80), expected.parse().unwrap());
                assert_eq!(got, [basket], "{case}");
            }
            Err(code) => {
                assert_eq!((got, bench.codes()), (vec![], vec![code]), "{case}");
            }
        }
    }
}

#[test]
fn a_dear_level_that_does_not_pay_for_dying_legs_is_left_out() {
    // The second level leaves 0.04 a set. What it buys is sold at a loss of nearly 0.15 a set, and of legs
    // that die with 0.2 that costs 0.15 × 0.288 / 0.512 = 0.08 for every set that completes.
    let sets = |fail: f64| {
        let mut bench = Bench::with(fail, 3, Some(3), 0, |_| ());
        for market in 0..3 {
            bench.levels(market, &[(28, 100)], &[(30, 100), (32, 1_000)]);
        }
        bench.batch(0, 1)
    };
    let all: Shares = "213.33".parse().unwrap();
    assert_eq!(sets(0.0).first().map(|basket| basket.1), Some(all), "200 pUSD buy two levels");
    let first = (BasketKind::AllYes, Shares::whole(80), "2.7136".parse().unwrap());
    assert_eq!(sets(0.2), [first]);
}

#[test]
fn what_execution_must_still_find_pays_for_dying_legs() {
    let least = |fail: f64| {
        let mut bench = Bench::with(fail, 3, Some(3), 0, |_| ());
        for market in 0..3 {
            bench.quote(market, 28, 30, 100);
        }
        bench.signals(0, 1).remove(0).0.min_edge_per_set
    };
    assert_eq!(least(0.0), Usdc::cents(2), "a fifth of 0.10");
    // 4.80 × 0.171 / 0.729 = 1.125926 break even; a fifth of the other 6.874074 more, over 80 sets.
    assert_eq!(least(0.1), Usdc::new(31_259));
}

#[test]
fn profit_and_margin_are_judged_after_dying_legs() {
    // 80 sets: edge 3.20, of which 3.20 × 0.729 − 9.60 × 0.171 = 0.6912 is expected, 0.9 % of the cost of 76.80.
    let codes = |shares: u64, min_margin_ppm: u64| {
        let mut bench = Bench::with(0.1, 3, Some(3), 0, |_| ());
        bench.scanner.params.min_margin_ppm = min_margin_ppm;
        for market in 0..3 {
            bench.quote(market, 28, 32, shares);
        }
        (bench.batch(0, 1).len(), bench.codes())
    };
    assert_eq!(codes(100, 9_000), (1, vec![]));
    assert_eq!(codes(100, 9_001), (0, vec!["min_margin"]));
    // 16 sets: an edge of 0.64, 0.13824 expected; 0.25 is wanted.
    assert_eq!(codes(20, 0), (0, vec!["min_profit"]));
}

#[test]
fn a_pair_is_not_charged_for_legs() {
    let mut bench = Bench::with(0.9, 1, Some(1), 0, |market| market.neg_risk = None);
    bench.quote(0, 52, 50, 100);
    bench.batch(0, 1);
    let pair = (BasketKind::BuyPair, Shares::whole(80), "1.6".parse().unwrap());
    assert_eq!(bench.batch(0, 2), [pair]);
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
