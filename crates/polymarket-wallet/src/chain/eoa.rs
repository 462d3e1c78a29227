//! Transactions of a wallet that is its own key (type 0): fees under caps, one nonce each, followed to a
//! receipt that is deep enough.
//!
//! A signed transaction is known by its hash before it leaves. When an answer is lost, that hash is looked
//! up and the same bytes are sent again; the call is never signed again under another nonce, because both
//! could be mined. What happens to the money behind a call is the caller's to check.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::eip2718::Encodable2718;
use alloy::network::TxSignerSync;
use alloy::primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy::signers::local::PrivateKeySigner;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::keep::{Keep, KeepNothing, Leaving, SignedTransaction};
use super::nonces::Nonces;
use super::rpc::{Head, Published, Receipt, Seen};
use super::{Call, ChainError, Rpc};
use crate::signing::Key;

const GWEI: u128 = 1_000_000_000;

/// What sending may cost, and how long to wait for it. One POL is 1,000,000,000 gwei.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EoaConfig {
    /// The most per unit of gas, in gwei. Above it nothing is sent.
    pub max_fee_gwei: u64,
    /// The least tip per unit of gas, in gwei: Polygon's nodes take nothing below 25.
    pub min_tip_gwei: u64,
    /// The most one transaction may cost, gas and value, in gwei.
    pub max_cost_gwei: u64,
    /// The most all transactions of this process may cost together, in gwei.
    pub max_total_gwei: u64,
    /// Gas beyond the estimate, in per cent, for the state may change until the block.
    pub gas_margin_percent: u64,
    /// A transaction is done when so many blocks hold it, its own included. Reorganisations of Polygon are
    /// shallow since its milestones, yet they happen.
    pub confirmations: u64,
    /// The pause between two looks at the chain, in milliseconds.
    pub poll_ms: u64,
    /// After so long without a block the fees are raised, in milliseconds.
    pub replace_after_ms: u64,
    /// By how much, in per cent; nodes refuse less than 10.
    pub bump_percent: u64,
    /// After so long the outcome is called unknown, in milliseconds.
    pub deadline_ms: u64,
}

impl Default for EoaConfig {
    fn default() -> EoaConfig {
        EoaConfig {
            max_fee_gwei: 1_000,
            min_tip_gwei: 30,
            max_cost_gwei: 1_000_000_000,
            max_total_gwei: 10_000_000_000,
            gas_margin_percent: 25,
            confirmations: 3,
            poll_ms: 1_000,
            replace_after_ms: 20_000,
            bump_percent: 15,
            deadline_ms: 180_000,
        }
    }
}

impl EoaConfig {
    fn check(&self) -> Result<(), ChainError> {
        let wrong = |key: &str, rule: &str| {
            Err(ChainError::Misconfigured(format!("chain.eoa.{key} must be {rule}")))
        };
        if self.bump_percent < 10 {
            return wrong("bump_percent", "at least 10, or nodes refuse the replacement");
        }
        if self.confirmations == 0 {
            return wrong("confirmations", "at least 1");
        }
        if self.min_tip_gwei > self.max_fee_gwei {
            return wrong("min_tip_gwei", "at most max_fee_gwei");
        }
        if self.poll_ms == 0 || self.deadline_ms < self.poll_ms {
            return wrong("poll_ms", "above 0 and below deadline_ms");
        }
        Ok(())
    }
}

/// A transaction in a block, deep enough.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mined {
    /// Its hash.
    pub hash: B256,
    /// Its block.
    pub block: u64,
    /// Its nonce.
    pub nonce: u64,
    /// What it cost, in wei.
    pub fee_wei: U256,
    /// How often its fees were raised.
    pub replacements: usize,
}

/// A signed transaction on its way, with every version of it.
#[derive(Debug, Clone)]
struct Sent {
    call: Call,
    nonce: u64,
    gas: u64,
    /// Fees of the newest version.
    fees: Fees,
    /// All versions: any of them may be mined.
    versions: Vec<(B256, Bytes)>,
    /// Whether the first version is written down.
    kept: bool,
    /// Whether any version may have reached a node.
    left: bool,
    /// Whether a caller waits for it now.
    followed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Fees {
    max: u128,
    tip: u128,
}

#[derive(Debug, Default)]
struct State {
    nonces: Nonces,
    /// By nonce.
    sent: BTreeMap<u64, Sent>,
    /// Paid by mined transactions, in wei.
    spent: U256,
}

/// Sends from the address of a key. There must be only one sender per key.
pub struct EoaSender {
    rpc: Arc<Rpc>,
    signer: PrivateKeySigner,
    config: EoaConfig,
    keep: Arc<dyn Keep>,
    state: Mutex<State>,
}

impl core::fmt::Debug for EoaSender {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "EoaSender({})", self.address())
    }
}

/// Says that a transaction is followed, until it is dropped: a caller that gives up waiting must not
/// make a transaction be forgotten.
struct Following<'a> {
    sender: &'a EoaSender,
    nonce: u64,
}

impl Drop for Following<'_> {
    fn drop(&mut self) {
        if let Some(sent) = self.sender.state().sent.get_mut(&self.nonce) {
            sent.followed = false;
        }
    }
}

impl EoaSender {
    /// A sender for the address of `key`.
    pub fn new(rpc: Arc<Rpc>, key: &Key, config: EoaConfig) -> Result<EoaSender, ChainError> {
        config.check()?;
        let signer =
            key.chain_signer().map_err(|error| ChainError::Misconfigured(error.to_string()))?;
        Ok(EoaSender { rpc, signer, config, keep: Arc::new(KeepNothing), state: Mutex::default() })
    }

    /// Writes every signed version down before it leaves.
    pub fn with_keep(mut self, keep: Arc<dyn Keep>) -> EoaSender {
        self.keep = keep;
        self
    }

    /// Takes up what an earlier process signed and may have sent, and what its transactions have cost
    /// (`spent`, in wei), which counts against `max_total_gwei`. To be called before anything is sent;
    /// [`settle`](Self::settle) then follows each transaction to its end and sends the same bytes again where
    /// no node has them.
    ///
    /// # Errors
    /// A version whose bytes have another hash; versions of one nonce with different calls.
    pub fn resume(
        &self,
        mut versions: Vec<SignedTransaction>,
        spent: U256,
    ) -> Result<(), ChainError> {
        let wrong = |nonce: u64, rule: &str| {
            let text = format!("the transaction of nonce {nonce} that was written down {rule}");
            ChainError::Misconfigured(text)
        };
        let mut taken: BTreeMap<u64, Sent> = BTreeMap::new();
        // The newest version is the one that offers most: nodes take no other replacement.
        versions.sort_by_key(|version| (version.nonce, version.max_fee));
        for version in versions {
            let SignedTransaction { call, nonce, gas, max_fee, tip, hash, raw } = version;
            if keccak256(&raw) != hash {
                return Err(wrong(nonce, "has another hash than its bytes"));
            }
            let fees = Fees { max: max_fee, tip };
            let sent = taken.entry(nonce).or_insert_with(|| Sent {
                call: call.clone(),
                nonce,
                gas,
                fees,
                versions: Vec::new(),
                kept: true,
                // It may have: only the chain can say that it did not.
                left: true,
                followed: false,
            });
            if sent.call != call {
                return Err(wrong(nonce, "stands there with different calls"));
            }
            if sent.versions.iter().all(|(known, _)| *known != hash) {
                sent.versions.push((hash, raw));
            }
            sent.fees = fees;
            sent.gas = sent.gas.max(gas);
        }
        let mut state = self.state();
        state.spent = state.spent.saturating_add(spent);
        for (nonce, sent) in taken {
            state.nonces.hold(nonce);
            state.sent.insert(nonce, sent);
        }
        Ok(())
    }

    /// The address that sends and pays.
    pub fn address(&self) -> Address {
        self.signer.address()
    }

    /// What mined transactions of this process have cost, in wei.
    pub fn spent_wei(&self) -> U256 {
        self.state().spent
    }

    /// Hashes of transactions whose outcome is unknown, by nonce.
    pub fn unsettled(&self) -> Vec<(u64, Vec<B256>)> {
        self.state()
            .sent
            .iter()
            .filter(|(_, sent)| !sent.followed)
            .map(|(nonce, sent)| (*nonce, sent.versions.iter().map(|(hash, _)| *hash).collect()))
            .collect()
    }

    /// Simulates, signs, sends and waits until the transaction is deep enough.
    ///
    /// Transactions of unknown outcome are settled first: while one of them stays unknown, nothing new is
    /// signed.
    pub async fn send(&self, call: &Call) -> Result<Mined, ChainError> {
        self.settle().await?;
        // Nonce too low: another program sends with this key. No node took our bytes and the nonce is used
        // up, so they can never be mined, and the call may be signed again.
        for _ in 0..3 {
            let following = self.prepare(call).await?;
            match self.follow(&following).await {
                Err(Ended::NonceTaken) => {}
                Err(Ended::Error(error)) => return Err(error),
                Ok(mined) => return Ok(mined),
            }
        }
        Err(ChainError::refused(
            &call.words,
            "the nonce was used by another transaction three times; another program sends with this key",
        ))
    }

    /// Looks after every transaction of unknown outcome once more, with a deadline for each. What is
    /// settled is returned; an error is the first that stays unknown.
    pub async fn settle(&self) -> Result<Vec<Mined>, ChainError> {
        let mut settled = Vec::new();
        loop {
            let next = {
                let mut state = self.state();
                let next = state.sent.values_mut().find(|sent| !sent.followed);
                next.map(|sent| {
                    sent.followed = true;
                    Following { sender: self, nonce: sent.nonce }
                })
            };
            let Some(following) = next else { return Ok(settled) };
            match self.follow(&following).await {
                Ok(mined) => settled.push(mined),
                Err(Ended::Error(error)) if error.may_have_taken_effect() => return Err(error),
                // It is settled that it did not happen.
                Err(_) => {}
            }
        }
    }

    /// Follows one transaction that was signed before to its end, with a deadline, and returns what came of it; `None`
    /// where nothing of this nonce is under way, or another caller follows it.
    pub async fn follow_up(&self, nonce: u64) -> Option<Result<Mined, ChainError>> {
        let following = {
            let mut state = self.state();
            let sent = state.sent.get_mut(&nonce).filter(|sent| !sent.followed)?;
            sent.followed = true;
            Following { sender: self, nonce }
        };
        let what = self.state().sent.get(&nonce).map(|sent| sent.call.words.clone());
        Some(match self.follow(&following).await {
            Ok(mined) => Ok(mined),
            Err(Ended::Error(error)) => Err(error),
            // Its bytes reached no node, and the nonce is used.
            Err(Ended::NonceTaken) => {
                Err(ChainError::NonceTaken { what: what.unwrap_or_default(), nonce })
            }
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; if something did, the state is still whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn prepare(&self, call: &Call) -> Result<Following<'_>, ChainError> {
        let head = self.rpc.head().await?;
        // Both endpoints must accept the call; the estimate of one alone can be wrong, which the caps bound.
        self.rpc.call(&head, Some(self.address()), call).await?;
        let estimate = self.rpc.estimate_gas(self.address(), call).await?;
        let margin = (estimate / 100).saturating_mul(self.config.gas_margin_percent);
        let gas = estimate.saturating_add(margin);
        let fees = self.fees(&head, call).await?;
        self.affordable(call, gas, fees, None)?;
        if self.state().nonces.unknown() {
            let next = self.first_nonce().await?;
            self.state().nonces.chain_says(next);
        }
        let mut state = self.state();
        // Again with the lock held, for another transaction may have been entered meanwhile.
        self.affordable_beside(&state, call, gas, fees, None)?;
        let Some(nonce) = state.nonces.take() else {
            return Err(ChainError::Unreachable("the next nonce is not known".into()));
        };
        let mut sent = Sent {
            call: call.clone(),
            nonce,
            gas,
            fees,
            versions: Vec::new(),
            kept: false,
            left: false,
            followed: true,
        };
        match self.sign(&sent, fees) {
            Ok(version) => sent.versions.push(version),
            Err(error) => {
                state.nonces.give_back(nonce);
                return Err(error);
            }
        }
        state.sent.insert(nonce, sent);
        Ok(Following { sender: self, nonce })
    }

    /// The nonce to begin with. What an earlier process sent and no block holds yet is waited for: what it
    /// does is not known, so nothing new may be decided on the state before it.
    async fn first_nonce(&self) -> Result<u64, ChainError> {
        let started = Instant::now();
        loop {
            let mined = self.rpc.mined_nonce(self.address()).await?;
            let next = self.rpc.next_nonce(self.address()).await?;
            if mined >= next {
                return Ok(next);
            }
            if started.elapsed() >= Duration::from_millis(self.config.deadline_ms) {
                return Err(ChainError::Unknown {
                    what: format!("earlier transactions of {}", self.address()),
                    reason: "no block holds them yet; nothing new was signed".into(),
                    look_for: vec![format!("nonces {mined} to {}", next - 1)],
                });
            }
            tokio::time::sleep(Duration::from_millis(self.config.poll_ms)).await;
        }
    }

    /// What to offer now: room for the base fee to double, never more than the cap.
    async fn fees(&self, head: &Head, call: &Call) -> Result<Fees, ChainError> {
        let cap = u128::from(self.config.max_fee_gwei) * GWEI;
        let base: u128 = head.base_fee_per_gas.map_or(0, |fee| fee.to());
        let least_tip = u128::from(self.config.min_tip_gwei) * GWEI;
        // A node without a suggestion is no reason not to send.
        let tip = self.rpc.suggested_tip().await.unwrap_or(least_tip).max(least_tip);
        if base.saturating_add(least_tip) > cap {
            return Err(ChainError::TooExpensive {
                what: call.words.clone(),
                needs: format!("{} gwei per gas", gwei_up(base.saturating_add(least_tip))),
                cap: format!("max_fee_gwei is {}", self.config.max_fee_gwei),
            });
        }
        let max = base.saturating_mul(2).saturating_add(tip).min(cap);
        Ok(Fees { max, tip: tip.min(max - base.min(max)).max(least_tip) })
    }

    /// Whether the worst case stays under the caps. `replaces` is the nonce whose own reservation does not
    /// count twice.
    fn affordable(
        &self,
        call: &Call,
        gas: u64,
        fees: Fees,
        replaces: Option<u64>,
    ) -> Result<(), ChainError> {
        self.affordable_beside(&self.state(), call, gas, fees, replaces)
    }

    fn affordable_beside(
        &self,
        state: &State,
        call: &Call,
        gas: u64,
        fees: Fees,
        replaces: Option<u64>,
    ) -> Result<(), ChainError> {
        let too_much = |needs: U256, cap: String| {
            let needs = format!("{} gwei", gwei_up(needs.saturating_to()));
            Err(ChainError::TooExpensive { what: call.words.clone(), needs, cap })
        };
        let worst = worst(gas, fees.max).saturating_add(call.value);
        if worst > U256::from(self.config.max_cost_gwei) * U256::from(GWEI) {
            let cap = format!("max_cost_gwei is {}", self.config.max_cost_gwei);
            return too_much(worst, cap);
        }
        let mut total = state.spent.saturating_add(worst);
        for sent in state.sent.values().filter(|sent| Some(sent.nonce) != replaces) {
            total = total.saturating_add(self::worst(sent.gas, sent.fees.max));
        }
        if total > U256::from(self.config.max_total_gwei) * U256::from(GWEI) {
            let cap = format!("max_total_gwei is {}", self.config.max_total_gwei);
            return too_much(total, cap);
        }
        Ok(())
    }

    fn sign(&self, sent: &Sent, fees: Fees) -> Result<(B256, Bytes), ChainError> {
        let mut transaction = TxEip1559 {
            chain_id: self.rpc.chain_id(),
            nonce: sent.nonce,
            gas_limit: sent.gas,
            max_fee_per_gas: fees.max,
            max_priority_fee_per_gas: fees.tip,
            to: TxKind::Call(sent.call.target),
            value: sent.call.value,
            access_list: Default::default(),
            input: sent.call.data.clone(),
        };
        let signature = self
            .signer
            .sign_transaction_sync(&mut transaction)
            .map_err(|error| ChainError::Misconfigured(format!("signing failed: {error}")))?;
        let signed = TxEnvelope::from(transaction.into_signed(signature));
        Ok((*signed.tx_hash(), signed.encoded_2718().into()))
    }

    async fn follow(&self, following: &Following<'_>) -> Result<Mined, Ended> {
        let nonce = following.nonce;
        let started = Instant::now();
        let mut offered = started;
        let mut doubt = "no block holds it yet".to_owned();
        let mut passed_since: Option<u64> = None;
        let mut must_publish = true;
        loop {
            let Some(sent) = self.state().sent.get(&nonce).cloned() else {
                return Err(Ended::NonceTaken);
            };
            if !sent.kept {
                self.keep_first(&sent).await?;
            }
            if must_publish {
                match self.publish(&sent).await? {
                    None => must_publish = false,
                    Some(text) => doubt = text,
                }
            }
            match self.look(&sent).await {
                Ok(Look::Deep(hash, receipt)) => return self.finish(&sent, hash, receipt).await,
                Ok(Look::Shallow) => passed_since = None,
                Ok(Look::Nowhere { head, next }) => {
                    if next > nonce {
                        // The nonce is used, and by none of our versions, on every endpoint. Receipts may
                        // come a little later than counts, and blocks may still be reorganised.
                        let since = *passed_since.get_or_insert(head);
                        if head.saturating_sub(since) >= self.config.confirmations {
                            let mut state = self.state();
                            state.sent.remove(&nonce);
                            state.nonces.used(nonce);
                            let what = sent.call.words.clone();
                            return Err(Ended::Error(ChainError::NonceTaken { what, nonce }));
                        }
                    } else {
                        passed_since = None;
                    }
                    let waited = offered.elapsed().as_millis() as u64;
                    if next <= nonce && waited >= self.config.replace_after_ms {
                        offered = Instant::now();
                        must_publish = true;
                        self.raise(&sent).await;
                    }
                }
                Err(error) => doubt = error.to_string(),
            }
            if started.elapsed() >= Duration::from_millis(self.config.deadline_ms) {
                let mut look_for: Vec<String> =
                    sent.versions.iter().map(|(hash, _)| format!("transaction {hash}")).collect();
                look_for.push(format!("nonce {nonce} of {}", self.address()));
                return Err(Ended::Error(ChainError::Unknown {
                    what: sent.call.words.clone(),
                    reason: doubt,
                    look_for,
                }));
            }
            tokio::time::sleep(Duration::from_millis(self.config.poll_ms)).await;
        }
    }

    /// Writes the first version down. If that is not possible, it has never been.
    async fn keep_first(&self, sent: &Sent) -> Result<(), Ended> {
        let Some(version) = sent.versions.last() else { return Err(Ended::NonceTaken) };
        let kept = self.keep.keep(&leaving(sent, sent.fees, version)).await;
        let mut state = self.state();
        match kept {
            Ok(()) => {
                if let Some(sent) = state.sent.get_mut(&sent.nonce) {
                    sent.kept = true;
                }
                Ok(())
            }
            Err(why) => {
                state.sent.remove(&sent.nonce);
                state.nonces.give_back(sent.nonce);
                let reason = format!("it cannot be written down, so it was not sent: {why}");
                Err(Ended::Error(ChainError::refused(&sent.call.words, &reason)))
            }
        }
    }

    /// Sends the newest version to the nodes. `Some` is the reason why none of them surely has it.
    async fn publish(&self, sent: &Sent) -> Result<Option<String>, Ended> {
        let Some((_, raw)) = sent.versions.last() else { return Err(Ended::NonceTaken) };
        let published = self.rpc.publish(raw).await;
        match self.note(sent, &published) {
            Noted::With => Ok(None),
            Noted::Doubt(text) => Ok(Some(text)),
            Noted::Gone { resync, ended } => {
                if resync {
                    let next = self.rpc.next_nonce(self.address()).await?;
                    self.state().nonces.chain_says(next);
                }
                Err(ended)
            }
        }
    }

    /// Writes down what became of the newest version.
    fn note(&self, sent: &Sent, published: &Published) -> Noted {
        let mut state = self.state();
        match published {
            Published::Accepted | Published::Lost(_) => {
                if let Some(sent) = state.sent.get_mut(&sent.nonce) {
                    sent.left = true;
                }
                match published {
                    Published::Lost(text) => Noted::Doubt(text.clone()),
                    _ => Noted::With,
                }
            }
            // Once a version may have left, a refusal of the newest proves nothing about the others: an
            // older one may be the reason. Only the chain decides then.
            Published::NonceTooLow | Published::Refused(_) if sent.left => Noted::With,
            Published::NonceTooLow => {
                state.sent.remove(&sent.nonce);
                state.nonces.used(sent.nonce);
                Noted::Gone { resync: true, ended: Ended::NonceTaken }
            }
            Published::Refused(text) => {
                state.sent.remove(&sent.nonce);
                state.nonces.give_back(sent.nonce);
                // "replacement …": an unknown transaction holds this nonce in the pool.
                let resync = text.to_ascii_lowercase().contains("replacement");
                let error = ChainError::refused(&sent.call.words, text);
                Noted::Gone { resync, ended: Ended::Error(error) }
            }
        }
    }

    /// Signs a version with higher fees under the same nonce, if the caps allow one that nodes would take.
    async fn raise(&self, sent: &Sent) {
        let cap = u128::from(self.config.max_fee_gwei) * GWEI;
        let more = |fee: u128, percent: u64| fee + (fee * u128::from(percent)).div_ceil(100);
        let mut fees = Fees {
            max: more(sent.fees.max, self.config.bump_percent).min(cap),
            tip: more(sent.fees.tip, self.config.bump_percent),
        };
        if let Ok(head) = self.rpc.head().await
            && let Ok(now) = self.fees(&head, &sent.call).await
        {
            fees = Fees { max: fees.max.max(now.max), tip: fees.tip.max(now.tip) };
        }
        fees.tip = fees.tip.min(fees.max);
        // Nodes want at least 10 % more of both.
        if fees.max < more(sent.fees.max, 10) || fees.tip < more(sent.fees.tip, 10) {
            return;
        }
        if self.affordable(&sent.call, sent.gas, fees, Some(sent.nonce)).is_err() {
            return;
        }
        let Ok(version) = self.sign(sent, fees) else { return };
        if let Err(why) = self.keep.keep(&leaving(sent, fees, &version)).await {
            tracing::warn!(
                why,
                nonce = sent.nonce,
                "higher fees are not offered: not written down"
            );
            return;
        }
        if let Some(sent) = self.state().sent.get_mut(&sent.nonce) {
            sent.fees = fees;
            sent.versions.push(version);
        }
    }

    async fn look(&self, sent: &Sent) -> Result<Look, ChainError> {
        let head: u64 = self.rpc.head().await?.number.to();
        for (hash, _) in sent.versions.iter().rev() {
            match self.rpc.seen(*hash).await? {
                Seen::Nowhere => {}
                Seen::Somewhere => return Ok(Look::Shallow),
                Seen::Everywhere(receipt) => {
                    let depth = head.saturating_add(1).saturating_sub(receipt.block_number.to());
                    return Ok(if depth >= self.config.confirmations {
                        Look::Deep(*hash, receipt)
                    } else {
                        Look::Shallow
                    });
                }
            }
        }
        let next = self.rpc.mined_nonce(self.address()).await?;
        Ok(Look::Nowhere { head, next })
    }

    async fn finish(&self, sent: &Sent, hash: B256, receipt: Receipt) -> Result<Mined, Ended> {
        let fee_wei = U256::from(receipt.gas_used.to::<u64>())
            * U256::from(receipt.effective_gas_price.to::<u128>());
        {
            let mut state = self.state();
            state.sent.remove(&sent.nonce);
            state.nonces.used(sent.nonce);
            state.spent = state.spent.saturating_add(fee_wei);
        }
        if receipt.status.to::<u64>() != 1 {
            let reason = if receipt.gas_used.to::<u64>() >= sent.gas {
                "out of gas".to_owned()
            } else {
                self.rpc.reason_of_failure(self.address(), &sent.call, &receipt).await
            };
            let what = sent.call.words.clone();
            return Err(Ended::Error(ChainError::Reverted { what, reason, hash: Some(hash) }));
        }
        Ok(Mined {
            hash,
            block: receipt.block_number.to(),
            nonce: sent.nonce,
            fee_wei,
            replacements: sent.versions.len() - 1,
        })
    }
}

fn leaving(sent: &Sent, fees: Fees, (hash, raw): &(B256, Bytes)) -> Leaving {
    Leaving::Transaction(SignedTransaction {
        call: sent.call.clone(),
        nonce: sent.nonce,
        gas: sent.gas,
        max_fee: fees.max,
        tip: fees.tip,
        hash: *hash,
        raw: raw.clone(),
    })
}

/// How following a transaction ended without it.
enum Ended {
    /// Its nonce is used up and its bytes reached no node: the call may be signed again.
    NonceTaken,
    Error(ChainError),
}

impl From<ChainError> for Ended {
    fn from(error: ChainError) -> Ended {
        Ended::Error(error)
    }
}

/// What a publication means for its transaction.
enum Noted {
    /// A node has it.
    With,
    /// Perhaps a node has it.
    Doubt(String),
    /// Nobody has it, and it is struck off.
    Gone { resync: bool, ended: Ended },
}

enum Look {
    Deep(B256, Receipt),
    /// In a block, not deep enough or not yet by every endpoint.
    Shallow,
    /// In no block, by every endpoint; the head's number and the next nonce by mined transactions.
    Nowhere {
        head: u64,
        next: u64,
    },
}

fn worst(gas: u64, max_fee: u128) -> U256 {
    U256::from(gas).saturating_mul(U256::from(max_fee))
}

fn gwei_up(wei: u128) -> u128 {
    wei.div_ceil(GWEI)
}
