//! The id by which customers know the desk is pinned in the database: it outlives its account, and the server.

use deskline::domain::Role;

use crate::support::{PATIENCE, Site, enter, send_message};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_reaches_the_desk_by_the_id_of_a_deleted_admin_after_a_restart() {
    let people = [("ada", Role::Admin), ("bea", Role::Admin), ("ann", Role::Customer)];
    let Some((site, people)) = Site::with(&people).await else { return };
    let [ada, bea, ann] = &people[..] else { unreachable!() };
    let server = site.start().await;
    server.signal("KILL").await;
    server.ended().await;
    let store = site.store().await;
    assert!(store.stores().users.delete_user(ada.id).await.unwrap());
    store.close().await;

    let server = site.start().await;
    let (agent, page) = (enter(&server, &bea.token).await, enter(&server, &ann.token).await);
    send_message(&page, &ada.id.to_string(), "help").await;
    assert_eq!(agent.wait_for("receive-message", PATIENCE).await.unwrap()["message"], "help");
    send_message(&agent, &ann.id.to_string(), "here").await;
    let answer = page.wait_for("receive-message", PATIENCE).await.unwrap();
    assert_eq!(answer["sender"]["_id"], ada.id.to_string());
    assert_eq!(answer["sender"]["name"], "bea");
    server.signal("KILL").await;
    server.ended().await;
    site.remove().await;
}
