//! Every endpoint the venue documents, and the call for it. The table is the documentation
//! (`docs/endpoints.md` is written from it), and it is kept true: what it calls local is called here over
//! sockets, and nothing is called that it does not list.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::common::*;
use futures_util::TryStreamExt;
use polydesk_domain::{ConditionId, Side, Span, Tif, Time};
use polydesk_local_exchange::venue::Session;
use polydesk_local_exchange::wallets::{TEST_KEYS, WalletKind};
use polydesk_local_exchange::{Received, Setup};
use polydesk_polymarket_api::clob::request::{
    Asset, MarketList, OrderFilter, Stretch, TradeFilter,
};
use polydesk_polymarket_api::clob::{LiveActivity, RewardMarket, SessionSigners, geoblock};
use polydesk_polymarket_api::data::{
    BiggestWinner, Builder, BuilderDay, BuilderV2, ComboActivity, ComboPosition, Data, Freshness,
    HoldersV2, LiveVolumeV2, MarketPositions, OpenInterestV2, PricePointV2, Standing, UserPnl,
    UserStats, UserVolume, Window,
};
use polydesk_polymarket_api::gamma::{Comment, CommentsOn, Gamma, RelatedTag};
use polydesk_polymarket_api::{ApiError, Credentials, L2Auth, Secret, SignatureType};
use polydesk_polymarket_wallet::signing::{Key, create_api_key, derive_api_key};
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// How a call is shown to work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    /// Called over sockets: the local exchange answers.
    Local,
    /// Called too, but a fault rule gives the response, from `fixtures/wire/`: the local exchange has nothing true
    /// to say.
    Fixture(&'static str),
    /// Another form of the same, never sent: `method` names the call that does it.
    Twin,
}
use Proof::{Fixture, Local, Twin};

/// Service, endpoint, the call for it, how it is shown to work.
type Row = (&'static str, &'static str, &'static str, Proof);

const TABLE: &[Row] = &[
    ("CLOB: the venue", "GET /time", "Clob::sync_clock", Local),
    ("CLOB: the venue", "GET /version", "Clob::version", Local),
    ("CLOB: the venue", "GET /ok", "Clob::ok", Local),
    ("CLOB: market data", "GET /book", "Clob::book", Local),
    ("CLOB: market data", "POST /books", "Clob::books", Local),
    ("CLOB: market data", "GET /price", "Clob::price", Local),
    ("CLOB: market data", "POST /prices", "Clob::prices", Local),
    ("CLOB: market data", "GET /prices", "Clob::prices", Twin),
    ("CLOB: market data", "GET /midpoint", "Clob::midpoint", Local),
    ("CLOB: market data", "POST /midpoints", "Clob::midpoints", Local),
    ("CLOB: market data", "GET /spread", "Clob::spread", Local),
    ("CLOB: market data", "POST /spreads", "Clob::spreads", Local),
    ("CLOB: market data", "GET /last-trade-price", "Clob::last_trade_price", Local),
    ("CLOB: market data", "POST /last-trades-prices", "Clob::last_trades_prices", Local),
    ("CLOB: market data", "GET /last-trades-prices", "Clob::last_trades_prices", Twin),
    ("CLOB: market data", "GET /tick-size", "Clob::tick_size", Local),
    ("CLOB: market data", "GET /tick-size/{token}", "Clob::tick_size", Twin),
    ("CLOB: market data", "GET /neg-risk", "Clob::neg_risk", Local),
    ("CLOB: market data", "GET /fee-rate", "Clob::legacy_fee_cap", Local),
    ("CLOB: market data", "GET /markets", "Clob::markets", Local),
    ("CLOB: market data", "GET /markets/{condition}", "Clob::market", Local),
    ("CLOB: market data", "GET /simplified-markets", "Clob::all_markets", Local),
    ("CLOB: market data", "GET /sampling-markets", "Clob::all_markets", Local),
    ("CLOB: market data", "GET /sampling-simplified-markets", "Clob::all_markets", Local),
    ("CLOB: market data", "GET /clob-markets/{condition}", "Clob::market_info", Local),
    ("CLOB: market data", "GET /markets-by-token/{token}", "Clob::market_by_token", Local),
    ("CLOB: market data", "GET /prices-history", "Clob::prices_history", Local),
    ("CLOB: market data", "POST /batch-prices-history", "Clob::batch_prices_history", Local),
    ("CLOB: market data", "POST /markets/live-activity", "Clob::live_activities", Local),
    ("CLOB: market data", "GET /markets/live-activity/{condition}", "Clob::live_activity", Local),
    ("CLOB: keys", "POST /auth/api-key", "Clob::create_api_key", Local),
    ("CLOB: keys", "GET /auth/derive-api-key", "Clob::derive_api_key", Local),
    ("CLOB: keys", "GET /auth/api-keys", "Clob::api_keys", Local),
    ("CLOB: keys", "DELETE /auth/api-key", "Clob::delete_api_key", Local),
    ("CLOB: keys", "POST /auth/readonly-api-key", "Clob::create_readonly_key", Local),
    ("CLOB: keys", "GET /auth/readonly-api-keys", "Clob::readonly_keys", Local),
    ("CLOB: keys", "DELETE /auth/readonly-api-key", "Clob::delete_readonly_key", Local),
    ("CLOB: keys", "GET /auth/ban-status/closed-only", "Clob::closed_only", Local),
    ("CLOB: keys", "POST /auth/builder-api-key", "Clob::create_builder_key", Local),
    ("CLOB: keys", "GET /auth/builder-api-key", "Clob::builder_keys", Local),
    ("CLOB: keys", "DELETE /auth/builder-api-key", "Clob::delete_builder_key", Local),
    ("CLOB: keys", "GET /v1/user/session-signers", "Clob::session_signers", Local),
    ("CLOB: orders", "POST /order", "Clob::place", Local),
    ("CLOB: orders", "POST /orders", "Clob::place_batch", Local),
    ("CLOB: orders", "DELETE /order", "Clob::cancel", Local),
    ("CLOB: orders", "DELETE /orders", "Clob::cancel_orders", Local),
    ("CLOB: orders", "DELETE /cancel-all", "Clob::cancel_all", Local),
    ("CLOB: orders", "DELETE /cancel-market-orders", "Clob::cancel_market", Local),
    ("CLOB: orders", "POST /v1/heartbeats", "Clob::heartbeat", Local),
    ("CLOB: orders", "POST /heartbeats", "Clob::heartbeat_without_id", Local),
    ("CLOB: own state", "GET /data/orders", "Clob::open_orders", Local),
    ("CLOB: own state", "GET /data/order/{order}", "Clob::order", Local),
    ("CLOB: own state", "GET /order/{order}", "Clob::order", Twin),
    ("CLOB: own state", "GET /data/trades", "Clob::trades", Local),
    ("CLOB: own state", "GET /balance-allowance", "Clob::balance_allowance", Local),
    ("CLOB: own state", "GET /balance-allowance/update", "Clob::update_balance_allowance", Local),
    ("CLOB: own state", "PUT /balance-allowance", "Clob::update_balance_allowance", Twin),
    ("CLOB: own state", "GET /notifications", "Clob::notifications", Local),
    ("CLOB: own state", "DELETE /notifications", "Clob::dismiss_notifications", Local),
    ("CLOB: fees and rewards", "GET /fees/builder-fees/{code}", "Clob::builder_fees", Local),
    ("CLOB: fees and rewards", "GET /builder/trades", "Clob::builder_trades", Local),
    ("CLOB: fees and rewards", "GET /rebates/current", "Clob::rebates", Local),
    ("CLOB: fees and rewards", "GET /rewards/markets/current", "Clob::rewards_current", Local),
    ("CLOB: fees and rewards", "GET /rewards/markets/{condition}", "Clob::rewards_market", Local),
    ("CLOB: fees and rewards", "GET /rewards/markets/multi", "Clob::rewards_markets", Local),
    ("CLOB: fees and rewards", "GET /rewards/user", "Clob::rewards_user", Local),
    ("CLOB: fees and rewards", "GET /rewards/user/total", "Clob::rewards_user_total", Local),
    ("CLOB: fees and rewards", "GET /rewards/user/markets", "Clob::rewards_user_markets", Local),
    (
        "CLOB: fees and rewards",
        "GET /rewards/user/percentages",
        "Clob::rewards_user_percentages",
        Local,
    ),
    ("CLOB: fees and rewards", "GET /order-scoring", "Clob::order_scoring", Local),
    ("CLOB: fees and rewards", "POST /orders-scoring", "Clob::orders_scoring", Local),
    ("CLOB: fees and rewards", "GET /orders-scoring", "Clob::orders_scoring", Twin),
    ("Web site", "GET /api/geoblock", "clob::geoblock", Local),
    ("Gamma", "GET /status", "Gamma::status", Local),
    ("Gamma", "GET /markets/keyset", "Gamma::markets", Local),
    ("Gamma", "GET /markets", "Gamma::markets", Twin),
    ("Gamma", "GET /markets/{id}", "Gamma::market", Local),
    ("Gamma", "GET /markets/slug/{slug}", "Gamma::market_by_slug", Local),
    ("Gamma", "GET /markets/{id}/tags", "Gamma::market_tags", Local),
    ("Gamma", "GET /events/keyset", "Gamma::events", Local),
    ("Gamma", "GET /events", "Gamma::events", Twin),
    ("Gamma", "GET /events/{id}", "Gamma::event", Local),
    ("Gamma", "GET /events/slug/{slug}", "Gamma::event_by_slug", Local),
    ("Gamma", "GET /events/{id}/tags", "Gamma::event_tags", Local),
    ("Gamma", "GET /tags", "Gamma::tags", Local),
    ("Gamma", "GET /tags/{id}", "Gamma::tag", Local),
    ("Gamma", "GET /tags/slug/{slug}", "Gamma::tag_by_slug", Local),
    ("Gamma", "GET /tags/{id}/related-tags", "Gamma::related_tags", Local),
    ("Gamma", "GET /tags/slug/{slug}/related-tags", "Gamma::related_tags_by_slug", Local),
    ("Gamma", "GET /tags/{id}/related-tags/tags", "Gamma::tags_related_to", Local),
    ("Gamma", "GET /tags/slug/{slug}/related-tags/tags", "Gamma::tags_related_to_slug", Local),
    ("Gamma", "GET /series", "Gamma::series", Local),
    ("Gamma", "GET /series/{id}", "Gamma::series_by_id", Local),
    ("Gamma", "GET /sports", "Gamma::sports", Local),
    ("Gamma", "GET /sports/market-types", "Gamma::sports_market_types", Local),
    ("Gamma", "GET /teams", "Gamma::teams", Local),
    ("Gamma", "GET /public-search", "Gamma::search", Local),
    ("Gamma", "GET /public-profile", "Gamma::profile", Local),
    ("Gamma", "GET /comments", "Gamma::comments_page", Local),
    ("Gamma", "GET /comments/keyset", "Gamma::comments", Local),
    ("Gamma", "GET /comments/{id}", "Gamma::comment_thread", Local),
    ("Gamma", "GET /comments/user_address/{wallet}", "Gamma::comments_of", Local),
    ("Data v1", "GET /positions", "Data::positions", Local),
    ("Data v1", "GET /closed-positions", "Data::closed_positions", Local),
    ("Data v1", "GET /activity", "Data::activity", Local),
    ("Data v1", "GET /trades", "Data::trades", Local),
    ("Data v1", "GET /value", "Data::value", Local),
    ("Data v1", "GET /traded", "Data::traded", Local),
    ("Data v1", "GET /holders", "Data::holders", Local),
    ("Data v1", "GET /oi", "Data::open_interest", Local),
    ("Data v1", "GET /live-volume", "Data::live_volume", Local),
    ("Data v1", "GET /v1/leaderboard", "Data::leaderboard", Local),
    ("Data v1", "GET /v1/market-positions", "Data::market_positions", Local),
    ("Data v1", "GET /v1/builders/leaderboard", "Data::builders", Local),
    ("Data v1", "GET /v1/builders/volume", "Data::builders_volume", Local),
    ("Data v1", "GET /v1/accounting/snapshot", "Data::accounting_snapshot", Local),
    ("Data v2", "GET /v2/trades", "Data::trades_v2", Local),
    ("Data v2", "GET /v2/activity", "Data::activity_v2", Local),
    ("Data v2", "GET /v2/positions", "Data::positions_v2", Local),
    ("Data v2", "GET /v2/value", "Data::value_v2", Local),
    ("Data v2", "GET /v2/user-stats", "Data::user_stats", Local),
    ("Data v2", "GET /v2/user-volume", "Data::user_volume", Local),
    ("Data v2", "GET /v2/user-pnl", "Data::user_pnl", Local),
    ("Data v2", "GET /v2/leaderboard", "Data::leaderboard_v2", Local),
    ("Data v2", "GET /v2/leaderboard?user=", "Data::standing", Local),
    (
        "Data v2",
        "GET /v2/biggest-winners",
        "Data::biggest_winners",
        Fixture("data_v2_biggest_winners"),
    ),
    ("Data v2", "GET /v2/builders/leaderboard", "Data::builders_v2", Local),
    ("Data v2", "GET /v2/builders/volume", "Data::builders_volume_v2", Local),
    ("Data v2", "GET /v2/holders", "Data::holders_v2", Local),
    ("Data v2", "GET /v2/tokens", "Data::tokens_v2", Local),
    ("Data v2", "GET /v2/tokens?condition=", "Data::tokens_of_v2", Local),
    ("Data v2", "GET /v2/oi", "Data::open_interest_v2", Local),
    ("Data v2", "GET /v2/live-volume", "Data::live_volume_v2", Local),
    ("Data v2", "GET /v2/prices-history", "Data::prices_history_v2", Local),
    ("Data v2", "GET /v2/resolutions", "Data::resolutions", Local),
    ("Data v2", "GET /v2/resolutions?event_id=", "Data::resolutions_of", Local),
    ("Data v2", "GET /v2/approvals", "Data::approvals", Fixture("data_v2_approvals")),
    ("Data v2", "GET /v2/positions/combos", "Data::combo_positions", Local),
    ("Data v2", "GET /v2/activity/combos", "Data::combo_activity", Local),
    ("Data v2", "GET /v2/status", "Data::status", Local),
];

#[test]
fn the_table_is_the_documentation() {
    let mut page = "\
# Endpoints and calls

Every REST endpoint of the venue's documentation, and the call of `polydesk-polymarket-api` for it. This page
is written by the test `endpoints` of that crate (`UPDATE_EXPECT=1`), which also makes each call
over sockets against `crates/local-exchange`. *Local*: it answers from its own state. *Fixture*: the answer is
one of `fixtures/wire/`, because the local exchange would have to invent it.

*Twin*: another form of the same, not sent. Of reads in batches the POST form is used, because long lists do
not fit a URL; of Gamma's lists the keyset form, because the lists by offset are deprecated.

There is no endpoint for fee tiers. A market's fee is in `Clob::market_info` and in Gamma's market, a builder's
in `Clob::builder_fees`; an account's tier comes in the header `Poly-RateLimit-Tier` of answers to orders
(`RateLimits::signer_state`).

What a call takes and gives stands in its documentation; UNCERTAIN there marks what no source settles.
"
    .to_owned();
    let mut heading = "";
    for (service, endpoint, call, proof) in TABLE {
        if *service != heading {
            heading = service;
            let _ =
                write!(page, "\n## {service}\n\n| endpoint | call | shown by |\n|---|---|---|\n");
        }
        let proof = match proof {
            Local => "local".to_owned(),
            Fixture(name) => format!("fixture `{name}`"),
            Twin => "twin".to_owned(),
        };
        let _ = writeln!(page, "| `{endpoint}` | `{call}` | {proof} |");
    }
    expect_test::expect_file!["../../../../docs/endpoints.md"].assert_eq(&page);

    // Each call exists, and each fixture.
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../polymarket-api/src/");
    let mut sources = BTreeMap::new();
    for api in ["clob", "gamma", "data"] {
        let files = std::fs::read_dir(format!("{folder}{api}")).unwrap();
        let text: String =
            files.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        sources.insert(api, text);
    }
    for (_, endpoint, call, proof) in TABLE {
        let (api, name) = call.split_once("::").unwrap();
        let source = &sources[api.to_lowercase().as_str()];
        let found = source.contains(&format!("fn {name}("));
        assert!(found, "{endpoint}: there is no {call}");
        if let Fixture(name) = proof {
            fixture(name);
        }
    }
}

fn fixture(name: &str) -> Value {
    let path = format!("{}/../../fixtures/wire/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap()
}

/// The next answer of an endpoint is a fixture.
fn answer_with(world: &World, endpoint: &str, name: &str) {
    let fault = format!(
        "[[answers]]\nendpoint = \"{endpoint}\"\ncalls = \"1\"\nstatus = 200\nbody = '''{}'''\n",
        fixture(name)
    );
    world.exchange.inject_toml(&fault).unwrap_or_else(|error| panic!("{name}: {error}"));
}

fn decimal(text: &str) -> Decimal {
    text.parse().unwrap()
}

/// The row a request belongs to: of those that fit, the one with the most parts given, and the first of
/// equals.
fn row_of(request: &Received) -> Option<usize> {
    let service = match request.service.name() {
        "clob" => "CLOB",
        "gamma" => "Gamma",
        "data" => "Data",
        _ => "Web site",
    };
    let parts: Vec<&str> = request.path.split('/').collect();
    let open = |part: &str| part.starts_with('{');
    let fits = |(index, row): (usize, &Row)| {
        let (verb, pattern) = row.1.split_once(' ')?;
        let pattern: Vec<&str> = pattern.split('?').next()?.split('/').collect();
        let same = row.0.starts_with(service)
            && verb == request.method
            && pattern.len() == parts.len()
            && pattern.iter().zip(&parts).all(|(p, part)| open(p) || p == part);
        same.then(|| (pattern.iter().filter(|part| !open(part)).count(), index))
    };
    let scored = TABLE.iter().enumerate().rev().filter_map(fits);
    scored.max_by_key(|(given, _)| *given).map(|(_, index)| index)
}

#[test]
fn every_local_endpoint_is_called_and_nothing_else() {
    run(async {
        let world = World::new(Setup { liquidity: true, ..Setup::test() }).await;
        let condition = clob_public(&world).await;
        clob_keys(&world).await;
        clob_private(&world, &condition).await;
        gamma(&world).await;
        data(&world, &condition).await;

        let mut called = BTreeSet::new();
        for request in world.exchange.received() {
            let what = format!("{} {}", request.method, request.path);
            called.insert(row_of(&request).unwrap_or_else(|| panic!("{what} stands in no row")));
        }
        // Rows with a query share their path with the row before them.
        let wrong: Vec<_> = TABLE
            .iter()
            .enumerate()
            .filter(|(index, row)| {
                !row.1.contains('?') && called.contains(index) == (row.3 == Twin)
            })
            .map(|(_, row)| row)
            .collect();
        assert!(wrong.is_empty(), "not called, or called in spite of its twin: {wrong:?}");
    });
}

async fn clob_public(world: &World) -> ConditionId {
    let clob = &world.clob;
    let rain = world.market("rain-tomorrow");
    let [yes, no] = rain.tokens;
    clob.sync_clock().await.unwrap();
    assert_eq!(clob.version().await.unwrap(), 2);
    clob.ok().await.unwrap();
    clob.book(&yes).await.unwrap();
    clob.books(&[yes, no]).await.unwrap();
    clob.price(&yes, Side::Buy).await.unwrap();
    clob.prices(&[(yes, Side::Buy)]).await.unwrap();
    clob.midpoint(&yes).await.unwrap();
    clob.midpoints(&[yes]).await.unwrap();
    clob.spread(&yes).await.unwrap();
    clob.spreads(&[yes]).await.unwrap();
    clob.last_trade_price(&yes).await.unwrap();
    clob.last_trades_prices(&[yes]).await.unwrap();
    clob.tick_size(&yes).await.unwrap();
    clob.neg_risk(&yes).await.unwrap();
    clob.legacy_fee_cap(&yes).await.unwrap();
    clob.markets(MarketList::Full, None).await.unwrap();
    for list in [MarketList::Simplified, MarketList::Sampling, MarketList::SamplingSimplified] {
        clob.all_markets(list).await.unwrap();
    }
    clob.market(&rain.condition).await.unwrap();
    clob.market_info(&rain.condition).await.unwrap();
    clob.market_by_token(&yes).await.unwrap();
    assert!(!geoblock(&world.http, &world.endpoints.geoblock).await.unwrap().blocked);

    // The same facts under the names of a widget; unknown markets are not found.
    let shown = clob.live_activity(&rain.condition).await.unwrap();
    assert_eq!(
        (&shown.condition_id, &shown.market_slug, &shown.question, shown.tags.len()),
        (&rain.condition.to_string(), &rain.slug, &rain.question, 1)
    );
    let ada = world.market("ada-wins").condition;
    let several = clob.live_activities(&[rain.condition, ada]).await.unwrap();
    assert_eq!((several.len(), &several[0]), (2, &shown));
    let missing = clob.live_activity(&ConditionId::from_bytes([7; 32])).await;
    assert!(matches!(missing, Err(ApiError::NotFound(_))), "{missing:?}");

    // One market has rewards. The search finds it by its words and returns more than the list.
    let current = clob.rewards_current().await.unwrap();
    assert_eq!(clob.rewards_market(&rain.condition).await.unwrap(), current);
    let filter = |key: &str, value: &str| vec![(key.to_owned(), value.to_owned())];
    let found = clob.rewards_markets(filter("q", "RAIN")).await.unwrap();
    assert_eq!((found.len(), &found[0].condition_id), (1, &current[0].condition_id));
    assert_eq!(found[0].spread, clob.spread(&yes).await.unwrap());
    assert_eq!(found[0].market_id, shown.id);
    let by_event = clob.rewards_markets(filter("event_id", &found[0].event_id)).await.unwrap();
    assert_eq!(by_event, found);
    for (key, value) in [("q", "snow"), ("tag_slug", "politics"), ("market_id", "1")] {
        let none = clob.rewards_markets(filter(key, value)).await.unwrap();
        assert!(none.is_empty(), "{key} {value}");
    }
    assert!(clob.rebates("2026-11-24", "0x0").await.unwrap().is_empty());
    let code = format!("0x{}", "01".repeat(32));
    assert!(matches!(clob.builder_fees(&code).await, Err(ApiError::NotFound(_))));
    let filter = TradeFilter { market: Some(rain.condition), ..TradeFilter::default() };
    assert!(clob.builder_trades(&code, &filter).await.unwrap().is_empty());
    rain.condition
}

async fn clob_keys(world: &World) {
    let trader = world.trader(0, WalletKind::Eoa);
    let clob = &trader.clob;
    // A second key, which then deletes itself.
    let key = Key::from_hex(TEST_KEYS[0]).unwrap();
    let second = create_api_key(&world.clob, &key, 137, 7).await.unwrap();
    assert_eq!(derive_api_key(&world.clob, &key, 137, 7).await.unwrap().key, second.key);
    assert_eq!(clob.api_keys().await.unwrap().len(), 2);
    let auth = L2Auth::new(key.address().to_string(), second).unwrap();
    world.clob.with_auth(auth, SignatureType::Eoa).delete_api_key().await.unwrap();
    assert_eq!(clob.api_keys().await.unwrap().len(), 1);
    let readonly = clob.create_readonly_key().await.unwrap();
    assert_eq!(clob.readonly_keys().await.unwrap(), std::slice::from_ref(&readonly));
    clob.delete_readonly_key(&readonly).await.unwrap();
    assert!(!clob.closed_only().await.unwrap());

    // Builder keys: made, listed, revoked by themselves or by the account; another account's stay.
    let other = world.trader(1, WalletKind::Eoa);
    let theirs = other.clob.create_builder_key().await.unwrap();
    assert!(clob.builder_keys().await.unwrap().is_empty());
    let made = [clob.create_builder_key().await.unwrap(), clob.create_builder_key().await.unwrap()];
    let active = async |clob: &polydesk_polymarket_api::clob::Clob| -> Vec<String> {
        let keys = clob.builder_keys().await.unwrap();
        assert!(keys.iter().all(|key| key.created_at == Some(world.clock.now())));
        keys.into_iter().filter(|key| key.revoked_at.is_none()).map(|key| key.key).collect()
    };
    assert_eq!(active(clob).await, [made[0].key.clone(), made[1].key.clone()]);
    // An unreadable response may have made a key; its text is not repeated.
    let broken = "[[answers]]\nendpoint = \"POST /auth/builder-api-key\"\ncalls = \"1\"\n\
                  body = '{\"key\":\"k\",\"secret\":\"hunter2\"'\n";
    world.exchange.inject_toml(broken).unwrap();
    match clob.create_builder_key().await {
        Err(ApiError::Unknown(text)) => assert!(!text.contains("hunter2"), "{text}"),
        other => panic!("{other:?}"),
    }
    let made_unseen = active(clob).await.split_off(2);
    world.exchange.venue(|venue| {
        venue.revoke_builder_keys(|key| made_unseen.contains(&key.credentials.key.to_string()))
    });
    let forged = Credentials {
        key: made[0].key.clone(),
        secret: Secret::new("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="),
        passphrase: made[0].passphrase.clone(),
    };
    let refused = clob.delete_builder_key(&forged).await;
    assert!(matches!(refused, Err(ApiError::Unauthorised(_))), "{refused:?}");
    let unusable = Credentials { key: "no uuid".into(), ..forged };
    let refused = clob.delete_builder_key(&unusable).await;
    assert!(matches!(refused, Err(ApiError::Misconfigured(_))), "{refused:?}");
    clob.delete_builder_key(&made[0]).await.unwrap();
    assert_eq!(active(clob).await, [made[1].key.clone()]);
    clob.delete_builder_key_of_account().await.unwrap();
    assert!(active(clob).await.is_empty());
    let listed = clob.builder_keys().await.unwrap().len();
    assert_eq!(listed, 2 + made_unseen.len(), "revoked keys stay listed");
    assert!(clob.delete_builder_key_of_account().await.is_err());
    assert_eq!(active(&other.clob).await, [theirs.key]);

    // Only the owner sees its session keys.
    let session = Key::from_hex(TEST_KEYS[3]).unwrap().address();
    assert!(clob.session_signers().await.unwrap().signers.is_empty());
    let owner = key.address();
    world.exchange.venue(|venue| venue.signer_mut(session).session = Some(Session::of(owner)));
    let found = clob.session_signers().await.unwrap();
    let wallet = world.exchange.accounts()[0].wallets[&WalletKind::Deposit];
    assert_eq!(found.wallet, wallet.to_string());
    assert_eq!(
        (found.signers.len(), &found.signers[0].address, &found.signers[0].scopes[..]),
        (1, &session.to_string(), &["ALL".to_owned()][..])
    );
    assert!(found.signers[0].valid_until.is_some_and(|until| until > world.clock.now()));
    assert!(other.clob.session_signers().await.unwrap().signers.is_empty());
}

async fn clob_private(world: &World, condition: &ConditionId) {
    let rain = world.market("rain-tomorrow");
    let trader = world.trader(0, WalletKind::Deposit);
    let clob = &trader.clob;
    let quote = |cents| trader.sign(&ask(&rain, 0, Side::Buy, cents, 10, Tif::Gtc));
    let first = trader.post(&quote(10)).await.unwrap();
    let more = [quote(11), quote(12), quote(13)];
    assert!(clob.place_batch(&more).await.unwrap().iter().all(Result::is_ok));
    assert_eq!(clob.open_orders(&OrderFilter::default()).await.unwrap().len(), 4);
    assert!(clob.order(&first.id).await.unwrap().is_some());
    assert!(!clob.order_scoring(&first.id).await.unwrap());
    assert_eq!(clob.orders_scoring(&[first.id]).await.unwrap().len(), 1);
    clob.cancel(&first.id).await.unwrap();
    clob.cancel_orders(&[more[0].id()]).await.unwrap();
    clob.cancel_market(Some(condition), None).await.unwrap();
    clob.cancel_all().await.unwrap();
    clob.balance_allowance(Asset::Collateral).await.unwrap();
    clob.update_balance_allowance(Asset::Collateral).await.unwrap();
    let notes = clob.notifications().await.unwrap();
    let ids: Vec<_> = notes.into_iter().map(|note| note.id).collect();
    clob.dismiss_notifications(&ids).await.unwrap();
    assert!(clob.rewards_user("2026-11-24").await.unwrap().is_empty());
    assert!(clob.rewards_user_total("2026-11-24").await.unwrap().is_empty());
    assert!(clob.rewards_user_markets("2026-11-24").await.unwrap().is_empty());
    assert!(clob.rewards_user_percentages().await.unwrap().is_empty());

    // Both switches work: orders live while beats come, and not longer.
    trader.post(&quote(10)).await.unwrap();
    for _ in 0..4 {
        clob.heartbeat_without_id().await.unwrap();
        world.exchange.advance(Span::secs(5));
    }
    assert_eq!(clob.open_orders(&OrderFilter::default()).await.unwrap().len(), 1);
    world.exchange.advance(Span::secs(20));
    assert!(clob.open_orders(&OrderFilter::default()).await.unwrap().is_empty());
    clob.heartbeat("").await.unwrap();

    // A trade, for every endpoint that lists trades. The house account has the better bid.
    let sold = trader.place(&ask(&rain, 0, Side::Sell, 45, 20, Tif::Fok)).await.unwrap();
    let filter = TradeFilter { market: Some(*condition), ..TradeFilter::default() };
    let trades = clob.trades(&filter).await.unwrap();
    assert_eq!(trades[0].taker_order_id, sold.id.to_string());
    world.exchange.advance(Span::secs(5));
    let both =
        clob.batch_prices_history(&rain.tokens, Stretch::Interval("1d"), None).await.unwrap();
    for token in rain.tokens {
        let one = clob.prices_history(&token, Stretch::Interval("1d"), None).await.unwrap();
        assert_eq!((both[&token.to_string()].clone(), one.history.len()), (one.history, 1));
    }
    let now = world.clock.now();
    let early = Stretch::Between(now - Span::secs(900), now - Span::secs(600));
    let none = clob.batch_prices_history(&rain.tokens, early, Some(5)).await.unwrap();
    assert!(none.values().all(Vec::is_empty));
}

async fn gamma(world: &World) {
    let gamma = Gamma::new(world.http.clone(), &world.endpoints.gamma, world.limits.clone());
    assert_eq!(gamma.status().await.unwrap(), "OK");
    let markets: Vec<_> = gamma.markets(Vec::new()).try_collect().await.unwrap();
    let events: Vec<_> = gamma.events(Vec::new()).try_collect().await.unwrap();
    let (market, event) = (&markets[0], &events[0]);
    assert_eq!(gamma.market(&market.id).await.unwrap().slug, market.slug);
    assert_eq!(gamma.market_by_slug(&market.slug).await.unwrap().id, market.id);
    assert_eq!(gamma.event(&event.id).await.unwrap().slug, event.slug);
    assert_eq!(gamma.event_by_slug(&event.slug).await.unwrap().id, event.id);
    let tags = gamma.market_tags(&market.id).await.unwrap();
    assert_eq!(gamma.event_tags(&event.id).await.unwrap(), tags);
    let tag = &gamma.tags(100, 0).await.unwrap()[0];
    assert_eq!(&gamma.tag(&tag.id).await.unwrap(), tag);
    assert_eq!(&gamma.tag_by_slug(&tag.slug).await.unwrap(), tag);
    assert!(matches!(gamma.tag("no such tag").await, Err(ApiError::NotFound(_))));
    assert!(gamma.related_tags(&tag.id, Vec::new()).await.unwrap().is_empty());
    assert!(gamma.related_tags_by_slug(&tag.slug).await.unwrap().is_empty());
    assert!(gamma.tags_related_to(&tag.id, Vec::new()).await.unwrap().is_empty());
    assert!(gamma.tags_related_to_slug(&tag.slug, Vec::new()).await.unwrap().is_empty());
    assert!(gamma.series(50, 0, Vec::new()).await.unwrap().is_empty());
    assert!(gamma.series_by_id("1").await.is_err());
    assert!(!gamma.sports().await.unwrap().is_empty());
    assert!(!gamma.sports_market_types().await.unwrap().is_empty());
    assert!(gamma.teams(100, 0, Vec::new()).await.unwrap().is_empty());
    assert!(!gamma.search("rain", Vec::new()).await.unwrap().events.is_empty());
    let wallet = world.trader(0, WalletKind::Deposit).signer.maker().to_string();
    gamma.profile(&wallet).await.unwrap();
    let comments: Vec<Comment> =
        gamma.comments(CommentsOn::Event, &event.id, Vec::new()).try_collect().await.unwrap();
    assert!(comments.is_empty());
    // A page behind a cursor, then the last one.
    answer_with(world, "GET /comments/keyset", "gamma_comments_keyset");
    let comments: Vec<Comment> =
        gamma.comments(CommentsOn::Event, &event.id, Vec::new()).try_collect().await.unwrap();
    assert_eq!(comments.len(), 2);
    let last = world.exchange.received();
    let last = last.iter().rfind(|request| request.path == "/comments/keyset").unwrap();
    let cursor = fixture("gamma_comments_keyset")["next_cursor"].as_str().unwrap().to_owned();
    assert!(last.query.contains(&("after_cursor".to_owned(), cursor)), "{:?}", last.query);
    let page = gamma.comments_page(CommentsOn::Series, "1", 40, 0, Vec::new()).await.unwrap();
    assert!(page.is_empty());
    assert!(gamma.comment_thread("101").await.unwrap().is_empty());
    assert!(gamma.comments_of(&wallet, 40, 0).await.unwrap().is_empty());
    // The defaults of the venue's two lists differ, so they are sent explicitly.
    let asked = world.exchange.received();
    let asked = asked.iter().find(|request| request.path == "/comments/keyset").unwrap();
    let query: BTreeMap<_, _> = asked.query.iter().cloned().collect();
    assert_eq!((query["order"].as_str(), query["ascending"].as_str()), ("createdAt", "false"));
}

async fn data(world: &World, condition: &ConditionId) {
    let data = Data::new(world.http.clone(), &world.endpoints.data, world.limits.clone());
    let seller = world.trader(0, WalletKind::Deposit);
    let wallet = seller.signer.maker().to_string();
    let rain = world.market("rain-tomorrow");
    let yes = rain.tokens[0];
    let fill = &data.activity(&wallet, Vec::new()).await.unwrap()[0];
    let (shares, money) = (fill.size.unwrap(), fill.usdc_size.unwrap());
    assert_eq!(shares, decimal("20"));

    // Version 1.
    let positions = data.positions(&wallet, Vec::new()).await.unwrap();
    assert!(data.closed_positions(&wallet, Vec::new()).await.unwrap().is_empty());
    assert_eq!(data.trades(Vec::new()).await.unwrap().len(), 1);
    let value = data.value(&wallet).await.unwrap()[0].value;
    assert_eq!(data.traded(&wallet).await.unwrap().traded, Some(1));
    let holders = data.holders(condition, 10).await.unwrap();
    assert_eq!(holders.len(), 2);
    assert!(data.leaderboard(Vec::new()).await.unwrap().is_empty());
    assert!(data.builders(Vec::new()).await.unwrap().is_empty());
    assert!(data.builders_volume(Vec::new()).await.unwrap().is_empty());
    let of_market = data.market_positions(condition, Vec::new()).await.unwrap();
    assert_eq!(of_market[0].token, yes.to_string());
    let own = of_market[0]
        .positions
        .iter()
        .find(|position| position.proxy_wallet.eq_ignore_ascii_case(&wallet))
        .unwrap();
    let same = positions.iter().find(|position| position.asset == own.asset).unwrap();
    assert_eq!((own.size, own.cur_price), (same.size, same.cur_price));
    assert_eq!(own.total_pnl, own.cash_pnl.zip(own.realized_pnl).map(|(a, b)| a + b));
    let sized: Vec<_> = of_market[0].positions.iter().map(|position| position.size).collect();
    assert!(sized.is_sorted_by(|a, b| a >= b), "{sized:?}");

    // Pairs of shares are worth a dollar each in both versions.
    let one = data.open_interest(&[*condition]).await.unwrap();
    let two = data.open_interest_v2(&[*condition]).await.unwrap();
    assert_eq!((&one[0].market, one[0].value), (&two[0].condition_id, two[0].value));
    let held: Decimal = holders[0].holders.iter().filter_map(|holder| holder.amount).sum();
    assert_eq!(one[0].value, Some(held));
    let all = data.open_interest_v2(&[]).await.unwrap();
    assert_eq!((all[0].condition_id.as_str(), all[0].value > one[0].value), ("GLOBAL", true));
    assert_eq!(data.open_interest(&[]).await.unwrap()[0].value, all[0].value);

    // The same trade in pUSD and in shares.
    let gamma = Gamma::new(world.http.clone(), &world.endpoints.gamma, world.limits.clone());
    let market = gamma.market_by_slug("rain-tomorrow").await.unwrap();
    let event = market.events[0].id.parse().unwrap();
    let one = data.live_volume(&market.events[0].id).await.unwrap();
    assert_eq!(one[0].total, Some(money));
    let two = data.live_volume_v2(&[event]).await.unwrap().unwrap();
    assert_eq!(two.taker_volume_total, Some(shares));
    assert_eq!(two.conditions[0].condition_id, condition.to_string());
    assert!(data.live_volume_v2(&[]).await.is_err(), "an event must be named");

    // The books of a wallet balance.
    let snapshot = data.accounting_snapshot(&wallet).await.unwrap();
    let sum: Decimal = snapshot
        .positions
        .iter()
        .map(|position| position.size.unwrap() * position.cur_price.unwrap())
        .sum();
    let equity = snapshot.equity.unwrap();
    assert_eq!((equity.positions_value, Some(sum)), (value, value));
    assert_eq!(equity.equity, equity.cash_balance.map(|cash| cash + sum));
    assert!(snapshot.archive.starts_with(b"PK"));

    // Version 2.
    let trades: Vec<_> = data.trades_v2(Vec::new()).try_collect().await.unwrap();
    assert_eq!(trades.len(), 1);
    let acts: Vec<_> = data.activity_v2(&wallet, None, Vec::new()).try_collect().await.unwrap();
    assert_eq!(acts[0].usdc_size, Some(money));
    let second: Vec<_> = data.positions_v2(&wallet, Vec::new()).try_collect().await.unwrap();
    assert_eq!(second.len(), positions.len());
    let worth = data.value_v2(&wallet).await.unwrap().unwrap();
    assert_eq!((worth.value, worth.user.is_empty()), (value, false));
    let stats = data.user_stats(&wallet).await.unwrap().unwrap();
    assert_eq!((stats.trades, stats.join_date.is_some()), (Some(1), true));
    assert_eq!(data.user_stats(&format!("0x{}", "7".repeat(40))).await.unwrap(), None);
    let volume = data.user_volume(&wallet, None, None).await.unwrap().unwrap();
    assert_eq!(
        (volume.volume, volume.volume_usdc, volume.trade_count),
        (Some(shares), Some(money), Some(1))
    );
    let late = data.user_volume(&wallet, Some(world.clock.now() + Span::secs(60)), None).await;
    assert_eq!(late.unwrap().unwrap().trade_count, Some(0));
    let pnl = data.user_pnl(&wallet, Some("1w"), Some("1d")).await.unwrap().unwrap();
    assert_eq!((pnl.interval.as_str(), pnl.fidelity.as_str()), ("1w", "1d"));
    assert_eq!(pnl.points[0].volume_usdc, Some(money));
    assert_eq!(pnl.points[0].unrealized_pnl, None);
    let board: Vec<_> = data.leaderboard_v2(Vec::new()).try_collect().await.unwrap();
    assert!(board.is_empty());
    assert_eq!(data.standing(&wallet, Vec::new()).await.unwrap(), None);
    let builders: Vec<BuilderV2> = data.builders_v2(Vec::new()).try_collect().await.unwrap();
    assert!(builders.is_empty() && data.builders_volume_v2(Vec::new()).await.unwrap().is_empty());
    let held: Vec<HoldersV2> =
        data.holders_v2(&[*condition], Vec::new()).try_collect().await.unwrap();
    assert_eq!(held[0].holders.len(), holders[0].holders.len());
    let by_token: Vec<_> = data.tokens_v2(&rain.tokens).try_collect().await.unwrap();
    let by_market: Vec<_> = data.tokens_of_v2(&[*condition]).try_collect().await.unwrap();
    assert_eq!((by_token.len(), by_token), (2, by_market));
    let ends: Vec<_> = data.resolutions(&[*condition]).try_collect().await.unwrap();
    assert_eq!(ends[0].status, "initialized");
    let event = vec![("event_id".to_owned(), market.events[0].id.clone())];
    let of_event: Vec<_> = data.resolutions_of(event).try_collect().await.unwrap();
    assert_eq!(of_event, ends);
    let other = world.market("new-protocol");
    let key = world.universe.key(&other.condition).unwrap();
    world.exchange.venue(|venue| venue.resolve(key, polydesk_domain::Payout::NO));
    let ends: Vec<_> = data.resolutions(&[other.condition]).try_collect().await.unwrap();
    assert_eq!((ends[0].status.as_str(), ends[0].reporter.as_str()), ("resolved", "UMA_OO"));
    assert_eq!((ends[0].price, ends[0].payouts.join(" ")), {
        (Some(Decimal::ZERO), "0 1000000".to_owned())
    });
    for (window, bucket, count) in [
        (Window::Interval("1d"), None, 1),
        (Window::Interval("1d"), Some(60), 1),
        (Window::Since(Time::from_secs(1), None), None, 1),
        (Window::Since(Time::from_secs(1), Some(Time::from_secs(2))), None, 0),
        (Window::AsOf(world.clock.now()), Some(60), 1),
        (Window::AsOf(Time::from_secs(1)), None, 0),
    ] {
        let points: Vec<PricePointV2> =
            data.prices_history_v2(&yes, window, bucket).try_collect().await.unwrap();
        assert_eq!(points.len(), count, "{window:?}");
        let exact = bucket.is_none() || matches!(window, Window::AsOf(_));
        for point in points {
            assert_eq!(point.price, fill.price);
            assert_eq!(point.resolution_seconds, Some(if exact { 0 } else { 60 }), "{window:?}");
        }
    }
    let combos: Vec<ComboPosition> =
        data.combo_positions(&wallet, Vec::new()).try_collect().await.unwrap();
    let acts: Vec<ComboActivity> =
        data.combo_activity(&wallet, Vec::new()).try_collect().await.unwrap();
    assert!(combos.is_empty() && acts.is_empty());
    answer_with(world, "GET /v2/biggest-winners", "data_v2_biggest_winners");
    let wins: Vec<BiggestWinner> = data.biggest_winners(Vec::new()).try_collect().await.unwrap();
    assert_eq!(wins.iter().map(|win| win.kind.as_str()).collect::<Vec<_>>(), ["market", "combo"]);
    answer_with(world, "GET /v2/approvals", "data_v2_approvals");
    let approvals = data.approvals(&wallet).await.unwrap();
    assert_eq!(approvals.iter().map(|a| a.approved).collect::<Vec<_>>(), [true, false]);
    let fresh = data.status().await.unwrap().unwrap();
    let now = Some(world.clock.now());
    assert_eq!((fresh.computed_at, fresh.serving.lag_seconds), (now, Some(Decimal::ZERO)));
    assert_eq!(fresh.ingestion.chain_id, Some(137));
}

/// A fixture, at a pointer of its JSON, as `T`, in the words of `show`.
fn check<T: DeserializeOwned>(name: &str, at: &str, show: impl Fn(T) -> String, expected: &str) {
    let whole = fixture(name);
    let value = whole.pointer(at).unwrap_or_else(|| panic!("{name} has no {at}")).clone();
    let read = serde_json::from_value(value).unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(show(read), expected, "{name}");
}

fn shown(value: Option<impl ToString>) -> String {
    value.map_or("-".to_owned(), |value| value.to_string())
}

#[test]
fn samples_are_read_to_their_values() {
    check::<BiggestWinner>(
        "data_v2_biggest_winners",
        "/data/1",
        |w| format!("{} {} {} {}", w.kind, shown(w.win_rank), shown(w.pnl), shown(w.resolved_at)),
        "combo 2 390 2026-10-02T08:00:00.000Z",
    );
    check::<Standing>(
        "data_v2_leaderboard_standing",
        "/data",
        |s| format!("{} {}", shown(s.rank_pnl), shown(s.rank_volume)),
        "12 -",
    );
    check::<ComboPosition>(
        "data_v2_positions_combos",
        "/data/0",
        |c| {
            let legs: Vec<_> = c.legs.iter().map(|leg| leg.leg_status.to_string()).collect();
            let cost = c.gross_entry_cost_usdc.unwrap() - c.entry_fees_usdc.unwrap();
            let market = c.legs[0].market.as_ref().unwrap();
            let event = market.event.as_ref().unwrap();
            format!("{} {legs:?} {cost} {}", c.status, event.event_id)
        },
        "PARTIAL [\"OPEN\", \"RESOLVED_WIN\"] 3.060000 16167",
    );
    check::<Vec<ComboActivity>>(
        "data_v2_activity_combos",
        "/data",
        |rows| format!("{} {} {}", rows[0].kind, shown(rows[0].payout_usdc), rows[1].kind),
        "REDEEM 25.5 SOMETHING_NEW",
    );
    check::<BuilderV2>(
        "data_v2_builders_volume",
        "/data/0",
        |b| format!("{} {} {}", b.date, shown(b.volume), shown(b.active_users)),
        "2026-10-01 123456.5 321",
    );
    check::<Builder>(
        "data_v1_builders_leaderboard",
        "/0",
        |b| format!("{} {} {}", shown(b.rank), b.builder, shown(b.active_users)),
        "1 Example 1500",
    );
    check::<BuilderDay>(
        "data_v1_builders_volume",
        "/0",
        |d| format!("{} {} {}", shown(d.dt), shown(d.builder.rank), shown(d.builder.volume)),
        "2026-10-01T00:00:00.000Z 1 100000.25",
    );
    check::<Vec<MarketPositions>>(
        "data_v1_market_positions",
        "",
        |m| format!("{} {}", shown(m[0].positions[0].cur_price), m[1].positions.len()),
        "0.4 0",
    );
    check::<UserStats>(
        "data_v2_user_stats",
        "/data",
        |s| format!("{} {}", shown(s.biggest_win), shown(s.all_time_pnl.unwrap().economic_pnl)),
        "512.75 10.75",
    );
    check::<UserVolume>("data_v2_user_volume", "/data", |v| shown(v.volume_usdc), "180.125");
    check::<UserPnl>(
        "data_v2_user_pnl",
        "/data",
        |p| format!("{} {}", p.source_fidelity, shown(p.points[1].realized_pnl)),
        "1h -",
    );
    check::<LiveVolumeV2>(
        "data_v2_live_volume",
        "/data",
        |v| format!("{} {}", shown(v.taker_volume_total), shown(v.conditions[1].taker_volume)),
        "2500 999.5",
    );
    check::<OpenInterestV2>("data_v2_oi", "/data/1", |o| o.condition_id, "GLOBAL");
    check::<PricePointV2>(
        "data_v2_prices_history",
        "/data/1",
        |p| format!("{} {}", shown(p.price), shown(p.resolution_seconds)),
        "0.41 600",
    );
    check::<Freshness>(
        "data_v2_status",
        "/data",
        |f| format!("{} {}", f.serving.worst, shown(f.serving.mechanisms[0].age_seconds)),
        "activity_feed 0.5",
    );
    check::<HoldersV2>(
        "data_v2_holders",
        "/data/0",
        |h| format!("{} {}", shown(h.holders[0].avg_price), shown(h.holders[0].total_pnl)),
        "0.41 2.3",
    );
    check::<Vec<RelatedTag>>(
        "gamma_related_tags",
        "",
        |t| format!("{} {} {}", t[1].tag_id, t[1].related_tag_id, shown(t[1].rank)),
        "42 100 2",
    );
    check::<Vec<Comment>>(
        "gamma_comments",
        "",
        |c| {
            let held = &c[0].profile.as_ref().unwrap().positions[0].position_size;
            let by = &c[0].reactions[0].profile.as_ref().unwrap().name;
            format!("{} {held} {by} {}", c[0].parent_entity_id, c[1].parent_comment_id)
        },
        "16167 12500000 Bob 101",
    );
    check::<SessionSigners>(
        "clob_get_session_signers",
        "",
        |s| format!("{:?} {}", s.signers[0].scopes, s.signers[0].valid_until.is_some()),
        "[\"CLOB\", \"COMBOSRFQ\"] true",
    );
    check::<Vec<LiveActivity>>(
        "clob_live_activity_list",
        "",
        |a| format!("{} {:?} {:?}", a[0].id, a[0].series_slug, a[1].tags),
        "248849 \"\" []",
    );
    check::<RewardMarket>(
        "clob_get_rewards_markets_multi",
        "/data/0",
        |r| format!("{} {} {}", r.market_id, shown(r.volume_24hr), shown(r.one_day_price_change)),
        "248849 1234.567 -0.015",
    );
    for (name, expected) in [
        ("clob_auth_builder_api_keys", "true/false true/true false/false"),
        ("clob_auth_builder_api_keys_bare", "false/false"),
    ] {
        check::<Vec<polydesk_polymarket_api::clob::BuilderKey>>(
            name,
            "",
            |keys| {
                let row = |key: &polydesk_polymarket_api::clob::BuilderKey| {
                    format!("{}/{}", key.created_at.is_some(), key.revoked_at.is_some())
                };
                keys.iter().map(row).collect::<Vec<_>>().join(" ")
            },
            expected,
        );
    }
}
