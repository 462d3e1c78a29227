//! Frames of the market and user sockets.

use alloy::primitives::Address;
use polydesk_domain::{Outcome, Price, Shares, Side, Tick, Time, Token, Universe};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{book, number, order, side, trade};
use crate::text;
use crate::venue::{BookView, LevelUpdate, MarketView, Order, OrderChange, Status, Trade};

fn stamp(at: Time) -> String {
    at.millis().to_string()
}

/// An empty side is written as the end of the price range.
fn top(price: Option<Price>, empty: &str) -> String {
    price.map_or(empty.to_owned(), text::price)
}

/// A whole book. The socket leaves out what only REST states.
pub(crate) fn book_frame(view: &BookView) -> Value {
    let mut value = book(view);
    if let Some(fields) = value.as_object_mut() {
        fields.remove("min_order_size");
        fields.remove("neg_risk");
        fields.insert("event_type".to_owned(), json!("book"));
    }
    value
}

/// Changed levels of the tokens a connection wants.
pub(crate) fn levels_frame<'a>(
    changes: impl Iterator<Item = &'a LevelUpdate>,
    at: Time,
    universe: &Universe,
) -> Option<Value> {
    let mut market = None;
    let changes: Vec<Value> = changes
        .map(|change| {
            market = Some(universe.market(change.token.market()).condition);
            json!({
                "asset_id": universe.token_id(change.token),
                "price": text::price(change.price),
                "size": text::shares(change.size),
                "side": side(change.side),
                "hash": change.hash,
                "best_bid": top(change.bid, "0"),
                "best_ask": top(change.ask, "1"),
            })
        })
        .collect();
    let market = market?;
    Some(json!({
        "market": market,
        "price_changes": changes,
        "timestamp": stamp(at),
        "event_type": "price_change",
    }))
}

pub(crate) fn print_frame(
    token: Token,
    price: Price,
    size: Shares,
    taker: Side,
    at: Time,
    universe: &Universe,
) -> Value {
    json!({
        "market": universe.market(token.market()).condition,
        "asset_id": universe.token_id(token),
        "price": text::price(price),
        "size": text::shares(size),
        "fee_rate_bps": "0",
        "side": side(taker),
        "timestamp": stamp(at),
        "event_type": "last_trade_price",
    })
}

pub(crate) fn tick_frame(
    token: Token,
    old: Tick,
    new: Tick,
    at: Time,
    universe: &Universe,
) -> Value {
    json!({
        "event_type": "tick_size_change",
        "market": universe.market(token.market()).condition,
        "asset_id": universe.token_id(token),
        "old_tick_size": old.to_string(),
        "new_tick_size": new.to_string(),
        "timestamp": stamp(at),
    })
}

pub(crate) fn top_frame(
    token: Token,
    bid: Option<Price>,
    ask: Option<Price>,
    at: Time,
    universe: &Universe,
) -> Value {
    let units = |price: Option<Price>, empty| i128::from(price.unwrap_or(empty).units());
    let spread = units(ask, Price::ONE) - units(bid, Price::ZERO);
    json!({
        "event_type": "best_bid_ask",
        "market": universe.market(token.market()).condition,
        "asset_id": universe.token_id(token),
        "best_bid": top(bid, "0"),
        "best_ask": top(ask, "1"),
        "spread": text::micros(spread * 100),
        "timestamp": stamp(at),
    })
}

pub(crate) fn listed_frame(view: &MarketView, at: Time) -> Value {
    let market = &view.listing.market;
    let title = &view.listing.event_title;
    let mut value = json!({
        "event_type": "new_market",
        "id": view.number.to_string(),
        "question": market.question,
        "market": market.condition,
        "slug": market.slug,
        "description": format!("{} (made up for tests)", market.question),
        "assets_ids": market.tokens,
        "outcomes": market.labels,
        "event_message": {
            "id": super::event_number(view).to_string(),
            "ticker": market.event,
            "slug": market.event,
            "title": title,
            "description": title,
        },
        "timestamp": stamp(at),
        "tags": view.listing.tags,
        "active": true,
        "clob_token_ids": market.tokens,
        "order_price_min_tick_size": market.tick.to_string(),
        "group_item_title": view.listing.group_title,
        "taker_base_fee": "1000",
        "fees_enabled": view.listing.fee_type.is_some(),
    });
    if let (Some(_), Ok(rate)) = (&view.listing.fee_type, market.fees.at(at)) {
        value["fee_schedule"] = json!({
            "exponent": rate.exponent.to_string(),
            "rate": text::micros(i128::from(rate.rate_ppm)),
            "taker_only": true,
            "rebate_rate": text::micros(i128::from(rate.rebate_ppm)),
        });
    }
    if let Some(start) = view.listing.game_start {
        value["game_start_time"] = json!(super::seconds(start));
        value["sports_market_type"] = json!("moneyline");
    }
    value
}

pub(crate) fn resolved_frame(view: &MarketView, winner: Option<Token>, at: Time) -> Value {
    let market = &view.listing.market;
    let outcome = winner.map(|token| token.outcome());
    let of = |outcome: Outcome| market.labels[outcome.index()].clone();
    json!({
        "event_type": "market_resolved",
        "id": view.number.to_string(),
        "market": market.condition,
        "assets_ids": market.tokens,
        "winning_asset_id": outcome.map(|o| market.tokens[o.index()].to_string()).unwrap_or_default(),
        "winning_outcome": outcome.map(of).unwrap_or_default(),
        "timestamp": stamp(at),
        "tags": view.listing.tags,
    })
}

/// An `order` event. A killed FOK has neither matched size nor creation time, as captured.
pub(crate) fn order_frame(what: OrderChange, of: &Order, at: Time, universe: &Universe) -> Value {
    let mut value = order(of, universe);
    value["event_type"] = json!("order");
    value["type"] = json!(match what {
        OrderChange::Placement => "PLACEMENT",
        OrderChange::Update => "UPDATE",
        OrderChange::Cancellation => "CANCELLATION",
    });
    value["order_owner"] = json!(of.key);
    value["timestamp"] = json!(stamp(at));
    value["created_at"] = json!((of.created.millis() / 1_000).to_string());
    let killed = matches!(&of.status, Status::Canceled(reason) if !reason.is_empty());
    if killed && !of.tif.rests() {
        value["size_matched"] = json!("");
        value["created_at"] = json!("");
        value["outcome"] = json!("");
    }
    value
}

/// A `trade` event as one of its parties gets it.
pub(crate) fn trade_frame(
    of: &Trade,
    viewer: &Address,
    key: Uuid,
    at: Time,
    universe: &Universe,
) -> Value {
    let mut value = trade(of, viewer, universe);
    value["event_type"] = json!("trade");
    value["type"] = json!("TRADE");
    value["trade_owner"] = json!(key);
    value["timestamp"] = json!((at.millis() / 1_000).to_string());
    value
}

/// One price of a feed: the exact text and the rounded double the venue sends beside it.
pub(crate) fn rounded(text: &str) -> Value {
    text.parse::<f64>().map_or_else(|_| number(text), |value| json!(value))
}
