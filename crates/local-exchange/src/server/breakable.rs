//! A byte stream that can end with a reset: TCP, or a pipe within the process.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

/// Says how a connection ends, and tells a pipe's other half.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reset(Arc<End>);

#[derive(Debug, Default)]
struct End {
    /// Whether it is to end by a reset.
    reset: AtomicBool,
    /// Whether it has.
    done: AtomicBool,
}

impl Reset {
    /// Whether it ends by RST instead of FIN.
    pub(super) fn set(&self, reset: bool) {
        self.0.reset.store(reset, Ordering::Relaxed);
    }
    fn get(&self) -> bool {
        self.0.reset.load(Ordering::Relaxed)
    }
    fn done(&self) -> bool {
        self.0.done.load(Ordering::Relaxed)
    }
}

enum Stream {
    Tcp(TcpStream),
    Pipe(DuplexStream),
}

/// The exchange's half. When it is dropped with its [`Reset`] set, the other side gets a reset, and what was
/// written but not yet read there may be lost.
pub(super) struct Breakable {
    stream: Stream,
    reset: Reset,
}

impl Breakable {
    pub(super) fn tcp(stream: TcpStream) -> (Breakable, Reset) {
        Breakable::of(Stream::Tcp(stream))
    }
    pub(super) fn pipe(stream: DuplexStream) -> (Breakable, Reset) {
        Breakable::of(Stream::Pipe(stream))
    }
    fn of(stream: Stream) -> (Breakable, Reset) {
        let reset = Reset::default();
        (Breakable { stream, reset: reset.clone() }, reset)
    }
}

impl Drop for Breakable {
    fn drop(&mut self) {
        if !self.reset.get() {
            return;
        }
        // Before the stream itself ends, so that the other half cannot take the end for an orderly one.
        self.reset.0.done.store(true, Ordering::Relaxed);
        if let Stream::Tcp(stream) = &self.stream
            && let Err(error) = stream.set_zero_linger()
        {
            tracing::error!(%error, "a connection cannot be reset; it is closed");
        }
    }
}

impl AsyncRead for Breakable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_read(context, buffer),
            Stream::Pipe(stream) => Pin::new(stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Breakable {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write(context, bytes),
            Stream::Pipe(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
            Stream::Pipe(stream) => Pin::new(stream).poll_write_vectored(context, bytes),
        }
    }
    fn is_write_vectored(&self) -> bool {
        match &self.stream {
            Stream::Tcp(stream) => stream.is_write_vectored(),
            Stream::Pipe(stream) => stream.is_write_vectored(),
        }
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(context),
            Stream::Pipe(stream) => Pin::new(stream).poll_flush(context),
        }
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A FIN before the RST would look like an orderly end.
        if self.reset.get() {
            return Poll::Ready(Ok(()));
        }
        match &mut self.stream {
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(context),
            Stream::Pipe(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}

/// A client's half of a connection within the process. After a reset reading and writing are errors, as with
/// TCP: what came before and was not read is lost.
#[derive(Debug)]
pub struct Pipe {
    stream: DuplexStream,
    reset: Reset,
}

impl Pipe {
    pub(super) fn new(stream: DuplexStream, reset: Reset) -> Pipe {
        Pipe { stream, reset }
    }

    fn broken<T>(&self) -> Option<Poll<io::Result<T>>> {
        let error = || Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        self.reset.done().then(error)
    }
}

impl AsyncRead for Pipe {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // The drop of the other half wakes a reader that waits.
        match self.broken() {
            Some(error) => error,
            None => Pin::new(&mut self.stream).poll_read(context, buffer),
        }
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.broken() {
            Some(error) => error,
            None => Pin::new(&mut self.stream).poll_write(context, bytes),
        }
    }
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
