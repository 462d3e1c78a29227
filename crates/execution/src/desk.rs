//! The desk: everything execution knows, and what it does on each event.

use std::collections::{BTreeMap, BTreeSet};

use polydesk_domain::{
    Books, Cash, CashKind, ClientOrderId, Command, MarketKey, MarketState, NoteLevel,
    OperatorCommand, OrderEvent, OrderState, OwnTrade, Payout, PlaceOrder, Position, Price,
    RejectReason, SetAction, Shares, Side, SignalId, Size, Span, StrategyId, Tif, Time, Token,
    TradeStatus, Universe, Usdc,
};
use polydesk_signals::{Action, Close, Reason, Signal, Trade, Urgency};

use crate::budget::Budget;
use crate::config::Limits;
use crate::gate::{Ask, Equity, Facts, Mode};
use crate::ledger::{Account, Entry, Ledger};
use crate::orders::{Order, Orders, Purpose, TradeChange, is_ordinary};
use crate::plans::{Plan, PlanEnd};
use crate::positions::{ClosedTrade, ExitWhy, Positions, average_units};
use crate::quotes::Desired;

/// How often an unanswered order is asked about, and a stuck cancel repeated.
const ASK_AGAIN: Span = Span::secs(2);
/// Cancels of one order before its fate is asked for instead.
const MOST_CANCELS: u32 = 5;

/// What execution may look at besides its own state.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// Engine time.
    pub now: Time,
    /// All markets.
    pub universe: &'a Universe,
    /// Their books.
    pub books: &'a Books,
    /// Their states.
    pub states: &'a [MarketState],
}

/// How often what happened, by strategy and code.
#[derive(Debug, Clone, Default)]
pub struct Counts {
    /// Denials of the gate.
    pub denials: BTreeMap<(StrategyId, &'static str), u64>,
    /// Refusals of the venue.
    pub rejects: BTreeMap<(StrategyId, &'static str), u64>,
    /// Ways orders ended, by state.
    pub ends: BTreeMap<(StrategyId, &'static str), u64>,
    /// Things that should not happen: illegal transitions, foreign trades.
    pub oddities: BTreeMap<&'static str, u64>,
    /// Exits that could not be made, by code.
    pub exit_waits: BTreeMap<&'static str, u64>,
    /// Orders sent.
    pub placed: u64,
    /// Cancels sent.
    pub cancels: u64,
}

/// A split, merge or redemption under way.
#[derive(Debug, Clone, Copy)]
pub struct SetPending {
    /// For whom.
    pub strategy: StrategyId,
    /// Where.
    pub market: MarketKey,
    /// What.
    pub action: SetAction,
    /// For which plan.
    pub plan: Option<u64>,
    /// Worth of YES when it was asked for, to share out the cost of a split.
    pub yes_units: u16,
}

/// Execution.
pub struct Execution {
    pub(crate) limits: Limits,
    pub(crate) mode: Mode,
    pub(crate) orders: Orders,
    pub(crate) positions: Positions,
    pub(crate) ledger: Ledger,
    pub(crate) plans: BTreeMap<u64, Plan>,
    pub(crate) plan_ends: Vec<PlanEnd>,
    pub(crate) next_plan: u64,
    pub(crate) desired: BTreeMap<(StrategyId, MarketKey), Desired>,
    pub(crate) requote: BTreeSet<(StrategyId, MarketKey)>,
    pub(crate) sets: BTreeMap<ClientOrderId, SetPending>,
    pub(crate) resolved: BTreeMap<MarketKey, Payout>,
    pub(crate) counts: Counts,
    pub(crate) closed: Vec<ClosedTrade>,
    order_budget: Budget,
    cancel_budget: Budget,
    next_order: u64,
    equity: Equity,
    equity_day: Option<i64>,
    halted: Option<String>,
    /// The run is over: nothing new leaves, not even exits.
    pub(crate) stopping: bool,
    /// Last executable price of each token, in ten-thousandths, from a book that could be relied on.
    marks: BTreeMap<Token, u64>,
}

impl Execution {
    /// Not ready until [`Execution::start`].
    pub fn new(limits: Limits) -> Execution {
        Execution {
            mode: Mode::NotReady,
            order_budget: Budget::new(limits.orders_per_second, limits.order_burst),
            cancel_budget: Budget::new(limits.cancels_per_second, limits.cancel_burst),
            limits,
            orders: Orders::default(),
            positions: Positions::default(),
            ledger: Ledger::default(),
            plans: BTreeMap::new(),
            plan_ends: Vec::new(),
            next_plan: 0,
            desired: BTreeMap::new(),
            requote: BTreeSet::new(),
            sets: BTreeMap::new(),
            resolved: BTreeMap::new(),
            counts: Counts::default(),
            closed: Vec::new(),
            next_order: 0,
            equity: Equity::default(),
            equity_day: None,
            halted: None,
            stopping: false,
            marks: BTreeMap::new(),
        }
    }

    /// Everything is reconciled: the gate opens.
    pub fn start(&mut self, ctx: &Context<'_>) {
        if self.mode == Mode::NotReady {
            self.mode = Mode::Running;
        }
        self.mark(ctx);
    }

    /// The gate's mode.
    pub fn mode(&self) -> Mode {
        self.mode
    }
    /// Why it halted itself, if it did.
    pub fn halted(&self) -> Option<&str> {
        self.halted.as_deref()
    }
    /// All orders.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }
    /// All positions.
    pub fn positions(&self) -> &Positions {
        &self.positions
    }
    /// The ledger.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }
    /// Counters by code.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
    /// Equity as of the last mark.
    pub fn equity(&self) -> Equity {
        self.equity
    }
    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
    /// Running plans.
    pub fn plans(&self) -> impl Iterator<Item = &Plan> {
        self.plans.values()
    }
    /// Plans that ended since the last call.
    pub fn take_plan_ends(&mut self) -> Vec<PlanEnd> {
        core::mem::take(&mut self.plan_ends)
    }
    /// Round trips finished since the last call.
    pub fn take_closed(&mut self) -> Vec<ClosedTrade> {
        core::mem::take(&mut self.closed)
    }

    /// What a strategy holds of a token.
    pub fn position(&self, strategy: StrategyId, token: Token) -> Position {
        self.positions.position(strategy, token, self.offered(strategy, token))
    }

    /// Shares that a strategy's open sells may take.
    pub(crate) fn offered(&self, strategy: StrategyId, token: Token) -> Shares {
        let sells = self.orders.open_in(token.market());
        sells
            .filter(|o| o.strategy == strategy && o.token == token)
            .map(Order::remaining_offer)
            .sum()
    }

    /// pUSD that nothing has a claim on.
    pub fn free_cash(&self) -> Usdc {
        let reserved: Usdc = self.orders.open().map(Order::remaining_cost).sum();
        let splitting: Usdc = splits(&self.sets).map(|(_, _, cost)| cost).sum();
        self.ledger.balance(Account::Cash) - reserved - splitting
    }

    pub(crate) fn facts<'a>(&'a self, ctx: &Context<'a>) -> Facts<'a> {
        Facts {
            now: ctx.now,
            mode: self.mode,
            universe: ctx.universe,
            books: ctx.books,
            states: ctx.states,
            orders: &self.orders,
            positions: &self.positions,
            ledger: &self.ledger,
            sets: &self.sets,
            equity: self.equity,
        }
    }

    pub(crate) fn deny(&mut self, strategy: StrategyId, reason: Reason) {
        *self.counts.denials.entry((strategy, reason.code)).or_default() += 1;
    }

    pub(crate) fn next_id(&mut self) -> ClientOrderId {
        self.next_order += 1;
        ClientOrderId(self.next_order)
    }

    /// Acts on a signal.
    pub fn on_signal(&mut self, ctx: &Context<'_>, signal: Signal, out: &mut Vec<Command>) {
        let Signal { id, strategy, market, action, expires, edge, .. } = signal;
        // What was said during a kill is not acted on after it.
        if matches!(self.mode, Mode::Killed | Mode::NotReady) {
            let code = if self.mode == Mode::Killed { "killed" } else { "not_ready" };
            return self.deny(strategy, Reason::new(code));
        }
        match action {
            Action::Trade(trade) => self.trade(ctx, strategy, id, edge, &trade, out),
            Action::Quotes(quotes) => {
                self.desired.insert(
                    (strategy, market),
                    Desired { quotes, signal: id, edge, expires, retry_at: Time::MIN },
                );
                self.requote_one(ctx, (strategy, market), out);
            }
            Action::Basket(basket) => self.start_plan(ctx, strategy, id, market, &basket, out),
            Action::Close(close) => self.close(ctx, strategy, close, ExitWhy::Signal, out),
        }
    }

    fn trade(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        signal: SignalId,
        edge: Usdc,
        trade: &Trade,
        out: &mut Vec<Command>,
    ) {
        let tif = match (trade.urgency, trade.all_or_nothing) {
            (Urgency::Rest, _) => Tif::Gtc,
            (Urgency::Now, true) => Tif::Fok,
            (Urgency::Now, false) => Tif::Fak,
        };
        // Immediate buys are sized in pUSD at the venue, everything else in shares.
        let size = match (tif.rests(), trade.side, trade.size) {
            (false, Side::Buy, Size::Shares(shares)) => {
                Size::Spend(trade.limit.notional_floor(shares).floor_cents())
            }
            (true, Side::Buy, Size::Spend(spend)) => {
                Size::Shares(trade.limit.shares_for(spend).unwrap_or_default().floor_cents())
            }
            (_, _, Size::Shares(shares)) => Size::Shares(shares.floor_cents()),
            (_, _, Size::Spend(spend)) => Size::Spend(spend.floor_cents()),
        };
        let sellable = self.position(strategy, trade.token).sellable();
        let size = match (trade.side, size) {
            // A strategy sells only its own settled lots.
            (Side::Sell, Size::Shares(shares)) => Size::Shares(shares.min(sellable).floor_cents()),
            (Side::Sell, Size::Spend(_)) => {
                return self.deny(strategy, Reason::new("sell_sized_in_usd"));
            }
            (Side::Buy, size) => size,
        };
        let purpose =
            if trade.side == Side::Sell { Purpose::Exit(ExitWhy::Signal) } else { Purpose::Trade };
        let mut order = Order::planned(
            ClientOrderId(0),
            strategy,
            signal,
            purpose,
            trade.token,
            trade.side,
            trade.limit,
            size,
            tif,
            ctx.now,
        );
        order.exit = trade.exit;
        order.edge = edge;
        let _ = self.submit(ctx, order, false, out);
    }

    /// Sends an order through the gate; its name, or `None` when it was denied (and counted).
    pub(crate) fn submit(
        &mut self,
        ctx: &Context<'_>,
        order: Order,
        post_only: bool,
        out: &mut Vec<Command>,
    ) -> Option<ClientOrderId> {
        let strategy = order.strategy;
        match self.admit(ctx, order, post_only) {
            Ok(id) => {
                self.emit(id, post_only, out);
                Some(id)
            }
            Err(reason) => {
                self.deny(strategy, reason);
                None
            }
        }
    }

    /// The gate: an admitted order is inserted and counts as exposure from here on.
    pub(crate) fn admit(
        &mut self,
        ctx: &Context<'_>,
        mut order: Order,
        post_only: bool,
    ) -> Result<ClientOrderId, Reason> {
        let book = ctx.books.get(order.token.market()).ok_or(Reason::new("no_book"))?;
        order.double_mid = book.double_mid(order.token.outcome());
        let market = ctx.universe.get(order.token.market()).ok_or(Reason::new("market_unknown"))?;
        let rate = market.fees.at(ctx.now).map_err(|_| Reason::new("fee_unknown"))?;
        if order.side == Side::Buy && !post_only {
            // rate × (1 − p) of the notional is charged: at worst the whole rate.
            let notional = match order.size {
                Size::Shares(shares) => order.price.notional_ceil(shares),
                Size::Spend(spend) => spend,
            };
            order.fee_reserve =
                notional.scale_floor(u64::from(rate.rate_ppm), 1_000_000) + Usdc::new(100);
        }
        let ask = Ask {
            strategy: order.strategy,
            token: order.token,
            side: order.side,
            price: order.price,
            cost: order.remaining_cost(),
            shares: order.remaining_shares(book.tick()),
            reduces: order.purpose.reduces(),
            by_person: order.purpose == Purpose::Exit(ExitWhy::Operator),
        };
        self.limits.admit(&ask, &self.facts(ctx))?;
        // An exit uses the budget up but does not wait for it.
        if !self.order_budget.take(ctx.now) && !ask.reduces {
            return Err(Reason::new("order_rate"));
        }
        order.id = self.next_id();
        let id = order.id;
        self.orders.insert(order);
        Ok(id)
    }

    /// Turns an admitted order into a command.
    pub(crate) fn emit(&mut self, id: ClientOrderId, post_only: bool, out: &mut Vec<Command>) {
        let Some(order) = self.orders.get(id) else { return };
        self.counts.placed += 1;
        out.push(Command::Place(PlaceOrder {
            id,
            strategy: order.strategy,
            signal: order.signal,
            token: order.token,
            side: order.side,
            price: order.price,
            size: order.size,
            tif: order.tif,
            post_only,
            decided_at: order.placed_at,
        }));
    }

    /// Cancels an order unless that is under way or impossible. Cancels never wait for orders.
    pub(crate) fn cancel(&mut self, now: Time, id: ClientOrderId, out: &mut Vec<Command>) {
        let Some(order) = self.orders.get(id) else { return };
        if order.state.ended() || order.state == OrderState::Delayed || !order.tif.rests() {
            return;
        }
        if order.cancel_at.is_some_and(|at| at.until(now) < ASK_AGAIN) {
            return;
        }
        if order.cancels >= MOST_CANCELS {
            self.query(now, id, out);
            return;
        }
        if !self.cancel_budget.take(now) {
            *self.counts.oddities.entry("cancel_rate").or_default() += 1;
            return;
        }
        self.orders.cancelling(id, now);
        self.counts.cancels += 1;
        out.push(Command::Cancel(id));
    }

    fn query(&mut self, now: Time, id: ClientOrderId, out: &mut Vec<Command>) {
        let Some(order) = self.orders.get(id) else { return };
        if order.queried_at.is_none_or(|at| at.until(now) >= ASK_AGAIN) {
            self.orders.queried(id, now);
            out.push(Command::Query(id));
        }
    }

    /// Asks for a split, merge or redemption.
    pub(crate) fn ask_set(&mut self, pending: SetPending, out: &mut Vec<Command>) -> ClientOrderId {
        let id = self.next_id();
        self.sets.insert(id, pending);
        let SetPending { strategy, market, action, .. } = pending;
        out.push(Command::Set { id, strategy, market, action });
        id
    }

    /// Takes in news of one of our orders.
    pub fn on_order(
        &mut self,
        ctx: &Context<'_>,
        id: ClientOrderId,
        event: &OrderEvent,
        out: &mut Vec<Command>,
    ) {
        let (before, after) = match self.orders.apply(id, event, ctx.now) {
            None => return self.odd("foreign_order", format!("news of unknown order {id}"), out),
            Some(Err(illegal)) => {
                return self.odd("illegal_order_event", format!("order {id}: {illegal}"), out);
            }
            Some(Ok(change)) => change,
        };
        let Some(order) = self.orders.get(id) else { return };
        let (strategy, purpose, token) = (order.strategy, order.purpose, order.token);
        if let OrderEvent::Rejected { reason } = event {
            *self.counts.rejects.entry((strategy, reason.code())).or_default() += 1;
        }
        if matches!(event, OrderEvent::Unknown)
            || matches!(event, OrderEvent::CancelRefused { still_open: false })
        {
            // Not open any more or never answered: only evidence tells what became of it.
            self.query(ctx.now, id, out);
        }
        if before.ended() || !after.ended() {
            return;
        }
        *self.counts.ends.entry((strategy, end_name(after))).or_default() += 1;
        match purpose {
            Purpose::Quote => {
                let fatal = matches!(event, OrderEvent::Rejected { reason } if !is_ordinary(reason) && *reason != RejectReason::RateLimited);
                self.quote_ended(strategy, id, fatal);
                self.requote.insert((strategy, token.market()));
                if !matches!(event, OrderEvent::Rejected { .. }) {
                    self.requote_market(ctx, token.market(), out);
                }
            }
            Purpose::Exit(_) => {
                self.exit_ended(ctx, id, matches!(event, OrderEvent::Rejected { .. }));
                self.exits(ctx, token.market(), out);
            }
            Purpose::Leg(plan) => self.plan_step(ctx, plan, out),
            Purpose::Trade => {}
        }
    }

    /// Takes in news of a fill.
    pub fn on_trade(&mut self, ctx: &Context<'_>, trade: &OwnTrade, out: &mut Vec<Command>) {
        let OwnTrade { order: id, trade: trade_id, fill, status, .. } = *trade;
        let change = match self.orders.trade(id, trade_id, fill, status) {
            None => return self.odd("foreign_trade", format!("a fill of unknown order {id}"), out),
            Some(Err(illegal)) => {
                return self.odd("illegal_trade_event", format!("order {id}: {illegal}"), out);
            }
            Some(Ok(change)) => change,
        };
        let Some(order) = self.orders.get(id) else { return };
        let (strategy, purpose, plan, token, side) =
            (order.strategy, order.purpose, order.exit, order.token, order.side);
        if (trade.token, trade.side) != (token, side) {
            return self.halt(
                ctx,
                format!(
                    "order {id} is {side} {token:?}, its fill says {} {:?}",
                    trade.side, trade.token
                ),
                out,
            );
        }
        let (now, key) = (ctx.now, (trade_id, id));
        let mut claim = Ok(());
        if change == TradeChange::New {
            match side {
                Side::Buy => self.positions.buy(
                    &mut self.ledger,
                    now,
                    strategy,
                    token,
                    key,
                    fill,
                    trade.role,
                    plan,
                ),
                Side::Sell => {
                    let why = exit_why(purpose);
                    claim = self.positions.sell(
                        &mut self.ledger,
                        now,
                        strategy,
                        token,
                        key,
                        fill,
                        trade.role,
                        why,
                    );
                }
            }
            if purpose == Purpose::Quote {
                self.quote_filled(strategy, id, fill.shares);
            }
        }
        // A first word of a fill can already be its last.
        let settled = change == TradeChange::Confirmed
            || (change == TradeChange::New && status == TradeStatus::Confirmed);
        match (settled, change, side) {
            (true, _, Side::Buy) => self.positions.confirm_buy(strategy, token, key),
            (true, _, Side::Sell) => {
                self.positions.confirm_sale(&mut self.ledger, now, key, &mut self.closed)
            }
            (_, TradeChange::Failed, Side::Buy) => {
                *self.counts.oddities.entry("failed_settlement").or_default() += 1;
                claim = self.positions.fail_buy(&mut self.ledger, now, strategy, token, key, fill);
            }
            (_, TradeChange::Failed, Side::Sell) => {
                *self.counts.oddities.entry("failed_settlement").or_default() += 1;
                self.positions.fail_sale(&mut self.ledger, now, key);
            }
            _ => {}
        }
        if let Err(claim) = claim {
            return self.halt(ctx, claim.to_string(), out);
        }
        self.audit(ctx, out);
        if let Purpose::Leg(plan) = purpose {
            self.plan_step(ctx, plan, out);
        } else if change != TradeChange::Nothing {
            self.plans_touching(ctx, token.market(), out);
        }
        self.exits(ctx, token.market(), out);
    }

    /// Takes in a movement of money or complete sets.
    pub fn on_cash(&mut self, ctx: &Context<'_>, cash: &Cash, out: &mut Vec<Command>) {
        let (at, amount) = (ctx.now, cash.amount);
        let pending = cash.command.and_then(|id| self.sets.remove(&id));
        let mut claim = Ok(());
        match (cash.kind, pending, cash.market) {
            (CashKind::Deposit | CashKind::Withdrawal, _, _) => {
                self.ledger.post(Entry { at, from: Account::External, to: Account::Cash, amount });
                // Money that comes or goes is no profit: the marks move with it, first.
                self.equity.high += amount;
                self.equity.day_open += amount;
                self.mark(ctx);
            }
            (CashKind::Rebate, _, _) => {
                self.ledger.post(Entry { at, from: Account::Rebates, to: Account::Cash, amount })
            }
            (CashKind::Reward, _, _) => {
                self.ledger.post(Entry { at, from: Account::Rewards, to: Account::Cash, amount })
            }
            (CashKind::Split, Some(set), Some(market)) => {
                let command = cash.command.unwrap_or(ClientOrderId(0));
                self.positions.split(
                    &mut self.ledger,
                    at,
                    set.strategy,
                    market,
                    cash.shares[0],
                    set.yes_units,
                    command,
                );
            }
            (CashKind::Merge, Some(set), Some(market)) => {
                claim = self.positions.merge(
                    &mut self.ledger,
                    at,
                    set.strategy,
                    market,
                    cash.shares[0],
                    &mut self.closed,
                );
            }
            (CashKind::Redeem, _, Some(market)) => match self.resolved.get(&market) {
                Some(payout) => {
                    self.positions.redeem(
                        &mut self.ledger,
                        at,
                        market,
                        *payout,
                        amount,
                        &mut self.closed,
                    );
                    if !self.positions.occupied(market) {
                        self.resolved.remove(&market);
                    }
                }
                None => self.ledger.post(Entry {
                    at,
                    from: Account::External,
                    to: Account::Cash,
                    amount,
                }),
            },
            (CashKind::Failed, _, _) => *self.counts.oddities.entry("set_failed").or_default() += 1,
            (CashKind::Split | CashKind::Merge | CashKind::Redeem, _, _) => {
                // Complete sets moved that nobody here asked for: money we cannot explain.
                return self.halt(
                    ctx,
                    format!("{:?} of {amount} pUSD that no command asked for", cash.kind),
                    out,
                );
            }
        }
        if let Err(claim) = claim {
            return self.halt(ctx, claim.to_string(), out);
        }
        self.audit(ctx, out);
        if let Some(plan) = pending.and_then(|set| set.plan) {
            self.plan_set_done(ctx, plan, cash, out);
        }
    }

    /// Looks at exits and plans once a market's batch is complete.
    #[inline]
    pub fn on_batch(&mut self, ctx: &Context<'_>, market: MarketKey, out: &mut Vec<Command>) {
        if self.positions.occupied(market) {
            self.exits(ctx, market, out);
        }
    }

    /// Takes in a new state of a market.
    pub fn on_state(
        &mut self,
        ctx: &Context<'_>,
        market: MarketKey,
        state: MarketState,
        out: &mut Vec<Command>,
    ) {
        if state.trades() {
            return;
        }
        self.desired.retain(|(_, key), _| *key != market);
        for id in self.orders.open_in(market).map(|order| order.id).collect::<Vec<_>>() {
            self.cancel(ctx.now, id, out);
        }
        if let MarketState::Resolved(payout) = state {
            self.resolved.insert(market, payout);
            self.redeem(market, out);
        }
    }

    /// Redeems a resolved market once everything in it is final.
    fn redeem(&mut self, market: MarketKey, out: &mut Vec<Command>) {
        // A merge under way holds shares that a redemption must not count, and the other way round.
        let asked = self.sets.values().any(|set| set.market == market);
        let held = self.positions.in_market(market);
        let final_ = held.iter().all(|(strategy, token)| {
            self.positions
                .get(*strategy, *token)
                .is_none_or(|holding| holding.confirmed() == holding.held())
        });
        let offered = self.orders.open_in(market).next().is_some();
        if asked || held.is_empty() || !final_ || offered || self.positions.selling(market) {
            return;
        }
        let strategy = held[0].0;
        let set =
            SetPending { strategy, market, action: SetAction::Redeem, plan: None, yes_units: 0 };
        self.ask_set(set, out);
    }

    /// Time passed: marks equity, repeats what is unanswered, refreshes quotes, moves plans on.
    pub fn on_timer(&mut self, ctx: &Context<'_>, out: &mut Vec<Command>) {
        let now = ctx.now;
        self.mark(ctx);
        let (losses, last) = self.ledger.losing_streak();
        if losses >= self.limits.max_losses_in_a_row
            && last.is_some_and(|at| at.until(now) >= self.limits.loss_cooldown)
        {
            self.ledger.forgive_streak();
        }
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

    /// Takes in what a person ordered.
    pub fn on_operator(
        &mut self,
        ctx: &Context<'_>,
        command: OperatorCommand,
        out: &mut Vec<Command>,
    ) {
        match (command, self.mode) {
            (OperatorCommand::Kill, _) => self.kill(ctx.now, out),
            // Whoever lifts a kill has seen why the desk halted, if it did.
            (OperatorCommand::Rearm, Mode::Killed) => {
                self.halted = None;
                self.mode = Mode::Paused;
            }
            (OperatorCommand::Flatten(market), mode) if mode != Mode::NotReady => {
                self.flatten(ctx, market, out);
            }
            // A kill is lifted by rearming, by nothing else.
            (_, Mode::Killed | Mode::NotReady) => {}
            (OperatorCommand::Pause, _) => self.mode = Mode::Paused,
            (OperatorCommand::ReduceOnly, _) => self.mode = Mode::ReduceOnly,
            (OperatorCommand::Resume, _) => self.mode = Mode::Running,
            (OperatorCommand::Rearm | OperatorCommand::Flatten(_), _) => {}
        }
    }

    fn flatten(&mut self, ctx: &Context<'_>, market: Option<MarketKey>, out: &mut Vec<Command>) {
        let held: Vec<_> = self.positions.all().map(|(s, t, _)| (s, t)).collect();
        for (strategy, token) in held {
            if market.is_none_or(|market| market == token.market()) {
                let close = Close { token, fraction_ppm: 1_000_000, floor: Price::ZERO };
                self.close(ctx, strategy, close, ExitWhy::Operator, out);
            }
        }
    }

    fn close(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        close: Close,
        why: ExitWhy,
        out: &mut Vec<Command>,
    ) {
        let Some(holding) = self.positions.get_mut(strategy, close.token) else {
            return self.deny(strategy, Reason::new("nothing_to_close"));
        };
        let shares =
            holding.held().scale_floor(u64::from(close.fraction_ppm.min(1_000_000)), 1_000_000);
        if shares.is_zero() {
            return self.deny(strategy, Reason::new("nothing_to_close"));
        }
        // A person's wish comes from above and is obeyed also by what was latched before.
        holding.leaving = Some((why, close.floor, shares));
        holding.retry_at = None;
        self.exits(ctx, close.token.market(), out);
    }

    /// Latches the kill: cancels everything, nothing new.
    pub fn kill(&mut self, now: Time, out: &mut Vec<Command>) {
        self.mode = Mode::Killed;
        self.cancel_all(now, out);
    }

    /// The run ends: cancels everything that rests.
    pub fn stop(&mut self, now: Time, out: &mut Vec<Command>) {
        self.mode = self.mode.max(Mode::ReduceOnly);
        self.stopping = true;
        self.cancel_all(now, out);
    }

    /// One request for everything at once; what it misses is cancelled one by one by the timer.
    fn cancel_all(&mut self, now: Time, out: &mut Vec<Command>) {
        self.desired.clear();
        self.requote.clear();
        out.push(Command::CancelAll(None));
        let resting = self.orders.open().filter(|order| !order.state.ended() && order.tif.rests());
        for id in resting.map(|order| order.id).collect::<Vec<_>>() {
            self.orders.cancelling(id, now);
        }
    }

    fn halt(&mut self, ctx: &Context<'_>, why: String, out: &mut Vec<Command>) {
        // Only the first reason counts; what follows is its consequence.
        if self.halted.is_none() {
            out.push(Command::Note { level: NoteLevel::Critical, code: "halt", text: why.clone() });
            self.halted = Some(why);
        }
        self.kill(ctx.now, out);
    }

    fn odd(&mut self, code: &'static str, text: String, out: &mut Vec<Command>) {
        *self.counts.oddities.entry(code).or_default() += 1;
        out.push(Command::Note { level: NoteLevel::Warning, code, text });
    }

    /// The ledger must agree with the lots and add up to zero; if not, everything stops.
    fn audit(&mut self, ctx: &Context<'_>, out: &mut Vec<Command>) {
        let (inventory, pending) = self.positions.totals();
        let ledger =
            (self.ledger.balance(Account::Inventory), self.ledger.balance(Account::Pending));
        if ledger != (inventory, pending) || !self.ledger.imbalance().is_zero() {
            let why = format!(
                "the ledger says inventory {} and pending {}, the lots say {inventory} and {pending}; imbalance {}",
                ledger.0,
                ledger.1,
                self.ledger.imbalance()
            );
            self.halt(ctx, why, out);
        }
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

/// pUSD that splits under way will take, by strategy and market.
pub(crate) fn splits(
    sets: &BTreeMap<ClientOrderId, SetPending>,
) -> impl Iterator<Item = (StrategyId, MarketKey, Usdc)> {
    sets.values().filter_map(|set| match set.action {
        SetAction::Split(shares) => Some((set.strategy, set.market, shares.face_value())),
        SetAction::Merge(_) | SetAction::Redeem => None,
    })
}

fn exit_why(purpose: Purpose) -> ExitWhy {
    match purpose {
        Purpose::Exit(why) => why,
        Purpose::Leg(_) => ExitWhy::Basket,
        Purpose::Trade | Purpose::Quote => ExitWhy::Signal,
    }
}

fn end_name(state: OrderState) -> &'static str {
    match state {
        OrderState::Filled => "filled",
        OrderState::Cancelled => "cancelled",
        OrderState::Expired => "expired",
        _ => "rejected",
    }
}
