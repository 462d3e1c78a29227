//! Calls as data: what a wallet should do, with a description that an operator can check.
//!
//! Amounts are in the token's smallest unit: pUSD, USDC.e and shares have 6 decimals. Nothing is sent here.

use core::fmt;

use alloy::primitives::{Address, B256, Bytes, FixedBytes, U256};
use alloy::sol_types::SolCall;

use super::abi;
use crate::signing::Contracts;

/// One call of a contract.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The contract.
    pub target: Address,
    /// Gas coins sent along, in wei; zero for everything here.
    pub value: U256,
    /// Selector and arguments.
    pub data: Bytes,
    /// What it does, in words.
    pub words: String,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} at {})", self.words, self.selector(), self.target)
    }
}

/// Which adapter a market of protocol v1 belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MarketKind {
    /// CtfCollateralAdapter.
    Normal,
    /// NegRiskCtfCollateralAdapter.
    NegRisk,
}

impl MarketKind {
    /// The adapter.
    pub fn adapter(self, contracts: &Contracts) -> Address {
        match self {
            MarketKind::Normal => contracts.adapter,
            MarketKind::NegRisk => contracts.neg_risk_adapter,
        }
    }
}

impl Call {
    pub(super) fn new(target: Address, call: &impl SolCall, words: String) -> Call {
        Call { target, value: U256::ZERO, data: call.abi_encode().into(), words }
    }

    /// The first four bytes of the data, as text.
    pub fn selector(&self) -> String {
        alloy::hex::encode_prefixed(&self.data[..self.data.len().min(4)])
    }

    /// ERC-20 `approve`: `spender` may take up to `amount`; it replaces what was allowed before.
    pub fn approve(token: Address, spender: Address, amount: U256) -> Call {
        let words = format!("allow {spender} to take {} of token {token}", amount_text(amount));
        Call::new(token, &abi::Erc20::approveCall { spender, amount }, words)
    }

    /// ERC-20 `transfer`.
    pub fn transfer(token: Address, to: Address, amount: U256) -> Call {
        let words = format!("send {} of token {token} to {to}", amount_text(amount));
        Call::new(token, &abi::Erc20::transferCall { to, amount }, words)
    }

    /// ERC-1155 `setApprovalForAll`: `operator` may move every position, or no longer.
    pub fn approve_all(token: Address, operator: Address, approved: bool) -> Call {
        let may = if approved { "allow" } else { "forbid" };
        let words = format!("{may} {operator} to move all positions of {token}");
        Call::new(token, &abi::Erc1155::setApprovalForAllCall { operator, approved }, words)
    }

    /// USDC.e into pUSD for `to`. The onramp must be allowed to take the USDC.e.
    pub fn wrap(contracts: &Contracts, to: Address, amount: U256) -> Call {
        let call = abi::Ramp::wrapCall { _asset: contracts.usdc_e, _to: to, _amount: amount };
        let words = format!("wrap {} USDC.e into pUSD for {to}", millionths(amount));
        Call::new(contracts.onramp, &call, words)
    }

    /// pUSD into USDC.e for `to`. The offramp must be allowed to take the pUSD.
    pub fn unwrap(contracts: &Contracts, to: Address, amount: U256) -> Call {
        let call = abi::Ramp::unwrapCall { _asset: contracts.usdc_e, _to: to, _amount: amount };
        let words = format!("unwrap {} pUSD into USDC.e for {to}", millionths(amount));
        Call::new(contracts.offramp, &call, words)
    }

    /// `amount` pUSD into `amount` YES and `amount` NO.
    pub fn split(c: &Contracts, kind: MarketKind, condition: B256, amount: U256) -> Call {
        // The adapters ignore collateral, parent and partition; the official client sends these.
        let call = abi::Adapter::splitPositionCall {
            _0: c.collateral,
            _1: B256::ZERO,
            conditionId: condition,
            partition: both_outcomes(),
            amount,
        };
        let words = format!("split {} pUSD into sets of {condition}", millionths(amount));
        Call::new(kind.adapter(c), &call, words)
    }

    /// `amount` YES and `amount` NO into `amount` pUSD.
    pub fn merge(c: &Contracts, kind: MarketKind, condition: B256, amount: U256) -> Call {
        let call = abi::Adapter::mergePositionsCall {
            _0: c.collateral,
            _1: B256::ZERO,
            conditionId: condition,
            partition: both_outcomes(),
            amount,
        };
        let words = format!("merge {} sets of {condition} into pUSD", millionths(amount));
        Call::new(kind.adapter(c), &call, words)
    }

    /// The wallet's **entire** balance of both outcomes of a resolved condition into pUSD.
    pub fn redeem(c: &Contracts, kind: MarketKind, condition: B256) -> Call {
        let call = abi::Adapter::redeemPositionsCall {
            _0: c.collateral,
            _1: B256::ZERO,
            conditionId: condition,
            indexSets: both_outcomes(),
        };
        let words = format!("redeem everything of {condition} into pUSD");
        Call::new(kind.adapter(c), &call, words)
    }

    /// `amount` NO of every question whose bit is set in `questions`, into YES of all others and, for n
    /// bits, n − 1 times `amount` pUSD. Only neg-risk markets.
    pub fn convert(c: &Contracts, neg_risk_market: B256, questions: U256, amount: U256) -> Call {
        let call = abi::Adapter::convertPositionsCall {
            negRiskMarketId: neg_risk_market,
            indexSet: questions,
            amount,
        };
        let words = format!(
            "convert {} NO of {} questions of {neg_risk_market}",
            millionths(amount),
            questions.count_ones()
        );
        Call::new(c.neg_risk_adapter, &call, words)
    }

    /// Protocol v2: `amount` pUSD into both outcomes.
    pub fn split_v2(c: &Contracts, condition: FixedBytes<31>, amount: U256) -> Call {
        let words = format!("split {} pUSD into sets of {condition}", millionths(amount));
        Call::new(c.router, &abi::Router::splitCall { conditionId: condition, amount }, words)
    }

    /// Protocol v2: `amount` of both outcomes into pUSD.
    pub fn merge_v2(c: &Contracts, condition: FixedBytes<31>, amount: U256) -> Call {
        let words = format!("merge {} sets of {condition} into pUSD", millionths(amount));
        Call::new(c.router, &abi::Router::mergeCall { conditionId: condition, amount }, words)
    }

    /// Protocol v2: `amount` of one outcome (0 YES, 1 NO) of a resolved condition into pUSD.
    pub fn redeem_v2(c: &Contracts, condition: FixedBytes<31>, outcome: u8, amount: U256) -> Call {
        let words = format!("redeem {} of outcome {outcome} of {condition}", millionths(amount));
        let call = abi::Router::redeemCall {
            conditionId: condition,
            outcomeIndex: U256::from(outcome),
            amount,
        };
        Call::new(c.router, &call, words)
    }

    /// The kill switch of an exchange: some blocks later no order of this wallet can settle there.
    pub fn pause_user(exchange: Address) -> Call {
        let words = format!("pause this wallet at exchange {exchange}");
        Call::new(exchange, &abi::Exchange::pauseUserCall {}, words)
    }

    /// Takes [`pause_user`](Call::pause_user) back.
    pub fn unpause_user(exchange: Address) -> Call {
        let words = format!("let this wallet trade at exchange {exchange} again");
        Call::new(exchange, &abi::Exchange::unpauseUserCall {}, words)
    }

    /// Lets a session key sign for a deposit wallet until `valid_until` (Unix seconds).
    pub fn authorise_session(wallet: Address, session: Address, valid_until: u64) -> Call {
        let call = abi::DepositWallet::authorizeSessionSignerCall {
            signer: session,
            validUntil: U256::from(valid_until),
        };
        let words = format!("let session key {session} sign for {wallet} until {valid_until}");
        Call::new(wallet, &call, words)
    }

    /// Takes a session key's power away.
    pub fn revoke_session(wallet: Address, session: Address) -> Call {
        let words = format!("stop session key {session} signing for {wallet}");
        Call::new(wallet, &abi::DepositWallet::revokeSessionSignerCall { signer: session }, words)
    }
}

/// The condition of protocol v2 (31 bytes) in an id that Gamma gives with an outcome byte (00 or 01) behind it.
pub fn condition_v2(id: B256) -> Option<FixedBytes<31>> {
    (id[31] <= 1).then(|| FixedBytes::from_slice(&id[..31]))
}

fn both_outcomes() -> Vec<U256> {
    vec![U256::from(1), U256::from(2)]
}

fn amount_text(amount: U256) -> String {
    if amount == U256::MAX { "any amount".to_owned() } else { millionths(amount) }
}

/// A number with six decimals.
pub(super) fn millionths(amount: U256) -> String {
    let (whole, rest) = amount.div_rem(U256::from(1_000_000));
    format!("{whole}.{:06}", rest.to::<u64>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::Chain;

    /// Selectors as published with the contracts (polymarket-client 0.14.0, ctf-exchange-v2 sources).
    #[test]
    fn selectors_are_the_contracts() {
        let chain = Chain::polygon();
        let c = chain.contracts();
        let one = U256::from(1);
        let v2 = FixedBytes::<31>::ZERO;
        let cases = [
            (Call::approve(c.collateral, c.exchange, one), "0x095ea7b3", c.collateral),
            (Call::transfer(c.collateral, c.exchange, one), "0xa9059cbb", c.collateral),
            (
                Call::approve_all(c.conditional_tokens, c.exchange, true),
                "0xa22cb465",
                c.conditional_tokens,
            ),
            (Call::wrap(c, c.exchange, one), "0x62355638", c.onramp),
            (Call::unwrap(c, c.exchange, one), "0x8cc7104f", c.offramp),
            (Call::split(c, MarketKind::Normal, B256::ZERO, one), "0x72ce4275", c.adapter),
            (
                Call::merge(c, MarketKind::NegRisk, B256::ZERO, one),
                "0x9e7212ad",
                c.neg_risk_adapter,
            ),
            (Call::redeem(c, MarketKind::NegRisk, B256::ZERO), "0x01b7037c", c.neg_risk_adapter),
            (Call::convert(c, B256::ZERO, one, one), "0xc64748c4", c.neg_risk_adapter),
            (Call::split_v2(c, v2, one), "0x82d3b9f1", c.router),
            (Call::merge_v2(c, v2, one), "0x5b63685e", c.router),
            (Call::redeem_v2(c, v2, 1, one), "0xd217a3cc", c.router),
            (Call::pause_user(c.exchange), "0xc0c3132c", c.exchange),
            (Call::unpause_user(c.exchange), "0x4cce30c9", c.exchange),
            (Call::authorise_session(c.exchange, c.exchange, 1), "0x24017fae", c.exchange),
            (Call::revoke_session(c.exchange, c.exchange), "0xe63f952f", c.exchange),
        ];
        for (call, selector, target) in cases {
            assert_eq!((call.selector().as_str(), call.target), (selector, target), "{call}");
            assert_eq!(call.value, U256::ZERO);
        }
        let reads = [
            (abi::Erc20::balanceOfCall::SELECTOR, "70a08231"),
            (abi::Erc20::allowanceCall::SELECTOR, "dd62ed3e"),
            (abi::Erc1155::balanceOfCall::SELECTOR, "00fdd58e"),
            (abi::Erc1155::isApprovedForAllCall::SELECTOR, "e985e9c5"),
            (abi::ConditionalTokens::payoutDenominatorCall::SELECTOR, "dd34de67"),
            (abi::ConditionalTokens::payoutNumeratorsCall::SELECTOR, "0504c814"),
            (abi::Exchange::getMaxFeeRateCall::SELECTOR, "4a2a11f5"),
            (abi::DepositWallet::ownerCall::SELECTOR, "8da5cb5b"),
            (abi::DepositWallet::isValidSignatureCall::SELECTOR, "1626ba7e"),
            (abi::DepositFactory::BEACONCall::SELECTOR, "49493a4d"),
            (abi::ProxyFactory::proxyCall::SELECTOR, "34ee9791"),
            (abi::MultiSend::multiSendCall::SELECTOR, "8d80ff0a"),
        ];
        for (selector, expected) in reads {
            assert_eq!(alloy::hex::encode(selector), expected);
        }
    }

    #[test]
    fn words_tell_what_a_call_does() {
        let chain = Chain::polygon();
        let c = chain.contracts();
        let text =
            Call::split(c, MarketKind::Normal, B256::ZERO, U256::from(1_500_000)).to_string();
        assert!(text.starts_with("split 1.500000 pUSD into sets of 0x0000"), "{text}");
        let text = Call::approve(c.collateral, c.exchange, U256::MAX).to_string();
        assert!(text.contains("any amount"), "{text}");
    }

    #[test]
    fn a_v2_condition_is_the_first_31_bytes() {
        let mut id = B256::repeat_byte(7);
        assert_eq!(condition_v2(id), None);
        id[31] = 1;
        assert_eq!(condition_v2(id), Some(FixedBytes::repeat_byte(7)));
    }
}
