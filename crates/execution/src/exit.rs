//! When to leave, and why.

use polydesk_domain::{Book, ExitReason, Price, Shares, Side, Span, Tick, Time, Token};

use crate::state::{ExitState, Holding, Lot, PendingExit, average_units};

/// What to do about a holding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitIntent {
    /// Nothing.
    Stay,
    /// Wait in the book for the target.
    Rest {
        /// Where.
        price: Price,
        /// How much.
        shares: Shares,
    },
    /// Sell into the bids.
    Take {
        /// Why.
        reason: ExitReason,
        /// Not below this.
        floor: Price,
        /// How much.
        shares: Shares,
    },
}

/// Everything about the market that an exit looks at.
#[derive(Debug, Clone, Copy)]
pub struct ExitContext<'a> {
    /// Engine time.
    pub now: Time,
    /// The book.
    pub book: &'a Book,
    /// Time to the nominal close, where known.
    pub to_close: Option<Span>,
}

/// Rounds ten-thousandths up to the grid, if that is a price one can trade at.
fn up_to_tick(units: u64, tick: Tick) -> Option<Price> {
    let units = units.next_multiple_of(u64::from(tick.units()));
    u16::try_from(units).ok().and_then(Price::new).filter(|price| price.tradable(tick))
}

/// What a holding's exit plans want now, and the trailing stop's best executable price.
pub fn exit_intent(
    holding: &Holding,
    exit: &ExitState,
    token: Token,
    ctx: &ExitContext<'_>,
) -> (ExitIntent, Option<u64>) {
    let mut high = exit.high;
    let intent = intent(holding, exit, &mut high, token, ctx);
    (intent, high)
}

fn intent(
    holding: &Holding,
    exit: &ExitState,
    high: &mut Option<u64>,
    token: Token,
    ctx: &ExitContext<'_>,
) -> ExitIntent {
    let settled = holding.confirmed();
    let outcome = token.outcome();
    if settled.is_zero() {
        return ExitIntent::Stay;
    }
    if let Some(PendingExit { reason, floor, shares }) = exit.pending {
        return ExitIntent::Take { reason, floor, shares: shares.min(settled) };
    }
    let planned: Vec<&Lot> =
        holding.lots.iter().filter(|lot| lot.confirmed && lot.plan.is_some()).collect();
    let Some(plan) = planned.first().and_then(|lot| lot.plan) else { return ExitIntent::Stay };
    let shares: Shares = planned.iter().map(|lot| lot.shares).sum();
    let weigh = |of: &dyn Fn(&Lot) -> u64| -> u64 {
        let sum: u128 =
            planned.iter().map(|lot| u128::from(of(lot)) * u128::from(lot.shares.micros())).sum();
        (sum / u128::from(shares.micros().max(1))) as u64
    };
    let entry = weigh(&|lot| lot.entry_units());
    let floor = plan.stop.map_or(Price::ZERO, |stop| stop.floor);
    let take = |reason| ExitIntent::Take { reason, floor, shares };

    let oldest = planned[0].opened_at;
    if plan.max_hold.is_some_and(|most| oldest.until(ctx.now) >= most) {
        return take(ExitReason::MaxHold);
    }
    if let (Some(before), Some(left)) = (plan.before_close, ctx.to_close)
        && left <= before
    {
        return take(ExitReason::BeforeClose);
    }
    // What the whole lot would bring, not the best bid: a thin bid is no price.
    let walk = ctx.book.walk(outcome, Side::Sell, floor, shares);
    // What finds no bid above the floor is worth the floor: that is all it would be sold for.
    let unsold = floor.notional_floor(shares.saturating_sub(walk.shares));
    let executable =
        (!walk.shares.is_zero()).then(|| average_units(walk.notional + unsold, shares));
    if let (Some(stop), Some(now)) = (plan.stop, executable)
        && now + u64::from(stop.loss) <= entry
    {
        return take(ExitReason::StopLoss);
    }
    if let (Some(trailing), Some(now)) = (plan.trailing, executable) {
        if now >= entry + u64::from(trailing.activate) || high.is_some() {
            *high = Some(high.map_or(now, |high| high.max(now)));
        }
        if high.is_some_and(|high| now + u64::from(trailing.distance) <= high) {
            return take(ExitReason::Trailing);
        }
    }
    let Some(profit) = plan.take_profit else { return ExitIntent::Stay };
    let target = weigh(&|lot| {
        let gain = lot.plan.and_then(|plan| plan.take_profit).map_or(0, |profit| profit.gain);
        lot.entry_units() + u64::from(gain)
    });
    let Some(price) = up_to_tick(target, ctx.book.tick()) else { return ExitIntent::Stay };
    let reached = ctx.book.best_bid(outcome).is_some_and(|(bid, _)| bid >= price);
    match (reached, profit.rest) {
        (true, _) => ExitIntent::Take { reason: ExitReason::TakeProfit, floor: price, shares },
        (false, true) => ExitIntent::Rest { price, shares },
        (false, false) => ExitIntent::Stay,
    }
}
