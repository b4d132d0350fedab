//! Connections of people, from authentication to their end.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::Attendance;
use super::revalidate::revoke_connection;
use crate::accounts::identify::{Identified, IdentifyError};
use crate::desk::delivery::Begun;
use crate::domain::{ConnectionId, Conversation, ConversationId, Person, Seq, Timestamp, TokenStamp, UserId};
use crate::presence::{Begins, Connection, Ending, Left, Revoked};

/// Somebody who has authenticated.
#[derive(Debug, Clone)]
pub struct Authenticated {
    /// The person.
    pub person: Arc<Person>,
    /// When the token expires.
    pub expires_at: Timestamp,
    /// The token; `None` for a visitor, who has a cookie instead.
    pub token: Option<TokenStamp>,
}

impl From<Identified> for Authenticated {
    fn from(identified: Identified) -> Self {
        let person = Arc::new(Person::from(&identified.user));
        Self { person, expires_at: identified.expires_at, token: Some(identified.token) }
    }
}

impl Attendance {
    /// The person to whom a token belongs.
    ///
    /// # Errors
    /// [`IdentifyError`] if the token is not valid, or its account may not sign in.
    #[tracing::instrument(level = "debug", name = "desk.authenticate", skip_all)]
    pub async fn authenticate(&self, token: &str) -> Result<Authenticated, IdentifyError> {
        Ok(self.0.accounts.identify(token).await?.into())
    }

    /// Binds a page to the person who authenticated on it. Returns the signed text for [`identify_page`](Self::identify_page);
    /// `None` if they have no token.
    #[must_use]
    pub fn bind_page(&self, page: &str, who: &Authenticated) -> Option<String> {
        Some(self.0.accounts.bind_page(page, who.person.id, who.token?, who.expires_at))
    }

    /// The person to whom a page was bound, if that was no longer than `within` ago and their token and account are still valid.
    ///
    /// # Errors
    /// [`IdentifyError`] if the token is not valid, or its account may not sign in.
    #[tracing::instrument(level = "debug", name = "desk.identify_page", skip_all)]
    pub async fn identify_page(
        &self,
        page: &str,
        signed: &str,
        within: Duration,
    ) -> Result<Authenticated, IdentifyError> {
        Ok(self.0.accounts.identify_page(page, signed, within).await?.into())
    }

    /// Connects a person whose page names its place in the log. Entries are held back until
    /// [`Delivery::replay_since`](crate::desk::delivery::Delivery::replay_since).
    pub async fn reconnect(&self, who: &Authenticated, connection: &Arc<dyn Connection>) -> Begun {
        self.admit(who, connection, Begins::FromPlace).await
    }

    /// Closes the older connections of a page that reconnects on this one. To be called before it is connected.
    /// `has_named_place`: the page names the last message that it received, so that it misses nothing.
    pub fn retire_page(&self, person: &Person, by: &dyn Connection, has_named_place: bool) {
        let page = by.recognized();
        for older in self.0.presence.connections(person.id) {
            if older.id() != by.id() && older.recognized() == page {
                tracing::debug!(connection.id = %older.id(), "A page reconnected");
                older.retire(has_named_place);
            }
        }
    }

    /// Connects a person. Events are sent from now on, but entries only after
    /// [`Delivery::catch_up`](crate::desk::delivery::Delivery::catch_up).
    pub async fn connect(&self, who: &Authenticated, connection: &Arc<dyn Connection>) -> Begun {
        self.admit(who, connection, Begins::FromCursor).await
    }

    /// The same for a client that fetches what it has missed by requests or by
    /// [`Delivery::resume`](crate::desk::delivery::Delivery::resume): entries are sent from now on, too. Changes nothing for a
    /// connection that the person has already.
    pub async fn connect_live(&self, who: &Authenticated, connection: &Arc<dyn Connection>) {
        self.admit(who, connection, Begins::LiveAlone).await;
    }

    /// The same for a connection to one conversation. If its client lost an earlier connection, what it missed is sent first. If
    /// none is known, as after a restart, and the client ignores duplicates, it is sent what its person was never sent.
    pub async fn connect_to(&self, who: &Authenticated, conversation: Conversation, connection: &Arc<dyn Connection>) {
        let unsent = if connection.ignores_duplicates() {
            self.after_delivered(who.person.id, conversation.id).await
        } else {
            None
        };
        let begins = Begins::Live { reads: unsent.is_some() };
        let begun = self.admit(who, connection, begins).await;
        let stream = begun.stream().clone();
        if !stream.is_catching_up() {
            return;
        }
        let (delivery, person) = (self.0.delivery.clone(), who.person.clone());
        self.0.tasks.spawn_until_closed(async move {
            delivery.settle_older(&person, &begun).await;
            let lost = stream.take_lost().into_iter().map(|(_, first)| first).min();
            if let Err(error) = delivery.replay_from(&person, &stream, conversation, lost.or(unsent)).await {
                tracing::warn!(%error, "Could not replay missed messages to a connection");
                stream.connection().close_gracefully();
            }
        });
    }

    /// The first entry of a conversation that a person was not sent; `None` if they never were sent any.
    async fn after_delivered(&self, user: UserId, conversation: ConversationId) -> Option<Seq> {
        match self.0.delivery.sent_up_to(user, conversation).await {
            Ok(delivered) => delivered.map(Seq::next),
            Err(error) => {
                tracing::warn!(%error, "Could not read the delivery cursors of a person");
                None
            }
        }
    }

    #[tracing::instrument(level = "debug", name = "desk.connect", skip_all, fields(
        user.id = %who.person.id, connection.id = %connection.id(), begins = ?begins
    ))]
    async fn admit(&self, who: &Authenticated, connection: &Arc<dyn Connection>, begins: Begins) -> Begun {
        self.0.revalidation.add(who, connection);
        let joined = self.0.presence.join(who.person.clone(), connection.clone(), begins);
        if joined.has_changed {
            for other in &joined.others {
                revoke_connection(who.person.id, &**other, Revoked::RoleChanged);
            }
        }
        for older in &joined.older {
            older.connection().ping_or_close();
        }
        self.0.announcements.announce_arrival(&who.person, &joined).await;
        Begun::new(joined.stream, joined.older)
    }

    /// Connects a guest: a client that has shown only the name of a conversation. It is sent the entries, but it makes nobody present,
    /// and nothing counts as delivered to anybody.
    pub fn connect_guest(&self, conversation: ConversationId, connection: Arc<dyn Connection>) {
        self.0.presence.add_guest(conversation, connection);
    }

    /// Removes a guest's connection.
    pub fn disconnect_guest(&self, conversation: ConversationId, connection: ConnectionId) {
        self.0.presence.remove_guest(conversation, connection);
    }

    /// Removes a closed connection. Everything sent before `arrived` has arrived; for the rest, see
    /// [`Presence::leave`](crate::presence::Presence::leave).
    #[tracing::instrument(level = "debug", name = "desk.disconnect", skip_all, fields(
        user.id = %person.id, connection.id = %connection, ending = ?ending
    ))]
    pub fn disconnect(&self, person: &Arc<Person>, connection: ConnectionId, arrived: Instant, ending: Ending) {
        self.0.revalidation.remove(connection);
        self.0.typing.stop_on(connection);
        let within = self.0.back_within;
        let Left { arrived, leaving } = self.0.presence.leave(person.id, connection, arrived, ending, within);
        for (conversation, up_to) in arrived {
            self.0.delivery.advance_cursor(person.id, conversation, up_to);
        }
        let Some(leaving) = leaving else { return };
        let (attendance, grace) = (self.clone(), self.0.offline_grace);
        self.0.tasks.spawn_until_closed(async move {
            tokio::time::sleep(grace).await;
            if let Some(departed) = attendance.0.presence.depart(leaving) {
                attendance.0.announcements.announce_departure(&departed).await;
            }
        });
    }

    /// Revokes all live connections of a person.
    pub(in crate::desk) fn revoke(&self, user: UserId, reason: Revoked) {
        self.0.revalidation.revoke(user, reason);
    }

    /// To be called when this process has changed or deleted an account. Takes effect at once.
    pub async fn account_changed(&self, id: UserId) {
        self.0.revalidation.account_changed(id).await;
    }

    /// Reads the bans from the store. True if they have changed. If they cannot be read, those that were read last stay in force.
    pub async fn read_bans(&self) -> bool {
        self.0.revalidation.read_bans().await
    }
}
