//! A venue on loopback: it pushes books and notes when an order has wholly arrived. Blocking sockets with TCP_NODELAY, a
//! thread for each connection. An order finds nothing and is killed, so that none of them rests.

use std::fmt::Write as _;
use std::io::{Read, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use base64::Engine as _;
use sha1::{Digest as _, Sha1};

use crate::now;

/// The token of the books.
pub const TOKEN: &str =
    "71321045679252212594626385532706912750332728571942532289631379312455583992563";
const CONDITION: &str = "0x5f65177b394277fd294cd75650044e32ba009a95022d88a0c1d565897d72f8f1";
const KILLED: &str = "{\"error\":\"no orders found to match with FAK order. FAK orders are partially filled or killed if no match is found.\"}";

/// Where it listens.
#[derive(Clone)]
pub struct Venue {
    at: SocketAddr,
}

/// The ends that the ticking thread holds.
pub struct Ticker {
    sockets: Receiver<TcpStream>,
    orders: Receiver<Instant>,
}

impl Venue {
    pub fn open() -> (Venue, Ticker) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let at = listener.local_addr().expect("an address");
        let (to_sockets, sockets) = channel();
        let (to_orders, orders) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (to_sockets, to_orders) = (to_sockets.clone(), to_orders.clone());
                std::thread::spawn(move || serve(stream, &to_sockets, &to_orders));
            }
        });
        (Venue { at }, Ticker { sockets, orders })
    }

    pub fn address(&self) -> SocketAddr {
        self.at
    }
    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }
    pub fn socket(&self, channel: &str) -> String {
        format!("ws://{}/ws/{channel}", self.at)
    }
}

fn serve(mut stream: TcpStream, sockets: &Sender<TcpStream>, orders: &Sender<Instant>) {
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
            // The subscription; what follows is read and forgotten.
            if stream.read(&mut buffer).is_err() {
                return;
            }
            if text.starts_with("GET /ws/market ") {
                let _ = sockets.send(stream.try_clone().expect("a socket"));
            }
            while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
            return;
        }
        let (status, answer) = match text.starts_with("POST /order ") {
            true => {
                let _ = orders.send(arrived);
                ("400 Bad Request", KILLED)
            }
            false => ("200 OK", "\"OK\""),
        };
        let _ = stream.write_all(
            format!(
                "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{answer}",
                answer.len()
            )
            .as_bytes(),
        );
    }
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

/// A book of forty levels whose best ask moves by a cent from one tick to the next.
fn book(tick: usize) -> String {
    let levels = |from: i32, step: i32| {
        let mut text = String::new();
        // The best price stands last.
        for level in (0..20).rev() {
            let comma = if level == 19 { "" } else { "," };
            let cents = from + level * step;
            let _ =
                write!(text, "{comma}{{\"price\":\"0.{cents:02}\",\"size\":\"{}\"}}", 100 + level);
        }
        text
    };
    let (bids, asks) = (levels(50, -1), levels(54 + (tick % 2) as i32, 1));
    let at = 1_790_000_000_000_u64 + tick as u64 * 7;
    format!(
        "{{\"market\":\"{CONDITION}\",\"asset_id\":\"{TOKEN}\",\"timestamp\":\"{at}\",\"hash\":\"\",\
         \"bids\":[{bids}],\"asks\":[{asks}],\"tick_size\":\"0.01\",\"event_type\":\"book\",\
         \"last_trade_price\":\"0.510\"}}"
    )
}

impl Ticker {
    /// Pushes a book after the order on the last one has come, and a pause.
    #[expect(clippy::disallowed_methods, reason = "ticks come with pauses, as they do")]
    pub fn run(&mut self, warm: usize, ticks: usize) -> Vec<(Instant, Instant)> {
        let wait = Duration::from_secs(20);
        let mut socket = self.sockets.recv_timeout(wait).expect("a subscriber");
        std::thread::sleep(Duration::from_millis(300));
        let mut taken = Vec::with_capacity(ticks);
        for tick in 0..warm + ticks {
            // 0.8 to 1.6 ms, not in step with anything.
            std::thread::sleep(Duration::from_micros(800 + (tick as u64 * 7_919) % 800));
            let frame = book(tick);
            let mut bytes = vec![0x81, 126];
            bytes.extend_from_slice(&(frame.len() as u16).to_be_bytes());
            bytes.extend_from_slice(frame.as_bytes());
            let sent = now();
            socket.write_all(&bytes).expect("a live socket");
            let arrived = self.orders.recv_timeout(wait).expect("an order");
            if tick >= warm {
                taken.push((sent, arrived));
            }
        }
        taken
    }
}
