//! Conversions (split, merge, redeem) and rebates: money that moves without an order.

use polydesk_domain::{
    Cash, CashKind, Conversion, Event, MarketKey, MarketState, Shares, Time, Usdc,
};

use crate::chance::Stream;
use crate::due::{ConversionRequest, SimAction};
use crate::retention::Kept;
use crate::state::Sim;

impl Sim {
    /// A conversion arrives: it reserves what it needs, or fails.
    pub(crate) fn conversion_arrives(&mut self, request: ConversionRequest) {
        let listed = self.is_listed(request.market);
        let possible = listed
            && match request.action {
                Conversion::Split(amount) => {
                    let sane = !amount.is_zero() && amount <= Shares::SANE_MAX;
                    let reserved = sane && self.bank.reserve_cash(amount.face_value());
                    if reserved {
                        self.splits += amount.face_value();
                    }
                    reserved
                }
                Conversion::Merge(amount) => {
                    !amount.is_zero()
                        && amount <= Shares::SANE_MAX
                        && self.bank.lock(request.market, amount)
                }
                Conversion::Redeem => {
                    matches!(self.slots[request.market.index()].state, MarketState::Resolved(_))
                }
            };
        if possible {
            let at = self.chain_delay(self.config.conversions.delay);
            self.schedule(at, SimAction::ConversionEnd(request));
        } else {
            self.conversion_failed(request);
        }
    }

    /// A conversion becomes final, or fails on the chain and releases what it reserved.
    pub(crate) fn conversion_ends(&mut self, request: ConversionRequest) {
        let fails = self.chance.happens(Stream::Chain, self.config.conversions.fail_ppm);
        match (request.action, fails) {
            (Conversion::Split(amount), true) => {
                self.splits -= amount.face_value();
                self.bank.release_cash(amount.face_value());
                self.conversion_failed(request);
            }
            (Conversion::Merge(amount), true) => {
                self.bank.unlock(request.market, amount);
                self.conversion_failed(request);
            }
            (Conversion::Redeem, true) => self.conversion_failed(request),
            (Conversion::Split(amount), false) => {
                self.splits -= amount.face_value();
                self.bank.split(request.market, amount);
                self.conversion_done(request, CashKind::Split, -amount.face_value(), [amount; 2]);
            }
            (Conversion::Merge(amount), false) => {
                self.bank.merge(request.market, amount);
                self.conversion_done(request, CashKind::Merge, amount.face_value(), [amount; 2]);
            }
            (Conversion::Redeem, false) => self.redeem(request),
        }
    }

    fn redeem(&mut self, request: ConversionRequest) {
        let MarketState::Resolved(payout) = self.slots[request.market.index()].state else {
            return self.conversion_failed(request);
        };
        let held = polydesk_domain::Outcome::BOTH
            .iter()
            .any(|outcome| !self.shares_free(request.market.token(*outcome)).is_zero());
        if !held {
            // The venue's own redemption can come before that of a command.
            if request.id.is_some() {
                self.conversion_failed(request);
            }
            return;
        }
        let (burnt, paid) = self.bank.redeem(request.market, payout);
        self.conversion_done(request, CashKind::Redeem, paid, burnt);
    }

    fn conversion_failed(&mut self, request: ConversionRequest) {
        self.counters.conversions_failed += 1;
        self.report_cash(request, CashKind::Failed, Usdc::ZERO, [Shares::ZERO; 2]);
    }

    fn conversion_done(
        &mut self,
        request: ConversionRequest,
        kind: CashKind,
        amount: Usdc,
        shares: [Shares; 2],
    ) {
        self.counters.conversions_done += 1;
        self.report_cash(request, kind, amount, shares);
    }

    fn report_cash(
        &mut self,
        request: ConversionRequest,
        kind: CashKind,
        amount: Usdc,
        shares: [Shares; 2],
    ) {
        let at = self.answer_time();
        let cash = Cash {
            kind,
            conversion: request.id,
            strategy: request.strategy,
            market: Some(request.market),
            amount,
            shares,
        };
        if let Some(id) = request.id {
            let before = self.conversions.insert(id, (self.now, cash));
            self.retention.keep(Kept::Conversion(id), before.map(|(at, _)| at), self.now);
        }
        // A redemption by the venue has no id, so no query could find it: it is never lost.
        let faults = self.config.faults;
        if request.id.is_some() && self.chance.happens(Stream::Fault, faults.lose_conversion_ppm) {
            self.counters.conversions_lost += 1;
        } else {
            self.deliver(at, Event::cash(cash));
        }
    }

    /// Schedules the venue's own redemption, where the configuration has one.
    pub(crate) fn plan_auto_redeem(&mut self, key: MarketKey) {
        let resolved = matches!(self.slots[key.index()].state, MarketState::Resolved(_));
        if self.config.conversions.auto_redeem && resolved {
            let at = self.chain_delay(self.config.conversions.auto_redeem_delay);
            self.schedule(at, SimAction::AutoRedeem(key));
        }
    }

    pub(crate) fn auto_redeem(&mut self, key: MarketKey) {
        // A market is freed only when nothing is left to redeem.
        if !self.is_listed(key) {
            return;
        }
        self.redeem(ConversionRequest {
            id: None,
            strategy: None,
            market: key,
            action: Conversion::Redeem,
        });
    }

    pub(crate) fn accrue_rebate(&mut self, market: MarketKey, amount: Usdc) {
        if !self.config.rebates.paid || amount.is_zero() {
            return;
        }
        let day = self.now.day();
        if !self.rebates.range((day, MarketKey(0))..(day + 1, MarketKey(0))).any(|_| true) {
            let end = Time::from_secs((day + 1).saturating_mul(86_400));
            self.schedule(end + self.config.rebates.delay, SimAction::PayRebates(day));
        }
        *self.rebates.entry((day, market)).or_default() += amount;
    }

    /// Pays the rebates of a day per market; an amount below the least payment is forfeited.
    pub(crate) fn pay_rebates(&mut self, day: i64) {
        let range = (day, MarketKey(0))..(day + 1, MarketKey(0));
        let due: Vec<(MarketKey, Usdc)> =
            self.rebates.range(range).map(|((_, market), amount)| (*market, *amount)).collect();
        for (market, amount) in due {
            self.rebates.remove(&(day, market));
            if amount < self.config.rebates.least || !self.bank.rebate(amount) {
                self.counters.rebates_forfeited += amount;
                continue;
            }
            self.counters.rebates_paid += amount;
            let at = self.answer_time();
            let cash = Cash {
                kind: CashKind::Rebate,
                conversion: None,
                strategy: None,
                market: Some(market),
                amount,
                shares: [Shares::ZERO; 2],
            };
            self.deliver(at, Event::cash(cash));
        }
    }

    /// Pays all rebates accrued so far by the same rules: for the end of a run.
    pub fn settle_rebates(&mut self) {
        let mut days: Vec<i64> = self.rebates.keys().map(|(day, _)| *day).collect();
        days.dedup();
        for day in days {
            self.pay_rebates(day);
        }
    }
}
