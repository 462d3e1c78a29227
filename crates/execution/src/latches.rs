//! Limits of loss that stay broken: a mark that recovers does not open the gate again.
//!
//! The day's loss holds until the first mark of the next UTC day, the drawdown for as long as it takes;
//! a person's `Resume` lifts both. What is already resting stays, exits and cancels go on.

use polydesk_domain::Usdc;

use crate::config::Limits;
use crate::gate::Equity;

/// What is broken, with the pUSD that broke it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latches {
    /// Lost since the start of the UTC day, or since a person resumed.
    pub daily_loss: Option<Usdc>,
    /// Lost since the highest equity, or since a person resumed.
    pub drawdown: Option<Usdc>,
}

impl Latches {
    /// Latches what this equity breaks; what is latched already stays as it was.
    pub(crate) fn look(&mut self, equity: Equity, limits: &Limits) {
        let Equity { now, high, day_open } = equity;
        let broken = |lost: Usdc, most: Usdc| (lost >= most).then_some(lost);
        self.daily_loss = self.daily_loss.or(broken(day_open - now, limits.daily_loss));
        self.drawdown = self.drawdown.or(broken(high - now, limits.max_drawdown));
    }

    /// A UTC day began.
    pub(crate) fn new_day(&mut self) {
        self.daily_loss = None;
    }

    /// A person resumed: what was broken is measured anew from now on, or the next mark would break it
    /// again. What was not broken keeps its start: a pause forgives no loss.
    pub(crate) fn lift(&mut self, equity: &mut Equity) {
        if self.daily_loss.take().is_some() {
            equity.day_open = equity.now;
        }
        if self.drawdown.take().is_some() {
            equity.high = equity.now;
        }
    }
}
