//! Our own side: frames into books, orders into requests, and a bot on a loopback venue.

use std::io::Write;
use std::sync::Arc;

use polydesk_domain::{
    BookSnapshot, Books, Event, LevelChange, MarketEvent, MarketKey, Outcome, Price, Print,
    Rounding, Shares, Side, Size, Span, Stamped, Tick, Tif, Time, Token, TokenId,
};
use polydesk_polymarket_api::clob::Clob;
use polydesk_polymarket_api::ws::{
    FeedConfig, FeedItem, FrameParser, LevelRow, MarketFeed, Message, TokenTable,
};
use polydesk_polymarket_api::{
    Credentials, Endpoints, Exchange, Group, Http, HttpConfig, L2Auth, LimitsConfig, OrderArgs,
    Quota, RateLimits, Salt, Secret, ServerClock, Signature, SignedOrder, SignerQuota, Stamp,
};
use polydesk_polymarket_wallet::signing::{Chain, Key, OrderSigner, OrderStamps, Wallet};

use crate::loopback::{self, Venue};
use crate::mix::Mix;
use crate::rounds::Subject;

/// A public development key.
pub const KEY: &str = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
pub const API_KEY: &str = "11111111-2222-4333-8444-555555555555";
pub const API_SECRET: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
pub const PASSPHRASE: &str = "a0b1c2d3e4f5a6b7c8d9e0f1a2b3c4d5a6b7c8d9e0f1a2b3c4d5e6f7a8b9c0d1";

/// Frames into books.
pub struct Frames {
    name: String,
    mix: Arc<Mix>,
    parser: FrameParser,
    table: TokenTable,
    books: Reader,
}

/// What takes messages: events, the books, the best prices.
struct Reader {
    books: Books,
    done: Vec<MarketKey>,
    /// Handed to the books and taken back, so that its levels are allocated once.
    snapshot: Arc<BookSnapshot>,
    seq: u64,
    check: u64,
}

impl Reader {
    fn new(markets: usize) -> Reader {
        let mut books = Books::new(Span::millis(100));
        (0..markets).for_each(|key| books.list(MarketKey(key as u32), Tick::Cent));
        let snapshot = BookSnapshot { token: Token(0), bids: Vec::new(), asks: Vec::new() };
        let snapshot = Arc::new(snapshot);
        Reader { books, done: Vec::with_capacity(16), snapshot, seq: 0, check: 0 }
    }

    #[inline]
    fn apply(&mut self, token: Token, at: Time, event: MarketEvent) {
        self.seq += 1;
        let event = Event::Market(event);
        let stamped = Stamped { at, venue_at: at, seq: self.seq, event };
        self.books.close_due(&stamped, &mut self.done);
        self.done.clear();
        let _ = self.books.apply(&stamped, |_, _| ());
        let _ = token;
    }

    #[inline]
    fn look(&mut self, token: Token) {
        if let Some(book) = self.books.get(token.market()) {
            let outcome = token.outcome();
            let bid = book.best_bid(outcome).map_or(0, |(price, size)| level(price, size));
            let ask = book.best_ask(outcome).map_or(0, |(price, size)| level(price, size));
            self.check = self.check.wrapping_mul(31).wrapping_add(bid ^ ask.rotate_left(32));
        }
    }

    #[inline]
    fn message(&mut self, message: Message<'_>) {
        match message {
            Message::Changes { at, rows, .. } => {
                let mut last = None;
                for row in rows {
                    let change = LevelChange {
                        token: row.token,
                        side: row.side,
                        price: row.price,
                        size: row.size,
                        top: row.top,
                    };
                    self.apply(row.token, at, MarketEvent::Level(change));
                    last = Some(row.token);
                }
                if let Some(token) = last {
                    self.look(token);
                }
            }
            Message::Book { token, at, bids, asks, .. } => {
                if let Some(snapshot) = Arc::get_mut(&mut self.snapshot) {
                    snapshot.token = token;
                    fill(&mut snapshot.bids, bids);
                    fill(&mut snapshot.asks, asks);
                }
                self.apply(token, at, MarketEvent::Snapshot(self.snapshot.clone()));
                self.look(token);
            }
            Message::Print { token, at, side, price, size, .. } => {
                self.apply(token, at, MarketEvent::Print(Print { token, side, price, size }));
                self.look(token);
            }
            Message::Best { token, at, top } => {
                self.apply(token, at, MarketEvent::Best { token, top });
                self.look(token);
            }
            Message::Tick { .. } | Message::Resolved { .. } | Message::NewMarket { .. } => {}
        }
    }
}

fn fill(to: &mut Vec<(Price, Shares)>, rows: &[LevelRow]) {
    to.clear();
    to.extend(rows.iter().filter(|row| !row.size.is_zero()).map(|row| (row.price, row.size)));
}

/// A level as one number, the same for everyone who is measured.
pub fn level(price: Price, size: Shares) -> u64 {
    u64::from(price.units()) << 48 | size.micros()
}

impl Frames {
    /// With the scanner in front, or with simd-json alone.
    pub fn new(mix: &Arc<Mix>, scans: bool) -> Frames {
        let mut table = TokenTable::new();
        for (i, id) in mix.ids.iter().enumerate() {
            table.insert(id.parse().expect("an id"), Token(i as u32));
        }
        Frames {
            name: if scans {
                "polydesk: frame to book to best prices".into()
            } else {
                "polydesk without its scanner (simd-json alone)".into()
            },
            mix: mix.clone(),
            parser: if scans { FrameParser::new() } else { FrameParser::without_scanner() },
            table,
            books: Reader::new(mix.ids.len() / 2),
        }
    }

    /// How many messages were handed over, and how many frames were left to the slow way or rejected.
    pub fn counts(&self) -> polydesk_polymarket_api::ws::Counts {
        self.parser.counts()
    }
}

impl Subject for Frames {
    fn name(&self) -> &str {
        &self.name
    }
    fn prepare(&mut self) {
        self.books.check = 0;
        for frame in &self.mix.books {
            self.parser.parse(frame, &self.table, |message, _| self.books.message(message));
        }
        self.books.check = 0;
    }
    fn pass(&mut self) -> u64 {
        for frame in &self.mix.frames {
            self.parser.parse(frame, &self.table, |message, _| self.books.message(message));
        }
        self.books.check
    }
    fn finals(&self) -> Vec<[u64; 2]> {
        let tokens = (0..self.mix.ids.len()).map(|i| Token(i as u32));
        let units = |price: Option<(Price, Shares)>| price.map_or(0, |(p, _)| u64::from(p.units()));
        let best = |side, token: Token| units(self.books.books.best(token, side));
        tokens.map(|token| [best(Side::Buy, token), best(Side::Sell, token)]).collect()
    }
}

/// Only the parser: where the time goes.
pub struct ParseOnly(pub Frames);

impl Subject for ParseOnly {
    fn name(&self) -> &str {
        "  of which the parser"
    }
    fn pass(&mut self) -> u64 {
        let mut count = 0;
        for frame in &self.0.mix.frames {
            self.0.parser.parse(frame, &self.0.table, |message, _| {
                std::hint::black_box(&message);
                count += 1;
            });
        }
        count
    }
}

/// What an order is made of.
pub struct Maker {
    pub signer: OrderSigner,
    pub stamps: OrderStamps,
    pub auth: L2Auth,
    pub clock: ServerClock,
}

impl Maker {
    pub fn new() -> Maker {
        let key = Key::from_hex(KEY).expect("a key");
        let credentials = Credentials {
            key: API_KEY.into(),
            secret: Secret::new(API_SECRET),
            passphrase: Secret::new(PASSPHRASE),
        };
        let auth = L2Auth::new(key.address().to_string(), credentials).expect("credentials");
        Maker {
            signer: OrderSigner::new(key, Wallet::Eoa, &Chain::polygon()),
            stamps: OrderStamps::seeded(1),
            auth,
            clock: ServerClock::system(),
        }
    }
}

/// A buy of ten shares at a price in cents.
pub fn args(token: TokenId, cents: u16) -> OrderArgs {
    OrderArgs {
        token,
        side: Side::Buy,
        price: Price::cents(cents),
        size: Size::Shares(Shares::whole(10)),
        tif: Tif::Gtc,
        post_only: false,
        tick: Tick::Cent,
        exchange: Exchange::Normal,
    }
}

/// Orders into bodies and headers.
pub struct Orders {
    maker: Maker,
    token: TokenId,
    count: usize,
}

impl Orders {
    pub fn new(mix: &Mix, count: usize) -> Orders {
        Orders { maker: Maker::new(), token: mix.ids[0].parse().expect("an id"), count }
    }
}

impl Subject for Orders {
    fn name(&self) -> &str {
        "polydesk: order to hash to signature to body and L2 headers"
    }
    fn pass(&mut self) -> u64 {
        let mut check = 0;
        for i in 0..self.count {
            let maker = &mut self.maker;
            let args = args(self.token, 20 + (i % 50) as u16);
            let stamp = maker.stamps.next(maker.clock.millis());
            let signed = maker.signer.sign(&args, stamp, maker.auth.owner()).expect("an order");
            let (body, now) = (signed.body(), maker.clock.secs());
            let headers = maker.auth.header_map(now, "POST", "/order", body).expect("headers");
            check += (body.len() + headers.len()) as u64;
            std::hint::black_box((body, &headers));
        }
        check
    }
}

/// Our parts of the same work, to see where its time goes.
pub struct Parts {
    maker: Maker,
    token: TokenId,
    count: usize,
    part: Part,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Signature,
    Body,
    Headers,
}

impl Parts {
    pub fn new(mix: &Mix, count: usize, part: Part) -> Parts {
        Parts { maker: Maker::new(), token: mix.ids[0].parse().expect("an id"), count, part }
    }
}

impl Subject for Parts {
    fn name(&self) -> &str {
        match self.part {
            Part::Signature => "  of which the signature alone (libsecp256k1)",
            Part::Body => "  of which amounts and body",
            Part::Headers => "  of which the L2 headers",
        }
    }
    fn pass(&mut self) -> u64 {
        let args = args(self.token, 50);
        let stamp = Stamp { salt: Salt::of_random(1 << 11), timestamp_ms: 1_790_000_000_000 };
        let (signer, owner) = (&self.maker.signer, self.maker.auth.owner());
        let signed = signer.sign(&args, stamp, owner).expect("an order");
        let signature = Signature::new(signed.id(), signed.signature()).expect("a signature");
        let body = signed.body();
        let mut check = 0;
        for i in 0..self.count {
            match self.part {
                Part::Signature => {
                    let mut digest = self.maker.signer.digests(signed.unsigned()).signed;
                    digest.0[0] = i as u8;
                    check += u64::from(self.maker.signer.key().sign(&digest)[5]);
                }
                Part::Body => {
                    let made = SignedOrder::new(
                        &args,
                        stamp,
                        signer.parties(),
                        Rounding::Venue,
                        owner,
                        |_| std::hint::black_box(signature),
                    );
                    check += made.expect("an order").body().len() as u64;
                }
                Part::Headers => {
                    let now = self.maker.clock.secs();
                    let headers = self.maker.auth.header_map(now, "POST", "/order", body);
                    check += std::hint::black_box(&headers).is_ok() as u64;
                }
            }
        }
        check
    }
}

/// The lines of ours in the table of ticks.
pub fn lines(mix: &Mix, ticks: usize) {
    for (name, journal) in [("polydesk", false), ("polydesk, journal append", true)] {
        loopback::tick_to_order(name, mix, ticks, move |venue, orders| bot(venue, orders, journal));
    }
}

/// The bot: a book from the socket, a decision, an order over the warm connection. With a journal, the
/// order is appended to a file before it is sent.
fn bot(venue: &Venue, orders: usize, journal: bool) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let url = venue.url();
        let endpoints = Endpoints {
            clob: url.clone(),
            gamma: url.clone(),
            data: url.clone(),
            ws_market: venue.socket_url(),
            ws_user: venue.socket_url(),
            polybolt: venue.socket_url(),
            rtds: venue.socket_url(),
            relayer: url.clone(),
            geoblock: url.clone(),
            rpc: Vec::new(),
        };
        let http = Http::new(HttpConfig::default(), &endpoints).expect("a client");
        let Maker { signer, mut stamps, auth, clock } = Maker::new();
        // The limits are in the way, but wide enough never to wait.
        let limits = LimitsConfig {
            signer: SignerQuota {
                orders_per_second: 1_000_000,
                order_burst: 1_000_000,
                ..LimitsConfig::default().signer
            },
            quotas: [(Group::Order, Quota { burst: 10_000_000, sustained: 10_000_000 })].into(),
            ..LimitsConfig::default()
        };
        let limits = Arc::new(RateLimits::new(limits, clock.clone()).expect("limits"));
        let clob = Clob::new(http.clone(), &url, limits, clock.clone())
            .with_auth(auth.clone(), signer.wallet().signature_type());
        let id: TokenId = venue.token().parse().expect("an id");
        let mut books = Books::new(Span::millis(100));
        books.list(MarketKey(0), Tick::Cent);
        // Book hashes are not checked here: the venue of this benchmark has none.
        let feed = FeedConfig { hash_check_ms: 0, silence_ms: 600_000, ..FeedConfig::default() };
        let (feed, mut items) =
            MarketFeed::start(feed, http, &venue.socket_url(), clob.clone(), clock.clone())
                .expect("a feed");
        feed.subscribe(vec![(id, Token(0))]);
        let path = std::env::temp_dir().join(format!("polydesk-speed-{}", std::process::id()));
        let mut file = journal.then(|| std::fs::File::create(&path).expect("a journal"));
        let (mut line, mut sent, mut seq) = (Vec::with_capacity(4_096), 0, 0);
        while sent < orders {
            let Some(FeedItem::Market { received_at, venue_at, event }) = items.recv().await else {
                continue;
            };
            let got = loopback::now();
            seq += 1;
            let event = Event::Market(event);
            let stamped = Stamped { at: received_at, venue_at, seq, event };
            books.close_due(&stamped, &mut Vec::new());
            let _ = books.apply(&stamped, |_, _| ());
            let best = books.get(MarketKey(0)).and_then(|book| book.best_ask(Outcome::Yes));
            let Some((price, _)) = best.filter(|(price, _)| *price <= Price::cents(60)) else {
                continue;
            };
            let args = OrderArgs { price, ..args(id, 50) };
            let stamp = stamps.next(clock.millis());
            let signed = signer.sign(&args, stamp, auth.owner()).expect("an order");
            let body = signed.body();
            if let Some(file) = &mut file {
                line.clear();
                line.extend_from_slice(&stamped.at.nanos().to_le_bytes());
                line.extend_from_slice(signed.id().bytes());
                line.extend_from_slice(&(body.len() as u32).to_le_bytes());
                line.extend_from_slice(body);
                file.write_all(&line).expect("a journal");
            }
            venue.mark(got, loopback::now());
            venue.expect(*signed.id().bytes());
            let placed = clob.place(&signed).await;
            placed.expect("an order taken");
            sent += 1;
        }
        let _ = std::fs::remove_file(&path);
    });
}
