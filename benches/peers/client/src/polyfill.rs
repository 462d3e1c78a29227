//! `polyfill-rs`: its parsers and books, its prepared order path, its client.

use std::str::FromStr as _;
use std::sync::Arc;

use alloy::signers::local::PrivateKeySigner;
use futures_util::StreamExt as _;
use polyfill_rs::auth::{PreparedApiCredentials, create_l2_headers_with_body_bytes};
use polyfill_rs::decode::parse_stream_messages_bytes;
use polyfill_rs::orders::{OrderBuilder, PreparedOrderPath};
use polyfill_rs::types::{ClientConfig, OrderDelta, PostOrder, PostOrderOptions, StreamMessage};
use polyfill_rs::{
    ApiCredentials, ClobClient, OrderBookManager, Side, WebSocketStream, WsBookUpdateProcessor,
};
use rust_decimal::Decimal;

use crate::loopback::Venue;
use crate::mix::Mix;
use crate::ours::{API_KEY, API_SECRET, KEY, PASSPHRASE};
use crate::rounds::Subject;

/// Frames into its books: whole books by its fast processor, everything else by its general parser,
/// since the fast one knows no other kind. Which is which is told beforehand, in its favour.
pub struct Frames {
    mix: Arc<Mix>,
    whole: Vec<bool>,
    processor: WsBookUpdateProcessor,
    buffer: Vec<u8>,
    books: OrderBookManager,
    sequence: u64,
}

fn manager(mix: &Mix) -> OrderBookManager {
    let books = OrderBookManager::new(200);
    for id in &mix.ids {
        books.get_or_create_book(id).expect("a book");
    }
    books
}

impl Frames {
    pub fn new(mix: &Arc<Mix>) -> Frames {
        let book = b"\"event_type\":\"book\"";
        let whole = |frame: &Vec<u8>| frame.windows(book.len()).any(|window| window == book);
        Frames {
            whole: mix.frames.iter().map(whole).collect(),
            mix: mix.clone(),
            processor: WsBookUpdateProcessor::new(4_096),
            buffer: Vec::new(),
            books: manager(mix),
            sequence: 0,
        }
    }

    fn whole(&mut self, frame: &[u8]) {
        self.buffer.clear();
        self.buffer.extend_from_slice(frame);
        let stats = self.processor.process_bytes(&mut self.buffer, &self.books).expect("a book");
        assert!(stats.book_levels_applied > 0, "a book was not taken");
    }

    fn frame(&mut self, frame: &[u8]) {
        for message in parse_stream_messages_bytes(frame).expect("a message") {
            let id = match message {
                StreamMessage::PriceChange(changes) => {
                    let mut last = String::new();
                    let at = chrono::DateTime::from_timestamp_millis(changes.timestamp as i64);
                    for change in changes.price_changes {
                        self.sequence += 1;
                        last.clone_from(&change.asset_id);
                        let delta = OrderDelta {
                            token_id: change.asset_id,
                            timestamp: at.expect("a time"),
                            side: change.side,
                            price: change.price,
                            size: change.size.unwrap_or_default(),
                            sequence: self.sequence,
                        };
                        self.books.apply_delta(delta).expect("a change");
                    }
                    last
                }
                StreamMessage::LastTradePrice(trade) => trade.asset_id,
                StreamMessage::BestBidAsk(best) => best.asset_id,
                other => panic!("not in the mix: {other:?}"),
            };
            std::hint::black_box(self.best(&id));
        }
    }

    fn best(&self, id: &str) -> [u64; 2] {
        self.books
            .with_book_mut(id, |book| {
                let bid = book.best_bid_fast().map_or(0, |level| level.price);
                Ok([bid, book.best_ask_fast().map_or(0, |level| level.price)].map(u64::from))
            })
            .expect("a book")
    }
}

impl Subject for Frames {
    fn name(&self) -> &str {
        "polyfill-rs: books by its fast path, the rest by its parser"
    }
    fn prepare(&mut self) {
        // Its books take no snapshot twice: fresh ones for each pass.
        self.books = manager(&self.mix);
        self.sequence = 1 << 50;
        let mix = self.mix.clone();
        mix.books.iter().for_each(|frame| self.whole(frame));
    }
    fn pass(&mut self) -> u64 {
        let mix = self.mix.clone();
        for (i, frame) in mix.frames.iter().enumerate() {
            if self.whole[i] {
                self.whole(frame);
                std::hint::black_box(self.best(&mix.ids[0]));
            } else {
                self.frame(frame);
            }
        }
        0
    }
    fn finals(&self) -> Vec<[u64; 2]> {
        self.mix.ids.iter().map(|id| self.best(id)).collect()
    }
}

fn credentials() -> ApiCredentials {
    ApiCredentials {
        api_key: API_KEY.into(),
        secret: API_SECRET.into(),
        passphrase: PASSPHRASE.into(),
    }
}

fn prepared(token: &str) -> PreparedOrderPath {
    let signer = PrivateKeySigner::from_str(KEY).expect("a key");
    OrderBuilder::new(signer, None, None)
        .prepare_order_path(137, token, Decimal::new(1, 2), false, None, None)
        .expect("a path")
}

/// Orders signed, serialised and given headers, by its prepared (fastest) path.
pub struct Orders {
    path: PreparedOrderPath,
    signer: PrivateKeySigner,
    credentials: PreparedApiCredentials,
    count: usize,
}

impl Orders {
    pub fn new(mix: &Mix, count: usize) -> Orders {
        Orders {
            path: prepared(&mix.ids[0]),
            signer: PrivateKeySigner::from_str(KEY).expect("a key"),
            credentials: PreparedApiCredentials::try_new(credentials()).expect("credentials"),
            count,
        }
    }
}

impl Subject for Orders {
    fn name(&self) -> &str {
        "polyfill-rs: prepared path, body, L2 headers"
    }
    fn pass(&mut self) -> u64 {
        let mut check = 0;
        for i in 0..self.count {
            let price = Decimal::new(20 + (i % 50) as i64, 2);
            let order = self
                .path
                .create_limit_order(Side::BUY, price, Decimal::from(10), None)
                .expect("an order");
            let body = PostOrder::new(order, API_KEY.into(), PostOrderOptions::default());
            let body = serde_json::to_vec(&body).expect("JSON");
            let headers = create_l2_headers_with_body_bytes(
                &self.signer,
                &self.credentials,
                "POST",
                "/order",
                Some(&body),
            )
            .expect("headers");
            check += (body.len() + headers.len()) as u64;
            std::hint::black_box((&body, &headers));
        }
        check
    }
}

/// The bot: its book applier, its prepared order path, its client.
pub fn bot(venue: &Venue, orders: usize) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let client = ClobClient::from_config(ClientConfig {
            base_url: venue.url(),
            chain: 137,
            private_key: Some(KEY.into()),
            api_credentials: Some(credentials()),
            ..ClientConfig::default()
        })
        .expect("a client");
        let path = prepared(venue.token());
        let books = OrderBookManager::new(200);
        books.get_or_create_book(venue.token()).expect("a book");
        let mut stream = WebSocketStream::new(&venue.socket_url());
        stream.subscribe_market_channel(vec![venue.token().into()]).await.expect("a socket");
        let mut applied = stream.into_book_applier(&books, WsBookUpdateProcessor::new(4_096));
        let mut sent = 0;
        while sent < orders {
            applied.next().await.expect("a book").expect("a book");
            let best = books
                .with_book_mut(venue.token(), |book| {
                    Ok(book.best_ask_fast().map(|level| level.price))
                })
                .expect("a book");
            let Some(price) = best.filter(|price| *price <= 6_000) else { continue };
            let price = Decimal::new(i64::from(price), 4);
            let order = path
                .create_limit_order(Side::BUY, price, Decimal::from(10), None)
                .expect("an order");
            client.post_order(order, None).await.expect("an order taken");
            sent += 1;
        }
    });
}
