use polydesk_domain::{Book, ClientOrderId, Outcome, Payout, Side, Span, Tick, Time, TradeId};
use polydesk_signals::{ExitPlan, Stop, TakeProfit, Trailing};

use super::*;
use crate::ledger::{Account, Ledger};

const WHO: StrategyId = StrategyId::STINK_BIDDER;
const YES: Token = Token(0);

fn fill(shares: u64, cents: i64, fee: i64) -> Fill {
    Fill {
        shares: Shares::whole(shares),
        notional: Usdc::cents(cents),
        fee: Usdc::cents(fee),
        level: None,
    }
}

fn key(n: u128) -> FillKey {
    (TradeId(n), ClientOrderId(n as u64))
}

struct Desk {
    positions: Positions,
    ledger: Ledger,
    closed: Vec<ClosedTrade>,
}

impl Desk {
    fn new() -> Desk {
        Desk { positions: Positions::default(), ledger: Ledger::default(), closed: Vec::new() }
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
    fn sell(&mut self, n: u128, shares: u64, cents: i64) -> Result<(), Claim> {
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
        assert_eq!(self.ledger.balance(Account::Inventory), inventory);
        assert_eq!(self.ledger.balance(Account::Pending), pending);
        assert_eq!(self.ledger.imbalance(), Usdc::ZERO);
    }
}

#[test]
fn the_oldest_settled_lot_is_sold_first_and_profit_waits_for_finality() {
    let mut desk = Desk::new();
    desk.buy(1, 10, 300, None);
    desk.buy(2, 10, 400, None);
    desk.positions.confirm_buy(WHO, YES, key(1));
    desk.positions.confirm_buy(WHO, YES, key(2));
    desk.sell(3, 15, 750).unwrap();
    desk.check();
    assert_eq!(desk.ledger.balance(Account::Realised), Usdc::ZERO);
    desk.positions.confirm_sale(&mut desk.ledger, Time::from_secs(9), key(3), &mut desk.closed);
    desk.check();
    // 10 shares cost 3.01, 5 of the next cost 2.005; 15 brought 7.48 after the fee.
    let closed: Vec<_> = desk.closed.iter().map(|t| (t.shares, t.cost, t.proceeds)).collect();
    let usd = |text: &str| text.parse::<Usdc>().unwrap();
    assert_eq!(
        closed,
        [
            (Shares::whole(10), usd("3.01"), usd("4.986666") + Usdc::new(1)),
            (Shares::whole(5), usd("2.005"), usd("2.493333")),
        ]
    );
    // Losses and profits leave `Realised` as what outside owes us: a profit is negative there.
    assert_eq!(desk.ledger.balance(Account::Realised), -usd("2.465"));
}

#[test]
fn unsettled_shares_cannot_be_sold() {
    let mut desk = Desk::new();
    desk.buy(1, 10, 300, None);
    let claim = desk.sell(2, 10, 400).unwrap_err();
    assert_eq!(claim, Claim::Oversold { strategy: WHO, short: Shares::whole(10) });
}

#[test]
fn what_fails_is_undone_exactly_once() {
    let mut desk = Desk::new();
    desk.buy(1, 10, 300, None);
    desk.positions.confirm_buy(WHO, YES, key(1));
    desk.sell(2, 10, 500).unwrap();
    for _ in 0..2 {
        desk.positions.fail_sale(&mut desk.ledger, Time::from_secs(5), key(2));
        desk.check();
        assert_eq!(desk.positions.get(WHO, YES).unwrap().held(), Shares::whole(10));
    }
    let mut other = Desk::new();
    other.buy(1, 10, 300, None);
    other
        .positions
        .fail_buy(&mut other.ledger, Time::from_secs(2), WHO, YES, key(1), fill(10, 300, 1))
        .unwrap();
    other.check();
    assert_eq!(other.ledger.balance(Account::Cash), Usdc::ZERO);
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

fn wish(plan: ExitPlan, bids: &[(u16, u64)], secs: i64) -> ExitWish {
    let mut desk = Desk::new();
    // Ten shares at 0.30.
    desk.buy(1, 10, 300, Some(plan));
    desk.positions.confirm_buy(WHO, YES, key(1));
    let book = book(bids);
    let ctx = ExitContext {
        now: Time::from_secs(secs),
        book: &book,
        to_close: Some(Span::secs(100 - secs)),
    };
    exit_wish(desk.positions.get_mut(WHO, YES).unwrap(), YES, &ctx)
}

#[test]
fn plans_are_left_at_what_depth_would_pay() {
    let ten = Shares::whole(10);
    let profit =
        |rest| ExitPlan { take_profit: Some(TakeProfit { gain: 500, rest }), ..Default::default() };
    let stop =
        ExitPlan { stop: Some(Stop { loss: 500, floor: Price::cents(20) }), ..Default::default() };
    let take = |why, cents| ExitWish::Take { why, floor: Price::cents(cents), shares: ten };
    for (name, plan, bids, secs, want) in [
        (
            "rests at the target",
            profit(true),
            &[(31, 100)][..],
            2,
            ExitWish::Rest { price: Price::cents(35), shares: ten },
        ),
        ("waits for the target", profit(false), &[(31, 100)], 2, ExitWish::Stay),
        ("takes the target", profit(true), &[(35, 100)], 2, take(ExitReason::TakeProfit, 35)),
        ("holds above the stop", stop, &[(26, 100)], 2, ExitWish::Stay),
        ("stops", stop, &[(25, 100)], 2, take(ExitReason::StopLoss, 20)),
        // The best bid alone looks fine; ten shares would bring 0.248 on average.
        ("stops on thin depth", stop, &[(30, 1), (28, 1), (24, 8)], 2, take(ExitReason::StopLoss, 20)),
        ("nothing above the floor is no price", stop, &[(10, 100)], 2, ExitWish::Stay),
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
        assert_eq!(wish(plan, bids, secs), want, "{name}");
    }
}

#[test]
fn a_trailing_stop_wakes_late_and_follows_up_only() {
    let plan = ExitPlan {
        trailing: Some(Trailing { activate: 500, distance: 300 }),
        ..Default::default()
    };
    let mut desk = Desk::new();
    desk.buy(1, 10, 300, Some(plan));
    desk.positions.confirm_buy(WHO, YES, key(1));
    let mut at = |cents| {
        let book = book(&[(cents, 100)]);
        let ctx = ExitContext { now: Time::from_secs(2), book: &book, to_close: None };
        matches!(
            exit_wish(desk.positions.get_mut(WHO, YES).unwrap(), YES, &ctx),
            ExitWish::Take { why: ExitReason::Trailing, .. }
        )
    };
    let seen: Vec<bool> = [31, 28, 35, 40, 38, 37].into_iter().map(&mut at).collect();
    assert_eq!(seen, [false, false, false, false, false, true]);
}

#[test]
fn sets_and_redemption_conserve_money() {
    let mut desk = Desk::new();
    let at = Time::from_secs(1);
    let market = MarketKey(0);
    desk.positions.split(
        &mut desk.ledger,
        at,
        WHO,
        market,
        Shares::whole(10),
        5_200,
        ClientOrderId(1),
    );
    desk.check();
    desk.positions
        .merge(&mut desk.ledger, at, WHO, market, Shares::whole(4), &mut desk.closed)
        .unwrap();
    desk.check();
    let payout = Payout::yes_micros(333_333).unwrap();
    desk.positions.redeem(&mut desk.ledger, at, market, payout, Usdc::whole(6), &mut desk.closed);
    desk.check();
    assert_eq!(
        desk.ledger.balance(Account::Cash),
        Usdc::ZERO,
        "ten dollars out, four and six back"
    );
    assert_eq!(desk.ledger.balance(Account::Realised), Usdc::ZERO);
}
