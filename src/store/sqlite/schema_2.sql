-- Personal details that some dialects have in addition to the account.
CREATE TABLE profiles (
    user          BLOB PRIMARY KEY,
    username      TEXT UNIQUE,
    contact_email TEXT NOT NULL,
    phone         TEXT NOT NULL,
    session       TEXT UNIQUE                -- SHA-256 of a visitor's session secret, in hex
) STRICT, WITHOUT ROWID;

-- Used tokens, each of which can be used once.
CREATE TABLE spent_tokens (
    token TEXT PRIMARY KEY,
    until INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX spent_tokens_by_end ON spent_tokens (until);

-- Extras of messages. A row without its message has no effect.
CREATE TABLE message_extras (
    message    BLOB PRIMARY KEY,
    reply_to   INTEGER,
    file       TEXT,                         -- of an attachment, with the three below
    name       TEXT,
    media_type TEXT,
    size       INTEGER
) STRICT, WITHOUT ROWID;

-- All support conversations, the most recently changed first.
CREATE INDEX conversations_by_update ON conversations (updated_at) WHERE peer IS NULL;
