//! Data API, both versions: positions, trades, activity.

use alloy::primitives::{Address, hex};
use polydesk_domain::{MarketState, Shares, Side, Token, Usdc};
use serde_json::{Value, json};

use super::{number, outcome, side};
use crate::text;
use crate::venue::{MarketView, Trade, Venue};

/// One fill of one wallet.
#[derive(Debug, Clone)]
pub(crate) struct Fill {
    pub(crate) wallet: Address,
    pub(crate) token: Token,
    pub(crate) side: Side,
    pub(crate) shares: Shares,
    pub(crate) money: Usdc,
    pub(crate) fee: Usdc,
    pub(crate) taker: bool,
    pub(crate) seconds: i64,
    pub(crate) transaction: String,
}

/// Every fill of a trade, the taker's first.
pub(crate) fn fills(trade: &Trade) -> Vec<Fill> {
    let seconds = trade.matched_at.millis() / 1_000;
    let transaction = trade.transaction.map(hex::encode_prefixed).unwrap_or_default();
    let mut fills = vec![Fill {
        wallet: trade.wallet,
        token: trade.token,
        side: trade.side,
        shares: trade.shares(),
        money: trade.money(),
        fee: trade.fee(),
        taker: true,
        seconds,
        transaction: transaction.clone(),
    }];
    for leg in &trade.legs {
        fills.push(Fill {
            wallet: leg.wallet,
            token: leg.token,
            side: leg.side,
            shares: leg.shares,
            money: leg.maker_money,
            fee: Usdc::ZERO,
            taker: false,
            seconds,
            transaction: transaction.clone(),
        });
    }
    fills
}

fn wallet(address: &Address) -> String {
    format!("{address:#x}")
}

/// A row of trades: `camel` is version 1, else version 2.
pub(crate) fn trade_row(fill: &Fill, venue: &Venue, camel: bool) -> Value {
    let universe = venue.universe();
    let market = universe.market(fill.token.market());
    let price = number(&text::average(fill.money, fill.shares));
    let size = number(&text::shares(fill.shares));
    let asset = universe.token_id(fill.token);
    let index = fill.token.outcome().index();
    let name = outcome(universe, fill.token);
    if camel {
        return json!({
            "proxyWallet": wallet(&fill.wallet), "side": side(fill.side), "asset": asset,
            "conditionId": market.condition, "size": size, "price": price,
            "timestamp": fill.seconds, "title": market.question, "slug": market.slug,
            "icon": "", "eventSlug": market.event, "outcome": name, "outcomeIndex": index,
            "name": "", "pseudonym": "", "bio": "", "profileImage": "",
            "profileImageOptimized": "", "transactionHash": fill.transaction,
        });
    }
    json!({
        "proxy_wallet": wallet(&fill.wallet), "side": side(fill.side), "token_id": asset,
        "condition_id": market.condition, "size": size, "price": price,
        "timestamp": fill.seconds, "title": market.question, "slug": market.slug, "icon": "",
        "event_slug": market.event, "outcome": name, "outcome_index": index, "name": "",
        "pseudonym": "", "bio": "", "profile_image": "", "profile_image_optimized": "",
        "transaction_hash": fill.transaction,
    })
}

/// A row of activity.
pub(crate) fn activity_row(fill: &Fill, venue: &Venue, camel: bool) -> Value {
    let mut row = trade_row(fill, venue, camel);
    row["type"] = json!("TRADE");
    let money = number(&text::money(fill.money));
    row[if camel { "usdcSize" } else { "usdc_size" }] = money;
    if !camel {
        row["is_combo"] = json!(false);
    }
    row
}

/// What a wallet has and had of a token.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Held {
    pub(crate) size: Shares,
    pub(crate) bought: Shares,
    pub(crate) cost: Usdc,
    pub(crate) fees: Usdc,
    pub(crate) sold: Shares,
    pub(crate) proceeds: Usdc,
    pub(crate) last: i64,
}

impl Held {
    fn average(&self) -> String {
        text::average(self.cost, self.bought)
    }
    pub(super) fn cost_of(&self, shares: Shares) -> Usdc {
        self.cost.scale_floor(shares.micros(), self.bought.micros())
    }
    /// What sales brought beyond what was sold had cost.
    pub(crate) fn realized(&self) -> Usdc {
        self.proceeds - self.cost_of(self.sold)
    }
}

/// A row of positions.
pub(crate) fn position_row(
    owner: &Address,
    token: Token,
    held: &Held,
    view: &MarketView,
    mergeable: bool,
    camel: bool,
) -> Value {
    let market = &view.listing.market;
    let index = token.outcome().index();
    let price = view.price(token.outcome());
    let value = price.notional_floor(held.size);
    let initial = held.cost_of(held.size);
    let realized = held.realized();
    let gain = value - initial;
    let percent = |gain: Usdc, of: Usdc| match of.micros() {
        0 => number("0"),
        of => number(&text::micros(i128::from(gain.micros()) * 100_000_000 / i128::from(of))),
    };
    let n = |usdc: Usdc| number(&text::money(usdc));
    let resolved = matches!(market.state, MarketState::Resolved(_));
    let (size, bought) = (number(&text::shares(held.size)), number(&text::shares(held.bought)));
    let asset = market.tokens[index];
    let other = market.tokens[1 - index];
    let end = market.closes.map(super::seconds);
    let current = number(&text::price(price));
    if camel {
        return json!({
            "proxyWallet": wallet(owner), "asset": asset, "conditionId": market.condition,
            "size": size, "avgPrice": number(&held.average()), "initialValue": n(initial),
            "currentValue": n(value), "cashPnl": n(gain), "percentPnl": percent(gain, initial),
            "totalBought": bought, "realizedPnl": n(realized),
            "percentRealizedPnl": percent(realized, held.cost), "curPrice": current,
            "redeemable": resolved, "mergeable": mergeable, "title": market.question,
            "slug": market.slug, "icon": "", "eventSlug": market.event,
            "outcome": market.labels[index], "outcomeIndex": index,
            "oppositeOutcome": market.labels[1 - index], "oppositeAsset": other, "endDate": end,
            "negativeRisk": market.neg_risk.is_some(), "entryFeesUsdc": n(held.fees),
        });
    }
    let status = match (resolved, held.size.is_zero()) {
        (_, true) => "CLOSED",
        (true, _) if value.is_zero() => "REDEEMABLE_LOST",
        (true, _) => "REDEEMABLE",
        (false, _) if mergeable => "MERGEABLE",
        _ => "OPEN",
    };
    json!({
        "proxy_wallet": wallet(owner), "token_id": asset, "condition_id": market.condition,
        "current_size": size, "avg_price": number(&held.average()),
        "entry_cost_usdc": n(initial), "entry_fees_usdc": n(held.fees),
        "total_cost_usdc": n(initial + held.fees), "current_price": current,
        "current_value": n(value), "total_size": bought, "realized_pnl": n(realized),
        "unrealized_pnl": n(gain), "total_pnl": n(gain + realized),
        "percent_pnl": percent(gain, initial),
        "percent_realized_pnl": percent(realized, held.cost), "status": status,
        "redeemable": resolved, "mergeable": mergeable,
        "negative_risk": market.neg_risk.is_some(), "archived": false, "verified": true,
        "title": market.question, "slug": market.slug, "icon": "", "event_slug": market.event,
        "outcome": market.labels[index], "outcome_index": index,
        "opposite_outcome": market.labels[1 - index], "opposite_token_id": other,
        "end_date": end, "last_event_at": held.last,
    })
}
