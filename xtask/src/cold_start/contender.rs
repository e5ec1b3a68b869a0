//! What is started: the functions as the templates tell them, a Node handler, a bare Rust program.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use topology::{Function, Parameters, Resource, Source, Templates, Topology};

use crate::functions::{self, Workspace};
use crate::tools;

const TEMPLATES: [Source<'static>; 2] = [
    Source { name: "template-oms.yaml", text: include_str!("../../../template-oms.yaml") },
    Source { name: "template-ims.yaml", text: include_str!("../../../template-ims.yaml") },
];

/// What the Node handler is made of: the SDK that it bundles, and what bundles it.
const NODE_PACKAGES: [&str; 2] = ["@aws-sdk/client-dynamodb@3.1162.0", "esbuild@0.28.2"];
/// Called so in the table too.
pub const NODE: &str = "Node handler";

/// A program that is started as a function is.
pub struct Contender {
    /// What the table calls it.
    pub name: String,
    /// Size of what is deployed of it, in bytes.
    pub size: u64,
    /// What is run.
    pub program: PathBuf,
    /// What it is told.
    pub words: Vec<OsString>,
    /// Its variables, and no others.
    pub variables: BTreeMap<String, String>,
    /// The first event that it is given.
    pub event: String,
    /// What its answer contains if it is the right one.
    pub answer: &'static str,
}

/// The functions of prod, built for this machine.
///
/// # Errors
/// What does not build, or a template that cannot be read.
pub fn functions(workspace: &Workspace) -> anyhow::Result<Vec<Contender>> {
    let mut built = functions::declared(&crate::root())?;
    built.retain(|function| !function.dev_only);
    let programs = functions::build_for_host(&built, workspace)?;
    let parameters: Parameters = [("Environment", "prod")].into_iter().collect();
    let resources = Templates::read(&TEMPLATES, &parameters)?.resources()?;
    let declared = Topology::load(&TEMPLATES, &parameters)?.functions;
    let contenders = declared.iter().map(|function| {
        let program = programs.get(&function.binary).context("a function is built")?;
        let (event, answer) = first_event(function);
        Ok(Contender {
            name: function.binary.clone(),
            size: fs::metadata(program)?.len(),
            program: program.clone(),
            words: Vec::new(),
            variables: variables(function, &resources)?,
            event: event.to_string(),
            answer,
        })
    });
    contenders.collect()
}

/// What Lambda tells every function, and what its template tells this one.
fn variables(function: &Function, resources: &[Resource]) -> anyhow::Result<BTreeMap<String, String>> {
    let mut variables = variables_of_lambda(&function.binary, function.memory_mb);
    let is_it = |it: &&Resource| (&it.template, &it.logical_id) == (&function.stack, &function.logical_id);
    let declared = resources.iter().find(is_it).context("a function is a resource")?;
    let own = declared.properties.get("Environment").and_then(|it| it["Variables"].as_object());
    for (name, value) in own.into_iter().flatten() {
        let value = value.as_str().with_context(|| format!("{}: {name} is no text", function.binary))?;
        let value = if name == "SSL_CERT_FILE" { bundle(value)? } else { value };
        variables.insert(name.clone(), value.to_owned());
    }
    Ok(variables)
}

/// The certificates of this machine, in the place of those of Amazon Linux.
fn bundle(of_lambda: &str) -> anyhow::Result<&str> {
    let places = [of_lambda, "/etc/ssl/certs/ca-certificates.crt"];
    let found = places.into_iter().find(|place| Path::new(place).exists());
    found.context("install this machine's certificates: ca-certificates")
}

/// See "Defined runtime environment variables" of the Lambda developer guide.
fn variables_of_lambda(name: &str, memory_mb: u32) -> BTreeMap<String, String> {
    let memory = memory_mb.to_string();
    let path = env::var("PATH").unwrap_or_default();
    let variables = [
        ("_HANDLER", "bootstrap"),
        ("AWS_LAMBDA_FUNCTION_NAME", name),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", &memory),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "cold-start"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "cold-start"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ("AWS_REGION", "eu-central-1"),
        ("AWS_DEFAULT_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_SESSION_TOKEN", "test"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("PATH", &path),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// What the APIs are asked first: something that is not there, for which they look.
const READS: [&str; 2] = ["/orders/{id}", "/inventory/skus/{sku}"];

/// What a function is invoked with first, and what is in its answer if it did what it does.
fn first_event(function: &Function) -> (Value, &'static str) {
    let answers = |path: &str| function.routes.iter().any(|it| (&*it.method, &*it.path) == ("GET", path));
    if let Some(path) = READS.into_iter().find(|path| answers(path)) {
        return (request(path), r#""statusCode":404"#);
    }
    if let Some(source) = function.queues.first() {
        let kind = if function.binary == "catalog-worker" { "PRODUCT_ID" } else { "ORDER_ID" };
        return (batch(&source.queue, kind), r#""batchItemFailures":[]"#);
    }
    if function.pipe_dead_letters.is_some() {
        // A letter names records of a stream, and there is none here.
        return (json!({ "Records": [] }), r#""batchItemFailures":[]"#);
    }
    if function.binary.ends_with("-authorizer") {
        return (question(), r#""Effect":"Deny""#);
    }
    (json!({}), "null")
}

/// What an authorizer is asked: about a key that could be one, and is none.
fn question() -> Value {
    let key = format!("sgl_{}_{}", "0".repeat(24), "A".repeat(43));
    json!({
        "type": "REQUEST",
        "methodArn": "arn:aws:execute-api:eu-central-1:000000000000:api/prod/GET/orders/cold-start",
        "resource": READS[0],
        "path": "/orders/cold-start",
        "httpMethod": "GET",
        "headers": { "accept": "application/json", "x-api-key": key },
        "requestContext": { "resourcePath": READS[0], "httpMethod": "GET", "stage": "prod", "apiId": "api" },
    })
}

fn request(path: &str) -> Value {
    let (parent, _) = path.split_once('{').unwrap_or((path, ""));
    json!({
        "resource": path,
        "path": format!("{parent}cold-start"),
        "httpMethod": "GET",
        "headers": { "accept": "application/json", "host": "api.example" },
        "multiValueHeaders": { "accept": ["application/json"], "host": ["api.example"] },
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": null,
        "stageVariables": null,
        "requestContext": {
            "resourcePath": path, "httpMethod": "GET", "path": format!("/prod{parent}cold-start"), "stage": "prod",
            "requestId": "cold-start", "apiId": "api", "identity": { "sourceIp": "192.0.2.1" },
            "authorizer": { "principalId": "key:cold-start", "id": "key:cold-start", "role": "operator" },
        },
        "body": null,
        "isBase64Encoded": false,
    })
}

/// A nudge about something of which there is no event.
fn batch(queue: &str, kind: &str) -> Value {
    let nudge = json!({ "pk": format!("EVENTS#{kind}#cold-start"), "sk": "EVENT#None" });
    json!({ "Records": [{
        "messageId": "1",
        "receiptHandle": "1",
        "body": nudge.to_string(),
        "attributes": { "ApproximateReceiveCount": "1" },
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": format!("arn:aws:sqs:eu-central-1:000000000000:{queue}"),
        "awsRegion": "eu-central-1",
    }]})
}

/// A handler for Node that reads from DynamoDB as the API does, bundled with its SDK.
///
/// # Errors
/// No Node or npm, or a registry that cannot be reached.
pub fn node(root: &Path, folder: &Path) -> anyhow::Result<Contender> {
    let said = Command::new("node").arg("--version").output();
    let said = said.context("install Node 20 or later with npm: it is what functions are compared with")?;
    let version = String::from_utf8_lossy(&said.stdout).trim().to_owned();
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse().ok());
    if major.is_none_or(|major: u32| major < 20) {
        bail!("Node is {version}; install 20 or later");
    }
    let modules = tools::install_node(&root.join(".tools").join("cold-start"), &NODE_PACKAGES)?;
    let bundle = folder.join("handler.cjs");
    let mut esbuild = Command::new(modules.join(".bin").join("esbuild"));
    esbuild
        .arg(root.join("xtask").join("cold-start").join("handler.mjs"))
        .args(["--bundle", "--minify", "--platform=node", "--target=node20", "--log-level=warning"])
        .arg(format!("--outfile={}", bundle.display()))
        .env("NODE_PATH", &modules);
    tools::run(&mut esbuild)?;
    let mut contender = beside(&format!("{NODE} ({version})"), "node".into(), &bundle)?;
    contender.words.push(bundle.into());
    // Versions of the SDK of 2026 print a page about Node 20.
    contender.variables.insert("NODE_NO_WARNINGS".to_owned(), "1".to_owned());
    Ok(contender)
}

/// A Rust program that speaks to the Runtime API and does nothing else: nothing can be sooner.
///
/// # Errors
/// No compiler.
pub fn floor(root: &Path, folder: &Path) -> anyhow::Result<Contender> {
    let program = folder.join("floor");
    let mut rustc = Command::new("rustc");
    rustc
        .args(["--edition=2024", "-Copt-level=z", "-Clto=fat", "-Cpanic=abort", "-Cstrip=symbols", "-o"])
        .arg(&program)
        .arg(root.join("xtask").join("cold-start").join("floor.rs"));
    tools::run(&mut rustc)?;
    beside("bare Rust program", program.clone(), &program)
}

/// What is no function of ours, and is asked as the API is.
fn beside(name: &str, program: PathBuf, deployed: &Path) -> anyhow::Result<Contender> {
    let mut variables = variables_of_lambda("cold-start", 256);
    variables.insert("EVENT_TABLE".to_owned(), "events".to_owned());
    Ok(Contender {
        name: name.to_owned(),
        size: fs::metadata(deployed)?.len(),
        program,
        words: Vec::new(),
        variables,
        event: request(READS[0]).to_string(),
        answer: r#""statusCode":404"#,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_prod_is_told_what_its_template_says_and_asked_something_it_looks_for() {
        let parameters: Parameters = [("Environment", "prod")].into_iter().collect();
        let resources = Templates::read(&TEMPLATES, &parameters).unwrap().resources().unwrap();
        let functions = Topology::load(&TEMPLATES, &parameters).unwrap().functions;
        let named = |name: &str| functions.iter().find(|it| it.binary == name).unwrap();
        let told = variables(named("oms-api"), &resources).unwrap();
        assert_eq!((&*told["ENVIRONMENT"], &*told["AWS_LAMBDA_FUNCTION_NAME"]), ("prod", "oms-api"));
        assert!(told["ORDER_TABLE"].contains("OrderTable"), "{told:?}");
        let (event, _) = first_event(named("ims-api"));
        assert_eq!(event["path"], "/inventory/skus/cold-start");
        let (event, _) = first_event(named("catalog-worker"));
        assert!(event["Records"][0]["body"].as_str().unwrap().contains("EVENTS#PRODUCT_ID#cold-start"));
        assert_eq!(first_event(named("pipe-dlq")).0, json!({ "Records": [] }));
        assert_eq!(first_event(named("oms-sweeper")), (json!({}), "null"));
        assert_eq!(first_event(named("ims-authorizer")), (question(), r#""Effect":"Deny""#));
    }
}
