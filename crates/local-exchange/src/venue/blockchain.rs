//! The chain below the exchange: one block in two seconds of its clock, with the transactions that moved money.
//!
//! Blocks are a function of the time, so nothing is scheduled for them and no random number is drawn. A transaction
//! lands in the first block after it was made. Balances are not kept here: the ledger has the latest ones, and what
//! later blocks moved is taken off again to see an earlier block.

use std::collections::BTreeMap;

use alloy::primitives::{Address, B256, keccak256};
use polydesk_domain::{MarketKey, Payout, Shares, Span, Time, Usdc};

use super::order::Trade;

/// From one block to the next.
pub(crate) const BLOCK: Span = Span::secs(2);
/// The newest final block is so many blocks below the newest.
pub(crate) const FINAL_DEPTH: u64 = 5;
/// Blocks of which transactions and logs are kept: two hours. A chain of a day would be most of what a long rehearsal needs.
pub(crate) const KEPT_BLOCKS: u64 = 3_600;
/// The number of the block at which an exchange starts.
pub(crate) const FIRST_BLOCK: u64 = 90_000_000;

/// A movement of money outside of a match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Move {
    /// pUSD from outside (negative: to outside).
    Deposit { wallet: Address, amount: Usdc },
    /// pUSD into complete sets.
    Split { wallet: Address, market: MarketKey, shares: Shares },
    /// Complete sets into pUSD.
    Merge { wallet: Address, market: MarketKey, shares: Shares },
    /// Shares (YES first) of a resolved market into pUSD.
    Redeem { wallet: Address, market: MarketKey, shares: [Shares; 2], paid: Usdc },
    /// A market's payout is reported.
    Resolve { market: MarketKey, payout: Payout },
}

/// What a transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    /// It settled a trade.
    Fill(Box<Trade>),
    /// It was to settle a trade and reverted.
    RevertedFill(Box<Trade>),
    /// Movements in this order; none if it reverted.
    Moves(Vec<Move>),
    /// A call of a wallet that reverted.
    Reverted(Address),
}

/// A transaction in a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) hash: [u8; 32],
    pub(crate) deed: Deed,
}

/// Blocks in even steps from a time on.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    first: u64,
    at: Time,
}

/// Blocks, and the transactions of the newest ones.
#[derive(Debug)]
pub(crate) struct Blockchain {
    /// Transactions before this are the state that the chain starts with.
    open: bool,
    stretches: Vec<Stretch>,
    /// The last block before a standstill, and when that began.
    halted: Option<(u64, Time)>,
    blocks: BTreeMap<u64, Vec<Transaction>>,
    places: BTreeMap<[u8; 32], u64>,
    /// First replaced block of each reorganisation.
    forks: Vec<u64>,
    /// Reorganisations whose first replaced block is older than all kept ones.
    old_forks: u64,
    made_up: u64,
    final_depth: u64,
}

impl Blockchain {
    pub(crate) fn new(now: Time) -> Blockchain {
        let mut chain = Blockchain {
            open: false,
            stretches: Vec::new(),
            halted: None,
            blocks: BTreeMap::new(),
            places: BTreeMap::new(),
            forks: Vec::new(),
            old_forks: 0,
            made_up: 0,
            final_depth: FINAL_DEPTH,
        };
        chain.begin(now);
        chain
    }

    fn begin(&mut self, now: Time) {
        let secs = now.nanos().div_euclid(1_000_000_000);
        let at = Time::from_secs(secs - secs.rem_euclid(2));
        self.stretches = vec![Stretch { first: FIRST_BLOCK, at }];
    }

    /// Everything so far is the state of its first block.
    pub(crate) fn open_at(&mut self, now: Time) {
        self.begin(now);
        self.open = true;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// The newest block at a time that has been reached.
    pub(crate) fn head(&self, at: Time) -> u64 {
        let later = self.stretches.partition_point(|stretch| stretch.at <= at);
        let stretch = self.stretches[later.saturating_sub(1)];
        let steps = stretch.at.until(at).as_nanos().max(0) / BLOCK.as_nanos();
        let head = stretch.first.saturating_add(steps.unsigned_abs());
        let end = match self.stretches.get(later.max(1)) {
            Some(next) => next.first - 1,
            None => self.halted.map_or(u64::MAX, |(last, _)| last),
        };
        head.min(end)
    }

    /// The newest block that cannot be taken back, seen from a head.
    pub(crate) fn finalized(&self, head: u64) -> u64 {
        head.saturating_sub(self.final_depth)
    }

    /// Sets how far the newest final block is below the newest.
    pub(crate) fn set_final_depth(&mut self, blocks: u64) {
        self.final_depth = blocks;
    }

    /// The time of a block.
    pub(crate) fn time_of(&self, number: u64) -> Time {
        let later = self.stretches.partition_point(|stretch| stretch.first <= number);
        let stretch = self.stretches[later.saturating_sub(1)];
        let blocks = i64::try_from(i128::from(number) - i128::from(stretch.first));
        let nanos = blocks.unwrap_or(i64::MAX).saturating_mul(BLOCK.as_nanos());
        Time::from_nanos(stretch.at.nanos().saturating_add(nanos))
    }

    /// The hash of a block: another one after each reorganisation from it or an earlier block on.
    pub(crate) fn hash_of(&self, number: u64) -> B256 {
        let forks = self.forks.iter().filter(|first| **first <= number).count() as u64;
        keccak256(format!("local block {number} {}", forks + self.old_forks))
    }

    /// The oldest block whose transactions are kept.
    pub(crate) fn oldest(&self, head: u64) -> u64 {
        head.saturating_sub(KEPT_BLOCKS)
    }

    /// When it stopped making blocks, if it stands still.
    pub(crate) fn halted_since(&self) -> Option<Time> {
        self.halted.map(|(_, since)| since)
    }

    /// No more blocks; the one under way is the last.
    pub(crate) fn halt(&mut self, now: Time) {
        if self.halted.is_none() {
            self.halted = Some((self.head(now) + 1, now));
        }
    }

    /// Makes blocks again: the first one now.
    pub(crate) fn resume(&mut self, now: Time) {
        let Some((last, _)) = self.halted.take() else { return };
        let at = now.max(self.time_of(last) + BLOCK);
        self.stretches.push(Stretch { first: last + 1, at });
    }

    /// A hash that is no draw of the seed's: the seed's draws stay as they are without a chain.
    pub(crate) fn made_up_hash(&mut self) -> [u8; 32] {
        self.made_up += 1;
        keccak256(format!("local transaction {}", self.made_up)).0
    }

    /// Puts a transaction into the next block.
    pub(crate) fn add(&mut self, now: Time, hash: [u8; 32], deed: Deed) {
        if !self.open {
            return;
        }
        let head = self.head(now);
        self.blocks.entry(head + 1).or_default().push(Transaction { hash, deed });
        self.places.insert(hash, head + 1);
        let oldest = self.oldest(head);
        while let Some(entry) = self.blocks.first_entry().filter(|entry| *entry.key() < oldest) {
            for transaction in entry.remove() {
                self.places.remove(&transaction.hash);
            }
        }
        let kept = self.forks.len();
        self.forks.retain(|first| *first >= oldest);
        self.old_forks += (kept - self.forks.len()) as u64;
    }

    /// A reorganisation without this transaction.
    pub(crate) fn take_back(&mut self, now: Time, hash: &[u8; 32]) {
        let Some(number) = self.places.remove(hash) else { return };
        if let Some(block) = self.blocks.get_mut(&number) {
            block.retain(|transaction| transaction.hash != *hash);
        }
        if number <= self.head(now) {
            self.forks.push(number);
        }
    }

    /// Replaces the newest blocks by empty ones: their transactions come again in the next block.
    pub(crate) fn reorganise(&mut self, now: Time, depth: u64) {
        let head = self.head(now);
        let first = head.saturating_sub(depth.saturating_sub(1));
        let mut again = Vec::new();
        for (_, block) in self.blocks.range_mut(first..=head) {
            again.append(block);
        }
        let next = self.blocks.remove(&(head + 1)).unwrap_or_default();
        again.extend(next);
        for transaction in &again {
            self.places.insert(transaction.hash, head + 1);
        }
        if !again.is_empty() {
            self.blocks.insert(head + 1, again);
        }
        self.forks.push(first);
    }

    /// A transaction with its block and its place in it.
    pub(crate) fn find(&self, hash: &[u8; 32]) -> Option<(u64, usize, &Transaction)> {
        let number = *self.places.get(hash)?;
        let block = self.blocks.get(&number)?;
        let index = block.iter().position(|transaction| transaction.hash == *hash)?;
        Some((number, index, block.get(index)?))
    }

    /// The transactions of a block.
    pub(crate) fn block(&self, number: u64) -> &[Transaction] {
        self.blocks.get(&number).map_or(&[], Vec::as_slice)
    }

    /// Blocks with transactions.
    pub(crate) fn blocks(&self, from: u64, to: u64) -> impl Iterator<Item = (u64, &[Transaction])> {
        let range = (from <= to).then(|| self.blocks.range(from..=to));
        range.into_iter().flatten().map(|(number, block)| (*number, block.as_slice()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time::from_secs(1_000_001);

    fn chain() -> Blockchain {
        let mut chain = Blockchain::new(START);
        chain.open_at(START);
        chain
    }

    fn at(secs: i64) -> Time {
        Time::from_secs(1_000_000 + secs)
    }

    fn pay(chain: &mut Blockchain, secs: i64, name: u8) {
        let amount = Usdc::new(1);
        let moves = vec![Move::Deposit { wallet: Address::ZERO, amount }];
        chain.add(at(secs), [name; 32], Deed::Moves(moves));
    }

    fn block_of(chain: &Blockchain, name: u8) -> Option<u64> {
        chain.find(&[name; 32]).map(|(number, _, _)| number - FIRST_BLOCK)
    }

    #[test]
    fn blocks_come_in_two_seconds_on_even_seconds_and_stand_still_during_a_halt() {
        let mut chain = chain();
        let heads = |chain: &Blockchain, times: [i64; 5]| {
            times.map(|secs| chain.head(at(secs)) - FIRST_BLOCK)
        };
        assert_eq!(heads(&chain, [0, 1, 2, 3, 4]), [0, 0, 1, 1, 2]);
        chain.halt(at(5));
        chain.halt(at(7)); // it stands still already
        assert_eq!(heads(&chain, [5, 6, 7, 9, 1_000]), [2, 3, 3, 3, 3]);
        chain.resume(at(1_001));
        assert_eq!(heads(&chain, [1_000, 1_001, 1_002, 1_003, 1_005]), [3, 4, 4, 5, 6]);
        assert_eq!(chain.time_of(FIRST_BLOCK + 3), at(6));
        assert_eq!(chain.time_of(FIRST_BLOCK + 4), at(1_001));
        assert_eq!(chain.time_of(FIRST_BLOCK - 2), at(-4));
        // A halt shorter than a block leaves no gap and makes no block early.
        chain.halt(at(1_001));
        chain.resume(at(1_001));
        assert_eq!(heads(&chain, [1_001, 1_002, 1_003, 1_004, 1_005]), [4, 4, 5, 5, 6]);
    }

    #[test]
    fn a_transaction_is_in_the_next_block_and_a_reorganisation_moves_or_removes_it() {
        let mut chain = chain();
        pay(&mut chain, 2, 1);
        pay(&mut chain, 3, 2);
        pay(&mut chain, 4, 3);
        assert_eq!([1, 2, 3].map(|name| block_of(&chain, name)), [Some(2), Some(2), Some(3)]);
        let hashes = |chain: &Blockchain| [1, 2, 3, 4].map(|n| chain.hash_of(FIRST_BLOCK + n));
        let before = hashes(&chain);
        chain.reorganise(at(6), 2);
        assert_eq!([1, 2, 3].map(|name| block_of(&chain, name)), [Some(4), Some(4), Some(4)]);
        let after = hashes(&chain);
        assert_eq!(before[0], after[0]);
        assert!((1..4).all(|n| before[n] != after[n]));
        chain.take_back(at(9), &[2; 32]);
        assert_eq!([1, 2, 3].map(|name| block_of(&chain, name)), [Some(4), None, Some(4)]);
        assert!(after[2] == chain.hash_of(FIRST_BLOCK + 3));
        assert!(after[3] != chain.hash_of(FIRST_BLOCK + 4));
    }

    #[test]
    fn old_blocks_are_forgotten_and_keep_their_hashes() {
        let mut chain = chain();
        pay(&mut chain, 2, 1);
        chain.reorganise(at(4), 1);
        let hash = chain.hash_of(FIRST_BLOCK + 5);
        let late = 2 * (KEPT_BLOCKS as i64 + 10);
        pay(&mut chain, late, 2);
        assert_eq!((block_of(&chain, 1), chain.blocks.len(), chain.places.len()), (None, 1, 1));
        assert_eq!(chain.forks.len(), 0);
        assert_eq!(chain.hash_of(FIRST_BLOCK + 5), hash);
    }
}
