//! Applies the fault rules of scenarios to requests, frames and reads, and triggers the timed ones.

use std::collections::BTreeMap;

use alloy::primitives::Address;
use bytes::Bytes;
use polydesk_domain::{MarketKey, Payout, Span, Tick, Time, Token};
use serde_json::Value;

use crate::chance::Chance;
use crate::limits::{LimitSetup, Tier};
use crate::scenario::{
    AnswerAct, AnswerLever, EngineAct, EngineLever, HeartbeatAct, HeartbeatLever, LimitLever, Pays,
    ReadAct, ReadLever, Scenario, StreamAct, StreamLever, TimeLever,
};
use crate::server::answer::{Answer, Req};
use crate::server::hub::{Channel, Marked, Out};
use crate::server::inner::Inner;
use crate::venue::{Mode, Walk, WalkRule};

/// The decided treatment of a request and its response.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fate {
    pub(crate) before: Span,
    pub(crate) after: Span,
    pub(crate) lose_request: bool,
    pub(crate) lose_answer: bool,
    pub(crate) silence: bool,
    pub(crate) cut: Option<usize>,
    pub(crate) page: bool,
    /// Connections are closed by RST.
    pub(crate) reset: bool,
    lever: Option<AnswerLever>,
}

impl Fate {
    /// Applies the fault rule to a response.
    pub(crate) fn dress(&self, answer: Answer) -> Answer {
        if self.page {
            return Answer::block_page();
        }
        let Some(lever) = &self.lever else { return answer };
        let mut answer = answer;
        if let Some(status) = lever.status {
            answer.status = status;
        }
        if let Some(body) = &lever.body {
            answer.body = Bytes::from(body.clone());
        }
        if !lever.replace.is_empty() {
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            answer.body = Bytes::from(replaced(text, &lever.replace));
        }
        if let Some(content_type) = &lever.content_type {
            answer.content_type = content_type.clone();
        }
        for (name, value) in &lever.headers {
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
    lever: StreamLever,
    window: Window,
    token_market: Option<MarketKey>,
    seen: u64,
    /// Frames that wait for the next one, per connection.
    waiting: BTreeMap<u64, String>,
}

#[derive(Debug)]
struct ReadState {
    lever: ReadLever,
    window: Window,
    cached: BTreeMap<String, (Time, Answer)>,
}

/// A timed action of a scenario.
#[derive(Debug, Clone)]
enum Timed {
    Engine(EngineLever, bool),
    Limits(LimitLever),
    RestoreLimits(LimitSetup, bool),
    Heartbeat(HeartbeatLever),
    Skew(Span),
    CloseStreams(StreamLever),
}

/// All active fault rules.
#[derive(Debug)]
pub(crate) struct Levers {
    chance: Chance,
    answers: Vec<(AnswerLever, u64)>,
    streams: Vec<StreamState>,
    reads: Vec<ReadState>,
    timeline: BTreeMap<(Time, u64), Timed>,
    serial: u64,
    skew: Span,
    now: Time,
}

impl Levers {
    pub(crate) fn new(seed: u64, now: Time) -> Levers {
        Levers {
            chance: Chance::new(seed, 2),
            answers: Vec::new(),
            streams: Vec::new(),
            reads: Vec::new(),
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
    pub(crate) fn fate(&mut self, req: &Req, account: Option<Address>) -> Fate {
        let mut fate = Fate::default();
        let mut decided = false;
        for (lever, seen) in &mut self.answers {
            let fits = lever.endpoint.is(&req.method, &req.path)
                && lever.account.is_none_or(|of| Some(of) == account);
            if !fits {
                continue;
            }
            *seen += 1;
            if decided || !lever.calls.has(*seen) || !self.chance.happens(lever.chance_ppm) {
                continue;
            }
            decided = true;
            let mut draw =
                |delay: Option<_>| delay.map_or(Span::ZERO, |delay| self.chance.delay(delay));
            fate = Fate {
                before: draw(lever.before),
                after: draw(lever.after),
                lose_request: matches!(
                    lever.act,
                    AnswerAct::LoseRequest | AnswerAct::SilenceBefore
                ),
                lose_answer: matches!(lever.act, AnswerAct::LoseAnswer | AnswerAct::SilenceAfter),
                silence: matches!(lever.act, AnswerAct::SilenceBefore | AnswerAct::SilenceAfter),
                cut: (lever.act == AnswerAct::Cut).then(|| lever.cut.unwrap_or(usize::MAX)),
                page: lever.act == AnswerAct::BlockPage,
                reset: lever.reset,
                lever: Some(lever.clone()),
            };
        }
        fate
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
            let lever = &state.lever;
            if state.window.until <= now
                && let Some(earlier) = state.waiting.remove(&id)
            {
                // No later frame came to swap with while the window was open.
                after.push(earlier);
            }
            let market = |key: MarketKey| marked.tokens.iter().any(|t: &Token| t.market() == key);
            let fits = lever.channel == channel
                && lever.connections.has(number)
                && state.window.has(now)
                && lever.event.as_ref().is_none_or(|event| *event == marked.event)
                && (lever.market.is_none() || state.token_market.is_some_and(market));
            if !fits {
                continue;
            }
            state.seen += 1;
            let chosen = lever.frames.has(state.seen) && self.chance.happens(lever.chance_ppm);
            if lever.act == StreamAct::Reorder
                && let Some(earlier) = state.waiting.remove(&id)
            {
                after.push(earlier);
                continue;
            }
            if !chosen {
                continue;
            }
            match lever.act {
                StreamAct::Drop | StreamAct::Mute => return Vec::new(),
                StreamAct::Duplicate => copies += 1,
                StreamAct::Delay => {
                    let extra = lever.delay.map_or(Span::ZERO, |d| self.chance.delay(d));
                    delay = delay + extra;
                }
                StreamAct::Hold => delay = delay.max(now.until(state.window.until)),
                StreamAct::Reorder => {
                    state.waiting.insert(id, text);
                    return Vec::new();
                }
                StreamAct::Alter => text = replaced(text, &lever.replace),
                StreamAct::Close => {
                    let reason = lever.reason.clone().unwrap_or_default();
                    return vec![Passage::Close(lever.code.unwrap_or(1_012), reason)];
                }
                StreamAct::Cut => return vec![Passage::Cut { reset: lever.reset }],
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
            state.lever.channel == channel
                && state.lever.act == StreamAct::Refuse
                && state.window.has(now)
        })
    }

    /// Whether a channel's keep-alive is not answered.
    pub(crate) fn mutes_pong(&self, channel: Channel) -> bool {
        self.streams.iter().any(|state| {
            state.lever.channel == channel
                && state.lever.act == StreamAct::Mute
                && state.window.has(self.now)
        })
    }

    /// Whether a subscription request of a connection is ignored.
    pub(crate) fn ignores(&mut self, channel: Channel, number: u64) -> bool {
        let now = self.now;
        let chance = &mut self.chance;
        self.streams.iter_mut().any(|state| {
            let lever = &state.lever;
            let fits = lever.act == StreamAct::Ignore
                && lever.channel == channel
                && lever.connections.has(number)
                && state.window.has(now);
            if !fits {
                return false;
            }
            state.seen += 1;
            lever.frames.has(state.seen) && chance.happens(lever.chance_ppm)
        })
    }

    /// Rows on a page of a list, if a fault rule sets them.
    pub(crate) fn page(&self, req: &Req) -> Option<usize> {
        let account = req.header("POLY_ADDRESS").and_then(crate::wire::address);
        let fits = |lever: &ReadLever| {
            lever.act == ReadAct::Page
                && lever.endpoint.is(&req.method, &req.path)
                && lever.account.is_none_or(|of| Some(of) == account)
        };
        let now = self.now;
        let mut states = self.reads.iter();
        states.find(|state| state.window.has(now) && fits(&state.lever))?.lever.rows
    }

    /// Applies the fault rules of reads to a response.
    pub(crate) fn alter_read(&mut self, req: &Req, answer: Answer) -> Answer {
        let account = req.header("POLY_ADDRESS").and_then(crate::wire::address);
        let now = self.now;
        let state = self.reads.iter_mut().find(|state| {
            state.window.has(now)
                && state.lever.endpoint.is(&req.method, &req.path)
                && state.lever.account.is_none_or(|of| Some(of) == account)
        });
        let Some(state) = state.filter(|_| answer.status == 200) else { return answer };
        let lag = state.lever.lag.map_or(Span::MAX, |lag| lag.0);
        match state.lever.act {
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
                    .lever
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
            self.levers.chance = Chance::new(seed, 2);
        }
        self.levers.now = now;
        for lever in &scenario.answers {
            self.levers.answers.push((lever.clone(), 0));
        }
        for lever in &scenario.settlement {
            self.venue.walk_as(WalkRule {
                first: lever.trades.first,
                last: lever.trades.last,
                signer: lever.account,
                walk: Walk { mined: lever.mined, confirmed: lever.confirmed, ending: lever.ending },
            });
        }
        for lever in &scenario.streams {
            let window = Window::new(now, lever.at.0, lever.lasts.map(|lasts| lasts.0));
            let no_frame = lever.event.is_none() && lever.market.is_none();
            if matches!(lever.act, StreamAct::Close | StreamAct::Cut) && no_frame {
                self.levers.at(window.from, Timed::CloseStreams(lever.clone()));
                continue;
            }
            let token_market = lever.market.as_ref().and_then(|slug| self.by_slug(slug));
            self.levers.streams.push(StreamState {
                lever: lever.clone(),
                window,
                token_market,
                seen: 0,
                waiting: BTreeMap::new(),
            });
        }
        for lever in &scenario.reads {
            let window = Window::new(now, lever.at.0, lever.lasts.map(|lasts| lasts.0));
            let state = ReadState { lever: lever.clone(), window, cached: BTreeMap::new() };
            self.levers.reads.push(state);
        }
        for lever in &scenario.engine {
            self.levers.at(now + lever.at.0, Timed::Engine(lever.clone(), true));
            if let Some(lasts) = lever.lasts {
                let end = now + lever.at.0 + lasts.0;
                self.levers.at(end, Timed::Engine(lever.clone(), false));
            }
        }
        for lever in &scenario.limits {
            self.levers.at(now + lever.at.0, Timed::Limits(lever.clone()));
        }
        for lever in &scenario.heartbeat {
            self.levers.at(now + lever.at.0, Timed::Heartbeat(lever.clone()));
        }
        for TimeLever { at, lasts, skew } in &scenario.time {
            self.levers.at(now + at.0, Timed::Skew(skew.0));
            if let Some(lasts) = lasts {
                self.levers.at(now + at.0 + lasts.0, Timed::Skew(Span::ZERO));
            }
        }
        self.pull_due(now);
    }

    fn by_slug(&self, slug: &str) -> Option<MarketKey> {
        let universe = self.venue.universe();
        universe.keys().find(|key| universe.market(*key).slug == slug)
    }

    /// Triggers the timed actions that are due.
    pub(crate) fn pull_due(&mut self, now: Time) {
        self.levers.now = self.levers.now.max(now);
        while let Some(entry) =
            self.levers.timeline.first_entry().filter(|entry| entry.key().0 <= now)
        {
            match entry.remove() {
                Timed::Engine(lever, begins) => self.pull_engine(&lever, begins),
                Timed::Limits(lever) => self.pull_limits(&lever, now),
                Timed::RestoreLimits(setup, blocked) => {
                    (self.limits.setup, self.limits.blocked) = (setup, blocked);
                }
                Timed::Heartbeat(lever) => match lever.act {
                    HeartbeatAct::Lapse => self.venue.lapse(&lever.account),
                    HeartbeatAct::Rotate => self.venue.rotate_beat(&lever.account),
                },
                Timed::Skew(skew) => self.levers.skew = skew,
                Timed::CloseStreams(lever) => {
                    let reason = lever.reason.clone().unwrap_or_default();
                    for (id, number) in self.hub.of(lever.channel) {
                        if !lever.connections.has(number) {
                            continue;
                        }
                        if lever.act == StreamAct::Cut {
                            self.hub.put(id, Out::Cut { reset: lever.reset });
                        } else {
                            self.hub.close(id, lever.code.unwrap_or(1_012), &reason);
                        }
                    }
                }
            }
        }
    }

    fn pull_limits(&mut self, lever: &LimitLever, now: Time) {
        let before = (self.limits.setup.clone(), self.limits.blocked);
        if let Some(lasts) = lever.lasts {
            self.levers.at(now + lasts.0, Timed::RestoreLimits(before.0, before.1));
        }
        self.limits.blocked = lever.blocked;
        let setup = &mut self.limits.setup;
        setup.ip = lever.ip.unwrap_or(setup.ip);
        setup.ip_percent = lever.ip_percent.unwrap_or(setup.ip_percent);
        setup.signer = lever.signer.unwrap_or(setup.signer);
        if let Some(name) = &lever.tier {
            setup.tier_name = name.clone();
            setup.tier = Tier::named(name).unwrap_or(setup.tier);
        }
        setup.tier = lever.figures.unwrap_or(setup.tier);
    }

    fn pull_engine(&mut self, lever: &EngineLever, begins: bool) {
        let now = self.venue.now();
        let mode = match lever.act {
            EngineAct::Restart => Some(Mode::Restart),
            EngineAct::PostOnly => {
                let lasts = lever.lasts.map_or(Span::secs(120), |lasts| lasts.0);
                Some(Mode::PostOnly { until: now + lasts })
            }
            EngineAct::CancelOnly => Some(Mode::CancelOnly),
            EngineAct::Disabled => Some(Mode::Disabled),
            _ => None,
        };
        if let Some(mode) = mode {
            self.venue.set_mode(if begins { mode } else { Mode::Normal });
            return;
        }
        let markets = match &lever.market {
            Some(slug) => self.by_slug(slug).into_iter().collect(),
            None => self.venue.universe().keys().collect::<Vec<_>>(),
        };
        for key in markets {
            match lever.act {
                EngineAct::Freeze => self.venue.freeze(key, begins),
                EngineAct::Pause => self.venue.set_accepting(key, !begins),
                EngineAct::SetTick if begins => {
                    let tick = lever.tick.as_ref().and_then(|tick| tick.parse().ok());
                    let tick =
                        tick.and_then(|tick: rust_decimal::Decimal| Tick::try_from(tick).ok());
                    if let Some(tick) = tick {
                        self.venue.set_tick(key, tick);
                    }
                }
                EngineAct::Resolve if begins => {
                    let payout = match lever.pays {
                        Some(Pays::No) => Payout::NO,
                        Some(Pays::Half) => Payout::HALF,
                        _ => Payout::YES,
                    };
                    self.venue.resolve(key, payout);
                }
                EngineAct::Sweep if begins => self.venue.sweep_best(key),
                _ => {}
            }
        }
        if let Some(account) = lever.account {
            match lever.act {
                EngineAct::Ban => self.venue.signer_mut(account).banned = begins,
                EngineAct::ClosedOnly => self.venue.signer_mut(account).closed_only = begins,
                EngineAct::Unapprove => {
                    let wallets = self.venue.ledger().wallets();
                    let own: Vec<_> =
                        wallets.filter(|(_, w)| w.owner == account).map(|(a, _)| *a).collect();
                    own.iter().for_each(|wallet| self.venue.approve(wallet, !begins));
                }
                _ => {}
            }
        }
        if lever.act == EngineAct::Version {
            self.version = if begins { lever.version.unwrap_or(2) } else { 2 };
        }
    }
}
