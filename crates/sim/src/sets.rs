//! Complete sets, redemption and rebates: money that moves without an order.

use polydesk_domain::{
    Cash, CashKind, Conversion, Event, MarketKey, MarketState, Shares, Time, Usdc,
};

use crate::chance::Purpose;
use crate::due::{Due, SetOrder};
use crate::retention::Kept;
use crate::state::Sim;

impl Sim {
    /// A set operation arrives: what it needs is put aside, or it fails.
    pub(crate) fn set_arrive(&mut self, order: SetOrder) {
        let listed = self.is_listed(order.market);
        let possible = listed
            && match order.action {
                Conversion::Split(amount) => {
                    let sane = !amount.is_zero() && amount <= Shares::SANE_MAX;
                    let promised = sane && self.bank.reserve_cash(amount.face_value());
                    if promised {
                        self.splits += amount.face_value();
                    }
                    promised
                }
                Conversion::Merge(amount) => {
                    !amount.is_zero()
                        && amount <= Shares::SANE_MAX
                        && self.bank.lock(order.market, amount)
                }
                Conversion::Redeem => {
                    matches!(self.slots[order.market.index()].state, MarketState::Resolved(_))
                }
            };
        if possible {
            let at = self.chain_delay(self.config.sets.delay);
            self.schedule(at, Due::SetDone(order));
        } else {
            self.set_failed(order);
        }
    }

    /// A set operation is final, or fails on the chain and gives back what was put aside.
    pub(crate) fn set_done(&mut self, order: SetOrder) {
        let fails = self.chance.happens(Purpose::Chain, self.config.sets.fail_ppm);
        match (order.action, fails) {
            (Conversion::Split(amount), true) => {
                self.splits -= amount.face_value();
                self.bank.release_cash(amount.face_value());
                self.set_failed(order);
            }
            (Conversion::Merge(amount), true) => {
                self.bank.unlock(order.market, amount);
                self.set_failed(order);
            }
            (Conversion::Redeem, true) => self.set_failed(order),
            (Conversion::Split(amount), false) => {
                self.splits -= amount.face_value();
                self.bank.split(order.market, amount);
                self.set_news(order, CashKind::Split, -amount.face_value(), [amount; 2]);
            }
            (Conversion::Merge(amount), false) => {
                self.bank.merge(order.market, amount);
                self.set_news(order, CashKind::Merge, amount.face_value(), [amount; 2]);
            }
            (Conversion::Redeem, false) => self.redeem(order),
        }
    }

    fn redeem(&mut self, order: SetOrder) {
        let MarketState::Resolved(payout) = self.slots[order.market.index()].state else {
            return self.set_failed(order);
        };
        let held = polydesk_domain::Outcome::BOTH
            .iter()
            .any(|outcome| !self.shares_free(order.market.token(*outcome)).is_zero());
        if !held {
            // Nothing to redeem: the venue's own redemption can be faster than a command.
            if order.id.is_some() {
                self.set_failed(order);
            }
            return;
        }
        let (burnt, paid) = self.bank.redeem(order.market, payout);
        self.set_news(order, CashKind::Redeem, paid, burnt);
    }

    fn set_failed(&mut self, order: SetOrder) {
        self.counters.sets_failed += 1;
        self.cash_news(order, CashKind::Failed, Usdc::ZERO, [Shares::ZERO; 2]);
    }

    fn set_news(&mut self, order: SetOrder, kind: CashKind, amount: Usdc, shares: [Shares; 2]) {
        self.counters.sets_done += 1;
        self.cash_news(order, kind, amount, shares);
    }

    fn cash_news(&mut self, order: SetOrder, kind: CashKind, amount: Usdc, shares: [Shares; 2]) {
        let at = self.answer_time();
        let cash = Cash {
            kind,
            conversion: order.id,
            strategy: order.strategy,
            market: Some(order.market),
            amount,
            shares,
        };
        if let Some(id) = order.id {
            let before = self.conversions.insert(id, (self.now, cash));
            self.retention.keep(Kept::Conversion(id), before.map(|(at, _)| at), self.now);
        }
        // A redemption by the venue is no answer: no query asks for it.
        let faults = self.config.faults;
        if order.id.is_some() && self.chance.happens(Purpose::Fault, faults.lose_conversion_ppm) {
            self.counters.conversions_lost += 1;
        } else {
            self.deliver(at, Event::cash(cash));
        }
    }

    /// Where the venue redeems by itself, it does so some time after the resolution.
    pub(crate) fn plan_auto_redeem(&mut self, key: MarketKey) {
        let resolved = matches!(self.slots[key.index()].state, MarketState::Resolved(_));
        if self.config.sets.auto_redeem && resolved {
            let at = self.chain_delay(self.config.sets.auto_redeem_delay);
            self.schedule(at, Due::AutoRedeem(key));
        }
    }

    pub(crate) fn auto_redeem(&mut self, key: MarketKey) {
        // Once the market is delisted there is nothing left to redeem.
        if !self.is_listed(key) {
            return;
        }
        self.redeem(SetOrder { id: None, strategy: None, market: key, action: Conversion::Redeem });
    }

    pub(crate) fn accrue_rebate(&mut self, market: MarketKey, amount: Usdc) {
        if !self.config.rebates.paid || amount.is_zero() {
            return;
        }
        let day = self.now.day();
        if !self.rebates.range((day, MarketKey(0))..(day + 1, MarketKey(0))).any(|_| true) {
            let end = Time::from_secs((day + 1).saturating_mul(86_400));
            self.schedule(end + self.config.rebates.delay, Due::PayRebates(day));
        }
        *self.rebates.entry((day, market)).or_default() += amount;
    }

    /// Pays what accrued on a day, per market; below the least payment it is forfeited.
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

    /// Pays all rebates accrued so far at once, by the same rules: for the end of a run.
    pub fn settle_rebates(&mut self) {
        let mut days: Vec<i64> = self.rebates.keys().map(|(day, _)| *day).collect();
        days.dedup();
        for day in days {
            self.pay_rebates(day);
        }
    }
}
