//! What a connection is made of: TCP, or any byte stream that a program hands in.
//!
//! A simulation runs both ends of every connection over pipes in one process. TLS, HTTP, sockets, limits and
//! timeouts above are the same; nothing above this file knows which one it is.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A connection in both directions. A reset is an error of reading and writing, an orderly end is not.
pub trait ByteStream: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> ByteStream for T {}

/// The future of a connection.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Box<dyn ByteStream>>> + Send>>;

/// Opens connections in place of TCP.
pub trait Connect: Send + Sync + 'static {
    /// Opens one to a host (as the URL has it, without a port) and port. The host has passed the list of
    /// allowed ones.
    ///
    /// # Errors
    /// Nothing listens there. Nothing was sent then.
    fn connect(&self, host: &str, port: u16) -> Connecting;

    /// Where the jitter of waiting times comes from; `None` takes the system's, so that the programs of one
    /// machine do not come back in step. A simulation gives its seed.
    fn seed(&self) -> Option<u64> {
        None
    }
}

/// A connection of either kind. The usual one costs no allocation and no dynamic call.
pub(crate) enum Wire {
    Tcp(TcpStream),
    Given(Box<dyn ByteStream>),
}

impl Connection for Wire {
    fn connected(&self) -> Connected {
        match self {
            Wire::Tcp(stream) => stream.connected(),
            Wire::Given(_) => Connected::new(),
        }
    }
}

impl AsyncRead for Wire {
    #[inline]
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Wire::Given(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Wire {
    #[inline]
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Wire::Given(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }
    #[inline]
    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Wire::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
            Wire::Given(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
        }
    }
    #[inline]
    fn is_write_vectored(&self) -> bool {
        match self {
            Wire::Tcp(stream) => stream.is_write_vectored(),
            Wire::Given(stream) => stream.is_write_vectored(),
        }
    }
    #[inline]
    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Wire::Given(stream) => Pin::new(stream).poll_flush(context),
        }
    }
    #[inline]
    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Wire::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Wire::Given(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
