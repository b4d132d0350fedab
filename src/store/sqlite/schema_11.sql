-- Whose message it is: how much each person has stored is counted by it.
ALTER TABLE message_extras ADD COLUMN author BLOB;
UPDATE message_extras SET author = (SELECT author FROM entries WHERE message_id = message_extras.message) WHERE size IS NOT NULL;
CREATE INDEX message_extras_by_author ON message_extras (author, size) WHERE size IS NOT NULL;
