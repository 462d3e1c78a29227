//! Double entry in micro-dollars: every movement has a source and a target, so all accounts together
//! always add up to zero.
//!
//! The venue's own fee is what is booked. Profit counts only when the sale that made it is final.

use std::collections::BTreeMap;

use polydesk_domain::{MarketKey, StrategyId, Time, Usdc};

/// Where money can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Account {
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
}

/// One movement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// When.
    pub at: Time,
    /// Loses `amount`.
    pub from: Account,
    /// Gains `amount`.
    pub to: Account,
    /// Micro-dollars; may be negative (a loss moves the other way).
    pub amount: Usdc,
}

/// Realised results of one (strategy, market, day).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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

/// The books of the desk.
#[derive(Debug, Clone, Default)]
pub struct Ledger {
    balances: BTreeMap<Account, Usdc>,
    entries: u64,
    /// Fees charged by the venue so far, settled or not.
    fees: Usdc,
    by_slot: BTreeMap<(StrategyId, MarketKey, i64), Tally>,
    realised_today: (i64, Usdc),
    losses_in_a_row: u32,
    last_loss_at: Option<Time>,
    /// The closing under way: one exit can be many fills of many lots.
    closing: Option<Closing>,
}

/// One closing with the streak before it.
#[derive(Debug, Clone, Copy)]
struct Closing {
    by: u64,
    result: Usdc,
    streak_before: u32,
}

impl Ledger {
    /// Moves money. The only way a balance changes.
    pub fn post(&mut self, entry: Entry) {
        *self.balances.entry(entry.from).or_default() -= entry.amount;
        *self.balances.entry(entry.to).or_default() += entry.amount;
        self.entries += 1;
    }

    /// A balance.
    pub fn balance(&self, account: Account) -> Usdc {
        self.balances.get(&account).copied().unwrap_or_default()
    }

    /// Movements so far.
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// Counts a fee the venue charged (it is part of cost or proceeds already).
    pub fn note_fee(&mut self, fee: Usdc) {
        self.fees += fee;
    }

    /// Fees charged so far; those of failed trades are taken off again.
    pub fn fees(&self) -> Usdc {
        self.fees
    }

    /// Books the result of something final. `by` names the closing it is part of: an exit order, or a
    /// merge or redemption; a streak counts closings, not fills or lots.
    pub fn realise(
        &mut self,
        at: Time,
        strategy: StrategyId,
        market: MarketKey,
        result: Usdc,
        fees: Usdc,
        by: u64,
    ) {
        let tally = self.by_slot.entry((strategy, market, at.day())).or_default();
        tally.realised += result;
        tally.fees += fees;
        tally.trades += 1;
        tally.wins += u32::from(result > Usdc::ZERO);
        if self.realised_today.0 != at.day() {
            self.realised_today = (at.day(), Usdc::ZERO);
        }
        self.realised_today.1 += result;
        let mut closing = match self.closing {
            Some(closing) if closing.by == by => closing,
            _ => Closing { by, result: Usdc::ZERO, streak_before: self.losses_in_a_row },
        };
        closing.result += result;
        self.closing = Some(closing);
        self.losses_in_a_row = match closing.result.cmp(&Usdc::ZERO) {
            core::cmp::Ordering::Less => closing.streak_before + 1,
            core::cmp::Ordering::Equal => closing.streak_before,
            core::cmp::Ordering::Greater => 0,
        };
        if closing.result < Usdc::ZERO {
            self.last_loss_at = Some(at);
        }
    }

    /// Realised results of the UTC day of `at`.
    pub fn realised_on(&self, at: Time) -> Usdc {
        if self.realised_today.0 == at.day() { self.realised_today.1 } else { Usdc::ZERO }
    }

    /// Losses since the last profit, and when the latest of them was.
    pub fn losing_streak(&self) -> (u32, Option<Time>) {
        (self.losses_in_a_row, self.last_loss_at)
    }

    /// Ends a losing streak (its cool-down is over).
    pub fn forgive_streak(&mut self) {
        self.losses_in_a_row = 0;
        self.closing = None;
    }

    /// Realised results by (strategy, market, UTC day since 1970).
    pub fn tallies(&self) -> impl Iterator<Item = (&(StrategyId, MarketKey, i64), &Tally)> {
        self.by_slot.iter()
    }

    /// What is owned: cash, pending proceeds and inventory at cost.
    pub fn book_value(&self) -> Usdc {
        [Account::Cash, Account::Pending, Account::Inventory]
            .map(|a| self.balance(a))
            .into_iter()
            .sum()
    }

    /// The sum of all accounts: anything but zero is a bug.
    pub fn imbalance(&self) -> Usdc {
        self.balances.values().copied().sum()
    }
}
