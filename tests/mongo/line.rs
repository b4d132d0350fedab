//! A line between a server and its database, which a test can cut.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::Site;

/// How a line is.
#[derive(PartialEq)]
enum State {
    Open,
    /// Nobody gets through.
    Cut,
    /// Everybody is connected, and hears nothing.
    Silent,
}

/// Stands between the server and its database, and can be shut.
pub(crate) struct Line {
    address: SocketAddr,
    state: watch::Sender<State>,
}

impl Line {
    /// A line to this site's database server.
    pub(crate) async fn to(site: &Site, is_open: bool) -> Self {
        let server = site.host();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (state, watched) = watch::channel(if is_open { State::Open } else { State::Cut });
        tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(carry(near, server.clone(), watched.clone()));
            }
        });
        Self { address, state }
    }

    /// The database's address over this line.
    pub(crate) fn uri(&self, site: &Site) -> String {
        format!("mongodb://{}/{}?directConnection=true", self.address, site.name)
    }

    /// Breaks what is connected, and lets nobody through.
    pub(crate) fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Holds what is connected, lets everybody connect, and carries nothing.
    pub(crate) fn silence(&self) {
        self.state.send_replace(State::Silent);
    }

    /// Lets everybody through who connects anew.
    pub(crate) fn mend(&self) {
        self.state.send_replace(State::Open);
    }
}

async fn carry(mut near: TcpStream, server: String, mut state: watch::Receiver<State>) {
    if *state.borrow_and_update() == State::Open {
        let Ok(mut far) = TcpStream::connect(server).await else { return };
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut near, &mut far) => return,
            _ = state.changed() => {}
        }
    }
    if *state.borrow_and_update() == State::Silent {
        // Held until the line changes again; what was lost by then cannot be made up for.
        drop(state.changed().await);
    }
}
