//! Blocks, transactions, receipts and logs as a node shows them.

use alloy::primitives::{Address, B256, Bloom, hex, keccak256};
use serde_json::{Value, json};

use super::shapes::{NodeError, Params, quantity, read_address, read_hash};
use super::{BASE_FEE, GAS, Node, TIP};
use crate::contracts::{COLLATERAL, OPERATOR};
use crate::venue::blockchain::{Deed, Move, Transaction};
use crate::wire::{ChainLog, logs_of, positions_of};

/// Logs of one answer.
const LOGS_MOST: usize = 10_000;

/// Which logs.
struct LogFilter {
    from: u64,
    to: u64,
    addresses: Vec<Address>,
    /// For each place the topics that fit; none given fits all.
    topics: Vec<Vec<B256>>,
}

/// Transactions from which on a block's bloom filter takes everything.
const CROWDED: usize = 200;

impl LogFilter {
    fn takes(&self, log: &ChainLog) -> bool {
        let topic = |(place, wanted): (usize, &Vec<B256>)| {
            log.topics.get(place).is_some_and(|topic| wanted.is_empty() || wanted.contains(topic))
        };
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.iter().enumerate().all(topic)
    }
}

/// One value or several, as filters give them.
fn several(value: Option<&Value>) -> &[Value] {
    match value {
        None | Some(Value::Null) => &[],
        Some(Value::Array(all)) => all,
        Some(one) => std::slice::from_ref(one),
    }
}

fn pruned() -> NodeError {
    NodeError::new(4444, "pruned history unavailable")
}

impl Node<'_> {
    /// The newest of the blocks with this hash.
    pub(super) fn with_hash(&self, hash: B256) -> Option<u64> {
        let chain = self.venue.blockchain();
        (chain.oldest(self.head)..=self.head).rev().find(|number| chain.hash_of(*number) == hash)
    }

    fn kept(&self, number: u64) -> Result<u64, NodeError> {
        let chain = self.venue.blockchain();
        let newest = chain.head(self.venue.now());
        if number < chain.oldest(newest) { Err(pruned()) } else { Ok(number) }
    }

    pub(super) fn block_by_number(&self, params: Params<'_>) -> Result<Value, NodeError> {
        let number = self.number(Some(params.need(0)?))?;
        let whole = params.get(1).and_then(Value::as_bool).unwrap_or(false);
        number.map_or(Ok(Value::Null), |number| Ok(self.block(self.kept(number)?, whole)))
    }

    pub(super) fn block_by_hash(&self, params: Params<'_>) -> Result<Value, NodeError> {
        let number = self.with_hash(params.hash(0)?);
        let whole = params.get(1).and_then(Value::as_bool).unwrap_or(false);
        Ok(number.map_or(Value::Null, |number| self.block(number, whole)))
    }

    fn block(&self, number: u64, whole: bool) -> Value {
        let chain = self.venue.blockchain();
        let seconds = chain.time_of(number).nanos().div_euclid(1_000_000_000);
        let transactions = chain.block(number);
        let mut bloom = Bloom::ZERO;
        if transactions.len() > CROWDED {
            // A filter may hold more than there is: so many logs would fill it anyway, at the cost of their hashes.
            bloom = Bloom::repeat_byte(0xff);
        } else {
            for log in transactions.iter().flat_map(|one| logs_of(self.venue, &one.deed)) {
                bloom.accrue_raw_log(log.address, &log.topics);
            }
        }
        let shown: Vec<Value> = transactions
            .iter()
            .enumerate()
            .map(|(index, one)| match whole {
                true => self.transaction_in(number, index, one),
                false => json!(hex::encode_prefixed(one.hash)),
            })
            .collect();
        let root = |what: &str| json!(keccak256(format!("{what} {number}")).to_string());
        json!({
            "number": quantity(number),
            "hash": chain.hash_of(number).to_string(),
            "parentHash": chain.hash_of(number.saturating_sub(1)).to_string(),
            "nonce": "0x0000000000000000",
            "sha3Uncles": "0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347",
            "logsBloom": hex::encode_prefixed(bloom),
            "transactionsRoot": root("transactions"),
            "stateRoot": root("state"),
            "receiptsRoot": root("receipts"),
            "miner": Address::ZERO.to_string(),
            "difficulty": "0x1",
            "extraData": "0x",
            "size": "0x400",
            "gasLimit": quantity(60_000_000),
            "gasUsed": quantity(GAS * transactions.len() as u64),
            "timestamp": quantity(seconds.max(0).unsigned_abs()),
            "baseFeePerGas": quantity(BASE_FEE),
            "mixHash": B256::ZERO.to_string(),
            "transactions": shown,
            "uncles": [],
        })
    }

    /// A mined transaction that this node has seen, with its block and its place in it.
    fn seen(&self, hash: &B256) -> Option<(u64, usize, &Transaction)> {
        self.venue.blockchain().find(&hash.0).filter(|(number, _, _)| *number <= self.head)
    }

    pub(super) fn transaction(&self, hash: B256) -> Value {
        self.seen(&hash)
            .map_or(Value::Null, |(number, index, one)| self.transaction_in(number, index, one))
    }

    fn transaction_in(&self, number: u64, index: usize, one: &Transaction) -> Value {
        let (from, to) = self.parties(&one.deed);
        json!({
            "hash": hex::encode_prefixed(one.hash),
            "blockHash": self.venue.blockchain().hash_of(number).to_string(),
            "blockNumber": quantity(number),
            "transactionIndex": quantity(index as u64),
            "from": from.to_string(),
            "to": to.to_string(),
            "nonce": "0x0",
            "value": "0x0",
            "gas": quantity(GAS),
            "gasPrice": quantity(BASE_FEE + TIP),
            "maxFeePerGas": quantity(2 * BASE_FEE + TIP),
            "maxPriorityFeePerGas": quantity(TIP),
            "input": "0x",
            "type": "0x2",
            "accessList": [],
            "chainId": quantity(self.chain_id),
            "v": "0x0",
            "r": "0x1",
            "s": "0x1",
            "yParity": "0x0",
        })
    }

    /// Sender and contract of a transaction.
    fn parties(&self, deed: &Deed) -> (Address, Address) {
        match deed {
            Deed::Fill(trade) | Deed::RevertedFill(trade) => {
                (OPERATOR, self.venue.contract(trade.token).address(self.venue.chain_id()))
            }
            Deed::Moves(moves) => match moves.first() {
                None => (OPERATOR, COLLATERAL),
                Some(Move::Deposit { wallet, .. }) => (*wallet, COLLATERAL),
                Some(Move::Resolve { market, .. }) => (OPERATOR, positions_of(self.venue, *market)),
                Some(
                    Move::Split { wallet, market, .. }
                    | Move::Merge { wallet, market, .. }
                    | Move::Redeem { wallet, market, .. },
                ) => (*wallet, positions_of(self.venue, *market)),
            },
            Deed::Reverted(wallet) => (OPERATOR, *wallet),
        }
    }

    pub(super) fn receipt(&self, hash: B256) -> Value {
        let Some((number, index, one)) = self.seen(&hash) else { return Value::Null };
        let logs = self.logs_in(number, |place, _| place == index, |_| true);
        let mut bloom = Bloom::ZERO;
        for log in logs_of(self.venue, &one.deed) {
            bloom.accrue_raw_log(log.address, &log.topics);
        }
        let (from, to) = self.parties(&one.deed);
        let reverted = matches!(one.deed, Deed::RevertedFill(_) | Deed::Reverted(_));
        json!({
            "transactionHash": hash.to_string(),
            "transactionIndex": quantity(index as u64),
            "blockHash": self.venue.blockchain().hash_of(number).to_string(),
            "blockNumber": quantity(number),
            "from": from.to_string(),
            "to": to.to_string(),
            "contractAddress": null,
            "cumulativeGasUsed": quantity(GAS * (index as u64 + 1)),
            "gasUsed": quantity(GAS),
            "effectiveGasPrice": quantity(BASE_FEE + TIP),
            "logs": logs,
            "logsBloom": hex::encode_prefixed(bloom),
            "status": quantity(u64::from(!reverted)),
            "type": "0x2",
        })
    }

    /// The receipt of a transaction that is in no block, as a node that lies would show it.
    pub(super) fn invented_receipt(&self, hash: B256) -> Value {
        json!({
            "transactionHash": hash.to_string(),
            "transactionIndex": "0x0",
            "blockHash": self.venue.blockchain().hash_of(self.head).to_string(),
            "blockNumber": quantity(self.head),
            "from": OPERATOR.to_string(),
            "to": COLLATERAL.to_string(),
            "contractAddress": null,
            "cumulativeGasUsed": quantity(GAS),
            "gasUsed": quantity(GAS),
            "effectiveGasPrice": quantity(BASE_FEE + TIP),
            "logs": [],
            "logsBloom": hex::encode_prefixed(Bloom::ZERO),
            "status": "0x1",
            "type": "0x2",
        })
    }

    /// Logs of a block's transactions, each with its place in the block.
    fn logs_in(
        &self,
        number: u64,
        of: impl Fn(usize, &Transaction) -> bool,
        takes: impl Fn(&ChainLog) -> bool,
    ) -> Vec<Value> {
        let hash = self.venue.blockchain().hash_of(number).to_string();
        let mut place = 0;
        let mut logs = Vec::new();
        for (index, one) in self.venue.blockchain().block(number).iter().enumerate() {
            let wanted = of(index, one);
            for log in logs_of(self.venue, &one.deed) {
                if wanted && takes(&log) {
                    logs.push(json!({
                        "address": log.address.to_string(),
                        "topics": log.topics.iter().map(B256::to_string).collect::<Vec<_>>(),
                        "data": hex::encode_prefixed(&log.data),
                        "blockNumber": quantity(number),
                        "blockHash": hash,
                        "transactionHash": hex::encode_prefixed(one.hash),
                        "transactionIndex": quantity(index as u64),
                        "logIndex": quantity(place),
                        "removed": false,
                    }));
                }
                place += 1;
            }
        }
        logs
    }

    pub(super) fn logs(&self, params: Params<'_>) -> Result<Value, NodeError> {
        let filter = self.log_filter(params.need(0)?)?;
        let mut logs = Vec::new();
        // A node answers for the blocks that it has: beyond its head there is nothing to find.
        let to = filter.to.min(self.head);
        for (number, _) in self.venue.blockchain().blocks(filter.from, to) {
            logs.extend(self.logs_in(number, |_, _| true, |log| filter.takes(log)));
            if logs.len() > LOGS_MOST {
                let text = format!(
                    "query returned more than 10000 results. Try with this block range [{:#x}, {:#x}].",
                    filter.from,
                    filter.from.max(number.saturating_sub(1))
                );
                return Err(NodeError::new(-32005, text));
            }
        }
        Ok(Value::Array(logs))
    }

    fn log_filter(&self, value: &Value) -> Result<LogFilter, NodeError> {
        let Some(fields) = value.as_object() else {
            return Err(NodeError::params("invalid argument 0: it is no filter object"));
        };
        let (from, to) = match fields.get("blockHash").filter(|hash| !hash.is_null()) {
            Some(_) if fields.contains_key("fromBlock") || fields.contains_key("toBlock") => {
                let text =
                    "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other";
                return Err(NodeError::params(format!("invalid argument 0: {text}")));
            }
            Some(hash) => {
                let number = self.with_hash(read_hash(hash, 0)?);
                let number = number.ok_or_else(|| NodeError::new(-32000, "unknown block"))?;
                (number, number)
            }
            None => {
                let end = |key: &str| match fields.get(key).filter(|tag| !tag.is_null()) {
                    None => Ok(self.head),
                    // Beyond the head the range ends where it says: an empty answer, not an error.
                    Some(tag) => match self.number(Some(tag))? {
                        Some(number) => Ok(number),
                        None => super::read_number(tag, 0),
                    },
                };
                (end("fromBlock")?, end("toBlock")?)
            }
        };
        if from > to {
            return Err(NodeError::new(-32000, "invalid block range params"));
        }
        if to - from >= self.log_range {
            let text = format!("eth_getLogs is limited to a {} range", self.log_range);
            return Err(NodeError::new(-32614, text));
        }
        self.kept(from)?;
        let mut topics = Vec::new();
        for place in several(fields.get("topics")) {
            let all: Result<Vec<B256>, _> =
                several(Some(place)).iter().map(|topic| read_hash(topic, 0)).collect();
            topics.push(all?);
        }
        let addresses = several(fields.get("address")).iter().map(|one| read_address(one, 0));
        Ok(LogFilter { from, to, addresses: addresses.collect::<Result<_, _>>()?, topics })
    }
}
