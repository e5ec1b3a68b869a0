//! What SAM makes of a template refers to nothing that an environment does not have.
//!
//! CloudFormation refuses such a stack before it makes anything, and nobody earlier does: cfn-lint and `sam validate`
//! look at no environment in particular, and our own rules at templates that SAM has not translated.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, bail};
use serde_json::{Map, Value};

use crate::tools::Tools;
use crate::{functions, stamp};

/// What each environment is deployed with at least and at most.
const WORLDS: [(&str, &[(&str, &str)]); 4] = [
    ("dev", &[]),
    ("dev", &[("AlarmTopicArn", "a topic"), ("CollectorLayerArn", "a layer")]),
    ("prod", &[]),
    ("prod", &[("AlarmTopicArn", "a topic"), ("CollectorLayerArn", "a layer")]),
];

/// Translates templates for each environment, and looks at every reference and at the versions of functions.
///
/// # Errors
/// What SAM does not translate, or a reference that leads nowhere.
pub fn check(root: &Path, tools: &Tools, templates: &[&str]) -> anyhow::Result<()> {
    let environments = ["dev", "prod"];
    let wanted: Vec<(&str, &str)> =
        templates.iter().flat_map(|it| environments.map(|environment| (*it, environment))).collect();
    let translated = translate(root, tools, &wanted)?;
    let mut wrong = Vec::new();
    for ((template, environment), translated) in wanted.iter().zip(&translated) {
        for (_, more) in WORLDS.iter().filter(|(of, _)| of == environment) {
            let given: Vec<(&str, &str)> =
                [("Environment", *environment)].iter().chain(*more).copied().collect();
            let faults = Stack::new(translated, &given).faults();
            wrong.extend(faults.into_iter().map(|fault| format!("{template} in {environment}: {fault}")));
        }
    }
    if !wrong.is_empty() {
        wrong.dedup();
        bail!("stacks that CloudFormation would refuse:\n  {}", wrong.join("\n  "));
    }
    println!("--- {} translated templates refer to nothing that is not there", translated.len());
    check_versions(root, tools, templates)
}

/// Whether a deployment that changes nothing but its mark publishes a version of every function.
fn check_versions(root: &Path, tools: &Tools, templates: &[&str]) -> anyhow::Result<()> {
    let folder = functions::empty(&root.join("target").join("stamped"))?;
    for template in templates {
        let text =
            fs::read_to_string(root.join(template)).with_context(|| format!("failed to read {template}"))?;
        let mut marked = Vec::new();
        for mark in ["1", "2"] {
            let path = folder.join(format!("{mark}-{template}"));
            fs::write(&path, stamp::stamped(&text, mark)?).context("failed to write a marked template")?;
            marked.push(path.to_string_lossy().into_owned());
        }
        let wanted: Vec<(&str, &str)> = marked.iter().map(|path| (path.as_str(), "dev")).collect();
        let [first, second] = &translate(root, tools, &wanted)?[..] else {
            bail!("SAM translated too little")
        };
        let functions = ids_of(first, "AWS::Lambda::Function").len();
        let [first, second] = [first, second].map(|it| ids_of(it, "AWS::Lambda::Version"));
        let kept: Vec<_> = first.intersection(&second).collect();
        if !kept.is_empty() || second.len() != functions {
            let versions = second.len();
            bail!(
                "{template}: {versions} of {functions} functions get a version, and {kept:?} are those from before"
            );
        }
    }
    println!("--- every deployment publishes a version of every function");
    Ok(())
}

fn ids_of<'a>(translated: &'a Value, kind: &str) -> BTreeSet<&'a str> {
    fields(&translated["Resources"]).filter(|(_, it)| it["Type"] == kind).map(|(id, _)| id).collect()
}

/// What SAM makes of each template in its environment.
fn translate(root: &Path, tools: &Tools, wanted: &[(&str, &str)]) -> anyhow::Result<Vec<Value>> {
    let mut python = tools.sam("python");
    python.args(["-c", include_str!("translate.py")]).current_dir(root);
    python.args(wanted.iter().flat_map(|(template, environment)| [template, environment]));
    let said = python.output().with_context(|| format!("failed to run {python:?}"))?;
    if !said.status.success() {
        bail!("SAM translates no template: {}", String::from_utf8_lossy(&said.stderr));
    }
    let said = String::from_utf8(said.stdout).context("failed to read what SAM made")?;
    let translated: Result<Vec<Value>, _> = said.lines().map(serde_json::from_str).collect();
    let translated = translated.context("failed to read what SAM made")?;
    if translated.len() != wanted.len() {
        bail!("SAM translated {} of {} templates", translated.len(), wanted.len());
    }
    Ok(translated)
}

/// A translated template, and the values of its parameters.
struct Stack<'a> {
    template: &'a Value,
    parameters: BTreeMap<&'a str, &'a Value>,
    given: BTreeMap<&'a str, &'a str>,
}

impl<'a> Stack<'a> {
    fn new(template: &'a Value, given: &[(&'a str, &'a str)]) -> Stack<'a> {
        let parameters = fields(&template["Parameters"]).map(|(name, declared)| (name, &declared["Default"]));
        Stack { template, parameters: parameters.collect(), given: given.iter().copied().collect() }
    }

    /// Every reference of what is deployed to what is not.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        for section in ["Resources", "Outputs"] {
            for (name, declared) in fields(&self.template[section]) {
                match self.referred_to(declared) {
                    Ok(targets) => faults.extend(targets.into_iter().filter_map(|it| self.fault(name, it))),
                    Err(problem) => faults.push(format!("{name}: {problem}")),
                }
            }
        }
        faults
    }

    /// What a resource or an output refers to; nothing, if it is not deployed.
    fn referred_to<'v>(&self, declared: &'v Value) -> Result<Vec<&'v str>, String> {
        if !self.is_deployed(declared)? {
            return Ok(Vec::new());
        }
        let mut targets: Vec<&str> = words(&declared["DependsOn"]).collect();
        for (_, value) in fields(declared).filter(|(part, _)| *part != "Metadata") {
            self.targets(value, &mut targets)?;
        }
        Ok(targets)
    }

    fn fault(&self, name: &str, target: &str) -> Option<String> {
        if target.starts_with("AWS::") || self.parameters.contains_key(target) {
            return None;
        }
        match self.template["Resources"].get(target) {
            None => Some(format!("{name} refers to {target}, which is nowhere")),
            Some(declared) if !self.is_deployed(declared).unwrap_or(true) => {
                Some(format!("{name} refers to {target}, which is not there"))
            }
            Some(_) => None,
        }
    }

    fn is_deployed(&self, declared: &Value) -> Result<bool, String> {
        declared["Condition"].as_str().map_or(Ok(true), |name| self.condition(name))
    }

    fn condition(&self, name: &str) -> Result<bool, String> {
        let declared = self.template["Conditions"].get(name);
        self.holds(declared.ok_or_else(|| format!("there is no condition {name}"))?)
    }

    fn holds(&self, condition: &Value) -> Result<bool, String> {
        let (function, argument) = single(condition).ok_or_else(|| format!("{condition} is no condition"))?;
        let parts = argument.as_array().map(Vec::as_slice).unwrap_or_default();
        let all = || parts.iter().map(|part| self.holds(part)).collect::<Result<Vec<bool>, String>>();
        match (function, parts) {
            ("Condition", _) => self.condition(argument.as_str().unwrap_or_default()),
            ("Fn::Equals", [left, right]) => Ok(self.text(left)? == self.text(right)?),
            ("Fn::Not", [part]) => Ok(!self.holds(part)?),
            ("Fn::And", _) => Ok(all()?.into_iter().all(|it| it)),
            ("Fn::Or", _) => Ok(all()?.into_iter().any(|it| it)),
            _ => Err(format!("{function} in a condition is not understood here")),
        }
    }

    /// The text that a condition compares: its own, or a parameter's.
    fn text(&self, value: &Value) -> Result<String, String> {
        if let Some(("Ref", Value::String(name))) = single(value) {
            let given = self.given.get(name.as_str()).map(|value| Value::from(*value));
            let value = given.as_ref().or_else(|| self.parameters.get(name.as_str()).copied());
            return value.map(plain).ok_or_else(|| format!("there is no parameter {name}"));
        }
        Ok(plain(value))
    }

    /// What a value refers to. Of a choice, only what is chosen.
    fn targets<'v>(&self, value: &'v Value, into: &mut Vec<&'v str>) -> Result<(), String> {
        match (single(value), value) {
            (Some(("Ref", Value::String(target))), _) => into.push(target),
            (Some(("Fn::GetAtt", Value::String(path))), _) => into.extend(path.split('.').next()),
            (Some(("Fn::GetAtt", Value::Array(path))), _) => {
                into.extend(path.first().and_then(Value::as_str))
            }
            (Some(("Fn::Sub", Value::String(text))), _) => into.extend(placeholders(text)),
            (Some(("Fn::Sub", Value::Array(parts))), _) => {
                let variables = parts.get(1).unwrap_or(&Value::Null);
                let text = parts.first().and_then(Value::as_str).unwrap_or_default();
                into.extend(placeholders(text).filter(|name| variables.get(name).is_none()));
                self.targets(variables, into)?;
            }
            (Some(("Fn::If", Value::Array(parts))), _) => match parts.as_slice() {
                [Value::String(name), yes, no] => {
                    self.targets(if self.condition(name)? { yes } else { no }, into)?;
                }
                _ => return Err("Fn::If takes a condition and two values".to_owned()),
            },
            (_, Value::Array(items)) => items.iter().try_for_each(|item| self.targets(item, into))?,
            (_, Value::Object(fields)) => fields.values().try_for_each(|value| self.targets(value, into))?,
            _ => {}
        }
        Ok(())
    }
}

fn fields(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let fields = value.as_object().into_iter().flat_map(Map::iter);
    fields.map(|(name, value)| (name.as_str(), value))
}

/// The one field of an object that has one.
fn single(value: &Value) -> Option<(&str, &Value)> {
    let mut fields = fields(value);
    fields.next().filter(|_| fields.next().is_none())
}

fn words(value: &Value) -> impl Iterator<Item = &str> {
    value.as_array().into_iter().flatten().chain([value]).filter_map(Value::as_str)
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The names of `${Name}` and `${Name.Attribute}`; `${!Literal}` is none.
fn placeholders(text: &str) -> impl Iterator<Item = &str> {
    let names = text.split("${").skip(1).filter_map(|rest| rest.split(['}', '.']).next());
    names.map(str::trim).filter(|name| !name.starts_with('!'))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What SAM made of a function that is in dev only, whose deployment group had no condition.
    fn translated() -> Value {
        json!({
            "Parameters": { "Environment": { "Default": "dev" } },
            "Conditions": { "IsDev": { "Fn::Equals": [{ "Ref": "Environment" }, "dev"] } },
            "Resources": {
                "ErrorsAlarm": { "Condition": "IsDev", "Type": "AWS::CloudWatch::Alarm" },
                "DeploymentGroup": {
                    "Type": "AWS::CodeDeploy::DeploymentGroup",
                    "Properties": { "AlarmConfiguration": { "Alarms": [{ "Name": { "Ref": "ErrorsAlarm" } }] } },
                },
            },
        })
    }

    fn faults(template: &Value, environment: &str) -> Vec<String> {
        Stack::new(template, &[("Environment", environment)]).faults()
    }

    #[test]
    fn a_group_without_the_condition_of_its_alarm_is_found_where_the_alarm_is_not() {
        let mut template = translated();
        let found = ["DeploymentGroup refers to ErrorsAlarm, which is not there"];
        assert_eq!(faults(&template, "prod"), found);
        assert_eq!(faults(&template, "dev"), Vec::<String>::new());
        template["Resources"]["DeploymentGroup"]["Condition"] = json!("IsDev");
        assert_eq!(faults(&template, "prod"), Vec::<String>::new());
    }

    #[test]
    fn every_way_to_refer_to_something_is_seen() {
        let missing = json!({ "Fn::GetAtt": ["Gone", "Arn"] });
        for (value, is_found) in [
            (json!({ "Ref": "Gone" }), true),
            (missing.clone(), true),
            (json!({ "Fn::GetAtt": "Gone.Arn" }), true),
            (json!({ "Fn::Sub": "a ${Gone.Arn}" }), true),
            (json!({ "Fn::Sub": ["a ${Gone}", {}] }), true),
            (json!({ "Fn::Sub": ["a ${Here}", { "Here": missing }] }), true),
            (json!({ "Fn::Join": ["", ["a", missing]] }), true),
            (json!({ "Fn::If": ["IsDev", "a", missing] }), true),
            (json!({ "Fn::If": ["IsDev", missing, "a"] }), false),
            (json!({ "Fn::Sub": ["a ${Here}", { "Here": "b" }] }), false),
            (json!({ "Fn::Sub": "a ${!Gone} ${AWS::Region} ${Environment}" }), false),
            (json!({ "Ref": "AWS::NoValue" }), false),
        ] {
            for place in ["Resources", "Outputs"] {
                let mut template = translated();
                template["Resources"]["DeploymentGroup"]["Condition"] = json!("IsDev");
                template[place]["Made"] = json!({ "Properties": { "A": value } });
                let found = faults(&template, "prod");
                let expected = ["Made refers to Gone, which is nowhere"];
                assert_eq!(found, expected[..usize::from(is_found)], "{value}");
            }
        }
        let mut template = translated();
        for waits in [json!("ErrorsAlarm"), json!(["ErrorsAlarm"])] {
            template["Resources"]["DeploymentGroup"] = json!({ "DependsOn": waits });
            assert_eq!(faults(&template, "prod").len(), 1, "{waits}");
        }
    }

    #[test]
    fn a_condition_that_cannot_be_decided_is_a_fault() {
        for condition in
            [json!({ "Fn::Equals": [{ "Ref": "Nobody" }, "a"] }), json!({ "Fn::Magic": [] }), json!("a")]
        {
            let mut template = translated();
            template["Conditions"]["IsDev"] = condition.clone();
            assert!(!faults(&template, "dev").is_empty(), "{condition}");
        }
        let both = json!({ "Fn::And": [{ "Condition": "IsDev" }, { "Fn::Not": [{ "Fn::Or": [
            { "Fn::Equals": ["a", "b"] }, { "Condition": "IsDev" }] }] }] });
        let mut template = translated();
        template["Conditions"]["Never"] = both;
        template["Resources"]["ErrorsAlarm"]["Condition"] = json!("Never");
        assert_eq!(faults(&template, "dev").len(), 1);
    }
}
