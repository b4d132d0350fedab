-- Times are milliseconds since 1970; ids are 12 bytes; sides are 0 (customer) and 1 (desk).
CREATE TABLE users (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    id            BLOB NOT NULL UNIQUE,
    name          TEXT NOT NULL,
    email         TEXT UNIQUE,
    password_hash TEXT,
    role          TEXT NOT NULL CHECK (role IN ('user', 'agent', 'admin')),
    status        TEXT NOT NULL CHECK (status IN ('unverified', 'active', 'Blocked')),
    code_purpose  TEXT,
    code_digest   TEXT,
    code_expires  INTEGER,
    code_failures INTEGER,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL
) STRICT;
CREATE INDEX users_by_role ON users (role, number);

-- One row per conversation: the fixed facts, then the projections of its log.
CREATE TABLE conversations (
    number        INTEGER PRIMARY KEY AUTOINCREMENT,
    id            BLOB NOT NULL UNIQUE,
    uuid          BLOB NOT NULL UNIQUE,
    customer      BLOB NOT NULL,             -- or the first account of a direct conversation
    peer          BLOB,                      -- the second account; NULL where that is the desk
    created_at    INTEGER NOT NULL,
    status        TEXT NOT NULL,
    last_seq      INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    last_message_seq  INTEGER,
    last_message_side INTEGER,
    last_message_body TEXT,
    last_message_at   INTEGER,
    customer_read     INTEGER NOT NULL,
    customer_unread   INTEGER NOT NULL,
    desk_read         INTEGER NOT NULL,
    desk_unread       INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX conversations_support ON conversations (customer) WHERE peer IS NULL;
CREATE UNIQUE INDEX conversations_direct ON conversations (customer, peer) WHERE peer IS NOT NULL;
CREATE INDEX conversations_of_peer ON conversations (peer) WHERE peer IS NOT NULL;
-- The agents' list, newest message first.
CREATE INDEX conversations_by_message ON conversations (last_message_at)
    WHERE peer IS NULL AND last_message_at IS NOT NULL;
CREATE INDEX conversations_unread_by_desk ON conversations (desk_unread) WHERE peer IS NULL AND desk_unread > 0;

-- The log. `number` also serves as the message's integer id; rows are never deleted, so it is never used twice.
CREATE TABLE entries (
    number       INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations (number),
    seq          INTEGER NOT NULL,
    kind         TEXT NOT NULL,              -- message, read, status
    author       BLOB NOT NULL,
    side         INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    message_id   BLOB,                       -- of a message
    client_id    TEXT,                       -- of a message, if its client gave one
    body         TEXT,                       -- of a message: its text; of a status: its word
    up_to        INTEGER                     -- of a read mark
) STRICT;
CREATE UNIQUE INDEX entries_by_seq ON entries (conversation, seq);
CREATE UNIQUE INDEX entries_by_client_id ON entries (author, client_id) WHERE client_id IS NOT NULL;

-- How far each person has been delivered to.
CREATE TABLE delivered (
    user         BLOB NOT NULL,
    conversation INTEGER NOT NULL REFERENCES conversations (number),
    up_to        INTEGER NOT NULL,
    PRIMARY KEY (user, conversation)
) STRICT, WITHOUT ROWID;
