//! A proof on MongoDB.

use crate::shared::assert_proven;
use crate::support::database_server;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_duplicated_however_often_the_server_is_killed() {
    let Some(uri) = database_server() else { return };
    assert_proven(&["--mongodb-uri", &uri, "--kill", "20", "--life", "4s"], 200).await;
}
