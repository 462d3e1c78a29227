//! Market data, requests, time, and the end.

use polydesk_domain::{
    AccountEvent, Cause, Channel, ConditionId, ControlEvent, Event, MarketEvent, MarketState, Span,
    Time,
};
use polydesk_polymarket_api::ws::FeedItem;
use tokio::sync::{mpsc, oneshot};

use super::{Bot, LiveEnded, LiveError};
use crate::collapse::{BEHIND, collapse};
use crate::common::{
    CHECK, GLANCE, Kept, STOPPING, TAKEN, check_journal, frozen, listing, old_proofs, release,
};
use crate::decisions::clean;
use crate::facts::Fact;
use crate::glance::look;
use crate::inbox::Request;
use crate::live::lanes::Cancel;

impl Bot<'_> {
    pub(super) fn rows(&mut self, items: &mut Vec<FeedItem>) -> Result<(), LiveError> {
        if items.is_empty() {
            return Ok(());
        }
        let now = self.now();
        let mut rows: Vec<(Time, Time, MarketEvent)> = Vec::with_capacity(items.len());
        let mut proven = Vec::new();
        for item in items.drain(..) {
            match item {
                FeedItem::Market { received_at, venue_at, event } => {
                    rows.push((self.plan.clock.of_received(received_at), venue_at, event));
                }
                FeedItem::NewMarket(market) => {
                    if let (Some(created), Ok(condition)) =
                        (&self.plan.created, market.condition_id.parse())
                    {
                        let _ = created.try_send(condition);
                    }
                }
                FeedItem::Proven { token, .. } => proven.push(token.market()),
                FeedItem::Unverified { token, .. } => {
                    if let Some(market) = self.engine.universe().get(token.market()) {
                        tracing::warn!(market = %market.slug, "hashes or best prices of a book keep differing: it is no longer checked");
                    }
                }
            }
        }
        self.counts.rows += rows.len() as u64;
        if let Some((received, _, _)) = rows.last() {
            self.counts.last_row = Some(*received);
            // The first books of a connection say that it is up.
            self.check_link(now)?;
        }
        let mut events: Vec<(Time, Time, Event)> = rows
            .into_iter()
            .map(|(received, venue, event)| (received, venue, event.into()))
            .collect();
        if events.len() > BEHIND {
            self.counts.collapsed += collapse(&mut events, |row| &row.2);
        }
        for (received, venue_at, event) in events {
            self.plan.shared.metrics.received_to_engine.observe(received.until(now));
            self.handle(now, venue_at, event)?;
            while let Some(event) = self.queue.pop_front() {
                self.handle(now, now, event)?;
            }
        }
        for market in proven {
            if self.engine.states().get(market.index()).is_some_and(|state| state.trades()) {
                self.row(MarketEvent::Unverified { market, on: false })?;
            }
        }
        Ok(())
    }

    /// A row that did not come through the feed.
    pub(super) fn row(&mut self, event: MarketEvent) -> Result<(), LiveError> {
        let at = self.now();
        self.deliver(at, event.into())
    }

    pub(super) fn request(&mut self, request: Request) -> Result<(), LiveError> {
        match request {
            Request::List { market, reply } => {
                let listed = listing(self.engine, &market);
                if let Ok(key) = &listed {
                    self.row(MarketEvent::Listed { key: *key, market })?;
                }
                let _ = reply.send(listed);
            }
            Request::Delist { condition, reply } => {
                let gone = match self.engine.universe().key(&condition) {
                    None => true,
                    Some(market) if !self.engine.manager().flat(market) => false,
                    Some(market) => {
                        self.row(MarketEvent::Delisted { market })?;
                        true
                    }
                };
                let _ = reply.send(gone);
            }
            Request::State { condition, state } => self.state(&condition, state)?,
            Request::Control(event) => {
                let at = self.now();
                // What rests was signed for a version that is over.
                let other =
                    matches!(&event, ControlEvent::Blocker { cause: Cause::Version, on: true, .. });
                self.deliver(at, event.into())?;
                if other {
                    self.cancel(Cancel::All);
                }
            }
            Request::World(event) => {
                let at = self.now();
                self.deliver(at, (*event).into())?;
            }
            Request::Operator { event, durable } => self.operate(event, durable)?,
            Request::ReleaseMarket { name, durable } => match frozen(self.engine, &name) {
                Some(market) => self.operate(release(market), durable)?,
                None => drop(durable.send(Err(format!("no market {name} is frozen")))),
            },
            // Only the loop can end itself.
            Request::Stop(reply) => drop(reply),
            Request::Panic => panic!("as a test asked"),
        }
        Ok(())
    }

    pub(super) fn operate(
        &mut self,
        event: ControlEvent,
        reply: oneshot::Sender<Result<(), String>>,
    ) -> Result<(), LiveError> {
        let at = self.now();
        self.deliver(at, event.into())?;
        self.unanswered.add(Some(&self.plan.journal), at, reply);
        Ok(())
    }

    pub(super) fn state(
        &mut self,
        condition: &ConditionId,
        state: MarketState,
    ) -> Result<(), LiveError> {
        let Some(market) = self.engine.universe().key(condition) else { return Ok(()) };
        if self.engine.states().get(market.index()) != Some(&state) {
            self.row(MarketEvent::State { market, state })?;
        }
        Ok(())
    }

    /// Lets everything happen that is due now, and returns when something is due next.
    pub(super) fn turn(&mut self) -> Result<Time, LiveError> {
        let now = self.now();
        self.plan.shared.beat(self.plan.clock.server().steady());
        while self.engine.next_wake() <= now {
            // What a restart finds overdue happens now: an event of long ago would set the engine's clock back.
            let at = self.engine.next_wake().max(self.engine.now());
            self.deliver(at, ControlEvent::Timer.into())?;
        }
        if now >= self.next_check {
            self.check_link(now)?;
            for market in old_proofs(self.engine, now, self.plan.max_proof_age) {
                self.row(MarketEvent::Unverified { market, on: true })?;
            }
            self.check_journal(now)?;
            self.check_trouble(now)?;
            self.unanswered.answer(Some(&self.plan.journal), now);
            self.check_pass(now);
            self.next_check = now + CHECK;
        }
        if now >= self.next_glance {
            self.glance(now);
            self.next_glance = now + GLANCE;
        }
        Ok(self.engine.next_wake().min(self.next_check).min(self.next_glance))
    }

    pub(super) fn check_link(&mut self, at: Time) -> Result<(), LiveError> {
        let up = (self.plan.connections)().up > 0;
        if up != self.counts.up {
            self.counts.up = up;
            self.deliver(at, AccountEvent::Link { channel: Channel::Market, up }.into())?;
        }
        Ok(())
    }

    pub(super) fn check_journal(&mut self, now: Time) -> Result<(), LiveError> {
        match check_journal(&mut self.plan.journal, self.engine, now)? {
            Kept::Same => Ok(()),
            Kept::Over(why) => Err(LiveError::JournalOver(why)),
            Kept::Events(events) => {
                for event in events {
                    self.deliver(now, event.into())?;
                }
                Ok(())
            }
        }
    }

    pub(super) fn glance(&mut self, at: Time) {
        let feed = self.counts.glance(self.engine, (self.plan.connections)(), at, Span::ZERO);
        let decisions = self.decisions.last();
        let mut glance = look(self.engine, &self.plan.identity, at, feed, decisions);
        let cause: Cause = Cause::NotReconciled;
        if let Some(why) = self.waits_for(at)
            && let Some(blocker) =
                glance.blockers.iter_mut().find(|blocker| blocker.code == cause.code())
        {
            blocker.detail = clean(&format!("{}; {why}", blocker.detail));
        }
        self.plan.shared.publish(glance);
    }

    /// Stops new orders, cancels everything, and waits until the venue's own list is empty.
    pub(super) async fn end(
        mut self,
        reply: Option<oneshot::Sender<()>>,
        feed: &mut mpsc::Receiver<FeedItem>,
        items: &mut Vec<FeedItem>,
    ) -> Result<LiveEnded, LiveError> {
        let began = self.now();
        self.deliver(began, ControlEvent::Stop.into())?;
        self.cancel(Cancel::All);
        (self.pass.next, self.pass.begun) = (began, true);
        let mut ended_at = None;
        let verified = loop {
            let now = self.now();
            let open = self.engine.manager().orders().open_count();
            if open == 0 {
                ended_at.get_or_insert(now);
            }
            // Empty counts if it was asked for after the last order had ended.
            let empty = self.pass.empty_asked_at.zip(ended_at);
            if empty.is_some_and(|(asked, ended)| asked >= ended) {
                break true;
            }
            if began.until(now) >= STOPPING {
                break false;
            }
            self.pass.next = self.pass.next.min(now);
            let due = self.turn()?;
            let wait = tokio::time::sleep(self.until(due));
            tokio::select! {
                biased;
                report = self.plan.reports.recv() => if let Some(report) = report {
                    self.report(report)?;
                },
                item = self.plan.user.recv(), if !self.trouble.user_over => if let Some(item) = item {
                    self.reports()?;
                    self.user(&item)?;
                },
                taken = feed.recv_many(items, TAKEN) => {
                    if taken == 0 {
                        tokio::time::sleep(self.until(due)).await;
                    }
                    self.rows(items)?;
                }
                () = wait => {}
            }
        };
        let left_open = self.engine.manager().orders().open_count();
        let at = self.now();
        self.glance(at);
        self.plan.journal.soft(self.engine, Time::MAX)?;
        let equity = self.engine.manager().equity().now;
        let fact = Fact::RunEnd { at, equity, open_orders: left_open as u64 };
        self.plan.journal.fact(at, &fact)?;
        if let Some(reply) = reply {
            let _ = reply.send(());
        }
        // Trading is over. What is left to do has no deadline that the watchdog could know.
        self.plan.shared.rest();
        let state_hash = self.engine.state_hash();
        let state_hash = state_hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let start = self.start;
        Ok(LiveEnded { left_open, verified_empty: verified, start, equity, state_hash })
    }
}
