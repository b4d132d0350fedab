//! A TCP stream that tracks what its peer sends and reads, and stops reading from a peer that does not read itself.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::client_frames::ClientFrames;
use super::connection_handle::{ConnectionHandle, Health};
use super::line_ends::LineEnds;
use super::server_frames::ServerFrames;
use super::slow_peer::{self, SlowPeer};

/// How many more bytes than it reads a peer may send while data is waiting for it. What it sends causes replies, such as a pong to
/// each ping, which would accumulate in memory.
const AHEAD: u32 = 256 << 10;

/// A TCP stream that updates the state of its connection. `G` is dropped together with it, also after an upgrade to a websocket.
pub(super) struct TrackedStream<G> {
    stream: Arc<TcpStream>,
    health: Arc<Health>,
    _guard: G,
    /// How many bytes more were read than written while data was waiting.
    ahead: u32,
    /// A replacement that has not been sent completely.
    replaced: Vec<u8>,
    line_ends: LineEnds,
    client_frames: ClientFrames,
    server_frames: ServerFrames,
    /// Bytes that were read and cannot be passed on before more arrive.
    unfinished: Vec<u8>,
    slow_peer: SlowPeer,
}

impl<G> TrackedStream<G> {
    pub(super) fn new(stream: TcpStream, guard: G) -> Self {
        Self {
            stream: Arc::new(stream),
            health: Arc::default(),
            _guard: guard,
            ahead: 0,
            replaced: Vec::new(),
            line_ends: LineEnds::default(),
            client_frames: ClientFrames::default(),
            server_frames: ServerFrames::default(),
            unfinished: Vec::new(),
            slow_peer: SlowPeer::default(),
        }
    }

    /// Inspects what was read: the lines of a request, or the frames of a websocket. Returns how many bytes at the end cannot be
    /// passed on yet.
    fn inspect(&mut self, read: &mut [u8]) -> usize {
        if self.health.is_http.load(Ordering::Relaxed) {
            self.line_ends.read(read);
            self.health.has_bare_lf.store(self.line_ends.has_bare_lf(), Ordering::Relaxed);
            return 0;
        }
        let found = self.client_frames.read(read);
        if let Some(number) = found.pong {
            self.health.pings.pong(number);
        }
        found.unfinished
    }

    /// Reads, and appends to the unfinished bytes of the previous read. Returns how many bytes are new.
    fn try_read(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
        if self.unfinished.is_empty() {
            // This does not zero the buffer: untouched pages take no memory, and most connections send little.
            return self.stream.try_read_buf(buf);
        }
        let held = self.unfinished.len();
        let room = buf.initialize_unfilled();
        if room.len() <= held {
            // There is no room for more, so the bytes are passed on unchanged.
            self.client_frames.skip_name();
            let passed = room.len();
            room.copy_from_slice(&self.unfinished[..passed]);
            buf.advance(passed);
            self.unfinished.drain(..passed);
            return Ok(passed);
        }
        room[..held].copy_from_slice(&self.unfinished);
        let count = self.stream.try_read(&mut room[held..])?;
        buf.advance(held + count);
        self.unfinished = Vec::new();
        Ok(count)
    }

    pub(super) fn connection_handle(&self) -> ConnectionHandle {
        ConnectionHandle { stream: Arc::downgrade(&self.stream), health: self.health.clone() }
    }
}

impl<G> Drop for TrackedStream<G> {
    fn drop(&mut self) {
        self.health.share.release();
        self.health.unread_response.release();
    }
}

impl<G: Unpin> AsyncRead for TrackedStream<G> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.has_unsent() && self.ahead >= AHEAD {
            ready!(self.stream.poll_write_ready(cx))?;
        }
        let from = buf.filled().len();
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.try_read(buf) {
                Ok(count) => {
                    if count > 0 {
                        self.health.mark_heard();
                    }
                    if self.has_unsent() {
                        self.ahead = self.ahead.saturating_add(saturated(count));
                    }
                    let unfinished = self.inspect(&mut buf.filled_mut()[from..]);
                    let end = buf.filled().len() - unfinished;
                    if unfinished > 0 {
                        self.unfinished = buf.filled()[end..].to_vec();
                        buf.set_filled(end);
                    }
                    // Returning no bytes would signal the end of the stream.
                    if end == from && count > 0 {
                        continue;
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl<G: Unpin> AsyncWrite for TrackedStream<G> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.send_replaced(cx))?;
        if self.health.rewrite.is_wanted()
            && let Some((done, replaced)) = self.health.rewrite.apply(buf)
        {
            self.replaced = replaced;
            // The part that is not written now is sent before anything else.
            if let Poll::Ready(Err(error)) = self.send_replaced(cx) {
                return Poll::Ready(Err(error));
            }
            return Poll::Ready(Ok(done));
        }
        self.write(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.health.rewrite.is_wanted() {
            let first = bufs.iter().find(|buf| !buf.is_empty()).map_or(&[][..], |buf| &**buf);
            return self.poll_write(cx, first);
        }
        ready!(self.send_replaced(cx))?;
        self.write(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Called when nothing is left to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.send_replaced(cx))?;
        self.health.pings.sending().is_between_frames = true;
        self.slow_peer.reset();
        self.health.share.release();
        self.health.unread_response.release();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.send_replaced(cx))?;
        match SockRef::from(&*self.stream).shutdown(Shutdown::Write) {
            Err(error) if error.kind() != io::ErrorKind::NotConnected => Poll::Ready(Err(error)),
            Ok(()) | Err(_) => Poll::Ready(Ok(())),
        }
    }
}

impl<G> TrackedStream<G> {
    fn has_unsent(&self) -> bool {
        self.health.has_unsent.load(Ordering::Relaxed)
    }

    /// Sends the rest of a replacement.
    fn send_replaced(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.replaced.is_empty() {
            let replaced = std::mem::take(&mut self.replaced);
            let written = self.write(cx, &[IoSlice::new(&replaced)]);
            self.replaced = replaced;
            let written = ready!(written)?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.replaced.drain(..written);
            if self.replaced.is_empty() {
                self.replaced = Vec::new();
            }
        }
        Poll::Ready(Ok(()))
    }

    fn write(&mut self, cx: &mut Context<'_>, bufs: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            let is_ready = self.stream.poll_write_ready(cx);
            self.health.has_unsent.store(is_ready.is_pending(), Ordering::Relaxed);
            if is_ready.is_pending() {
                return slow_peer::pending(&mut self.slow_peer, cx);
            }
            ready!(is_ready)?;
            let mut sending = self.health.pings.sending();
            sending.is_between_frames = false;
            let written = match bufs {
                [buf] => self.stream.try_write(buf),
                bufs => self.stream.try_write_vectored(bufs),
            };
            drop(sending);
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    let count = *result.as_ref().unwrap_or(&0);
                    self.count_events(bufs, count);
                    self.ahead = self.ahead.saturating_sub(saturated(count));
                    self.slow_peer.wrote(count);
                    self.health.taken.store(self.health.millis(), Ordering::Relaxed);
                    self.line_ends.responded();
                    return Poll::Ready(result);
                }
            }
        }
    }

    /// Counts the events in the first `written` bytes of these buffers.
    fn count_events(&mut self, bufs: &[IoSlice<'_>], mut written: usize) {
        if self.health.is_http.load(Ordering::Relaxed) {
            return;
        }
        let mut events = 0;
        for buf in bufs {
            let part = written.min(buf.len());
            events += self.server_frames.write(&buf[..part]);
            written -= part;
        }
        if events > 0 {
            self.health.pings.count_written(events);
        }
    }
}

fn saturated(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (TrackedStream<()>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (TrackedStream::new(listener.accept().await.unwrap().0, ()), client)
    }

    fn pong(number: u8) -> [u8; 10] {
        [0x8A, 0x84, 0, 0, 0, 0, 0, 0, 0, number]
    }

    #[tokio::test]
    async fn an_escaped_name_is_replaced_in_buffers_of_any_size() {
        let (written, plain) = (br#"42["\u0072\u0065sume"]"#, br#"42["resume"          ]"#);
        let frame = |text: &[u8]| [&[0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0], text].concat();
        for room in [4, 9, 30, 512] {
            let (mut server, mut client) = pair().await;
            server.connection_handle().leave_http();
            let (bytes, mut read) = (frame(written), Vec::new());
            client.set_nodelay(true).unwrap();
            let write = async {
                for part in bytes.chunks(7) {
                    client.write_all(part).await.unwrap();
                    tokio::task::yield_now().await;
                }
            };
            let read_all = async {
                while read.len() < bytes.len() {
                    let mut buffer = vec![0; room];
                    let count = server.read(&mut buffer).await.unwrap();
                    assert!(count > 0, "the stream has ended");
                    read.extend_from_slice(&buffer[..count]);
                }
            };
            tokio::join!(write, read_all);
            let as_written = room < 30 && read == bytes;
            assert!(as_written || read == frame(plain), "{room}: {:?}", String::from_utf8_lossy(&read));
        }
    }

    #[tokio::test]
    async fn a_connection_is_idle_while_its_peer_reads_nothing_of_the_waiting_data() {
        let (mut server, mut client) = pair().await;
        let connection_handle = server.connection_handle();
        server.write_all(b"a").await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(connection_handle.idle(), Duration::ZERO, "nothing waits");
        let writing = tokio::spawn(async move { server.write_all(&vec![0; 32 << 20]).await.map(|()| server) });
        while connection_handle.idle() < Duration::from_millis(200) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut read = vec![0; (32 << 20) + 1];
        client.read_exact(&mut read).await.unwrap();
        let _server = writing.await.unwrap().unwrap();
        assert_eq!(connection_handle.idle(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_ping_is_sent_between_frames_and_only_its_own_pong_answers_it() {
        let (mut server, mut client) = pair().await;
        let connection_handle = server.connection_handle();
        assert!(!connection_handle.ping(), "it still speaks HTTP");
        connection_handle.leave_http();
        assert!(!connection_handle.ping(), "the response to the upgrade is not written yet");
        server.write_all(b"\x81\x01").await.unwrap();
        assert!(!connection_handle.ping(), "in the middle of a frame");
        server.write_all(b"a").await.unwrap();
        server.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(connection_handle.ping() && connection_handle.ping());
        let mut sent = [0; 15];
        client.read_exact(&mut sent).await.unwrap();
        assert_eq!(sent, *b"\x81\x01a\x89\x04\0\0\0\x01\x89\x04\0\0\0\x02");
        let mut received = [0; 10];
        for (number, answers) in [(3, false), (2, true)] {
            client.write_all(&pong(number)).await.unwrap();
            server.read_exact(&mut received).await.unwrap();
            assert_eq!(connection_handle.answered().is_some(), answers, "{number}");
        }
    }

    #[tokio::test]
    async fn a_late_pong_confirms_what_was_written_before_its_ping_and_nothing_else() {
        let (mut server, mut client) = pair().await;
        let connection_handle = server.connection_handle();
        connection_handle.leave_http();
        server.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await.unwrap();
        server.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(connection_handle.ping());
        tokio::time::sleep(Duration::from_millis(5)).await;
        let between = tokio::time::Instant::now();
        connection_handle.count_queued(1);
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(connection_handle.ping(), "the event is not written yet");
        server.write_all(b"\x81\x0442[]").await.unwrap();
        server.flush().await.unwrap();
        assert!(connection_handle.ping());
        let mut received = [0; 10];
        for (number, confirms) in [(1, false), (2, false), (3, true)] {
            client.write_all(&pong(number)).await.unwrap();
            server.read_exact(&mut received).await.unwrap();
            assert_eq!(connection_handle.answered().unwrap() > between, confirms, "{number}");
        }
    }
}
