//! Cancels everything of an account until the venue shows no open order: all at once first, then by id, then by
//! market, with reads in between. It needs credentials and a connection, and nothing of the engine.
//!
//! The three lanes (all at once, ids, reads) never wait for each other: a request that hangs holds up its own lane.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use polydesk_domain::OrderHash;
use polydesk_journal::Latch;
use polydesk_polymarket_api::clob::request::OrderFilter;
use polydesk_polymarket_api::clob::{Cancelled, Clob};
use polydesk_polymarket_api::{ApiError, ThrottledBy};
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::latch::{self, LatchWriter, Writing};
use super::sweep::Sweep;
use super::switch::{Switch, Trigger, Via};

/// How long the first cancel waits for the latch.
pub const LATCH_PATIENCE: Duration = Duration::from_millis(20);
/// How long the ladder of SIGTERM may take.
pub const STOP_LIMIT: Duration = Duration::from_secs(10);
/// Without an answer to cancelling everything for so long, ids and markets are tried beside it.
const ALL_PATIENCE: Duration = Duration::from_secs(1);
/// When open orders are read, from the trigger on, in milliseconds; then each [`READ_EVERY`].
const READS_MS: [u64; 6] = [300, 600, 1_000, 1_500, 2_000, 4_000];
const READ_EVERY: Duration = Duration::from_secs(5);
/// After a read that failed.
const READ_AGAIN: Duration = Duration::from_secs(2);
/// How long one read of all pages may take.
const READ_LIMIT: Duration = Duration::from_secs(10);
/// An order in flight that has no end so long after the trigger counts as unknown.
const IN_FLIGHT: Duration = Duration::from_secs(2);
/// Two reads prove that nothing arrives late only when they are so far apart.
const APART: Duration = Duration::from_secs(5);
/// Where what is in flight is not listed, the last read is asked at least so long after the trigger.
const UNLISTED: Duration = Duration::from_secs(20);
/// How long the disk may take to sync once everything is cancelled.
const SYNC_PATIENCE: Duration = Duration::from_secs(2);
/// Between two rounds by id, in the first minute after the trigger and later.
const IDS_EVERY: Duration = Duration::from_secs(1);
const IDS_EVERY_LATER: Duration = Duration::from_secs(5);
const FIRST_MINUTE: Duration = Duration::from_secs(60);
/// The pace against a venue that restarts, is disabled or cannot be reached: it doubles from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const DOWN_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Where the orders are listed that may be in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// In the switch of this process.
    Here,
    /// Nowhere that this program sees: reads must show that nothing arrives late.
    Elsewhere,
}

/// What a ladder works with.
#[derive(Clone)]
pub struct Plan {
    /// With credentials, over connections of its own.
    pub clob: Clob,
    /// Of the process.
    pub switch: Arc<Switch>,
    /// Writes the latch; `None`: it stays as it is (SIGTERM).
    pub latch: Option<Arc<dyn LatchWriter>>,
    /// Where orders in flight are listed.
    pub listing: Listing,
    /// Number of the run; 0 outside of any.
    pub run: u32,
    /// Cancels that the account's tier refills a second: `limits.signer.cancels_per_second`.
    pub cancels_per_second: u32,
    /// Gets each step as it happens. It must not wait.
    pub steps: Arc<dyn Fn(&Step) + Send + Sync>,
}

/// Whether the kill survives a restart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Latched {
    /// It survives the loss of power.
    Synced,
    /// It survives the end of the process, and the disk has not synced: acting, NOT latched.
    Unsynced(String),
    /// It was not written: acting, NOT latched.
    Not(String),
    /// The latch was not asked for.
    NotAsked,
}

impl Latched {
    /// Whether the trigger may be acknowledged.
    pub fn holds(&self) -> bool {
        matches!(self, Latched::Synced)
    }
}

impl fmt::Display for Latched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Latched::Synced => f.write_str("latched"),
            Latched::Unsynced(why) => write!(f, "acting, NOT latched: written, not synced: {why}"),
            Latched::Not(why) => write!(f, "acting, NOT latched: {why}"),
            Latched::NotAsked => f.write_str("not to be latched"),
        }
    }
}

/// What a ladder has reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// From the trigger until the read was asked that showed no open order first; `None`: none did.
    pub zero_after: Option<Duration>,
    /// Whether that read proves it: no answer was missing and nothing can arrive late.
    pub confirmed: bool,
    /// Open by the last read.
    pub left: Vec<OrderHash>,
    /// Neither proven to be gone nor seen.
    pub unknown: Vec<OrderHash>,
    /// Whether the kill survives a restart.
    pub latched: Latched,
}

/// Something that a ladder did or learned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Since the trigger.
    pub after: Duration,
    /// What.
    pub kind: StepKind,
}

/// The kinds of steps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepKind {
    /// The gate is closed and heartbeats stop.
    Began,
    /// What became of the latch.
    Latch(Latched),
    /// Everything is being cancelled at once.
    AllSent,
    /// So many orders were cancelled at once; so many were not.
    AllAnswered(usize, usize),
    /// Cancelling everything at once failed.
    AllFailed(String),
    /// So many ids are being cancelled.
    IdsSent(usize),
    /// So many of them were cancelled; so many were not.
    IdsAnswered(usize, usize),
    /// Cancelling ids failed.
    IdsFailed(String),
    /// A market was cancelled: so many orders.
    Market(usize),
    /// Cancelling a market failed.
    MarketFailed(String),
    /// The venue shows so many open orders; `false`: the list was not complete.
    Read(usize, bool),
    /// Open orders could not be read.
    ReadFailed(String),
    /// The end; whether it is proven that no order is open.
    Ended(bool),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ms: ", self.after.as_millis())?;
        match &self.kind {
            StepKind::Began => write!(f, "the gate is closed, heartbeats stop"),
            StepKind::Latch(latched) => write!(f, "{latched}"),
            StepKind::AllSent => write!(f, "cancelling everything"),
            StepKind::AllAnswered(done, not) => write!(f, "{done} cancelled, {not} not"),
            StepKind::AllFailed(why) => write!(f, "cancelling everything failed: {why}"),
            StepKind::IdsSent(count) => write!(f, "cancelling {count} by id"),
            StepKind::IdsAnswered(done, not) => write!(f, "by id {done} cancelled, {not} not"),
            StepKind::IdsFailed(why) => write!(f, "cancelling by id failed: {why}"),
            StepKind::Market(done) => write!(f, "{done} cancelled in a market"),
            StepKind::MarketFailed(why) => write!(f, "cancelling a market failed: {why}"),
            StepKind::Read(open, true) => write!(f, "{open} open"),
            StepKind::Read(open, false) => write!(f, "at least {open} open; the list is not whole"),
            StepKind::ReadFailed(why) => write!(f, "open orders cannot be read: {why}"),
            StepKind::Ended(true) => write!(f, "no order is open"),
            StepKind::Ended(false) => write!(f, "ended before it was proven that no order is open"),
        }
    }
}

/// Cancels until nothing is open. `limit` counts from the trigger; without one the ladder goes on for ever.
///
/// The switch must be closed before: nothing that leaves later is looked for.
pub async fn run(plan: &Plan, trigger: &Trigger, limit: Option<Duration>) -> Outcome {
    let work = Work::new(plan, trigger);
    work.step(StepKind::Began);
    work.refresh().await;
    let mut latch = work.begin_latch();
    let body = async {
        let (mut reads, mut all) = (std::pin::pin!(work.reads()), std::pin::pin!(work.all()));
        let mut ids = std::pin::pin!(work.ids());
        tokio::select! {
            biased;
            after = &mut reads => after,
            never = &mut all => never,
            never = &mut ids => never,
        }
    };
    work.first_of_latch(&mut latch).await;
    let body = async {
        let mut body = std::pin::pin!(body);
        tokio::select! {
            biased;
            after = &mut body => after,
            () = work.rest_of_latch(&mut latch) => body.await,
        }
    };
    let ended = match limit {
        Some(limit) => timeout_at(work.began + limit, body).await.ok(),
        None => Some(body.await),
    };
    work.last_of_latch(&mut latch).await;
    work.step(StepKind::Ended(ended.is_some()));
    let (passed, clean) = (work.began.elapsed(), work.clean_since());
    let sweep = work.sweep();
    Outcome {
        zero_after: ended.or(clean),
        confirmed: ended.is_some(),
        left: sweep.open(),
        unknown: sweep.unknown(passed),
        latched: latch.state,
    }
}

/// The latch of one kill, while it is being written.
struct LatchWork {
    /// Until each has answered: a channel that has answered must not be asked again.
    written: Option<Answer>,
    synced: Option<Answer>,
    state: Latched,
}

type Answer = oneshot::Receiver<Result<(), String>>;

impl LatchWork {
    fn without(state: Latched) -> LatchWork {
        LatchWork { written: None, synced: None, state }
    }

    /// Waits for the write.
    async fn wait_written(&mut self) {
        let Some(written) = &mut self.written else { return };
        let answer = written.await.unwrap_or_else(|_| Err(ENDED.to_owned()));
        self.written = None;
        self.state = match answer {
            Ok(()) => Latched::Unsynced(SILENT.to_owned()),
            Err(why) => Latched::Not(why),
        };
    }

    /// Waits for the sync, after the write.
    async fn wait_synced(&mut self) {
        self.wait_written().await;
        let Some(synced) = &mut self.synced else { return };
        let answer = synced.await.unwrap_or_else(|_| Err(ENDED.to_owned()));
        self.synced = None;
        self.state = match (answer, &self.state) {
            (Ok(()), _) => Latched::Synced,
            (Err(why), Latched::Not(_)) => Latched::Not(why),
            (Err(why), _) => Latched::Unsynced(why),
        };
    }
}

struct Work<'a> {
    plan: &'a Plan,
    trigger: &'a Trigger,
    began: Instant,
    state: Mutex<State>,
    /// Everything is to be cancelled at once again.
    again: Notify,
    /// There may be ids to cancel.
    ids: Notify,
}

#[derive(Default)]
struct State {
    sweep: Sweep,
    /// When the last answer to a cancel came.
    answered: Option<Instant>,
    /// The first of the clean reads since something was open.
    clean: Option<Instant>,
    /// An order in flight had no end in time, or nothing lists what is in flight.
    uncertain: bool,
    /// The list of the process was read at least once.
    listed: bool,
}

impl<'a> Work<'a> {
    fn new(plan: &'a Plan, trigger: &'a Trigger) -> Work<'a> {
        let passed = trigger.at.until(plan.clob.clock().steady()).as_nanos();
        let passed = Duration::from_nanos(u64::try_from(passed).unwrap_or(0));
        let now = Instant::now();
        let began = now.checked_sub(passed).unwrap_or(now);
        let (again, ids) = (Notify::new(), Notify::new());
        Work { plan, trigger, began, state: Mutex::default(), again, ids }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sweep(&self) -> SweepGuard<'_> {
        SweepGuard(self.state())
    }

    fn clean_since(&self) -> Option<Duration> {
        self.state().clean.map(|at| at.saturating_duration_since(self.began))
    }

    fn step(&self, kind: StepKind) {
        let step = Step { after: self.began.elapsed(), kind };
        match step.kind {
            StepKind::AllFailed(_) | StepKind::IdsFailed(_) | StepKind::ReadFailed(_) => {
                tracing::error!(%step, "kill");
            }
            _ => tracing::warn!(%step, "kill"),
        }
        (self.plan.steps)(&step);
    }

    // ---- the latch ----

    fn begin_latch(&self) -> LatchWork {
        let Some(latch) = &self.plan.latch else { return LatchWork::without(Latched::NotAsked) };
        if self.trigger.via == Via::Latch {
            return LatchWork::without(Latched::Synced);
        }
        let at_ms = self.plan.clob.clock().local().millis();
        let Trigger { by, via, why, .. } = self.trigger;
        let state = latch::state(Latch::Killed, by, via.name(), why, at_ms, self.plan.run);
        let Writing { written, synced } = latch.write(state);
        let (written, synced) = (Some(written), Some(synced));
        LatchWork { written, synced, state: Latched::Not(SILENT.to_owned()) }
    }

    /// Waits for the write, and not for long.
    async fn first_of_latch(&self, latch: &mut LatchWork) {
        if latch.written.is_some() {
            let _ = timeout(LATCH_PATIENCE, latch.wait_written()).await;
            self.step(StepKind::Latch(latch.state.clone()));
        }
    }

    /// Waits for the sync beside everything else; never ends where there is none.
    async fn rest_of_latch(&self, latch: &mut LatchWork) {
        if latch.synced.is_none() {
            return std::future::pending().await;
        }
        latch.wait_synced().await;
        self.step(StepKind::Latch(latch.state.clone()));
    }

    async fn last_of_latch(&self, latch: &mut LatchWork) {
        if latch.synced.is_some() {
            let _ = timeout(SYNC_PATIENCE, self.rest_of_latch(latch)).await;
        }
    }

    // ---- everything at once ----

    async fn all(&self) -> Duration {
        let mut failures = 0;
        loop {
            self.step(StepKind::AllSent);
            let sent = self.send_all().await;
            let pause = match &sent {
                Ok(answer) => {
                    failures = 0;
                    self.note(|sweep| sweep.all_answered(answer));
                    let not = answer.not_canceled.len();
                    self.step(StepKind::AllAnswered(answer.canceled.len(), not));
                    None
                }
                Err(error) => {
                    self.all_failed(error);
                    failures += 1;
                    Some(self.pause(error, failures))
                }
            };
            self.ids.notify_one();
            match pause {
                Some(pause) => sleep(pause).await,
                None => self.again.notified().await,
            }
        }
    }

    async fn send_all(&self) -> Result<Cancelled, ApiError> {
        let mut sent = std::pin::pin!(self.plan.clob.cancel_all());
        match timeout(ALL_PATIENCE, &mut sent).await {
            Ok(answer) => answer,
            Err(_) => {
                self.sweep().all_failed();
                self.ids.notify_one();
                sent.await
            }
        }
    }

    fn all_failed(&self, error: &ApiError) {
        let down = matches!(error, ApiError::Restarting { .. } | ApiError::Disabled(_));
        match down {
            true => self.sweep().all_down(),
            false => self.sweep().all_failed(),
        }
        self.step(StepKind::AllFailed(error.to_string()));
    }

    // ---- by id, and by market ----

    async fn ids(&self) -> Duration {
        let mut failures = 0;
        loop {
            let ids = self.sweep().ids();
            if ids.is_empty() {
                self.ids.notified().await;
                continue;
            }
            let failed = self.cancel_ids(&ids).await;
            let throttled = matches!(failed, Some(ApiError::Throttled { .. }));
            if failed.is_some() && !throttled {
                self.cancel_markets().await;
            }
            let pace = match self.began.elapsed() < FIRST_MINUTE {
                true => IDS_EVERY,
                false => IDS_EVERY_LATER,
            };
            match failed {
                None => {
                    failures = 0;
                    // A read that shows an order wakes this lane at once.
                    let _ = timeout(pace, self.ids.notified()).await;
                }
                Some(error) => {
                    failures += 1;
                    sleep(self.pause(&error, failures)).await;
                }
            }
        }
    }

    /// Cancels ids in requests below the burst; the last error, if any.
    async fn cancel_ids(&self, ids: &[OrderHash]) -> Option<ApiError> {
        self.step(StepKind::IdsSent(ids.len()));
        let mut failed = None;
        for part in ids.chunks(self.plan.clob.limits().cancels_at_once()) {
            match self.plan.clob.cancel_orders(part).await {
                Ok(answer) => {
                    self.note(|sweep| sweep.ids_answered(part, &answer));
                    let done = answer.canceled.len();
                    self.step(StepKind::IdsAnswered(done, part.len().saturating_sub(done)));
                    failed = answer.incomplete.or(failed);
                }
                Err(error) => {
                    self.step(StepKind::IdsFailed(error.to_string()));
                    failed = Some(error);
                }
            }
        }
        failed
    }

    async fn cancel_markets(&self) {
        let markets = self.sweep().markets();
        for market in markets {
            match self.plan.clob.cancel_market(Some(&market), None).await {
                Ok(answer) => {
                    self.note(|sweep| sweep.ids_answered(&[], &answer));
                    self.step(StepKind::Market(answer.canceled.len()));
                }
                Err(error) => self.step(StepKind::MarketFailed(error.to_string())),
            }
        }
    }

    fn note(&self, take: impl FnOnce(&mut Sweep)) {
        let mut state = self.state();
        take(&mut state.sweep);
        state.answered = Some(Instant::now());
    }

    /// How long to wait after an error, by the venue's word where it gives one.
    fn pause(&self, error: &ApiError, failures: u32) -> Duration {
        let doubled = |first: Duration| {
            let times = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
            first.saturating_mul(times).min(LONGEST_PAUSE)
        };
        match error {
            ApiError::Throttled { pause, by: ThrottledBy::Venue } => {
                self.refilled().map_or(*pause, |exact| exact.min(*pause))
            }
            ApiError::Throttled { pause, by: ThrottledBy::Ourselves } => *pause,
            ApiError::Restarting { pause } => (*pause).max(doubled(DOWN_PAUSE)).min(LONGEST_PAUSE),
            ApiError::Disabled(_) => doubled(DOWN_PAUSE),
            _ => doubled(FIRST_PAUSE),
        }
    }

    /// Until one cancel is in the account's bucket again, by the venue's figure. `Retry-After` counts whole seconds:
    /// a debt of a few tokens would cost a second more than it takes to refill.
    fn refilled(&self) -> Option<Duration> {
        let left: rust_decimal::Decimal =
            self.plan.clob.limits().signer_state().remaining.trim().parse().ok()?;
        let rate = rust_decimal::Decimal::from(self.plan.cancels_per_second.max(1));
        let missing = rust_decimal::Decimal::ONE.checked_sub(left)?;
        let millis = missing.checked_mul(1_000.into())?.checked_div(rate)?.ceil();
        // The venue's clock and ours do not tick together.
        let millis = u64::try_from(millis).ok()?.saturating_add(25);
        Some(Duration::from_millis(millis.max(50)))
    }

    // ---- reads ----

    /// Reads until it is proven that nothing is open; how long after the trigger that was asked first.
    async fn reads(&self) -> Duration {
        let mut number = 0;
        let mut next = self.began + read_at(number);
        loop {
            sleep_until(next).await;
            self.refresh().await;
            let asked = Instant::now();
            let filter = OrderFilter::default();
            let read = timeout(READ_LIMIT, self.plan.clob.open_orders(&filter)).await;
            let late = || ApiError::Unreachable("no whole list in time".to_owned());
            let failed = match read.unwrap_or_else(|_| Err(late())) {
                Ok(rows) => {
                    self.step(StepKind::Read(rows.len(), rows.complete));
                    self.sweep().read(&rows, rows.complete);
                    if let Some(after) = self.judge(asked, rows.complete) {
                        return after;
                    }
                    false
                }
                Err(error) => {
                    self.step(StepKind::ReadFailed(error.to_string()));
                    true
                }
            };
            let now = Instant::now();
            while self.began + read_at(number) <= now {
                number += 1;
            }
            next = self.began + read_at(number);
            if failed {
                next = next.min(now + READ_AGAIN);
            }
        }
    }

    /// What a read proves that was asked then.
    fn judge(&self, asked: Instant, complete: bool) -> Option<Duration> {
        let mut state = self.state();
        if !state.sweep.is_clean() {
            state.clean = None;
            drop(state);
            self.again.notify_one();
            self.ids.notify_one();
            return None;
        }
        let passed = asked.saturating_duration_since(self.began);
        let unresolved = !state.sweep.unknown(passed).is_empty();
        state.uncertain |= unresolved && passed >= IN_FLIGHT;
        // What was cancelled after it was asked may have been missing in it by chance.
        let late = state.answered.is_some_and(|at| at > asked);
        if unresolved || late || !complete {
            state.clean = None;
            return None;
        }
        let first = *state.clean.get_or_insert(asked);
        let unlisted = !state.listed;
        let apart = asked.saturating_duration_since(first) >= APART;
        let proven = match (unlisted, state.uncertain) {
            (true, _) => apart && passed >= UNLISTED,
            (false, true) => apart,
            (false, false) => true,
        };
        proven.then(|| first.saturating_duration_since(self.began))
    }

    /// Takes the list of the process over, where it is free.
    async fn refresh(&self) {
        if self.plan.listing == Listing::Elsewhere {
            return;
        }
        if let Some(orders) = self.plan.switch.listed().await {
            let mut state = self.state();
            state.sweep.listed(&orders);
            state.listed = true;
        }
    }
}

const ENDED: &str = "the thread that writes the latch has ended";
const SILENT: &str = "the disk has not answered";

/// When the read of this number is asked, from the trigger on.
fn read_at(number: usize) -> Duration {
    let last = READS_MS.len() - 1;
    let listed = READS_MS.get(number).or(READS_MS.last()).copied().unwrap_or_default();
    let more = u32::try_from(number.saturating_sub(last)).unwrap_or(u32::MAX);
    Duration::from_millis(listed).saturating_add(READ_EVERY.saturating_mul(more))
}

/// The sweep under its lock.
struct SweepGuard<'a>(MutexGuard<'a, State>);

impl std::ops::Deref for SweepGuard<'_> {
    type Target = Sweep;
    fn deref(&self) -> &Sweep {
        &self.0.sweep
    }
}

impl std::ops::DerefMut for SweepGuard<'_> {
    fn deref_mut(&mut self) -> &mut Sweep {
        &mut self.0.sweep
    }
}

/// The ladder of the end of a process: without a latch, for at most [`STOP_LIMIT`].
pub fn stopping<'a>(plan: &'a Plan, trigger: &'a Trigger) -> impl Future<Output = Outcome> + 'a {
    run(plan, trigger, Some(STOP_LIMIT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_asked_soon_and_then_each_five_seconds() {
        let times: Vec<u64> = (0..9).map(|number| read_at(number).as_millis() as u64).collect();
        assert_eq!(times, [300, 600, 1_000, 1_500, 2_000, 4_000, 9_000, 14_000, 19_000]);
    }
}
