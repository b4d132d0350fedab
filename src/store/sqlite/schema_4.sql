-- Receipts: how far each side has been sent, and has received, the other side's messages. They are not projections: the log does
-- not have this information.
ALTER TABLE conversations ADD COLUMN customer_sent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN customer_delivered INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN desk_sent INTEGER NOT NULL DEFAULT 0;
ALTER TABLE conversations ADD COLUMN desk_delivered INTEGER NOT NULL DEFAULT 0;
