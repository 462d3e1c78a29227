//! Commands of the engine go to their lanes.

use std::collections::BTreeSet;

use polydesk_domain::{
    ClientOrderId, Code, Command, Conversion, ConversionId, Event, MarketKey, OrderUpdate,
    PlaceOrder, Query, StrategyId, Time,
};
use polydesk_gateway::Ask;
use polydesk_polymarket_api::{Exchange, OrderArgs};

use super::{Bot, OVERLAP};
use crate::live::chain::ConversionJob;
use crate::live::lanes::{Cancel, ChainJob, Read, lane_full};
use crate::live::orders::{Approved, OrderRequest};

impl Bot<'_> {
    pub(super) fn command(&mut self, at: Time, command: &Command) {
        match command {
            Command::Place(orders) => self.place(at, orders),
            Command::Cancel(id) => match self.plan.gateway.orders().hash(*id) {
                Some(hash) => {
                    self.withdraw(*id);
                    self.cancel(Cancel::Order(hash));
                }
                None => self.withdraw(*id),
            },
            Command::CancelAll(None) => {
                self.withdraw_all(None);
                self.cancel(Cancel::All);
            }
            Command::CancelAll(Some(market)) => {
                self.withdraw_all(Some(*market));
                if let Some(market) = self.engine.universe().get(*market) {
                    self.cancel(Cancel::Market(market.condition));
                }
            }
            Command::Query(Query::Order(id)) => {
                if let Some(hash) = self.plan.gateway.orders().hash(*id) {
                    self.ask(Ask::Order(hash));
                    self.ask(Ask::Trades(hash));
                }
            }
            // One that is under way in the lane goes on there; one that was lost with the lane is taken up.
            Command::Query(Query::Conversion(id)) => {
                if let Some(job) = self.pending_job(*id) {
                    self.chain_job(ChainJob::Resume(job));
                }
            }
            Command::Convert { id, strategy, market, action } => {
                match self.job(*id, *strategy, *market, *action) {
                    Some(job) => self.chain_job(ChainJob::Convert(job)),
                    // Its query asks again: nothing of it has left.
                    None => tracing::error!(%id, "a conversion in a market that is not listed"),
                }
            }
            // No model is asked by live trading yet.
            Command::Ask { .. } => {}
        }
    }

    /// An order that has not left is not wanted any more: it is stopped on its way, or cancelled once it has a hash.
    fn withdraw(&mut self, id: ClientOrderId) {
        let orders = self.plan.gateway.orders();
        let on_its_way = match orders.hash(id).and_then(|hash| orders.get(&hash)) {
            Some(order) => order.sent_at.is_none() && order.ended.is_none(),
            None if self.unbound.remove(&(id, false)) => self.unbound.insert((id, true)),
            None => false,
        };
        if on_its_way {
            self.plan.permit.withdraw(id);
        }
    }

    /// The same for all orders, or those of a market: no list of the venue has them yet.
    fn withdraw_all(&mut self, market: Option<MarketKey>) {
        let open = self.engine.manager().orders().open();
        let here = open.filter(|order| market.is_none_or(|key| key == order.token.market()));
        for id in here.map(|order| order.id).collect::<Vec<_>>() {
            self.withdraw(id);
        }
    }

    fn job(
        &self,
        id: ConversionId,
        strategy: StrategyId,
        market: MarketKey,
        action: Conversion,
    ) -> Option<ConversionJob> {
        let facts = self.engine.universe().get(market)?;
        Some(ConversionJob {
            id,
            strategy,
            condition: facts.condition,
            tokens: facts.tokens,
            neg_risk: facts.neg_risk.is_some(),
            action,
        })
    }

    fn pending_job(&self, id: ConversionId) -> Option<ConversionJob> {
        let pending = self.engine.manager().state().conversions.get(&id)?;
        self.job(id, pending.strategy, pending.market, pending.action)
    }

    fn chain_job(&mut self, job: ChainJob) {
        if self.plan.lanes.chain.try_send(job).is_err() {
            self.full("chain");
        }
    }

    /// Conversions of an earlier run whose outcome is not booked: the lane finds out what became of each.
    pub(super) fn resume_conversions(&mut self) {
        let pending = self.pending_conversions();
        for id in pending {
            if let Some(job) = self.pending_job(id) {
                self.chain_job(ChainJob::Resume(job));
            }
        }
    }

    /// Tells the lane which conversions the engine still waits for: what is not among them is booked.
    pub(super) fn pending_conversions(&mut self) -> BTreeSet<ConversionId> {
        let conversions = self.engine.manager().state().conversions.iter();
        let pending: BTreeSet<ConversionId> = conversions.map(|(id, _)| *id).collect();
        self.chain_job(ChainJob::Pending(pending.clone()));
        pending
    }

    pub(super) fn place(&mut self, at: Time, orders: &[PlaceOrder]) {
        let mut approved = Vec::with_capacity(orders.len());
        for order in orders {
            match self.approve(at, order) {
                Ok(order) => approved.push(order),
                Err(why) => {
                    // The legs of a request leave together or not at all.
                    tracing::error!(order = %order.id, why, "an approved order cannot be signed");
                    return self.not_sent(orders, Code::literal("no_such_order"));
                }
            }
        }
        for order in orders {
            self.unbound.insert((order.id, false));
        }
        let cause = self.plan.journal.appended();
        let request = OrderRequest { cause, orders: approved };
        if self.plan.lanes.orders.try_send(request).is_err() {
            self.not_sent(orders, lane_full());
            self.full("orders");
        }
    }

    pub(super) fn approve(&self, at: Time, order: &PlaceOrder) -> Result<Approved, String> {
        let key = order.token.market();
        let universe = self.engine.universe();
        let market = universe.get(key).ok_or("its market is not listed")?;
        let exchange = Exchange::of(market).map_err(|error| error.to_string())?;
        let tick = self.engine.books().get(key).map_or(market.tick, |book| book.tick());
        let args = OrderArgs {
            token: universe.token_id(order.token),
            side: order.side,
            price: order.price,
            size: order.size,
            tif: order.tif,
            post_only: order.post_only,
            tick,
            exchange,
        };
        let (decided_at, data_at, expires) = (at, order.data_at, order.expires);
        let condition = market.condition;
        Ok(Approved { id: order.id, args, condition, decided_at, data_at, expires })
    }

    pub(super) fn not_sent(&mut self, orders: &[PlaceOrder], why: Code) {
        for order in orders {
            self.unbound.remove(&(order.id, false));
            self.unbound.remove(&(order.id, true));
            let update = OrderUpdate::NotSent { why };
            self.queue.push_back(Event::order(order.id, update));
        }
    }

    pub(super) fn cancel(&mut self, cancel: Cancel) {
        if self.plan.lanes.cancels.try_send(cancel).is_err() {
            self.full("cancels");
        }
    }

    pub(super) fn ask(&mut self, ask: Ask) {
        let read = match ask {
            Ask::Order(hash) => Read::Order(hash),
            Ask::Trades(hash) => {
                let Some(order) = self.plan.gateway.orders().get(&hash) else { return };
                Read::Trades(order.facts.token, order.bound_at - OVERLAP)
            }
            Ask::Cancel(hash) => return self.cancel(Cancel::Order(hash)),
            Ask::Chain => {
                self.pass.chain_due = true;
                return;
            }
            Ask::Market(token) => {
                self.trouble.unfollowed.insert(token, self.last_at);
                return;
            }
        };
        if self.plan.lanes.reads.try_send(read).is_err() {
            self.full("reads");
        }
    }

    /// A lane is full or gone: what it should have done is not done, so nothing new begins.
    pub(super) fn full(&mut self, lane: &'static str) {
        if !self.halted {
            self.halted = true;
            (self.plan.halt)(&format!("the lane of {lane} takes nothing more"));
        }
    }
}
