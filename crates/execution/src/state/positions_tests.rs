use polydesk_domain::{
    Book, ClientOrderId, ConversionId, ExitPlan, Outcome, Payout, Price, Side, Span, Stop,
    TakeProfit, Tick, Time, TradeId, Trailing,
};

use super::*;
use crate::exit::{ExitContext, ExitIntents, ExitMemory, exit_intents};
use crate::state::fills::Violation;
use crate::state::ledger::{Ledger, LedgerAccount};
use crate::state::lots::ClosedLot;

const WHO: StrategyId = StrategyId::STINK_BIDDER;
const YES: Token = Token(0);

fn fill(shares: u64, cents: i64, fee: i64) -> Fill {
    Fill {
        shares: Shares::whole(shares),
        notional: Usdc::cents(cents),
        fee: Usdc::cents(fee),
        level: None,
        basis: Default::default(),
    }
}

fn key(n: u128) -> FillKey {
    (TradeId(n), ClientOrderId(n as u64))
}

struct Account {
    positions: Positions,
    ledger: Ledger,
    closed: Vec<ClosedLot>,
}

impl Account {
    fn new() -> Account {
        Account { positions: Positions::default(), ledger: Ledger::default(), closed: Vec::new() }
    }
    fn buy(&mut self, n: u128, shares: u64, cents: i64, plan: Option<ExitPlan>) {
        let at = Time::from_secs(n as i64);
        self.positions.buy(
            &mut self.ledger,
            at,
            WHO,
            YES,
            key(n),
            fill(shares, cents, 1),
            Role::Taker,
            plan,
        );
    }
    fn sell(&mut self, n: u128, shares: u64, cents: i64) -> Result<(), Violation> {
        let at = Time::from_secs(n as i64);
        self.positions.sell(
            &mut self.ledger,
            at,
            WHO,
            YES,
            key(n),
            fill(shares, cents, 2),
            Role::Maker,
            ExitReason::TakeProfit,
        )
    }
    fn check(&self) {
        let (inventory, pending) = self.positions.totals();
        assert_eq!(self.ledger.balance(LedgerAccount::Inventory), inventory);
        assert_eq!(self.ledger.balance(LedgerAccount::Pending), pending);
        assert_eq!(self.ledger.imbalance(), Usdc::ZERO);
    }
}

#[test]
fn the_oldest_settled_lot_is_sold_first_and_profit_waits_for_finality() {
    let mut account = Account::new();
    account.buy(1, 10, 300, None);
    account.buy(2, 10, 400, None);
    account.positions.confirm_buy(WHO, YES, key(1));
    account.positions.confirm_buy(WHO, YES, key(2));
    account.sell(3, 15, 750).unwrap();
    account.check();
    assert_eq!(account.ledger.balance(LedgerAccount::Realised), Usdc::ZERO);
    account.positions.confirm_sale(
        &mut account.ledger,
        Time::from_secs(9),
        key(3),
        &mut account.closed,
    );
    account.check();
    // 10 shares cost 3.01, 5 of the next cost 2.005; 15 brought 7.48 after the fee.
    let closed: Vec<_> =
        account.closed.iter().map(|t| (t.lot.shares, t.lot.cost, t.proceeds)).collect();
    let usd = |text: &str| text.parse::<Usdc>().unwrap();
    assert_eq!(
        closed,
        [
            (Shares::whole(10), usd("3.01"), usd("4.986666") + Usdc::new(1)),
            (Shares::whole(5), usd("2.005"), usd("2.493333")),
        ]
    );
    // Losses and profits leave `Realised` as what outside owes us: a profit is negative there.
    assert_eq!(account.ledger.balance(LedgerAccount::Realised), -usd("2.465"));
}

#[test]
fn unsettled_shares_cannot_be_sold() {
    let mut account = Account::new();
    account.buy(1, 10, 300, None);
    let violation = account.sell(2, 10, 400).unwrap_err();
    assert_eq!(violation, Violation::Oversold { strategy: WHO, short: Shares::whole(10) });
}

#[test]
fn what_fails_is_undone_exactly_once() {
    let mut account = Account::new();
    account.buy(1, 10, 300, None);
    account.positions.confirm_buy(WHO, YES, key(1));
    account.sell(2, 10, 500).unwrap();
    for _ in 0..2 {
        account.positions.fail_sale(&mut account.ledger, Time::from_secs(5), key(2));
        account.check();
        assert_eq!(account.positions.get(WHO, YES).unwrap().held(), Shares::whole(10));
    }
    let mut other = Account::new();
    other.buy(1, 10, 300, None);
    other
        .positions
        .fail_buy(&mut other.ledger, Time::from_secs(2), WHO, YES, key(1), fill(10, 300, 1))
        .unwrap();
    other.check();
    assert_eq!(other.ledger.balance(LedgerAccount::Cash), Usdc::ZERO);
    assert_eq!(other.ledger.fees(), Usdc::ZERO);
    assert!(!other.positions.occupied(YES.market()));
}

fn book(bids: &[(u16, u64)]) -> Book {
    let mut book = Book::new(Tick::Cent);
    for (cents, shares) in bids {
        book.set(Outcome::Yes, Side::Buy, Price::cents(*cents), Shares::whole(*shares)).unwrap();
    }
    book
}

/// What lots of ten shares each want, bought in the given second at the given price in cents.
fn intents(lots: &[(u128, i64, ExitPlan)], bids: &[(u16, u64)], secs: i64) -> ExitIntents {
    let mut account = Account::new();
    for (at, cents, plan) in lots {
        account.buy(*at, 10, cents * 10, Some(*plan));
        account.positions.confirm_buy(WHO, YES, key(*at));
    }
    account.intents(bids, secs)
}

impl Account {
    /// What it wants at the second of two checks, one second apart.
    fn intents(&self, bids: &[(u16, u64)], secs: i64) -> ExitIntents {
        let mut memory = ExitMemory::default();
        self.check_exits(&mut memory, bids, 1_000 * (secs - 1));
        self.check_exits(&mut memory, bids, 1_000 * secs)
    }

    fn check_exits(
        &self,
        memory: &mut ExitMemory,
        bids: &[(u16, u64)],
        millis: i64,
    ) -> ExitIntents {
        let book = book(bids);
        let now = Time::from_millis(millis);
        let (to_close, min_size) = (Some(now.until(Time::from_secs(100))), Shares::whole(5));
        let sizes = (min_size, min_size);
        memory.observe(now, &book, Outcome::Yes, sizes, Span::secs(1));
        let ctx = ExitContext { now, book: &book, to_close, min_size };
        let exit = self.positions.exit(WHO, YES).cloned().unwrap_or_default();
        let holding = self.positions.get(WHO, YES).unwrap();
        let intents = exit_intents(holding, &exit, memory, YES, &ctx);
        memory.broken = intents.broken.clone();
        intents
    }
}

/// `stop_loss 20 of 10: 1 2` is to be sold, not below 0.20, the lots bought by orders 1 and 2;
/// `rest 35: 1` waits at 0.35.
fn shown(intents: &ExitIntents) -> String {
    let names = |lots: &mut dyn Iterator<Item = FillKey>| {
        lots.map(|(_, order)| format!(" {}", order.0)).collect::<String>()
    };
    let mut lines: Vec<String> = Vec::new();
    for take in &intents.takes {
        let (reason, floor) = (take.reason.name(), take.floor.units() / 100);
        let lots = names(&mut take.lots.iter().copied());
        lines.push(format!("{reason} {floor} of {}:{lots}", take.shares));
    }
    for (price, lots) in &intents.rests {
        lines.push(format!(
            "rest {}:{}",
            price.units() / 100,
            names(&mut lots.iter().map(|lot| lot.0))
        ));
    }
    lines.join(", ")
}

#[test]
fn plans_are_left_at_what_depth_would_pay() {
    let profit =
        |rest| ExitPlan { take_profit: Some(TakeProfit { gain: 500, rest }), ..Default::default() };
    let stop =
        ExitPlan { stop: Some(Stop { loss: 500, floor: Price::cents(20) }), ..Default::default() };
    let max_hold = ExitPlan { max_hold: Some(Span::secs(60)), ..Default::default() };
    let before_close = ExitPlan { before_close: Some(Span::secs(50)), ..Default::default() };
    for (name, plan, bids, secs, want) in [
        ("rests at the target", profit(true), &[(31, 100)][..], 2, "rest 35: 1"),
        ("waits for the target", profit(false), &[(31, 100)], 2, ""),
        ("takes the target", profit(false), &[(35, 100)], 2, "take_profit 35 of 10: 1"),
        ("holds above the stop", stop, &[(26, 100)], 2, ""),
        ("stops", stop, &[(25, 100)], 2, "stop_loss 20 of 10: 1"),
        // The best bid alone looks fine; ten shares would bring 0.248 on average.
        ("stops on thin depth", stop, &[(30, 1), (28, 1), (24, 8)], 2, "stop_loss 20 of 10: 1"),
        ("nothing above the floor is no price", stop, &[(10, 100)], 2, ""),
        ("held long enough", max_hold, &[(30, 100)], 61, "max_hold 0 of 10: 1"),
        ("before the close", before_close, &[(30, 100)], 50, "before_close 0 of 10: 1"),
    ] {
        assert_eq!(shown(&intents(&[(1, 30, plan)], bids, secs)), want, "{name}");
    }
}

#[test]
fn a_stop_is_broken_when_two_checks_a_second_apart_and_all_between_say_so() {
    let stop =
        ExitPlan { stop: Some(Stop { loss: 500, floor: Price::cents(20) }), ..Default::default() };
    let (fine, broken, none) = (&[(30, 100)][..], &[(25, 100)][..], &[(10, 100)][..]);
    for (name, checks, want) in [
        ("one", &[(0, broken)][..], false),
        ("too close", &[(0, broken), (999, broken)], false),
        ("two", &[(0, broken), (1_000, broken)], true),
        ("many", &[(0, broken), (400, broken), (800, broken), (1_200, broken)], true),
        ("fine between", &[(0, broken), (500, fine), (1_000, broken)], false),
        ("the second much later", &[(0, broken), (60_000, broken)], true),
        ("nothing to judge by between", &[(0, broken), (500, none), (1_000, broken)], true),
        ("fine at last", &[(0, broken), (2_000, fine)], false),
    ] {
        let mut account = Account::new();
        account.buy(1, 10, 300, Some(stop));
        account.positions.confirm_buy(WHO, YES, key(1));
        let mut memory = ExitMemory::default();
        let mut fires = false;
        for (millis, bids) in checks {
            fires = !account.check_exits(&mut memory, bids, 2_000 + millis).takes.is_empty();
        }
        assert_eq!(fires, want, "{name}");
    }
}

#[test]
fn every_lot_leaves_by_its_own_plan_age_and_entry_price() {
    let hold = |secs| ExitPlan { max_hold: Some(Span::secs(secs)), ..Default::default() };
    let stop = |floor| ExitPlan {
        stop: Some(Stop { loss: 500, floor: Price::cents(floor) }),
        max_hold: Some(Span::secs(60)),
        ..Default::default()
    };
    let profit =
        ExitPlan { take_profit: Some(TakeProfit { gain: 500, rest: true }), ..Default::default() };
    for (name, lots, bids, secs, want) in [
        (
            "what was bought ten seconds ago stays",
            &[(1, 30, hold(60)), (55, 30, hold(60))][..],
            &[(30, 100)][..],
            65,
            "max_hold 0 of 10: 1",
        ),
        (
            "a cheaper lot moves no stop",
            &[(1, 30, stop(20)), (2, 20, stop(20))],
            &[(25, 100)],
            9,
            "stop_loss 20 of 10: 1",
        ),
        (
            "exits that agree are one, the stop goes first",
            &[(1, 24, stop(20)), (2, 30, stop(20)), (3, 24, stop(20)), (4, 31, stop(20))],
            &[(25, 100)],
            63,
            "stop_loss 20 of 20: 2 4, max_hold 20 of 20: 1 3",
        ),
        (
            "floors of their own",
            &[(1, 30, stop(20)), (2, 30, stop(21))],
            &[(25, 100)],
            9,
            "stop_loss 20 of 10: 1, stop_loss 21 of 10: 2",
        ),
        (
            "equal targets share an order",
            &[(1, 30, profit), (2, 31, profit), (3, 30, profit)],
            &[(29, 100)],
            9,
            "rest 35: 1 3, rest 36: 2",
        ),
    ] {
        assert_eq!(shown(&intents(lots, bids, secs)), want, "{name}");
    }
}

#[test]
fn what_was_asked_for_hides_no_stop() {
    let mut account = Account::new();
    let stop =
        ExitPlan { stop: Some(Stop { loss: 500, floor: Price::cents(20) }), ..Default::default() };
    for n in [1, 2] {
        account.buy(n, 10, 300, Some(stop));
        account.positions.confirm_buy(WHO, YES, key(n));
    }
    account.buy(3, 10, 300, None);
    account.positions.confirm_buy(WHO, YES, key(3));
    for (reason, cents, shares) in
        [(ExitReason::Signal, 50, 12), (ExitReason::Unwind, 25, 11), (ExitReason::Operator, 40, 30)]
    {
        let (floor, shares) = (Price::cents(cents), Shares::whole(shares));
        account.positions.change_exit(WHO, YES, |exit| {
            exit.pending.insert(Authority::of(reason), PendingExit::new(reason, floor, shares));
        });
    }
    assert_eq!(
        shown(&account.intents(&[(25, 100)], 9)),
        "operator 40 of 30: 1 2 3, stop_loss 20 of 20: 1 2, unwind 25 of 11: 3 1, signal 50 of 12: 1 2"
    );
    // A sale counts for everybody who asked, and takes the lots it is for.
    account.positions.change_exit(WHO, YES, |exit| {
        exit.orders.insert(key(9).1, vec![key(3), key(2)]);
    });
    account.sell(9, 11, 275).unwrap();
    assert_eq!(
        shown(&account.intents(&[(25, 100)], 9)),
        "operator 40 of 19: 1 2, stop_loss 20 of 19: 1 2, signal 50 of 1: 1"
    );
}

#[test]
fn what_cannot_be_sold_alone_leaves_with_the_others() {
    let hold = |secs| ExitPlan { max_hold: Some(Span::secs(secs)), ..Default::default() };
    let mut account = Account::new();
    account.buy(1, 10, 300, Some(hold(60)));
    account.buy(30, 2, 60, Some(hold(60)));
    account.buy(31, 6, 180, Some(hold(60)));
    for n in [1, 30, 31] {
        account.positions.confirm_buy(WHO, YES, key(n));
    }
    assert_eq!(shown(&account.intents(&[(30, 100)], 61)), "max_hold 0 of 12: 1 30");
}

#[test]
fn a_trailing_stop_wakes_late_and_follows_what_lasts_by_whole_ticks() {
    let plan = ExitPlan {
        trailing: Some(Trailing { activate: 500, distance: 300 }),
        ..Default::default()
    };
    let mut account = Account::new();
    account.buy(1, 10, 300, Some(plan));
    account.positions.confirm_buy(WHO, YES, key(1));
    let mut memory = ExitMemory::default();
    // Highs written and exits wanted, for each book that stays for three seconds, or for less than one.
    let mut at = |from: i64, bids: &[(u16, u64)], millis: i64| {
        let (mut highs, mut takes) = (0, 0);
        for now in (from..=from + millis).step_by(500) {
            let intents = account.check_exits(&mut memory, bids, now);
            for (lot, high) in &intents.highs {
                account.positions.raise(WHO, YES, *lot, *high);
            }
            highs += intents.highs.len();
            takes += intents.takes.len();
        }
        (highs, takes)
    };
    for (name, from, bids, millis, want) in [
        ("not awake", 2_000, &[(31, 100)][..], 2_900, (0, 0)),
        ("a fall before it is awake", 5_000, &[(27, 100)], 2_900, (0, 0)),
        ("awake", 8_000, &[(35, 100)], 2_900, (1, 0)),
        // Ten shares bring 0.354.
        ("half a tick more", 11_000, &[(36, 4), (35, 6)], 2_900, (0, 0)),
        ("a high for less than a second", 14_000, &[(60, 100)], 0, (0, 0)),
        ("a new high", 14_500, &[(40, 100)], 2_400, (1, 0)),
        ("two cents below", 17_000, &[(38, 100)], 2_900, (0, 0)),
        ("three cents below for half a second", 20_000, &[(37, 100)], 500, (0, 0)),
        ("back", 20_900, &[(38, 100)], 0, (0, 0)),
        ("three cents below", 21_000, &[(37, 100)], 1_000, (0, 1)),
    ] {
        assert_eq!(at(from, bids, millis), want, "{name}");
    }
}

#[test]
fn sets_and_redemption_conserve_money() {
    let mut account = Account::new();
    let at = Time::from_secs(1);
    let market = MarketKey(0);
    account.positions.split(
        &mut account.ledger,
        at,
        WHO,
        market,
        Shares::whole(10),
        5_200,
        ConversionId(1),
    );
    account.check();
    account
        .positions
        .merge(
            &mut account.ledger,
            at,
            WHO,
            market,
            Shares::whole(4),
            ConversionId(2),
            &mut account.closed,
        )
        .unwrap();
    account.check();
    let payout = Payout::yes_micros(333_333).unwrap();
    account.positions.redeem(
        &mut account.ledger,
        at,
        market,
        payout,
        Usdc::whole(6),
        &mut account.closed,
    );
    account.check();
    assert_eq!(
        account.ledger.balance(LedgerAccount::Cash),
        Usdc::ZERO,
        "ten dollars out, four and six back"
    );
    assert_eq!(account.ledger.balance(LedgerAccount::Realised), Usdc::ZERO);
}
