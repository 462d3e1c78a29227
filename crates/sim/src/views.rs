//! Read-only views of the exchange, and the full check of its sums.

use std::collections::BTreeMap;

use polydesk_domain::{
    AccountSnapshot, ClientOrderId, MarketKey, OrderHash, OwnTrade, Price, Shares, Side, Span,
    Token,
};

use crate::bank::{AccountView, Broken};
use crate::order::Stage;
use crate::state::Sim;
use crate::taker_delay::taker_delay;

/// What can fill a resting order in a market, by the data seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FillRule {
    /// Prints, after the queue ahead, and a displayed opposite side that crosses the order.
    PrintsAndCrossings,
    /// Without prints so far, only a displayed opposite side that crosses the order.
    CrossingsOnly,
}

/// One of our open orders, for reads of a local exchange and for tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct OrderView {
    /// Our id.
    pub id: ClientOrderId,
    /// The venue's id.
    pub hash: OrderHash,
    /// The token.
    #[serde(skip)]
    pub token: Token,
    /// Buy or sell.
    pub side: Side,
    /// The limit price.
    pub price: Price,
    /// Shares matched so far.
    pub matched: Shares,
    /// Shares that can still match.
    pub open: Shares,
    /// Shares of others that trade at its level before it, by the queue model.
    pub ahead: Shares,
    /// Whether the taker delay holds it back.
    pub delayed: bool,
}

/// How many entries the exchange keeps in memory. Entries other than open orders and their matches are
/// dropped two hours after their last update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Entries {
    /// Open orders.
    pub open_orders: usize,
    /// Ended orders.
    pub ended_orders: usize,
    /// Matches of both.
    pub trades: usize,
    /// Orders with a remembered query result.
    pub query_results: usize,
    /// Finished conversions.
    pub conversions: usize,
}

impl Sim {
    /// Counts of the entries kept in memory.
    pub fn entries(&self) -> Entries {
        Entries {
            open_orders: self.orders.len(),
            ended_orders: self.ended.len(),
            trades: self.trades.len(),
            query_results: self.query_results.len(),
            conversions: self.conversions.len(),
        }
    }

    /// What can fill our resting orders in a market, by the data seen so far.
    pub fn fill_rule(&self, market: MarketKey) -> FillRule {
        match self.slots.get(market.index()) {
            Some(slot) if slot.prints_seen => FillRule::PrintsAndCrossings,
            _ => FillRule::CrossingsOnly,
        }
    }

    /// How long marketable orders in a market are held back now, and whether that is assumed from its category
    /// and date because no record of it exists.
    pub fn taker_delay(&self, market: MarketKey) -> (Span, bool) {
        let assume = self.config.matching.assume_taker_delay;
        match self.slots.get(market.index()) {
            Some(slot) => taker_delay(&slot.market, self.now, assume),
            None => (Span::ZERO, false),
        }
    }

    /// Our account as the exchange knows it.
    pub fn account(&self) -> AccountView {
        self.bank.view(self.rebates.values().copied().sum())
    }

    /// The account as reads of the chain and of the venue show it now: complete, and all at the instant
    /// [`Sim::now`].
    ///
    /// Cash and shares are those on the chain, so a match changes them when it is confirmed:
    ///
    /// | | included | not included |
    /// |---|---|---|
    /// | `cash` | free; reserved for open buys and pending splits; cost of buys that are matched and not confirmed | proceeds of sells that are matched and not confirmed; rebates accrued and not paid |
    /// | `shares` | free; reserved for open sells; locked in pending merges; sold and not confirmed | bought and not confirmed |
    /// | `open` | resting orders; orders held back by the taker delay | orders in flight; ended orders |
    ///
    /// So `cash` is [`AccountView::cash`] and each entry of `shares` is [`TokenView::settled`]. A failed
    /// match changes neither. On the real chain the change comes with `MINED`, here with `CONFIRMED`; a
    /// comparison accepts both states in between.
    ///
    /// Reports of the same changes can still be on their way to the engine; the caller delays the snapshot
    /// like a read.
    ///
    /// [`TokenView::settled`]: crate::TokenView::settled
    pub fn account_snapshot(&self, epoch: u32) -> AccountSnapshot {
        let account = self.account();
        let tokens = (0u32..).map(Token).zip(&account.tokens);
        let shares = tokens.map(|(token, view)| (token, view.settled()));
        let open =
            self.orders.values().map(|order| (self.chance.order_hash(order.id), order.matched));
        AccountSnapshot {
            epoch,
            asked_at: self.now,
            complete: true,
            cash: account.cash(),
            shares: shares.filter(|(_, shares)| !shares.is_zero()).collect(),
            open: open.collect(),
        }
    }

    /// Our matches that are not forgotten, with their amounts and with their status at the exchange, whatever
    /// of them has been reported: they are kept as long as their order.
    pub fn matches(&self) -> impl Iterator<Item = &OwnTrade> {
        self.trades.values().map(|trade| &trade.own)
    }

    /// Our orders that have left the engine and not reached the exchange, in order of their ids.
    pub fn in_flight(&self) -> impl Iterator<Item = ClientOrderId> {
        self.orders_in_flight.keys().copied()
    }

    /// Our open orders by id.
    pub fn open_orders(&self) -> Vec<OrderView> {
        let mut views = Vec::new();
        for order in self.orders.values() {
            views.push(OrderView {
                id: order.id,
                hash: self.chance.order_hash(order.id),
                token: order.token,
                side: order.side,
                price: order.price,
                matched: order.matched,
                open: order.open,
                ahead: order.ahead,
                delayed: order.stage == Stage::Delayed,
            });
        }
        views
    }

    /// Recomputes every sum from the single accounts, orders and matches.
    ///
    /// # Errors
    /// The first rule that does not hold, with its figures.
    pub fn check_conservation(&self) -> Result<(), Broken> {
        self.bank.check()?;
        let mut reserved = i128::from(self.splits.micros());
        let mut reserved_shares: BTreeMap<Token, i128> = BTreeMap::new();
        for order in self.orders.values() {
            reserved += i128::from(order.reserved_cash.micros());
            *reserved_shares.entry(order.token).or_default() +=
                i128::from(order.reserved_shares.micros());
        }
        same("reserved pUSD is that of the open orders", self.bank.reserved(), reserved)?;
        let (mut in_flight, mut to_come) = (0, 0);
        let mut moving: BTreeMap<Token, [i128; 2]> = BTreeMap::new();
        for trade in self.trades.values().filter(|trade| !trade.is_over()) {
            let (cash_out, cash_in) = trade.cash();
            (in_flight, to_come) = (in_flight + cash_out, to_come + cash_in);
            let moving = moving.entry(trade.token()).or_default();
            moving[trade.side() as usize] += i128::from(trade.shares().micros());
        }
        same("pUSD in flight is that of the unsettled matches", self.bank.in_flight(), in_flight)?;
        same("pUSD to come is that of the unsettled matches", self.bank.incoming(), to_come)?;
        for index in 0..self.slots.len() as u32 * 2 {
            let (token, holding) = (Token(index), self.bank.holding(Token(index)));
            let [bought, sold] = moving.get(&token).copied().unwrap_or_default();
            let reserved = reserved_shares.get(&token).copied().unwrap_or_default();
            same("reserved shares are those of the open sells", holding.reserved, reserved)?;
            same("shares to come are those of the unsettled buys", holding.incoming, bought)?;
            same("shares leaving are those of the unsettled sells", holding.leaving, sold)?;
        }
        Ok(())
    }
}

fn same(rule: &'static str, kept: i128, want: i128) -> Result<(), Broken> {
    if kept == want {
        return Ok(());
    }
    Err(Broken { rule, detail: format!("{kept} in the books, {want} recomputed") })
}
