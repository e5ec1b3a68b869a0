-- What format 2 of the embedded store has beside format 1: who may ask, and what was answered.

-- Who may ask. Of passwords and keys only hashes are here.
CREATE TABLE users (
    username      TEXT PRIMARY KEY,
    created_at    INTEGER NOT NULL,
    customer_id   TEXT,
    user          TEXT NOT NULL,
    password_hash TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX users_by_age ON users (created_at);
CREATE INDEX users_by_customer ON users (customer_id) WHERE customer_id IS NOT NULL;
CREATE TABLE keys (
    key_id      TEXT PRIMARY KEY,
    created_at  INTEGER NOT NULL,
    customer_id TEXT,
    key         TEXT NOT NULL,
    secret_hash TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX keys_by_age ON keys (created_at);
CREATE INDEX keys_by_customer ON keys (customer_id) WHERE customer_id IS NOT NULL;
-- What tokens and cursors are signed with.
CREATE TABLE secrets (
    name   TEXT PRIMARY KEY,
    secret BLOB NOT NULL
) WITHOUT ROWID;
-- What was tried lately, for limits.
CREATE TABLE tries (
    whose  TEXT PRIMARY KEY,
    tries  TEXT NOT NULL,
    latest INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX tries_by_age ON tries (latest);
-- Answers to requests with an Idempotency-Key.
CREATE TABLE kept_answers (
    key       TEXT PRIMARY KEY,
    forget_at INTEGER NOT NULL,
    kept      TEXT NOT NULL
) WITHOUT ROWID;
CREATE INDEX kept_answers_by_end ON kept_answers (forget_at);
