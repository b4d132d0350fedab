//! Background tasks that must not die silently.
//!
//! tokio catches a panic and drops the task; whatever depended on it then waits for ever. So every panic is counted and logged,
//! and each background task chooses what happens next: [`restarting`] runs it again, [`essential`] ends the process, which
//! its service manager starts again; a connection's task is [`contained`], and its connection closed. A kill loses nothing that
//! was acknowledged, so ending the process is always safe.

use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

/// How long to wait before a task that panicked runs again, so that one that always panics does not use a whole CPU.
const PAUSE: Duration = Duration::from_secs(1);

/// The most characters of a panic's message that are logged.
const MESSAGE: usize = 200;

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Cancelled once an essential task has panicked.
static FAILED: OnceLock<CancellationToken> = OnceLock::new();

/// Counts and logs every panic from now on, instead of printing it. To be called once, after logging has started.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let panics = PANICS.fetch_add(1, Ordering::Relaxed) + 1;
        let location = panic.location().map(ToString::to_string).unwrap_or_default();
        let message = message_of(panic);
        let thread = std::thread::current();
        tracing::error!(panics, thread = thread.name(), "A task panicked at {location}: {message}");
    }));
}

fn message_of(panic: &PanicHookInfo<'_>) -> String {
    panic.payload_as_str().unwrap_or("no message").chars().take(MESSAGE).collect()
}

/// How many panics have been logged since [`log_panics`].
#[must_use]
pub fn panics() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Completes once an essential task of this process has panicked.
pub async fn failed() {
    failure().cancelled().await;
}

fn failure() -> &'static CancellationToken {
    FAILED.get_or_init(CancellationToken::new)
}

fn fail(name: &str) {
    tracing::error!("Essential task panicked, stopping the server: {name}");
    failure().cancel();
}

/// A task that the server cannot do without and that cannot start anew: if it panics, the process ends.
pub async fn essential(name: &'static str, task: impl Future<Output = ()>) {
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        fail(name);
    }
}

/// The same for what runs in a thread of its own.
pub fn essential_thread(name: &'static str, work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        fail(name);
    }
}

/// A task that keeps nothing between its rounds: if it panics, it is started again after a second.
pub async fn restarting<F: Future<Output = ()>>(name: &'static str, mut start: impl FnMut() -> F) {
    while AssertUnwindSafe(start()).catch_unwind().await.is_err() {
        tracing::error!("Task panicked, restarting it in {PAUSE:?}: {name}");
        tokio::time::sleep(PAUSE).await;
    }
}

/// The task of one connection: if it panics, the others go on, and `None` is returned so that what it held can be given back.
pub async fn contained<T>(task: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(task).catch_unwind().await.ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_started_again_until_it_ends_by_itself() {
        let starts = AtomicU32::new(0);
        restarting("test task", || async {
            assert!(starts.fetch_add(1, Ordering::Relaxed) == 2, "not yet");
        })
        .await;
        assert_eq!(starts.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn an_essential_task_that_ends_by_itself_ends_nothing_and_one_that_panics_ends_the_process() {
        essential("test task", async {}).await;
        essential_thread("test thread", || {});
        assert!(!failure().is_cancelled());
        let work = || panic!("on purpose");
        essential_thread("test thread", work);
        failed().await;
    }
}
