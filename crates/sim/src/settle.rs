//! How a match becomes final or fails: matched, (retrying), mined, confirmed, or failed.
//!
//! Balances follow: a buy's shares are usable once confirmed, a sell's pUSD as well; a failed match
//! gives back exactly what it took, once.

use polydesk_domain::{
    ClientOrderId, Event, FeeRate, Fill, OwnTrade, Role, Side, Time, TradeId, TradeStatus, Usdc,
};

use crate::bank::Deal;
use crate::chance::Stream;
use crate::due::SimAction;
use crate::state::Sim;
use crate::trade::{ReportTimes, Step, VenueTrade};

impl Sim {
    /// Books a match of one of our orders and starts its settlement. The caller has adjusted the order's
    /// own figures and reservations.
    pub(crate) fn book_match(&mut self, id: ClientOrderId, role: Role, fill: Fill) {
        let Some(order) = self.orders.get(&id) else { return };
        let (token, side, order_update_at) = (order.token, order.side, order.last_update_at);
        let level = fill.level.unwrap_or(order.price);
        let market = &self.slots[token.market().index()].market;
        let rate = market.fees.at(self.now).unwrap_or(FeeRate::FREE);
        let (world_fee, rebate) = match role {
            Role::Taker => (Usdc::ZERO, Usdc::ZERO),
            Role::Maker => {
                (rate.taker_fee(level, fill.shares), rate.maker_rebate(level, fill.shares))
            }
        };
        let deal =
            Deal { token, shares: fill.shares, notional: fill.notional, fee: fill.fee, world_fee };
        match side {
            Side::Buy => self.bank.buy_matched(&deal),
            Side::Sell => self.bank.sell_matched(&deal),
        }
        self.counters.matched(&fill);
        self.trade_serial += 1;
        let serial = self.trade_serial;
        let own = OwnTrade {
            trade: TradeId(u128::from(self.seed) << 64 | u128::from(serial)),
            order: id,
            token,
            side,
            role,
            fill,
            status: TradeStatus::Matched,
        };
        let mut reported = self.first_report(id, order_update_at);
        if self.chance.happens(Stream::Fault, self.config.faults.lose_fill_ppm) {
            self.counters.fills_lost += 1;
            // Later reports do not wait for one that never arrives.
            reported = ReportTimes { last: self.now, prompt: self.now };
        } else {
            self.deliver(reported.last, Event::trade(own));
        }
        if let Some(order) = self.orders.get_mut(&id) {
            order.trades.push(serial);
            order.unsettled += 1;
        }
        let step = Step::Mine;
        let (matched_at, double_mid) = (self.now, self.double_mid_met(token, role));
        let retried = false;
        let trade =
            VenueTrade { own, matched_at, double_mid, deal, rebate, step, retried, reported };
        self.trades.insert(serial, trade);
        let settlement = self.config.settlement;
        let mut at = self.chain_delay(settlement.mined);
        if self.chance.happens(Stream::Chain, settlement.stall_ppm) {
            self.counters.stalled += 1;
            at = at + self.chance.delay(Stream::Chain, settlement.stall);
        }
        self.schedule(at, SimAction::Settle(serial));
    }

    /// When the first report of a match arrives: in sequence with the order's other updates, or late.
    fn first_report(&mut self, id: ClientOrderId, order_update_at: Time) -> ReportTimes {
        let faults = self.config.faults;
        let at = self.answer_time();
        if self.chance.happens(Stream::Fault, faults.late_fill_ppm) {
            let late = self.chance.delay(Stream::Fault, faults.late_fill);
            return ReportTimes { last: at + late, prompt: at };
        }
        let at = at.max(order_update_at);
        if let Some(order) = self.orders.get_mut(&id) {
            order.last_update_at = at;
        }
        ReportTimes { last: at, prompt: at }
    }

    /// Takes the next step of a match's settlement.
    pub(crate) fn settle(&mut self, serial: u64) {
        let Some(trade) = self.trades.get(&serial) else { return };
        let (step, retried) = (trade.step, trade.retried);
        let settlement = self.config.settlement;
        match step {
            Step::Mine => {
                let fails = self.will_fail(serial);
                let again = !retried && self.chance.happens(Stream::Chain, settlement.retry_ppm);
                if fails {
                    self.go_on(serial, TradeStatus::Retrying, Step::Fail, settlement.retry);
                } else if again {
                    self.counters.retried += 1;
                    self.go_on(serial, TradeStatus::Retrying, Step::Mine, settlement.retry);
                } else {
                    self.go_on(serial, TradeStatus::Mined, Step::Confirm, settlement.confirmed);
                }
            }
            Step::Fail => self.finish(serial, TradeStatus::Failed),
            Step::Confirm => self.finish(serial, TradeStatus::Confirmed),
            Step::Over => {}
        }
    }

    /// Draws whether a match fails for good. A match whose price has moved in our favour fails more often.
    fn will_fail(&mut self, serial: u64) -> bool {
        let Some(trade) = self.trades.get(&serial) else { return false };
        let settlement = self.config.settlement;
        let book = self.books.get(trade.own.token.market());
        let double_mid = book.and_then(|book| book.double_mid(trade.own.token.outcome()));
        let winner = match (trade.own.fill.level, double_mid) {
            (Some(level), Some(mid)) => {
                let paid = u32::from(level.units()) * 2;
                if trade.own.side == Side::Buy { mid > paid } else { mid < paid }
            }
            _ => false,
        };
        let more = if winner { settlement.winner_fail_ppm } else { 0 };
        self.chance.happens(Stream::Chain, (settlement.fail_ppm + more).min(1_000_000))
    }

    fn go_on(&mut self, serial: u64, status: TradeStatus, step: Step, delay: crate::Delay) {
        if let Some(trade) = self.trades.get_mut(&serial) {
            trade.retried |= status == TradeStatus::Retrying;
            trade.step = step;
        }
        self.report_status(serial, status);
        let at = self.chain_delay(delay);
        self.schedule(at, SimAction::Settle(serial));
    }

    fn finish(&mut self, serial: u64, status: TradeStatus) {
        self.report_status(serial, status);
        let Some(trade) = self.trades.get_mut(&serial) else { return };
        trade.step = Step::Over;
        let (deal, side, rebate) = (trade.deal, trade.own.side, trade.rebate);
        let order = trade.own.order;
        match (status, side) {
            (TradeStatus::Failed, Side::Buy) => self.bank.buy_failed(&deal),
            (TradeStatus::Failed, Side::Sell) => self.bank.sell_failed(&deal),
            (_, Side::Buy) => self.bank.buy_confirmed(&deal),
            (_, Side::Sell) => self.bank.sell_confirmed(&deal),
        }
        let market = deal.token.market();
        if status == TradeStatus::Failed {
            self.counters.ghost_fills += 1;
        } else {
            self.counters.confirmed += 1;
            self.counters.fees_paid += deal.fee;
            self.accrue_rebate(market, rebate);
        }
        if let Some(order) = self.orders.get_mut(&order) {
            order.unsettled -= 1;
        } else if let Some(ended) = self.ended.get_mut(&order) {
            ended.unsettled -= 1;
        }
        self.keep_if_over(order);
        // Shares that settle in a resolved market are paid out too.
        self.plan_auto_redeem(market);
    }

    fn report_status(&mut self, serial: u64, status: TradeStatus) {
        let at = self.answer_time();
        let Some(trade) = self.trades.get_mut(&serial) else { return };
        trade.own.status = status;
        if self.chance.happens(Stream::Fault, self.config.faults.lose_settlement_ppm) {
            self.counters.settlements_lost += 1;
            return;
        }
        trade.reported.prompt = trade.reported.prompt.max(at);
        trade.reported.last = trade.reported.last.max(at);
        let (at, own) = (trade.reported.last, trade.own);
        self.deliver(at, Event::trade(own));
    }

    /// Reports the present status of a match again for a query, at `at` or with its latest report. It does
    /// not wait for a late first report, which then arrives after it with its older status.
    pub(crate) fn report_again(&mut self, serial: u64, at: Time) {
        let Some(trade) = self.trades.get_mut(&serial) else { return };
        let at = at.max(trade.reported.prompt);
        trade.reported.prompt = at;
        trade.reported.last = trade.reported.last.max(at);
        let own = trade.own;
        self.deliver(at, Event::trade(own));
    }
}
