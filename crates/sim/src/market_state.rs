//! The state of one market besides its book: consumed shares, recent moves of levels, the open batch, our
//! orders there. It moves no money.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use polydesk_domain::{
    Book, ClientOrderId, Market, MarketState, Outcome, Price, Shares, Span, Time, Touched,
};

use crate::due::SimAction;

/// A print waiting for the end of its batch, in YES coordinates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) yes_price: Price,
    pub(crate) size: Shares,
    /// The ladder that was hit by the published side.
    pub(crate) published: Outcome,
    pub(crate) row: u64,
}

/// The kind of a move.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MoveKind {
    /// A level shrank, and no print explains it yet; after the netting window it counts as a cancel.
    Decrease,
    /// A trade was printed, and no decrease explains it yet.
    Print,
}

/// A recent move of a level.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    pub(crate) kind: MoveKind,
    pub(crate) ladder: Outcome,
    pub(crate) price: Price,
    /// The part that is not explained yet.
    pub(crate) left: Shares,
    /// The size displayed before.
    pub(crate) before: Shares,
    pub(crate) row: u64,
    pub(crate) at: Time,
}

/// Rows with one venue timestamp.
#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) open: bool,
    pub(crate) venue_at: Time,
    pub(crate) last_at: Time,
    /// Best bids of YES and NO before the batch.
    pub(crate) before: [Option<Price>; 2],
    pub(crate) prints: Vec<Pending>,
}

/// One market at the exchange.
#[derive(Debug, Clone)]
pub(crate) struct MarketSlot {
    pub(crate) market: Arc<Market>,
    pub(crate) state: MarketState,
    /// Shares of displayed levels that we have consumed.
    pub(crate) consumed: BTreeMap<(Outcome, Price), Shares>,
    pub(crate) recent: VecDeque<Move>,
    prints_in_recent: u32,
    pub(crate) batch: Batch,
    /// Whether the batch is on the list of those that later rows of other markets complete.
    pub(crate) tracked: bool,
    /// Whether a timer for the end of a batch is pending.
    pub(crate) timer: bool,
    /// Our resting orders, best bid first on each ladder, then by arrival.
    pub(crate) resting: Vec<ClientOrderId>,
    /// Our orders in the taker delay.
    pub(crate) delayed: Vec<ClientOrderId>,
    /// Orders and cancels that arrived during the open batch.
    pub(crate) waiting: Vec<SimAction>,
    pub(crate) prints_seen: bool,
    /// Whether the market was delisted and its memory freed.
    pub(crate) freed: bool,
}

impl MarketSlot {
    pub(crate) fn new(market: Arc<Market>) -> MarketSlot {
        MarketSlot {
            state: market.state,
            market,
            consumed: BTreeMap::new(),
            recent: VecDeque::new(),
            prints_in_recent: 0,
            batch: Batch {
                open: false,
                venue_at: Time::MIN,
                last_at: Time::MIN,
                before: [None; 2],
                prints: Vec::new(),
            },
            tracked: false,
            timer: false,
            resting: Vec::new(),
            delayed: Vec::new(),
            waiting: Vec::new(),
            prints_seen: false,
            freed: false,
        }
    }

    /// Frees the memory of a delisted market. Whether prints were seen stays, for reports.
    pub(crate) fn free(&mut self, nothing: Arc<Market>) {
        let prints_seen = self.prints_seen;
        *self = MarketSlot { prints_seen, freed: true, ..MarketSlot::new(nothing) };
    }

    /// Whether market data can change anything of ours in this market.
    pub(crate) fn concerns_us(&self) -> bool {
        !self.resting.is_empty() || !self.consumed.is_empty() || !self.waiting.is_empty()
    }

    /// The part of a displayed bid that we have not consumed.
    pub(crate) fn available(&self, ladder: Outcome, price: Price, shown: Shares) -> Shares {
        let shown = shown.min(Shares::SANE_MAX);
        match self.consumed.get(&(ladder, price)) {
            Some(consumed) => shown.saturating_sub(*consumed),
            None => shown,
        }
    }

    /// Consumes displayed shares until the level shrinks or trades.
    pub(crate) fn consume(&mut self, ladder: Outcome, price: Price, taken: Shares) {
        let consumed = self.consumed.entry((ladder, price)).or_default();
        *consumed = Shares::new(consumed.micros().saturating_add(taken.micros()));
    }

    /// Consumed shares have left the displayed level.
    #[inline(never)]
    pub(crate) fn forget(&mut self, ladder: Outcome, price: Price, gone: Shares) {
        if let Some(consumed) = self.consumed.get_mut(&(ladder, price)) {
            *consumed = consumed.saturating_sub(gone);
            if consumed.is_zero() {
                self.consumed.remove(&(ladder, price));
            }
        }
    }

    /// A level of the book changed.
    #[inline(always)]
    pub(crate) fn touched(&mut self, level: Touched, row: u64, at: Time) {
        let Some(mut gone) = level.before.checked_sub(level.after).filter(|gone| !gone.is_zero())
        else {
            return;
        };
        if self.prints_in_recent > 0 {
            gone = self.explain_by_prints(level, gone);
        }
        if gone.is_zero() {
            return;
        }
        if !self.consumed.is_empty() {
            self.forget(level.outcome, level.price, gone);
        }
        self.recent.push_back(Move {
            kind: MoveKind::Decrease,
            ladder: level.outcome,
            price: level.price,
            left: gone,
            before: level.before,
            row,
            at,
        });
    }

    /// Takes off a decrease what earlier prints at the level explain.
    #[inline(never)]
    fn explain_by_prints(&mut self, level: Touched, mut gone: Shares) -> Shares {
        for earlier in &mut self.recent {
            if earlier.kind == MoveKind::Print
                && (earlier.ladder, earlier.price) == (level.outcome, level.price)
            {
                let part = earlier.left.min(gone);
                earlier.left -= part;
                gone -= part;
            }
        }
        gone
    }

    /// Remembers a print that no decrease explained.
    pub(crate) fn remember_print(&mut self, print: Move) {
        self.prints_in_recent += 1;
        self.recent.push_back(print);
    }

    /// The oldest move that is older than `window`, removed.
    #[inline]
    pub(crate) fn pop_expired(&mut self, now: Time, window: Span) -> Option<Move> {
        let oldest = self.recent.front()?;
        if oldest.at.until(now) <= window {
            return None;
        }
        let expired = self.recent.pop_front()?;
        if expired.kind == MoveKind::Print {
            self.prints_in_recent -= 1;
        }
        Some(expired)
    }

    /// The part of recent decreases at a level that no print explains yet.
    pub(crate) fn unexplained(&self, ladder: Outcome, price: Price) -> Shares {
        let mut sum = Shares::ZERO;
        for step in &self.recent {
            if step.kind == MoveKind::Decrease && (step.ladder, step.price) == (ladder, price) {
                sum = Shares::new(sum.micros().saturating_add(step.left.micros()));
            }
        }
        sum
    }

    /// Begins a batch if none is open, and puts the row's times into it.
    #[inline]
    pub(crate) fn enter_batch(&mut self, book: &Book, at: Time, venue_at: Time) {
        if !self.batch.open {
            self.batch.open = true;
            self.batch.venue_at = venue_at;
            self.batch.before =
                [book.best_bid_price(Outcome::Yes), book.best_bid_price(Outcome::No)];
        }
        self.batch.last_at = at;
    }
}

/// Whether a bid is part of a crossed book: the other ladder's best bid crosses it. Such a level is a
/// defect of the data; nothing trades with it.
#[inline]
pub(crate) fn is_crossed_level(book: &Book, ladder: Outcome, bid: Price) -> bool {
    book.best_bid(ladder.other()).is_some_and(|(best, _)| crosses(best, bid))
}

/// Whether bids for both outcomes together pay for a complete set.
#[inline]
pub(crate) fn crosses(one: Price, other: Price) -> bool {
    one.units() + other.units() >= Price::ONE.units()
}
