//! Rate limits: sliding windows per address at the edge, and token buckets per signer in the engine.

use std::collections::{BTreeMap, VecDeque};

use alloy::primitives::Address;
use polydesk_domain::{Span, Time};
use serde::Deserialize;

/// The reaction to a request beyond a limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enforcement {
    /// None, without headers.
    Off,
    /// None, but the headers show the limit.
    Warn,
    /// The request waits until there is room (windows per address only).
    Queue,
    /// 429.
    On,
}

/// Volume tier of a signer: orders a second, burst, cancels a second, burst, debt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Orders refilled each second.
    pub orders: u32,
    /// Orders at once.
    pub order_burst: u32,
    /// Cancels refilled each second.
    pub cancels: u32,
    /// Cancels at once.
    pub cancel_burst: u32,
    /// Whether the cancel balance may go below zero.
    pub debt: bool,
}

impl Tier {
    /// A tier by the venue's name (limits of 2026-07-24).
    pub fn named(name: &str) -> Option<Tier> {
        let (orders, order_burst, cancels, cancel_burst, debt) = match name {
            "standard" => (40, 60, 80, 120, true),
            "copper" => (60, 90, 120, 180, true),
            "bronze" => (80, 120, 160, 240, true),
            "silver" => (200, 300, 400, 600, true),
            "gold" => (400, 600, 800, 1_200, true),
            "platinum" => (450, 675, 900, 1_350, false),
            "diamond" => (525, 787, 1_050, 1_575, false),
            "elite" => (600, 900, 1_200, 1_800, false),
            _ => return None,
        };
        Some(Tier { orders, order_burst, cancels, cancel_burst, debt })
    }
}

/// Limits of an exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitSetup {
    /// Windows per address.
    pub ip: Enforcement,
    /// The windows' quotas in percent of the documented ones.
    pub ip_percent: u32,
    /// Buckets per signer.
    pub signer: Enforcement,
    /// Name shown for the tier.
    pub tier_name: String,
    /// Its figures.
    pub tier: Tier,
}

impl Default for LimitSetup {
    fn default() -> LimitSetup {
        LimitSetup {
            ip: Enforcement::On,
            ip_percent: 100,
            signer: Enforcement::On,
            tier_name: "standard".to_owned(),
            tier: Tier { orders: 40, order_burst: 60, cancels: 80, cancel_burst: 120, debt: true },
        }
    }
}

impl LimitSetup {
    /// For tests: nothing is refused; the headers of the buckets are there.
    pub fn lenient() -> LimitSetup {
        LimitSetup { ip: Enforcement::Off, signer: Enforcement::Warn, ..LimitSetup::default() }
    }
}

/// Name of a window, its length in seconds and its quota.
type Window = (&'static str, i64, u32);

/// The windows a request counts in.
fn windows(service: &str, method: &str, path: &str) -> Vec<Window> {
    let mut found = vec![("all", 10, 15_000)];
    let mut add = |window: Window| found.push(window);
    match service {
        "clob" => {
            add(("clob", 10, 9_000));
            match (method, path) {
                (_, "/ok") => add(("ok", 10, 100)),
                (_, "/book") => add(("book", 10, 1_500)),
                (_, "/price") => add(("price", 10, 1_500)),
                (_, "/midpoint") => add(("midpoint", 10, 1_500)),
                (_, "/books") => add(("books", 10, 500)),
                (_, "/prices") => add(("prices", 10, 500)),
                (_, "/midpoints") => add(("midpoints", 10, 500)),
                (_, "/prices-history") => add(("history", 10, 1_000)),
                (_, path) if path.starts_with("/tick-size") => add(("tick", 10, 200)),
                (_, "/balance-allowance") => add(("balance", 10, 200)),
                (_, "/balance-allowance/update") => add(("update", 10, 50)),
                ("POST", "/order") => {
                    add(("post order", 10, 5_000));
                    add(("post order, sustained", 600, 120_000));
                }
                ("DELETE", "/order") => {
                    add(("cancel", 10, 5_000));
                    add(("cancel, sustained", 600, 120_000));
                }
                ("POST", "/orders") => {
                    add(("post orders", 10, 2_000));
                    add(("post orders, sustained", 600, 21_000));
                }
                ("DELETE", "/orders") => {
                    add(("cancel many", 10, 2_000));
                    add(("cancel many, sustained", 600, 15_000));
                }
                ("DELETE", "/cancel-all") => {
                    add(("cancel all", 10, 250));
                    add(("cancel all, sustained", 600, 6_000));
                }
                ("DELETE", "/cancel-market-orders") => {
                    add(("cancel market", 10, 1_500));
                    add(("cancel market, sustained", 600, 21_000));
                }
                ("GET", "/data/orders") => {
                    add(("ledger", 10, 900));
                    add(("data orders", 10, 500));
                }
                ("GET", "/data/trades") => {
                    add(("ledger", 10, 900));
                    add(("data trades", 10, 500));
                }
                ("GET", "/notifications") => {
                    add(("ledger", 10, 900));
                    add(("notifications", 10, 125));
                }
                ("GET", path) if path.starts_with("/data/order/") => add(("ledger", 10, 900)),
                (_, path) if path.starts_with("/auth/") => add(("auth", 10, 100)),
                _ => {}
            }
        }
        "gamma" => {
            add(("gamma", 10, 4_000));
            if path.starts_with("/events") {
                add(("gamma both", 10, 900));
                add(("gamma events", 10, 500));
            } else if path.starts_with("/markets") {
                add(("gamma both", 10, 900));
                add(("gamma markets", 10, 300));
            } else if path.starts_with("/public-search") {
                add(("gamma search", 10, 350));
            } else if path.starts_with("/tags") || path.starts_with("/comments") {
                add(("gamma tags", 10, 200));
            }
        }
        "data" => {
            add(("data", 10, 1_000));
            if path.ends_with("/trades") {
                add(("data trades of all", 10, 200));
            } else if path.ends_with("/positions") || path.ends_with("/closed-positions") {
                add(("data positions", 10, 150));
            }
        }
        "relayer" if path == "/submit" => add(("submit", 60, 25)),
        _ => {}
    }
    found
}

/// The state of a bucket after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verdict {
    /// Thousandths of a token left.
    pub(crate) remaining_milli: i64,
    /// When it is full again.
    pub(crate) reset: Time,
    /// How long to wait, if it was refused.
    pub(crate) wait: Option<Span>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    milli: i64,
    at: Time,
}

/// Counts requests.
#[derive(Debug)]
pub(crate) struct RateLimiter {
    pub(crate) setup: LimitSetup,
    hits: BTreeMap<&'static str, VecDeque<Time>>,
    orders: BTreeMap<Address, Bucket>,
    cancels: BTreeMap<Address, Bucket>,
    /// Answers every request with the edge's block page while set.
    pub(crate) blocked: bool,
}

impl RateLimiter {
    pub(crate) fn new(setup: LimitSetup) -> RateLimiter {
        RateLimiter {
            setup,
            hits: BTreeMap::new(),
            orders: BTreeMap::new(),
            cancels: BTreeMap::new(),
            blocked: false,
        }
    }

    /// Counts a request; how long to wait if it is too many.
    pub(crate) fn edge(
        &mut self,
        service: &str,
        method: &str,
        path: &str,
        now: Time,
    ) -> Option<Span> {
        if self.setup.ip == Enforcement::Off {
            return None;
        }
        let mut wait = None;
        for (name, seconds, quota) in windows(service, method, path) {
            let hits = self.hits.entry(name).or_default();
            let length = Span::secs(seconds);
            while hits.front().is_some_and(|first| first.until(now) >= length) {
                hits.pop_front();
            }
            // Refusals were measured to begin at 95 % of the quota.
            let most = u64::from(quota) * u64::from(self.setup.ip_percent) * 95 / 10_000;
            if hits.len() as u64 >= most.max(1) {
                let free = hits.front().map_or(now, |first| *first + length);
                wait = wait.max(Some(now.until(free)));
            } else {
                hits.push_back(now);
            }
        }
        wait.filter(|_| matches!(self.setup.ip, Enforcement::On | Enforcement::Queue))
    }

    /// Takes `cost` orders of a signer.
    pub(crate) fn order(&mut self, signer: Address, cost: u32, now: Time) -> Verdict {
        let tier = self.setup.tier;
        let on = self.setup.signer == Enforcement::On;
        let bucket = bucket(&mut self.orders, signer, tier.orders, tier.order_burst, now);
        spend(bucket, cost, tier.orders, tier.order_burst, false, on)
    }

    /// Takes `cost` cancels of a signer whose number was known only after the work was done: even if they make a
    /// debt, and however many they are.
    pub(crate) fn charge_cancels(&mut self, signer: Address, cost: u32, now: Time) -> Verdict {
        let tier = self.setup.tier;
        let bucket = bucket(&mut self.cancels, signer, tier.cancels, tier.cancel_burst, now);
        spend(bucket, cost, tier.cancels, tier.cancel_burst, tier.debt, false)
    }

    /// Takes `cost` cancels of a signer.
    pub(crate) fn cancel(&mut self, signer: Address, cost: u32, now: Time) -> Verdict {
        let tier = self.setup.tier;
        let on = self.setup.signer == Enforcement::On;
        let bucket = bucket(&mut self.cancels, signer, tier.cancels, tier.cancel_burst, now);
        spend(bucket, cost, tier.cancels, tier.cancel_burst, tier.debt, on)
    }
}

fn bucket(
    buckets: &mut BTreeMap<Address, Bucket>,
    signer: Address,
    rate: u32,
    burst: u32,
    now: Time,
) -> &mut Bucket {
    let full = i64::from(burst) * 1_000;
    let bucket = buckets.entry(signer).or_insert(Bucket { milli: full, at: now });
    let back = bucket.at.until(now).as_millis().max(0).saturating_mul(i64::from(rate));
    bucket.milli = bucket.milli.saturating_add(back).min(full);
    bucket.at = now;
    bucket
}

fn spend(
    bucket: &mut Bucket,
    cost: u32,
    rate: u32,
    burst: u32,
    debt: bool,
    enforced: bool,
) -> Verdict {
    let cost = i64::from(cost) * 1_000;
    let full = i64::from(burst) * 1_000;
    // With debt a request passes as long as anything is left; without, it must be covered.
    let covered = if debt { bucket.milli > 0 && cost <= full } else { bucket.milli >= cost };
    if covered || !enforced {
        bucket.milli -= cost;
    }
    let rate = i64::from(rate.max(1));
    let millis = |missing: i64| missing.max(0).div_euclid(rate) + 1;
    let lacking = if debt { 1_000 - bucket.milli } else { cost - bucket.milli };
    Verdict {
        remaining_milli: bucket.milli,
        reset: bucket.at + Span::millis(millis(full - bucket.milli)),
        wait: (!covered).then(|| Span::millis(millis(lacking))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_refills_and_tells_how_long_to_wait() {
        let mut limits = RateLimiter::new(LimitSetup::default());
        let (signer, start) = (Address::ZERO, Time::from_secs(1_000));
        for _ in 0..4 {
            assert_eq!(limits.order(signer, 15, start).wait, None);
        }
        let refused = limits.order(signer, 1, start);
        assert_eq!((refused.remaining_milli, refused.wait), (0, Some(Span::millis(26))));
        assert_eq!(limits.order(signer, 1, start + Span::millis(25)).wait, None);
        assert_eq!(limits.order(signer, 61, start + Span::secs(60)).wait, Some(Span::millis(26)));
    }

    #[test]
    fn cancels_may_go_into_debt() {
        let mut limits = RateLimiter::new(LimitSetup::default());
        let (signer, start) = (Address::ZERO, Time::from_secs(1_000));
        assert_eq!(limits.cancel(signer, 100, start).wait, None);
        let verdict = limits.cancel(signer, 100, start);
        assert_eq!((verdict.remaining_milli, verdict.wait), (-80_000, None));
        assert!(limits.cancel(signer, 1, start).wait.is_some());
    }

    #[test]
    fn cancelling_more_at_once_than_the_burst_makes_a_debt_of_all_of_it() {
        let mut limits = RateLimiter::new(LimitSetup::default());
        let (signer, start) = (Address::ZERO, Time::from_secs(1_000));
        assert_eq!(limits.cancel(signer, 1, start).wait, None);
        assert_eq!(limits.charge_cancels(signer, 200, start).remaining_milli, -81_000);
        assert_eq!(limits.cancel(signer, 1, start).wait, Some(Span::millis(1_026)));
    }

    #[test]
    fn an_edge_window_slides() {
        let mut limits = RateLimiter::new(LimitSetup { ip_percent: 2, ..LimitSetup::default() });
        let start = Time::from_secs(1_000);
        let mut ask = |at| limits.edge("clob", "GET", "/balance-allowance/update", at);
        assert_eq!(ask(start), None);
        assert_eq!(ask(start + Span::secs(4)), Some(Span::secs(6)));
        assert_eq!(ask(start + Span::secs(10)), None);
    }
}
