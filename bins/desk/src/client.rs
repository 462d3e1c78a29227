//! One request over the socket in the data folder.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::TokioIo;
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

/// Asks the running process.
///
/// # Errors
/// None runs, or it does not answer.
pub fn ask(data: &Path, method: &str, path: &str) -> anyhow::Result<Answer> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let request = request(data, method, path);
    runtime.block_on(async {
        match tokio::time::timeout(LIMIT, request).await {
            Ok(answer) => answer,
            Err(_) => bail!("the process did not answer within {} s", LIMIT.as_secs()),
        }
    })
}

async fn request(data: &Path, method: &str, path: &str) -> anyhow::Result<Answer> {
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
        .body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    let body = answer.into_body().collect().await?.to_bytes().to_vec();
    Ok(Answer { status, body })
}
