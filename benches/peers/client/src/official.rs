//! `polymarket_client_sdk_v2`: its types, its signing, its client. It keeps no books, so its messages go
//! into sorted maps of its own decimals.

use std::collections::{BTreeMap, HashMap};
use std::str::FromStr as _;
use std::sync::Arc;

use alloy::signers::Signer as _;
use alloy::signers::local::PrivateKeySigner;
use futures_util::StreamExt as _;
use polymarket_client_sdk_v2::auth::state::Authenticated;
use polymarket_client_sdk_v2::auth::{Credentials, Normal, Uuid};
use polymarket_client_sdk_v2::clob::types::{OrderType, Side, TickSize};
use polymarket_client_sdk_v2::clob::ws::interest::MessageInterest;
use polymarket_client_sdk_v2::clob::ws::types::response::parse_if_interested;
use polymarket_client_sdk_v2::clob::ws::{Client as Socket, WsMessage};
use polymarket_client_sdk_v2::clob::{Client, Config};
use polymarket_client_sdk_v2::types::{Decimal, U256};

use crate::loopback::Venue;
use crate::mix::Mix;
use crate::ours::{API_KEY, API_SECRET, KEY, PASSPHRASE};
use crate::rounds::Subject;

type Levels = BTreeMap<Decimal, Decimal>;

/// Frames into its messages into sorted maps.
pub struct Frames {
    mix: Arc<Mix>,
    books: HashMap<U256, [Levels; 2]>,
    own_parser: bool,
}

impl Frames {
    /// Read by the function its socket uses, or straight into its types (faster).
    pub fn new(mix: &Arc<Mix>, own_parser: bool) -> Frames {
        let id = |id: &String| U256::from_str(id).expect("an id");
        let books = mix.ids.iter().map(|text| (id(text), Default::default())).collect();
        Frames { mix: mix.clone(), books, own_parser }
    }

    fn frame(&mut self, frame: &[u8]) {
        if self.own_parser {
            let all = MessageInterest::all();
            for message in parse_if_interested(frame, &all).expect("a message") {
                self.message(message);
            }
        } else {
            self.message(serde_json::from_slice(frame).expect("a message"));
        }
    }

    fn message(&mut self, message: WsMessage) {
        let last = match message {
            WsMessage::Book(book) => {
                let [bids, asks] = self.books.get_mut(&book.asset_id).expect("a token");
                *bids = book.bids.iter().map(|level| (level.price, level.size)).collect();
                *asks = book.asks.iter().map(|level| (level.price, level.size)).collect();
                book.asset_id
            }
            WsMessage::PriceChange(changes) => {
                let mut last = U256::ZERO;
                for change in changes.price_changes {
                    let sides = self.books.get_mut(&change.asset_id).expect("a token");
                    let side = &mut sides[usize::from(change.side == Side::Sell)];
                    match change.size {
                        Some(size) if !size.is_zero() => drop(side.insert(change.price, size)),
                        _ => drop(side.remove(&change.price)),
                    }
                    last = change.asset_id;
                }
                last
            }
            WsMessage::LastTradePrice(trade) => trade.asset_id,
            WsMessage::BestBidAsk(best) => best.asset_id,
            other => panic!("not in the mix: {other:?}"),
        };
        std::hint::black_box(best(&self.books[&last]));
    }
}

fn best([bids, asks]: &[Levels; 2]) -> [Option<(Decimal, Decimal)>; 2] {
    let copied = |level: Option<(&Decimal, &Decimal)>| level.map(|(price, size)| (*price, *size));
    [copied(bids.last_key_value()), copied(asks.first_key_value())]
}

impl Subject for Frames {
    fn name(&self) -> &str {
        if self.own_parser {
            "official SDK, parser of its socket, sorted maps"
        } else {
            "official SDK, straight into its types, sorted maps"
        }
    }
    fn prepare(&mut self) {
        let mix = self.mix.clone();
        mix.books.iter().for_each(|frame| self.frame(frame));
    }
    fn pass(&mut self) -> u64 {
        let mix = self.mix.clone();
        mix.frames.iter().for_each(|frame| self.frame(frame));
        0
    }
    fn finals(&self) -> Vec<[u64; 2]> {
        let units = |level: Option<(Decimal, Decimal)>| {
            let price = level.map_or(Decimal::ZERO, |(price, _)| price);
            (price * Decimal::from(10_000)).trunc().to_string().parse().expect("a price")
        };
        let id = |id: &String| U256::from_str(id).expect("an id");
        self.mix.ids.iter().map(|text| best(&self.books[&id(text)]).map(units)).collect()
    }
}

fn signer() -> PrivateKeySigner {
    PrivateKeySigner::from_str(KEY).expect("a key").with_chain_id(Some(137))
}

async fn client(url: &str, token: U256) -> Client<Authenticated<Normal>> {
    let key = Uuid::parse_str(API_KEY).expect("a uuid");
    let credentials = Credentials::new(key, API_SECRET.into(), PASSPHRASE.into());
    let signer = signer();
    let client = Client::new(url, Config::default())
        .expect("a client")
        .authentication_builder(&signer)
        .credentials(credentials)
        .authenticate()
        .await
        .expect("authenticated");
    client.set_tick_size(token, TickSize::Hundredth);
    client.set_neg_risk(token, false);
    client.set_fee_rate_bps(token, 0);
    client.version().await.expect("a version");
    client
}

/// Orders built, signed and serialised; its L2 headers are private.
pub struct Orders {
    runtime: tokio::runtime::Runtime,
    client: Client<Authenticated<Normal>>,
    signer: PrivateKeySigner,
    token: U256,
    count: usize,
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

impl Orders {
    pub fn new(mix: &Mix, count: usize) -> Orders {
        let runtime = runtime();
        let token = U256::from_str(&mix.ids[0]).expect("an id");
        // It asks the venue for its version once.
        let (venue, _ticker) = Venue::open(mix);
        let client = runtime.block_on(client(&venue.url(), token));
        Orders { runtime, client, signer: signer(), token, count }
    }
}

impl Subject for Orders {
    fn name(&self) -> &str {
        "official SDK: built, signed, serialised (no L2 headers)"
    }
    fn pass(&mut self) -> u64 {
        let (client, signer, token, count) = (&self.client, &self.signer, self.token, self.count);
        self.runtime.block_on(async {
            let mut check = 0;
            for i in 0..count {
                let order = client
                    .limit_order()
                    .order_type(OrderType::GTC)
                    .token_id(token)
                    .side(Side::Buy)
                    .price(Decimal::new(20 + (i % 50) as i64, 2))
                    .size(Decimal::from(10))
                    .build()
                    .await
                    .expect("an order");
                let signed = client.sign(signer, order).await.expect("a signature");
                check += serde_json::to_vec(&signed).expect("JSON").len() as u64;
            }
            check
        })
    }
}

/// The bot: its socket's book stream, its order builder, its client.
pub fn bot(venue: &Venue, orders: usize) {
    runtime().block_on(async {
        let token = U256::from_str(venue.token()).expect("an id");
        let (client, signer) = (client(&venue.url(), token).await, signer());
        let base = venue.socket_url();
        let base = base.trim_end_matches("/ws/market");
        let socket = Socket::new(base, Default::default()).expect("a socket");
        let mut books = Box::pin(socket.subscribe_orderbook(vec![token]).expect("a stream"));
        let mut sent = 0;
        while sent < orders {
            let book = books.next().await.expect("a book").expect("a book");
            let best = book.asks.iter().map(|level| level.price).min();
            let Some(price) = best.filter(|price| *price <= Decimal::new(60, 2)) else { continue };
            let order = client
                .limit_order()
                .order_type(OrderType::GTC)
                .token_id(token)
                .side(Side::Buy)
                .price(price)
                .size(Decimal::from(10))
                .build()
                .await
                .expect("an order");
            let signed = client.sign(&signer, order).await.expect("a signature");
            client.post_order(signed).await.expect("an order taken");
            sent += 1;
        }
    });
}
