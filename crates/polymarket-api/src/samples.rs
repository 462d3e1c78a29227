//! Every sample of the venue's wire decodes; fields that a model drops are listed, so that a new one shows.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::clob::*;
use crate::data::*;
use crate::gamma::*;
use crate::ws::{LevelRow, Message, NewMarket, UserOrder};

#[path = "../tests/it/frames/print.rs"]
mod print;

type Check = fn(&str) -> Result<BTreeSet<String>, String>;

/// Decodes with both parsers; the dropped fields, list positions replaced by `*`.
fn check<T: DeserializeOwned>(text: &str) -> Result<BTreeSet<String>, String> {
    let mut dropped = BTreeSet::new();
    let mut reader = serde_json::Deserializer::from_str(text);
    serde_ignored::deserialize::<_, _, T>(&mut reader, |path| {
        let path = path.to_string();
        let parts: Vec<&str> = path
            .split('.')
            .filter(|part| *part != "?")
            .map(|part| if part.bytes().all(|b| b.is_ascii_digit()) { "*" } else { part })
            .collect();
        dropped.insert(parts.join("."));
    })
    .map_err(|error| format!("serde_json: {error}"))?;
    let mut copy = text.as_bytes().to_vec();
    simd_json::serde::from_slice::<T>(&mut copy).map_err(|error| format!("simd-json: {error}"))?;
    Ok(dropped)
}

/// A map whose values are the objects.
fn each<T: DeserializeOwned>(text: &str) -> Result<BTreeSet<String>, String> {
    let cases: BTreeMap<String, Value> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let mut dropped = BTreeSet::new();
    for (name, case) in cases {
        dropped.extend(check::<T>(&case.to_string()).map_err(|e| format!("{name}: {e}"))?);
    }
    Ok(dropped)
}

/// The keys that change no read value when removed: ignored, or redundant with another one.
fn left_out(value: &Value, read: &dyn Fn(&str) -> Vec<String>) -> BTreeSet<String> {
    fn walk(
        whole: &Value,
        at: &str,
        shown: &str,
        same: &dyn Fn(&Value) -> bool,
        dropped: &mut BTreeSet<String>,
    ) {
        let inner = whole.pointer(at).cloned().unwrap_or_default();
        let keys: Vec<String> = match &inner {
            Value::Object(map) => map.keys().cloned().collect(),
            Value::Array(items) => (0..items.len()).map(|i| i.to_string()).collect(),
            _ => return,
        };
        for key in keys {
            let here = format!("{at}/{key}");
            if inner.is_array() {
                walk(whole, &here, &format!("{shown}*."), same, dropped);
                continue;
            }
            let mut without = whole.clone();
            let parent = without.pointer_mut(at).and_then(Value::as_object_mut);
            parent.and_then(|parent| parent.remove(&key));
            // The kind is found without its name, too.
            if key != "event_type" && key != "type" && same(&without) {
                dropped.insert(format!("{shown}{key}"));
            } else {
                walk(whole, &here, &format!("{shown}{key}."), same, dropped);
            }
        }
    }
    let whole = read(&value.to_string());
    let mut dropped = BTreeSet::new();
    walk(value, "", "", &|other| read(&other.to_string()) == whole, &mut dropped);
    dropped
}

/// A frame of the market channel: every message read, none malformed.
fn market_frame(text: &str) -> Result<BTreeSet<String>, String> {
    let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let mut table = crate::ws::TokenTable::new();
    let mut tokens = BTreeSet::new();
    collect(&value, &mut tokens);
    for (i, id) in tokens.iter().enumerate() {
        table.insert(
            id.parse().map_err(|_| format!("token {id}"))?,
            polydesk_domain::Token(i as u32),
        );
    }
    let mut parser = crate::ws::FrameParser::new();
    let mut messages = 0;
    parser.parse(text.as_bytes(), &table, |_, _| messages += 1);
    let counts = parser.counts();
    let expected = value.as_array().map_or(1, Vec::len) as u64;
    if counts.malformed > 0 || messages + counts.unknown_kinds != expected {
        return Err(format!(
            "{messages} of {expected} messages: {counts:?} {}",
            parser.last_malformed()
        ));
    }
    if value["event_type"] == "new_market" {
        // Handed over as it came, and read by its model.
        return check::<NewMarket>(text);
    }
    Ok(left_out(&value, &|text| {
        let mut read = Vec::new();
        crate::ws::FrameParser::new().parse(text.as_bytes(), &table, |message, frame| {
            read.push(print::print(message, frame));
        });
        read
    }))
}

fn collect(value: &Value, tokens: &mut BTreeSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, tokens)),
        Value::Object(map) => {
            for (key, value) in map {
                if let (true, Some(id)) =
                    (key == "asset_id" || key == "winning_asset_id", value.as_str())
                {
                    tokens.insert(id.to_owned());
                }
                collect(value, tokens);
            }
        }
        _ => {}
    }
}

fn user_frame(text: &str) -> Result<BTreeSet<String>, String> {
    use crate::ws::UserMessage;
    let mut dropped = BTreeSet::new();
    for message in crate::ws::parse_user_frame(text.as_bytes()) {
        match message {
            UserMessage::Order(_) | UserMessage::Trade(_) => {}
            other => return Err(format!("{other:?}")),
        }
    }
    let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let objects = value.as_array().cloned().unwrap_or_else(|| vec![value]);
    for object in objects {
        let text = object.to_string();
        dropped.extend(if object["taker_order_id"].is_null() {
            check::<UserOrder>(&text)?
        } else {
            check::<Trade>(&text)?
        });
    }
    Ok(dropped)
}

fn price_frame(text: &str) -> Result<BTreeSet<String>, String> {
    let read = crate::ws::read_price_frame(text.as_bytes());
    let value: Value = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let expects_prices = value["payload"].is_object();
    if read.is_empty() == (expects_prices || value["op"] == "error") {
        return Err(format!("{} items", read.len()));
    }
    Ok(left_out(&value, &|text| {
        let items = crate::ws::read_price_frame(text.as_bytes());
        items.iter().map(|item| format!("{item:?}")).collect()
    }))
}

/// What we send, and what is no answer of the venue.
fn not_an_answer(_: &str) -> Result<BTreeSet<String>, String> {
    Ok(BTreeSet::new())
}

/// First fitting prefix counts.
const TABLE: &[(&str, Check)] = &[
    ("clob_auth_api_credentials", check::<crate::Credentials>),
    ("clob_auth_create_api_key", check::<crate::Credentials>),
    ("clob_auth_derive_api_key", check::<crate::Credentials>),
    ("clob_auth_api_keys", check::<ApiKeysAnswer>),
    ("clob_auth_get_api_keys", check::<ApiKeysAnswer>),
    ("clob_auth_create_builder_api_key", check::<crate::Credentials>),
    ("clob_auth_builder_api_keys", check::<Vec<BuilderKey>>),
    ("clob_get_session_signers", check::<SessionSigners>),
    ("clob_live_activity_one", check::<LiveActivity>),
    ("clob_live_activity_list", check::<Vec<LiveActivity>>),
    ("clob_get_rebates_current", check::<Option<Vec<Rebate>>>),
    ("clob_auth_closed_only", check::<ClosedOnlyAnswer>),
    ("clob_balance_allowance", check::<BalanceAllowance>),
    ("clob_get_balance_allowance", check::<BalanceAllowance>),
    ("clob_cancel_resp_openapi", each::<CancelAnswer>),
    ("clob_cancel_resp", check::<CancelAnswer>),
    ("clob_delete_order", check::<CancelAnswer>),
    ("clob_empty_page", check::<Page<OpenOrder>>),
    ("clob_error_500", check::<OrderAnswer>),
    ("clob_error_bodies", not_an_answer), // read by the tests of `error`
    ("clob_get_book", check::<Book>),
    ("clob_get_builder_trades", check::<Page<BuilderTrade>>),
    ("clob_get_clob_markets", check::<MarketInfo>),
    ("clob_get_data_order_one", check::<OpenOrder>),
    ("clob_get_data_orders", check::<Page<OpenOrder>>),
    ("clob_get_data_trades_one", check::<Trade>),
    ("clob_get_data_trades_page", check::<Page<Trade>>),
    ("clob_get_fee_rate", check::<FeeRateAnswer>),
    ("clob_get_last_trade_price", check::<LastTrade>),
    ("clob_last_trades_prices", check::<Vec<LastTrade>>),
    ("clob_get_markets", check::<ClobMarket>),
    ("clob_get_sampling_markets", check::<Page<ClobMarket>>),
    ("clob_get_simplified_markets", check::<Page<ClobMarket>>),
    ("clob_get_midpoint", check::<MidAnswer>),
    ("clob_get_neg_risk", check::<NegRiskAnswer>),
    ("clob_get_notifications", check::<Vec<Notification>>),
    ("clob_get_order_scoring", check::<ScoringAnswer>),
    ("clob_get_price.", check::<PriceAnswer>),
    ("clob_get_prices_history", check::<PriceHistory>),
    ("clob_get_rewards_markets", check::<Page<RewardMarket>>),
    ("clob_get_rewards_user_markets", check::<Page<RewardMarket>>),
    ("clob_get_rewards_user_percentages", check::<BTreeMap<String, crate::wire::Num>>),
    ("clob_get_rewards_user_total", check::<Vec<Earning>>),
    ("clob_get_rewards_user", check::<Page<Earning>>),
    ("clob_get_spread", check::<SpreadAnswer>),
    ("clob_get_tick_size", check::<TickAnswer>),
    ("clob_get_version", check::<VersionAnswer>),
    ("clob_post_heartbeats", check::<Heartbeat>),
    ("clob_post_midpoints", check::<BTreeMap<String, crate::wire::Num>>),
    ("clob_post_spreads", check::<BTreeMap<String, crate::wire::Num>>),
    ("clob_post_prices", check::<BTreeMap<String, SidePrices>>),
    ("clob_post_orders_scoring", check::<BTreeMap<String, bool>>),
    ("clob_post_order_resp_openapi", each::<OrderAnswer>),
    ("clob_post_order_resp", check::<OrderAnswer>),
    ("clob_post_orders_resp_openapi", each::<Vec<OrderAnswer>>),
    ("clob_post_orders_resp", check::<Vec<OrderAnswer>>),
    ("clob_post_order_body", not_an_answer),
    ("clob_post_orders_body", not_an_answer),
    ("clob_signed_order_object", not_an_answer),
    ("geoblock", check::<Geoblock>),
    ("gamma_comments_keyset", check::<KeysetPage<Comment>>),
    ("gamma_comments", check::<Vec<Comment>>),
    ("gamma_related_tags", check::<Vec<RelatedTag>>),
    ("gamma_event_sports", check::<Vec<GammaEvent>>),
    ("gamma_event", check::<Vec<GammaEvent>>),
    ("gamma_market", check::<GammaMarket>),
    ("gamma_public_profile", check::<Profile>),
    ("gamma_public_search", check::<Search>),
    ("gamma_sports_market_types", check::<SportsMarketTypes>),
    ("gamma_sports", check::<Vec<Sport>>),
    ("gamma_tags", check::<Vec<Tag>>),
    ("gamma_teams", check::<Vec<Team>>),
    ("data_v1_activity", check::<Vec<Activity>>),
    ("data_v1_closed_positions", check::<Vec<ClosedPosition>>),
    ("data_v1_holders", check::<Vec<TokenHolders>>),
    ("data_v1_market_positions", check::<Vec<MarketPositions>>),
    ("data_v1_builders_leaderboard", check::<Vec<Builder>>),
    ("data_v1_builders_volume", check::<Vec<BuilderDay>>),
    ("data_v1_accounting_snapshot", not_an_answer), // an archive, read by its own tests
    ("data_v1_leaderboard", check::<Vec<Leader>>),
    ("data_v1_live_volume", check::<Vec<LiveVolume>>),
    ("data_v1_oi", check::<Vec<OpenInterest>>),
    ("data_v1_positions", check::<Vec<Position>>),
    ("data_v1_traded", check::<Traded>),
    ("data_v1_trades", check::<Vec<PublicTrade>>),
    ("data_v1_value", check::<Vec<crate::data::Value>>),
    ("data_v2_positions_combos", check::<Envelope<ComboPosition>>),
    ("data_v2_activity_combos", check::<Envelope<ComboActivity>>),
    ("data_v2_user_stats", check::<One<UserStats>>),
    ("data_v2_user_volume", check::<One<UserVolume>>),
    ("data_v2_user_pnl", check::<One<UserPnl>>),
    ("data_v2_leaderboard_standing", check::<One<Standing>>),
    ("data_v2_leaderboard", check::<Envelope<LeaderV2>>),
    ("data_v2_biggest_winners", check::<Envelope<BiggestWinner>>),
    ("data_v2_builders", check::<Envelope<BuilderV2>>),
    ("data_v2_oi", check::<Envelope<OpenInterestV2>>),
    ("data_v2_live_volume", check::<One<LiveVolumeV2>>),
    ("data_v2_prices_history", check::<Envelope<PricePointV2>>),
    ("data_v2_approvals", check::<One<ApprovalsAnswer>>),
    ("data_v2_status", check::<One<Freshness>>),
    ("data_v2_value", check::<One<crate::data::Value>>),
    ("data_v2_holders", check::<Envelope<HoldersV2>>),
    ("data_v2_positions", check::<Envelope<PositionV2>>),
    ("data_v2_trades", check::<Envelope<TradeV2>>),
    ("ws_market_new_market", check::<NewMarket>),
    ("ws_market_subscribe", not_an_answer),
    ("ws_market_update", not_an_answer),
    ("ws_market", market_frame),
    ("ws_user_subscribe", not_an_answer),
    ("ws_user_update", user_update),
    ("ws_user", user_frame),
    ("polybolt_authed", not_an_answer),
    ("polybolt_subscribed", not_an_answer),
    ("polybolt", price_frame),
    ("rtds", price_frame),
    // Read by the tests of the chain, of signing and of the book hash.
    ("bridge", not_an_answer),
    ("book_hash_vectors", not_an_answer),
    ("chain_order_filled_taker_fees", not_an_answer),
    ("hmac_l1_vectors", not_an_answer),
    ("signing_", not_an_answer),
];

/// `ws_user_update_subscribe.json` is ours; nothing of the venue's begins like it.
fn user_update(text: &str) -> Result<BTreeSet<String>, String> {
    if text.contains("\"operation\"") { Ok(BTreeSet::new()) } else { user_frame(text) }
}

#[test]
fn every_sample_decodes_and_dropped_fields_are_known() {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/wire"));
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".json"))
        .collect();
    names.sort();
    assert!(names.len() > 100, "{} samples", names.len());
    let (mut wrong, mut dropped) = (Vec::new(), BTreeMap::<String, BTreeSet<String>>::new());
    for name in &names {
        let Some((prefix, check)) = TABLE.iter().find(|(prefix, _)| name.starts_with(prefix))
        else {
            wrong.push(format!("{name}: no model reads it"));
            continue;
        };
        let text = std::fs::read_to_string(folder.join(name)).unwrap();
        match check(&text) {
            Ok(fields) if fields.is_empty() => {}
            Ok(fields) => dropped.entry((*prefix).to_owned()).or_default().extend(fields),
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let listed: String = dropped
        .iter()
        .map(|(name, fields)| {
            format!("{name}: {}\n", fields.iter().cloned().collect::<Vec<_>>().join(" "))
        })
        .collect();
    expect_test::expect![[r#"
        clob_get_rewards_markets: total_count
        data_v2_activity_combos: pagination.limit pagination.offset
        data_v2_biggest_winners: pagination.limit pagination.offset
        data_v2_builders: pagination.limit pagination.offset
        data_v2_holders: pagination.limit pagination.offset
        data_v2_leaderboard: pagination.limit pagination.offset
        data_v2_positions: pagination.limit pagination.offset
        data_v2_positions_combos: pagination.limit pagination.offset
        data_v2_prices_history: pagination.limit pagination.offset
        data_v2_trades: pagination.limit pagination.offset
        gamma_event: *.countryName *.cyom *.deploying *.electionType *.estimateValue *.gmpChartMode *.markets.*.deploying *.markets.*.hasReviewedDates *.markets.*.pendingDeployment *.markets.*.requiresTranslation *.markets.*.seriesColor *.markets.*.showGmpOutcome *.markets.*.showGmpSeries *.pendingDeployment *.requiresTranslation *.showAllOutcomes *.showMarketImages *.sortBy *.tags.*.createdBy *.tags.*.isCarousel *.tags.*.requiresTranslation *.tags.*.updatedBy
        gamma_event_sports: *.cyom *.deploying *.eventMetadata *.markets.*.comboStatus *.markets.*.deploying *.markets.*.hasReviewedDates *.markets.*.pendingDeployment *.markets.*.requiresTranslation *.pendingDeployment *.requiresTranslation *.series.*.requiresTranslation *.showAllOutcomes *.showMarketImages *.sport *.tags.*.requiresTranslation *.tags.*.updatedBy *.teams
        gamma_market: deploying events.*.automaticallyActive events.*.automaticallyResolved events.*.closedTime events.*.commentCount events.*.competitive events.*.createdAt events.*.creationDate events.*.cyom events.*.deploying events.*.description events.*.enableOrderBook events.*.ended events.*.eventDate events.*.eventMetadata events.*.eventWeek events.*.featured events.*.icon events.*.image events.*.liquidity events.*.liquidityClob events.*.live events.*.new events.*.openInterest events.*.pendingDeployment events.*.period events.*.requiresTranslation events.*.resolutionSource events.*.restricted events.*.score events.*.series events.*.showAllOutcomes events.*.showMarketImages events.*.startDate events.*.updatedAt events.*.volume events.*.volume1mo events.*.volume1wk events.*.volume1yr events.*.volume24hr fpmmLive hasReviewedDates liquidityAmm mailchimpTag pendingDeployment readyForCron requiresTranslation seriesColor showGmpOutcome showGmpSeries twitterCardImage updatedBy volume1moAmm volume1wkAmm volume1yrAmm
        gamma_public_search: events.*.cyom events.*.deploying events.*.markets.*.deploying events.*.markets.*.hasReviewedDates events.*.markets.*.pendingDeployment events.*.markets.*.requiresTranslation events.*.pendingDeployment events.*.requiresTranslation events.*.showAllOutcomes events.*.showMarketImages events.*.tags.*.createdBy events.*.tags.*.isCarousel events.*.tags.*.requiresTranslation events.*.tags.*.updatedBy
        gamma_tags: *.requiresTranslation
        polybolt: payload.data.*.full_accuracy_value payload.data.*.value payload.full_accuracy_value payload.received_at payload.value rid seq snapshot ts v
        rtds: payload.received_at payload.value timestamp topic
        ws_market: *.fee_rate_bps *.market *.sequence assets_ids fee_rate_bps id market old_tick_size spread tags winning_outcome
    "#]].assert_eq(&listed);
}

/// Every parser of foreign bytes on every sample, damaged: bytes flipped, cut, doubled, values swapped for
/// strange ones. Errors are fine; a panic is not.
#[test]
fn damaged_samples_panic_nowhere() {
    let rounds: u64 = std::env::var("POLYDESK_CASES")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(200)
        .min(20_000)
        / 10;
    let strange: [&[u8]; 14] = [
        b"null",
        b"\"\"",
        b"-1",
        b"1e400",
        b"1e-400",
        b"99999999999999999999999999999999999999",
        b"[]",
        b"{}",
        b"true",
        b"\"NaN\"",
        b"\"0x\"",
        b"\"\\ud800\"",
        b"\"9223372036854775807\"",
        b"0.1000000000000000000000000000000000001",
    ];
    let mut chance = 0x2545_F491_4F6C_DD1D_u64;
    let mut draw = move |below: usize| {
        chance ^= chance << 13;
        chance ^= chance >> 7;
        chance ^= chance << 17;
        (chance >> 16) as usize % below.max(1)
    };
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../fixtures/wire"));
    let (mut tried, mut refused) = (0u64, 0u64);
    let mut wholes: Vec<(Check, Vec<u8>)> = Vec::new();
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if let Some((_, check)) = TABLE.iter().find(|(prefix, _)| name.starts_with(prefix)) {
            wholes.push((*check, std::fs::read(&path).unwrap()));
        }
    }
    for (check, whole) in &wholes {
        for _ in 0..rounds.max(5) {
            let mut bytes = whole.clone();
            for _ in 0..1 + draw(3) {
                let at = draw(bytes.len());
                match draw(5) {
                    0 => bytes[at] = draw(256) as u8,
                    1 => bytes.truncate(at),
                    2 => {
                        let piece: Vec<u8> =
                            bytes[at..(at + 1 + draw(40)).min(bytes.len())].to_vec();
                        bytes.splice(at..at, piece);
                    }
                    // A whole value is replaced.
                    _ => {
                        if let Some(colon) =
                            bytes[at..].iter().position(|b| *b == b':').map(|i| at + i + 1)
                        {
                            let end =
                                bytes[colon..].iter().position(|b| matches!(b, b',' | b'}' | b']'));
                            let end = end.map_or(bytes.len(), |i| colon + i);
                            bytes.splice(colon..end, strange[draw(strange.len())].iter().copied());
                        }
                    }
                }
                if bytes.is_empty() {
                    break;
                }
            }
            tried += 1;
            let text = String::from_utf8_lossy(&bytes);
            refused += u64::from(check(&text).is_err());
            crate::ws::parse_user_frame(&bytes);
            crate::ws::read_price_frame(&bytes);
            for status in [200, 400, 404, 425, 429, 500, 503] {
                let _ = crate::error::from_answer(crate::Effect::Once, status, None, &bytes, "x");
            }
            if let Ok(market) = serde_json::from_slice::<GammaMarket>(&bytes) {
                let _ = market.to_market(None, TakerDelays::default());
            }
            if let Ok(trade) = serde_json::from_slice::<Trade>(&bytes) {
                let _ = trade.own_legs("x", "y");
            }
            if let Ok(book) = serde_json::from_slice::<Book>(&bytes) {
                let _ =
                    (book.snapshot(polydesk_domain::Token(0)), book.computed_hash(), book.time());
            }
        }
    }
    assert!(
        tried > 500 && refused > tried / 10,
        "{refused} of {tried} refused: nothing was damaged"
    );
}
