//! Complete sets: split, merged, redeemed.

use polydesk_domain::{
    ClientOrderId, ConversionId, ExitReason, MarketKey, Outcome, Payout, Role, Shares, StrategyId,
    Time, Token, TradeId, Usdc,
};

use super::fills::Violation;
use super::ledger::{Entry, Ledger, LedgerAccount};
use super::lots::{ClosedLot, Lot, divide};
use super::positions::Positions;

impl Positions {
    /// pUSD became complete sets; the cost is shared out by `yes_units`, the worth of YES.
    #[expect(clippy::too_many_arguments, reason = "a split is all of these")]
    pub fn split(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        strategy: StrategyId,
        market: MarketKey,
        shares: Shares,
        yes_units: u16,
        conversion: ConversionId,
    ) {
        let yes_cost = shares.face_value().scale_floor(u64::from(yes_units.min(10_000)), 10_000);
        ledger.post(Entry {
            at,
            from: LedgerAccount::Cash,
            to: LedgerAccount::Inventory,
            amount: shares.face_value(),
        });
        for (outcome, cost) in
            [(Outcome::Yes, yes_cost), (Outcome::No, shares.face_value() - yes_cost)]
        {
            let key = (TradeId(0), ClientOrderId(conversion.0));
            let fee = Usdc::ZERO;
            let lot = Lot {
                key,
                opened_at: at,
                shares,
                cost,
                fee,
                confirmed: true,
                plan: None,
                role: Role::Taker,
                high: None,
            };
            self.add(strategy, market.token(outcome), lot);
        }
    }

    /// Complete sets became pUSD, first of the lots that it was asked for; the money is shared out by cost.
    #[expect(clippy::too_many_arguments, reason = "a merge is all of these")]
    pub fn merge(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        strategy: StrategyId,
        market: MarketKey,
        shares: Shares,
        conversion: ConversionId,
        closed: &mut Vec<ClosedLot>,
    ) -> Result<(), Violation> {
        let [(yes, yes_short), (no, no_short)] = Outcome::BOTH.map(|outcome| {
            let token = market.token(outcome);
            let exit = self.exit(strategy, token);
            let lots = exit.and_then(|exit| exit.orders.get(&ClientOrderId(conversion.0)));
            let lots = lots.cloned().unwrap_or_default();
            self.less_pending(strategy, token, shares);
            self.take(strategy, token, shares, &lots)
        });
        let cost = |lots: &[Lot]| -> Usdc { lots.iter().map(|lot| lot.cost).sum() };
        let (yes_cost, no_cost) = (cost(&yes), cost(&no));
        let whole = u64::try_from((yes_cost + no_cost).micros()).unwrap_or(0);
        let yes_part =
            shares.face_value().scale_floor(u64::try_from(yes_cost.micros()).unwrap_or(0), whole);
        for (outcome, lots, money) in
            [(Outcome::Yes, yes, yes_part), (Outcome::No, no, shares.face_value() - yes_part)]
        {
            self.cash_in(
                ledger,
                at,
                strategy,
                market.token(outcome),
                &lots,
                money,
                ExitReason::Merge,
                closed,
            );
        }
        match yes_short.max(no_short) {
            Shares::ZERO => Ok(()),
            short => Err(Violation::Oversold { strategy, short }),
        }
    }

    /// The market's shares became what they pay. `paid` is what the venue paid in all; the last holding
    /// takes what rounding left over, and what is more than that is no strategy's.
    pub fn redeem(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        market: MarketKey,
        payout: Payout,
        paid: Usdc,
        closed: &mut Vec<ClosedLot>,
    ) {
        let held = self.in_market(market).to_vec();
        let mut left = paid;
        for (i, (strategy, token)) in held.iter().enumerate() {
            let Some(holding) = self.holdings.get_mut(&(*strategy, *token)) else { continue };
            // What is not final was not there to be redeemed.
            let (lots, rest): (Vec<Lot>, Vec<Lot>) =
                holding.lots.drain(..).partition(|lot| lot.confirmed);
            holding.lots = rest.into();
            let shares = lots.iter().map(|lot| lot.shares).sum();
            let due = payout.pay(token.outcome(), shares).min(left);
            // A micro-dollar for each holding at most.
            let rounding = left - due <= Usdc::new(held.len() as i64);
            let money = if i + 1 == held.len() && rounding { left } else { due };
            left -= money;
            self.cash_in(
                ledger,
                at,
                *strategy,
                *token,
                &lots,
                money,
                ExitReason::Resolution,
                closed,
            );
        }
        if !left.is_zero() {
            // Paid for shares of no strategy: it is the account's.
            ledger.post(Entry {
                at,
                from: LedgerAccount::External,
                to: LedgerAccount::Cash,
                amount: left,
            });
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what left, for how much and why")]
    fn cash_in(
        &mut self,
        ledger: &mut Ledger,
        at: Time,
        strategy: StrategyId,
        token: Token,
        lots: &[Lot],
        money: Usdc,
        reason: ExitReason,
        closed: &mut Vec<ClosedLot>,
    ) {
        let parts: Vec<Shares> = lots.iter().map(|lot| lot.shares).collect();
        if parts.is_empty() {
            ledger.post(Entry {
                at,
                from: LedgerAccount::External,
                to: LedgerAccount::Cash,
                amount: money,
            });
            return;
        }
        for (lot, proceeds) in lots.iter().zip(divide(money, &parts)) {
            let closing = (1 << 63) | (at.millis().unsigned_abs() / 60_000);
            let result = proceeds - lot.cost;
            ledger.post(Entry {
                at,
                from: LedgerAccount::Inventory,
                to: LedgerAccount::Cash,
                amount: lot.cost,
            });
            ledger.post(Entry {
                at,
                from: Ledger::results_of(strategy),
                to: LedgerAccount::Cash,
                amount: result,
            });
            ledger.realise(at, strategy, result, lot.fee, closing);
            closed.push(ClosedLot {
                strategy,
                token,
                lot: lot.clone(),
                closed_at: at,
                proceeds,
                exit_fee: Usdc::ZERO,
                exit_role: None,
                reason,
                closing,
            });
        }
        self.tidy(strategy, token);
    }
}
