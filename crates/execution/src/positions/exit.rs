//! When to leave, and why.

use polydesk_domain::{Book, Price, Shares, Side, Span, Tick, Time, Token};

use super::lot::average_units;
use super::{Holding, Lot};

/// Why a position was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitReason {
    /// The target was reached.
    TakeProfit,
    /// The stop was reached.
    StopLoss,
    /// The trailing stop was reached.
    Trailing,
    /// It was held long enough.
    MaxHold,
    /// The market is about to close.
    BeforeClose,
    /// A strategy asked for it.
    Signal,
    /// A person asked for it.
    Operator,
    /// A plan could not be completed.
    Unwind,
    /// A leg of a basket that sells.
    Basket,
    /// The market was resolved and the shares redeemed.
    Resolution,
    /// Complete sets became money.
    Merge,
}

impl ExitReason {
    /// A stable word for tables.
    pub fn name(self) -> &'static str {
        match self {
            ExitReason::TakeProfit => "take_profit",
            ExitReason::StopLoss => "stop_loss",
            ExitReason::Trailing => "trailing",
            ExitReason::MaxHold => "max_hold",
            ExitReason::BeforeClose => "before_close",
            ExitReason::Signal => "signal",
            ExitReason::Operator => "operator",
            ExitReason::Unwind => "unwind",
            ExitReason::Basket => "basket",
            ExitReason::Resolution => "resolution",
            ExitReason::Merge => "merge",
        }
    }
}

/// What to do about a holding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitWish {
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
        why: ExitReason,
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

/// What a holding's plans want now. Pure apart from the trailing stop's memory.
pub fn exit_wish(holding: &mut Holding, token: Token, ctx: &ExitContext<'_>) -> ExitWish {
    let settled = holding.confirmed();
    let outcome = token.outcome();
    if settled.is_zero() {
        return ExitWish::Stay;
    }
    if let Some((why, floor, shares)) = holding.leaving {
        return ExitWish::Take { why, floor, shares: shares.min(settled) };
    }
    let planned: Vec<&Lot> =
        holding.lots.iter().filter(|lot| lot.confirmed && lot.plan.is_some()).collect();
    let Some(plan) = planned.first().and_then(|lot| lot.plan) else { return ExitWish::Stay };
    let shares: Shares = planned.iter().map(|lot| lot.shares).sum();
    let weigh = |of: &dyn Fn(&Lot) -> u64| -> u64 {
        let sum: u128 =
            planned.iter().map(|lot| u128::from(of(lot)) * u128::from(lot.shares.micros())).sum();
        (sum / u128::from(shares.micros().max(1))) as u64
    };
    let entry = weigh(&|lot| lot.entry_units());
    let floor = plan.stop.map_or(Price::ZERO, |stop| stop.floor);
    let take = |why| ExitWish::Take { why, floor, shares };

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
        if now >= entry + u64::from(trailing.activate) || holding.high.is_some() {
            holding.high = Some(holding.high.map_or(now, |high| high.max(now)));
        }
        if holding.high.is_some_and(|high| now + u64::from(trailing.distance) <= high) {
            return take(ExitReason::Trailing);
        }
    }
    let Some(profit) = plan.take_profit else { return ExitWish::Stay };
    let target = weigh(&|lot| {
        let gain = lot.plan.and_then(|plan| plan.take_profit).map_or(0, |profit| profit.gain);
        lot.entry_units() + u64::from(gain)
    });
    let Some(price) = up_to_tick(target, ctx.book.tick()) else { return ExitWish::Stay };
    let reached = ctx.book.best_bid(outcome).is_some_and(|(bid, _)| bid >= price);
    match (reached, profit.rest) {
        (true, _) => ExitWish::Take { why: ExitReason::TakeProfit, floor: price, shares },
        (false, true) => ExitWish::Rest { price, shares },
        (false, false) => ExitWish::Stay,
    }
}
