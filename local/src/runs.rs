//! Replays, audits and sweeps under way: started by a request, watched by others.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::bail;
use apis::access::Guard;
use async_trait::async_trait;
use auth::key;
use event_store::{Added, KeyRow, Role, Stamper, StoreError, SystemStamper, View};
use event_store_embedded::{EmbeddedStore, QueueStore};
use events::{CustomerId, Timestamp};
use serde_json::{Value, json};
use views::personal::{PersonalReport, Places, personal};
use views::replay::Mode;
use views::{AuditReport, Pause, Ports, ReplayReport, audit_at_rest, replay};

use crate::ops::report;
use crate::stores::{Ask, Stores};
use crate::sweeps::Sweeps;

/// Waits by the machine's clock.
pub(crate) struct Moment;

#[async_trait]
impl Pause for Moment {
    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// How often what differs is looked at again, every 20 ms, for a worker that is about to catch up.
pub(crate) const LOOKS: u32 = 100;

/// A replay reads the log in so many segments.
const SEGMENTS: u32 = 2;

/// Replays over the store in a folder that no server has open. `observe` is told how far it is.
///
/// # Errors
/// Opening or reading the store.
pub async fn offline_replay(
    data: &Path,
    view: View,
    mode: Mode,
    observe: views::Observe<'_>,
) -> anyhow::Result<ReplayReport> {
    // Nobody writes, so nothing is waited for.
    let ports = Ports { looks: 1, ..open(data)?.ports() };
    Ok(replay(&ports, view, mode, SEGMENTS, observe).await?)
}

/// Audits the store in a folder that no server has open. What has not moved since a moment is at rest, see
/// [`audit_at_rest`].
///
/// # Errors
/// Opening or reading the store.
pub async fn offline_audit(
    data: &Path,
    still_since: Timestamp,
    observe: views::Observe<'_>,
) -> anyhow::Result<AuditReport> {
    let ports = Ports { looks: 1, ..open(data)?.ports() };
    Ok(audit_at_rest(&ports, still_since, observe).await?)
}

/// Looks for what is left of people who were erased, in the store in a folder that no server has open.
///
/// # Errors
/// Opening or reading the store.
pub async fn offline_personal(data: &Path, observe: views::Observe<'_>) -> anyhow::Result<PersonalReport> {
    Ok(personal(&open(data)?.places(), observe).await?)
}

/// Makes a key in the store in `data`, which no server has open; beside it comes what its holder is shown once.
///
/// # Errors
/// There is no store, a server has it open, or it cannot be written to; a customer for another role than customer.
pub async fn offline_key(
    data: &Path,
    name: &str,
    role: Role,
    customer_id: Option<CustomerId>,
) -> anyhow::Result<(KeyRow, String)> {
    if customer_id.is_some() && role != Role::Customer {
        bail!("a customer goes only with the role customer");
    }
    let stores = open(data)?;
    let (key, shown) = key::new(name.to_owned(), role, customer_id, SystemStamper::new("offline").now());
    let row = key.row.clone();
    match stores.access.keys.add_key(key).await? {
        Added::New => Ok((row, shown)),
        Added::Taken => bail!("two keys have the same random id; try again"),
        Added::Erased => bail!("this customer was erased for good; choose another customer"),
    }
}

/// Looking at a store must not make one.
fn open(data: &Path) -> anyhow::Result<Stores> {
    if !EmbeddedStore::exists(data) {
        bail!("there is no store in {}; name the folder that `sagaline up --data` was given", data.display());
    }
    // Nobody asks over HTTP here.
    let ask = Ask { clock: Arc::new(SystemStamper::new("offline")), guard: Guard::Here };
    Ok(Stores::embedded(EmbeddedStore::open(data)?, ask))
}

/// What was started, by its number. The latest [`KEPT`] are kept, until the process ends.
pub(crate) struct Runs {
    ports: Ports,
    places: Places,
    next: AtomicU64,
    running: Mutex<BTreeMap<u64, Arc<Run>>>,
}

const KEPT: usize = 100;

/// Where it is kept how often a process was started over the store.
const BOOKMARK: &str = "runs";
/// So many numbers each of them has: more runs than it can come to.
const NUMBERS: u64 = 1_000_000;

/// The first number of a process that starts now. Others that are started over the same store have others, so that an
/// answer which was kept for longer than its process lived names nobody else's run.
///
/// # Errors
/// The store's.
pub(crate) async fn first_number(store: &QueueStore) -> Result<u64, StoreError> {
    let starts: u64 = store.bookmark(BOOKMARK)?.unwrap_or(0);
    store.put_bookmark(BOOKMARK, &(starts + 1)).await?;
    Ok(starts * NUMBERS + 1)
}

struct Run {
    kind: &'static str,
    about: Value,
    began: Instant,
    events: AtomicU64,
    total: AtomicU64,
    outcome: Mutex<Option<(Value, Duration)>>,
}

impl Runs {
    pub(crate) fn new(ports: Ports, places: Places, first: u64) -> Arc<Self> {
        Arc::new(Runs { ports, places, next: AtomicU64::new(first), running: Mutex::default() })
    }

    /// Starts a replay and gives its number; `None` if one of that view is running.
    pub(crate) fn replay(&self, view: View, mode: Mode) -> Option<u64> {
        let (id, run) = self.begin("replay", json!({ "view": view }))?;
        let ports = self.ports.clone();
        tokio::spawn(async move {
            let _ends = Ends(run.clone());
            let done = replay(&ports, view, mode, SEGMENTS, &run.observe()).await;
            run.finish(done.map(|report| json!(report)));
        });
        Some(id)
    }

    /// Starts an audit, which takes what has not moved since a moment for being at rest, and gives its number; `None` if
    /// one is running.
    pub(crate) fn audit(&self, still_since: Timestamp) -> Option<u64> {
        let (id, run) = self.begin("audit", json!({}))?;
        let ports = self.ports.clone();
        tokio::spawn(async move {
            let _ends = Ends(run.clone());
            let done = audit_at_rest(&ports, still_since, &run.observe()).await;
            run.finish(done.map(|report| {
                let mut shown = json!(report);
                shown["clean"] = report.is_clean().into();
                shown
            }));
        });
        Some(id)
    }

    /// Starts a sweep of the log, and gives its number; `None` if one is running.
    pub(crate) fn sweep(&self, sweeps: &Arc<Sweeps>) -> Option<u64> {
        let (id, run) = self.begin("sweep", json!({}))?;
        let sweeps = sweeps.clone();
        tokio::spawn(async move {
            let _ends = Ends(run.clone());
            let done = sweeps.now(&run.observe()).await;
            run.finish(done.map(|sweep| report::shown(&sweep)));
        });
        Some(id)
    }

    /// Starts an audit of what is left of people who were erased, and gives its number; `None` if one is running.
    pub(crate) fn personal(&self) -> Option<u64> {
        let (id, run) = self.begin("audit", json!({ "personal": true }))?;
        let places = self.places.clone();
        tokio::spawn(async move {
            let _ends = Ends(run.clone());
            let done = personal(&places, &run.observe()).await;
            run.finish(done.map(|report| {
                let mut shown = json!(report);
                shown["clean"] = report.is_clean().into();
                shown
            }));
        });
        Some(id)
    }

    /// What a replay, audit or sweep shows of itself.
    pub(crate) fn show(&self, kind: &str, id: u64) -> Option<Value> {
        let run = self.lock().get(&id).filter(|run| run.kind == kind)?.clone();
        Some(run.show(id))
    }

    /// `None` if the same is running.
    fn begin(&self, kind: &'static str, about: Value) -> Option<(u64, Arc<Run>)> {
        let mut running = self.lock();
        if running.values().any(|run| run.kind == kind && run.about == about && run.is_running()) {
            return None;
        }
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let run = Arc::new(Run {
            kind,
            about,
            began: Instant::now(),
            events: AtomicU64::new(0),
            total: AtomicU64::new(0),
            outcome: Mutex::new(None),
        });
        running.insert(id, run.clone());
        let ended = |(id, run): (&u64, &Arc<Run>)| (!run.is_running()).then_some(*id);
        while running.len() > KEPT
            && let Some(oldest) = running.iter().find_map(ended)
        {
            running.remove(&oldest);
        }
        Some((id, run))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<u64, Arc<Run>>> {
        self.running.lock().expect("nobody panics while holding the runs")
    }
}

/// Whatever becomes of a run's task, the run does not stay running.
struct Ends(Arc<Run>);

impl Drop for Ends {
    fn drop(&mut self) {
        if self.0.is_running() {
            self.0.finish(Err(StoreError::Unavailable("it was cut short; begin it again".into())));
        }
    }
}

impl Run {
    fn observe(self: &Arc<Self>) -> impl Fn(u64, u64) + Send + Sync + use<> {
        let run = self.clone();
        move |events, total| {
            run.events.store(events, Ordering::Relaxed);
            run.total.store(total, Ordering::Relaxed);
        }
    }

    fn outcome(&self) -> std::sync::MutexGuard<'_, Option<(Value, Duration)>> {
        self.outcome.lock().expect("nobody panics while holding the outcome")
    }

    fn is_running(&self) -> bool {
        self.outcome().is_none()
    }

    fn finish(&self, done: Result<Value, impl Display>) {
        let outcome = match done {
            Ok(mut report) => {
                report["state"] = "done".into();
                report
            }
            Err(error) => json!({ "state": "failed", "error": error.to_string() }),
        };
        *self.outcome() = Some((outcome, self.began.elapsed()));
    }

    fn show(&self, id: u64) -> Value {
        let events = self.events.load(Ordering::Relaxed);
        let outcome = self.outcome().clone();
        let took = outcome.as_ref().map_or_else(|| self.began.elapsed(), |(_, took)| *took);
        let mut shown = json!({
            "id": id,
            "state": "running",
            "events": events,
            "total": self.total.load(Ordering::Relaxed),
            "events_per_second": (events as f64 / took.as_secs_f64().max(1e-6)) as u64,
        });
        let parts = [Some(self.about.clone()), outcome.map(|(outcome, _)| outcome)];
        for (field, value) in parts.into_iter().flatten().filter_map(object).flatten() {
            shown[field] = value;
        }
        shown
    }
}

fn object(value: Value) -> Option<serde_json::Map<String, Value>> {
    match value {
        Value::Object(fields) => Some(fields),
        _ => None,
    }
}
