//! What time brings: exits to look at, unanswered orders to ask about, equity to mark.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{
    Command, MarketKey, NoteLevel, OrderState, Price, Shares, Side, Time, Token, Usdc,
};

use super::{Context, Execution};
use crate::latches::Latches;
use crate::ledger::Account;
use crate::orders::Purpose;
use crate::positions::average_units;

impl Execution {
    /// Looks at exits and plans once a market's batch is complete.
    #[inline]
    pub fn on_batch(&mut self, ctx: &Context<'_>, market: MarketKey, out: &mut Vec<Command>) {
        if self.positions.occupied(market) {
            self.exits(ctx, market, out);
        }
    }

    /// Time passed: marks equity, repeats what is unanswered, forgets what is long over, refreshes quotes, moves plans on.
    pub fn on_timer(&mut self, ctx: &Context<'_>, out: &mut Vec<Command>) {
        let now = ctx.now;
        self.mark_and_tell(ctx, out);
        let (losses, last) = self.ledger.losing_streak();
        if losses >= self.limits.max_losses_in_a_row
            && last.is_some_and(|at| at.until(now) >= self.limits.loss_cooldown)
        {
            self.ledger.forgive_streak();
        }
        self.forget(now);
        let stuck: Vec<_> = self
            .orders
            .open()
            .filter(|o| o.cancel_at.is_some() || o.state == OrderState::Unknown || o.state.ended())
            .map(|o| (o.id, o.state, o.cancel_at.is_some()))
            .collect();
        for (id, state, cancelling) in stuck {
            if state == OrderState::Unknown || state.ended() {
                self.query(now, id, out);
            } else if cancelling {
                self.cancel(now, id, out);
            }
        }
        self.requote_due(ctx, out);
        self.plans_due(ctx, out);
        for market in self.resolved.keys().copied().collect::<Vec<_>>() {
            self.redeem(market, out);
        }
        let occupied: BTreeSet<_> =
            self.positions.all().map(|(_, token, _)| token.market()).collect();
        for market in occupied {
            self.exits(ctx, market, out);
        }
    }

    /// Forgets orders that are long over.
    fn forget(&mut self, now: Time) {
        if self.stopping {
            // Nothing is added any more, and whoever judges the run may ask about any order.
            return;
        }
        // A running plan counts what all its orders brought.
        let (orders, plans) = (&mut self.orders, &self.plans);
        orders.forget(
            now,
            |order| matches!(order.purpose, Purpose::Leg(plan) if plans.contains_key(&plan)),
        );
    }

    /// Marks equity to what displayed depth would pay for everything held of a token together.
    ///
    /// A book that cannot be relied on now (void after a gap, or amid a batch) says nothing: the last
    /// mark stands.
    pub fn mark(&mut self, ctx: &Context<'_>) {
        let mut worth = self.ledger.balance(Account::Cash) + self.ledger.balance(Account::Pending);
        let mut held: BTreeMap<Token, (Shares, Usdc)> = BTreeMap::new();
        for (_, token, holding) in self.positions.all() {
            let (shares, cost) = held.entry(token).or_default();
            *shares += holding.held();
            *cost += holding.cost();
        }
        for (token, (shares, cost)) in held {
            worth += self.worth(ctx, token, shares, cost);
        }
        self.equity.now = worth;
        self.equity.high = self.equity.high.max(worth);
        if self.equity_day != Some(ctx.now.day()) {
            self.equity_day = Some(ctx.now.day());
            self.equity.day_open = worth;
            self.latches.new_day();
        }
        self.latches.look(self.equity, &self.limits);
    }

    /// Marks, and tells a person about a limit of loss that broke: one of them waits for him.
    pub(super) fn mark_and_tell(&mut self, ctx: &Context<'_>, out: &mut Vec<Command>) {
        let before = self.latches;
        self.mark(ctx);
        let Latches { daily_loss, drawdown } = self.latches;
        if let (None, Some(lost)) = (before.daily_loss, daily_loss) {
            let most = self.limits.daily_loss;
            out.push(Command::Note {
                level: NoteLevel::Warning,
                code: "daily_loss",
                text: format!(
                    "{lost} pUSD lost, the limit of a day is {most}: no new exposure before the next UTC day or a resume"
                ),
            });
        }
        if let (None, Some(lost)) = (before.drawdown, drawdown) {
            let most = self.limits.max_drawdown;
            out.push(Command::Note {
                level: NoteLevel::Critical,
                code: "drawdown",
                text: format!(
                    "{lost} pUSD below the highest equity, the limit is {most}: no new exposure before a resume"
                ),
            });
        }
    }

    fn worth(&mut self, ctx: &Context<'_>, token: Token, shares: Shares, cost: Usdc) -> Usdc {
        if let Some(payout) = self.resolved.get(&token.market()) {
            return payout.pay(token.outcome(), shares);
        }
        let market = token.market();
        if let (true, Some(book)) = (ctx.books.trusted(market), ctx.books.get(market)) {
            let walk = book.walk(token.outcome(), Side::Sell, Price::ZERO, shares);
            self.marks.insert(token, average_units(walk.notional, shares));
            return walk.notional;
        }
        match self.marks.get(&token) {
            Some(units) => {
                let units = u16::try_from(*units).ok().and_then(Price::new).unwrap_or(Price::ONE);
                units.notional_floor(shares)
            }
            None => cost,
        }
    }
}
