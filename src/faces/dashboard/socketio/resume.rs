//! `resume`: reads entries after given seqs.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::RawValue;
use socketioxide::extract::AckSender;

use super::Shared;
use super::handlers::unavailable;
use crate::desk::delivery::{ResumeError, Resumed};
use crate::domain::{ConversationId, Person, Seq};
use crate::faces::dashboard::wire::encode;
use crate::faces::dashboard::wire::{Done, ErrorCode, Problem};

pub(super) async fn resume(
    connection: &Shared,
    person: &Arc<Person>,
    from: Option<BTreeMap<ConversationId, Seq>>,
    ack: Option<AckSender>,
) {
    let Some(from) = from else {
        let problem = Problem::new(ErrorCode::Invalid, "conversations must map ids to the last seq of each");
        return connection.refuse(ack, &problem);
    };
    let resumed = match connection.desk.delivery.resume(person, from).await {
        Ok(resumed) => resumed,
        Err(ResumeError::TooMany) => {
            return connection.refuse(ack, &Problem::new(ErrorCode::TooLarge, "Too many conversations at once"));
        }
        Err(ResumeError::Store(error)) => return connection.refuse(ack, &unavailable(&error)),
    };
    let server_url = connection.server_url();
    let conversations: Option<BTreeMap<String, ResumedBody>> = resumed
        .into_iter()
        .map(|(id, part)| {
            ResumedBody::encode(part, person, server_url.as_str()).ok().map(|body| (id.to_string(), body))
        })
        .collect();
    connection.acknowledge(ack, &Done::with(ResumeBody { conversations: conversations.unwrap_or_default() }));
}

/// The acknowledgement of `resume`.
#[derive(Serialize)]
struct ResumeBody {
    conversations: BTreeMap<String, ResumedBody>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum ResumedBody {
    #[serde(rename_all = "camelCase")]
    Entries {
        entries: Vec<Box<RawValue>>,
        last_seq: u64,
        has_more: bool,
    },
    #[serde(rename_all = "camelCase")]
    Resync {
        code: &'static str,
        last_seq: u64,
    },
    NotFound {
        code: &'static str,
    },
}

impl ResumedBody {
    fn encode(part: Option<Resumed>, viewer: &Person, server_url: &str) -> serde_json::Result<Self> {
        let Some(part) = part else { return Ok(Self::NotFound { code: "not_found" }) };
        let last_seq = part.last_seq.get();
        if part.must_resync {
            return Ok(Self::Resync { code: "resync_required", last_seq });
        }
        let encode = |event| encode::encode_for_resume(event, viewer, part.receipts.status_of(event), server_url);
        let entries = part.entries.iter().map(encode);
        Ok(Self::Entries { entries: entries.collect::<Result<_, _>>()?, last_seq, has_more: part.has_more })
    }
}
