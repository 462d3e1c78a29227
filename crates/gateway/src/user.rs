//! The user channel, and trades of any source.

use std::collections::BTreeSet;

use polydesk_domain::{
    AccountEvent, Channel, FeeRate, Finding, OrderHash, OwnTrade, Price, Time, Token, TradeId,
    TradeStatus, Universe,
};
use polydesk_polymarket_api::clob::{OrderStatus, OwnLeg, Trade};
use polydesk_polymarket_api::ws::{UserItem, UserOrder};
use rust_decimal::RoundingStrategy;

use crate::amounts::estimate;
use crate::answers::push_steps;
use crate::gateway::{Found, Gateway};
use crate::orders::{OrderEnd, WireFill};
use crate::output::{Ask, Output};
use crate::states::{Reported, reopen, report};

/// Where a row of a trade stands.
struct Row<'a> {
    trade: &'a Trade,
    id: TradeId,
    status: TradeStatus,
    matched_at: Time,
    at: Time,
}

impl Gateway {
    /// One item of the user channel. `at` is engine time.
    pub fn user(&mut self, ids: &Universe, item: &UserItem, at: Time) -> Vec<Output> {
        let link = |up| Output::Event(AccountEvent::Link { channel: Channel::User, up });
        match item {
            UserItem::Connected { .. } => vec![link(true)],
            UserItem::Disconnected { .. } | UserItem::Rejected { .. } => vec![link(false)],
            UserItem::Order { order, .. } => self.user_order(ids, order, at),
            UserItem::Trade { trade, .. } => self.trade(ids, trade, at),
            UserItem::Unreadable { excerpt, .. } => {
                let excerpt: String = excerpt.chars().take(100).collect();
                vec![Output::NotReconciled(format!("a message of the user channel: {excerpt:?}"))]
            }
        }
    }

    /// An order update of the user channel.
    pub fn user_order(&mut self, ids: &Universe, order: &UserOrder, at: Time) -> Vec<Output> {
        let shown: String = order.id.chars().take(100).collect();
        let unreadable = |what: &str| {
            Output::NotReconciled(format!("order {shown} of the user channel: {what}"))
        };
        let Some(hash) = order.hash() else { return vec![unreadable("id is no order id")] };
        let (Some(id_token), Some(side)) = (order.token(), order.side()) else {
            return vec![unreadable("asset_id or side is none"), Output::Ask(Ask::Order(hash))];
        };
        // A placement without a size has matched nothing yet.
        let matched = match (order.matched(), order.size_matched) {
            (None, None) if order.status == OrderStatus::Live && order.kind == "PLACEMENT" => {
                Some(polydesk_domain::Shares::ZERO)
            }
            (matched, _) => matched,
        };
        let Some(matched) = matched else {
            let what = "size_matched is missing or looks like millionths";
            return vec![unreadable(what), Output::Ask(Ask::Order(hash))];
        };
        if self.orders.get(&hash).is_none() {
            // Its sizes have other units for immediate buys: a read of it shows what it is.
            let listed = ids.token(&id_token).is_some();
            let market = (!listed).then_some(Output::Ask(Ask::Market(id_token)));
            return [unreadable("this bot did not place it"), Output::Ask(Ask::Order(hash))]
                .into_iter()
                .chain(market)
                .collect();
        }
        let Some(known) = self.orders.get_mut(&hash) else { return Vec::new() };
        if (known.facts.token, known.facts.side) != (id_token, side) {
            return vec![unreadable("token or side differ from what was signed")];
        }
        let reported = Reported {
            status: &order.status,
            cancelled: order.cancelled(),
            matched,
            at: order.timestamp.unwrap_or(at),
            present: false,
        };
        let id = known.id;
        let steps = report(known, &reported, at);
        let mut out = Vec::new();
        push_steps(hash, id, steps, &mut out);
        out
    }

    /// A trade of the user channel or of a list: each of our orders' parts in it, once per (trade, order).
    pub fn trade(&mut self, ids: &Universe, trade: &Trade, at: Time) -> Vec<Output> {
        let shown: String = trade.id.chars().take(100).collect();
        let unreadable = |what: &str| Output::NotReconciled(format!("trade {shown:?}: {what}"));
        let Some(id) = trade_id(&trade.id) else { return vec![unreadable("id is no uuid")] };
        let legs = match trade.own_legs(&self.account.owner, &self.account.wallet) {
            Ok(legs) => legs,
            Err(what) => return vec![Output::NotReconciled(what)],
        };
        let mut out = Vec::new();
        let status = match trade.status.status() {
            Some(status) => status,
            None => {
                // Not settled, as far as known.
                out.push(unreadable(&format!("the status {:?}", trade.status)));
                TradeStatus::Matched
            }
        };
        // One of our orders that names another owner: its part would be lost without a word.
        let read: BTreeSet<OrderHash> = legs.iter().map(|leg| leg.order).collect();
        for hash in named(trade) {
            if self.orders.get(&hash).is_some() && !read.contains(&hash) {
                let what = format!("order {hash} is ours, and no part of it is");
                out.extend([unreadable(&what), Output::Ask(Ask::Trades(hash))]);
            }
        }
        let matched_at = trade.match_time.or(trade.matchtime).unwrap_or(at);
        let row = Row { trade, id, status, matched_at, at };
        for leg in &legs {
            self.leg(ids, &row, leg, &mut out);
        }
        out
    }

    fn leg(&mut self, ids: &Universe, row: &Row<'_>, leg: &OwnLeg, out: &mut Vec<Output>) {
        let Some(token) = ids.token(&leg.token) else {
            // A market that is over, is held no more and was taken off: what is final of it is booked.
            let known = self.orders.get(&leg.order).and_then(|order| order.fills.get(&row.id));
            if known.is_some_and(WireFill::is_final) {
                return;
            }
            let text = format!("a fill of order {} is in a market that is not listed", leg.order);
            out.extend([Output::NotReconciled(text), Output::Ask(Ask::Market(leg.token))]);
            return;
        };
        let fees = &ids.market(token.market()).fees;
        // An unknown fee is estimated as the highest there is.
        let rate = fees.at(row.matched_at).unwrap_or(FeeRate::WORST_CASE);
        let fill = match estimate(leg, rate, self.account.builder) {
            Ok(fill) => fill,
            Err(what) => {
                let text = format!("trade {:?}, order {}: {what}", row.trade.id, leg.order);
                out.extend([Output::NotReconciled(text), Output::Ask(Ask::Trades(leg.order))]);
                return;
            }
        };
        if self.orders.get(&leg.order).is_none() {
            self.adopt(&found(ids, leg, token), row.at, out);
            // What is left of it shows only in a read of it.
            out.push(Output::Ask(Ask::Order(leg.order)));
        }
        let stray = self
            .orders
            .get(&leg.order)
            .is_some_and(|order| (order.facts.token, order.facts.side) != (leg.token, leg.side));
        if stray {
            return self.stray(row, leg, token, fill, out);
        }
        let Some(order) = self.orders.get_mut(&leg.order) else { return };
        if order.ended.is_some_and(|end| matches!(end, OrderEnd::Rejected | OrderEnd::Absent)) {
            reopen(order);
            out.push(Output::Ask(Ask::Order(leg.order)));
        }
        order.updated_at = order.updated_at.max(row.at);
        order.acknowledged = true;
        order.unseen_since = None;
        let price = leg.price.normalize().to_string();
        let known = order.fills.entry(row.id).or_insert_with(|| WireFill {
            status: row.status,
            fill,
            shares: leg.shares,
            price: price.clone(),
            role: leg.role,
            matched_at: row.matched_at,
            transaction: None,
        });
        // The same row again has the same amounts, also when a fee changed in between or the logs gave exact ones;
        // another row under this id is the engine's to report.
        let same = known.shares == leg.shares && known.price == price;
        let fill = if same { known.fill } else { fill };
        known.status = later(known.status, row.status);
        if let Some(hash) = transaction(&row.trade.transaction_hash)
            && known.status == row.status
        {
            known.transaction = Some(hash);
        }
        let role = known.role;
        let (id, filled) = (order.id, order.filled());
        order.matched = order.matched.max(filled);
        if id.is_external() && filled > order.facts.shares() {
            // Its first fill was all that was known of its size.
            order.facts.size = polydesk_domain::Size::Shares(filled);
            let (hash, side, price) = (leg.order, order.facts.side, order.facts.price);
            // What is left of it shows only in a read of it.
            let open = false;
            let external =
                polydesk_domain::ExternalOrder { id, hash, token, side, price, size: filled, open };
            out.push(Output::Event(AccountEvent::External(external)));
        }
        let (trade, side, status) = (row.id, leg.side, row.status);
        out.push(Output::trade(OwnTrade { trade, order: id, token, side, role, fill, status }));
    }

    /// A fill under the hash of one of our orders in another token or on another side. It cannot be of that order:
    /// it is booked to an external one, and both tokens are frozen.
    fn stray(
        &mut self,
        row: &Row<'_>,
        leg: &OwnLeg,
        token: Token,
        fill: polydesk_domain::Fill,
        out: &mut Vec<Output>,
    ) {
        let known =
            self.orders.get(&leg.order).and_then(|order| order.strays.get(&row.id)).copied();
        let id = known.unwrap_or_else(|| self.external_id());
        if known.is_none() {
            let (hash, side, size) = (leg.order, leg.side, leg.shares);
            let (price, open) = (near(leg), false);
            let external =
                polydesk_domain::ExternalOrder { id, hash, token, side, price, size, open };
            out.push(Output::Event(AccountEvent::External(external)));
        }
        if let Some(order) = self.orders.get_mut(&leg.order) {
            order.strays.insert(row.id, id);
        }
        let (trade, side, role, status) = (row.id, leg.side, leg.role, row.status);
        out.push(Output::trade(OwnTrade { trade, order: id, token, side, role, fill, status }));
        let detail = format!(
            "trade {:?} of order {} is a {} of {} shares in a token or on a side that the order does not have",
            row.trade.id, leg.order, leg.side, leg.shares
        );
        out.push(Output::Event(AccountEvent::Finding(Finding::Freeze { token, detail })));
    }
}

/// What a fill shows of an order that no entry names.
fn found(ids: &Universe, leg: &OwnLeg, token: Token) -> Found {
    Found {
        hash: leg.order,
        id_token: leg.token,
        condition: ids.market(token.market()).condition,
        token,
        side: leg.side,
        price: near(leg),
        size: leg.shares,
        open: false,
    }
}

/// The price of a fill as a level.
fn near(leg: &OwnLeg) -> Price {
    let near = leg.price.round_dp_with_strategy(4, RoundingStrategy::ToZero);
    Price::try_from(near).unwrap_or(Price::ONE)
}

/// The order ids that a trade names.
fn named(trade: &Trade) -> impl Iterator<Item = OrderHash> {
    let makers = trade.maker_orders.iter().map(|order| order.order_id.as_str());
    makers.chain([trade.taker_order_id.as_str()]).filter_map(|id| id.parse().ok())
}

/// A uuid as a number.
pub(crate) fn trade_id(text: &str) -> Option<TradeId> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let hex = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then(|| u128::from_str_radix(&digits, 16).ok().map(TradeId)).flatten()
}

/// A transaction hash in small letters.
pub(crate) fn transaction(text: &str) -> Option<String> {
    let hash: OrderHash = text.parse().ok()?;
    (text.len() == 66).then(|| hash.to_string())
}

/// The later of two stages: a final one stays, and an earlier one after a later one changes nothing.
fn later(now: TradeStatus, next: TradeStatus) -> TradeStatus {
    use TradeStatus as T;
    match (now, next) {
        (T::Confirmed | T::Failed, _) | (T::Mined | T::Retrying, T::Matched) => now,
        _ => next,
    }
}
