//! The chain for live trading: what one or two nodes prove of cash, shares, fills and conversions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt as _;
use polydesk_domain::{Code, Conversion, ConversionId, Shares, Span, Time, TokenId, Usdc};
use polydesk_gateway::{ChainMove, ChainRead, DEPTH, FilledLog};
use polydesk_polymarket_api::ServerClock;
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::clob::request;
use polydesk_polymarket_wallet::chain::{
    Asset, Call, ChainError, EoaSender, Executed, Followed, MarketKind, Movement, OrderFilled,
    RelayedCalls, Relayer, Rpc, Wallets,
};
use polydesk_polymarket_wallet::signing::{Address, B256, Chain, Contracts, U256};
use polydesk_runtime::live::chain::{Answer, ChainLane, ConversionJob, Converted};
use rust_decimal::prelude::ToPrimitive as _;

use crate::conversions::{Book, Entry, Outcome};

/// Balances that are read beside each other.
const READS_AT_ONCE: usize = 16;
/// With one node, two equal reads of the venue's balance must lie so far apart.
const APART: Span = Span::secs(30);
/// The first read of fills goes so many blocks back: the ten minutes that a start looks back, twice.
const SCANNED: u64 = 600;
/// Transactions whose fills are kept; beyond them all are read again.
const MOST_SCANNED: usize = 100_000;
/// Looks at a transaction that is to be deep enough, and the pause between two.
const LOOKS: u32 = 30;
const BETWEEN_LOOKS: Duration = Duration::from_secs(2);

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
    /// What was signed for conversions.
    pub book: Arc<Book>,
    /// One conversion at a time; whether those of earlier processes are taken up.
    turn: tokio::sync::Mutex<bool>,
    /// The newest block up to which movements were not asked for any more.
    agreed: AtomicU64,
    /// The venue's balance and since when it is the same.
    same: Mutex<Option<(Usdc, Time)>>,
    /// Fills of deep blocks.
    scan: tokio::sync::Mutex<Scan>,
}

/// Fills by their transaction, in blocks that no reorganisation takes back any more.
#[derive(Default)]
struct Scan {
    /// The last block that was read; 0: none.
    to: u64,
    fills: BTreeMap<B256, Vec<FilledLog>>,
}

impl WalletChain {
    /// A lane whose sender writes into `book`, which also has what earlier processes have signed.
    pub fn new(
        rpc: Arc<Rpc>,
        chain: Chain,
        wallet: Address,
        clob: Clob,
        clock: ServerClock,
        (sender, book): (Arc<Wallets>, Arc<Book>),
    ) -> WalletChain {
        let (turn, agreed) = (tokio::sync::Mutex::new(false), AtomicU64::new(0));
        let (same, scan) = (Mutex::default(), tokio::sync::Mutex::default());
        WalletChain { rpc, chain, wallet, clob, clock, sender, book, turn, agreed, same, scan }
    }

    async fn read_at_head(
        &self,
        tokens: &[TokenId],
        since: Option<u64>,
    ) -> Result<ChainRead, String> {
        let snapshot = self.rpc.snapshot(&self.chain).await.map_err(text)?;
        let block = snapshot.at().number.to::<u64>();
        let mut moves = match since {
            Some(since) => self.moves_since(since, block).await?,
            None => Vec::new(),
        };
        if let Some(since) = since {
            self.agreed.fetch_max(since, Ordering::Relaxed);
        }
        for one in &mut moves {
            one.at = self.rpc.time_of(one.block).await.map_err(text)?;
        }
        let cash = usdc(snapshot.collateral(self.wallet).await.map_err(text)?)?;
        // A token that came in from outside may be held by no strategy.
        let moved = moves.iter().flat_map(|one| one.shares.iter().map(|(token, _)| *token));
        let tokens: BTreeSet<TokenId> = tokens.iter().copied().chain(moved).collect();
        let mut reads = Vec::with_capacity(tokens.len());
        for token in tokens {
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
        let mut held = BTreeMap::new();
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
        let unsettled = !self.book.open().is_empty();
        Ok(ChainRead { agreed, block, age, cash, shares: held, moves, unsettled })
    }

    /// One node alone proves nothing: the venue's own balance has to say the same, twice.
    async fn venue_agrees(&self, cash: Usdc) -> bool {
        // The venue keeps a copy: it reads the chain again when it is asked to.
        if self.clob.update_balance_allowance(request::Asset::Collateral).await.is_err() {
            return false;
        }
        let Ok(answer) = self.clob.balance_allowance(request::Asset::Collateral).await else {
            return false;
        };
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

    /// The parts of our orders in a transaction. The logs of all deep blocks are read once, for every transaction in
    /// them; only one that is in none of them is asked for by its receipt.
    async fn fills_of(&self, hash: B256) -> Result<Option<(Vec<FilledLog>, u64)>, String> {
        let mut scan = self.scan.lock().await;
        if let Some(fills) = scan.fills.get(&hash) {
            return Ok(Some((fills.clone(), DEPTH)));
        }
        let head = self.rpc.head().await.map_err(text)?.number.to::<u64>();
        let deep = head.saturating_sub(DEPTH);
        if deep > scan.to {
            let from = (scan.to + 1).max(deep.saturating_sub(SCANNED));
            match self.rpc.order_fills(&self.chain, self.wallet, from, deep).await {
                Ok(fills) => {
                    for fill in &fills {
                        scan.fills.entry(fill.transaction).or_default().push(filled(fill));
                    }
                }
                // More than a node answers at once, perhaps: each is found by its receipt.
                Err(error) => tracing::warn!(%error, from, deep, "fills cannot be read together"),
            }
            scan.to = deep;
            // What is asked for is minutes old: an older transaction has its receipt.
            if scan.fills.len() > MOST_SCANNED {
                scan.fills.clear();
                scan.to = 0;
            } else if let Some(fills) = scan.fills.get(&hash) {
                return Ok(Some((fills.clone(), DEPTH)));
            }
        }
        drop(scan);
        let Some(receipt) = self.rpc.receipt(hash).await.map_err(text)? else { return Ok(None) };
        let block = receipt.block_number.to::<u64>();
        if head < block {
            return Ok(None);
        }
        let fills = self.rpc.order_fills(&self.chain, self.wallet, block, block).await;
        let fills = fills.map_err(text)?;
        let ours = fills.iter().filter(|fill| fill.transaction == hash).map(filled).collect();
        Ok(Some((ours, head - block)))
    }

    /// Converts once per id: what has an entry is followed to its end, and nothing is signed while another conversion
    /// may still run.
    async fn converted(&self, job: &ConversionJob) -> Result<Converted, String> {
        let mut taken_up = self.turn.lock().await;
        self.take_up(&mut taken_up).await?;
        if self.book.entry(job.id).is_some() {
            return self.look(job.id).await;
        }
        for open in self.book.open() {
            if self.look(open).await? == Converted::Unknown {
                return Ok(Converted::Unknown);
            }
        }
        let kind = if job.neg_risk { MarketKind::NegRisk } else { MarketKind::Normal };
        let condition = B256::from(*job.condition.bytes());
        let contracts = self.chain.contracts();
        let micros = |shares: Shares| U256::from(shares.micros());
        let call = match job.action {
            Conversion::Split(shares) => Call::split(contracts, kind, condition, micros(shares)),
            Conversion::Merge(shares) => Call::merge(contracts, kind, condition, micros(shares)),
            Conversion::Redeem => Call::redeem(contracts, kind, condition),
        };
        let head = self.rpc.head().await.map_err(text)?.number.to::<u64>();
        self.book.begin(job, head);
        let executed = self.sender.execute(&[call], &format!("conversion {}", job.id)).await;
        self.book.end();
        match executed {
            Ok(executed) => match mined(&executed) {
                Some((hash, fee)) => self.conclude(job.id, hash, fee).await,
                None => Ok(Converted::Unknown),
            },
            Err(error) if error.error.may_have_taken_effect() => {
                tracing::warn!(id = %job.id, error = %error.error, "a conversion may have taken effect");
                Ok(Converted::Unknown)
            }
            Err(error) => {
                tracing::warn!(id = %job.id, error = %error.error, "a conversion did not happen");
                match self.book.entry(job.id) {
                    // It was written down and surely did not run: a later process must not send it.
                    Some(_) => self.ended(job.id, &error.error).await,
                    None => Ok(Converted::Failed),
                }
            }
        }
    }

    /// What became of a conversion that an earlier process was asked for. Without an entry nothing of it has left.
    async fn resumed(&self, job: &ConversionJob) -> Result<Converted, String> {
        let mut taken_up = self.turn.lock().await;
        self.take_up(&mut taken_up).await?;
        match self.book.entry(job.id) {
            Some(_) => self.look(job.id).await,
            None => Ok(Converted::Failed),
        }
    }

    /// Gives the senders, once, what earlier processes have signed.
    async fn take_up(&self, taken_up: &mut bool) -> Result<(), String> {
        if *taken_up {
            return Ok(());
        }
        let open = self.book.open();
        let entries = open.iter().filter_map(|id| self.book.entry(*id));
        if let Wallets::Own(sender) = &*self.sender {
            let versions = entries.flat_map(|entry| entry.versions()).collect();
            sender.resume(versions, self.book.spent()).map_err(text)?;
        }
        *taken_up = true;
        Ok(())
    }

    /// Follows what was signed for a conversion, without signing it again beside itself.
    async fn look(&self, id: ConversionId) -> Result<Converted, String> {
        let Some(entry) = self.book.entry(id) else { return Ok(Converted::Failed) };
        if entry.outcome.is_some() {
            return Ok(entry.converted());
        }
        match &*self.sender {
            Wallets::Own(sender) => self.look_at_own(sender, &entry).await,
            Wallets::Relayed(relayer) => self.look_at_relayed(relayer, &entry).await,
        }
    }

    async fn look_at_own(&self, sender: &EoaSender, entry: &Entry) -> Result<Converted, String> {
        let id = entry.job.id;
        let versions = entry.versions();
        // Another nonce is only taken after the one before was surely not used: the newest decides.
        let Some(nonce) = versions.last().map(|version| version.nonce) else {
            return Err(format!(
                "conversion {id} was signed for the relayer, and the wallet is the key's own address: set live.wallet as it was"
            ));
        };
        let followed = match sender.follow_up(nonce).await {
            Some(followed) => followed,
            None => {
                sender.resume(versions, U256::ZERO).map_err(text)?;
                let again = sender.follow_up(nonce).await;
                again.ok_or_else(|| format!("nonce {nonce} is followed already"))?
            }
        };
        match followed {
            Ok(mined) => self.conclude(id, mined.hash, mined.fee_wei).await,
            Err(error) if error.may_have_taken_effect() => {
                tracing::warn!(%id, %error, "a conversion is not decided yet");
                Ok(Converted::Unknown)
            }
            Err(
                error @ (ChainError::Reverted { .. }
                | ChainError::Refused { .. }
                | ChainError::NonceTaken { .. }),
            ) => self.ended(id, &error).await,
            Err(error) => Err(error.to_string()),
        }
    }

    async fn look_at_relayed(&self, relayer: &Relayer, entry: &Entry) -> Result<Converted, String> {
        let id = entry.job.id;
        let Some(calls) = entry.relayed() else {
            return Err(format!(
                "conversion {id} was signed as the key's own transaction, and the wallet is a contract: set live.wallet as it was"
            ));
        };
        match relayer.follow_up(calls).await {
            Ok(Followed::Confirmed(hash)) => self.conclude(id, hash, U256::ZERO).await,
            Ok(Followed::Never(why)) => self.failed(id, why).await,
            Ok(Followed::NonceUsed) => {
                let found = self.look_in_logs(entry, calls).await?;
                // Used, and by nothing that answers this conversion.
                Ok(if found == Converted::Failed { Converted::NonceTaken } else { found })
            }
            Err(error) if error.may_have_taken_effect() => {
                // The relayer's word on the nonce may be late: the chain shows what ran.
                tracing::warn!(%id, %error, "a conversion is not decided yet");
                self.look_in_logs(entry, calls).await
            }
            Err(error) => Err(error.to_string()),
        }
    }

    /// The relayer does not say what used the nonce: the logs of the wallet do.
    async fn look_in_logs(&self, entry: &Entry, calls: &RelayedCalls) -> Result<Converted, String> {
        let id = entry.job.id;
        let head = self.rpc.head().await.map_err(text)?;
        let (from, to) = (entry.from_block.saturating_add(1), head.number.to::<u64>());
        let moves = self.rpc.movements(&self.chain, self.wallet, from, to).await.map_err(text)?;
        let known = self.book.transactions();
        let mut found: Vec<B256> = Vec::new();
        for one in &moves {
            let new = !known.contains(&one.transaction) && !found.contains(&one.transaction);
            let of: Vec<&Movement> =
                moves.iter().filter(|of| of.transaction == one.transaction).collect();
            if new && answers(&entry.job, &of) {
                found.push(one.transaction);
            }
        }
        let over =
            calls.deadline.is_some_and(|end| head.timestamp.to::<u64>() > end.saturating_add(60));
        match found[..] {
            [hash] => self.conclude(id, hash, U256::ZERO).await,
            [] if over => {
                self.failed(id, "its deadline has passed and no block holds it".to_owned()).await
            }
            [] => Ok(Converted::Unknown),
            _ => Err(format!(
                "{} transactions could be conversion {id}: {found:?}; compare them with the relayer's list",
                found.len()
            )),
        }
    }

    /// Writes down that it did not happen, for this reason.
    async fn ended(&self, id: ConversionId, error: &ChainError) -> Result<Converted, String> {
        let failed = self.failed(id, error.to_string()).await?;
        Ok(match error {
            ChainError::NonceTaken { .. } => Converted::NonceTaken,
            _ => failed,
        })
    }

    async fn failed(&self, id: ConversionId, why: String) -> Result<Converted, String> {
        Ok(self.book.decide(id, Outcome::Failed { why }, U256::ZERO).await?.converted())
    }

    /// Waits until a transaction is deep enough, and books what it moved by its logs.
    async fn conclude(&self, id: ConversionId, hash: B256, fee: U256) -> Result<Converted, String> {
        let Some(entry) = self.book.entry(id) else {
            return Err(format!("conversion {id} has no entry"));
        };
        for _ in 0..LOOKS {
            if let Some(receipt) = self.rpc.receipt(hash).await.map_err(text)? {
                if receipt.status.to::<u64>() != 1 {
                    return self.failed(id, format!("transaction {hash} failed")).await;
                }
                let block = receipt.block_number.to::<u64>();
                let head = self.rpc.head().await.map_err(text)?.number.to::<u64>();
                if head.saturating_sub(block) >= DEPTH {
                    let read = self.rpc.movements(&self.chain, self.wallet, block, block).await;
                    let moves = read.map_err(text)?;
                    let of: Vec<&Movement> =
                        moves.iter().filter(|one| one.transaction == hash).collect();
                    // A reorganisation between both reads would show an empty block.
                    if self.rpc.receipt(hash).await.map_err(text)? == Some(receipt) {
                        let outcome = outcome(&entry.job, hash, block, &of)?;
                        return Ok(self.book.decide(id, outcome, fee).await?.converted());
                    }
                }
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        Ok(Converted::Unknown)
    }

    /// Movements after a block that belong to no fill and to no conversion, one per transaction.
    async fn moves_since(&self, since: u64, to: u64) -> Result<Vec<ChainMove>, String> {
        let from = since.saturating_add(1);
        let moves = self.rpc.movements(&self.chain, self.wallet, from, to).await.map_err(text)?;
        if moves.is_empty() {
            return Ok(Vec::new());
        }
        let fills = self.rpc.order_fills(&self.chain, self.wallet, from, to).await.map_err(text)?;
        let mut own = self.book.transactions();
        own.extend(fills.iter().map(|fill| fill.transaction));
        unbooked(self.chain.contracts(), &moves, &own)
    }
}

/// The transaction that an execution ended with, and what it cost.
fn mined(executed: &Executed) -> Option<(B256, U256)> {
    match executed {
        Executed::Nothing => None,
        Executed::Mined(all) => all.last().map(|mined| (mined.hash, mined.fee_wei)),
        Executed::Relayed(relayed) => relayed.hash.map(|hash| (hash, U256::ZERO)),
    }
}

/// Net amounts of one transaction: pUSD, and the millionths of each token.
fn net(moves: &[&Movement]) -> Result<(i64, BTreeMap<TokenId, i64>), String> {
    let mut cash = 0i64;
    let mut shares: BTreeMap<TokenId, i64> = BTreeMap::new();
    for one in moves {
        let sum = match one.asset {
            Asset::Collateral => &mut cash,
            Asset::Shares(token) => shares.entry(token).or_default(),
        };
        let added = sum.checked_add(one.amount);
        *sum = added.ok_or_else(|| format!("transaction {} moves too much", one.transaction))?;
    }
    shares.retain(|_, amount| *amount != 0);
    Ok((cash, shares))
}

/// Whether a transaction did what a conversion was to do.
fn answers(job: &ConversionJob, moves: &[&Movement]) -> bool {
    let Ok((cash, shares)) = net(moves) else { return false };
    let [yes, no] = job.tokens.map(|token| shares.get(&token).copied().unwrap_or(0));
    let others = shares.keys().any(|token| !job.tokens.contains(token));
    let amount = |shares: Shares| i64::try_from(shares.micros()).unwrap_or(i64::MAX);
    let fits = match job.action {
        Conversion::Split(shares) => {
            (cash, yes, no) == (-amount(shares), amount(shares), amount(shares))
        }
        Conversion::Merge(shares) => {
            (cash, yes, no) == (amount(shares), -amount(shares), -amount(shares))
        }
        Conversion::Redeem => cash >= 0 && yes <= 0 && no <= 0 && yes.min(no) < 0,
    };
    fits && !others
}

/// What a conversion's own transaction moved, by its logs alone.
fn outcome(
    job: &ConversionJob,
    transaction: B256,
    block: u64,
    moves: &[&Movement],
) -> Result<Outcome, String> {
    let (cash, mut moved) = net(moves)?;
    let [yes, no] = job.tokens.map(|token| moved.remove(&token).unwrap_or(0));
    if (cash, yes, no) == (0, 0, 0) && moved.is_empty() {
        return Ok(Outcome::Failed { why: format!("transaction {transaction} moved nothing") });
    }
    let direction = match job.action {
        Conversion::Split(_) => cash <= 0 && yes >= 0 && no >= 0,
        Conversion::Merge(_) | Conversion::Redeem => cash >= 0 && yes <= 0 && no <= 0,
    };
    if !direction || !moved.is_empty() {
        return Err(format!(
            "transaction {transaction} of conversion {} moved {cash} millionths of pUSD, {yes} of YES, {no} of NO and {} other tokens, which is no {:?}; look at it on the chain",
            job.id,
            moved.len(),
            job.action
        ));
    }
    let shares = [yes, no].map(|amount| Shares::new(amount.unsigned_abs()));
    Ok(Outcome::Moved { transaction, block, cash: Usdc::new(cash), shares })
}

/// Movements whose transaction is in none of `own`, summed per transaction and named by what they look like.
fn unbooked(
    contracts: &Contracts,
    moves: &[Movement],
    own: &BTreeSet<B256>,
) -> Result<Vec<ChainMove>, String> {
    let mut order: Vec<B256> = Vec::new();
    let mut by_transaction: BTreeMap<B256, Vec<&Movement>> = BTreeMap::new();
    for one in moves.iter().filter(|one| !own.contains(&one.transaction)) {
        let of = by_transaction.entry(one.transaction).or_default();
        if of.is_empty() {
            order.push(one.transaction);
        }
        of.push(one);
    }
    let mut out = Vec::new();
    for transaction in order {
        let of = by_transaction.remove(&transaction).unwrap_or_default();
        let Some(block) = of.first().map(|one| one.block) else { continue };
        if of.iter().any(|one| one.block != block) {
            return Err(format!("transaction {transaction} is in two blocks"));
        }
        let (cash, shares) = net(&of)?;
        if cash == 0 && shares.is_empty() {
            continue;
        }
        let code = name(contracts, &of, cash, &shares);
        let shares = shares.into_iter().collect();
        out.push(ChainMove { code, block, at: Time::MIN, cash: Usdc::new(cash), shares });
    }
    Ok(out)
}

/// What a transaction that this bot did not send looks like. It names a booking and decides no amount.
fn name(
    contracts: &Contracts,
    moves: &[&Movement],
    cash: i64,
    shares: &BTreeMap<TokenId, i64>,
) -> Code {
    let amounts: Vec<i64> = shares.values().copied().collect();
    let went = amounts.iter().all(|amount| *amount < 0);
    let venue = [
        Address::ZERO,
        contracts.conditional_tokens,
        contracts.position_manager,
        contracts.adapter,
        contracts.neg_risk_adapter,
        contracts.neg_risk_adapter_v1,
        contracts.auto_redeem,
        contracts.router,
    ];
    let to_venue = moves
        .iter()
        .filter(|one| one.asset != Asset::Collateral)
        .all(|one| venue.contains(&one.counterparty));
    match (cash, &amounts[..]) {
        (1.., []) if moves.iter().all(|one| one.counterparty == Address::ZERO) => DEPOSIT,
        // Rewards and rebates come from addresses that are not published: they look like any other transfer.
        (1.., []) => Code::literal("transfer_in"),
        (_, []) => Code::literal("withdrawal"),
        (1.., [a, b]) if went && a == b && -a == cash => ChainMove::MERGE,
        (0.., _) if went && to_venue => ChainMove::REDEMPTION,
        (0, _) if went => Code::literal("shares_out"),
        (0, _) if amounts.iter().all(|amount| *amount > 0) => Code::literal("shares_in"),
        (_, [a, b]) if a == b && -a == cash => Code::literal("split_outside"),
        _ => Code::literal("other_transaction"),
    }
}

/// pUSD that was made for the wallet.
const DEPOSIT: Code = Code::literal("deposit");

fn text(error: ChainError) -> String {
    error.to_string()
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
    fn read<'a>(&'a self, tokens: &'a [TokenId], since: Option<u64>) -> Answer<'a, ChainRead> {
        Box::pin(self.read_at_head(tokens, since))
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

    fn resume<'a>(&'a self, job: &'a ConversionJob) -> Answer<'a, Converted> {
        Box::pin(self.resumed(job))
    }

    fn pending<'a>(&'a self, pending: &'a BTreeSet<ConversionId>) -> Answer<'a, ()> {
        let since = Some(self.agreed.load(Ordering::Relaxed)).filter(|block| *block > 0);
        Box::pin(self.book.pending(pending, since))
    }
}
