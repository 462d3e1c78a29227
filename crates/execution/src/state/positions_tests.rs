use polydesk_domain::{
    Book, ClientOrderId, ConversionId, ExitPlan, Outcome, Payout, Side, Span, Stop, TakeProfit,
    Tick, Time, TradeId, Trailing,
};

use super::*;
use crate::exit::{ExitContext, ExitIntent, exit_intent};
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

fn intent(plan: ExitPlan, bids: &[(u16, u64)], secs: i64) -> ExitIntent {
    let mut account = Account::new();
    // Ten shares at 0.30.
    account.buy(1, 10, 300, Some(plan));
    account.positions.confirm_buy(WHO, YES, key(1));
    let book = book(bids);
    let ctx = ExitContext {
        now: Time::from_secs(secs),
        book: &book,
        to_close: Some(Span::secs(100 - secs)),
    };
    let holding = account.positions.get(WHO, YES).unwrap();
    exit_intent(holding, &ExitState::default(), YES, &ctx).0
}

#[test]
fn plans_are_left_at_what_depth_would_pay() {
    let ten = Shares::whole(10);
    let profit =
        |rest| ExitPlan { take_profit: Some(TakeProfit { gain: 500, rest }), ..Default::default() };
    let stop =
        ExitPlan { stop: Some(Stop { loss: 500, floor: Price::cents(20) }), ..Default::default() };
    let take = |reason, cents| ExitIntent::Take { reason, floor: Price::cents(cents), shares: ten };
    for (name, plan, bids, secs, want) in [
        (
            "rests at the target",
            profit(true),
            &[(31, 100)][..],
            2,
            ExitIntent::Rest { price: Price::cents(35), shares: ten },
        ),
        ("waits for the target", profit(false), &[(31, 100)], 2, ExitIntent::Stay),
        ("takes the target", profit(true), &[(35, 100)], 2, take(ExitReason::TakeProfit, 35)),
        ("holds above the stop", stop, &[(26, 100)], 2, ExitIntent::Stay),
        ("stops", stop, &[(25, 100)], 2, take(ExitReason::StopLoss, 20)),
        // The best bid alone looks fine; ten shares would bring 0.248 on average.
        (
            "stops on thin depth",
            stop,
            &[(30, 1), (28, 1), (24, 8)],
            2,
            take(ExitReason::StopLoss, 20),
        ),
        ("nothing above the floor is no price", stop, &[(10, 100)], 2, ExitIntent::Stay),
        (
            "held long enough",
            ExitPlan { max_hold: Some(Span::secs(60)), ..Default::default() },
            &[(30, 100)],
            61,
            take(ExitReason::MaxHold, 0),
        ),
        (
            "before the close",
            ExitPlan { before_close: Some(Span::secs(50)), ..Default::default() },
            &[(30, 100)],
            50,
            take(ExitReason::BeforeClose, 0),
        ),
    ] {
        assert_eq!(intent(plan, bids, secs), want, "{name}");
    }
}

#[test]
fn a_trailing_stop_wakes_late_and_follows_up_only() {
    let plan = ExitPlan {
        trailing: Some(Trailing { activate: 500, distance: 300 }),
        ..Default::default()
    };
    let mut account = Account::new();
    account.buy(1, 10, 300, Some(plan));
    account.positions.confirm_buy(WHO, YES, key(1));
    let mut exit = ExitState::default();
    let mut at = |cents| {
        let book = book(&[(cents, 100)]);
        let ctx = ExitContext { now: Time::from_secs(2), book: &book, to_close: None };
        let (intent, high) =
            exit_intent(account.positions.get(WHO, YES).unwrap(), &exit, YES, &ctx);
        exit.high = high;
        matches!(intent, ExitIntent::Take { reason: ExitReason::Trailing, .. })
    };
    let seen: Vec<bool> = [31, 28, 35, 40, 38, 37].into_iter().map(&mut at).collect();
    assert_eq!(seen, [false, false, false, false, false, true]);
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
        .merge(&mut account.ledger, at, WHO, market, Shares::whole(4), &mut account.closed)
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
