//! Limits and settings of execution: what a person wrote, and what the program may rely on.

use polydesk_domain::{Price, Shares, Span, Usdc};
use serde::{Deserialize, Serialize};

/// The section `risk` as written. Money in pUSD, times in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RawRisk {
    /// Most pUSD one order may take, fees included.
    pub max_order_usd: Usdc,
    /// Most pUSD at risk in one market.
    pub max_market_usd: Usdc,
    /// Most pUSD at risk in one event: one key per market, its neg-risk group, else its event, else the
    /// market itself.
    pub max_event_usd: Usdc,
    /// Most pUSD at risk in one category; a market without a category counts alone.
    pub max_category_usd: Usdc,
    /// Most pUSD at risk by one strategy.
    pub max_strategy_usd: Usdc,
    /// Most pUSD at risk in all.
    pub max_account_usd: Usdc,
    /// Most shares of one token, counting the worst delivery of every open order.
    pub max_shares: u64,
    /// No new exposure once equity is this far below the start of the UTC day, until that day is over or
    /// a person resumes, also when equity recovers.
    pub daily_loss_usd: Usdc,
    /// No new exposure once equity is this far below its high, until a person resumes.
    pub max_drawdown_usd: Usdc,
    /// No new exposure after so many losses in a row …
    pub max_losses_in_a_row: u32,
    /// … for so long.
    pub loss_cooldown_secs: u64,
    /// Whether a broken limit of a day's loss waits for a person (`person`), or ends once neither the UTC day
    /// nor the last 24 hours are beyond it (`window`).
    pub loss_latch: LossLatch,
    /// After a stop the same strategy buys no more of that token for so long.
    pub stop_cooldown_secs: u64,
    /// Most pUSD of purchases that are not final.
    pub max_unsettled_usd: Usdc,
    /// Most open orders.
    pub max_open_orders: u32,
    /// More orders of one strategy within a minute are a loop: no entries until a person resumes.
    pub max_orders_per_minute: u32,
    /// So many refusals in a row, in one market or over all, are a loop.
    pub max_rejections: u32,
    /// So many trades that fail to settle within ten minutes stop entries.
    pub max_failed_settlements: u32,
    /// So many baskets within an hour of which a leg had to be sold again stop entries.
    pub max_dying_baskets: u32,
    /// Orders a second, sustained.
    pub orders_per_second: u32,
    /// Orders at once.
    pub order_burst: u32,
    /// Cancels a second, sustained; a lane of their own.
    pub cancels_per_second: u32,
    /// Cancels at once.
    pub cancel_burst: u32,
    /// An order may be this much worse than the best price, in dollars.
    pub price_collar: Price,
    /// An exit that takes bids sells at most this far below the median of recent prices at which one could have
    /// sold, and twice as far below the best offer, in dollars.
    pub exit_collar: Price,
    /// The same for stops and for the excess of baskets.
    pub stop_collar: Price,
    /// It sells no more than what could have been sold at any time within so many seconds.
    pub exit_depth_secs: u64,
    /// An exit without a fill is repeated at once, with a tick more of room, so many times; then after 2, 4 …
    /// 60 seconds.
    pub exit_tries: u32,
    /// Most pUSD of a basket that may stand without its other legs.
    pub max_naked_usd: Usdc,
    /// How long it may.
    pub max_naked_secs: u64,
    /// An unwinding leg may be sold this far below what it cost, in dollars.
    pub max_unwind_loss: Price,
}

impl Default for RawRisk {
    fn default() -> RawRisk {
        let usd = Usdc::whole;
        RawRisk {
            max_order_usd: usd(100),
            max_market_usd: usd(300),
            max_event_usd: usd(600),
            max_category_usd: usd(2_000),
            max_strategy_usd: usd(1_500),
            max_account_usd: usd(3_000),
            max_shares: 100_000,
            daily_loss_usd: usd(150),
            max_drawdown_usd: usd(250),
            max_losses_in_a_row: 8,
            loss_cooldown_secs: 120,
            loss_latch: LossLatch::Window,
            stop_cooldown_secs: 60,
            max_unsettled_usd: usd(1_500),
            max_open_orders: 100,
            max_orders_per_minute: 600,
            max_rejections: 20,
            max_failed_settlements: 3,
            max_dying_baskets: 5,
            orders_per_second: 20,
            order_burst: 40,
            cancels_per_second: 40,
            cancel_burst: 120,
            price_collar: Price::cents(10),
            exit_collar: Price::cents(5),
            stop_collar: Price::cents(10),
            exit_depth_secs: 1,
            exit_tries: 10,
            max_naked_usd: usd(100),
            max_naked_secs: 30,
            max_unwind_loss: Price::cents(5),
        }
    }
}

/// How a broken limit of a day's loss is lifted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossLatch {
    /// By a person's resume only.
    Person,
    /// By itself, once neither the UTC day nor the last 24 hours are beyond the limit.
    Window,
}

/// Validated limits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields are those of `RawRisk`, with units")]
pub struct RiskLimits {
    raw: RawRisk,
    pub max_order: Usdc,
    pub max_market: Usdc,
    pub max_event: Usdc,
    pub max_category: Usdc,
    pub max_strategy: Usdc,
    pub max_account: Usdc,
    pub max_shares: Shares,
    pub daily_loss: Usdc,
    pub max_drawdown: Usdc,
    pub max_losses_in_a_row: u32,
    pub loss_cooldown: Span,
    pub loss_latch: LossLatch,
    pub stop_cooldown: Span,
    pub max_unsettled: Usdc,
    pub max_open_orders: u32,
    pub max_orders_per_minute: u32,
    pub max_rejections: u32,
    pub max_failed_settlements: u32,
    pub max_dying_baskets: u32,
    pub orders_per_second: u32,
    pub order_burst: u32,
    pub cancels_per_second: u32,
    pub cancel_burst: u32,
    pub price_collar: Price,
    pub exit_collar: Price,
    pub stop_collar: Price,
    pub exit_depth_time: Span,
    pub exit_tries: u32,
    pub max_naked: Usdc,
    pub max_naked_time: Span,
    pub max_unwind_loss: Price,
}

impl RiskLimits {
    /// What was written.
    pub fn raw(&self) -> &RawRisk {
        &self.raw
    }
}

impl Default for RiskLimits {
    fn default() -> RiskLimits {
        // The defaults satisfy their own rules; a test checks it.
        RiskLimits::try_from(&RawRisk::default())
            .unwrap_or_else(|broken| unreachable!("{broken:?}"))
    }
}

impl TryFrom<&RawRisk> for RiskLimits {
    /// Every broken rule.
    type Error = Vec<String>;

    fn try_from(raw: &RawRisk) -> Result<RiskLimits, Vec<String>> {
        let mut broken = Vec::new();
        let mut usd = |key: &str, money: Usdc| {
            if money <= Usdc::ZERO {
                broken.push(format!("risk.{key} is {money}; it must be above 0 pUSD"));
            }
            money
        };
        let mut limits = RiskLimits {
            raw: raw.clone(),
            max_order: usd("max_order_usd", raw.max_order_usd),
            max_market: usd("max_market_usd", raw.max_market_usd),
            max_event: usd("max_event_usd", raw.max_event_usd),
            max_category: usd("max_category_usd", raw.max_category_usd),
            max_strategy: usd("max_strategy_usd", raw.max_strategy_usd),
            max_account: usd("max_account_usd", raw.max_account_usd),
            max_shares: Shares::ZERO,
            daily_loss: usd("daily_loss_usd", raw.daily_loss_usd),
            max_drawdown: usd("max_drawdown_usd", raw.max_drawdown_usd),
            max_losses_in_a_row: raw.max_losses_in_a_row,
            loss_cooldown: secs(raw.loss_cooldown_secs),
            loss_latch: raw.loss_latch,
            stop_cooldown: secs(raw.stop_cooldown_secs),
            max_unsettled: usd("max_unsettled_usd", raw.max_unsettled_usd),
            max_open_orders: raw.max_open_orders,
            max_orders_per_minute: raw.max_orders_per_minute,
            max_rejections: raw.max_rejections,
            max_failed_settlements: raw.max_failed_settlements,
            max_dying_baskets: raw.max_dying_baskets,
            orders_per_second: raw.orders_per_second,
            order_burst: raw.order_burst,
            cancels_per_second: raw.cancels_per_second,
            cancel_burst: raw.cancel_burst,
            price_collar: raw.price_collar,
            exit_collar: raw.exit_collar,
            stop_collar: raw.stop_collar,
            exit_depth_time: secs(raw.exit_depth_secs),
            exit_tries: raw.exit_tries,
            max_naked: usd("max_naked_usd", raw.max_naked_usd),
            max_naked_time: secs(raw.max_naked_secs),
            max_unwind_loss: raw.max_unwind_loss,
        };
        for (key, value) in [
            ("max_shares", raw.max_shares),
            ("loss_cooldown_secs", raw.loss_cooldown_secs),
            ("stop_cooldown_secs", raw.stop_cooldown_secs),
            ("max_losses_in_a_row", u64::from(raw.max_losses_in_a_row)),
            ("max_open_orders", u64::from(raw.max_open_orders)),
            ("max_orders_per_minute", u64::from(raw.max_orders_per_minute)),
            ("max_rejections", u64::from(raw.max_rejections)),
            ("max_failed_settlements", u64::from(raw.max_failed_settlements)),
            ("max_dying_baskets", u64::from(raw.max_dying_baskets)),
            ("orders_per_second", u64::from(raw.orders_per_second)),
            ("order_burst", u64::from(raw.order_burst)),
            ("cancels_per_second", u64::from(raw.cancels_per_second)),
            ("cancel_burst", u64::from(raw.cancel_burst)),
            ("max_naked_secs", raw.max_naked_secs),
            ("exit_depth_secs", raw.exit_depth_secs),
            ("exit_tries", u64::from(raw.exit_tries)),
        ] {
            if value == 0 || value > 100_000_000 {
                broken.push(format!("risk.{key} is {value}; it must be between 1 and 100000000"));
            }
        }
        for (key, collar) in [("exit_collar", raw.exit_collar), ("stop_collar", raw.stop_collar)] {
            if collar == Price::ZERO {
                broken
                    .push(format!("risk.{key} is 0; it must be above 0, or nothing is ever sold"));
            }
        }
        if raw.stop_collar < raw.exit_collar {
            broken.push(format!(
                "risk.stop_collar is {}; it must be at least exit_collar ({}): a stop is the more urgent one",
                raw.stop_collar, raw.exit_collar
            ));
        }
        if u64::from(raw.cancel_burst) < u64::from(raw.max_open_orders) {
            broken.push(format!(
                "risk.cancel_burst is {}; it must be at least max_open_orders ({}), or a kill cannot cancel all at once",
                raw.cancel_burst, raw.max_open_orders
            ));
        }
        if broken.is_empty() {
            limits.max_shares = Shares::whole(raw.max_shares);
            Ok(limits)
        } else {
            Err(broken)
        }
    }
}

/// A span of whole seconds, as configuration has them.
const fn secs(secs: u64) -> Span {
    Span::secs(secs as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_satisfy_their_own_rules() {
        assert!(RiskLimits::try_from(&RawRisk::default()).is_ok());
    }

    #[test]
    fn zero_never_means_no_limit() {
        let zero = Usdc::ZERO;
        let raw = RawRisk { max_order_usd: zero, max_open_orders: 0, ..RawRisk::default() };
        let broken = RiskLimits::try_from(&raw).unwrap_err();
        assert_eq!(broken.len(), 2, "{broken:?}");
        assert_eq!(broken[0], "risk.max_order_usd is 0.00; it must be above 0 pUSD");
    }
}
