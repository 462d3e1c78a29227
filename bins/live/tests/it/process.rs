//! Runs the program against an exchange in this process, whose truth can be read.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use polydesk_domain::{Outcome, Shares, Usdc};
use polydesk_local_exchange::wallets::{TEST_KEYS, WalletKind};
use polydesk_local_exchange::{LimitSetup, LocalExchange, Running, Setup};
use serde_json::Value;

/// An exchange on real sockets, and a folder for a process.
pub struct World {
    pub exchange: Running,
    pub folder: tempfile::TempDir,
    _runtime: tokio::runtime::Runtime,
}

impl World {
    /// The demo markets, which move.
    pub fn new(seed: u64) -> World {
        World::with(Setup { seed, limits: LimitSetup::lenient(), ..Setup::default() })
    }

    pub fn with(setup: Setup) -> World {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let exchange = runtime.block_on(LocalExchange::start(setup)).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("key");
        std::fs::write(&key, TEST_KEYS[0]).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        World { exchange, folder, _runtime: runtime }
    }

    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A configuration with further lines at its end.
    pub fn config(&self, more: &str) -> PathBuf {
        let urls = self.exchange.urls();
        let key = self.folder.path().join("key");
        let text = format!(
            "[venue]\nclob = {:?}\ngamma = {:?}\nws_market = {:?}\n\
             [live]\nacknowledge = \"this trades real money\"\ncapital_cap_usd = 700\nwallet = \"deposit\"\n\
             key_file = {key:?}\nrpc = [{:?}, {:?}]\nws_user = {:?}\nrelayer = {:?}\ngeoblock = {:?}\n\
             [markets]\nmin_liquidity_usd = 0\nmin_volume_24h_usd = 0\nmax_spread = 1\nmin_left_secs = 0\n\
             refresh_secs = 5\nwatch_secs = 2\n\
             [health]\nlisten = \"\"\n\
             {more}\n",
            urls.clob,
            urls.gamma,
            urls.market_socket,
            urls.rpc[0],
            urls.rpc[1],
            urls.user_socket,
            urls.relayer,
            urls.geoblock
        );
        let path = self.folder.path().join("live.toml");
        std::fs::write(&path, text).unwrap();
        path
    }

    /// The program with this configuration. Nothing of this environment reaches it.
    pub fn live(&self, more: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_live"));
        let ours =
            std::env::vars().map(|(name, _)| name).filter(|name| name.starts_with("POLYDESK"));
        for name in ours.chain(["CARGO".to_owned()]) {
            command.env_remove(name);
        }
        command.current_dir(self.folder.path());
        command.arg("--config").arg(self.config(more)).arg("--data").arg(self.data());
        command.stdout(Stdio::null()).stderr(Stdio::piped()).stdin(Stdio::null());
        command
    }

    fn wallet<T>(
        &self,
        read: impl FnOnce(
            &polydesk_local_exchange::venue::Venue,
            &polydesk_local_exchange::venue::Wallet,
        ) -> T,
    ) -> T {
        let owner = self.exchange.accounts()[0].wallets[&WalletKind::Deposit];
        self.exchange.venue(|venue| {
            let wallet = venue.ledger().wallet(&owner).unwrap().clone();
            read(venue, &wallet)
        })
    }

    /// pUSD on the chain.
    pub fn cash(&self) -> Usdc {
        self.wallet(|_, wallet| wallet.cash)
    }

    /// Settled shares by market and outcome, those that are none left out.
    pub fn shares(&self) -> Vec<(String, Outcome, Shares)> {
        let mut held: Vec<(String, Outcome, Shares)> = self.wallet(|venue, wallet| {
            let ids = venue.universe();
            let tokens = ids.keys().flat_map(|key| Outcome::BOTH.map(|of| (key, of)));
            let held = tokens.map(|(key, of)| {
                (ids.market(key).slug.clone(), of, wallet.holding(key.token(of)).settled)
            });
            held.filter(|(_, _, shares)| !shares.is_zero()).collect()
        });
        held.sort();
        held
    }

    /// Orders of the account: all that ever arrived, and those that are open.
    pub fn orders(&self) -> (usize, usize) {
        let owner = self.exchange.accounts()[0].wallets[&WalletKind::Deposit];
        self.exchange.venue(|venue| {
            let ours = || venue.orders().filter(|order| order.wallet == owner);
            (ours().count(), ours().filter(|order| !order.status.ended()).count())
        })
    }

    /// Whether something of the account is matched and not settled.
    pub fn moving(&self) -> bool {
        self.wallet(|_, wallet| {
            !wallet.leaving.is_zero()
                || wallet
                    .holdings
                    .values()
                    .any(|held| !held.incoming.is_zero() || !held.leaving.is_zero())
        })
    }
}

/// A running program whose lines on standard error are read.
pub struct Process {
    pub child: Child,
    lines: std::sync::mpsc::Receiver<String>,
    pub seen: Vec<String>,
}

/// A test that fails leaves no program behind.
impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    pub fn start(mut command: Command) -> Process {
        let mut child = command.spawn().unwrap();
        let from = child.stderr.take().unwrap();
        let (to, lines) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                if to.send(line).is_err() {
                    return;
                }
            }
        });
        Process { child, lines, seen: Vec::new() }
    }

    /// Waits for a line that begins so; the program must not end before.
    pub fn line(&mut self, begins: &str) -> String {
        let limit = std::time::Duration::from_secs(90);
        while let Ok(line) = self.lines.recv_timeout(limit) {
            self.seen.push(line.clone());
            if line.starts_with(begins) {
                return line;
            }
        }
        panic!("no line begins with {begins:?}:\n{}", self.seen.join("\n"));
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([&format!("-{name}"), &id]).status().unwrap();
        assert!(sent.success());
    }

    /// As `kill -9` ends it.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Exit code and everything on standard error.
    pub fn ended(mut self) -> (Option<i32>, String) {
        let code = self.child.wait().unwrap().code();
        let rest: Vec<String> = self.lines.iter().collect();
        self.seen.extend(rest);
        (code, self.seen.join("\n"))
    }
}

/// The answer of the process that runs on a data folder.
pub fn ask(data: &Path, path: &str) -> Option<Value> {
    request(data, "GET", path)
}

/// The answer to a command.
pub fn post(data: &Path, path: &str) -> Option<Value> {
    request(data, "POST", path)
}

fn request(data: &Path, method: &str, path: &str) -> Option<Value> {
    let mut socket = UnixStream::connect(data.join("desk.sock")).ok()?;
    let request = format!(
        "{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    socket.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer).ok()?;
    serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()
}

/// Polls the glance until it satisfies a condition: when the process writes a line, and ten times a second.
pub fn until(
    data: &Path,
    process: &mut Process,
    what: &str,
    holds: impl Fn(&Value) -> bool,
) -> Value {
    #[expect(clippy::disallowed_methods, reason = "a test of the real program measures")]
    let began = std::time::Instant::now();
    loop {
        let ended = process.child.try_wait().unwrap();
        assert_eq!(ended, None, "it ended while {what} was awaited:\n{}", process.seen.join("\n"));
        let value = ask(data, "/v1/status").unwrap_or_default();
        let glance = &value["glance"];
        if glance.is_object() && holds(glance) {
            return glance.clone();
        }
        let late = began.elapsed().as_secs() >= 120;
        assert!(!late, "{what} never came: {glance:#}\n{}", process.seen.join("\n"));
        if let Ok(line) = process.lines.recv_timeout(std::time::Duration::from_millis(100)) {
            process.seen.push(line);
        }
    }
}
