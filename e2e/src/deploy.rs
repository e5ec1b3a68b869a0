//! Both stacks, made by CloudFormation from the templates, with the binaries that were built for this machine.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use hyper::Method;
use serde_json::{Map, Value, json};
use topology::{Parameters, Source, Topology};

use crate::double::Double;
use crate::zip;

/// The templates, in the order in which they are deployed: the first publishes what the second needs.
pub const TEMPLATES: [Source<'static>; 2] = [
    Source { name: "template-oms.yaml", text: include_str!("../../template-oms.yaml") },
    Source { name: "template-ims.yaml", text: include_str!("../../template-ims.yaml") },
];

/// Which environment is deployed: the one that has every function.
pub const ENVIRONMENT: &str = "dev";

/// What the templates declare.
///
/// # Errors
/// A template that is not understood.
pub fn topology() -> anyhow::Result<Topology> {
    let parameters: Parameters = [("Environment", ENVIRONMENT)].into_iter().collect();
    Ok(Topology::load(&TEMPLATES, &parameters)?)
}

/// Where the functions' code is.
pub enum Code {
    /// A folder of programs.
    Programs(PathBuf),
    /// A folder of zip files, as they are deployed.
    Zips(PathBuf),
}

impl Code {
    /// The zip files in the folder that `SAGALINE_FUNCTIONS` names, or else the programs that cargo built with the
    /// test that runs now.
    ///
    /// # Errors
    /// A test that is not somewhere below the folder of cargo's programs.
    pub fn of_variables() -> anyhow::Result<Code> {
        if let Some(folder) = env::var_os("SAGALINE_FUNCTIONS") {
            return Ok(Code::Zips(folder.into()));
        }
        Ok(Code::Programs(programs()?))
    }

    fn of(&self, binary: &str) -> anyhow::Result<Vec<u8>> {
        let (path, builds) = match self {
            Code::Programs(folder) => (folder.join(binary), "cargo xtask test e2e"),
            Code::Zips(folder) => (folder.join(format!("{binary}.zip")), "cargo xtask functions --host"),
        };
        let file = fs::read(&path)
            .with_context(|| format!("failed to read {}; `{builds}` builds it", path.display()))?;
        Ok(match self {
            Code::Programs(_) => zip::of_program("bootstrap", &file),
            Code::Zips(_) => file,
        })
    }
}

/// The folder of the programs that cargo built with the test that runs now.
fn programs() -> anyhow::Result<PathBuf> {
    let test = env::current_exe()?;
    let programs = test.parent().and_then(Path::parent);
    Ok(programs.context("a test is built into target/<profile>/deps")?.to_owned())
}

/// A program that cargo built beside the test that runs now.
///
/// # Errors
/// It is not there.
pub fn program(name: &str) -> anyhow::Result<PathBuf> {
    let program = programs()?.join(name);
    anyhow::ensure!(program.exists(), "{} is not there; `cargo xtask test e2e` builds it", program.display());
    Ok(program)
}

/// Deploys both stacks, whose functions send their spans to a collector, and waits until they are complete; gives the
/// outputs of each, by template and name.
///
/// # Errors
/// A program that was not built; whatever CloudFormation could not make.
pub async fn deploy(
    double: &Double,
    code: &Code,
    otlp_endpoint: &str,
) -> anyhow::Result<BTreeMap<(&'static str, String), String>> {
    double.done("s3", (Method::PUT, "/code"), &[], "").await?;
    for function in topology()?.functions {
        let file = code.of(&function.binary)?;
        double.done("s3", (Method::PUT, &format!("/code/{}.zip", function.binary)), &[], file).await?;
    }
    let mut outputs = BTreeMap::new();
    for template in TEMPLATES {
        let stack = template.name.trim_start_matches("template-").trim_end_matches(".yaml");
        let stack = format!("sagaline-{stack}");
        create(double, &stack, &for_a_double(template.document()?, otlp_endpoint)).await?;
        let described = cloudformation(double, "DescribeStacks", &stack, "").await?;
        outputs.extend(
            each(&described, "OutputKey")
                .zip(each(&described, "OutputValue"))
                .map(|(name, value)| ((template.name, name.to_owned()), value.to_owned())),
        );
        let url =
            outputs.get(&(template.name, "ApiUrl".to_owned())).context("a stack says where its API is")?;
        customize_refusals(double, api_of(url), &template.document()?).await?;
    }
    Ok(outputs)
}

/// The resources of a stack: the name that the template gives each, and the one that it has.
///
/// # Errors
/// A stack that is not there.
pub async fn resources(double: &Double, stack: &str) -> anyhow::Result<Vec<(String, String)>> {
    let (mut found, mut more) = (Vec::new(), String::new());
    loop {
        let listed = cloudformation(double, "ListStackResources", stack, &more).await?;
        let names = each(&listed, "LogicalResourceId").zip(each(&listed, "PhysicalResourceId"));
        found.extend(names.map(|(logical, physical)| (logical.to_owned(), physical.to_owned())));
        let Some(next) = each(&listed, "NextToken").next() else { return Ok(found) };
        more = format!("&NextToken={}", next.replace('=', "%3D").replace('+', "%2B").replace('/', "%2F"));
    }
}

/// The id of an API, of which its address begins with.
pub fn api_of(url: &str) -> &str {
    url.trim_start_matches("https://").split('.').next().unwrap_or_default()
}

/// What API Gateway answers by itself, as the template says: the double passes over it in what SAM makes of an API, and
/// takes it by a call, for deployments that are made from then on.
async fn customize_refusals(double: &Double, api: &str, template: &Value) -> anyhow::Result<()> {
    let refusals = template["Resources"]["Api"]["Properties"]["GatewayResponses"].as_object();
    for (kind, refusal) in refusals.context("an API says how it refuses")? {
        let headers = refusal["ResponseParameters"]["Headers"].as_object().into_iter().flatten();
        let headers = headers.map(|(name, value)| (format!("gatewayresponse.header.{name}"), value.clone()));
        let mut body = json!({
            "responseParameters": Map::from_iter(headers), "responseTemplates": refusal["ResponseTemplates"],
        });
        if let Some(status) = refusal["StatusCode"].as_u64() {
            body["statusCode"] = status.to_string().into();
        }
        let path = format!("/restapis/{api}/gatewayresponses/{kind}");
        double.done("apigateway", (Method::PUT, &path), &[], body.to_string()).await?;
    }
    let path = format!("/restapis/{api}/deployments");
    let body = json!({ "stageName": ENVIRONMENT }).to_string();
    double.done("apigateway", (Method::POST, &path), &[], body).await.map(drop)
}

/// A template as `sam package` would leave it, for this machine's processor, without what the double does not know.
/// The collector stands elsewhere than in a layer.
fn for_a_double(mut template: Value, otlp_endpoint: &str) -> Value {
    let architecture = if env::consts::ARCH == "aarch64" { "arm64" } else { "x86_64" };
    let globals = &mut template["Globals"]["Function"];
    globals["Architectures"] = json!([architecture]);
    remove(globals, &["CodeUri", "DeploymentPreference"]);
    let variables = &mut globals["Environment"]["Variables"];
    variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = otlp_endpoint.into();
    // The certificates of Amazon Linux are not on this machine.
    remove(variables, &["SSL_CERT_FILE"]);
    let Some(resources) = template["Resources"].as_object_mut() else { return template };
    // It has no CodeDeploy, so no version is brought in step by step, and no alarm over a formula.
    resources.retain(|_, resource| {
        resource["Type"] != "AWS::CloudWatch::Alarm" || resource["Properties"]["Metrics"].is_null()
    });
    // It takes no share of a usage plan from an authorizer, and would look for one in what clients send.
    for api in resources.values_mut().filter(|it| it["Type"] == "AWS::Serverless::Api") {
        remove(&mut api["Properties"], &["ApiKeySourceType"]);
        remove(&mut api["Properties"]["Auth"], &["ApiKeyRequired", "AddApiKeyRequiredToCorsPreflight"]);
    }
    for function in resources.values_mut().filter(|it| it["Type"] == "AWS::Serverless::Function") {
        let binary = function["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap_or_default();
        let code = json!({ "Bucket": "code", "Key": format!("{binary}.zip") });
        let properties = &mut function["Properties"];
        properties["CodeUri"] = code;
        remove(properties, &["DeploymentPreference"]);
        let events = properties.get_mut("Events").and_then(Value::as_object_mut).into_iter().flatten();
        for (_, event) in events {
            if let Some(auth) = event.pointer_mut("/Properties/Auth") {
                remove(auth, &["ApiKeyRequired"]);
            }
        }
    }
    template
}

fn remove(object: &mut Value, names: &[&str]) {
    for name in names {
        object.as_object_mut().and_then(|fields| fields.remove(*name));
    }
}

/// Making a stack of a hundred resources takes seconds.
const PATIENCE: Duration = Duration::from_secs(120);

async fn create(double: &Double, stack: &str, template: &Value) -> anyhow::Result<()> {
    let path = format!("/code/{stack}.json");
    double.done("s3", (Method::PUT, &path), &[], template.to_string()).await?;
    let url = format!("{}{path}", double.endpoint()).replace(':', "%3A").replace('/', "%2F");
    let more = format!(
        "&TemplateURL={url}\
         &Parameters.member.1.ParameterKey=Environment&Parameters.member.1.ParameterValue={ENVIRONMENT}\
         &Capabilities.member.1=CAPABILITY_NAMED_IAM&Capabilities.member.2=CAPABILITY_AUTO_EXPAND"
    );
    cloudformation(double, "CreateStack", stack, &more).await?;
    let began = Instant::now();
    loop {
        let described = cloudformation(double, "DescribeStacks", stack, "").await?;
        match each(&described, "StackStatus").next() {
            Some("CREATE_COMPLETE") => return Ok(()),
            Some("CREATE_IN_PROGRESS") if began.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
            other => {
                let events = cloudformation(double, "DescribeStackEvents", stack, "").await?;
                let reasons: Vec<&str> = each(&events, "ResourceStatusReason").collect();
                bail!("failed to make {stack}: it is {other:?}: {}", reasons.join("; "));
            }
        }
    }
}

async fn cloudformation(double: &Double, action: &str, stack: &str, more: &str) -> anyhow::Result<String> {
    let form = format!("Action={action}&Version=2010-05-15&StackName={stack}{more}");
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    Ok(double.done("cloudformation", (Method::POST, "/"), &headers, form).await?.text)
}

/// The texts of every element of that name.
fn each<'a>(xml: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (begin, end) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let (_, after) = rest.split_once(&begin)?;
        let (text, after) = after.split_once(&end)?;
        rest = after;
        Some(text)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_gets_its_program_and_nothing_is_left_that_a_double_does_not_know() {
        for template in TEMPLATES {
            let template = for_a_double(template.document().unwrap(), "http://127.0.0.1:4318");
            let resources = template["Resources"].as_object().unwrap();
            for function in resources.values().filter(|it| it["Type"] == "AWS::Serverless::Function") {
                let binary = function["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap();
                assert_eq!(function["Properties"]["CodeUri"]["Key"], format!("{binary}.zip"));
            }
            let text = template.to_string();
            for unknown in ["DeploymentPreference", "\"Metrics\"", "SSL_CERT_FILE", "ApiKeyRequired"] {
                assert!(!text.contains(unknown), "{unknown}: {text}");
            }
        }
    }

    #[test]
    fn an_element_is_found_as_often_as_it_is_there() {
        let found: Vec<&str> = each("<a><k>1</k></a><a><k>2</k></a>", "k").collect();
        assert_eq!(found, ["1", "2"]);
    }
}
