//! The chain for live trading: what one or two nodes prove of cash, shares, fills and conversions.

use std::sync::{Arc, Mutex, PoisonError};

use futures_util::StreamExt as _;
use polydesk_domain::{Cash, CashKind, Conversion, Shares, Span, Time, TokenId, Usdc};
use polydesk_gateway::{ChainRead, FilledLog};
use polydesk_polymarket_api::ServerClock;
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::clob::request::Asset;
use polydesk_polymarket_wallet::chain::{Call, MarketKind, OrderFilled, Rpc, Wallets};
use polydesk_polymarket_wallet::signing::{Address, B256, Chain, U256};
use polydesk_runtime::live::chain::{Answer, ChainLane, ConversionJob, Converted};
use rust_decimal::prelude::ToPrimitive as _;

/// Balances that are read beside each other.
const READS_AT_ONCE: usize = 16;
/// With one node, two equal reads of the venue's balance must lie so far apart.
const APART: Span = Span::secs(30);

/// The chain of one wallet.
pub struct WalletChain {
    /// One or two nodes.
    pub rpc: Arc<Rpc>,
    /// Its contracts.
    pub chain: Chain,
    /// The address that holds the money.
    pub wallet: Address,
    /// For the venue's own balance, which stands in for a second node.
    pub clob: Clob,
    /// Time.
    pub clock: ServerClock,
    /// Sends transactions of the wallet.
    pub sender: Arc<Wallets>,
    /// The venue's balance and since when it is the same.
    same: Mutex<Option<(Usdc, Time)>>,
}

impl WalletChain {
    pub fn new(
        rpc: Arc<Rpc>,
        chain: Chain,
        wallet: Address,
        clob: Clob,
        clock: ServerClock,
        sender: Arc<Wallets>,
    ) -> WalletChain {
        WalletChain { rpc, chain, wallet, clob, clock, sender, same: Mutex::default() }
    }

    async fn read_at_head(&self, tokens: &[TokenId]) -> Result<ChainRead, String> {
        let text = |error: polydesk_polymarket_wallet::chain::ChainError| error.to_string();
        let snapshot = self.rpc.snapshot(&self.chain).await.map_err(text)?;
        let cash = usdc(snapshot.collateral(self.wallet).await.map_err(text)?)?;
        let mut reads = Vec::with_capacity(tokens.len());
        for token in tokens.iter().copied() {
            let snapshot = &snapshot;
            reads.push(async move {
                // A token id is of one generation of contracts; the other holds nothing of it.
                let mut held = snapshot.shares(token, self.wallet).await.map_err(text)?;
                if held.is_zero() {
                    held = snapshot.shares_v2(token, self.wallet).await.map_err(text)?;
                }
                Ok::<_, String>((token, shares(held)?))
            });
        }
        let mut held = std::collections::BTreeMap::new();
        let mut reads = futures_util::stream::iter(reads).buffer_unordered(READS_AT_ONCE);
        while let Some(read) = reads.next().await {
            let (token, shares) = read?;
            held.insert(token, shares);
        }
        let head = i64::try_from(snapshot.at().timestamp.to::<u64>()).unwrap_or(i64::MAX);
        let age = Time::from_secs(head).until(self.clock.now());
        let agreed = match self.rpc.single() {
            false => true,
            true => self.venue_agrees(cash).await,
        };
        Ok(ChainRead { agreed, age, cash, shares: held, moves: Vec::new() })
    }

    /// One node alone proves nothing: the venue's own balance has to say the same, twice.
    async fn venue_agrees(&self, cash: Usdc) -> bool {
        // The venue keeps a copy: it reads the chain again when it is asked to.
        if self.clob.update_balance_allowance(Asset::Collateral).await.is_err() {
            return false;
        }
        let Ok(answer) = self.clob.balance_allowance(Asset::Collateral).await else { return false };
        let there = answer.balance.to_i64().map(Usdc::new);
        let now = self.clock.steady();
        let mut same = self.same.lock().unwrap_or_else(PoisonError::into_inner);
        if there != Some(cash) {
            *same = None;
            return false;
        }
        match *same {
            Some((balance, since)) if balance == cash => since.until(now) >= APART,
            _ => {
                *same = Some((cash, now));
                false
            }
        }
    }

    async fn fills_of(&self, hash: B256) -> Result<Option<(Vec<FilledLog>, u64)>, String> {
        let text = |error: polydesk_polymarket_wallet::chain::ChainError| error.to_string();
        let Some(receipt) = self.rpc.receipt(hash).await.map_err(text)? else { return Ok(None) };
        let block = receipt.block_number.to::<u64>();
        let head = self.rpc.head().await.map_err(text)?.number.to::<u64>();
        if head < block {
            return Ok(None);
        }
        let fills = self.rpc.order_fills(&self.chain, self.wallet, block, block).await;
        let fills = fills.map_err(text)?;
        let ours = fills.iter().filter(|fill| fill.transaction == hash).map(filled).collect();
        Ok(Some((ours, head - block)))
    }

    async fn converted(&self, job: &ConversionJob) -> Result<Converted, String> {
        let kind = if job.neg_risk { MarketKind::NegRisk } else { MarketKind::Normal };
        let condition = B256::from(*job.condition.bytes());
        let contracts = self.chain.contracts();
        let micros = |shares: Shares| U256::from(shares.micros());
        let call = match job.action {
            Conversion::Split(shares) => Call::split(contracts, kind, condition, micros(shares)),
            Conversion::Merge(shares) => Call::merge(contracts, kind, condition, micros(shares)),
            Conversion::Redeem => Call::redeem(contracts, kind, condition),
        };
        let before = self.holdings(job).await?;
        match self.sender.execute(&[call], &format!("conversion {}", job.id)).await {
            Ok(_) => {
                let after = self.holdings(job).await?;
                Ok(Converted::Moved(moved(job, before, after)))
            }
            Err(error) if error.error.may_have_taken_effect() => {
                tracing::warn!(id = %job.id, error = %error.error, "a conversion may have taken effect");
                Ok(Converted::Unknown)
            }
            Err(error) => {
                tracing::warn!(id = %job.id, error = %error.error, "a conversion did not happen");
                Ok(Converted::Failed)
            }
        }
    }

    async fn holdings(&self, job: &ConversionJob) -> Result<(Usdc, [Shares; 2]), String> {
        let read = self.read_at_head(&job.tokens).await?;
        let shares = job.tokens.map(|token| read.shares.get(&token).copied().unwrap_or_default());
        Ok((read.cash, shares))
    }
}

fn moved(
    job: &ConversionJob,
    (cash, held): (Usdc, [Shares; 2]),
    (cash_after, held_after): (Usdc, [Shares; 2]),
) -> Cash {
    let kind = match job.action {
        Conversion::Split(_) => CashKind::Split,
        Conversion::Merge(_) => CashKind::Merge,
        Conversion::Redeem => CashKind::Redeem,
    };
    let change = |outcome: usize| {
        let (before, after) = (held[outcome], held_after[outcome]);
        if after > before { after.saturating_sub(before) } else { before.saturating_sub(after) }
    };
    Cash {
        kind,
        conversion: Some(job.id),
        strategy: Some(job.strategy),
        market: None,
        amount: cash_after - cash,
        shares: [change(0), change(1)],
    }
}

fn filled(fill: &OrderFilled) -> FilledLog {
    FilledLog {
        order: fill.order,
        side: fill.side,
        token: fill.token,
        shares: fill.shares,
        notional: fill.money,
        fee: fill.fee,
    }
}

fn usdc(amount: U256) -> Result<Usdc, String> {
    let amount =
        i64::try_from(amount).map_err(|_| format!("a balance of {amount} pUSD millionths"))?;
    Ok(Usdc::new(amount))
}

fn shares(amount: U256) -> Result<Shares, String> {
    let micros =
        u64::try_from(amount).map_err(|_| format!("a balance of {amount} share millionths"))?;
    Ok(Shares::new(micros))
}

impl ChainLane for WalletChain {
    fn read<'a>(&'a self, tokens: &'a [TokenId]) -> Answer<'a, ChainRead> {
        Box::pin(self.read_at_head(tokens))
    }

    fn settled<'a>(&'a self, transaction: &'a str) -> Answer<'a, Option<(Vec<FilledLog>, u64)>> {
        Box::pin(async move {
            let hash: B256 = transaction
                .parse()
                .map_err(|_| format!("{transaction:?} is no hash of a transaction"))?;
            self.fills_of(hash).await
        })
    }

    fn convert<'a>(&'a self, job: &'a ConversionJob) -> Answer<'a, Converted> {
        Box::pin(self.converted(job))
    }
}
