//! What strategies say becomes orders.

use polydesk_domain::{ClientOrderId, Command, Side, SignalId, Size, StrategyId, Tif, Time, Usdc};
use polydesk_signals::{Action, Reason, Signal, Trade, Urgency};

use super::{Context, Execution};
use crate::gate::Mode;
use crate::orders::{Order, Purpose};
use crate::positions::ExitReason;
use crate::quotes::Desired;

impl Execution {
    /// Acts on a signal.
    pub fn on_signal(&mut self, ctx: &Context<'_>, signal: Signal, out: &mut Vec<Command>) {
        let Signal { id, strategy, market, action, expires, edge, .. } = signal;
        // What was said during a kill is not acted on after it.
        if matches!(self.mode, Mode::Killed | Mode::NotReady) {
            let code = if self.mode == Mode::Killed { "killed" } else { "not_ready" };
            return self.deny(strategy, Reason::new(code));
        }
        match action {
            Action::Trade(trade) => self.trade(ctx, strategy, id, edge, &trade, out),
            Action::Quotes(quotes) => {
                self.desired.insert(
                    (strategy, market),
                    Desired { quotes, signal: id, edge, expires, retry_at: Time::MIN },
                );
                self.requote_one(ctx, (strategy, market), out);
            }
            Action::Basket(basket) => self.start_plan(ctx, strategy, id, market, &basket, out),
            Action::Close(close) => self.close(ctx, strategy, close, ExitReason::Signal, out),
        }
    }

    fn trade(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        signal: SignalId,
        edge: Usdc,
        trade: &Trade,
        out: &mut Vec<Command>,
    ) {
        let tif = match (trade.urgency, trade.all_or_nothing) {
            (Urgency::Rest, _) => Tif::Gtc,
            (Urgency::Now, true) => Tif::Fok,
            (Urgency::Now, false) => Tif::Fak,
        };
        // Immediate buys are sized in pUSD at the venue, everything else in shares.
        let size = match (tif.rests(), trade.side, trade.size) {
            (false, Side::Buy, Size::Shares(shares)) => {
                Size::Spend(trade.limit.notional_floor(shares).floor_cents())
            }
            (true, Side::Buy, Size::Spend(spend)) => {
                Size::Shares(trade.limit.shares_for(spend).unwrap_or_default().floor_cents())
            }
            (_, _, Size::Shares(shares)) => Size::Shares(shares.floor_cents()),
            (_, _, Size::Spend(spend)) => Size::Spend(spend.floor_cents()),
        };
        let sellable = self.position(strategy, trade.token).sellable();
        let size = match (trade.side, size) {
            // A strategy sells only its own settled lots.
            (Side::Sell, Size::Shares(shares)) => Size::Shares(shares.min(sellable).floor_cents()),
            (Side::Sell, Size::Spend(_)) => {
                return self.deny(strategy, Reason::new("sell_sized_in_usd"));
            }
            (Side::Buy, size) => size,
        };
        let purpose =
            if trade.side == Side::Sell { Purpose::Exit(ExitReason::Signal) } else { Purpose::Trade };
        let mut order = Order::planned(
            ClientOrderId(0),
            strategy,
            signal,
            purpose,
            trade.token,
            trade.side,
            trade.limit,
            size,
            tif,
            ctx.now,
        );
        order.exit = trade.exit;
        order.edge = edge;
        let _ = self.submit(ctx, order, false, out);
    }
}
