//! To come and to go.

use std::sync::Arc;

use tokio::time::Instant;

use crate::accounts::identify::IdentifyError;
use crate::desk::Desk;
use crate::desk::conversations::ConversationAccess;
use crate::domain::{ConnectionId, Conversation, ConversationId, Person, Seq, Timestamp, TokenStamp, UserId};
use crate::presence::{Begins, Connection, Ending, Left, Older, Revoked, Stream};

/// Somebody who has shown who they are.
#[derive(Debug, Clone)]
pub struct Authenticated {
    /// Who.
    pub person: Arc<Person>,
    /// When the proof stops being good.
    pub expires_at: Timestamp,
    /// The token they have shown; `None` for a visitor, who has a cookie instead.
    pub token: Option<TokenStamp>,
}

/// A connection that has become somebody's.
pub struct Begun {
    pub(in crate::desk) stream: Arc<Stream>,
    /// Connections that may have been its client's before.
    pub(in crate::desk) older: Vec<Older>,
}

impl Begun {
    /// Whether it is not known yet what its client may have lost with older connections.
    #[must_use]
    pub fn is_unsettled(&self) -> bool {
        self.stream.is_catching_up() && self.older.iter().any(|older| !older.is_settled())
    }
}

impl Desk {
    /// Who a token belongs to.
    ///
    /// # Errors
    /// [`IdentifyError`] says why they are not let in.
    pub async fn authenticate(&self, token: &str) -> Result<Authenticated, IdentifyError> {
        let identified = self.0.accounts.identify(token).await?;
        let person = Arc::new(Person::from(&identified.user));
        Ok(Authenticated { person, expires_at: identified.expires_at, token: Some(identified.token) })
    }

    /// Makes a connection somebody's. It hears of everything from now on, but of the log only after
    /// [`catch_up`](Self::catch_up).
    pub async fn connect(&self, who: &Authenticated, connection: &Arc<dyn Connection>) -> Begun {
        self.admit(who, connection, Begins::FromCursor).await
    }

    /// The same, for a client that fetches by itself what it has missed, by requests or by [`resume`](Self::resume): it hears of
    /// the log, too, from now on. A connection that is theirs already goes on as it is.
    pub async fn connect_live(&self, who: &Authenticated, connection: &Arc<dyn Connection>) {
        self.admit(who, connection, Begins::LiveAlone).await;
    }

    /// The same, for a connection that is for one conversation alone. If its client has lost an earlier one, it is first sent what
    /// it missed; if none is known, as after a restart, and its client drops what it has, what its person has not been sent.
    pub async fn connect_to(&self, who: &Authenticated, conversation: Conversation, connection: &Arc<dyn Connection>) {
        let unsent = if connection.drops_what_it_has() {
            self.after_delivered(who.person.id, conversation.id).await
        } else {
            None
        };
        let begins = Begins::Live { reads: unsent.is_some() };
        let begun = self.admit(who, connection, begins).await;
        let stream = begun.stream.clone();
        if !stream.is_catching_up() {
            return;
        }
        let (desk, person) = (self.clone(), who.person.clone());
        self.run(async move {
            desk.settle_older(&person, &begun).await;
            let lost = stream.take_lost().into_iter().map(|(_, first)| first).min();
            if let Err(error) = desk.replay_from(&person, &stream, conversation, lost.or(unsent)).await {
                tracing::warn!(%error, "Could not replay missed messages to a connection");
                stream.connection().close_gracefully();
            }
        });
    }

    /// The first entry of a conversation that somebody has not been sent; `None` if they never were sent any.
    async fn after_delivered(&self, user: UserId, conversation: ConversationId) -> Option<Seq> {
        match self.delivered(user, conversation).await {
            Ok(delivered) => delivered.map(Seq::next),
            Err(error) => {
                tracing::warn!(%error, "Could not read the delivery cursors of a person");
                None
            }
        }
    }

    pub(in crate::desk) async fn admit(
        &self,
        who: &Authenticated,
        connection: &Arc<dyn Connection>,
        begins: Begins,
    ) -> Begun {
        self.0.expiries.add(who, connection);
        let joined = self.0.presence.join(who.person.clone(), connection.clone(), begins);
        if joined.has_changed {
            for other in &joined.others {
                revoke_connection(who.person.id, &**other, Revoked::RoleChanged);
            }
        }
        for older in &joined.older {
            older.connection().ask_or_close();
        }
        self.announce_arrival(&who.person, &joined).await;
        Begun { stream: joined.stream, older: joined.older }
    }

    /// Sends a connection what happens in the conversation that its client has entered by name alone. It is nobody's: it makes
    /// nobody present, and what it is sent counts as delivered to nobody.
    pub fn connect_guest(&self, entered: &ConversationAccess, connection: Arc<dyn Connection>) {
        self.0.presence.add_guest(entered.summary.conversation.id, connection);
    }

    /// Removes such a connection.
    pub fn disconnect_guest(&self, conversation: ConversationId, connection: ConnectionId) {
        self.0.presence.remove_guest(conversation, connection);
    }

    /// Takes a connection from a person. Everything that was sent on it before `arrived` has arrived; see
    /// [`Presence::leave`](crate::presence::Presence::leave) for the rest.
    pub fn disconnect(&self, person: &Arc<Person>, connection: ConnectionId, arrived: Instant, ending: Ending) {
        self.0.expiries.remove(connection);
        self.stop_typing_on(connection);
        let within = self.0.settings.back_within;
        let Left { arrived, leaving } = self.0.presence.leave(person.id, connection, arrived, ending, within);
        for (conversation, up_to) in arrived {
            self.0.cursors.advance(person.id, conversation, up_to);
        }
        let Some(leaving) = leaving else { return };
        let (desk, grace) = (self.clone(), self.0.settings.offline_grace);
        self.run(async move {
            tokio::time::sleep(grace).await;
            if let Some(departed) = desk.0.presence.depart(leaving) {
                desk.announce_departure(&departed).await;
            }
        });
    }

    /// Takes the rights of all live connections of a person, and tells them so.
    pub(in crate::desk) fn revoke(&self, user: UserId, reason: Revoked) {
        for connection in self.0.presence.connections(user) {
            revoke_connection(user, &*connection, reason);
        }
    }
}

/// The connection tells its client, and lets go of the person by itself.
pub(in crate::desk) fn revoke_connection(user: UserId, connection: &dyn Connection, reason: Revoked) {
    tracing::info!(user.id = %user, connection.id = %connection.id(), ?reason, "Revoked a connection");
    connection.revoke(reason);
}
