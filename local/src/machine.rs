//! Starting and stopping: opens the store, wires what the templates declare, serves HTTP.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use apis::access::{Access, Guard};
use apis::limits::{Limits, Rate};
use apis::{Api, Environment};
use auth::key;
use event_store::{Key, Keys, Role, Stamper, SystemStamper, Window};
use event_store_embedded::{EmbeddedStore, QueueChange};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, Notify, watch};
use tokio::task::JoinHandle;
use topology::{Parameters, Source, Topology};
use workers::{FakeGateway, LogSweeper, Ports, Sweeper, Worker, Workers};

use crate::dispatch::Dispatch;
use crate::feed::Feed;
use crate::http::{self, Way};
use crate::letters::Letters;
use crate::ops::Ops;
use crate::queue::Queue;
use crate::queue_state::Definition;
use crate::runs::{Moment, Runs, first_number};
use crate::schedule::{LocalNudges, sweep_every};
use crate::serve::{Clients, serve};
use crate::stores::{Ask, Store, Stores};
use crate::sweeps::{KeptLetters, Sweeps};
use crate::wiring::Wiring;

/// What may be chosen at start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the log, the rows and the gateway's intents are kept.
    pub store: Store,
    /// The folder of the embedded store, which keeps the queues in any case.
    pub data: PathBuf,
    /// Whether what is in the folder, and in the tables if there are any, is removed first.
    pub fresh: bool,
    /// The port on 127.0.0.1; 0 takes any that is free.
    pub port: u16,
    /// `dev` or `prod`, as in the templates.
    pub environment: String,
    /// Which share of charges fails on the way, 0 to 1.
    pub gateway_failures: f64,
    /// Decides which.
    pub gateway_seed: u64,
    /// How long an order may stand still before the sweeper nudges.
    pub patience: Duration,
    /// After how long an order that stands still and that nobody paid is cancelled by the daily sweep; never, if nothing is
    /// said.
    pub expire_after: Option<Duration>,
    /// Whether whoever asks has to prove who they are.
    pub asks_who: bool,
    /// How many requests everybody but admins may send.
    pub rate_limit: Option<Rate>,
    /// Whether a proxy hands requests on, and is believed where they come from.
    pub behind_proxy: bool,
    /// What clients may take.
    pub clients: Clients,
}

/// The running system.
pub struct Machine {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    server: JoinHandle<()>,
    dispatchers: Vec<JoinHandle<()>>,
    background: Vec<JoinHandle<()>>,
    queues: Vec<Arc<Queue>>,
    store: EmbeddedStore,
    keys: Arc<dyn Keys>,
    first_key: Option<(Key, String)>,
}

/// The templates, as they were when this was built.
const TEMPLATES: [Source<'static>; 2] = [
    Source { name: "template-oms.yaml", text: include_str!("../../template-oms.yaml") },
    Source { name: "template-ims.yaml", text: include_str!("../../template-ims.yaml") },
];

/// What the templates declare for an environment: `dev` or `prod`.
///
/// # Errors
/// An environment that the templates do not know.
pub fn declared(environment: &str) -> anyhow::Result<Topology> {
    let parameters: Parameters = [("Environment", environment)].into_iter().collect();
    Topology::load(&TEMPLATES, &parameters).context("failed to read the templates")
}

/// How often cursors are made durable. What was done since is done again after a crash.
const SAVE_EVERY: Duration = Duration::from_millis(100);
/// The names of the functions that sweep.
const SWEEPER: &str = "oms-sweeper";

impl Machine {
    /// Starts everything.
    ///
    /// # Errors
    /// The folder, the templates or the port: each says what to do.
    pub async fn start(settings: &Settings) -> anyhow::Result<Machine> {
        let topology = declared(&settings.environment)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, settings.port));
        let listener = TcpListener::bind(address).await.with_context(|| {
            format!("failed to listen on {address}; stop what uses the port, or choose another with --port")
        })?;
        let address = listener.local_addr()?;
        let clock: Arc<dyn Stamper> = Arc::new(SystemStamper::new("oms-api"));
        let guard = if settings.asks_who { Guard::Here } else { Guard::Open };
        let ask = Ask { clock: clock.clone(), guard };
        let (mut stores, relay) = Stores::open(&settings.store, &settings.data, settings.fresh, ask).await?;
        stores.access.limits = Arc::new(Limits::new(settings.rate_limit));
        let first_key = match guard {
            Guard::Here => first_key(&stores.access, &*clock).await?,
            Guard::Open | Guard::Gateway => None,
        };
        let store = stores.kept.clone();
        let gateway = FakeGateway {
            intents: stores.intents.clone(),
            failure_share: settings.gateway_failures,
            seed: settings.gateway_seed,
        };
        let ports = Ports {
            log: stores.log.clone(),
            orders: stores.orders.clone(),
            catalog: stores.catalog.clone(),
            gateway: Arc::new(gateway),
        };
        let workers = Arc::new(Workers::new(&ports, |binary| Arc::new(SystemStamper::new(binary))));

        let room = Arc::new(Notify::new());
        let wiring = Arc::new(Wiring::new(topology.clone())?);
        let queues = open_queues(&wiring, &store, &room)?;
        let (stop, stopped) = watch::channel(false);
        let readers = dispatchers(&wiring, &queues, &workers)?;
        let dispatchers =
            readers.iter().map(|reader| tokio::spawn(reader.clone().run(stopped.clone()))).collect();
        let feed = Feed { log: stores.feed.clone(), wiring: wiring.clone(), queues: queues.clone(), room };
        let mut background = vec![
            tokio::spawn(feed.run()),
            tokio::spawn(keep_time(queues.clone())),
            tokio::spawn(save_cursors(queues.clone(), store.clone())),
        ];
        let sweeps = sweeps(settings, &wiring, &queues, &stores);
        background.extend(sweepers(&topology, settings, &wiring, &queues, &stores, &sweeps)?);
        background.extend(relay);

        let api = Arc::new(Api {
            log: stores.log.clone(),
            orders: stores.orders.clone(),
            stock: stores.stock.clone(),
            catalog: stores.catalog.clone(),
            kept: stores.answers.clone(),
            access: stores.access.clone(),
            pause: Arc::new(Moment),
            stamper: clock,
            environment: environment(&settings.environment)?,
        });
        let letters = Arc::new(Letters {
            store: Arc::new(store.queues()),
            queues: queues.clone(),
            clock: Arc::new(SystemStamper::new("sagaline")),
            stop: stopped.clone(),
        });
        letters.go_on()?;
        let ops = Arc::new(Ops {
            feed: stores.feed.clone(),
            queues: queues.clone(),
            dispatchers: readers,
            wiring: wiring.clone(),
            letters,
            runs: Runs::new(stores.ports(), stores.places(), first_number(&store.queues()).await?),
            sweeps,
            stop: stopped.clone(),
        });
        let way = Way { longest: settings.clients.request, behind_proxy: settings.behind_proxy };
        let router = http::router(&topology, api, ops, way)?;
        let server = tokio::spawn(serve(listener, router, settings.clients, stopped));
        let keys = stores.access.keys;
        Ok(Machine { address, stop, server, dispatchers, background, queues, store, keys, first_key })
    }

    /// The key that was made because there is none: an admin's, to be shown once, and good for nothing until it is kept.
    pub fn first_key(&self) -> Option<&str> {
        self.first_key.as_ref().map(|(_, shown)| shown.as_str())
    }

    /// Keeps the first key, once it was shown: a key that is kept and was shown to nobody locks everybody out. Only its
    /// hash is kept.
    ///
    /// # Errors
    /// The store's.
    pub async fn keep_first_key(&self) -> anyhow::Result<()> {
        if let Some((key, _)) = &self.first_key {
            self.keys.add_key(key.clone()).await?;
        }
        Ok(())
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The folder's store, for whoever runs the machine inside a process of its own.
    pub fn store(&self) -> &EmbeddedStore {
        &self.store
    }

    /// Waits until every event has reached its queues and every message is done, or a dead letter.
    pub async fn at_rest(&self) {
        loop {
            let head = event_store::ChangeFeed::head(&self.store).await.unwrap_or_default().0;
            let rests = |queue: &Arc<Queue>| {
                let (counts, read_to) = (queue.counts(), queue.lock().read_to());
                read_to >= head && counts.visible + counts.in_flight + counts.delayed == 0
            };
            if self.queues.iter().all(rests) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Finishes what is under way, makes every cursor durable, closes the store.
    pub async fn stop(self) {
        self.stop.send_replace(true);
        let finish = async {
            for dispatcher in self.dispatchers {
                drop(dispatcher.await);
            }
            drop(self.server.await);
        };
        if tokio::time::timeout(Duration::from_secs(10), finish).await.is_err() {
            tracing::warn!(
                "some requests or batches did not finish; what they left is done at the next start"
            );
        }
        for task in self.background {
            task.abort();
            drop(task.await);
        }
        save(&self.queues, &self.store).await;
    }
}

/// Makes a key for an admin where there is no key at all: somebody has to make the others.
async fn first_key(access: &Access, clock: &dyn Stamper) -> anyhow::Result<Option<(Key, String)>> {
    let window = Window { limit: 1, ..Window::default() };
    if !access.keys.keys(&window).await?.rows.is_empty() {
        return Ok(None);
    }
    Ok(Some(key::new("the first".into(), Role::Admin, None, clock.now())))
}

fn environment(name: &str) -> anyhow::Result<Environment> {
    match name {
        "dev" => Ok(Environment::Dev),
        "prod" => Ok(Environment::Prod),
        other => bail!("there is no environment {other}; choose dev or prod"),
    }
}

pub(crate) fn open_queues(
    wiring: &Wiring,
    store: &EmbeddedStore,
    room: &Arc<Notify>,
) -> anyhow::Result<Vec<Arc<Queue>>> {
    let kept = Arc::new(store.queues());
    let open = |source: &crate::wiring::Source| {
        let queue = &source.queue;
        let definition = Definition {
            name: queue.name.clone(),
            visibility_timeout: queue.visibility_timeout,
            delay: queue.delay,
            redrive: queue.redrive.clone(),
        };
        Queue::open(definition, kept.clone(), room.clone()).map(Arc::new)
    };
    wiring.queues.iter().map(open).collect()
}

/// A function without a limit of its own gets as many batches at once.
const CONCURRENCY: u32 = 50;

pub(crate) fn dispatchers(
    wiring: &Wiring,
    queues: &[Arc<Queue>],
    workers: &Arc<Workers>,
) -> anyhow::Result<Vec<Arc<Dispatch>>> {
    let dispatch = |(source, queue): (&crate::wiring::Source, &Arc<Queue>)| {
        let binary = &source.function.binary;
        let worker = Worker::of_binary(binary)
            .with_context(|| format!("the templates name a worker that does not exist: {binary}"))?;
        Ok(Arc::new(Dispatch {
            queue: queue.clone(),
            workers: workers.clone(),
            worker,
            batch_size: source.source.batch_size as usize,
            batching_window: source.source.batching_window,
            concurrency: source.source.maximum_concurrency.unwrap_or(CONCURRENCY) as usize,
            function_timeout: source.function.timeout,
            reports_failures: source.source.report_batch_item_failures,
        }))
    };
    wiring.queues.iter().zip(queues).map(dispatch).collect()
}

/// Who reads the whole log, by the clock or when an operator asks.
fn sweeps(settings: &Settings, wiring: &Arc<Wiring>, queues: &[Arc<Queue>], stores: &Stores) -> Arc<Sweeps> {
    let sweeper = LogSweeper {
        scan: stores.scan.clone(),
        log: stores.log.clone(),
        orders: stores.orders.clone(),
        catalog: stores.catalog.clone(),
        nudges: Arc::new(LocalNudges { wiring: wiring.clone(), queues: queues.to_vec() }),
        letters: Arc::new(KeptLetters(stores.kept.queues())),
        stamper: Arc::new(SystemStamper::new(LogSweeper::BINARY)),
        patience: settings.patience,
        expire_after: settings.expire_after,
    };
    Arc::new(Sweeps { sweeper, store: stores.kept.queues(), sweeping: Mutex::default() })
}

fn sweepers(
    topology: &Topology,
    settings: &Settings,
    wiring: &Arc<Wiring>,
    queues: &[Arc<Queue>],
    stores: &Stores,
    sweeps: &Arc<Sweeps>,
) -> anyhow::Result<Vec<JoinHandle<()>>> {
    let mut running = Vec::new();
    for function in &topology.functions {
        for schedule in function.schedules.iter().filter(|schedule| schedule.enabled) {
            let every = schedule.every;
            running.push(match function.binary.as_str() {
                SWEEPER => {
                    let sweeper = Arc::new(Sweeper {
                        log: stores.log.clone(),
                        orders: stores.orders.clone(),
                        nudges: Arc::new(LocalNudges { wiring: wiring.clone(), queues: queues.to_vec() }),
                        stamper: Arc::new(SystemStamper::new(SWEEPER)),
                        patience: settings.patience,
                    });
                    tokio::spawn(sweep_every(Duration::ZERO, every, move || {
                        let sweeper = sweeper.clone();
                        async move { sweeper.sweep().await }
                    }))
                }
                LogSweeper::BINARY => {
                    let sweeps = sweeps.clone();
                    // The clock ticks more often than there are sweeps, and not at the start: somebody waits for that.
                    tokio::spawn(sweep_every(every, every, move || {
                        let sweeps = sweeps.clone();
                        async move { sweeps.at_tick().await }
                    }))
                }
                other => bail!("the templates schedule {other}, which has nothing to do by the clock"),
            });
        }
    }
    Ok(running)
}

/// Takes back timed-out messages, until it is dropped.
async fn keep_time(queues: Vec<Arc<Queue>>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for queue in &queues {
            queue.time_out().await;
        }
    }
}

/// Makes cursors durable, until it is dropped.
async fn save_cursors(queues: Vec<Arc<Queue>>, store: EmbeddedStore) {
    loop {
        tokio::time::sleep(SAVE_EVERY).await;
        save(&queues, &store).await;
    }
}

async fn save(queues: &[Arc<Queue>], store: &EmbeddedStore) {
    let moved: Vec<(&Arc<Queue>, u64)> =
        queues.iter().filter_map(|queue| Some((queue, queue.lock().cursor_to_save()?))).collect();
    if moved.is_empty() {
        return;
    }
    let change = |(queue, position): &(&Arc<Queue>, u64)| QueueChange::Cursor {
        queue: queue.lock().name().to_owned(),
        position: *position,
    };
    match store.queues().apply(moved.iter().map(change).collect()).await {
        Ok(_) => moved.into_iter().for_each(|(queue, position)| queue.lock().saved(position)),
        Err(error) => tracing::warn!(%error, "failed to save the queues' cursors; it is tried again"),
    }
}
