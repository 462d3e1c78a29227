//! `desk balance`, `approve` and `doctor` as programs against a local exchange: its nodes, its wallets, its relayer.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use polydesk_local_exchange::wallets::{TEST_KEYS, WalletKind};
use polydesk_local_exchange::{Clock, LocalExchange, Running, Setup};

use crate::desk;

fn exchange(folder: &Path) -> (tokio::runtime::Runtime, Running) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let setup = Setup { clock: Clock::Real, ..Setup::test() };
    let exchange = runtime.block_on(LocalExchange::start(setup)).unwrap();
    let key = folder.join("key");
    std::fs::write(&key, TEST_KEYS[0]).unwrap();
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let urls = exchange.urls();
    let config = format!(
        "[venue]\nclob = {:?}\ngamma = {:?}\nws_market = {:?}\n[live]\nwallet = \"deposit\"\nkey_file = {key:?}\n\
         rpc = [{:?}, {:?}]\nws_user = {:?}\nrelayer = {:?}\ngeoblock = {:?}\n",
        urls.clob,
        urls.gamma,
        urls.market_socket,
        urls.rpc[0],
        urls.rpc[1],
        urls.user_socket,
        urls.relayer,
        urls.geoblock
    );
    std::fs::write(folder.join("config.toml"), config).unwrap();
    (runtime, exchange)
}

#[test]
fn the_doctor_opens_the_account_and_the_balance_then_needs_no_key() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let (_runtime, exchange) = exchange(folder.path());
    let config = folder.path().join("config.toml");
    let config = config.to_str().unwrap();
    let (code, _, error) = desk(folder.path(), &["balance", "--config", config]);
    assert_eq!(code, Some(1));
    assert!(error.contains("live writes at its first start"), "{error}");

    let (code, out, error) = desk(folder.path(), &["doctor", "--config", config]);
    for check in ["key", "geoblock", "account", "chain", "signature", "balance", "approvals"] {
        assert!(out.contains(&format!("ok   {check}")), "{check}:\n{out}{error}");
    }
    assert_eq!(code, Some(0), "{out}{error}");

    std::fs::remove_file(folder.path().join("key")).unwrap();
    let (code, out, error) = desk(folder.path(), &["balance", "--config", config]);
    assert_eq!(code, Some(0), "{out}{error}");
    assert!(out.contains("pUSD          1000.00") && out.contains("venue's copy  1000"), "{out}");
    let wallet = exchange.accounts()[0].wallets[&WalletKind::Deposit];
    assert!(out.contains(&wallet.to_string()), "{out}");
}

#[test]
fn approvals_that_are_missing_are_shown_and_sent_only_when_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let (_runtime, exchange) = exchange(folder.path());
    let config = folder.path().join("config.toml");
    let config = config.to_str().unwrap();
    let wallet = exchange.accounts()[0].wallets[&WalletKind::Deposit];
    let (code, _, error) = desk(folder.path(), &["approve", "--config", config]);
    assert!(code == Some(1) && error.contains("live.capital_cap_usd is 0"), "{error}");
    let (code, out, error) = desk(folder.path(), &["approve", "--unlimited", "--config", config]);
    assert!(code == Some(0) && out.contains("0 missing"), "{out}{error}");
    // An allowance beyond the cap is one to lower.
    let (code, out, _) = desk(folder.path(), &["approve", "--cap", "500", "--config", config]);
    assert!(code == Some(0) && out.contains("4 missing") && out.contains("above the cap"), "{out}");
    exchange.venue(|venue| venue.approve(&wallet, false));
    let (code, out, _) = desk(folder.path(), &["doctor", "--config", config]);
    assert!(
        code == Some(3) && out.contains("BAD  approvals") && out.contains("desk approve"),
        "{out}"
    );
    let (code, out, error) = desk(folder.path(), &["approve", "--cap", "500", "--config", config]);
    assert_eq!(code, Some(0), "{out}{error}");
    assert!(out.contains("8 missing") && out.contains("nothing was sent"), "{out}");
    let allowed =
        || exchange.venue(|venue| venue.ledger().wallet(&wallet).unwrap().allowances.len());
    assert_eq!(allowed(), 0);
    let (code, _, error) = desk(folder.path(), &["approve", "--cap", "0", "--config", config]);
    assert!(code == Some(1) && error.contains("--cap is 0"), "{error}");
}

#[test]
fn x10_approvals_are_sent_through_the_relayer_and_bounded_by_ten_times_the_capital_cap() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let (_runtime, exchange) = exchange(folder.path());
    let path = folder.path().join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("[live]\n", "[live]\ncapital_cap_usd = 70\n")).unwrap();
    let config = path.to_str().unwrap();
    let wallet = exchange.accounts()[0].wallets[&WalletKind::Deposit];
    exchange.venue(|venue| venue.approve(&wallet, false));
    let (code, out, error) = desk(folder.path(), &["approve", "--yes", "--config", config]);
    assert_eq!(code, Some(0), "{out}{error}");
    assert_eq!(exchange.count("POST", "/submit"), 1, "{out}{error}");
    let given = exchange.venue(|venue| venue.ledger().wallet(&wallet).unwrap().allowances.clone());
    assert_eq!(given.len(), 8, "{given:?}");
    // Outcome tokens are all or none; pUSD is bounded.
    let bounded = given.values().filter(|amount| amount.to_string() == "700000000").count();
    assert_eq!(bounded, 4, "{given:?}");
    let (code, out, error) = desk(folder.path(), &["doctor", "--config", config]);
    assert!(code == Some(0) && out.contains("ok   approvals"), "{out}{error}");
    let (code, out, error) = desk(folder.path(), &["approve", "--yes", "--config", config]);
    assert!(code == Some(0) && out.contains("0 missing"), "{out}{error}");
    assert_eq!(exchange.count("POST", "/submit"), 1, "nothing is sent twice");
}
