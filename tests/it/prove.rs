//! A proof on the embedded store.

use crate::shared::assert_proven;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_duplicated_however_often_the_server_is_killed() {
    assert_proven(&["--kill", "20", "--life", "600ms"], 500).await;
}
