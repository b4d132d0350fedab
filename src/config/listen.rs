//! Where the server listens, and which pages may use it.

use std::net::{Ipv4Addr, SocketAddr};

use clap::Args;

use super::{ConfigError, LOOPBACK, alias};
use crate::net::{ClientUrl, ClientUrlError, Origins, PublicUrl};

/// Where the server listens, and which pages may use it.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Network")]
pub struct ListenConfig {
    /// Address and port to listen on; may be given several times [default: 127.0.0.1, port `$PORT` or 3000].
    #[arg(
        long = "listen", env = "DESKLINE_LISTEN", value_delimiter = ',', value_name = "ADDRESS", value_parser = address
    )]
    pub addresses: Vec<SocketAddr>,
    /// Origin of a page that may use this server; may be given several times [default: `$CLIENT_URL`, or `http://localhost:5173`].
    ///
    /// For example `https://shop.example.com`, `https://*.example.com` for all its subdomains, or the origin of an app,
    /// `capacitor://localhost`. Links in mails lead to the first one without a wildcard that is a web page.
    #[arg(long = "client-url", env = "DESKLINE_CLIENT_URL", value_delimiter = ',', value_name = "ORIGIN")]
    pub client_urls: Vec<ClientUrl>,
    /// Public URL of this server behind a proxy, e.g. `https://chat.example.com`; may be given several times.
    ///
    /// Links to attachments begin with it. Give one for each host name under which pages reach the server.
    #[arg(long = "public-url", env = "DESKLINE_PUBLIC_URL", value_delimiter = ',', value_name = "URL")]
    pub public_urls: Vec<PublicUrl>,
}

/// A text that is not an address with a port.
#[derive(Debug, thiserror::Error)]
#[error(
    "an address and a port are required, e.g. {for_this_machine} for this machine only, or {for_all} for all networks"
)]
struct AddressError {
    for_this_machine: SocketAddr,
    for_all: SocketAddr,
}

/// Reads an address with a port. A port alone is refused, so that nobody listens on all networks by mistake.
fn address(text: &str) -> Result<SocketAddr, AddressError> {
    let text = text.trim();
    text.parse().map_err(|_| {
        let port = text.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(3000);
        AddressError {
            for_this_machine: SocketAddr::new(LOOPBACK, port),
            for_all: SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port),
        }
    })
}

impl ListenConfig {
    /// The origins of pages that may use this server.
    #[must_use]
    pub fn origins(&self) -> Origins {
        let own: Vec<String> = self.public_urls.iter().map(ToString::to_string).collect();
        Origins::new(&self.client_urls, &own)
    }

    /// Where links in mails lead: the first client URL that is a single web page.
    #[must_use]
    pub fn page_url(&self) -> String {
        let page = self.client_urls.iter().find(|url| url.is_page());
        page.map(|url| url.as_str().to_owned()).unwrap_or_default()
    }

    pub(crate) fn complete(&mut self) -> Result<(), ConfigError> {
        if self.addresses.is_empty() {
            let port = match alias("PORT") {
                None => 3000,
                Some(value) => value.parse().map_err(|_| ConfigError::Alias { name: "PORT", what: "a port", value })?,
            };
            self.addresses.push(SocketAddr::new(LOOPBACK, port));
        }
        if self.client_urls.is_empty() {
            let value = alias("CLIENT_URL").unwrap_or_else(|| "http://localhost:5173".into());
            let urls = value.split(',').filter(|url| !url.trim().is_empty()).map(str::parse);
            self.client_urls = urls
                .collect::<Result<_, _>>()
                .map_err(|error: ClientUrlError| ConfigError::ClientUrl { value, error })?;
        }
        Ok(())
    }
}
