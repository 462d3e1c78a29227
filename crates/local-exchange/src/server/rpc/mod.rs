//! Two JSON-RPC nodes of the exchange's chain. Both show the same truth, each from its own head and with its own
//! faults. They execute nothing: transactions reach the chain through the venue, the relayer and the handle.

mod contracts;
mod shapes;
mod views;

use alloy::primitives::{Address, U256, hex};
use polydesk_domain::Time;
use serde_json::{Value, json};

use super::Service;
use super::answer::{Answer, Req};
use super::inner::Inner;
use crate::scenario::{RpcAct, RpcFault};
use crate::venue::Venue;
use contracts::{ContractCall, State};
use shapes::{NodeError, Params, big_quantity, quantity, read_bytes, read_number, response};

/// Calls in one batch.
const BATCH_MOST: usize = 1_000;
/// Blocks whose state a node that is no archive has.
const STATES_KEPT: u64 = 128;
/// Percentiles of one `eth_feeHistory`.
const PERCENTILES_MOST: usize = 100;
/// Blocks of one `eth_getLogs`.
const LOG_RANGE: u64 = 10_000;
/// Wei per gas: base fee, and the tip that nodes suggest.
const BASE_FEE: u64 = 30_000_000_000;
const TIP: u64 = 30_000_000_000;
/// What every estimate gives.
const GAS: u64 = 120_000;
/// POL of every EOA with an account, in wei.
const POL: u64 = 10_000_000_000_000_000_000;

/// A node for the time of one call.
#[derive(Debug)]
struct Node<'a> {
    venue: &'a Venue,
    head: u64,
    chain_id: u64,
    log_range: u64,
    seed: usize,
}

/// Which of the two a listener is.
fn node_of(service: Service) -> usize {
    usize::from(service == Service::Rpc1)
}

impl Inner {
    /// Answers a request to one of the nodes.
    pub(super) fn rpc(&mut self, req: &Req) -> Answer {
        if req.method != "POST" {
            return Answer::text(405, "text/plain", "method not allowed\n");
        }
        let node = node_of(req.service);
        let Ok(body) = serde_json::from_slice::<Value>(&req.body) else {
            return Answer::ok(&response(&Value::Null, Err(NodeError::new(-32700, "parse error"))));
        };
        let Some(batch) = body.as_array() else {
            return match self.rpc_one(node, &body) {
                Some(value) => Answer::ok(&value),
                None => Answer::text(200, "application/json", ""),
            };
        };
        if batch.is_empty() || batch.len() > BATCH_MOST {
            let text = if batch.is_empty() { "empty batch" } else { "batch too large" };
            return Answer::ok(&response(&Value::Null, Err(NodeError::new(-32600, text))));
        }
        let all: Vec<Value> = batch.iter().filter_map(|one| self.rpc_one(node, one)).collect();
        match all.is_empty() {
            true => Answer::text(200, "application/json", ""),
            false => Answer::ok(&Value::Array(all)),
        }
    }

    /// The response to one call; none to a notification.
    fn rpc_one(&mut self, node: usize, call: &Value) -> Option<Value> {
        let null = Value::Null;
        let id = call.get("id").unwrap_or(&null);
        let Some(method) = call.get("method").and_then(Value::as_str) else {
            return Some(response(id, Err(NodeError::new(-32600, "invalid request"))));
        };
        let empty = Vec::new();
        let params = match call.get("params") {
            None | Some(Value::Null) => &empty,
            Some(Value::Array(params)) => params,
            Some(_) => {
                let error = NodeError::params("non-array args");
                return Some(response(id, Err(error)));
            }
        };
        let result = self.rpc_result(node, method, Params(params));
        call.get("id").map(|id| response(id, result))
    }

    fn rpc_result(
        &mut self,
        node: usize,
        method: &str,
        params: Params<'_>,
    ) -> Result<Value, NodeError> {
        let rules = self.faults.rpc_rules(node, method, self.venue.now());
        let view = node_under(&self.venue, node, &rules);
        if let Some((fault, _)) = rules.iter().find(|(fault, _)| fault.act == RpcAct::Error) {
            let text = fault.message.clone().unwrap_or_else(|| "internal error".to_owned());
            return Err(NodeError::new(fault.code.unwrap_or(-32603), text));
        }
        let mut result = view.answer(method, params)?;
        for (fault, _) in &rules {
            view.forge(fault, method, params, &mut result);
        }
        Ok(result)
    }
}

/// The node as active fault rules leave it.
fn node_under<'a>(venue: &'a Venue, node: usize, rules: &[(RpcFault, Time)]) -> Node<'a> {
    let chain = venue.blockchain();
    let now = venue.now();
    let mut view = Node {
        venue,
        head: chain.head(now),
        chain_id: venue.chain_id(),
        log_range: LOG_RANGE,
        seed: node,
    };
    for (fault, since) in rules {
        let blocks = fault.blocks.unwrap_or(0);
        match fault.act {
            RpcAct::Lag => view.head = view.head.min(chain.head(now).saturating_sub(blocks)),
            RpcAct::Stuck => view.head = view.head.min(chain.head(*since)),
            RpcAct::ChainId => view.chain_id = fault.chain_id.unwrap_or(view.chain_id),
            RpcAct::LogRange => view.log_range = blocks,
            _ => {}
        }
    }
    view
}

impl Node<'_> {
    fn answer(&self, method: &str, params: Params<'_>) -> Result<Value, NodeError> {
        Ok(match method {
            "web3_clientVersion" => json!(format!("local-exchange/node{}", self.seed)),
            "eth_chainId" => quantity(self.chain_id),
            "net_version" => json!(self.chain_id.to_string()),
            "eth_syncing" => json!(false),
            "eth_blockNumber" => quantity(self.head),
            "eth_gasPrice" => quantity(BASE_FEE + TIP),
            "eth_maxPriorityFeePerGas" => quantity(TIP),
            "eth_feeHistory" => self.fee_history(params)?,
            "eth_getBlockByNumber" => self.block_by_number(params)?,
            "eth_getBlockByHash" => self.block_by_hash(params)?,
            "eth_getLogs" => self.logs(params)?,
            "eth_getTransactionReceipt" => self.receipt(params.hash(0)?),
            "eth_getTransactionByHash" => self.transaction(params.hash(0)?),
            "eth_getBalance" => {
                let (owner, _) = (params.address(0)?, self.state(params.get(1))?);
                let wallet = self.venue.ledger().wallet(&owner);
                let own = wallet.is_some_and(|wallet| wallet.owner == owner);
                quantity(if own { POL } else { 0 })
            }
            "eth_getTransactionCount" => {
                let (_, _) = (params.address(0)?, self.state(params.get(1))?);
                quantity(0)
            }
            "eth_getCode" => {
                let (at, state) = (params.address(0)?, self.state(params.get(1))?);
                json!(if state.has_code(&at) { "0x60806040" } else { "0x" })
            }
            "eth_call" => {
                let (call, state) = (read_call(params)?, self.state(params.get(1))?);
                json!(hex::encode_prefixed(state.call(&call)?))
            }
            "eth_estimateGas" => {
                let (call, state) = (read_call(params)?, self.state(params.get(1))?);
                state.call(&call)?;
                quantity(GAS)
            }
            "eth_sendRawTransaction" => {
                let text = "the local exchange executes no transactions: send them to a node with an EVM \
                            (anvil), or let the relayer or the exchange's handle move the funds";
                return Err(NodeError::new(-32004, text));
            }
            _ => {
                let text = format!("the method {method} does not exist/is not available");
                return Err(NodeError::new(-32601, text));
            }
        })
    }

    /// The block that a parameter names; None if this node has not seen it yet.
    fn number(&self, tag: Option<&Value>) -> Result<Option<u64>, NodeError> {
        let Some(tag) = tag else { return Ok(Some(self.head)) };
        if let Some(hash) = tag.get("blockHash") {
            let hash = shapes::read_hash(hash, 1)?;
            return Ok(self.with_hash(hash));
        }
        let tag = tag.get("blockNumber").unwrap_or(tag);
        let number = match tag.as_str() {
            Some("latest" | "pending") => self.head,
            Some("finalized" | "safe") => self.venue.blockchain().finalized(self.head),
            Some("earliest") => 0,
            _ => read_number(tag, 1)?,
        };
        Ok(Some(number).filter(|number| *number <= self.head))
    }

    /// The state of a block, as far as a node without an archive has it.
    fn state(&self, tag: Option<&Value>) -> Result<State<'_>, NodeError> {
        let Some(block) = self.number(tag)? else {
            return Err(NodeError::new(-32000, "header not found"));
        };
        if block.saturating_add(STATES_KEPT) <= self.head {
            let root = hex::encode(self.venue.blockchain().hash_of(block));
            let text = format!("missing trie node {root} (path ) state 0x{root} is not available");
            return Err(NodeError::new(-32000, text));
        }
        Ok(State { venue: self.venue, block })
    }

    fn fee_history(&self, params: Params<'_>) -> Result<Value, NodeError> {
        let count = read_number(params.need(0)?, 0)?.clamp(1, 1_024);
        let Some(newest) = self.number(params.get(1))? else {
            return Err(NodeError::new(-32000, "request beyond head block"));
        };
        let percentiles = params.get(2).and_then(Value::as_array).map_or(0, Vec::len);
        if percentiles > PERCENTILES_MOST {
            return Err(NodeError::params("over the query limit 100"));
        }
        let rewards = vec![vec![quantity(TIP); percentiles]; count as usize];
        Ok(json!({
            "oldestBlock": quantity(newest.saturating_sub(count - 1)),
            "baseFeePerGas": vec![quantity(BASE_FEE); count as usize + 1],
            "gasUsedRatio": vec![0.5; count as usize],
            "reward": rewards,
        }))
    }

    /// Lets a fault rule falsify a result.
    fn forge(&self, fault: &RpcFault, method: &str, params: Params<'_>, result: &mut Value) {
        match fault.act {
            RpcAct::Garble => *result = json!("0x(garbled)"),
            RpcAct::HideLogs if method == "eth_getLogs" => *result = json!([]),
            RpcAct::Balance => {
                let amount = fault.amount.as_ref().and_then(|text| text.parse::<U256>().ok());
                let amount = amount.unwrap_or_default();
                if method == "eth_getBalance" && fault.concerns(params.address(0).ok(), None) {
                    *result = big_quantity(amount);
                }
                let call = (method == "eth_call").then(|| read_call(params).ok()).flatten();
                if let Some(call) = call.filter(is_balance)
                    && fault.concerns(call.address(0).ok(), Some(call.to))
                {
                    *result = json!(hex::encode_prefixed(amount.to_be_bytes::<32>()));
                }
            }
            RpcAct::Receipt if method == "eth_getTransactionReceipt" => {
                let Ok(hash) = params.hash(0) else { return };
                if fault.transaction.is_some_and(|of| of != hash) {
                    return;
                }
                match result["status"].as_str() {
                    Some("0x1") => {
                        result["status"] = json!("0x0");
                        result["logs"] = json!([]);
                    }
                    Some(_) => result["status"] = json!("0x1"),
                    None => *result = self.invented_receipt(hash),
                }
            }
            _ => {}
        }
    }
}

/// `balanceOf` of an ERC-20 or ERC-1155 contract.
fn is_balance(call: &ContractCall) -> bool {
    [[0x70, 0xa0, 0x82, 0x31], [0x00, 0xfd, 0xd5, 0x8e]].contains(&call.selector())
}

fn read_call(params: Params<'_>) -> Result<ContractCall, NodeError> {
    let call = params.need(0)?;
    if !call.is_object() {
        return Err(NodeError::params("invalid argument 0: it is no transaction object"));
    }
    let address = |key: &str| match call.get(key).filter(|value| !value.is_null()) {
        None => Ok(Address::ZERO),
        Some(value) => shapes::read_address(value, 0),
    };
    let data = ["input", "data"].into_iter().find_map(|key| call.get(key));
    let data = data.filter(|data| !data.is_null());
    Ok(ContractCall {
        from: address("from")?,
        to: address("to")?,
        data: data.map_or(Ok(Vec::new()), |data| read_bytes(data, 0))?,
    })
}
