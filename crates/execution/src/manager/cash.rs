//! Money and complete sets that moved, markets that closed, and whether the books agree.

use polydesk_domain::{
    Cash, CashKind, Cause, ClientOrderId, Code, Conversion, ConversionId, MarketKey, MarketState,
    NoteLevel, Outbox, Payout, Record, Shares, Span, Usdc,
};

use super::schedule::STUCK;
use super::{Context, Manager};
use crate::state::{Attempts, LedgerAccount, LedgerEntry, Totals, sane_money};

/// Failed redemptions of one market after which the operator is notified.
const REDEMPTIONS_TOLD: u32 = 3;

impl Manager {
    /// Takes in a movement of money or complete sets.
    pub fn on_cash(&mut self, ctx: &Context<'_>, cash: &Cash, out: &mut Outbox) {
        let (at, amount) = (ctx.now, cash.amount);
        if !sane_money(amount) || cash.shares.iter().any(|shares| *shares > Shares::SANE_MAX) {
            let text = format!("{:?} of {amount} pUSD and {:?} shares", cash.kind, cash.shares);
            self.block(ctx, Cause::CashMismatch, text.clone(), out);
            return self.anomaly("absurd_cash", text, out);
        }
        let pending = cash.conversion.and_then(|id| self.state.conversions.remove(&id));
        if let (Some(id), None) = (cash.conversion, &pending) {
            // Its answer came before, or its question was answered too.
            if self.named(ClientOrderId(id.0)) {
                let code = Code::literal("repeated_answer");
                *self.counts.anomalies.entry(code).or_default() += 1;
                return;
            }
        }
        let mut invariant = Ok(());
        match (cash.kind, pending, cash.market) {
            (CashKind::Deposit | CashKind::Withdrawal, _, _) => {
                self.external_money(ctx, amount, out);
            }
            (CashKind::Rebate, _, _) => self.state.ledger.post(LedgerEntry {
                at,
                from: LedgerAccount::Rebates,
                to: LedgerAccount::Cash,
                amount,
            }),
            (CashKind::Reward, _, _) => self.state.ledger.post(LedgerEntry {
                at,
                from: LedgerAccount::Rewards,
                to: LedgerAccount::Cash,
                amount,
            }),
            (CashKind::Split, Some(set), Some(market)) => {
                let conversion = cash.conversion.unwrap_or(ConversionId(0));
                self.state.positions.split(
                    &mut self.state.ledger,
                    at,
                    set.strategy,
                    market,
                    cash.shares[0],
                    set.yes_units,
                    conversion,
                );
            }
            (CashKind::Merge, Some(set), Some(market)) => {
                let conversion = cash.conversion.unwrap_or(ConversionId(0));
                invariant = self.state.positions.merge(
                    &mut self.state.ledger,
                    at,
                    set.strategy,
                    market,
                    cash.shares[0],
                    conversion,
                    &mut self.closed,
                );
            }
            (CashKind::Redeem, _, Some(market)) if ctx.universe.get(market).is_none() => {
                // Money of shares that are not known here.
                self.external_money(ctx, amount, out);
                self.unlisted(ctx, market, "a redemption", out);
            }
            (CashKind::Redeem, _, Some(market)) => match ctx.states.get(market.index()) {
                Some(MarketState::Resolved(payout)) => {
                    self.redeemed(ctx, market, *payout, amount);
                }
                _ => self.redeemed_early(ctx, market, amount, out),
            },
            (CashKind::Failed, _, _) => {
                *self.counts.anomalies.entry(Code::literal("conversion_failed")).or_default() += 1;
                if let Some(pending) = pending.filter(|p| p.action == Conversion::Redeem) {
                    self.redemption_failed(ctx, pending.market, out);
                }
            }
            (CashKind::Split | CashKind::Merge | CashKind::Redeem, _, _) => {
                // Complete sets moved without a conversion of ours: unexplained money.
                return self.halt(
                    ctx,
                    format!("{:?} of {amount} pUSD that no conversion asked for", cash.kind),
                    out,
                );
            }
        }
        self.report_closed(ctx, out);
        if let (Some(id), Some(pending)) = (cash.conversion, &pending) {
            let done = if cash.kind == CashKind::Failed { "failed" } else { "done" };
            out.record(Record::Conversion {
                id,
                strategy: pending.strategy,
                market: ctx.universe.market(pending.market).condition,
                action: pending.action,
                code: Code::literal(done),
                amount,
            });
        }
        if let Err(violation) = invariant {
            return self.halt(ctx, violation.to_string(), out);
        }
        self.audit(ctx, out);
        if let Some(basket) = pending.and_then(|pending| pending.basket) {
            self.basket_converted(ctx, basket, cash, out);
        }
        if let Some(pending) = pending
            && pending.basket.is_none()
            && matches!(pending.action, Conversion::Merge(_))
        {
            let done = cash.kind == CashKind::Merge;
            self.merge_answered(ctx, pending.strategy, pending.market, done);
        }
        if let Some(market) = pending.map(|pending| pending.market).or(cash.market) {
            self.exits(ctx, market, out);
        }
    }

    /// Takes in a new state of a market.
    pub fn on_state(
        &mut self,
        ctx: &Context<'_>,
        market: MarketKey,
        state: MarketState,
        out: &mut Outbox,
    ) {
        if state.trades() {
            return;
        }
        for key in self.state.quoting(market) {
            self.state.quotes.remove(&key);
        }
        let resting: Vec<_> = self.state.orders.open_in(market).map(|order| order.id).collect();
        for id in resting {
            self.cancel(ctx.now, id, out);
        }
        if let MarketState::Resolved(payout) = state {
            if let Some(early) = self.state.early.remove(&market) {
                // The money is here already: what it was for is known now.
                let (from, to) = (LedgerAccount::Cash, LedgerAccount::Unmatched);
                let amount = early.amount;
                self.state.ledger.post(LedgerEntry { at: ctx.now, from, to, amount });
                self.redeemed(ctx, market, payout, amount);
                self.report_closed(ctx, out);
                self.settled_again(ctx, market, out);
                self.audit(ctx, out);
            }
            self.redeem(ctx, market, out);
        }
    }

    fn redeemed(&mut self, ctx: &Context<'_>, market: MarketKey, payout: Payout, amount: Usdc) {
        let outside = |manager: &Manager| manager.state.ledger.balance(LedgerAccount::External);
        let before = outside(self);
        let (ledger, positions) = (&mut self.state.ledger, &mut self.state.positions);
        positions.redeem(ledger, ctx.now, market, payout, amount, &mut self.closed);
        self.state.redemptions.remove(&market);
        // What shares pay that the bot did not buy is no profit or loss of the bot's.
        let paid = before - outside(self);
        self.shift_marks(paid);
    }

    /// Redemption money of a market that is not resolved here: kept apart until its payout is known, and no
    /// order in it until then.
    fn redeemed_early(
        &mut self,
        ctx: &Context<'_>,
        market: MarketKey,
        amount: Usdc,
        out: &mut Outbox,
    ) {
        let (from, to) = (LedgerAccount::Unmatched, LedgerAccount::Cash);
        self.state.ledger.post(LedgerEntry { at: ctx.now, from, to, amount });
        self.state.uses(market, ctx.universe, ctx.states);
        self.state.early.entry(market).amount += amount;
        let detail = format!("{amount} pUSD were redeemed before the resolution was reported");
        out.note(NoteLevel::Warning, "early_redemption", detail.clone());
        self.block(ctx, Cause::Unsettled(market), detail, out);
    }

    /// Lifts the freeze of a market once nothing in it is uncertain any more.
    pub(super) fn settled_again(&mut self, ctx: &Context<'_>, market: MarketKey, out: &mut Outbox) {
        let cause = Cause::Unsettled(market);
        if !self.state.blockers.contains_key(&cause) || self.state.early.contains_key(&market) {
            return;
        }
        let stuck = self.state.orders.all.values().any(|order| {
            order.token.market() == market
                && order.unsettled_fills().any(|fill| fill.at.until(ctx.now) >= STUCK)
        });
        if !stuck {
            self.unblock(ctx, cause, "everything in the market is certain again", out);
        }
    }

    /// A redemption failed: retried after a pause that doubles; reported after a few.
    fn redemption_failed(&mut self, ctx: &Context<'_>, market: MarketKey, out: &mut Outbox) {
        let before = self.state.redemptions.get(&market).copied().unwrap_or_default();
        let tries = before.tries + 1;
        // Ten seconds doubled eleven times are less than six hours: at most a few a day in the end.
        let pause = Span::secs(10 << tries.min(11)).min(Span::secs(6 * 3_600));
        self.state.redemptions.insert(market, Attempts { tries, next_at: ctx.now + pause });
        if tries == REDEMPTIONS_TOLD {
            let condition = ctx.universe.market(market).condition;
            let text = format!("the redemption of market {condition} failed {tries} times");
            out.note(NoteLevel::Warning, "redemption_failing", text);
        }
    }

    /// Redeems a resolved market once everything in it is final.
    pub(super) fn redeem(&mut self, ctx: &Context<'_>, market: MarketKey, out: &mut Outbox) {
        self.state.refresh_sums();
        // A merge under way holds shares that a redemption must not count, and the other way round.
        let asked = self.state.sums().converting(market);
        let held = self.state.positions.in_market(market);
        let Some((strategy, _)) = held.first().copied() else { return };
        let final_ = held.iter().all(|(strategy, token)| {
            let holding = self.state.positions.get(*strategy, *token);
            holding.is_none_or(|holding| holding.confirmed() == holding.held())
        });
        let reserved = self.state.orders.open_in(market).next().is_some();
        let pausing = self.state.redemptions.get(&market).is_some_and(|r| r.next_at > ctx.now);
        if pausing || asked || !final_ || reserved || self.state.sums().selling(market) {
            return;
        }
        self.convert(ctx, strategy, market, Conversion::Redeem, None, 0, out);
    }

    /// The ledger must agree with the lots and add up to zero; if not, everything stops.
    pub(super) fn audit(&mut self, ctx: &Context<'_>, out: &mut Outbox) {
        self.state.refresh_sums();
        let Totals { inventory, pending, .. } = self.state.sums().totals();
        let ledger = (
            self.state.ledger.balance(LedgerAccount::Inventory),
            self.state.ledger.balance(LedgerAccount::Pending),
        );
        if ledger != (inventory, pending) || !self.state.ledger.imbalance().is_zero() {
            let why = format!(
                "the ledger says inventory {} and pending {}, the lots say {inventory} and {pending}; imbalance {}",
                ledger.0,
                ledger.1,
                self.state.ledger.imbalance()
            );
            self.halt(ctx, why, out);
        }
    }

    /// The running sums must be those of the entries; if not, everything stops, and they are made again.
    pub(super) fn audit_sums(&mut self, ctx: &Context<'_>, out: &mut Outbox) {
        self.state.refresh_sums();
        debug_assert_eq!(self.state.check_sums(), Ok(()));
        let (kept, counted) = (self.state.sums().totals(), self.state.totals_again());
        if kept != counted {
            self.state.derive_sums(ctx.universe);
            self.halt(ctx, format!("the sums say {kept:?}, the entries {counted:?}"), out);
        }
    }
}
