//! The JSON-RPC nodes of the chain, by raw requests.

use alloy::primitives::{Address, U256, hex};
use polydesk_domain::{Outcome, Payout, Price, Shares, Side, Span, Token, Usdc};
use polydesk_local_exchange::venue::OrderSpec;
use polydesk_local_exchange::wallets::{TEST_ADDRESSES, WalletKind};
use polydesk_local_exchange::{LocalExchange, Running, Scenario, Setup};
use serde_json::{Value, json};

use crate::common::*;

const PUSD: &str = "0xC011a7E12a19f7B1f670d46F03B03f3342E82DFB";
const CTF: &str = "0x4D97DCd97eC945f40cF65F87097ACe5EA0476045";
const EXCHANGE: &str = "0xE111180000d2663C0091e4f400237545B87B996B";
const NEG_RISK: &str = "0xe2222d279d744050d28e00520010520000310F59";
const EXCHANGE_V3: &str = "0xe3333700cA9d93003F00f0F71f8515005F6c00Aa";
const FILLED: &str = "0xd543adfd945773f1a62f74f0ee55a5e3b9b1a28262980ba90b1a89f2ea84d8ee";

async fn raw(running: &Running, node: usize, body: String) -> Reply {
    send(&http(), "POST", &running.urls().rpc[node], &[], body).await.unwrap()
}

/// The whole response to one call.
async fn ask(running: &Running, node: usize, method: &str, params: Value) -> Value {
    let call = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params });
    let reply = raw(running, node, call.to_string()).await.json();
    assert_eq!((&reply["id"], &reply["jsonrpc"]), (&json!(7), &json!("2.0")), "{reply}");
    reply
}

/// The result of a call to the first node.
async fn result(running: &Running, method: &str, params: Value) -> Value {
    let reply = ask(running, 0, method, params).await;
    assert!(reply.get("error").is_none(), "{method}: {reply}");
    reply["result"].clone()
}

fn number(value: &Value) -> u64 {
    let digits = value.as_str().unwrap_or_else(|| panic!("{value}")).trim_start_matches("0x");
    u64::from_str_radix(digits, 16).unwrap()
}

async fn head(running: &Running, node: usize) -> u64 {
    number(&ask(running, node, "eth_blockNumber", json!([])).await["result"])
}

fn word(address: &Address) -> String {
    hex::encode(address.into_word())
}

/// A number that a view of a contract returns, at a block.
async fn view(running: &Running, node: usize, to: &str, data: String, block: &Value) -> U256 {
    let params = json!([{ "to": to, "data": data }, block]);
    let reply = ask(running, node, "eth_call", params).await;
    let bytes = hex::decode(reply["result"].as_str().unwrap_or_else(|| panic!("{reply}"))).unwrap();
    assert_eq!(bytes.len(), 32);
    U256::from_be_slice(&bytes)
}

async fn cash(running: &Running, wallet: &Address, block: &Value) -> i64 {
    let data = format!("0x70a08231{}", word(wallet));
    view(running, 0, PUSD, data, block).await.to()
}

async fn shares(running: &Running, wallet: &Address, token: Token, block: &Value) -> i64 {
    let id: U256 = token_id(running, token).parse().unwrap();
    let data = format!("0x00fdd58e{}{}", word(wallet), hex::encode(id.to_be_bytes::<32>()));
    view(running, 0, CTF, data, block).await.to()
}

/// Places an order of an account's EOA: price in cents, whole shares.
fn place(running: &Running, account: usize, token: Token, side: Side, cents: u16, size: u64) {
    let key = running.accounts()[account].credentials.clone().unwrap().key;
    let spec = OrderSpec::limit(token, side, Price::cents(cents), Shares::whole(size));
    running.venue(|venue| venue.place_as(key, TEST_ADDRESSES[account], &spec)).unwrap();
}

/// The transactions that the trades name at present.
fn hashes(running: &Running) -> Vec<Value> {
    running.venue(|venue| {
        let hash = |hash: [u8; 32]| json!(hex::encode_prefixed(hash));
        venue.trades().map(|trade| trade.transaction.map_or(Value::Null, hash)).collect()
    })
}

/// Data of a log in words.
fn words(log: &Value) -> Vec<U256> {
    let data = hex::decode(log["data"].as_str().unwrap()).unwrap();
    data.chunks(32).map(U256::from_be_slice).collect()
}

async fn filled(running: &Running, node: usize) -> Vec<Value> {
    let filter = json!([{ "fromBlock": "0x55d4a80", "topics": [FILLED] }]);
    ask(running, node, "eth_getLogs", filter).await["result"].as_array().unwrap().clone()
}

#[test]
fn calls_are_answered_and_refused_as_nodes_do() {
    run(async {
        let running = exchange().await;
        let hash = format!("0x{}", "ab".repeat(32));
        // (method, params, part of the result or the error)
        let cases = [
            ("eth_chainId", json!([]), r#""result":"0x89""#),
            ("net_version", json!([]), r#""result":"137""#),
            ("eth_blockNumber", json!([]), r#""result":"0x55d4a80""#),
            ("eth_syncing", json!([]), r#""result":false"#),
            ("eth_gasPrice", json!([]), r#""result":"0xdf8475800""#),
            ("eth_maxPriorityFeePerGas", json!([]), r#""result":"0x6fc23ac00""#),
            ("eth_feeHistory", json!(["0x2", "latest", [10]]), r#""oldestBlock":"0x55d4a7f""#),
            ("eth_getBalance", json!([TEST_ADDRESSES[0], "latest"]), r#""0x8ac7230489e80000""#),
            ("eth_getBalance", json!([PUSD, "latest"]), r#""result":"0x0""#),
            ("eth_getTransactionCount", json!([TEST_ADDRESSES[0], "pending"]), r#""0x0""#),
            ("eth_getCode", json!([EXCHANGE, "latest"]), r#""result":"0x60806040""#),
            ("eth_getCode", json!([TEST_ADDRESSES[0], "latest"]), r#""result":"0x""#),
            ("eth_getTransactionReceipt", json!([hash]), r#""result":null"#),
            ("eth_getTransactionByHash", json!([hash]), r#""result":null"#),
            ("eth_getBlockByHash", json!([hash, false]), r#""result":null"#),
            ("eth_getBlockByNumber", json!(["0x55d4a81", false]), r#""result":null"#),
            ("eth_getBlockByNumber", json!(["earliest", false]), r#""code":4444"#),
            ("eth_getBlockByNumber", json!(["55", false]), "hex string without 0x prefix"),
            ("eth_getBlockByNumber", json!(["0x055", false]), "leading zero digits"),
            ("eth_getBlockByNumber", json!([]), "missing value for required argument 0"),
            ("eth_getBalance", json!([TEST_ADDRESSES[0], "0x55d4b00"]), "header not found"),
            ("eth_getBalance", json!([TEST_ADDRESSES[0], "0x55d4a00"]), "missing trie node"),
            ("eth_getBalance", json!(["0x12", "latest"]), r#""code":-32602"#),
            ("eth_getTransactionReceipt", json!(["0x12"]), r#""code":-32602"#),
            (
                "eth_call",
                json!([{ "to": EXCHANGE, "data": "0x12345678" }, "latest"]),
                r#""code":3"#,
            ),
            ("eth_call", json!([{ "to": hash[..42], "data": "0x12345678" }]), r#""result":"0x""#),
            ("eth_call", json!([{ "to": PUSD, "data": "0x70a08231" }]), "execution reverted"),
            ("eth_call", json!(["latest"]), r#""code":-32602"#),
            ("eth_estimateGas", json!([{ "to": PUSD, "data": "0x12345678" }]), r#""code":3"#),
            ("eth_getLogs", json!([{ "blockHash": hash }]), "unknown block"),
            ("eth_getLogs", json!([{ "blockHash": hash, "toBlock": "0x1" }]), "choose one"),
            (
                "eth_getLogs",
                json!([{ "fromBlock": "0x2", "toBlock": "0x1" }]),
                "invalid block range",
            ),
            ("eth_getLogs", json!([{ "fromBlock": "0x1" }]), "limited to a 10000 range"),
            ("eth_getLogs", json!([{ "fromBlock": "0x1", "toBlock": "0x9" }]), r#""code":4444"#),
            ("eth_getLogs", json!([{ "topics": [["0x1"]] }]), r#""code":-32602"#),
            ("eth_sendRawTransaction", json!(["0x02"]), "executes no transactions"),
            ("eth_mine", json!([]), r#""code":-32601"#),
        ];
        for (method, params, want) in cases {
            for node in [0, 1] {
                let text = ask(&running, node, method, params.clone()).await.to_string();
                assert!(text.contains(want), "{method} {params}: {text} instead of {want}");
            }
        }
        for (body, want) in [
            ("{", r#"{"error":{"code":-32700,"message":"parse error"},"id":null,"jsonrpc":"2.0"}"#),
            (
                "[]",
                r#"{"error":{"code":-32600,"message":"empty batch"},"id":null,"jsonrpc":"2.0"}"#,
            ),
            (
                "[3]",
                r#"[{"error":{"code":-32600,"message":"invalid request"},"id":null,"jsonrpc":"2.0"}]"#,
            ),
            (r#"{"jsonrpc":"2.0","method":"eth_chainId"}"#, ""),
            (
                r#"[{"jsonrpc":"2.0","id":"a","method":"eth_chainId","params":[]},{"jsonrpc":"2.0","method":"eth_chainId"},{"jsonrpc":"2.0","id":2,"method":"x"}]"#,
                r#"[{"id":"a","jsonrpc":"2.0","result":"0x89"},{"error":{"code":-32601,"message":"the method x does not exist/is not available"},"id":2,"jsonrpc":"2.0"}]"#,
            ),
        ] {
            let reply = raw(&running, 1, body.to_owned()).await;
            assert_eq!((reply.status, String::from_utf8_lossy(&reply.body).as_ref()), (200, want));
        }
        assert_eq!(get(&http(), running.urls().rpc[0].clone()).await.status, 405);
        // Blocks are linked, and the nodes show the same.
        running.advance(Span::millis(4_100));
        let block = result(&running, "eth_getBlockByNumber", json!(["latest", false])).await;
        assert_eq!(number(&block["number"]), 90_000_002);
        assert_eq!(number(&block["timestamp"]), 1_795_521_604);
        let parent =
            result(&running, "eth_getBlockByHash", json!([block["parentHash"], true])).await;
        assert_eq!(number(&parent["number"]), 90_000_001);
        let other = ask(&running, 1, "eth_getBlockByNumber", json!(["0x55d4a82", false])).await;
        assert_eq!(other["result"], block);
        let last = result(&running, "eth_getBlockByNumber", json!(["finalized", false])).await;
        assert_eq!(number(&last["number"]), 90_000_002 - 5);
    });
}

#[test]
fn a_settled_match_is_a_transaction_with_exact_logs_and_balances() {
    run(async {
        let running = exchange().await;
        let yes = token(&running, "rain-tomorrow", 0);
        let (maker, taker) = (TEST_ADDRESSES[1], TEST_ADDRESSES[0]);
        place(&running, 1, yes, Side::Sell, 40, 10);
        place(&running, 1, yes, Side::Sell, 43, 10);
        place(&running, 0, yes, Side::Buy, 45, 15);
        running.advance(Span::secs(2));
        // MINED: the block that has it comes next.
        let hash = hashes(&running)[0].clone();
        assert!(hash.is_string());
        let receipt = |node| ask(&running, node, "eth_getTransactionReceipt", json!([hash]));
        assert_eq!(receipt(0).await["result"], Value::Null);
        assert_eq!(cash(&running, &taker, &json!("latest")).await, 1_000_000_000);
        running.advance(Span::secs(2));
        let receipt = receipt(1).await["result"].clone();
        assert_eq!((&receipt["status"], &receipt["to"]), (&json!("0x1"), &json!(EXCHANGE)));
        assert_eq!(number(&receipt["blockNumber"]), 90_000_002);
        let block = result(&running, "eth_getBlockByNumber", json!(["latest", false])).await;
        assert_eq!(block["transactions"], json!([hash]));
        assert_eq!(block["hash"], receipt["blockHash"]);
        let sent = result(&running, "eth_getTransactionByHash", json!([hash])).await;
        assert_eq!((&sent["blockHash"], &sent["hash"]), (&block["hash"], &hash));

        let logs = filled(&running, 0).await;
        let trade = running.venue(|venue| venue.trades().next().unwrap().clone());
        let seen: Vec<_> = logs
            .iter()
            .map(|log| {
                assert_eq!((&log["address"], &log["transactionHash"]), (&json!(EXCHANGE), &hash));
                let owner = |place: usize| log["topics"][place].as_str().unwrap()[26..].to_owned();
                let words = words(log);
                assert_eq!(words[1].to_string(), token_id(&running, yes));
                let figures: Vec<u64> = [0, 2, 3, 4].map(|index| words[index].to()).to_vec();
                (log["topics"][1].clone(), owner(2), owner(3), figures)
            })
            .collect();
        let text = |address: &Address| hex::encode(address);
        let exchange = EXCHANGE[2..].to_lowercase();
        let order = |order: &polydesk_domain::OrderHash| json!(order.to_string());
        let (fee, legs) = (trade.fee().micros() as u64, &trade.legs);
        assert!(fee > 0);
        // A buy spends what it allowed, so it gets more shares where they are cheaper. Makers first; the taker's own order names the exchange as its taker and has the fee.
        assert_eq!(
            seen,
            [
                (
                    order(&legs[0].order),
                    text(&maker),
                    text(&taker),
                    vec![1, 10_000_000, 4_000_000, 0]
                ),
                (
                    order(&legs[1].order),
                    text(&maker),
                    text(&taker),
                    vec![1, 6_395_348, 2_750_000, 0]
                ),
                (order(&trade.order), text(&taker), exchange, vec![0, 6_750_000, 16_395_348, fee]),
            ]
        );
        // The receipt has them all, by place; transfers are what moved.
        let places: Vec<u64> =
            receipt["logs"].as_array().unwrap().iter().map(|l| number(&l["logIndex"])).collect();
        assert_eq!(places, (0..11).collect::<Vec<_>>());
        let paid: Vec<U256> = receipt["logs"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|log| log["address"] == json!(PUSD))
            .map(|log| words(log)[0])
            .collect();
        assert_eq!(paid, [6_750_000 + fee, 4_000_000, 2_750_000].map(U256::from));

        let spent = 6_750_000 + fee as i64;
        for (tag, gone) in [("latest", spent), ("0x55d4a82", spent), ("0x55d4a81", 0)] {
            assert_eq!(cash(&running, &taker, &json!(tag)).await, 1_000_000_000 - gone, "{tag}");
            let moved = if gone == 0 { 0 } else { 16_395_348 };
            let held = shares(&running, &taker, yes, &json!(tag)).await;
            assert_eq!(held, 200_000_000 + moved, "{tag}");
            let held = shares(&running, &maker, yes, &json!(tag)).await;
            assert_eq!(held, 200_000_000 - moved, "{tag}");
        }
        // A filter by maker and by place finds the same.
        let padded = format!("0x{}", word(&maker));
        let filter = json!([{ "blockHash": block["hash"], "address": [EXCHANGE, NEG_RISK],
                              "topics": [[FILLED], null, [padded]] }]);
        assert_eq!(
            result(&running, "eth_getLogs", filter).await.as_array().unwrap()[..],
            logs[..2]
        );
        let none = json!([{ "address": NEG_RISK, "fromBlock": "0x55d4a80", "topics": [FILLED] }]);
        assert_eq!(result(&running, "eth_getLogs", none).await, json!([]));
    });
}

#[test]
fn each_kind_of_market_settles_at_its_own_exchange_and_buyers_of_both_sides_mint() {
    run(async {
        let running = exchange().await;
        let cases =
            [("rain-tomorrow", EXCHANGE), ("ada-wins", NEG_RISK), ("new-protocol", EXCHANGE_V3)];
        for (slug, _) in cases {
            let (yes, no) = (token(&running, slug, 0), token(&running, slug, 1));
            place(&running, 1, no, Side::Buy, 45, 10);
            place(&running, 0, yes, Side::Buy, 55, 10);
        }
        running.advance(Span::secs(4));
        let logs = filled(&running, 1).await;
        for (index, (slug, contract)) in cases.into_iter().enumerate() {
            let pair: Vec<_> =
                logs.iter().filter(|log| log["address"] == json!(contract)).collect();
            let seen: Vec<_> = pair
                .iter()
                .map(|log| {
                    let words = words(log);
                    (words[0].to::<u64>(), words[1], words[2].to::<u64>(), words[3].to::<u64>())
                })
                .collect();
            let id = |outcome| {
                token_id(&running, token(&running, slug, outcome)).parse::<U256>().unwrap()
            };
            let want = [(0, id(1), 4_500_000, 10_000_000), (0, id(0), 5_500_000, 10_000_000)];
            assert_eq!(seen, want, "{slug}");
            assert_eq!(pair[0]["transactionHash"], hashes(&running)[index]);
        }
        // Positions of protocol v2 are not on the conditional tokens.
        let yes = token(&running, "new-protocol", 0);
        assert_eq!(shares(&running, &TEST_ADDRESSES[0], yes, &json!("latest")).await, 0);
    });
}

/// Settlement that goes wrong: (rule, statuses of the transactions that were reported, in order, OrderFilled logs).
#[test]
fn reverted_and_reorganised_matches_have_their_own_transactions() {
    let cases: [(&str, &[&str], usize); 5] = [
        ("fail", &["0x0"], 0),
        ("retry", &["0x0", "0x1"], 2),
        ("reorg", &["null", "0x1"], 2),
        ("fail_mined", &["null", "0x0"], 0),
        ("stall", &[], 0),
    ];
    for (ending, want, logs) in cases {
        run(async {
            let running = exchange().await;
            let text = format!("[[settlement]]\nending = \"{ending}\"\nconfirmed = \"5s\"");
            running.inject_toml(&text).unwrap();
            let yes = token(&running, "hawks-owls", 0);
            place(&running, 1, yes, Side::Sell, 40, 10);
            place(&running, 0, yes, Side::Buy, 40, 10);
            let mut reported: Vec<Value> = Vec::new();
            let mut blocks = Vec::new();
            for _ in 0..40 {
                running.advance(Span::millis(500));
                for hash in hashes(&running).into_iter().filter(Value::is_string) {
                    if !reported.contains(&hash) {
                        reported.push(hash);
                    }
                }
                let block = json!(["0x55d4a82", false]);
                let block = result(&running, "eth_getBlockByNumber", block).await;
                if block.is_object() && blocks.last() != Some(&block["hash"]) {
                    blocks.push(block["hash"].clone());
                }
            }
            let mut statuses = Vec::new();
            for hash in &reported {
                let receipt = result(&running, "eth_getTransactionReceipt", json!([hash])).await;
                statuses.push(receipt["status"].as_str().unwrap_or("null").to_owned());
                if receipt["status"] == json!("0x0") {
                    assert_eq!(receipt["logs"], json!([]), "{ending}");
                }
            }
            assert_eq!(statuses, want, "{ending}");
            let found = filled(&running, 0).await;
            assert_eq!(found.len(), logs, "{ending}");
            assert!(found.iter().all(|log| Some(&log["transactionHash"]) == reported.last()));
            // What was mined and taken back makes other blocks of the same numbers.
            let forked = ["reorg", "fail_mined"].contains(&ending);
            assert_eq!(blocks.len(), if forked { 2 } else { 1 }, "{ending}");
            let (want, spent) = (200_000_000, if logs > 0 { 10_000_000 } else { 0 });
            let held = shares(&running, &TEST_ADDRESSES[0], yes, &json!("latest")).await;
            assert_eq!(held, want + spent, "{ending}");
            running.check().unwrap();
        });
    }
}

#[test]
fn a_match_whose_money_was_spent_again_stays_in_its_block() {
    run(async {
        let running = exchange().await;
        running.inject_toml("[[settlement]]\nending = \"reorg\"\nconfirmed = \"5s\"").unwrap();
        let yes = token(&running, "rain-tomorrow", 0);
        place(&running, 1, yes, Side::Sell, 40, 10);
        place(&running, 0, yes, Side::Buy, 40, 10);
        running.advance(Span::secs(4));
        let mined = hashes(&running);
        // The seller spends everything, the proceeds too.
        let all = Shares::whole(1_004);
        assert!(running.venue(|venue| venue.split(&TEST_ADDRESSES[1], yes.market(), all)));
        running.advance(Span::secs(20));
        assert_eq!(running.venue(|venue| venue.trades().next().unwrap().word()), "CONFIRMED");
        assert_eq!(hashes(&running), mined);
        let receipt = result(&running, "eth_getTransactionReceipt", json!([mined[0]])).await;
        assert_eq!(receipt["status"], json!("0x1"));
        assert_eq!(filled(&running, 1).await.len(), 2);
    });
}

#[test]
fn sets_payouts_and_deposits_are_on_the_chain() {
    run(async {
        let running = exchange().await;
        let yes = token(&running, "rain-tomorrow", 0);
        let (wallet, market) = (TEST_ADDRESSES[0], yes.market());
        let condition = condition(&running, yes)[2..].to_owned();
        let denominator = |block: Value| {
            let data = format!("0xdd34de67{condition}");
            let running = &running;
            async move { view(running, 0, CTF, data, &block).await }
        };
        let early = ask(
            &running,
            0,
            "eth_call",
            json!([{ "to": CTF, "data": format!("0x0504c814{condition}{:064x}", 0) }]),
        );
        assert_eq!(early.await["error"]["code"], json!(3));
        running.venue(|venue| {
            assert!(venue.split(&wallet, market, Shares::whole(5)));
            assert!(venue.merge(&wallet, market, Shares::whole(2)));
            venue.fund(wallet, Usdc::whole(7));
        });
        running.advance(Span::secs(2));
        running.venue(|venue| venue.resolve(market, Payout::HALF));
        assert_eq!(denominator(json!("latest")).await, U256::ZERO);
        running.advance(Span::secs(2));
        assert_eq!(denominator(json!("latest")).await, U256::from(2));
        assert_eq!(denominator(json!("0x55d4a81")).await, U256::ZERO);
        running.venue(|venue| assert_eq!(venue.redeem(&wallet, market), Some(Usdc::whole(203))));
        running.advance(Span::secs(2));

        let filter = json!([{ "fromBlock": "0x55d4a80", "address": CTF }]);
        let logs = result(&running, "eth_getLogs", filter).await;
        let seen: Vec<String> = logs
            .as_array()
            .unwrap()
            .iter()
            .map(|log| {
                let words = words(log).into_iter().map(|word| match word.bit_len() {
                    0..64 => word.to_string(),
                    _ => "…".to_owned(),
                });
                let words: Vec<String> = words.collect();
                let block = number(&log["blockNumber"]) - 90_000_000;
                format!("{block} {} {}", &log["topics"][0].as_str().unwrap()[..10], words.join(" "))
            })
            .collect();
        let want = [
            // split: PositionSplit, TransferBatch
            "1 0x2e6bb91f … 96 5000000 2 1 2",
            "1 0x4a39dc06 64 160 2 … … 2 5000000 5000000",
            // merge: TransferBatch, PositionsMerge
            "1 0x4a39dc06 64 160 2 … … 2 2000000 2000000",
            "1 0x6f13ca62 … 96 2000000 2 1 2",
            // resolution
            "2 0xb44d84d3 2 64 2 1 1",
            // redemption: both outcomes burnt, PayoutRedemption
            "3 0xc3d58168 … 203000000",
            "3 0xc3d58168 … 203000000",
            "3 0x2682012a … 96 203000000 2 1 2",
        ];
        assert_eq!(seen, want);
        let balances = [("0x55d4a80", 1_000), ("0x55d4a81", 1_004), ("0x55d4a82", 1_004)];
        for (block, whole) in balances.into_iter().chain([("latest", 1_207)]) {
            let held = cash(&running, &wallet, &json!(block)).await;
            assert_eq!(held, whole * 1_000_000, "{block}");
        }
        let block = json!("0x55d4a82");
        assert_eq!(shares(&running, &wallet, yes, &block).await, 203_000_000);
        assert_eq!(shares(&running, &wallet, yes, &json!("latest")).await, 0);
        // Several balances in one call.
        let ids = Outcome::BOTH.map(|outcome| token_id(&running, market.token(outcome)));
        let ids = ids.map(|id| hex::encode(id.parse::<U256>().unwrap().to_be_bytes::<32>()));
        let data = format!(
            "0x4e1273f4{:064x}{:064x}{:064x}{w}{w}{:064x}{}{}",
            64,
            160,
            2,
            2,
            ids[0],
            ids[1],
            w = word(&TEST_ADDRESSES[1])
        );
        let all = result(&running, "eth_call", json!([{ "to": CTF, "data": data }])).await;
        let all = hex::decode(all.as_str().unwrap()).unwrap();
        let all: Vec<u64> = all.chunks(32).map(|word| U256::from_be_slice(word).to()).collect();
        assert_eq!(all, [32, 2, 200_000_000, 200_000_000]);
    });
}

#[test]
fn while_the_chain_stands_still_matches_pile_up_and_settle_afterwards() {
    run(async {
        let running = exchange().await;
        running.inject_toml("[[chain]]\nact = \"halt\"\nat = \"2s\"\nfor = \"30min\"").unwrap();
        let yes = token(&running, "hawks-owls", 0);
        let statuses =
            || running.venue(|venue| venue.trades().map(|t| t.word()).collect::<Vec<_>>());
        let matched = || {
            place(&running, 1, yes, Side::Sell, 40, 5);
            place(&running, 0, yes, Side::Buy, 40, 5);
            running.advance(Span::secs(1)); // the taker delay
        };
        matched(); // 1 s: mined at 3 s but for the halt
        running.advance(Span::secs(3));
        matched(); // 5 s
        running.advance(Span::secs(1_790));
        assert_eq!(statuses(), ["MATCHED", "MATCHED"]);
        assert_eq!(head(&running, 0).await, 90_000_002);
        assert_eq!(filled(&running, 0).await.len(), 0);
        assert_eq!(cash(&running, &TEST_ADDRESSES[0], &json!("latest")).await, 1_000_000_000);
        // Blocks come from 1,802 s on: of the first match's delay one second was left, of the other's all.
        running.advance(Span::millis(8_500));
        assert_eq!(statuses(), ["MINED", "MATCHED"]);
        running.advance(Span::millis(500));
        assert_eq!(statuses(), ["MINED", "MINED"]);
        assert_eq!(head(&running, 0).await, 90_000_004);
        running.advance(Span::secs(3));
        assert_eq!(statuses(), ["CONFIRMED", "CONFIRMED"]);
        let blocks: Vec<u64> =
            filled(&running, 0).await.iter().map(|log| number(&log["blockNumber"])).collect();
        assert_eq!(blocks, [90_000_004, 90_000_004, 90_000_005, 90_000_005]);
        let block = result(&running, "eth_getBlockByNumber", json!(["0x55d4a83", false])).await;
        assert_eq!(number(&block["timestamp"]), 1_795_521_600 + 1_802);
        running.check().unwrap();
    });
}

#[test]
fn a_reorganisation_moves_transactions_to_a_later_block_of_other_hashes() {
    run(async {
        let running = exchange().await;
        running.inject_toml("[[chain]]\nact = \"reorg\"\nblocks = 2\nat = \"6s\"").unwrap();
        let wallet = TEST_ADDRESSES[0];
        running.venue(|venue| venue.fund(wallet, Usdc::whole(1)));
        running.advance(Span::secs(5));
        let filter = json!([{ "fromBlock": "0x55d4a80", "address": PUSD }]);
        let before = result(&running, "eth_getLogs", filter.clone()).await;
        assert_eq!(number(&before[0]["blockNumber"]), 90_000_001);
        assert_eq!(cash(&running, &wallet, &json!("latest")).await, 1_001_000_000);
        running.advance(Span::secs(1));
        // Three blocks: the first stays, and the transaction was in it.
        assert_eq!(result(&running, "eth_getLogs", filter.clone()).await, before);
        running.inject_toml("[[chain]]\nact = \"reorg\"\nblocks = 3").unwrap();
        assert_eq!(result(&running, "eth_getLogs", filter.clone()).await, json!([]));
        assert_eq!(cash(&running, &wallet, &json!("latest")).await, 1_000_000_000);
        running.advance(Span::secs(2));
        let after = result(&running, "eth_getLogs", filter).await;
        assert_eq!(after[0]["transactionHash"], before[0]["transactionHash"]);
        assert_eq!(number(&after[0]["blockNumber"]), 90_000_004);
        assert_eq!(cash(&running, &wallet, &json!("latest")).await, 1_001_000_000);
        let old = before[0]["blockHash"].clone();
        assert_eq!(result(&running, "eth_getBlockByHash", json!([old, false])).await, Value::Null);
    });
}

#[test]
fn each_node_has_its_own_head_and_faults() {
    run(async {
        let running = exchange().await;
        let wallet = TEST_ADDRESSES[0];
        running.advance(Span::secs(20));
        running.venue(|venue| venue.fund(wallet, Usdc::whole(1)));
        running.advance(Span::secs(2));
        let balance = format!("0x70a08231{}", word(&wallet));
        let latest = json!("latest");
        let read = |node| view(&running, node, PUSD, balance.clone(), &latest);
        let whole = |dollars: u64| U256::from(dollars * 1_000_000);
        assert_eq!((read(0).await, read(1).await), (whole(1_001), whole(1_001)));

        running.inject_toml("[[rpc]]\nnode = 1\nact = \"lag\"\nblocks = 3\nfor = \"4s\"").unwrap();
        assert_eq!((head(&running, 0).await, head(&running, 1).await), (90_000_011, 90_000_008));
        assert_eq!((read(0).await, read(1).await), (whole(1_001), whole(1_000)));
        let filter = json!([{ "fromBlock": "0x55d4a80", "toBlock": "0x55d4a8b", "address": PUSD }]);
        let found = |node| {
            let filter = filter.clone();
            let running = &running;
            async move {
                let logs = ask(running, node, "eth_getLogs", filter).await;
                logs["result"].as_array().unwrap().len()
            }
        };
        assert_eq!((found(0).await, found(1).await), (1, 0));
        running.advance(Span::secs(4));
        assert_eq!((head(&running, 1).await, read(1).await), (90_000_013, whole(1_001)));

        running.inject_toml("[[rpc]]\nnode = 0\nact = \"stuck\"\nfor = \"60s\"").unwrap();
        running.advance(Span::secs(20));
        assert_eq!((head(&running, 0).await, head(&running, 1).await), (90_000_013, 90_000_023));
        running.advance(Span::secs(40));

        let lie = format!(
            "[[rpc]]\nnode = 1\nact = \"balance\"\namount = \"5\"\nwallet = \"{wallet}\"\ntoken = \"{PUSD}\"\n\
             calls = \"2\""
        );
        running.inject_toml(&lie).unwrap();
        assert_eq!(read(1).await, whole(1_001), "only the second call");
        assert_eq!((read(1).await, read(0).await), (U256::from(5), whole(1_001)));
        assert_eq!(read(1).await, whole(1_001));

        running.inject_toml("[[rpc]]\nnode = 1\nact = \"chain_id\"\nchain_id = 1").unwrap();
        let id = |node| ask(&running, node, "eth_chainId", json!([]));
        assert_eq!(
            (&id(0).await["result"], &id(1).await["result"]),
            (&json!("0x89"), &json!("0x1"))
        );
        running.inject_toml("[[rpc]]\nnode = 1\nact = \"hide_logs\"").unwrap();
        assert_eq!((found(0).await, found(1).await), (1, 0));

        let logs = ask(&running, 0, "eth_getLogs", filter.clone()).await;
        let hash = logs["result"][0]["transactionHash"].clone();
        running.inject_toml("[[rpc]]\nnode = 1\nact = \"receipt\"").unwrap();
        let status = |node, hash: &Value| {
            let (running, hash) = (&running, hash.clone());
            async move {
                let receipt = ask(running, node, "eth_getTransactionReceipt", json!([hash])).await;
                receipt["result"]["status"].clone()
            }
        };
        assert_eq!((status(0, &hash).await, status(1, &hash).await), (json!("0x1"), json!("0x0")));
        let unknown = json!(format!("0x{}", "cd".repeat(32)));
        assert_eq!(
            (status(0, &unknown).await, status(1, &unknown).await),
            (Value::Null, json!("0x1"))
        );

        running.inject_toml("[[rpc]]\nnode = 0\nact = \"log_range\"\nblocks = 5").unwrap();
        let refused = ask(&running, 0, "eth_getLogs", filter.clone()).await;
        assert_eq!(refused["error"]["message"], json!("eth_getLogs is limited to a 5 range"));
        let text = "[[rpc]]\nnode = 0\nmethod = \"eth_chainId\"\nact = \"error\"\ncode = -32005\nmessage = \"slow down\"";
        running.inject_toml(text).unwrap();
        assert_eq!(id(0).await["error"], json!({ "code": -32005, "message": "slow down" }));
        let text = "[[rpc]]\nnode = 1\nmethod = \"eth_blockNumber\"\nact = \"garble\"";
        running.inject_toml(text).unwrap();
        let garbled = ask(&running, 1, "eth_blockNumber", json!([])).await;
        assert_eq!(garbled["result"], json!("0x(garbled)"));
        // The venue's edge is not that of the nodes.
        running.inject_toml("[[limits]]\nblocked = true").unwrap();
        assert_eq!(get(&http(), format!("{}/ok", running.urls().clob)).await.status, 429);
        assert_eq!(head(&running, 0).await, 90_000_043);
        // What happens to HTTP is the business of the rules for answers, by path.
        let text = "[[answers]]\nendpoint = \"POST /rpc/1\"\nstatus = 429\n[[answers]]\nendpoint = \"POST /rpc/0\"\nact = \"lose_request\"\nreset = true";
        running.inject_toml(text).unwrap();
        assert_eq!(raw(&running, 1, "{}".to_owned()).await.status, 429);
        assert!(send(&http(), "POST", &running.urls().rpc[0], &[], "{}".into()).await.is_err());
    });
}

#[test]
fn finality_lags_and_other_tokens_are_no_collateral() {
    run(async {
        let running = exchange().await;
        let (wallet, usdc_e) = (TEST_ADDRESSES[0], "0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174");
        let fake = format!("0x{}", "fa".repeat(20));
        let token = |token: &str, amount: &str| {
            format!(
                "[[chain]]\nact = \"token\"\ntoken = \"{token}\"\nwallet = \"{wallet}\"\namount = \"{amount}\"\n"
            )
        };
        let late = "[[chain]]\nact = \"finality\"\nblocks = 500\nfor = \"10s\"\n";
        running.inject_toml(&[late, &token(usdc_e, "5"), &token(&fake, "6")].concat()).unwrap();
        let last = || result(&running, "eth_getBlockByNumber", json!(["finalized", false]));
        assert_eq!(number(&last().await["number"]), 90_000_000 - 500);
        running.advance(Span::secs(10));
        assert_eq!(number(&last().await["number"]), 90_000_005 - 5);
        let data = format!("0x70a08231{}", word(&wallet));
        for (token, units) in [(usdc_e, 5), (fake.as_str(), 6)] {
            let held = view(&running, 0, token, data.clone(), &json!("latest")).await;
            assert_eq!(held, U256::from(units));
        }
        assert_eq!(cash(&running, &wallet, &json!("latest")).await, 1_000_000_000);
        running.check().unwrap();
    });
}

#[test]
fn rules_of_the_chain_that_make_no_sense_are_named() {
    for (text, want) in [
        ("[[chain]]\nact = \"reorg\"", "chain[0]: this act needs `blocks` of 1 to 1000"),
        ("[[chain]]\nact = \"reorg\"\nblocks = 1\nfor = \"1s\"", "a reorganisation has no `for`"),
        ("[[chain]]\nact = \"finality\"", "chain[0]: this act needs `blocks`"),
        ("[[chain]]\nact = \"token\"\namount = \"0x5\"", "a whole `amount`"),
        ("[[rpc]]\nact = \"lag\"\nblocks = 0", "rpc[0]: this act needs `blocks` of at least 1"),
        ("[[rpc]]\nact = \"stuck\"\nnode = 2", "rpc[0]: there are two nodes"),
        ("[[rpc]]\nact = \"chain_id\"", "this act needs `chain_id`"),
        ("[[rpc]]\nact = \"balance\"\namount = \"-1\"", "this act needs a whole `amount`"),
        ("[[rpc]]\nact = \"vanish\"", "unknown variant `vanish`"),
    ] {
        let error = Scenario::parse(text).unwrap_err().to_string();
        assert!(error.contains(want), "{error:?} instead of {want:?}");
    }
}

#[test]
fn relayed_sets_carry_the_relayers_hash_and_wait_for_a_chain_that_stands_still() {
    run(async {
        let running = exchange().await;
        running.inject_toml("[[chain]]\nact = \"halt\"\nat = \"1s\"\nfor = \"60s\"").unwrap();
        let body = json!({ "type": "SAFE", "from": TEST_ADDRESSES[0],
                           "proxyWallet": WalletKind::Safe.address(TEST_ADDRESSES[0]) });
        let url = format!("{}/submit", running.urls().relayer);
        let key = [("RELAYER_API_KEY", "x".to_owned())];
        let sent = send(&http(), "POST", &url, &key, body.to_string()).await.unwrap().json();
        let url = format!(
            "{}/v1/account/transactions/{}",
            running.urls().relayer,
            sent["transactionID"].as_str().unwrap()
        );
        let mut seen = Vec::new();
        for secs in [0, 2, 30, 31, 3, 4] {
            running.advance(Span::secs(secs));
            let state = get(&http(), url.clone()).await.json();
            let hash = state["transaction_hash"].clone();
            let receipt = match hash.as_str() {
                Some("") => Value::Null,
                _ => result(&running, "eth_getTransactionReceipt", json!([hash])).await,
            };
            seen.push(format!("{} {}", state["state"].as_str().unwrap(), receipt["status"]));
        }
        let want = [
            "STATE_NEW null",
            "STATE_EXECUTED null",
            "STATE_EXECUTED null",
            "STATE_MINED null",
            "STATE_CONFIRMED \"0x1\"",
            "STATE_CONFIRMED \"0x1\"",
        ];
        assert_eq!(seen, want);
    });
}

#[test]
fn the_nodes_answer_within_the_process_too() {
    run(async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let running = LocalExchange::in_memory(&Setup::test()).unwrap();
        for url in &running.urls().rpc {
            let rest = url.strip_prefix("http://127.0.0.1:").unwrap();
            let (port, path) = rest.split_once('/').unwrap();
            let mut pipe = running.connect("127.0.0.1", port.parse().unwrap()).unwrap();
            let body = r#"{"jsonrpc":"2.0","id":1,"method":"eth_chainId"}"#;
            let head = format!(
                "POST /{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            pipe.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            let mut text = String::new();
            pipe.read_to_string(&mut text).await.unwrap();
            assert!(text.ends_with(r#""result":"0x89"}"#), "{text}");
        }
    });
}
