-- Profiles become a part of their accounts. Profiles of deleted accounts are dropped.
ALTER TABLE users ADD COLUMN username TEXT;
ALTER TABLE users ADD COLUMN first_name TEXT;            -- both parts of a name are given, or none
ALTER TABLE users ADD COLUMN last_name TEXT;
ALTER TABLE users ADD COLUMN contact_email TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN phone TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN birth_date TEXT;            -- YYYY-MM-DD
ALTER TABLE users ADD COLUMN session TEXT;               -- SHA-256 of a visitor's session secret, in hex
UPDATE users SET (username, first_name, last_name, contact_email, phone, birth_date, session) =
        (SELECT username, first_name, last_name, contact_email, phone, birth_date, session FROM profiles WHERE user = users.id)
    WHERE id IN (SELECT user FROM profiles);
CREATE UNIQUE INDEX users_by_username ON users (username) WHERE username IS NOT NULL;
CREATE UNIQUE INDEX users_by_session ON users (session) WHERE session IS NOT NULL;
DROP TABLE profiles;
