//! Attendance: who is connected, whether they still may be, and what others see of it.
//!
//! Reading order: [`connect`], [`revalidate`], [`announce_presence`], [`announce_absence`], [`typing`], [`drain`].

use std::sync::Arc;
use std::time::Duration;

use super::DeskSettings;
use super::delivery::Delivery;
use super::tasks::Tasks;
use crate::accounts::Accounts;
use crate::presence::Presence;

mod announce_absence;
mod announce_presence;
mod connect;
mod drain;
mod revalidate;
mod typing;

pub use announce_presence::Announcements;
pub use connect::Authenticated;
pub(super) use revalidate::Revalidation;
pub use typing::Typing;

/// Connects people and disconnects them. Clones share one state.
#[derive(Clone)]
pub struct Attendance(Arc<Inner>);

struct Inner {
    presence: Arc<Presence>,
    accounts: Arc<Accounts>,
    delivery: Delivery,
    typing: Typing,
    announcements: Announcements,
    revalidation: Revalidation,
    tasks: Tasks,
    offline_grace: Duration,
    back_within: Duration,
}

/// What attendance is built from.
pub(super) struct AttendanceParts {
    pub(super) presence: Arc<Presence>,
    pub(super) accounts: Arc<Accounts>,
    pub(super) delivery: Delivery,
    pub(super) typing: Typing,
    pub(super) announcements: Announcements,
    pub(super) revalidation: Revalidation,
    pub(super) tasks: Tasks,
}

impl Attendance {
    pub(super) fn new(parts: AttendanceParts, settings: &DeskSettings) -> Self {
        let AttendanceParts { presence, accounts, delivery, typing, announcements, revalidation, tasks } = parts;
        let (offline_grace, back_within) = (settings.offline_grace, settings.back_within);
        Self(Arc::new(Inner {
            presence,
            accounts,
            delivery,
            typing,
            announcements,
            revalidation,
            tasks,
            offline_grace,
            back_within,
        }))
    }
}
