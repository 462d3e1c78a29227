//! Test bench: generated tapes, a strategy with seeded random intents, and a run over both.
#![allow(dead_code, reason = "each test file uses its part")]

use std::sync::Arc;

use polydesk_domain::{
    Action, Basket, BasketKind, BookSnapshot, Close, Event, ExitPlan, FeeRate, Fees, Leg,
    LevelChange, Market, MarketEvent, MarketKey, MarketState, NegRisk, Outcome, Payout, Price,
    Print, Quote, Reason, Shares, Side, Size, Span, Stamped, Stop, StrategyId, TakeProfit, Tick,
    Time, Token, TradeIntent, Trailing, Urgency, Usdc,
};
use polydesk_engine::{Engine, Setup};
use polydesk_execution::RiskLimits;
use polydesk_replay::{EventLog, Options, Recording, replay};
use polydesk_sim::{Sim, SimConfig};
use polydesk_strategies::{Emit, Kinds, Saved, StateError, Strategy, Trigger, View};
use polydesk_tape::MemorySource;

/// A seeded sequence, the same everywhere.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % below.max(1)
    }
}

pub const START: i64 = 1_000;

pub fn at(millis: i64) -> Time {
    Time::from_secs(START) + Span::millis(millis)
}

pub fn row(millis: i64, event: Event) -> Stamped {
    Stamped { at: at(millis), venue_at: at(millis), seq: millis as u64, event }
}

pub fn market(number: u64) -> Market {
    let mut market = Market::plain(number, "test");
    market.fees = Fees::flat(FeeRate { rate_ppm: 50_000, exponent: 1, rebate_ppm: 200_000 });
    market.closes = Some(Time::from_secs(START + 600));
    market
}

pub fn level(millis: i64, token: u32, side: Side, cents: u16, shares: u64) -> Stamped {
    let change = LevelChange {
        token: Token(token),
        side,
        price: Price::cents(cents),
        size: Shares::whole(shares),
        top: None,
    };
    row(millis, Event::Market(MarketEvent::Level(change)))
}

pub fn snapshot(millis: i64, token: u32, bids: &[(u16, u64)], asks: &[(u16, u64)]) -> Stamped {
    let levels = |list: &[(u16, u64)]| {
        list.iter().map(|(c, s)| (Price::cents(*c), Shares::whole(*s))).collect()
    };
    let snapshot = BookSnapshot { token: Token(token), bids: levels(bids), asks: levels(asks) };
    row(millis, Event::Market(MarketEvent::Snapshot(Arc::new(snapshot))))
}

pub fn print(millis: i64, token: u32, side: Side, cents: u16, shares: u64) -> Stamped {
    let print = Print {
        token: Token(token),
        side,
        price: Price::cents(cents),
        size: Shares::whole(shares),
    };
    row(millis, Event::Market(MarketEvent::Print(print)))
}

/// The same in an event and a category of a few, or in none; some in a neg-risk group.
pub fn varied(number: u64, dice: &mut Dice) -> Market {
    let mut market = market(number);
    let mut name = |names: [&str; 3]| names[dice.roll(3) as usize].to_owned();
    market.event = name(["", "one", "two"]);
    market.category = name(["", "sports", "crypto"]);
    let group = name(["", "", "one"]);
    let some = !group.is_empty();
    let grouped = NegRisk { group, members: None, augmented: false, placeholder: false };
    market.neg_risk = some.then_some(grouped);
    market
}

/// A tape of random but well-formed market data over `markets` markets, resolved at the end.
pub fn random_tape(seed: u64, markets: u32, steps: u64) -> Vec<Stamped> {
    let mut dice = Dice(seed);
    let mut rows = Vec::new();
    let mut mids: Vec<u16> = Vec::new();
    for number in 0..markets {
        rows.push(row(
            0,
            Event::Market(MarketEvent::Listed {
                key: MarketKey(number),
                market: Arc::new(varied(u64::from(number), &mut Dice(seed ^ u64::from(number)))),
            }),
        ));
        mids.push(20 + dice.roll(60) as u16);
    }
    for number in 0..markets {
        let mid = mids[number as usize];
        rows.push(snapshot(
            1,
            number * 2,
            &[(mid - 1, 50), (mid - 3, 200)],
            &[(mid + 1, 50), (mid + 3, 200)],
        ));
    }
    let mut now = 2;
    for _ in 0..steps {
        now += dice.roll(400) as i64;
        let key = dice.roll(u64::from(markets)) as u32;
        let mid = &mut mids[key as usize];
        *mid = (*mid as i64 + dice.roll(3) as i64 - 1).clamp(5, 95) as u16;
        let (mid, no) = (*mid, dice.roll(2) as u32);
        let side = if dice.roll(2) == 0 { Side::Buy } else { Side::Sell };
        let away = 1 + dice.roll(4) as u16;
        let cents = if side == Side::Buy { mid - away } else { mid + away };
        let (cents, side) = if no == 1 { (100 - cents, side.other()) } else { (cents, side) };
        rows.push(match dice.roll(10) {
            0..=4 => level(now, key * 2 + no, side, cents, dice.roll(4) * 40),
            5 | 6 => print(now, key * 2 + no, side.other(), cents, 1 + dice.roll(80)),
            _ => {
                let depth = 10 + dice.roll(100);
                snapshot(
                    now,
                    key * 2,
                    &[(mid - 1, depth), (mid - 4, 300)],
                    &[(mid + 1, depth), (mid + 4, 300)],
                )
            }
        });
    }
    for number in 0..markets {
        let payout = match dice.roll(4) {
            0 => Payout::HALF,
            1 => Payout::yes_micros(333_333).unwrap(),
            2 => Payout::YES,
            _ => Payout::NO,
        };
        let market = MarketKey(number);
        rows.push(row(
            now + 1_000,
            Event::Market(MarketEvent::State { market, state: MarketState::Closed }),
        ));
        rows.push(row(
            now + 2_000,
            Event::Market(MarketEvent::State { market, state: MarketState::Resolved(payout) }),
        ));
    }
    rows
}

/// Rows added to a tape at random places: relistings in other events and categories, tick size changes,
/// announced and silent, and crossed books.
pub fn restless(seed: u64, mut rows: Vec<Stamped>) -> Vec<Stamped> {
    let mut dice = Dice(seed);
    let markets = rows.iter().filter(|row| is_listing(row)).count() as u64;
    for _ in 0..rows.len() / 12 {
        // After the listings and the first snapshots, before the ends of the markets.
        let (first, last) = (2 * markets, rows.len() as u64 - 2 * markets);
        let at = first + dice.roll(last.saturating_sub(first));
        let number = dice.roll(markets);
        let key = MarketKey(number as u32);
        let event = match dice.roll(6) {
            2 | 3 => {
                let level = |cents| vec![(Price::cents(cents), Shares::whole(100))];
                let (bids, asks) = (level(56), level(48));
                let token = key.token(Outcome::Yes);
                MarketEvent::Snapshot(Arc::new(BookSnapshot { token, bids, asks }))
            }
            0 => MarketEvent::Tick {
                market: key,
                tick: [Tick::Cent, Tick::Thousandth, Tick::HalfCent][dice.roll(3) as usize],
            },
            1 => MarketEvent::Level(LevelChange {
                token: key.token(Outcome::Yes),
                side: Side::Buy,
                price: Price::new(25 * (1 + dice.roll(8) as u16)).unwrap(),
                size: Shares::whole(5),
                top: None,
            }),
            _ => MarketEvent::Listed { key, market: Arc::new(varied(number, &mut dice)) },
        };
        let Stamped { at: time, venue_at, seq, .. } = rows[at as usize];
        rows.insert(at as usize, Stamped { at: time, venue_at, seq, event: event.into() });
    }
    rows
}

pub fn is_listing(row: &Stamped) -> bool {
    matches!(row.event, Event::Market(MarketEvent::Listed { .. }))
}

/// A [`Whim`] under another name, which sells both outcomes of a crossed book.
pub struct Named(pub StrategyId, pub Whim);

impl Strategy for Named {
    fn id(&self) -> StrategyId {
        self.0
    }
    fn kinds(&self) -> Kinds {
        self.1.kinds()
    }
    fn wants(&self, market: &Market) -> bool {
        self.1.wants(market)
    }
    fn save(&self) -> Saved {
        self.1.save()
    }
    fn load(&mut self, saved: &Saved) -> Result<(), StateError> {
        self.1.load(saved)
    }
    fn on_event(&mut self, view: &View<'_>, trigger: Trigger<'_>, out: &mut Emit<'_>) {
        let Trigger::Batch(key) = trigger else { return };
        if !view.books.get(key).is_some_and(|book| book.is_crossed()) {
            return self.1.on_event(view, trigger, out);
        }
        let mut legs = Vec::new();
        for token in Outcome::BOTH.map(|outcome| key.token(outcome)) {
            let Some((limit, _)) = view.books.best(token, Side::Buy) else { return };
            legs.push(Leg { token, side: Side::Sell, limit });
        }
        let sets = Shares::whole(5 + self.1.0.roll(20));
        let basket =
            Basket { kind: BasketKind::SellPair, legs, sets, min_edge_per_set: Usdc::whole(-1) };
        let reason = Reason::new("crossed");
        out.signal(key, Action::Basket(basket), Span::secs(10), Usdc::cents(60), reason);
    }
}

pub const OTHER: StrategyId = StrategyId::literal("other");

/// Two strategies that want random things of every kind in the same markets.
pub fn two_whims(seed: u64) -> Vec<Box<dyn Strategy>> {
    vec![Box::new(Whim(Dice(seed ^ 1))), Box::new(Named(OTHER, Whim(Dice(seed ^ 2))))]
}

/// Emits random intents of every kind on every batch.
pub struct Whim(pub Dice);

pub const WHIM: StrategyId = StrategyId::literal("whim");

impl Whim {
    fn exit(&mut self) -> ExitPlan {
        let dice = &mut self.0;
        ExitPlan {
            take_profit: (dice.roll(2) == 0).then(|| TakeProfit {
                gain: 100 * (1 + dice.roll(4) as u16),
                rest: dice.roll(2) == 0,
            }),
            stop: (dice.roll(2) == 0).then(|| Stop { loss: 200, floor: Price::cents(2) }),
            trailing: (dice.roll(3) == 0).then_some(Trailing { activate: 100, distance: 100 }),
            max_hold: Some(Span::secs(1 + dice.roll(60) as i64)),
            before_close: None,
        }
    }
}

impl Whim {
    /// A basket of any kind, profitable or not: execution has to survive it.
    fn basket(&mut self, view: &View<'_>, key: MarketKey, sets: Shares) -> Option<Basket> {
        let kinds =
            [BasketKind::BuyPair, BasketKind::SellPair, BasketKind::AllYes, BasketKind::AllNo];
        let kind = kinds[self.0.roll(4) as usize];
        let side = if kind == BasketKind::SellPair { Side::Sell } else { Side::Buy };
        let tokens: Vec<Token> = match kind {
            BasketKind::BuyPair | BasketKind::SellPair => {
                Outcome::BOTH.map(|o| key.token(o)).to_vec()
            }
            BasketKind::AllYes => own(view).map(|key| key.token(Outcome::Yes)).collect(),
            BasketKind::AllNo => own(view).map(|key| key.token(Outcome::No)).collect(),
        };
        let mut legs = Vec::new();
        for token in tokens {
            let (limit, _) = view.books.best(token, side.other())?;
            legs.push(Leg { token, side, limit });
        }
        Some(Basket { kind, legs, sets, min_edge_per_set: Usdc::whole(-10) })
    }
}

/// The markets it trades; a test may list others beside them.
fn own<'a>(view: &'a View<'_>) -> impl Iterator<Item = MarketKey> + 'a {
    view.universe.keys().filter(|key| view.market(*key).slug == "test")
}

impl Strategy for Whim {
    fn id(&self) -> StrategyId {
        WHIM
    }
    fn kinds(&self) -> Kinds {
        Kinds::BATCH
    }
    fn wants(&self, _: &Market) -> bool {
        true
    }
    fn save(&self) -> Saved {
        Saved { version: 1, bytes: self.0.0.to_le_bytes().to_vec() }
    }
    fn load(&mut self, saved: &Saved) -> Result<(), StateError> {
        let detail = "eight bytes are wanted".to_owned();
        let bytes = saved.bytes.as_slice().try_into();
        self.0.0 = bytes
            .map(u64::from_le_bytes)
            .map_err(|_| StateError::Damaged { strategy: WHIM, detail })?;
        Ok(())
    }
    fn on_event(&mut self, view: &View<'_>, trigger: Trigger<'_>, out: &mut Emit<'_>) {
        let Trigger::Batch(key) = trigger else { return };
        // By the time, not by the dice: what is decided stays as it is.
        match view.now.millis() % 16 {
            3 => out.remember("seen", Some(&view.now.millis().to_le_bytes())),
            5 => out.remember("seen", None),
            7 => drop(out.ask(key, view.now)),
            _ => {}
        }
        let exit = Some(self.exit());
        let dice = &mut self.0;
        let Some(book) = view.books.get(key) else { return };
        let outcome = if dice.roll(2) == 0 { Outcome::Yes } else { Outcome::No };
        let token = key.token(outcome);
        let (Some((bid, _)), Some((ask, _))) = (book.best_bid(outcome), book.best_ask(outcome))
        else {
            return;
        };
        let shares = Shares::whole(5 + dice.roll(30));
        let action = match dice.roll(8) {
            0 | 1 => Action::Trade(TradeIntent {
                token,
                side: Side::Buy,
                size: Size::Shares(shares),
                limit: ask,
                urgency: if dice.roll(2) == 0 { Urgency::Now } else { Urgency::Rest },
                all_or_nothing: dice.roll(2) == 0,
                exit,
            }),
            2 => Action::Trade(TradeIntent {
                token,
                side: Side::Sell,
                size: Size::Shares(shares),
                limit: bid,
                urgency: Urgency::Now,
                all_or_nothing: false,
                exit: None,
            }),
            3..=5 => {
                let mut quotes = Vec::new();
                for away in 0..dice.roll(4) as u16 {
                    let Some(price) = Price::new(bid.units().saturating_sub(away * 100)) else {
                        continue;
                    };
                    if price.tradable(book.tick()) {
                        quotes.push(Quote { token, side: Side::Buy, price, size: shares, exit });
                    }
                }
                Action::Quotes(quotes)
            }
            6 => Action::Close(Close { token, fraction_ppm: 500_000, floor: Price::ZERO }),
            _ => {
                let Some(basket) = self.basket(view, key, shares) else { return };
                Action::Basket(basket)
            }
        };
        let dice = &mut self.0;
        out.signal(
            key,
            action,
            Span::secs(10),
            Usdc::cents(dice.roll(50) as i64),
            Reason::new("whim"),
        );
    }
}

/// Everything a run left.
pub struct Run {
    pub recording: Recording,
    pub engine: Engine,
    pub sim: Sim,
    pub hash: String,
}

pub fn run(
    tape: Vec<Stamped>,
    strategies: Vec<Box<dyn Strategy>>,
    config: SimConfig,
    seed: u64,
) -> Run {
    run_logged(tape, strategies, config, seed, EventLog::hash_only())
}

pub fn run_limited(
    tape: Vec<Stamped>,
    strategies: Vec<Box<dyn Strategy>>,
    config: SimConfig,
    seed: u64,
    limits: RiskLimits,
) -> Run {
    run_with(tape, strategies, config, seed, limits, EventLog::hash_only())
}

pub fn run_logged(
    tape: Vec<Stamped>,
    strategies: Vec<Box<dyn Strategy>>,
    config: SimConfig,
    seed: u64,
    log: EventLog,
) -> Run {
    run_with(tape, strategies, config, seed, RiskLimits::default(), log)
}

pub fn run_with(
    tape: Vec<Stamped>,
    strategies: Vec<Box<dyn Strategy>>,
    config: SimConfig,
    seed: u64,
    limits: RiskLimits,
    mut log: EventLog,
) -> Run {
    let mut engine = Engine::new(Setup::simulated(limits), strategies).unwrap();
    let mut sim = Sim::new(config, seed).unwrap();
    let mut source = MemorySource::new(tape);
    let options = Options::default();
    let recording =
        replay(&mut source, &mut engine, &mut sim, &options, &mut log, &mut |_, _| ()).unwrap();
    Run { recording, engine, sim, hash: log.finish().unwrap() }
}
