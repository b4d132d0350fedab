//! The mail queue. Mails are sent in the background, so that response times do not reveal whether one was sent.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::domain::UserId;
use crate::mail::{Mail, Mailer};

/// How many tasks can run at the same time. Further ones are dropped; people request a missing mail again.
const AT_ONCE: usize = 64;

pub(super) struct MailQueue {
    mailer: Arc<dyn Mailer>,
    tasks: TaskTracker,
    permits: Arc<Semaphore>,
}

impl MailQueue {
    pub(super) fn new(mailer: Arc<dyn Mailer>) -> Self {
        Self { mailer, tasks: TaskTracker::new(), permits: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Runs a task in the background.
    pub(super) fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        let Ok(permit) = Arc::clone(&self.permits).try_acquire_owned() else {
            tracing::warn!("Dropped a mail: {AT_ONCE} are already being sent");
            return;
        };
        if self.tasks.is_closed() {
            return;
        }
        self.tasks.spawn(async move {
            task.await;
            drop(permit);
        });
    }

    /// Sends a mail now. A failure is logged.
    pub(super) async fn send(&self, to: UserId, mail: Mail) {
        if let Err(error) = self.mailer.send(mail).await {
            tracing::warn!(user.id = %to, %error, "Could not send a mail to {to}");
        }
    }

    pub(super) async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }
}
