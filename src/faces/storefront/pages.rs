//! Pages of a list: `{count, next, previous, results}`.

use std::collections::HashMap;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Uri};
use serde::Serialize;

use crate::faces::channels::Channels;
use crate::faces::channels::reply::Problem;
use crate::net::ServerUrl;

/// Items per page.
pub(super) const PAGE: usize = 250;

/// The requested page, and the URL of the list.
pub(super) struct Paging {
    page: u64,
    base: String,
    /// All query parameters.
    pub(super) query: HashMap<String, String>,
    /// URL at which the client reaches this server.
    pub(super) server_url: ServerUrl,
}

/// One page of a list.
#[derive(Serialize)]
pub(super) struct Page<T> {
    count: u64,
    next: Option<String>,
    previous: Option<String>,
    results: Vec<T>,
}

impl<S: Sync> FromRequestParts<S> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let query = Query::<HashMap<String, String>>::try_from_uri(&parts.uri).map(|Query(query)| query);
        let query = query.unwrap_or_default();
        let page = match query.get("page") {
            None => 1,
            Some(page) => page.parse().ok().filter(|page| *page > 0).ok_or_else(invalid)?,
        };
        let server_url = ServerUrl::of(&parts.headers, &parts.extensions);
        Ok(Self { page, base: base(server_url.as_str(), &parts.uri, &query), query, server_url })
    }
}

impl Paging {
    /// Items before this page.
    pub(super) const fn skip(&self) -> u64 {
        (self.page - 1).saturating_mul(PAGE as u64)
    }

    /// The page with these items, of `count` in all.
    ///
    /// # Errors
    /// 404 if the list has no such page.
    pub(super) fn page<T>(&self, results: Vec<T>, count: u64) -> Result<Page<T>, Problem> {
        if self.page > 1 && self.skip() >= count {
            return Err(invalid());
        }
        let link = |page: u64| format!("{}page={page}", self.base);
        let has_next = self.skip().saturating_add(PAGE as u64) < count;
        Ok(Page {
            count,
            next: has_next.then(|| link(self.page + 1)),
            previous: (self.page > 1).then(|| link(self.page - 1)),
            results,
        })
    }

    /// Cuts the requested page out of a complete list.
    pub(super) fn cut<T>(&self, all: Vec<T>) -> Result<Page<T>, Problem> {
        let count = all.len() as u64;
        let skip = usize::try_from(self.skip()).unwrap_or(usize::MAX);
        self.page(all.into_iter().skip(skip).take(PAGE).collect(), count)
    }
}

/// Whether a script on an allowed page made the request, rather than a crawler. Browsers send `Origin`, or `Sec-Fetch-Site:
/// same-origin`.
pub(super) fn asks_from_a_page(channels: &Channels, headers: &HeaderMap) -> bool {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match header("origin") {
        Some(origin) => channels.settings.page_origins.iter().any(|allowed| allowed == origin),
        None => header("sec-fetch-site") == Some("same-origin") && header("sec-fetch-mode") != Some("navigate"),
    }
}

fn base(server_url: &str, uri: &Uri, query: &HashMap<String, String>) -> String {
    let room = query.get("room_id").filter(|room| room.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-'));
    let room = room.map(|room| format!("room_id={room}&")).unwrap_or_default();
    format!("{server_url}{}?{room}", uri.path())
}

fn invalid() -> Problem {
    Problem::detail(axum::http::StatusCode::NOT_FOUND, "Invalid page.")
}
