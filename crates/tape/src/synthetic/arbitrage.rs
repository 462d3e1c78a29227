//! A made-up half hour with arbitrage: what a scanner must find, and what it must leave alone.
//!
//! Twelve markets quoted around drifting fair values: four binary questions, a complete neg-risk
//! group of four, and an augmented group of which four of five outcomes are listed. In between:
//!
//! - *parity*: a seller of YES appears below the best bid of YES, which is the best ask of NO
//!   mirrored, so YES ask + NO ask is below one after a whole batch. At the venue such a state is
//!   matched away at once; here it stands for some hundred milliseconds, and shows as a crossed book.
//! - *all YES*: one outcome of the group falls before the others rise, so the YES asks sum below one.
//! - *all NO*: one outcome rises before the others fall, so the NO asks sum below `members - 1`.
//! - *augmented*: the same in the incomplete group, where it is no arbitrage.
//!
//! Depths, sizes and durations differ: some episodes have no edge after fees or are below the minimum
//! size, some can be filled. Time is the venue's; the replay adds a feed latency.

use std::path::Path;
use std::sync::Arc;

use polydesk_domain::{
    Book, Event, FeeRate, Fees, LevelChange, Market, MarketEvent, MarketKey, MarketState, NegRisk,
    Outcome, Payout, Price, Print, Shares, Side, Span, Stamped, Time, Top,
};

use super::SplitMix;
use crate::{Certificate, Manifest, ManifestDraft, TapeError, TapeWriter, Times};

/// 2026-10-05T14:00:00Z.
const BEGIN: Time = Time::from_secs(1_791_208_800);
const LENGTH_MS: i64 = 30 * 60 * 1_000;
const STEP_MS: i64 = 250;
const LEVELS: u16 = 6;
const BINARY: usize = 4;
const GROUP: usize = 4;

/// The kind of arbitrage that an episode imitates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EpisodeKind {
    /// YES ask + NO ask of a binary market below one.
    Parity,
    /// The YES asks of the complete group sum below one.
    AllYes,
    /// The NO asks of the complete group sum below its members less one.
    AllNo,
    /// The YES asks listed of the augmented group sum below one: not an arbitrage.
    Augmented,
}

/// An episode as it was planned. Quotes are as of its start and stay until its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Episode {
    /// Kind of arbitrage.
    pub kind: EpisodeKind,
    /// Index in listing order of the market that is requoted.
    pub market: MarketKey,
    /// First instant.
    pub from: Time,
    /// How long it stands.
    pub length: Span,
    /// How far the complete set is below its worth, before fees, in ten-thousandths per share.
    pub depth_units: u16,
    /// Shares at the best level of the market that moved.
    pub size: Shares,
}

/// The generated half hour.
#[derive(Debug, Clone)]
pub struct ArbitrageTape {
    /// The events in order.
    pub events: Vec<Stamped>,
    /// What was planted, by time.
    pub episodes: Vec<Episode>,
}

/// kind, market, start (s), length (ms), depth (cents), size (shares)
type EpisodePlan = (EpisodeKind, u32, i64, i64, u16, u64);

/// Group A is markets 4 to 7, group B 8 to 11.
const PLANS: [EpisodePlan; 16] = [
    (EpisodeKind::Parity, 0, 95, 400, 6, 60),
    (EpisodeKind::AllYes, 4, 160, 5_000, 1, 200),
    (EpisodeKind::AllNo, 5, 240, 8_000, 6, 150),
    (EpisodeKind::Augmented, 8, 300, 12_000, 9, 300),
    (EpisodeKind::Parity, 1, 380, 150, 8, 100),
    (EpisodeKind::AllYes, 6, 450, 9_000, 7, 120),
    (EpisodeKind::AllYes, 5, 560, 6_000, 6, 3),
    (EpisodeKind::Parity, 2, 640, 700, 1, 400),
    (EpisodeKind::AllNo, 4, 720, 250, 8, 80),
    (EpisodeKind::AllNo, 6, 830, 15_000, 2, 500),
    (EpisodeKind::AllYes, 5, 940, 20_000, 9, 40),
    (EpisodeKind::Augmented, 10, 1_050, 8_000, 7, 100),
    (EpisodeKind::Parity, 3, 1_150, 900, 9, 250),
    (EpisodeKind::AllNo, 7, 1_260, 10_000, 8, 60),
    (EpisodeKind::AllYes, 4, 1_400, 120, 10, 200),
    (EpisodeKind::Parity, 0, 1_520, 600, 7, 4),
];

/// One market while it is being made up. Prices in cents of YES.
struct Maker {
    key: MarketKey,
    book: Book,
    /// Fair value in thousandths of a cent.
    fair: i64,
    /// Cents by which quotes stand off the fair value during an episode.
    shift: i32,
    /// Best size during an episode.
    best: Option<u64>,
    /// Cents by which the best ask of the episode undercuts the best bid.
    undercut: Option<u16>,
    sizes: Vec<(Price, u64)>,
}

struct Generator {
    chance: SplitMix,
    makers: Vec<Maker>,
    events: Vec<Stamped>,
    now: Time,
}

/// Generates the half hour. The same seed gives the same events, whatever the platform.
///
/// # Errors
/// Never in practice: the internal book refuses a price between two ticks, and none is generated.
pub fn arbitrage_tape(seed: u64) -> Result<ArbitrageTape, TapeError> {
    let mut generator = Generator::new(seed);
    let mut episodes = Vec::new();
    for (kind, market, start, length, depth, shares) in PLANS {
        episodes.push(Episode {
            kind,
            market: MarketKey(market),
            from: BEGIN + Span::secs(start),
            length: Span::millis(length),
            depth_units: depth * 100,
            size: Shares::whole(shares),
        });
    }
    generator.list();
    for maker in 0..generator.makers.len() {
        generator.requote(maker);
    }
    let mut changes: Vec<(Time, bool, usize)> = Vec::new();
    for (index, episode) in episodes.iter().enumerate() {
        changes.push((episode.from, true, index));
        changes.push((episode.from + episode.length, false, index));
    }
    changes.sort();
    let mut changes = changes.into_iter().peekable();
    for step in 1..=LENGTH_MS / STEP_MS {
        let next = BEGIN + Span::millis(step * STEP_MS);
        while let Some((at, begins, index)) = changes.next_if(|(at, _, _)| *at <= next) {
            generator.now = at;
            generator.episode(&episodes[index], begins);
        }
        generator.now = next;
        generator.ordinary_step();
    }
    generator.resolve();
    Ok(ArbitrageTape { events: generator.events, episodes })
}

/// Writes the half hour as a tape labelled synthetic.
///
/// # Errors
/// The folder is not empty or the disk refuses.
pub fn write_arbitrage(seed: u64, dir: &Path) -> Result<Manifest, TapeError> {
    let tape = arbitrage_tape(seed)?;
    let draft = ManifestDraft {
        name: "synthetic-arbitrage".to_owned(),
        source: format!("synthetic::arbitrage_tape, seed {seed}: made up, not recorded"),
        licence: "MIT OR Apache-2.0".to_owned(),
        times: Times::VenueOnly,
        synthetic: true,
    };
    let mut writer = TapeWriter::create(dir, draft)?;
    let mut certificate = Certificate {
        format: "synthetic".to_owned(),
        silence_threshold: Some(Span::ZERO),
        ..Certificate::default()
    };
    certificate
        .notes
        .push("made up by a seeded generator; no market, price or trade is real".into());
    for episode in &tape.episodes {
        certificate.notes.push(format!(
            "planted {:?} of {} cents at {} for {}, {} shares",
            episode.kind,
            episode.depth_units / 100,
            episode.from,
            episode.length,
            episode.size
        ));
    }
    for stamped in &tape.events {
        writer.push(stamped)?;
    }
    certificate.rows_read = tape.events.len() as u64;
    writer.finish(certificate)
}

/// The markets, and their first fair values in cents. Values of a group add up to 100.
fn markets() -> Vec<(Market, i64)> {
    let fee = |ppm| Fees::flat(FeeRate { rate_ppm: ppm, exponent: 1, rebate_ppm: 250_000 });
    let end = BEGIN + Span::millis(LENGTH_MS);
    let mut markets = Vec::new();
    let mut add = |name: String, fair: i64, fees: Fees, neg_risk: Option<NegRisk>| {
        let number = 9_000_000 + markets.len() as u64;
        let mut market = Market::plain(number, &name);
        market.question = format!("Synthetic: {name}");
        market.category = "synthetic".to_owned();
        market.event = match &neg_risk {
            Some(neg_risk) => neg_risk.group.clone(),
            None => name,
        };
        market.fees = fees;
        market.closes = Some(end);
        market.neg_risk = neg_risk;
        market.assumed = vec!["everything: made up by a seeded generator".to_owned()];
        markets.push((market, fair));
    };
    for (index, (fair, ppm)) in
        [(62, 40_000), (45, 50_000), (71, 30_000), (38, 40_000)].into_iter().enumerate()
    {
        add(format!("synthetic-binary-{index}"), fair, fee(ppm), None);
    }
    for (index, fair) in [37, 25, 21, 17].into_iter().enumerate() {
        let group = NegRisk {
            group: "synthetic-group-complete".to_owned(),
            members: Some(GROUP as u32),
            augmented: false,
            placeholder: false,
        };
        add(format!("synthetic-complete-{index}"), fair, fee(40_000), Some(group));
    }
    for (index, fair) in [33, 29, 18, 15].into_iter().enumerate() {
        let group = NegRisk {
            group: "synthetic-group-augmented".to_owned(),
            members: Some(GROUP as u32 + 1),
            augmented: true,
            placeholder: index == GROUP - 1,
        };
        add(format!("synthetic-augmented-{index}"), fair, fee(40_000), Some(group));
    }
    markets
}

impl Generator {
    fn new(seed: u64) -> Generator {
        Generator {
            chance: SplitMix::new(seed),
            makers: Vec::new(),
            events: Vec::new(),
            now: BEGIN,
        }
    }

    fn emit(&mut self, event: Event) {
        let seq = self.events.len() as u64;
        self.events.push(Stamped { at: self.now, venue_at: self.now, seq, event });
    }

    fn list(&mut self) {
        for (index, (market, fair)) in markets().into_iter().enumerate() {
            let key = MarketKey(index as u32);
            self.makers.push(Maker {
                key,
                book: Book::new(market.tick),
                fair: fair * 1_000,
                shift: 0,
                best: None,
                undercut: None,
                sizes: Vec::new(),
            });
            self.emit(Event::Market(MarketEvent::Listed { key, market: Arc::new(market) }));
        }
    }

    /// Begins or ends an episode: only the affected market is requoted.
    fn episode(&mut self, episode: &Episode, begins: bool) {
        let index = episode.market.index();
        let depth = i32::from(episode.depth_units / 100);
        let (shift, undercut) = match episode.kind {
            EpisodeKind::Parity => (0, Some(episode.depth_units / 100)),
            EpisodeKind::AllYes => (-(depth + self.slack(index, Side::Sell)), None),
            EpisodeKind::AllNo => (depth + self.slack(index, Side::Buy), None),
            EpisodeKind::Augmented => (-(depth + self.slack(index, Side::Sell)), None),
        };
        let maker = &mut self.makers[index];
        if begins {
            maker.shift = shift;
            maker.undercut = undercut;
            maker.best = Some(episode.size.micros() / 1_000_000);
        } else {
            (maker.shift, maker.undercut, maker.best) = (0, None, None);
        }
        self.requote(index);
    }

    /// Cents by which the group's asks now sum above one (or its bids below).
    fn slack(&self, index: usize, side: Side) -> i32 {
        let members = self.group_of(index);
        let mut sum = 0;
        for member in members {
            let best = self.makers[member].book.best(Outcome::Yes, side);
            sum += best.map_or(0, |(price, _)| i32::from(price.units() / 100));
        }
        match side {
            Side::Sell => sum - 100,
            Side::Buy => 100 - sum,
        }
    }

    fn group_of(&self, index: usize) -> std::ops::Range<usize> {
        match index {
            0..BINARY => index..index + 1,
            _ => {
                let first = BINARY + (index - BINARY) / GROUP * GROUP;
                first..first + GROUP
            }
        }
    }

    fn ordinary_step(&mut self) {
        for _ in 0..2 {
            let index = self.chance.below(self.makers.len() as u64) as usize;
            match self.chance.below(10) {
                0 | 1 => self.drift(index),
                2 => self.trade(index),
                _ => self.resize(index),
            }
        }
    }

    /// Fair values move; inside a group what one gains another loses.
    fn drift(&mut self, index: usize) {
        let group = self.group_of(index);
        if group.clone().any(|member| self.makers[member].best.is_some()) {
            return;
        }
        let step = self.chance.below(800) as i64 - 400;
        let partner = group.start + self.chance.below(group.len() as u64) as usize;
        let inside = |fair: i64| (14_000..=86_000).contains(&fair);
        let (one, other) = (self.makers[index].fair + step, self.makers[partner].fair - step);
        if partner == index {
            if group.len() == 1 && inside(one) {
                self.makers[index].fair = one;
                self.requote(index);
            }
        } else if inside(one) && inside(other) {
            self.makers[index].fair = one;
            self.makers[partner].fair = other;
            self.requote(index);
            self.requote(partner);
        }
    }

    /// Someone takes part of the best level: a print, and the level's new size.
    fn trade(&mut self, index: usize) {
        if self.makers[index].best.is_some() {
            return;
        }
        let side = if self.chance.below(2) == 0 { Side::Buy } else { Side::Sell };
        let maker = &self.makers[index];
        let Some((price, shown)) = maker.book.best(Outcome::Yes, side.other()) else { return };
        let most = shown.micros() / 1_000_000;
        if most < 2 {
            return;
        }
        let token = maker.key.token(Outcome::Yes);
        let taken = 1 + self.chance.below(most - 1);
        let size = Shares::whole(taken);
        self.emit(Event::Market(MarketEvent::Print(Print { token, side, price, size })));
        self.apply(index, &[(side.other(), price, shown.saturating_sub(size))]);
    }

    /// An order comes or goes at one level, the best one aside.
    fn resize(&mut self, index: usize) {
        let side = if self.chance.below(2) == 0 { Side::Buy } else { Side::Sell };
        let back = 1 + self.chance.below(u64::from(LEVELS) - 1) as usize;
        let size = Shares::whole(20 + self.chance.below(800));
        let level = self.makers[index].book.levels(Outcome::Yes, side).nth(back);
        if let Some((price, _)) = level {
            self.apply(index, &[(side, price, size)]);
        }
    }

    /// Replaces a market's quotes by those around its fair value, as one batch of changes.
    fn requote(&mut self, index: usize) {
        let maker = &self.makers[index];
        // Half a spread of at least half a cent, then away from the fair value to whole cents.
        let shifted = maker.fair + i64::from(maker.shift) * 1_000;
        let bid = ((shifted - 600).div_euclid(1_000)).clamp(1, 97) as u16;
        let ask = (-(-(shifted + 600)).div_euclid(1_000)).clamp(i64::from(bid) + 1, 98) as u16;
        let (best, undercut) = (maker.best, maker.undercut);
        let mut want: Vec<(Side, Price, u64)> = Vec::new();
        for step in 0..LEVELS {
            for (side, cents) in [(Side::Buy, bid.saturating_sub(step)), (Side::Sell, ask + step)] {
                if (1..=99).contains(&cents) {
                    let size = match (step, best) {
                        (0, Some(best)) => best,
                        _ => self.size_at(index, Price::cents(cents)),
                    };
                    want.push((side, Price::cents(cents), size));
                }
            }
        }
        if let (Some(undercut), Some(best)) = (undercut, best) {
            want.push((Side::Sell, Price::cents(bid - undercut.min(bid - 1)), best));
        }
        let mut changes = Vec::new();
        let book = &self.makers[index].book;
        for side in [Side::Buy, Side::Sell] {
            for (price, _) in book.levels(Outcome::Yes, side) {
                if !want.iter().any(|(way, level, _)| *way == side && *level == price) {
                    changes.push((side, price, Shares::ZERO));
                }
            }
        }
        for (side, price, size) in want {
            let size = Shares::whole(size);
            if book.size_at(Outcome::Yes, side, price) != size {
                changes.push((side, price, size));
            }
        }
        self.apply(index, &changes);
    }

    /// The size a level had when it was last quoted, or a new one.
    fn size_at(&mut self, index: usize, price: Price) -> u64 {
        let drawn = 50 + self.chance.below(950);
        let sizes = &mut self.makers[index].sizes;
        if let Some((_, size)) = sizes.iter().find(|(known, _)| *known == price) {
            return *size;
        }
        sizes.push((price, drawn));
        drawn
    }

    /// Sends a batch: every change and its mirror, all with the best prices after the whole batch.
    fn apply(&mut self, index: usize, changes: &[(Side, Price, Shares)]) {
        let book = &mut self.makers[index].book;
        for (side, price, size) in changes {
            // Whole cents are multiples of every tick size used here.
            let _ = book.set(Outcome::Yes, *side, *price, *size);
        }
        let top = |outcome| {
            let ask = book.best_ask(outcome).map(|(price, _)| price);
            Top::new(book.best_bid_price(outcome), ask)
        };
        let tops = [top(Outcome::Yes), top(Outcome::No)];
        let key = self.makers[index].key;
        for (side, price, size) in changes {
            self.emit(Event::Market(MarketEvent::Level(LevelChange {
                token: key.token(Outcome::Yes),
                side: *side,
                price: *price,
                size: *size,
                top: Some(tops[0]),
            })));
            self.emit(Event::Market(MarketEvent::Level(LevelChange {
                token: key.token(Outcome::No),
                side: side.other(),
                price: price.complement(),
                size: *size,
                top: Some(tops[1]),
            })));
        }
    }

    /// Binary markets and the complete group close, and resolve ten seconds later with fair values as
    /// chances: exactly one YES of the group pays. The augmented group stays open.
    fn resolve(&mut self) {
        self.now = BEGIN + Span::millis(LENGTH_MS);
        for index in 0..BINARY + GROUP {
            let market = self.makers[index].key;
            self.emit(Event::Market(MarketEvent::State { market, state: MarketState::Closed }));
        }
        self.now = self.now + Span::secs(10);
        for index in 0..BINARY {
            let yes = (self.chance.below(100_000) as i64) < self.makers[index].fair;
            let payout = if yes { Payout::YES } else { Payout::NO };
            let market = self.makers[index].key;
            self.emit(Event::Market(MarketEvent::State {
                market,
                state: MarketState::Resolved(payout),
            }));
        }
        let members = BINARY..BINARY + GROUP;
        let whole: i64 = members.clone().map(|index| self.makers[index].fair).sum();
        let mut drawn = self.chance.below(whole.max(1) as u64) as i64;
        let mut decided = false;
        for index in members {
            drawn -= self.makers[index].fair;
            let wins = !decided && drawn < 0;
            decided |= wins;
            let payout = if wins { Payout::YES } else { Payout::NO };
            let market = self.makers[index].key;
            self.emit(Event::Market(MarketEvent::State {
                market,
                state: MarketState::Resolved(payout),
            }));
        }
    }
}
