//! `sagaline`: runs the whole system on this machine, and talks to one that runs.

mod account;
mod audit;
mod client;
mod cost;
mod customer;
mod dlq;
mod event;
mod failure;
mod groundwork;
mod import;
mod key;
mod list;
mod load;
mod long_run;
mod offline;
mod order;
mod output;
mod product;
mod progress;
mod promises;
mod queue;
mod replay;
mod report;
mod reset;
mod seed;
mod sku;
mod status;
mod up;
mod user;
mod watch;

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::client::{ApiKey, BaseUrl, Client};
use crate::output::Format;

// Events are made on one thread and dropped on another, tens of thousands a second: a quarter of the server's
// time was in the system's allocator, which is slow at that. See docs/performance.md.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Orders and stock as an event log, on one machine.
///
/// `up` runs everything; the other commands talk to it over HTTP.
#[derive(Parser)]
#[command(name = "sagaline", version)]
struct Cli {
    #[command(flatten)]
    session: Session,
    #[command(subcommand)]
    command: Command,
}

/// Which server is talked to, and how answers are printed.
#[derive(Args)]
struct Session {
    /// Where the server is.
    #[arg(long, global = true, env = "SAGALINE_URL", default_value = "http://127.0.0.1:3000")]
    url: BaseUrl,
    /// An API key, where the server asks for one; `sagaline up` prints the first, `sagaline key create` makes others.
    #[arg(long, global = true, env = "SAGALINE_API_KEY", hide_env_values = true)]
    key: Option<ApiKey>,
    /// How answers are printed; `json` is what the server says, word for word.
    #[arg(short, long = "output", global = true, value_enum, default_value_t = Format::Table)]
    output: Format,
}

impl Session {
    fn client(&self) -> Client {
        Client::new(self.url.clone(), self.key.clone())
    }
}

#[derive(Subcommand)]
enum Command {
    /// Runs log, queues, workers, read models and HTTP in this process.
    Up(Box<up::Options>),
    /// Whether the server is ready, and what waits in its queues.
    Status,
    /// Removes a store that no server has open, after asking.
    Reset(reset::Options),
    /// Places orders, follows them, cancels, ships, delivers and pays them.
    #[command(subcommand)]
    Order(order::Command),
    /// Stock: what there is, what comes in, and why it moved.
    #[command(subcommand)]
    Sku(sku::Command),
    /// The customers.
    #[command(subcommand)]
    Customer(customer::Command),
    /// The catalogue.
    #[command(subcommand)]
    Product(product::Command),
    /// Keys of those who may ask.
    #[command(subcommand)]
    Key(key::Command),
    /// Those who log in.
    #[command(subcommand)]
    User(user::Command),
    /// The log itself.
    #[command(subcommand)]
    Event(event::Command),
    /// The queues between the log and the workers.
    #[command(subcommand)]
    Queue(queue::Command),
    /// Messages that no worker could handle.
    #[command(subcommand)]
    Dlq(dlq::Command),
    /// Rebuilds read models from the log alone, compares them with the live ones, puts them in their place.
    Replay(replay::Options),
    /// Folds the whole log and names whatever is stored differently. Exits with 1 if anything is.
    Audit(audit::Options),
    /// Fills a store with a small shop: orders in every state, and what they need. Doing it twice is doing it once.
    Seed(seed::Options),
    /// What the daily sweep of the log found: orders by status, what stands still, shortages, dead letters, what expired.
    Report(report::Options),
    /// Plays the orders of a real shop from a CSV file. Doing it twice is doing it once.
    Import(import::Options),
    /// Places many orders and measures how soon they are accepted and settled. Loopback only.
    Load(load::Options),
    /// What an order costs on AWS: units that were counted, at list prices. Needs no server and no account.
    Cost(cost::Options),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            error.print().ok();
            if let Some(tip) = setting_of(&error) {
                eprintln!("\n{tip}");
            }
            // 0 for --help and --version, 2 for whatever is wrong.
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let runtime = match cli.command {
        Command::Up(_) => tokio::runtime::Builder::new_multi_thread().enable_all().build(),
        // A client has little to do, and leaves the other cores to the server.
        _ => tokio::runtime::Builder::new_current_thread().enable_all().build(),
    };
    let done = runtime.map_err(Into::into).and_then(|runtime| runtime.block_on(run(cli)));
    failure::exit_code(done)
}

/// How else the setting that is wrong can be said: whoever said it in the environment looks for it there.
fn setting_of(error: &clap::Error) -> Option<String> {
    let wrong = match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(wrong) => std::slice::from_ref(wrong),
        ContextValue::Strings(missing) => missing,
        _ => return None,
    };
    let mut cli = Cli::command();
    cli.build();
    let mut settings =
        cli.get_arguments().chain(cli.get_subcommands().flat_map(clap::Command::get_arguments));
    // clap names an argument as its usage does: `--port <PORT>`.
    let setting =
        settings.find(|setting| wrong.contains(&setting.to_string()) && setting.get_env().is_some())?;
    let (flag, name) = (setting.get_long()?, setting.get_env()?.to_str()?);
    Some(format!("this setting is --{flag} on the command line, and {name} in the environment"))
}

async fn run(Cli { session, command }: Cli) -> anyhow::Result<()> {
    match command {
        Command::Up(options) => up::run(*options).await,
        Command::Status => status::run(&session).await,
        Command::Reset(options) => reset::run(&options),
        Command::Order(command) => order::run(command, &session).await,
        Command::Sku(command) => sku::run(command, &session).await,
        Command::Customer(command) => customer::run(command, &session).await,
        Command::Product(command) => product::run(command, &session).await,
        Command::Key(command) => key::run(command, &session).await,
        Command::User(command) => user::run(command, &session).await,
        Command::Event(command) => event::run(command, &session).await,
        Command::Queue(command) => queue::run(command, &session).await,
        Command::Dlq(command) => dlq::run(command, &session).await,
        Command::Replay(options) => replay::run(options, &session).await,
        Command::Audit(options) => audit::run(options, &session).await,
        Command::Seed(options) => seed::run(options, &session).await,
        Command::Report(options) => report::run(options, &session).await,
        Command::Import(options) => import::run(options, &session).await,
        Command::Load(options) => load::run(options, &session).await,
        Command::Cost(options) => cost::run(&options, &session),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_declared_without_contradiction() {
        Cli::command().debug_assert();
    }

    /// What `.env.example` should say: every variable that is read, what it means, and what it is if nothing is said.
    fn env_example() -> String {
        let mut text = String::from(
            "# Every setting of `sagaline` that can come from the environment, as it is if nothing is said. What is said on the\n\
             # command line counts more. To use them: cp .env.example .env, then `set -a; . ./.env; set +a` in your shell.\n",
        );
        let cli = Cli::command();
        let up = cli.find_subcommand("up").unwrap();
        for setting in cli.get_arguments().chain(up.get_arguments()) {
            let Some(name) = setting.get_env() else { continue };
            let default: Vec<_> =
                setting.get_default_values().iter().map(|value| value.to_str().unwrap()).collect();
            let off = if default.is_empty() { "#" } else { "" };
            let meaning = setting.get_help().unwrap().to_string();
            text += &format!("\n# {meaning}\n{off}{}={}\n", name.to_str().unwrap(), default.join(","));
        }
        text += "\n# The SDK of OpenTelemetry reads variables of its own: OTEL_TRACES_SAMPLER and OTEL_TRACES_SAMPLER_ARG say which share of\n\
             # traces is kept (where nothing is said, all are), OTEL_RESOURCE_ATTRIBUTES what else is said of this process.\n";
        text
    }

    #[test]
    fn every_setting_stands_in_the_example_with_its_default_and_its_meaning() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../.env.example");
        let (said, expected) = (std::fs::read_to_string(file).unwrap_or_default(), env_example());
        assert!(said == expected, "put this into .env.example:\n{expected}");
    }

    #[test]
    fn a_setting_that_is_wrong_is_named() {
        for (wrong, named) in [
            (&["sagaline", "up", "--port", "http"][..], "--port"),
            (&["sagaline", "up", "--auth", "maybe"], "--auth"),
            (&["sagaline", "up", "--gateway-failures", "2"], "--gateway-failures"),
            (&["sagaline", "up", "--environment", "test"], "--environment"),
            (&["sagaline", "up", "--store", "dynamodb"], "--endpoint-url"),
            (&["sagaline", "--key", "two words", "audit"], "--key"),
        ] {
            let Err(error) = Cli::try_parse_from(wrong) else { panic!("{wrong:?} was accepted") };
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    #[test]
    fn a_wrong_command_line_exits_with_2() {
        for wrong in [
            &["sagaline", "ordr"][..],
            &["sagaline", "--url", "https://x", "audit"],
            &["sagaline", "key", "create", "x", "--stack", "oms", "--data", "folder"],
            &["sagaline", "key", "create", "x", "--stack", "oms", "--role", "customer"],
        ] {
            let Err(error) = Cli::try_parse_from(wrong) else { panic!("{wrong:?} was accepted") };
            assert_eq!(error.exit_code(), 2, "{error}");
        }
    }
}
