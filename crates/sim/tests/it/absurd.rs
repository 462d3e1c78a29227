//! Absurd input is refused and counted; it causes no panic and no broken sum.

use std::sync::Arc;

use crate::common::START;
use polydesk_domain::*;
use polydesk_sim::{QueueModel, Sim, SimConfig};
use proptest::prelude::*;

fn price() -> impl Strategy<Value = Price> {
    prop_oneof![Just(0u16), Just(1), Just(10_000), Just(9_999), 0u16..=10_000]
        .prop_map(|units| Price::new(units).unwrap())
}

fn shares() -> impl Strategy<Value = Shares> {
    let limits = prop_oneof![Just(0u64), Just(1), Just(u64::MAX), Just(100_000_000_000_000_000)];
    prop_oneof![limits, any::<u64>(), 0u64..100_000_000].prop_map(Shares::new)
}

fn size() -> impl Strategy<Value = Size> {
    let spend = prop_oneof![Just(i64::MAX), Just(i64::MIN), Just(0), 0i64..100_000_000];
    prop_oneof![
        shares().prop_map(Size::Shares),
        shares().prop_map(|shares| Size::Shares(shares.floor_cents())),
        spend.prop_map(|micros| Size::Spend(Usdc::new(micros))),
        (0i64..1_000_000_000).prop_map(|cents| Size::Spend(Usdc::cents(cents))),
    ]
}

fn time() -> impl Strategy<Value = Time> {
    prop_oneof![
        8 => (0i64..1_000_000).prop_map(|millis| START + Span::millis(millis)),
        1 => Just(Time::MIN),
    ]
}

fn token() -> impl Strategy<Value = Token> {
    prop_oneof![6 => (0u32..2).prop_map(Token), 1 => any::<u32>().prop_map(Token)]
}

fn side() -> impl Strategy<Value = Side> {
    any::<bool>().prop_map(|buy| if buy { Side::Buy } else { Side::Sell })
}

fn event() -> impl Strategy<Value = Event> {
    let level = (token(), side(), price(), shares()).prop_map(|(token, side, price, size)| {
        Event::Market(MarketEvent::Level(LevelChange { token, side, price, size, top: None }))
    });
    let print = (token(), side(), price(), shares()).prop_map(|(token, side, price, size)| {
        Event::Market(MarketEvent::Print(Print { token, side, price, size }))
    });
    let levels = || proptest::collection::vec((price(), shares()), 0..6);
    let snapshot = (token(), levels(), levels()).prop_map(|(token, bids, asks)| {
        Event::Market(MarketEvent::Snapshot(Arc::new(BookSnapshot { token, bids, asks })))
    });
    let market = || any::<u32>().prop_map(|n| MarketKey(if n % 3 == 0 { n } else { 0 }));
    let tick = (market(), 0usize..6)
        .prop_map(|(market, i)| Event::Market(MarketEvent::Tick { market, tick: Tick::ALL[i] }));
    let state = (market(), 0u8..8).prop_map(|(market, i)| {
        Event::Market(MarketEvent::State {
            market,
            state: match i {
                0 => MarketState::Closed,
                1 => MarketState::Disputed,
                2 => MarketState::Resolved(Payout::HALF),
                _ => MarketState::Open,
            },
        })
    });
    let listed = (0u64..3, 0u32..4).prop_map(|(n, key)| {
        Event::Market(MarketEvent::Listed {
            key: MarketKey(key),
            market: Arc::new(Market::plain(n, "absurd")),
        })
    });
    let delisted =
        (0u32..5).prop_map(|key| Event::Market(MarketEvent::Delisted { market: MarketKey(key) }));
    prop_oneof![
        4 => level, 4 => print, 4 => snapshot, 1 => tick, 1 => state, 1 => listed, 1 => delisted,
    ]
}

fn command() -> impl Strategy<Value = Command> {
    let id = || (0u64..8).prop_map(ClientOrderId);
    let tif = prop_oneof![
        Just(Tif::Gtc),
        Just(Tif::Fok),
        Just(Tif::Fak),
        Just(Tif::Gtd { expires: Time::MAX }),
        Just(Tif::Gtd { expires: Time::MIN }),
    ];
    let order = (id(), token(), side(), price(), size(), tif, any::<bool>())
        .prop_map(|(id, token, side, price, size, tif, post_only)| PlaceOrder {
            id,
            strategy: StrategyId::OPERATOR,
            signal: None,
            basket: None,
            token,
            side,
            price,
            size,
            tif,
            post_only,
            decided_at: START,
            data_at: START,
            expires: Time::MIN,
        })
        .boxed();
    let place = prop_oneof![
        12 => proptest::collection::vec(order.clone(), 1..4),
        1 => proptest::collection::vec(order, 0..20),
    ]
    .prop_map(Command::Place);
    let action = prop_oneof![
        shares().prop_map(Conversion::Split),
        shares().prop_map(Conversion::Merge),
        Just(Conversion::Redeem),
    ];
    let set = (id(), any::<u32>(), action).prop_map(|(id, market, action)| Command::Convert {
        id: ConversionId(id.0),
        strategy: StrategyId::OPERATOR,
        market: MarketKey(if market % 3 == 0 { market } else { 0 }),
        action,
    });
    let all = any::<u32>()
        .prop_map(|n| Command::CancelAll(Some(MarketKey(if n % 3 == 0 { n } else { 0 }))));
    prop_oneof![
        8 => place,
        2 => set,
        1 => id().prop_map(Command::Cancel),
        1 => id().prop_map(|id| Command::Query(Query::Order(id))),
        1 => id().prop_map(|id| Command::Query(Query::Conversion(ConversionId(id.0)))),
        1 => all,
    ]
}

proptest! {
    #![proptest_config(crate::common::cases())]

    #[test]
    fn absurd_input_is_refused_and_counted(
        acts in proptest::collection::vec((time(), event(), command()), 1..60),
        exponent in 1u8..=8,
    ) {
        let config = SimConfig {
            starting_cash: Usdc::whole(1_000_000_000),
            queue: QueueModel::Power { exponent },
            ..SimConfig::default()
        };
        let mut sim = Sim::new(config, 0).unwrap();
        let mut events = Vec::new();
        let listing = Event::Market(MarketEvent::Listed {
            key: MarketKey(0),
            market: Arc::new(Market::plain(9, "absurd")),
        });
        sim.on_market(&Stamped { at: START, venue_at: START, seq: 0, event: listing });
        let mut sent = 0;
        for (at, event, command) in acts {
            sim.advance(at, &mut events);
            sim.on_market(&Stamped { at, venue_at: at, seq: 0, event });
            if let Command::Place(orders) = &command {
                sent += orders.len() as u64;
            }
            sim.submit(at, &command);
            prop_assert_eq!(sim.check_conservation(), Ok(()));
        }
        sim.advance(START + Span::secs(100_000), &mut events);
        prop_assert_eq!(sim.check_conservation(), Ok(()));
        prop_assert_eq!(sim.counters().orders, sent);
        prop_assert_eq!(sim.counters().orders_arrived, sent);
    }
}
