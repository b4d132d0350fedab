-- Who is shut out for a time: a network or the id of a person, as text, and until when, in milliseconds.
CREATE TABLE bans (who TEXT NOT NULL PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
