//! The exchange as its driver sees it: commands and market data in, time forward, events out. It hands
//! each to the file of its subject; none of them knows this one.

use polydesk_domain::{
    Books, ClientOrderId, Command, Event, MarketKey, OrderUpdate, PlaceOrder, Query, Span, Stamped,
    Time, Token, Universe,
};

use crate::bank::Broken;
use crate::chance::Purpose;
use crate::config::SimConfig;
use crate::counters::SimCounters;
use crate::due::{Due, SetOrder};
use crate::rules::Mode;
use crate::state::Sim;

impl Sim {
    /// The configuration.
    pub fn config(&self) -> &SimConfig {
        &self.config
    }

    /// Exchange time reached.
    pub fn now(&self) -> Time {
        self.now
    }

    /// The markets as the exchange knows them. It checks the keys of listing rows; a wrong one is
    /// latched like a broken sum.
    pub fn universe(&self) -> &Universe {
        &self.universe
    }

    /// The books as the exchange sees them; what we consumed is still shown there.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// A command leaves the engine at engine time `now` and reaches the exchange after its latency.
    ///
    /// A query of an order is answered by its state and by all its matches with their present status,
    /// one of a conversion by its cash event; a conversion under way gives no answer. What ended is
    /// kept for a day after its last update. Then it is forgotten, and a query gets no answer at all:
    /// `Absent` is said only of orders that never arrived or were refused.
    ///
    /// The orders of one `Place` travel together; of more than [`Command::BATCH`] all are refused. A
    /// time before what the exchange has reached is taken as that, and counted.
    pub fn submit(&mut self, now: Time, command: &Command) {
        if now < self.now {
            self.counters.late_commands += 1;
        }
        let now = now.max(self.now);
        let latency = self.config.latency;
        match command {
            Command::Place(orders) => self.send_orders(now, orders),
            Command::Cancel(id) => {
                let at = now + self.chance.delay(Purpose::Wire, latency.cancel);
                if self.chance.happens(Purpose::Fault, self.config.faults.lose_cancel_ppm) {
                    self.counters.cancels_lost += 1;
                    self.await_in_vain(now, *id);
                } else {
                    self.schedule(at, Due::Cancel(*id));
                }
            }
            Command::CancelAll(market) => {
                let at = now + self.chance.delay(Purpose::Wire, latency.cancel);
                self.schedule(at, Due::CancelAll(*market));
            }
            Command::Query(query) => {
                let at = now + self.chance.delay(Purpose::Wire, latency.cancel);
                self.schedule(at, Due::Query(*query));
            }
            Command::Convert { id, strategy, market, action } => {
                let at = now + self.chance.delay(Purpose::Wire, latency.insert);
                let order = SetOrder {
                    id: Some(*id),
                    strategy: Some(*strategy),
                    market: *market,
                    action: *action,
                };
                self.schedule(at, Due::SetArrive(order));
            }
            Command::Ask { .. } => {}
        }
    }

    /// Sends the orders of one request: they arrive together, in the order given.
    fn send_orders(&mut self, now: Time, orders: &[PlaceOrder]) {
        if orders.is_empty() {
            return;
        }
        let arrival = now + self.chance.delay(Purpose::Wire, self.config.latency.insert);
        for order in orders {
            self.send_order(now, arrival, order, orders.len() <= Command::BATCH);
        }
    }

    /// Binds an order to its hash, puts it on the wire, and lets the wire lose it.
    fn send_order(&mut self, now: Time, arrival: Time, order: &PlaceOrder, fits: bool) {
        self.counters.orders += 1;
        let hash = self.chance.order_hash(order.id);
        for event in [OrderUpdate::Bound { hash }, OrderUpdate::Sent] {
            self.deliver(now, Event::order(order.id, event));
        }
        if self.chance.happens(Purpose::Fault, self.config.faults.lose_order_ppm) {
            self.counters.orders_lost += 1;
            self.await_in_vain(now, order.id);
            return;
        }
        // A second order under one name must not hide that the first is still on its way.
        self.transit.entry(order.id).or_insert((order.token, 0)).1 += 1;
        let due = match fits {
            true => Due::Arrive(Box::new(order.clone())),
            false => Due::Refuse(order.id),
        };
        self.schedule(arrival, due);
    }

    /// When something next happens inside (at the exchange, or a delivery to the engine).
    pub fn next_due(&self) -> Option<Time> {
        self.pending.next_due()
    }

    /// Runs everything due up to and including `to`, and appends what reaches the engine by then, in
    /// order, each with the time at which it does.
    pub fn advance(&mut self, to: Time, out: &mut Vec<(Time, Event)>) {
        while let Some((at, due)) = self.pending.pop(to) {
            self.now = self.now.max(at);
            self.forget();
            match due {
                Due::Deliver(event) => out.push((at, *event)),
                due => self.run(due),
            }
        }
        self.now = self.now.max(to);
        self.forget();
        self.counters.conservation_checks = self.bank.checks();
    }

    /// How much later than the exchange the engine sees a market event, drawn from the seed.
    pub fn feed_delay(&mut self) -> Span {
        self.chance.delay(Purpose::Feed, self.config.latency.feed)
    }

    /// Changes what the venue takes from now on. What is in the book stays there.
    pub fn set_mode(&mut self, mode: Mode) {
        self.mode = mode;
    }

    /// What happened so far.
    pub fn counters(&self) -> &SimCounters {
        &self.counters
    }

    /// The first broken sum, if any movement of money ever broke one, or the first listing under a wrong
    /// key. Latched: nothing after it can be trusted, and a driver should stop.
    pub fn broken(&self) -> Option<&Broken> {
        self.bank.broken().or(self.wrong_key.as_ref())
    }

    /// Market data and metadata as the exchange sees them at `stamped.at`. Anything else is ignored.
    pub fn on_market(&mut self, stamped: &Stamped) {
        self.rows += 1;
        self.counters.rows += 1;
        if stamped.at < self.now {
            self.counters.rows_back_in_time += 1;
        }
        self.now = self.now.max(stamped.at);
        self.take_row(stamped);
    }

    /// Runs what is due, unless it concerns a market in the middle of a batch: then it waits.
    pub(crate) fn run(&mut self, due: Due) {
        if let Some(key) = self.market_of(&due) {
            self.complete_if_over(key);
            let slot = &mut self.slots[key.index()];
            if slot.batch.open {
                self.counters.waited_for_batch += 1;
                slot.waiting.push(due);
                self.track(key);
                return;
            }
        }
        self.run_now(due);
    }

    pub(crate) fn run_now(&mut self, due: Due) {
        match due {
            Due::Arrive(order) => self.arrive(&order),
            Due::Refuse(id) => self.refuse_request(id),
            Due::Cancel(id) => self.cancel(id),
            Due::CancelAll(scope) => self.cancel_all(scope),
            Due::CancelMarket(key) => self.cancel_market(key),
            Due::Query(Query::Order(id)) => self.query_order(id),
            Due::Query(Query::Conversion(id)) => self.query_conversion(id),
            Due::Release(id) => self.release(id),
            Due::Expire(id) => self.expire(id),
            Due::BatchTimeout(key) => self.batch_timeout(key),
            Due::NoAnswer(id, since) => self.no_answer(id, since),
            Due::Settle(serial) => self.settle(serial),
            Due::SetArrive(order) => self.set_arrive(order),
            Due::SetDone(order) => self.set_done(order),
            Due::AutoRedeem(key) => self.auto_redeem(key),
            Due::PayRebates(day) => self.pay_rebates(day),
            Due::Deliver(event) => self.deliver(self.now, *event),
        }
    }

    /// The listed market whose book an action needs.
    fn market_of(&self, due: &Due) -> Option<MarketKey> {
        let of_order = |id: &ClientOrderId| -> Option<Token> {
            self.orders
                .get(id)
                .map(|order| order.token)
                .or_else(|| self.transit.get(id).map(|(token, _)| *token))
        };
        let key = match due {
            Due::Arrive(order) => order.token.market(),
            Due::Cancel(id) | Due::Release(id) | Due::Expire(id) => of_order(id)?.market(),
            Due::CancelMarket(key) => *key,
            _ => return None,
        };
        self.is_listed(key).then_some(key)
    }
}
