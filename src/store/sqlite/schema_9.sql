-- The two parts of a name; without them it is split at its first space. Both are given, or none.
ALTER TABLE profiles ADD COLUMN first_name TEXT;
ALTER TABLE profiles ADD COLUMN last_name TEXT;
