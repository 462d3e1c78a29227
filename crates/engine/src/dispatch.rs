//! Dispatches events to strategies and their signals to the order manager.

use polydesk_domain::{
    AccountEvent, CashKind, Code, MarketKey, Outbox, Position, Record, Side, Signal, Size, Stamped,
    StrategyId, Token, Usdc,
};
use polydesk_execution::{Manager, PendingAsk};
use polydesk_signals::{Dropped, Pushed};
use polydesk_strategies::{Account, Emit, Kinds, OpenOrder, Trigger, View};

use crate::Engine;
use crate::slots::Slot;

impl Engine {
    /// A market's batch is complete: exits first, then every strategy that wants to see it.
    #[inline]
    pub(crate) fn batch(&mut self, key: MarketKey, out: &mut Outbox) {
        if self.manager.positions().occupied(key) {
            self.execute(|manager, ctx| manager.on_batch(ctx, key, out));
        }
        let mask = self.slots.mask(Kinds::BATCH, Some(key));
        self.call_all(mask, Trigger::Batch(key), out);
    }

    /// Calls the strategies that ask for a kind of event and want its market.
    #[inline(never)]
    pub(crate) fn dispatch(
        &mut self,
        stamped: &Stamped,
        kind: Kinds,
        market: Option<MarketKey>,
        out: &mut Outbox,
    ) {
        let mask = self.slots.mask(kind, market);
        self.call_all(mask, Trigger::Event(stamped), out);
    }

    /// Calls one strategy.
    #[inline(never)]
    pub(crate) fn dispatch_to(
        &mut self,
        stamped: &Stamped,
        kind: Kinds,
        owner: StrategyId,
        out: &mut Outbox,
    ) {
        let mask = self.slots.mask_of(kind, owner);
        self.call_all(mask, Trigger::Event(stamped), out);
    }

    /// The strategies that an account event belongs to, before it is applied.
    pub(crate) fn owners(&self, event: &AccountEvent) -> Vec<StrategyId> {
        let order = |id| self.manager.orders().get(id).map(|order| order.strategy);
        let one = match event {
            AccountEvent::Order { id, .. } => order(*id),
            AccountEvent::Trade(trade) => order(trade.order),
            AccountEvent::Cash(cash) => {
                if let (CashKind::Redeem, Some(market)) = (cash.kind, cash.market) {
                    // A redemption turns the holdings of all strategies in the market into money.
                    let held = self.manager.positions().in_market(market);
                    let mut owners: Vec<_> = held.iter().map(|(owner, _)| *owner).collect();
                    owners.dedup();
                    return owners;
                }
                let pending =
                    cash.conversion.and_then(|id| self.manager.state().conversions.get(&id));
                pending.map(|pending| pending.strategy).or(cash.strategy)
            }
            _ => None,
        };
        one.into_iter().collect()
    }

    /// Inlined where the trigger is made: a trigger that is copied from memory costs more than the rest of the call.
    #[inline(always)]
    fn call_all(&mut self, mask: u32, trigger: Trigger<'_>, out: &mut Outbox) {
        let mut mask = if self.stopped { 0 } else { mask };
        while mask != 0 {
            let slot = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            self.call(slot, trigger, out);
        }
        if !self.signals.is_empty() {
            self.act(out);
        }
    }

    #[inline(always)]
    fn call(&mut self, slot: usize, trigger: Trigger<'_>, out: &mut Outbox) {
        let Slot { id, strategy, skips, counter, .. } = self.slots.get_mut(slot);
        let id = &*id;
        let account = Holdings(&self.manager);
        let view = View {
            strategy: id,
            now: self.now,
            universe: &self.universe,
            books: &self.books,
            states: &self.states,
            account: &account,
        };
        let mut emit = Emit::new(id, self.now, counter, skips, &mut self.emitted);
        strategy.on_event(&view, trigger, &mut emit);
        if !self.emitted.signals.is_empty() {
            let signals = counter.signals;
            let id = *id;
            self.take_signals(id, signals);
        }
        if !self.emitted.quiet() {
            let id = self.slots.get_mut(slot).id;
            self.take_emitted(id, out);
        }
    }

    #[inline(never)]
    fn take_signals(&mut self, id: StrategyId, signals: u64) {
        self.signals.append(&mut self.emitted.signals);
        self.execute(|manager, _| manager.emitted(id, signals));
    }

    /// What a strategy emitted besides signals.
    #[inline(never)]
    fn take_emitted(&mut self, id: StrategyId, out: &mut Outbox) {
        let mut emitted = core::mem::take(&mut self.emitted);
        for (key, reason) in emitted.skips.drain(..) {
            let market = self.universe.market(key).condition;
            out.record(Record::Skip { strategy: id, market, reason });
        }
        for opportunity in emitted.opportunities.drain(..) {
            let opportunity = opportunity.by_venue_ids(&self.universe);
            out.record(Record::Opportunity { strategy: id, opportunity });
        }
        for (key, value) in emitted.remember.drain(..) {
            self.execute(|manager, _| manager.remember(id, key, value));
        }
        for ask in emitted.asks.drain(..) {
            let pending = PendingAsk {
                strategy: id,
                market: ask.market,
                evidence_until: ask.evidence_until,
                asked_at: self.now,
            };
            self.execute(|manager, ctx| manager.ask(ctx, ask.id, pending, out));
            for slot in self.slots.iter_mut() {
                slot.counter.asks = ask.id.number();
            }
        }
        self.emitted = emitted;
    }

    /// Queues what was emitted and acts on whatever is due.
    #[inline(never)]
    pub(crate) fn act(&mut self, out: &mut Outbox) {
        for signal in core::mem::take(&mut self.signals) {
            out.record(Record::Signal(Box::new(signal.by_venue_ids(&self.universe))));
            let (id, strategy, market) = (signal.id, signal.strategy, signal.market);
            let (dropped, code) = match self.queue.push(signal) {
                Pushed::Queued => continue,
                Pushed::Superseded(older) => (older, "superseded"),
                Pushed::Outdated => (id, "outdated"),
            };
            *self.drops.entry((strategy, Code::literal(code))).or_default() += 1;
            out.record(Record::SignalDropped {
                signal: dropped,
                strategy,
                market: self.universe.market(market).condition,
                code: Code::literal(code),
            });
        }
        while let Some(signal) = self.queue.pop(self.now, &mut self.dropped) {
            self.execute(|manager, ctx| manager.on_signal(ctx, &signal, out));
        }
        self.report_dropped("expired", out);
    }

    pub(crate) fn report_dropped(&mut self, code: &'static str, out: &mut Outbox) {
        for Dropped { signal, .. } in core::mem::take(&mut self.dropped) {
            self.drop_signal(&signal, code, out);
        }
    }

    pub(crate) fn drop_signal(&mut self, signal: &Signal, code: &'static str, out: &mut Outbox) {
        let code = Code::literal(code);
        *self.drops.entry((signal.strategy, code)).or_default() += 1;
        out.record(Record::SignalDropped {
            signal: signal.id,
            strategy: signal.strategy,
            market: self.universe.market(signal.market).condition,
            code,
        });
    }
}

/// Positions, orders and memory as strategies see them.
struct Holdings<'a>(&'a Manager);

impl Account for Holdings<'_> {
    fn position(&self, strategy: StrategyId, token: Token) -> Position {
        self.0.position(strategy, token)
    }

    fn open_orders(&self, strategy: StrategyId, market: MarketKey) -> Vec<OpenOrder> {
        let orders = self.0.orders().open_in(market).filter(|order| order.strategy == strategy);
        orders
            .map(|order| OpenOrder {
                id: order.id,
                token: order.token,
                side: order.side,
                price: order.price,
                remaining: match (order.side, order.size) {
                    (Side::Sell, _) => order.remaining_offer(),
                    (Side::Buy, Size::Shares(_)) => order.left(),
                    (Side::Buy, Size::Spend(spend)) => {
                        order.price.shares_for(spend - order.spent).unwrap_or_default()
                    }
                },
                state: order.state,
            })
            .collect()
    }

    fn quoted(&self, strategy: StrategyId, market: MarketKey) -> bool {
        self.0.state().quotes.contains_key(&(strategy, market))
    }

    fn free_cash(&self) -> Usdc {
        self.0.free_cash()
    }

    fn recall(&self, strategy: StrategyId, key: &str) -> Option<&[u8]> {
        self.0.state().remember.get(&(strategy, key.to_owned())).map(Vec::as_slice)
    }
}
