//! From Gamma's description to a tradable market: what is not understood is refused by name. And the
//! discovery clients against the local exchange.

use crate::common::*;
use futures_util::{StreamExt, TryStreamExt};
use polydesk_domain::{
    ConditionId, FeeRate, MarketState, Payout, ProtocolVersion, Side, Span, Tick, Tif, TokenId,
};
use polydesk_local_exchange::Setup;
use polydesk_local_exchange::wallets::WalletKind;
use polydesk_polymarket_api::ApiError;
use polydesk_polymarket_api::clob::MarketInfo;
use polydesk_polymarket_api::clob::request::OrderFilter;
use polydesk_polymarket_api::data::Data;
use polydesk_polymarket_api::gamma::{Found, Gamma, GammaMarket, Scope, TakerDelays};
use serde_json::{Value, json};

fn base() -> Value {
    json!({
        "id": "1",
        "version": "v1",
        "conditionId": format!("0x{}", "ab".repeat(32)),
        "clobTokenIds": "[\"11\",\"12\"]",
        "outcomes": "[\"Yes\",\"No\"]",
        "outcomePrices": "[\"0.4\",\"0.6\"]",
        "active": true,
        "closed": false,
        "archived": false,
        "acceptingOrders": true,
        "enableOrderBook": true,
        "negRisk": false,
        "orderPriceMinTickSize": 0.01,
        "orderMinSize": 5,
        "feesEnabled": true,
        "feeType": "sports_fees_v3",
        "feeSchedule": { "exponent": 1, "rate": 0.05, "takerOnly": true, "rebateRate": 0.15 },
        "endDate": "2027-01-01T00:00:00Z",
        "events": [{ "id": "7", "slug": "an-event", "negRiskAugmented": false }],
    })
}

fn gamma(changes: Value) -> GammaMarket {
    let mut market = base();
    for (key, value) in changes.as_object().unwrap() {
        if value == "absent" {
            market.as_object_mut().unwrap().remove(key);
        } else {
            market[key] = value.clone();
        }
    }
    serde_json::from_value(market).unwrap()
}

#[test]
fn a_plain_market_is_taken_over_with_its_facts() {
    let market =
        gamma(json!({ "secondsDelay": 3 })).to_market(None, TakerDelays::default()).unwrap();
    assert_eq!(market.version, ProtocolVersion::V1);
    assert_eq!((market.tick, market.min_size), (Tick::Cent, polydesk_domain::Shares::whole(5)));
    assert_eq!(
        market.fees.at(polydesk_domain::Time::from_secs(0)),
        Ok(FeeRate::checked(50_000, 1, 150_000).unwrap())
    );
    assert_eq!(market.state, MarketState::Open);
    assert_eq!(market.category, "sports");
    assert_eq!(market.event, "an-event");
    assert_eq!(market.taker_delay, Span::secs(3));
    assert!(market.assumed.is_empty());
}

#[test]
fn what_is_not_understood_is_refused_by_name() {
    let neg = |augmented: Value| {
        json!({
            "negRisk": true,
            "negRiskMarketID": format!("0x{}00", "cd".repeat(31)),
            "events": [{ "id": "7", "negRiskAugmented": augmented }],
        })
    };
    for (changes, part) in [
        (json!({ "version": "absent" }), "version is \"\""),
        (json!({ "version": "v3" }), "version is \"v3\""),
        // v1 markets may carry position ids; v2 markets need them.
        (json!({ "version": "v2" }), "positionIds"),
        (json!({ "conditionId": "0x12" }), "conditionId"),
        (json!({ "clobTokenIds": "[\"11\"]" }), "two tokens"),
        (json!({ "clobTokenIds": "[\"x\",\"y\"]" }), "clobTokenIds"),
        (json!({ "outcomes": "[\"A\",\"B\",\"C\"]" }), "two outcomes"),
        (json!({ "marketType": "scalar" }), "marketType"),
        (json!({ "orderPriceMinTickSize": 0.02 }), "orderPriceMinTickSize"),
        (json!({ "orderPriceMinTickSize": "absent" }), "orderPriceMinTickSize"),
        (json!({ "orderMinSize": "absent" }), "orderMinSize"),
        (json!({ "negRisk": "absent" }), "negRisk"),
        (json!({ "negRisk": true }), "negRiskMarketID"),
        (json!({ "feeSchedule": "absent" }), "unknown fee"),
        (json!({ "feeSchedule": "absent", "feesEnabled": "absent" }), "unknown fee"),
        (json!({ "feesEnabled": false }), "off and on"),
        (
            json!({ "feeSchedule": { "exponent": 3, "rate": 0.05, "takerOnly": true } }),
            "feeSchedule",
        ),
        (
            json!({ "feeSchedule": { "exponent": 1.5, "rate": 0.05, "takerOnly": true } }),
            "feeSchedule",
        ),
        (json!({ "feeSchedule": { "rate": 0.05, "takerOnly": true } }), "feeSchedule"),
        (json!({ "feeSchedule": { "exponent": 1, "rate": 5, "takerOnly": true } }), "feeSchedule"),
        (json!({ "feeSchedule": { "exponent": 1, "rate": 0.05, "takerOnly": false } }), "makers"),
        (json!({ "secondsDelay": -1 }), "secondsDelay"),
    ] {
        let refused =
            gamma(changes.clone()).to_market(None, TakerDelays::default()).unwrap_err().to_string();
        assert!(refused.contains(part), "{changes}: {refused:?} without {part:?}");
    }
    let complete = gamma(neg(json!(false))).to_market(None, TakerDelays::default()).unwrap();
    assert!(!complete.neg_risk.unwrap().augmented);
    // An unknown shape of the group counts as augmented, and is reported.
    let mut orphan = neg(json!(false));
    orphan["events"] = json!([]);
    let orphan = gamma(orphan).to_market(None, TakerDelays::default()).unwrap();
    assert!(orphan.neg_risk.unwrap().augmented && orphan.assumed.len() == 1);
    let free = gamma(json!({ "feesEnabled": false, "feeSchedule": "absent" }))
        .to_market(None, TakerDelays::default())
        .unwrap();
    assert_eq!(free.fees.at(polydesk_domain::Time::from_secs(0)), Ok(FeeRate::FREE));
}

#[test]
fn the_clob_has_the_last_word_except_against_a_contradiction() {
    let info = |changes: Value| -> MarketInfo {
        let mut info = json!({ "mts": 0.001, "mos": 15, "fd": { "r": 0.05, "e": 1, "to": true }, "itode": true });
        for (key, value) in changes.as_object().unwrap() {
            info[key] = value.clone();
        }
        serde_json::from_value(info).unwrap()
    };
    let market =
        gamma(json!({})).to_market(Some(&info(json!({}))), TakerDelays::default()).unwrap();
    assert_eq!(
        (market.tick, market.min_size),
        (Tick::Thousandth, polydesk_domain::Shares::whole(15))
    );
    assert_eq!(market.taker_delay, Span::millis(150));
    for (changes, part) in [
        (json!({ "nr": true }), "negRisk"),
        (json!({ "fd": { "r": 0.07, "e": 1, "to": true } }), "taker fee"),
        (json!({ "fd": { "r": 0.05, "e": 2, "to": true } }), "taker fee"),
        (json!({ "fd": { "r": 0.05, "e": 1, "to": false } }), "makers"),
        (json!({ "mts": 0.3 }), "Tick"),
    ] {
        let refused = gamma(json!({}))
            .to_market(Some(&info(changes.clone())), TakerDelays::default())
            .unwrap_err()
            .to_string();
        assert!(refused.contains(part), "{changes}: {refused}");
    }
}

#[test]
fn the_life_of_a_market_is_read_from_all_its_flags() {
    for (changes, state) in [
        (json!({}), MarketState::Open),
        (json!({ "acceptingOrders": false }), MarketState::Paused),
        (json!({ "acceptingOrders": "absent" }), MarketState::Paused),
        (json!({ "active": false }), MarketState::Paused),
        (json!({ "enableOrderBook": false }), MarketState::Paused),
        (json!({ "archived": true }), MarketState::Closed),
        (json!({ "umaResolutionStatus": "disputed" }), MarketState::Disputed),
        (
            json!({ "closed": true, "umaResolutionStatus": "disputed",
                    "outcomePrices": "[\"1\", \"0\"]" }),
            MarketState::Disputed,
        ),
        // Closed while `acceptingOrders` is still set: seen in production.
        (json!({ "closed": true }), MarketState::Closed),
        (
            json!({ "closed": true, "outcomePrices": "[\"1\",\"0\"]" }),
            MarketState::Resolved(Payout::YES),
        ),
        (
            json!({ "closed": true, "outcomePrices": "[\"0\",\"1\"]" }),
            MarketState::Resolved(Payout::NO),
        ),
        (
            json!({ "closed": true, "outcomePrices": "[\"0.5\",\"0.5\"]", "umaResolutionStatus": "resolved" }),
            MarketState::Resolved(Payout::HALF),
        ),
        // What an untraded market shows is no resolution.
        (json!({ "closed": true, "outcomePrices": "[\"0.5\",\"0.5\"]" }), MarketState::Closed),
        (json!({ "closed": true, "outcomePrices": "[\"0\",\"0\"]" }), MarketState::Closed),
        (json!({ "closed": false, "outcomePrices": "[\"1\",\"0\"]" }), MarketState::Open),
    ] {
        assert_eq!(gamma(changes.clone()).state(), state, "{changes}");
    }
}

#[test]
fn discovery_lists_what_the_exchange_trades() {
    run(async {
        let world = World::new(Setup { liquidity: true, ..Setup::test() }).await;
        let gamma = Gamma::new(world.http.clone(), &world.endpoints.gamma, world.limits.clone());
        // Page by page: a limit of three makes several.
        let filters = vec![("limit".to_owned(), "3".to_owned())];
        let markets: Vec<GammaMarket> = gamma.markets(filters).try_collect().await.unwrap();
        assert_eq!(markets.len(), world.universe.len());
        for market in &markets {
            let condition = market.condition_id.parse().unwrap();
            let info = world.clob.market_info(&condition).await.unwrap();
            let found = market
                .to_market(Some(&info), TakerDelays::default())
                .unwrap_or_else(|error| panic!("{error}"));
            let truth = world.market(&market.slug);
            assert_eq!(
                (found.condition, found.tokens, found.tick),
                (truth.condition, truth.tokens, truth.tick)
            );
            assert_eq!((found.min_size, &found.version), (truth.min_size, &truth.version));
            let now = world.clock.now();
            let fee =
                |m: &polydesk_domain::Market| m.fees.at(now).map(|f| (f.rate_ppm, f.exponent));
            assert_eq!(fee(&found), fee(&truth), "{}", market.slug);
            assert_eq!(
                found.neg_risk.as_ref().map(|n| n.augmented),
                truth.neg_risk.as_ref().map(|n| n.augmented)
            );
            assert_eq!(found.taker_delay, truth.taker_delay, "{}", market.slug);
            assert_eq!(found.state, MarketState::Open);
        }
        let rain = world.market("rain-tomorrow");
        let by_token = gamma.markets_by_token(&rain.tokens, Scope::Open).await.unwrap();
        assert_eq!(
            (by_token.markets.len(), by_token.missing),
            (1, Vec::new()),
            "once by both tokens"
        );
        assert_eq!(
            gamma.market_by_slug("rain-tomorrow").await.unwrap().condition_id,
            rain.condition.to_string()
        );
        let events: Vec<_> = gamma.events(Vec::new()).try_collect().await.unwrap();
        assert!(events.iter().any(|event| event.neg_risk && event.markets.len() == 3));
        assert!(!gamma.search("rain", Vec::new()).await.unwrap().events.is_empty());
        assert!(!gamma.tags(100, 0).await.unwrap().is_empty());

        // The Data API knows what happened, under the wallet that holds the funds.
        let (maker, taker) =
            (world.trader(0, WalletKind::Deposit), world.trader(1, WalletKind::Deposit));
        maker.place(&ask(&rain, 0, Side::Buy, 45, 20, Tif::Gtc)).await.unwrap();
        taker.place(&ask(&rain, 0, Side::Sell, 45, 20, Tif::Fok)).await.unwrap();
        world.exchange.advance(Span::secs(60));
        let data = Data::new(world.http.clone(), &world.endpoints.data, world.limits.clone());
        // The house account has the better bid: the seller is the one who traded.
        let wallet = taker.signer.maker().to_string();
        let positions = data.positions(&wallet, Vec::new()).await.unwrap();
        assert!(positions.iter().any(|position| position.asset == rain.tokens[0].to_string()));
        let second: Vec<_> = data.positions_v2(&wallet, Vec::new()).try_collect().await.unwrap();
        assert!(second.iter().any(|position| position.token_id == rain.tokens[0].to_string()));
        let activity: Vec<_> =
            data.activity_v2(&wallet, None, Vec::new()).try_collect().await.unwrap();
        assert!(!activity.is_empty());
        let trades: Vec<_> = data.trades_v2(Vec::new()).try_collect().await.unwrap();
        assert!(!trades.is_empty());
        assert!(!data.holders(&rain.condition, 10).await.unwrap().is_empty());
        assert!(data.value_v2(&wallet).await.unwrap().is_some());
    });
}

#[test]
fn lookups_find_open_and_closed_markets_and_name_the_ids_that_did_not_come() {
    run(async {
        let world = World::new(Setup { liquidity: true, ..Setup::test() }).await;
        let gamma = Gamma::new(world.http.clone(), &world.endpoints.gamma, world.limits.clone());
        let (rain, ada) = (world.market("rain-tomorrow"), world.market("ada-wins"));
        let key = world.universe.key(&ada.condition).unwrap();
        world.exchange.venue(|venue| venue.resolve(key, Payout::YES));
        let unknown = ConditionId::from_bytes([7; 32]);
        let ids = [unknown, ada.condition, rain.condition];
        let slugs = |found: &Found<ConditionId>| -> Vec<String> {
            found.markets.iter().map(|market| market.slug.clone()).collect()
        };
        let open = gamma.markets_by_condition(&ids, Scope::Open).await.unwrap();
        assert_eq!(
            (slugs(&open), open.missing),
            (vec![rain.slug.clone()], vec![unknown, ada.condition])
        );
        let both = gamma.markets_by_condition(&ids, Scope::OpenAndClosed).await.unwrap();
        assert_eq!(slugs(&both), [rain.slug.clone(), ada.slug.clone()]);
        assert_eq!(both.missing, [unknown]);
        assert_eq!(both.markets[1].state(), MarketState::Resolved(Payout::YES));
        let tokens = [ada.tokens[1], TokenId::from_bytes([9; 32]), rain.tokens[0]];
        let found = gamma.markets_by_token(&tokens, Scope::OpenAndClosed).await.unwrap();
        assert_eq!((found.markets.len(), found.missing), (2, vec![tokens[1]]));
        // More ids than fit one request.
        let many: Vec<_> =
            (0..150u8).map(|n| ConditionId::from_bytes([n; 32])).chain(ids).collect();
        let found = gamma.markets_by_condition(&many, Scope::OpenAndClosed).await.unwrap();
        assert_eq!((found.markets.len(), found.missing.len()), (2, 151));
    });
}

#[test]
fn a_row_that_cannot_be_read_is_an_item_and_the_list_goes_on() {
    run(async {
        let world = World::new(Setup { liquidity: true, ..Setup::test() }).await;
        let gamma = Gamma::new(world.http.clone(), &world.endpoints.gamma, world.limits.clone());
        let rain = world.market("rain-tomorrow");
        let odd = "[[reads]]\nendpoint = \"GET /markets/keyset\"\nact = \"contradict\"\n\
                   replace = [['\"Will it rain tomorrow?\"', '{}'], ['\"Hawks vs. Owls\"', '[1]']]";
        world.exchange.inject_toml(odd).unwrap();
        let rows: Vec<_> = gamma.markets(Vec::new()).collect().await;
        let (good, bad): (Vec<_>, Vec<_>) = rows.into_iter().partition(Result::is_ok);
        assert_eq!((good.len(), bad.len()), (5, 2));
        let Err(ApiError::BadRow { list, row: 1, excerpt, .. }) = &bad[0] else {
            panic!("{bad:?}")
        };
        assert_eq!(list, "GET /markets/keyset");
        assert!(excerpt.starts_with('{'), "{excerpt}");
        // Whoever needs all of them still gets all or nothing.
        let all: Result<Vec<_>, _> = gamma.markets(Vec::new()).try_collect().await;
        assert!(matches!(all, Err(ApiError::BadRow { .. })), "{all:?}");
        let found = gamma.markets_by_condition(&[rain.condition], Scope::Open).await.unwrap();
        assert_eq!(
            (found.markets.len(), found.missing, found.unreadable.len()),
            (0, vec![rain.condition], 1)
        );
    });
}

#[test]
fn own_orders_and_trades_are_read_whole_or_not_at_all() {
    run(async {
        let world = World::new(Setup::test()).await;
        let trader = world.trader(0, WalletKind::Eoa);
        let rain = world.market("rain-tomorrow");
        for cents in [20, 21] {
            trader.place(&ask(&rain, 0, Side::Buy, cents, 10, Tif::Gtc)).await.unwrap();
        }
        let odd = "[[reads]]\nendpoint = \"GET /data/orders\"\nact = \"contradict\"\n\
                   replace = [['\"0.21\"', '{}']]";
        world.exchange.inject_toml(odd).unwrap();
        let error = trader.clob.open_orders(&OrderFilter::default()).await.unwrap_err();
        assert!(matches!(error, ApiError::Malformed { .. }), "{error:?}");
    });
}
