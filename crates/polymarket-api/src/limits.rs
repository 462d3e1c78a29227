//! Client-side rate limits that stay below the venue's: leaky buckets per group of endpoints, and per
//! signer for orders and cancels.
//!
//! Sources: the venue's table of IP limits (sliding windows of 10 s and 10 min) and of per-signer buckets.
//! Refusals were measured from 95 % of a quota on, so [`LimitsConfig::share_percent`] keeps below it.
//! Cancels have buckets of their own in every respect and never wait behind orders. Cancel-all bypasses the
//! client-side rate limiter: ordinary cancels use only a part of the signer's bucket, so that the venue still
//! has room for it. The venue's figures for a signer's bucket lower ours when it is fuller.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Duration;

use leaky_bucket::RateLimiter;
use polydesk_domain::Time;
use serde::{Deserialize, Serialize};

use crate::{ApiError, ServerClock, ThrottledBy};

/// Endpoints that share a quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Everything of the CLOB that has no line of its own.
    Clob,
    /// `/ok`.
    Ok,
    /// `/book`, `/price`, `/midpoint`, each.
    Book,
    /// `/books`, `/prices`, `/midpoints`, each.
    Books,
    /// `/prices-history`.
    PricesHistory,
    /// `/tick-size`.
    TickSize,
    /// `GET /balance-allowance`.
    Balance,
    /// `/balance-allowance/update`.
    BalanceUpdate,
    /// `POST /order`.
    Order,
    /// `POST /orders`.
    Orders,
    /// `DELETE /order`.
    Cancel,
    /// `DELETE /orders`.
    Cancels,
    /// `DELETE /cancel-all`.
    CancelAll,
    /// `DELETE /cancel-market-orders`.
    CancelMarket,
    /// `/data/orders`, `/data/trades`, `/data/order`.
    Ledger,
    /// `/notifications`.
    Notifications,
    /// `/auth/*`.
    Auth,
    /// Gamma in general.
    Gamma,
    /// Gamma `/events`.
    GammaEvents,
    /// Gamma `/markets`.
    GammaMarkets,
    /// Gamma `/public-search`.
    GammaSearch,
    /// Gamma `/tags`, `/comments`.
    GammaTags,
    /// Data API in general.
    Data,
    /// Data `/trades`, v1 and v2.
    DataTrades,
    /// Data `/positions` and `/closed-positions`, v1 and v2.
    DataPositions,
    /// `/v1/heartbeats`: without them the venue cancels everything, so nothing else's pause holds them.
    Heartbeat,
}

impl Group {
    /// The group all requests of a service count in together. Gamma and Data charge theirs themselves.
    fn service(self) -> Option<Group> {
        match self {
            Group::Clob
            | Group::Gamma
            | Group::GammaEvents
            | Group::GammaMarkets
            | Group::GammaSearch
            | Group::GammaTags
            | Group::Data
            | Group::DataTrades
            | Group::DataPositions => None,
            _ => Some(Group::Clob),
        }
    }

    /// Orders, cancels and heartbeats have lines of their own: reads do not hold them back, they hold back
    /// reads.
    fn never_waits(self) -> bool {
        matches!(
            self,
            Group::Order
                | Group::Orders
                | Group::Cancel
                | Group::Cancels
                | Group::CancelAll
                | Group::CancelMarket
                | Group::Heartbeat
        )
    }
}

/// A quota: so many requests in any window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Requests in any 10 seconds.
    pub burst: u32,
    /// Requests in any 10 minutes; 0 for no such limit.
    #[serde(default)]
    pub sustained: u32,
}

/// A signer's buckets, by its tier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignerQuota {
    /// Orders refilled a second.
    pub orders_per_second: u32,
    /// Orders at once.
    pub order_burst: u32,
    /// Cancels refilled a second.
    pub cancels_per_second: u32,
    /// Cancels at once.
    pub cancel_burst: u32,
}

/// All numbers, for a configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LimitsConfig {
    /// How much of each quota to use, 1 to 100.
    pub share_percent: u32,
    /// How long a request may wait for its turn before it is refused with a retry time, in milliseconds.
    pub patience_ms: u64,
    /// The same for orders: an order that waits is an old decision.
    pub order_patience_ms: u64,
    /// Part of the signer's cancel bucket that ordinary cancels leave alone, 0 to 90 per cent: it is there
    /// for cancelling everything.
    pub cancel_reserve_percent: u32,
    /// The signer's tier; the standard one unless the venue states another.
    pub signer: SignerQuota,
    /// Quotas that differ from the known ones.
    pub quotas: BTreeMap<Group, Quota>,
}

impl Default for LimitsConfig {
    fn default() -> LimitsConfig {
        LimitsConfig {
            share_percent: 85,
            patience_ms: 10_000,
            order_patience_ms: 250,
            cancel_reserve_percent: 30,
            signer: SignerQuota {
                orders_per_second: 40,
                order_burst: 60,
                cancels_per_second: 80,
                cancel_burst: 120,
            },
            quotas: BTreeMap::new(),
        }
    }
}

impl LimitsConfig {
    /// What is wrong with the numbers, each with its key and rule.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |fine: bool, text: String| {
            if !fine {
                problems.push(text);
            }
        };
        check(
            (1..=100).contains(&self.share_percent),
            format!("limits.share_percent is {}; it must be from 1 to 100", self.share_percent),
        );
        check(
            self.cancel_reserve_percent <= 90,
            format!(
                "limits.cancel_reserve_percent is {}; it must be from 0 to 90",
                self.cancel_reserve_percent
            ),
        );
        let signer = &self.signer;
        for (key, value) in [
            ("orders_per_second", signer.orders_per_second),
            ("order_burst", signer.order_burst),
            ("cancels_per_second", signer.cancels_per_second),
            ("cancel_burst", signer.cancel_burst),
        ] {
            check(
                (1..=1_000_000).contains(&value),
                format!("limits.signer.{key} is {value}; it must be from 1 to 1000000"),
            );
        }
        for (group, quota) in &self.quotas {
            // As it is written in the file.
            let name = serde_json::to_string(group).unwrap_or_default();
            check(
                (1..=10_000_000).contains(&quota.burst),
                format!(
                    "limits.quotas.{}.burst is {}; it must be from 1 to 10000000",
                    name.trim_matches('"'),
                    quota.burst
                ),
            );
        }
        problems
    }
}

/// The venue's published quotas (2026-07-25): (burst, sustained).
fn published(group: Group) -> Quota {
    let (burst, sustained) = match group {
        Group::Clob => (9_000, 0),
        Group::Ok => (100, 0),
        Group::Book => (1_500, 0),
        Group::Books => (500, 0),
        Group::PricesHistory => (1_000, 0),
        Group::TickSize => (200, 0),
        Group::Balance => (200, 0),
        Group::BalanceUpdate => (50, 0),
        Group::Order | Group::Cancel => (5_000, 120_000),
        Group::Orders => (2_000, 21_000),
        Group::Cancels => (2_000, 15_000),
        Group::CancelAll => (250, 6_000),
        Group::CancelMarket => (1_500, 21_000),
        Group::Ledger => (500, 0),
        Group::Notifications => (125, 0),
        Group::Auth => (100, 0),
        Group::Gamma => (4_000, 0),
        Group::GammaEvents => (500, 0),
        Group::GammaMarkets => (300, 0),
        Group::GammaSearch => (350, 0),
        Group::GammaTags => (200, 0),
        Group::Data => (800, 0),
        Group::DataTrades => (200, 0),
        Group::DataPositions => (150, 0),
        Group::Heartbeat => (50, 0),
    };
    Quota { burst, sustained }
}

/// What a request takes from the signer's buckets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SignerCost {
    /// Nothing.
    #[default]
    None,
    /// So many orders.
    Orders(u32),
    /// So many cancels.
    Cancels(u32),
    /// Cancelling everything: never waits, whatever the buckets hold.
    Emergency,
}

/// The venue's latest figures for the signer's bucket.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SignerState {
    /// `Poly-RateLimit-Remaining`, as text: can be negative or fractional.
    pub remaining: String,
    /// `Poly-RateLimit-Tier`.
    pub tier: String,
    /// `Poly-RateLimit-Warning: true`: it would have been refused.
    pub warned: bool,
}

/// How much of a group's quota of ten seconds is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Whose quota.
    pub group: Group,
    /// Requests that may leave at once.
    pub free: u32,
    /// The most that may be saved up.
    pub most: u32,
    /// How long the venue still wants to be left alone, in milliseconds; 0 if it does not.
    pub paused_ms: u64,
}

struct Windows {
    burst: RateLimiter,
    sustained: Option<RateLimiter>,
}

/// All buckets of one process.
pub struct RateLimits {
    config: LimitsConfig,
    groups: BTreeMap<Group, Windows>,
    orders: RateLimiter,
    cancels: RateLimiter,
    /// Cancels of the signer's bucket that ordinary ones leave alone.
    reserve: u32,
    /// Until when (steady time) the venue asked to be left alone, by group.
    paused: Mutex<BTreeMap<Group, Time>>,
    signer: Mutex<SignerState>,
    clock: ServerClock,
}

impl core::fmt::Debug for RateLimits {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("RateLimits").field("config", &self.config).finish_non_exhaustive()
    }
}

const GROUPS: [Group; 26] = [
    Group::Clob,
    Group::Ok,
    Group::Book,
    Group::Books,
    Group::PricesHistory,
    Group::TickSize,
    Group::Balance,
    Group::BalanceUpdate,
    Group::Order,
    Group::Orders,
    Group::Cancel,
    Group::Cancels,
    Group::CancelAll,
    Group::CancelMarket,
    Group::Ledger,
    Group::Notifications,
    Group::Auth,
    Group::Gamma,
    Group::GammaEvents,
    Group::GammaMarkets,
    Group::GammaSearch,
    Group::GammaTags,
    Group::Data,
    Group::DataTrades,
    Group::DataPositions,
    Group::Heartbeat,
];

impl RateLimits {
    /// Buckets by `config`, which must have no [`problems`](LimitsConfig::problems).
    pub fn new(config: LimitsConfig, clock: ServerClock) -> Result<RateLimits, ApiError> {
        if let Some(problem) = config.problems().into_iter().next() {
            return Err(ApiError::Misconfigured(problem));
        }
        let share =
            |quota: u32| (u64::from(quota) * u64::from(config.share_percent) / 100).max(1) as u32;
        let groups = GROUPS
            .into_iter()
            .map(|group| {
                let quota = config.quotas.get(&group).copied().unwrap_or_else(|| published(group));
                let windows = Windows {
                    burst: bucket(share(quota.burst), Duration::from_secs(10)),
                    sustained: (quota.sustained > 0)
                        .then(|| bucket(share(quota.sustained), Duration::from_secs(600))),
                };
                (group, windows)
            })
            .collect();
        let signer = config.signer;
        let reserve = signer.cancel_burst * config.cancel_reserve_percent / 100;
        Ok(RateLimits {
            groups,
            orders: per_second(share(signer.orders_per_second), share(signer.order_burst)),
            cancels: per_second(
                share(signer.cancels_per_second),
                share(signer.cancel_burst - reserve).max(1),
            ),
            reserve,
            paused: Mutex::default(),
            signer: Mutex::new(SignerState::default()),
            config,
            clock,
        })
    }

    /// What is left of each group's quota now. Buckets refill when they are asked: what is shown may lag by what
    /// came in since the last request.
    pub fn budgets(&self) -> Vec<Budget> {
        let paused = self.lock_paused();
        let now = self.clock.steady();
        self.groups
            .iter()
            .map(|(group, windows)| {
                let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
                let left = paused.get(group).map_or(0, |until| now.until(*until).as_millis());
                Budget {
                    group: *group,
                    free: number(windows.burst.balance()),
                    most: number(windows.burst.max()),
                    paused_ms: u64::try_from(left).unwrap_or(0),
                }
            })
            .collect()
    }

    /// Waits for the request's turn, or returns how long to wait. Nothing is taken on an error of the
    /// first check; a request that could never fit is a mistake, not a wait.
    pub async fn admit(&self, group: Group, cost: SignerCost) -> Result<(), ApiError> {
        // Cancel-all bypasses the client-side rate limiter.
        if cost != SignerCost::Emergency
            && let Some(until) = self.lock_paused().get(&group)
        {
            let left = until.nanos().saturating_sub(self.clock.steady().nanos());
            if left > 0 {
                return Err(throttled(Duration::from_nanos(left as u64), ThrottledBy::Venue));
            }
        }
        let patience = Duration::from_millis(match group {
            Group::Order | Group::Orders => self.config.order_patience_ms,
            Group::Heartbeat => self.config.patience_ms.min(500),
            Group::Cancel | Group::Cancels | Group::CancelAll | Group::CancelMarket => {
                self.config.patience_ms.min(2_000)
            }
            _ => self.config.patience_ms,
        });
        let (signer, n, what) = match cost {
            // The venue may refuse it, we do not.
            SignerCost::Emergency => return Ok(()),
            SignerCost::None => (None, 0, ""),
            SignerCost::Orders(n) => (Some(&self.orders), n, "orders"),
            SignerCost::Cancels(n) => (Some(&self.cancels), n, "cancels"),
        };
        let service = group.service().and_then(|service| self.groups.get(&service));
        let windows = self.groups.get(&group);
        // The signer's tokens last: they are the scarce ones, and none is taken for what does not go.
        let turn = async {
            match service {
                // Counted and let through.
                Some(service) if group.never_waits() => drop(service.burst.try_acquire(1)),
                Some(service) => service.burst.acquire(1).await,
                None => {}
            }
            if let Some(windows) = windows {
                windows.burst.acquire(1).await;
                if let Some(sustained) = &windows.sustained {
                    sustained.acquire(1).await;
                }
            }
            match signer {
                Some(bucket) => take(bucket, n, what).await,
                None => Ok(()),
            }
        };
        tokio::time::timeout(patience, turn).await.unwrap_or_else(|_| {
            let burst = windows.map(|windows| room_in(&windows.burst, 1));
            let sustained = windows.and_then(|windows| windows.sustained.as_ref());
            let sustained = sustained.map(|bucket| room_in(bucket, 1));
            let signer = signer.map(|bucket| room_in(bucket, n as usize));
            let pause = [burst, sustained, signer].into_iter().flatten().max();
            let least = Duration::from_millis(50);
            Err(throttled(pause.unwrap_or(least).max(least), ThrottledBy::Ourselves))
        })
    }

    /// The venue answered 429 to a request of this group. Groups that draw on the signer's buckets pause
    /// together with their like; nothing pauses anything else.
    pub fn venue_said_wait(&self, group: Group, pause: Duration) {
        let nanos = i64::try_from(pause.as_nanos()).unwrap_or(i64::MAX / 4);
        let until = self.clock.steady() + polydesk_domain::Span::nanos(nanos);
        let together: &[Group] = match group {
            Group::Order | Group::Orders => &[Group::Order, Group::Orders],
            Group::Cancel | Group::Cancels => &[Group::Cancel, Group::Cancels],
            _ => &[group],
        };
        let mut paused = self.lock_paused();
        for group in together {
            let present = paused.entry(*group).or_insert(until);
            *present = (*present).max(until);
        }
    }

    /// The most cancels one request may hold.
    pub fn cancels_at_once(&self) -> usize {
        self.cancels.max().clamp(1, 1_000)
    }

    /// Takes note of the `Poly-RateLimit-*` headers of an answer to a request of this cost. A bucket of ours
    /// that is fuller than the venue's is emptied to it: something else signs with this key, or the tier is
    /// a lower one than configured.
    pub fn record(&self, cost: SignerCost, state: SignerState) {
        if state.warned {
            tracing::warn!(remaining = %state.remaining, tier = %state.tier, "the venue warns: over the signer's rate limit");
        }
        // Fractions and negative numbers occur; text that is no number is ignored.
        let left = state.remaining.trim().parse::<f64>().ok().filter(|left| left.is_finite());
        if let Some(left) = left.map(|left| left.max(0.0) as usize) {
            match cost {
                SignerCost::None => {}
                SignerCost::Orders(_) => lower(&self.orders, left),
                SignerCost::Cancels(_) | SignerCost::Emergency => {
                    lower(&self.cancels, left.saturating_sub(self.reserve as usize));
                }
            }
        }
        *self.signer.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = state;
    }

    /// One request cancelled so many orders, and each counts as a cancel. Where the venue states what is left
    /// in the bucket, they are already counted.
    pub fn cancelled_at_once(&self, orders: usize) {
        if self.signer_state().remaining.is_empty() {
            lower(&self.cancels, self.cancels.balance().saturating_sub(orders));
        }
    }

    /// The venue's latest figures for the signer's bucket.
    pub fn signer_state(&self) -> SignerState {
        self.signer.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn lock_paused(&self) -> std::sync::MutexGuard<'_, BTreeMap<Group, Time>> {
        self.paused.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// How long until a bucket holds so many.
fn room_in(bucket: &RateLimiter, n: usize) -> Duration {
    let missing = n.saturating_sub(bucket.balance());
    let refills = missing.div_ceil(bucket.refill().max(1));
    bucket.interval().saturating_mul(u32::try_from(refills).unwrap_or(u32::MAX))
}

/// Empties a bucket down to `left`.
fn lower(bucket: &RateLimiter, left: usize) {
    let over = bucket.balance().saturating_sub(left);
    if over > 0 {
        // Taken meanwhile by another request: then it is lower anyway.
        bucket.try_acquire(over);
    }
}

fn throttled(pause: Duration, by: ThrottledBy) -> ApiError {
    ApiError::Throttled { pause, by }
}

async fn take(bucket: &RateLimiter, n: u32, what: &str) -> Result<(), ApiError> {
    if n as usize > bucket.max() {
        return Err(ApiError::Misconfigured(format!(
            "one request with {n} {what}, but the bucket holds {}: send fewer at once",
            bucket.max()
        )));
    }
    bucket.acquire(n as usize).await;
    Ok(())
}

/// A quarter of the quota at once and the rest evenly: no window of that length holds more than the quota.
pub fn bucket(quota: u32, window: Duration) -> RateLimiter {
    let at_once = (quota / 4).max(1);
    let rate = u64::from(quota.saturating_sub(at_once).max(1));
    refilled(at_once, window.as_micros() as u64 / rate.max(1))
}

fn per_second(rate: u32, burst: u32) -> RateLimiter {
    refilled(burst.max(1), 1_000_000 / u64::from(rate.max(1)))
}

/// One permit each `micros`, or several each 2 ms where that would be too fine for a timer.
fn refilled(max: u32, micros: u64) -> RateLimiter {
    let micros = micros.max(1);
    let (refill, interval) =
        if micros >= 2_000 { (1, micros) } else { ((2_000 / micros).max(1), 2_000) };
    RateLimiter::builder()
        .max(max as usize)
        .initial(max as usize)
        .refill(refill as usize)
        .interval(Duration::from_micros(interval))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(config: LimitsConfig) -> RateLimits {
        RateLimits::new(config, ServerClock::over(|| Time::from_secs(1_000))).unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn no_window_holds_more_than_the_quota() {
        let config = LimitsConfig {
            quotas: [(Group::Book, Quota { burst: 40, sustained: 0 })].into(),
            share_percent: 100,
            ..LimitsConfig::default()
        };
        let limits = limits(config);
        let start = tokio::time::Instant::now();
        let mut at = Vec::new();
        for _ in 0..200 {
            limits.admit(Group::Book, SignerCost::None).await.unwrap();
            at.push(start.elapsed());
        }
        for (i, from) in at.iter().enumerate() {
            let within = at[i..].iter().filter(|t| **t < *from + Duration::from_secs(10)).count();
            assert!(within <= 41, "{within} requests within ten seconds from {from:?}");
        }
        assert!(start.elapsed() < Duration::from_secs(70), "{:?}", start.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn reads_do_not_hold_back_orders_cancels_or_heartbeats() {
        let config = LimitsConfig {
            quotas: [(Group::Clob, Quota { burst: 8, sustained: 0 })].into(),
            share_percent: 100,
            patience_ms: 0,
            ..LimitsConfig::default()
        };
        let limits = limits(config);
        let mut reads = 0;
        while limits.admit(Group::Book, SignerCost::None).await.is_ok() {
            reads += 1;
        }
        assert_eq!(reads, 2, "all requests of the CLOB count together");
        let start = tokio::time::Instant::now();
        limits.admit(Group::Order, SignerCost::Orders(1)).await.unwrap();
        limits.admit(Group::Cancel, SignerCost::Cancels(1)).await.unwrap();
        limits.admit(Group::Heartbeat, SignerCost::None).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn cancels_do_not_wait_behind_orders() {
        let limits = limits(LimitsConfig::default());
        let mut orders = 0;
        while limits.admit(Group::Order, SignerCost::Orders(15)).await.is_ok() && orders < 100 {
            orders += 1;
        }
        let start = tokio::time::Instant::now();
        limits.admit(Group::Cancel, SignerCost::Cancels(1)).await.unwrap();
        limits.admit(Group::CancelAll, SignerCost::Emergency).await.unwrap();
        assert_eq!(start.elapsed(), Duration::ZERO);
    }

    #[tokio::test(start_paused = true)]
    async fn the_reserve_is_left_when_all_other_cancels_are_spent() {
        let limits = limits(LimitsConfig { patience_ms: 0, ..LimitsConfig::default() });
        let mut cancels = 0;
        while limits.admit(Group::Cancel, SignerCost::Cancels(10)).await.is_ok() {
            cancels += 1;
        }
        assert!((3..20).contains(&cancels), "{cancels}");
        limits.admit(Group::CancelAll, SignerCost::Emergency).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_bucket_is_never_fuller_than_the_venues() {
        // The venue's stated balance, and how many requests pass at once after it: burst 60 (orders) and 120 of which
        // 36 are kept (cancels), a share of 85 %.
        let cases: [(&str, usize, usize); 8] = [
            ("60", 51, 24),
            ("119.5", 51, 71),
            ("10", 10, 0),
            ("46.9", 46, 10),
            ("-3.25", 0, 0),
            ("", 51, 71),
            ("NaN", 51, 71),
            ("soon", 51, 71),
        ];
        for (remaining, orders, cancels) in cases {
            let limits = limits(LimitsConfig {
                patience_ms: 0,
                order_patience_ms: 0,
                ..LimitsConfig::default()
            });
            let state = SignerState { remaining: remaining.into(), ..SignerState::default() };
            limits.record(SignerCost::Orders(1), state.clone());
            let mut went = 0;
            while limits.admit(Group::Order, SignerCost::Orders(1)).await.is_ok() {
                went += 1;
            }
            assert_eq!(went, orders, "orders after {remaining:?}");
            limits.record(SignerCost::Emergency, state);
            let mut went = 0;
            while limits.admit(Group::Cancel, SignerCost::Cancels(1)).await.is_ok() {
                went += 1;
            }
            assert_eq!(went, cancels, "cancels after {remaining:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn cancelling_everything_counts_each_order_it_took_down() {
        let limits = limits(LimitsConfig { patience_ms: 0, ..LimitsConfig::default() });
        limits.cancelled_at_once(50);
        assert_eq!(limits.cancels.balance(), 71 - 50);
        limits.cancelled_at_once(usize::MAX);
        assert_eq!(limits.cancels.balance(), 0);
        limits.admit(Group::CancelAll, SignerCost::Emergency).await.unwrap();
        // The venue's own count is not counted twice.
        let limits = super::tests::limits(LimitsConfig::default());
        let state = SignerState { remaining: "70".into(), ..SignerState::default() };
        limits.record(SignerCost::Emergency, state);
        limits.cancelled_at_once(50);
        assert_eq!(limits.cancels.balance(), 70 - 36);
    }

    #[tokio::test(start_paused = true)]
    async fn what_could_never_fit_is_a_mistake() {
        let limits = limits(LimitsConfig::default());
        let error = limits.admit(Group::Cancels, SignerCost::Cancels(200)).await.unwrap_err();
        assert!(matches!(error, ApiError::Misconfigured(_)), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_venues_pause_holds_its_lane_only() {
        let limits = limits(LimitsConfig::default());
        limits.venue_said_wait(Group::Order, Duration::from_secs(7));
        let error = limits.admit(Group::Orders, SignerCost::Orders(1)).await.unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
        limits.admit(Group::Cancel, SignerCost::Cancels(1)).await.unwrap();
        limits.admit(Group::Book, SignerCost::None).await.unwrap();
        // Neither a scan of markets nor a refused cancel stops heartbeats or the cancelling of everything.
        for group in
            [Group::GammaEvents, Group::Clob, Group::Ledger, Group::Cancel, Group::CancelAll]
        {
            limits.venue_said_wait(group, Duration::from_secs(3_600));
        }
        for _ in 0..200 {
            limits.admit(Group::CancelAll, SignerCost::Emergency).await.unwrap();
        }
        limits.admit(Group::Heartbeat, SignerCost::None).await.unwrap();
    }
}
