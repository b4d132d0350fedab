-- Extras of messages, committed together with their entries. Rows of messages that were never stored are dropped, because their
-- files counted towards somebody's quota.
CREATE TABLE extras (
    entry      INTEGER PRIMARY KEY REFERENCES entries (number),
    author     BLOB NOT NULL,
    reply_to   INTEGER,                      -- the number of a message
    file       TEXT,                         -- of an attachment, with the three below
    name       TEXT,
    media_type TEXT,
    size       INTEGER
) STRICT;
INSERT INTO extras (entry, author, reply_to, file, name, media_type, size)
    SELECT e.number, e.author, x.reply_to, x.file, x.name, x.media_type, x.size
    FROM message_extras x
    JOIN entries e ON substr(e.message_id, 1, 4) = substr(x.message, 1, 4) AND e.message_id = x.message;
CREATE INDEX extras_by_author ON extras (author, size) WHERE size IS NOT NULL;
DROP TABLE message_extras;
