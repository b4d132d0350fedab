-- Of an edit or a deletion: the message that it is about. The new text of an edit is its body.
ALTER TABLE entries ADD COLUMN target INTEGER REFERENCES entries (number);
-- Of a message, once it was edited or deleted: the seq of the entry that did so last. A projection of the log.
ALTER TABLE entries ADD COLUMN revision INTEGER;

-- Finds a message by its id, which begins with the second it was made in. An index over whole ids would be written in as
-- many places as there are messages in a second, one over their seconds only at its end.
CREATE INDEX entries_by_second ON entries (substr(message_id, 1, 4)) WHERE message_id IS NOT NULL;

-- A client message id is its author's in one conversation.
CREATE UNIQUE INDEX entries_by_client_message_id ON entries (conversation, author, client_id)
    WHERE client_id IS NOT NULL;
DROP INDEX entries_by_client_id;

-- The day on which somebody was born, as YYYY-MM-DD.
ALTER TABLE profiles ADD COLUMN birth_date TEXT;
