-- Every statement of the store, by name. A line says what it is for. The twin `…_bulk` of an insert
-- or a delete takes all rows as one JSON array of arrays: one call, however many there are.

-- name: head
-- What decisions need to know of an instance.
SELECT id, execution_id, history_length, runtime_status, output_size
FROM instances
WHERE instance_id = ?;

-- name: heads_bulk
-- The same of many instances, as one JSON array.
SELECT json_group_array(json_array(
    instance_id, id, execution_id, history_length, runtime_status, output_size
))
FROM instances
WHERE instance_id IN (SELECT value FROM json_each(?));

-- name: insert_instance
-- A new instance that has not run.
INSERT INTO instances (
    id, instance_id, execution_id, runtime_status, history_length, open_activities,
    created_time, last_updated_time, name, version, input_size
)
VALUES (?, ?, ?, ?, 0, 0, ?, ?, ?, ?, ?);

-- name: insert_instance_bulk
-- Many of them.
INSERT INTO instances (
    id, instance_id, execution_id, runtime_status, history_length, open_activities,
    created_time, last_updated_time, name, version, input_size
)
SELECT
    json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]'), 0, 0, json_extract(value, '$[4]'), json_extract(value, '$[5]'),
    json_extract(value, '$[6]'), json_extract(value, '$[7]'), json_extract(value, '$[8]')
FROM json_each(?);

-- name: insert_input
-- What an instance was started with.
INSERT INTO inputs (instance, content) VALUES (?, ?);

-- name: insert_input_bulk
-- Many of them.
INSERT INTO inputs (instance, content)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]') FROM json_each(?);

-- name: insert_message
-- A message for an instance, seen now or later.
INSERT INTO messages (id, instance, arrives_at, delayed, event, execution_id, starts, timer_id)
VALUES (?, ?, ?, ?, ?, ?, ?, ?);

-- name: insert_message_bulk
-- Many of them.
INSERT INTO messages (id, instance, arrives_at, delayed, event, execution_id, starts, timer_id)
SELECT
    json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'),
    json_extract(value, '$[6]'), json_extract(value, '$[7]')
FROM json_each(?);

-- name: delete_message
-- A message that its instance has consumed.
DELETE FROM messages WHERE id = ? AND instance = ?;

-- name: delete_message_bulk
-- Many of them, of one instance or several.
DELETE FROM messages
WHERE id IN (SELECT json_extract(value, '$[0]') FROM json_each(?));

-- name: cancel_timer
-- The message of a timer that is no longer waited for.
DELETE FROM messages WHERE instance = ? AND timer_id = ?;

-- name: cancel_timer_bulk
-- Many of them, of one instance.
DELETE FROM messages
WHERE id IN (
    SELECT messages.id
    FROM json_each(?) AS timer
    JOIN messages
        ON messages.instance = json_extract(timer.value, '$[0]')
        AND messages.timer_id = json_extract(timer.value, '$[1]')
);

-- name: append_history
-- The events of one step.
INSERT INTO history (instance, sequence, events) VALUES (?, ?, ?);

-- name: update_instance
-- The status row after a step that leaves the status as it was: touches no index.
UPDATE instances
SET history_length = ?, open_activities = ?, last_updated_time = ?, custom_status = ?, parked = ?
WHERE id = ?;

-- name: change_status
-- The status, where a step changes it.
UPDATE instances SET runtime_status = ? WHERE id = ?;

-- name: begin_execution
-- What an instance takes over from its start event, at its first step and when it continues as new.
UPDATE instances
SET execution_id = ?, created_time = ?, name = ?, version = ?, input_size = ?
WHERE id = ?;

-- name: set_output_size
-- Says that there is an output, or none (NULL).
UPDATE instances SET output_size = ? WHERE id = ?;

-- name: set_output
-- What an instance gave back.
INSERT OR REPLACE INTO outputs (instance, content) VALUES (?, ?);

-- name: delete_output
-- The output of an earlier run.
DELETE FROM outputs WHERE instance = ?;

-- name: set_input
-- What the current run was started with.
INSERT OR REPLACE INTO inputs (instance, content) VALUES (?, ?);

-- name: delete_input
-- The input of an earlier run.
DELETE FROM inputs WHERE instance = ?;

-- name: delete_history
-- The history of an earlier run.
DELETE FROM history WHERE instance = ?;

-- name: delete_messages_of_other_runs
-- What was sent to an earlier run and can mean nothing to this one; a start means another run anyway.
DELETE FROM messages
WHERE instance = ? AND execution_id IS NOT NULL AND execution_id <> ? AND starts IS NULL;

-- name: delete_messages_at_end
-- What an instance that ended will never see; the start of its next run stays.
DELETE FROM messages WHERE instance = ? AND (starts IS NULL OR starts = ?);

-- name: message_ids
-- The messages that are left of an instance.
SELECT id FROM messages WHERE instance = ?;

-- name: purgeable_bulk
-- Which of these instances have ended, as they are now.
SELECT json_group_array(json_array(id, instance_id))
FROM instances
WHERE instance_id IN (SELECT value FROM json_each(:ids))
    AND runtime_status IN ('Completed', 'Failed', 'Canceled', 'Terminated');

-- name: knows_operation
-- Whether a message of this name has been sent to the instance.
SELECT 1 FROM operation_ids WHERE instance_id = ? AND operation_id = ?;

-- name: insert_operation
-- The name of a message that is sent.
INSERT INTO operation_ids (instance_id, operation_id, sent_at) VALUES (?, ?, ?);

-- name: forget_operations
-- Some of the names that are too old to be known.
DELETE FROM operation_ids
WHERE (instance_id, operation_id) IN (
    SELECT instance_id, operation_id FROM operation_ids WHERE sent_at < ? LIMIT 4
);

-- name: has_messages
-- Whether anything waits for an instance.
SELECT 1 FROM messages WHERE instance = ? LIMIT 1;

-- name: wipe_history
-- First of five that delete all there is of some instances, given as a JSON array of row ids.
DELETE FROM history WHERE instance IN (SELECT value FROM json_each(?));

-- name: wipe_messages
-- Second of five.
DELETE FROM messages WHERE instance IN (SELECT value FROM json_each(?));

-- name: wipe_inputs
-- Third of five.
DELETE FROM inputs WHERE instance IN (SELECT value FROM json_each(?));

-- name: wipe_outputs
-- Fourth of five.
DELETE FROM outputs WHERE instance IN (SELECT value FROM json_each(?));

-- name: wipe_instances
-- Last of five.
DELETE FROM instances WHERE id IN (SELECT value FROM json_each(?));

-- name: last_ids
-- Where the numbering of instances and messages goes on.
SELECT (SELECT coalesce(max(id), 0) FROM instances), (SELECT coalesce(max(id), 0) FROM messages);

-- name: instance
-- A status row; texts longer than the limits are left out (their sizes are not).
SELECT
    execution_id, name, version, created_time, last_updated_time, runtime_status, custom_status,
    parked, input_size, output_size,
    CASE WHEN input_size <= :input_max
        THEN (SELECT content FROM inputs WHERE instance = instances.id) END,
    CASE WHEN output_size <= :output_max
        THEN (SELECT content FROM outputs WHERE instance = instances.id) END
FROM instances
WHERE instance_id = :instance_id;

-- name: loaded
-- What a worker needs to go on: the fence, and a short history as a JSON array of arrays.
SELECT
    id, execution_id, history_length, runtime_status, custom_status, parked,
    CASE WHEN history_length BETWEEN 1 AND :history_max
        THEN (
            SELECT '[' || group_concat(events) || ']'
            FROM (SELECT events FROM history WHERE instance = instances.id ORDER BY sequence)
        ) END
FROM instances
WHERE instance_id = :instance_id;

-- name: history_chunk
-- Some steps of a long history as a JSON array of arrays, and the last one's sequence.
SELECT '[' || group_concat(events) || ']', max(sequence)
FROM (
    SELECT events, sequence
    FROM history
    WHERE instance = :instance AND sequence > :after
    ORDER BY sequence
    LIMIT :limit
);

-- name: waiting
-- What an instance may see and does not know, in order of arrival.
SELECT arrives_at, id, event, execution_id
FROM messages
WHERE instance = (SELECT id FROM instances WHERE instance_id = :instance_id)
    AND (delayed = 0 OR arrives_at <= :until)
    AND id NOT IN (SELECT value FROM json_each(:known))
ORDER BY arrives_at, id
LIMIT :limit;

-- name: due
-- Delayed messages whose time has come, beyond a position in the order of arrival.
SELECT messages.arrives_at, messages.id, messages.event, messages.execution_id, instances.instance_id
FROM messages
JOIN instances ON instances.id = messages.instance
WHERE messages.delayed = 1
    AND (messages.arrives_at, messages.id) > (:after_time, :after_id)
    AND messages.arrives_at <= :until
ORDER BY messages.arrives_at, messages.id
LIMIT :limit;

-- name: next_due
-- When the next delayed message beyond a position is due.
SELECT arrives_at
FROM messages
WHERE delayed = 1 AND (arrives_at, id) > (:after_time, :after_id)
ORDER BY arrives_at, id
LIMIT 1;

-- name: open_activities
-- Whether an unfinished instance has activities in flight.
SELECT 1
FROM instances
WHERE instance_id = ?
    AND open_activities > 0
    AND runtime_status NOT IN ('Completed', 'Failed', 'Canceled', 'Terminated');

-- name: recoverable
-- Which instances have something to do when the store is opened, as a JSON array; delayed messages
-- find their instances when they are due.
SELECT json_group_array(instance_id)
FROM (
    SELECT instance_id
    FROM instances
    WHERE instance_id > :after
        AND (
            EXISTS (SELECT 1 FROM messages WHERE instance = instances.id AND delayed = 0)
            OR (
                runtime_status NOT IN ('Completed', 'Failed', 'Canceled', 'Terminated')
                AND open_activities > 0
            )
        )
    ORDER BY instance_id
    LIMIT :limit
);

-- name: matching
-- One page of the instances that match a filter, as a JSON array.
SELECT json_group_array(json_array(
    instances.instance_id, execution_id, name, version, instances.created_time, last_updated_time,
    instances.runtime_status, custom_status, parked,
    CASE WHEN :fetch_input THEN (SELECT content FROM inputs WHERE instance = instances.id) END,
    (SELECT content FROM outputs WHERE instance = instances.id)
))
FROM (
    SELECT id
    FROM instances INDEXED BY instances_by_filter
    WHERE instance_id >= :first
        AND instance_id < :end
        AND instance_id <> :after
        AND (:created_from IS NULL OR created_time >= :created_from)
        AND (:created_to IS NULL OR created_time <= :created_to)
        AND (:statuses IS NULL OR runtime_status IN (SELECT value FROM json_each(:statuses)))
    ORDER BY instance_id
    LIMIT :limit
) AS page
JOIN instances ON instances.id = page.id;

-- name: purge_candidates
-- Some instances that match a filter, with the length of their history, as a JSON array.
SELECT json_group_array(json_array(instance_id, history_length))
FROM (
    SELECT instance_id, history_length
    FROM instances INDEXED BY instances_by_filter
    WHERE instance_id >= :first
        AND instance_id < :end
        AND instance_id <> :after
        AND (:created_from IS NULL OR created_time >= :created_from)
        AND (:created_to IS NULL OR created_time <= :created_to)
        AND (:statuses IS NULL OR runtime_status IN (SELECT value FROM json_each(:statuses)))
    ORDER BY instance_id
    LIMIT :limit
);

-- name: summary
-- How many instances there are by status, as a JSON array; entities have none.
SELECT json_group_array(json_array(runtime_status, number))
FROM (
    SELECT runtime_status, count(*) AS number
    FROM instances
    WHERE instance_id < '@' OR instance_id >= 'A'
    GROUP BY runtime_status
);
