//! Generated history is consistent, repeatable, and contains the episodes that it states.

use polydesk_domain::{
    Applied, Books, Event, MarketEvent, MarketKey, Outcome, Side, Stamped, Time,
};
use polydesk_tape::synthetic::{EpisodeKind, PackedTape, Speed, arbitrage_tape};
use polydesk_tape::{EventSource, MemorySource, TapeReader, blank};

fn all(mut source: impl EventSource) -> Vec<Stamped> {
    let mut events = Vec::new();
    while let Some(stamped) = source.next_event().unwrap() {
        events.push(stamped);
    }
    events
}

/// The same by writing every event over the one before.
fn all_in_place(mut source: impl EventSource) -> Vec<Stamped> {
    let (mut events, mut stamped) = (Vec::new(), blank());
    while source.next_into(&mut stamped).unwrap() {
        events.push(stamped.clone());
    }
    let last = stamped.clone();
    assert!(!source.next_into(&mut stamped).unwrap());
    assert_eq!(stamped, last, "nothing is written after the end");
    events
}

fn feed(books: &mut Books, stamped: &Stamped) -> Applied {
    let mut done = Vec::new();
    books.close_due(stamped, &mut done);
    if let Event::Market(MarketEvent::Listed { key, market }) = &stamped.event {
        books.list(*key, market.tick);
    }
    books.apply(stamped, |_, _| ())
}

#[test]
fn carried_best_prices_of_generated_load_are_those_of_the_books() {
    for (tokens, seed) in [(2, 1), (10, 2), (64, 3)] {
        let mut books = Books::default();
        let mut rows = 0;
        let mut source = Speed { tokens, rows: 60_000, seed }.source();
        while let Some(stamped) = source.next_event().unwrap() {
            feed(&mut books, &stamped);
            if let Event::Market(MarketEvent::Level(change)) = &stamped.event {
                let book = books.get(change.token.market()).unwrap();
                let outcome = change.token.outcome();
                let top = change.top.unwrap();
                let best = |side| book.best(outcome, side).map(|(price, _)| price);
                assert_eq!(
                    (best(Side::Buy), best(Side::Sell)),
                    (top.bid(), top.ask()),
                    "{stamped:?}"
                );
                assert!(!book.is_crossed());
            }
            rows += u64::from(!matches!(stamped.event, Event::Market(MarketEvent::Listed { .. })));
        }
        assert_eq!(rows, 60_000);
        assert_eq!(books.stats().top_mismatches, 0);
        assert_eq!(books.stats().unlisted, 0);
    }
}

#[test]
fn generated_load_repeats_and_survives_packing_and_the_disk() {
    let spec = Speed { tokens: 7, rows: 40_000, seed: 9 };
    let events = all(spec.source());
    assert_eq!(events, all(spec.source()));
    assert_ne!(events, all(Speed { seed: 10, ..spec }.source()));
    let packed = PackedTape::read(&mut spec.source()).unwrap();
    assert_eq!(events, all(packed.events()));
    let per_row = packed.heap_bytes() / packed.len();
    assert!(per_row <= 40, "{per_row} bytes a row");
    let place = tempfile::tempdir().unwrap();
    let manifest = spec.write(&place.path().join("tape")).unwrap();
    assert!(manifest.synthetic);
    assert_eq!(events, all(TapeReader::open(&place.path().join("tape")).unwrap()));
}

/// Sum of the best asks of some markets' outcome in cents, where all have one.
fn asks(books: &Books, keys: std::ops::Range<u32>, outcome: Outcome) -> i64 {
    keys.map(|key| {
        let book = books.get(MarketKey(key)).unwrap();
        i64::from(book.best_ask(outcome).unwrap().0.units()) / 100
    })
    .sum()
}

/// What arbitrage the books show: parity per market, the complete group both ways.
fn shown(books: &Books) -> Vec<(EpisodeKind, u32, i64)> {
    let mut shown = Vec::new();
    for key in 0..4 {
        let pair = asks(books, key..key + 1, Outcome::Yes) + asks(books, key..key + 1, Outcome::No);
        if pair < 100 {
            shown.push((EpisodeKind::Parity, key, 100 - pair));
        }
    }
    let yes = asks(books, 4..8, Outcome::Yes);
    if yes < 100 {
        shown.push((EpisodeKind::AllYes, 4, 100 - yes));
    }
    let no = asks(books, 4..8, Outcome::No);
    if no < 300 {
        shown.push((EpisodeKind::AllNo, 4, 300 - no));
    }
    shown
}

#[test]
fn arbitrage_stands_exactly_while_an_episode_does() {
    for seed in [7, 8] {
        let tape = arbitrage_tape(seed).unwrap();
        let mut books = Books::default();
        let mut now = Time::MIN;
        let mut seen = std::collections::BTreeSet::new();
        for stamped in &tape.events {
            if stamped.at != now {
                // Everything of the instant before has been applied.
                let running: Vec<_> = tape
                    .episodes
                    .iter()
                    .enumerate()
                    .filter(|(_, episode)| episode.kind != EpisodeKind::Augmented)
                    .filter(|(_, episode)| {
                        (episode.from..episode.from + episode.length).contains(&now)
                    })
                    .collect();
                if now != Time::MIN {
                    let shown = shown(&books);
                    assert_eq!(shown.len(), running.len(), "seed {seed} at {now}: {shown:?}");
                    for (index, episode) in running {
                        seen.insert(index);
                        assert_eq!(shown[0].0, episode.kind);
                        assert_eq!(shown[0].2, i64::from(episode.depth_units / 100));
                        let book = books.get(episode.market).unwrap();
                        let best = |side| book.best(Outcome::Yes, side).unwrap().1;
                        let side = match episode.kind {
                            EpisodeKind::AllNo => Side::Buy,
                            _ => Side::Sell,
                        };
                        assert_eq!(best(side), episode.size);
                    }
                }
                now = stamped.at;
            }
            feed(&mut books, stamped);
        }
        let planted =
            tape.episodes.iter().filter(|episode| episode.kind != EpisodeKind::Augmented).count();
        assert_eq!(seen.len(), planted, "every episode was seen standing");
        assert_eq!(books.stats().top_mismatches, 0, "carried best prices are the books'");
    }
}

#[test]
fn events_written_over_each_other_are_the_events_handed_out() {
    // Kinds of every size alternate on these: levels over listings, snapshots over levels.
    let made = [
        arbitrage_tape(3).unwrap().events,
        all(Speed { tokens: 6, rows: 9_000, seed: 4 }.source()),
    ];
    for events in made {
        assert_eq!(events, all_in_place(MemorySource::new(events.clone())));
        let packed = PackedTape::read(&mut MemorySource::new(events.clone())).unwrap();
        assert_eq!(events, all_in_place(packed.events()));
        assert_eq!(events, all_in_place(Box::new(packed.events())));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tape");
    Speed { tokens: 6, rows: 9_000, seed: 4 }.write(&path).unwrap();
    let events = all(TapeReader::open(&path).unwrap());
    assert_eq!(events.len(), 9_003);
    assert_eq!(events, all_in_place(TapeReader::open(&path).unwrap()));
    let other = dir.path().join("other");
    Speed { tokens: 4, rows: 5_000, seed: 5 }.write(&other).unwrap();
    let twice = [path, other];
    let both = TapeReader::open_many(&twice).map(all);
    assert_eq!(both.unwrap(), all_in_place(TapeReader::open_many(&twice).unwrap()));
}

#[test]
fn a_source_in_memory_gives_what_it_was_given() {
    let events = arbitrage_tape(7).unwrap().events;
    assert_eq!(all(MemorySource::new(events.clone())), events);
    let mut packed = MemorySource::new(events.clone());
    assert_eq!(all(PackedTape::read(&mut packed).unwrap().events()), events);
}
