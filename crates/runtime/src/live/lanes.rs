//! The lanes of cancels and of reads. A cancel waits for no order, no lock and no disk; a read waits for no cancel.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use polydesk_domain::{Code, ConditionId, ConversionId, OrderHash, Span, Time, TokenId};
use polydesk_polymarket_api::Group;
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::clob::request::TradeFilter;

use super::chain::{ChainLane, ConversionJob, Converted};
use super::report::{Report, Reports, Waiting};
use crate::clock::EngineClock;
use polydesk_domain::{Cash, CashKind};

/// A cancel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancel {
    /// One order.
    Order(OrderHash),
    /// Every order of a market.
    Market(ConditionId),
    /// Every order of the account.
    All,
}

/// Cancels under way at once.
const CANCELS_AT_ONCE: usize = 16;
/// Orders of one cancel request.
const IDS_AT_ONCE: usize = 50;

/// Sends cancels as they come: those that wait together leave together.
pub async fn cancels(clob: Clob, clock: EngineClock, reports: Reports, from: Waiting<Cancel>) {
    let mut from = from.lock().await;
    let mut under = FuturesUnordered::new();
    let mut waiting = Vec::new();
    let mut open = true;
    while open || !under.is_empty() {
        tokio::select! {
            biased;
            taken = from.recv_many(&mut waiting, 1_024), if open && under.len() < CANCELS_AT_ONCE => {
                if taken == 0 {
                    open = false;
                }
                for request in requests(&mut waiting) {
                    under.push(cancel(&clob, &clock, &reports, request));
                }
            }
            Some(()) = under.next() => {}
        }
    }
    ended().await
}

/// Nothing can come any more: the run is over, and the lane is ended from outside.
pub(super) async fn ended() {
    std::future::pending().await
}

/// What leaves for the cancels that wait.
fn requests(waiting: &mut Vec<Cancel>) -> Vec<Request> {
    let mut out = Vec::new();
    let mut ids = BTreeSet::new();
    let mut markets = BTreeSet::new();
    let mut all = false;
    for cancel in waiting.drain(..) {
        match cancel {
            Cancel::All => all = true,
            Cancel::Market(market) => drop(markets.insert(market)),
            Cancel::Order(hash) => drop(ids.insert(hash)),
        }
    }
    // First what needs no ids: it also covers orders that the list of ids may not have.
    if all {
        out.push(Request::All);
    }
    out.extend(markets.into_iter().filter(|_| !all).map(Request::Market));
    let ids: Vec<OrderHash> = ids.into_iter().collect();
    // Named orders are cancelled by id also beside cancel-all: an order in flight is in no list of the venue yet.
    out.extend(ids.chunks(IDS_AT_ONCE).map(|ids| Request::Orders(ids.to_vec())));
    out
}

enum Request {
    All,
    Market(ConditionId),
    Orders(Vec<OrderHash>),
}

async fn cancel(clob: &Clob, clock: &EngineClock, reports: &Reports, request: Request) {
    let answer = match request {
        Request::All => clob.cancel_all().await,
        Request::Market(market) => clob.cancel_market(Some(&market), None).await,
        Request::Orders(orders) => {
            reports.send(Report::Cancelling { orders: orders.clone(), at: clock.now() });
            clob.cancel_orders(&orders).await
        }
    };
    reports.send(Report::Cancelled { answer: Box::new(answer), at: clock.now() });
}

/// A read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Read {
    /// An order by its id.
    Order(OrderHash),
    /// The trades in a token since a time.
    Trades(TokenId, Time),
}

/// Reads under way at once.
const READS_AT_ONCE: usize = 8;
/// How long single reads wait while lists need the quota.
const NO_ROOM: std::time::Duration = std::time::Duration::from_millis(200);
/// A read that was asked for again within this time is made once.
const AGAIN: Span = Span::millis(500);

/// Makes reads; one that is asked for while it waits, or right after it was made, is made once. The trades of one token
/// are one read, from the earliest time that was asked for.
pub async fn reads(clob: Clob, clock: EngineClock, reports: Reports, from: Waiting<Read>) {
    let mut from = from.lock().await;
    let mut under = FuturesUnordered::new();
    let (mut taken, mut wanted) = (Vec::new(), Wanted::default());
    let (mut open, mut waited) = (true, false);
    while open || !under.is_empty() {
        // A pass shows most of what single reads ask for, and shares their quota: it goes first.
        let room = has_room(&clob);
        while (room || core::mem::take(&mut waited))
            && under.len() < READS_AT_ONCE
            && let Some(read) = wanted.next(clock.now())
        {
            under.push(make(&clob, &clock, &reports, read));
        }
        let again = async {
            match room || wanted.is_empty() {
                true => std::future::pending().await,
                false => tokio::time::sleep(NO_ROOM).await,
            }
        };
        tokio::select! {
            biased;
            count = from.recv_many(&mut taken, 1_024), if open => {
                open = count > 0;
                taken.drain(..).for_each(|read| wanted.add(read));
            }
            Some(()) = under.next() => {}
            // One leaves all the same: nothing waits for ever.
            () = again => waited = true,
        }
    }
    ended().await
}

/// Whether the quota that lists and single reads share is more than half full.
fn has_room(clob: &Clob) -> bool {
    let budgets = clob.limits().budgets();
    let ledger = budgets.iter().find(|budget| budget.group == Group::Ledger);
    ledger.is_none_or(|budget| budget.free > budget.most / 2)
}

/// Reads that wait for their turn, each once, the oldest first.
#[derive(Debug, Default)]
struct Wanted {
    turns: VecDeque<Subject>,
    /// From when on each is read; orders have no such time.
    since: BTreeMap<Subject, Time>,
    /// When each was last made, and from when on it read.
    made: BTreeMap<Subject, (Time, Time)>,
}

/// What a read is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    Order(OrderHash),
    Trades(TokenId),
}

impl Wanted {
    fn add(&mut self, read: Read) {
        let (subject, since) = match read {
            Read::Order(hash) => (Subject::Order(hash), Time::MIN),
            Read::Trades(token, since) => (Subject::Trades(token), since),
        };
        match self.since.entry(subject) {
            Entry::Vacant(entry) => {
                entry.insert(since);
                self.turns.push_back(subject);
            }
            Entry::Occupied(mut entry) => {
                let earliest = since.min(*entry.get());
                entry.insert(earliest);
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.turns.is_empty()
    }

    /// The next one that is due; those that were made a moment ago are left out.
    fn next(&mut self, now: Time) -> Option<Read> {
        self.made.retain(|_, (at, _)| at.until(now) < AGAIN);
        while let Some(subject) = self.turns.pop_front() {
            let since = self.since.remove(&subject).unwrap_or(Time::MIN);
            if self.made.get(&subject).is_some_and(|(_, covered)| *covered <= since) {
                continue;
            }
            self.made.insert(subject, (now, since));
            return Some(match subject {
                Subject::Order(hash) => Read::Order(hash),
                Subject::Trades(token) => Read::Trades(token, since),
            });
        }
        None
    }
}

async fn make(clob: &Clob, clock: &EngineClock, reports: &Reports, read: Read) {
    match read {
        Read::Order(hash) => {
            let answer = Box::new(clob.order(&hash).await);
            reports.send(Report::Order { hash, answer, at: clock.now() });
        }
        Read::Trades(token, since) => {
            let asked = clock.now();
            let filter =
                TradeFilter { token: Some(token), after: Some(since), ..TradeFilter::default() };
            match clob.trades(&filter).await {
                Ok(trades) => reports.send(Report::Trades { trades, at: asked }),
                Err(error) => tracing::warn!(%error, "trades could not be read"),
            }
        }
    }
}

/// What the chain's lane does.
#[derive(Debug, Clone)]
pub enum ChainJob {
    /// Amounts of a transaction.
    Settle(String),
    /// A split, merge or redemption.
    Convert(ConversionJob),
    /// What became of one that may have been begun before.
    Resume(ConversionJob),
    /// The conversions whose outcome the engine still waits for.
    Pending(BTreeSet<ConversionId>),
}

/// How long amounts of a transaction are asked for: after that the estimate stands.
const SETTLING: Span = Span::secs(600);
/// Between two such questions.
const SETTLE_EVERY: std::time::Duration = std::time::Duration::from_secs(2);
/// Between two looks at a conversion whose outcome is not known.
const CONVERT_EVERY: std::time::Duration = std::time::Duration::from_secs(10);
/// Jobs at once.
const JOBS_AT_ONCE: usize = 8;

/// Works for the chain: amounts of settled fills, and conversions one after another.
pub async fn chain(
    lane: Arc<dyn ChainLane>,
    clock: EngineClock,
    reports: Reports,
    from: Waiting<ChainJob>,
) {
    let one_by_one = tokio::sync::Mutex::new(());
    let mut from = from.lock().await;
    let mut under = FuturesUnordered::new();
    let mut known: BTreeSet<Working> = BTreeSet::new();
    let mut open = true;
    while open || !under.is_empty() {
        tokio::select! {
            biased;
            job = from.recv(), if open && under.len() < JOBS_AT_ONCE => match job {
                // What is under way reports by itself: a question about it begins nothing beside it.
                Some(job) => match working(&job) {
                    Some(work) if !known.insert(work.clone()) => {}
                    _ => under.push(work(&*lane, &clock, &reports, &one_by_one, job)),
                },
                None => open = false,
            },
            Some(done) = under.next() => {
                if let Some(done) = done {
                    known.remove(&done);
                }
            }
        }
    }
    ended().await
}

/// What is done once at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Working {
    Transaction(String),
    Conversion(ConversionId),
}

fn working(job: &ChainJob) -> Option<Working> {
    match job {
        ChainJob::Settle(transaction) => Some(Working::Transaction(transaction.clone())),
        ChainJob::Convert(job) | ChainJob::Resume(job) => Some(Working::Conversion(job.id)),
        ChainJob::Pending(_) => None,
    }
}

async fn work(
    lane: &dyn ChainLane,
    clock: &EngineClock,
    reports: &Reports,
    one_by_one: &tokio::sync::Mutex<()>,
    job: ChainJob,
) -> Option<Working> {
    let done = working(&job);
    match job {
        ChainJob::Settle(transaction) => settle(lane, clock, reports, &transaction).await,
        ChainJob::Convert(job) => convert(lane, reports, one_by_one, &job, false).await,
        ChainJob::Resume(job) => convert(lane, reports, one_by_one, &job, true).await,
        ChainJob::Pending(pending) => {
            if let Err(error) = lane.pending(&pending).await {
                tracing::warn!(%error, "booked conversions are not struck off; the next booking does it");
            }
        }
    }
    done
}

/// Works on a conversion until its outcome is known.
async fn convert(
    lane: &dyn ChainLane,
    reports: &Reports,
    one_by_one: &tokio::sync::Mutex<()>,
    job: &ConversionJob,
    resume: bool,
) {
    loop {
        let converted = {
            // Two transactions of one wallet beside each other would use one nonce.
            let _turn = one_by_one.lock().await;
            if resume { lane.resume(job).await } else { lane.convert(job).await }
        };
        match converted {
            Ok(Converted::Moved(cash)) => return reports.send(Report::Converted(cash)),
            Ok(Converted::Failed) => return reports.send(Report::Converted(failed(job))),
            Ok(Converted::NonceTaken) => {
                // The market is frozen before the engine could try again.
                reports.send(Report::NonceTaken(job.condition));
                return reports.send(Report::Converted(failed(job)));
            }
            Ok(Converted::Unknown) => {}
            Err(error) => tracing::warn!(id = %job.id, %error, "a conversion is not known yet"),
        }
        tokio::time::sleep(CONVERT_EVERY).await;
    }
}

fn failed(job: &ConversionJob) -> Cash {
    Cash {
        kind: CashKind::Failed,
        conversion: Some(job.id),
        strategy: Some(job.strategy),
        market: None,
        amount: polydesk_domain::Usdc::ZERO,
        shares: Default::default(),
    }
}

async fn settle(lane: &dyn ChainLane, clock: &EngineClock, reports: &Reports, transaction: &str) {
    let began = clock.now();
    while began.until(clock.now()) < SETTLING {
        match lane.settled(transaction).await {
            Ok(Some((fills, depth))) if depth >= polydesk_gateway::DEPTH => {
                let transaction = transaction.to_owned();
                return reports.send(Report::Settled { transaction, fills, depth });
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "amounts of a transaction are not known yet"),
        }
        tokio::time::sleep(SETTLE_EVERY).await;
    }
    tracing::warn!(
        transaction,
        "no endpoint gave the amounts of a transaction: the estimate stands"
    );
}

/// A reason of the lanes.
pub(crate) const fn lane_full() -> Code {
    Code::literal("lane_full")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trades_of_one_token_are_one_read_from_the_earliest_time_and_each_order_is_read_once() {
        let (token, other) = (TokenId::from_bytes([1; 32]), TokenId::from_bytes([2; 32]));
        let order = |byte| Read::Order(OrderHash::from_bytes([byte; 32]));
        let (at, trades) =
            (Time::from_secs, |token, secs| Read::Trades(token, Time::from_secs(secs)));
        let mut wanted = Wanted::default();
        for read in [
            trades(token, 50),
            order(7),
            trades(token, 40),
            order(7),
            trades(other, 60),
            trades(token, 45),
        ] {
            wanted.add(read);
        }
        let due = |wanted: &mut Wanted, now| {
            std::iter::from_fn(|| wanted.next(now)).collect::<Vec<Read>>()
        };
        assert_eq!(due(&mut wanted, at(100)), [trades(token, 40), order(7), trades(other, 60)]);
        // Within half a second only what goes further back is read again.
        for read in [trades(token, 40), order(7), trades(other, 59)] {
            wanted.add(read);
        }
        assert_eq!(due(&mut wanted, at(100)), [trades(other, 59)]);
        wanted.add(order(7));
        assert_eq!(due(&mut wanted, at(101)), [order(7)]);
    }
}
