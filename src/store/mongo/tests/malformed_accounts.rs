//! Accounts that violate the old server's schema, beside a valid one.

use bson::{Bson, DateTime, Document, doc};

use super::{Fresh, available};
use crate::domain::{AccountStatus, Role, UserId};
use crate::store::UserStore as _;

fn account(n: u8) -> Document {
    doc! {
        "_id": bson::oid::ObjectId::from_bytes([n; 12]),
        "name": format!("Person {n}"),
        "email": format!("p{n}@x.test"),
        "role": "user",
        "status": "active",
        "createdAt": DateTime::from_millis(1_795_249_336_000),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_malformed_account_gets_the_least_rights_and_hides_no_other() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let odd: [(u8, &str, Bson); 6] = [
        (1, "createdAt", "2024-01-01".into()),
        (2, "name", 7.into()),
        (3, "role", "moderator".into()),
        (4, "role", vec!["admin"].into()),
        (5, "status", "suspended".into()),
        (6, "password", 12345.into()),
    ];
    let accounts = fresh.documents("users");
    let users: Vec<Document> = odd
        .iter()
        .map(|(n, field, value)| {
            let mut document = account(*n);
            document.insert(*field, value.clone());
            document
        })
        .collect();
    accounts.insert_many(users).await.unwrap();
    let mut nobody = account(7);
    nobody.insert("_id", "ann");
    accounts.insert_many([nobody, account(8)]).await.unwrap();

    for (n, ..) in &odd {
        let user = fresh.store.user(UserId::from_bytes([*n; 12])).await.unwrap().unwrap();
        assert_eq!(user.role, Role::Customer, "{n}");
        let expected = if *n == 5 { AccountStatus::Blocked } else { AccountStatus::Active };
        assert_eq!(user.status, expected, "{n}");
        assert_eq!((user.name.is_empty(), user.password_hash), (*n == 2, None), "{n}");
    }
    let ids: Vec<_> = (1..=8).map(|n| UserId::from_bytes([n; 12])).collect();
    assert_eq!(fresh.store.users(&ids).await.unwrap().len(), 7, "a document without a user id is not an account");
    let listed = fresh.store.users_of_role(Role::Customer, 0, 100).await.unwrap();
    assert!(listed.users.iter().any(|user| user.id == ids[7]), "the others are listed");
}
