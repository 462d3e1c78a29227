//! A tick size that becomes coarser: the same story as the simulated exchange's, with the same end.

use crate::common::*;
use polydesk_domain::{MarketKey, Outcome, Price, Shares, Side, Size, Span, Tick, Tif, Usdc};
use polydesk_local_exchange::venue::{OrderSpec, Status, Venue};
use polydesk_local_exchange::wallets::{TEST_ADDRESSES, WalletKind};
use polydesk_local_exchange::{Setup, TEST_START};

#[test]
fn a_coarser_tick_size_ends_the_orders_that_are_no_multiple_of_it() {
    let mut setup = Setup::test();
    setup.markets.retain(|listing| listing.market.slug == "hawks-owls");
    setup.markets[0].market.tick = Tick::Thousandth;
    let mut venue = Venue::new(&setup, TEST_START).unwrap();
    let market = MarketKey(0);
    let (yes, no) = (market.token(Outcome::Yes), market.token(Outcome::No));
    let (alice, bob) = (TEST_ADDRESSES[0], TEST_ADDRESSES[1]);
    let price = |units| Price::new(units).unwrap();
    let place = |venue: &mut Venue, owner, spec: OrderSpec| {
        let key = venue.derive_key(&owner, 0).unwrap().key;
        venue.place_as(key, owner, &spec).unwrap().order.id
    };
    let limit = |token, side, units| OrderSpec::limit(token, side, price(units), Shares::whole(10));
    let ask = place(&mut venue, bob, limit(yes, Side::Sell, 4_500));
    let off = place(&mut venue, alice, limit(yes, Side::Buy, 4_050));
    let on = place(&mut venue, alice, limit(yes, Side::Buy, 4_100));
    let mirrored = place(&mut venue, alice, limit(no, Side::Buy, 5_350));
    let fak = OrderSpec {
        token: yes,
        side: Side::Buy,
        price: price(4_550),
        size: Size::Spend(Usdc::whole(5)),
        tif: Tif::Fak,
        post_only: false,
    };
    let delayed = place(&mut venue, alice, fak);
    let resting = place(&mut venue, alice, limit(yes, Side::Buy, 4_550));
    let status = |venue: &Venue, id| venue.order(&id).unwrap().status.clone();
    assert_eq!([delayed, resting].map(|id| status(&venue, id)), [Status::Delayed, Status::Delayed]);
    venue.set_tick(market, Tick::Cent);
    assert_eq!([off, mirrored].map(|id| status(&venue, id)), [Status::Invalid, Status::Invalid]);
    venue.advance(TEST_START + Span::secs(2));
    assert_eq!([delayed, resting].map(|id| status(&venue, id)), [Status::Invalid, Status::Invalid]);
    assert_eq!([ask, on].map(|id| status(&venue, id)), [Status::Live, Status::Live]);
    venue.check().unwrap();
}

#[test]
fn an_immediate_order_between_two_ticks_is_matched_after_its_delay() {
    run(async {
        let running = exchange().await;
        let hawks = token(&running, "hawks-owls", 0);
        let alice = Trader::new(&running, 0, WalletKind::Deposit);
        let bob = Trader::new(&running, 1, WalletKind::Deposit);
        bob.place(&Ask::limit(&running, hawks, Side::Sell, 4_500, 10_000)).await;
        // 7 pUSD for 15.5 shares: 0.4516, and the tick size is a cent.
        let fak = Ask::limit(&running, hawks, Side::Buy, 4_500, 1_000).of("FAK");
        let id = alice.place(&Ask { maker: 7_000_000, taker: 15_500_000, ..fak }).await;
        let order = || running.venue(|v| v.order(&id.parse().unwrap()).unwrap().clone());
        assert_eq!((order().limit.units(), order().status), (4_516, Status::Delayed));
        running.advance(Span::secs(2));
        assert_eq!(order().status, Status::Matched);
    });
}
