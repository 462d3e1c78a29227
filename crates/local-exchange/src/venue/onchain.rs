//! What the venue puts on its chain, and what the chain's state was at a block.

use alloy::primitives::{Address, U256};
use polydesk_domain::{MarketKey, MarketState, Outcome, Payout, Shares, Side, Span, Time, Token};

use super::accounts::RelayedCalls;
use super::blockchain::{Blockchain, Deed, Move};
use super::settle::parties;
use super::{Approval, ChainWait, SetAct, SetCall, Venue, VenueAction};

impl Venue {
    /// Its chain.
    pub(crate) fn blockchain(&self) -> &Blockchain {
        &self.blockchain
    }

    /// The newest block.
    pub fn head_block(&self) -> u64 {
        self.blockchain.head(self.now)
    }

    /// Stops the chain: after the block under way no other one comes, and no trade settles. Each call needs its own
    /// [`Venue::resume_chain`].
    pub fn halt_chain(&mut self) {
        self.halts += 1;
        self.blockchain.halt(self.now);
    }

    /// Ends a halt. What waited settles in the next blocks, with the delays that were left when it began.
    pub fn resume_chain(&mut self) {
        self.halts = self.halts.saturating_sub(1);
        if self.halts > 0 {
            return;
        }
        self.blockchain.resume(self.now);
        for ChainWait { action, rest } in std::mem::take(&mut self.chain_waits) {
            self.schedule(self.now + rest, action);
        }
    }

    /// Replaces the newest blocks: their transactions are in none of them and come again in the next block.
    pub fn reorganise_chain(&mut self, depth: u64) {
        self.blockchain.reorganise(self.now, depth);
    }

    /// Sets how many blocks the newest final one is below the newest.
    pub fn set_final_depth(&mut self, blocks: u64) {
        self.blockchain.set_final_depth(blocks);
    }

    /// Gives a wallet so many of the smallest units of a token that is no collateral here: USDC.e, or one that only
    /// looks like pUSD. From then on the token's contract exists.
    pub fn set_other_token(&mut self, token: Address, wallet: Address, units: U256) {
        self.other_tokens.insert((token, wallet), units);
    }

    pub(crate) fn other_token(&self, token: &Address, wallet: &Address) -> U256 {
        self.other_tokens.get(&(*token, *wallet)).copied().unwrap_or_default()
    }

    pub(crate) fn is_other_token(&self, token: &Address) -> bool {
        self.other_tokens.keys().any(|(known, _)| known == token)
    }

    /// Whether deposit wallets take plain signatures of orders.
    pub(crate) fn takes_plain_deposit(&self) -> bool {
        self.rules.plain_deposit_signatures
    }

    /// Lets an action whose delay is over wait for the chain; whether it has to.
    pub(super) fn waits_for_chain(&mut self, delay: Span, action: VenueAction) -> bool {
        let Some(since) = self.blockchain.halted_since() else { return false };
        // Of the delay only what passed before the halt is over.
        let late = since.until(self.now);
        let rest = if late < delay { late } else { delay };
        self.chain_waits.push(ChainWait { action, rest });
        true
    }

    /// Puts movements on the chain under a made-up hash.
    pub(super) fn record_moves(&mut self, moves: Vec<Move>) {
        if self.blockchain.is_open() {
            let hash = self.blockchain.made_up_hash();
            self.blockchain.add(self.now, hash, Deed::Moves(moves));
        }
    }

    /// Schedules a relayed transaction.
    pub(crate) fn relay(
        &mut self,
        delay: Span,
        hash: [u8; 32],
        wallet: Address,
        (calls, approvals): (Vec<SetCall>, Vec<Approval>),
    ) {
        let relayed = RelayedCalls { hash, wallet, calls, approvals, delay };
        self.schedule(self.now + delay, VenueAction::Chain(relayed));
    }

    pub(super) fn run_calls(&mut self, relayed: RelayedCalls) {
        let hash = relayed.hash;
        if self.waits_for_chain(relayed.delay, VenueAction::Chain(relayed.clone())) {
            self.late_relays.insert(hash, None);
            return;
        }
        if let Some(mined) = self.late_relays.get_mut(&hash) {
            *mined = Some(self.now);
        }
        for approval in &relayed.approvals {
            self.allow(&relayed.wallet, approval);
        }
        let mut moves = Vec::new();
        for call in &relayed.calls {
            match self.call_sets(call) {
                Some(done) => moves.push(done),
                None => tracing::warn!(?call, "a relayed call had no effect"),
            }
        }
        let reverted = moves.is_empty() && !relayed.calls.is_empty();
        let deed = if reverted { Deed::Reverted(relayed.wallet) } else { Deed::Moves(moves) };
        self.blockchain.add(self.now, hash, deed);
    }

    /// When a relayed transaction was mined that a halt held up; None inside if it waits still.
    pub(crate) fn late_relay(&self, hash: &[u8; 32]) -> Option<Option<Time>> {
        self.late_relays.get(hash).copied()
    }

    /// Does what a call asks of complete sets; the movement, if the wallet has what it takes.
    pub(super) fn call_sets(&mut self, call: &SetCall) -> Option<Move> {
        let SetCall { wallet, market, act } = *call;
        let done = match act {
            SetAct::Split(shares) => self
                .ledger
                .split(&wallet, market, shares)
                .then_some(Move::Split { wallet, market, shares }),
            SetAct::Merge(shares) => self
                .ledger
                .merge(&wallet, market, shares)
                .then_some(Move::Merge { wallet, market, shares }),
            SetAct::Redeem => {
                let held = |outcome| {
                    let wallet = self.ledger.wallet(&wallet);
                    wallet.map_or(Shares::ZERO, |w| w.holding(market.token(outcome)).free())
                };
                let shares = Outcome::BOTH.map(held);
                let paid = self.ledger.redeem(&wallet, market);
                paid.map(|paid| Move::Redeem { wallet, market, shares, paid })
            }
        };
        self.ledger.check();
        done
    }

    /// pUSD of a wallet in the state of a block, in millionths.
    pub fn cash_at(&self, wallet: &Address, block: u64) -> i64 {
        let later: i64 = self.later(block).map(|deed| cash_moved(deed, wallet)).sum();
        self.cash_of(wallet).micros() - later
    }

    /// Shares of a token in a wallet in the state of a block, in millionths.
    pub fn shares_at(&self, wallet: &Address, token: Token, block: u64) -> i64 {
        let later: i64 = self.later(block).map(|deed| shares_moved(deed, wallet, token)).sum();
        let now = self.shares_of(wallet).get(&token).map_or(0, |shares| micros(*shares));
        now - later
    }

    /// The reported payout of a market in the state of a block.
    pub(crate) fn payout_at(&self, market: MarketKey, block: u64) -> Option<Payout> {
        let reports = |one: &Move| matches!(one, Move::Resolve { market: of, .. } if *of == market);
        let later = self.later(block).any(|deed| match deed {
            Deed::Moves(moves) => moves.iter().any(reports),
            _ => false,
        });
        match self.market(market).state {
            MarketState::Resolved(payout) if !later => Some(payout),
            _ => None,
        }
    }

    /// What was done after a block. With a tape every wallet has an exchange of its own, which has no earlier states.
    fn later(&self, block: u64) -> impl Iterator<Item = &Deed> {
        let blocks = self.blockchain.blocks(block.saturating_add(1), u64::MAX);
        let blocks = self.tape.is_none().then_some(blocks);
        blocks.into_iter().flatten().flat_map(|(_, all)| all.iter().map(|one| &one.deed))
    }
}

fn micros(shares: Shares) -> i64 {
    i64::try_from(shares.micros()).unwrap_or(i64::MAX)
}

/// pUSD that came into a wallet, in millionths.
fn cash_moved(deed: &Deed, to: &Address) -> i64 {
    match deed {
        Deed::Fill(trade) => {
            let own = parties(trade).into_iter().filter(|party| party.wallet == *to);
            own.map(|party| match party.side {
                Side::Buy => -party.money.micros(),
                Side::Sell => party.money.micros(),
            })
            .sum()
        }
        Deed::Moves(moves) => moves
            .iter()
            .map(|one| match *one {
                Move::Deposit { wallet, amount } if wallet == *to => amount.micros(),
                Move::Split { wallet, shares, .. } if wallet == *to => {
                    -shares.face_value().micros()
                }
                Move::Merge { wallet, shares, .. } if wallet == *to => shares.face_value().micros(),
                Move::Redeem { wallet, paid, .. } if wallet == *to => paid.micros(),
                _ => 0,
            })
            .sum(),
        Deed::RevertedFill(_) | Deed::Reverted(_) => 0,
    }
}

/// Shares of a token that came into a wallet, in millionths.
fn shares_moved(deed: &Deed, to: &Address, token: Token) -> i64 {
    match deed {
        Deed::Fill(trade) => {
            let own = parties(trade).into_iter();
            own.filter(|party| party.wallet == *to && party.token == token)
                .map(|party| match party.side {
                    Side::Buy => micros(party.shares),
                    Side::Sell => -micros(party.shares),
                })
                .sum()
        }
        Deed::Moves(moves) => moves
            .iter()
            .map(|one| match *one {
                Move::Split { wallet, market, shares }
                    if wallet == *to && market == token.market() =>
                {
                    micros(shares)
                }
                Move::Merge { wallet, market, shares }
                    if wallet == *to && market == token.market() =>
                {
                    -micros(shares)
                }
                Move::Redeem { wallet, market, shares, .. }
                    if wallet == *to && market == token.market() =>
                {
                    -micros(shares[token.outcome().index()])
                }
                _ => 0,
            })
            .sum(),
        Deed::RevertedFill(_) | Deed::Reverted(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::setup::{Setup, TEST_START};

    type Balances = BTreeMap<Address, (i64, BTreeMap<Token, i64>)>;

    /// What every wallet has at present.
    fn balances(venue: &Venue) -> Balances {
        let wallets = venue.ledger().wallets().map(|(address, wallet)| {
            let held = venue.shares_of(address);
            let held = held.into_iter().map(|(token, shares)| (token, micros(shares)));
            (*address, (wallet.cash.micros(), held.collect()))
        });
        wallets.collect()
    }

    /// What every wallet had at a block.
    fn balances_at(venue: &Venue, block: u64) -> Balances {
        let tokens: Vec<Token> = venue
            .universe()
            .keys()
            .flat_map(|key| Outcome::BOTH.map(|outcome| key.token(outcome)))
            .collect();
        let wallets = venue.ledger().wallets().map(|(address, _)| {
            let held = tokens.iter().map(|t| (*t, venue.shares_at(address, *t, block)));
            let held = held.filter(|(_, micros)| *micros != 0).collect();
            (*address, (venue.cash_at(address, block), held))
        });
        wallets.collect()
    }

    #[test]
    fn the_state_of_every_block_is_what_the_ledger_had_when_it_was_made() {
        let mut setup = Setup { liquidity: true, counterparties: true, ..Setup::test() };
        (setup.settlement.retry_ppm, setup.settlement.fail_ppm) = (200_000, 100_000);
        let mut venue = Venue::new(&setup, TEST_START).unwrap();
        let wallet = setup.accounts[0].owner;
        let market = MarketKey(0);
        let mut made = BTreeMap::new();
        // Past the end of the market that resolves by itself; a series lists another one before it.
        for step in 1..=250i64 {
            let block = TEST_START + Span::secs(2 * step);
            // Transactions of the block's own time are in the next one.
            venue.advance(block - Span::nanos(1));
            made.insert(venue.head_block() + 1, balances(&venue));
            venue.advance(block);
            match step % 5 {
                0 => assert!(venue.split(&wallet, market, Shares::new(1_000_003))),
                1 => assert!(venue.merge(&wallet, market, Shares::new(1_000_001))),
                2 => venue.fund(wallet, polydesk_domain::Usdc::new(7)),
                _ => {}
            }
            let _ = venue.redeem(&wallet, MarketKey(6));
        }
        let fills = venue.blockchain().blocks(0, u64::MAX).flat_map(|(_, block)| block);
        let fills = fills.filter(|one| matches!(one.deed, Deed::Fill(_))).count();
        assert!(fills > 50, "{fills}");
        assert!(venue.payout_at(MarketKey(6), venue.head_block()).is_some());
        for (block, had) in made {
            let mut seen = balances_at(&venue, block);
            // Wallets that were opened later.
            seen.retain(|address, _| had.contains_key(address));
            assert!(seen == had, "block {block}");
        }
        venue.check().unwrap();
    }
}
