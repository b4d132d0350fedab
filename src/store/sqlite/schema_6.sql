-- Ids under which customers know the desk: the first one is shown to them, all are accepted.
CREATE TABLE desk_ids (
    position INTEGER PRIMARY KEY,
    user BLOB NOT NULL UNIQUE,
    number INTEGER NOT NULL
);
INSERT INTO desk_ids (user, number)
    SELECT id, number FROM users WHERE role IN ('admin', 'agent') AND status <> 'Blocked'
    ORDER BY role = 'agent', number LIMIT 1;
