//! Typed reads of one block, compared between the endpoints.

use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::sol_types::SolCall;
use polydesk_domain::{Amounts, Price, Shares, Side, Size, Tick, Tif, TokenId};

use super::rpc::Head;
use super::{Call, ChainError, Rpc, abi};
use crate::signing::{Chain, OrderSigner, SignatureForm};
use polydesk_polymarket_api::{Exchange, OrderArgs, Salt, Stamp, Unsigned};

/// The chain as it was at one block. All reads of one decision belong to one snapshot.
#[derive(Debug)]
pub struct ChainSnapshot<'a> {
    pub(super) rpc: &'a Rpc,
    pub(super) chain: &'a Chain,
    pub(super) at: Head,
}

/// How a condition was resolved: outcome i pays `numerators[i] / denominator` pUSD per share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportedPayout {
    /// One per outcome, YES first.
    pub numerators: [U256; 2],
    /// Their sum.
    pub denominator: U256,
}

/// What ERC-1271 wallets answer to a good signature.
const MAGIC: [u8; 4] = [0x16, 0x26, 0xba, 0x7e];

impl Rpc {
    /// A view of the chain at the newest block all endpoints know.
    pub async fn snapshot<'a>(&'a self, chain: &'a Chain) -> Result<ChainSnapshot<'a>, ChainError> {
        if chain.id() != self.chain_id() {
            return Err(ChainError::Misconfigured(format!(
                "these endpoints are of chain {}, not {}",
                self.chain_id(),
                chain.id()
            )));
        }
        Ok(ChainSnapshot { rpc: self, chain, at: self.head().await? })
    }
}

impl ChainSnapshot<'_> {
    /// The block.
    pub fn at(&self) -> &Head {
        &self.at
    }
    /// The chain and its contracts.
    pub fn chain(&self) -> &Chain {
        self.chain
    }

    /// pUSD of an owner, in millionths.
    pub async fn collateral(&self, owner: Address) -> Result<U256, ChainError> {
        self.balance(self.chain.contracts().collateral, owner).await
    }

    /// USDC.e of an owner, in millionths.
    pub async fn usdc_e(&self, owner: Address) -> Result<U256, ChainError> {
        self.balance(self.chain.contracts().usdc_e, owner).await
    }

    /// Gas coins (POL) of an owner, in wei.
    pub async fn gas_coins(&self, owner: Address) -> Result<U256, ChainError> {
        self.rpc.gas_coins(&self.at, owner).await
    }

    /// Any ERC-20 balance, in the token's smallest unit.
    pub async fn balance(&self, token: Address, owner: Address) -> Result<U256, ChainError> {
        let words = format!("balance of {owner} in token {token}");
        self.view(token, &abi::Erc20::balanceOfCall { owner }, words).await
    }

    /// What `spender` may take of `owner`'s ERC-20 tokens.
    pub async fn allowance(
        &self,
        token: Address,
        owner: Address,
        spender: Address,
    ) -> Result<U256, ChainError> {
        let words = format!("allowance of {spender} for token {token} of {owner}");
        self.view(token, &abi::Erc20::allowanceCall { owner, spender }, words).await
    }

    /// Shares of an outcome token of protocol v1 (both normal and neg-risk markets), in millionths.
    pub async fn shares(&self, token: TokenId, owner: Address) -> Result<U256, ChainError> {
        self.positions(self.chain.contracts().conditional_tokens, token, owner).await
    }

    /// Shares of a position of protocol v2, in millionths.
    pub async fn shares_v2(&self, position: TokenId, owner: Address) -> Result<U256, ChainError> {
        self.positions(self.chain.contracts().position_manager, position, owner).await
    }

    async fn positions(
        &self,
        contract: Address,
        id: TokenId,
        owner: Address,
    ) -> Result<U256, ChainError> {
        let id = U256::from_be_bytes(*id.bytes());
        let words = format!("shares of {owner} in position {id}");
        self.view(contract, &abi::Erc1155::balanceOfCall { owner, id }, words).await
    }

    /// Whether `operator` may move all of `owner`'s positions.
    pub async fn approved_for_all(
        &self,
        token: Address,
        owner: Address,
        operator: Address,
    ) -> Result<bool, ChainError> {
        let words = format!("whether {operator} may move positions of {owner}");
        self.view(token, &abi::Erc1155::isApprovedForAllCall { owner, operator }, words).await
    }

    /// How a condition of protocol v1 was resolved; `None` while it was not. Only this is final: prices
    /// and proposed results are not.
    pub async fn payout(&self, condition: B256) -> Result<Option<ReportedPayout>, ChainError> {
        let ctf = self.chain.contracts().conditional_tokens;
        let words = format!("payout denominator of {condition}");
        let call = abi::ConditionalTokens::payoutDenominatorCall { conditionId: condition };
        let denominator = self.view(ctf, &call, words).await?;
        if denominator.is_zero() {
            return Ok(None);
        }
        let mut numerators = [U256::ZERO; 2];
        for (index, numerator) in numerators.iter_mut().enumerate() {
            let words = format!("payout {index} of {condition}");
            let call = abi::ConditionalTokens::payoutNumeratorsCall {
                conditionId: condition,
                index: U256::from(index),
            };
            *numerator = self.view(ctf, &call, words).await?;
        }
        Ok(Some(ReportedPayout { numerators, denominator }))
    }

    /// The owner of a deposit wallet.
    pub async fn wallet_owner(&self, wallet: Address) -> Result<Address, ChainError> {
        self.view(wallet, &abi::DepositWallet::ownerCall {}, format!("owner of {wallet}")).await
    }

    /// The beacon of the deposit wallet factory; `None` where the factory has none (wallets before
    /// 2026-06-29 are then UUPS proxies).
    pub async fn beacon(&self) -> Result<Option<Address>, ChainError> {
        let factory = self.chain.contracts().deposit_factory;
        let call = abi::DepositFactory::BEACONCall {};
        match self.view(factory, &call, "beacon of the wallet factory".into()).await {
            Ok(beacon) => Ok((beacon != Address::ZERO).then_some(beacon)),
            Err(ChainError::Reverted { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether there is a contract at an address.
    pub async fn deployed(&self, address: Address) -> Result<bool, ChainError> {
        Ok(!self.rpc.code(&self.at, address).await?.is_empty())
    }

    /// The highest fee rate an exchange takes, in basis points.
    pub async fn max_fee_rate(&self, exchange: Exchange) -> Result<U256, ChainError> {
        let contract = self.chain.domain(exchange).contract;
        let words = format!("highest fee rate of {contract}");
        self.view(contract, &abi::Exchange::getMaxFeeRateCall {}, words).await
    }

    /// Whether a wallet has paused itself at an exchange.
    pub async fn user_paused(&self, exchange: Exchange, user: Address) -> Result<bool, ChainError> {
        let contract = self.chain.domain(exchange).contract;
        let words = format!("whether {user} is paused at {contract}");
        self.view(contract, &abi::Exchange::isUserPausedCall { user }, words).await
    }

    /// Asks a contract wallet whether it accepts a signature. For orders `hash` is the plain digest of the
    /// order (its id), also where the signature is wrapped.
    pub async fn is_valid_signature(
        &self,
        wallet: Address,
        hash: B256,
        signature: &[u8],
    ) -> Result<bool, ChainError> {
        let call = abi::DepositWallet::isValidSignatureCall {
            hash,
            signature: Bytes::copy_from_slice(signature),
        };
        let words = format!("whether {wallet} accepts a signature");
        let call = Call::new(wallet, &call, words);
        match self.rpc.call(&self.at, None, &call).await {
            // The response fills a word; a wallet that refuses may also return anything else.
            Ok(answer) => Ok(answer.len() >= 4 && answer[..4] == MAGIC),
            Err(ChainError::Reverted { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Asks a deposit wallet which form of an order's signature it accepts: the wrapped one first, which
    /// most sources name. For other wallets the result is the default without a request.
    ///
    /// The order that is signed for the question buys shares of a token that does not exist for one
    /// millionth of a dollar, so that it is worthless to any third party.
    pub async fn choose_form(&self, signer: &OrderSigner) -> Result<SignatureForm, ChainError> {
        let crate::signing::Wallet::Deposit(wallet) = signer.wallet() else {
            return Ok(SignatureForm::default());
        };
        if !self.deployed(wallet).await? {
            return Err(ChainError::Misconfigured(format!(
                "the deposit wallet {wallet} is not deployed; create it first"
            )));
        }
        let harmless = OrderArgs {
            token: TokenId::from(0),
            side: Side::Buy,
            price: Price::cents(1),
            size: Size::Shares(Shares::new(100)),
            tif: Tif::Gtc,
            post_only: true,
            tick: Tick::Cent,
            exchange: Exchange::Normal,
        };
        let harmless = Unsigned {
            args: harmless,
            amounts: Amounts { maker: 1, taker: 100 },
            stamp: Stamp { salt: Salt::of_random(1 << 11), timestamp_ms: 1 },
            parties: *signer.parties(),
        };
        for form in [SignatureForm::Wrapped, SignatureForm::Plain] {
            let signature = signer.signature(&harmless, form);
            let id = B256::from(*signature.id().bytes());
            if self.is_valid_signature(wallet, id, signature.bytes()).await? {
                return Ok(form);
            }
        }
        let owner = self.wallet_owner(wallet).await?;
        Err(ChainError::refused(
            &format!("asking {wallet} for the form of signatures"),
            &format!(
                "it accepts neither form from {}; its owner is {owner}",
                signer.key().address()
            ),
        ))
    }

    /// Runs a call without sending it. An error is what sending would meet.
    pub async fn simulate(&self, from: Address, call: &Call) -> Result<Bytes, ChainError> {
        self.rpc.call(&self.at, Some(from), call).await
    }

    async fn view<C: SolCall>(
        &self,
        contract: Address,
        call: &C,
        words: String,
    ) -> Result<C::Return, ChainError> {
        let call = Call::new(contract, call, words);
        let answer = self.rpc.call(&self.at, None, &call).await?;
        if answer.is_empty() {
            return Err(ChainError::Misconfigured(format!(
                "{}: {contract} answers nothing; is it the contract's address on chain {}?",
                call.words,
                self.chain.id()
            )));
        }
        C::abi_decode_returns_validate(&answer)
            .map_err(|error| ChainError::Malformed { what: call.words, error: error.to_string() })
    }
}
