-- Sagaline's embedded store, format 1; access.sql makes it format 2, actions.sql format 3, request_seed.sql
-- format 4. Read it with any SQLite client:
--   sqlite3 sagaline.db "SELECT * FROM log WHERE pk = 'EVENTS#ORDER_ID#…' ORDER BY event_id"
-- Rows are laid out by growing numbers, never by a client's id, so that writes stay sequential;
-- a client's id costs one narrow index (streams.pk, stock.sku, …).

-- One row for each stream, numbered in the order of their first events.
CREATE TABLE streams (
    stream INTEGER PRIMARY KEY,
    pk     TEXT NOT NULL UNIQUE
);

-- The log. Rows are never updated or deleted.
CREATE TABLE events (
    position       INTEGER PRIMARY KEY, -- 1, 2, 3 … without gaps: the order of appending
    stream         INTEGER NOT NULL,
    sk             TEXT NOT NULL,
    event_id       TEXT NOT NULL,
    event_name     TEXT NOT NULL,
    schema_version INTEGER NOT NULL,
    data           TEXT NOT NULL,       -- the payload, JSON
    occurred_at    INTEGER NOT NULL,    -- milliseconds since 1970-01-01T00:00:00Z
    priority       TEXT NOT NULL,
    counters       TEXT,                -- JSON array of what moved in the same write
    producer       TEXT NOT NULL,
    correlation_id TEXT NOT NULL,
    causation_id   TEXT,
    traceparent    TEXT
);
-- One decision, one slot.
CREATE UNIQUE INDEX events_by_slot ON events (stream, sk);

-- The log with its keys and times in words.
CREATE VIEW log AS
SELECT position, pk, sk, event_id, event_name, schema_version, data,
       strftime('%Y-%m-%dT%H:%M:%fZ', occurred_at / 1000.0, 'unixepoch') AS occurred_at,
       priority, counters, producer, correlation_id, causation_id, traceparent
FROM events JOIN streams USING (stream);

-- Counters, moved only in the transaction that appends the event which explains them.
CREATE TABLE stock (
    number     INTEGER PRIMARY KEY,
    sku        TEXT NOT NULL UNIQUE,
    available  INTEGER NOT NULL CHECK (available >= 0),
    reserved   INTEGER NOT NULL CHECK (reserved >= 0),
    sold       INTEGER NOT NULL CHECK (sold >= 0),
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL
);
CREATE INDEX stock_by_age ON stock (created_at);

-- The ledger of each SKU: which event moved its counters by how much.
CREATE TABLE stock_moves (
    number    INTEGER NOT NULL,
    position  INTEGER NOT NULL,
    available INTEGER NOT NULL,
    reserved  INTEGER NOT NULL,
    sold      INTEGER NOT NULL,
    PRIMARY KEY (number, position)
) WITHOUT ROWID;

-- Read models: orders with their payments and deliveries. The JSON columns are the rows, NULL where there is
-- none; the others are what lists search by.
CREATE TABLE orders (
    stream             INTEGER PRIMARY KEY,
    seen               INTEGER NOT NULL,
    status             TEXT NOT NULL,
    customer_id        TEXT NOT NULL,
    open               INTEGER NOT NULL,
    created_at         INTEGER NOT NULL,
    payment_created_at INTEGER,
    "order"            TEXT,
    payment            TEXT,
    delivery           TEXT
);
CREATE INDEX orders_by_age ON orders (created_at);
CREATE INDEX orders_by_customer ON orders (customer_id, created_at);
CREATE INDEX orders_by_status ON orders (status, created_at);
CREATE INDEX orders_open ON orders (created_at) WHERE open = 1;
CREATE INDEX payments_by_age ON orders (payment_created_at) WHERE payment_created_at IS NOT NULL;

-- Personal data lives here alone.
CREATE TABLE customers (
    stream     INTEGER PRIMARY KEY,
    seen       INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    customer   TEXT NOT NULL,
    personal   TEXT
);
CREATE INDEX customers_by_age ON customers (created_at);

CREATE TABLE products (
    stream     INTEGER PRIMARY KEY,
    seen       INTEGER NOT NULL,
    sku        TEXT NOT NULL,
    name       TEXT NOT NULL,
    withdrawn  INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    product    TEXT NOT NULL
);
CREATE INDEX products_by_sku ON products (sku, created_at);
CREATE INDEX products_by_name ON products (name, created_at);
CREATE INDEX products_by_age ON products (created_at);

-- What replays have rebuilt so far, beside the live rows.
CREATE TABLE shadow (
    view TEXT NOT NULL,
    id   TEXT NOT NULL,
    row  TEXT NOT NULL,
    PRIMARY KEY (view, id)
) WITHOUT ROWID;
CREATE TABLE replays (
    view     TEXT PRIMARY KEY,
    progress TEXT NOT NULL
);

-- The built-in gateway's payment intents.
CREATE TABLE intents (
    number   INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE,
    version  INTEGER NOT NULL,
    intent   TEXT NOT NULL
);

-- Queues of the one-machine runtime. A queue is a cursor over the log: every event up to `position`
-- is done, or stands in queue_messages.
CREATE TABLE queues (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL
);
-- Messages that were received and not done, or sent by hand.
CREATE TABLE queue_messages (
    id            INTEGER PRIMARY KEY AUTOINCREMENT, -- never given twice: an old copy may be in memory
    queue         TEXT NOT NULL,
    position      INTEGER,              -- of the event it carries, if it came from the log
    body          TEXT NOT NULL,
    receive_count INTEGER NOT NULL,
    visible_at    INTEGER NOT NULL,
    sent_at       INTEGER NOT NULL
);
CREATE UNIQUE INDEX queue_messages_by_event ON queue_messages (queue, position) WHERE position IS NOT NULL;
-- Messages given up.
CREATE TABLE dead_letters (
    id            INTEGER PRIMARY KEY AUTOINCREMENT,
    queue         TEXT NOT NULL,        -- the dead-letter queue
    source_queue  TEXT NOT NULL,
    position      INTEGER,
    body          TEXT NOT NULL,
    receive_count INTEGER NOT NULL,
    error         TEXT NOT NULL,
    dead_at       INTEGER NOT NULL
);
CREATE INDEX dead_letters_by_queue ON dead_letters (queue);
