//! Who trades: the key, the wallet that holds the money, and the places they are used at.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use polydesk_polymarket_api::{Endpoints, Secret};
use polydesk_polymarket_wallet::signing::{
    Chain, Key, KeySource, PasswordSource, Wallet, derived_wallets,
};
use polydesk_program::{Done, Failure, say};
use polydesk_settings::{LiveSettings, Settings, WalletKind};

/// Whether a run is real.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// At the venue.
    Venue,
    /// Everything is on loopback.
    Rehearsal,
}

/// The endpoints of the configuration: the venue's own, or all on loopback.
pub fn endpoints(settings: &Settings) -> Done<(Endpoints, Stage)> {
    let (venue, live) = (&settings.runtime.venue, &settings.runtime.live);
    let endpoints = Endpoints {
        clob: venue.clob.clone(),
        gamma: venue.gamma.clone(),
        ws_market: venue.ws_market.clone(),
        ws_user: live.ws_user.clone(),
        relayer: live.relayer.clone(),
        geoblock: live.geoblock.clone(),
        rpc: live.rpc.clone(),
        ..Endpoints::default()
    };
    let pinned = Endpoints::default();
    let places = [
        ("venue.clob", &endpoints.clob, &pinned.clob),
        ("venue.gamma", &endpoints.gamma, &pinned.gamma),
        ("venue.ws_market", &endpoints.ws_market, &pinned.ws_market),
        ("live.ws_user", &endpoints.ws_user, &pinned.ws_user),
        ("live.relayer", &endpoints.relayer, &pinned.relayer),
        ("live.geoblock", &endpoints.geoblock, &pinned.geoblock),
    ];
    if places.iter().all(|(_, url, pinned)| url == pinned) {
        return Ok((endpoints, Stage::Venue));
    }
    let mut urls: Vec<(&str, &str)> =
        places.iter().map(|(key, url, _)| (*key, url.as_str())).collect();
    urls.extend(endpoints.rpc.iter().map(|url| ("live.rpc", url.as_str())));
    for (key, url) in urls {
        if !is_loopback(url) {
            return Err(Failure::Failed(anyhow!(
                "{key} is neither the venue's own address nor on loopback like the others: real orders go to the pinned venue, and a rehearsal reaches nothing but loopback"
            )));
        }
    }
    Ok((endpoints, Stage::Rehearsal))
}

fn is_loopback(url: &str) -> bool {
    let Ok(uri) = url.parse::<http::Uri>() else { return false };
    let plain = uri.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    let host = uri.host().unwrap_or_default();
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    plain && (host == "localhost" || address.is_ok_and(|address| address.is_loopback()))
}

/// The three things that live trading needs together, but for the key.
pub fn acknowledged(live: &LiveSettings) -> Done {
    if live.acknowledge != polydesk_settings::ACKNOWLEDGE {
        return Err(Failure::Failed(anyhow!(
            "live trades real money and does not start by accident: set live.acknowledge = {:?}, or run paper",
            polydesk_settings::ACKNOWLEDGE
        )));
    }
    if live.capital_cap_usd <= polydesk_domain::Usdc::ZERO {
        return Err(Failure::Failed(anyhow!(
            "live.capital_cap_usd is 0: set it to the most pUSD that orders and holdings may cost together"
        )));
    }
    if live.rpc.is_empty() {
        return Err(Failure::Failed(anyhow!(
            "live.rpc names no RPC URL of Polygon: cash and shares are proven on the chain; set one or, better, two"
        )));
    }
    Ok(())
}

/// Reads the key from where the configuration says it is.
pub fn key(live: &LiveSettings) -> Done<Key> {
    let source = if !live.key_file.is_empty() {
        KeySource::File(PathBuf::from(&live.key_file))
    } else if !live.keystore.is_empty() {
        let password = match live.keystore_password_env.as_str() {
            "" => PasswordSource::Prompt,
            name => PasswordSource::Env(name.to_owned()),
        };
        KeySource::Keystore { path: PathBuf::from(&live.keystore), password }
    } else if !live.key_env.is_empty() {
        say(format_args!(
            "warning: the key comes from the variable {}: every process of this user can read it in /proc; a file of mode 0600 or a keystore is better",
            live.key_env
        ));
        KeySource::Env(live.key_env.clone())
    } else {
        return Err(Failure::Key(anyhow!(
            "no key: set live.keystore or live.key_file (mode 0600), or live.key_env"
        )));
    };
    source.load().map_err(|error| Failure::Key(anyhow::Error::from(error)))
}

/// The token that kills over HTTP, if there is one.
pub fn kill_token(live: &LiveSettings) -> Done<Option<Secret>> {
    if live.kill_token_file.is_empty() {
        return Ok(None);
    }
    let path = Path::new(&live.kill_token_file);
    let token = polydesk_polymarket_wallet::signing::read_private(path)
        .map_err(|error| Failure::Failed(anyhow::Error::from(error)))?;
    Ok(Some(token))
}

/// The wallet that holds the money.
pub fn wallet(live: &LiveSettings, key: &Key, chain: &Chain) -> Done<Wallet> {
    let derived = derived_wallets(key.address(), chain.contracts());
    let wanted = match live.wallet {
        WalletKind::Eoa => Wallet::Eoa,
        WalletKind::Proxy => Wallet::Proxy(derived.proxy),
        WalletKind::Safe => Wallet::Safe(derived.safe),
        WalletKind::Deposit => Wallet::Deposit(derived.deposit_beacon),
    };
    if live.address.is_empty() {
        return Ok(wanted);
    }
    let address = live.address.parse().with_context(|| {
        format!("live.address is {:?}; it must be 0x and 40 hex digits", live.address)
    })?;
    match (live.wallet, derived.kind_of(address)) {
        (WalletKind::Eoa, _) if address == key.address() => Ok(Wallet::Eoa),
        (WalletKind::Proxy, Some(wallet @ Wallet::Proxy(_)))
        | (WalletKind::Safe, Some(wallet @ Wallet::Safe(_)))
        | (WalletKind::Deposit, Some(wallet @ Wallet::Deposit(_))) => Ok(wallet),
        _ => Err(Failure::Key(anyhow!(
            "live.address {address} is no {:?} wallet of the key {}: that would be {}; correct live.wallet, live.address or the key",
            live.wallet,
            key.address(),
            wanted.funder(key.address())
        ))),
    }
}
