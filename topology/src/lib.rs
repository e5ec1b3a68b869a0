//! The wiring of the system, read from its templates: queues, rules, pipe, functions, routes and schedules.
//!
//! The templates that deploy to AWS are the only place where any of this is declared; what runs on
//! one machine reads the same files, so the two cannot drift apart. Whatever in them moves events and
//! is not understood here is an error, never ignored.

mod error;
mod input_template;
mod intrinsic;
mod json;
mod json_path;
mod pattern;
mod properties;
mod template;
mod wildcard;
mod wiring;
mod yaml;

pub use error::TopologyError;
pub use input_template::{InputTemplate, InputTemplateError};
pub use json_path::{JsonPath, JsonPathError};
pub use pattern::{EventPattern, PatternError};
pub use template::{Resource, Templates};

use std::collections::BTreeMap;
use std::time::Duration;

/// The text of a template, and the name to call it by in errors.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    /// Name of the template, such as `template-oms.yaml`.
    pub name: &'a str,
    /// Its content.
    pub text: &'a str,
}

impl Source<'_> {
    /// The template as JSON, its functions not evaluated: `!Ref x` is `{"Ref": "x"}`.
    ///
    /// # Errors
    /// A text that is not the YAML or the JSON that CloudFormation takes.
    pub fn document(&self) -> Result<serde_json::Value, TopologyError> {
        // Whatever begins like JSON and is none may still be YAML.
        if self.text.starts_with('{')
            && let Ok(document) = json::parse(self.text)
        {
            return Ok(document);
        }
        yaml::parse(self.text).map_err(|error| TopologyError::Yaml {
            template: self.name.to_owned(),
            line: error.line,
            column: error.column,
            problem: error.problem,
        })
    }
}

/// Values for the parameters of the templates, such as `Environment` = `dev`; a parameter that is
/// not given takes its default. Names such as `AWS::Region` override what AWS would fill in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Parameters(pub BTreeMap<String, String>);

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Parameters {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(parameters: I) -> Self {
        Parameters(parameters.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }
}

/// Everything the templates wire together.
#[derive(Debug, Clone)]
pub struct Topology {
    /// Every queue, dead-letter queues included.
    pub queues: Vec<Queue>,
    /// Every enabled rule on the bus.
    pub rules: Vec<Rule>,
    /// The one pipe from the log to the bus.
    pub pipe: Pipe,
    /// Every function.
    pub functions: Vec<Function>,
    /// Every table.
    pub tables: Vec<Table>,
}

impl Topology {
    /// Reads the templates and wires them together, as one account and region would.
    pub fn load(sources: &[Source<'_>], parameters: &Parameters) -> Result<Self, TopologyError> {
        wiring::wire(&Templates::read(sources, parameters)?)
    }

    /// The queue of that name.
    pub fn queue(&self, name: &str) -> Option<&Queue> {
        self.queues.iter().find(|queue| queue.name == name)
    }

    /// The function that runs that binary.
    pub fn function(&self, binary: &str) -> Option<&Function> {
        self.functions.iter().find(|function| function.binary == binary)
    }
}

/// A standard SQS queue.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Its name in the account.
    pub name: String,
    /// Its name in the template.
    pub logical_id: String,
    /// Name of the template that declares it.
    pub stack: String,
    /// How long a received message stays hidden.
    pub visibility_timeout: Duration,
    /// How long a message is kept.
    pub retention: Duration,
    /// How long a new message stays hidden.
    pub delay: Duration,
    /// Where a message goes that was received too often; `None` if it is received for ever.
    pub redrive: Option<Redrive>,
}

/// When a message moves to the dead-letter queue, and to which.
#[derive(Debug, Clone, PartialEq)]
pub struct Redrive {
    /// Name of the dead-letter queue.
    pub dead_letter_queue: String,
    /// How often a message is received before it moves.
    pub max_receive_count: u32,
}

/// A rule on the bus: which events go to which queues.
#[derive(Debug, Clone)]
pub struct Rule {
    /// Its name.
    pub name: String,
    /// Which events it takes.
    pub pattern: EventPattern,
    /// Where they go.
    pub targets: Vec<Target>,
}

/// A queue that a rule sends to.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Name of the queue.
    pub queue: String,
    /// Which part of the event is sent; all of it if there is none.
    pub input_path: Option<JsonPath>,
    /// How often a failed delivery is tried again.
    pub maximum_retry_attempts: u32,
    /// How long it is tried again.
    pub maximum_event_age: Duration,
    /// Name of the queue that takes what could not be delivered.
    pub dead_letter_queue: Option<String>,
}

/// The pipe from the stream of the event table to the bus.
#[derive(Debug, Clone)]
pub struct Pipe {
    /// Its name.
    pub name: String,
    /// Name of the table whose stream it reads.
    pub table: String,
    /// Name of the bus it feeds.
    pub bus: String,
    /// A record passes if one of these matches it; every record, if there are none.
    pub filters: Vec<EventPattern>,
    /// How a record becomes the detail of an event.
    pub input_template: InputTemplate,
    /// The `source` of the events.
    pub source_name: String,
    /// The `detail-type` of the events.
    pub detail_type: DetailType,
    /// How many records are read at once.
    pub batch_size: u32,
    /// How long it waits for a batch to fill.
    pub batching_window: Duration,
    /// How often a failed batch is tried again; `None` for as long as the stream keeps it.
    pub maximum_retry_attempts: Option<u32>,
    /// The age at which a record is given up; `None` for as long as the stream keeps it.
    pub maximum_record_age: Option<Duration>,
    /// Whether a failed batch is cut in two, so that one bad record does not hold up the rest.
    pub on_partial_batch_item_failure: PartialBatchFailure,
    /// Name of the queue that hears of records that were given up.
    pub dead_letter_queue: Option<String>,
}

/// Where the pipe takes the `detail-type` of an event from.
#[derive(Debug, Clone, PartialEq)]
pub enum DetailType {
    /// The same for every event.
    Literal(String),
    /// The text at this place of the stream record.
    Path(JsonPath),
}

/// What happens to a batch of which some records failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartialBatchFailure {
    /// The whole batch is tried again.
    RetryWhole,
    /// The batch is cut in two, again and again, until the bad record stands alone.
    Bisect,
}

/// A Lambda function: which binary it runs, and what invokes it.
#[derive(Debug, Clone, PartialEq)]
pub struct Function {
    /// Its name in the template.
    pub logical_id: String,
    /// The binary it runs: `Metadata.BuildProperties.Binary`.
    pub binary: String,
    /// How long one invocation may take.
    pub timeout: Duration,
    /// Its memory.
    pub memory_mb: u32,
    /// Name of the template that declares it.
    pub stack: String,
    /// The queues it works on.
    pub queues: Vec<QueueSource>,
    /// The pipe's dead-letter queue, if it reads that. It stands apart because its messages hold no
    /// events: they name records of the table's stream that the pipe gave up on.
    pub pipe_dead_letters: Option<QueueSource>,
    /// Name of the queue that takes an invocation by the clock that failed.
    pub dead_letter_queue: Option<String>,
    /// When it is invoked by the clock.
    pub schedules: Vec<Schedule>,
    /// Which requests it answers.
    pub routes: Vec<Route>,
}

impl Function {
    /// Every queue that feeds it.
    pub fn sources(&self) -> impl Iterator<Item = &QueueSource> {
        self.queues.iter().chain(&self.pipe_dead_letters)
    }
}

/// A queue that feeds a function.
#[derive(Debug, Clone, PartialEq)]
pub struct QueueSource {
    /// Name of the queue.
    pub queue: String,
    /// How many messages one invocation takes at most.
    pub batch_size: u32,
    /// How long is waited for a batch to fill.
    pub batching_window: Duration,
    /// How many invocations run at once at most; `None` for as many as the account allows.
    pub maximum_concurrency: Option<u32>,
    /// Whether the function names the messages that failed; otherwise a failure fails the batch.
    pub report_batch_item_failures: bool,
}

/// An invocation by the clock.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Its name.
    pub name: String,
    /// The time between two invocations.
    pub every: Duration,
    /// Whether it runs.
    pub enabled: bool,
    /// Name of the queue that hears of it when the function could not be invoked.
    pub dead_letter_queue: Option<String>,
}

/// A request that a function answers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Route {
    /// The method in upper case; `ANY` for all of them.
    pub method: String,
    /// The path, with parameters in braces: `/orders/{id}`.
    pub path: String,
    /// Whether its API asks an authorizer first.
    pub authorized: bool,
}

/// A DynamoDB table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Its name in the template.
    pub logical_id: String,
    /// Its name in the account.
    pub name: String,
}
