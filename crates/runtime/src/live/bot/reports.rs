//! Reports of the lanes and of the user channel become events.

use polydesk_domain::{
    AccountEvent, Basis, Cash, Cause, ControlEvent, OrderHash, OrderUpdate, TradeStatus,
};
use polydesk_gateway::{Output, WireRow};
use polydesk_polymarket_api::ws::UserItem;
use polydesk_polymarket_api::{ApiError, Refusal};

use super::{Bot, LEAVING, LiveError, PASS_SOON};
use crate::live::lanes::{Cancel, ChainJob};
use crate::live::report::{Answers, Report};

impl Bot<'_> {
    /// Everything that the lanes have reported so far.
    pub(super) fn reports(&mut self) -> Result<(), LiveError> {
        for _ in 0..self.plan.reports.len() {
            match self.plan.reports.try_recv() {
                Ok(report) => self.report(report)?,
                Err(_) => break,
            }
        }
        Ok(())
    }

    pub(super) fn report(&mut self, report: Report) -> Result<(), LiveError> {
        let now = self.now();
        match report {
            Report::Bound { id, hash, facts, at } => {
                self.unbound.remove(&(id, false));
                let wanted_out = self.unbound.remove(&(id, true));
                let bound = self.plan.gateway.bound(id, hash, *facts, at);
                // The lane has journaled this very row.
                let _ = self.plan.gateway.orders_mut().take_changed();
                match bound {
                    Ok(outputs) => self.outputs(outputs)?,
                    Err(error) => {
                        let detail = error.to_string();
                        self.outputs(vec![Output::NotReconciled(detail)])?;
                    }
                }
                if wanted_out {
                    self.cancel(Cancel::Order(hash));
                }
            }
            Report::Sent { orders, at } => {
                for hash in orders {
                    let outputs = self.plan.gateway.sent(&hash, at);
                    self.outputs(outputs)?;
                }
            }
            Report::NotSent { id, hash, why, at } => {
                self.unbound.remove(&(id, false));
                self.unbound.remove(&(id, true));
                let outputs = match hash {
                    Some(hash) => self.plan.gateway.withdrawn(&hash, why, at),
                    None => vec![Output::order(id, OrderUpdate::NotSent { why })],
                };
                self.outputs(outputs)?;
            }
            Report::Placed { orders, answers, at } => {
                for hash in &orders {
                    // A cancel may have come while the first byte left: nothing of it is to be kept.
                    if let Some(order) = self.plan.gateway.orders().get(hash) {
                        self.plan.permit.over(order.id);
                    }
                }
                for (hash, answer) in orders.iter().zip(answers.iter().flatten()) {
                    if answer.is_ok() {
                        self.plan.user_feed.placed(*hash);
                    }
                }
                let outputs = self.plan.gateway.batch(&orders, &answers, at);
                self.outputs(outputs)?;
                self.other_version(&answers)?;
                self.held_funds(&answers)?;
            }
            Report::Cancelling { orders, at } => {
                for hash in orders {
                    self.plan.gateway.cancel_sent(&hash, at);
                }
            }
            Report::Cancelled { answer, at } => match *answer {
                Ok(answer) => {
                    let outputs = self.plan.gateway.cancelled(&answer, at);
                    self.outputs(outputs)?;
                }
                Err(error) => tracing::warn!(%error, "a cancel failed; it is sent again"),
            },
            Report::Order { hash, answer, at } => {
                let ids = self.engine.universe();
                let answer = match &*answer {
                    Ok(row) => Ok(row.as_ref()),
                    Err(error) => Err(error),
                };
                let outputs = self.plan.gateway.queried(ids, &hash, answer, at);
                self.outputs(outputs)?;
            }
            Report::Trades { trades, at } => {
                for trade in trades.iter() {
                    let outputs = self.plan.gateway.trade(self.engine.universe(), trade, at);
                    self.outputs(outputs)?;
                }
            }
            Report::Pass { reads, asked_at } => self.passed(&reads, asked_at, now)?,
            Report::PassFailed { why, .. } => {
                tracing::warn!(why, "a pass of reads failed");
                self.pass.why = format!("the last one failed: {why}");
                self.pass.under = None;
                self.pass.next = now + PASS_SOON;
            }
            Report::Settled { transaction, fills, depth } => {
                let ids = self.engine.universe();
                let outputs = self.plan.gateway.settled(ids, &transaction, &fills, depth, now);
                self.outputs(outputs)?;
            }
            Report::NonceTaken(condition) => self.nonce_taken(&condition)?,
            Report::Converted(cash) => {
                let market = cash.conversion.and_then(|id| {
                    self.engine.manager().state().conversions.get(&id).map(|it| it.market)
                });
                let cash = Cash { market: cash.market.or(market), ..cash };
                self.deliver(now, AccountEvent::Cash(cash).into())?;
                self.pending_conversions();
            }
        }
        self.wire_rows()
    }

    pub(super) fn user(&mut self, item: &UserItem) -> Result<(), LiveError> {
        let now = self.now();
        match item {
            UserItem::Connected { .. } => {
                self.user_channel(None)?;
                self.pass.next = now;
                if self.user_up.is_none() {
                    self.user_up = Some(now);
                    self.pass.begun = true;
                    if self.leftovers() > 0 {
                        // Their ends are reported by then, and are not read one by one.
                        self.pass.next = now + LEAVING;
                    }
                }
            }
            UserItem::Disconnected { reason, .. } => {
                let lost = self.user_up.take().is_some();
                // That one which was up is lost has a blocker of its own.
                if !lost {
                    self.user_channel(Some(reason))?;
                }
            }
            UserItem::Rejected { reason, .. } => {
                self.user_up = None;
                // The channel has ended for good.
                self.trouble.user_over = true;
                self.user_channel(Some(reason))?;
            }
            _ => {}
        }
        let outputs = self.plan.gateway.user(self.engine.universe(), item, now);
        self.outputs(outputs)?;
        self.wire_rows()
    }

    /// Orders of an earlier run that may rest: they are cancelled by id. The user channel is up by now, so that their
    /// end is reported.
    ///
    /// Returns how many.
    pub(super) fn leftovers(&mut self) -> usize {
        let run = self.plan.identity.run;
        let old: Vec<OrderHash> = self
            .plan
            .gateway
            .orders()
            .iter()
            .filter(|(_, order)| order.id.run() != run && order.ended.is_none())
            // What a person placed was adopted by that run, and stays.
            .filter(|(_, order)| self.plan.cancel_external || !order.id.is_external())
            .map(|(hash, _)| *hash)
            .collect();
        let count = old.len();
        for hash in old {
            self.cancel(Cancel::Order(hash));
        }
        count
    }

    pub(super) fn outputs(&mut self, outputs: Vec<Output>) -> Result<(), LiveError> {
        for output in outputs {
            match output {
                Output::Ask(ask) => self.ask(ask),
                Output::Agreed(block) => self.agreed(block)?,
                Output::Past(at, event) => {
                    let now = self.now();
                    self.deliver_dated(now, at.min(now), event.into())?;
                }
                output => {
                    if let Output::Event(AccountEvent::Trade(trade)) = &output {
                        self.settle(trade);
                        self.lost_tail_fill(trade)?;
                    }
                    if let Some(event) = output.event() {
                        let at = self.now();
                        self.deliver(at, event)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// After a lost tail a fill that no entry names may be of an order that this bot sent: a person has to look.
    fn lost_tail_fill(&mut self, trade: &polydesk_domain::OwnTrade) -> Result<(), LiveError> {
        let blockers = &self.engine.manager().state().blockers;
        if !self.plan.lost_tail
            || !trade.order.is_external()
            || blockers.contains_key(&Cause::LostTail)
        {
            return Ok(());
        }
        let detail =
            format!("the end of the journal was lost, and order {} has a fill", trade.order);
        let event = ControlEvent::Blocker { cause: Cause::LostTail, on: true, detail };
        let at = self.now();
        self.deliver(at, event.into())
    }

    /// The venue refuses what is signed for this version: the next order would be refused as well.
    fn other_version(&mut self, answers: &Answers) -> Result<(), LiveError> {
        let refused =
            |error: &ApiError| matches!(error, ApiError::Refused { why: Refusal::Version, .. });
        let refused = match answers {
            Err(error) => refused(error),
            Ok(answers) => answers.iter().any(|answer| answer.as_ref().is_err_and(refused)),
        };
        if !refused || self.engine.manager().state().blockers.contains_key(&Cause::Version) {
            return Ok(());
        }
        let detail = "the venue refuses orders of the version that this program signs: update polydesk and start it again".to_owned();
        let at = self.now();
        let event = ControlEvent::Blocker { cause: Cause::Version, on: true, detail };
        self.deliver(at, event.into())?;
        self.cancel(Cancel::All);
        Ok(())
    }

    /// The exact amounts of a fill that is in a block are in its transaction.
    pub(super) fn settle(&mut self, trade: &polydesk_domain::OwnTrade) {
        let mined = matches!(trade.status, TradeStatus::Mined | TradeStatus::Confirmed);
        if !mined || trade.fill.basis == Basis::Settled {
            return;
        }
        let orders = self.plan.gateway.orders();
        let transaction = orders
            .hash(trade.order)
            .and_then(|hash| orders.get(&hash))
            .and_then(|order| order.fills.get(&trade.trade))
            .and_then(|fill| fill.transaction.clone());
        if let Some(transaction) = transaction
            && self.plan.lanes.chain.try_send(ChainJob::Settle(transaction)).is_err()
        {
            // The estimate stands; the next report of the fill asks again.
            tracing::warn!("the lane of the chain is full: amounts of a fill stay estimated");
        }
    }

    /// Keeps the kill path's list of orders that may be at the venue.
    fn list(&self, key: &[u8]) {
        let hash = core::str::from_utf8(key).ok().and_then(|text| text.parse::<OrderHash>().ok());
        let Some(hash) = hash else { return };
        match self.plan.gateway.orders().get(&hash) {
            Some(order) if order.ended.is_some() || order.withdrawn => {
                self.plan.switch.delist(&hash);
            }
            Some(order) if order.acknowledged => self.plan.switch.rests(&hash),
            Some(_) => {}
            None => self.plan.switch.delist(&hash),
        }
    }

    /// Appends the gateway's rows that changed.
    pub(super) fn wire_rows(&mut self) -> Result<(), LiveError> {
        let rows = self.plan.gateway.orders_mut().take_changed();
        for row in &rows {
            self.list(&row.key);
        }
        if !rows.is_empty() {
            let rows = rows.iter().map(|row| (row.key.as_slice(), row.value.as_deref()));
            self.plan.journal.rows(WireRow::TABLE, rows)?;
        }
        Ok(())
    }
}
