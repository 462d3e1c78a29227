//! What the machine itself takes from tick to order: blocking sockets, a frame that is read and not looked
//! at, a request that was made beforehand. With or without the signature a real order needs.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::loopback::{Venue, message, now, tick_to_order};
use crate::mix::Mix;
use crate::ours::{Maker, args};
use polydesk_domain::TokenId;
use polydesk_polymarket_api::{Salt, Stamp};

/// Both lines of the table.
pub fn lines(mix: &Mix, ticks: usize) {
    for (name, signs) in
        [("bare sockets, nothing read or signed", false), ("bare sockets and a signature", true)]
    {
        tick_to_order(name, mix, ticks, move |venue, orders| bot(venue, orders, signs));
    }
}

/// The barest bot there is; `signs` adds one signature by libsecp256k1 to each tick.
fn bot(venue: &Venue, orders: usize, signs: bool) {
    let mut socket = dial(venue);
    let upgrade = "GET /ws/market HTTP/1.1\r\nHost: venue\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    socket.write_all(upgrade.as_bytes()).expect("a live socket");
    answer(&mut socket, &mut Vec::new());
    socket.write_all(b"any first frame").expect("a live socket");

    let Maker { signer, auth, clock, .. } = Maker::new();
    let token: TokenId = venue.token().parse().expect("an id");
    let stamp = Stamp { salt: Salt::of_random(1 << 11), timestamp_ms: 1_790_000_000_000 };
    let signed = signer.sign(&args(token, 50), stamp, auth.owner()).expect("an order");
    let body = signed.body();
    let headers = auth.header_map(clock.secs(), "POST", "/order", body).expect("headers");
    let mut request = b"POST /order HTTP/1.1\r\nhost: venue\r\n".to_vec();
    for (name, value) in &headers {
        request.extend_from_slice(name.as_str().as_bytes());
        request.extend_from_slice(b": ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    request.extend_from_slice(body);

    let mut wire = dial(venue);
    let mut frame = vec![0; 1 << 16];
    let mut held = Vec::new();
    let mut digest = signer.digests(signed.unsigned()).signed;
    for order in 0..orders {
        let mut start = [0; 4];
        socket.read_exact(&mut start).expect("a frame");
        assert_eq!(start[1], 126, "a frame with a length of two bytes");
        let length = usize::from(u16::from_be_bytes([start[2], start[3]]));
        socket.read_exact(&mut frame[..length]).expect("a frame");
        let got = now();
        if signs {
            digest.0[..8].copy_from_slice(&(order as u64).to_le_bytes());
            std::hint::black_box(signer.key().sign(&digest));
        }
        venue.mark(got, now());
        wire.write_all(&request).expect("a live connection");
        answer(&mut wire, &mut held);
    }
}

fn dial(venue: &Venue) -> TcpStream {
    let place = venue.url();
    let stream = TcpStream::connect(place.trim_start_matches("http://")).expect("a venue");
    stream.set_nodelay(true).expect("a socket");
    stream
}

/// Reads one HTTP message whole.
fn answer(stream: &mut TcpStream, held: &mut Vec<u8>) {
    let mut part = [0; 4_096];
    let whole = loop {
        if let Some((_, whole)) = message(held) {
            break whole;
        }
        let read = stream.read(&mut part).expect("an answer");
        assert!(read > 0, "the venue hung up");
        held.extend_from_slice(&part[..read]);
    };
    held.drain(..whole);
}
