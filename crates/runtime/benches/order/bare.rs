//! What the libraries themselves take: fastwebsockets reads the frame and nothing looks at it, one digest is signed, and
//! hyper sends a body that was made beforehand over a connection that is kept, all in one current-thread runtime.

use bytes::Bytes;
use fastwebsockets::{Role, WebSocket};
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::ours::{maker, sample};
use crate::venue::Venue;

pub fn run(venue: &Venue, orders: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(bot(venue, orders));
}

async fn bot(venue: &Venue, orders: usize) {
    let mut stream = dial(venue).await;
    let upgrade = "GET /ws/market HTTP/1.1\r\nHost: venue\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(upgrade.as_bytes()).await.expect("a live socket");
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).await.expect("an answer");
        head.extend(byte);
    }
    stream.write_all(b"any first frame").await.expect("a live socket");
    let mut socket = WebSocket::after_handshake(stream, Role::Client);

    let (signer, auth) = maker();
    let signed = sample(&signer);
    let body = Bytes::copy_from_slice(signed.body());
    let headers = auth.header_map(1_790_000_000, "POST", "/order", &body).expect("headers");
    let mut digest = signer.digests(signed.unsigned()).signed;
    let wire = TokioIo::new(dial(venue).await);
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(wire).await.expect("a connection");
    tokio::spawn(connection);
    for order in 0..orders {
        let frame = socket.read_frame().await.expect("a frame");
        std::hint::black_box(frame.payload.len());
        digest.0[..8].copy_from_slice(&(order as u64).to_le_bytes());
        std::hint::black_box(signer.key().sign(&digest));
        let mut request = hyper::Request::post("/order").header("host", "venue");
        if let Some(all) = request.headers_mut() {
            all.extend(headers.clone());
        }
        let request = request.body(Full::new(body.clone())).expect("a request");
        let answer = sender.send_request(request).await.expect("an answer");
        let _ = answer.into_body().collect().await;
    }
}

async fn dial(venue: &Venue) -> TcpStream {
    let stream = TcpStream::connect(venue.address()).await.expect("a venue");
    stream.set_nodelay(true).expect("a socket");
    stream
}
