//! `desk kill` and `desk unkill` as programs, over real sockets on loopback.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use polydesk_domain::{Price, Shares, Side};
use polydesk_journal::{Kill, LatchFile};
use polydesk_local_exchange::venue::OrderSpec;
use polydesk_local_exchange::wallets::WalletKind;
use polydesk_local_exchange::{Clock, LocalExchange, Running, Setup};
use polydesk_polymarket_api::{Credentials, Secret, SignatureType};
use polydesk_runtime::credentials::{self, AccountCredentials};
use polydesk_runtime::kill::LatchFolder;
use polydesk_runtime::kill::lift::{PAUSED, PHRASE};

use crate::desk;

/// A data folder with a journal folder.
fn folder() -> tempfile::TempDir {
    let data = tempfile::tempdir().unwrap();
    std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::DirBuilder::new().mode(0o700).create(data.path().join("journal")).unwrap();
    data
}

fn latch(data: &Path) -> Kill {
    LatchFile::read(&LatchFolder::of(data)).unwrap().1
}

/// A local exchange with so many open orders of its first account, whose credentials and endpoints are in the folder.
fn exchange(data: &Path, orders: usize) -> (tokio::runtime::Runtime, Running) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let setup = Setup { clock: Clock::Real, ..Setup::test() };
    let exchange = runtime.block_on(LocalExchange::start(setup)).unwrap();
    let account = exchange.accounts()[0].clone();
    let (theirs, wallet) = (account.credentials.unwrap(), account.wallets[&WalletKind::Deposit]);
    for _ in 0..orders {
        exchange.venue(|venue| {
            let token =
                venue.universe().keys().next().unwrap().token(polydesk_domain::Outcome::Yes);
            let spec = OrderSpec::limit(token, Side::Buy, Price::cents(10), Shares::whole(5));
            venue.place_as(theirs.key, wallet, &spec).unwrap();
        });
    }
    let found = AccountCredentials {
        address: account.owner.to_string(),
        funder: wallet.to_string(),
        wallet: SignatureType::Deposit,
        api: Credentials {
            key: theirs.key.to_string(),
            secret: Secret::new(theirs.secret),
            passphrase: Secret::new(theirs.passphrase),
        },
    };
    credentials::write(data, &found).unwrap();
    let urls = exchange.urls();
    let config = format!(
        "[venue]\nclob = \"{}\"\ngamma = \"{}\"\nws_market = \"{}\"\n",
        urls.clob, urls.gamma, urls.market_socket
    );
    std::fs::write(data.join("config.toml"), config).unwrap();
    (runtime, exchange)
}

fn open(exchange: &Running) -> usize {
    let owner = exchange.accounts()[0].owner;
    exchange.venue(|venue| venue.open_orders(&owner).count())
}

#[test]
fn two_hundred_orders_are_cancelled_and_the_folder_stays_killed() {
    let data = folder();
    let (_runtime, exchange) = exchange(data.path(), 200);
    let config = data.path().join("config.toml");
    // It watches for late orders for longer than a test should take: what is proven by then is not enough.
    let args = ["kill", "--why", "a test", "--for", "2", "--config", config.to_str().unwrap()];
    let (code, out, error) = desk(data.path(), &args);
    assert_eq!(open(&exchange), 0, "{out}{error}");
    assert_eq!(code, Some(6), "{out}{error}");
    assert!(out.contains("REHEARSAL") && out.contains("no order was open"), "{out}");
    let Kill::Killed(state) = latch(data.path()) else { panic!("{out}{error}") };
    assert_eq!((state.via.as_str(), state.why.as_str()), ("desk", "a test"));
}

#[test]
fn without_credentials_it_latches_all_the_same_and_its_code_says_so() {
    let data = folder();
    let (code, out, error) = desk(data.path(), &["kill"]);
    assert_eq!(code, Some(7), "{out}{error}");
    assert!(out.contains("latched") && error.contains("start `live` once"), "{out}{error}");
    assert!(latch(data.path()).is_killed());
}

#[test]
fn a_folder_without_a_journal_cannot_be_latched_and_it_says_so() {
    let data = tempfile::tempdir().unwrap();
    let (code, out, error) = desk(data.path(), &["kill"]);
    assert_eq!(code, Some(7), "{out}{error}");
    assert!(out.contains("NOT latched"), "{out}");
}

/// Holds the folder's lock in the name of a child.
fn held_by(data: &Path, child: &Child) -> File {
    let mut lock = File::create(data.join("lock")).unwrap();
    lock.lock().unwrap();
    writeln!(lock, "{}", child.id()).unwrap();
    lock
}

/// A shell that waits for another program. A signal that it takes interrupts that.
fn shell(script: &str) -> Child {
    let mut child = Command::new("sh")
        .args(["-c", &format!("exec 3<&0; {script} cat <&3 >/dev/null & echo ready; wait")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

#[test]
fn the_process_that_holds_the_folder_is_signalled_where_it_takes_the_signal() {
    let data = folder();
    let mut child = shell("trap 'exit 9' USR1;");
    let lock = held_by(data.path(), &child);
    let (code, out, error) = desk(data.path(), &["kill"]);
    assert_eq!(code, Some(7), "{out}{error}");
    assert!(out.contains("was signalled"), "{out}{error}");
    assert_eq!(child.wait().unwrap().code(), Some(9));
    drop(lock);

    let mut child = shell("");
    let _lock = held_by(data.path(), &child);
    let (_, out, error) = desk(data.path(), &["kill"]);
    assert!(error.contains("was not signalled"), "{out}{error}");
    assert_eq!(child.try_wait().unwrap(), None, "the signal would have ended it");
    let (_, out, error) = desk(data.path(), &["kill", "--terminate"]);
    assert!(out.contains("was ended"), "{out}{error}");
    assert_eq!(child.wait().unwrap().code(), None, "by a signal");
}

#[test]
fn a_kill_is_lifted_by_the_phrase_only_and_the_next_start_is_paused() {
    let data = folder();
    let (_, out, _) = desk(data.path(), &["kill", "--why", "a test"]);
    assert!(latch(data.path()).is_killed(), "{out}");
    let why = ["unkill", "--why", "well"];
    let cases: &[(&[&str], &str)] = &[
        (&[], "at a terminal"),
        (&["--yes-i-mean", "yes"], "the phrase is"),
        (&["--yes-i-mean", ""], "the phrase is"),
    ];
    for (more, want) in cases {
        let (code, out, error) = desk(data.path(), &[&why[..], more].concat());
        assert_eq!(code, Some(1), "{out}{error}");
        assert!(error.contains(want), "{error}");
        assert!(latch(data.path()).is_killed());
    }
    let no_why = desk(data.path(), &["unkill", "--why", " ", "--yes-i-mean", PHRASE]);
    assert!(no_why.2.contains("a reason is missing"), "{no_why:?}");
    let (code, out, error) = desk(data.path(), &[&why[..], &["--yes-i-mean", PHRASE]].concat());
    assert_eq!(code, Some(0), "{out}{error}");
    assert_eq!(latch(data.path()), Kill::Clear);
    assert!(data.path().join(PAUSED).exists());
}

#[test]
fn a_kill_ends_with_code_0_once_it_is_proven_that_nothing_is_open_and_the_latch_is_written() {
    let data = folder();
    let (_runtime, exchange) = exchange(data.path(), 3);
    let config = data.path().join("config.toml");
    let args = ["kill", "--why", "a test", "--config", config.to_str().unwrap()];
    let (code, out, error) = desk(data.path(), &args);
    assert_eq!((code, open(&exchange)), (Some(0), 0), "{out}{error}");
    assert!(out.contains("latched") && out.contains("no order is open"), "{out}{error}");
    assert!(latch(data.path()).is_killed());
}

#[test]
fn a_kill_that_cannot_be_latched_cancels_everything_and_ends_with_code_5() {
    let data = folder();
    let (_runtime, exchange) = exchange(data.path(), 3);
    std::fs::remove_dir_all(data.path().join("journal")).unwrap();
    let config = data.path().join("config.toml");
    let args = ["kill", "--why", "a test", "--config", config.to_str().unwrap()];
    let (code, out, error) = desk(data.path(), &args);
    assert_eq!((code, open(&exchange)), (Some(5), 0), "{out}{error}");
    assert!(out.contains("NOT latched") || error.contains("NOT latched"), "{out}{error}");
}
