//! To come and to go.

use std::sync::Arc;

use super::Desk;
use super::enter::Entered;
use crate::accounts::identify::IdentifyError;
use crate::domain::{ConnectionId, ConversationId, Person, Timestamp, TokenStamp, UserId};
use crate::presence::{Connection, Revoked, Unconfirmed};

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

/// What a new connection is to get should an older one of the same person turn out to have been dead.
#[derive(Clone, Copy, PartialEq, Eq)]
enum IsOwed {
    WhatIsLost,
    Nothing,
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
    /// [`catch_up`](Self::catch_up). False if it has closed meanwhile.
    pub async fn connect(&self, who: &Authenticated, connection: &Arc<dyn Connection>) -> bool {
        connection.feed().begin();
        self.admit(who, connection, IsOwed::WhatIsLost).await
    }

    /// The same, for a client that fetches by itself what it has missed, by requests or by [`resume`](Self::resume): it hears of
    /// the log, too, from now on.
    pub async fn connect_live(&self, who: &Authenticated, connection: &Arc<dyn Connection>) -> bool {
        self.admit(who, connection, IsOwed::Nothing).await
    }

    /// The same, for a client that comes back by itself and fetches nothing: should an older connection turn out to have been
    /// dead, this one gets what was lost with it.
    pub(super) async fn connect_owed(&self, who: &Authenticated, connection: &Arc<dyn Connection>) -> bool {
        self.admit(who, connection, IsOwed::WhatIsLost).await
    }

    /// The person whose connection it is has shown a token again: it goes on as it is, and misses nothing. False if it has
    /// closed meanwhile.
    pub async fn renew(&self, who: &Authenticated, connection: &Arc<dyn Connection>) -> bool {
        self.admit(who, connection, IsOwed::Nothing).await
    }

    async fn admit(&self, who: &Authenticated, connection: &Arc<dyn Connection>, is_owed: IsOwed) -> bool {
        self.0.expiries.add(who, connection);
        let joined = {
            let mut debts = self.0.debts.lock();
            let joined = self.0.presence.join(who.person.clone(), connection.clone());
            if is_owed == IsOwed::WhatIsLost {
                self.note_debts(&mut debts, &who.person, connection);
            }
            joined
        };
        if !connection.is_of(who.person.id) {
            // It left before it came, so nobody else will take it out.
            self.disconnect(&who.person, connection.id(), Vec::new());
            return false;
        }
        for outdated in &joined.outdated {
            revoke_connection(who.person.id, &**outdated, Revoked::RoleChanged);
        }
        self.announce_arrival(&who.person, &joined).await;
        true
    }

    /// Sends a connection what happens in the conversation that its client has entered by name alone. It is nobody's: it makes
    /// nobody present, and what it is sent counts as delivered to nobody.
    pub fn connect_guest(&self, entered: &Entered, connection: Arc<dyn Connection>) {
        self.0.presence.add_guest(entered.summary.conversation.id, connection);
    }

    /// Removes such a connection.
    pub fn disconnect_guest(&self, conversation: ConversationId, connection: ConnectionId) {
        self.0.presence.remove_guest(conversation, connection);
    }

    /// Takes a connection from a person. What was sent on it in vain, if it broke, counts as not delivered, unless they
    /// have another connection.
    pub fn disconnect(&self, person: &Arc<Person>, connection: ConnectionId, unconfirmed: Vec<Unconfirmed>) {
        self.0.expiries.remove(connection);
        self.stop_typing_on(connection);
        // Held until it is taken back, too: whoever comes next catches up from there.
        let mut all = self.0.debts.lock();
        let debts = all.remove(&connection).unwrap_or_default();
        let Some(leaving) = self.0.presence.leave(person.id, connection) else {
            drop(all);
            return self.settle_debts(person, debts, &unconfirmed);
        };
        for (conversation, first) in unconfirmed {
            self.0.deliveries.take_back(person.id, conversation, first.previous());
        }
        drop(all);
        let (desk, grace) = (self.clone(), self.0.settings.offline_grace);
        self.run(async move {
            tokio::time::sleep(grace).await;
            if let Some(departed) = desk.0.presence.depart(leaving) {
                desk.announce_departure(&departed).await;
            }
        });
    }

    /// Takes the rights of all live connections of a person, and tells them so.
    pub(super) fn revoke(&self, user: UserId, reason: Revoked) {
        for connection in self.0.presence.connections(user) {
            revoke_connection(user, &*connection, reason);
        }
    }
}

/// The connection tells its client, and lets go of the person by itself.
pub(super) fn revoke_connection(user: UserId, connection: &dyn Connection, reason: Revoked) {
    tracing::info!(user.id = %user, connection.id = %connection.id(), ?reason, "A connection lost its rights");
    connection.revoke(reason);
}
