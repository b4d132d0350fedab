-- The two parts of a name; without them it is split at its first space. Either both are set or neither.
ALTER TABLE profiles ADD COLUMN first_name TEXT;
ALTER TABLE profiles ADD COLUMN last_name TEXT;
