//! The account as a whole: links, snapshots, external orders, findings, blockers, limits.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{
    AccountSnapshot, Blocker, Cause, Channel, Code, ExternalOrder, Finding, MarketKey, NoteLevel,
    OrderHash, OrderState, Outbox, Outcome, Purpose, Shares, Size, StrategyId, Tif, Time, Token,
    Universe, Usdc,
};

use super::{Context, Manager, report_blocker};
use crate::config::{RawRisk, RiskLimits};
use crate::state::{Draft, LedgerAccount, LedgerEntry, Order, sane_money};

/// What an estimated fill may be off, in micro-dollars (RECOVERY's tolerance per match).
const PER_ESTIMATE: i64 = 10;
/// Orders whose outcome is unknown may be so many, or cost so little of the equity (a twentieth), while the account
/// counts as reconciled: what is reserved for them is reserved.
const MOST_UNKNOWN: usize = 3;
const UNKNOWN_SHARE: i64 = 20;
/// Differences that are named one by one.
const MOST_NAMED: usize = 8;

impl Manager {
    /// A connection that reports came up or went down.
    pub fn on_link(&mut self, ctx: &Context<'_>, channel: Channel, up: bool, out: &mut Outbox) {
        if up {
            return self.unblock(ctx, Cause::Link(channel), "the link is up", out);
        }
        self.block(ctx, Cause::Link(channel), format!("the {} link is down", channel.name()), out);
        if channel == Channel::User {
            // What was not reported meanwhile is found only by comparing.
            self.raise_not_reconciled(ctx, "the user link was down", out);
        }
    }

    /// Events may have been missed: only a pass that begins later can clear it.
    pub(super) fn raise_not_reconciled(&mut self, ctx: &Context<'_>, why: &str, out: &mut Outbox) {
        let counters = self.state.counters.get_mut();
        counters.epoch += 1;
        let epoch = counters.epoch;
        report_blocker(ctx, Cause::NotReconciled, true, why, out);
        let blocker = Blocker { since: ctx.now, detail: why.to_owned(), lost: None, epoch };
        self.state.blockers.insert(Cause::NotReconciled, blocker);
    }

    /// Compares an account snapshot of venue and chain with the state. Equal clears `not_reconciled` of
    /// that epoch; anything else leaves it and names the differences. Nothing is corrected.
    pub fn on_snapshot(&mut self, ctx: &Context<'_>, snapshot: &AccountSnapshot, out: &mut Outbox) {
        let Some(blocker) = self.state.blockers.get(&Cause::NotReconciled) else { return };
        if blocker.epoch != snapshot.epoch {
            let text = format!(
                "a pass of epoch {} does not count: the epoch is {}",
                snapshot.epoch, blocker.epoch
            );
            return out.note(NoteLevel::Info, "snapshot_outdated", text);
        }
        if !snapshot.complete {
            let text = "a list was not read to its end: the pass proves nothing".to_owned();
            return out.note(NoteLevel::Warning, "snapshot_incomplete", text);
        }
        let mut differences = self.differences(ctx.universe, snapshot);
        if differences.is_empty() {
            return self.unblock(ctx, Cause::NotReconciled, "the account agrees", out);
        }
        let more = differences.len().saturating_sub(MOST_NAMED);
        differences.truncate(MOST_NAMED);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        out.note(NoteLevel::Warning, "snapshot_differs", differences.join("; ") + &more);
    }

    /// What a snapshot shows that cannot be, one sentence each.
    ///
    /// What is matched and not final may or may not have moved on the chain yet: it widens what is
    /// possible, and nothing else does.
    fn differences(&self, ids: &Universe, snapshot: &AccountSnapshot) -> Vec<String> {
        let mut found = Vec::new();
        let positions = &self.state.positions;
        let ledger = &self.state.ledger;
        let estimates = self.state.orders.estimated_fills() as i64;
        let slack = Usdc::new(PER_ESTIMATE * estimates);
        let least = ledger.balance(LedgerAccount::Cash);
        let unsettled: Usdc = positions.unsettled_cost();
        let most = least + unsettled + ledger.balance(LedgerAccount::Pending).max(Usdc::ZERO);
        if snapshot.cash < least - slack || snapshot.cash > most + slack {
            found.push(format!("cash: {} there, {least} here", snapshot.cash));
        }
        // Per token: final shares, and those that may or may not have moved yet.
        let mut tokens: BTreeMap<Token, (Shares, Shares)> = BTreeMap::new();
        for token in snapshot.shares.keys() {
            tokens.entry(*token).or_default();
        }
        for (_, token, holding) in positions.all() {
            let (final_, moving) = tokens.entry(token).or_default();
            *final_ += holding.confirmed();
            *moving += holding.held() - holding.confirmed();
        }
        for (_, token, _, shares) in positions.unsettled_sales() {
            if let Some((_, moving)) = tokens.get_mut(&token) {
                *moving += shares;
            }
        }
        for (token, (final_, moving)) in tokens {
            let there = snapshot.shares.get(&token).copied().unwrap_or_default();
            if there < final_ || there > final_ + moving {
                let id = ids.token_id(token);
                found.push(format!("shares of token {id}: {there} there, {final_} here"));
            }
        }
        let mut ours: Vec<(OrderHash, &Order)> = Vec::new();
        for order in self.state.orders.all.values() {
            if let Some(hash) = order.hash {
                ours.push((hash, order));
            }
        }
        let known: BTreeSet<OrderHash> = ours.iter().map(|(hash, _)| *hash).collect();
        for (hash, order) in &ours {
            let acknowledged = matches!(
                order.state,
                OrderState::Live
                    | OrderState::PartlyMatched
                    | OrderState::Cancelling
                    | OrderState::Delayed
            );
            match snapshot.open.get(hash) {
                None if acknowledged => found.push(format!("order {}: open here only", order.id)),
                Some(matched) if *matched > order.matched + order.failed => {
                    found.push(format!("order {}: {matched} matched there", order.id));
                }
                Some(_) if order.state.ended() => {
                    found.push(format!("order {}: open there, over here", order.id));
                }
                _ => {}
            }
        }
        let unknown = ours.iter().filter(|(_, order)| order.state == OrderState::Unknown);
        let (mut count, mut cost) = (0, Usdc::ZERO);
        for (_, order) in unknown {
            count += 1;
            cost += order.remaining_cost();
        }
        let small = Usdc::new(self.equity_now.micros() / UNKNOWN_SHARE);
        if count > MOST_UNKNOWN && cost > small {
            found.push(format!("{count} orders for {cost} pUSD have an unknown outcome"));
        }
        for hash in snapshot.open.keys() {
            if !known.contains(hash) {
                found.push(format!("order {hash}: open there, unknown here"));
            }
        }
        found
    }

    /// Takes up an order that this bot did not place: it counts in the account's limits, no strategy sells
    /// what it buys, and it can be cancelled.
    pub fn on_external(&mut self, ctx: &Context<'_>, external: &ExternalOrder, out: &mut Outbox) {
        let known = self.state.orders.get(external.id);
        if let Some(order) = known
            && order.purpose == Purpose::External
            && order.hash == Some(external.hash)
            && external.size <= Shares::SANE_MAX
        {
            // More of it has become known.
            return self.state.orders.grow(external);
        }
        if !external.id.is_external() || known.is_some() {
            let text = format!("external order {} has a name that is taken", external.id);
            return self.anomaly("external_name", text, out);
        }
        if ctx.universe.get(external.token.market()).is_none() {
            return self.unlisted(ctx, external.token.market(), "an external order", out);
        }
        if external.size > Shares::SANE_MAX {
            let text = format!("external order {} is for {} shares", external.id, external.size);
            self.block(ctx, Cause::Token(external.token), text.clone(), out);
            return self.anomaly("absurd_order", text, out);
        }
        let draft = Draft {
            strategy: StrategyId::EXTERNAL,
            signal: None,
            purpose: Purpose::External,
            token: external.token,
            side: external.side,
            price: external.price,
            size: Size::Shares(external.size),
            tif: Tif::Gtc,
            post_only: true,
            placed_at: ctx.now,
            expires: Time::MAX,
        };
        let state = if external.open { OrderState::Live } else { OrderState::Filled };
        let ended_at = (!external.open).then_some(ctx.now);
        let order =
            Order { id: external.id, hash: Some(external.hash), state, ended_at, ..draft.order() };
        self.state.uses(external.token.market(), ctx.universe, ctx.states);
        self.state.orders.insert(order);
        let text = format!(
            "order {} ({} {} at {}) is not ours",
            external.id, external.side, external.size, external.price
        );
        out.note(NoteLevel::Warning, "external_order", text);
    }

    /// Books what reconciliation found.
    pub fn on_finding(&mut self, ctx: &Context<'_>, finding: &Finding, out: &mut Outbox) {
        match finding {
            Finding::Shares { token, .. } | Finding::Freeze { token, .. }
                if ctx.universe.get(token.market()).is_none() =>
            {
                return self.unlisted(ctx, token.market(), "a finding", out);
            }
            Finding::Cash { amount, .. } if !sane_money(*amount) => {
                let detail = format!("a finding of {amount} pUSD");
                self.block(ctx, Cause::CashMismatch, detail.clone(), out);
                return self.anomaly("absurd_finding", detail, out);
            }
            Finding::Shares { token, micros, .. }
                if micros.unsigned_abs() > Shares::SANE_MAX.micros() =>
            {
                let detail = format!("a finding of {micros} millionths of a share");
                self.block(ctx, Cause::Token(*token), detail.clone(), out);
                return self.anomaly("absurd_finding", detail, out);
            }
            Finding::Cash { amount, code } => {
                self.external_money(ctx, *amount, out);
                let text = format!("{amount} pUSD explained by {code}");
                out.note(NoteLevel::Info, "finding_cash", text);
            }
            Finding::Shares { token, micros, code } => {
                self.external_shares(ctx, *token, *micros, *code, out);
            }
            Finding::Freeze { token, detail } => {
                self.block(ctx, Cause::Token(*token), detail.clone(), out);
            }
            Finding::CashMismatch { difference } => {
                let detail = format!("{difference} pUSD that nothing explains");
                self.block(ctx, Cause::CashMismatch, detail, out);
            }
        }
        self.audit(ctx, out);
    }

    /// Money came from outside or went there: no profit, so what losses are measured from moves with it.
    pub(super) fn external_money(&mut self, ctx: &Context<'_>, amount: Usdc, out: &mut Outbox) {
        let (from, to) = (LedgerAccount::External, LedgerAccount::Cash);
        self.state.ledger.post(LedgerEntry { at: ctx.now, from, to, amount });
        self.shift_marks(amount);
        self.mark(ctx, out);
    }

    /// What losses are measured from moves with what is neither a profit nor a loss.
    pub(super) fn shift_marks(&mut self, amount: Usdc) {
        let marks = self.state.equity.get_mut();
        marks.high += amount;
        marks.day_open += amount;
        for minute in self.state.window.keys().copied().collect::<Vec<_>>() {
            *self.state.window.entry(minute) += amount;
        }
    }

    fn external_shares(
        &mut self,
        ctx: &Context<'_>,
        token: Token,
        micros: i64,
        code: Code,
        out: &mut Outbox,
    ) {
        let shares = Shares::new(micros.unsigned_abs());
        let missing = if micros >= 0 {
            self.state.uses(token.market(), ctx.universe, ctx.states);
            self.state.positions.found(ctx.now, token, shares);
            Shares::ZERO
        } else {
            let positions = &mut self.state.positions;
            positions.lost(&mut self.state.ledger, ctx.now, token, shares)
        };
        self.forget_exits(token.market());
        let text = format!(
            "{}{shares} shares of token {} explained by {code}",
            if micros < 0 { "-" } else { "" },
            ctx.universe.token_id(token)
        );
        out.note(NoteLevel::Warning, "finding_shares", text);
        if !missing.is_zero() {
            let detail = format!("{missing} shares went that no lot holds");
            self.block(ctx, Cause::Token(token), detail, out);
        }
    }

    /// The runtime sets or clears a blocker of its own.
    pub fn on_blocker(
        &mut self,
        ctx: &Context<'_>,
        cause: Cause,
        on: bool,
        detail: &str,
        out: &mut Outbox,
    ) {
        match (cause, on) {
            (Cause::NotReconciled, true) => self.raise_not_reconciled(ctx, detail, out),
            _ if !cause.of_runtime() => {
                let text = format!("{} is not the runtime's to set", cause.code());
                self.anomaly("foreign_blocker", text, out);
            }
            (Cause::Market(market), true) => {
                self.block(ctx, cause, detail.to_owned(), out);
                // A bid that was placed under other facts must not be filled under these.
                self.cancel_buys(ctx.now, Some(market), out);
            }
            (_, true) => self.block(ctx, cause, detail.to_owned(), out),
            (_, false) => self.unblock(ctx, cause, detail, out),
        }
    }

    /// New limits are in force from now on; what is over them already stays and is not added to.
    pub fn on_limits(&mut self, toml: &str, out: &mut Outbox) {
        let read = toml::from_str::<RawRisk>(toml).map_err(|error| error.to_string());
        let limits =
            read.and_then(|raw| RiskLimits::try_from(&raw).map_err(|rules| rules.join("; ")));
        match limits {
            Ok(limits) => {
                let budgets = self.state.budgets.get_mut();
                budgets.orders.set(limits.orders_per_second, limits.order_burst);
                budgets.cancels.set(limits.cancels_per_second, limits.cancel_burst);
                self.state.limits.put(limits.raw().clone());
                self.limits = limits;
                out.note(NoteLevel::Info, "limits", "new limits are in force".to_owned());
            }
            Err(rules) => {
                let text = format!("new limits are refused, the old ones stay: {rules}");
                out.note(NoteLevel::Critical, "limits_refused", text);
            }
        }
    }

    /// Whether a market can be delisted: nothing of ours rests, is held, moves or is wanted in it.
    pub fn flat(&self, market: MarketKey) -> bool {
        let state = &self.state;
        state.sums().flat(market)
            && !state.early.contains_key(&market)
            && !state.baskets.values().any(|basket| basket.touches(market))
    }

    /// Forgets a market that is [`flat`](Manager::flat), before its key stops meaning anything.
    pub fn delist(&mut self, ctx: &Context<'_>, market: MarketKey, out: &mut Outbox) {
        let tokens = Outcome::BOTH.map(|outcome| market.token(outcome));
        let causes = [Cause::Market(market), Cause::Unsettled(market), Cause::Flattened(market)];
        for cause in causes.into_iter().chain(tokens.map(Cause::Token)) {
            self.unblock(ctx, cause, "the market was delisted", out);
        }
        let state = &mut self.state;
        for key in state.quoting(market) {
            state.quotes.remove(&key);
        }
        let asks: Vec<_> =
            state.asks.iter().filter(|(_, ask)| ask.market == market).map(|(id, _)| *id).collect();
        for id in asks {
            state.asks.remove(&id);
        }
        let refused: Vec<_> =
            state.rejections.keys().filter(|(_, key)| *key == market).copied().collect();
        for key in refused {
            state.rejections.remove(&key);
        }
        let stopped: Vec<_> =
            state.stopped.keys().filter(|(_, of)| of.market() == market).copied().collect();
        for key in stopped {
            state.stopped.remove(&key);
        }
        state.redemptions.remove(&market);
        for token in tokens {
            state.rounding.remove(&token);
            self.marks.remove(&token);
        }
        state.orders.forget_market(market);
        state.markets.remove(&ctx.universe.market(market).condition);
        state.refresh_sums();
        state.sums.delist(market);
        self.marks.retain(|token, _| token.market() != market);
        self.exit_memory.remove(&market);
        self.blind.remove(&market);
    }
}
