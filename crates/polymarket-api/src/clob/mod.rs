//! The CLOB over REST: market data, keys, orders, cancels, own orders and trades, balances, rewards.
//!
//! This file has the client itself, orders and own state; a subject each: [`request`] every request as data,
//! `public` market data, `keys`, `rewards`, `builders`, `notifications`, `heartbeat`.

mod builders;
mod clock;
mod geoblock;
mod heartbeat;
mod keys;
mod models;
mod notifications;
mod own;
mod public;
pub mod request;
mod rewards;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use polydesk_domain::{ConditionId, OrderHash, Span, Time, TokenId};
use rust_decimal::Decimal;
use serde::de::DeserializeOwned;
use tokio::sync::watch;

use crate::error::{Effect, from_answer};
use crate::limits::{RateLimits, SignerCost, SignerState};
use crate::transport::{Guard, HttpAnswer, HttpRequest, read_json, with_query};
use crate::wire::Num;
use crate::{
    ApiError, Http, L2Auth, Refusal, ServerClock, SignatureType, SignedOrder, ThrottledBy,
};

pub use builders::*;
pub use geoblock::*;
pub use heartbeat::*;
pub use keys::*;
pub use models::*;
pub use notifications::*;
pub use own::*;
pub(crate) use own::{plausible_shares, side};
use request::{AuthKind, Request};
pub use rewards::*;

/// The venue's trading mode, as inferred from its last responses to orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum VenueMode {
    /// Everything, as far as known.
    #[default]
    Normal,
    /// HTTP 425: the matching engine restarts. Books may be empty or stale afterwards.
    Restarting,
    /// Only post-only orders and cancels.
    PostOnly,
    /// Only cancels.
    CancelOnly,
    /// Nothing.
    Disabled,
}

/// Where an accepted order is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PlacedStatus {
    /// Resting.
    Live,
    /// Executed at least partly: the trades carry the amounts.
    Matched,
    /// Held back; cannot be cancelled.
    Delayed,
    /// The delay passed without a match: resting or killed, ask.
    Unmatched,
}

/// An order the venue took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The id, equal to the one computed before sending.
    pub id: OrderHash,
    /// Where it is.
    pub status: PlacedStatus,
    /// Trades made at placement.
    pub trade_ids: Vec<String>,
}

/// What a cancel did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cancelled {
    /// Out of the book.
    pub canceled: Vec<OrderHash>,
    /// Not cancelled, and why.
    pub not_canceled: Vec<(OrderHash, NotCanceled)>,
    /// Ids that could not be read; they belong to another client.
    pub unreadable: Vec<String>,
    /// Asked for by id and in no list of the answer: whether they rest is not known. Cancel them again.
    pub unanswered: Vec<OrderHash>,
    /// Why orders that stand in no list were not asked for: a later part of a large batch failed. They must
    /// be cancelled again.
    pub incomplete: Option<ApiError>,
}

/// A mode and the time until which it is assumed, by [`ServerClock::steady`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModeNote {
    /// The inferred mode.
    pub mode: VenueMode,
    /// From this time on it counts as [`VenueMode::Normal`].
    pub until: Time,
}

impl ModeNote {
    /// The mode at a steady time.
    pub fn at(&self, steady: Time) -> VenueMode {
        if steady < self.until { self.mode } else { VenueMode::Normal }
    }
}

/// The CLOB client. Clones share connections, limits, clock and mode.
#[derive(Clone)]
pub struct Clob {
    http: Http,
    base: Arc<str>,
    limits: Arc<RateLimits>,
    clock: ServerClock,
    auth: Option<Arc<L2Auth>>,
    wallet: Option<SignatureType>,
    mode: Arc<watch::Sender<ModeNote>>,
    /// When the last restriction was received (steady nanoseconds): older requests do not reset it.
    restricted: Arc<std::sync::atomic::AtomicI64>,
    /// When the clock was last measured because of a refusal (steady nanoseconds).
    resynced: Arc<std::sync::atomic::AtomicI64>,
}

impl core::fmt::Debug for Clob {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Clob({}, {:?})", self.base, self.auth)
    }
}

/// The most pages any list is followed for: a cursor that never ends is a fault, not a list.
const MOST_PAGES: usize = 10_000;
/// How long a cancel may stay unanswered before it is sent again.
const CANCEL_TRY: Duration = Duration::from_secs(2);
/// How often a list of our own is read until two passes agree.
const MOST_PASSES: usize = 5;
/// `POST /orders` takes so many.
pub const BATCH_ORDERS: usize = 15;
/// `DELETE /orders` takes so many.
pub const BATCH_CANCELS: usize = 1_000;

impl Clob {
    /// A client for public data at `base` (no trailing slash).
    pub fn new(http: Http, base: &str, limits: Arc<RateLimits>, clock: ServerClock) -> Clob {
        Clob {
            http,
            base: base.trim_end_matches('/').into(),
            limits,
            clock,
            auth: None,
            wallet: None,
            mode: Arc::new(watch::Sender::new(ModeNote {
                mode: VenueMode::Normal,
                until: Time::MIN,
            })),
            restricted: Arc::default(),
            resynced: Arc::new(std::sync::atomic::AtomicI64::new(i64::MIN)),
        }
    }

    /// The same client with credentials for private requests; `wallet` is the kind of wallet that holds the
    /// account's money, which every question about it names.
    pub fn with_auth(&self, auth: L2Auth, wallet: SignatureType) -> Clob {
        Clob { auth: Some(Arc::new(auth)), wallet: Some(wallet), ..self.clone() }
    }

    /// The kind of wallet whose money is asked about.
    fn wallet(&self) -> Result<SignatureType, ApiError> {
        self.wallet.ok_or_else(|| {
            ApiError::Misconfigured("questions about a wallet need API credentials".into())
        })
    }

    /// The credentials in use.
    pub fn auth(&self) -> Option<&L2Auth> {
        self.auth.as_deref()
    }
    /// The clock requests are stamped with.
    pub fn clock(&self) -> &ServerClock {
        &self.clock
    }
    /// The limits requests wait for.
    pub fn limits(&self) -> &RateLimits {
        &self.limits
    }
    /// The venue's trading mode. A restriction is assumed for as long as the venue stated, or for half a
    /// minute; then orders may be tried again.
    pub fn mode(&self) -> VenueMode {
        self.mode.borrow().at(self.clock.steady())
    }
    /// Wakes whenever a restriction is received, or reset by an accepted order. Its expiry does not wake: the
    /// note carries that time.
    pub fn watch_mode(&self) -> watch::Receiver<ModeNote> {
        self.mode.subscribe()
    }

    // ---- the venue itself ----

    /// `GET /time`, as a measurement of the server's clock. Returns how far it is ahead of the local one. A
    /// private request that is refused with 401 asks for it by itself, at most once in five seconds.
    pub async fn sync_clock(&self) -> Result<Span, ApiError> {
        let sent = self.clock.steady();
        let seconds: i64 = self.get(request::time()).await?;
        if !(1_500_000_000..4_000_000_000).contains(&seconds) {
            return Err(malformed(
                "GET /time",
                "no Unix seconds of this century",
                &seconds.to_string(),
            ));
        }
        let offset = self.clock.measured(sent, Time::from_secs(seconds), self.clock.steady());
        if offset.as_millis().abs() > 2_000 {
            tracing::warn!(
                offset_ms = offset.as_millis(),
                "the local clock is off; requests use the server's time"
            );
        }
        Ok(offset)
    }
    /// `GET /version`: 2 for CLOB V2. Anything else is not the venue this client was made for.
    pub async fn version(&self) -> Result<u32, ApiError> {
        Ok(self.get::<VersionAnswer>(request::version()).await?.version)
    }
    /// `GET /ok`: also keeps a connection warm.
    pub async fn ok(&self) -> Result<(), ApiError> {
        self.get::<String>(request::ok()).await.map(|_| ())
    }

    // ---- orders ----

    /// Sends an order (already journaled).
    ///
    /// Never repeated. [`ApiError::Unknown`] means: ask [`order`](Self::order), the trades and the user
    /// socket for this id, for minutes, and keep the funds reserved meanwhile.
    pub async fn place(&self, order: &SignedOrder) -> Result<Placed, ApiError> {
        self.place_while(order, None).await
    }

    /// The same while `guard` agrees: it is asked when the limits have admitted the request and the connection
    /// stands, just before the first byte. Where it does not agree, nothing leaves ([`ApiError::Withheld`]).
    pub async fn place_while(
        &self,
        order: &SignedOrder,
        guard: Option<Guard>,
    ) -> Result<Placed, ApiError> {
        let (id, post_only) = (order.id(), order.args().post_only);
        let left = self.clock.steady();
        let mut request = request::place(order.body().to_vec());
        let what = request.what();
        let body = request.body.take().unwrap_or_default();
        let sent = self
            .send_body(&request, body, guard)
            .await
            .and_then(|answer| read_json::<OrderAnswer>(answer, Effect::Once, &what));
        let placed = sent.map_err(known_words).and_then(|answer| placed(id, answer));
        self.note_mode(&placed, post_only, left);
        placed
    }

    /// Sends up to 15 orders. They are processed in parallel and not atomically: each has its own
    /// outcome, in the order given. An error of the whole request is the outcome of each.
    pub async fn place_batch(
        &self,
        orders: &[SignedOrder],
    ) -> Result<Vec<Result<Placed, ApiError>>, ApiError> {
        self.place_batch_while(orders, None).await
    }

    /// The same while `guard` agrees, as in [`place_while`](Self::place_while).
    pub async fn place_batch_while(
        &self,
        orders: &[SignedOrder],
        guard: Option<Guard>,
    ) -> Result<Vec<Result<Placed, ApiError>>, ApiError> {
        at_most(orders.len(), BATCH_ORDERS, "orders")?;
        if orders.is_empty() {
            return Ok(Vec::new());
        }
        let mut body = Vec::with_capacity(
            2 + orders.iter().map(|order| order.body().len() + 1).sum::<usize>(),
        );
        for (i, order) in orders.iter().enumerate() {
            body.push(if i == 0 { b'[' } else { b',' });
            body.extend_from_slice(order.body());
        }
        body.push(b']');
        let left = self.clock.steady();
        let mut request = request::place_batch(body, orders.len() as u32);
        let what = request.what();
        let body = request.body.take().unwrap_or_default();
        let sent = self
            .send_body(&request, body, guard)
            .await
            .and_then(|answer| read_json::<Vec<OrderAnswer>>(answer, Effect::Once, &what))
            .map_err(known_words);
        if let Err(error) = &sent {
            self.note_mode(&Err::<(), _>(error.clone()), false, left);
        }
        let answers = sent?;
        if answers.len() != orders.len() {
            return Err(ApiError::Unknown(format!(
                "{what}: {} answers to {} orders",
                answers.len(),
                orders.len()
            )));
        }
        // Rows belong to orders by their place. One that names another order shows that they do not.
        let strayed = orders.iter().zip(&answers).find_map(|(order, answer)| {
            let (id, named) = (order.id(), answer.order_id.parse::<OrderHash>().ok()?);
            (named != id).then(|| format!("{what}: the row of {id} names {named}"))
        });
        if let Some(text) = strayed {
            return Ok(orders.iter().map(|_| Err(ApiError::Unknown(text.clone()))).collect());
        }
        let outcomes: Vec<_> =
            orders.iter().zip(answers).map(|(order, answer)| placed(order.id(), answer)).collect();
        // A restriction reported for any leg outweighs the success of the others.
        let worst = outcomes.iter().position(|o| {
            matches!(
                o,
                Err(ApiError::Refused { why: Refusal::Restricted, .. } | ApiError::CancelOnly)
            )
        });
        let all_post_only = orders.iter().all(|order| order.args().post_only);
        if let Some(outcome) = worst.or(Some(0)).and_then(|index| outcomes.get(index)) {
            self.note_mode(outcome, all_post_only, left);
        }
        Ok(outcomes)
    }

    /// Cancels one order.
    pub async fn cancel(&self, order: &OrderHash) -> Result<Cancelled, ApiError> {
        self.cancelled(request::cancel_order(order), std::slice::from_ref(order)).await
    }
    /// Cancels up to 1000 orders, in requests that fit the signer's bucket.
    pub async fn cancel_orders(&self, orders: &[OrderHash]) -> Result<Cancelled, ApiError> {
        at_most(orders.len(), BATCH_CANCELS, "orders")?;
        let mut report = Cancelled::default();
        for chunk in orders.chunks(self.limits.cancels_at_once()) {
            let part = match self.cancelled(request::cancel_orders(chunk), chunk).await {
                Ok(part) => part,
                Err(error) if report == Cancelled::default() => return Err(error),
                Err(error) => {
                    // Reports what was done, and that the rest was not.
                    report.incomplete = Some(error);
                    return Ok(report);
                }
            };
            report.canceled.extend(part.canceled);
            report.not_canceled.extend(part.not_canceled);
            report.unreadable.extend(part.unreadable);
            report.unanswered.extend(part.unanswered);
        }
        Ok(report)
    }
    /// Cancels everything of this account.
    pub async fn cancel_all(&self) -> Result<Cancelled, ApiError> {
        self.cancelled_at_once(request::cancel_all()).await
    }
    /// Cancels everything of a market or token. Neither would be everything, so it is refused.
    pub async fn cancel_market(
        &self,
        market: Option<&ConditionId>,
        token: Option<&TokenId>,
    ) -> Result<Cancelled, ApiError> {
        if market.is_none() && token.is_none() {
            return Err(ApiError::Misconfigured("cancel_market needs a market or a token".into()));
        }
        self.cancelled_at_once(request::cancel_market(market, token)).await
    }

    async fn cancelled_at_once(&self, request: Request) -> Result<Cancelled, ApiError> {
        // The request itself counts as one, which an emergency did not take beforehand.
        let itself = usize::from(request.cost == SignerCost::Emergency);
        let report = self.cancelled(request, &[]).await?;
        self.limits.cancelled_at_once(report.canceled.len() + itself);
        Ok(report)
    }

    /// `asked` are the orders named in the request, if it names any.
    async fn cancelled(
        &self,
        request: Request,
        asked: &[OrderHash],
    ) -> Result<Cancelled, ApiError> {
        let left = self.clock.steady();
        let answer: CancelAnswer = match self.get(request).await {
            Ok(answer) => answer,
            Err(error) => {
                // Cancels are taken in every mode but these two; that one was taken shows nothing.
                if matches!(error, ApiError::Restarting { .. } | ApiError::Disabled(_)) {
                    self.note_mode(&Err::<(), _>(error.clone()), false, left);
                }
                return Err(error);
            }
        };
        let mut report = Cancelled::default();
        for id in answer.canceled {
            match id.parse() {
                Ok(order) => report.canceled.push(order),
                Err(_) => report.unreadable.push(id),
            }
        }
        for (id, reason) in answer.not_canceled {
            match id.parse() {
                Ok(order) => report.not_canceled.push((order, NotCanceled::read(&reason))),
                Err(_) => report.unreadable.push(id),
            }
        }
        let reported = |order: &OrderHash| {
            report.canceled.contains(order) || report.not_canceled.iter().any(|(o, _)| o == order)
        };
        let unanswered = asked.iter().filter(|order| !reported(order)).copied().collect();
        report.unanswered = unanswered;
        Ok(report)
    }

    // ---- own state ----

    /// One order; `None` when the venue does not know it (which alone does not prove that it never will).
    pub async fn order(&self, id: &OrderHash) -> Result<Option<OpenOrder>, ApiError> {
        match self.get::<Option<OpenOrder>>(request::order(id)).await {
            Err(ApiError::NotFound(_)) => Ok(None),
            other => other,
        }
    }
    /// All open orders; see [`OwnList`] for what more than one page proves.
    pub async fn open_orders(
        &self,
        filter: &request::OrderFilter,
    ) -> Result<OwnList<OpenOrder>, ApiError> {
        let page = |cursor: Option<&str>| request::open_orders(filter, cursor);
        self.own_pages(page, |order: &OpenOrder| order.id.clone()).await
    }
    /// All trades; see [`OwnList`] for what more than one page proves.
    pub async fn trades(&self, filter: &request::TradeFilter) -> Result<OwnList<Trade>, ApiError> {
        let page = |cursor: Option<&str>| request::trades(filter, cursor);
        self.own_pages(page, |trade: &Trade| trade.id.clone()).await
    }
    /// Balance and allowances as the venue has them cached, in millionths.
    pub async fn balance_allowance(
        &self,
        asset: request::Asset,
    ) -> Result<BalanceAllowance, ApiError> {
        self.get(request::balance_allowance(asset, self.wallet()?)).await
    }
    /// Makes the venue read the chain again: after deposits, approvals, splits, merges, redemptions.
    pub async fn update_balance_allowance(&self, asset: request::Asset) -> Result<(), ApiError> {
        let request = request::update_balance_allowance(asset, self.wallet()?);
        let (effect, what) = (request.effect, request.what());
        // The answer may be empty.
        let answer = self.send(&request).await?;
        if answer.ok() {
            return Ok(());
        }
        Err(from_answer(effect, answer.status, answer.retry_after(), &answer.body, &what))
    }

    // ---- plumbing ----

    /// Sends a request that may be repeated, and reads its answer. Reads are repeated twice when not
    /// reached or throttled for a short while; cancels four times when not reached, after two seconds a try:
    /// a request that is swallowed costs no more.
    async fn get<T: DeserializeOwned>(&self, request: Request) -> Result<T, ApiError> {
        let (effect, what) = (request.effect, request.what());
        let most = if request.cancels() { 4 } else { 2 };
        let mut tries = 0;
        loop {
            let sent =
                self.send(&request).await.and_then(|answer| read_json(answer, effect, &what));
            let pause = match &sent {
                Err(ApiError::Unreachable(_)) if effect != Effect::Once => {
                    Duration::from_millis(100 << tries)
                }
                Err(ApiError::Throttled { pause, by: ThrottledBy::Venue })
                    if effect == Effect::Read && *pause <= Duration::from_secs(2) =>
                {
                    *pause
                }
                _ => return sent,
            };
            tries += 1;
            if tries > most {
                return sent;
            }
            tokio::time::sleep(pause).await;
        }
    }

    /// Reads a list of our own until it is whole.
    async fn own_pages<T: DeserializeOwned>(
        &self,
        request: impl Fn(Option<&str>) -> Request,
        id: impl Fn(&T) -> String,
    ) -> Result<OwnList<T>, ApiError> {
        let mut seen: BTreeMap<String, T> = BTreeMap::new();
        let mut before: Option<Vec<String>> = None;
        for _ in 0..MOST_PASSES {
            let (rows, pages) = self.pass(&request).await?;
            let mut ids: Vec<String> = rows.iter().map(&id).collect();
            if pages == 1 {
                // A row that stands twice on one page is one row.
                let mut known = std::collections::BTreeSet::new();
                let rows = rows.into_iter().zip(ids).filter(|(_, id)| known.insert(id.clone()));
                return Ok(OwnList { rows: rows.map(|(row, _)| row).collect(), complete: true });
            }
            ids.sort();
            ids.dedup();
            if before.as_ref() == Some(&ids) {
                let mut known = std::collections::BTreeSet::new();
                let rows = rows.into_iter().filter(|row| known.insert(id(row))).collect();
                return Ok(OwnList { rows, complete: true });
            }
            seen.extend(rows.into_iter().map(|row| (id(&row), row)));
            before = Some(ids);
        }
        Ok(OwnList { rows: seen.into_values().collect(), complete: false })
    }

    /// Follows a list to its end.
    async fn pages<T: DeserializeOwned>(
        &self,
        request: impl Fn(Option<&str>) -> Request,
    ) -> Result<Vec<T>, ApiError> {
        self.pass(&request).await.map(|(rows, _)| rows)
    }

    /// Follows a list to its end; how many pages it had.
    async fn pass<T: DeserializeOwned>(
        &self,
        request: &impl Fn(Option<&str>) -> Request,
    ) -> Result<(Vec<T>, usize), ApiError> {
        let mut rows = Vec::new();
        let mut cursor: Option<String> = None;
        for pages in 1..=MOST_PAGES {
            let request = request(cursor.as_deref());
            let what = request.what();
            let own = request.auth == AuthKind::L2;
            let page: Page<T> = self.get(request).await?;
            // A list of our own that breaks off without saying so is not the whole list.
            if own && page.next_cursor.is_empty() {
                return Err(malformed(&what, "a page without next_cursor", ""));
            }
            let next = page.next().map(str::to_owned);
            rows.extend(page.data);
            if next.is_none() {
                return Ok((rows, pages));
            }
            if next == cursor {
                return Err(malformed(
                    &what,
                    "the cursor does not move",
                    &next.unwrap_or_default(),
                ));
            }
            cursor = next;
        }
        Err(ApiError::Malformed {
            to: "a list".into(),
            error: format!("more than {MOST_PAGES} pages"),
            excerpt: String::new(),
        })
    }

    /// Waits for its turn, signs, sends, and records the limits in the headers.
    async fn send(&self, request: &Request) -> Result<HttpAnswer, ApiError> {
        self.send_body(request, request.body.clone().unwrap_or_default(), None).await
    }

    /// The same with a body that need not be kept. What was refused for its time is sent again once if it
    /// may be repeated.
    async fn send_body(
        &self,
        request: &Request,
        body: Vec<u8>,
        guard: Option<Guard>,
    ) -> Result<HttpAnswer, ApiError> {
        let again = (request.effect != Effect::Once).then(|| body.clone());
        let ahead = self.clock.ahead();
        let answer = self.send_stamped(request, body, guard).await?;
        if answer.status != 401 || request.auth != AuthKind::L2 {
            return Ok(answer);
        }
        let verdict = self.clock_after_refusal(ahead).await;
        let answer = match again.filter(|_| verdict.was_off()) {
            Some(body) => self.send_stamped(request, body, None).await?,
            None => answer,
        };
        if answer.status == 401 { Err(verdict.named(request, &answer)) } else { Ok(answer) }
    }

    /// Waits for its turn, stamps, signs and sends.
    async fn send_stamped(
        &self,
        request: &Request,
        body: Vec<u8>,
        guard: Option<Guard>,
    ) -> Result<HttpAnswer, ApiError> {
        self.limits.admit(request.group, request.cost).await?;
        let headers = match request.auth {
            AuthKind::None => HeaderMap::new(),
            AuthKind::L1 | AuthKind::Builder => {
                let key = if request.auth == AuthKind::L1 { "the wallet's" } else { "a builder's" };
                let text = format!("{} needs {key} key", request.what());
                return Err(ApiError::Misconfigured(text));
            }
            AuthKind::L2 => {
                let auth = self.auth.as_ref().ok_or_else(|| {
                    ApiError::Misconfigured(format!("{} needs API credentials", request.what()))
                })?;
                auth.header_map(self.clock.secs(), request.method.as_str(), &request.path, &body)?
            }
        };
        self.send_guarded(request, headers, body, guard).await
    }

    pub(crate) async fn send_signed(
        &self,
        request: &Request,
        headers: HeaderMap,
        body: Vec<u8>,
    ) -> Result<HttpAnswer, ApiError> {
        self.send_guarded(request, headers, body, None).await
    }

    async fn send_guarded(
        &self,
        request: &Request,
        headers: HeaderMap,
        body: Vec<u8>,
        guard: Option<Guard>,
    ) -> Result<HttpAnswer, ApiError> {
        let limit = self.http.answer_timeout();
        let limit = if request.cancels() { limit.min(CANCEL_TRY) } else { limit };
        let wanted = HttpRequest {
            method: request.method.clone(),
            url: with_query([&self.base, request.path.as_str()].concat(), &request.query),
            headers,
            body: Bytes::from(body),
            effect: request.effect,
            what: request.what(),
            gzip: request.effect == Effect::Read,
        };
        let mut answer = match guard {
            Some(guard) => self.http.send_guarded(wanted, guard).await?,
            None => self.http.send_within(wanted, limit).await?,
        };
        let text = |name: &str| {
            answer.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        if let Some(remaining) = text("poly-ratelimit-remaining") {
            let state = SignerState {
                remaining,
                tier: text("poly-ratelimit-tier").unwrap_or_default(),
                warned: text("poly-ratelimit-warning")
                    .is_some_and(|word| word.eq_ignore_ascii_case("true")),
            };
            self.limits.record(request.cost, state);
        }
        if answer.status == 429 {
            let until_reset = || {
                let reset: f64 = text("poly-ratelimit-reset")?.trim().parse().ok()?;
                Duration::try_from_secs_f64((reset - self.clock.secs() as f64).max(0.0)).ok()
            };
            let pause = answer.retry_after().or_else(until_reset).unwrap_or(Duration::from_secs(1));
            // What takes risk away is asked for again soon, whatever the venue would like.
            let most = if request.cancels() { 5 } else { 3_600 };
            let pause = pause.min(Duration::from_secs(most));
            self.limits.venue_said_wait(request.group, pause);
            // The error that is made of this answer names the same pause.
            if let Ok(seconds) = HeaderValue::from_str(&pause.as_secs_f64().to_string()) {
                answer.headers.insert(http::header::RETRY_AFTER, seconds);
            }
        }
        Ok(answer)
    }

    /// Takes note of what an answer to an order shows that left at `left` (steady). A post-only order that is
    /// taken shows nothing about a post-only window; a business refusal shows nothing, because it may come before
    /// the mode is checked; and an order sent before a restriction was received does not reset it.
    fn note_mode<T>(&self, outcome: &Result<T, ApiError>, post_only: bool, left: Time) {
        use std::sync::atomic::Ordering::Relaxed;
        let half_a_minute = Duration::from_secs(30);
        let (mode, pause) = match outcome {
            Ok(_) if post_only && self.mode() == VenueMode::PostOnly => return,
            Ok(_) if left.nanos() < self.restricted.load(Relaxed) => return,
            Ok(_) => (VenueMode::Normal, Duration::ZERO),
            Err(ApiError::Restarting { pause }) => {
                (VenueMode::Restarting, (*pause).max(half_a_minute))
            }
            Err(ApiError::PostOnly { pause }) => (VenueMode::PostOnly, *pause),
            Err(ApiError::Refused { why: Refusal::Restricted, .. }) => {
                (VenueMode::PostOnly, half_a_minute)
            }
            Err(ApiError::CancelOnly) => (VenueMode::CancelOnly, half_a_minute),
            Err(ApiError::Disabled(_)) => (VenueMode::Disabled, half_a_minute),
            Err(_) => return,
        };
        let now = self.clock.steady();
        if mode != VenueMode::Normal {
            self.restricted.store(now.nanos(), Relaxed);
        }
        // Nothing the venue asks for is longer than an hour.
        let pause = Span::nanos(i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX));
        let note = ModeNote { mode, until: now + pause.min(Span::secs(3_600)) };
        self.mode.send_if_modified(|present| {
            let changed = present.mode != mode;
            *present = note;
            changed || mode != VenueMode::Normal
        });
    }
}

/// A refusal of an order in words that are not known proves nothing: the order may be there.
fn known_words(error: ApiError) -> ApiError {
    match error {
        ApiError::Refused { why: Refusal::Other, text, .. } => {
            ApiError::Unknown(format!("refused in words that are not known: {text}"))
        }
        error => error,
    }
}

/// Accepted means all of: success, no error, an id, a known status, and that the id is ours.
fn placed(id: OrderHash, answer: OrderAnswer) -> Result<Placed, ApiError> {
    let OrderAnswer { success, error, order_id, status, trade_ids, .. } = answer;
    if !error.is_empty() {
        // A refusal counts when its words are known to mean one, and no status of an open order stands beside
        // it. Unknown words prove nothing.
        let why = Refusal::read(&error);
        let known = !matches!(why, Refusal::Other | Refusal::DelayedByMarket);
        let lives = matches!(status.as_str(), "live" | "matched");
        if lives || !known {
            return Err(ApiError::Unknown(format!(
                "status {status:?} and id {order_id:?} together with the error {error:?}"
            )));
        }
        return Err(ApiError::refused(&error, (!order_id.is_empty()).then_some(order_id)));
    }
    let status = match status.as_str() {
        "live" => PlacedStatus::Live,
        "matched" => PlacedStatus::Matched,
        "delayed" => PlacedStatus::Delayed,
        "unmatched" => PlacedStatus::Unmatched,
        other => {
            return Err(ApiError::Unknown(format!("success {success} with the status {other:?}")));
        }
    };
    if !success {
        return Err(ApiError::Unknown(format!("success false with the status {status:?}")));
    }
    match order_id.parse::<OrderHash>() {
        Ok(theirs) if theirs == id => Ok(Placed { id, status, trade_ids }),
        _ => Err(ApiError::Unknown(format!("the venue calls the order {order_id:?}, not {id}"))),
    }
}

fn unwrap(map: BTreeMap<String, Num>) -> BTreeMap<String, Decimal> {
    map.into_iter().map(|(key, value)| (key, value.0)).collect()
}

fn at_most(n: usize, most: usize, what: &str) -> Result<(), ApiError> {
    if n <= most {
        return Ok(());
    }
    Err(ApiError::Misconfigured(format!("{n} {what} in one request; the venue takes {most}")))
}

fn malformed(to: &str, error: &str, excerpt: &str) -> ApiError {
    ApiError::Malformed {
        to: to.to_owned(),
        error: error.to_owned(),
        excerpt: excerpt.chars().take(200).collect(),
    }
}
