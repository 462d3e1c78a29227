//! Read-only views of matches as they happened, in exchange time: for records of a run, which learn of a fill
//! only when its report arrives.

use polydesk_domain::{Role, Time, Token, TradeId};

use crate::state::Sim;

/// A match of one of our orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MatchView {
    /// The trade that reports name.
    pub trade: TradeId,
    /// The token.
    pub token: Token,
    /// Exchange time of the match.
    pub at: Time,
    /// Bid + ask of the token that the match met, in ten-thousandths: for a taker of ours the book at his
    /// arrival, for a maker the book before the batch that filled him. After it the middle has moved by the
    /// trade itself; on a tape of snapshots by everything since the last one.
    pub double_mid: Option<u32>,
}

impl Sim {
    /// How many matches there were.
    #[inline]
    pub fn match_count(&self) -> u64 {
        self.trade_serial
    }

    /// The matches after the first `seen` ones, in order. Those of orders that are forgotten, two hours after
    /// their last update, are left out.
    pub fn matches_after(&self, seen: u64) -> impl Iterator<Item = MatchView> {
        self.trades.range(seen.saturating_add(1)..).map(|(_, trade)| MatchView {
            trade: trade.own.trade,
            token: trade.own.token,
            at: trade.matched_at,
            double_mid: trade.double_mid,
        })
    }

    /// As in [`MatchView::double_mid`], for a match that happens now.
    pub(crate) fn double_mid_met(&self, token: Token, role: Role) -> Option<u32> {
        let now = self.double_mid(token)?;
        if role == Role::Taker {
            return Some(now);
        }
        let before = self.slots[token.market().index()].batch.before;
        let bid = before[token.outcome().index()]?;
        let ask = before[token.outcome().other().index()]?.complement();
        (bid < ask).then(|| u32::from(bid.units()) + u32::from(ask.units()))
    }

    /// Bid + ask (twice the middle) of a token in the exchange's own book now, in ten-thousandths of a dollar.
    /// `None` unless the market trades and its book is synced, two-sided and not crossed.
    pub fn double_mid(&self, token: Token) -> Option<u32> {
        let key = token.market();
        let trades = self.slots.get(key.index()).is_some_and(|slot| slot.state.trades());
        if !trades || !self.books.usable(key) {
            return None;
        }
        self.books.get(key)?.double_mid(token.outcome())
    }
}
