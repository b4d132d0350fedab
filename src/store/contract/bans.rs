//! Bans.

use super::{later, someone};
use crate::domain::{Ban, Banned};
use crate::store::{MAX_BANS, Stores};

fn network(text: &str) -> Banned {
    Banned::Network(text.parse().unwrap())
}

fn ban(who: Banned, until: i64) -> Ban {
    Ban { who, until: later(until) }
}

pub(crate) async fn bans_are_in_force_until_they_end_or_are_lifted(stores: Stores) {
    let bans = &stores.bans;
    assert_eq!(bans.bans(later(0)).await.unwrap(), []);
    let (v4, v6) = (ban(network("192.0.2.0/24"), 60), ban(network("2001:db8:1:2::/64"), 30));
    let ann = ban(Banned::Person(someone(1)), 90);
    for ban in [ann, v4, v6] {
        assert!(bans.save_ban(ban, later(0)).await.unwrap());
    }
    assert_eq!(bans.bans(later(0)).await.unwrap(), [v6, v4, ann]);
    assert_eq!(bans.bans(later(30)).await.unwrap(), [v4, ann], "at that moment it has ended");
    let longer = Ban { until: later(120), ..v4 };
    assert!(bans.save_ban(longer, later(40)).await.unwrap());
    assert_eq!(bans.bans(later(0)).await.unwrap(), [ann, longer], "what has ended was removed");
    assert!(bans.lift_ban(ann.who).await.unwrap());
    assert!(!bans.lift_ban(ann.who).await.unwrap());
    assert!(!bans.lift_ban(network("192.0.2.0/25")).await.unwrap(), "another network");
    assert_eq!(bans.bans(later(0)).await.unwrap(), [longer]);
}

pub(crate) async fn the_number_of_bans_is_limited(stores: Stores) {
    let bans = &stores.bans;
    let of = |n: usize| ban(network(&format!("10.{}.{}.0/24", n / 250, n % 250)), 60);
    for n in 0..MAX_BANS {
        assert!(bans.save_ban(of(n), later(0)).await.unwrap(), "{n}");
    }
    assert!(!bans.save_ban(of(MAX_BANS), later(0)).await.unwrap());
    assert!(bans.save_ban(of(7), later(1)).await.unwrap(), "one that is there may change");
    assert_eq!(bans.bans(later(1)).await.unwrap().len(), MAX_BANS);
    assert!(bans.save_ban(of(MAX_BANS), later(60)).await.unwrap(), "the others have ended");
}
