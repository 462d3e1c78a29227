//! Stories: lines that start with a time are played, lines that start with `>` are the events.

use std::sync::Arc;

use expect_test::Expect;
use polydesk_domain::*;
use polydesk_sim::{Sim, SimConfig};
use proptest::prelude::ProptestConfig;

/// When stories begin: noon of a day long ago.
pub const START: Time = Time::from_secs(1_000_080_000 / 86_400 * 86_400 + 43_200);

/// No delays, no faults, but settlement takes ten seconds, so that both sides of it can be seen.
pub fn plain() -> SimConfig {
    let mut config = SimConfig::instant();
    config.settlement.mined = polydesk_sim::Delay::millis(4_000);
    config.settlement.confirmed = polydesk_sim::Delay::millis(6_000);
    config
}

/// Plays the story in `expect` and compares what happens.
pub fn story(config: SimConfig, expect: Expect) {
    let mut lines = Vec::new();
    let script = expect.data().to_owned();
    let mut player = Player::new(config);
    for line in script.lines().map(str::trim) {
        if line.starts_with(|c: char| c.is_ascii_digit()) {
            player.play(line, &mut lines);
        } else if !line.is_empty() && !line.starts_with('>') {
            player.remarks.push(line.to_owned());
        }
    }
    lines.push(String::new());
    player.sim.check_conservation().unwrap();
    expect.assert_eq(&lines.join("\n"));
}

pub struct Player {
    pub sim: Sim,
    listed: u64,
    seq: u64,
    /// Comment lines, printed before the next line.
    remarks: Vec<String>,
}

impl Player {
    pub fn new(config: SimConfig) -> Player {
        Player { sim: Sim::new(config, 1).unwrap(), listed: 0, seq: 0, remarks: Vec::new() }
    }

    fn play(&mut self, line: &str, lines: &mut Vec<String>) {
        let words: Vec<&str> = line.split_whitespace().collect();
        // `2600ms@100ms`: the row comes 2.5 s after the venue's time of it.
        let (at, venue_at) = words[0].split_once('@').unwrap_or((words[0], words[0]));
        let (at, venue_at) = (START + span(at), START + span(venue_at));
        let mut events = Vec::new();
        self.sim.advance(at - Span::nanos(1), &mut events);
        show(&events, lines);
        events.clear();
        lines.append(&mut self.remarks);
        lines.push(line.to_owned());
        match words[1] {
            "until" => {
                self.sim.advance(at, &mut events);
                show(&events, lines);
            }
            "account" => {
                self.sim.advance(at, &mut events);
                show(&events, lines);
                lines.extend(account(&self.sim));
            }
            "snapshot" => {
                self.sim.advance(at, &mut events);
                show(&events, lines);
                lines.extend(snapshot(&self.sim));
            }
            _ => self.act_late(at, venue_at, &words[1..]),
        }
        self.sim.check_conservation().unwrap();
    }

    fn act(&mut self, at: Time, words: &[&str]) {
        self.act_late(at, at, words);
    }

    fn act_late(&mut self, at: Time, venue_at: Time, words: &[&str]) {
        if let Some(command) = command(words, at) {
            return self.sim.submit(at, &command);
        }
        let event = match words {
            ["list", facts @ ..] => {
                self.listed += 1;
                Event::Market(MarketEvent::Listed {
                    key: MarketKey(self.listed as u32 - 1),
                    market: Arc::new(market(self.listed, facts)),
                })
            }
            ["snap", token_, levels @ ..] => {
                let cut = levels.iter().position(|word| *word == "/").unwrap();
                let read = |words: &[&str]| {
                    words
                        .iter()
                        .map(|word| {
                            let (price, size) = word.split_once('x').unwrap();
                            (price.parse().unwrap(), size.parse().unwrap())
                        })
                        .collect()
                };
                Event::Market(MarketEvent::Snapshot(Arc::new(BookSnapshot {
                    token: token(token_),
                    bids: read(&levels[..cut]),
                    asks: read(&levels[cut + 1..]),
                })))
            }
            ["level", token_, side_, price, size] => {
                Event::Market(MarketEvent::Level(LevelChange {
                    token: token(token_),
                    side: side(side_),
                    price: price.parse().unwrap(),
                    size: size.parse().unwrap(),
                    top: None,
                }))
            }
            ["print", token_, side_, price, size] => Event::Market(MarketEvent::Print(Print {
                token: token(token_),
                side: side(side_),
                price: price.parse().unwrap(),
                size: size.parse().unwrap(),
            })),
            ["best", token_, bid, ask] => Event::Market(MarketEvent::Best {
                token: token(token_),
                top: Top::new(bid.parse().ok(), ask.parse().ok()),
            }),
            ["interrupt"] => Event::Market(MarketEvent::Interrupted(Interruption { market: None })),
            ["tick", tick] => Event::Market(MarketEvent::Tick {
                market: MarketKey(0),
                tick: tick.parse().unwrap(),
            }),
            ["state", rest @ ..] => {
                Event::Market(MarketEvent::State { market: MarketKey(0), state: state(rest) })
            }
            ["delist", market] => {
                Event::Market(MarketEvent::Delisted { market: MarketKey(market.parse().unwrap()) })
            }
            other => panic!("unknown line {other:?}"),
        };
        self.seq += 1;
        self.sim.on_market(&Stamped { at, venue_at, seq: self.seq, event });
    }
}

fn command(words: &[&str], at: Time) -> Option<Command> {
    let id = |word: &str| ClientOrderId(word.trim_start_matches('#').parse().unwrap());
    let set = |name: &str, action| {
        Some(Command::Convert {
            id: ConversionId(id(name).0),
            strategy: StrategyId::OPERATOR,
            market: MarketKey(0),
            action,
        })
    };
    match words {
        [kind @ ("buy" | "sell" | "spend"), name, token_, size, "at", price, tif_, rest @ ..] => {
            Some(Command::Place(vec![PlaceOrder {
                token: token(token_),
                side: if *kind == "sell" { Side::Sell } else { Side::Buy },
                price: price.parse().unwrap(),
                size: match *kind {
                    "spend" => Size::Spend(size.parse().unwrap()),
                    _ => Size::Shares(size.parse().unwrap()),
                },
                tif: match *tif_ {
                    "gtc" => Tif::Gtc,
                    "fok" => Tif::Fok,
                    "fak" => Tif::Fak,
                    gtd => Tif::Gtd { expires: at + span(gtd.strip_prefix("gtd").unwrap()) },
                },
                post_only: rest.contains(&"post"),
                ..bid(id(name).0, at)
            }]))
        }
        ["cancel", "all"] => Some(Command::CancelAll(None)),
        ["cancel", name] => Some(Command::Cancel(id(name))),
        ["query", "conversion", name] => {
            Some(Command::Query(Query::Conversion(ConversionId(id(name).0))))
        }
        ["query", name] => Some(Command::Query(Query::Order(id(name)))),
        ["split", name, size] => set(name, Conversion::Split(size.parse().unwrap())),
        ["merge", name, size] => set(name, Conversion::Merge(size.parse().unwrap())),
        ["redeem", name] => set(name, Conversion::Redeem),
        _ => None,
    }
}

fn market(number: u64, facts: &[&str]) -> Market {
    let mut market = Market::plain(number, "story");
    for pair in facts.chunks(2) {
        let [key, value] = pair else { panic!("{pair:?}") };
        match *key {
            "fee" => {
                let rate = FeeRate::checked(value.parse().unwrap(), 1, 250_000).unwrap();
                market.fees = Fees::flat(rate);
            }
            // The rate becomes 20 % at a time.
            "raised" => {
                let raised = FeeRate::checked(200_000, 1, 0).unwrap();
                let (before, from) = (market.fees.at(START).unwrap(), START + span(value));
                market.fees = Fees::schedule(vec![
                    FeePeriod { from: Time::MIN, rate: before },
                    FeePeriod { from, rate: raised },
                ]);
            }
            "fees" => market.fees = Fees::UNKNOWN,
            "delay" => market.taker_delay = span(value),
            "tick" => market.tick = value.parse().unwrap(),
            "min" => market.min_size = value.parse().unwrap(),
            "version" => market.version = ProtocolVersion::Unknown((*value).to_owned()),
            "category" => {
                market.category = (*value).to_owned();
                market.assumed = vec!["taker_delay: none recorded".to_owned()];
            }
            "opens" => market.opens = Some(START + span(value)),
            other => panic!("{other}"),
        }
    }
    market
}

fn state(words: &[&str]) -> MarketState {
    match words {
        ["open"] => MarketState::Open,
        ["paused"] => MarketState::Paused,
        ["closed"] => MarketState::Closed,
        ["resolved", yes] => {
            MarketState::Resolved(Payout::yes_micros(yes.parse().unwrap()).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

pub fn token(word: &str) -> Token {
    match word {
        "yes" => Token(0),
        "no" => Token(1),
        "yes1" => Token(2),
        "no1" => Token(3),
        number => Token(number.parse().unwrap()),
    }
}

fn side(word: &str) -> Side {
    if word == "buy" { Side::Buy } else { Side::Sell }
}

fn span(text: &str) -> Span {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap();
    let number: i64 = text[..digits].parse().unwrap();
    match &text[digits..] {
        "ms" => Span::millis(number),
        "s" => Span::secs(number),
        "h" => Span::secs(number * 3_600),
        other => panic!("unit {other}"),
    }
}

fn show(events: &[(Time, Event)], lines: &mut Vec<String>) {
    for (at, event) in events {
        let Event::Account(event) = event else { panic!("{event:?}") };
        let text = match &**event {
            AccountEvent::Order { id, update } => match update {
                // Every order has them; they would only lengthen the stories.
                OrderUpdate::Bound { .. } | OrderUpdate::Sent => continue,
                OrderUpdate::Rejected { reason } => format!("{id} refused: {}", reason.code()),
                OrderUpdate::Cancelled { reason, matched } => {
                    format!("{id} cancelled {reason:?}, matched {matched}")
                }
                OrderUpdate::Filled { matched } => format!("{id} filled {matched}"),
                OrderUpdate::Expired { matched } => format!("{id} expired, matched {matched}"),
                OrderUpdate::CancelRefused { still_open } => {
                    format!("{id} not cancelled, still open: {still_open}")
                }
                other => format!("{id} {other:?}"),
            },
            AccountEvent::Trade(trade) => {
                let Fill { shares, notional, fee, level, basis } = trade.fill;
                assert_eq!(basis, Basis::Settled);
                let level = level.map_or_else(|| "?".to_owned(), |level| level.to_string());
                let (order, side, role) = (trade.order, trade.side, trade.role);
                format!(
                    "{order} {:?} {side} {shares} at {level} for {notional} fee {fee} as {role:?}",
                    trade.status
                )
            }
            AccountEvent::Cash(cash) => {
                let [yes, no] = cash.shares;
                format!("{:?} {} shares {yes} and {no}", cash.kind, cash.amount)
            }
            other => format!("{other:?}"),
        };
        let since = START.until(*at).as_nanos();
        let millis = since / 1_000_000;
        assert_eq!(since % 1_000_000, 0, "stories happen in whole milliseconds");
        lines.push(format!("> {millis}ms {text}"));
    }
}

fn snapshot(sim: &Sim) -> Vec<String> {
    let snapshot = sim.account_snapshot(3);
    assert_eq!((snapshot.epoch, snapshot.asked_at, snapshot.complete), (3, sim.now(), true));
    let mut lines = vec![format!("> cash {}", snapshot.cash)];
    for (token, shares) in &snapshot.shares {
        lines.push(format!("> token {}: {shares}", token.0));
    }
    let orders = sim.open_orders();
    for (hash, matched) in &snapshot.open {
        let order = orders.iter().find(|order| order.hash == *hash).unwrap();
        lines.push(format!("> {} open, matched {matched}", order.id));
    }
    lines.sort();
    lines
}

fn account(sim: &Sim) -> Vec<String> {
    let view = sim.account();
    let mut lines = vec![format!(
        "> free {} reserved {} in flight {} to come {}",
        view.cash_free, view.cash_reserved, view.cash_in_flight, view.cash_incoming
    )];
    for (index, token) in view.tokens.iter().enumerate() {
        if *token != Default::default() {
            lines.push(format!(
                "> token {index}: free {} reserved {} locked {} leaving {} incoming {}",
                token.free, token.reserved, token.locked, token.leaving, token.incoming
            ));
        }
    }
    if !view.rebates_accrued.is_zero() {
        lines.push(format!("> rebates {}", view.rebates_accrued));
    }
    lines
}

impl Player {
    /// Sends resting bids at one instant, one request per list of ids, and returns the times of their
    /// answers in the order of all ids.
    pub fn arrivals(&mut self, requests: &[&[u64]]) -> Vec<Time> {
        self.act(START, &["list"]);
        self.act(START, &["snap", "yes", "0.40x100", "/", "0.50x100"]);
        for ids in requests {
            let bid = |id: &u64| bid(*id, START);
            self.sim.submit(START, &Command::Place(ids.iter().map(bid).collect()));
        }
        let mut events = Vec::new();
        self.sim.advance(START + Span::secs(10), &mut events);
        let live = |id: u64| {
            let live = Event::order(ClientOrderId(id), OrderUpdate::Live);
            events.iter().find(|(_, event)| *event == live).map(|(at, _)| *at).unwrap()
        };
        requests.concat().into_iter().map(live).collect()
    }
}

/// A bid for ten YES at 0.40 that rests.
pub fn bid(id: u64, at: Time) -> PlaceOrder {
    PlaceOrder {
        id: ClientOrderId(id),
        strategy: StrategyId::OPERATOR,
        signal: None,
        basket: None,
        token: Token(0),
        side: Side::Buy,
        price: Price::cents(40),
        size: Size::Shares(Shares::whole(10)),
        tif: Tif::Gtc,
        post_only: false,
        decided_at: at,
        data_at: at,
        expires: Time::MAX,
    }
}

impl Player {
    /// Gives the exchange one row of data a second later and completes its batch.
    pub fn row(&mut self, line: &str) {
        self.send(line);
        let end = self.sim.now() + Span::secs(1);
        self.sim.advance(end, &mut Vec::new());
    }

    /// Sends one command a second later and lets it arrive.
    pub fn send(&mut self, line: &str) {
        let at = self.sim.now() + Span::secs(1);
        self.act(at, &line.split_whitespace().collect::<Vec<_>>());
        self.sim.advance(at, &mut Vec::new());
    }
}

/// The number of random cases per law: `POLYDESK_CASES`, by default few enough to be quick.
pub fn cases() -> ProptestConfig {
    let cases = std::env::var("POLYDESK_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(256),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
