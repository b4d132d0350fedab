//! A TCP proxy between a server and its database, which a test can interrupt.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::Site;

/// What the proxy does with connections.
#[derive(PartialEq)]
enum State {
    Open,
    /// Closes them, and new ones at once.
    Cut,
    /// Accepts them and forwards nothing.
    Silent,
}

/// Forwards connections to the database server until the state is changed.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: watch::Sender<State>,
}

impl Proxy {
    /// A proxy for this site's database server.
    pub(crate) async fn to(site: &Site, is_open: bool) -> Self {
        let server = site.host();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, watched) = watch::channel(if is_open { State::Open } else { State::Cut });
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(forward(near, server.clone(), watched.clone()));
            }
        });
        Self { address, state }
    }

    /// URI of the database through the proxy.
    pub(crate) fn uri(&self, site: &Site) -> String {
        format!("mongodb://{}/{}?directConnection=true", self.address, site.name)
    }

    /// Closes all connections, and new ones at once.
    pub(crate) fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Keeps connections open, accepts new ones, and forwards nothing.
    pub(crate) fn silence(&self) {
        self.state.send_replace(State::Silent);
    }

    /// Forwards new connections again.
    pub(crate) fn mend(&self) {
        self.state.send_replace(State::Open);
    }
}

async fn forward(mut near: TcpStream, server: String, mut state: watch::Receiver<State>) {
    if *state.borrow_and_update() == State::Open {
        let Ok(mut far) = TcpStream::connect(server).await else { return };
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
            _ = state.changed() => {}
        }
    }
    if *state.borrow_and_update() == State::Silent {
        // Bytes that arrived meanwhile are lost, so the connection is closed when the state changes.
        drop(state.changed().await);
    }
}
