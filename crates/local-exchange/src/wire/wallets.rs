//! Data API: wallets and markets in numbers, and the archive of a wallet's books.

use alloy::primitives::Address;
use polydesk_domain::{ConditionId, Outcome, Price, Shares, Usdc};
use serde_json::{Value, json};

use super::{Held, number, seconds};
use crate::text;
use crate::venue::{MarketView, Venue};

/// Shares, pUSD and number of fills.
pub(crate) fn volume((shares, money, count): (Shares, Usdc, usize)) -> Value {
    json!({
        "volume": number(&text::shares(shares)), "volume_usdc": number(&text::money(money)),
        "trade_count": count,
    })
}

/// A wallet's sums at a time.
pub(crate) fn pnl_point(at: i64, sums: (Shares, Usdc, usize), realized: Usdc, fees: Usdc) -> Value {
    let mut point = volume(sums);
    point["timestamp"] = json!(at);
    // There is no chain to count blocks of.
    point["source_block"] = json!(0);
    point["realized_pnl"] = number(&text::money(realized));
    point["realized_market_pnl"] = number(&text::money(realized));
    point["realized_lp_pnl"] = json!(0);
    point["realized_combo_pnl"] = json!(0);
    point["fees"] = number(&text::money(fees));
    point["fees_paid"] = number(&text::money(fees));
    point["unrealized_pnl"] = Value::Null;
    point
}

/// A position as `/v1/market-positions` has it: the price is called otherwise than everywhere else.
pub(crate) fn market_position(
    owner: &Address,
    outcome: Outcome,
    held: &Held,
    view: &MarketView,
) -> Value {
    let market = &view.listing.market;
    let row = super::position_row(owner, view.key.token(outcome), held, view, false, true);
    let gain = view.price(outcome).notional_floor(held.size) - held.cost_of(held.size);
    json!({
        "proxyWallet": row["proxyWallet"], "name": "", "profileImage": "", "verified": false,
        "asset": row["asset"], "conditionId": market.condition, "size": row["size"],
        "avgPrice": row["avgPrice"], "currPrice": row["curPrice"],
        "currentValue": row["currentValue"], "cashPnl": row["cashPnl"],
        "totalBought": row["totalBought"], "realizedPnl": row["realizedPnl"],
        "totalPnl": number(&text::money(gain + held.realized())),
        "outcome": row["outcome"], "outcomeIndex": row["outcomeIndex"],
    })
}

/// Open interest under a condition id or `GLOBAL`; a pair of shares is a dollar.
pub(crate) fn open_interest(name: &str, pairs: Shares, camel: bool) -> Value {
    let key = if camel { "market" } else { "condition_id" };
    json!({ key: name, "value": number(&text::shares(pairs)) })
}

/// What takers traded in a market.
pub(crate) fn market_volume(condition: &ConditionId, of: (Shares, Usdc), camel: bool) -> Value {
    if camel {
        json!({ "market": condition, "value": number(&text::money(of.1)) })
    } else {
        json!({ "condition_id": condition, "taker_volume": number(&text::shares(of.0)) })
    }
}

/// What takers traded in events.
pub(crate) fn event_volume(of: (Shares, Usdc), markets: Vec<Value>, camel: bool) -> Value {
    if camel {
        json!([{ "total": number(&text::money(of.1)), "markets": markets }])
    } else {
        json!({ "data": {
            "taker_volume_total": number(&text::shares(of.0)), "conditions": markets
        } })
    }
}

/// A past price of version 2; a resolution of 0 is a trade itself.
pub(crate) fn price_point((at, price): (i64, Price), resolution: i64) -> Value {
    json!({ "timestamp": at, "price": number(&text::price(price)),
            "resolution_seconds": resolution })
}

/// How far behind the data is: not at all, and there is no chain it could be behind.
pub(crate) fn freshness(venue: &Venue) -> Value {
    json!({
        "computed_at": seconds(venue.now()), "age_seconds": 0,
        "serving": { "lag_seconds": 0, "worst": "", "mechanisms": [] },
        "ingestion": { "cursors": 0, "network": "local", "chain_id": venue.chain_id(),
                       "max_synced_block": null },
    })
}

/// A ZIP archive of files as they are.
pub(crate) fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::new();
    let mut directory: Vec<u8> = Vec::new();
    for (name, content) in files {
        let mut crc = flate2::Crc::new();
        crc.update(content);
        let start = out.len() as u32;
        // Version, flags, method (stored), time, day (1980-01-01), sum, both sizes, both lengths.
        let mut head: Vec<u8> = Vec::new();
        for field in [20u16, 0, 0, 0, 0x21] {
            head.extend(field.to_le_bytes());
        }
        for field in [crc.sum(), content.len() as u32, content.len() as u32] {
            head.extend(field.to_le_bytes());
        }
        head.extend((name.len() as u16).to_le_bytes());
        head.extend(0u16.to_le_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&head);
        out.extend(name.as_bytes());
        out.extend(*content);
        directory.extend(b"PK\x01\x02");
        directory.extend(20u16.to_le_bytes());
        directory.extend(&head);
        // Comment, disk, attributes.
        directory.extend([0; 10]);
        directory.extend(start.to_le_bytes());
        directory.extend(name.as_bytes());
    }
    let (start, size) = (out.len() as u32, directory.len() as u32);
    out.extend(directory);
    out.extend(b"PK\x05\x06");
    for field in [0u16, 0, files.len() as u16, files.len() as u16] {
        out.extend(field.to_le_bytes());
    }
    out.extend(size.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(0u16.to_le_bytes());
    out
}
