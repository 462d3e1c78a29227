//! Stories: lines that start with a time are played, lines that start with `>` are what happened.

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
    /// Lines about the next line.
    remarks: Vec<String>,
}

impl Player {
    pub fn new(config: SimConfig) -> Player {
        Player { sim: Sim::new(config, 1).unwrap(), listed: 0, seq: 0, remarks: Vec::new() }
    }

    fn play(&mut self, line: &str, lines: &mut Vec<String>) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let at = START + span(words[0]);
        let mut news = Vec::new();
        self.sim.advance(at - Span::nanos(1), &mut news);
        show(&news, lines);
        news.clear();
        lines.append(&mut self.remarks);
        lines.push(line.to_owned());
        match words[1] {
            "until" => {
                self.sim.advance(at, &mut news);
                show(&news, lines);
            }
            "account" => {
                self.sim.advance(at, &mut news);
                show(&news, lines);
                lines.extend(account(&self.sim));
            }
            _ => self.act(at, &words[1..]),
        }
        self.sim.check_conservation().unwrap();
    }

    fn act(&mut self, at: Time, words: &[&str]) {
        if let Some(command) = command(words, at) {
            return self.sim.submit(at, &command);
        }
        let event = match words {
            ["list", facts @ ..] => {
                self.listed += 1;
                Event::Listed(Arc::new(market(self.listed, facts)))
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
                Event::Snapshot(Arc::new(Snapshot {
                    token: token(token_),
                    bids: read(&levels[..cut]),
                    asks: read(&levels[cut + 1..]),
                }))
            }
            ["level", token_, side_, price, size] => Event::Level(LevelChange {
                token: token(token_),
                side: side(side_),
                price: price.parse().unwrap(),
                size: size.parse().unwrap(),
                top: None,
            }),
            ["print", token_, side_, price, size] => Event::Print(Print {
                token: token(token_),
                side: side(side_),
                price: price.parse().unwrap(),
                size: size.parse().unwrap(),
            }),
            ["gap"] => Event::Gap(Gap { market: None }),
            ["tick", tick] => Event::Tick { market: MarketKey(0), tick: tick.parse().unwrap() },
            ["state", rest @ ..] => Event::State { market: MarketKey(0), state: state(rest) },
            other => panic!("unknown line {other:?}"),
        };
        self.seq += 1;
        self.sim.on_market(&Stamped { at, venue_at: at, seq: self.seq, event });
    }
}

fn command(words: &[&str], at: Time) -> Option<Command> {
    let id = |word: &str| ClientOrderId(word.trim_start_matches('#').parse().unwrap());
    let set = |name: &str, action| {
        Some(Command::Set {
            id: id(name),
            strategy: StrategyId::OPERATOR,
            market: MarketKey(0),
            action,
        })
    };
    match words {
        [kind @ ("buy" | "sell" | "spend"), name, token_, size, "at", price, tif_, rest @ ..] => {
            Some(Command::Place(PlaceOrder {
                id: id(name),
                strategy: StrategyId::OPERATOR,
                signal: SignalId(1),
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
                decided_at: at,
            }))
        }
        ["cancel", "all"] => Some(Command::CancelAll(None)),
        ["cancel", name] => Some(Command::Cancel(id(name))),
        ["query", name] => Some(Command::Query(id(name))),
        ["split", name, size] => set(name, SetAction::Split(size.parse().unwrap())),
        ["merge", name, size] => set(name, SetAction::Merge(size.parse().unwrap())),
        ["redeem", name] => set(name, SetAction::Redeem),
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
            "fees" => market.fees = Fees::UNKNOWN,
            "delay" => market.taker_delay = span(value),
            "tick" => market.tick = value.parse().unwrap(),
            "min" => market.min_size = value.parse().unwrap(),
            "version" => market.version = ProtocolVersion::Unknown((*value).to_owned()),
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

fn show(news: &[(Time, Event)], lines: &mut Vec<String>) {
    for (at, event) in news {
        let text = match event {
            Event::Order(news) => match &news.1 {
                // Two lines that say nothing in a story.
                OrderEvent::Bound { .. } | OrderEvent::Sent => continue,
                OrderEvent::Rejected { reason } => format!("{} refused: {}", news.0, reason.code()),
                OrderEvent::Cancelled { reason, matched } => {
                    format!("{} cancelled {reason:?}, matched {matched}", news.0)
                }
                OrderEvent::Filled { matched } => format!("{} filled {matched}", news.0),
                OrderEvent::Expired { matched } => format!("{} expired, matched {matched}", news.0),
                OrderEvent::CancelRefused { still_open } => {
                    format!("{} not cancelled, still open: {still_open}", news.0)
                }
                other => format!("{} {other:?}", news.0),
            },
            Event::Trade(trade) => {
                let Fill { shares, notional, fee, level } = trade.fill;
                let level = level.map_or_else(|| "?".to_owned(), |level| level.to_string());
                let (order, side, role) = (trade.order, trade.side, trade.role);
                format!(
                    "{order} {:?} {side} {shares} at {level} for {notional} fee {fee} as {role:?}",
                    trade.status
                )
            }
            Event::Cash(cash) => {
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

fn account(sim: &Sim) -> Vec<String> {
    let view = sim.account();
    let mut lines = vec![format!(
        "> free {} reserved {} in flight {} to come {}",
        view.cash_free, view.cash_reserved, view.cash_in_flight, view.cash_incoming
    )];
    for (index, token) in view.tokens.iter().enumerate() {
        if *token != Default::default() {
            lines.push(format!(
                "> token {index}: free {} offered {} locked {} leaving {} incoming {}",
                token.free, token.offered, token.locked, token.leaving, token.incoming
            ));
        }
    }
    if !view.rebates_accrued.is_zero() {
        lines.push(format!("> rebates {}", view.rebates_accrued));
    }
    lines
}

impl Player {
    /// Sends bids that rest, all at one instant, and gives the times of their answers by id.
    pub fn arrivals(&mut self, ids: &[u64]) -> Vec<Time> {
        self.act(START, &["list"]);
        self.act(START, &["snap", "yes", "0.40x100", "/", "0.50x100"]);
        for id in ids {
            self.act(START, &["buy", &id.to_string(), "yes", "10", "at", "0.40", "gtc"]);
        }
        let mut news = Vec::new();
        self.sim.advance(START + Span::secs(10), &mut news);
        let live = |id: u64| {
            let told = |event: &Event| {
                matches!(event, Event::Order(news)
                if news.0 == ClientOrderId(id) && news.1 == OrderEvent::Live)
            };
            news.iter().find(|(_, event)| told(event)).map(|(at, _)| *at).unwrap()
        };
        ids.iter().map(|id| live(*id)).collect()
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

/// How many random cases a law is tried on: `POLYDESK_CASES`, by default few enough to be quick.
pub fn cases() -> ProptestConfig {
    let cases = std::env::var("POLYDESK_CASES").ok().and_then(|text| text.parse().ok());
    ProptestConfig {
        cases: cases.unwrap_or(256),
        failure_persistence: None,
        ..ProptestConfig::default()
    }
}
