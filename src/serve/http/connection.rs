//! A connection that does not wait for ever: one whose other end takes nothing for two minutes breaks.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep};

/// How long the other end may take nothing of what is sent. The system keeps some megabytes for a slow one and tells of room only once
/// a third of them is free, so that this is also the time for that third.
const STALL: Duration = Duration::from_secs(120);

/// A connection to a client.
pub(super) struct Connection {
    stream: TcpStream,
    /// Runs while something waits to be sent.
    stall: Pin<Box<Sleep>>,
    is_waiting: bool,
    patience: Duration,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Connection::with_patience(stream, STALL)
    }

    fn with_patience(stream: TcpStream, patience: Duration) -> Self {
        Connection { stream, stall: Box::pin(sleep(patience)), is_waiting: false, patience }
    }

    /// Breaks the connection where an attempt to send has waited for too long.
    fn limit<T>(&mut self, context: &mut Context<'_>, sent: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if sent.is_ready() {
            self.is_waiting = false;
            return sent;
        }
        if !self.is_waiting {
            self.is_waiting = true;
            self.stall.as_mut().reset(Instant::now() + self.patience);
        }
        ready!(self.stall.as_mut().poll(context));
        Poll::Ready(Err(io::Error::new(ErrorKind::TimedOut, "the client reads nothing")))
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.limit(context, sent)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let sent = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.limit(context, sent)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_left_and_one_that_is_slow_is_served() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let reader = TcpStream::connect(address).await.expect("connected");
        let (stream, _) = listener.accept().await.expect("accepted");
        let mut connection = Connection::with_patience(stream, Duration::from_millis(300));
        let bytes = vec![0; 1 << 20];
        let mut sent = 0;
        // It waits for a while, takes twice what the system may keep, and then nothing any more.
        let slow = tokio::spawn(async move {
            let (mut part, mut taken) = (vec![0; 1 << 20], 0);
            tokio::time::sleep(Duration::from_millis(200)).await;
            while taken < 16 << 20 {
                reader.readable().await.expect("bytes");
                taken += reader.try_read(&mut part).unwrap_or(0);
            }
            reader
        });
        let begin = std::time::Instant::now();
        let error = loop {
            let write = poll_fn(|context| Pin::new(&mut connection).poll_write(context, &bytes));
            match write.await {
                Ok(count) => sent += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(sent >= 16 << 20 && begin.elapsed() > Duration::from_millis(490), "{sent} bytes");
        drop(slow.await);
    }
}
