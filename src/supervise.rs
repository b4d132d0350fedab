//! Background tasks that must not die silently.
//!
//! tokio catches a panic and drops the task; whatever depends on it then waits forever. So every panic is counted and logged,
//! and each background task chooses what happens next: [`restarting`] runs it again; [`essential`] ends the process, which
//! its service manager restarts; the task of a connection is [`contained`], and the connection closed. A kill loses nothing that
//! was acknowledged, so ending the process is always safe.

use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;

/// Delay before a task that panicked is restarted, so that one that always panics does not use a whole CPU.
const RESTART_DELAY: Duration = Duration::from_secs(1);

/// Characters of a panic's message that are logged.
const MAX_MESSAGE: usize = 200;

static PANICS: AtomicU64 = AtomicU64::new(0);

/// Cancelled once an essential task has panicked.
static FAILED: OnceLock<CancellationToken> = OnceLock::new();

/// Counts and logs every panic from now on, instead of printing it. Call this once, after logging has started.
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
    panic.payload_as_str().unwrap_or("no message").chars().take(MAX_MESSAGE).collect()
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

/// Runs an essential task that cannot be restarted. If it panics, the process ends.
pub async fn essential(name: &'static str, task: impl Future<Output = ()>) {
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        fail(name);
    }
}

/// Runs work on a separate thread in the same way.
pub fn essential_thread(name: &'static str, work: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(work)).is_err() {
        fail(name);
    }
}

/// Runs a task without state between its rounds. If it panics, it is restarted after a second.
pub async fn restarting<F: Future<Output = ()>>(name: &'static str, mut start: impl FnMut() -> F) {
    while AssertUnwindSafe(start()).catch_unwind().await.is_err() {
        tracing::error!("Task panicked, restarting it in {RESTART_DELAY:?}: {name}");
        tokio::time::sleep(RESTART_DELAY).await;
    }
}

/// Runs the task of one connection. If it panics, the others go on, and `None` is returned so that the caller can release its
/// resources.
pub async fn contained<T>(task: impl Future<Output = T>) -> Option<T> {
    AssertUnwindSafe(task).catch_unwind().await.ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU32;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_restarted_until_it_returns() {
        let starts = AtomicU32::new(0);
        restarting("test task", || async {
            assert!(starts.fetch_add(1, Ordering::Relaxed) == 2, "not yet");
        })
        .await;
        assert_eq!(starts.load(Ordering::Relaxed), 3);
    }

    #[tokio::test]
    async fn only_a_panic_of_an_essential_task_ends_the_process() {
        essential("test task", async {}).await;
        essential_thread("test thread", || {});
        assert!(!failure().is_cancelled());
        let work = || panic!("on purpose");
        essential_thread("test thread", work);
        failed().await;
    }
}
