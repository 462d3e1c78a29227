//! Follows the live book of a token and prints the best prices whenever they change.
//!
//! ```text
//! cargo run -p polydesk-polymarket-api --example book -- TOKEN_ID
//! cargo run -p polydesk-polymarket-api --example book -- TOKEN_ID http://127.0.0.1:PORT   # a local exchange
//! ```

use std::sync::Arc;

use polydesk_domain::{Books, Event, MarketEvent, MarketKey, Outcome, Stamped, Token, TokenId};
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::ws::{FeedItem, MarketFeed};
use polydesk_polymarket_api::{
    Endpoints, FeedConfig, Http, HttpConfig, LimitsConfig, RateLimits, ServerClock,
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let id: TokenId = args.next().ok_or("which token?")?.parse()?;
    let mut endpoints = Endpoints::default();
    if let Some(url) = args.next() {
        endpoints.ws_market = format!("{}/ws/market", url.replacen("http", "ws", 1));
        endpoints.clob = url;
    }
    let clock = ServerClock::system();
    let http = Http::new(HttpConfig::default(), &endpoints)?;
    let limits = Arc::new(RateLimits::new(LimitsConfig::default(), clock.clone())?);
    let clob = Clob::new(http.clone(), &endpoints.clob, limits, clock.clone());

    // One market with one token: the dense token is ours to choose.
    let (market, token) = (MarketKey(0), Token(0));
    let mut books = Books::default();
    books.list(market, clob.tick_size(&id).await?);
    let (feed, mut items) =
        MarketFeed::start(FeedConfig::default(), http, &endpoints.ws_market, clob, clock)?;
    feed.subscribe(vec![(id, token)]);
    let (mut seq, mut last) = (0, None);
    while let Some(item) = items.recv().await {
        let FeedItem::Market { received_at, venue_at, event } = item else { continue };
        match &event {
            MarketEvent::Print(print) => {
                println!("{venue_at} trade {} at {}", print.size, print.price)
            }
            MarketEvent::Interrupted(_) => {
                println!("{received_at} the book is invalidated until the next snapshot")
            }
            _ => {}
        }
        seq += 1;
        let event = Event::Market(event);
        books.apply(&Stamped { at: received_at, venue_at, seq, event }, |_, _| {});
        let best = books.get(market).map(|b| (b.best_bid(Outcome::Yes), b.best_ask(Outcome::Yes)));
        if best != last {
            last = best;
            if let Some((bid, ask)) = best {
                let text = |level: Option<(polydesk_domain::Price, polydesk_domain::Shares)>| {
                    level.map_or("none".into(), |(price, size)| format!("{size} at {price}"))
                };
                println!("{venue_at} bid {} ask {}", text(bid), text(ask));
            }
        }
    }
    Ok(())
}
