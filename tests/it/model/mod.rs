//! Compares the server with a small model of it: random operations of several people on several tabs, over several
//! faces, with lost connections, restarts and jumps of the clock. Every few operations, everybody's view must equal the
//! model's.
//!
//! `DESKLINE_MODEL_SEED` repeats a run, `DESKLINE_MODEL_OPERATIONS` sets its length.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use deskline::auth::{Secret, Tokens};
use deskline::domain::{Clock, Role, Timestamp};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};

use crate::support::{Account, SECRET, TestServer, make_account, number, text};

mod reference;
mod requests;
mod tab;

use reference::Log;
use tab::Tab;

const OPERATIONS: u32 = 10_000;

/// Number of operations after which everybody's view is compared.
const COMPARED: u32 = 20;

/// Number of operations after which the responses to requests are compared, too.
const ASKED: u32 = 500;

const CUSTOMERS: usize = 6;

const AGENTS: usize = 2;

/// Tabs of each person. One of each agent's and of every second customer's polls.
const TABS: usize = 2;

/// Number of kinds of operations, including jumps back of the clock and both comparisons.
const OPERATION_KINDS: usize = 19;

/// The maximum number of messages of a conversation before a new person replaces its customer. One request returns
/// more.
const ROOM: usize = 400;

/// A clock that jumps.
struct Jumping(AtomicI64);

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.0.load(Ordering::SeqCst))
    }
}

/// The kind of an operation; `None` if it was not possible.
type Done = Option<&'static str>;

/// All people, the server, and the model.
struct World {
    server: TestServer,
    clock: Arc<Jumping>,
    tokens: Tokens,
    random: StdRng,
    /// Agents first, then customers.
    people: Vec<Account>,
    tabs: Vec<Tab>,
    /// By customer: the conversation's id, once there is one, and its model.
    logs: Vec<(Option<String>, Log)>,
    /// Former customers, and how many of their messages stay unread by the desk.
    former: usize,
    left_unread: u64,
    said: u64,
    /// By tab: its last message, for retries.
    last: Vec<Option<(Value, Value)>>,
    counts: std::collections::BTreeMap<&'static str, u32>,
}

#[expect(clippy::print_stderr, reason = "the seed is needed to reproduce a failure")]
#[expect(clippy::disallowed_methods, reason = "a run is repeated by its seed")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_sees_what_the_model_predicts() {
    let given = |name: &str| std::env::var(name).ok().map(|value| value.parse().unwrap());
    let seed = given("DESKLINE_MODEL_SEED").unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let operations = given("DESKLINE_MODEL_OPERATIONS").map_or(OPERATIONS, |many| u32::try_from(many).unwrap());
    eprintln!("model: DESKLINE_MODEL_SEED={seed} DESKLINE_MODEL_OPERATIONS={operations}");
    let mut world = World::new(seed).await;
    for done in 1..=operations {
        // Only operations that had an effect count.
        while !world.operate().await {}
        if done % COMPARED == 0 {
            world.compare().await;
        }
        if done % ASKED == 0 || done == operations {
            world.compare_requests().await;
        }
    }
    eprintln!("model: {operations} operations agreed: {:?}", world.counts);
    let is_complete = world.counts.len() == OPERATION_KINDS;
    assert!(is_complete || operations < OPERATIONS, "operations are missing: {:?}", world.counts);
}

impl World {
    async fn new(seed: u64) -> Self {
        let clock = Arc::new(Jumping(AtomicI64::new(1_790_000_000_000)));
        let server = TestServer::start_at(&[], clock.clone()).await;
        let tokens = Tokens::new(&Secret::from(SECRET), Duration::from_hours(24 * 3650));
        let mut people = Vec::new();
        for index in 0..AGENTS + CUSTOMERS {
            let (name, role) = if index < AGENTS {
                (format!("agent{index}"), Role::Admin)
            } else {
                (format!("ann{index}"), Role::Customer)
            };
            people.push(make_account(&*server.stores.users, &tokens, &*clock, &name, role).await);
        }
        let tabs: Vec<Tab> = (0..TABS * people.len()).map(|tab| Tab::new(tab, &people[tab / TABS])).collect();
        let last = tabs.iter().map(|_| None).collect();
        let logs = (0..CUSTOMERS).map(|_| (None, Log::new())).collect();
        let random = StdRng::seed_from_u64(seed);
        let counts = std::collections::BTreeMap::new();
        let (former, left_unread, said) = (0, 0, 0);
        let mut world =
            Self { server, clock, tokens, random, people, tabs, logs, former, left_unread, said, last, counts };
        for tab in 0..world.tabs.len() {
            world.open(tab).await;
        }
        world
    }

    /// A new person replaces a customer, whose conversation stays as it is.
    async fn take_the_place(&mut self, customer: usize) -> Done {
        self.compare_conversation(customer).await;
        self.former += 1;
        let (name, users) = (format!("ann{}", self.people.len() + self.former), &*self.server.stores.users);
        let account = make_account(users, &self.tokens, &*self.clock, &name, Role::Customer).await;
        let (id, log) = std::mem::replace(&mut self.logs[customer], (None, Log::new()));
        self.left_unread += log.unread(1);
        for tab in &mut self.tabs {
            tab.forget(id.as_deref());
        }
        let owner = AGENTS + customer;
        for tab in TABS * owner..TABS * (owner + 1) {
            (self.tabs[tab], self.last[tab]) = (Tab::new(tab, &account), None);
            self.open(tab).await;
        }
        self.people[owner] = account;
        Some("take a place")
    }

    fn pick(&mut self, of: usize) -> usize {
        self.random.random_range(0..of)
    }

    /// The conversations that a tab may see, by customer.
    fn visible(&self, tab: usize) -> Vec<usize> {
        match self.tabs[tab].owner.checked_sub(AGENTS) {
            None => (0..CUSTOMERS).collect(),
            Some(customer) => vec![customer],
        }
    }

    fn ids(&self, customers: &[usize]) -> Vec<String> {
        customers.iter().filter_map(|customer| self.logs[*customer].0.clone()).collect()
    }

    async fn open(&mut self, tab: usize) {
        let ids = self.ids(&self.visible(tab));
        let url = self.server.url.clone();
        self.tabs[tab].come_back(&url, &ids).await;
    }

    /// Runs one operation. Returns false if it was not possible.
    async fn operate(&mut self) -> bool {
        self.let_time_pass();
        let done = self.do_something().await;
        if let Some(what) = done {
            self.count(what);
        }
        done.is_some()
    }

    async fn do_something(&mut self) -> Done {
        let tab = self.pick(self.tabs.len());
        if !self.tabs[tab].is_open() {
            self.open(tab).await;
            return Some("reconnect");
        }
        let visible = self.visible(tab);
        let customer = visible[self.pick(visible.len())];
        if self.logs[customer].0.is_none() || self.random.random_ratio(35, 100) {
            return self.send(tab, customer).await;
        }
        match self.pick(100) {
            0..8 => self.send_again(tab).await,
            8..24 => self.mark_read(tab, customer).await,
            24..40 => self.edit(tab, customer).await,
            40..56 => self.delete(tab, customer).await,
            56..64 => self.change_status(customer).await,
            64..70 => self.read_history(tab, customer).await,
            70..78 => self.send_in_a_room(tab, customer).await,
            78..84 => Some(self.type_(tab, customer)),
            84..98 => {
                self.tabs[tab].drop_connection();
                Some("lose a connection")
            }
            _ if self.random.random_ratio(1, 4) => self.restart().await,
            _ => self.send(tab, customer).await,
        }
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    fn let_time_pass(&mut self) {
        let millis = match self.pick(200) {
            0 => self.random.random_range(-3_600_000..0),
            1 => self.random.random_range(0..3_600_000),
            _ => self.random.random_range(1..2000),
        };
        if millis < 0 {
            self.count("set the clock back");
        }
        self.clock.0.fetch_add(millis, Ordering::SeqCst);
    }

    fn side(&self, tab: usize) -> usize {
        usize::from(self.tabs[tab].owner < AGENTS)
    }

    fn something_new(&mut self) -> String {
        self.said += 1;
        format!("number {} \u{1F600}", self.said)
    }

    /// The recipient of a tab's messages in a customer's conversation.
    fn addressee(&mut self, tab: usize, customer: usize) -> String {
        let other = if self.side(tab) == 1 { AGENTS + customer } else { self.pick(AGENTS) };
        self.people[other].id.to_string()
    }

    async fn send(&mut self, tab: usize, customer: usize) -> Done {
        if self.logs[customer].1.messages.len() >= ROOM {
            return self.take_the_place(customer).await;
        }
        let (words, to) = (self.something_new(), self.addressee(tab, customer));
        let message = json!({"receiverId": to, "message": words, "clientMessageId": words});
        let answer = self.tabs[tab].ask("send-message", message.clone()).await;
        assert_eq!(answer["ok"], true, "{answer}");
        let (owner, side) = (self.tabs[tab].owner, self.side(tab));
        let (id, log) = &mut self.logs[customer];
        let named = text(&answer, "conversationId");
        assert_eq!(id.get_or_insert_with(|| named.to_owned()), named);
        assert_eq!(number(&answer, "seq"), log.send(owner, side, &words));
        self.last[tab] = Some((message, answer));
        Some("send")
    }

    /// A retry changes nothing, and gets the same acknowledgement.
    async fn send_again(&mut self, tab: usize) -> Done {
        let (message, first) = self.last[tab].clone()?;
        let again = self.tabs[tab].ask("send-message", message).await;
        assert_eq!(again, first);
        Some("send again")
    }

    async fn mark_read(&mut self, tab: usize, customer: usize) -> Done {
        let side = self.side(tab);
        let id = self.logs[customer].0.clone()?;
        let up_to = self.random.random_range(0..self.logs[customer].1.last + 3);
        self.tabs[tab].emit("mark-read", json!({"conversationId": id, "seq": up_to}));
        // The answer to a later event shows that it was handled.
        self.tabs[tab].ask("resume", json!({"conversations": {}})).await;
        if let Some(seq) = self.logs[customer].1.mark_read(side, up_to) {
            self.tabs[tab].knows(&id, seq);
        }
        Some("mark as read")
    }

    /// A message of a conversation and its id, if the tab knows it.
    fn some_message(&mut self, tab: usize, customer: usize) -> Option<(u64, String)> {
        let seqs: Vec<u64> = self.logs[customer].1.messages.keys().rev().take(30).copied().collect();
        let seq = *seqs.get(self.random.random_range(0..seqs.len().max(1)))?;
        let id = self.tabs[tab].id_of(self.logs[customer].0.as_ref()?, seq)?;
        Some((seq, id))
    }

    async fn edit(&mut self, tab: usize, customer: usize) -> Done {
        let (seq, id) = self.some_message(tab, customer)?;
        let owner = self.tabs[tab].owner;
        let now = self.logs[customer].1.messages[&seq].clone();
        let words = match &now.text {
            Some(same) if self.random.random_ratio(1, 8) => same.clone(),
            _ => self.something_new(),
        };
        let answer = self.tabs[tab].ask("edit-message", json!({"messageId": id, "message": words})).await;
        if now.author != owner {
            assert_eq!(answer["code"], "forbidden", "{answer}");
            return Some("edit what is another's");
        }
        match self.logs[customer].1.edit(seq, &words) {
            Ok(Some(edit)) => assert_eq!(number(&answer, "seq"), edit, "{answer}"),
            Ok(None) => assert_eq!(answer["ok"], true, "{answer}"),
            Err(()) => assert_eq!(answer["code"], "not_found", "{answer}"),
        }
        Some("edit")
    }

    async fn delete(&mut self, tab: usize, customer: usize) -> Done {
        let (seq, id) = self.some_message(tab, customer)?;
        let (owner, side) = (self.tabs[tab].owner, self.side(tab));
        let answer = self.tabs[tab].ask("delete-message", json!({"messageId": id})).await;
        if self.logs[customer].1.messages[&seq].author != owner && side == 0 {
            assert_eq!(answer["code"], "forbidden", "{answer}");
            return Some("delete what is another's");
        }
        assert_eq!(answer["ok"], true, "{answer}");
        if let Some(deletion) = self.logs[customer].1.delete(seq) {
            assert_eq!(number(&answer, "seq"), deletion);
        }
        Some("delete")
    }

    fn type_(&mut self, tab: usize, customer: usize) -> &'static str {
        let to = self.addressee(tab, customer);
        self.tabs[tab].emit("typing", json!({"receiverId": to}));
        "type"
    }

    async fn restart(&mut self) -> Done {
        for tab in &mut self.tabs {
            tab.drop_connection();
        }
        self.server.restart().await;
        Some("restart")
    }

    /// Compares the view of everybody who is connected with the model.
    async fn compare(&mut self) {
        for customer in 0..CUSTOMERS {
            self.compare_conversation(customer).await;
        }
        self.count("compare");
    }

    /// The same for one conversation. Returns false if nobody is connected to see it.
    async fn compare_conversation(&mut self, customer: usize) -> bool {
        let mut is_seen = false;
        for tab in 0..self.tabs.len() {
            if self.tabs[tab].is_open()
                && self.visible(tab).contains(&customer)
                && let (Some(id), log) = &self.logs[customer]
            {
                self.tabs[tab].agrees(id, log).await;
                is_seen = true;
            }
        }
        is_seen
    }
}
