//! One run: a calm beginning, a storm of requests and faults, and peace, in which everything must end.

use std::sync::{Arc, OnceLock};

use auth::{CURSORS, TOKENS};
use axum::Router;
use axum::body::Body;
use event_store::memory::MemoryStore;
use event_store::{CatalogViews, Keys, OrderViews, Secrets, ShadowViews, View};
use events::{RecordedEvent, Sku};
use http_body_util::BodyExt;
use local::wiring::Wiring;
use rustc_hash::FxHashMap;
use tower::ServiceExt;
use views::invariants::Violation;
use views::{AuditReport, ReplayReport};
use workers::{Failure, Message, Worker, Workers};

use crate::ask::Ask;
use crate::book::{Answer, Book};
use crate::checker::Checker;
use crate::executor::{Micros, SECOND, TaskId, Tasks};
use crate::figures::{Figures, Sometimes};
use crate::happening::Happening;
use crate::holder::{Holder, PROGRAMS};
use crate::instance::Instance;
use crate::numbers::Numbers;
use crate::panics::caught;
use crate::pipeline::Pipeline;
use crate::ports::{Ports, at_once};
use crate::sim::{Due, Effect, Row, Said, Sim};
use crate::site::Handler;
use crate::swarm::{Swarm, Switch};
use crate::workload;

/// What to run: a seed, and what to leave out of what it would draw.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// Decides everything.
    pub seed: u64,
    /// Only these of its requests are sent; they are numbered as in the trace.
    pub only: Option<Numbers>,
    /// Only these of the faults that are drawn come to pass; they are numbered as in the trace.
    pub faults: Option<Numbers>,
    /// So many seconds for the storm, instead of what is drawn.
    pub storm: Option<u64>,
    /// What is turned off.
    pub without: Vec<Switch>,
    /// Whether the trace's lines are kept.
    pub lines: bool,
    /// A bug to put in.
    #[cfg(feature = "planted")]
    pub planted: Option<crate::planted::Bug>,
}

/// What a run came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Requests that its clients had in mind.
    pub requests: u64,
    /// Faults that were drawn.
    pub faults: u64,
    /// Orders that were placed.
    pub orders: u64,
    /// Events that were stored.
    pub events: u64,
    /// Steps of tasks.
    pub steps: u64,
    /// How long it took, in virtual time.
    pub took: Micros,
    /// The hash of everything that happened.
    pub hash: u64,
    /// What was seen.
    pub figures: Figures,
    /// The first thing that was not as promised.
    pub failure: Option<String>,
    /// What happened, line by line, if it was asked for.
    pub lines: String,
}

/// Runs a plan. A panic of whatever runs in it is a failure like any other.
pub fn run(plan: &Plan) -> Outcome {
    World::new(plan).run(plan)
}

/// A run that takes more steps goes round in circles: the largest orderly ones take a tenth.
const MAX_STEPS: u64 = 3_000_000;
/// So long after the storm everything owed must have ended.
pub(crate) const PATIENCE: Micros = 6 * 3_600 * SECOND;
/// API Gateway waits this long for a function. Source: "Quotas for HTTP APIs", Amazon API Gateway.
const REQUEST_TIME_OUT: Micros = 30 * SECOND;

pub(crate) struct World {
    pub(crate) sim: Arc<Sim>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) ports: Ports,
    wiring: Arc<Wiring>,
    pub(crate) tasks: Tasks<Done, About>,
    pub(crate) pipeline: Pipeline,
    workers: Vec<Arc<Workers>>,
    routers: Vec<Router>,
    pub(crate) book: Book,
    pub(crate) checker: Checker,
    /// The requests that are sent, if not all of them are.
    only: Option<Numbers>,
    handling: FxHashMap<(usize, u64), u32>,
    pub(crate) streams: Vec<Arc<str>>,
    pub(crate) failure: Option<String>,
    /// Audits and answers that were asked for at rest.
    pub(crate) at_rest: Vec<Done>,
    steps: u64,
    events: u64,
    orders: u64,
}

/// What a task came to.
pub(crate) enum Done {
    Batch(Vec<Failure>),
    Answer(Answer),
    Audited(Result<AuditReport, event_store::StoreError>),
    Replayed(Result<ReplayReport, event_store::StoreError>),
    /// Why it failed, where nothing could have kept it from coming to its end.
    Swept(Option<String>),
}

/// What the run keeps beside a task.
pub(crate) struct About {
    pub(crate) handler: Handler,
    pub(crate) what: What,
}

pub(crate) enum What {
    Batch { queue: usize, messages: Vec<(u64, u32)> },
    Ask { number: usize, request_id: String },
    Operator,
    Replay { view: View, at_rest: bool },
    AtRest,
}

fn wiring() -> Arc<Wiring> {
    static WIRING: OnceLock<topology::Topology> = OnceLock::new();
    thread_local! {
        static OF_THREAD: Arc<Wiring> = {
            let topology = WIRING.get_or_init(|| local::declared("dev").expect("the templates are tested"));
            Arc::new(Wiring::new(topology.clone()).expect("the templates are tested"))
        };
    }
    OF_THREAD.with(Arc::clone)
}

impl World {
    fn new(plan: &Plan) -> World {
        let mut swarm = Swarm::draw(plan.seed, &plan.without);
        swarm.storm = plan.storm.map_or(swarm.storm, |seconds| seconds * SECOND);
        let (instances, lags, built_in) = (swarm.instances, swarm.stale > 0, swarm.built_in_gateway);
        let sim = Sim::new(plan, swarm);
        #[cfg(feature = "planted")]
        let sim = sim.plant(plan.planted);
        let sim = Arc::new(sim);
        let store = Arc::new(crate::planted::store(&sim));
        // Drawn by nobody, so that a run says the same each time.
        for name in [CURSORS, TOKENS] {
            at_once(store.secret(name, [7; 32])).expect("memory is always there");
        }
        let indexes = if lags { Arc::default() } else { store.clone() };
        let ports = Ports { sim: sim.clone(), store: store.clone(), indexes, next_version: false };
        let instance = |_| {
            let next_version = {
                let mut core = sim.core();
                core.fate.u32(..100) < core.swarm.next_version
            };
            Instance::new(&Ports { next_version, ..ports.clone() }, built_in, plan.seed)
        };
        let instances: Vec<Instance> = (0..instances).map(instance).collect();
        let wiring = wiring();
        World {
            pipeline: Pipeline::new(sim.clone(), wiring.clone()),
            wiring,
            tasks: Tasks::default(),
            workers: instances.iter().map(|instance| instance.workers.clone()).collect(),
            routers: instances.into_iter().map(|instance| instance.router).collect(),
            book: Book::new(sim.clone(), store.clone(), ports.indexes.clone()),
            checker: Checker::new(sim.clone(), store.clone()),
            only: plan.only.clone(),
            handling: FxHashMap::default(),
            streams: Vec::new(),
            failure: None,
            at_rest: Vec::new(),
            steps: 0,
            events: 0,
            orders: 0,
            sim,
            store,
            ports,
        }
    }

    fn run(mut self, plan: &Plan) -> Outcome {
        if let Err(panic) = caught(|| self.take_its_course(plan)) {
            self.failure.get_or_insert(panic);
        }
        self.outcome()
    }

    fn take_its_course(&mut self, plan: &Plan) {
        let mut workload = workload::draw(plan.seed, &self.sim.core().swarm);
        let asks = workload
            .before
            .iter()
            .chain(workload.storm.iter().chain(&workload.afterthoughts).map(|(_, ask)| ask));
        let holders = asks.filter_map(|ask| ask.holder.clone()).chain((0..PROGRAMS).map(Holder::Program));
        for key in holders.filter_map(|holder| holder.key()) {
            at_once(self.store.add_key(key)).expect("memory is always there");
        }
        for ask in std::mem::take(&mut workload.before) {
            let wait = self.sim.core().pace.u64(..SECOND);
            self.ask_after(wait, Ask { patience: u32::MAX, ..ask });
        }
        self.drive();
        workload.storm.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        workload.storm.append(&mut workload.afterthoughts);
        let storm = self.begin_storm(workload.storm);
        self.drive();
        self.look_at_rest(self.sim.now().saturating_sub(storm));
    }

    fn begin_storm(&mut self, asks: Vec<(f32, Ask)>) -> Micros {
        let (length, redrives, operators) = {
            let mut core = self.sim.core();
            core.peace = false;
            (core.swarm.storm, core.swarm.redrives, core.swarm.operators)
        };
        for (at, ask) in asks {
            self.ask_after((at.clamp(0.0, 1.0) * length as f32) as Micros, ask);
        }
        let sometime = |happening: fn() -> Happening| {
            let wait = self.sim.core().pace.u64(..length);
            self.sim.after(wait, happening());
        };
        if redrives {
            (0..3).for_each(|_| sometime(|| Happening::Redrive));
        }
        if operators {
            (0..2).for_each(|_| sometime(|| Happening::Sweep));
            (0..2).for_each(|_| sometime(|| Happening::SweepLog));
            (0..2).for_each(|_| sometime(|| Happening::Audit));
            (0..4).for_each(|_| sometime(|| Happening::Replay));
        }
        self.sim.after(length, Happening::Peace);
        self.sim.now() + length
    }

    fn outcome(self) -> Outcome {
        let mut core = self.sim.core();
        Outcome {
            requests: self.book.entries.len() as u64,
            faults: core.faults.drawn,
            orders: self.orders,
            events: self.events,
            steps: self.steps,
            took: self.sim.now(),
            hash: core.trace.hash(),
            figures: std::mem::take(&mut core.figures),
            failure: self.failure,
            lines: core.trace.take_lines(),
        }
    }

    /// Lets the world go on until nothing more is to come, or something is not as promised.
    pub(crate) fn drive(&mut self) {
        while self.failure.is_none() {
            while let Some(id) = self.tasks.next_ready() {
                self.step(id);
                if self.failure.is_some() {
                    return;
                }
            }
            let Some((at, due)) = ({
                let mut core = self.sim.core();
                core.agenda.take_next()
            }) else {
                return;
            };
            self.sim.advance(at);
            match due {
                Due::Wake(waker) => waker.wake(),
                Due::Land(effect) => self.land(effect),
                Due::Happen(happening) => self.happen(happening),
            }
        }
    }

    /// What somebody wrote who gave up since has its effect, and what it changed is looked at.
    fn land(&mut self, effect: Effect) {
        self.sim.saw(Sometimes::Landed);
        let at = self.sim.now();
        self.sim.core().trace.add(at, "late", || "what was given up has its effect".to_owned());
        effect();
        let said = std::mem::take(&mut self.sim.core().said);
        self.hear(said);
        self.fail_on_violation();
    }

    /// One step of one task, and a look at everything that it changed.
    fn step(&mut self, id: TaskId) {
        self.steps += 1;
        let Some(about) = self.tasks.about(id) else { return };
        {
            let mut core = self.sim.core();
            core.handler = about.handler;
            core.crashed = false;
        }
        let done = self.tasks.poll(id);
        let (crashed, said) = {
            let mut core = self.sim.core();
            (core.crashed, std::mem::take(&mut core.said))
        };
        self.hear(said);
        if done.is_some() || crashed {
            if crashed {
                self.sim.saw(Sometimes::Crashed);
            }
            self.ended(id, done.filter(|_| !crashed));
        }
        self.fail_on_violation();
        if self.steps > MAX_STEPS {
            self.failure = Some(format!("it goes round in circles: {MAX_STEPS} steps"));
        }
    }

    fn fail_on_violation(&mut self) {
        let found = [&mut self.checker.found, &mut self.book.found];
        let first: Vec<Violation> = found.into_iter().flat_map(std::mem::take).collect();
        if let Some(first) = first.first() {
            self.failure.get_or_insert_with(|| first.to_string());
        }
    }

    fn hear(&mut self, said: Vec<Said>) {
        if said.is_empty() {
            return;
        }
        let (mut appended, mut asked, mut swapped) = (Vec::new(), Vec::new(), Vec::new());
        for said in said {
            if let Said::Written(Row::Whatever(View::Stock, sku)) = &said {
                swapped.extend(Sku::recorded(sku));
            }
            if let Said::Written(Row::Customer(row)) = &said {
                self.book.known(row);
            }
            match said {
                Said::Appended(event) => appended.push(event),
                Said::Asked(order) => asked.push(order),
                Said::Written(row) => self.index_later(row),
                Said::Nudged(worker, lane, event) => self.pipeline.nudge(worker, lane, &event),
            }
        }
        for event in &appended {
            self.stored(event);
        }
        self.checker.appended(&appended);
        asked.iter().for_each(|order| self.checker.asked(order));
        swapped.iter().for_each(|sku| self.checker.counters(sku));
    }

    fn stored(&mut self, event: &Arc<RecordedEvent>) {
        self.events += 1;
        if &*event.sk == "EVENT#OrderPlaced" {
            self.orders += 1;
            self.sim.saw(Sometimes::Placed);
        }
        if at_once(event_store::EventLog::read_stream(&*self.store, &event.pk))
            .is_ok_and(|stream| stream.len() == 1)
        {
            self.streams.push(event.pk.clone());
        }
        let mut core = self.sim.core();
        core.trace.add(
            self.sim.now(),
            (
                (event.event_id.0, &event.pk, &event.sk, &event.event_name, &event.data),
                (event.occurred_at.millis(), event.causation_id.map(|id| id.0), &event.correlation_id),
                (&event.producer, event.counters.len(), event.request_seed.map(|id| id.0)),
            ),
            || format!("    stored {event:?} because of {:?}", event.causation_id.map(|id| id.to_string())),
        );
        drop(core);
        self.book.appended(event);
        self.pipeline.enter(event.clone());
    }

    fn index_later(&mut self, row: Row) {
        if !Arc::ptr_eq(&self.ports.store, &self.ports.indexes) {
            let wait = {
                let mut core = self.sim.core();
                let stale = core.swarm.stale;
                core.pace.u64(..stale.max(1))
            };
            self.sim.after(wait, Happening::Index(Box::new(row)));
        }
    }

    fn index(&mut self, row: Row) {
        let indexes = &*self.ports.indexes;
        let written = match row {
            Row::Order(rows) => at_once(OrderViews::put(indexes, *rows)).map(drop),
            Row::Product(row) => at_once(indexes.put_product(row)).map(drop),
            Row::Customer(row) => {
                let (id, personal) = (row.customer_id.clone(), row.personal.clone());
                at_once(indexes.put_customer(row)).and(at_once(indexes.put_personal(&id, personal)).map(drop))
            }
            Row::Whatever(view, id) => {
                match at_once(self.store.row(view, event_store::Copy::Live, &id)).ok().flatten() {
                    Some(row) => at_once(indexes.adopt(vec![row], view, Vec::new())),
                    None => at_once(indexes.adopt(Vec::new(), view, vec![id])),
                }
            }
        };
        written.expect("memory is always there");
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Pump(shard) => self.pipeline.pump(shard),
            Happening::Deliver(delivery) => self.pipeline.deliver(delivery),
            Happening::Poll(queue) => {
                if let Some(batch) = self.pipeline.receive(queue) {
                    self.handle(queue, batch);
                }
            }
            Happening::Visible { queue, message, receive_count } => {
                self.pipeline.show(queue, message, receive_count);
            }
            Happening::TimeOut(id) => {
                if self.tasks.about(id).is_some() {
                    self.sim.saw(Sometimes::TimedOut);
                    self.ended(id, None);
                }
            }
            Happening::Ask(number) => self.ask(number),
            Happening::Index(row) => self.index(*row),
            Happening::Redrive => self.redrive(),
            Happening::Sweep => self.sweep(),
            Happening::SweepLog => self.sweep_log(),
            Happening::Replay => self.replay(),
            Happening::Audit => self.audit_beside_traffic(),
            Happening::Peace => self.peace(),
        }
    }

    /// The storm is over. Operators redrive the dead letters, and the sweeper comes by.
    fn peace(&mut self) {
        self.sim.core().peace = true;
        let at = |minutes: u64, happening| self.sim.after(minutes * 60 * SECOND, happening);
        at(1, Happening::Redrive);
        // Clocks may be twenty minutes apart, and what is younger than its patience is passed over.
        at(30, Happening::Sweep);
        at(40, Happening::Redrive);
        at(60, Happening::SweepLog);
        at(80, Happening::Redrive);
    }

    fn redrive(&mut self) {
        let ended = |body: &str| {
            let nudge: Option<workers::Nudge> = serde_json::from_str(body).ok();
            nudge.is_some_and(|nudge| {
                at_once(event_store::EventLog::read_stream(&*self.store, &nudge.pk))
                    .is_ok_and(|stream| orders::has_ended(&orders::fold(stream.iter().map(|item| &**item))))
            })
        };
        if self.pipeline.dead_letters().any(ended) {
            self.sim.saw(Sometimes::RedrivenLate);
        }
        self.pipeline.redrive();
    }

    pub(crate) fn pick(&self, of: usize) -> usize {
        self.sim.core().pace.usize(..of)
    }

    fn handle(&mut self, queue: usize, batch: Vec<Message<Arc<str>>>) {
        let function = &self.wiring.queues[queue].function;
        let worker =
            Worker::of_binary(&function.binary).expect("a test holds the templates against the workers");
        let handler = match worker {
            Worker::Orders => Handler::Orders,
            Worker::Inventory => Handler::Inventory,
            Worker::Payments => Handler::Payments,
            Worker::Catalog => Handler::Catalog,
        };
        for message in &batch {
            let times = self.handling.entry((queue, message.id)).or_default();
            *times += 1;
            if *times == 2 {
                self.sim.saw(Sometimes::HandledTwice);
            }
        }
        let messages = batch.iter().map(|message| (message.id, message.receive_count)).collect();
        let workers = &self.workers[self.pick(self.workers.len())];
        let handled = crate::planted::worker(&self.sim, worker, workers, batch);
        let sim = self.sim.clone();
        let future = async move { Done::Batch(crate::planted::reported(&sim, handled.await)) };
        let timeout = function.timeout.as_micros() as Micros;
        let id = self.tasks.spawn(future, About { handler, what: What::Batch { queue, messages } });
        self.sim.after(timeout, Happening::TimeOut(id));
    }

    pub(crate) fn ask_after(&mut self, wait: Micros, ask: Ask) {
        let number = self.book.entries.len() as u64;
        if self.only.as_ref().is_none_or(|only| only.contains(number)) {
            let number = self.book.enter(ask);
            self.sim.after(wait, Happening::Ask(number));
        } else {
            // What is left out keeps its number, and wants nothing.
            self.book.enter(Ask::read(""));
        }
    }

    fn ask(&mut self, number: usize) {
        let request_id = self.book.send(number);
        let ask = &self.book.entries[number].ask;
        let handler = ask.handler();
        let mut request = axum::http::Request::builder()
            .method(ask.method)
            .uri(&ask.path)
            .header("content-type", "application/json")
            .header("x-request-id", &request_id);
        if let Some((name, value)) = &ask.header {
            request = request.header(*name, value);
        }
        if let Some(key) = &ask.key {
            request = request.header("idempotency-key", key);
        }
        if let Some(shown) = ask.holder.as_ref().and_then(Holder::shown) {
            request = request.header("x-api-key", shown);
        }
        let request = request.body(Body::from(ask.body.clone())).expect("a workload writes valid requests");
        {
            let mut core = self.sim.core();
            let at = self.sim.now();
            core.trace.add(at, (&request_id, ask.method, &ask.path, &ask.body), || {
                let who = ask.holder.as_ref().map_or(String::new(), |holder| format!(" by {holder:?}"));
                format!("{request_id} {} {} {}{who}", ask.method, ask.path, ask.body)
            });
        }
        let router = self.routers[self.pick(self.routers.len())].clone();
        let id = self
            .tasks
            .spawn(answer(router, request), About { handler, what: What::Ask { number, request_id } });
        self.sim.after(REQUEST_TIME_OUT, Happening::TimeOut(id));
    }

    /// Asks the API at rest; the answer comes into [`World::at_rest`].
    pub(crate) fn ask_at_rest(&mut self, path: &str) {
        let request = axum::http::Request::builder().uri(path);
        let request = match Holder::Admin.shown().filter(|_| self.sim.core().swarm.asks_who) {
            Some(shown) => request.header("x-api-key", shown),
            None => request,
        };
        let request = request.body(Body::empty()).expect("ids make valid paths");
        let about = About { handler: Handler::Read, what: What::AtRest };
        self.tasks.spawn(answer(self.routers[0].clone(), request), about);
    }

    /// A task ended, by itself or, without what it would have come to, because its process did.
    fn ended(&mut self, id: TaskId, done: Option<Done>) {
        let Some(About { what, .. }) = self.tasks.end(id) else { return };
        match what {
            What::Batch { queue, messages } => {
                for (message, _) in &messages {
                    if let Some(times) = self.handling.get_mut(&(queue, *message)) {
                        *times -= 1;
                    }
                }
                if let Some(Done::Batch(failures)) = done {
                    self.pipeline.settle(queue, &messages, failures);
                }
                self.pipeline.free(queue);
            }
            What::Ask { number, request_id } => {
                let answer = match &done {
                    Some(Done::Answer(answer)) => Some(answer),
                    _ => None,
                };
                self.answered(number, &request_id, answer);
            }
            What::Operator => match done {
                Some(Done::Audited(Ok(report))) => self.audited_beside_traffic(&report),
                Some(Done::Swept(Some(why))) => {
                    self.failure = Some(format!("a sweep failed though nothing else did: {why}"));
                }
                _ => {}
            },
            What::Replay { view, at_rest } => {
                self.sim.core().replaying[view as usize] -= 1;
                match done {
                    done if at_rest => self.at_rest.extend(done),
                    Some(Done::Replayed(Ok(_))) if !self.sim.core().peace => {
                        self.sim.saw(Sometimes::Replayed);
                    }
                    _ => {}
                }
            }
            What::AtRest => self.at_rest.extend(done),
        }
    }

    fn answered(&mut self, number: usize, request_id: &str, answer: Option<&Answer>) {
        {
            let mut core = self.sim.core();
            let status = answer.map_or(0, |answer| answer.status);
            let at = self.sim.now();
            core.trace.add(at, (request_id, status, answer.map(|answer| &*answer.body)), || {
                let body = answer.map_or("".into(), |answer| String::from_utf8_lossy(&answer.body));
                format!("{request_id} -> {status} {body}")
            });
        }
        if self.book.answered(number, request_id, answer) {
            let wait = self.sim.core().pace.u64(SECOND / 10..20 * SECOND);
            self.sim.after(wait, Happening::Ask(number));
        }
    }
}

async fn answer(router: Router, request: axum::http::Request<Body>) -> Done {
    let response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let status = response.status().as_u16();
    let replayed = response.headers().contains_key("idempotent-replayed");
    let body = response.into_body().collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
    Done::Answer(Answer { status, replayed, body })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_in_a_handler_is_the_failure_of_its_run() {
        let plan = Plan { seed: 5, lines: true, ..Plan::default() };
        let mut world = World::new(&plan);
        let (sim, line) = (world.sim.clone(), line!() + 4);
        let future = async move {
            sim.sleep(SECOND).await;
            let _core = sim.core();
            panic!("nothing is left of {}", 0);
        };
        world.tasks.spawn(future, About { handler: Handler::Orders, what: What::Operator });
        let outcome = world.run(&plan);
        let place = format!("{}:{line}:13", file!());
        assert_eq!(outcome.failure, Some(format!("panicked at {place}: nothing is left of 0")));
        assert!(outcome.steps > 1 && !outcome.lines.is_empty(), "what came before it is told");
    }
}
