//! Double entry in micro-dollars: every movement has a source and a target, so all accounts together
//! always add up to zero.
//!
//! The venue's own fee is what is booked. Profit counts only when the sale that made it is final.

use polydesk_domain::{StrategyId, Time, Usdc};
use serde::{Deserialize, Serialize};

use super::codec::{Venue, plain};
use super::tracked::{Single, Tracked};

/// Where money can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LedgerAccount {
    /// pUSD in the wallet that nothing can take back any more, less what buys have taken.
    Cash,
    /// Proceeds of sales that are matched but not final.
    Pending,
    /// What is held, at cost with fees.
    Inventory,
    /// Profit of sales that are not final.
    Deferred,
    /// Profit and loss of everything final.
    Realised,
    /// Shares of taker fees received.
    Rebates,
    /// Liquidity rewards received.
    Rewards,
    /// Money that came from or went to outside.
    External,
    /// Redemptions whose market is not resolved here yet.
    Unmatched,
}

/// One movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Time,
    /// Loses `amount`.
    pub from: LedgerAccount,
    /// Gains `amount`.
    pub to: LedgerAccount,
    /// Micro-dollars; may be negative (a loss moves the other way).
    pub amount: Usdc,
}

/// Realised results of one (strategy, day).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tally {
    /// Profit and loss, fees included.
    pub realised: Usdc,
    /// Fees that were part of it.
    pub fees: Usdc,
    /// Closed trades.
    pub trades: u32,
    /// Closed trades with a profit.
    pub wins: u32,
}

/// Double-entry books of the account.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    pub(crate) balances: Tracked<LedgerAccount, Usdc>,
    /// By strategy and UTC day since 1970.
    pub(crate) days: Tracked<(StrategyId, i64), Tally>,
    pub(crate) totals: Single<Totals>,
}

/// Sums beside the balances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Totals {
    /// Movements so far.
    entries: u64,
    /// Fees charged by the venue so far, settled or not.
    fees: Usdc,
    losses_in_a_row: u32,
    last_loss_at: Option<Time>,
    /// The closing under way: one exit can be many fills of many lots.
    closing: Option<Closing>,
}

/// One closing with the streak before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Closing {
    by: u64,
    result: Usdc,
    streak_before: u32,
}

plain!(LedgerAccount, Usdc, Tally, Totals);

impl Ledger {
    /// Moves money. The only way a balance changes.
    pub fn post(&mut self, entry: Entry) {
        *self.balances.entry(entry.from) -= entry.amount;
        *self.balances.entry(entry.to) += entry.amount;
        self.totals.get_mut().entries += 1;
    }

    /// A balance.
    pub fn balance(&self, account: LedgerAccount) -> Usdc {
        self.balances.get(&account).copied().unwrap_or_default()
    }

    /// All balances.
    pub fn balances(&self) -> impl Iterator<Item = (LedgerAccount, Usdc)> {
        self.balances.iter().map(|(account, balance)| (*account, *balance))
    }

    /// Movements so far.
    pub fn entries(&self) -> u64 {
        self.totals.get().entries
    }

    /// Counts a fee the venue charged (it is part of cost or proceeds already).
    pub fn note_fee(&mut self, fee: Usdc) {
        if !fee.is_zero() {
            self.totals.get_mut().fees += fee;
        }
    }

    /// Fees charged so far; those of failed trades are taken off again.
    pub fn fees(&self) -> Usdc {
        self.totals.get().fees
    }

    /// Where the result of a strategy's closing goes: what the bot did not buy makes it no profit or loss.
    pub(super) fn results_of(strategy: StrategyId) -> LedgerAccount {
        match strategy == StrategyId::EXTERNAL {
            true => LedgerAccount::External,
            false => LedgerAccount::Realised,
        }
    }

    /// Books the result of something final. `by` names the closing it is part of: an exit order, or a
    /// merge or redemption; a streak counts closings, not fills or lots.
    pub fn realise(&mut self, at: Time, strategy: StrategyId, result: Usdc, fees: Usdc, by: u64) {
        if strategy == StrategyId::EXTERNAL {
            return;
        }
        let tally = self.days.entry((strategy, at.day()));
        tally.realised += result;
        tally.fees += fees;
        tally.trades += 1;
        tally.wins += u32::from(result > Usdc::ZERO);
        let totals = self.totals.get_mut();
        let mut closing = match totals.closing {
            Some(closing) if closing.by == by => closing,
            _ => Closing { by, result: Usdc::ZERO, streak_before: totals.losses_in_a_row },
        };
        closing.result += result;
        totals.closing = Some(closing);
        totals.losses_in_a_row = match closing.result.cmp(&Usdc::ZERO) {
            core::cmp::Ordering::Less => closing.streak_before + 1,
            core::cmp::Ordering::Equal => closing.streak_before,
            core::cmp::Ordering::Greater => 0,
        };
        if closing.result < Usdc::ZERO {
            totals.last_loss_at = Some(at);
        }
    }

    /// A correction of something final: the day's result changes, no streak does.
    pub(crate) fn adjust(&mut self, at: Time, strategy: StrategyId, amount: Usdc) {
        if strategy == StrategyId::EXTERNAL {
            return;
        }
        self.days.entry((strategy, at.day())).realised += amount;
    }

    /// Losses since the last profit, and when the latest of them was.
    pub fn losing_streak(&self) -> (u32, Option<Time>) {
        let totals = self.totals.get();
        (totals.losses_in_a_row, totals.last_loss_at)
    }

    /// Ends a losing streak (its cool-down is over).
    pub fn reset_streak(&mut self) {
        let totals = self.totals.get_mut();
        totals.losses_in_a_row = 0;
        totals.closing = None;
    }

    /// The clock went back: a loss that is dated later counts as of now.
    pub(crate) fn turn_back(&mut self, now: Time) {
        if self.totals.get().last_loss_at.is_some_and(|at| at > now) {
            self.totals.get_mut().last_loss_at = Some(now);
        }
    }

    /// Realised results by (strategy, UTC day since 1970).
    pub fn days(&self) -> impl Iterator<Item = (&(StrategyId, i64), &Tally)> {
        self.days.iter()
    }

    /// What is owned: cash, pending proceeds and inventory at cost.
    pub fn book_value(&self) -> Usdc {
        [LedgerAccount::Cash, LedgerAccount::Pending, LedgerAccount::Inventory]
            .map(|a| self.balance(a))
            .into_iter()
            .sum()
    }

    /// The sum of all accounts: anything but zero is a bug.
    pub fn imbalance(&self) -> Usdc {
        self.balances.values().copied().sum()
    }
}
