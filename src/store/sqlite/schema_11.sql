-- The author of the message, by whom stored files are summed up.
ALTER TABLE message_extras ADD COLUMN author BLOB;
UPDATE message_extras SET author = (SELECT author FROM entries WHERE message_id = message_extras.message) WHERE size IS NOT NULL;
CREATE INDEX message_extras_by_author ON message_extras (author, size) WHERE size IS NOT NULL;
