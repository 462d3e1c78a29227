//! The transport against a TLS server, a proxy and servers that misbehave, all on loopback.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use polydesk_polymarket_api::{ApiError, Effect, Endpoints, Http, HttpConfig, HttpRequest};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

fn run(test: impl std::future::Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        tokio::time::timeout(std::time::Duration::from_secs(60), test)
            .await
            .expect("the test hangs");
    });
}

/// A TLS server that reports the request it received.
async fn tls_server(
    folder: &tempfile::TempDir,
) -> (SocketAddr, std::path::PathBuf, Arc<AtomicUsize>) {
    let rcgen::CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let path = folder.path().join("root.pem");
    std::fs::write(&path, cert.pem()).unwrap();
    let key = rustls::pki_types::PrivateKeyDer::Pkcs8(signing_key.serialize_der().into());
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(
        rustls::crypto::ring::default_provider(),
    ))
    .with_safe_default_protocol_versions()
    .unwrap()
    .with_no_client_auth()
    .with_single_cert(vec![cert.der().clone()], key)
    .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { return };
            let (acceptor, count) = (acceptor.clone(), count.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                count.fetch_add(1, Ordering::SeqCst);
                let service = service_fn(|request: Request<hyper::body::Incoming>| async move {
                    let (head, body) = request.into_parts();
                    let body = body.collect().await?.to_bytes();
                    let text = format!(
                        "{{\"version\":\"{:?}\",\"agent\":{:?},\"gzip\":{},\"body\":{}}}",
                        head.version,
                        head.headers["user-agent"].to_str().unwrap(),
                        head.headers.get("accept-encoding").is_some(),
                        body.len()
                    );
                    let mut answer = Response::new(Full::new(Bytes::from(text.clone())));
                    if head.headers.get("accept-encoding").is_some() {
                        use std::io::Write;
                        let mut packed =
                            flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                        packed.write_all(text.as_bytes()).unwrap();
                        answer = Response::new(Full::new(Bytes::from(packed.finish().unwrap())));
                        answer.headers_mut().insert("content-encoding", "gzip".parse().unwrap());
                    }
                    Ok::<_, hyper::Error>(answer)
                });
                let _ = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new())
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    (address, path, connections)
}

fn endpoints(url: &str) -> Endpoints {
    Endpoints { clob: url.to_owned(), rpc: Vec::new(), ..Endpoints::default() }
}

fn request(url: String, effect: Effect, gzip: bool) -> HttpRequest {
    let (method, body) = match effect {
        Effect::Read => (Method::GET, Bytes::new()),
        _ => (Method::POST, Bytes::from_static(b"{\"a\":1}")),
    };
    HttpRequest {
        method,
        url,
        headers: HeaderMap::new(),
        body,
        effect,
        what: "a test".into(),
        gzip,
    }
}

#[test]
fn tls_is_checked_and_both_versions_of_http_are_spoken() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (address, root, connections) = tls_server(&folder).await;
        let url = format!("https://localhost:{}", address.port());
        let http = |http2: bool, roots: Vec<std::path::PathBuf>| {
            Http::new(
                HttpConfig { http2, extra_roots: roots, ..HttpConfig::default() },
                &endpoints(&url),
            )
            .unwrap()
        };
        // An untrusted certificate: nothing was sent.
        let untrusted =
            http(false, Vec::new()).send(request(url.clone(), Effect::Once, false)).await;
        assert!(
            matches!(&untrusted, Err(ApiError::Unreachable(text)) if text.contains("UnknownIssuer")),
            "{untrusted:?}"
        );
        for (http2, version) in [(false, "HTTP/1.1"), (true, "HTTP/2.0")] {
            let before = connections.load(Ordering::SeqCst);
            let client = http(http2, vec![root.clone()]);
            for (effect, gzip) in
                [(Effect::Read, true), (Effect::Once, false), (Effect::Read, false)]
            {
                let answer: serde_json::Value =
                    client.json(request(url.clone(), effect, gzip)).await.unwrap();
                assert_eq!(answer["version"], version);
                assert_eq!(answer["gzip"], gzip);
                assert_eq!(answer["body"], if effect == Effect::Once { 7 } else { 0 });
                assert!(answer["agent"].as_str().unwrap().starts_with("polydesk/"));
            }
            assert_eq!(
                connections.load(Ordering::SeqCst),
                before + 1,
                "one warm connection serves all"
            );
        }
        let missing = Http::new(
            HttpConfig {
                extra_roots: vec![folder.path().join("none.pem")],
                ..HttpConfig::default()
            },
            &endpoints(&url),
        );
        assert!(missing.unwrap_err().to_string().contains("none.pem"));
    });
}

#[test]
fn a_proxy_carries_everything_and_learns_its_password_only() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let (address, root, _) = tls_server(&folder).await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let heads = Arc::new(std::sync::Mutex::new(Vec::<String>::new()));
        let kept = heads.clone();
        tokio::spawn(async move {
            loop {
                let Ok((mut client, _)) = listener.accept().await else { return };
                let kept = kept.clone();
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        head.push(client.read_u8().await.unwrap());
                    }
                    kept.lock().unwrap().push(String::from_utf8(head).unwrap());
                    let mut server = TcpStream::connect(address).await.unwrap();
                    client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
        let url = format!("https://localhost:{}", address.port());
        let config = HttpConfig {
            proxy: Some(format!("http://me:secret@{proxy}")),
            extra_roots: vec![root],
            ..HttpConfig::default()
        };
        let http = Http::new(config, &endpoints(&url)).unwrap();
        let answer: serde_json::Value =
            http.json(request(url.clone(), Effect::Read, false)).await.unwrap();
        assert_eq!(answer["version"], "HTTP/1.1");
        let heads = heads.lock().unwrap().clone();
        assert_eq!(heads.len(), 1);
        let head = heads[0].to_ascii_lowercase();
        assert!(head.starts_with(&format!("connect localhost:{}", address.port())), "{head}");
        assert!(head.contains("proxy-authorization: basic bwu6c2vjcmv0"), "{head}");
        // The list of hosts holds through a proxy too.
        let elsewhere =
            http.send(request("https://example.org/".into(), Effect::Read, false)).await;
        assert!(matches!(elsewhere, Err(ApiError::Misconfigured(_))), "{elsewhere:?}");
        for bad in ["socks4://x:1", "nonsense", "https://x:1"] {
            let config = HttpConfig { proxy: Some(bad.into()), ..HttpConfig::default() };
            assert!(
                Http::new(config, &endpoints(&url)).unwrap_err().to_string().contains("http.proxy")
            );
        }
    });
}

/// A server that answers every connection with these bytes and then acts as configured.
async fn raw(answer: &'static [u8], stay: bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let requests = Arc::new(AtomicUsize::new(0));
    let count = requests.clone();
    tokio::spawn(async move {
        loop {
            let Ok((mut stream, _)) = listener.accept().await else { return };
            let count = count.clone();
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {
                    count.fetch_add(1, Ordering::SeqCst);
                    let _ = stream.write_all(answer).await;
                    if !stay {
                        return;
                    }
                }
            });
        }
    });
    (url, requests)
}

#[test]
fn broken_answers_are_unknown_for_orders_and_harmless_for_reads() {
    run(async {
        let cases: [(&str, &'static [u8], bool); 8] = [
            ("nothing", b"", true),
            ("closed at once", b"", false),
            ("half a head", b"HTTP/1.1 200 O", false),
            ("half a body", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\":", false),
            ("a body that stops", b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"a\":", true),
            (
                "too large",
                b"HTTP/1.1 200 OK\r\ncontent-length: 30\r\n\r\n{\"a\":\"aaaaaaaaaaaaaaaaaaaaaa\"}",
                true,
            ),
            (
                "bad gzip",
                b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd",
                true,
            ),
            (
                "unasked encoding",
                b"HTTP/1.1 200 OK\r\ncontent-encoding: br\r\ncontent-length: 4\r\n\r\nabcd",
                true,
            ),
        ];
        for (what, answer, stay) in cases {
            let (url, requests) = raw(answer, stay).await;
            let config = HttpConfig {
                answer_timeout_ms: 150,
                body_timeout_ms: 150,
                max_body_bytes: 20,
                ..HttpConfig::default()
            };
            let http = Http::new(config, &endpoints(&url)).unwrap();
            let order = http.send(request(url.clone(), Effect::Once, false)).await;
            assert!(matches!(order, Err(ApiError::Unknown(_))), "{what}: {order:?}");
            assert_eq!(requests.load(Ordering::SeqCst), 1, "{what}: an order was sent again");
            let read = http.send(request(url.clone(), Effect::Read, false)).await;
            assert!(matches!(read, Err(ApiError::Unreachable(_))), "{what}: {read:?}");
        }
        // Nobody listens: nothing was sent, also of an order.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let http = Http::new(HttpConfig::default(), &endpoints(&url)).unwrap();
        let order = http.send(request(url, Effect::Once, false)).await;
        assert!(matches!(order, Err(ApiError::Unreachable(_))), "{order:?}");
    });
}

#[test]
fn redirects_are_not_followed() {
    run(async {
        let (url, requests) = raw(
            b"HTTP/1.1 302 Found\r\nlocation: https://example.org/\r\ncontent-length: 0\r\n\r\n",
            true,
        )
        .await;
        let http = Http::new(HttpConfig::default(), &endpoints(&url)).unwrap();
        let answer = http.json::<serde_json::Value>(request(url, Effect::Read, false)).await;
        assert!(
            matches!(&answer, Err(ApiError::Misconfigured(text)) if text.contains("redirected")),
            "{answer:?}"
        );
        assert_eq!(requests.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_server_that_takes_the_connection_and_never_speaks_was_not_reached() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let config = HttpConfig {
            connect_timeout_ms: 150,
            answer_timeout_ms: 50_000,
            ..HttpConfig::default()
        };
        let http = Http::new(config, &endpoints(&url)).unwrap();
        let silent = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut hello = Vec::new();
            // Its first words are a TLS greeting, and no request follows before it gives up.
            stream.read_to_end(&mut hello).await.unwrap();
            hello
        };
        let (error, hello) =
            tokio::join!(http.send(request(url.clone(), Effect::Once, false)), silent);
        let error = error.unwrap_err();
        assert!(
            matches!(&error, ApiError::Unreachable(text) if text.contains("within 150 ms")),
            "{error}"
        );
        assert_eq!(hello.first(), Some(&22), "a handshake record");
    });
}
