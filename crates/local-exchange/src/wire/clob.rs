//! CLOB REST: books, markets, orders, trades.

use alloy::primitives::Address;
use polydesk_domain::{MarketState, Outcome, Price, Shares, Side, Token, Universe};
use serde_json::{Value, json};

use super::number;
use crate::text;
use crate::venue::{BookView, Cancelled, MarketView, Order, Placed, Refusal, Trade};

pub(crate) fn side(side: Side) -> &'static str {
    match side {
        Side::Buy => "BUY",
        Side::Sell => "SELL",
    }
}

fn levels(levels: &[(Price, Shares)]) -> Vec<Value> {
    let level = |(price, size): &(Price, Shares)| json!({ "price": text::price(*price), "size": text::shares(*size) });
    levels.iter().map(level).collect()
}

/// A book as `GET /book` and the `book` frame have in common.
pub(crate) fn book(view: &BookView) -> Value {
    json!({
        "market": view.market.condition,
        "asset_id": view.asset,
        "timestamp": view.at.millis().to_string(),
        "hash": view.hash,
        "bids": levels(&view.bids),
        "asks": levels(&view.asks),
        "min_order_size": text::shares(view.market.min_size),
        "tick_size": view.market.tick.to_string(),
        "neg_risk": view.market.neg_risk.is_some(),
        "last_trade_price": view.last_text(),
    })
}

pub(crate) fn outcome(universe: &Universe, token: Token) -> String {
    universe.market(token.market()).labels[token.outcome().index()].clone()
}

/// What `/data/orders` and the user socket have in common.
pub(crate) fn order(order: &Order, universe: &Universe) -> Value {
    let original = if order.sized_in_money() {
        text::micros(i128::from(order.maker_amount))
    } else {
        text::shares(order.original())
    };
    json!({
        "id": order.id,
        "status": order.status.word(),
        "owner": order.key,
        "maker_address": order.wallet.to_checksum(None),
        "market": universe.market(order.token.market()).condition,
        "asset_id": universe.token_id(order.token),
        "side": side(order.side),
        "original_size": original,
        "size_matched": text::shares(order.matched),
        "price": text::price(order.limit),
        "outcome": outcome(universe, order.token),
        "expiration": order.expires().map_or(0, |at| at.millis() / 1_000).to_string(),
        "order_type": order.tif.name(),
        "associate_trades": order.trades,
        "created_at": order.created.millis() / 1_000,
    })
}

/// The payload of a notification: an order, and the fill or nothing that happened to it.
pub(crate) fn notification(
    order: &Order,
    filled: Option<(&Trade, Shares, String)>,
    universe: &Universe,
) -> Value {
    let market = universe.market(order.token.market());
    let (trade, matched, price) = match filled {
        Some((trade, shares, price)) => (Some(trade), shares, price),
        None => (None, order.matched, text::price(order.limit)),
    };
    let none = || format!("0x{}", "0".repeat(64));
    json!({
        "asset_id": universe.token_id(order.token),
        "condition_id": market.condition,
        "eventSlug": market.event,
        "icon": "",
        "image": "",
        "market": market.condition,
        "market_slug": market.slug,
        "matched_size": text::shares(matched),
        "order_id": order.id,
        "original_size": text::shares(order.original()),
        "outcome": outcome(universe, order.token),
        "outcome_index": order.token.outcome().index(),
        "owner": order.key,
        "price": price,
        "question": market.question,
        "remaining_size": text::shares(order.original().saturating_sub(order.matched)),
        "seriesSlug": "",
        "side": if order.side == Side::Buy { "BUY" } else { "SELL" },
        "trade_id": trade.map(|trade| trade.id.to_string()).unwrap_or_default(),
        "transaction_hash": trade.map(transaction).filter(|hash| !hash.is_empty()).unwrap_or_else(none),
        "type": "",
    })
}

/// A trade as one of its parties sees it.
pub(crate) fn trade(trade: &Trade, viewer: &Address, universe: &Universe) -> Value {
    let taker = trade.signer == *viewer;
    let own = trade.legs.iter().find(|leg| leg.signer == *viewer);
    let owner = match own {
        Some(leg) if !taker => leg.key,
        _ => trade.key,
    };
    let makers: Vec<Value> = trade
        .legs
        .iter()
        .map(|leg| {
            json!({
                "order_id": leg.order,
                "owner": leg.key,
                "maker_address": leg.wallet.to_checksum(None),
                "matched_amount": text::shares(leg.shares),
                "price": text::price(leg.price),
                "fee_rate_bps": "0",
                "asset_id": universe.token_id(leg.token),
                "outcome": outcome(universe, leg.token),
                "side": side(leg.side),
            })
        })
        .collect();
    json!({
        "id": trade.id,
        "taker_order_id": trade.order,
        "market": universe.market(trade.token.market()).condition,
        "asset_id": universe.token_id(trade.token),
        "side": side(trade.side),
        "size": text::shares(trade.shares()),
        "fee_rate_bps": "0",
        "price": price_of(trade),
        "status": trade.word(),
        "match_time": (trade.matched_at.millis() / 1_000).to_string(),
        "last_update": (trade.changed_at.millis() / 1_000).to_string(),
        "outcome": outcome(universe, trade.token),
        "owner": owner,
        "maker_address": trade.wallet.to_checksum(None),
        "trader_side": if taker { "TAKER" } else { "MAKER" },
        "bucket_index": 0,
        "transaction_hash": transaction(trade),
        "maker_orders": makers,
    })
}

/// The price of a trade: of its one level, or the average over several.
pub(crate) fn price_of(trade: &Trade) -> String {
    let mut prices = trade.legs.iter().map(|leg| trade.price_of(leg));
    match prices.next() {
        Some(first) if prices.all(|price| price == first) => text::price(first),
        _ => text::average(trade.money(), trade.shares()),
    }
}

pub(crate) fn transaction(trade: &Trade) -> String {
    trade.transaction.map(alloy::primitives::hex::encode_prefixed).unwrap_or_default()
}

/// The answer to a placed order.
pub(crate) fn placed(placed: &Placed, hashes: &[String]) -> Value {
    let (making, taking) = match placed.order.side {
        _ if placed.shares.is_zero() => (String::new(), String::new()),
        Side::Buy => (text::money(placed.money), text::shares(placed.shares)),
        Side::Sell => (text::shares(placed.shares), text::money(placed.money)),
    };
    let mut value = json!({
        "errorMsg": "",
        "orderID": placed.order.id,
        "takingAmount": taking,
        "makingAmount": making,
        "status": placed.status,
        "success": true,
    });
    if !placed.trades.is_empty() {
        value["tradeIDs"] = json!(placed.trades);
    }
    if !hashes.is_empty() {
        value["transactionsHashes"] = json!(hashes);
    }
    value
}

/// A refused element of a batch: success is true and the order id empty, as the venue has it.
pub(crate) fn refused(refusal: &Refusal) -> Value {
    json!({
        "errorMsg": refusal.text,
        "orderID": refusal.order.map(|id| id.to_string()).unwrap_or_default(),
        "takingAmount": "",
        "makingAmount": "",
        "status": "",
        "success": true,
    })
}

pub(crate) fn cancelled(done: &Cancelled) -> Value {
    json!({ "canceled": done.canceled, "not_canceled": done.not_canceled })
}

fn tokens(view: &MarketView) -> Vec<Value> {
    let market = &view.listing.market;
    Outcome::BOTH
        .iter()
        .map(|outcome| {
            json!({
                "token_id": market.tokens[outcome.index()],
                "outcome": market.labels[outcome.index()],
                "price": number(&text::price(view.price(*outcome))),
                "winner": pays_all(view, *outcome),
            })
        })
        .collect()
}

pub(crate) fn pays_all(view: &MarketView, outcome: Outcome) -> bool {
    match view.listing.market.state {
        MarketState::Resolved(payout) => payout.per_share(outcome) == 1_000_000,
        _ => false,
    }
}

/// Question ids are made from condition ids; members of a neg-risk group share all but the last byte.
pub(crate) fn question_id(view: &MarketView) -> String {
    match &view.listing.market.neg_risk {
        Some(group) if group.group.len() == 66 => {
            format!("{}{:02x}", &group.group[..64], view.key.0 % 256)
        }
        _ => {
            let hash = alloy::primitives::keccak256(view.listing.market.condition.bytes());
            hash.to_string()
        }
    }
}

fn rewards(view: &MarketView) -> Value {
    let (min_size, max_spread) = view.listing.rewards.unwrap_or((Shares::ZERO, 0));
    let rates = view.listing.rewards.map(|_| {
        json!([{ "asset_address": "0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174",
                 "rewards_daily_rate": 5 }])
    });
    json!({
        "rates": rates,
        "min_size": number(&text::shares(min_size)),
        "max_spread": number(&cents(max_spread)),
    })
}

/// Ten-thousandths as cents: 350 is `3.5`.
pub(crate) fn cents(units: u16) -> String {
    text::micros(i128::from(units) * 10_000)
}

fn closed(view: &MarketView) -> bool {
    matches!(view.listing.market.state, MarketState::Resolved(_) | MarketState::Closed)
}

/// The long form of `GET /markets`.
pub(crate) fn market(view: &MarketView) -> Value {
    let market = &view.listing.market;
    json!({
        "enable_order_book": true,
        "active": true,
        "closed": closed(view),
        "archived": false,
        "accepting_orders": view.accepting,
        "accepting_order_timestamp": seconds(view.listed_at),
        "minimum_order_size": number(&text::shares(market.min_size)),
        "minimum_tick_size": number(&market.tick.to_string()),
        "condition_id": market.condition,
        "question_id": question_id(view),
        "question": market.question,
        "description": format!("{} (made up for tests)", market.question),
        "market_slug": market.slug,
        "end_date_iso": market.closes.map(seconds),
        "game_start_time": view.listing.game_start.map(seconds),
        "seconds_delay": market.taker_delay.as_millis() / 1_000,
        "fpmm": "",
        "maker_base_fee": 1_000,
        "taker_base_fee": 1_000,
        "notifications_enabled": true,
        "neg_risk": market.neg_risk.is_some(),
        "neg_risk_market_id": market.neg_risk.as_ref().map_or("", |group| &group.group),
        "neg_risk_request_id": "",
        "icon": "",
        "image": "",
        "rewards": rewards(view),
        "is_50_50_outcome": false,
        "tokens": tokens(view),
        "tags": view.listing.tags,
    })
}

/// The form of `GET /simplified-markets`.
pub(crate) fn simplified(view: &MarketView) -> Value {
    json!({
        "condition_id": view.listing.market.condition,
        "rewards": rewards(view),
        "tokens": tokens(view),
        "active": true,
        "closed": closed(view),
        "archived": false,
        "accepting_orders": view.accepting,
    })
}

/// The short keys of `GET /clob-markets/{condition}`.
pub(crate) fn compact(view: &MarketView, now: polydesk_domain::Time) -> Value {
    let market = &view.listing.market;
    let token = |outcome: Outcome| json!({ "t": market.tokens[outcome.index()], "o": market.labels[outcome.index()] });
    let delay = market.taker_delay.as_millis();
    let mut value = json!({
        "c": market.condition,
        "t": [token(Outcome::Yes), token(Outcome::No)],
        "mts": number(&market.tick.to_string()),
        "mos": number(&text::shares(market.min_size)),
        "nr": market.neg_risk.is_some(),
        "mbf": 1_000,
        "tbf": 1_000,
        "oas": 0,
        "sd": delay / 1_000,
        "cbos": view.listing.clear_on_start,
        "ibce": true,
        "rfqe": false,
        "aot": seconds(view.listed_at),
    });
    if let Ok(rate) = market.fees.at(now) {
        value["fd"] = json!({
            "r": number(&text::micros(i128::from(rate.rate_ppm))), "e": rate.exponent, "to": true
        });
    }
    if (1..1_000).contains(&delay) {
        value["itode"] = json!(true);
    }
    if let Some(start) = view.listing.game_start {
        value["gst"] = json!(seconds(start));
    }
    if let Some((size, spread)) = view.listing.rewards {
        value["r"] =
            json!({ "mi": number(&text::shares(size)), "ma": number(&cents(spread)), "moas": 4 });
    }
    value
}

/// RFC 3339 with whole seconds.
pub(crate) fn seconds(at: polydesk_domain::Time) -> String {
    polydesk_domain::Time::from_secs(at.millis().div_euclid(1_000))
        .to_string()
        .replace(".000Z", "Z")
}

/// What a widget about a market shows.
pub(crate) fn live_activity(view: &MarketView) -> Value {
    let market = &view.listing.market;
    json!({
        "condition_id": market.condition, "id": view.number, "question": market.question,
        "market_slug": market.slug, "event_slug": market.event, "icon": "", "image": "",
        "tags": view.listing.tags,
    })
}

/// Fields of `/rewards/markets/multi` beyond the other lists of rewards.
pub(crate) fn widen_reward(row: &mut Value, view: &MarketView) {
    let spread = match view.top {
        (Some(bid), Some(ask)) => i128::from(ask.units()) - i128::from(bid.units()),
        _ => 0,
    };
    let market = &view.listing.market;
    row["market_id"] = json!(view.number.to_string());
    row["event_id"] = json!(super::event_number(view).to_string());
    row["group_item_title"] = json!(view.listing.group_title);
    row["spread"] = number(&text::micros(spread * 100));
    row["volume_24hr"] = number(&text::money(view.volume));
    row["one_day_price_change"] = json!(0);
    row["created_at"] = json!(seconds(view.listed_at));
    row["end_date"] = json!(market.closes.map(seconds));
}
