-- Of an edit or a deletion: the message that it changes. The new text of an edit is its body.
ALTER TABLE entries ADD COLUMN target INTEGER REFERENCES entries (number);
-- Of a message that was edited or deleted: the seq of the last entry that did so. A projection of the log.
ALTER TABLE entries ADD COLUMN revision INTEGER;

-- Finds a message by its id, which begins with the second of its creation. An index over whole ids would be written at as many
-- places as there are messages in a second; an index over the seconds is written at its end only.
CREATE INDEX entries_by_second ON entries (substr(message_id, 1, 4)) WHERE message_id IS NOT NULL;

-- A client message id is unique by author and conversation.
CREATE UNIQUE INDEX entries_by_client_message_id ON entries (conversation, author, client_id)
    WHERE client_id IS NOT NULL;
DROP INDEX entries_by_client_id;

-- The Google account that the replaced server has stored. Only for copying it back.
ALTER TABLE users ADD COLUMN google_id TEXT;

-- The birth date, as YYYY-MM-DD.
ALTER TABLE profiles ADD COLUMN birth_date TEXT;
