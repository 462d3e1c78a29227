//! The relayer's flow against a double that verifies every signature by its own computation, and once
//! against a deposit wallet on a real EVM that runs the signed batch.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use alloy::primitives::{Address, B256, Bytes, Signature, U256, address, keccak256};
use alloy::sol_types::{SolCall, SolStruct, eip712_domain};
use polydesk_polymarket_api::{Credentials, L2Auth, Secret, ServerClock};
use polydesk_polymarket_wallet::chain::{
    Allowance, ApprovalPlan, Call, ChainError, Executed, Relayer, RelayerAuth, RelayerConfig, Rpc,
    Scope, SessionScope, Wallets,
};
use polydesk_polymarket_wallet::signing::{Chain, Wallet, derived_wallets};
use serde_json::{Value, json};

use super::anvil::{self, Batched, OTHER, OWNER, World, executeCall, http, key, usd};
use super::server::{Answer, Asked, serve};

mod typed {
    alloy::sol! {
        struct Call { address target; uint256 value; bytes data; }
        struct Batch { address wallet; uint256 nonce; uint256 deadline; Call[] calls; }
        struct SafeTx {
            address to; uint256 value; bytes data; uint8 operation; uint256 safeTxGas; uint256 baseGas;
            uint256 gasPrice; address gasToken; address refundReceiver; uint256 nonce;
        }
    }
}

const RELAY: Address = address!("0x1111111111111111111111111111111111111111");
const HASH: &str = "0x2222222222222222222222222222222222222222222222222222222222222222";

fn number(value: &Value) -> U256 {
    value.as_str().unwrap().parse().unwrap()
}
fn place(value: &Value) -> Address {
    value.as_str().unwrap().parse().unwrap()
}
fn data(value: &Value) -> Bytes {
    value.as_str().unwrap().parse().unwrap()
}

/// Who signed a body, by alloy's own EIP-712 and EIP-191.
fn signer(body: &Value, chain_id: u64) -> Address {
    let signature = data(&body["signature"]);
    match body["type"].as_str().unwrap() {
        "WALLET" => {
            let params = &body["depositWalletParams"];
            let wallet = place(&params["depositWallet"]);
            let calls = params["calls"].as_array().unwrap();
            let batch = typed::Batch {
                wallet,
                nonce: number(&body["nonce"]),
                deadline: number(&params["deadline"]),
                calls: calls
                    .iter()
                    .map(|call| typed::Call {
                        target: place(&call["target"]),
                        value: number(&call["value"]),
                        data: data(&call["data"]),
                    })
                    .collect(),
            };
            let domain = eip712_domain! {
                name: "DepositWallet", version: "1", chain_id: chain_id, verifying_contract: wallet,
            };
            let hash = batch.eip712_signing_hash(&domain);
            Signature::from_raw(&signature).unwrap().recover_address_from_prehash(&hash).unwrap()
        }
        "SAFE" => {
            let safe = place(&body["proxyWallet"]);
            let params = &body["signatureParams"];
            let transaction = typed::SafeTx {
                to: place(&body["to"]),
                value: body.get("value").map(number).unwrap_or_default(),
                data: data(&body["data"]),
                operation: number(&params["operation"]).to(),
                safeTxGas: number(&params["safeTxnGas"]),
                baseGas: number(&params["baseGas"]),
                gasPrice: number(&params["gasPrice"]),
                gasToken: place(&params["gasToken"]),
                refundReceiver: place(&params["refundReceiver"]),
                nonce: number(&body["nonce"]),
            };
            let domain = eip712_domain! { chain_id: chain_id, verifying_contract: safe, };
            let hash = transaction.eip712_signing_hash(&domain);
            let mut signature = signature.to_vec();
            assert!(matches!(signature[64], 31 | 32), "v + 4 marks eth_sign");
            signature[64] -= 4;
            Signature::from_raw(&signature).unwrap().recover_address_from_msg(hash).unwrap()
        }
        "PROXY" => {
            let params = &body["signatureParams"];
            let mut message = b"rlx:".to_vec();
            message.extend(place(&body["from"]));
            message.extend(place(&body["to"]));
            message.extend(data(&body["data"]));
            for value in
                [&params["relayerFee"], &params["gasPrice"], &params["gasLimit"], &body["nonce"]]
            {
                message.extend(number(value).to_be_bytes::<32>());
            }
            message.extend(place(&params["relayHub"]));
            message.extend(place(&params["relay"]));
            Signature::from_raw(&signature)
                .unwrap()
                .recover_address_from_msg(keccak256(message))
                .unwrap()
        }
        other => panic!("type {other}"),
    }
}

/// What the double answers to submissions and looks, in turn; the last answer repeats.
#[derive(Default)]
pub struct Script {
    pub nonce: u64,
    submits: VecDeque<Answer>,
    pub looks: VecDeque<Answer>,
    bodies: Vec<Value>,
    asked: Vec<String>,
    /// Idempotency keys.
    names: Vec<String>,
}

fn turn(answers: &mut VecDeque<Answer>) -> Answer {
    if answers.len() > 1 { answers.pop_front().unwrap() } else { answers.front().cloned().unwrap() }
}

pub fn accepted() -> Answer {
    Some((200, json!({"transactionID": "id-1", "state": "STATE_NEW", "transactionHash": ""})))
}
pub fn state(state: &str) -> Answer {
    Some((
        200,
        json!({"transaction_id": "id-1", "state": state, "transaction_hash": HASH, "error_msg": null}),
    ))
}
fn refusal(text: &str) -> Answer {
    Some((400, json!({"error": text})))
}

pub struct Double {
    pub script: Arc<Mutex<Script>>,
    url: String,
}

impl Double {
    pub async fn start(submits: Vec<Answer>, looks: Vec<Answer>) -> Double {
        let script =
            Script { nonce: 3, submits: submits.into(), looks: looks.into(), ..Script::default() };
        let script = Arc::new(Mutex::new(script));
        let shared = Arc::clone(&script);
        let url = serve(move |asked: Asked| {
            let shared = Arc::clone(&shared);
            Box::pin(async move {
                // Every request shows who pays.
                check_builder(&asked);
                let mut script = shared.lock().unwrap();
                script.asked.push(format!("{} {}", asked.method, asked.path));
                let path = asked.path.split('?').next().unwrap();
                match (asked.method.as_str(), path) {
                    ("POST", "/submit") => {
                        script.bodies.push(asked.body);
                        turn(&mut script.submits)
                    }
                    (
                        "POST",
                        "/v1/session-signers/authorizations" | "/v1/session-signers/revocations",
                    ) => {
                        script
                            .names
                            .push(asked.headers["idempotency-key"].to_str().unwrap().into());
                        script.bodies.push(asked.body);
                        turn(&mut script.submits)
                    }
                    ("GET", "/relay-payload" | "/v1/account/transactions/params") => {
                        assert!(asked.path.contains(&format!("address={OWNER}")), "{}", asked.path);
                        Some((200, json!({"address": RELAY, "nonce": script.nonce.to_string()})))
                    }
                    ("GET", "/deployed") => Some((200, json!({"deployed": true}))),
                    ("GET", "/v1/account/transactions/id-1") => turn(&mut script.looks),
                    _ => Some((404, json!({"error": "no such page"}))),
                }
            })
        })
        .await;
        Double { script, url }
    }

    pub fn relayer(&self, wallet: Wallet) -> Relayer {
        relayer(&self.url, wallet, Chain::polygon(), None, ServerClock::system())
    }
    pub fn bodies(&self) -> Vec<Value> {
        self.script.lock().unwrap().bodies.clone()
    }
}

fn credentials() -> Credentials {
    Credentials {
        key: "11111111-2222-4333-8444-555555555555".into(),
        secret: Secret::new("c2VjcmV0LXNlY3JldC1zZWNyZXQ="),
        passphrase: Secret::new("open sesame"),
    }
}

fn check_builder(asked: &Asked) {
    let header = |name: &str| asked.headers[name].to_str().unwrap().to_owned();
    let timestamp = header("POLY_BUILDER_TIMESTAMP").parse().unwrap();
    let path = asked.path.split('?').next().unwrap();
    let signature =
        L2Auth::new("", credentials()).unwrap().sign(timestamp, &asked.method, path, &asked.raw);
    assert_eq!(header("POLY_BUILDER_SIGNATURE"), signature);
    assert_eq!(header("POLY_BUILDER_API_KEY"), credentials().key);
    assert_eq!(header("POLY_BUILDER_PASSPHRASE"), "open sesame");
}

fn relayer(
    url: &str,
    wallet: Wallet,
    chain: Chain,
    rpc: Option<Arc<Rpc>>,
    clock: ServerClock,
) -> Relayer {
    let config =
        RelayerConfig { poll_ms: 5, max_polls: 20, submit_retries: 3, ..RelayerConfig::default() };
    let auth = RelayerAuth::builder(credentials()).unwrap();
    let http = http(&[], Some(url));
    Relayer::new(http, url, auth, clock, config, chain, Arc::new(key()), wallet, rpc).unwrap()
}

pub fn wallets() -> [Wallet; 3] {
    let chain = Chain::polygon();
    let derived = derived_wallets(OWNER, chain.contracts());
    [
        Wallet::Deposit(derived.deposit_beacon),
        Wallet::Safe(derived.safe),
        Wallet::Proxy(derived.proxy),
    ]
}

pub fn calls() -> Vec<Call> {
    let chain = Chain::polygon();
    let c = chain.contracts();
    vec![
        Call::approve(c.collateral, c.exchange, usd(5)),
        Call::approve_all(c.conditional_tokens, c.exchange, true),
    ]
}

#[tokio::test]
async fn every_kind_of_wallet_signs_what_the_double_verifies() {
    for wallet in wallets() {
        let looks = vec![state("STATE_EXECUTED"), state("STATE_MINED"), state("STATE_CONFIRMED")];
        let double = Double::start(vec![accepted()], looks).await;
        let relayer = double.relayer(wallet);
        assert_eq!(relayer.deployed().await, Ok(true));
        for calls in [&calls()[..1], &calls()] {
            let done = relayer.execute(calls, "approve").await.unwrap();
            assert_eq!(done.hash, Some(HASH.parse::<B256>().unwrap()));
        }
        for body in double.bodies() {
            assert_eq!(signer(&body, 137), OWNER, "{body}");
            assert_eq!(place(&body["from"]), OWNER);
            assert_eq!(body["nonce"], "3");
        }
        assert_eq!(double.bodies().len(), 2);
    }
    let own = Wallet::Eoa;
    let double = Double::start(vec![accepted()], vec![state("STATE_CONFIRMED")]).await;
    let auth = RelayerAuth::builder(credentials()).unwrap();
    assert!(!format!("{auth:?}").contains("sesame"));
    let refused = Relayer::new(
        http(&[], Some(&double.url)),
        &double.url,
        auth,
        ServerClock::system(),
        RelayerConfig::default(),
        Chain::polygon(),
        Arc::new(key()),
        own,
        None,
    );
    assert!(matches!(refused, Err(ChainError::Misconfigured(_))));
}

#[tokio::test]
async fn a_session_key_signs_in_an_envelope() {
    let double = Double::start(vec![accepted()], vec![state("STATE_CONFIRMED")]).await;
    let relayer = double.relayer(wallets()[0]).with_session_key();
    relayer.execute(&calls(), "").await.unwrap();
    let mut body = double.bodies().remove(0);
    let envelope = data(&body["signature"]);
    assert!(envelope.ends_with(&[0x64, 0x92].repeat(16)));
    assert_eq!(Address::from_slice(&envelope[12..32]), OWNER);
    body["signature"] = json!(alloy::hex::encode_prefixed(&envelope[128..193]));
    assert_eq!(signer(&body, 137), OWNER);
    assert!(matches!(relayer.create_wallet().await, Err(ChainError::Misconfigured(_))));
}

/// The session key of these tests.
const SESSION: Address = address!("0x5555555555555555555555555555555555555555");

/// A submission about a session key as the batch it is signed over.
fn as_batch(body: &Value, call: &Call) -> Value {
    json!({
        "type": "WALLET", "nonce": body["nonce"], "signature": body["signature"],
        "depositWalletParams": {
            "depositWallet": body["walletAddress"], "deadline": body["deadline"],
            "calls": [{ "target": call.target, "value": "0", "data": call.data }],
        },
    })
}

fn session_answer(status: &str) -> Answer {
    Some((
        200,
        json!({"status": status, "fenced": true, "transactionId": "id-1", "transactionHash": ""}),
    ))
}

#[tokio::test]
async fn session_keys_are_registered_and_revoked_by_the_owner() {
    let wallet = wallets()[0];
    let place = wallet.funder(OWNER);
    let until = ServerClock::system().secs() + 3_600;
    // An answer that is lost and a busy relayer: the same again, to the letter, under the same name.
    let submits = vec![
        None,
        Some((429, json!({"error": "Too Many Requests"}))),
        session_answer("REGISTRY_PENDING"),
    ];
    let double = Double::start(submits, vec![state("STATE_MINED"), state("STATE_CONFIRMED")]).await;
    let relayer = double.relayer(wallet);
    let scopes = [SessionScope::Clob, SessionScope::Other("NEW".into())];
    let done = relayer.authorise_session(SESSION, &scopes, until).await.unwrap();
    assert_eq!(done.hash, Some(HASH.parse::<B256>().unwrap()));
    let bodies = double.bodies();
    assert!(bodies.len() == 3 && bodies.iter().all(|body| *body == bodies[0]), "{bodies:?}");
    let names = double.script.lock().unwrap().names.clone();
    assert!(names[0].len() == 66 && names.iter().all(|name| *name == names[0]), "{names:?}");
    let body = &bodies[0];
    assert_eq!(body["scopes"], json!(["CLOB", "NEW"]));
    assert_eq!(body["validUntil"], json!(until.to_string()));
    assert_eq!(body["sessionSignerAddress"], json!(SESSION.to_checksum(None)));
    assert_eq!(body["walletAddress"], json!(place.to_checksum(None)));
    let call = Call::authorise_session(place, SESSION, until);
    assert_eq!(signer(&as_batch(body, &call), 137), OWNER);

    let double =
        Double::start(vec![session_answer("PENDING")], vec![state("STATE_CONFIRMED")]).await;
    let relayer = double.relayer(wallet);
    let taken = relayer.revoke_session(SESSION).await.unwrap();
    assert_eq!((taken.status.as_str(), taken.fenced), ("PENDING", true));
    let body = double.bodies().remove(0);
    assert_eq!(signer(&as_batch(&body, &Call::revoke_session(place, SESSION)), 137), OWNER);
    assert!(body.get("scopes").is_none() && body.get("validUntil").is_none());
    // The next transaction waits until this one is decided.
    assert_eq!(relayer.settle().await, Ok(()));
    assert!(
        double.script.lock().unwrap().asked.contains(&"GET /v1/account/transactions/id-1".into())
    );
}

#[tokio::test]
async fn a_transaction_the_relayer_forgot_is_decided_by_its_nonce() {
    let gone = Some((404, json!({"error": "transaction not found"})));
    let looks = std::iter::repeat_n(state("STATE_NEW"), 20).chain([gone]).collect();
    let double = Double::start(vec![accepted()], looks).await;
    let relayer = double.relayer(wallets()[0]);
    let open = relayer.execute(&calls(), "").await.unwrap_err();
    assert!(open.may_have_taken_effect(), "{open}");
    // Not used yet: it may still run.
    assert!(relayer.settle().await.unwrap_err().may_have_taken_effect());
    double.script.lock().unwrap().nonce = 4;
    assert_eq!(relayer.settle().await, Ok(()));
}

#[tokio::test]
async fn a_session_key_that_was_not_taken_says_why() {
    let wallet = wallets()[0];
    let until = ServerClock::system().secs() + 3_600;
    let refused = |answer: Answer| async move {
        let double = Double::start(vec![answer], vec![state("STATE_CONFIRMED")]).await;
        let relayer = double.relayer(wallet);
        let done = relayer.authorise_session(SESSION, &[SessionScope::All], until).await;
        (done.unwrap_err(), double.bodies().len())
    };
    let cases = [
        (session_answer("FAILED"), "its status is FAILED", false, 1),
        (session_answer("REPAIR_REQUIRED"), "REPAIR_REQUIRED", true, 1),
        (session_answer("SUPERSEDED"), "SUPERSEDED", true, 1),
        (refusal("call blocked"), "call blocked", false, 1),
        (Some((401, json!({"error": "unauthorized"}))), "unauthorised", false, 1),
        (None, "", true, 3),
        (Some((500, json!({"error": "database"}))), "database", true, 3),
        (Some((200, json!({"status": "SUBMITTED"}))), "transactionId", true, 3),
    ];
    for (answer, words, unknown, times) in cases {
        let (error, sent) = refused(answer).await;
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!((error.may_have_taken_effect(), sent), (unknown, times), "{error}");
    }
    // Throttled three times: nothing took effect, and the wallet is free. Once an answer was lost, no later
    // answer takes that back.
    let busy = || Some((429, json!({"error": "Too Many Requests"})));
    let long = Some((429, json!({"error": "Too Many Requests", "retry_after_seconds": 3_000})));
    for (answers, unknown, times) in [
        (vec![busy(), busy(), busy()], false, 3),
        (vec![long], false, 1),
        (vec![None, busy(), busy()], true, 3),
        (vec![None, refusal("call blocked")], true, 2),
    ] {
        let double = Double::start(answers, vec![state("STATE_CONFIRMED")]).await;
        let relayer = double.relayer(wallet);
        let done = relayer.authorise_session(SESSION, &[SessionScope::All], until).await;
        let error = done.unwrap_err();
        assert_eq!(error.may_have_taken_effect(), unknown, "{error}");
        assert_eq!(double.bodies().len(), times, "{error}");
        assert_eq!(relayer.settle().await.is_err(), unknown, "{error}");
    }
    // What is wrong from the start is not sent.
    let double = Double::start(vec![session_answer("REGISTERED")], vec![]).await;
    let owner = double.relayer(wallet);
    let all = [SessionScope::All];
    for wrong in [
        owner.authorise_session(Address::ZERO, &all, until).await,
        owner.authorise_session(OWNER, &all, until).await,
        owner.authorise_session(SESSION, &[], until).await,
        owner.authorise_session(SESSION, &[SessionScope::All, SessionScope::Clob], until).await,
        owner.authorise_session(SESSION, &all, 1).await,
        double.relayer(wallets()[1]).authorise_session(SESSION, &all, until).await,
        double.relayer(wallet).with_session_key().authorise_session(SESSION, &all, until).await,
    ] {
        assert!(matches!(wrong, Err(ChainError::Misconfigured(_))), "{wrong:?}");
    }
    assert!(double.bodies().is_empty());
}

#[tokio::test]
async fn refusals_that_pass_are_tried_again_with_a_fresh_nonce() {
    let submits = vec![
        refusal("wallet busy: active action"),
        Some((429, json!({"error": "rate limit exceeded", "retry_after_seconds": 0}))),
        refusal("batch nonce 3 does not match on-chain nonce 8"),
        accepted(),
    ];
    let double = Double::start(submits, vec![state("STATE_CONFIRMED")]).await;
    double.relayer(wallets()[0]).execute(&calls(), "").await.unwrap();
    let nonces: Vec<String> =
        double.bodies().iter().map(|body| body["nonce"].as_str().unwrap().to_owned()).collect();
    assert_eq!(nonces, ["3", "3", "3", "8"]);
    assert!(double.bodies().iter().all(|body| signer(body, 137) == OWNER));

    // Busy for good, a nonce ahead of the chain, and what is blocked.
    let cases = [
        (refusal("wallet has in-flight action"), "busy", 4),
        (refusal("batch nonce 9 does not match on-chain nonce 8"), "refused", 1),
        (refusal("call blocked"), "refused", 1),
        (Some((401, json!({"error": "unauthorized"}))), "unauthorised", 1),
    ];
    for (answer, expected, times) in cases {
        let double = Double::start(vec![answer], vec![state("STATE_CONFIRMED")]).await;
        let relayer = double.relayer(wallets()[0]);
        let error = relayer.execute(&calls(), "").await.unwrap_err();
        assert!(error.to_string().contains(expected) && !error.may_have_taken_effect(), "{error}");
        assert_eq!(double.bodies().len(), times);
        assert_eq!(relayer.settle().await, Ok(()));
    }
}

#[tokio::test]
async fn outcomes_are_told_apart() {
    let failed = Some((
        200,
        json!({"transaction_id": "id-1", "state": "STATE_FAILED", "transaction_hash": HASH, "error_msg": "out of shares"}),
    ));
    let cases: [(Answer, &str); 3] = [
        (
            failed,
            "reverted in 0x2222222222222222222222222222222222222222222222222222222222222222: out of shares",
        ),
        (state("STATE_INVALID"), "refused: the relayer calls it invalid"),
        (state("STATE_NEW"), "outcome unknown"),
    ];
    for (look, expected) in cases {
        let double = Double::start(vec![accepted()], vec![look]).await;
        let error = double.relayer(wallets()[1]).execute(&calls(), "").await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
    // A hiccup while looking is none of the transaction's.
    let looks = vec![None, Some((502, json!("<html>"))), state("STATE_CONFIRMED")];
    let double = Double::start(vec![accepted()], looks).await;
    double.relayer(wallets()[1]).execute(&calls(), "").await.unwrap();
}

#[tokio::test]
async fn a_lost_answer_is_unknown_until_the_nonce_or_the_deadline_proves_it() {
    for (answer, wallet) in [(None, wallets()[0]), (Some((502, json!("<html>"))), wallets()[1])] {
        let submits = vec![answer, accepted()];
        let double = Double::start(submits, vec![state("STATE_CONFIRMED")]).await;
        let now = Arc::new(Mutex::new(ServerClock::system().local()));
        let reads = Arc::clone(&now);
        let clock = ServerClock::over(move || *reads.lock().unwrap());
        let relayer = relayer(&double.url, wallet, Chain::polygon(), None, clock);
        let error = relayer.execute(&calls(), "").await.unwrap_err();
        assert!(error.may_have_taken_effect(), "{error}");
        assert!(error.to_string().contains("nonce 3"), "{error}");
        // Nothing new is signed meanwhile, not even something else.
        let error = relayer.execute(&calls()[..1], "").await.unwrap_err();
        assert!(error.may_have_taken_effect(), "{error}");
        assert_eq!(double.bodies().len(), 1);
        if matches!(wallet, Wallet::Deposit(_)) {
            // Past its deadline the batch can never run.
            let later = now.lock().unwrap().nanos() + 700_000_000_000;
            *now.lock().unwrap() = polydesk_domain::Time::from_nanos(later);
        } else {
            // The nonce moved on: it happened.
            double.script.lock().unwrap().nonce = 4;
        }
        relayer.execute(&calls()[..1], "").await.unwrap();
        assert_eq!(double.bodies().len(), 2);
    }
}

#[tokio::test]
async fn a_deposit_wallet_on_chain_runs_the_signed_batch() {
    let Some(world) = World::start().await else { return };
    let world = Arc::new(world);
    let wallet = world.anvil.deploy("WrappedWallet", &[OWNER]).await;
    world.mint(world.c().collateral, wallet, 50_000_000).await;
    let asked_of = Arc::clone(&world);
    // This double is the chain's: what it takes, the wallet itself verifies and runs.
    let last = Arc::new(Mutex::new(String::new()));
    let url = serve(move |asked: Asked| {
        let (world, last) = (Arc::clone(&asked_of), Arc::clone(&last));
        Box::pin(async move {
            check_builder(&asked);
            if asked.path.starts_with("/v1/account/transactions/params") {
                let nonce = world.anvil.ask("eth_call", json!([{"to": wallet, "data": "0xaffed0e0"}, "latest"])).await;
                let nonce: U256 = nonce.as_str().unwrap().parse().unwrap();
                return Some((200, json!({"address": OWNER, "nonce": nonce.to_string()})));
            }
            if asked.path == "/submit" {
                let params = &asked.body["depositWalletParams"];
                let calls = params["calls"].as_array().unwrap().iter().map(|call| Batched {
                    target: place(&call["target"]),
                    value: number(&call["value"]),
                    data: data(&call["data"]),
                });
                let run = executeCall {
                    nonce: number(&asked.body["nonce"]),
                    deadline: number(&params["deadline"]),
                    calls: calls.collect(),
                    signature: data(&asked.body["signature"]),
                };
                let receipt = world.anvil.act(OTHER, Some(wallet), run.abi_encode().into()).await;
                *last.lock().unwrap() = receipt["transactionHash"].as_str().unwrap().to_owned();
                return Some((200, json!({"transactionID": "a", "state": "STATE_NEW"})));
            }
            let hash = last.lock().unwrap().clone();
            Some((200, json!({"transaction_id": "a", "state": "STATE_CONFIRMED", "transaction_hash": hash})))
        })
    })
    .await;
    let rpc = world.rpc();
    let wallet_kind = Wallet::Deposit(wallet);
    let relayer =
        relayer(&url, wallet_kind, world.chain.clone(), Some(rpc.clone()), ServerClock::system());
    let wallets = Wallets::from(relayer);
    assert_eq!(wallets.address(), wallet);

    let snapshot = rpc.snapshot(&world.chain).await.unwrap();
    let plan = ApprovalPlan::needed(&snapshot, wallet, Scope::Trading, Allowance::Unlimited)
        .await
        .unwrap();
    let done = wallets.execute(&plan.calls(), "approvals").await.unwrap();
    assert!(matches!(done, Executed::Relayed(_)));
    let snapshot = rpc.snapshot(&world.chain).await.unwrap();
    let plan = ApprovalPlan::needed(&snapshot, wallet, Scope::Trading, Allowance::Unlimited)
        .await
        .unwrap();
    assert!(plan.is_complete(), "{plan}");
    assert_eq!(wallets.execute(&plan.calls(), "").await, Ok(Executed::Nothing));

    // The second batch has the next nonce.
    let split = Call::split(
        world.c(),
        polydesk_polymarket_wallet::chain::MarketKind::Normal,
        B256::ZERO,
        usd(20),
    );
    wallets.execute(&[split], "split").await.unwrap();
    let snapshot = rpc.snapshot(&world.chain).await.unwrap();
    assert_eq!(snapshot.collateral(wallet).await, Ok(usd(30)));
}

#[tokio::test]
async fn own_keys_and_relayed_wallets_have_one_way_in() {
    let Some(world) = World::start().await else { return };
    let sender =
        polydesk_polymarket_wallet::chain::EoaSender::new(world.rpc(), &key(), anvil::quick())
            .unwrap();
    let wallets = Wallets::from(sender);
    assert_eq!(wallets.address(), OWNER);
    let c = world.c();
    let good = Call::approve(c.collateral, c.adapter, usd(10));
    let split = |amount| {
        Call::split(
            c,
            polydesk_polymarket_wallet::chain::MarketKind::Normal,
            B256::ZERO,
            usd(amount),
        )
    };
    // The third cannot work, so the fourth is not sent.
    let error = wallets.execute(&[good, split(4), split(7), split(1)], "").await.unwrap_err();
    assert_eq!((error.done.len(), error.all), (2, 4));
    assert!(matches!(error.error, ChainError::Reverted { hash: None, .. }), "{}", error.error);
    assert_eq!(error.to_string(), "call 3 of 4 did not succeed, 2 before it did");
    assert_eq!(world.anvil.count(OWNER).await, 2);
}

#[tokio::test]
async fn a_relayer_that_calls_a_failure_confirmed_is_not_believed() {
    let Some(world) = World::start().await else { return };
    // A transaction that exists and failed.
    let trap = world.anvil.deploy("Trap", &[]).await;
    world.anvil.act(OTHER, Some(trap), anvil::armCall {}.abi_encode().into()).await;
    let step = Bytes::from(anvil::stepCall {}.abi_encode());
    let failed = world
        .anvil
        .ask(
            "eth_sendTransaction",
            json!([{"from": OTHER, "to": trap, "data": step, "gas": "0x20000"}]),
        )
        .await;
    let missing = json!(HASH);
    for (hash, expected) in
        [(failed, "its receipt shows that it failed"), (missing, "the chain does not show it yet")]
    {
        let look = Some((
            200,
            json!({"transaction_id": "id-1", "state": "STATE_CONFIRMED", "transaction_hash": hash}),
        ));
        let double = Double::start(vec![accepted()], vec![look]).await;
        let wallet = wallets()[1];
        let relayer = relayer(
            &double.url,
            wallet,
            Chain::polygon(),
            Some(world.rpc()),
            ServerClock::system(),
        );
        let error = relayer.execute(&calls(), "").await.unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test]
async fn the_local_exchange_takes_what_the_official_relayer_takes() {
    use polydesk_local_exchange::{LocalExchange, Setup};
    let exchange = Arc::new(LocalExchange::start(Setup::test()).await.unwrap());
    let url = exchange.urls().relayer.clone();
    let time = Arc::clone(&exchange);
    let clock = ServerClock::over(move || time.now());
    let config = RelayerConfig { poll_ms: 5, max_polls: 200, ..RelayerConfig::default() };
    let auth = RelayerAuth::ApiKey { key: Secret::new("a-relayer-key"), address: OWNER };
    let http = http(&[], Some(&url));
    let wallet = wallets()[0];
    let chain = Chain::polygon();
    let relayer =
        Relayer::new(http, &url, auth, clock, config, chain, Arc::new(key()), wallet, None)
            .unwrap();
    let clockwork = async {
        loop {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            exchange.advance(polydesk_domain::Span::secs(1));
        }
    };
    let work = async {
        relayer.create_wallet().await.unwrap();
        assert_eq!(relayer.deployed().await, Ok(true));
        relayer.execute(&calls(), "approve").await.unwrap()
    };
    let done = tokio::select! {
        biased;
        done = work => done,
        () = clockwork => unreachable!("it never ends"),
    };
    assert!(done.hash.is_some());
}
