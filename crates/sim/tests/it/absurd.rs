//! Absurd input ends in a counted refusal, never in a panic or a broken sum.

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
        Event::Level(LevelChange { token, side, price, size, top: None })
    });
    let print = (token(), side(), price(), shares())
        .prop_map(|(token, side, price, size)| Event::Print(Print { token, side, price, size }));
    let levels = || proptest::collection::vec((price(), shares()), 0..6);
    let snapshot = (token(), levels(), levels())
        .prop_map(|(token, bids, asks)| Event::Snapshot(Arc::new(Snapshot { token, bids, asks })));
    let market = || any::<u32>().prop_map(|n| MarketKey(if n % 3 == 0 { n } else { 0 }));
    let tick =
        (market(), 0usize..6).prop_map(|(market, i)| Event::Tick { market, tick: Tick::ALL[i] });
    let state = (market(), 0u8..8).prop_map(|(market, i)| Event::State {
        market,
        state: match i {
            0 => MarketState::Closed,
            1 => MarketState::Disputed,
            2 => MarketState::Resolved(Payout::HALF),
            _ => MarketState::Open,
        },
    });
    let listed = (0u64..3).prop_map(|n| Event::Listed(Arc::new(Market::plain(n, "absurd"))));
    prop_oneof![4 => level, 4 => print, 4 => snapshot, 1 => tick, 1 => state, 1 => listed]
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
    let place = (id(), token(), side(), price(), size(), tif, any::<bool>()).prop_map(
        |(id, token, side, price, size, tif, post_only)| {
            Command::Place(PlaceOrder {
                id,
                strategy: StrategyId::OPERATOR,
                signal: SignalId(0),
                token,
                side,
                price,
                size,
                tif,
                post_only,
                decided_at: START,
            })
        },
    );
    let action = prop_oneof![
        shares().prop_map(SetAction::Split),
        shares().prop_map(SetAction::Merge),
        Just(SetAction::Redeem),
    ];
    let set = (id(), any::<u32>(), action).prop_map(|(id, market, action)| Command::Set {
        id,
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
        1 => id().prop_map(Command::Query),
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
        let mut news = Vec::new();
        let listing = Event::Listed(Arc::new(Market::plain(9, "absurd")));
        sim.on_market(&Stamped { at: START, venue_at: START, seq: 0, event: listing });
        let mut sent = 0;
        for (at, event, command) in acts {
            sim.advance(at, &mut news);
            sim.on_market(&Stamped { at, venue_at: at, seq: 0, event });
            sent += u64::from(matches!(command, Command::Place(_)));
            sim.submit(at, &command);
            prop_assert_eq!(sim.check_conservation(), Ok(()));
        }
        sim.advance(START + Span::secs(100_000), &mut news);
        prop_assert_eq!(sim.check_conservation(), Ok(()));
        prop_assert_eq!(sim.counters().orders, sent);
        prop_assert_eq!(sim.counters().orders_arrived, sent);
    }
}
