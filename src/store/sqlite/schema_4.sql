-- How far each side was handed, and has taken, what the other said. Beside the projections, but not one of them: the log does
-- not tell.
ALTER TABLE conversations ADD COLUMN customer_sent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN customer_delivered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN desk_sent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN desk_delivered INTEGER NOT NULL DEFAULT 0;
