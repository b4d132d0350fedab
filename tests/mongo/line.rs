//! A line between a server and its database, which a test can cut.

use std::net::SocketAddr;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::support::Site;

/// Stands between the server and its database, and can be shut.
pub(crate) struct Line {
    address: SocketAddr,
    open: watch::Sender<bool>,
}

impl Line {
    /// A line to this site's database server.
    pub(crate) async fn to(site: &Site, is_open: bool) -> Self {
        let server = site.host();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (open, watched) = watch::channel(is_open);
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let (mut watched, server) = (watched.clone(), server.clone());
                tokio::spawn(async move {
                    if !*watched.borrow_and_update() {
                        return;
                    }
                    let Ok(mut far) = TcpStream::connect(server).await else { return };
                    tokio::select! {
                        _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                        _ = watched.changed() => {}
                    }
                });
            }
        });
        Self { address, open }
    }

    /// The database's address over this line.
    pub(crate) fn uri(&self, site: &Site) -> String {
        format!("mongodb://{}/{}?directConnection=true", self.address, site.name)
    }

    /// Breaks what is connected, and lets nobody through.
    pub(crate) fn cut(&self) {
        self.open.send_replace(false);
    }

    /// Lets everybody through.
    pub(crate) fn mend(&self) {
        self.open.send_replace(true);
    }
}
