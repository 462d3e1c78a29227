//! An account that is opened: everything that was made of its key.

use std::path::Path;
use std::sync::Arc;

use anyhow::anyhow;
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::{Credentials, Endpoints, Http, L2Auth, ServerClock};
use polydesk_polymarket_wallet::chain::{
    EoaConfig, EoaSender, Relayer, RelayerAuth, RelayerConfig, Rpc, RpcConfig, Wallets,
};
use polydesk_polymarket_wallet::signing::{
    Address, Chain, Key, OrderSigner, Wallet, derive_or_create_api_key,
};
use polydesk_program::{Done, Failure};
use polydesk_runtime::assembly::Venue;
use polydesk_runtime::credentials::{self, AccountCredentials};
use polydesk_runtime::start::Check;
use polydesk_settings::{LiveSettings, Settings};

use crate::relayer_key::{self, RelayerKeyError};
use crate::{access, checks};

/// A key with its wallet, at a venue that has given it credentials.
pub struct Opened {
    /// The key.
    pub key: Arc<Key>,
    /// What holds the money.
    pub wallet: Wallet,
    /// Its address.
    pub funder: Address,
    /// The chain.
    pub chain: Chain,
    /// One or two nodes of it.
    pub rpc: Arc<Rpc>,
    /// The venue's credentials.
    pub credentials: Credentials,
    /// The same, as headers are made of it.
    pub auth: L2Auth,
    /// A client with them.
    pub clob: Clob,
    /// Signs orders in the form that the wallet accepts.
    pub signer: OrderSigner,
    /// What was checked.
    pub checks: Vec<Check>,
    endpoints: Endpoints,
    http: Http,
    clock: ServerClock,
}

/// Opens the account of a key: finds its wallet, gets its credentials, and keeps them in the data folder for a kill.
///
/// # Errors
/// The wallet does not fit the key, or the venue gives no credentials.
pub async fn open(
    settings: &Settings,
    venue: &Venue,
    data: &Path,
    endpoints: &Endpoints,
    key: Arc<Key>,
) -> Done<Opened> {
    let live = &settings.runtime.live;
    let reach = settings.runtime.start.reach_secs;
    let chain = Chain::polygon();
    let wallet = access::wallet(live, &key, &chain)?;
    let funder = wallet.funder(key.address());
    let clock = venue.clock.server().clone();
    let rpc = Rpc::new(&venue.http, &endpoints.rpc, &chain, clock.clone(), RpcConfig::default());
    let rpc = Arc::new(rpc.map_err(|error| Failure::Failed(error.into()))?);
    let credentials = checks::patient(reach, async || {
        derive_or_create_api_key(&venue.clob, &key, chain.id(), 0).await
    });
    let credentials: Credentials = credentials.await.map_err(|error| {
        Failure::Key(anyhow!("the venue gives no API credentials for {}: {error}", key.address()))
    })?;
    let auth = L2Auth::new(key.address().to_checksum(None), credentials.clone())
        .map_err(|error| Failure::Key(error.into()))?;
    // From here on a kill needs neither key nor password.
    let kept = AccountCredentials {
        address: key.address().to_checksum(None),
        funder: funder.to_checksum(None),
        wallet: wallet.signature_type(),
        api: credentials.clone(),
    };
    credentials::write(data, &kept).map_err(|error| Failure::Failed(anyhow::Error::from(error)))?;
    let clob = venue.clob.with_auth(auth.clone(), wallet.signature_type());
    let signer = OrderSigner::new(Arc::clone(&key), wallet, &chain);
    let (signed, form) = checks::signature(&rpc, &chain, &signer).await;
    let checks = vec![
        checks::place(&venue.http, &endpoints.geoblock).await,
        checks::account(&clob).await,
        checks::chain(&rpc, &clock).await,
        signed,
        checks::balance(&clob, &rpc, &chain, funder, live.capital_cap_usd).await,
        checks::approvals(&rpc, &chain, funder).await,
    ];
    let (endpoints, http) = (endpoints.clone(), venue.http.clone());
    let signer = signer.with_form(form);
    Ok(Opened {
        key,
        wallet,
        funder,
        chain,
        rpc,
        credentials,
        auth,
        clob,
        signer,
        checks,
        endpoints,
        http,
        clock,
    })
}

impl Opened {
    /// Sends transactions of the wallet. A wallet that is a contract needs the relayer and its credentials.
    ///
    /// # Errors
    /// There are none, or they cannot be read.
    pub async fn sender(&self, live: &LiveSettings, data: &Path) -> Done<Wallets> {
        let wrong =
            |error: polydesk_polymarket_wallet::chain::ChainError| Failure::Failed(error.into());
        if self.wallet == Wallet::Eoa {
            let sender = EoaSender::new(Arc::clone(&self.rpc), &self.key, EoaConfig::default());
            return Ok(sender.map_err(wrong)?.into());
        }
        let relayer = Relayer::new(
            self.http.clone(),
            &self.endpoints.relayer,
            relayer_auth(live, data, &self.clob).await?,
            self.clock.clone(),
            RelayerConfig::default(),
            self.chain.clone(),
            Arc::clone(&self.key),
            self.wallet,
            Some(Arc::clone(&self.rpc)),
        );
        Ok(relayer.map_err(wrong)?.into())
    }
}

/// The relayer's credentials: of the file that the settings name, or of the one in the data folder, which a builder key
/// of the account is put into at first use.
async fn relayer_auth(live: &LiveSettings, data: &Path, clob: &Clob) -> Done<RelayerAuth> {
    let wrong = |error: RelayerKeyError| Failure::Key(error.into());
    if !live.relayer_key_file.is_empty() {
        return relayer_key::read(Path::new(&live.relayer_key_file)).map_err(wrong);
    }
    let path = data.join(relayer_key::FILE);
    if !relayer_key::exists(&path).map_err(wrong)? {
        let made = clob.create_builder_key().await.map_err(|error| {
            Failure::Key(anyhow!(
                "the venue gives no builder key, which the relayer wants for wallets that are contracts: {error}; make one in the account's settings and name its file in live.relayer_key_file"
            ))
        })?;
        relayer_key::write(&path, &made).map_err(wrong)?;
    }
    relayer_key::read(&path).map_err(wrong)
}
