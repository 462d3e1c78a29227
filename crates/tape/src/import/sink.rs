//! Where all importers end: lists markets, makes time monotone, counts, and writes the tape.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use polydesk_domain::{
    Article, BookSnapshot, Books, ConditionId, Event, Interruption, LevelChange, Market,
    MarketEvent, MarketKey, MarketState, Outcome, Print, Span, Stamped, Tick, Time, Token, TokenId,
    Top, WorldEvent,
};

use super::cells::CellError;
use super::fact::{Arrival, Best, Fact};
use super::files::file_name;
use super::survey::Survey;
use crate::manifest::TimeSpan;
use crate::overlay::Resolution;
use crate::{
    AssumedFact, Certificate, Kind, Manifest, Reject, SilentSpan, TapeError, TapeWriter, Truncation,
};

/// How many venue times back an exact duplicate is recognised.
const REMEMBERED_TIMES: usize = 1_024;
const LONGEST_GAPS: usize = 10;
const MINUTE: Span = Span::secs(60);
const MOST_MISSING: usize = 200;

/// The end of every import.
pub(crate) struct Sink {
    writer: TapeWriter,
    /// Known markets that have not had a row yet, by condition.
    waiting: BTreeMap<ConditionId, Arc<Market>>,
    owner: BTreeMap<TokenId, ConditionId>,
    /// Rows of unknown tokens are left out instead of being an error.
    selecting: bool,
    missing: Vec<TokenId>,
    books: Books,
    done: Vec<MarketKey>,
    seq: u64,
    at: Option<Time>,
    latest_venue: Option<Time>,
    previous_venue: Option<Time>,
    backward_receipts: u64,
    seen: BTreeMap<Time, BTreeSet<u64>>,
    kinds: BTreeMap<&'static str, u64>,
    pub certificate: Certificate,
    /// Resolutions that the overlay states, until they are written.
    stated: Vec<Resolution>,
    /// The same by market, once it is listed or known.
    payouts: BTreeMap<ConditionId, (u32, Option<Time>)>,
    /// Minutes in which rows of other markets show that the stream lived.
    alive: BTreeSet<i64>,
    /// Set while a draft of an overlay is made.
    survey: Option<Survey>,
}

impl Sink {
    /// `gap` is counted, `silence` interrupts the books; `None`: none does.
    pub fn new(
        writer: TapeWriter,
        format: &str,
        (gap, silence): (Span, Option<Span>),
        selecting: bool,
    ) -> Sink {
        let certificate = Certificate {
            format: format.to_owned(),
            gap_threshold: gap,
            silence_threshold: Some(silence.unwrap_or(Span::ZERO)),
            ..Certificate::default()
        };
        Sink {
            writer,
            waiting: BTreeMap::new(),
            owner: BTreeMap::new(),
            selecting,
            missing: Vec::new(),
            books: Books::default(),
            done: Vec::new(),
            seq: 0,
            at: None,
            latest_venue: None,
            previous_venue: None,
            backward_receipts: 0,
            seen: BTreeMap::new(),
            kinds: BTreeMap::new(),
            certificate,
            stated: Vec::new(),
            payouts: BTreeMap::new(),
            alive: BTreeSet::new(),
            survey: None,
        }
    }

    /// Takes up what the overlay knows of resolutions.
    pub fn known_payouts(&mut self, stated: Vec<Resolution>) {
        self.stated = stated;
    }

    /// A row of a market that was not asked for: the stream lived.
    pub fn alive(&mut self, at: Time) {
        self.alive.insert(at.nanos().div_euclid(MINUTE.as_nanos()));
    }

    /// Starts to observe unknown tokens for a draft.
    pub fn begin_survey(&mut self) {
        self.survey = Some(Survey::default());
    }

    /// The draft of an overlay for the tokens without market facts.
    pub fn draft(&self) -> String {
        self.survey.as_ref().map_or_else(String::new, Survey::draft)
    }

    /// Notes that the recording names both tokens of a market it does not describe.
    pub fn undescribed(&mut self, condition: &str, tokens: [TokenId; 2]) {
        if let Some(survey) = &mut self.survey {
            survey.pair(condition, tokens);
        }
    }

    /// Makes a market known. It is listed on the tape before its first row.
    pub fn add_market(&mut self, market: Market) {
        let condition = market.condition.to_string();
        let tokens = market.tokens.map(|token| token.to_string());
        let of = |stated: &Resolution| match (&stated.condition, &stated.tokens) {
            (Some(named), _) => *named == condition,
            (None, tokens_named) => tokens_named.as_ref() == Some(&tokens),
        };
        if let Some(stated) = self.stated.iter().find(|stated| of(stated)) {
            self.payouts.insert(market.condition, (stated.yes_micros, stated.at));
        }
        for token in market.tokens {
            self.owner.insert(token, market.condition);
        }
        self.waiting.insert(market.condition, Arc::new(market));
    }

    pub fn knows(&self, token: &TokenId) -> bool {
        self.owner.contains_key(token)
    }

    /// Counts rows read from an input, whatever becomes of them.
    pub fn read(&mut self, rows: u64) {
        self.certificate.rows_read += rows;
    }

    pub fn unknown_kind(&mut self, name: &str) {
        let name: String = name.chars().take(60).collect();
        *self.certificate.unknown_kinds.entry(name).or_default() += 1;
    }

    pub fn truncated(&mut self, cut: Truncation) {
        self.certificate.truncated.push(cut);
    }

    pub fn reject(
        &mut self,
        path: &Path,
        place: &str,
        refusal: &CellError,
        raw: &str,
    ) -> Result<(), TapeError> {
        *self.certificate.rejects.entry(refusal.reason.to_owned()).or_default() += 1;
        self.writer.reject(&Reject {
            file: file_name(path),
            place: place.to_owned(),
            reason: refusal.reason.to_owned(),
            detail: refusal.detail.chars().take(500).collect(),
            raw: raw.chars().take(2_000).collect(),
        })
    }

    /// Takes one fact in, in the order of arrival.
    pub fn push(&mut self, arrival: Arrival) -> Result<(), TapeError> {
        let condition = match self.condition_of(&arrival.fact) {
            Some(condition) => condition,
            None => {
                if let Some(survey) = &mut self.survey {
                    survey.see(arrival.venue, &arrival.fact);
                }
                self.alive(arrival.received.unwrap_or(arrival.venue));
                return self.unknown_market(&arrival.fact);
            }
        };
        self.count_times(&arrival);
        let at = arrival.received.unwrap_or(arrival.venue);
        let before = self.at;
        let at = before.map_or(at, |before| before.max(at));
        if let Some(before) = before {
            self.count_gap(before, at);
            self.interrupt_silence(before, at)?;
        }
        self.resolve_due(at)?;
        self.at = Some(at);
        if let Some(condition) = condition
            && let Some(market) = self.waiting.remove(&condition)
        {
            self.list(market, at, arrival.venue)?;
            self.resolve_due(at)?;
        }
        let fact = self.with_payout(arrival.fact);
        let event = self.event(fact, at, arrival.venue)?;
        self.emit(at, arrival.venue, event)
    }

    /// Where the recording closes a market whose payout the overlay states, it is resolved.
    fn with_payout(&mut self, fact: Fact) -> Fact {
        match fact {
            Fact::Resolved { condition, .. } => {
                self.payouts.remove(&condition);
                fact
            }
            Fact::Closed { condition } => match self.payouts.get(&condition) {
                Some((yes_micros, None)) => {
                    let yes_micros = *yes_micros;
                    self.payouts.remove(&condition);
                    Fact::Resolved { condition, yes_micros }
                }
                _ => fact,
            },
            _ => fact,
        }
    }

    /// Writes the overlay's resolutions that are due by `at`.
    fn resolve_due(&mut self, at: Time) -> Result<(), TapeError> {
        let due = |(_, when): &(u32, Option<Time>)| when.is_some_and(|when| when <= at);
        if !self.payouts.values().any(due) {
            return Ok(());
        }
        let mut now: Vec<(Time, ConditionId, u32)> = self
            .payouts
            .iter()
            .filter_map(|(condition, (yes, when))| {
                Some((when.filter(|w| *w <= at)?, *condition, *yes))
            })
            .filter(|(_, condition, _)| self.writer.universe().key(condition).is_some())
            .collect();
        now.sort();
        for (when, condition, yes_micros) in now {
            self.payouts.remove(&condition);
            let when = self.at.map_or(when, |before| before.max(when));
            let event = self.event(Fact::Resolved { condition, yes_micros }, when, when)?;
            self.at = Some(when);
            self.emit(when, when, event)?;
        }
        Ok(())
    }

    /// Writes the overlay's resolutions that are left: those without a time at the end of the recording, then those
    /// later than it, and the silence before them.
    fn resolve_at_end(&mut self) -> Result<(), TapeError> {
        let Some(end) = self.at else { return Ok(()) };
        self.resolve_due(end)?;
        let universe = self.writer.universe();
        self.payouts.retain(|condition, _| universe.key(condition).is_some());
        let timeless = self.payouts.extract_if(.., |_, (_, when)| when.is_none());
        for (condition, (yes_micros, _)) in timeless.collect::<Vec<_>>() {
            let event = self.event(Fact::Resolved { condition, yes_micros }, end, end)?;
            self.emit(end, end, event)?;
        }
        if let Some(last) = self.payouts.values().filter_map(|(_, when)| *when).max() {
            self.interrupt_silence(end, last)?;
        }
        self.resolve_due(Time::MAX)
    }

    /// The whole stream was silent for longer than is stated: whether the books still stood, nobody knows.
    fn interrupt_silence(&mut self, from: Time, to: Time) -> Result<(), TapeError> {
        let Some(most) = self.certificate.silence() else { return Ok(()) };
        if from.until(to) <= most || self.writer.universe().is_empty() {
            return Ok(());
        }
        // A minute with rows of other markets counts to its end.
        let minute = |at: Time| at.nanos().div_euclid(MINUTE.as_nanos());
        let mut seen = from;
        for alive in self.alive.range(minute(from)..=minute(to)) {
            let start = Time::from_nanos(alive.saturating_mul(MINUTE.as_nanos()));
            if seen.until(start) > most {
                break;
            }
            seen = seen.max((start + MINUTE).min(to));
        }
        if seen.until(to) <= most {
            return Ok(());
        }
        self.certificate.silences += 1;
        let at = seen + most;
        self.resolve_due(at)?;
        self.at = Some(at);
        self.emit(at, at, Event::Market(MarketEvent::Interrupted(Interruption { market: None })))
    }

    /// The condition a fact belongs to; outer None when its token is unknown.
    #[allow(clippy::option_option)]
    fn condition_of(&self, fact: &Fact) -> Option<Option<ConditionId>> {
        match fact {
            Fact::Level { token, .. }
            | Fact::Print { token, .. }
            | Fact::Best { token, .. }
            | Fact::Snapshot { token, .. }
            | Fact::Tick { token, .. }
            | Fact::Interruption { token: Some(token) } => self.owner.get(token).copied().map(Some),
            Fact::Closed { condition } | Fact::Resolved { condition, .. } => {
                let known = self.waiting.contains_key(condition)
                    || self.writer.universe().key(condition).is_some();
                known.then_some(Some(*condition))
            }
            Fact::Interruption { token: None } | Fact::Article { .. } => Some(None),
        }
    }

    fn unknown_market(&mut self, fact: &Fact) -> Result<(), TapeError> {
        let token = match fact {
            Fact::Level { token, .. }
            | Fact::Print { token, .. }
            | Fact::Best { token, .. }
            | Fact::Snapshot { token, .. }
            | Fact::Tick { token, .. } => Some(*token),
            _ => None,
        };
        match token {
            Some(token) => self.not_selected(token),
            None => self.certificate.rows_not_selected += 1,
        }
        Ok(())
    }

    /// Counts a row of a market that was not asked for.
    pub fn not_selected(&mut self, token: TokenId) {
        self.certificate.rows_not_selected += 1;
        if self.missing.len() < MOST_MISSING && !self.missing.contains(&token) {
            self.missing.push(token);
        }
    }

    fn list(&mut self, market: Arc<Market>, at: Time, venue: Time) -> Result<(), TapeError> {
        let universe = self.writer.universe();
        let key = universe.key(&market.condition).unwrap_or(universe.next_key());
        let tick = market.tick;
        self.emit(at, venue, Event::Market(MarketEvent::Listed { key, market }))?;
        self.books.list(key, tick);
        Ok(())
    }

    fn emit(&mut self, at: Time, venue_at: Time, event: Event) -> Result<(), TapeError> {
        let stamped = Stamped { at, venue_at, seq: self.seq, event };
        self.seq += 1;
        self.done.clear();
        self.books.close_due(&stamped, &mut self.done);
        self.books.apply(&stamped, |_, _| ());
        *self.kinds.entry(Kind::of(&stamped.event).name()).or_default() += 1;
        self.writer.push(&stamped)
    }

    fn event(&mut self, fact: Fact, at: Time, venue: Time) -> Result<Event, TapeError> {
        let seq = self.seq;
        let lost =
            move || TapeError::Event { seq, problem: "its market was not listed".to_owned() };
        let universe = self.writer.universe();
        let token = |id: TokenId| universe.token(&id).ok_or_else(lost);
        let key = |condition: ConditionId| universe.key(&condition).ok_or_else(lost);
        let top = |best: Best| Top::new(best.bid, best.ask);
        Ok(match fact {
            Fact::Level { token: id, side, price, size, top: best } => {
                Event::Market(MarketEvent::Level(LevelChange {
                    token: token(id)?,
                    side,
                    price,
                    size,
                    top: best.map(top),
                }))
            }
            Fact::Print { token: id, side, price, size } => {
                Event::Market(MarketEvent::Print(Print { token: token(id)?, side, price, size }))
            }
            Fact::Best { token: id, top: best } => {
                Event::Market(MarketEvent::Best { token: token(id)?, top: top(best) })
            }
            Fact::Snapshot { token: id, bids, asks } => {
                Event::Market(MarketEvent::Snapshot(Arc::new(BookSnapshot {
                    token: token(id)?,
                    bids,
                    asks,
                })))
            }
            Fact::Tick { token: id, units } => Event::Market(MarketEvent::Tick {
                market: token(id)?.market(),
                tick: Tick::from_units(units).ok_or_else(lost)?,
            }),
            Fact::Closed { condition } => Event::Market(MarketEvent::State {
                market: key(condition)?,
                state: MarketState::Closed,
            }),
            Fact::Resolved { condition, yes_micros } => {
                let payout = polydesk_domain::Payout::yes_micros(yes_micros).ok_or_else(lost)?;
                Event::Market(MarketEvent::State {
                    market: key(condition)?,
                    state: MarketState::Resolved(payout),
                })
            }
            Fact::Interruption { token: id } => {
                Event::Market(MarketEvent::Interrupted(Interruption {
                    market: id.map(token).transpose()?.map(Token::market),
                }))
            }
            Fact::Article { source, title, body } => {
                for (_, market) in std::mem::take(&mut self.waiting) {
                    self.list(market, at, venue)?;
                }
                let markets = self.writer.universe().keys().collect();
                Event::from(WorldEvent::Article(Article {
                    source,
                    title,
                    body,
                    url: String::new(),
                    markets,
                }))
            }
        })
    }

    fn count_times(&mut self, arrival: &Arrival) {
        if matches!(arrival.fact, Fact::Article { .. } | Fact::Interruption { .. }) {
            return;
        }
        let venue = arrival.venue;
        if self.previous_venue.is_some_and(|previous| venue < previous) {
            self.certificate.backward_rows += 1;
        }
        self.previous_venue = Some(venue);
        if let Some(latest) = self.latest_venue
            && venue < latest
        {
            self.certificate.late_rows += 1;
            self.certificate.latest_by = self.certificate.latest_by.max(venue.until(latest));
        }
        self.latest_venue = Some(self.latest_venue.map_or(venue, |latest| latest.max(venue)));
        if let (Some(received), Some(at)) = (arrival.received, self.at)
            && received < at
        {
            self.backward_receipts += 1;
        }
        let mut hasher = DefaultHasher::new();
        arrival.fact.hash(&mut hasher);
        if !self.seen.entry(venue).or_default().insert(hasher.finish()) {
            self.certificate.exact_duplicates += 1;
            let print = matches!(arrival.fact, Fact::Print { .. });
            self.certificate.duplicate_prints += u64::from(print);
        }
        if self.seen.len() > REMEMBERED_TIMES {
            self.seen.pop_first();
        }
    }

    fn count_gap(&mut self, from: Time, to: Time) {
        let length = from.until(to);
        if length <= self.certificate.gap_threshold {
            return;
        }
        self.certificate.gaps += 1;
        let longest = &mut self.certificate.longest_gaps;
        longest.push(SilentSpan { from, length });
        longest.sort_by_key(|gap| (core::cmp::Reverse(gap.length), gap.from));
        longest.truncate(LONGEST_GAPS);
    }

    /// Closes the tape and completes the certificate.
    pub fn finish(mut self) -> Result<(Manifest, Certificate), TapeError> {
        let listed = self.writer.universe().len();
        if !self.missing.is_empty() && (!self.selecting || listed == 0) {
            return Err(TapeError::NoMetadata { tokens: self.missing });
        }
        self.resolve_at_end()?;
        self.done.clear();
        self.books.close_all(&mut self.done);
        let stats = self.books.stats();
        let certificate = &mut self.certificate;
        certificate.events = self.seq;
        certificate.kinds =
            self.kinds.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect();
        certificate.batches = stats.batches;
        certificate.crossed_batches = stats.crossed;
        certificate.carried_best_mismatches = stats.top_mismatches;
        certificate.stale_levels = stats.stale_levels;
        certificate.no_op_changes = stats.no_ops;
        certificate.inferred_ticks = stats.inferred_ticks;
        if self.backward_receipts != 0 {
            certificate.notes.push(format!(
                "receive time ran backwards in {} rows; order of arrival was kept",
                self.backward_receipts
            ));
        }
        let mut assumed = BTreeMap::<String, u64>::new();
        let universe = self.writer.universe();
        for key in universe.keys() {
            for fact in &universe.market(key).assumed {
                *assumed.entry(fact.clone()).or_default() += 1;
            }
        }
        certificate.assumed =
            assumed.into_iter().map(|(fact, markets)| AssumedFact { fact, markets }).collect();
        for market in self.waiting.values() {
            certificate.notes.push(format!("market {} has no row", market.condition));
        }
        certificate.span = self.writer.span();
        let certificate = self.certificate.clone();
        let manifest = self.writer.finish(certificate.clone())?;
        Ok((manifest, certificate))
    }

    /// Events written so far.
    pub fn events(&self) -> u64 {
        self.seq
    }

    /// The market of a known token, and which of its outcomes it is.
    pub fn market_of(&self, token: &TokenId) -> Option<(ConditionId, Outcome)> {
        let condition = *self.owner.get(token)?;
        let yes = self.token_of(&condition, Outcome::Yes)? == *token;
        Some((condition, if yes { Outcome::Yes } else { Outcome::No }))
    }

    /// The outcome's label and token of a known market, for formats that name sides by words.
    pub fn token_of(&self, condition: &ConditionId, outcome: Outcome) -> Option<TokenId> {
        let waiting = self.waiting.get(condition);
        let market = match waiting {
            Some(market) => market,
            None => {
                let universe = self.writer.universe();
                universe.market(universe.key(condition)?)
            }
        };
        Some(market.tokens[outcome.index()])
    }
}

impl TapeWriter {
    pub(crate) fn span(&self) -> Option<TimeSpan> {
        self.span
    }
}
