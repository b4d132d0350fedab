//! The mail queue. Mails are sent in the background, so that response times do not reveal whether one was sent.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::domain::UserId;
use crate::mail::{Mail, Mailer};

/// How many errands may be under way at once; further ones are dropped, and whoever waits for a letter asks again.
const AT_ONCE: usize = 64;

pub(super) struct Post {
    mailer: Arc<dyn Mailer>,
    errands: TaskTracker,
    room: Arc<Semaphore>,
}

impl Post {
    pub(super) fn new(mailer: Arc<dyn Mailer>) -> Self {
        Self { mailer, errands: TaskTracker::new(), room: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Does something in the background.
    pub(super) fn run(&self, errand: impl Future<Output = ()> + Send + 'static) {
        let Ok(place) = Arc::clone(&self.room).try_acquire_owned() else {
            tracing::warn!("Dropped a mail: {AT_ONCE} are already being sent");
            return;
        };
        if self.errands.is_closed() {
            return;
        }
        self.errands.spawn(async move {
            errand.await;
            drop(place);
        });
    }

    /// Sends a letter now; a failure is logged.
    pub(super) async fn send(&self, to: UserId, mail: Mail) {
        if let Err(error) = self.mailer.send(mail).await {
            tracing::warn!(user.id = %to, %error, "Could not send a mail to {to}");
        }
    }

    pub(super) async fn close(&self) {
        self.errands.close();
        self.errands.wait().await;
    }
}
