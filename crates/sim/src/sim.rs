//! The entry points: commands and market data in, time forward, events out. Each action runs in the file
//! of its subject; none of those files imports this one.

use polydesk_domain::{
    Books, ClientOrderId, Command, Event, MarketKey, OrderUpdate, PlaceOrder, Query, Shares,
    Stamped, Time, Token, Universe, Usdc,
};

use crate::bank::{Bank, Broken};
use crate::chance::Stream;
use crate::config::SimConfig;
use crate::counters::SimCounters;
use crate::due::{ConversionRequest, SimAction};
use crate::feed::FeedLatency;
use crate::rules::VenueMode;
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

    /// The listed markets. Their keys come with the listing rows and are checked: a wrong key is latched in
    /// [`Sim::broken`].
    pub fn universe(&self) -> &Universe {
        &self.universe
    }

    /// The displayed books; shares that our orders consumed are still in them.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// Begins with an account from an earlier run: this much pUSD, and these settled shares of listed markets. Orders,
    /// matches and accrued rebates of that run are gone.
    ///
    /// For the start: whatever this exchange had of ours before is forgotten.
    pub fn adopt_account(&mut self, cash: Usdc, shares: impl IntoIterator<Item = (Token, Shares)>) {
        self.config.starting_cash = cash;
        self.bank = Bank::new(cash);
        for (token, amount) in shares {
            self.bank.endow(token, amount);
        }
    }

    /// Takes a command that leaves the engine at engine time `now`; it reaches the exchange after its
    /// latency. A time before the exchange time reached counts as late and becomes that time.
    ///
    /// - `Place`: the orders are one request and arrive together. In a request of more than
    ///   [`Command::BATCH`] orders each order is refused.
    /// - `Query` of an order: answered by its state and then by all its matches with their present
    ///   status. An order in flight is `Unknown`; an order that never arrived, or was refused, is
    ///   `Absent`.
    /// - `Query` of a conversion: answered by its cash event; a pending conversion gets no answer.
    ///
    /// Ended orders and finished conversions are kept for two hours after their last update. A query of a
    /// forgotten order gets no answer, and placing it again is refused as a duplicate.
    pub fn submit(&mut self, now: Time, command: &Command) {
        if now < self.now {
            self.counters.late_commands += 1;
        }
        let now = now.max(self.now);
        let latency = self.config.latency;
        match command {
            Command::Place(orders) => self.send_orders(now, orders),
            Command::Cancel(id) => {
                let at = now + self.chance.delay(Stream::Wire, latency.cancel);
                if self.chance.happens(Stream::Fault, self.config.faults.lose_cancel_ppm) {
                    self.counters.cancels_lost += 1;
                    self.start_response_timeout(now, *id);
                } else {
                    self.schedule(at, SimAction::Cancel(*id));
                }
            }
            Command::CancelAll(market) => {
                let at = now + self.chance.delay(Stream::Wire, latency.cancel);
                self.schedule(at, SimAction::CancelAll(*market));
            }
            Command::Query(query) => {
                let at = now + self.chance.delay(Stream::Wire, latency.cancel);
                self.schedule(at, SimAction::Query(*query));
            }
            Command::Convert { id, strategy, market, action } => {
                let at = now + self.chance.delay(Stream::Wire, latency.insert);
                let order = ConversionRequest {
                    id: Some(*id),
                    strategy: Some(*strategy),
                    market: *market,
                    action: *action,
                };
                self.schedule(at, SimAction::ConversionArrive(order));
            }
            Command::Ask { .. } => {}
        }
    }

    /// Sends the orders of one request; they arrive together, in the order given.
    fn send_orders(&mut self, now: Time, orders: &[PlaceOrder]) {
        if orders.is_empty() {
            return;
        }
        let arrival = now + self.chance.delay(Stream::Wire, self.config.latency.insert);
        for order in orders {
            self.send_order(now, arrival, order, orders.len() <= Command::BATCH);
        }
    }

    /// Binds an order to its hash and sends it. The fault `lose_order` applies.
    fn send_order(&mut self, now: Time, arrival: Time, order: &PlaceOrder, fits: bool) {
        self.counters.orders += 1;
        let hash = self.chance.order_hash(order.id);
        for update in [OrderUpdate::Bound { hash }, OrderUpdate::Sent] {
            self.deliver(now, Event::order(order.id, update));
        }
        if self.chance.happens(Stream::Fault, self.config.faults.lose_order_ppm) {
            self.counters.orders_lost += 1;
            self.start_response_timeout(now, order.id);
            return;
        }
        // A second placement of one id must not hide that the first is still in flight.
        self.orders_in_flight.entry(order.id).or_insert((order.token, 0)).1 += 1;
        let due = match fits {
            true => SimAction::Arrive(Box::new(order.clone())),
            false => SimAction::Refuse(order.id),
        };
        self.schedule(arrival, due);
    }

    /// When the next action is due: at the exchange, or a delivery to the engine.
    pub fn next_due(&self) -> Option<Time> {
        self.pending.next_due()
    }

    /// Runs everything due up to and including `to`. Appends the events that reach the engine by then, in
    /// order, each with its time of arrival.
    pub fn advance(&mut self, to: Time, out: &mut Vec<(Time, Event)>) {
        while let Some((at, due)) = self.pending.pop(to) {
            self.now = self.now.max(at);
            self.forget();
            match due {
                SimAction::Deliver(event) => out.push((at, *event)),
                due => self.run(due),
            }
        }
        self.now = self.now.max(to);
        self.forget();
        self.counters.conservation_checks = self.bank.checks();
    }

    /// When the engine receives what the exchange publishes on a connection of this name.
    pub fn feed_latency(&self, connection: u64) -> FeedLatency {
        let latency = &self.config.latency;
        FeedLatency::new(self.chance.seed(), connection, latency.feed, latency.feed_correlation)
    }

    /// Sets which commands the venue accepts from now on. Resting orders stay.
    pub fn set_mode(&mut self, mode: VenueMode) {
        self.mode = mode;
    }

    /// Counters so far.
    pub fn counters(&self) -> &SimCounters {
        &self.counters
    }

    /// The first broken sum, or the first listing under a wrong key. Latched: nothing after it can be
    /// trusted, and the driver stops.
    pub fn broken(&self) -> Option<&Broken> {
        self.bank.broken().or(self.wrong_key.as_ref())
    }

    /// Takes a market event at exchange time `stamped.at`. Other families are ignored.
    pub fn on_market(&mut self, stamped: &Stamped) {
        self.rows += 1;
        self.counters.rows += 1;
        if stamped.at < self.now {
            self.counters.rows_back_in_time += 1;
        }
        self.now = self.now.max(stamped.at);
        self.take_row(stamped);
    }

    /// Runs an action, or lets it wait for the end of the open batch of its market.
    pub(crate) fn run(&mut self, due: SimAction) {
        if let Some(key) = self.market_of(&due) {
            self.complete_if_over(key);
            let slot = &mut self.slots[key.index()];
            if slot.batch.open {
                self.counters.waited_for_batch += 1;
                slot.waiting.push(due);
                self.track(key);
                return;
            }
            self.expire_moves(key, self.now);
        }
        self.run_now(due);
    }

    pub(crate) fn run_now(&mut self, due: SimAction) {
        match due {
            SimAction::Arrive(order) => self.arrive(&order),
            SimAction::Refuse(id) => self.refuse_request(id),
            SimAction::Cancel(id) => self.cancel(id),
            SimAction::CancelAll(scope) => self.cancel_all(scope),
            SimAction::CancelMarket(key) => self.cancel_market(key),
            SimAction::Query(Query::Order(id)) => self.query_order(id),
            SimAction::Query(Query::Conversion(id)) => self.query_conversion(id),
            SimAction::Release(id) => self.release(id),
            SimAction::Expire(id) => self.expire(id),
            SimAction::BatchTimeout(key) => self.batch_timeout(key),
            SimAction::ResponseTimeout(id, since) => self.response_timeout(id, since),
            SimAction::Settle(serial) => self.settle(serial),
            SimAction::ConversionArrive(order) => self.conversion_arrives(order),
            SimAction::ConversionEnd(order) => self.conversion_ends(order),
            SimAction::AutoRedeem(key) => self.auto_redeem(key),
            SimAction::PayRebates(day) => self.pay_rebates(day),
            SimAction::Deliver(event) => self.deliver(self.now, *event),
        }
    }

    /// The listed market whose book an action needs.
    fn market_of(&self, due: &SimAction) -> Option<MarketKey> {
        let of_order = |id: &ClientOrderId| -> Option<Token> {
            self.orders
                .get(id)
                .map(|order| order.token)
                .or_else(|| self.orders_in_flight.get(id).map(|(token, _)| *token))
        };
        let key = match due {
            SimAction::Arrive(order) => order.token.market(),
            SimAction::Cancel(id) | SimAction::Release(id) | SimAction::Expire(id) => {
                of_order(id)?.market()
            }
            SimAction::CancelMarket(key) => *key,
            _ => return None,
        };
        self.is_listed(key).then_some(key)
    }
}
