//! Rebuilding a read model beside the live one.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::log::StoreError;
use crate::rows::{View, ViewRow};

/// Which copy of a read model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Copy {
    /// The one that clients see.
    Live,
    /// The one that a replay builds.
    Shadow,
}

/// How far a replay has come, so that it can go on after a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// The position of the log's head when the replay began: what came later is folded again at the end.
    pub began_at: u64,
    /// For each segment: the scan's cursor, or `None` before its first page; the second value says
    /// whether the segment is read to its end.
    pub segments: Vec<(Option<String>, bool)>,
    /// Events folded so far.
    pub events: u64,
}

/// A second copy of each read model, and what replay and audit need to compare it with the live one.
#[async_trait]
pub trait ShadowViews: Send + Sync {
    /// The rows of one copy in the order of their keys, behind `after`, at most `limit`.
    async fn rows(
        &self,
        view: View,
        copy: Copy,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<ViewRow>, StoreError>;

    /// One row of one copy.
    async fn row(&self, view: View, copy: Copy, id: &str) -> Result<Option<ViewRow>, StoreError>;

    /// Writes rows into the shadow, whatever was there, and the progress that they stand for, at once.
    async fn put_shadow(&self, view: View, rows: Vec<ViewRow>, progress: Progress) -> Result<(), StoreError>;

    /// The progress of a replay that was begun and neither swapped nor discarded.
    async fn progress(&self, view: View) -> Result<Option<Progress>, StoreError>;

    /// Puts rows in the place of the live ones, except where the live one has seen more events and its stream
    /// has so many, and takes away the live rows of the keys in `gone`. Customers keep their personal data.
    /// Counters may have moved since: they are set to what their ledger sums up to, whatever the row says.
    async fn adopt(&self, rows: Vec<ViewRow>, view: View, gone: Vec<String>) -> Result<(), StoreError>;

    /// Drops the shadow and its progress.
    async fn discard(&self, view: View) -> Result<(), StoreError>;
}
