-- A client message id is its author's in one conversation.
CREATE UNIQUE INDEX entries_by_client_message_id ON entries (conversation, author, client_id)
    WHERE client_id IS NOT NULL;
DROP INDEX entries_by_client_id;

-- The account with Google that the replaced server has noted: kept for the way back, and used for nothing else.
ALTER TABLE users ADD COLUMN google_id TEXT;
