//! A server that cannot be reached, and a process that is killed at any point.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use mongodb::Database;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use super::{Fresh, available, connection, killed_at, open_on, read, say, server, someone};
use crate::domain::{Conversation, Entry, EntryKind, Seq, Side};
use crate::store::mongo::MongoStore;
use crate::store::{AppendError, Appended, ConversationStore as _, ListFor, StoreError};

/// The state of the connection to the server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Open,
    /// Connections break, and new ones are refused.
    Cut,
    /// Connections stay open, and nothing is forwarded.
    Dead,
}

/// A proxy to the server that a test can interrupt.
struct Proxy {
    line: watch::Sender<Line>,
    port: u16,
}

impl Proxy {
    async fn start() -> Self {
        let to = connection::options(&server().unwrap()).await.unwrap().hosts.remove(0).to_string();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (line, seen) = watch::channel(Line::Open);
        tokio::spawn(async move {
            while let Ok((from, _)) = listener.accept().await {
                tokio::spawn(carry(from, to.clone(), seen.clone()));
            }
        });
        Self { line, port }
    }

    fn set(&self, line: Line) {
        self.line.send_replace(line);
    }

    async fn database(&self, name: &str) -> Database {
        let uri = format!("mongodb://127.0.0.1:{}/?directConnection=true&serverSelectionTimeoutMS=2000", self.port);
        connection::connect(&uri, name).await.unwrap()
    }
}

async fn carry(mut from: TcpStream, to: String, mut line: watch::Receiver<Line>) {
    if *line.borrow_and_update() == Line::Cut {
        return;
    }
    let mut to = TcpStream::connect(to).await.unwrap();
    loop {
        let is_dead = *line.borrow_and_update() == Line::Dead;
        let pass = async {
            if is_dead {
                std::future::pending::<()>().await;
            }
            drop(tokio::io::copy_bidirectional(&mut from, &mut to).await);
        };
        tokio::select! {
            () = pass => return,
            changed = line.changed() => {
                if changed.is_err() || *line.borrow() == Line::Cut {
                    return;
                }
            }
        }
    }
}

/// Asserts that the log has no gaps and each of `texts` once, and that its projections agree with it.
async fn assert_whole(store: &MongoStore, conversation: &Conversation, texts: &[String]) {
    let summary = store.summary(conversation.id).await.unwrap().unwrap();
    let log = store.entries_after(conversation.id, Seq::ZERO, 1000).await.unwrap();
    assert_eq!(log.iter().map(|entry| entry.seq.get()).collect::<Vec<_>>(), (1..=log.len() as u64).collect::<Vec<_>>());
    let kept: Vec<&str> = log.iter().filter_map(Entry::message).map(|message| message.original.as_str()).collect();
    let unique: BTreeSet<&str> = kept.iter().copied().collect();
    assert_eq!(kept.len(), unique.len(), "a message was stored twice");
    for text in texts {
        assert!(unique.contains(text.as_str()), "{text} was acknowledged and lost");
    }
    let marks = log.iter().filter_map(|entry| match entry.kind {
        EntryKind::Read { up_to } => Some(up_to),
        EntryKind::Message(_)
        | EntryKind::StatusChanged { .. }
        | EntryKind::Edited { .. }
        | EntryKind::Deleted { .. } => None,
    });
    let read = marks.max().unwrap_or(Seq::ZERO);
    let unread = log.iter().filter(|entry| entry.message().is_some() && entry.seq > read).count();
    let desk = summary.side(Side::Desk);
    assert_eq!((desk.read, desk.unread, summary.last_seq.get()), (read, unread as u64, log.len() as u64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_sent_while_the_server_is_unreachable_are_refused_and_later_stored() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let proxy = Proxy::start().await;
    let store = open_on(&proxy.database(fresh.raw.name()).await).await;
    let conversation = fresh.support(1).await;
    let mut kept = Vec::new();
    for (round, line) in [Line::Open, Line::Cut, Line::Open, Line::Cut, Line::Open].into_iter().enumerate() {
        proxy.set(line);
        let sends = (0..20).map(|i| {
            let text = format!("{round}.{i}");
            let draft = super::faults::named(say(&conversation, 1, Side::Customer, &text), &text);
            let store = store.clone();
            async move { (text, store.append(vec![draft]).await.remove(0)) }
        });
        for (text, answer) in futures_util::future::join_all(sends).await {
            match answer {
                Ok(Appended::New(_)) => kept.push(text),
                Err(AppendError::Store(StoreError::Unavailable(_))) if line == Line::Cut => {}
                other => panic!("{text}: {other:?}"),
            }
        }
        if line == Line::Cut {
            assert!(store.check().await.is_err(), "readiness shows it");
        }
    }
    assert!(kept.len() >= 60, "only {} were stored", kept.len());
    assert_whole(&store, &conversation, &kept).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_to_a_silent_server_time_out() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let proxy = Proxy::start().await;
    let store = open_on(&proxy.database(fresh.raw.name()).await).await;
    let conversation = fresh.support(1).await;
    store.append(vec![say(&conversation, 1, Side::Customer, "before")]).await.remove(0).unwrap();
    proxy.set(Line::Dead);
    let begun = tokio::time::Instant::now();
    let (answer, history) = tokio::join!(
        store.append(vec![say(&conversation, 1, Side::Customer, "lost in between")]),
        store.messages_before(conversation.id, None, 10),
    );
    assert!(matches!(answer[0], Err(AppendError::Store(StoreError::Unavailable(_)))), "{answer:?}");
    assert!(matches!(history, Err(StoreError::Unavailable(_))), "{history:?}");
    assert!(begun.elapsed() < Duration::from_secs(9), "it took {:?}", begun.elapsed());
    proxy.set(Line::Cut);
    proxy.set(Line::Open);
    let after = store.append(vec![say(&conversation, 1, Side::Customer, "after")]).await.remove(0).unwrap();
    assert!(matches!(after, Appended::New(_)));
    assert_whole(&store, &conversation, &["before".to_owned(), "after".to_owned()]).await;
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_killed_at_any_point_leaves_a_complete_log() {
    if !available() {
        return;
    }
    let fresh = Fresh::open().await;
    let conversations = [fresh.support(1).await, fresh.support(2).await];
    let acknowledged: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
    for round in 0..8 {
        let acknowledged = acknowledged.clone();
        killed_at(fresh.raw.name(), 30 + 7 * round, async move |store| {
            let senders = (0..6).map(|sender| {
                let (store, acknowledged) = (store.clone(), acknowledged.clone());
                async move {
                    for i in 0_u64.. {
                        let which = usize::from(sender % 2 == 0);
                        let text = format!("{round}.{sender}.{i}");
                        let mut drafts = vec![say(&conversations[which], 1, Side::Customer, &text)];
                        if sender < 2 {
                            drafts.push(read(&conversations[which], 9, Side::Desk, u64::from(round) * 5 + i));
                        }
                        store.append(drafts).await.remove(0).unwrap();
                        acknowledged.lock().push((which, text));
                    }
                }
            });
            futures_util::future::join_all(senders).await;
        })
        .await;
    }
    let next = fresh.another().await;
    next.flush().await.unwrap();
    let acknowledged = acknowledged.lock().clone();
    assert!(!acknowledged.is_empty(), "nothing was acknowledged at all");
    let mut unread = 0;
    for (which, conversation) in conversations.iter().enumerate() {
        let texts: Vec<_> = acknowledged.iter().filter(|(of, _)| *of == which).map(|(_, text)| text.clone()).collect();
        assert_whole(&next, conversation, &texts).await;
        unread += next.summary(conversation.id).await.unwrap().unwrap().side(Side::Desk).unread;
    }
    assert_eq!(next.unread(ListFor::Agent(someone(9))).await.unwrap(), unread);
    let flagged = fresh.documents("messages").count_documents(bson::doc! { "read": false }).await.unwrap();
    assert_eq!(flagged, unread, "the old server's flags agree");
    next.close().await;
}
