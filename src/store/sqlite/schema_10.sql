-- Bans: a network or the id of a person, as text, and when the ban ends, in milliseconds.
CREATE TABLE bans (who TEXT NOT NULL PRIMARY KEY, until INTEGER NOT NULL) STRICT, WITHOUT ROWID;
