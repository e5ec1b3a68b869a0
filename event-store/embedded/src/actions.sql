-- What format 3 of the embedded store has beside format 2: what operators did to dead letters, and what the clock's
-- functions remember.

-- Each thing that was done to dead letters: who did it, why, to which, and how many it took away so far. One without
-- an end is under way.
CREATE TABLE actions (
    id       INTEGER PRIMARY KEY AUTOINCREMENT,
    deed     TEXT NOT NULL,             -- redrive, discard
    who      TEXT NOT NULL,
    reason   TEXT NOT NULL,
    choice   TEXT NOT NULL,             -- which letters, JSON
    up_to    INTEGER NOT NULL,          -- no letter behind this number: it came later
    began_at INTEGER NOT NULL,
    taken    INTEGER NOT NULL,          -- counted in the transaction that took them away
    ended_at INTEGER,
    seed     TEXT UNIQUE                -- names the request that began it, where it may come again
);

-- How far functions that the clock starts have come, as JSON.
CREATE TABLE bookmarks (
    name     TEXT PRIMARY KEY,
    bookmark TEXT NOT NULL
) WITHOUT ROWID;
