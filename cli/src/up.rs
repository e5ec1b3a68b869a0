//! `sagaline up`: the whole system in this process.

use std::fs::{File, OpenOptions};
use std::io::IsTerminal;
use std::panic;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, ValueEnum};
use hyper::Uri;
use local::{Clients, Machine, Rate, Settings, Store};
use telemetry::export::{Exporter, Meter};
use telemetry::metrics;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;
use tracing::Level;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer};

use crate::failure::Failure;
use crate::output::print;

/// How the system runs.
#[derive(Args)]
pub struct Options {
    /// The port on 127.0.0.1; 0 takes any that is free.
    #[arg(long, env = "SAGALINE_PORT", default_value_t = 3000)]
    port: u16,
    /// Where the log and the read models are kept. `dynamodb` needs --endpoint-url, and a binary that was built with
    /// the feature `aws`.
    #[arg(long, env = "SAGALINE_STORE", value_enum, default_value_t = Kept::Embedded)]
    store: Kept,
    /// Where DynamoDB Local answers, or what speaks its API: http://127.0.0.1:8000.
    #[arg(long, env = "SAGALINE_ENDPOINT_URL", required_if_eq("store", "dynamodb"), value_parser = endpoint)]
    endpoint_url: Option<String>,
    /// What the names of its tables begin with; they are made if they are missing.
    #[arg(long, env = "SAGALINE_TABLE_PREFIX", default_value = "sagaline-", value_parser = prefix)]
    table_prefix: String,
    /// The folder of the embedded store; made if it is missing. It keeps the queues whatever --store says.
    #[arg(long, env = "SAGALINE_DATA", default_value = "sagaline-data", value_parser = folder())]
    data: PathBuf,
    /// Remove what is in the store first.
    #[arg(long)]
    fresh: bool,
    /// Who may call the API. `on`: whoever shows a key or a token; `off`: whoever reaches the loopback address.
    #[arg(long, env = "SAGALINE_AUTH", value_enum, default_value_t = Auth::On)]
    auth: Auth,
    /// How many requests each may send: 100/s, 600/m, 5000/h, or `off`. A customer's keys and logins count as one, and so
    /// does everybody at one address who shows nothing. Admins may send as many as they like.
    #[arg(long, env = "SAGALINE_RATE_LIMIT", default_value = "100/s", value_parser = limit)]
    rate_limit: Limit,
    /// Requests come through a proxy on this machine: the last address in X-Forwarded-For is its client's.
    #[arg(long, env = "SAGALINE_BEHIND_PROXY")]
    behind_proxy: bool,
    /// `prod` refuses raw events, as the templates do.
    #[arg(long, env = "SAGALINE_ENVIRONMENT", default_value = "dev", value_parser = ["dev", "prod"])]
    environment: String,
    /// Which share of charges the built-in gateway fails on the way, 0 to 1.
    #[arg(long, env = "SAGALINE_GATEWAY_FAILURES", default_value_t = 0.0, value_parser = share)]
    gateway_failures: f64,
    /// Decides which charges fail.
    #[arg(long, env = "SAGALINE_GATEWAY_SEED", default_value_t = 1)]
    gateway_seed: u64,
    /// How many seconds an order may stand still before the sweeper nudges its workers.
    #[arg(long, env = "SAGALINE_PATIENCE", default_value_t = 60)]
    patience: u64,
    /// After how many seconds an order that stands still and that nobody paid is cancelled, when the log is swept once a
    /// day; 0: never.
    #[arg(long, env = "SAGALINE_EXPIRE_AFTER", default_value_t = 0)]
    expire_after: u64,
    /// What is logged to standard error: a level, or filters as of the crate `tracing-subscriber`.
    #[arg(long, env = "SAGALINE_LOG", default_value = "warn", value_parser = filter)]
    log: EnvFilter,
    /// A file that it is appended to instead.
    #[arg(long, env = "SAGALINE_LOG_FILE", value_parser = file())]
    log_file: Option<PathBuf>,
    /// A collector that takes traces and metrics by OTLP over HTTP, such as http://127.0.0.1:4318; without it, nothing is traced or measured.
    #[arg(long, env = "OTEL_EXPORTER_OTLP_ENDPOINT", value_parser = collector)]
    otlp_endpoint: Option<String>,
}

/// Where the log and the read models are kept.
#[derive(Clone, Copy, ValueEnum)]
enum Kept {
    /// In the folder.
    Embedded,
    /// In tables of DynamoDB Local.
    Dynamodb,
}

/// Who may call the API.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Auth {
    /// Whoever shows a key or a token.
    On,
    /// Whoever reaches the loopback address.
    Off,
}

/// A rate, or none.
#[derive(Clone, Copy)]
struct Limit(Option<Rate>);

fn limit(text: &str) -> Result<Limit, String> {
    match text {
        "off" => Ok(Limit(None)),
        _ => {
            text.parse().map(|rate| Limit(Some(rate))).map_err(|bad: local::BadRate| format!("{bad}, or off"))
        }
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("must be a number from 0 to 1, such as 0.7".to_owned()),
    }
}

/// A folder, or the name of one that can be made.
fn folder() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path.is_file() {
        true => Err("is a file, and has to be a folder, or to be missing"),
        false => Ok(path),
    })
}

/// A file, or the name of one that can be made.
fn file() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path.is_dir() {
        true => Err("is a folder, and has to be a file, or to be missing"),
        false => Ok(path),
    })
}

/// As it is, `EnvFilter` passes over what it does not understand.
fn filter(text: &str) -> Result<EnvFilter, String> {
    EnvFilter::try_new(text).map_err(|error| error.to_string())
}

fn endpoint(text: &str) -> Result<String, &'static str> {
    let uri: Option<Uri> = text.parse().ok();
    let is_http = |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some();
    if uri.as_ref().is_some_and(is_http) { Ok(text.to_owned()) } else { Err("write http://host:port") }
}

/// Nothing switches it off, as a variable does that is there and empty.
fn collector(text: &str) -> Result<String, &'static str> {
    if text.is_empty() { Ok(String::new()) } else { endpoint(text) }
}

/// What DynamoDB takes in the name of a table; the rest of it needs room too.
fn prefix(text: &str) -> Result<String, &'static str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    match text.len() <= 200 && text.bytes().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err("must be at most 200 characters of A-Z, a-z, 0-9, _ . and -"),
    }
}

/// Runs until SIGINT or SIGTERM, then finishes what is under way.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let log_file = options.log_file.as_deref().map(open_log).transpose()?;
    let observers = observe(options.log, log_file, options.otlp_endpoint.as_deref())?;
    let (mut interrupted, mut terminated) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let store = match (options.store, options.endpoint_url) {
        (Kept::Dynamodb, Some(endpoint_url)) => {
            Store::Dynamodb { endpoint_url, prefix: options.table_prefix }
        }
        _ => Store::Embedded,
    };
    if options.auth == Auth::Off && options.behind_proxy {
        bail!(
            "--auth off lets in whoever reaches this machine, and --behind-proxy whoever reaches the proxy: leave one out"
        );
    }
    let settings = Settings {
        store,
        data: options.data,
        fresh: options.fresh,
        port: options.port,
        environment: options.environment,
        gateway_failures: options.gateway_failures,
        gateway_seed: options.gateway_seed,
        patience: Duration::from_secs(options.patience),
        expire_after: Some(Duration::from_secs(options.expire_after)).filter(|after| !after.is_zero()),
        asks_who: options.auth == Auth::On,
        rate_limit: options.rate_limit.0,
        behind_proxy: options.behind_proxy,
        clients: Clients::default(),
    };
    let machine = Machine::start(&settings).await?;
    // A key that nobody was shown is not kept: the next start makes another one.
    match machine.first_key().map(first_key).as_deref().map(print) {
        Some(Err(error)) => tracing::warn!(%error, "failed to show the first key; it is not kept"),
        Some(Ok(())) | None => machine.keep_first_key().await?,
    }
    // Whoever read this may be gone; that is no reason to stop.
    print(&greeting(&machine, &settings)).ok();
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    print("finishing what is under way").ok();
    machine.stop().await;
    if let Some(observers) = observers {
        observers.stop().await;
    }
    print(&format!("stopped; everything is in {}", settings.data.display())).ok();
    Ok(())
}

/// The name of what runs here, as collectors show it.
const SERVICE: &str = "sagaline";
/// How often spans are sent.
const SPANS_EVERY: Duration = Duration::from_secs(1);
/// How often metrics are sent.
const METRICS_EVERY: Duration = Duration::from_secs(10);
/// How long a collector may take for them.
const COLLECTOR_PATIENCE: Duration = Duration::from_secs(5);

/// Who tells a collector what happens here.
struct Observers {
    exporter: Arc<Exporter>,
    meter: Meter,
    flushing: JoinHandle<()>,
}

impl Observers {
    fn new(endpoint: &str) -> anyhow::Result<Observers> {
        let exporter = Arc::new(Exporter::new(SERVICE, endpoint, COLLECTOR_PATIENCE)?);
        let meter = Meter::new(SERVICE, endpoint, COLLECTOR_PATIENCE, METRICS_EVERY)?;
        let flushed = exporter.clone();
        let flushing = tokio::spawn(async move {
            loop {
                tokio::time::sleep(SPANS_EVERY).await;
                flushed.flush().await;
            }
        });
        Ok(Observers { exporter, meter, flushing })
    }

    /// Sends what was not sent yet.
    async fn stop(self) {
        self.flushing.abort();
        self.exporter.flush().await;
        self.meter.stop().await;
    }
}

/// The file that logs are appended to.
fn open_log(path: &Path) -> anyhow::Result<Arc<File>> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    let opened = opened.map_err(|cause| {
        let path = path.display();
        Failure::Usage(format!("failed to open {path} for --log-file, or SAGALINE_LOG_FILE: {cause}"))
    })?;
    Ok(Arc::new(opened))
}

/// Begins to log, and to send spans and metrics if there is a collector.
fn observe(
    log: EnvFilter,
    log_file: Option<Arc<File>>,
    otlp_endpoint: Option<&str>,
) -> anyhow::Result<Option<Observers>> {
    let endpoint = otlp_endpoint.filter(|endpoint| !endpoint.is_empty());
    let observers = endpoint.map(Observers::new).transpose().context("failed to use --otlp-endpoint")?;
    let log = tracing_subscriber::fmt::layer()
        .with_ansi(log_file.is_none() && std::io::stderr().is_terminal())
        .with_writer(match log_file {
            Some(file) => BoxMakeWriter::new(file),
            None => BoxMakeWriter::new(std::io::stderr),
        })
        .with_filter(filter_fn(|about| about.target() != metrics::TARGET))
        .with_filter(log);
    let is_span = filter_fn(|about| about.is_span() && *about.level() <= Level::INFO);
    let is_metric = filter_fn(|about| about.target() == metrics::TARGET);
    let spans = observers.as_ref().map(|observers| observers.exporter.layer().with_filter(is_span));
    let measured = observers.as_ref().map(|observers| observers.meter.layer().with_filter(is_metric));
    tracing_subscriber::registry().with(log).with(spans).with(measured).init();
    // What a panic says may be what somebody sent; where it happened says enough.
    panic::set_hook(Box::new(|panicked| {
        let place = panicked.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
    Ok(observers)
}

fn first_key(key: &str) -> String {
    let about =
        "The first key, an admin's. It is shown this once; keep it, and type where you type the rest:";
    format!("{about}\n\n  export SAGALINE_API_KEY={key}\n")
}

fn greeting(machine: &Machine, settings: &Settings) -> String {
    let url = format!("http://{}", machine.address());
    let data = match &settings.store {
        Store::Embedded => settings.data.display().to_string(),
        Store::Dynamodb { endpoint_url, prefix } => format!("the tables {prefix}* at {endpoint_url}"),
    };
    let key = if settings.asks_who { r#" -H "x-api-key: $SAGALINE_API_KEY""# } else { "" };
    let post = |path: &str, body: &str| format!("  curl -s {url}/api/v1/{path}{key} -d '{body}'; echo");
    let mut lines = vec![format!("sagaline is up at {url}, its store is {data}, Ctrl-C stops it")];
    lines.extend([
        format!("Every route, with examples: {url}/docs"),
        String::new(),
        "Try it: ten of a thing on the shelf, an order for two of them, and what became of it.".to_owned(),
        String::new(),
        post("inventory/restockSku", r#"{"sku":"TEAPOT","units":10,"lotId":"LOT-1"}"#),
        post(
            "orders/placeOrder",
            r#"{"orderId":"ORDER-1","sku":"TEAPOT","units":2,"price":25,"userId":"ANNA"}"#,
        ),
        post("orders/listOrders", r#"{"orderId":"ORDER-1"}"#),
    ]);
    lines.join("\n")
}
