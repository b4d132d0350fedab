//! Tests with differences that are planted in the embedded store.

use tempfile::TempDir;

use super::*;
use crate::store::{OpenStore, StoreLocation, maintenance_contract};

async fn filled() -> (OpenStore, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = StoreLocation::Sqlite(folder.path().join("deskline.db")).open().await.unwrap();
    maintenance_contract::fill(&store).await;
    (store, folder)
}

async fn findings(store: &OpenStore, repair: Repair) -> (Vec<Difference>, Report) {
    let mut findings = Vec::new();
    let tell = |finding: &Finding| findings.push(finding.difference.clone());
    let maintenance = store.maintenance().unwrap();
    let report = verify(&*store.stores().conversations, &*maintenance, repair, tell, |_| ()).await.unwrap();
    (findings, report)
}

#[tokio::test]
async fn wrong_projections_are_found_and_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let store = StoreLocation::Sqlite(folder.path().join("deskline.db")).open().await.unwrap();
    maintenance_contract::wrong_projections_are_found_and_repaired(&store).await;
}

#[tokio::test]
async fn a_gap_in_the_log_is_reported_and_not_repaired() {
    let (store, folder) = filled().await;
    let raw = rusqlite::Connection::open(folder.path().join("deskline.db")).unwrap();
    raw.pragma_update(None, "foreign_keys", false).unwrap();
    raw.execute("DELETE FROM entries WHERE seq = 2 AND body = 'ann 2'", []).unwrap();
    let (found, report) = findings(&store, Repair::WhatFollows).await;
    assert!(found.contains(&Difference::Hole { missing: Seq::new(2) }), "{found:?}");
    assert_eq!(report.left, 1);
}

#[tokio::test]
async fn a_timestamp_that_runs_backwards_is_reported() {
    let (store, folder) = filled().await;
    let raw = rusqlite::Connection::open(folder.path().join("deskline.db")).unwrap();
    raw.execute("UPDATE entries SET at = at - 1 WHERE body = 'bob 3'", []).unwrap();
    let (found, report) = findings(&store, Repair::No).await;
    assert_eq!((found, report.left), (vec![Difference::Backwards { seq: Seq::new(3) }], 1));
}

#[tokio::test]
async fn a_different_text_is_reported_without_showing_it() {
    let (store, folder) = filled().await;
    let raw = rusqlite::Connection::open(folder.path().join("deskline.db")).unwrap();
    raw.execute("UPDATE conversations SET last_message_body = 'secret' WHERE peer IS NOT NULL", []).unwrap();
    let (found, report) = findings(&store, Repair::WhatFollows).await;
    assert_eq!((found.len(), report.repaired, report.left), (1, 1, 0));
    assert!(!format!("{found:?}").contains("secret"));
    assert_eq!(findings(&store, Repair::No).await.0, []);
}
