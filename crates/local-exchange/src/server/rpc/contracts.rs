//! What the contracts answer to calls, from the state of a block. Nothing is executed.

use alloy::primitives::{Address, B256, U256};
use polydesk_domain::{ConditionId, MarketKey, Outcome, ProtocolVersion, Token, TokenId};

use super::shapes::NodeError;
use crate::contracts::{
    ADAPTER, COLLATERAL, DEPOSIT_BEACON, DEPOSIT_FACTORY, NEG_RISK_ADAPTER, POSITION_MANAGER,
    USDC_E, conditional_tokens, exists,
};
use crate::typed::{Contract, recover, recover_wrapped};
use crate::venue::Venue;
use crate::wallets::WalletKind;
use crate::wire::{fractions, positions_of};

/// The fee cap of the exchanges in basis points. The venue's own is not published.
const MAX_FEE_RATE: u64 = 1_000;

/// A call of a contract.
#[derive(Debug, Clone)]
pub(super) struct ContractCall {
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) data: Vec<u8>,
}

impl ContractCall {
    pub(super) fn selector(&self) -> [u8; 4] {
        self.data.first_chunk().copied().unwrap_or_default()
    }

    fn word(&self, index: usize) -> Result<U256, NodeError> {
        let start = 4 + index * 32;
        let word = self.data.get(start..start + 32).ok_or_else(|| NodeError::reverted(""))?;
        Ok(U256::from_be_slice(word))
    }

    pub(super) fn address(&self, index: usize) -> Result<Address, NodeError> {
        let word = B256::from(self.word(index)?);
        let clean = word[..12].iter().all(|byte| *byte == 0);
        clean.then(|| Address::from_word(word)).ok_or_else(|| NodeError::reverted(""))
    }

    /// The words of an array whose place the argument names.
    fn array(&self, index: usize) -> Result<Vec<U256>, NodeError> {
        let bad = || NodeError::reverted("");
        let start = usize::try_from(self.word(index)?).map_err(|_| bad())?;
        let first = start / 32;
        if start % 32 != 0 || first > self.data.len() {
            return Err(bad());
        }
        let length = usize::try_from(self.word(first)?).map_err(|_| bad())?;
        if length > self.data.len() / 32 {
            return Err(bad());
        }
        (1..=length).map(|at| self.word(first + at)).collect()
    }

    /// The bytes whose place the argument names.
    fn bytes(&self, index: usize) -> Result<&[u8], NodeError> {
        let bad = || NodeError::reverted("");
        let start = usize::try_from(self.word(index)?).map_err(|_| bad())?;
        let args = self.data.get(4..).unwrap_or_default();
        let length = args.get(start..).and_then(|rest| rest.get(..32)).ok_or_else(bad)?;
        let length = usize::try_from(U256::from_be_slice(length)).map_err(|_| bad())?;
        args.get(start + 32..).and_then(|rest| rest.get(..length)).ok_or_else(bad)
    }
}

/// The state that calls read: the venue at a block.
#[derive(Debug, Clone, Copy)]
pub(super) struct State<'a> {
    pub(super) venue: &'a Venue,
    pub(super) block: u64,
}

fn word(number: U256) -> Vec<u8> {
    number.to_be_bytes::<32>().to_vec()
}

fn flag(yes: bool) -> Vec<u8> {
    word(U256::from(u8::from(yes)))
}

fn amount(micros: i64) -> U256 {
    U256::from(u64::try_from(micros).unwrap_or(0))
}

impl State<'_> {
    /// Whether an address has code.
    pub(super) fn has_code(&self, at: &Address) -> bool {
        let wallet = self.venue.ledger().wallet(at);
        exists(self.venue.chain_id(), at)
            || wallet.is_some_and(|wallet| wallet.kind != WalletKind::Eoa)
            || self.venue.is_other_token(at)
    }

    /// What a call returns.
    pub(super) fn call(&self, call: &ContractCall) -> Result<Vec<u8>, NodeError> {
        let chain = self.venue.chain_id();
        let to = call.to;
        if to == COLLATERAL || to == USDC_E || self.venue.is_other_token(&to) {
            return self.erc20(call);
        }
        if to == conditional_tokens(chain) || to == POSITION_MANAGER {
            return self.positions(call);
        }
        if to == ADAPTER || to == NEG_RISK_ADAPTER {
            return self.adapter(call);
        }
        if Contract::ALL.iter().any(|exchange| exchange.address(chain) == to) {
            return exchange(call);
        }
        if to == DEPOSIT_FACTORY && call.selector() == [0x49, 0x49, 0x3a, 0x4d] {
            return Ok(DEPOSIT_BEACON.into_word().to_vec());
        }
        if let Some(wallet) = self.venue.ledger().wallet(&to)
            && matches!(wallet.kind, WalletKind::Deposit | WalletKind::DepositUups)
        {
            return self.deposit_wallet(call, wallet.owner);
        }
        // Without code a call does nothing and returns nothing.
        if self.has_code(&to) { Err(NodeError::reverted("")) } else { Ok(Vec::new()) }
    }

    pub(super) fn erc20_balance(&self, token: &Address, owner: &Address) -> U256 {
        match *token == COLLATERAL {
            true => amount(self.venue.cash_at(owner, self.block)),
            false => self.venue.other_token(token, owner),
        }
    }

    fn erc20(&self, call: &ContractCall) -> Result<Vec<u8>, NodeError> {
        match call.selector() {
            // balanceOf
            [0x70, 0xa0, 0x82, 0x31] => Ok(word(self.erc20_balance(&call.to, &call.address(0)?))),
            // allowance
            [0xdd, 0x62, 0xed, 0x3e] => {
                let (owner, spender) = (call.address(0)?, call.address(1)?);
                Ok(word(match call.to == COLLATERAL {
                    true => self.allowance(&call.to, &owner, &spender),
                    false => U256::ZERO,
                }))
            }
            // decimals
            [0x31, 0x3c, 0xe5, 0x67] => Ok(word(U256::from(6))),
            // approve
            [0x09, 0x5e, 0xa7, 0xb3] => Ok(flag(true)),
            // transfer
            [0xa9, 0x05, 0x9c, 0xbb] => {
                self.spends(&call.to, &call.from, call.word(1)?)?;
                Ok(flag(true))
            }
            _ => Err(NodeError::reverted("")),
        }
    }

    /// What a contract of the venue may move; the others may move nothing.
    fn allowance(&self, token: &Address, owner: &Address, spender: &Address) -> U256 {
        let wallet = self.venue.ledger().wallet(owner);
        let wallet = wallet.filter(|_| exists(self.venue.chain_id(), spender));
        wallet.map_or(U256::ZERO, |wallet| wallet.allowance(*token, *spender))
    }

    fn spends(&self, token: &Address, from: &Address, amount: U256) -> Result<(), NodeError> {
        match self.erc20_balance(token, from) < amount {
            true => Err(NodeError::reverted("ERC20: transfer amount exceeds balance")),
            false => Ok(()),
        }
    }

    /// Shares of a position that this contract keeps.
    fn position(&self, contract: &Address, owner: &Address, id: U256) -> U256 {
        let token = self.venue.universe().token(&TokenId::from_bytes(id.to_be_bytes()));
        let here = |token: &Token| positions_of(self.venue, token.market()) == *contract;
        let held = token.filter(here).map(|t| self.venue.shares_at(owner, t, self.block));
        held.map_or(U256::ZERO, amount)
    }

    /// A market of protocol v1 by its condition.
    fn market(&self, condition: U256) -> Option<MarketKey> {
        let universe = self.venue.universe();
        let key = universe.key(&ConditionId::from_bytes(condition.to_be_bytes()))?;
        (universe.market(key).version != ProtocolVersion::V2).then_some(key)
    }

    fn positions(&self, call: &ContractCall) -> Result<Vec<u8>, NodeError> {
        let payout = |condition: U256| {
            let market = self.market(condition)?;
            self.venue.payout_at(market, self.block).map(fractions)
        };
        match call.selector() {
            // balanceOf
            [0x00, 0xfd, 0xd5, 0x8e] => {
                Ok(word(self.position(&call.to, &call.address(0)?, call.word(1)?)))
            }
            // balanceOfBatch
            [0x4e, 0x12, 0x73, 0xf4] => {
                let (owners, ids) = (call.array(0)?, call.array(1)?);
                if owners.len() != ids.len() {
                    return Err(NodeError::reverted("ERC1155: accounts and ids length mismatch"));
                }
                let head = [U256::from(32), U256::from(ids.len())];
                let held = owners.iter().zip(ids).map(|(owner, id)| {
                    let owner = Address::from_word(B256::from(*owner));
                    self.position(&call.to, &owner, id)
                });
                Ok(head.into_iter().chain(held).flat_map(word).collect())
            }
            // isApprovedForAll
            [0xe9, 0x85, 0xe9, 0xc5] => {
                let (owner, spender) = (call.address(0)?, call.address(1)?);
                Ok(flag(!self.allowance(&call.to, &owner, &spender).is_zero()))
            }
            // setApprovalForAll
            [0xa2, 0x2c, 0xb4, 0x65] => Ok(Vec::new()),
            // payoutDenominator
            [0xdd, 0x34, 0xde, 0x67] => {
                let denominator = payout(call.word(0)?).map_or(0, |(_, whole)| whole);
                Ok(word(U256::from(denominator)))
            }
            // payoutNumerators: an array that is empty before the report
            [0x05, 0x04, 0xc8, 0x14] => {
                let (parts, _) = payout(call.word(0)?).ok_or_else(|| NodeError::reverted(""))?;
                let index = usize::try_from(call.word(1)?).unwrap_or(usize::MAX);
                let part = parts.get(index).ok_or_else(|| NodeError::reverted(""))?;
                Ok(word(U256::from(*part)))
            }
            // getOutcomeSlotCount
            [0xd4, 0x2d, 0xc0, 0xc2] => {
                let count = self.market(call.word(0)?).map_or(0, |_| 2);
                Ok(word(U256::from(count)))
            }
            _ => Err(NodeError::reverted("")),
        }
    }

    /// Whether a split, merge or redemption would go through.
    fn adapter(&self, call: &ContractCall) -> Result<Vec<u8>, NodeError> {
        let Some(market) = self.market(call.word(2)?) else { return Err(NodeError::reverted("")) };
        let keeps = positions_of(self.venue, market);
        match call.selector() {
            // splitPosition
            [0x72, 0xce, 0x42, 0x75] => self.spends(&COLLATERAL, &call.from, call.word(4)?)?,
            // mergePositions
            [0x9e, 0x72, 0x12, 0xad] => {
                let wanted = call.word(4)?;
                for outcome in Outcome::BOTH {
                    let id = *self.venue.universe().token_id(market.token(outcome)).bytes();
                    if self.position(&keeps, &call.from, U256::from_be_bytes(id)) < wanted {
                        return Err(NodeError::reverted("SafeMath: subtraction overflow"));
                    }
                }
            }
            // redeemPositions
            [0x01, 0xb7, 0x03, 0x7c] if self.venue.payout_at(market, self.block).is_none() => {
                return Err(NodeError::reverted("result for condition not received yet"));
            }
            [0x01, 0xb7, 0x03, 0x7c] => {}
            _ => return Err(NodeError::reverted("")),
        }
        Ok(Vec::new())
    }

    fn deposit_wallet(&self, call: &ContractCall, owner: Address) -> Result<Vec<u8>, NodeError> {
        match call.selector() {
            // owner
            [0x8d, 0xa5, 0xcb, 0x5b] => Ok(owner.into_word().to_vec()),
            // isValidSignature
            [0x16, 0x26, 0xba, 0x7e] => {
                let (hash, signature) = (B256::from(call.word(0)?), call.bytes(1)?);
                let by = match signature.len() {
                    65 if self.venue.takes_plain_deposit() => recover(hash, signature),
                    65 => return Ok(refused_signature()),
                    _ => recover_wrapped(hash, call.to, self.venue.chain_id(), signature),
                };
                if by != Ok(owner) {
                    return Ok(refused_signature());
                }
                let mut answer = vec![0x16, 0x26, 0xba, 0x7e];
                answer.resize(32, 0);
                Ok(answer)
            }
            _ => Err(NodeError::reverted("")),
        }
    }
}

fn refused_signature() -> Vec<u8> {
    let mut answer = vec![0xff; 4];
    answer.resize(32, 0);
    answer
}

fn exchange(call: &ContractCall) -> Result<Vec<u8>, NodeError> {
    let is_user_paused = &alloy::primitives::keccak256("isUserPaused(address)")[..4];
    match call.selector() {
        // getMaxFeeRate
        [0x4a, 0x2a, 0x11, 0xf5] => Ok(word(U256::from(MAX_FEE_RATE))),
        // pauseUser, unpauseUser
        [0xc0, 0xc3, 0x13, 0x2c] | [0x4c, 0xce, 0x30, 0xc9] => Ok(Vec::new()),
        other if other[..] == *is_user_paused => {
            call.address(0)?;
            Ok(flag(false))
        }
        _ => Err(NodeError::reverted("")),
    }
}
