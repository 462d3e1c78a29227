//! Settlement of trades: each trade follows its settlement path, and balances change only in a block.

use std::collections::VecDeque;

use alloy::primitives::Address;
use polydesk_domain::{Shares, Side, Span, Token, TradeStatus, Usdc};
use polydesk_sim::Delay;

use super::blockchain::Deed;
use super::order::{How, Trade};
use super::{Venue, VenueAction};

/// Final trades among counterparties that are kept.
const TRADES_KEPT: usize = 2_000;

/// How a trade ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Mined and confirmed.
    Confirm,
    /// Tried again before it is mined.
    Retry,
    /// Mined, taken back by a reorganisation of the chain, mined again.
    Reorg,
    /// Fails before it is mined: a ghost fill.
    Fail,
    /// Mined, taken back, and fails.
    FailMined,
    /// Stays as it is.
    Stall,
}

/// The settlement path of one trade. Absent values come from the settlement settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettlementPath {
    /// From the match until it is in a block.
    pub mined: Option<Delay>,
    /// From there until it is final.
    pub confirmed: Option<Delay>,
    /// How it ends.
    pub ending: Ending,
}

/// A rule that assigns a settlement path to trades.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SettlementRule {
    /// First trade, counted from 1 over those the rule's account is in.
    pub first: u64,
    /// Last one.
    pub last: u64,
    /// Only trades of this EOA.
    pub signer: Option<Address>,
    /// The path.
    pub path: SettlementPath,
}

/// One party of one leg, with the shares and money that it gives or receives.
pub(super) struct Party {
    pub(super) wallet: Address,
    pub(super) token: Token,
    pub(super) side: Side,
    pub(super) shares: Shares,
    /// Fee included.
    pub(super) money: Usdc,
}

pub(super) fn parties(trade: &Trade) -> Vec<Party> {
    let mut parties = Vec::new();
    for leg in &trade.legs {
        parties.push(Party {
            wallet: leg.wallet,
            token: leg.token,
            side: leg.side,
            shares: leg.shares,
            money: leg.maker_money,
        });
        parties.push(Party {
            wallet: trade.wallet,
            token: trade.token,
            side: trade.side,
            shares: leg.shares,
            money: match trade.side {
                Side::Buy => leg.taker_money + leg.fee,
                Side::Sell => leg.taker_money - leg.fee,
            },
        });
    }
    parties
}

impl Venue {
    /// Assigns a settlement path to future trades; the first matching rule applies.
    pub fn add_settlement_rule(&mut self, rule: SettlementRule) {
        self.settlement_rules.push(rule);
    }

    pub(super) fn begin_settlement(&mut self, trade: Trade) {
        let path = self.path_of(&trade);
        let mut steps = VecDeque::new();
        let settlement = self.settlement;
        let mut draw =
            |delay: Option<Delay>, usual: Delay| self.chance.delay(delay.unwrap_or(usual));
        let mined = draw(path.mined, settlement.mined);
        let confirmed = draw(path.confirmed, settlement.confirmed);
        let retry = draw(None, settlement.retry);
        use TradeStatus::{Confirmed, Failed, Mined, Retrying};
        let way: &[(Span, TradeStatus)] = match path.ending {
            Ending::Confirm => &[(mined, Mined), (confirmed, Confirmed)],
            Ending::Retry => &[(mined, Retrying), (retry, Mined), (confirmed, Confirmed)],
            Ending::Reorg => {
                &[(mined, Mined), (confirmed, Retrying), (retry, Mined), (confirmed, Confirmed)]
            }
            Ending::Fail => &[(mined, Failed)],
            Ending::FailMined => &[(mined, Mined), (confirmed, Retrying), (retry, Failed)],
            Ending::Stall => &[],
        };
        steps.extend(way);
        let number = trade.number;
        self.keep_trade(trade);
        self.next_step(number, steps);
    }

    fn path_of(&mut self, trade: &Trade) -> SettlementPath {
        let mut ending = Ending::Confirm;
        if self.chance.happens(self.settlement.fail_ppm) {
            ending = Ending::Fail;
        } else if self.chance.happens(self.settlement.retry_ppm) {
            ending = Ending::Retry;
        }
        let usual = SettlementPath { mined: None, confirmed: None, ending };
        for rule in &self.settlement_rules {
            let concerns = |other: &&Trade| rule.signer.is_none_or(|of| other.concerns(&of));
            if !concerns(&trade) {
                continue;
            }
            let forgotten = self.traded - self.trades.len() as u64;
            let forgotten = if rule.signer.is_none() { forgotten } else { 0 };
            let number = self.trades.values().filter(concerns).count() as u64 + forgotten + 1;
            if (rule.first..=rule.last).contains(&number) {
                return rule.path;
            }
        }
        usual
    }

    fn next_step(&mut self, number: u64, steps: VecDeque<(Span, TradeStatus)>) {
        if let Some((delay, _)) = steps.front() {
            self.schedule(self.now + *delay, VenueAction::Settle(number));
            self.steps.insert(number, steps);
        }
    }

    pub(super) fn settle_step(&mut self, number: u64) {
        let Some(mut steps) = self.steps.remove(&number) else { return };
        let Some((delay, status)) = steps.pop_front() else { return };
        if self.waits_for_chain(delay, VenueAction::Settle(number)) {
            steps.push_front((delay, status));
            self.steps.insert(number, steps);
            return;
        }
        let Some(trade) = self.trades.get(&number).cloned() else { return };
        let moved = match status {
            TradeStatus::Mined | TradeStatus::Confirmed => {
                if !trade.applied {
                    self.apply(&trade);
                }
                true
            }
            TradeStatus::Retrying if trade.applied => {
                // Shares that were transferred again cannot be reverted; the block stays then.
                if !self.take_back(&trade) {
                    return self.next_step(number, steps);
                }
                false
            }
            TradeStatus::Failed => !self.release_promises(&trade),
            _ => trade.applied,
        };
        let transaction = self.transaction_of(&trade, status, moved);
        let now = self.now;
        let Some(entry) = self.trades.get_mut(&number) else { return };
        (entry.status, entry.changed_at, entry.applied) = (status, now, moved);
        entry.transaction = transaction;
        let trade = entry.clone();
        let last = steps.is_empty();
        self.tell_trade(trade.clone());
        self.next_step(number, steps);
        if last {
            self.forget_old(&trade);
        }
    }

    /// Puts a step of a trade's settlement on the chain; the transaction that the trade names from then on.
    fn transaction_of(
        &mut self,
        trade: &Trade,
        status: TradeStatus,
        moved: bool,
    ) -> Option<[u8; 32]> {
        let whole = Box::new(trade.clone());
        match status {
            TradeStatus::Mined => {
                let hash = self.chance.bytes();
                if trade.applied {
                    // Its first transaction could not be taken back.
                    return trade.transaction;
                }
                self.blockchain.add(self.now, hash, Deed::Fill(whole));
                Some(hash)
            }
            // An attempt that reverted is on the chain too, under a hash of its own.
            TradeStatus::Retrying | TradeStatus::Failed if !trade.applied => {
                let hash = self.blockchain.made_up_hash();
                self.blockchain.add(self.now, hash, Deed::RevertedFill(whole));
                Some(hash)
            }
            TradeStatus::Retrying | TradeStatus::Failed if !moved => {
                if let Some(hash) = &trade.transaction {
                    self.blockchain.take_back(self.now, hash);
                }
                trade.transaction
            }
            _ => trade.transaction,
        }
    }

    pub(super) fn keep_trade(&mut self, trade: Trade) {
        self.trades.insert(trade.number, trade);
        self.traded += 1;
    }

    /// Of the trades among counterparties only the latest are kept: they go on for as long as the exchange runs.
    fn forget_old(&mut self, last: &Trade) {
        let signers = last.legs.iter().map(|leg| leg.signer).chain([last.signer]);
        if signers.into_iter().all(|signer| self.is_counterparty(&signer)) {
            self.of_counterparties.push_back(last.number);
        }
        if self.of_counterparties.len() > TRADES_KEPT
            && let Some(oldest) = self.of_counterparties.pop_front()
        {
            self.trades.remove(&oldest);
        }
    }

    fn apply(&mut self, trade: &Trade) {
        for party in parties(trade) {
            let Some(wallet) = self.ledger.wallet_mut(&party.wallet) else { continue };
            match party.side {
                Side::Buy => {
                    wallet.cash -= party.money;
                    wallet.leaving -= party.money;
                    let holding = wallet.holding_mut(party.token);
                    holding.settled += party.shares;
                    holding.incoming -= party.shares;
                }
                Side::Sell => {
                    wallet.cash += party.money;
                    let holding = wallet.holding_mut(party.token);
                    holding.settled -= party.shares;
                    holding.leaving -= party.shares;
                }
            }
        }
        for leg in &trade.legs {
            self.ledger.take_fee(leg.fee);
            match leg.how {
                How::Transfer => {}
                How::Mint => self.ledger.mint(leg.token.market(), leg.shares),
                How::Merge => self.ledger.burn(leg.token.market(), leg.shares),
            }
        }
    }

    /// Reverts a mined trade if every party still has what it received.
    fn take_back(&mut self, trade: &Trade) -> bool {
        let parties = parties(trade);
        let mut given = std::collections::BTreeMap::new();
        for party in &parties {
            let entry =
                given.entry((party.wallet, party.token)).or_insert((Usdc::ZERO, Shares::ZERO));
            match party.side {
                Side::Buy => entry.1 += party.shares,
                Side::Sell => entry.0 += party.money,
            }
        }
        for ((wallet, token), (money, shares)) in &given {
            let Some(wallet) = self.ledger.wallet(wallet) else { return false };
            if wallet.free() < *money || wallet.holding(*token).free() < *shares {
                return false;
            }
        }
        for party in parties {
            let Some(wallet) = self.ledger.wallet_mut(&party.wallet) else { continue };
            match party.side {
                Side::Buy => {
                    wallet.cash += party.money;
                    wallet.leaving += party.money;
                    let holding = wallet.holding_mut(party.token);
                    holding.settled -= party.shares;
                    holding.incoming += party.shares;
                }
                Side::Sell => {
                    wallet.cash -= party.money;
                    let holding = wallet.holding_mut(party.token);
                    holding.settled += party.shares;
                    holding.leaving += party.shares;
                }
            }
        }
        for leg in &trade.legs {
            self.ledger.take_fee(-leg.fee);
            match leg.how {
                How::Transfer => {}
                How::Mint => self.ledger.burn(leg.token.market(), leg.shares),
                How::Merge => self.ledger.mint(leg.token.market(), leg.shares),
            }
        }
        true
    }

    /// A trade that will never settle releases its reserved funds; false if what it moved cannot be taken back.
    fn release_promises(&mut self, trade: &Trade) -> bool {
        if trade.applied && !self.take_back(trade) {
            return false;
        }
        for party in parties(trade) {
            let Some(wallet) = self.ledger.wallet_mut(&party.wallet) else { continue };
            match party.side {
                Side::Buy => {
                    wallet.leaving -= party.money;
                    wallet.holding_mut(party.token).incoming -= party.shares;
                }
                Side::Sell => wallet.holding_mut(party.token).leaving -= party.shares,
            }
        }
        true
    }
}
