//! A real EVM on a free port, and the test contracts on it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use alloy::primitives::{Address, B256, Bytes, U256, address};
use alloy::sol_types::SolCall;
use polydesk_polymarket_api::{Effect, Endpoints, Http, HttpConfig, HttpRequest, ServerClock};
use polydesk_polymarket_wallet::chain::{EoaConfig, EoaSender, Rpc, RpcConfig};
use polydesk_polymarket_wallet::signing::{Chain, Contracts, Key};
use serde_json::{Value, json};

/// anvil's first development key, known to everybody.
pub const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
pub const OWNER: Address = address!("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
/// Another of its unlocked accounts, which deploys and disturbs.
pub const OTHER: Address = address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8");

pub fn key() -> Key {
    Key::from_hex(KEY).unwrap()
}

const SKIPPED: &[u8] = b"\nskipped: anvil is not installed (npm i @foundry-rs/anvil \
@foundry-rs/anvil-linux-amd64, then set ANVIL to the binary);\nnothing was tested on a real EVM\n";

pub struct Anvil {
    child: Child,
    pub url: String,
    http: Http,
    _home: tempfile::TempDir,
}

impl Drop for Anvil {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("ANVIL") {
        let path = PathBuf::from(path);
        assert!(path.is_file(), "ANVIL is {}: no such file", path.display());
        return Some(path);
    }
    let on_path = std::env::var_os("PATH").into_iter().flat_map(|path| {
        std::env::split_paths(&path).map(|folder| folder.join("anvil")).collect::<Vec<_>>()
    });
    // Where CI puts it.
    let cached = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../target/anvil/node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil"
    );
    on_path.chain([PathBuf::from(cached)]).find(|path| path.is_file())
}

/// An `Http` that reaches exactly these.
pub fn http(rpc: &[String], relayer: Option<&str>) -> Http {
    let mut endpoints = Endpoints { rpc: rpc.to_vec(), ..Endpoints::default() };
    if let Some(relayer) = relayer {
        endpoints.relayer = relayer.to_owned();
    }
    let config = HttpConfig { answer_timeout_ms: 2_000, ..HttpConfig::default() };
    Http::new(config, &endpoints).unwrap()
}

impl Anvil {
    pub fn start(args: &[&str]) -> Option<Anvil> {
        let Some(binary) = binary() else {
            // Written past the test harness, which hides what passing tests print, and once.
            static TOLD: std::sync::Once = std::sync::Once::new();
            TOLD.call_once(|| {
                let _ = std::io::Write::write_all(&mut std::io::stderr(), SKIPPED);
            });
            return None;
        };
        let home = tempfile::tempdir().unwrap();
        let mut child = Command::new(binary)
            .args(["--port", "0"])
            .args(args)
            .current_dir(home.path())
            .env("HOME", home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = loop {
            let line = lines.next().expect("anvil ended").unwrap();
            if let Some(place) = line.strip_prefix("Listening on ") {
                break format!("http://{place}");
            }
        };
        // It would block if its output were not read.
        std::thread::spawn(move || lines.for_each(drop));
        let http = http(std::slice::from_ref(&url), None);
        Some(Anvil { child, url, http, _home: home })
    }

    /// Any JSON-RPC request.
    pub async fn ask(&self, method: &str, params: Value) -> Value {
        let answer = post(
            &self.http,
            &self.url,
            &json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}),
        )
        .await;
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    pub async fn number(&self, method: &str, params: Value) -> u64 {
        let text = self.ask(method, params).await;
        u64::from_str_radix(text.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
    }

    /// Mined transactions of an address.
    pub async fn count(&self, owner: Address) -> u64 {
        self.number("eth_getTransactionCount", json!([owner, "latest"])).await
    }

    /// A transaction of an unlocked account, mined.
    pub async fn act(&self, from: Address, to: Option<Address>, data: Bytes) -> Value {
        let hash = self
            .ask(
                "eth_sendTransaction",
                json!([{"from": from, "to": to, "data": data, "gas": "0x700000"}]),
            )
            .await;
        let mut receipt = Value::Null;
        for _ in 0..500 {
            receipt = self.ask("eth_getTransactionReceipt", json!([hash])).await;
            if !receipt.is_null() {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert_eq!(receipt["status"], "0x1", "{receipt}");
        receipt
    }

    pub async fn deploy(&self, name: &str, addresses: &[Address]) -> Address {
        let code: Value =
            serde_json::from_str(include_str!("../../contracts/bytecode.json")).unwrap();
        let code = code[name].as_str().unwrap_or_else(|| panic!("no contract {name}"));
        let mut data = alloy::hex::decode(code).unwrap();
        for address in addresses {
            data.extend_from_slice(address.into_word().as_slice());
        }
        let receipt = self.act(OTHER, None, data.into()).await;
        receipt["contractAddress"].as_str().unwrap().parse().unwrap()
    }
}

pub async fn post(http: &Http, url: &str, body: &Value) -> Value {
    let answer = http
        .send(HttpRequest {
            method: http::Method::POST,
            url: url.to_owned(),
            headers: Default::default(),
            body: serde_json::to_vec(body).unwrap().into(),
            effect: Effect::Read,
            what: "test".into(),
            gzip: false,
        })
        .await
        .unwrap();
    serde_json::from_slice(&answer.body).unwrap()
}

alloy::sol! {
    struct Order {
        uint256 salt;
        address maker;
        address signer;
        uint256 tokenId;
        uint256 makerAmount;
        uint256 takerAmount;
        uint8 side;
        uint8 signatureType;
        uint256 timestamp;
        bytes32 metadata;
        bytes32 builder;
    }
    struct Batched { address target; uint256 value; bytes data; }
    function mint(address to, uint256 amount);
    function resolve(bytes32 condition, uint256 yes, uint256 no);
    function addQuestion(bytes32 market, bytes32 condition);
    function positionOf(bytes32 condition, uint256 outcome) returns (uint256);
    function digest(Order order) returns (bytes32);
    function recover(Order order, bytes signature) returns (address);
    function execute(uint256 nonce, uint256 deadline, Batched[] calls, bytes signature);
    function arm();
    function step();
}

/// anvil with all contracts, and one sender.
pub struct World {
    pub anvil: Anvil,
    pub chain: Chain,
}

impl World {
    pub async fn start() -> Option<World> {
        let anvil = Anvil::start(&[])?;
        let collateral = anvil.deploy("Token", &[]).await;
        let usdc_e = anvil.deploy("Token", &[]).await;
        let conditional_tokens = anvil.deploy("Positions", &[]).await;
        let position_manager = anvil.deploy("Positions", &[]).await;
        let ramp = anvil.deploy("Ramp", &[collateral]).await;
        let contracts = Contracts {
            exchange: anvil.deploy("Exchange", &[]).await,
            neg_risk_exchange: anvil.deploy("Exchange", &[]).await,
            collateral,
            usdc_e,
            conditional_tokens,
            position_manager,
            onramp: ramp,
            offramp: ramp,
            adapter: anvil.deploy("Adapter", &[collateral, conditional_tokens]).await,
            neg_risk_adapter: anvil.deploy("Adapter", &[collateral, conditional_tokens]).await,
            router: anvil.deploy("Adapter", &[collateral, position_manager]).await,
            deposit_factory: anvil.deploy("Factory", &[]).await,
            ..Chain::polygon().contracts().clone()
        };
        let world = World { anvil, chain: Chain::new(31_337, contracts) };
        world.mint(usdc_e, OWNER, 1_000_000_000).await;
        world.mint(collateral, OWNER, 1_000_000_000).await;
        Some(world)
    }

    pub async fn mint(&self, token: Address, to: Address, amount: u64) {
        let data = mintCall { to, amount: U256::from(amount) }.abi_encode();
        self.anvil.act(OTHER, Some(token), data.into()).await;
    }

    pub fn c(&self) -> &Contracts {
        self.chain.contracts()
    }

    pub fn rpc(&self) -> Arc<Rpc> {
        self.rpc_over(std::slice::from_ref(&self.anvil.url))
    }

    pub fn rpc_over(&self, urls: &[String]) -> Arc<Rpc> {
        self.rpc_at(urls, ServerClock::system())
    }

    pub fn rpc_at(&self, urls: &[String], clock: ServerClock) -> Arc<Rpc> {
        let config = RpcConfig { pause_ms: 10, max_head_age_ms: 60_000, ..RpcConfig::default() };
        Arc::new(Rpc::new(&http(urls, None), urls, &self.chain, clock, config).unwrap())
    }

    pub fn sender(&self, rpc: Arc<Rpc>, config: EoaConfig) -> Arc<EoaSender> {
        Arc::new(EoaSender::new(rpc, &key(), config).unwrap())
    }

    /// A read that only these tests need.
    pub async fn view<C: SolCall>(&self, to: Address, call: &C) -> C::Return {
        let data = Bytes::from(call.abi_encode());
        let answer = self.anvil.ask("eth_call", json!([{"to": to, "data": data}, "latest"])).await;
        C::abi_decode_returns(&answer.as_str().unwrap().parse::<Bytes>().unwrap()).unwrap()
    }
}

/// Quick enough for tests.
pub fn quick() -> EoaConfig {
    EoaConfig {
        confirmations: 1,
        poll_ms: 10,
        replace_after_ms: 300,
        deadline_ms: 5_000,
        ..EoaConfig::default()
    }
}

pub fn usd(amount: u64) -> U256 {
    U256::from(amount * 1_000_000)
}

pub fn hash(value: &Value) -> B256 {
    value.as_str().unwrap().parse().unwrap()
}
