//! Exit intents of a holding: those of each lot by its exit plan, age and entry price, and pending exits of
//! operators, strategies and baskets. Does not depend on orders.

mod memory;

use std::collections::BTreeMap;

use polydesk_domain::{
    Book, ClientOrderId, DepthWalk, ExitReason, Outcome, Price, Shares, Side, SignalId, Span,
    TakeProfit, Tick, Time, Token, Usdc,
};

pub use memory::ExitMemory;
pub(crate) use memory::Waiting;

use crate::config::RiskLimits;
use crate::state::{Authority, ExitState, FillKey, Holding, Lot, PendingExit, average_units};

/// Shares that are to be sold into the bids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// Why.
    pub reason: ExitReason,
    /// Not below this.
    pub floor: Price,
    /// How many.
    pub shares: Shares,
    /// The lots they are of; what these do not cover is of any lot.
    pub lots: Vec<FillKey>,
    /// A person's wider collar.
    pub collar: Option<Price>,
    /// The signal that asked for it.
    pub signal: Option<SignalId>,
}

impl Take {
    /// Who wants it.
    pub const fn authority(&self) -> Authority {
        Authority::of(self.reason)
    }
}

/// Everything that a holding wants now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExitIntents {
    /// To be sold into the bids, the highest authority first. Lots whose exits agree in authority and floor
    /// are one.
    pub takes: Vec<Take>,
    /// Targets at which lots wait in the book.
    pub rests: BTreeMap<Price, Vec<(FillKey, Shares)>>,
    /// New highs of trailing stops.
    pub highs: Vec<(FillKey, u64)>,
    /// Lots whose stop is broken, and since which check.
    pub broken: BTreeMap<FillKey, Time>,
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
    /// Less cannot be sold.
    pub min_size: Shares,
}

/// Rounds ten-thousandths up to the tick size, if that is a price one can trade at.
fn up_to_tick(units: u64, tick: Tick) -> Option<Price> {
    let units = units.next_multiple_of(u64::from(tick.units()));
    u16::try_from(units).ok().and_then(Price::new).filter(|price| price.tradable(tick))
}

/// A stop triggers when two checks this far apart, and all between them, are below it: one batch is no price.
const CONFIRM: Span = Span::secs(1);

/// What a holding wants now.
pub fn exit_intents(
    holding: &Holding,
    exit: &ExitState,
    memory: &ExitMemory,
    token: Token,
    ctx: &ExitContext<'_>,
) -> ExitIntents {
    let mut intents = ExitIntents::default();
    let mut prices = Executable { holding, token, ctx, known: None };
    let settled = || holding.lots.iter().filter(|lot| lot.confirmed);
    for lot in settled().filter(|lot| lot.plan.is_some()) {
        if let Some((reason, floor)) = due(lot, &mut prices, memory, ctx, &mut intents) {
            intents.take(lot, reason, floor);
        }
        if let Some((price, TakeProfit { rest: true, .. })) = target(lot, ctx) {
            intents.rests.entry(price).or_default().push((lot.key, lot.shares));
        }
    }
    intents.takes.sort_by_key(|take| core::cmp::Reverse(take.authority()));
    // A lot that cannot be sold alone leaves with the first exit of its holding.
    if let Some((first, others)) = intents.takes.split_first_mut() {
        let crumbs = settled().filter(|lot| lot.plan.is_some() && lot.shares < ctx.min_size);
        for lot in crumbs {
            let leaves = |take: &Take| take.lots.contains(&lot.key);
            if !leaves(first) && !others.iter().any(leaves) {
                first.shares += lot.shares;
                first.lots.push(lot.key);
            }
        }
    }
    for pending in exit.pending.values() {
        let shares = pending.shares.min(holding.confirmed());
        // What a basket bought has no plan of its own.
        let first = |lot: &&Lot| pending.reason == ExitReason::Unwind && lot.plan.is_some();
        let mut lots: Vec<&Lot> = settled().collect();
        lots.sort_by_key(first);
        let mut left = shares;
        lots.retain(|lot| {
            let wanted = !left.is_zero();
            left = left.saturating_sub(lot.shares);
            wanted
        });
        let lots = lots.iter().map(|lot| lot.key).collect();
        let PendingExit { reason, floor, collar, signal, .. } = *pending;
        let take = Take { reason, floor, shares, lots, collar, signal };
        if !take.shares.is_zero() {
            intents.takes.push(take);
        }
    }
    intents.takes.sort_by_key(|take| core::cmp::Reverse(take.authority()));
    intents
}

impl ExitIntents {
    /// Shares that are to leave now whatever they bring: all but those whose target is reached.
    pub fn leaving(&self) -> Shares {
        let (mut planned, mut asked) = (Shares::ZERO, Shares::ZERO);
        for take in &self.takes {
            match take.reason {
                ExitReason::TakeProfit => {}
                // One sale counts for everybody who asked, and for the lots' own plans.
                ExitReason::Operator | ExitReason::Unwind | ExitReason::Signal => {
                    asked = asked.max(take.shares);
                }
                _ => planned += take.shares,
            }
        }
        planned.max(asked)
    }

    /// Adds a lot to what leaves together.
    fn take(&mut self, lot: &Lot, reason: ExitReason, floor: Price) {
        let agrees =
            |take: &&mut Take| take.authority() == Authority::of(reason) && take.floor == floor;
        if let Some(take) = self.takes.iter_mut().find(agrees) {
            take.shares += lot.shares;
            take.lots.push(lot.key);
        } else {
            let (shares, lots) = (lot.shares, vec![lot.key]);
            self.takes.push(Take { reason, floor, shares, lots, collar: None, signal: None });
        }
    }
}

/// What whole entries would bring. An entry is everything that one order bought: its fills can be crumbs,
/// and a crumb always finds a bid.
struct Executable<'a> {
    holding: &'a Holding,
    token: Token,
    ctx: &'a ExitContext<'a>,
    /// The last one: fills of an order lie side by side.
    known: Option<((ClientOrderId, Price), Option<u64>)>,
}

impl Executable<'_> {
    /// The average price in ten-thousandths of what is settled of an entry; `None` without any bid above the
    /// floor. Not the best bid: a thin bid is no price.
    fn price(&mut self, lot: &Lot, floor: Price) -> Option<u64> {
        let key = (lot.key.1, floor);
        if let Some((known, price)) = self.known
            && known == key
        {
            return price;
        }
        let entry = self.holding.lots.iter().filter(|of| of.confirmed && of.key.1 == lot.key.1);
        let shares: Shares = entry.map(|of| of.shares).sum();
        let walk = self.ctx.book.walk(self.token.outcome(), Side::Sell, floor, shares);
        // What finds no bid above the floor is worth the floor: that is all it would be sold for.
        let unsold = floor.notional_floor(shares.saturating_sub(walk.shares));
        let price = (!walk.shares.is_zero()).then(|| average_units(walk.notional + unsold, shares));
        self.known = Some((key, price));
        price
    }
}

/// Why a lot is to be sold now, and the lowest price for it.
fn due(
    lot: &Lot,
    prices: &mut Executable<'_>,
    memory: &ExitMemory,
    ctx: &ExitContext<'_>,
    intents: &mut ExitIntents,
) -> Option<(ExitReason, Price)> {
    let plan = lot.plan?;
    let floor = plan.stop.map_or(Price::ZERO, |stop| stop.floor);
    if let Some(reason) = stopped(lot, prices.price(lot, floor), memory, ctx, intents) {
        return Some((reason, floor));
    }
    if plan.max_hold.is_some_and(|most| lot.opened_at.until(ctx.now) >= most) {
        return Some((ExitReason::MaxHold, floor));
    }
    if let (Some(before), Some(left)) = (plan.before_close, ctx.to_close)
        && left <= before
    {
        return Some((ExitReason::BeforeClose, floor));
    }
    let (price, _) = target(lot, ctx)?;
    let reached = ctx.book.best_bid(prices.token.outcome()).is_some_and(|(bid, _)| bid >= price);
    reached.then_some((ExitReason::TakeProfit, price))
}

/// Which of a lot's stops is broken for long enough; `now` is what its entry would bring.
fn stopped(
    lot: &Lot,
    now: Option<u64>,
    memory: &ExitMemory,
    ctx: &ExitContext<'_>,
    intents: &mut ExitIntents,
) -> Option<ExitReason> {
    let plan = lot.plan?;
    let since = memory.broken(lot.key);
    let Some(now) = now else {
        // No bid above the floor is no price: it neither breaks a stop nor resets it.
        intents.broken.extend(since.map(|since| (lot.key, since)));
        return None;
    };
    let entry = lot.entry_units();
    let mut broken = None;
    if plan.stop.is_some_and(|stop| now + u64::from(stop.loss) <= entry) {
        broken = Some(ExitReason::StopLoss);
    }
    if let Some(trailing) = plan.trailing {
        let mut high = lot.high;
        // A high must have lasted, and every rise is written down: only by whole ticks.
        let lasted = memory.recent_price(ctx.now).map(|recent| recent.min(now));
        let tick = u64::from(ctx.book.tick().units());
        let least = lot.high.map_or(entry + u64::from(trailing.activate), |high| high + tick);
        if let Some(reached) = lasted.filter(|reached| *reached >= least) {
            high = Some(reached);
            intents.highs.push((lot.key, reached));
        }
        if high.is_some_and(|high| now + u64::from(trailing.distance) <= high) {
            broken = broken.or(Some(ExitReason::Trailing));
        }
    }
    let reason = broken?;
    let since = since.unwrap_or(ctx.now);
    intents.broken.insert(lot.key, since);
    (since.until(ctx.now) >= CONFIRM).then_some(reason)
}

/// A lot's profit target.
fn target(lot: &Lot, ctx: &ExitContext<'_>) -> Option<(Price, TakeProfit)> {
    let profit = lot.plan?.take_profit?;
    let price = up_to_tick(lot.entry_units() + u64::from(profit.gain), ctx.book.tick())?;
    Some((price, profit))
}

/// What may be sold for a take now, after so many tries, and the lowest price for it; or the code of what it waits for.
///
/// It walks no further than the collar: below the median of recent prices, and twice as far below the best
/// offer, for bids far from the offers are what is left when bids are missing. It sells no more than the depth
/// that has stood, so no single batch fills it.
pub fn slice(
    take: &Take,
    memory: &ExitMemory,
    outcome: Outcome,
    ctx: &ExitContext<'_>,
    limits: &RiskLimits,
    tries: u32,
) -> Result<(Price, Shares), &'static str> {
    let tick = ctx.book.tick();
    let lowest = Price::new(tick.units()).unwrap_or(Price::ONE);
    let highest = lowest.complement();
    let floor = u64::from(take.floor.max(lowest).units());
    let floor = up_to_tick(floor, tick).unwrap_or(highest);
    if ctx.book.best_bid(outcome).is_none_or(|(bid, _)| bid < floor) {
        return Err("no_bid_above_floor");
    }
    // Immediate orders below a dollar are refused.
    let sells = |walk: &DepthWalk| walk.shares >= ctx.min_size && walk.notional >= Usdc::whole(1);
    let whole = ctx.book.walk(outcome, Side::Sell, floor, take.shares);
    if take.shares < ctx.min_size || (whole.shares == take.shares && !sells(&whole)) {
        return Err("dust");
    }
    let collar = match take.authority() {
        Authority::Stop => limits.stop_collar,
        _ => limits.exit_collar,
    };
    let collar = take.collar.map_or(collar, |wider| wider.max(collar));
    let floor = floor.max(inside_collar(memory, outcome, ctx, collar)?);
    let walk = ctx.book.walk(outcome, Side::Sell, floor, take.shares);
    if !sells(&walk) {
        return Err("outside_collar");
    }
    let size = walk.shares.min(memory.standing(ctx.now, floor, limits.exit_depth_time));
    let size = leaves_no_crumb(take.shares.floor_cents(), size.floor_cents(), ctx.min_size);
    let walk = ctx.book.walk(outcome, Side::Sell, floor, size);
    if !sells(&walk) {
        return Err("depth_not_standing");
    }
    // A little below the last level needed, and a tick further with every try without a fill: lower would only
    // meet our own bids further down.
    let room = u64::from(tick.units()) * u64::from(2 + tries);
    let near = walk.worst.map_or(0, |worst| u64::from(worst.units()).saturating_sub(room));
    let price = up_to_tick(near, tick).unwrap_or(lowest).max(floor);
    Ok((price, walk.shares))
}

/// The lowest price that is no further than the collar from recent prices, and twice that from the best offer;
/// or the code of what is not known.
pub fn inside_collar(
    memory: &ExitMemory,
    outcome: Outcome,
    ctx: &ExitContext<'_>,
    collar: Price,
) -> Result<Price, &'static str> {
    let tick = ctx.book.tick();
    let lowest = Price::new(tick.units()).unwrap_or(Price::ONE);
    let recent = memory.recent_price(ctx.now).ok_or("no_recent_price")?;
    let collar = u64::from(collar.units());
    let offer = ctx.book.best_ask(outcome).map_or(Price::ONE, |(offer, _)| offer);
    let offer = u64::from(offer.units());
    let near = recent.saturating_sub(collar).max(offer.saturating_sub(2 * collar));
    Ok(up_to_tick(near.max(u64::from(lowest.units())), tick).unwrap_or(lowest.complement()))
}

/// A little less of a sale whose rest could not be sold any more, where both can be made large enough.
fn leaves_no_crumb(whole: Shares, size: Shares, least: Shares) -> Shares {
    let rest = whole.saturating_sub(size);
    let less = whole.saturating_sub(least);
    if !rest.is_zero() && rest < least && less >= least { less } else { size }
}

#[cfg(test)]
mod tests;
