//! One function decides what may leave, on the worst case.
//!
//! Held, unsettled, resting, sent, being cancelled and unanswered all count as if the worst had
//! happened. Anything unknown denies. Exits pass the limits, never the readiness and book checks.

use polydesk_domain::{
    Books, Cause, Market, MarketKey, MarketState, Price, ProtocolVersion, Reason, Scope, Shares,
    Side, StrategyId, Time, Token, Universe, Usdc,
};

use crate::config::RiskLimits;
use crate::state::{Exposure, LedgerAccount, State, concerns};

/// Whether new exposure may be taken at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum GateMode {
    /// Not reconciled yet: nothing leaves.
    NotReady,
    /// Everything within limits.
    Running,
    /// No new exposure: paused by an operator.
    Paused,
    /// Only what makes positions smaller.
    ReduceOnly,
    /// Latched until a person lifts it.
    Killed,
}

impl GateMode {
    /// What the blockers come to, in one word.
    pub fn of(state: &State) -> GateMode {
        let set = |cause| state.blockers.contains_key(&cause);
        let closed = |cause: &&Cause| cause.scope() == Scope::Orders && !cause.is_local();
        if set(Cause::Killed) || set(Cause::Halted) {
            GateMode::Killed
        } else if state.blockers.keys().any(|cause| closed(&cause)) {
            GateMode::NotReady
        } else if set(Cause::ReduceOnly) {
            GateMode::ReduceOnly
        } else if set(Cause::Paused) {
            GateMode::Paused
        } else {
            GateMode::Running
        }
    }
}

/// What is to be sent.
#[derive(Debug, Clone, Copy)]
pub struct GateRequest {
    /// Who.
    pub strategy: StrategyId,
    /// Which token.
    pub token: Token,
    /// Which way.
    pub side: Side,
    /// Limit.
    pub price: Price,
    /// pUSD it takes at worst, fees included.
    pub cost: Usdc,
    /// Shares it delivers at worst (buys) or takes (sells).
    pub shares: Shares,
    /// Whether it can only make a position smaller.
    pub reduces: bool,
}

/// Everything the gate looks at.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Engine time.
    pub now: Time,
    /// All markets.
    pub universe: &'a Universe,
    /// Their books.
    pub books: &'a Books,
    /// Their states.
    pub states: &'a [MarketState],
    /// What is known.
    pub state: &'a State,
}

impl Facts<'_> {
    /// Worst-case exposure around an ask: cost of everything held and everything open.
    pub fn exposure(&self, strategy: StrategyId, token: Token) -> Exposure {
        let key = token.market();
        let tick = self.books.get(key).map_or(self.universe.market(key).tick, |book| book.tick());
        self.state.exposure(strategy, token, tick)
    }

    fn market_state(&self, key: MarketKey) -> Option<MarketState> {
        self.states.get(key.index()).copied()
    }
}

impl RiskLimits {
    /// Whether an ask may leave; the denial names the rule and the figures.
    pub fn admit(&self, ask: &GateRequest, facts: &Facts<'_>) -> Result<(), Reason> {
        self.ready(ask, facts)?;
        let market = facts.universe.market(ask.token.market());
        self.sane(ask, market, facts)?;
        if ask.reduces {
            return Ok(());
        }
        self.day(facts)?;
        self.amounts(ask, facts)?;
        self.no_self_cross(ask, facts)
    }

    /// Checks that no exit may skip.
    fn ready(&self, ask: &GateRequest, facts: &Facts<'_>) -> Result<(), Reason> {
        for cause in facts.state.blockers.keys() {
            // Limits of loss are looked at later, with their figures.
            let latch = matches!(cause, Cause::DailyLoss | Cause::Drawdown);
            let stops = cause.scope() == Scope::Orders || !(ask.reduces || latch);
            if stops && concerns(cause, ask.token.market(), ask.token) {
                return Err(Reason::new(cause.code()));
            }
        }
        let key = ask.token.market();
        if !facts.market_state(key).is_some_and(MarketState::trades) {
            return Err(Reason::new("market_not_open"));
        }
        if !facts.books.synced(key) {
            return Err(Reason::new("book_not_known"));
        }
        // How old the last proof of a book is, the runtime compares and reports; a market whose stream
        // was interrupted has an invalidated book.
        if !facts.books.verified(key) {
            return Err(Reason::new("book_unverified"));
        }
        Ok(())
    }

    /// Rules of the venue and common sense.
    fn sane(&self, ask: &GateRequest, market: &Market, facts: &Facts<'_>) -> Result<(), Reason> {
        if market.version != ProtocolVersion::V1 && market.version != ProtocolVersion::V2 {
            return Err(Reason::new("protocol_unknown"));
        }
        // What is held can be sold whatever it costs: only entries need to know their fee.
        if !ask.reduces && market.fees.at(facts.now).is_err() {
            return Err(Reason::new("fee_unknown"));
        }
        if ask.shares.is_zero() {
            return Err(Reason::new("no_size"));
        }
        let Some(book) = facts.books.get(ask.token.market()) else {
            return Err(Reason::new("no_book"));
        };
        if !ask.price.tradable(book.tick()) {
            return Err(Reason::new("off_tick").with("price_units", i64::from(ask.price.units())));
        }
        if ask.reduces {
            return Ok(());
        }
        // A fat finger buys far above, or sells far below, what the book shows.
        let outcome = ask.token.outcome();
        let reference = match ask.side {
            Side::Buy => book.best_ask(outcome).or(book.best_bid(outcome)),
            Side::Sell => book.best_bid(outcome).or(book.best_ask(outcome)),
        };
        let Some((reference, _)) = reference else { return Err(Reason::new("empty_book")) };
        let off = match ask.side {
            Side::Buy => i32::from(ask.price.units()) - i32::from(reference.units()),
            Side::Sell => i32::from(reference.units()) - i32::from(ask.price.units()),
        };
        if off > i32::from(self.price_collar.units()) {
            return Err(Reason::new("price_collar").with("off_units", i64::from(off)));
        }
        Ok(())
    }

    /// Limits on how the day goes.
    fn day(&self, facts: &Facts<'_>) -> Result<(), Reason> {
        for (cause, name) in
            [(Cause::DailyLoss, "lost_micros"), (Cause::Drawdown, "drawdown_micros")]
        {
            if let Some(blocker) = facts.state.blockers.get(&cause) {
                let lost = blocker.lost.unwrap_or_default();
                return Err(Reason::new(cause.code()).with(name, lost.micros()));
            }
        }
        let (losses, last) = facts.state.ledger.losing_streak();
        if losses >= self.max_losses_in_a_row
            && last.is_some_and(|at| at.until(facts.now) < self.loss_cooldown)
        {
            return Err(Reason::new("losing_streak").with("losses", i64::from(losses)));
        }
        if facts.state.orders.open_count() >= self.max_open_orders as usize {
            return Err(
                Reason::new("open_orders").with("open", facts.state.orders.open_count() as i64)
            );
        }
        Ok(())
    }

    /// Limits on how much.
    fn amounts(&self, ask: &GateRequest, facts: &Facts<'_>) -> Result<(), Reason> {
        let over = |code, is: Usdc, most: Usdc| {
            Err(Reason::new(code)
                .with("would_be_micros", is.micros())
                .with("limit_micros", most.micros()))
        };
        if ask.cost > self.max_order {
            return over("max_order", ask.cost, self.max_order);
        }
        let at_risk = facts.exposure(ask.strategy, ask.token);
        for (code, is, most) in [
            ("max_market", at_risk.market, self.max_market),
            ("max_event", at_risk.event, self.max_event),
            ("max_category", at_risk.category, self.max_category),
            ("max_strategy", at_risk.strategy, self.max_strategy),
            ("max_account", at_risk.account, self.max_account),
        ] {
            if is + ask.cost > most {
                return over(code, is + ask.cost, most);
            }
        }
        if ask.side == Side::Buy && at_risk.shares + ask.shares > self.max_shares {
            return Err(Reason::new("max_shares")
                .with("would_be_micros", (at_risk.shares + ask.shares).micros() as i64));
        }
        // Whatever is open may match now and settle late.
        let unsettled = at_risk.unsettled + at_risk.reserved + ask.cost;
        if unsettled > self.max_unsettled {
            return over("unsettled", unsettled, self.max_unsettled);
        }
        let free = facts.state.ledger.balance(LedgerAccount::Cash) - at_risk.reserved;
        if ask.cost > free {
            return over("no_cash", ask.cost, free);
        }
        Ok(())
    }

    /// Denies what could trade with our own orders, also through the complement.
    fn no_self_cross(&self, ask: &GateRequest, facts: &Facts<'_>) -> Result<(), Reason> {
        for order in facts.state.orders.open_in(ask.token.market()) {
            if crosses(ask.token, ask.side, ask.price, order.token, order.side, order.price) {
                // The lower edge waits: the denial names the order that crosses.
                return Err(Reason::new("self_cross").with("order", order.id.0 as i64));
            }
        }
        Ok(())
    }
}

/// Whether two orders of one market could match each other.
///
/// In the terms of one outcome a buy of the other at `q` is a sell at `1 − q`.
pub fn crosses(
    token: Token,
    side: Side,
    price: Price,
    other: Token,
    other_side: Side,
    other_price: Price,
) -> bool {
    if token.market() != other.market() {
        return false;
    }
    let (other_side, other_price) = if token == other {
        (other_side, other_price)
    } else {
        (other_side.other(), other_price.complement())
    };
    match (side, other_side) {
        (Side::Buy, Side::Sell) => price >= other_price,
        (Side::Sell, Side::Buy) => price <= other_price,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_orders_cross_through_the_complement() {
        let (yes, no) = (Token(0), Token(1));
        let cents = Price::cents;
        for (token, side, price, other, other_side, other_price, want) in [
            (yes, Side::Buy, 55, no, Side::Buy, 46, true),
            (yes, Side::Buy, 55, no, Side::Buy, 44, false),
            (yes, Side::Buy, 55, yes, Side::Sell, 55, true),
            (yes, Side::Buy, 54, yes, Side::Sell, 55, false),
            (yes, Side::Sell, 40, no, Side::Sell, 60, true),
            (yes, Side::Sell, 40, no, Side::Sell, 61, false),
            (yes, Side::Buy, 99, yes, Side::Buy, 99, false),
            (yes, Side::Buy, 99, Token(2), Side::Sell, 1, false),
        ] {
            let got = crosses(token, side, cents(price), other, other_side, cents(other_price));
            assert_eq!(
                got, want,
                "{token:?} {side} {price} against {other:?} {other_side} {other_price}"
            );
        }
    }
}
