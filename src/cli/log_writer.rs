//! Writes log lines on a thread of its own, so that a full disk, a closed pipe or a paused terminal never blocks the server.
//! Lines that cannot be written, or that exceed the queue, are dropped.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

/// Capacity of the queue, in lines.
const WAITING: usize = 8192;

/// How long to wait for the last lines at the end.
const LAST: Duration = Duration::from_millis(500);

enum Work {
    Line(Vec<u8>),
    /// Acknowledged once everything queued before it has been written.
    Flush(SyncSender<()>),
}

/// Queues lines for the thread; each call of `write` is one line.
#[derive(Clone)]
pub(super) struct LogWriter(SyncSender<Work>);

/// Waits briefly for the last lines when it is dropped.
pub(super) struct Flush(LogWriter);

impl LogWriter {
    /// Starts the thread, which writes to `out`.
    pub(super) fn start(out: impl Write + Send + 'static) -> io::Result<(Self, Flush)> {
        let (lines, waiting) = sync_channel(WAITING);
        thread::Builder::new().name("log".into()).spawn(move || write_until_closed(out, &waiting))?;
        let writer = Self(lines);
        Ok((writer.clone(), Flush(writer)))
    }
}

fn write_until_closed(mut out: impl Write, waiting: &Receiver<Work>) {
    while let Ok(work) = waiting.recv() {
        match work {
            // An error of the log cannot be reported anywhere.
            Work::Line(line) => drop(out.write_all(&line)),
            Work::Flush(done) => drop(done.try_send(())),
        }
    }
}

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        drop(self.0.try_send(Work::Line(line.to_vec())));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Flush {
    fn drop(&mut self) {
        let (done, flushed) = sync_channel(1);
        // If the queue is full, nobody reads the log, and these lines would not be read either.
        if self.0.0.try_send(Work::Flush(done)).is_ok() {
            flushed.recv_timeout(LAST).ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::*;

    /// A writer that blocks until it is released.
    #[derive(Clone, Default)]
    struct Held(Arc<Mutex<Vec<u8>>>);

    impl Write for Held {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.lock().extend_from_slice(line);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_are_dropped_while_the_output_blocks_and_flushed_before_the_end() {
        let held = Held::default();
        let (mut writer, flush) = LogWriter::start(held.clone()).unwrap();
        let standing_still = held.0.lock();
        for _ in 0..WAITING * 2 {
            writer.write_all(b"x").unwrap();
        }
        drop(standing_still);
        while held.0.lock().len() < WAITING {
            thread::yield_now();
        }
        writer.write_all(b"last").unwrap();
        drop(flush);
        let written = held.0.lock();
        assert!(written.len() <= WAITING + 10, "{}", written.len());
        assert!(written.ends_with(b"last"));
    }
}
