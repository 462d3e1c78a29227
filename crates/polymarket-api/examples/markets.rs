//! Lists open markets with what trading needs, or why this client would not trade them.
//!
//! ```text
//! cargo run -p polydesk-polymarket-api --example markets              # the first 20 of the venue
//! cargo run -p polydesk-polymarket-api --example markets -- 100 http://127.0.0.1:PORT   # another Gamma
//! ```

use std::sync::Arc;

use futures_util::{StreamExt, TryStreamExt};
use polydesk_polymarket_api::gamma::{Gamma, TakerDelays};
use polydesk_polymarket_api::{Endpoints, Http, HttpConfig, LimitsConfig, RateLimits, ServerClock};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let most: usize = args.next().map_or(Ok(20), |text| text.parse())?;
    let mut endpoints = Endpoints::default();
    if let Some(url) = args.next() {
        endpoints.gamma = url;
    }
    let http = Http::new(HttpConfig::default(), &endpoints)?;
    let limits = Arc::new(RateLimits::new(LimitsConfig::default(), ServerClock::system())?);
    let gamma = Gamma::new(http, &endpoints.gamma, limits);
    let filters = vec![("order".into(), "volume24hr".into()), ("ascending".into(), "false".into())];
    // Pages are read as the stream is.
    let mut markets = gamma.markets(filters).take(most);
    while let Some(market) = markets.try_next().await? {
        match market.to_market(None, TakerDelays::default()) {
            Ok(found) => println!(
                "{:<60} tick {} least {} fee {:?} {}",
                found.slug,
                found.tick,
                found.min_size,
                found.fees.at(ServerClock::system().now()).map(|fee| fee.rate_ppm),
                found.state.name(),
            ),
            Err(refused) => println!("{:<60} not traded: {refused}", market.slug),
        }
    }
    Ok(())
}
