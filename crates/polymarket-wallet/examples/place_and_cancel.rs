//! Places a resting order on a local exchange, finds it, and cancels it: the whole life of an order with
//! nothing at stake. Starts the exchange by itself.
//!
//! ```text
//! cargo run -p polydesk-polymarket-api --example place_and_cancel
//! ```

use std::sync::Arc;

use polydesk_domain::{Price, Shares, Side, Size, Tif};
use polydesk_local_exchange::{LocalExchange, Setup};
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::clob::request::OrderFilter;
use polydesk_polymarket_api::{
    ApiError, Endpoints, Exchange, Http, HttpConfig, L2Auth, LimitsConfig, OrderArgs, RateLimits,
    ServerClock,
};
use polydesk_polymarket_wallet::signing::{
    Chain, Key, OrderSigner, OrderStamps, Wallet, derive_or_create_api_key,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let exchange = LocalExchange::start(Setup::default()).await?;
    let urls = exchange.urls().clone();
    let endpoints = Endpoints { clob: urls.clob, rpc: Vec::new(), ..Endpoints::default() };
    let clock = ServerClock::system();
    let http = Http::new(HttpConfig::default(), &endpoints)?;
    let limits = Arc::new(RateLimits::new(LimitsConfig::default(), clock.clone())?);
    let public = Clob::new(http, &endpoints.clob, limits, clock.clone());
    println!("clock offset {}", public.sync_clock().await?);

    // A public development key; the exchange has funded it.
    let key = Key::from_hex("0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")?;
    let chain = Chain::polygon();
    let credentials = derive_or_create_api_key(&public, &key, chain.id(), 0).await?;
    let auth = L2Auth::new(key.address().to_string(), credentials.clone())?;
    let clob = public.with_auth(auth, Wallet::Eoa.signature_type());
    let signer = OrderSigner::new(key, Wallet::Eoa, &chain);

    let market = exchange.venue(|venue| {
        let first = venue.universe().keys().next();
        first.map(|key| venue.universe().market(key).clone())
    });
    let market = market.ok_or("the exchange lists nothing")?;
    let order = OrderArgs {
        token: market.tokens[0],
        side: Side::Buy,
        price: Price::cents(5),
        size: Size::Shares(Shares::whole(10)),
        tif: Tif::Gtc,
        post_only: true,
        tick: market.tick,
        exchange: Exchange::of(&market)?,
    };
    let stamp = OrderStamps::from_os()?.next(clock.millis());
    let signed = signer.sign(&order, stamp, &credentials.key)?;
    // A bot writes the body and the id to its journal here, before anything leaves.
    match clob.place(&signed).await {
        Ok(placed) => println!("placed {} {:?}", placed.id, placed.status),
        Err(ApiError::Unknown(why)) => {
            // It may exist: ask by the id that was known before it was sent.
            println!(
                "unknown ({why}); the venue has it: {}",
                clob.order(&signed.id()).await?.is_some()
            );
        }
        Err(error) => return Err(error.into()),
    }
    println!("{} open", clob.open_orders(&OrderFilter::default()).await?.len());
    println!("cancelled {:?}", clob.cancel(&signed.id()).await?.canceled);
    exchange.shutdown().await;
    Ok(())
}
