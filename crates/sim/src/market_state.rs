//! The state of one market besides its book: consumed shares, recent moves of levels, the open batch, our
//! orders there. It moves no money.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use polydesk_domain::{
    Book, ClientOrderId, Market, MarketState, Outcome, Price, Shares, Side, Span, Time, Touched,
};

use crate::config::Refill;
use crate::due::SimAction;
use crate::stated::Stated;

/// A print waiting for the end of its batch, in YES coordinates.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pending {
    pub(crate) yes_price: Price,
    pub(crate) size: Shares,
    /// The ladder that was hit by the published side.
    pub(crate) published: Outcome,
    pub(crate) row: u64,
    pub(crate) at: Time,
    pub(crate) venue_at: Time,
}

/// A recent move of a level that is not netted yet: a decrease that no print explains (after the netting
/// window it counts as a cancel), or a print that no decrease explains.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Move {
    pub(crate) ladder: Outcome,
    pub(crate) price: Price,
    /// The part that is not explained yet.
    pub(crate) left: Shares,
    /// The size displayed after; of a print, zero.
    pub(crate) after: Shares,
    pub(crate) row: u64,
    pub(crate) at: Time,
    pub(crate) venue_at: Time,
}

impl Move {
    /// Takes off `left`, a move of the other kind, what this one explains of it. Both are one trade only if
    /// their venue times are close: rows can be seconds late.
    pub(crate) fn explain(&mut self, of: Netting, left: &mut Shares) -> Shares {
        let apart = self.venue_at.until(of.venue_at).as_nanos().saturating_abs();
        if (self.ladder, self.price) != (of.ladder, of.price) || apart > of.window.as_nanos() {
            return Shares::ZERO;
        }
        let part = self.left.min(*left);
        self.left -= part;
        *left -= part;
        part
    }
}

/// A row's time at the exchange is before its venue time by no more than this.
const CLOCKS_APART: Span = Span::millis(500);

/// The times of a row, and the netting window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) at: Time,
    pub(crate) venue_at: Time,
    pub(crate) window: Span,
    /// How long a decrease waits for a print.
    pub(crate) wait: Span,
}

/// What is netted: its level, its venue time and how far apart both may be there.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Netting {
    pub(crate) ladder: Outcome,
    pub(crate) price: Price,
    pub(crate) venue_at: Time,
    pub(crate) window: Span,
}

/// A trade of others on one ladder.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Traded {
    pub(crate) ladder: Outcome,
    pub(crate) price: Price,
    pub(crate) size: Shares,
    /// Orders that came to rest with this row or later, or after `latest`, take no part.
    pub(crate) row: u64,
    pub(crate) latest: Time,
    /// Whether it serves the queue at its price; if not, that queue has moved already.
    pub(crate) queue: bool,
}

/// Displayed shares of a level that our orders took.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taken {
    pub(crate) shares: Shares,
    /// When we last took some.
    pub(crate) at: Time,
}

impl Taken {
    /// Whether the level offers them again: not at the time of the taking itself, or one level would fill
    /// an order of any size.
    fn is_refilled(&self, refill: Refill, now: Time) -> bool {
        matches!(refill, Refill::After(span) if self.at < now && self.at.until(now) >= span)
    }
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
    pub(crate) consumed: BTreeMap<(Outcome, Price), Taken>,
    /// Whether a level of which we consumed shares may show less than when both were last compared.
    pub(crate) shrank: bool,
    /// Decreases in the order of their rows, as long as a print of them may come late.
    pub(crate) decreases: VecDeque<Move>,
    /// How many of the first of them no print explained in time: they counted as cancels.
    pub(crate) cancels: usize,
    /// Until then none of the others has waited long enough. It may be too early: the wait only grows.
    cancel_due: Time,
    /// Prints within the netting window with a part that no decrease explains.
    printed: Vec<Move>,
    /// Parts of the row's decreases that earlier prints explain: their rows are those of the prints.
    pub(crate) explained: Vec<Move>,
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
    pub(crate) levels_seen: bool,
    pub(crate) snapshots_seen: bool,
    /// A snapshot is in the open batch.
    pub(crate) snapshot_came: bool,
    /// Takers that wait for the next snapshot.
    pub(crate) awaiting: Vec<ClientOrderId>,
    pub(crate) stated: Stated,
    /// Whether the level of a resting order may not be stated.
    pub(crate) queues_open: bool,
    /// Whether a resting order may be doubtful.
    pub(crate) doubts: bool,
    /// Whether the market was delisted and its memory freed.
    pub(crate) freed: bool,
}

impl MarketSlot {
    pub(crate) fn new(market: Arc<Market>) -> MarketSlot {
        MarketSlot {
            state: market.state,
            market,
            consumed: BTreeMap::new(),
            shrank: false,
            decreases: VecDeque::new(),
            cancels: 0,
            cancel_due: Time::MAX,
            printed: Vec::new(),
            explained: Vec::new(),
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
            levels_seen: false,
            snapshots_seen: false,
            snapshot_came: false,
            awaiting: Vec::new(),
            stated: Stated::default(),
            queues_open: false,
            doubts: false,
            freed: false,
        }
    }

    /// Frees the memory of a delisted market. Whether prints were seen stays, for reports.
    pub(crate) fn free(&mut self, nothing: Arc<Market>) {
        let prints_seen = self.prints_seen;
        *self = MarketSlot { prints_seen, freed: true, ..MarketSlot::new(nothing) };
    }

    /// Whether the end of a batch can change an order of ours in this market.
    pub(crate) fn concerns_us(&self) -> bool {
        !self.resting.is_empty() || !self.waiting.is_empty() || !self.awaiting.is_empty()
    }

    /// The part of a displayed bid that is left: neither consumed by us nor sold by a print whose level
    /// change has not come yet.
    pub(crate) fn available(
        &self,
        ladder: Outcome,
        price: Price,
        shown: Shares,
        refill: Refill,
        now: Time,
    ) -> Shares {
        self.not_consumed(ladder, price, self.not_printed(ladder, price, shown), refill, now)
    }

    /// The part of a displayed bid that no print has sold whose level change has not come yet.
    pub(crate) fn not_printed(&self, ladder: Outcome, price: Price, shown: Shares) -> Shares {
        match self.printed.is_empty() {
            true => shown,
            false => shown.saturating_sub(left_at(&self.printed, ladder, price)),
        }
    }

    /// The part of a displayed bid that we have not consumed.
    pub(crate) fn not_consumed(
        &self,
        ladder: Outcome,
        price: Price,
        shown: Shares,
        refill: Refill,
        now: Time,
    ) -> Shares {
        let shown = shown.min(Shares::SANE_MAX);
        if self.consumed.is_empty() {
            return shown;
        }
        match self.consumed.get(&(ladder, price)) {
            Some(taken) if !taken.is_refilled(refill, now) => shown.saturating_sub(taken.shares),
            _ => shown,
        }
    }

    /// Consumes displayed shares.
    pub(crate) fn consume(
        &mut self,
        (ladder, price): (Outcome, Price),
        taken: Shares,
        refill: Refill,
        now: Time,
    ) {
        let consumed = self.consumed.entry((ladder, price)).or_default();
        if consumed.is_refilled(refill, now) {
            consumed.shares = Shares::ZERO;
        }
        consumed.shares = Shares::new(consumed.shares.micros().saturating_add(taken.micros()));
        consumed.at = now;
    }

    /// At most what a level shows after a whole batch is still consumed there. Of an unknown level everything
    /// is: it may come back as it was.
    pub(crate) fn settle_consumed(&mut self, book: &Book, synced: bool) {
        self.shrank = false;
        let mut consumed = core::mem::take(&mut self.consumed);
        consumed.retain(|(ladder, price), taken| {
            if self.knows(book, synced, *ladder, *price) {
                taken.shares = taken.shares.min(book.size_at(*ladder, Side::Buy, *price));
            }
            !taken.shares.is_zero()
        });
        self.consumed = consumed;
    }

    /// Whether the data has stated a level. Above the best bid of a synced book everything is empty.
    pub(crate) fn knows(&self, book: &Book, synced: bool, ladder: Outcome, price: Price) -> bool {
        !book.size_at(ladder, Side::Buy, price).is_zero()
            || self.stated.covers(ladder, price)
            || (synced && book.best_bid_price(ladder).is_none_or(|best| price > best))
    }

    /// Nothing is known of the book any more; consumed shares and queue positions stay.
    pub(crate) fn invalidate(&mut self) {
        self.stated.clear();
        self.decreases.clear();
        self.cancels = 0;
        self.cancel_due = Time::MAX;
        self.printed.clear();
        self.queues_open = !self.resting.is_empty();
    }

    /// A level of the book changed.
    #[inline(always)]
    pub(crate) fn touched(&mut self, level: Touched, row: u64, now: Now) {
        let Some(mut gone) = level.before.checked_sub(level.after).filter(|gone| !gone.is_zero())
        else {
            return;
        };
        if !self.consumed.is_empty() {
            self.shrank |= self.consumed.contains_key(&(level.outcome, level.price));
        }
        if !self.printed.is_empty() {
            gone = self.explain_by_prints(level, gone, now);
        }
        if gone.is_zero() {
            return;
        }
        if self.cancels == self.decreases.len() {
            self.cancel_due = now.at + now.wait;
        }
        self.decreases.push_back(Move {
            ladder: level.outcome,
            price: level.price,
            left: gone,
            after: level.after,
            row,
            at: now.at,
            venue_at: now.venue_at,
        });
    }

    /// Takes off a decrease what earlier prints at the level explain.
    #[inline(never)]
    fn explain_by_prints(&mut self, level: Touched, mut gone: Shares, now: Now) -> Shares {
        let Now { venue_at, window, .. } = now;
        let of = Netting { ladder: level.outcome, price: level.price, venue_at, window };
        self.printed.retain_mut(|earlier| {
            let part = earlier.explain(of, &mut gone);
            if !part.is_zero() && !self.resting.is_empty() {
                self.explained.push(Move { left: part, ..*earlier });
            }
            !earlier.left.is_zero()
        });
        gone
    }

    /// Remembers a print that no decrease explained.
    pub(crate) fn remember_print(&mut self, print: Move) {
        self.printed.push(print);
    }

    /// Forgets the prints that are older than `window`: what they took was displayed again with the trade.
    #[inline]
    pub(crate) fn forget_prints(&mut self, now: Time, window: Span) {
        if !self.printed.is_empty() {
            self.printed.retain(|print| print.at.until(now) <= window);
        }
    }

    /// Whether a decrease or a print may have waited long enough by `now`.
    #[inline(always)]
    pub(crate) fn expires(&self, now: Time) -> bool {
        now > self.cancel_due || !self.printed.is_empty()
    }

    /// Sets when the next decrease has waited for long enough.
    fn wait_for_next(&mut self, wait: Span) {
        self.cancel_due = self.decreases.get(self.cancels).map_or(Time::MAX, |step| step.at + wait);
    }

    /// The oldest decrease that is older than `wait` and did not count as a cancel yet; from now on it does.
    /// With it those are forgotten that are older than `most`.
    #[inline]
    pub(crate) fn next_cancel(&mut self, now: Time, wait: Span, most: Span) -> Option<Move> {
        self.wait_for_next(wait);
        let step = *self.decreases.get(self.cancels)?;
        if step.at.until(now) <= wait {
            return None;
        }
        while self.cancels > 0
            && self.decreases.front().is_some_and(|first| first.at.until(now) > most)
        {
            self.decreases.pop_front();
            self.cancels -= 1;
        }
        self.cancels += 1;
        Some(step)
    }

    /// The same for all of them at once, where no order of ours is moved by it.
    #[inline]
    pub(crate) fn count_cancels(&mut self, now: Time, wait: Span, most: Span) {
        let before = self.cancels;
        while self.decreases.get(self.cancels).is_some_and(|step| step.at.until(now) > wait) {
            self.cancels += 1;
        }
        self.wait_for_next(wait);
        if self.cancels == before {
            return;
        }
        while self.cancels > 1
            && self.decreases.front().is_some_and(|first| first.at.until(now) > most)
        {
            self.decreases.pop_front();
            self.cancels -= 1;
        }
    }

    /// The first decrease that can be of one trade with a print: rows come up to seconds after what they report,
    /// and before it only by as much as clocks differ.
    pub(crate) fn since(&self, of: Netting) -> usize {
        let earliest = of.venue_at - of.window - CLOCKS_APART;
        self.decreases.partition_point(|step| step.at < earliest)
    }

    /// The part of recent decreases at a level that no print explains yet.
    pub(crate) fn unexplained(&self, ladder: Outcome, price: Price) -> Shares {
        left_at(self.decreases.range(self.cancels..), ladder, price)
    }

    /// Begins a batch.
    #[inline]
    pub(crate) fn open_batch(&mut self, book: &Book, venue_at: Time) {
        self.batch.open = true;
        self.batch.venue_at = venue_at;
        self.batch.before = [book.best_bid_price(Outcome::Yes), book.best_bid_price(Outcome::No)];
    }
}

/// What is left of the moves of one level.
fn left_at<'a>(moves: impl IntoIterator<Item = &'a Move>, ladder: Outcome, price: Price) -> Shares {
    let mut sum = Shares::ZERO;
    for step in moves {
        if (step.ladder, step.price) == (ladder, price) {
            sum = Shares::new(sum.micros().saturating_add(step.left.micros()));
        }
    }
    sum
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
