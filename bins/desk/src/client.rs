//! One request over the socket in the data folder.

use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::rt::TokioIo;
use polydesk_runtime::decisions::clean;
use polydesk_runtime::server::SOCKET;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(10);

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Body.
    pub body: Vec<u8>,
}

impl Answer {
    /// The reason of a refusal, on one line.
    pub fn why(&self) -> String {
        let value = serde_json::from_slice::<serde_json::Value>(&self.body).ok();
        let why = value.as_ref().and_then(|value| value["error"].as_str());
        let text = String::from_utf8_lossy(&self.body);
        match clean(why.unwrap_or(text.trim())) {
            why if why.is_empty() => format!("it answers {} without a reason", self.status),
            why => why,
        }
    }
}

/// Asks the running process; `None`: no process has the socket open.
///
/// # Errors
/// One has, and does not answer.
pub fn ask_if_there(data: &Path, method: &str, path: &str) -> anyhow::Result<Option<Answer>> {
    ask_with_if_there(data, method, path, Vec::new())
}

/// The same with a body.
///
/// # Errors
/// As [`ask_if_there`].
pub fn ask_with_if_there(
    data: &Path,
    method: &str,
    path: &str,
    body: Vec<u8>,
) -> anyhow::Result<Option<Answer>> {
    // The lock of the folder decides who runs; a socket that was left there refuses.
    match std::os::unix::net::UnixStream::connect(data.join(SOCKET)).map(drop) {
        Ok(()) => ask_with(data, method, path, body).map(Some),
        Err(error)
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused) =>
        {
            Ok(None)
        }
        Err(error) => {
            Err(error).with_context(|| format!("{} cannot be asked", data.join(SOCKET).display()))
        }
    }
}

/// Asks the running process.
///
/// # Errors
/// None runs, or it does not answer.
pub fn ask(data: &Path, method: &str, path: &str) -> anyhow::Result<Answer> {
    ask_with(data, method, path, Vec::new())
}

fn ask_with(data: &Path, method: &str, path: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let request = request(data, method, path, body);
    runtime.block_on(async {
        match tokio::time::timeout(LIMIT, request).await {
            Ok(answer) => answer,
            Err(_) => bail!("the process did not answer within {} s", LIMIT.as_secs()),
        }
    })
}

async fn request(data: &Path, method: &str, path: &str, body: Vec<u8>) -> anyhow::Result<Answer> {
    let socket = data.join(SOCKET);
    let stream = tokio::net::UnixStream::connect(&socket).await.with_context(|| {
        format!(
            "no process answers at {}: start it, or name its folder with --data",
            socket.display()
        )
    })?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let request = http::Request::builder()
        .method(method)
        .uri(path)
        .header(http::header::HOST, "polydesk")
        .body(Full::new(Bytes::from(body)))?;
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes().to_vec();
    Ok(Answer { status, body })
}
