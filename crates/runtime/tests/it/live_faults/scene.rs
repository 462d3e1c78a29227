//! A scenario: a live process on the exchange, its faults drawn from a seed, and the judge beside it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use polydesk_domain::{
    Action, Outcome, Price, Quote, Reason, Shares, Side, Signal, SignalId, Size, Span, StrategyId,
    Tif, Token, TradeIntent, Urgency, Usdc, WorldEvent,
};
use polydesk_journal::{Draw, MemDisk, Op};
use polydesk_local_exchange::Setup;
use polydesk_local_exchange::venue::OrderSpec;
use polydesk_local_exchange::wallets::WalletKind;
use polydesk_runtime::glance::Glance;
use polydesk_runtime::inbox::Request;
use polydesk_runtime::keeping::SimulatedDisk;

use super::judge::Judge;
use crate::live_world::{Desk, Live, wallet};
use crate::world::{pass, simulated, still};

/// The market of scenarios that need one.
pub const RAIN: &str = "rain-tomorrow";

/// Runs a scenario once, or for as many seeds as `POLYDESK_SEEDS` says.
pub fn scenario<F: Future<Output = ()>>(story: impl Fn(u64) -> F) {
    let seeds = std::env::var("POLYDESK_SEEDS").ok().and_then(|text| text.parse().ok());
    for seed in 1..=seeds.unwrap_or(1) {
        println!("seed {seed}");
        simulated(story(seed));
    }
}

/// What a scenario acts on.
pub struct Scene {
    pub desk: Desk,
    pub judge: Judge,
    pub disk: MemDisk,
    /// What a write or a sync takes.
    pub write_ms: Arc<AtomicU64>,
    draw: Draw,
    signals: u64,
}

/// A signal: price in cents, size in whole shares.
#[derive(Clone, Copy)]
pub struct Want {
    pub market: &'static str,
    pub outcome: Outcome,
    pub side: Side,
    pub cents: u16,
    pub shares: u64,
    pub urgency: Urgency,
}

/// A bid that rests.
pub fn bid(cents: u16, shares: u64) -> Want {
    let (market, outcome, side) = (RAIN, Outcome::Yes, Side::Buy);
    Want { market, outcome, side, cents, shares, urgency: Urgency::Rest }
}

impl Want {
    pub fn on(self, market: &'static str) -> Want {
        Want { market, ..self }
    }
    pub fn now(self) -> Want {
        Want { urgency: Urgency::Now, ..self }
    }
    pub fn sell(self) -> Want {
        Want { side: Side::Sell, ..self }
    }
}

impl Scene {
    /// With the demo markets standing still.
    pub fn new(seed: u64) -> Scene {
        Scene::with(seed, still(), &[])
    }

    /// With settings that differ.
    pub fn with(seed: u64, setup: Setup, flags: &[(&'static str, &'static str)]) -> Scene {
        let mut draw = Draw(seed);
        let mut desk = Desk::new(setup);
        desk.world.flags.extend(flags);
        let disk = MemDisk::new();
        // A write takes its time, so that an order that does not wait for it is seen.
        let write_ms = Arc::new(AtomicU64::new(1 + draw.below(8)));
        let pace = Arc::clone(&write_ms);
        let takes = move |op: &Op| match op {
            Op::Write { .. } | Op::Sync { .. } => {
                Duration::from_millis(pace.load(Ordering::Relaxed))
            }
            _ => Duration::ZERO,
        };
        desk.world.disk =
            Some(SimulatedDisk { disk: Arc::new(disk.clone()), takes: Arc::new(takes) });
        let exchange = Arc::clone(&desk.world.exchange);
        let settings = desk.world.settings();
        // As the program sets it.
        let data = Span::secs(i64::from(settings.feed.max_proof_age_secs));
        desk.max_ages.data = data;
        let ours = wallet(&exchange);
        let judge = Judge::begin(exchange.clone(), ours, settings.limits, data, disk.clone());
        Scene { desk, judge, disk, write_ms, draw, signals: 0 }
    }

    /// Starts a process and waits until its gate is open.
    pub async fn ready(&self) -> Live {
        let live = self.desk.start().await.unwrap();
        live.ready().await;
        live
    }

    /// A number of the seed, both bounds included.
    pub fn draw(&mut self, from: u64, to: u64) -> u64 {
        from + self.draw.below(to - from + 1)
    }

    pub fn fault(&self, scenario: &str) {
        self.desk.inject(scenario);
    }

    /// The exchange's own name of a token.
    pub fn token(&self, market: &str, outcome: Outcome) -> Token {
        self.desk.world.exchange.venue(|venue| {
            let ids = venue.universe();
            ids.keys().find(|key| ids.market(*key).slug == market).unwrap().token(outcome)
        })
    }

    /// Best ask of a token, in cents.
    pub fn ask(&self, market: &str, outcome: Outcome) -> u16 {
        let book = self.desk.world.exchange.book(self.token(market, outcome)).unwrap();
        book.ask().unwrap().units() / 100
    }

    /// Best bid of a token, in cents.
    pub fn best_bid(&self, market: &str, outcome: Outcome) -> u16 {
        let book = self.desk.world.exchange.book(self.token(market, outcome)).unwrap();
        book.bid().unwrap().units() / 100
    }

    /// Buys what is offered, two cents of room.
    pub fn take(&self, market: &'static str, outcome: Outcome, shares: u64) -> Want {
        let cents = self.ask(market, outcome) + 2;
        Want { market, outcome, side: Side::Buy, cents, shares, urgency: Urgency::Now }
    }

    /// Sends a signal of another process.
    pub async fn want(&mut self, live: &Live, want: Want) {
        self.want_by(live, StrategyId::literal("outside"), want).await;
    }

    /// The same by a producer.
    pub async fn want_by(&mut self, live: &Live, by: StrategyId, want: Want) {
        self.judge.signal(self.token(want.market, want.outcome), want.side);
        let market = self.desk.world.market(want.market);
        let key = live.key(&market).await;
        let action = Action::Trade(TradeIntent {
            token: key.token(want.outcome),
            side: want.side,
            size: Size::Shares(Shares::whole(want.shares)),
            limit: Price::cents(want.cents),
            urgency: want.urgency,
            all_or_nothing: false,
            exit: None,
        });
        self.act(live, by, want.market, action).await;
    }

    /// States what rests in a market: outcome, cents and shares of each bid.
    pub async fn quote(&mut self, live: &Live, market: &'static str, bids: &[(Outcome, u16, u64)]) {
        let key = live.key(&self.desk.world.market(market)).await;
        for outcome in Outcome::BOTH {
            let count = bids.iter().filter(|(of, _, _)| *of == outcome).count();
            self.judge.quotes(self.token(market, outcome), Side::Buy, count);
        }
        let quote = |(outcome, cents, shares): &(Outcome, u16, u64)| Quote {
            token: key.token(*outcome),
            side: Side::Buy,
            price: Price::cents(*cents),
            size: Shares::whole(*shares),
            exit: None,
        };
        let action = Action::Quotes(bids.iter().map(quote).collect());
        self.act(live, StrategyId::literal("outside"), market, action).await;
    }

    /// Sends any signal.
    pub async fn act(
        &mut self,
        live: &Live,
        strategy: StrategyId,
        market: &'static str,
        action: Action,
    ) {
        let key = live.key(&self.desk.world.market(market)).await;
        self.signals += 1;
        let now = self.desk.world.exchange.now();
        let signal = Signal {
            id: SignalId { producer: strategy, epoch: 1, counter: self.signals },
            strategy,
            market: key,
            action,
            created: now,
            expires: now + Span::secs(600),
            edge: Usdc::whole(1),
            reason: Reason::new("test"),
        };
        live.running.inbox.send(Request::World(Box::new(WorldEvent::Signal(signal)))).unwrap();
    }

    /// Another account trades at the exchange: cents, shares, taken at once or resting.
    pub fn other(&self, want: Want) -> Shares {
        let account = self.desk.world.exchange.accounts()[1].clone();
        let key = account.credentials.unwrap().key;
        let wallet = account.wallets[&WalletKind::Eoa];
        let (price, shares) = (Price::cents(want.cents), Shares::whole(want.shares));
        let token = self.token(want.market, want.outcome);
        let mut spec = OrderSpec::limit(token, want.side, price, shares);
        if want.urgency == Urgency::Now {
            spec.tif = Tif::Fak;
            if want.side == Side::Buy {
                spec.size = Size::Spend(price.notional_floor(shares));
            }
        }
        self.desk.world.exchange.venue(|venue| venue.place_as(key, wallet, &spec).unwrap().shares)
    }

    /// Requests that the exchange got.
    pub fn count(&self, method: &str, path: &str) -> usize {
        self.desk.world.exchange.count(method, path)
    }

    /// Requests of orders.
    pub fn posts(&self) -> usize {
        self.judge.arrived()
    }

    /// Waits until the exchange got so many requests of orders.
    pub async fn posted(&self, count: usize) {
        for _ in 0..6_000 {
            if self.posts() >= count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{count} requests of orders never came, {} did", self.posts());
    }

    /// Waits until something holds at the exchange.
    pub async fn when(&self, what: &str, holds: impl Fn(&Scene) -> bool) {
        for _ in 0..12_000 {
            if holds(self) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{what} never came; broken: {:?}", self.judge.violations());
    }

    /// Lets time pass in which no request of an order may come (I15).
    pub async fn silent(&self, seconds: u64) {
        let before = self.posts();
        pass(seconds).await;
        assert_eq!(self.posts(), before, "an order left");
    }

    /// No invariant was broken so far.
    pub fn judged(&self) {
        let broken = self.judge.violations();
        assert!(broken.is_empty(), "{broken:#?}");
        assert!(self.judge.looked() > 0 || self.posts() == 0, "no request was looked at");
        self.desk.world.exchange.check().unwrap();
    }

    /// After two quiet minutes the bot has what the exchange has (I6, I8), and its gate is open.
    pub async fn agrees(&self, live: &Live) -> Glance {
        pass(120).await;
        let end = self.same(live);
        assert!(end.blockers.is_empty(), "{:?}", end.blockers);
        self.judged();
        end
    }

    /// Cash, shares and open orders are those of the exchange.
    pub fn same(&self, live: &Live) -> Glance {
        let end = live.glance().unwrap();
        assert_eq!(end.money.cash, self.desk.cash(), "cash; blockers {:?}", end.blockers);
        assert_eq!(end.money.pending, Usdc::ZERO);
        let open = self.desk.open().len();
        assert_eq!(end.risk.open_orders as usize, open, "open orders: {:#?}", end.orders);
        let slugs: Vec<String> = self.desk.world.exchange.venue(|venue| {
            let ids = venue.universe();
            ids.keys().map(|key| ids.market(key).slug.clone()).collect()
        });
        for slug in slugs {
            for outcome in Outcome::BOTH {
                let held: Shares = end
                    .positions
                    .iter()
                    .filter(|position| position.market == slug && position.outcome == outcome)
                    .map(|position| position.shares)
                    .sum();
                assert_eq!(held, self.desk.shares(&slug, outcome), "{slug} {outcome:?}");
            }
        }
        end
    }

    /// The bot trades again by itself (I27): a small bid rests, and the judge is content.
    pub async fn trades_again(&mut self, live: &Live) {
        let open = self.desk.open().len();
        // A restart keeps producers that no configuration names from buying: this one is new.
        self.want_by(live, StrategyId::literal("afterwards"), bid(5, 10).on("ada-wins")).await;
        for _ in 0..600 {
            if self.desk.open().len() == open + 1 {
                return self.judged();
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let last = live.glance().map(|glance| (glance.blockers, glance.decisions));
        panic!("no new order: {last:#?}");
    }
}
