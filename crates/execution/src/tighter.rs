//! Which of two sets of limits is the tighter one, field by field.
//!
//! A reload or a restart tightens at once and loosens only after a person's confirmation. Every field of
//! [`RawRisk`] stands here: one that is missing does not compile.

use crate::config::{LossLatch, RawRisk};

/// One field that a change loosens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loosened {
    /// Key within the section `risk`.
    pub key: &'static str,
    /// In force.
    pub from: String,
    /// Asked for.
    pub to: String,
}

macro_rules! fields {
    (less: $($less:ident),*; more: $($more:ident),*; latch: $latch:ident; free: $($free:ident),* $(,)?) => {
        impl RawRisk {
            /// The limits in force once `wanted` is asked for: what it tightens is taken, what it loosens is not.
            pub fn tightened_by(&self, wanted: &RawRisk) -> RawRisk {
                RawRisk {
                    $($less: self.$less.min(wanted.$less),)*
                    $($more: self.$more.max(wanted.$more),)*
                    $latch: match (self.$latch, wanted.$latch) {
                        (LossLatch::Window, LossLatch::Window) => LossLatch::Window,
                        _ => LossLatch::Person,
                    },
                    $($free: wanted.$free,)*
                }
            }

            /// What `wanted` loosens.
            pub fn loosened_by(&self, wanted: &RawRisk) -> Vec<Loosened> {
                let after = self.tightened_by(wanted);
                let mut found = Vec::new();
                $(if after.$less != wanted.$less {
                    found.push(Loosened {
                        key: stringify!($less),
                        from: self.$less.to_string(),
                        to: wanted.$less.to_string(),
                    });
                })*
                $(if after.$more != wanted.$more {
                    found.push(Loosened {
                        key: stringify!($more),
                        from: self.$more.to_string(),
                        to: wanted.$more.to_string(),
                    });
                })*
                if after.$latch != wanted.$latch {
                    found.push(Loosened {
                        key: stringify!($latch),
                        from: "person".to_owned(),
                        to: "window".to_owned(),
                    });
                }
                found
            }
        }
    };
}

fields! {
    // The smaller value is the tighter one.
    less: max_order_usd, max_market_usd, max_event_usd, max_category_usd, max_strategy_usd,
        max_account_usd, max_shares, daily_loss_usd, max_drawdown_usd, max_losses_in_a_row,
        max_unsettled_usd, max_open_orders, max_orders_per_minute, max_rejections,
        max_failed_settlements, max_dying_baskets, orders_per_second, order_burst, price_collar,
        max_naked_usd, max_naked_secs, max_unwind_loss;
    // The larger value is the tighter one.
    more: loss_cooldown_secs, stop_cooldown_secs;
    latch: loss_latch;
    // These bound exits and cancels, which add no exposure: whatever is asked for is taken.
    free: cancels_per_second, cancel_burst, exit_collar, stop_collar, exit_depth_secs, exit_tries,
}

#[cfg(test)]
mod tests {
    use polydesk_domain::{Price, Usdc};

    use super::*;

    #[test]
    fn a_change_is_taken_where_it_tightens_and_waits_where_it_loosens() {
        let force = RawRisk::default();
        let wanted = RawRisk {
            max_order_usd: Usdc::whole(50),
            max_account_usd: Usdc::whole(9_000),
            loss_cooldown_secs: 10,
            stop_cooldown_secs: 600,
            loss_latch: LossLatch::Person,
            price_collar: Price::cents(11),
            cancel_burst: 500,
            exit_collar: Price::cents(9),
            ..force.clone()
        };
        let after = force.tightened_by(&wanted);
        let want = RawRisk {
            max_order_usd: Usdc::whole(50),
            stop_cooldown_secs: 600,
            loss_latch: LossLatch::Person,
            cancel_burst: 500,
            exit_collar: Price::cents(9),
            ..force.clone()
        };
        assert_eq!(after, want);
        let loosened: Vec<String> = force
            .loosened_by(&wanted)
            .into_iter()
            .map(|one| format!("{} {} {}", one.key, one.from, one.to))
            .collect();
        assert_eq!(
            loosened,
            [
                "max_account_usd 3000.00 9000.00",
                "price_collar 0.1000 0.1100",
                "loss_cooldown_secs 120 10"
            ]
        );
        let back = RawRisk { loss_latch: LossLatch::Window, ..after.clone() };
        assert_eq!(after.loosened_by(&back).len(), 1);
        assert_eq!(after.tightened_by(&back), after);
        assert!(force.loosened_by(&force).is_empty());
    }
}
