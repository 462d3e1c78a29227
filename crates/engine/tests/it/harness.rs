//! One engine with one market and a strategy that emits what a story tells it to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use expect_test::Expect;
use polydesk_domain::{
    AccountEvent, AccountSnapshot, Action, BookSnapshot, CancelReason, Cash, CashKind,
    ClientOrderId, ClosedTrade, Command, ControlEvent, Conversion, Event, ExitPlan, FeeRate, Fees,
    Fill, Market, MarketEvent, MarketKey, Operator, OperatorCommand, OrderUpdate, Outbox, OwnTrade,
    PlaceOrder, Price, Query, Quote, Reason, Record, RejectReason, Role, Shares, Side, Size, Span,
    Stamped, StrategyId, Tif, Time, Token, TradeId, TradeIntent, TradeStatus, Urgency, Usdc,
};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::{RawRisk, RiskLimits};
use polydesk_strategies::{Emit, Kinds, Saved, StateError, Strategy, Trigger, View};

pub const YES: Token = Token(0);
pub const NO: Token = Token(1);

pub type Script = Arc<Mutex<VecDeque<Action>>>;

/// Emits what the story tells it to, when the story says so (by a reference price).
pub struct Puppet(pub Script, pub Arc<AtomicI64>);

impl Strategy for Puppet {
    fn id(&self) -> StrategyId {
        StrategyId::STINK_BIDDER
    }
    fn kinds(&self) -> Kinds {
        Kinds::REFERENCE
    }
    fn wants(&self, _: &Market) -> bool {
        true
    }
    fn save(&self) -> Saved {
        Saved::NOTHING
    }
    fn load(&mut self, saved: &Saved) -> Result<(), StateError> {
        saved.expect_nothing(self.id())
    }
    fn on_event(&mut self, _: &View<'_>, _: Trigger<'_>, out: &mut Emit<'_>) {
        for action in self.0.lock().unwrap().drain(..) {
            let ttl = Span::secs(self.1.load(Ordering::Relaxed));
            let market = match &action {
                Action::Trade(intent) => intent.token.market(),
                Action::Close(close) => close.token.market(),
                Action::Quotes(quotes) => {
                    quotes.first().map_or(MarketKey(0), |quote| quote.token.market())
                }
                Action::Basket(basket) => basket.legs[0].token.market(),
            };
            out.signal(market, action, ttl, Usdc::cents(10), Reason::new("story"));
        }
    }
}

pub struct Story {
    pub engine: Engine,
    pub script: Script,
    /// How long its signals live, in seconds.
    pub ttl: Arc<AtomicI64>,
    pub now: i64,
    pub told: String,
    /// What was asked for since [`Story::serve`].
    pub sent: Vec<Command>,
    /// Immediate sales that [`Story::serve`] matched.
    pub sold: Vec<String>,
    /// Round trips that ended.
    pub closed: Vec<ClosedTrade>,
    /// How baskets ended.
    pub ends: Vec<String>,
}

impl Story {
    pub fn new() -> Story {
        Story::with(|_| ())
    }

    pub fn with(change: impl FnOnce(&mut RawRisk)) -> Story {
        let mut raw = RawRisk::default();
        change(&mut raw);
        let script = Script::default();
        let ttl = Arc::new(AtomicI64::new(60));
        let puppet: Box<dyn Strategy> = Box::new(Puppet(Arc::clone(&script), Arc::clone(&ttl)));
        let engine =
            Engine::new(Setup::simulated(RiskLimits::try_from(&raw).unwrap()), vec![puppet])
                .unwrap();
        let mut story = Story {
            engine,
            script,
            ttl,
            now: 1_000_000,
            told: String::new(),
            sent: Vec::new(),
            sold: Vec::new(),
            closed: Vec::new(),
            ends: Vec::new(),
        };
        let mut market = Market::plain(1, "story");
        market.fees = Fees::flat(FeeRate { rate_ppm: 50_000, exponent: 1, rebate_ppm: 0 });
        story.hear(
            "",
            Event::Market(MarketEvent::Listed { key: MarketKey(0), market: Arc::new(market) }),
        );
        let deposit = Cash {
            kind: CashKind::Deposit,
            conversion: None,
            strategy: None,
            market: None,
            amount: Usdc::whole(1_000),
            shares: Default::default(),
        };
        story.hear("", Event::cash(deposit));
        story.book(40, 44);
        story.hear("", Event::from(ControlEvent::Start(polydesk_domain::RunStart::backtest())));
        story.agree();
        story.told.clear();
        story
    }

    pub fn hear(&mut self, what: &str, event: Event) {
        let at = Time::from_millis(self.now);
        let mut out = Outbox::new();
        self.engine.handle(&Stamped { at, venue_at: at, seq: 0, event }, &mut out);
        if !what.is_empty() {
            self.told.push_str(&format!("{}ms {what}\n", self.now - 1_000_000));
        }
        for recorded in &out.records {
            match &recorded.record {
                Record::Note { code, text, .. } => {
                    self.told.push_str(&format!("    note {code}: {text}\n"));
                }
                Record::Closed(closed) => self.closed.push(closed.clone()),
                Record::BasketEnded(end) => self.ends.push(end.code.to_string()),
                _ => {}
            }
        }
        for command in out.commands {
            for line in shown(&command) {
                self.told.push_str(&format!("    {line}\n"));
            }
            self.sent.push(command);
        }
    }

    /// Answers everything that was sent as the venue would: immediate sales meet the bids that are displayed,
    /// and settle at once.
    pub fn serve(&mut self) {
        for command in core::mem::take(&mut self.sent) {
            match command {
                Command::Place(orders) => orders.iter().for_each(|order| self.arrive(order)),
                Command::Cancel(id) => self.cancelled(id),
                Command::CancelAll(_) => {
                    let resting = self.engine.manager().orders().open();
                    let resting = resting.filter(|order| order.tif.rests()).map(|order| order.id);
                    resting.collect::<Vec<_>>().into_iter().for_each(|id| self.cancelled(id));
                }
                _ => {}
            }
        }
    }

    fn cancelled(&mut self, id: ClientOrderId) {
        let Some(order) = self.engine.manager().orders().get(id).filter(|order| order.open())
        else {
            return;
        };
        let (reason, matched) = (CancelReason::Requested, order.matched);
        self.news(id.0, "cancelled", OrderUpdate::Cancelled { reason, matched });
    }

    fn arrive(&mut self, order: &PlaceOrder) {
        let PlaceOrder { id, token, side, price, tif, .. } = *order;
        let Size::Shares(size) = order.size else { return };
        if tif.rests() || side == Side::Buy {
            return self.news(id.0, "live", OrderUpdate::Live);
        }
        let book = self.engine.books().get(token.market()).unwrap();
        let walk = book.walk(token.outcome(), side, price, size);
        let matched = walk.shares;
        if matched.is_zero() {
            let reason = RejectReason::FakKilled;
            return self.news(id.0, "killed", OrderUpdate::Rejected { reason });
        }
        let average = walk.notional.micros() as f64 / matched.micros() as f64;
        self.sold.push(format!("{}ms {matched} at {average:.4}", self.now - 1_000_000));
        let fill = Fill {
            shares: matched,
            notional: walk.notional,
            fee: Usdc::ZERO,
            level: None,
            basis: Default::default(),
        };
        for status in [TradeStatus::Matched, TradeStatus::Confirmed] {
            let (trade, order, role) = (TradeId(u128::from(id.0)), id, Role::Taker);
            let trade = OwnTrade { trade, order, token, side, role, fill, status };
            self.hear(&format!("{id} sold {matched} {status:?}"), Event::trade(trade));
        }
        let update = if matched == size {
            OrderUpdate::Filled { matched }
        } else {
            OrderUpdate::Cancelled { reason: CancelReason::Requested, matched }
        };
        self.news(id.0, "over", update);
    }

    /// A book of YES with these bids and one offer, sizes in whole shares.
    pub fn bids(&mut self, bids: &[(u16, u64)], ask: u16) {
        let levels = |list: &[(u16, u64)]| -> Vec<(Price, Shares)> {
            list.iter().map(|(c, shares)| (Price::cents(*c), Shares::whole(*shares))).collect()
        };
        let snapshot = BookSnapshot { token: YES, bids: levels(bids), asks: levels(&[(ask, 200)]) };
        self.hear("", Event::Market(MarketEvent::Snapshot(Arc::new(snapshot))));
        self.now += 1;
        self.print(ask);
    }

    /// A later print of the same market completes the batch.
    fn print(&mut self, cents: u16) {
        let (token, side) = (YES, Side::Buy);
        let (price, size) = (Price::cents(cents), Shares::whole(1));
        let print = polydesk_domain::Print { token, side, price, size };
        self.hear("", Event::Market(MarketEvent::Print(print)));
    }

    /// Goes on for so long with a timer and an answer of the venue every 50 ms.
    pub fn serve_for(&mut self, millis: i64) {
        let end = self.now + millis;
        while self.now < end {
            self.now = (self.now + 50).min(end);
            self.hear("", Event::from(ControlEvent::Timer));
            self.serve();
        }
    }

    /// The first account snapshot: a deposit and nothing else.
    pub fn agree(&mut self) {
        let cash = Usdc::whole(1_000);
        let snapshot = AccountSnapshot { complete: true, cash, ..AccountSnapshot::default() };
        self.hear("", AccountEvent::Snapshot(snapshot).into());
    }

    pub fn after(&mut self, millis: i64) -> &mut Story {
        self.now += millis;
        self
    }

    pub fn book(&mut self, bid: u16, ask: u16) {
        let level = |cents| vec![(Price::cents(cents), Shares::whole(200))];
        let snapshot = BookSnapshot { token: YES, bids: level(bid), asks: level(ask) };
        self.hear(
            &format!("book {bid} {ask}"),
            Event::Market(MarketEvent::Snapshot(Arc::new(snapshot))),
        );
        self.now += 1;
        self.print(ask);
    }

    /// Lets the engine have every timer that it asks for within the next `millis`; those that give rise to
    /// nothing are not shown.
    pub fn pass(&mut self, millis: i64) {
        let end = self.now + millis;
        loop {
            let wake = self.engine.next_wake();
            let at = wake.nanos().div_euclid(1_000_000).saturating_add(1);
            if at > end {
                break;
            }
            self.now = self.now.max(at);
            let before = self.told.len();
            self.hear("", Event::from(ControlEvent::Timer));
            if self.told.len() > before {
                self.told.insert_str(before, &format!("{}ms timer\n", self.now - 1_000_000));
            }
        }
        self.now = end;
    }

    pub fn timer(&mut self) {
        self.hear("timer", Event::from(ControlEvent::Timer));
    }

    pub fn say(&mut self, what: &str, action: Action) {
        self.script.lock().unwrap().push_back(action);
        self.hear(what, go());
    }

    pub fn news(&mut self, id: u64, what: &str, news: OrderUpdate) {
        self.hear(&format!("#{id} {what}"), Event::order(ClientOrderId(id), news));
    }

    /// A fill of `shares` at `cents`, fee left out.
    #[expect(clippy::too_many_arguments, reason = "a fill is all of these")]
    pub fn fill(
        &mut self,
        id: u64,
        trade: u128,
        token: Token,
        side: Side,
        shares: u64,
        cents: u16,
        status: TradeStatus,
    ) {
        let price = Price::cents(cents);
        let shares = Shares::whole(shares);
        let fill = Fill {
            shares,
            notional: price.notional_floor(shares),
            fee: Usdc::ZERO,
            level: Some(price),
            basis: Default::default(),
        };
        let trade = OwnTrade {
            trade: TradeId(trade),
            order: ClientOrderId(id),
            token,
            side,
            role: Role::Maker,
            fill,
            status,
        };
        let word = format!("{status:?}").to_lowercase();
        self.hear(&format!("#{id} fill {shares} at {price} {word}"), Event::trade(trade));
    }

    pub fn bought(&mut self, shares: u64, cents: u16, exit: Option<ExitPlan>) -> u64 {
        self.bought_of(YES, shares, cents, exit)
    }

    pub fn bought_of(
        &mut self,
        token: Token,
        shares: u64,
        cents: u16,
        exit: Option<ExitPlan>,
    ) -> u64 {
        // Fewer than the market's minimum are what matched of an order for more.
        let asked = shares.max(5);
        self.say("", quotes(&[(token, cents, asked)], exit));
        let id = self.last_order();
        self.news(id, "live", OrderUpdate::Live);
        self.fill(id, u128::from(id), token, Side::Buy, shares, cents, TradeStatus::Matched);
        let matched = Shares::whole(shares);
        if asked > shares {
            let reason = CancelReason::Requested;
            self.news(id, "cancelled", OrderUpdate::Cancelled { reason, matched });
        } else {
            self.news(id, "filled", OrderUpdate::Filled { matched });
        }
        self.fill(id, u128::from(id), token, Side::Buy, shares, cents, TradeStatus::Confirmed);
        id
    }

    pub fn last_order(&self) -> u64 {
        let open = self.engine.manager().orders().open().map(|order| order.id.0);
        open.max().unwrap_or(0)
    }

    pub fn held(&self, token: Token) -> String {
        let position = self.engine.manager().position(StrategyId::STINK_BIDDER, token);
        format!(
            "held {} + {} unsettled, cost {}",
            position.confirmed, position.unsettled, position.cost
        )
    }

    pub fn denials(&self) -> Vec<&'static str> {
        self.engine.manager().counts().denials.keys().map(|(_, code)| code.as_str()).collect()
    }

    pub fn check(&self, want: Expect) {
        want.assert_eq(&self.told);
    }
}

pub fn quotes(list: &[(Token, u16, u64)], exit: Option<ExitPlan>) -> Action {
    let quote = |(token, cents, shares): &(Token, u16, u64)| Quote {
        token: *token,
        side: Side::Buy,
        price: Price::cents(*cents),
        size: Shares::whole(*shares),
        exit,
    };
    Action::Quotes(list.iter().map(quote).collect())
}

pub fn trade(side: Side, cents: u16, shares: u64) -> Action {
    Action::Trade(TradeIntent {
        token: YES,
        side,
        size: Size::Shares(Shares::whole(shares)),
        limit: Price::cents(cents),
        urgency: Urgency::Now,
        all_or_nothing: false,
        exit: None,
    })
}

pub fn shown(command: &Command) -> Vec<String> {
    let one = match command {
        Command::Place(orders) => {
            let line = |order: &polydesk_domain::PlaceOrder| {
                let size = match order.size {
                    Size::Shares(shares) => shares.to_string(),
                    Size::Spend(spend) => format!("${spend}"),
                };
                let tif = if order.tif == Tif::Gtc { "" } else { order.tif.name() };
                let line = format!(
                    "place {} {} {} {size} at {} {tif}",
                    order.id,
                    order.side,
                    order.token.outcome(),
                    order.price
                );
                line.trim_end().to_owned()
            };
            return orders.iter().map(line).collect();
        }
        Command::Cancel(id) => format!("cancel {id}"),
        Command::CancelAll(_) => "cancel all".to_owned(),
        Command::Query(Query::Order(id)) => format!("query {id}"),
        Command::Query(Query::Conversion(id)) => format!("query conversion {id}"),
        Command::Convert { id, action, .. } => match action {
            Conversion::Split(shares) => format!("split {id} {shares}"),
            Conversion::Merge(shares) => format!("merge {id} {shares}"),
            Conversion::Redeem => format!("redeem {id}"),
        },
        Command::Ask { id, .. } => format!("ask {id}"),
    };
    vec![one]
}

/// A buy that waits in the book for `ttl` seconds at most.
pub fn rest(cents: u16, shares: u64) -> Action {
    Action::Trade(TradeIntent {
        token: YES,
        side: Side::Buy,
        size: Size::Shares(Shares::whole(shares)),
        limit: Price::cents(cents),
        urgency: Urgency::Rest,
        all_or_nothing: false,
        exit: None,
    })
}

/// What makes a puppet emit.
pub fn go() -> Event {
    let symbol = "story".to_owned();
    let reference = polydesk_domain::Reference { symbol, price_micros: 1 };
    MarketEvent::Reference(Arc::new(reference)).into()
}

pub fn operator(command: OperatorCommand) -> Event {
    let (by, why, key) = (String::new(), String::new(), String::new());
    ControlEvent::Operator(Operator { by, why, key, command }).into()
}
