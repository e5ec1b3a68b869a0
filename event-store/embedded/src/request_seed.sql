-- What format 4 of the embedded store has beside format 3: what a request with an Idempotency-Key made its
-- ids from when it appended an event.

ALTER TABLE events ADD COLUMN request_seed TEXT;

DROP VIEW log;
-- The log with its keys and times in words.
CREATE VIEW log AS
SELECT position, pk, sk, event_id, event_name, schema_version, data,
       strftime('%Y-%m-%dT%H:%M:%fZ', occurred_at / 1000.0, 'unixepoch') AS occurred_at,
       priority, counters, producer, correlation_id, causation_id, traceparent, request_seed
FROM events JOIN streams USING (stream);
