//! Market data: books, batches, prints against queues, crossings, market states.
//!
//! Every row is applied at once; prints and crossings fill our orders when the batch is complete.

use std::sync::Arc;

use polydesk_domain::{
    Event, Market, MarketError, MarketEvent, MarketKey, MarketState, Outcome, Price, Print, Shares,
    Side, Stamped, Time, Touched,
};

use crate::bank::Broken;
use crate::config::Refill;
use crate::due::SimAction;
use crate::market_state::{
    MarketSlot, Move, Netting, Now, Pending, Traded, crosses, is_crossed_level,
};
use crate::order::place;
use crate::queue::after_cancel;
use crate::state::Sim;

impl Sim {
    pub(crate) fn take_row(&mut self, stamped: &Stamped) {
        // Levels that the venue's own best prices prove gone leave the book with their batch. That is
        // neither a trade nor a cancel, but nobody is ahead of us there any more.
        let stale = self.books.stats().stale_levels;
        self.books.close_due(stamped, &mut self.done);
        if self.books.stats().stale_levels != stale {
            for index in 0..self.done.len() {
                self.empty_queues(self.done[index]);
            }
        }
        self.done.clear();
        if let Event::Market(event) = &stamped.event {
            self.take_event(event, stamped);
        }
    }

    fn take_event(&mut self, event: &MarketEvent, stamped: &Stamped) {
        match event {
            MarketEvent::Listed { key, market } => self.list(*key, market),
            MarketEvent::Delisted { market } => self.delist(*market),
            MarketEvent::Level(change) => self.take_book(change.token.market(), stamped),
            MarketEvent::Snapshot(snapshot) => self.take_book(snapshot.token.market(), stamped),
            MarketEvent::Best { token, .. } => self.take_book(token.market(), stamped),
            MarketEvent::Print(print) => self.take_print(print, stamped.venue_at),
            MarketEvent::Tick { market, tick } => {
                self.take_reset(*market, stamped);
                self.cancel_off_tick(*market, *tick);
            }
            MarketEvent::Interrupted(interruption) => match interruption.market {
                Some(market) => self.take_reset(market, stamped),
                None => self.take_interruption(stamped),
            },
            MarketEvent::State { market, state } => self.take_state(*market, *state),
            _ => {}
        }
    }

    fn list(&mut self, key: MarketKey, market: &Arc<Market>) {
        if let Err(error) = self.universe.list(key, market.clone()) {
            self.counters.rows_refused += 1;
            if matches!(error, MarketError::OtherKey { .. }) {
                self.wrong_key.get_or_insert_with(|| Broken {
                    rule: "markets are listed under the keys that this exchange gives",
                    detail: error.to_string(),
                });
            }
            return;
        }
        self.books.list(key, market.tick);
        match self.slots.get_mut(key.index()) {
            None => self.slots.push(MarketSlot::new(market.clone())),
            Some(slot) => {
                // A relisting with the same state does not undo later state rows.
                let restated = slot.market.state != market.state;
                slot.market = market.clone();
                if restated {
                    self.take_state(key, market.state);
                }
            }
        }
    }

    /// Takes a market out of the universe and frees its slot, book and accounts. If anything of ours is
    /// still there, these stay, and the case is counted.
    fn delist(&mut self, key: MarketKey) {
        if self.universe.delist(key).is_none() {
            self.counters.rows_refused += 1;
            return;
        }
        self.complete(key);
        if !self.is_flat(key) {
            self.counters.delisted_not_flat += 1;
            return;
        }
        self.books.delist(key);
        self.bank.delist(key);
        self.slots[key.index()].free(self.universe.market(key).clone());
    }

    /// Whether we have no order, no shares and no pending conversion in a market.
    fn is_flat(&self, key: MarketKey) -> bool {
        let slot = &self.slots[key.index()];
        let orders = slot.resting.len() + slot.delayed.len() + slot.waiting.len();
        orders == 0 && self.bank.is_flat(key) && !self.pending.has_pending_in(key)
    }

    /// Completes the batches that the row shows to be over and opens the market's batch.
    #[inline]
    fn enter(&mut self, key: MarketKey, venue_at: Time) -> bool {
        if !self.is_listed(key) {
            self.counters.rows_refused += 1;
            return false;
        }
        if !self.open.is_empty() {
            self.complete_older(key, venue_at);
        }
        let timeout = self.config.matching.batch_timeout;
        let slot = &mut self.slots[key.index()];
        let batch = &mut slot.batch;
        if batch.open && !slot.tracked {
            // None of our orders was there: without prints the batch closes without further work.
            let over = batch.venue_at != venue_at || batch.last_at + timeout < self.now;
            batch.open = !over;
            if over && !batch.prints.is_empty() {
                self.complete(key);
            } else if over && slot.shrank {
                self.settle_consumed(key);
            }
        }
        self.expire_moves(key, self.now);
        let slot = &mut self.slots[key.index()];
        if !slot.batch.open {
            let Some(book) = self.books.get(key) else { return false };
            slot.open_batch(book, venue_at);
        }
        slot.batch.last_at = self.now;
        if slot.concerns_us() {
            self.track(key);
        }
        true
    }

    #[inline]
    fn take_book(&mut self, key: MarketKey, stamped: &Stamped) {
        if !self.enter(key, stamped.venue_at) {
            return;
        }
        if matches!(stamped.event, Event::Market(MarketEvent::Snapshot(_))) {
            return self.take_snapshot(key, stamped);
        }
        let (row, now) = (self.rows, self.times(stamped));
        let Sim { books, slots, .. } = self;
        let slot = &mut slots[key.index()];
        books.apply(
            stamped,
            #[inline(always)]
            |_, level| {
                if level.before.is_zero() {
                    slot.stated.state(level.outcome, level.price, level.after);
                }
                slot.touched(level, row, now);
            },
        );
        if let Event::Market(MarketEvent::Level(change)) = &stamped.event {
            slot.levels_seen = true;
            if change.size.is_zero() {
                // Also where the book showed nothing before: the level is known to be empty.
                let (ladder, bid) = place(change.token, change.side, change.price);
                slot.stated.state(ladder, bid, change.size);
            }
        }
        if !slot.explained.is_empty() {
            self.serve_explained(key);
        }
    }

    /// A level that a defective snapshot names twice changes once, from its size before to its last size:
    /// otherwise each refresh would look like new liquidity.
    ///
    /// A level below the worst one shown is unknown, not empty: it does not shrink.
    fn take_snapshot(&mut self, key: MarketKey, stamped: &Stamped) {
        let now = self.times(stamped);
        let mut moved: Vec<Touched> = Vec::new();
        self.books.apply(stamped, |_, level| moved.push(level));
        moved.sort_by_key(|level| (level.outcome, level.price));
        let slot = &mut self.slots[key.index()];
        if let Event::Market(MarketEvent::Snapshot(snapshot)) = &stamped.event {
            slot.stated.cover(snapshot);
        }
        slot.queues_open = !slot.resting.is_empty();
        (slot.snapshots_seen, slot.snapshot_came) = (true, true);
        slot.shrank |= !slot.consumed.is_empty();
        let mut i = 0;
        while i < moved.len() {
            let mut level = moved[i];
            i += 1;
            while let Some(again) = moved.get(i)
                && (again.outcome, again.price) == (level.outcome, level.price)
            {
                level.after = again.after;
                i += 1;
            }
            if level.before.is_zero() {
                slot.stated.state(level.outcome, level.price, level.after);
            }
            if !level.after.is_zero() || slot.stated.covers(level.outcome, level.price) {
                slot.touched(level, self.rows, now);
            }
        }
        if !slot.explained.is_empty() {
            self.serve_explained(key);
        }
    }

    /// An order that came to rest between a print and its level change waited for the printed shares too:
    /// the change takes them off its queue.
    #[inline(never)]
    fn serve_explained(&mut self, key: MarketKey) {
        let slot = &mut self.slots[key.index()];
        for part in core::mem::take(&mut slot.explained) {
            for id in &slot.resting {
                let Some(order) = self.orders.get_mut(id) else { continue };
                let here = (order.ladder, order.bid) == (part.ladder, part.price);
                if here && order.since_row >= part.row && !order.unstated {
                    order.ahead = order.ahead.saturating_sub(part.left);
                }
            }
        }
    }

    #[inline]
    fn times(&self, stamped: &Stamped) -> Now {
        let window = self.config.matching.netting_window;
        Now { at: self.now, venue_at: stamped.venue_at, window, wait: self.netting_wait }
    }

    fn take_print(&mut self, print: &Print, venue_at: Time) {
        let key = print.token.market();
        if !self.enter(key, venue_at) {
            return;
        }
        self.counters.prints += 1;
        let (row, at) = (self.rows, self.now);
        let slot = &mut self.slots[key.index()];
        slot.prints_seen = true;
        if print.size.is_zero() {
            return;
        }
        // Kept without an order of ours too: one that arrives before the level change finds less there.
        let outcome = print.token.outcome();
        slot.batch.prints.push(Pending {
            yes_price: match outcome {
                Outcome::Yes => print.price,
                Outcome::No => print.price.complement(),
            },
            size: print.size.min(Shares::SANE_MAX),
            // A buyer of an outcome takes its asks, which are bids for the other outcome.
            published: if print.side == Side::Buy { outcome.other() } else { outcome },
            row,
            at,
            venue_at,
        });
    }

    /// The book is invalidated; consumed shares and queue positions do not change. A tick size that is
    /// announced again invalidates nothing.
    fn take_reset(&mut self, key: MarketKey, stamped: &Stamped) {
        if !self.is_listed(key) {
            self.counters.rows_refused += 1;
            return;
        }
        self.complete(key);
        self.books.apply(stamped, |_, _| ());
        if self.is_void(key) {
            self.lose_book(key);
        }
    }

    fn take_interruption(&mut self, stamped: &Stamped) {
        for index in 0..self.slots.len() as u32 {
            self.complete(MarketKey(index));
        }
        self.books.apply(stamped, |_, _| ());
        for index in 0..self.slots.len() as u32 {
            self.lose_book(MarketKey(index));
        }
    }

    fn take_state(&mut self, key: MarketKey, state: MarketState) {
        if !self.is_listed(key) {
            self.counters.rows_refused += 1;
            return;
        }
        self.complete(key);
        let slot = &mut self.slots[key.index()];
        // A resolution is final: later state rows do not change it.
        if matches!(slot.state, MarketState::Resolved(_)) {
            return;
        }
        slot.state = state;
        match state {
            MarketState::Open | MarketState::Paused => {}
            MarketState::Closed | MarketState::Disputed => self.end_market(key),
            MarketState::Resolved(_) => {
                self.end_market(key);
                self.plan_auto_redeem(key);
            }
        }
    }

    /// Puts an open batch on the list of those that other rows or the timeout complete.
    pub(crate) fn track(&mut self, key: MarketKey) {
        let slot = &mut self.slots[key.index()];
        if !slot.tracked {
            slot.tracked = true;
            self.open.push(key);
        }
        if !slot.timer {
            slot.timer = true;
            let at = slot.batch.last_at + self.config.matching.batch_timeout;
            self.schedule(at, SimAction::BatchTimeout(key));
        }
    }

    /// Completes the listed batches that a row of `key` at `venue_at` shows to be over.
    fn complete_older(&mut self, key: MarketKey, venue_at: Time) {
        let mut i = 0;
        while let Some(&open) = self.open.get(i) {
            let batch = &self.slots[open.index()].batch;
            let over =
                if open == key { venue_at != batch.venue_at } else { venue_at > batch.venue_at };
            if over {
                self.complete(open);
            } else {
                i += 1;
            }
        }
    }

    /// Completes the market's batch if its timeout is over.
    pub(crate) fn complete_if_over(&mut self, key: MarketKey) {
        let batch = &self.slots[key.index()].batch;
        if batch.open && batch.last_at + self.config.matching.batch_timeout <= self.now {
            self.complete(key);
        }
    }

    pub(crate) fn batch_timeout(&mut self, key: MarketKey) {
        self.complete_if_over(key);
        let slot = &mut self.slots[key.index()];
        slot.timer = false;
        if slot.batch.open && slot.tracked {
            self.track(key);
        }
    }

    /// Completes the batch: prints and crossings take effect, then the waiting orders and cancels run.
    fn complete(&mut self, key: MarketKey) {
        let slot = &mut self.slots[key.index()];
        slot.batch.open = false;
        if slot.tracked {
            slot.tracked = false;
            self.open.retain(|open| *open != key);
        }
        if !slot.batch.prints.is_empty() {
            self.expire_moves(key, self.slots[key.index()].batch.last_at);
            let mut prints = core::mem::take(&mut self.slots[key.index()].batch.prints);
            let void = self.is_void(key);
            for print in &prints {
                match void {
                    true => self.counters.prints_void += 1,
                    false => self.apply_print(key, *print),
                }
            }
            prints.clear();
            self.slots[key.index()].batch.prints = prints;
        }
        self.expire_moves(key, self.now);
        self.settle_consumed(key);
        if !self.slots[key.index()].resting.is_empty() && !self.is_void(key) {
            self.state_queues(key);
            self.judge_doubtful(key);
            self.apply_crossings(key);
        }
        if core::mem::take(&mut self.slots[key.index()].snapshot_came) {
            self.release_awaiting(key);
        }
        for due in core::mem::take(&mut self.slots[key.index()].waiting) {
            self.run(due);
        }
    }

    /// At most what a level shows after the batch is still consumed there.
    fn settle_consumed(&mut self, key: MarketKey) {
        let slot = &mut self.slots[key.index()];
        if slot.shrank
            && self.config.matching.refill != Refill::Never
            && let Some(book) = self.books.get(key)
        {
            slot.settle_consumed(book, self.books.synced(key));
        }
    }

    /// Counts decreases that no print has explained within the wait before `now` as cancels.
    #[inline(always)]
    pub(crate) fn expire_moves(&mut self, key: MarketKey, now: Time) {
        if self.slots[key.index()].expires(now) {
            self.expire_due_moves(key, now);
        }
    }

    #[inline(never)]
    fn expire_due_moves(&mut self, key: MarketKey, now: Time) {
        let (wait, most) = (self.netting_wait, self.config.matching.netting_wait_most);
        let slot = &mut self.slots[key.index()];
        slot.forget_prints(now, wait);
        if slot.resting.is_empty() {
            return slot.count_cancels(now, wait, most);
        }
        // They are kept without an order of ours too: a late print of one takes nothing of what is shown then.
        while let Some(step) = slot.next_cancel(now, wait, most) {
            for id in &slot.resting {
                let Some(order) = self.orders.get_mut(id) else { continue };
                let here = (order.ladder, order.bid) == (step.ladder, step.price);
                if here && order.since_row < step.row && !order.unstated {
                    // What prints explain of the decrease has left the queue already.
                    let Move { left, after, .. } = step;
                    let before = after + left;
                    order.ahead = after_cancel(self.config.queue, order.ahead, before, left, after);
                }
            }
        }
    }

    /// Nets a print against level changes; the rest of it serves queues and fills our orders.
    fn apply_print(&mut self, key: MarketKey, print: Pending) {
        let ladder = self.ladder_hit(key, &print);
        let price = match ladder {
            Outcome::Yes => print.yes_price,
            Outcome::No => print.yes_price.complement(),
        };
        let window = self.config.matching.netting_window;
        let of = Netting { ladder, price, venue_at: print.venue_at, window };
        let mut left = print.size;
        let slot = &self.slots[key.index()];
        for index in slot.since(of).max(slot.cancels)..slot.decreases.len() {
            let step = &mut self.slots[key.index()].decreases[index];
            let part = step.explain(of, &mut left);
            if !part.is_zero() {
                // The trade happened when the level shrank, before it was published.
                let (row, latest, queue) = (step.row, print.at, true);
                self.trade_at(key, Traded { ladder, price, size: part, row, latest, queue });
            }
        }
        if !left.is_zero() {
            self.explain_by_cancels(key, of, print.at, &mut left);
        }
        if left.is_zero() {
            return;
        }
        self.counters.prints_unexplained += 1;
        // The venue's time of a late row is nearer to the trade than its arrival.
        let latest = print.at.min(print.venue_at) - self.config.matching.print_lag;
        let (row, queue) = (print.row, true);
        self.trade_at(key, Traded { ladder, price, size: left, row, latest, queue });
        // It can have taken no more of the level than is displayed.
        let shown = self.books.get(key).map(|book| book.size_at(ladder, Side::Buy, price));
        let left = left.min(shown.unwrap_or(Shares::ZERO));
        if left.is_zero() {
            return;
        }
        self.slots[key.index()].remember_print(Move {
            ladder,
            price,
            left,
            after: Shares::ZERO,
            row: print.row,
            at: print.at,
            venue_at: print.venue_at,
        });
    }

    /// Takes off a print what decreases explain that have already counted as cancels, because its row came
    /// late: the queue at its price has moved. Orders beyond its price fill. From now on decreases wait as
    /// long as this row was late, so that the next such print comes in time.
    fn explain_by_cancels(&mut self, key: MarketKey, of: Netting, at: Time, left: &mut Shares) {
        let Netting { ladder, price, .. } = of;
        let slot = &self.slots[key.index()];
        for index in slot.since(of)..slot.cancels {
            let step = &mut self.slots[key.index()].decreases[index];
            let part = step.explain(of, left);
            if part.is_zero() {
                continue;
            }
            let (row, lag) = (step.row, step.at.until(at));
            if self.slots[key.index()].resting.is_empty() {
                continue;
            }
            self.counters.prints_late += 1;
            let most = self.config.matching.netting_wait_most;
            self.netting_wait = self.netting_wait.max(lag).min(most);
            self.counters.netting_wait_ms = self.netting_wait.as_millis();
            let traded = Traded { ladder, price, size: part, row, latest: at, queue: false };
            self.trade_at(key, traded);
        }
    }

    /// Which ladder a print consumed: first by a level that shrank, then by the price against the book
    /// before the batch, last by the published side.
    fn ladder_hit(&mut self, key: MarketKey, print: &Pending) -> Outcome {
        let slot = &self.slots[key.index()];
        let (yes, no) = (print.yes_price, print.yes_price.complement());
        let fell = slot.unexplained(Outcome::Yes, yes);
        let rose = slot.unexplained(Outcome::No, no);
        if fell != rose {
            return if fell > rose { Outcome::Yes } else { Outcome::No };
        }
        let [best_yes, best_no] = slot.batch.before;
        let hits = best_yes.is_some_and(|best| yes <= best);
        let lifts = best_no.is_some_and(|best| no <= best);
        match (hits, lifts) {
            (true, false) => Outcome::Yes,
            (false, true) => Outcome::No,
            _ => {
                self.counters.prints_ambiguous += 1;
                print.published
            }
        }
    }

    /// A trade of others on a ladder: it fills our orders at better bids first, those at this bid after
    /// the queue ahead. Orders younger than the trade take no part.
    fn trade_at(&mut self, key: MarketKey, trade: Traded) {
        let Traded { ladder, price, size, row, latest, queue } = trade;
        let (mut left, mut served) = (size, Shares::ZERO);
        let slot = &self.slots[key.index()];
        if slot.resting.is_empty() {
            return;
        }
        for id in slot.resting.clone() {
            let Some(order) = self.orders.get(&id) else { continue };
            let reached = order.ladder == ladder && order.bid >= price;
            if !reached || order.since_row >= row || order.since > latest {
                continue;
            }
            if order.doubtful && self.stands_through(order) {
                continue;
            }
            let Some(order) = self.orders.get_mut(&id) else { continue };
            if order.bid > price {
                order.ahead = Shares::ZERO;
                let fill = left.min(order.open);
                left -= fill;
                self.counters.fills_by_print_through += u64::from(!fill.is_zero());
                self.fill_resting(id, fill);
                continue;
            }
            if !queue {
                continue;
            }
            let first = left.min(order.ahead.saturating_sub(served));
            served += first;
            left -= first;
            order.ahead = order.ahead.saturating_sub(served);
            if order.ahead.is_zero() {
                let fill = left.min(order.open);
                left -= fill;
                self.counters.fills_by_queue += u64::from(!fill.is_zero());
                self.fill_resting(id, fill);
            }
        }
    }

    /// Fills resting orders that a displayed opposite level crosses, at their own price.
    fn apply_crossings(&mut self, key: MarketKey) {
        for id in self.slots[key.index()].resting.clone() {
            while let Some((ladder, bid, available)) = self.crossing(key, &id) {
                let Some(order) = self.orders.get(&id) else { break };
                let fill = available.min(order.open);
                let refill = self.config.matching.refill;
                self.slots[key.index()].consume((ladder, bid), fill, refill, self.now);
                self.counters.fills_by_crossing += 1;
                self.fill_resting(id, fill);
            }
        }
    }

    /// The best displayed level that crosses an open order and is not consumed.
    pub(crate) fn crossing(
        &mut self,
        key: MarketKey,
        id: &polydesk_domain::ClientOrderId,
    ) -> Option<(Outcome, Price, Shares)> {
        let order = self.orders.get(id).filter(|order| !order.open.is_zero())?;
        let (book, slot) = (self.books.get(key)?, &self.slots[key.index()]);
        let (counter, refill) = (order.counter(), self.config.matching.refill);
        for (bid, shown) in book.levels(counter, Side::Buy) {
            if !crosses(bid, order.bid) {
                return None;
            }
            if is_crossed_level(book, counter, bid) {
                self.counters.crossed_levels_skipped += 1;
                continue;
            }
            let available = slot.available(counter, bid, shown, refill, self.now);
            if !available.is_zero() {
                return Some((counter, bid, available));
            }
        }
        None
    }
}
