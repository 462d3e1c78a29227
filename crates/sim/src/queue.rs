//! Queue models: how far cancels at a level move a resting order forward. Prints are not handled here.

use polydesk_domain::Shares;

use crate::QueueModel;

/// The queue ahead after `cancelled` shares left a level that showed `before` of others.
///
/// The part that comes from ahead is rounded down, so rounding never helps our order. In every model the
/// queue ahead is at most `after`, what the level showed after the decrease: an empty level has no queue.
pub(crate) fn after_cancel(
    model: QueueModel,
    ahead: Shares,
    before: Shares,
    cancelled: Shares,
    after: Shares,
) -> Shares {
    let behind = before.saturating_sub(ahead);
    let from_ahead = match model {
        QueueModel::Pessimistic => Shares::ZERO,
        QueueModel::Proportional => cancelled.scale_floor(ahead.micros(), before.micros()),
        QueueModel::Power { exponent } => {
            cancelled.scale_floor(u64::from(weight(ahead, behind, exponent)), 1_000_000_000)
        }
    };
    ahead.saturating_sub(from_ahead).min(after)
}

/// `ahead^n / (ahead^n + behind^n)` in billionths, rounded down. Only products, sums and one quotient
/// of doubles: the same bits on every machine.
fn weight(ahead: Shares, behind: Shares, exponent: u8) -> u32 {
    let most = ahead.max(behind).to_f64();
    if most == 0.0 {
        return 0;
    }
    let (mut front, mut back) = (1.0, 1.0);
    for _ in 0..exponent {
        front *= ahead.to_f64() / most;
        back *= behind.to_f64() / most;
    }
    (front / (front + back) * 1e9) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cancels_move_the_queue_by_the_formula_of_each_model() {
        let power = |exponent| QueueModel::Power { exponent };
        for (model, ahead, before, cancelled, want) in [
            (QueueModel::Pessimistic, 60, 100, 40, 60),
            (QueueModel::Pessimistic, 60, 100, 50, 50),
            (QueueModel::Pessimistic, 60, 100, 100, 0),
            (QueueModel::Proportional, 60, 100, 50, 30),
            (QueueModel::Proportional, 100, 100, 10, 90),
            (QueueModel::Proportional, 0, 100, 10, 0),
            (QueueModel::Proportional, 10, 100, 90, 1),
            // The model gives 10, but the level shows only 5.
            (power(8), 10, 100, 95, 5),
            (power(1), 60, 100, 50, 30),
            // 80² : 20² = 16 : 1, so 16/17 of the cancel comes from ahead.
            (power(2), 80, 100, 17, 64),
            (power(2), 20, 100, 17, 19),
            (power(8), 0, 0, 0, 0),
        ] {
            let [ahead, before, cancelled, want] =
                [ahead, before, cancelled, want].map(Shares::whole);
            let after = before.saturating_sub(cancelled);
            let got = after_cancel(model, ahead, before, cancelled, after);
            // Rounding down leaves up to a billionth of the cancel ahead.
            assert!(
                got >= want && got.saturating_sub(want).micros() <= 1,
                "{model:?} {got} {want}"
            );
        }
    }
}
