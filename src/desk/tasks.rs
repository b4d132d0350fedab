//! Background tasks of the desk, all of which end before the desk is closed.

use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::supervise::restarting;

/// Spawns and tracks tasks. Clones share one set.
#[derive(Clone, Default)]
pub(in crate::desk) struct Tasks {
    tracker: TaskTracker,
    stop: CancellationToken,
}

impl Tasks {
    /// Runs a task to its end; closing waits for it.
    pub(in crate::desk) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) -> JoinHandle<()> {
        self.tracker.spawn(task)
    }

    /// Closing waits until this is dropped, as for a task. For callers that are about to spawn one.
    pub(in crate::desk) fn hold(&self) -> TaskTrackerToken {
        self.tracker.token()
    }

    /// Runs a task until it ends or the desk is closed.
    pub(in crate::desk) fn spawn_until_closed(&self, task: impl Future<Output = ()> + Send + 'static) {
        let stop = self.stop.clone();
        self.tracker.spawn(async move {
            stop.run_until_cancelled_owned(task).await;
        });
    }

    /// Runs a background task until the desk is closed. If it panics, it is started again.
    pub(in crate::desk) fn keep_running<F>(&self, name: &'static str, start: impl Fn() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn_until_closed(restarting(name, start));
    }

    /// Cancels the tasks that run until the desk is closed, and waits for the others.
    pub(in crate::desk) async fn close(&self) {
        self.stop.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn closing_waits_for_a_caller_that_is_about_to_spawn_a_task() {
        let tasks = Tasks::default();
        let hold = tasks.hold();
        let second = Duration::from_secs(1);
        assert!(timeout(second, tasks.close()).await.is_err(), "it is held");
        let task = tasks.spawn(tokio::time::sleep(2 * second));
        drop(hold);
        tasks.close().await;
        assert!(task.is_finished());
    }
}
