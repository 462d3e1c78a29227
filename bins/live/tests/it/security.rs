//! Security of the real program: what it writes and shows, whom it talks to, and what it signs.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use base64::Engine as _;
use polydesk_local_exchange::wallets::{TEST_KEYS, WalletKind};
use serde_json::Value;

use crate::process::{Process, World, ask, until};
use crate::scenarios::{QUOTES, Run, ready};

/// A secret as text, as hex and base64 of its text, and its two halves.
fn forms(secret: &str) -> Vec<String> {
    let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
    let base64 = base64::engine::general_purpose::STANDARD_NO_PAD.encode(secret);
    let half = secret.len() / 2;
    vec![secret.to_owned(), hex, base64, secret[..half].to_owned(), secret[half..].to_owned()]
}

/// What must not be seen: the key, and what signs requests.
fn secrets(world: &World) -> Vec<String> {
    let theirs = world.exchange.accounts()[0].credentials.clone().unwrap();
    let key = TEST_KEYS[0].trim_start_matches("0x").to_owned();
    [theirs.secret, theirs.passphrase, key].iter().flat_map(|secret| forms(secret)).collect()
}

/// Every file below a folder but those whose very purpose is to hold a secret, which must be their owner's alone.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        let about = std::fs::symlink_metadata(&path).unwrap();
        if about.is_dir() {
            files(&path, found);
        } else if path.ends_with("credentials") || path.ends_with("key") {
            assert_eq!(about.permissions().mode() & 0o077, 0, "{name} is open to others");
        } else if about.is_file() {
            found.push((name, std::fs::read(&path).unwrap()));
        }
    }
}

fn hidden(world: &World, shown: &[(String, Vec<u8>)]) {
    for secret in secrets(world) {
        for (place, bytes) in shown {
            let found = bytes.windows(secret.len()).any(|part| part == secret.as_bytes());
            assert!(!found, "a secret of {} letters is in {place}", secret.len());
        }
    }
}

/// Errors of every kind on the way of orders, cancels, reads and the chain.
const ERRORS: &str = "[[answers]]\nendpoint = \"POST /order*\"\ncalls = \"2\"\nstatus = 401\nbody = \"{\\\"error\\\":\\\"Unauthorized/Invalid api key\\\"}\"\n[[answers]]\nendpoint = \"POST /order*\"\ncalls = \"3\"\nact = \"lose_answer\"\n[[answers]]\nendpoint = \"DELETE *\"\ncalls = \"1\"\nact = \"lose_answer\"\n[[answers]]\nendpoint = \"GET /data/*\"\ncalls = \"3\"\nstatus = 500\nbody = \"oops\"\n[[rpc]]\nmethod = \"eth_getLogs\"\ncalls = \"2\"\nact = \"error\"\ncode = -32000\nmessage = \"no\"\n";

#[test]
fn x4_real_no_secret_is_in_any_file_answer_or_line_of_the_program() {
    let config = format!("{QUOTES}[logs]\nlevel = \"debug\"\n[journal]\nrecording = true\n");
    let mut run = Run::with(World::new(41), ERRORS, &config, 6);
    run.fill(5);
    let data = run.world.data();
    let mut shown = Vec::new();
    for path in ["/v1/status", "/health", "/ready", "/metrics", "/v1/limits"] {
        let answer: Option<Value> = ask(&data, path);
        shown.push((path.to_owned(), answer.unwrap_or_default().to_string().into_bytes()));
    }
    run.agrees();
    // As the operator's program, a debugger of the same user and a core dump would see it.
    let id = run.process.child.id();
    let proc = |name: &str| std::fs::read(format!("/proc/{id}/{name}")).unwrap_or_default();
    let limits = String::from_utf8(proc("limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{core}");
    shown.push(("its arguments".to_owned(), proc("cmdline")));
    shown.push(("its environment".to_owned(), proc("environ")));
    run.process.signal("TERM");
    let Run { world, process, .. } = run;
    let (code, said) = process.ended();
    assert_eq!(code, Some(0), "{said}");
    shown.push(("standard error".to_owned(), said.into_bytes()));
    let before = shown.len();
    files(world.folder.path(), &mut shown);
    assert!(shown.len() > before + 5, "too few files were looked at");
    hidden(&world, &shown);
}

#[test]
fn x11_real_a_recording_of_a_run_holds_no_secret() {
    let config = format!("{QUOTES}[journal]\nrecording = true\n");
    let run = Run::with(World::new(42), "", &config, 4);
    let Run { world, process, .. } = run;
    process.kill();
    // What a person would put into a bug report: the data folder without its credentials, and the configuration.
    let mut shown = Vec::new();
    files(&world.data(), &mut shown);
    let config = std::fs::read(world.folder.path().join("live.toml")).unwrap();
    shown.push(("the configuration".to_owned(), config));
    assert!(shown.iter().any(|(name, _)| name.ends_with(".seg")), "no journal was looked at");
    hidden(&world, &shown);
    // The scan sees what is planted.
    let planted = secrets(&world)[3].clone();
    let seen = std::panic::catch_unwind(|| {
        hidden(&world, &[("a plant".to_owned(), format!("x{planted}y").into_bytes())]);
    });
    assert!(seen.is_err(), "a planted half of a secret is not seen");
}

#[test]
fn x5_real_a_key_that_others_could_read_starts_nothing_and_no_place_of_the_process_shows_it() {
    let world = World::new(43);
    let key = world.folder.path().join("key");
    let refused = |more: &str, words: &str| {
        let (code, said) = Process::start(world.live(more)).ended();
        assert!(code == Some(8) && said.contains(words), "{more}: {code:?}\n{said}");
        assert!(!said.contains(TEST_KEYS[0].trim_start_matches("0x")), "{said}");
    };
    for mode in [0o644, 0o640, 0o660, 0o604] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        refused("", "chmod 600");
    }
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    // Only root can give a file away.
    if std::os::unix::fs::chown(&key, Some(65_534), None).is_ok() {
        refused("", "belongs to user 65534");
        let root = std::fs::metadata(world.folder.path()).unwrap();
        let owner = std::os::unix::fs::MetadataExt::uid(&root);
        std::os::unix::fs::chown(&key, Some(owner), None).unwrap();
    }
    // A key in the arguments is not taken.
    let mut command = world.live("");
    command.args(["--key", TEST_KEYS[0]]);
    let (code, said) = Process::start(command).ended();
    assert_eq!(code, Some(2), "{said}");
    assert_eq!(world.orders(), (0, 0));
    let mut process = Process::start(world.live(QUOTES));
    until(&world.data(), &mut process, "an open gate", ready);
    let id = process.child.id();
    for name in ["cmdline", "environ", "status", "maps"] {
        let text = std::fs::read(format!("/proc/{id}/{name}")).unwrap_or_default();
        let key = TEST_KEYS[0].trim_start_matches("0x").as_bytes();
        assert!(!text.windows(key.len()).any(|part| part == key), "{name} shows the key");
    }
    process.kill();
}

#[test]
fn x8_real_another_host_for_any_endpoint_starts_nothing_and_nothing_is_signed() {
    let world = World::new(44);
    let places = [
        ("VENUE__CLOB", "venue.clob", "https://clob.polymarket.com.example.org"),
        ("VENUE__GAMMA", "venue.gamma", "https://gamma.example.org"),
        ("VENUE__WS_MARKET", "venue.ws_market", "wss://ws.example.org/ws/market"),
        ("LIVE__WS_USER", "live.ws_user", "wss://ws.example.org/ws/user"),
        ("LIVE__RELAYER", "live.relayer", "https://relayer.example.org"),
        ("LIVE__GEOBLOCK", "live.geoblock", "https://example.org/geoblock"),
        ("LIVE__RPC", "live.rpc", "[\"https://rpc.example.org\"]"),
        // A name in front of the venue's own, and a port behind loopback's.
        ("LIVE__RELAYER", "live.relayer", "http://127.0.0.1:9@example.org"),
        ("VENUE__CLOB", "venue.clob", "http://127.0.0.1.example.org"),
    ];
    let text = std::fs::read_to_string(world.config("")).unwrap();
    for (variable, key, url) in places {
        let value = if url.starts_with('[') { url.to_owned() } else { format!("{url:?}") };
        let mut by_environment = world.live("");
        by_environment.env(format!("POLYDESK__{variable}"), &value);
        // The same in the file.
        let (_, name) = key.split_once('.').unwrap();
        let lines = text.lines().map(|line| match line.starts_with(&format!("{name} = ")) {
            true => format!("{name} = {value}"),
            false => line.to_owned(),
        });
        let file = world.folder.path().join("other.toml");
        std::fs::write(&file, lines.collect::<Vec<_>>().join("\n")).unwrap();
        let mut by_file = std::process::Command::new(env!("CARGO_BIN_EXE_live"));
        by_file.arg("--config").arg(&file).arg("--data").arg(world.data());
        by_file.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
        for command in [by_environment, by_file] {
            let (code, said) = Process::start(command).ended();
            assert!(matches!(code, Some(1 | 3)), "{key} = {url}: {code:?}\n{said}");
            assert!(said.contains(key) && said.contains("loopback"), "{key} = {url}:\n{said}");
        }
    }
    assert!(world.exchange.received().is_empty(), "a request left");
}

#[test]
fn x9_real_everything_that_was_signed_is_an_order_of_the_own_wallet_within_the_cap() {
    let mut run = Run::begin(45, "", 6);
    run.fill(5);
    run.agrees();
    let account = run.world.exchange.accounts()[0].clone();
    let wallet = account.wallets[&WalletKind::Deposit].to_string().to_lowercase();
    let mut orders = 0;
    for request in run.world.exchange.received() {
        if request.method != "POST" || !request.path.starts_with("/order") {
            // Nothing but orders carries a signature of the key, but for the login.
            assert!(
                request.path != "/submit" && !request.path.contains("session"),
                "{} {}",
                request.method,
                request.path
            );
            continue;
        }
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        let rows = body.as_array().cloned().unwrap_or_else(|| vec![body]);
        for row in rows {
            orders += 1;
            let order = &row["order"];
            assert_eq!(order["maker"].as_str().unwrap().to_lowercase(), wallet, "{order}");
            let amount = |name: &str| order[name].as_str().unwrap().parse::<u64>().unwrap();
            if order["side"] == "BUY" {
                // The limit of an order is a hundred dollars, the cap of all seven hundred.
                assert!(amount("makerAmount") <= 100_000_000, "{order}");
            }
            let known: polydesk_domain::TokenId =
                order["tokenId"].as_str().unwrap().parse().unwrap();
            let listed = run.world.exchange.venue(|venue| venue.universe().token(&known).is_some());
            assert!(listed, "{order}");
        }
    }
    assert!(orders >= 6, "{orders} orders were looked at");
    run.ends();
}

/// USDC.e is no collateral of the venue, and a token that calls itself pUSD is none.
#[test]
fn p20_real_other_tokens_in_the_wallet_are_no_money_and_a_venue_that_shows_none_stops_nothing() {
    let world = World::new(46);
    let wallet = world.exchange.accounts()[0].wallets[&WalletKind::Deposit].to_string();
    let faults = format!(
        "[[chain]]\nact = \"token\"\ntoken = \"0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174\"\nwallet = \"{wallet}\"\namount = \"500000000\"\n\
         [[chain]]\nact = \"token\"\ntoken = \"0xC011a7E12a19f7B1f670d46F03B03f3342E82DFC\"\nwallet = \"{wallet}\"\namount = \"900000000\"\n\
         [[answers]]\nendpoint = \"GET /balance-allowance\"\nbody = \"{{\\\"balance\\\":\\\"0\\\",\\\"allowances\\\":{{}}}}\"\n"
    );
    let mut run = Run::with(world, &faults, QUOTES, 4);
    run.fill(5);
    let glance = run.ends();
    assert!(
        crate::crash::cash(&glance) < polydesk_domain::Usdc::whole(1_001),
        "{}",
        glance["money"]
    );
}
