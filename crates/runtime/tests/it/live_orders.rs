//! Orders of a live process: at most once, each fill booked once, to the micro-dollar.

use polydesk_domain::{Outcome, Side, Urgency, Usdc};

use crate::live_world::{Ask, Desk};
use crate::world::{pass, simulated, still};

#[test]
fn a_wallet_is_taken_over_as_it_is_and_an_order_is_filled_and_settled_to_the_micro_dollar() {
    simulated(async {
        let desk = Desk::new(still());
        let mut live = desk.start().await.unwrap();
        let ready = live.ready().await;
        assert_eq!(ready.money.cash, desk.cash());
        let market = desk.world.market("rain-tomorrow");
        let buy = Ask {
            outcome: Outcome::Yes,
            side: Side::Buy,
            cents: 56,
            shares: 10,
            urgency: Urgency::Now,
        };
        let before = desk.shares("rain-tomorrow", Outcome::Yes);
        live.signal(&market, desk.world.exchange.now(), buy).await;
        live.until("a fill", |glance| glance.money.cash < ready.money.cash).await;
        pass(120).await;
        let end = live.glance().unwrap();
        assert!(end.blockers.is_empty(), "{:?}", end.blockers);
        assert_eq!(desk.orders(), 1);
        assert_eq!(end.money.cash, desk.cash());
        assert!(end.money.cash < ready.money.cash - Usdc::whole(1));
        assert!(desk.shares("rain-tomorrow", Outcome::Yes) > before);
        let ended = live.stop().await;
        assert_eq!((ended.left_open, ended.verified_empty), (0, true));
        assert!(desk.halts.lock().unwrap().is_empty());
    });
}
