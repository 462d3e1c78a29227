//! What live trading plugs in: the wallet's signer, the chain behind it, and clients with the account's credentials.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use polydesk_account::chain::WalletChain;
use polydesk_account::conversions::Book;
use polydesk_account::{Opened, Stage, opened};
use polydesk_domain::{Shares, Span};
use polydesk_gateway::{Account, BuilderFees};
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::{Endpoints, Http, HttpConfig, LimitsConfig};
use polydesk_polymarket_wallet::signing::{Key, OrderStamps, Scope, ScopedSigner};
use polydesk_program::{Done, Failure, Folder};
use polydesk_runtime::assembly::{StartError, Venue};
use polydesk_runtime::kill::{Killer, LatchFolder, LatchThread};
use polydesk_runtime::live::assembly::LiveParts;
use polydesk_runtime::live::chain::{ChainLane, Rows};
use polydesk_runtime::live::guarding::Guarding;
use polydesk_runtime::live::orders::MaxAges;
use polydesk_runtime::live::stops::{StopAt, Stops};
use polydesk_runtime::start::Check;
use polydesk_settings::Settings;

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
    let stops = stops(settings, stage)?;
    let opened = opened::open(settings, venue, folder.path(), &endpoints, key).await?;
    let sender = opened.sender(live, folder.path()).await?;
    let Opened { wallet, funder, chain, rpc, credentials, auth, clob, signer, checks, .. } = opened;
    let clock = venue.clock.server().clone();
    let limits = settings.limits.raw();
    let scope = Scope {
        // An exit may cost nothing and an entry never more than the gate lets pass.
        max_buy: limits.max_order_usd.min(live.capital_cap_usd),
        max_sell: Shares::whole(limits.max_shares),
        orders_per_second: limits.orders_per_second.saturating_add(limits.order_burst),
    };
    let stamps = OrderStamps::from_os().context("the system gives no random numbers")?;
    let scoped = ScopedSigner::new(signer, stamps, credentials.key.clone(), scope);
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
    Ok((checks, parts))
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
