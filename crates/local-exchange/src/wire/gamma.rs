//! Gamma: events and markets as the website sees them.

use polydesk_domain::{MarketState, Outcome, ProtocolVersion, Time};
use serde_json::{Map, Value, json};

use super::{cents, number, question_id, seconds};
use crate::text;
use crate::venue::MarketView;

/// Events are numbered by their slug, so that markets of one event agree.
pub(crate) fn event_number(view: &MarketView) -> u64 {
    let hash = alloy::primitives::keccak256(&view.listing.market.event);
    u64::from(u16::from_be_bytes([hash[0], hash[1]])) + 100_000
}

/// A string that contains a JSON array: how Gamma writes lists.
fn nested(items: &[String]) -> Value {
    Value::String(serde_json::to_string(items).unwrap_or_default())
}

/// `2026-04-05 19:37:33+00`: the form of two of the dates.
fn spaced(at: Time) -> String {
    seconds(at).replace('T', " ").replace('Z', "+00")
}

fn date(at: Time) -> String {
    seconds(at).chars().take(10).collect()
}

fn closed(view: &MarketView) -> bool {
    matches!(view.listing.market.state, MarketState::Resolved(_) | MarketState::Closed)
}

/// A market, without its events.
pub(crate) fn bare_market(view: &MarketView, now: Time) -> Map<String, Value> {
    let market = &view.listing.market;
    let prices = Outcome::BOTH.map(|outcome| text::price(view.price(outcome)));
    let volume = text::money(view.volume);
    let liquidity = text::money(view.liquidity);
    let tokens = market.tokens.map(|token| token.to_string());
    let mut fields = Map::new();
    let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
    put("id", json!(view.number.to_string()));
    put("question", json!(market.question));
    put("conditionId", json!(market.condition));
    put("slug", json!(market.slug));
    put("resolutionSource", json!(""));
    put("description", json!(format!("{} (made up for tests)", market.question)));
    put("outcomes", nested(&market.labels));
    put("outcomePrices", nested(&prices));
    put("clobTokenIds", nested(&tokens));
    let statuses: &[&str] = match (closed(view), view.disputed, view.proposed) {
        (true, _, _) => &["resolved"],
        (false, true, _) => &["proposed", "disputed"],
        (false, false, true) => &["proposed"],
        (false, false, false) => &[],
    };
    put(
        "umaResolutionStatuses",
        nested(&statuses.iter().map(|s| s.to_string()).collect::<Vec<_>>()),
    );
    if let Some(status) = statuses.last() {
        put("umaResolutionStatus", json!(status));
    }
    put("volume", json!(volume));
    put("liquidity", json!(liquidity));
    put("volumeNum", number(&volume));
    put("liquidityNum", number(&liquidity));
    put("volumeClob", number(&volume));
    put("liquidityClob", number(&liquidity));
    for period in ["volume24hr", "volume1wk", "volume1mo", "volume1yr"] {
        put(period, number(&volume));
    }
    put("active", json!(true));
    put("closed", json!(closed(view)));
    put("archived", json!(false));
    put("new", json!(false));
    put("featured", json!(false));
    put("restricted", json!(true));
    put("enableOrderBook", json!(true));
    put("acceptingOrders", json!(view.accepting));
    put("acceptingOrdersTimestamp", json!(seconds(view.listed_at)));
    put("automaticallyActive", json!(true));
    put("automaticallyResolved", json!(false));
    put("clearBookOnStart", json!(view.listing.clear_on_start));
    put("createdAt", json!(seconds(view.listed_at)));
    put("updatedAt", json!(seconds(now)));
    put("startDate", json!(seconds(view.listed_at)));
    put("startDateIso", json!(date(view.listed_at)));
    if let Some(closes) = market.closes {
        put("endDate", json!(seconds(closes)));
        put("endDateIso", json!(date(closes)));
    }
    if let Some(at) = view.closed_at {
        put("closedTime", json!(spaced(at)));
        put("umaEndDate", json!(seconds(at)));
    }
    if let Some(start) = view.listing.game_start {
        put("gameStartTime", json!(spaced(start)));
        put("gameId", json!(view.number.to_string()));
        put("sportsMarketType", json!("moneyline"));
    }
    put("orderPriceMinTickSize", number(&market.tick.to_string()));
    put("orderMinSize", number(&text::shares(market.min_size)));
    put("makerBaseFee", json!(1_000));
    put("takerBaseFee", json!(1_000));
    put("secondsDelay", json!(market.taker_delay.as_millis() / 1_000));
    put("questionID", json!(question_id(view)));
    put("marketMakerAddress", json!(""));
    put("groupItemTitle", json!(view.listing.group_title));
    put("groupItemThreshold", json!(view.key.0.to_string()));
    put("negRisk", json!(market.neg_risk.is_some()));
    put("negRiskOther", json!(false));
    if let Some(group) = &market.neg_risk {
        put("negRiskMarketID", json!(group.group));
        put("negRiskRequestID", json!(question_id(view)));
    }
    put(
        "version",
        json!(match &market.version {
            ProtocolVersion::V1 => "v1",
            ProtocolVersion::V2 => "v2",
            ProtocolVersion::Unknown(word) => word,
        }),
    );
    if market.version == ProtocolVersion::V2 {
        put("positionIds", json!(tokens));
    }
    put("rfqEnabled", json!(false));
    put("holdingRewardsEnabled", json!(false));
    put("feesEnabled", json!(view.listing.fee_type.is_some()));
    put("feeType", json!(view.listing.fee_type));
    if let (Some(_), Ok(rate)) = (&view.listing.fee_type, market.fees.at(now)) {
        put(
            "feeSchedule",
            json!({
                "exponent": rate.exponent,
                "rate": number(&text::micros(i128::from(rate.rate_ppm))),
                "takerOnly": true,
                "rebateRate": number(&text::micros(i128::from(rate.rebate_ppm))),
            }),
        );
    }
    if let Some((size, spread)) = view.listing.rewards {
        put("rewardsMinSize", number(&text::shares(size)));
        put("rewardsMaxSpread", number(&cents(spread)));
    }
    if let Some(bid) = view.top.0 {
        put("bestBid", number(&text::price(bid)));
    }
    if let Some(ask) = view.top.1 {
        put("bestAsk", number(&text::price(ask)));
    }
    if let (Some(bid), Some(ask)) = view.top {
        let spread = i128::from(ask.units()) - i128::from(bid.units());
        put("spread", number(&text::micros(spread * 100)));
    }
    if let Some(last) = view.last {
        put("lastTradePrice", number(&text::price(last)));
    }
    fields
}

/// A market with the stub of its event.
pub(crate) fn gamma_market(view: &MarketView, now: Time) -> Value {
    let mut fields = bare_market(view, now);
    fields.insert("events".to_owned(), json!([event_stub(std::slice::from_ref(view), now)]));
    Value::Object(fields)
}

/// An event without its markets.
fn event_stub(markets: &[MarketView], now: Time) -> Value {
    let Some(first) = markets.first() else { return Value::Null };
    let market = &first.listing.market;
    let volume: polydesk_domain::Usdc = markets.iter().map(|view| view.volume).sum();
    let liquidity: polydesk_domain::Usdc = markets.iter().map(|view| view.liquidity).sum();
    json!({
        "id": event_number(first).to_string(),
        "ticker": market.event,
        "slug": market.event,
        "title": first.listing.event_title,
        "description": format!("{} (made up for tests)", first.listing.event_title),
        "startDate": seconds(first.listed_at),
        "creationDate": seconds(first.listed_at),
        "createdAt": seconds(first.listed_at),
        "updatedAt": seconds(now),
        "endDate": market.closes.map(seconds),
        "active": true,
        "closed": markets.iter().all(closed),
        "archived": false,
        "restricted": true,
        "liquidity": number(&text::money(liquidity)),
        "volume": number(&text::money(volume)),
        "volume24hr": number(&text::money(volume)),
        "openInterest": 0,
        "enableOrderBook": true,
        "negRisk": market.neg_risk.is_some(),
        "enableNegRisk": market.neg_risk.is_some(),
        "negRiskAugmented": market.neg_risk.as_ref().is_some_and(|group| group.augmented),
        "negRiskMarketID": market.neg_risk.as_ref().map(|group| group.group.clone()),
        "cumulativeMarkets": false,
        "commentCount": 0,
        "seriesSlug": first.listing.series.as_ref().map(|series| series.slug.as_str()),
        "tags": tags(first),
    })
}

/// Tags of an event.
pub(crate) fn tags(view: &MarketView) -> Vec<Value> {
    view.listing.tags.iter().map(|slug| tag(slug)).collect()
}

pub(crate) fn tag(slug: &str) -> Value {
    let hash = alloy::primitives::keccak256(slug);
    let id = u64::from(hash[0]) + 1;
    json!({ "id": id.to_string(), "label": slug, "slug": slug, "requiresTranslation": false })
}

/// An event with its markets.
pub(crate) fn gamma_event(markets: &[MarketView], now: Time) -> Value {
    let mut event = event_stub(markets, now);
    let markets = markets.iter().map(|view| Value::Object(bare_market(view, now)));
    event["markets"] = Value::Array(markets.collect());
    event
}
