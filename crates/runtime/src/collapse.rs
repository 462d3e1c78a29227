//! Fewer rows for an engine that is behind: of several changes of one level the last one counts.
//!
//! Prints, tick size changes, states and interruptions always stay. Nothing moves over a row that resets a book.

use std::collections::BTreeSet;

use polydesk_domain::{Event, MarketEvent, MarketKey, Price, Side, Token};

/// Rows that wait; a shorter queue is handed over as it is.
pub const BEHIND: usize = 512;

/// What a later row makes superfluous.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Replaced {
    Level(Token, Side, Price),
    Best(Token),
}

/// Drops the rows that later rows replace, and returns how many. The order of the others stays.
pub fn collapse<T>(rows: &mut Vec<T>, event: impl Fn(&T) -> &Event) -> u64 {
    let mut replaced: BTreeSet<(MarketKey, Replaced)> = BTreeSet::new();
    let mut whole: BTreeSet<Token> = BTreeSet::new();
    let mut keep = vec![true; rows.len()];
    for (index, row) in rows.iter().enumerate().rev() {
        let Event::Market(event) = event(row) else { continue };
        match event {
            MarketEvent::Level(change) => {
                // Levels of both outcomes are one book, but each is stated on its own token.
                let key = Replaced::Level(change.token, change.side, change.price);
                keep[index] =
                    !whole.contains(&change.token) && replaced.insert((change.token.market(), key));
            }
            MarketEvent::Best { token, .. } => {
                keep[index] = !whole.contains(token)
                    && replaced.insert((token.market(), Replaced::Best(*token)));
            }
            MarketEvent::Snapshot(book) => keep[index] = whole.insert(book.token),
            MarketEvent::Tick { market, .. }
            | MarketEvent::Interrupted(polydesk_domain::Interruption { market: Some(market) })
            | MarketEvent::Listed { key: market, .. }
            | MarketEvent::Delisted { market } => {
                let market = *market;
                replaced.retain(|(of, _)| *of != market);
                whole.retain(|token| token.market() != market);
            }
            MarketEvent::Interrupted(_) => {
                replaced.clear();
                whole.clear();
            }
            MarketEvent::Print(_)
            | MarketEvent::State { .. }
            | MarketEvent::Unverified { .. }
            | MarketEvent::Reference(_) => {}
        }
    }
    let before = rows.len();
    let mut keep = keep.into_iter();
    rows.retain(|_| keep.next().unwrap_or(true));
    (before - rows.len()) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use polydesk_domain::{
        BookSnapshot, Books, Interruption, LevelChange, Market, Outcome, Print, Shares, Span,
        Stamped, Tick, Time,
    };
    use proptest::prelude::*;

    fn level(market: u32, outcome: Outcome, price: u16, size: u64) -> Event {
        let token = MarketKey(market).token(outcome);
        let (price, size) = (Price::cents(price), Shares::whole(size));
        MarketEvent::Level(LevelChange { token, side: Side::Buy, price, size, top: None }).into()
    }

    fn print(market: u32) -> Event {
        let token = MarketKey(market).token(Outcome::Yes);
        let (price, size) = (Price::cents(40), Shares::whole(5));
        MarketEvent::Print(Print { token, side: Side::Buy, price, size }).into()
    }

    #[test]
    fn of_one_levels_changes_the_last_stays_and_prints_always_stay() {
        let yes = Outcome::Yes;
        let mut rows = vec![
            level(0, yes, 40, 1),
            print(0),
            level(0, yes, 41, 2),
            level(0, yes, 40, 3),
            level(1, yes, 40, 4),
            print(0),
        ];
        assert_eq!(collapse(&mut rows, |row| row), 1);
        let want =
            [print(0), level(0, yes, 41, 2), level(0, yes, 40, 3), level(1, yes, 40, 4), print(0)];
        assert_eq!(rows, want);
    }

    #[test]
    fn nothing_replaces_what_stands_before_an_interruption() {
        let yes = Outcome::Yes;
        let gap = |market| Event::from(MarketEvent::Interrupted(Interruption { market }));
        for gap in [gap(None), gap(Some(MarketKey(0)))] {
            let mut rows = vec![level(0, yes, 40, 1), gap, level(0, yes, 40, 2)];
            assert_eq!(collapse(&mut rows, |row| row), 0);
        }
    }

    #[test]
    fn of_two_books_of_a_token_the_later_one_stays_and_the_other_token_keeps_its_own() {
        let book = |outcome, size| {
            let token = MarketKey(0).token(outcome);
            let bids = vec![(Price::cents(39), Shares::whole(size))];
            let book = BookSnapshot { token, bids, asks: Vec::new() };
            Event::from(MarketEvent::Snapshot(Arc::new(book)))
        };
        let mut rows = vec![book(Outcome::Yes, 1), book(Outcome::No, 2), book(Outcome::Yes, 3)];
        assert_eq!(collapse(&mut rows, |row| row), 1);
        assert_eq!(rows, [book(Outcome::No, 2), book(Outcome::Yes, 3)]);
    }

    fn row() -> impl Strategy<Value = Event> {
        let outcome = prop_oneof![Just(Outcome::Yes), Just(Outcome::No)];
        let change = (0u32..2, outcome.clone(), 38u16..42, 0u64..4)
            .prop_map(|(market, outcome, price, size)| level(market, outcome, price, size));
        let snapshot = (0u32..2, outcome, 1u64..5).prop_map(|(market, outcome, size)| {
            let token = MarketKey(market).token(outcome);
            let level = |cents| (Price::cents(cents), Shares::whole(size));
            let book =
                BookSnapshot { token, bids: vec![level(39), level(38)], asks: vec![level(45)] };
            Event::from(MarketEvent::Snapshot(Arc::new(book)))
        });
        let gap = (0u32..2).prop_map(|market| {
            MarketEvent::Interrupted(Interruption { market: Some(MarketKey(market)) }).into()
        });
        let tick = (0u32..2).prop_map(|market| {
            MarketEvent::Tick { market: MarketKey(market), tick: Tick::Cent }.into()
        });
        prop_oneof![8 => change, 2 => snapshot, 1 => gap, 1 => tick, 2 => (0u32..2).prop_map(print)]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]
        #[test]
        fn the_books_are_the_same_with_fewer_rows(rows in proptest::collection::vec(row(), 0..60)) {
            let books = |rows: &[Event]| {
                let mut books = Books::new(Span::millis(100));
                for market in 0..2 {
                    books.list(MarketKey(market), Market::plain(0, "").tick);
                }
                for (seq, event) in rows.iter().enumerate() {
                    let at = Time::from_secs(1);
                    let stamped = Stamped { at, venue_at: at, seq: seq as u64, event: event.clone() };
                    books.apply(&stamped, |_, _| ());
                }
                books
            };
            let mut fewer = rows.clone();
            collapse(&mut fewer, |row| row);
            let (all, few) = (books(&rows), books(&fewer));
            for market in 0..2 {
                let key = MarketKey(market);
                let (one, other) = (all.get(key), few.get(key));
                prop_assert_eq!(one.is_some(), other.is_some());
                if let (Some(one), Some(other)) = (one, other) {
                    for outcome in Outcome::BOTH {
                        for side in [Side::Buy, Side::Sell] {
                            let levels = |book: &polydesk_domain::Book| {
                                book.levels(outcome, side).collect::<Vec<_>>()
                            };
                            prop_assert_eq!(levels(one), levels(other));
                        }
                    }
                }
            }
            let prints = |rows: &[Event]| {
                rows.iter().filter(|row| matches!(row, Event::Market(MarketEvent::Print(_)))).count()
            };
            prop_assert_eq!(prints(&rows), prints(&fewer));
        }
    }
}
