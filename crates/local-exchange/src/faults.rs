//! Applies the fault rules of scenarios to requests, frames and reads, and triggers the timed ones.

use std::collections::BTreeMap;

use alloy::primitives::Address;
use bytes::Bytes;
use polydesk_domain::{MarketKey, Payout, Span, Tick, Time, Token};
use serde_json::Value;

use crate::chance::SeededRandom;
use crate::limits::{LimitSetup, Tier};
use crate::scenario::{
    AnswerAct, AnswerFault, ChainAct, ChainFault, EngineAct, EngineFault, HeartbeatAct,
    HeartbeatFault, LimitFault, Pays, ReadAct, ReadFault, RpcFault, Scenario, StreamAct,
    StreamFault, TimeFault,
};
use crate::server::answer::{Answer, Req};
use crate::server::hub::{Channel, Marked, Out};
use crate::server::inner::Inner;
use crate::venue::blockchain::FINAL_DEPTH;
use crate::venue::{SettlementPath, SettlementRule, VenueMode};

/// The decided treatment of a request and its response.
#[derive(Debug, Clone, Default)]
pub(crate) struct RequestOutcome {
    pub(crate) before: Span,
    pub(crate) after: Span,
    pub(crate) lose_request: bool,
    pub(crate) lose_answer: bool,
    pub(crate) silence: bool,
    pub(crate) cut: Option<usize>,
    pub(crate) page: bool,
    /// Connections are closed by RST.
    pub(crate) reset: bool,
    fault: Option<AnswerFault>,
}

impl RequestOutcome {
    /// Applies the fault rule to a response.
    pub(crate) fn apply_to(&self, answer: Answer) -> Answer {
        if self.page {
            return Answer::block_page();
        }
        let Some(fault) = &self.fault else { return answer };
        let mut answer = answer;
        if let Some(status) = fault.status {
            answer.status = status;
        }
        if let Some(body) = &fault.body {
            answer.body = Bytes::from(body.clone());
        }
        if !fault.replace.is_empty() {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            answer.body = Bytes::from(replaced(text, &fault.replace));
        }
        if let Some(content_type) = &fault.content_type {
            answer.content_type = content_type.clone();
        }
        for (name, value) in &fault.headers {
            answer = answer.with(name, value.clone());
        }
        answer
    }
}

fn replaced(text: String, pairs: &[[String; 2]]) -> String {
    pairs.iter().fold(text, |text, [from, to]| text.replace(from, to))
}

/// How a frame is delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Passage {
    Now(String),
    At(Time, String),
    Close(u16, String),
    Cut {
        /// By RST instead of FIN.
        reset: bool,
    },
}

/// The time in which a fault rule is active.
#[derive(Debug, Clone, Copy)]
struct Window {
    from: Time,
    until: Time,
}

impl Window {
    fn new(now: Time, at: Span, lasts: Option<Span>) -> Window {
        let from = now + at;
        Window { from, until: lasts.map_or(Time::MAX, |lasts| from + lasts) }
    }
    fn has(&self, now: Time) -> bool {
        self.from <= now && now < self.until
    }
}

#[derive(Debug)]
struct StreamState {
    fault: StreamFault,
    window: Window,
    token_market: Option<MarketKey>,
    seen: u64,
    /// Frames that wait for the next one, per connection.
    waiting: BTreeMap<u64, String>,
}

#[derive(Debug)]
struct ReadState {
    fault: ReadFault,
    window: Window,
    cached: BTreeMap<String, (Time, Answer)>,
}

#[derive(Debug)]
struct RpcState {
    fault: RpcFault,
    window: Window,
    seen: u64,
}

/// A timed action of a scenario.
#[derive(Debug, Clone)]
enum Timed {
    Engine(EngineFault, bool),
    Limits(LimitFault),
    RestoreLimits(LimitSetup, bool),
    Heartbeat(HeartbeatFault),
    Skew(Span),
    Chain(ChainFault, bool),
    CloseStreams(StreamFault),
}

/// All active fault rules.
#[derive(Debug)]
pub(crate) struct Faults {
    chance: SeededRandom,
    answers: Vec<(AnswerFault, u64)>,
    streams: Vec<StreamState>,
    reads: Vec<ReadState>,
    rpc: Vec<RpcState>,
    timeline: BTreeMap<(Time, u64), Timed>,
    serial: u64,
    skew: Span,
    now: Time,
}

impl Faults {
    pub(crate) fn new(seed: u64, now: Time) -> Faults {
        Faults {
            chance: SeededRandom::new(seed, 2),
            answers: Vec::new(),
            streams: Vec::new(),
            reads: Vec::new(),
            rpc: Vec::new(),
            timeline: BTreeMap::new(),
            serial: 0,
            skew: Span::ZERO,
            now,
        }
    }

    pub(crate) fn pass_time(&mut self, now: Time) {
        self.now = self.now.max(now);
    }

    pub(crate) fn skew(&self) -> Span {
        self.skew
    }

    pub(crate) fn next_due(&self) -> Option<Time> {
        self.timeline.keys().next().map(|(at, _)| *at)
    }

    fn at(&mut self, at: Time, what: Timed) {
        self.serial += 1;
        self.timeline.insert((at, self.serial), what);
    }

    /// Decides the treatment of a request. The first fault rule that matches, by number and by chance, applies.
    pub(crate) fn decide(&mut self, req: &Req, account: Option<Address>) -> RequestOutcome {
        let mut outcome = RequestOutcome::default();
        let mut decided = false;
        for (fault, seen) in &mut self.answers {
            let fits = fault.endpoint.is(&req.method, &req.path)
                && fault.account.is_none_or(|of| Some(of) == account);
            if !fits {
                continue;
            }
            *seen += 1;
            if decided || !fault.calls.has(*seen) || !self.chance.happens(fault.chance_ppm) {
                continue;
            }
            decided = true;
            let mut draw =
                |delay: Option<_>| delay.map_or(Span::ZERO, |delay| self.chance.delay(delay));
            outcome = RequestOutcome {
                before: draw(fault.before),
                after: draw(fault.after),
                lose_request: matches!(
                    fault.act,
                    AnswerAct::LoseRequest | AnswerAct::SilenceBefore
                ),
                lose_answer: matches!(fault.act, AnswerAct::LoseAnswer | AnswerAct::SilenceAfter),
                silence: matches!(fault.act, AnswerAct::SilenceBefore | AnswerAct::SilenceAfter),
                cut: (fault.act == AnswerAct::Cut).then(|| fault.cut.unwrap_or(usize::MAX)),
                page: fault.act == AnswerAct::BlockPage,
                reset: fault.reset,
                fault: Some(fault.clone()),
            };
        }
        outcome
    }

    /// The fault rules that apply to one call of a JSON-RPC node, each with the start of its window.
    pub(crate) fn rpc_rules(
        &mut self,
        node: usize,
        method: &str,
        now: Time,
    ) -> Vec<(RpcFault, Time)> {
        let mut rules = Vec::new();
        for state in &mut self.rpc {
            let fault = &state.fault;
            let fits = fault.node.is_none_or(|of| of == node)
                && fault.method.as_ref().is_none_or(|of| of == method)
                && state.window.has(now);
            if !fits {
                continue;
            }
            state.seen += 1;
            if fault.calls.has(state.seen) && self.chance.happens(fault.chance_ppm) {
                rules.push((fault.clone(), state.window.from));
            }
        }
        rules
    }

    /// Decides how a frame of a connection is delivered.
    pub(crate) fn pass(
        &mut self,
        id: u64,
        channel: Channel,
        number: u64,
        marked: &Marked,
        now: Time,
    ) -> Vec<Passage> {
        let mut text = marked.text.clone();
        let mut delay = Span::ZERO;
        let mut copies = 1;
        let mut after = Vec::new();
        for state in &mut self.streams {
            let fault = &state.fault;
            if state.window.until <= now
                && let Some(earlier) = state.waiting.remove(&id)
            {
                // No later frame came to swap with while the window was open.
                after.push(earlier);
            }
            let market = |key: MarketKey| marked.tokens.iter().any(|t: &Token| t.market() == key);
            let fits = fault.channel == channel
                && fault.connections.has(number)
                && state.window.has(now)
                && fault.event.as_ref().is_none_or(|event| *event == marked.event)
                && (fault.market.is_none() || state.token_market.is_some_and(market));
            if !fits {
                continue;
            }
            state.seen += 1;
            let chosen = fault.frames.has(state.seen) && self.chance.happens(fault.chance_ppm);
            if fault.act == StreamAct::Reorder
                && let Some(earlier) = state.waiting.remove(&id)
            {
                after.push(earlier);
                continue;
            }
            if !chosen {
                continue;
            }
            match fault.act {
                StreamAct::Drop | StreamAct::Mute => return Vec::new(),
                StreamAct::Duplicate => copies += 1,
                StreamAct::Delay => {
                    let extra = fault.delay.map_or(Span::ZERO, |d| self.chance.delay(d));
                    delay = delay + extra;
                }
                StreamAct::Hold => delay = delay.max(now.until(state.window.until)),
                StreamAct::Reorder => {
                    state.waiting.insert(id, text);
                    return Vec::new();
                }
                StreamAct::Alter => text = replaced(text, &fault.replace),
                StreamAct::Close => {
                    let reason = fault.reason.clone().unwrap_or_default();
                    return vec![Passage::Close(fault.code.unwrap_or(1_012), reason)];
                }
                StreamAct::Cut => return vec![Passage::Cut { reset: fault.reset }],
                StreamAct::Refuse | StreamAct::Ignore => {}
            }
        }
        let way = |text| {
            if delay > Span::ZERO { Passage::At(now + delay, text) } else { Passage::Now(text) }
        };
        let mut passages: Vec<Passage> = (0..copies).map(|_| way(text.clone())).collect();
        passages.extend(after.into_iter().map(Passage::Now));
        passages
    }

    /// Whether new connections of a channel are refused.
    pub(crate) fn refuses(&self, channel: Channel, now: Time) -> bool {
        self.streams.iter().any(|state| {
            state.fault.channel == channel
                && state.fault.act == StreamAct::Refuse
                && state.window.has(now)
        })
    }

    /// Whether a channel's keep-alive is not answered.
    pub(crate) fn mutes_pong(&self, channel: Channel) -> bool {
        self.streams.iter().any(|state| {
            state.fault.channel == channel
                && state.fault.act == StreamAct::Mute
                && state.window.has(self.now)
        })
    }

    /// Whether a subscription request of a connection is ignored.
    pub(crate) fn ignores(&mut self, channel: Channel, number: u64) -> bool {
        let now = self.now;
        let chance = &mut self.chance;
        self.streams.iter_mut().any(|state| {
            let fault = &state.fault;
            let fits = fault.act == StreamAct::Ignore
                && fault.channel == channel
                && fault.connections.has(number)
                && state.window.has(now);
            if !fits {
                return false;
            }
            state.seen += 1;
            fault.frames.has(state.seen) && chance.happens(fault.chance_ppm)
        })
    }

    /// Rows on a page of a list, if a fault rule sets them.
    pub(crate) fn page(&self, req: &Req) -> Option<usize> {
        let account = req.header("POLY_ADDRESS").and_then(crate::wire::address);
        let fits = |fault: &ReadFault| {
            fault.act == ReadAct::Page
                && fault.endpoint.is(&req.method, &req.path)
                && fault.account.is_none_or(|of| Some(of) == account)
        };
        let now = self.now;
        let mut states = self.reads.iter();
        states.find(|state| state.window.has(now) && fits(&state.fault))?.fault.rows
    }

    /// Applies the fault rules of reads to a response.
    pub(crate) fn alter_read(&mut self, req: &Req, answer: Answer) -> Answer {
        let account = req.header("POLY_ADDRESS").and_then(crate::wire::address);
        let now = self.now;
        let state = self.reads.iter_mut().find(|state| {
            state.window.has(now)
                && state.fault.endpoint.is(&req.method, &req.path)
                && state.fault.account.is_none_or(|of| Some(of) == account)
        });
        let Some(state) = state.filter(|_| answer.status == 200) else { return answer };
        let lag = state.fault.lag.map_or(Span::MAX, |lag| lag.0);
        match state.fault.act {
            ReadAct::Freeze | ReadAct::Stale => {
                let key = format!("{} {:?} {account:?}", req.path, req.query);
                let cached = state.cached.get(&key).filter(|(at, _)| at.until(now) < lag);
                if let Some((_, old)) = cached {
                    return old.clone();
                }
                state.cached.insert(key, (now, answer.clone()));
                answer
            }
            ReadAct::Hide => rows(answer, |_| 0),
            ReadAct::Repeat => rows(answer, |_| 2),
            // The list endpoint applies it.
            ReadAct::Page => answer,
            ReadAct::Contradict => {
                let text = String::from_utf8_lossy(&answer.body).into_owned();
                let text = state
                    .fault
                    .replace
                    .iter()
                    .fold(text, |text, [from, to]| text.replace(from, to));
                Answer { body: Bytes::from(text), ..answer }
            }
            ReadAct::HideNew => rows(answer, |row| {
                let stamp = ["created_at", "match_time", "timestamp"].iter().find_map(|name| {
                    let value = &row[*name];
                    value.as_i64().or_else(|| value.as_str()?.parse().ok())
                });
                let young = stamp.is_some_and(|at| Time::from_secs(at).until(now) < lag);
                usize::from(!young)
            }),
        }
    }
}

/// Repeats each row of a list `times(row)` times.
fn rows(mut answer: Answer, times: impl Fn(&Value) -> usize) -> Answer {
    let Ok(mut value) = serde_json::from_slice::<Value>(&answer.body) else { return answer };
    let list = if value.is_array() { Some(&mut value) } else { value.get_mut("data") };
    if let Some(Value::Array(items)) = list {
        *items = items.iter().flat_map(|row| vec![row.clone(); times(row)]).collect();
        let count = items.len();
        if value.get("count").is_some() {
            value["count"] = Value::from(count);
        }
    }
    answer.body = Bytes::from(value.to_string());
    answer
}

impl Inner {
    /// Activates a scenario's fault rules; its times count from now.
    pub(crate) fn arm(&mut self, scenario: &Scenario) {
        let now = self.venue.now();
        if let Some(seed) = scenario.seed {
            self.faults.chance = SeededRandom::new(seed, 2);
        }
        self.faults.now = now;
        for fault in &scenario.answers {
            self.faults.answers.push((fault.clone(), 0));
        }
        for fault in &scenario.settlement {
            self.venue.add_settlement_rule(SettlementRule {
                first: fault.trades.first,
                last: fault.trades.last,
                signer: fault.account,
                path: SettlementPath {
                    mined: fault.mined,
                    confirmed: fault.confirmed,
                    ending: fault.ending,
                },
            });
        }
        for fault in &scenario.streams {
            let window = Window::new(now, fault.at.0, fault.lasts.map(|lasts| lasts.0));
            let no_frame = fault.event.is_none() && fault.market.is_none();
            if matches!(fault.act, StreamAct::Close | StreamAct::Cut) && no_frame {
                self.faults.at(window.from, Timed::CloseStreams(fault.clone()));
                continue;
            }
            let token_market = fault.market.as_ref().and_then(|slug| self.by_slug(slug));
            self.faults.streams.push(StreamState {
                fault: fault.clone(),
                window,
                token_market,
                seen: 0,
                waiting: BTreeMap::new(),
            });
        }
        for fault in &scenario.reads {
            let window = Window::new(now, fault.at.0, fault.lasts.map(|lasts| lasts.0));
            let state = ReadState { fault: fault.clone(), window, cached: BTreeMap::new() };
            self.faults.reads.push(state);
        }
        for fault in &scenario.rpc {
            let window = Window::new(now, fault.at.0, fault.lasts.map(|lasts| lasts.0));
            self.faults.rpc.push(RpcState { fault: fault.clone(), window, seen: 0 });
        }
        for fault in &scenario.chain {
            self.faults.at(now + fault.at.0, Timed::Chain(fault.clone(), true));
            if let Some(lasts) = fault.lasts {
                let end = now + fault.at.0 + lasts.0;
                self.faults.at(end, Timed::Chain(fault.clone(), false));
            }
        }
        for fault in &scenario.engine {
            self.faults.at(now + fault.at.0, Timed::Engine(fault.clone(), true));
            if let Some(lasts) = fault.lasts {
                let end = now + fault.at.0 + lasts.0;
                self.faults.at(end, Timed::Engine(fault.clone(), false));
            }
        }
        for fault in &scenario.limits {
            self.faults.at(now + fault.at.0, Timed::Limits(fault.clone()));
        }
        for fault in &scenario.heartbeat {
            self.faults.at(now + fault.at.0, Timed::Heartbeat(fault.clone()));
        }
        for TimeFault { at, lasts, skew } in &scenario.time {
            self.faults.at(now + at.0, Timed::Skew(skew.0));
            if let Some(lasts) = lasts {
                self.faults.at(now + at.0 + lasts.0, Timed::Skew(Span::ZERO));
            }
        }
        self.trigger_due(now);
    }

    fn by_slug(&self, slug: &str) -> Option<MarketKey> {
        let universe = self.venue.universe();
        universe.keys().find(|key| universe.market(*key).slug == slug)
    }

    /// Triggers the timed actions that are due.
    pub(crate) fn trigger_due(&mut self, now: Time) {
        self.faults.now = self.faults.now.max(now);
        while let Some(entry) =
            self.faults.timeline.first_entry().filter(|entry| entry.key().0 <= now)
        {
            match entry.remove() {
                Timed::Engine(fault, begins) => self.apply_engine(&fault, begins),
                Timed::Limits(fault) => self.apply_limits(&fault, now),
                Timed::RestoreLimits(setup, blocked) => {
                    (self.limits.setup, self.limits.blocked) = (setup, blocked);
                }
                Timed::Heartbeat(fault) => match fault.act {
                    HeartbeatAct::Lapse => self.venue.lapse(&fault.account),
                    HeartbeatAct::Rotate => self.venue.rotate_beat(&fault.account),
                },
                Timed::Skew(skew) => self.faults.skew = skew,
                Timed::Chain(fault, begins) => self.apply_chain(&fault, begins),
                Timed::CloseStreams(fault) => {
                    let reason = fault.reason.clone().unwrap_or_default();
                    for (id, number) in self.hub.of(fault.channel) {
                        if !fault.connections.has(number) {
                            continue;
                        }
                        if fault.act == StreamAct::Cut {
                            self.hub.put(id, Out::Cut { reset: fault.reset });
                        } else {
                            self.hub.close(id, fault.code.unwrap_or(1_012), &reason);
                        }
                    }
                }
            }
        }
    }

    fn apply_chain(&mut self, fault: &ChainFault, begins: bool) {
        let blocks = fault.blocks.unwrap_or(1);
        match fault.act {
            ChainAct::Halt if begins => self.venue.halt_chain(),
            ChainAct::Halt => self.venue.resume_chain(),
            ChainAct::Reorg => self.venue.reorganise_chain(blocks),
            ChainAct::Finality if begins => self.venue.set_final_depth(blocks),
            ChainAct::Finality => self.venue.set_final_depth(FINAL_DEPTH),
            ChainAct::Token => {
                let units = fault.amount.as_ref().and_then(|text| text.parse().ok());
                if let (Some(token), Some(wallet), Some(units)) = (fault.token, fault.wallet, units)
                {
                    self.venue.set_other_token(token, wallet, units);
                }
            }
        }
    }

    fn apply_limits(&mut self, fault: &LimitFault, now: Time) {
        let before = (self.limits.setup.clone(), self.limits.blocked);
        if let Some(lasts) = fault.lasts {
            self.faults.at(now + lasts.0, Timed::RestoreLimits(before.0, before.1));
        }
        self.limits.blocked = fault.blocked;
        let setup = &mut self.limits.setup;
        setup.ip = fault.ip.unwrap_or(setup.ip);
        setup.ip_percent = fault.ip_percent.unwrap_or(setup.ip_percent);
        setup.signer = fault.signer.unwrap_or(setup.signer);
        if let Some(name) = &fault.tier {
            setup.tier_name = name.clone();
            setup.tier = Tier::named(name).unwrap_or(setup.tier);
        }
        setup.tier = fault.figures.unwrap_or(setup.tier);
    }

    fn wallets_of(&self, account: &Address) -> Vec<Address> {
        let wallets = self.venue.ledger().wallets();
        wallets.filter(|(_, wallet)| wallet.owner == *account).map(|(at, _)| *at).collect()
    }

    fn apply_engine(&mut self, fault: &EngineFault, begins: bool) {
        let now = self.venue.now();
        let mode = match fault.act {
            EngineAct::Restart => Some(VenueMode::Restart),
            EngineAct::PostOnly => {
                let lasts = fault.lasts.map_or(Span::secs(120), |lasts| lasts.0);
                Some(VenueMode::PostOnly { until: now + lasts })
            }
            EngineAct::CancelOnly => Some(VenueMode::CancelOnly),
            EngineAct::Disabled => Some(VenueMode::Disabled),
            _ => None,
        };
        if let Some(mode) = mode {
            self.venue.set_mode(if begins { mode } else { VenueMode::Normal });
            return;
        }
        let markets = match &fault.market {
            Some(slug) => self.by_slug(slug).into_iter().collect(),
            None => self.venue.universe().keys().collect::<Vec<_>>(),
        };
        for key in markets {
            match fault.act {
                EngineAct::Freeze => self.venue.freeze(key, begins),
                EngineAct::Pause => self.venue.set_accepting(key, !begins),
                EngineAct::SetTick if begins => {
                    let tick = fault.tick.as_ref().and_then(|tick| tick.parse().ok());
                    let tick =
                        tick.and_then(|tick: rust_decimal::Decimal| Tick::try_from(tick).ok());
                    if let Some(tick) = tick {
                        self.venue.set_tick(key, tick);
                    }
                }
                EngineAct::Resolve if begins => {
                    let payout = match fault.pays {
                        Some(Pays::No) => Payout::NO,
                        Some(Pays::Half) => Payout::HALF,
                        _ => Payout::YES,
                    };
                    self.venue.resolve(key, payout);
                }
                EngineAct::Dispute => self.venue.dispute(key, begins),
                EngineAct::SetFee if begins => {
                    if let Some(rate) = fault.rate() {
                        self.venue.set_fee(key, rate);
                    }
                }
                EngineAct::Sweep if begins => self.venue.sweep_best(key),
                _ => {}
            }
        }
        if let Some(account) = fault.account {
            match fault.act {
                EngineAct::Ban => self.venue.signer_mut(account).banned = begins,
                EngineAct::ClosedOnly => self.venue.signer_mut(account).closed_only = begins,
                EngineAct::Unapprove => {
                    let own = self.wallets_of(&account);
                    own.iter().for_each(|wallet| self.venue.approve(wallet, !begins));
                }
                EngineAct::HoldMatched => {
                    let percent = if begins { fault.percent.unwrap_or(0) } else { 0 };
                    let own = self.wallets_of(&account);
                    own.iter().for_each(|wallet| self.venue.hold_matched(wallet, percent));
                }
                _ => {}
            }
        }
        if fault.act == EngineAct::Version {
            self.version = if begins { fault.version.unwrap_or(2) } else { 2 };
        }
    }
}
