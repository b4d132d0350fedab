-- The day on which somebody was born, as YYYY-MM-DD.
ALTER TABLE profiles ADD COLUMN birth_date TEXT;
