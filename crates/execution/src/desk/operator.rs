//! What a person orders, and what the desk does when it may not trust itself.

use polydesk_domain::{Command, MarketKey, NoteLevel, OperatorCommand, Price, StrategyId, Time};
use polydesk_signals::{Close, Reason};

use super::{Context, Execution};
use crate::gate::Mode;
use crate::positions::ExitReason;

impl Execution {
    /// Takes in what a person ordered.
    pub fn on_operator(
        &mut self,
        ctx: &Context<'_>,
        command: OperatorCommand,
        out: &mut Vec<Command>,
    ) {
        match (command, self.mode) {
            (OperatorCommand::Kill, _) => self.kill(ctx.now, out),
            // Whoever lifts a kill has seen why the desk halted, if it did.
            (OperatorCommand::Rearm, Mode::Killed) => {
                self.halted = None;
                self.mode = Mode::Paused;
            }
            (OperatorCommand::Flatten(market), mode) if mode != Mode::NotReady => {
                self.flatten(ctx, market, out);
            }
            // A kill is lifted by rearming, by nothing else.
            (_, Mode::Killed | Mode::NotReady) => {}
            (OperatorCommand::Pause, _) => self.mode = Mode::Paused,
            (OperatorCommand::ReduceOnly, _) => self.mode = Mode::ReduceOnly,
            (OperatorCommand::Resume, _) => {
                self.mode = Mode::Running;
                self.latches.lift(&mut self.equity);
            }
            (OperatorCommand::Rearm | OperatorCommand::Flatten(_), _) => {}
        }
    }

    fn flatten(&mut self, ctx: &Context<'_>, market: Option<MarketKey>, out: &mut Vec<Command>) {
        let held: Vec<_> = self.positions.all().map(|(s, t, _)| (s, t)).collect();
        for (strategy, token) in held {
            if market.is_none_or(|market| market == token.market()) {
                let close = Close { token, fraction_ppm: 1_000_000, floor: Price::ZERO };
                self.close(ctx, strategy, close, ExitReason::Operator, out);
            }
        }
    }

    pub(super) fn close(
        &mut self,
        ctx: &Context<'_>,
        strategy: StrategyId,
        close: Close,
        why: ExitReason,
        out: &mut Vec<Command>,
    ) {
        let Some(holding) = self.positions.get_mut(strategy, close.token) else {
            return self.deny(strategy, Reason::new("nothing_to_close"));
        };
        let shares =
            holding.held().scale_floor(u64::from(close.fraction_ppm.min(1_000_000)), 1_000_000);
        if shares.is_zero() {
            return self.deny(strategy, Reason::new("nothing_to_close"));
        }
        // A person's wish comes from above and is obeyed also by what was latched before.
        holding.leaving = Some((why, close.floor, shares));
        holding.retry_at = None;
        self.exits(ctx, close.token.market(), out);
    }

    /// Latches the kill: cancels everything, nothing new.
    pub fn kill(&mut self, now: Time, out: &mut Vec<Command>) {
        self.mode = Mode::Killed;
        self.cancel_all(now, out);
    }

    /// The run ends: cancels everything that rests.
    pub fn stop(&mut self, now: Time, out: &mut Vec<Command>) {
        self.mode = self.mode.max(Mode::ReduceOnly);
        self.stopping = true;
        self.cancel_all(now, out);
    }

    /// One request for everything at once; what it misses is cancelled one by one by the timer.
    fn cancel_all(&mut self, now: Time, out: &mut Vec<Command>) {
        self.desired.clear();
        self.requote.clear();
        out.push(Command::CancelAll(None));
        let resting = self.orders.open().filter(|order| !order.state.ended() && order.tif.rests());
        for id in resting.map(|order| order.id).collect::<Vec<_>>() {
            self.orders.cancelling(id, now);
        }
    }

    pub(super) fn halt(&mut self, ctx: &Context<'_>, why: String, out: &mut Vec<Command>) {
        // Only the first reason counts; what follows is its consequence.
        if self.halted.is_none() {
            out.push(Command::Note { level: NoteLevel::Critical, code: "halt", text: why.clone() });
            self.halted = Some(why);
        }
        self.kill(ctx.now, out);
    }

    pub(super) fn odd(&mut self, code: &'static str, text: String, out: &mut Vec<Command>) {
        *self.counts.oddities.entry(code).or_default() += 1;
        out.push(Command::Note { level: NoteLevel::Warning, code, text });
    }
}
