//! The shipped strategies with their shipped settings on the demo's feed, against simulated orders: the
//! demo is there so that both act within a minute.

use std::sync::Arc;

use polydesk_domain::{
    BookSnapshot, Event, LevelChange, MarketEvent, MarketState, Payout, Print, Span, Stamped, Time,
    Token, Top,
};
use polydesk_engine::{Engine, Setup as EngineSetup};
use polydesk_local_exchange::venue::{Venue, VenueUpdate};
use polydesk_local_exchange::{Setup, TEST_START};
use polydesk_replay::{EventLog, Options, Recording, replay};
use polydesk_settings::Settings;
use polydesk_sim::Sim;
use polydesk_tape::MemorySource;

fn moving(seed: u64) -> Setup {
    Setup { seed, liquidity: true, counterparties: true, ..Setup::test() }
}

/// The feed of a demo's first seconds, as a client with both tokens of every market receives it.
fn feed(setup: Setup, secs: i64) -> Vec<Stamped> {
    let mut venue = Venue::new(&setup, TEST_START).unwrap();
    let mut rows: Vec<(Time, MarketEvent)> = Vec::new();
    for view in venue.market_views() {
        let market = Arc::new(view.listing.market.clone());
        rows.push((TEST_START, MarketEvent::Listed { key: view.key, market }));
    }
    for view in venue.market_views() {
        for outcome in polydesk_domain::Outcome::BOTH {
            rows.push((TEST_START, snapshot(&venue.book(view.key.token(outcome)).unwrap())));
        }
    }
    venue.advance(TEST_START + Span::secs(secs));
    for update in venue.take_updates() {
        match update {
            VenueUpdate::Levels { at, changes, .. } => rows.extend(changes.iter().map(|change| {
                let level = LevelChange {
                    token: change.token,
                    side: change.side,
                    price: change.price,
                    size: change.size,
                    top: Some(Top::new(change.bid, change.ask)),
                };
                (at, MarketEvent::Level(level))
            })),
            VenueUpdate::Print { token, price, size, side, at } => {
                rows.push((at, MarketEvent::Print(Print { token, side, price, size })));
            }
            VenueUpdate::Book(view) => rows.push((view.at, snapshot(&view))),
            VenueUpdate::Tick { market, new, at, .. } => {
                rows.push((at, MarketEvent::Tick { market, tick: new }));
            }
            VenueUpdate::Resolved { market, winner, at } => {
                let yes = winner == Some(market.token(polydesk_domain::Outcome::Yes));
                let state = MarketState::Resolved(if yes { Payout::YES } else { Payout::NO });
                rows.push((at, MarketEvent::State { market, state }));
            }
            _ => {}
        }
    }
    let stamped = |(seq, (at, event)): (usize, (Time, MarketEvent))| Stamped {
        at,
        venue_at: at,
        seq: seq as u64,
        event: Event::Market(event),
    };
    rows.into_iter().enumerate().map(stamped).collect()
}

fn snapshot(view: &polydesk_local_exchange::venue::BookView) -> MarketEvent {
    let reversed = |levels: &[(polydesk_domain::Price, polydesk_domain::Shares)]| {
        levels.iter().rev().copied().collect()
    };
    let token: Token = view.token;
    let (bids, asks) = (reversed(&view.bids), reversed(&view.asks));
    MarketEvent::Snapshot(Arc::new(BookSnapshot { token, bids, asks }))
}

/// A minute of the demo with the settings as they are shipped.
fn minute(rows: Vec<Stamped>, seed: u64) -> Recording {
    let settings = Settings::load(&[]).unwrap();
    let limits = settings.limits.clone();
    let mut engine = Engine::new(EngineSetup::simulated(limits), settings.build()).unwrap();
    let mut sim = Sim::new(settings.exchange, seed).unwrap();
    let mut source = MemorySource::new(rows);
    let (options, mut log) = (Options::default(), EventLog::off());
    replay(&mut source, &mut engine, &mut sim, &options, &mut log, &mut |_, _| ()).unwrap()
}

fn fills(recording: &Recording, kind: &str) -> usize {
    recording.fills.iter().filter(|row| row.fill.strategy.to_string() == kind).count()
}

#[test]
fn both_strategies_trade_within_a_minute_of_the_demo() {
    for seed in 1..=20 {
        let recording = minute(feed(moving(seed), 60), seed);
        for kind in ["stink_bidder", "arb_scanner"] {
            assert!(fills(&recording, kind) > 0, "seed {seed}: {kind} has no fill");
        }
        assert!(!recording.baskets.is_empty(), "seed {seed}: no basket ended");
        assert!(recording.alarms.is_empty(), "seed {seed}: {:?}", recording.alarms);
    }
}

#[test]
fn quotes_that_stand_still_fill_no_bid() {
    let recording = minute(feed(Setup { counterparties: false, ..moving(1) }, 60), 1);
    assert_eq!(fills(&recording, "stink_bidder"), 0);
}
