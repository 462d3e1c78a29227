//! A small HTTP server for doubles: of a node that lies, of the relayer.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::anvil;

/// A request as doubles see it.
pub struct Asked {
    pub method: String,
    pub path: String,
    pub headers: http::HeaderMap,
    pub body: Value,
    pub raw: Bytes,
}

/// Status and body; `None` hangs up without a word.
pub type Answer = Option<(u16, Value)>;
type Answering = Pin<Box<dyn Future<Output = Answer> + Send>>;

/// Serves until the test's runtime ends. Gives the base URL.
pub async fn serve<F>(answer: F) -> String
where
    F: Fn(Asked) -> Answering + Send + Sync + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let answer = Arc::clone(&answer);
            tokio::spawn(async move {
                let service = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let answer = Arc::clone(&answer);
                    async move {
                        let (head, body) = request.into_parts();
                        let raw = body.collect().await.map(|b| b.to_bytes()).unwrap_or_default();
                        let asked = Asked {
                            method: head.method.to_string(),
                            path: head.uri.to_string(),
                            headers: head.headers,
                            body: serde_json::from_slice(&raw).unwrap_or(Value::Null),
                            raw,
                        };
                        let Some((status, body)) = answer(asked).await else {
                            return Err(std::io::Error::other("hung up"));
                        };
                        let text = match body {
                            Value::String(text) => text,
                            other => other.to_string(),
                        };
                        let answer = http::Response::builder()
                            .status(status)
                            .body(Full::new(Bytes::from(text)))
                            .unwrap();
                        Ok(answer)
                    }
                });
                let _ = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), service)
                    .await;
            });
        }
    });
    url
}

/// What a lying node does with a request.
pub enum Lie {
    /// Nothing: the truth.
    No,
    /// Asks the real node, then answers this instead.
    Instead(Value),
    /// Asks the real node and hangs up.
    Lose,
    /// Hangs up at once.
    Drop,
    /// An error of the node.
    Error(i64, &'static str),
    /// A plain HTTP answer.
    Http(u16, Value),
    /// Asks for another block than the newest.
    Block(u64),
}

/// A node in front of `real` with false results by `lie`, by method and params.
pub async fn node(real: &str, lie: impl Fn(&str, &Value) -> Lie + Send + Sync + 'static) -> String {
    let real = real.to_owned();
    let http = anvil::http(std::slice::from_ref(&real), None);
    let lie = Arc::new(lie);
    serve(move |asked| {
        let (real, http, lie) = (real.clone(), http.clone(), Arc::clone(&lie));
        Box::pin(async move {
            let mut body = asked.body;
            let id = body["id"].clone();
            let method = body["method"].as_str().unwrap_or("").to_owned();
            let lie = lie(&method, &body["params"]);
            match lie {
                Lie::Drop => return None,
                Lie::Error(code, message) => {
                    return Some((200, json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message}})));
                }
                Lie::Http(status, body) => return Some((status, body)),
                Lie::Block(number) => body["params"][0] = json!(format!("0x{number:x}")),
                _ => {}
            }
            let mut answer = anvil::post(&http, &real, &body).await;
            match lie {
                Lie::Lose => return None,
                Lie::Instead(value) => answer["result"] = value,
                _ => {}
            }
            Some((200, answer))
        })
    })
    .await
}
