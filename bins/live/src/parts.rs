//! What live trading plugs in: the wallet's signer, the chain behind it, and clients with the account's credentials.

use std::path::Path;
use std::sync::Arc;

use ::live::chain::WalletChain;
use ::live::conversions::Book;
use ::live::relayer_key::{self, RelayerKeyError};
use anyhow::{Context as _, anyhow};
use polydesk_domain::{Shares, Span};
use polydesk_gateway::{Account, BuilderFees};
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::{Credentials, Endpoints, Http, HttpConfig, L2Auth, LimitsConfig};
use polydesk_polymarket_wallet::chain::{
    EoaConfig, EoaSender, Relayer, RelayerAuth, RelayerConfig, Rpc, RpcConfig, Wallets,
};
use polydesk_polymarket_wallet::signing::{
    Chain, Key, OrderSigner, OrderStamps, Scope, ScopedSigner, Wallet, derive_or_create_api_key,
};
use polydesk_program::{Done, Failure, Folder};
use polydesk_runtime::assembly::{StartError, Venue};
use polydesk_runtime::credentials::{self, AccountCredentials};
use polydesk_runtime::kill::{Killer, LatchFolder, LatchThread};
use polydesk_runtime::live::assembly::LiveParts;
use polydesk_runtime::live::chain::{ChainLane, Rows};
use polydesk_runtime::live::guarding::Guarding;
use polydesk_runtime::live::orders::MaxAges;
use polydesk_runtime::live::stops::{StopAt, Stops};
use polydesk_runtime::start::Check;
use polydesk_settings::{LiveSettings, Settings};

use crate::access::{self, Stage};
use crate::checks;

/// What a start begins with.
pub struct Begun<'a> {
    /// The data folder, locked.
    pub folder: &'a Folder,
    /// Where everything is.
    pub endpoints: Endpoints,
    /// Whether it is real.
    pub stage: Stage,
    /// The way to the kill thread.
    pub killer: Killer,
    /// The wallet's key.
    pub key: Arc<Key>,
}

/// Makes the parts, and the checks that need the account.
pub async fn make(
    settings: &Settings,
    venue: &Venue,
    begun: Begun<'_>,
) -> Done<(Vec<Check>, LiveParts)> {
    let Begun { endpoints, stage, key, folder, killer } = begun;
    let latch = LatchThread::start(LatchFolder::of(folder.path()))
        .context("the thread of the latch cannot be started")?;
    let live = &settings.runtime.live;
    let reach = settings.runtime.start.reach_secs;
    let stops = stops(settings, stage)?;
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
    credentials::write(folder.path(), &kept)
        .map_err(|error| Failure::Failed(anyhow::Error::from(error)))?;
    let clob = venue.clob.with_auth(auth.clone(), wallet.signature_type());
    let signer = OrderSigner::new(Arc::clone(&key), wallet, &chain);
    let (signed, form) = checks::signature(&rpc, &chain, &signer).await;
    let list = vec![
        checks::place(&venue.http, &endpoints.geoblock).await,
        checks::account(&clob).await,
        checks::chain(&rpc, &clock).await,
        signed,
        checks::balance(&clob, &rpc, &chain, funder, live.capital_cap_usd).await,
        checks::approvals(&rpc, &chain, funder).await,
    ];
    let limits = settings.limits.raw();
    let scope = Scope {
        // An exit may cost nothing and an entry never more than the gate lets pass.
        max_buy: limits.max_order_usd.min(live.capital_cap_usd),
        max_sell: Shares::whole(limits.max_shares),
        orders_per_second: limits.orders_per_second.saturating_add(limits.order_burst),
    };
    let stamps = OrderStamps::from_os().context("the system gives no random numbers")?;
    let scoped = ScopedSigner::new(signer.with_form(form), stamps, credentials.key.clone(), scope);
    let relayer_auth = match wallet {
        Wallet::Eoa => None,
        _ => Some(relayer_auth(live, folder, &clob).await?),
    };
    let sender = sender(&venue.http, &endpoints, &key, wallet, &chain, &rpc, &clock, relayer_auth)?;
    let (lane_clob, lane_clock) = (clob.clone(), clock.clone());
    // The lane begins with what the journal has of earlier processes.
    let make_chain = move |store, rows: Rows| {
        let book = Arc::new(Book::load(store, lane_clock.clone(), &rows)?);
        let sender = Arc::new(sender.with_keep(book.clone()));
        let own = (sender, book);
        let lane = WalletChain::new(rpc, chain, funder, lane_clob, lane_clock, own);
        Ok(Arc::new(lane) as Arc<dyn ChainLane>)
    };
    let (base, kind) = (endpoints.clone(), wallet.signature_type());
    let (limits, clock) = (venue.limits.clone(), clock);
    let connect = move || {
        // Lanes share budgets and clock, and no connection.
        let http = Http::new(HttpConfig::default(), &base)?;
        let clob = Clob::new(http, &base.clob, Arc::clone(&limits), clock.clone());
        Ok::<_, StartError>(clob.with_auth(auth.clone(), kind))
    };
    let parts = LiveParts {
        signer: Box::new(scoped),
        chain: Box::new(make_chain),
        account: Account {
            owner: credentials.key.clone(),
            wallet: funder.to_string(),
            builder: BuilderFees::default(),
        },
        connect: Box::new(connect),
        credentials,
        ws_user: endpoints.ws_user.clone(),
        guarding: Guarding {
            killer,
            latch: Arc::new(latch),
            cancels_per_second: LimitsConfig::default().signer.cancels_per_second,
        },
        max_ages: MaxAges {
            decision: Span::millis(i64::from(live.max_decision_age_ms)),
            data: Span::secs(i64::from(settings.feed.max_proof_age_secs)),
        },
        stops,
        cancel_external: live.cancel_external,
    };
    Ok((list, parts))
}

fn stops(settings: &Settings, stage: Stage) -> Done<Stops> {
    let rehearsal = &settings.runtime.rehearsal;
    let used = !rehearsal.stop_at.is_empty() || !rehearsal.crash_loop;
    if used && stage != Stage::Rehearsal {
        return Err(Failure::Failed(anyhow!(
            "the section rehearsal stops the process on purpose; it is refused unless every endpoint is on loopback"
        )));
    }
    match rehearsal.stop_at.as_str() {
        "" => Ok(Stops::default()),
        text => {
            let at: StopAt = text.parse().context("rehearsal.stop_at")?;
            Ok(Stops::new(Some(at)))
        }
    }
}

/// The relayer's credentials: of the file that the settings name, or of the one in the data folder, which a builder key
/// of the account is put into at first use.
async fn relayer_auth(live: &LiveSettings, folder: &Folder, clob: &Clob) -> Done<RelayerAuth> {
    let wrong = |error: RelayerKeyError| Failure::Key(error.into());
    if !live.relayer_key_file.is_empty() {
        return relayer_key::read(Path::new(&live.relayer_key_file)).map_err(wrong);
    }
    let path = folder.path().join(relayer_key::FILE);
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

#[expect(clippy::too_many_arguments, reason = "made once, from parts that are made apart")]
fn sender(
    http: &Http,
    endpoints: &Endpoints,
    key: &Arc<Key>,
    wallet: Wallet,
    chain: &Chain,
    rpc: &Arc<Rpc>,
    clock: &polydesk_polymarket_api::ServerClock,
    auth: Option<RelayerAuth>,
) -> Done<Wallets> {
    let wrong =
        |error: polydesk_polymarket_wallet::chain::ChainError| Failure::Failed(error.into());
    let Some(auth) = auth else {
        let sender = EoaSender::new(Arc::clone(rpc), key, EoaConfig::default()).map_err(wrong)?;
        return Ok(sender.into());
    };
    let relayer = Relayer::new(
        http.clone(),
        &endpoints.relayer,
        auth,
        clock.clone(),
        RelayerConfig::default(),
        chain.clone(),
        Arc::clone(key),
        wallet,
        Some(Arc::clone(rpc)),
    );
    Ok(relayer.map_err(wrong)?.into())
}
