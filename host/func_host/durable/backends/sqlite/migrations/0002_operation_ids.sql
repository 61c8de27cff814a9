-- What clients call the messages that they send: one that is repeated is known for a while, also
-- when its instance has been deleted since then.
CREATE TABLE operation_ids (
    instance_id TEXT NOT NULL,
    operation_id TEXT NOT NULL,
    sent_at INTEGER NOT NULL,          -- microseconds since 1970
    PRIMARY KEY (instance_id, operation_id)
) WITHOUT ROWID;

CREATE INDEX operation_ids_by_time ON operation_ids (sent_at);
