//! The exchange itself: one scheduler for what happens at the exchange and what reaches the engine.
//!
//! This file holds the state and the clock. What an order does is in `exchange`, what data do in
//! `flow`, settlement in `settle`, complete sets in `sets`.

use std::collections::BTreeMap;

use polydesk_domain::{
    Books, ClientOrderId, Command, Conversion, ConversionId, Event, MarketKey, OrderUpdate,
    PlaceOrder, Query, Shares, Span, Stamped, StrategyId, Time, Token, Universe, Usdc,
};

use crate::bank::{Bank, Broken};
use crate::book_keeping::Slot;
use crate::chance::{Chance, Purpose};
use crate::order::{Ended, Order};
use crate::settle::Trade;
use crate::views::Mode;
use crate::{Delay, SimConfig, SimCounters, SimError};

/// Something that is due at a time.
#[derive(Debug, Clone)]
pub(crate) enum Due {
    /// An order meets the book.
    Arrive(Box<PlaceOrder>),
    /// An order of a request with too many orders does not.
    Refuse(ClientOrderId),
    /// A cancel does.
    Cancel(ClientOrderId),
    /// A cancel of everything does, of one market or everywhere.
    CancelAll(Option<MarketKey>),
    /// The part of it for one market.
    CancelMarket(MarketKey),
    /// A question arrives.
    Query(ClientOrderId),
    /// The taker delay of an order is over.
    Release(ClientOrderId),
    /// A GTD order's time is over.
    Expire(ClientOrderId),
    /// A batch may be complete.
    BatchTimeout(MarketKey),
    /// The engine gives up waiting for an answer to what happened at a time.
    NoAnswer(ClientOrderId, Time),
    /// The next step of a match's settlement.
    Settle(u64),
    /// A set operation arrives.
    SetArrive(SetOrder),
    /// A set operation is final.
    SetDone(SetOrder),
    /// The venue redeems for us.
    AutoRedeem(MarketKey),
    /// Rebates of a day are paid.
    PayRebates(i64),
    /// The engine hears of something.
    Deliver(Box<Event>),
}

/// A split, merge or redemption under way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SetOrder {
    pub(crate) id: Option<ConversionId>,
    pub(crate) strategy: Option<StrategyId>,
    pub(crate) market: MarketKey,
    pub(crate) action: Conversion,
}

/// The exchange made of a seed.
///
/// The driver calls [`Sim::advance`] up to just before a market event's exchange time, then
/// [`Sim::on_market`] with it: data of an instant are seen before orders that arrive in it.
///
/// ```
/// use std::sync::Arc;
/// use polydesk_domain::*;
/// use polydesk_sim::{Sim, SimConfig};
///
/// let mut sim = Sim::new(SimConfig::instant(), 1).unwrap();
/// let at = Time::from_secs(1_000);
/// let row = |event: MarketEvent| Stamped { at, venue_at: at, seq: 0, event: event.into() };
/// sim.on_market(&row(MarketEvent::Listed { key: MarketKey(0), market: Arc::new(Market::plain(1, "rain")) }));
/// sim.on_market(&row(MarketEvent::Snapshot(Arc::new(BookSnapshot {
///     token: Token(0),
///     bids: vec![(Price::cents(40), Shares::whole(50))],
///     asks: vec![(Price::cents(42), Shares::whole(50))],
/// }))));
/// sim.submit(at, &Command::Place(vec![PlaceOrder {
///     id: ClientOrderId(1),
///     strategy: StrategyId::OPERATOR,
///     signal: None,
///     basket: None,
///     token: Token(0),
///     side: Side::Buy,
///     price: Price::cents(42),
///     size: Size::Shares(Shares::whole(10)),
///     tif: Tif::Gtc,
///     post_only: false,
///     decided_at: at,
///     data_at: at,
///     expires: Time::MAX,
/// }]));
/// let mut news = Vec::new();
/// sim.advance(at + Span::secs(1), &mut news);
/// assert_eq!(sim.account().token(Token(0)).free, Shares::whole(10));
/// assert_eq!(sim.account().cash_free, Usdc::cents(99_580));
/// ```
#[derive(Debug, Clone)]
pub struct Sim {
    pub(crate) config: SimConfig,
    pub(crate) chance: Chance,
    pub(crate) seed: u64,
    /// Exchange time reached.
    pub(crate) now: Time,
    queue: BTreeMap<(Time, u64), Due>,
    /// Time of the first entry of the queue, asked for with every row: `Time::MAX` when it is empty.
    earliest: Time,
    next: u64,
    pub(crate) universe: Universe,
    pub(crate) books: Books,
    pub(crate) slots: Vec<Slot>,
    /// Markets with an open batch that concerns us.
    pub(crate) open: Vec<MarketKey>,
    /// Room for the books' completed batches.
    pub(crate) done: Vec<MarketKey>,
    /// Rows of market data seen.
    pub(crate) rows: u64,
    /// Open orders.
    pub(crate) orders: BTreeMap<ClientOrderId, Order>,
    pub(crate) ended: BTreeMap<ClientOrderId, Ended>,
    /// Orders on their way to the exchange, and how many carry that name.
    pub(crate) transit: BTreeMap<ClientOrderId, (Token, u32)>,
    pub(crate) arrivals: u64,
    /// Per order, when it was last asked about and when the engine heard what was proven.
    pub(crate) evidence: BTreeMap<ClientOrderId, (Time, Time)>,
    pub(crate) trades: BTreeMap<u64, Trade>,
    pub(crate) trade_serial: u64,
    pub(crate) bank: Bank,
    /// pUSD promised to splits under way.
    pub(crate) splits: Usdc,
    /// Rebates accrued per day (UTC) and market.
    pub(crate) rebates: BTreeMap<(i64, MarketKey), Usdc>,
    pub(crate) counters: SimCounters,
    pub(crate) mode: Mode,
    /// The first listing under another key than the exchange gives.
    pub(crate) wrong_key: Option<Broken>,
}

impl Sim {
    /// An exchange without markets yet.
    ///
    /// # Errors
    /// Every rule that the configuration breaks.
    pub fn new(config: SimConfig, seed: u64) -> Result<Sim, SimError> {
        config.check()?;
        Ok(Sim {
            bank: Bank::new(config.starting_cash),
            config,
            chance: Chance::new(seed),
            seed,
            now: Time::MIN,
            queue: BTreeMap::new(),
            earliest: Time::MAX,
            next: 0,
            universe: Universe::new(),
            books: Books::default(),
            slots: Vec::new(),
            open: Vec::new(),
            done: Vec::new(),
            rows: 0,
            orders: BTreeMap::new(),
            ended: BTreeMap::new(),
            transit: BTreeMap::new(),
            arrivals: 0,
            evidence: BTreeMap::new(),
            trades: BTreeMap::new(),
            trade_serial: 0,
            splits: Usdc::ZERO,
            rebates: BTreeMap::new(),
            counters: SimCounters::default(),
            mode: Mode::Normal,
            wrong_key: None,
        })
    }

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
            Command::Query(Query::Order(id)) => {
                let at = now + self.chance.delay(Purpose::Wire, latency.cancel);
                self.schedule(at, Due::Query(*id));
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
            Command::Query(Query::Conversion(_)) | Command::Ask { .. } => {}
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
        Some(self.earliest).filter(|_| !self.queue.is_empty())
    }

    /// Runs everything due up to and including `to`, and appends what reaches the engine by then, in
    /// order, each with the time at which it does.
    pub fn advance(&mut self, to: Time, out: &mut Vec<(Time, Event)>) {
        while let Some(entry) = self.queue.first_entry() {
            let (at, _) = *entry.key();
            self.earliest = at;
            if at > to {
                break;
            }
            let due = entry.remove();
            self.now = self.now.max(at);
            match due {
                Due::Deliver(event) => out.push((at, *event)),
                due => self.run(due),
            }
        }
        self.now = self.now.max(to);
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

    /// Whether an order or a conversion in a market is on its way or being worked on.
    pub(crate) fn is_under_way(&self, key: MarketKey) -> bool {
        self.queue.values().any(|due| match due {
            Due::Arrive(order) => order.token.market() == key,
            Due::SetArrive(order) | Due::SetDone(order) => order.market == key,
            _ => false,
        })
    }

    pub(crate) fn schedule(&mut self, at: Time, due: Due) {
        self.next += 1;
        let at = at.max(self.now);
        self.earliest = if self.queue.is_empty() { at } else { self.earliest.min(at) };
        self.queue.insert((at, self.next), due);
    }

    pub(crate) fn deliver(&mut self, at: Time, event: Event) {
        self.schedule(at, Due::Deliver(Box::new(event)));
    }

    /// A draw of the answer latency, from now.
    pub(crate) fn answer_time(&mut self) -> Time {
        self.now + self.chance.delay(Purpose::Wire, self.config.latency.answer)
    }

    pub(crate) fn chain_delay(&mut self, delay: Delay) -> Time {
        self.now + self.chance.delay(Purpose::Chain, delay)
    }

    /// Free settled shares of a token.
    pub(crate) fn shares_free(&self, token: Token) -> Shares {
        self.bank.shares_free(token)
    }
}

impl Sim {
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
}
