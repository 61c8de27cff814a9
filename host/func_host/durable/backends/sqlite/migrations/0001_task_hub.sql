-- A task hub: instances, what they were given and gave back, what happened to them, and what they
-- have yet to see. Times are microseconds since 1970, events the JSON of the Durable Task Framework.

-- One row an instance. The row is rewritten with every step, so what may be large stands elsewhere.
CREATE TABLE instances (
    id INTEGER PRIMARY KEY,
    instance_id TEXT NOT NULL UNIQUE,
    execution_id TEXT NOT NULL,
    runtime_status TEXT NOT NULL,
    history_length INTEGER NOT NULL,   -- events, over all rows of `history`
    open_activities INTEGER NOT NULL,  -- in flight when the last step was written
    created_time INTEGER NOT NULL,
    last_updated_time INTEGER NOT NULL,
    name TEXT NOT NULL,
    version TEXT NOT NULL,
    input_size INTEGER,                -- characters; NULL where there is none
    output_size INTEGER,
    custom_status TEXT,
    parked TEXT                        -- why it does not run, or NULL
);

-- Lists and counts read this alone: filters never touch the rows they leave out.
CREATE INDEX instances_by_filter ON instances (instance_id, created_time, runtime_status);

CREATE TABLE inputs (
    instance INTEGER PRIMARY KEY,
    content TEXT NOT NULL
);

CREATE TABLE outputs (
    instance INTEGER PRIMARY KEY,
    content TEXT NOT NULL
);

-- One row a step: the events it added, as a JSON array (`json_each` reads it).
CREATE TABLE history (
    instance INTEGER NOT NULL,
    sequence INTEGER NOT NULL,         -- how many events stand before these
    events TEXT NOT NULL,
    PRIMARY KEY (instance, sequence)
) WITHOUT ROWID;

-- What has arrived, or will, and is not consumed.
CREATE TABLE messages (
    id INTEGER PRIMARY KEY,
    instance INTEGER NOT NULL,
    arrives_at INTEGER NOT NULL,
    delayed INTEGER NOT NULL,          -- 1: not to be seen before arrives_at
    event TEXT NOT NULL,
    execution_id TEXT,                 -- the run it is meant for; NULL: whatever is current
    starts TEXT,                       -- the run that a start message starts
    timer_id INTEGER                   -- the timer that a message fires
);

CREATE INDEX messages_by_instance ON messages (instance, timer_id);

CREATE INDEX messages_by_time ON messages (arrives_at) WHERE delayed = 1;
