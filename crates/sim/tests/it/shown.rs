//! Laws of displayed shares: what a level shows is sold once, to us or to others, and no order fills where
//! the book could not have let it rest.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::common::{START, bid, cases};
use polydesk_domain::*;
use polydesk_sim::{Delay, Refill, Sim, SimConfig};
use proptest::prelude::*;

const MARKET: MarketKey = MarketKey(0);

/// The bids of one outcome at one price.
type Place = (Outcome, Price);

fn exchange(config: SimConfig, taker_delay: Span) -> Sim {
    let mut sim = Sim::new(config, 1).unwrap();
    let mut market = Market::plain(1, "law");
    market.taker_delay = taker_delay;
    let event = MarketEvent::Listed { key: MARKET, market: Arc::new(market) };
    sim.on_market(&row(START, event));
    sim
}

fn row(at: Time, event: MarketEvent) -> Stamped {
    Stamped { at, venue_at: at, seq: 0, event: event.into() }
}

fn level((ladder, price): Place, size: u64) -> MarketEvent {
    let token = MARKET.token(ladder);
    let size = Shares::whole(size);
    MarketEvent::Level(LevelChange { token, side: Side::Buy, price, size, top: None })
}

/// The matches that were made since the last call, with the bid of the displayed level on their other side.
#[derive(Default)]
struct Matches {
    seen: BTreeSet<u128>,
}

impl Matches {
    fn new_ones(&mut self, sim: &Sim) -> Vec<(OwnTrade, Place)> {
        let mut found = Vec::new();
        for trade in sim.matches().filter(|trade| !self.seen.contains(&trade.trade.0)) {
            let price = trade.fill.level.unwrap();
            let place = match trade.side {
                Side::Buy => (trade.token.outcome().other(), price.complement()),
                Side::Sell => (trade.token.outcome(), price),
            };
            found.push((*trade, place));
        }
        self.seen.extend(found.iter().map(|(trade, _)| trade.trade.0));
        found
    }
}

/// What others do at the venue, or what we do, some milliseconds after the step before.
#[derive(Debug, Clone)]
enum Act {
    Add {
        place: u8,
        size: u64,
    },
    Cancel {
        place: u8,
        size: u64,
    },
    /// Everything is cancelled and quoted again within one message of the venue, with so much more or less.
    Replace {
        place: u8,
        size: u64,
    },
    /// A trade: the level change and the print come so many milliseconds apart.
    Trade {
        place: u8,
        size: u64,
        print_first: bool,
        apart: i64,
    },
    /// The book as a snapshot.
    Refresh,
    Take {
        no: bool,
        cents: u16,
        dollars: i64,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let place = || 0u8..8;
    prop_oneof![
        4 => (place(), 1u64..60).prop_map(|(place, size)| Act::Add { place, size }),
        3 => (place(), 1u64..60).prop_map(|(place, size)| Act::Cancel { place, size }),
        2 => (place(), 1u64..60).prop_map(|(place, size)| Act::Replace { place, size }),
        5 => (place(), 1u64..60, any::<bool>(), 1i64..90).prop_map(
            |(place, size, print_first, apart)| Act::Trade { place, size, print_first, apart }
        ),
        1 => Just(Act::Refresh),
        6 => (any::<bool>(), 50u16..60, 2i64..40)
            .prop_map(|(no, cents, dollars)| Act::Take { no, cents, dollars }),
    ]
}

/// Four bids for each outcome, 0.41 to 0.44: the books are never crossed.
fn place_of(number: u8) -> Place {
    let outcome = if number < 4 { Outcome::Yes } else { Outcome::No };
    (outcome, Price::cents(41 + u16::from(number % 4)))
}

/// A level as others see it, and how much of it is certainly left for us.
#[derive(Debug, Clone, Copy, Default)]
struct Level {
    shown: u64,
    /// Whole shares that were shown and went neither to us nor to others, in millionths.
    left: i64,
    /// Adds less cancels of the open batch.
    net: i64,
    most_shown: u64,
    ours: i64,
    /// Until then a trade is half published; a decrease was published last then.
    busy_until: Time,
    shrank_at: Time,
}

/// The venue, its published rows, and our exchange that sees them.
struct Stage {
    sim: Sim,
    levels: [Level; 8],
    matches: Matches,
    /// The second half of each trade.
    later: BTreeMap<(Time, usize), (u8, u64, bool)>,
    batch_at: Time,
    refill: Refill,
}

impl Stage {
    /// New matches are of the book as it was: each takes only what is left.
    fn judge(&mut self) {
        let found = self.matches.new_ones(&self.sim);
        if found.is_empty() {
            return;
        }
        self.settle();
        for (trade, place) in found {
            let number = (0..8).find(|number| place_of(*number) == place).unwrap();
            let level = &mut self.levels[usize::from(number)];
            let shares = trade.fill.shares.micros() as i64;
            assert_eq!(trade.role, Role::Taker);
            assert!(shares <= level.left, "{place:?} gave {shares} of {level:?}");
            level.left -= shares;
            level.ours += shares;
            if self.refill == Refill::Never {
                let most = level.most_shown as i64 * 1_000_000;
                assert!(level.ours <= most, "{place:?} gave {} in all of {most}", level.ours);
            }
        }
    }

    fn settle(&mut self) {
        for level in &mut self.levels {
            level.left = (level.left + level.net).max(0);
            level.net = 0;
            level.most_shown = level.most_shown.max(level.shown);
        }
    }

    fn advance(&mut self, to: Time) {
        let mut events = Vec::new();
        self.sim.advance(to, &mut events);
        self.judge();
    }

    fn send(&mut self, at: Time, event: MarketEvent) {
        self.sim.on_market(&row(at, event));
        self.judge();
        if at != self.batch_at {
            self.settle();
            self.batch_at = at;
        }
    }

    fn send_level(&mut self, at: Time, number: u8, size: u64) {
        self.send(at, level(place_of(number), size));
        let level = &mut self.levels[usize::from(number)];
        if size < level.shown {
            level.shrank_at = at;
        }
        level.shown = size;
    }

    fn send_print(&mut self, at: Time, number: u8, size: u64) {
        let (outcome, price) = place_of(number);
        let token = MARKET.token(outcome);
        let print = Print { token, side: Side::Sell, price, size: Shares::whole(size) };
        self.send(at, MarketEvent::Print(print));
    }

    /// What the venue publishes until then of trades that are half published.
    fn publish_until(&mut self, until: Time) {
        while let Some((&(at, key), &(number, size, print))) = self.later.first_key_value()
            && at <= until
        {
            self.later.remove(&(at, key));
            self.advance(at - Span::nanos(1));
            match print {
                true => self.send_print(at, number, size),
                false => {
                    let shown = self.levels[usize::from(number)].shown - size;
                    self.send_level(at, number, shown);
                }
            }
        }
    }

    fn play(&mut self, at: Time, step: usize, act: &Act) {
        let index = |place: &u8| usize::from(*place);
        match act {
            Act::Add { place, size } => {
                let shown = self.levels[index(place)].shown + size;
                self.send_level(at, *place, shown);
                self.levels[index(place)].net += *size as i64 * 1_000_000;
            }
            Act::Cancel { place, size } if self.levels[index(place)].busy_until < at => {
                let size = (*size).min(self.levels[index(place)].shown);
                let shown = self.levels[index(place)].shown - size;
                self.send_level(at, *place, shown);
                self.levels[index(place)].net -= size as i64 * 1_000_000;
            }
            Act::Replace { place, size } if self.levels[index(place)].busy_until < at => {
                let before = self.levels[index(place)].shown;
                self.send_level(at, *place, 0);
                self.send_level(at, *place, *size);
                self.levels[index(place)].net += (*size as i64 - before as i64) * 1_000_000;
            }
            Act::Trade { place, size, print_first, apart } => {
                let known = self.levels[index(place)];
                let size = (*size).min(known.shown);
                if size == 0 || known.busy_until >= at {
                    return;
                }
                // A print just after a cancel of its level cannot be told from the print of that change.
                let print_first = *print_first && known.shrank_at + Span::millis(101) < at;
                let end = at + Span::millis(*apart);
                match print_first {
                    true => self.send_print(at, *place, size),
                    false => self.send_level(at, *place, known.shown - size),
                }
                let level = &mut self.levels[index(place)];
                level.left = (level.left - size as i64 * 1_000_000).max(0);
                level.busy_until = end;
                self.later.insert((end, step), (*place, size, !print_first));
            }
            Act::Refresh => {
                let shown = |no: u8| {
                    let numbers = (no * 4..no * 4 + 4).filter(|n| self.levels[index(n)].shown > 0);
                    let sizes = numbers.map(|n| (n, Shares::whole(self.levels[index(&n)].shown)));
                    sizes.map(|(n, size)| (place_of(n).1, size)).collect::<Vec<_>>()
                };
                let asks = shown(1).into_iter().map(|(bid, size)| (bid.complement(), size));
                let (token, bids, asks) = (MARKET.token(Outcome::Yes), shown(0), asks.collect());
                self.send(at, MarketEvent::Snapshot(Arc::new(BookSnapshot { token, bids, asks })));
            }
            Act::Take { no, cents, dollars } => {
                let mut order = bid(step as u64, at);
                order.token = MARKET.token(if *no { Outcome::No } else { Outcome::Yes });
                order.price = Price::cents(*cents);
                order.size = Size::Spend(Usdc::whole(*dollars));
                order.tif = Tif::Fak;
                self.sim.submit(at, &Command::Place(vec![order]));
            }
            _ => {}
        }
    }
}

/// What happens around orders that may rest.
#[derive(Debug, Clone)]
enum Rest {
    Level { bid: bool, cents: u16, size: u64 },
    Snapshot { bids: Vec<(u16, u64)>, asks: Vec<(u16, u64)> },
    Print { buy: bool, cents: u16, size: u64 },
    Interrupt,
    Tick,
    Order { no: bool, cents: u16, post: bool },
    CancelAll,
}

fn rest() -> impl Strategy<Value = Rest> {
    let cents = || 44u16..56;
    let levels = |from, to| proptest::collection::vec((from..to, 1u64..40), 0..4);
    prop_oneof![
        8 => (any::<bool>(), cents(), prop_oneof![Just(0u64), 1u64..40])
            .prop_map(|(bid, cents, size)| Rest::Level { bid, cents, size }),
        5 => (levels(44u16, 52), levels(48u16, 56))
            .prop_map(|(bids, asks)| Rest::Snapshot { bids, asks }),
        5 => (any::<bool>(), cents(), 1u64..60)
            .prop_map(|(buy, cents, size)| Rest::Print { buy, cents, size }),
        2 => Just(Rest::Interrupt),
        1 => Just(Rest::Tick),
        8 => (any::<bool>(), cents(), any::<bool>())
            .prop_map(|(no, cents, post)| Rest::Order { no, cents, post }),
        1 => Just(Rest::CancelAll),
    ]
}

/// The exchange with what the law knows of its orders.
struct Watch {
    sim: Sim,
    matches: Matches,
    known: BTreeSet<ClientOrderId>,
    /// Resting orders through whose price the book has stood ever since they came to rest.
    through: BTreeSet<ClientOrderId>,
    /// All that we ever took at a level, by taking or by crossing.
    taken: BTreeMap<Place, u64>,
}

impl Watch {
    fn book(&self) -> Book {
        self.sim.books().get(MARKET).unwrap().clone()
    }

    /// Whether a displayed level that we have not taken stands through the price of an order.
    fn stands_through(&self, book: &Book, order: &polydesk_sim::OrderView) -> bool {
        let counter = order.token.outcome().other();
        book.levels(counter, Side::Buy).any(|(bid, shown)| {
            let taken = self.taken.get(&(counter, bid)).copied().unwrap_or(0);
            order.price.units() + bid.units() >= 10_000 && shown.micros() > taken
        })
    }

    /// Judges what one action did in the book that it found: a row completes the batch before it first.
    fn judge(&mut self, found: &Book) {
        let void = found.quality() == BookQuality::Empty;
        for (trade, place) in self.matches.new_ones(&self.sim) {
            assert!(!void, "{trade:?} in a void book");
            if trade.role == Role::Maker {
                let through = self.through.contains(&trade.order);
                assert!(!through, "{trade:?}: the book stood through its price already");
                // What a crossing took of the opposite side is between our price and the best one.
                let counter = trade.token.outcome().other();
                for (bid, _) in found.levels(counter, Side::Buy).filter(|(bid, _)| *bid >= place.1)
                {
                    *self.taken.entry((counter, bid)).or_default() += trade.fill.shares.micros();
                }
            } else {
                *self.taken.entry(place).or_default() += trade.fill.shares.micros();
            }
        }
        let views = self.sim.open_orders();
        for order in views.iter().filter(|order| !order.delayed) {
            if self.known.insert(order.id) {
                assert!(!void, "{} came to rest in a void book", order.id);
                if self.stands_through(found, order) {
                    self.through.insert(order.id);
                }
            }
            if !self.stands_through(&self.book(), order) {
                self.through.remove(&order.id);
            }
        }
    }

    fn advance(&mut self, to: Time) {
        // Due actions run one at a time: what each did is judged by the book it found.
        while let Some(due) = self.sim.next_due().filter(|due| *due <= to) {
            let found = self.book();
            self.sim.advance(due, &mut Vec::new());
            self.judge(&found);
        }
        self.sim.advance(to, &mut Vec::new());
    }

    fn play(&mut self, at: Time, id: u64, act: &Rest) {
        let pair = |levels: &[(u16, u64)]| {
            levels.iter().map(|(c, s)| (Price::cents(*c), Shares::whole(*s))).collect::<Vec<_>>()
        };
        let event = match act {
            Rest::Level { bid, cents, size } => match bid {
                true => level((Outcome::Yes, Price::cents(*cents)), *size),
                false => level((Outcome::No, Price::cents(100 - *cents)), *size),
            },
            Rest::Snapshot { bids, asks } => MarketEvent::Snapshot(Arc::new(BookSnapshot {
                token: MARKET.token(Outcome::Yes),
                bids: pair(bids),
                asks: pair(asks),
            })),
            Rest::Print { buy, cents, size } => MarketEvent::Print(Print {
                token: MARKET.token(Outcome::Yes),
                side: if *buy { Side::Buy } else { Side::Sell },
                price: Price::cents(*cents),
                size: Shares::whole(*size),
            }),
            Rest::Interrupt => MarketEvent::Interrupted(Interruption { market: None }),
            Rest::Tick => {
                let finer = self.sim.books().get(MARKET).unwrap().tick() == Tick::Cent;
                let tick = if finer { Tick::Thousandth } else { Tick::Cent };
                MarketEvent::Tick { market: MARKET, tick }
            }
            Rest::Order { no, cents, post } => {
                let mut order = bid(id, at);
                order.token = MARKET.token(if *no { Outcome::No } else { Outcome::Yes });
                order.price = Price::cents(*cents);
                order.post_only = *post;
                return self.sim.submit(at, &Command::Place(vec![order]));
            }
            Rest::CancelAll => return self.sim.submit(at, &Command::CancelAll(None)),
        };
        let found = self.book();
        self.sim.on_market(&row(at, event));
        self.judge(&found);
    }
}

fn config(timeout: i64, refill: Refill) -> SimConfig {
    let mut config = SimConfig::instant();
    config.starting_cash = Usdc::whole(1_000_000);
    config.matching.batch_timeout = Span::millis(timeout);
    config.matching.refill = refill;
    config.settlement.mined = Delay::millis(1_000);
    config
}

fn pause() -> impl Strategy<Value = i64> {
    prop_oneof![3 => 0i64..3, 5 => 0i64..60, 3 => 60i64..400]
}

proptest! {
    #![proptest_config(cases())]

    /// At every level the prints of others and our fills together are never more than what was shown.
    #[test]
    fn displayed_shares_are_sold_once(
        timeout in 1i64..20,
        never: bool,
        first in proptest::collection::vec(0u64..80, 8),
        steps in proptest::collection::vec((pause(), act()), 1..100),
    ) {
        let refill = if never { Refill::Never } else { Refill::AsShown };
        let mut stage = Stage {
            sim: exchange(config(timeout, refill), Span::ZERO),
            levels: [Level::default(); 8],
            matches: Matches::default(),
            later: BTreeMap::new(),
            batch_at: START,
            refill,
        };
        for (number, size) in (0u8..).zip(&first) {
            stage.play(START, 0, &Act::Add { place: number, size: *size });
        }
        stage.play(START, 0, &Act::Refresh);
        let mut at = START + Span::secs(1);
        for (step, (pause, act)) in steps.iter().enumerate() {
            at = at + Span::millis(*pause);
            stage.publish_until(at);
            stage.advance(at - Span::nanos(1));
            stage.play(at, step, act);
        }
        stage.publish_until(at + Span::secs(1));
        stage.advance(at + Span::secs(100));
        prop_assert_eq!(stage.sim.check_conservation(), Ok(()));
    }

    /// Nothing rests or fills in a void book, and no order fills as maker at a price through which the book
    /// already stood when it came to rest.
    #[test]
    fn no_order_fills_where_it_could_not_have_come_to_rest(
        timeout in 1i64..20,
        delay in prop_oneof![Just(0i64), Just(150)],
        steps in proptest::collection::vec((pause(), rest()), 1..80),
    ) {
        let mut watch = Watch {
            sim: exchange(config(timeout, Refill::AsShown), Span::millis(delay)),
            matches: Matches::default(),
            known: BTreeSet::new(),
            through: BTreeSet::new(),
            taken: BTreeMap::new(),
        };
        let mut at = START;
        for (id, (pause, act)) in (1u64..).zip(&steps) {
            at = at + Span::millis(*pause);
            watch.advance(at - Span::nanos(1));
            watch.play(at, id, act);
        }
        watch.advance(at + Span::secs(10));
        prop_assert_eq!(watch.sim.check_conservation(), Ok(()));
    }
}
