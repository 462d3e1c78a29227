//! A venue on loopback: it pushes books over a socket and notes when an order has wholly arrived.
//!
//! Plain blocking sockets with TCP_NODELAY, a thread for each connection. The time of a tick is taken
//! before its frame is written, that of an order when the last byte of its request was read.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use sha1::{Digest, Sha1};

use crate::mix::{Chance, Mix};

/// What is served, and where.
#[derive(Clone)]
pub struct Venue {
    at: SocketAddr,
    token: String,
    /// Id of the order that is about to come: answered as the venue's own.
    expected: Arc<Mutex<[u8; 32]>>,
    /// When a bot had its tick and when it had signed, if it tells.
    marks: Arc<Mutex<Vec<[Instant; 2]>>>,
}

/// When a tick was sent and when its order had come.
type Way = (Instant, Instant);

/// The ends the ticking thread holds.
pub struct Ticker {
    sockets: Receiver<TcpStream>,
    orders: Receiver<Instant>,
    books: [Vec<u8>; 2],
    stamp: usize,
}

impl Venue {
    /// Opens it with two books that differ in their best prices.
    pub fn open(mix: &Mix) -> (Venue, Ticker) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("an address");
        let token = mix.ids[0].clone();
        let venue = Venue { at, token, expected: Arc::default(), marks: Arc::default() };
        let (to_sockets, sockets) = channel();
        let (to_orders, orders) = channel();
        let serving = venue.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (venue, to_sockets, to_orders) =
                    (serving.clone(), to_sockets.clone(), to_orders.clone());
                std::thread::spawn(move || venue.serve(stream, &to_sockets, &to_orders));
            }
        });
        let first = String::from_utf8(mix.books[0].clone()).expect("text");
        let key = "\"timestamp\":\"";
        let stamp = first.find(key).expect("a timestamp") + key.len();
        // The second book lacks the best ask of the first.
        let second = without_best_ask(&first);
        (venue, Ticker { sockets, orders, books: [first, second].map(String::into_bytes), stamp })
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }
    pub fn socket_url(&self) -> String {
        format!("ws://{}/ws/market", self.at)
    }
    pub fn token(&self) -> &str {
        &self.token
    }
    /// The next order's id.
    pub fn expect(&self, id: [u8; 32]) {
        *self.expected.lock().expect("no panic") = id;
    }

    /// Notes how far the bot is; not needed for the whole time.
    pub fn mark(&self, got: Instant, signed: Instant) {
        self.marks.lock().expect("no panic").push([got, signed]);
    }

    fn serve(&self, mut stream: TcpStream, sockets: &Sender<TcpStream>, orders: &Sender<Instant>) {
        let _ = stream.set_nodelay(true);
        let mut buffer = vec![0; 1 << 16];
        let (mut held, mut arrived) = (0, now());
        loop {
            let (head, whole) = loop {
                if let Some(sizes) = message(&buffer[..held]) {
                    break sizes;
                }
                match stream.read(&mut buffer[held..]) {
                    Ok(0) | Err(_) => return,
                    Ok(read) => {
                        arrived = now();
                        held += read;
                    }
                }
            };
            let text = String::from_utf8_lossy(&buffer[..head]).into_owned();
            buffer.copy_within(whole..held, 0);
            held -= whole;
            if let Some(key) = header(&text, "sec-websocket-key") {
                let accept = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
                let accept = base64::engine::general_purpose::STANDARD.encode(accept);
                let _ = write!(
                    stream,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {accept}\r\n\r\n"
                );
                // The subscription; what follows (pings) is read and forgotten.
                if stream.read(&mut buffer).is_err() {
                    return;
                }
                let writing = stream.try_clone().expect("a socket");
                let _ = sockets.send(writing);
                while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
                return;
            }
            let answer = if text.starts_with("POST /order ") {
                let _ = orders.send(arrived);
                let id = *self.expected.lock().expect("no panic");
                let id: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
                format!(
                    "{{\"errorMsg\":\"\",\"orderID\":\"0x{id}\",\"takingAmount\":\"\",\"makingAmount\":\"\",\
                     \"status\":\"live\",\"transactionsHashes\":[],\"tradeIDs\":[],\"success\":true}}"
                )
            } else if text.starts_with("GET /version") {
                "{\"version\":2}".to_owned()
            } else if text.starts_with("GET /time") {
                "1790000000".to_owned()
            } else {
                "\"OK\"".to_owned()
            };
            let _ = stream.write_all(
                format!(
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{answer}",
                    answer.len()
                )
                .as_bytes(),
            );
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "measuring is what this is for")]
pub fn now() -> Instant {
    Instant::now()
}

/// Length of the head and of the whole HTTP message, once it is there.
pub fn message(bytes: &[u8]) -> Option<(usize, usize)> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]);
    let body = header(&text, "content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    (bytes.len() >= head + body).then_some((head, head + body))
}

fn header<'t>(head: &'t str, name: &str) -> Option<&'t str> {
    head.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        key.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn without_best_ask(book: &str) -> String {
    let asks = book.find("\"asks\":[").expect("asks");
    let end = asks + book[asks..].find(']').expect("an end");
    let last = asks + book[asks..end].rfind(",{").expect("several asks");
    format!("{}{}", &book[..last], &book[end..])
}

impl Ticker {
    /// Pushes `ticks` books, one after the order on the last has come. `warm` ticks before are not counted.
    #[expect(clippy::disallowed_methods, reason = "ticks come with pauses, as they do")]
    pub fn run(&mut self, warm: usize, ticks: usize) -> Vec<Way> {
        let mut socket = self.sockets.recv_timeout(Duration::from_secs(10)).expect("a subscriber");
        std::thread::sleep(Duration::from_millis(50));
        let mut chance = Chance(7);
        let mut taken = Vec::with_capacity(ticks);
        for tick in 0..warm + ticks {
            std::thread::sleep(Duration::from_micros(400 + chance.below(400)));
            let frame = &mut self.books[tick % 2];
            let stamp = (1_790_000_000_000 + tick as u64 * 7).to_string();
            frame[self.stamp..self.stamp + stamp.len()].copy_from_slice(stamp.as_bytes());
            let mut bytes = vec![0x81, 126];
            bytes.extend_from_slice(&(frame.len() as u16).to_be_bytes());
            bytes.extend_from_slice(frame);
            let sent = now();
            socket.write_all(&bytes).expect("a live socket");
            let arrived = self.orders.recv_timeout(Duration::from_secs(10)).expect("an order");
            if tick >= warm {
                taken.push((sent, arrived));
            }
        }
        taken
    }
}

/// Runs a bot against a venue of its own and prints a line of the table.
pub fn tick_to_order(
    name: &str,
    mix: &Mix,
    ticks: usize,
    bot: impl FnOnce(&Venue, usize) + Send + 'static,
) {
    const WARM: usize = 300;
    let (venue, mut ticker) = Venue::open(mix);
    let marks = venue.marks.clone();
    let bot = std::thread::Builder::new()
        .name("bot".into())
        .spawn(move || bot(&venue, WARM + ticks))
        .expect("a thread");
    let taken = ticker.run(WARM, ticks);
    bot.join().expect("the bot ends");
    let micros =
        |from: Instant, to: Instant| to.saturating_duration_since(from).as_nanos() as f64 / 1e3;
    line(name, taken.iter().map(|(sent, arrived)| micros(*sent, *arrived)));
    let marks = marks.lock().expect("no panic");
    if marks.len() == WARM + ticks {
        let both = || taken.iter().zip(&marks[WARM..]);
        line(
            "  frame written to event received",
            both().map(|((sent, _), [got, _])| micros(*sent, *got)),
        );
        line(
            "  decision, signature, journal",
            both().map(|(_, [got, signed])| micros(*got, *signed)),
        );
        line(
            "  request to the last byte read",
            both().map(|((_, arrived), [_, signed])| micros(*signed, *arrived)),
        );
    }
}

pub fn heading() {
    println!(
        "\nTick to order on loopback, µs from before the frame is written to the whole order read"
    );
    println!("{:<58} {:>8} {:>8} {:>8} {:>8}", "", "least", "p50", "p90", "p99");
}

fn line(name: &str, taken: impl Iterator<Item = f64>) {
    let mut taken: Vec<f64> = taken.collect();
    taken.sort_by(f64::total_cmp);
    let at = |share: f64| taken[((taken.len() - 1) as f64 * share) as usize];
    println!("{name:<58} {:>8.1} {:>8.1} {:>8.1} {:>8.1}", taken[0], at(0.5), at(0.9), at(0.99));
}
