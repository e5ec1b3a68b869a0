//! Connections: how many there are, and how long each may take for what it has to say.
//!
//! Whoever opens a connection and says nothing, or a byte a minute, or does not take the answer, holds it only for a while.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use apis::limits::Origin;
use axum::Router;
use axum::body::Body;
use hyper::Request;
use hyper::body::{Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tower::ServiceExt;

/// What clients may take.
#[derive(Debug, Clone, Copy)]
pub struct Clients {
    /// So many connections at once; whoever comes then waits until one is closed. Each is a file, of which a process
    /// has 1,024 where nobody says otherwise.
    pub connections: usize,
    /// For the head of a request, the time before it included.
    pub head: Duration,
    /// For a body.
    pub body: Duration,
    /// For taking a part of an answer.
    pub stall: Duration,
    /// For a request that reads, until it is told to ask again; the longest that may be waited for anything is 30 s.
    pub request: Duration,
}

impl Default for Clients {
    fn default() -> Self {
        Clients {
            connections: 512,
            head: Duration::from_secs(15),
            body: Duration::from_secs(15),
            stall: Duration::from_secs(30),
            request: Duration::from_secs(60),
        }
    }
}

/// The most bytes of a request's head that are read at all. What is larger than any of ours, and smaller than this, gets
/// a problem document from the API; what is larger than this, 431 and nothing else.
const LARGEST_HEAD: usize = 64 * 1024;

/// Serves until it is told to stop, then finishes what is under way.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    clients: Clients,
    mut stop: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(clients.connections));
    // Closed when the last connection is.
    let (open, mut all_closed) = tokio::sync::mpsc::channel::<Infallible>(1);
    loop {
        let accepted = async {
            let place = places.clone().acquire_owned().await.expect("nobody closes it");
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // One that is gone already, or no file is left: the next one may fare better.
                tracing::debug!(%error, "failed to accept a connection");
                sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let (router, stop, open) = (router.clone(), stop.clone(), open.clone());
        tokio::spawn(async move {
            connection(stream, peer, router, clients, stop).await;
            drop((place, open));
        });
    }
    drop(listener);
    drop(open);
    all_closed.recv().await;
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    router: Router,
    clients: Clients,
    mut stop: watch::Receiver<bool>,
) {
    let answer = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Origin(peer.ip()));
        let until = Instant::now() + clients.body;
        router.clone().oneshot(request.map(|body| Body::new(InTime { body, until, alarm: None })))
    });
    let stream = Taking { stream, patience: clients.stall, alarm: None };
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(clients.head)
        .max_buf_size(LARGEST_HEAD)
        .serve_connection(TokioIo::new(stream), answer);
    let mut connection = pin!(connection);
    // What goes wrong with a connection is its client's to know.
    tokio::select! {
        ended = connection.as_mut() => return drop(ended),
        _ = stop.wait_for(|stop| *stop) => connection.as_mut().graceful_shutdown(),
    }
    drop(connection.await);
}

/// An alarm that is set when there is something to wait for.
type Alarm = Option<Pin<Box<Sleep>>>;

/// A body that comes to its end in time, or fails.
struct InTime {
    body: Incoming,
    until: Instant,
    alarm: Alarm,
}

impl hyper::body::Body for InTime {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let this = &mut *self;
        if let Poll::Ready(frame) = Pin::new(&mut this.body).poll_frame(context) {
            return Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)));
        }
        let until = this.until;
        let alarm = this.alarm.get_or_insert_with(|| Box::pin(sleep_until(until)));
        ready!(alarm.as_mut().poll(context));
        Poll::Ready(Some(Err(io::ErrorKind::TimedOut.into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream whose other end takes what it is sent, or that fails.
struct Taking {
    stream: TcpStream,
    patience: Duration,
    alarm: Alarm,
}

impl Taking {
    fn in_time<T>(&mut self, context: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.alarm = None;
            return polled;
        }
        let patience = self.patience;
        let alarm = self.alarm.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(alarm.as_mut().poll(context));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl AsyncRead for Taking {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Taking {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.in_time(context, polled)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(context);
        self.in_time(context, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(context);
        self.in_time(context, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.in_time(context, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
