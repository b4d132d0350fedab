//! A TCP stream that can be ended from outside, and that does not listen to a peer which does not listen itself.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Instant;

use super::backlog::Share;
use super::line_ends::LineEnds;
use super::patience::{self, Patience};
use super::pongs::{PAYLOAD, Pongs};
use super::rewrite::Rewrite;
use super::unread_answers::UnreadAnswer;
use crate::domain::UserId;

/// Ends the connection on which a request came, and tells how it fares.
#[derive(Debug, Clone)]
pub struct HangUp {
    stream: Weak<TcpStream>,
    health: Arc<Health>,
}

/// What a connection shows of its peer, also after its end.
#[derive(Debug)]
struct Health {
    opened: Instant,
    /// When the peer was last heard, in milliseconds since then.
    heard: AtomicU64,
    /// The last write had to wait.
    has_unsent: AtomicBool,
    /// When the kernel last took something of what is written, in milliseconds since it was opened.
    taken: AtomicU64,
    rewrite: Rewrite,
    /// Locked while something is written.
    sending: Mutex<Sending>,
    /// When everything had been written last, in nanoseconds since it was opened.
    flushed: AtomicU64,
    /// Up to when the newest ping that was answered covers what was sent, in milliseconds since then.
    answered: AtomicU64,
    /// What waits until it can be written.
    share: Share,
    /// The response that is being written, if it is a large one.
    unread_answer: UnreadAnswer,
    /// The connection speaks HTTP still, so what is read may be the head of a request.
    is_http: AtomicBool,
    has_bare_lf: AtomicBool,
}

#[derive(Debug, Default)]
struct Sending {
    /// Everything that was begun to be written has been written.
    is_between_frames: bool,
    /// The number of the newest ping, and up to when it covers what was sent, in milliseconds since it was opened.
    ping: (u32, u64),
}

impl Default for Health {
    fn default() -> Self {
        Self {
            opened: Instant::now(),
            heard: AtomicU64::new(0),
            has_unsent: AtomicBool::new(false),
            taken: AtomicU64::new(0),
            rewrite: Rewrite::default(),
            sending: Mutex::default(),
            flushed: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            share: Share::default(),
            unread_answer: UnreadAnswer::default(),
            is_http: AtomicBool::new(true),
            has_bare_lf: AtomicBool::new(false),
        }
    }
}

impl Health {
    fn hear(&self) {
        if !self.has_unsent.load(Ordering::Relaxed) {
            self.heard.store(self.millis(), Ordering::Relaxed);
        }
    }

    /// Only the answer to the newest ping counts, which shows what the answers to all before it would.
    fn pong(&self, number: u32) {
        let (newest, covers) = self.sending().ping;
        if newest == number {
            self.answered.fetch_max(covers, Ordering::Relaxed);
        }
    }

    fn millis(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn sending(&self) -> MutexGuard<'_, Sending> {
        self.sending.lock()
    }
}

impl HangUp {
    /// Of a connection that a test holds.
    #[cfg(test)]
    pub(crate) fn of(stream: &Arc<TcpStream>) -> Self {
        Self { stream: Arc::downgrade(stream), health: Arc::default() }
    }

    /// Ends it at once: what is buffered is lost, and both ends see it closed.
    pub fn now(&self) {
        if let Some(stream) = self.stream.upgrade()
            && let Err(error) = SockRef::from(&*stream).shutdown(Shutdown::Both)
        {
            tracing::debug!(%error, "A connection was closed already");
        }
    }

    /// Sends a websocket ping between two frames of what is being sent, which every client answers. `covers`: what was sent before
    /// this was written before the ping. False if none could be sent: something waits for the peer, or it speaks HTTP.
    #[must_use]
    pub fn ping(&self, covers: Instant) -> bool {
        let mut sending = self.health.sending();
        let Some(stream) = self.stream.upgrade().filter(|_| sending.is_between_frames) else { return false };
        if self.health.is_http.load(Ordering::Relaxed) {
            return false;
        }
        let covers = covers.saturating_duration_since(self.health.opened).as_millis();
        let (number, covers) = (sending.ping.0.wrapping_add(1), u64::try_from(covers).unwrap_or(0));
        let mut frame = [PING, PAYLOAD, 0, 0, 0, 0];
        frame[2..].copy_from_slice(&number.to_be_bytes());
        match stream.try_write(&frame) {
            Ok(written) if written == frame.len() => {
                sending.ping = (number, covers);
                true
            }
            // A part of it spoils the stream. So few bytes are never parted in practice.
            Ok(written) if written > 0 => {
                sending.is_between_frames = false;
                self.now();
                false
            }
            Ok(_) | Err(_) => false,
        }
    }

    /// The peer has everything that was sent before this: it has answered a ping that covers it.
    #[must_use]
    pub fn answered(&self) -> Instant {
        self.health.opened + Duration::from_millis(self.health.answered.load(Ordering::Relaxed))
    }

    /// When everything that had been handed over was written last.
    #[must_use]
    pub fn flushed_at(&self) -> Instant {
        self.health.opened + Duration::from_nanos(self.health.flushed.load(Ordering::Relaxed))
    }

    /// Replaces the next occurrence of `from` in what is sent by `to`, if it is written in one piece.
    pub fn replace_once(&self, from: Vec<u8>, to: Vec<u8>) {
        self.health.rewrite.replace_once(from, to);
    }

    /// Whether something waits to be sent because the peer takes nothing at present.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        self.is_open() && self.health.has_unsent.load(Ordering::Relaxed)
    }

    /// For how long what waits to be sent has made no progress. Zero if nothing waits.
    pub(super) fn idle(&self) -> Duration {
        let taken = Duration::from_millis(self.health.taken.load(Ordering::Relaxed));
        if self.has_unsent() { self.health.opened.elapsed().saturating_sub(taken) } else { Duration::ZERO }
    }

    /// When the peer last sent anything while nothing waited for it. Its end shows nothing: a proxy may have ended for it.
    #[must_use]
    pub fn heard_at(&self) -> Instant {
        self.health.opened + Duration::from_millis(self.health.heard.load(Ordering::Relaxed))
    }

    /// Whether so many bytes may wait for the peer, beside what waits for it, for others and for the same person. They count
    /// as waiting until everything was sent.
    #[must_use]
    pub fn admit(&self, person: Option<UserId>, bytes: usize) -> bool {
        if !self.has_unsent() {
            self.health.share.release();
        }
        self.health.share.admit(person, bytes)
    }

    /// The large response that is being written.
    pub(super) fn unread_answer(&self) -> &UnreadAnswer {
        &self.health.unread_answer
    }

    /// Whether a line of the last request's head ended with a bare LF.
    pub(super) fn has_bare_lf(&self) -> bool {
        self.health.has_bare_lf.load(Ordering::Relaxed)
    }

    /// From now on the connection is a websocket.
    pub(super) fn leave_http(&self) {
        // Its last answer is still to be written.
        self.health.sending().is_between_frames = false;
        self.health.is_http.store(false, Ordering::Relaxed);
    }

    /// Whether the connection still stands.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.stream.strong_count() > 0
    }
}

/// The first byte of a ping.
const PING: u8 = 0x89;

/// How many bytes more than it takes a peer may send while something waits for it: what it sends makes answers (a ping its
/// pong), and those would pile up in memory.
const AHEAD: usize = 256 << 10;

/// The stream itself, and what shall live as long as it, also after a websocket has taken it over.
pub(super) struct Shared<G> {
    stream: Arc<TcpStream>,
    health: Arc<Health>,
    _guard: G,
    /// How many bytes more were read than written while something waited.
    ahead: usize,
    /// What was put in the place of something else, and is still to be sent.
    replaced: Vec<u8>,
    line_ends: LineEnds,
    pongs: Pongs,
    /// What was read and cannot be passed on before more has come.
    unfinished: Vec<u8>,
    patience: Patience,
}

impl<G> Shared<G> {
    pub(super) fn new(stream: TcpStream, guard: G) -> Self {
        Self {
            stream: Arc::new(stream),
            health: Arc::default(),
            _guard: guard,
            ahead: 0,
            replaced: Vec::new(),
            line_ends: LineEnds::default(),
            pongs: Pongs::default(),
            unfinished: Vec::new(),
            patience: Patience::default(),
        }
    }

    /// Looks at what was read: at the lines of a request, or at the frames of a websocket. Returns how many bytes at the end
    /// cannot be passed on yet.
    fn look_at(&mut self, read: &mut [u8]) -> usize {
        if self.health.is_http.load(Ordering::Relaxed) {
            self.line_ends.read(read);
            self.health.has_bare_lf.store(self.line_ends.has_bare_lf(), Ordering::Relaxed);
            return 0;
        }
        let found = self.pongs.read(read);
        if let Some(number) = found.pong {
            self.health.pong(number);
        }
        found.unfinished
    }

    /// Reads behind what was read before and could not be passed on yet. Returns how many bytes are new.
    fn try_read(&mut self, buf: &mut ReadBuf<'_>) -> io::Result<usize> {
        if self.unfinished.is_empty() {
            // Without zeroing the buffer first: what was never touched takes no memory, and most connections say little.
            return self.stream.try_read_buf(buf);
        }
        let held = self.unfinished.len();
        let room = buf.initialize_unfilled();
        if room.len() <= held {
            // Nothing fits behind it, so it is passed on as it is.
            self.pongs.leave_name();
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

    pub(super) fn hang_up(&self) -> HangUp {
        HangUp { stream: Arc::downgrade(&self.stream), health: self.health.clone() }
    }
}

impl<G> Drop for Shared<G> {
    fn drop(&mut self) {
        self.health.share.release();
        self.health.unread_answer.release();
    }
}

impl<G: Unpin> AsyncRead for Shared<G> {
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
                        self.health.hear();
                    }
                    if self.has_unsent() {
                        self.ahead = self.ahead.saturating_add(count);
                    }
                    let unfinished = self.look_at(&mut buf.filled_mut()[from..]);
                    let end = buf.filled().len() - unfinished;
                    if unfinished > 0 {
                        self.unfinished = buf.filled()[end..].to_vec();
                        buf.set_filled(end);
                    }
                    // Nothing at all would mean that the stream has ended.
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

impl<G: Unpin> AsyncWrite for Shared<G> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        ready!(self.send_replaced(cx))?;
        if self.health.rewrite.is_wanted()
            && let Some((done, replaced)) = self.health.rewrite.apply(buf)
        {
            self.replaced = replaced;
            // What the peer does not take at once is sent before anything else.
            if let Poll::Ready(Err(error)) = self.send_replaced(cx) {
                return Poll::Ready(Err(error));
            }
            return Poll::Ready(Ok(done));
        }
        self.write_with(cx, |stream| stream.try_write(buf))
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
        self.write_with(cx, |stream| stream.try_write_vectored(bufs))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// Whoever flushes has nothing left to write.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.send_replaced(cx))?;
        self.health.sending().is_between_frames = true;
        let since = u64::try_from(self.health.opened.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.health.flushed.store(since, Ordering::Relaxed);
        self.patience.settle();
        self.health.share.release();
        self.health.unread_answer.release();
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

impl<G> Shared<G> {
    fn has_unsent(&self) -> bool {
        self.health.has_unsent.load(Ordering::Relaxed)
    }

    /// Sends what was put in the place of something else.
    fn send_replaced(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.replaced.is_empty() {
            let replaced = std::mem::take(&mut self.replaced);
            let written = self.write_with(cx, |stream| stream.try_write(&replaced));
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

    fn write_with(
        &mut self,
        cx: &mut Context<'_>,
        write: impl Fn(&TcpStream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let is_ready = self.stream.poll_write_ready(cx);
            self.health.has_unsent.store(is_ready.is_pending(), Ordering::Relaxed);
            if is_ready.is_pending() {
                return patience::pending(&mut self.patience, cx);
            }
            ready!(is_ready)?;
            let mut sending = self.health.sending();
            sending.is_between_frames = false;
            let written = write(&self.stream);
            drop(sending);
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    let count = *result.as_ref().unwrap_or(&0);
                    self.ahead = self.ahead.saturating_sub(count);
                    self.patience.took(count);
                    self.health.taken.store(self.health.millis(), Ordering::Relaxed);
                    self.line_ends.answered();
                    return Poll::Ready(result);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;

    async fn pair() -> (Shared<()>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (Shared::new(listener.accept().await.unwrap().0, ()), client)
    }

    fn pong(number: u8) -> [u8; 10] {
        [0x8A, 0x84, 0, 0, 0, 0, 0, 0, 0, number]
    }

    #[tokio::test]
    async fn an_escaped_name_is_replaced_whatever_the_buffer_and_however_it_comes() {
        let (written, plain) = (br#"42["\u0072\u0065sume"]"#, br#"42["resume"          ]"#);
        let frame = |text: &[u8]| [&[0x81, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0], text].concat();
        for room in [4, 9, 30, 512] {
            let (mut server, mut client) = pair().await;
            server.hang_up().leave_http();
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
    async fn a_connection_is_idle_for_as_long_as_its_peer_takes_nothing_of_what_waits() {
        let (mut server, mut client) = pair().await;
        let hang_up = server.hang_up();
        server.write_all(b"a").await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(hang_up.idle(), Duration::ZERO, "nothing waits");
        let writing = tokio::spawn(async move { server.write_all(&vec![0; 32 << 20]).await.map(|()| server) });
        while hang_up.idle() < Duration::from_millis(200) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let mut read = vec![0; (32 << 20) + 1];
        client.read_exact(&mut read).await.unwrap();
        let _server = writing.await.unwrap().unwrap();
        assert_eq!(hang_up.idle(), Duration::ZERO);
    }

    #[tokio::test]
    async fn a_ping_stands_between_frames_and_only_its_own_pong_answers_it() {
        let (mut server, mut client) = pair().await;
        let hang_up = server.hang_up();
        let now = Instant::now;
        assert!(!hang_up.ping(now()), "it speaks HTTP still");
        hang_up.leave_http();
        assert!(!hang_up.ping(now()), "its last answer is not written yet");
        server.write_all(b"\x81\x01").await.unwrap();
        assert!(!hang_up.ping(now()), "in the middle of a frame");
        server.write_all(b"a").await.unwrap();
        server.flush().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert!(hang_up.ping(now()) && hang_up.ping(now()));
        let mut sent = [0; 15];
        client.read_exact(&mut sent).await.unwrap();
        assert_eq!(sent, *b"\x81\x01a\x89\x04\0\0\0\x01\x89\x04\0\0\0\x02");
        let mut heard = [0; 10];
        for (number, answers) in [(1, false), (3, false), (2, true)] {
            client.write_all(&pong(number)).await.unwrap();
            server.read_exact(&mut heard).await.unwrap();
            assert_eq!(hang_up.answered() > hang_up.health.opened, answers, "{number}");
        }
    }
}
