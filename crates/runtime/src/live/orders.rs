//! The lane of orders. Each order leaves at most once, after its journal entry is durable, while everything still
//! allows it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use polydesk_domain::{ClientOrderId, Code, ConditionId, OrderHash, Side, Span, Time};
use polydesk_gateway::{OrderFacts, WireRow};
use polydesk_journal::{AppendError, Change, Class, Delta, Payload, Seq};
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::{ApiError, Guard, OrderArgs, SignError, SignOrders, SignedOrder};
use tokio::sync::mpsc;

use super::permit::Permit;
use super::report::{Answers, Report, Reports};
use super::silence::Silence;
use super::stops::{Step, Stops};
use crate::clock::EngineClock;
use crate::glance::Shared;
use crate::keeping::Appender;
use crate::kill::Switch;
use crate::spin;

/// An order that the gate has approved. Only the engine's thread makes one, so what is signed was approved.
#[derive(Debug, Clone)]
pub struct Approved {
    pub(crate) id: ClientOrderId,
    pub(crate) args: OrderArgs,
    /// Its market.
    pub(crate) condition: ConditionId,
    /// When it was decided.
    pub(crate) decided_at: Time,
    /// The last proof of the book that it was priced from.
    pub(crate) data_at: Time,
    /// From then on it is not wanted any more.
    pub(crate) expires: Time,
}

/// Orders of one request: those of one signal or basket.
#[derive(Debug)]
pub struct OrderRequest {
    /// The journal's record of the decision.
    pub(crate) cause: Seq,
    /// At most fifteen.
    pub(crate) orders: Vec<Approved>,
}

/// How old what an order rests on may be when its first byte leaves.
#[derive(Debug, Clone, Copy)]
pub struct MaxAges {
    /// The decision.
    pub decision: Span,
    /// The proof of the book.
    pub data: Span,
}

/// What the lane works with.
pub struct OrderLane {
    /// The venue. Its connections are this lane's own.
    pub clob: Clob,
    /// The wallet.
    pub signer: Box<dyn SignOrders>,
    /// The journal.
    pub journal: Appender,
    /// Engine time.
    pub clock: EngineClock,
    /// What can stop an order.
    pub permit: Permit,
    /// Lists the orders that may be at the venue.
    pub switch: Arc<Switch>,
    /// To the engine's thread.
    pub reports: Reports,
    /// Bounds of ages.
    pub max_ages: MaxAges,
    /// For rehearsals.
    pub stops: Stops,
    /// Latencies.
    pub shared: Arc<Shared>,
    /// Slows down what stays unanswered.
    pub silence: Arc<Silence>,
    /// How long it looks for the next request before its thread parks; zero: not at all.
    pub spin: Duration,
}

/// A request that is signed and appended.
struct Ready {
    /// The record with its entries.
    entry: Seq,
    approved: Vec<Approved>,
    signed: Vec<SignedOrder>,
    decided_at: Time,
}

impl OrderLane {
    /// Works until nothing more can come and everything is answered.
    ///
    /// # Errors
    /// The journal takes nothing more: no order leaves without its entry.
    pub async fn run(mut self, mut requests: mpsc::Receiver<OrderRequest>) -> Result<(), String> {
        let mut sending = FuturesUnordered::new();
        let mut open = true;
        while open || !sending.is_empty() {
            if sending.is_empty() {
                spin::for_work(self.spin, || !requests.is_empty());
            }
            tokio::select! {
                biased;
                request = requests.recv(), if open => match request {
                    Some(request) => {
                        if let Some(ready) = self.prepare(request).map_err(|error| error.to_string())? {
                            sending.push(self.way().send(ready));
                        }
                    }
                    None => open = false,
                },
                Some(()) = sending.next() => {}
            }
        }
        Ok(())
    }

    /// What a request needs on its way, without the signer.
    fn way(&self) -> Way {
        Way {
            clob: self.clob.clone(),
            journal: self.journal.clone(),
            clock: self.clock.clone(),
            permit: self.permit.clone(),
            switch: Arc::clone(&self.switch),
            reports: self.reports.clone(),
            max_ages: self.max_ages,
            stops: self.stops.clone(),
            shared: Arc::clone(&self.shared),
            silence: Arc::clone(&self.silence),
        }
    }

    /// Checks, signs, and appends the entries. `None`: nothing leaves of this request, and that is reported.
    fn prepare(&mut self, request: OrderRequest) -> Result<Option<Ready>, AppendError> {
        let OrderRequest { cause, orders } = request;
        let now = self.clock.now();
        let Some(first) = orders.first() else { return Ok(None) };
        let decided_at = first.decided_at;
        self.stops.reached(Step::W4, orders.len());
        // A basket makes sense together only: one leg that may not leave holds all of them.
        let stopped = orders.iter().find_map(|order| {
            self.permit.stopped(order.id).or_else(|| too_old(order, self.max_ages, now))
        });
        // A sale makes a position smaller: no pause of the bot's own keeps one back.
        let adds = orders.iter().any(|order| order.args.side == Side::Buy);
        let silent = (adds && self.silence.waits(now)).then_some(Code::literal("venue_silent"));
        if let Some(why) = stopped.or(silent) {
            self.withheld(&orders, None, why);
            return Ok(None);
        }
        let millis = self.clock.server().now().nanos().div_euclid(1_000_000);
        let millis = u64::try_from(millis).unwrap_or(0);
        let mut signed = Vec::with_capacity(orders.len());
        for order in &orders {
            match self.signer.sign_order(&order.args, millis) {
                Ok(order) => signed.push(order),
                Err(error) => {
                    tracing::error!(order = %order.id, error = %error, "not signed");
                    let why = match error {
                        SignError::Refused(_) => Code::literal("no_such_order"),
                        SignError::Scope(_) => Code::literal("signer_refused"),
                    };
                    self.withheld(&orders, None, why);
                    return Ok(None);
                }
            }
        }
        self.stops.reached(Step::W5, orders.len());
        let rows: Vec<WireRow> = orders
            .iter()
            .zip(&signed)
            .map(|(order, signed)| {
                let facts = OrderFacts::of(signed, order.condition);
                WireRow::signed(order.id, signed.id(), facts, now)
            })
            .collect();
        let changes = rows.iter().map(|row| Change {
            table: WireRow::TABLE,
            key: &row.key,
            value: row.value.as_deref(),
        });
        // Entries of the lane belong to no event: nothing of the engine is checked against them.
        let delta = Delta { cause: Seq::ZERO, commands: [0; 32], changes: changes.collect() };
        let entry = self.journal.append(&Payload::Delta(&delta), Class::Fact)?;
        let entry = entry.max(cause);
        for (order, signed) in orders.iter().zip(&signed) {
            let facts = Box::new(OrderFacts::of(signed, order.condition));
            self.reports.send(Report::Bound { id: order.id, hash: signed.id(), facts, at: now });
        }
        Ok(Some(Ready { entry, approved: orders, signed, decided_at }))
    }

    fn withheld(&self, orders: &[Approved], signed: Option<&[SignedOrder]>, why: Code) {
        self.way().withheld(orders, signed, why);
    }
}

/// Why an order is too old to leave at `now`.
fn too_old(order: &Approved, ages: MaxAges, now: Time) -> Option<Code> {
    if now >= order.expires {
        Some(Code::literal("expired_before_sent"))
    } else if order.decided_at.until(now) > ages.decision {
        Some(Code::literal("decision_too_old"))
    } else if order.data_at.until(now) > ages.data {
        Some(Code::literal("data_too_old"))
    } else {
        None
    }
}

/// The way of one request after it is signed.
struct Way {
    clob: Clob,
    journal: Appender,
    clock: EngineClock,
    permit: Permit,
    switch: Arc<Switch>,
    reports: Reports,
    max_ages: MaxAges,
    stops: Stops,
    shared: Arc<Shared>,
    silence: Arc<Silence>,
}

impl Way {
    async fn send(self, ready: Ready) {
        let Ready { entry, approved, signed, decided_at } = ready;
        let hashes: Vec<OrderHash> = signed.iter().map(SignedOrder::id).collect();
        if let Err(error) = self.journal.settle(entry).await {
            tracing::error!(error = %error, "an order's entry is not durable: it does not leave");
            return self.withheld(&approved, Some(&signed), Code::literal("not_durable"));
        }
        self.shared.metrics.decision_to_durable.observe(decided_at.until(self.clock.now()));
        self.stops.reached(Step::W6, signed.len());
        // Listed before the flag is read: a kill either stops these orders or finds them.
        let mut open = true;
        for (order, hash) in approved.iter().zip(&hashes) {
            // Every one is listed, also after one that may not leave.
            open &= self.switch.enlist(*hash, order.condition);
        }
        if !open {
            return self.withheld(&approved, Some(&signed), Code::literal("killed"));
        }
        let why = Arc::new(OnceLock::new());
        let guard = self.guard(approved.clone(), hashes.clone(), Arc::clone(&why));
        let answers: Answers = match signed.as_slice() {
            [one] => match self.clob.place_while(one, Some(guard)).await {
                Err(error @ ApiError::Withheld(_)) => Err(error),
                answer => Ok(vec![answer]),
            },
            many => self.clob.place_batch_while(many, Some(guard)).await,
        };
        for order in &approved {
            self.permit.over(order.id);
        }
        if matches!(answers, Err(ApiError::Withheld(_))) {
            let why = why.get().copied().unwrap_or(Code::literal("withheld"));
            return self.withheld(&approved, Some(&signed), why);
        }
        let at = self.clock.now();
        let unknown = |error: &ApiError| matches!(error, ApiError::Unknown(_));
        let silent = match &answers {
            Err(error) => unknown(error),
            Ok(rows) => rows.iter().all(|row| row.as_ref().is_err_and(unknown)),
        };
        if silent {
            self.silence.unknown(at)
        } else {
            self.silence.answered()
        }
        self.shared.metrics.decision_to_answer.observe(decided_at.until(at));
        self.stops.reached(Step::W9, hashes.len());
        self.reports.send(Report::Placed { orders: hashes, answers, at });
    }

    /// Asked when the connection stands, before the first byte: the last look at everything that can stop an order.
    fn guard(
        &self,
        approved: Vec<Approved>,
        hashes: Vec<OrderHash>,
        why: Arc<OnceLock<Code>>,
    ) -> Guard {
        let (clock, permit, reports) =
            (self.clock.clone(), self.permit.clone(), self.reports.clone());
        let (ages, stops, shared) = (self.max_ages, self.stops.clone(), Arc::clone(&self.shared));
        Arc::new(move || {
            let now = clock.now();
            stops.reached(Step::W7, hashes.len());
            let stopped = approved
                .iter()
                .find_map(|order| permit.stopped(order.id).or_else(|| too_old(order, ages, now)));
            if let Some(stopped) = stopped {
                let _ = why.set(stopped);
                return false;
            }
            if let Some(order) = approved.first() {
                shared.metrics.decision_to_sent.observe(order.decided_at.until(now));
            }
            reports.send(Report::Sent { orders: hashes.clone(), at: now });
            stops.reached(Step::W8, hashes.len());
            true
        })
    }

    fn withheld(&self, orders: &[Approved], signed: Option<&[SignedOrder]>, why: Code) {
        let at = self.clock.now();
        for (index, order) in orders.iter().enumerate() {
            self.permit.over(order.id);
            let hash = signed.and_then(|signed| signed.get(index)).map(SignedOrder::id);
            if let Some(hash) = &hash {
                self.switch.delist(hash);
            }
            self.reports.send(Report::NotSent { id: order.id, hash, why, at });
        }
    }
}
