//! Leaving positions: what is sold, when, how much and for how little.

use expect_test::expect;
use polydesk_domain::{
    Action, Basket, BasketKind, Leg, OperatorCommand, OrderUpdate, Price, Shares, Side,
    TradeStatus, Usdc,
};

use crate::harness::*;

#[test]
fn shares_of_a_pending_merge_are_not_sold() {
    let mut story = Story::new();
    let leg = |token, cents| Leg { token, side: Side::Buy, limit: Price::cents(cents) };
    story.book(50, 40);
    let basket = Basket {
        kind: BasketKind::BuyPair,
        legs: vec![leg(YES, 40), leg(NO, 50)],
        sets: Shares::whole(20),
        min_edge_per_set: Usdc::cents(1),
    };
    story.say("", Action::Basket(basket));
    for (id, token, cents) in [(1, YES, 40), (2, NO, 50)] {
        for status in [TradeStatus::Matched, TradeStatus::Confirmed] {
            story.fill(id, u128::from(id), token, Side::Buy, 20, cents, status);
        }
        story.news(id, "", OrderUpdate::Filled { matched: Shares::whole(20) });
    }
    story.after(5_000).book(39, 41);
    story.after(5_000).timer();
    story.told.clear();
    story.hear("flatten", operator(OperatorCommand::Flatten(None)));
    story.after(5_000).timer();
    assert_eq!(story.held(YES), "held 20 + 0 unsettled, cost 8.00");
    story.check(expect![[r#"
        10003ms flatten
        15003ms timer
    "#]]);
}
