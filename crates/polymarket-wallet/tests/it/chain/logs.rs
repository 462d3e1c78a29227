//! Logs of fills, from doubles of nodes.

use std::sync::{Arc, Mutex};

use alloy::primitives::{Address, B256, U256};
use alloy::sol_types::SolValue;
use polydesk_domain::{Shares, Side, Usdc};
use polydesk_polymarket_api::ServerClock;
use polydesk_polymarket_wallet::chain::{ChainError, Rpc, RpcConfig};
use polydesk_polymarket_wallet::signing::Chain;
use serde_json::{Value, json};

use super::anvil;
use super::server::{Asked, serve};

const WALLET: Address = Address::repeat_byte(7);
const FILLED: &str = "0xd543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee";

/// A log of a buy of so many millionths at so many.
fn filled(block: u64, index: u64, money: u64, shares: u64) -> Value {
    let zero = B256::ZERO;
    let number = U256::from::<u64>;
    let data = (number(0), number(42), number(money), number(shares), number(5), zero, zero);
    json!({
        "address": Chain::polygon().contracts().exchange,
        "topics": [FILLED, B256::repeat_byte(9), WALLET.into_word(), Chain::polygon().contracts().exchange.into_word()],
        "data": alloy::hex::encode_prefixed(data.abi_encode()),
        "blockNumber": format!("0x{block:x}"),
        "transactionHash": B256::repeat_byte(block as u8),
        "logIndex": format!("0x{index:x}"),
        "removed": false,
    })
}

/// A node that has these logs; the filters that it was asked with.
async fn node(logs: Vec<Value>) -> (String, Arc<Mutex<Vec<Value>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let url = serve(move |request: Asked| {
        let id = request.body["id"].clone();
        let filter = request.body["params"][0].clone();
        let number = |key: &str| {
            let text = filter[key].as_str().unwrap().trim_start_matches("0x").to_owned();
            u64::from_str_radix(&text, 16).unwrap()
        };
        let (from, to) = (number("fromBlock"), number("toBlock"));
        seen.lock().unwrap().push(filter.clone());
        let here = |log: &&Value| {
            let block = log["blockNumber"].as_str().unwrap().trim_start_matches("0x").to_owned();
            (from..=to).contains(&u64::from_str_radix(&block, 16).unwrap())
        };
        let rows: Vec<Value> = logs.iter().filter(here).cloned().collect();
        Box::pin(async move { Some((200, json!({"jsonrpc": "2.0", "id": id, "result": rows}))) })
    })
    .await;
    (url, asked)
}

fn rpc(urls: &[String]) -> Rpc {
    let http = anvil::http(urls, None);
    let clock = ServerClock::system();
    Rpc::new(&http, urls, &Chain::polygon(), clock, RpcConfig::default()).unwrap()
}

#[tokio::test]
async fn fills_are_read_in_pieces_in_the_order_of_the_chain_and_once() {
    // The second match of one order in one transaction, a repeated log, one that was taken back.
    let mut removed = filled(700, 9, 1, 1);
    removed["removed"] = json!(true);
    let logs = vec![
        filled(1_300, 2, 3_000_000, 6_000_000),
        filled(700, 4, 2_000_000, 4_000_001),
        filled(700, 3, 1_000_000, 2_000_003),
        filled(700, 3, 1_000_000, 2_000_003),
        removed,
        filled(1_601, 0, 9, 9),
    ];
    let (url, asked) = node(logs).await;
    let chain = Chain::polygon();
    let fills = rpc(&[url]).order_fills(&chain, WALLET, 600, 1_600).await.unwrap();
    let seen: Vec<_> = fills.iter().map(|fill| (fill.block, fill.index, fill.shares)).collect();
    let shares = Shares::new;
    assert_eq!(
        seen,
        [(700, 3, shares(2_000_003)), (700, 4, shares(4_000_001)), (1_300, 2, shares(6_000_000)),]
    );
    assert!(fills.iter().all(|fill| fill.side == Side::Buy && fill.took()));
    assert_eq!(fills[0].fee, Usdc::new(5));
    let filters = asked.lock().unwrap().clone();
    let ranges: Vec<_> = filters
        .iter()
        .map(|filter| (filter["fromBlock"].clone(), filter["toBlock"].clone()))
        .collect();
    let range = |from: u64, to: u64| (json!(format!("0x{from:x}")), json!(format!("0x{to:x}")));
    assert_eq!(ranges, [range(600, 1_099), range(1_100, 1_599), range(1_600, 1_600)]);
    assert_eq!(filters[0]["address"].as_array().unwrap().len(), 3, "all three exchanges");
    assert_eq!(filters[0]["topics"][0][0], FILLED);
    assert_eq!(filters[0]["topics"][2][0], json!(WALLET.into_word()));
}

#[tokio::test]
async fn two_nodes_that_differ_decide_nothing_and_foreign_logs_are_named() {
    let chain = Chain::polygon();
    let (first, _) = node(vec![filled(700, 3, 1, 2)]).await;
    let (same, _) = node(vec![filled(700, 3, 1, 2)]).await;
    let (behind, _) = node(Vec::new()).await;
    assert_eq!(
        rpc(&[first.clone(), same]).order_fills(&chain, WALLET, 1, 900).await.unwrap().len(),
        1
    );
    let error = rpc(&[first, behind]).order_fills(&chain, WALLET, 1, 900).await.unwrap_err();
    assert!(matches!(error, ChainError::Disagreement { .. }), "{error}");
    let mut elsewhere = filled(700, 3, 1, 2);
    elsewhere["address"] = json!(Address::repeat_byte(1));
    let mut other = filled(700, 3, 1, 2);
    other["topics"][2] = json!(Address::repeat_byte(6).into_word());
    let mut odd = filled(700, 3, 1, 2);
    odd["data"] = json!("0x01");
    for (log, words) in
        [(elsewhere, "not asked for"), (other, "not asked for"), (odd, "cannot be read")]
    {
        let (url, _) = node(vec![log]).await;
        let error = rpc(&[url]).order_fills(&chain, WALLET, 1, 900).await.unwrap_err();
        assert!(
            matches!(&error, ChainError::Malformed { error, .. } if error.contains(words)),
            "{error}"
        );
    }
}
