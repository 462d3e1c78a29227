//! Engine and exchange one event at a time, so that a test can stop between any two.

use std::collections::VecDeque;

use polydesk_domain::{
    AccountEvent, Cash, CashKind, ControlEvent, Event, MarketEvent, MarketKey, Outbox, Span,
    Stamped, Time, Token, Universe,
};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::RiskLimits;
use polydesk_replay::EventLog;
use polydesk_sim::{Sim, SimConfig};
use polydesk_strategies::Strategy;

/// The inputs of an engine: everything of a run but the engine itself.
#[derive(Clone)]
pub struct World {
    pub sim: Sim,
    tape: VecDeque<Stamped>,
    feed: VecDeque<Stamped>,
    ready: VecDeque<Stamped>,
    feed_at: Time,
    latency: polydesk_sim::FeedLatency,
    seq: u64,
    over: Option<u32>,
}

/// Timers after the end of the tape for pending settlements.
const LAST_TIMERS: u32 = 200;

impl World {
    pub fn new(tape: Vec<Stamped>, config: SimConfig, seed: u64) -> World {
        let sim = Sim::new(config, seed).unwrap();
        let (at, latency) = (tape[0].at, sim.feed_latency(0));
        let mut world = World {
            sim,
            tape: tape.into(),
            feed: VecDeque::new(),
            ready: VecDeque::new(),
            feed_at: Time::MIN,
            latency,
            seq: 0,
            over: None,
        };
        let deposit = Cash {
            kind: CashKind::Deposit,
            conversion: None,
            strategy: None,
            market: None,
            amount: world.sim.config().starting_cash,
            shares: Default::default(),
        };
        world.push(at, Event::cash(deposit));
        world.push(at, ControlEvent::Start(polydesk_domain::RunStart::backtest()).into());
        let snapshot = world.sim.account_snapshot(0);
        world.push(at, AccountEvent::Snapshot(snapshot).into());
        world
    }

    /// An event that reaches the engine next.
    pub fn push(&mut self, at: Time, event: Event) {
        self.seq += 1;
        self.ready.push_back(Stamped { at, venue_at: at, seq: self.seq, event });
    }

    /// Puts an event back.
    pub fn unget(&mut self, stamped: Stamped) {
        self.ready.push_front(stamped);
    }

    /// The next event for an engine that wants to be called at `wake`, or `None` at the end.
    pub fn next(&mut self, wake: Time) -> Option<Stamped> {
        loop {
            if let Some(stamped) = self.ready.pop_front() {
                return Some(stamped);
            }
            let row = self.tape.front().map_or(Time::MAX, |row| row.at);
            let feed = self.feed.front().map_or(Time::MAX, |stamped| stamped.at);
            let due = self.sim.next_due().unwrap_or(Time::MAX);
            let next = row.min(feed).min(due).min(wake);
            if row == Time::MAX && feed == Time::MAX {
                match &mut self.over {
                    None => {
                        self.over = Some(LAST_TIMERS);
                        let at = self.feed_at + Span::nanos(1);
                        self.sim.settle_rebates();
                        self.push(at, ControlEvent::Stop.into());
                        continue;
                    }
                    Some(0) if due == Time::MAX => return None,
                    Some(left) if wake == next && due > next => *left = left.saturating_sub(1),
                    Some(_) => {}
                }
            }
            if next == Time::MAX {
                return None;
            }
            // Market data of an instant come before orders that arrive in it.
            if row == next && due >= row {
                if let Some(mut row) = self.tape.pop_front() {
                    self.sim.on_market(&row);
                    self.seq = self.seq.max(row.seq);
                    self.feed_at = self.feed_at.max(self.latency.arrival(row.at));
                    row.at = self.feed_at;
                    self.feed.push_back(row);
                }
            } else if due == next {
                let mut updates = Vec::new();
                self.sim.advance(next, &mut updates);
                for (at, event) in updates {
                    self.push(at, event);
                }
            } else if wake == next {
                self.push(next, ControlEvent::Timer.into());
            } else if let Some(stamped) = self.feed.pop_front() {
                return Some(stamped);
            }
        }
    }

    /// Whether nothing is on its way: no report to the engine, no action at the exchange.
    pub fn quiet(&self) -> bool {
        self.ready.is_empty() && self.feed.is_empty() && self.sim.next_due().is_none()
    }

    /// Commands leave for the exchange.
    pub fn take(&mut self, at: Time, out: &mut Outbox) {
        for command in out.commands.drain(..) {
            self.sim.submit(at, &command);
        }
        out.records.clear();
    }
}

pub fn engine(limits: &RiskLimits, strategy: Box<dyn Strategy>) -> Engine {
    engine_of(limits, vec![strategy])
}

pub fn engine_of(limits: &RiskLimits, strategies: Vec<Box<dyn Strategy>>) -> Engine {
    Engine::new(Setup::simulated(limits.clone()), strategies).unwrap()
}

/// An engine to load entries into, without initial blockers: the entries contain them.
pub fn bare(strategy: Box<dyn Strategy>) -> Engine {
    let setup = Setup { blockers: Vec::new(), ..Setup::simulated(RiskLimits::default()) };
    Engine::new(setup, vec![strategy]).unwrap()
}

/// Commands by the venue's ids, one JSON object a line.
#[derive(Default)]
pub struct Lines(pub Vec<String>);

impl Lines {
    pub fn add(&mut self, engine: &Engine, at: Time, out: &Outbox) {
        let lines = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        struct To(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);
        impl std::io::Write for To {
            fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
                self.0.lock().unwrap().extend_from_slice(bytes);
                Ok(bytes.len())
            }
            fn flush(&mut self) -> std::io::Result<()> {
                Ok(())
            }
        }
        let mut log = EventLog::to(Box::new(To(lines.clone())));
        for command in &out.commands {
            log.command(engine.universe(), at, command).unwrap();
        }
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        self.0.extend(text.lines().map(str::to_owned));
    }
}

/// The same event under another universe's keys.
pub fn translate(stamped: &Stamped, from: &Universe, to: &Universe) -> Stamped {
    let market = |key: MarketKey| to.key(&from.market(key).condition).unwrap();
    let token = |of: Token| market(of.market()).token(of.outcome());
    let mut stamped = stamped.clone();
    match &mut stamped.event {
        Event::Market(event) => match event {
            MarketEvent::Listed { key, .. } => *key = market(*key),
            MarketEvent::Level(change) => change.token = token(change.token),
            MarketEvent::Print(print) => print.token = token(print.token),
            MarketEvent::Snapshot(book) => {
                let mut other = polydesk_domain::BookSnapshot::clone(book);
                other.token = token(other.token);
                *book = std::sync::Arc::new(other);
            }
            MarketEvent::State { market: key, .. } => *key = market(*key),
            other => unreachable!("not in these tapes: {other:?}"),
        },
        Event::Account(event) => match event.as_mut() {
            AccountEvent::Trade(trade) => trade.token = token(trade.token),
            AccountEvent::Cash(cash) => cash.market = cash.market.map(market),
            AccountEvent::Snapshot(snapshot) => {
                let shares = core::mem::take(&mut snapshot.shares);
                snapshot.shares = shares.into_iter().map(|(of, n)| (token(of), n)).collect();
            }
            _ => {}
        },
        _ => {}
    }
    stamped
}
