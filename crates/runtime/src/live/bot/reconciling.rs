//! Passes of reads, and what they prove.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{
    AccountEvent, Cash, CashKind, Cause, Code, Event, Finding, OrderHash, Shares, Side, Span, Time,
    Token, TradeStatus, Usdc,
};
use polydesk_execution::{LedgerAccount, Order};
use polydesk_gateway::{Output, Reads};

use super::view::{ESTIMATES, Settled, view_of};
use super::{
    Bot, CHAIN, LiveError, OVERLAP, PASS, PASS_LOST, PASS_SOON, RECONCILED, RECONCILED_AT,
    RECONCILED_BLOCK, TAKEN_UP,
};
use crate::live::passes::PassRequest;

impl Bot<'_> {
    pub(super) fn settled(&self) -> Settled {
        Settled {
            run_started_at: self.plan.identity.started,
            normal_mode: (self.plan.normal_mode)(),
            cancel_external: self.plan.cancel_external,
            now: self.last_at,
        }
    }

    /// The epoch of `not_reconciled`, while it stands.
    pub(super) fn epoch(&self) -> Option<u32> {
        let blockers = &self.engine.manager().state().blockers;
        blockers.get(&Cause::NotReconciled).map(|blocker| blocker.epoch)
    }

    /// Asks for a pass where one is due.
    pub(super) fn check_pass(&mut self, now: Time) {
        if self.pass.under.is_some_and(|since| since.until(now) < PASS_LOST) {
            return;
        }
        if !self.pass.begun || now < self.pass.next {
            return;
        }
        let epoch = self.epoch();
        let chain =
            epoch.is_some() || self.pass.chain_due || self.pass.chain_at.until(now) >= CHAIN;
        let manager = self.engine.manager();
        let gateway = &self.plan.gateway;
        let open: BTreeSet<OrderHash> = manager
            .orders()
            .open()
            .filter_map(|order| gateway.orders().hash(order.id))
            .chain(gateway.orders().iter().filter(|(_, o)| o.ended.is_none()).map(|(h, _)| *h))
            .collect();
        let universe = self.engine.universe();
        let tokens = universe
            .keys()
            .flat_map(|key| polydesk_domain::Outcome::BOTH.map(|outcome| key.token(outcome)));
        let held: BTreeSet<Token> = manager.positions().all().map(|(_, token, _)| token).collect();
        // The first pass asks for everything that is followed; later ones for what is held or moved lately.
        let lately = |token: &Token| {
            self.moved_at.get(token).is_some_and(|at| at.until(now) < Span::secs(3_600))
        };
        let tokens = tokens
            .filter(|token| self.fresh || held.contains(token) || lately(token))
            .map(|token| universe.token_id(token))
            .collect();
        let began = self.plan.identity.started;
        let since = self.plan.reconciled.unwrap_or(began);
        let oldest = gateway.orders().iter().filter(|(_, o)| !o.settled()).map(|(_, o)| o.bound_at);
        let since = oldest.chain([since]).min().unwrap_or(since) - OVERLAP;
        let request = PassRequest {
            epoch: epoch.unwrap_or(0),
            open: open.into_iter().collect(),
            trades_since: since,
            tokens,
            chain,
            moves_since: self.plan.agreed_block,
        };
        if self.plan.lanes.passes.try_send(request).is_ok() {
            self.pass.under = Some(now);
        }
    }

    /// What the account waits for until it is reconciled, for the operator; `None`: it is.
    pub(super) fn waits_for(&self, now: Time) -> Option<String> {
        self.epoch()?;
        if !self.pass.begun {
            return Some("the account is read as soon as the user channel is up".to_owned());
        }
        let mut text = match self.pass.read {
            0 => "the account is being read for the first time".to_owned(),
            count => format!("{count} passes of reads so far"),
        };
        if !self.pass.why.is_empty() {
            text = format!("{text}; {}", self.pass.why);
        }
        if let Some(since) = self.pass.under.filter(|since| since.until(now) >= Span::secs(2)) {
            text = format!(
                "{text}; a pass is under way for {} s",
                since.until(now).as_millis() / 1_000
            );
        }
        Some(text)
    }

    /// A pass is read: what it proves is taken in, and if it agrees, the account is reconciled.
    pub(super) fn passed(
        &mut self,
        reads: &Reads,
        asked_at: Time,
        now: Time,
    ) -> Result<(), LiveError> {
        self.pass.under = None;
        self.pass.next = now + PASS;
        self.pass.read += 1;
        self.pass.why.clear();
        if let Some(chain) = &reads.chain {
            self.pass.chain_at = asked_at;
            self.pass.chain_due = false;
            if self.fresh && chain.proves() {
                // As it was before the fills that this pass books.
                let undone = self.undone(reads, asked_at);
                self.take_up(reads, &undone, now)?;
            }
        }
        let settled = self.settled();
        let view = view_of(self.engine, &settled, &self.moved_at, self.fresh);
        let outputs = self.plan.gateway.reconciled(&view, reads, asked_at);
        self.outputs(outputs)?;
        self.wire_rows()?;
        self.taken_up(reads, now)?;
        if reads.open_complete() && reads.open_again.is_empty() && reads.open.is_empty() {
            self.pass.empty_asked_at = Some(asked_at);
        }
        // Updates are not repeated: what was read before the user channel was up may be outdated unseen.
        let heard = self.user_up.is_some_and(|since| asked_at >= since);
        if self.epoch().is_some() && heard {
            let (mut snapshot, gaps) = reads.snapshot(self.engine.universe(), asked_at);
            for (hash, matched) in &mut snapshot.open {
                // What had matched before the wallet was taken up is not in the books of the order.
                let before = self.plan.gateway.orders().get(hash).map(|order| order.before);
                *matched = matched.saturating_sub(before.unwrap_or_default());
            }
            if !gaps.is_empty() {
                self.pass.why = gaps.join("; ");
            }
            for gap in gaps {
                tracing::warn!(gap, "a pass is not complete");
            }
            let at = self.now();
            self.deliver(at, AccountEvent::Snapshot(snapshot).into())?;
            self.pass.next = now + PASS_SOON;
        }
        if self.epoch().is_none() && reads.trades.complete && reads.open_complete() {
            self.plan.reconciled = Some(asked_at);
            let value = asked_at.nanos().to_string();
            let row = (RECONCILED_AT, Some(value.as_bytes()));
            self.plan.journal.rows(RECONCILED, [row].into_iter())?;
        }
        Ok(())
    }

    /// Chain and ledger agree at a block: what moved until then is booked, and is not read again.
    pub(super) fn agreed(&mut self, block: u64) -> Result<(), LiveError> {
        if self.plan.agreed_block.is_some_and(|known| known >= block) {
            return Ok(());
        }
        self.plan.agreed_block = Some(block);
        let value = block.to_string();
        let row = (RECONCILED_BLOCK, Some(value.as_bytes()));
        Ok(self.plan.journal.rows(RECONCILED, [row].into_iter())?)
    }

    /// What cash and shares were before the fills of a pass that are not booked yet, less what they are now.
    fn undone(&self, reads: &Reads, asked_at: Time) -> (Usdc, BTreeMap<Token, i64>) {
        let mut gateway = self.plan.gateway.clone();
        let (ids, orders) = (self.engine.universe(), self.engine.manager().orders());
        let (mut cash, mut shares) = (Usdc::ZERO, BTreeMap::<Token, i64>::new());
        for output in reads.trades.iter().flat_map(|trade| gateway.trade(ids, trade, asked_at)) {
            let Output::Event(AccountEvent::Trade(trade)) = output else { continue };
            let known = orders.get(trade.order);
            let booked = |order: &Order| order.all_fills().any(|(id, _)| id == trade.trade);
            let moved = matches!(trade.status, TradeStatus::Mined | TradeStatus::Confirmed);
            if known.is_some_and(booked) || !moved {
                continue;
            }
            let change = shares.entry(trade.token).or_default();
            match trade.side {
                Side::Buy => {
                    cash += trade.fill.notional + trade.fill.fee;
                    *change -= micros(trade.fill.shares);
                }
                Side::Sell => {
                    cash += trade.fill.fee - trade.fill.notional;
                    *change += micros(trade.fill.shares);
                }
            }
        }
        (cash, shares)
    }

    /// The wallet is in the books once every trade that the first passes read is final and booked, and what is left of a
    /// difference to the chain is money and shares from before.
    fn taken_up(&mut self, reads: &Reads, now: Time) -> Result<(), LiveError> {
        let proven = reads.chain.as_ref().is_some_and(|chain| chain.proves());
        if !self.fresh || !proven || !reads.trades.complete {
            return Ok(());
        }
        let settled = self.settled();
        let view = view_of(self.engine, &settled, &self.moved_at, false);
        // An estimate that is corrected after this would be a difference that nothing explains.
        let estimated = view.cash_tolerance != Usdc::ZERO;
        let waits = estimated && self.plan.identity.started.until(now) < ESTIMATES;
        let moving = view.fills.values();
        let moving = moving
            .filter(|stage| !matches!(stage, TradeStatus::Confirmed | TradeStatus::Failed))
            .count();
        if view.cash_moving || !view.moving.is_empty() || waits {
            let exact = view.cash_tolerance.micros() / 10;
            self.pass.why = format!(
                "the wallet traded before the start: {moving} fills are not final and {exact} lack their exact amounts"
            );
            return Ok(());
        }
        self.take_up(reads, &(Usdc::ZERO, BTreeMap::new()), now)?;
        if let Some(chain) = &reads.chain {
            // Everything up to this block is in the books: what moves from now on is read from the next one on, also
            // where fills keep cash moving from the first second.
            self.agreed(chain.block)?;
        }
        self.fresh = false;
        self.start = self.engine.manager().equity().now;
        let row = (TAKEN_UP, Some(b"yes".as_slice()));
        Ok(self.plan.journal.rows(RECONCILED, [row].into_iter())?)
    }

    /// Books the difference between what the wallet held before the fills that are `undone` and the books: money from before, and shares that are no strategy's. A run that was killed in the middle of it is gone on with: what is
    /// booked is not booked again.
    fn take_up(
        &mut self,
        reads: &Reads,
        (undone, undone_shares): &(Usdc, BTreeMap<Token, i64>),
        now: Time,
    ) -> Result<(), LiveError> {
        let Some(chain) = &reads.chain else { return Ok(()) };
        let manager = self.engine.manager();
        let mut held: BTreeMap<Token, i64> = BTreeMap::new();
        for (_, token, holding) in manager.positions().all() {
            *held.entry(token).or_default() += micros(holding.confirmed());
        }
        let before = (chain.cash + *undone).max(Usdc::ZERO);
        let amount = before - manager.ledger().balance(LedgerAccount::Cash);
        let kind = if amount < Usdc::ZERO { CashKind::Withdrawal } else { CashKind::Deposit };
        for (id, shares) in &chain.shares {
            let Some(token) = self.engine.universe().token(id) else { continue };
            let before = micros(*shares) + undone_shares.get(&token).copied().unwrap_or_default();
            let micros = before.max(0) - held.get(&token).copied().unwrap_or_default();
            if micros != 0 {
                let code = Code::literal("held_at_first_start");
                let finding = Finding::Shares { token, micros, code };
                self.deliver(now, AccountEvent::Finding(finding).into())?;
            }
        }
        if amount != Usdc::ZERO {
            let cash = Cash {
                kind,
                conversion: None,
                strategy: None,
                market: None,
                amount,
                shares: Default::default(),
            };
            self.deliver(now, Event::cash(cash))?;
        }
        Ok(())
    }
}

fn micros(shares: Shares) -> i64 {
    i64::try_from(shares.micros()).unwrap_or(i64::MAX)
}
