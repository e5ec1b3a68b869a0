//! Templates as CloudFormation would deploy them: parameters filled in, conditions decided, `Globals` merged.

use crate::error::TopologyError;
use crate::intrinsic::{Effort, Evaluator, Fault};
use crate::{Parameters, Source};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::rc::Rc;

/// Templates that are deployed side by side into one account and region.
#[derive(Debug)]
pub struct Templates {
    pub(crate) stacks: Vec<Stack>,
}

/// A resource that these parameters deploy, its properties evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct Resource {
    /// Name of the template that declares it.
    pub template: String,
    /// Its name in the template.
    pub logical_id: String,
    /// Its type, such as `AWS::SQS::Queue`.
    pub kind: String,
    /// Its name in the account: the one it declares, or a stand-in made of stack and logical id.
    pub name: String,
    /// Its properties. What an intrinsic function left out is absent.
    pub properties: Map<String, Value>,
    /// Its metadata.
    pub metadata: Map<String, Value>,
    /// Its `DeletionPolicy`, if it declares one.
    pub deletion_policy: Option<String>,
    pub(crate) arn: Option<String>,
    pub(crate) stream_arn: Option<String>,
}

/// One template as it was written, and the values of its parameters.
#[derive(Debug)]
pub(crate) struct Stack {
    pub(crate) template: String,
    pub(crate) sections: Map<String, Value>,
    pub(crate) parameters: BTreeMap<String, Parameter>,
    pub(crate) pseudo: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct Parameter {
    pub(crate) value: String,
    pub(crate) is_list: bool,
    /// The value is the path of a parameter in the SSM parameter store.
    pub(crate) is_published: bool,
}

impl Templates {
    /// Reads templates and fills their parameters in.
    pub fn read(sources: &[Source<'_>], parameters: &Parameters) -> Result<Self, TopologyError> {
        let stacks = sources.iter().map(|source| Stack::read(source, parameters));
        let templates = Templates { stacks: stacks.collect::<Result<_, _>>()? };
        for name in parameters.0.keys().filter(|name| !name.starts_with("AWS::")) {
            if !templates.stacks.iter().any(|stack| stack.parameters.contains_key(name)) {
                return Err(TopologyError::Wiring(format!(
                    "no template has a parameter {name}, correct its name"
                )));
            }
        }
        Ok(templates)
    }

    /// Every resource that is deployed, of whatever type; those with a false condition are not.
    pub fn resources(&self) -> Result<Vec<Resource>, TopologyError> {
        self.resources_of(|_| Ok(true))
    }

    /// The deployed resources of the types that are asked for. The others are not evaluated; a type
    /// that has no place here is an error.
    pub(crate) fn resources_of(
        &self,
        wanted: impl Fn(&str) -> Result<bool, String>,
    ) -> Result<Vec<Resource>, TopologyError> {
        let mut resources = Vec::new();
        let effort = Rc::new(Effort::default());
        for stack in &self.stacks {
            for (logical_id, declared) in stack.section("Resources").into_iter().flatten() {
                let fail = |property: &str, fault| stack.resource_error(logical_id, property, fault);
                let kind = declared.get("Type").and_then(Value::as_str);
                let kind = kind.ok_or_else(|| fail("Type", "is missing, name the resource's type".into()))?;
                let evaluator = Evaluator::new(self, stack, &effort);
                if !evaluator.is_deployed(logical_id).map_err(|fault| fail("Condition", fault))?
                    || !wanted(kind).map_err(|problem| fail("Type", problem.into()))?
                {
                    continue;
                }
                let evaluated = evaluator.object(&stack.properties(logical_id));
                let metadata = declared.get("Metadata").cloned().unwrap_or_default();
                let metadata = evaluator.object(&metadata).map_err(|fault| fail("Metadata", fault))?;
                resources.push(Resource {
                    template: stack.template.clone(),
                    logical_id: logical_id.clone(),
                    kind: kind.to_owned(),
                    name: evaluator.name_of(logical_id).map_err(|fault| fail("Properties", fault))?,
                    properties: evaluated.map_err(|fault| fail("", fault))?,
                    metadata,
                    deletion_policy: declared
                        .get("DeletionPolicy")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                    arn: evaluator.attribute(logical_id, "Arn").ok(),
                    stream_arn: evaluator.attribute(logical_id, "StreamArn").ok(),
                });
            }
        }
        Ok(resources)
    }
}

const SECTIONS: [&str; 11] = [
    "AWSTemplateFormatVersion",
    "Transform",
    "Description",
    "Metadata",
    "Parameters",
    "Mappings",
    "Conditions",
    "Globals",
    "Resources",
    "Outputs",
    "Rules",
];

impl Stack {
    fn read(source: &Source<'_>, overrides: &Parameters) -> Result<Self, TopologyError> {
        let template = source.name.to_owned();
        let Value::Object(sections) = source.document()? else {
            return Err(section_error(
                &template,
                "the template",
                "is not a mapping, write Resources: and so on",
            ));
        };
        for (name, section) in &sections {
            if !SECTIONS.contains(&name.as_str()) {
                return Err(section_error(&template, name, "is no section of a template, correct its name"));
            }
            let scalar = matches!(name.as_str(), "AWSTemplateFormatVersion" | "Transform" | "Description");
            if !scalar && !section.is_object() {
                return Err(section_error(&template, name, "is not a mapping, write names and values"));
            }
        }
        if sections.get("Transform").is_some_and(|transform| transform != "AWS::Serverless-2016-10-31") {
            return Err(section_error(&template, "Transform", "only AWS::Serverless-2016-10-31 is known"));
        }
        let mut parameters = BTreeMap::new();
        for (name, declared) in sections.get("Parameters").and_then(Value::as_object).into_iter().flatten() {
            let parameter = Parameter::new(declared, overrides.0.get(name));
            let parameter = parameter
                .map_err(|problem| section_error(&template, &format!("Parameters.{name}"), &problem))?;
            parameters.insert(name.clone(), parameter);
        }
        let pseudo = pseudo_parameters(&template, overrides);
        Ok(Stack { template, sections, parameters, pseudo })
    }

    pub(crate) fn section(&self, name: &str) -> Option<&Map<String, Value>> {
        self.sections.get(name)?.as_object()
    }

    pub(crate) fn resource(&self, logical_id: &str) -> Option<&Value> {
        self.section("Resources")?.get(logical_id)
    }

    /// A resource's properties as declared, on top of what `Globals` declares for its type.
    pub(crate) fn properties(&self, logical_id: &str) -> Value {
        let declared = self.resource(logical_id);
        let own = declared.and_then(|resource| resource.get("Properties")).cloned().unwrap_or_default();
        let kind = declared.and_then(|resource| resource.get("Type")).and_then(Value::as_str);
        let global = kind
            .and_then(|kind| kind.strip_prefix("AWS::Serverless::"))
            .and_then(|kind| self.section("Globals")?.get(kind))
            .cloned()
            .unwrap_or_default();
        merge(global, own)
    }

    fn resource_error(&self, logical_id: &str, property: &str, fault: Fault) -> TopologyError {
        let property = std::iter::once(property).filter(|it| !it.is_empty()).map(str::to_owned);
        let property: Vec<String> = property.chain(fault.path.into_iter().rev()).collect();
        TopologyError::Resource {
            template: self.template.clone(),
            resource: logical_id.to_owned(),
            property: property.join("."),
            problem: fault.problem,
        }
    }
}

impl Parameter {
    fn new(declared: &Value, given: Option<&String>) -> Result<Self, String> {
        let kind = declared.get("Type").and_then(Value::as_str).ok_or("has no Type, declare one")?;
        let default =
            declared.get("Default").map(|value| value.as_str().map_or(value.to_string(), str::to_owned));
        let value = given.cloned().or(default).ok_or("has no default, pass a value for it")?;
        if let Some(allowed) = declared.get("AllowedValues").and_then(Value::as_array) {
            let texts: Vec<_> =
                allowed.iter().map(|it| it.as_str().map_or(it.to_string(), str::to_owned)).collect();
            if !texts.contains(&value) {
                return Err(format!("\"{value}\" is not allowed, pass one of {}", texts.join(", ")));
            }
        }
        let (is_published, inner) = match kind.strip_prefix("AWS::SSM::Parameter::Value<") {
            Some(inner) => (true, inner.strip_suffix('>').unwrap_or(inner)),
            None => (false, kind),
        };
        let is_list = inner == "CommaDelimitedList" || inner.starts_with("List<");
        Ok(Parameter { value, is_list, is_published })
    }
}

/// SAM's rule: mappings are merged key by key, a resource's own values win, and lists are added up.
fn merge(global: Value, own: Value) -> Value {
    match (global, own) {
        (Value::Object(mut global), Value::Object(own)) if !is_intrinsic(&global) && !is_intrinsic(&own) => {
            for (key, value) in own {
                let merged = match global.remove(&key) {
                    Some(inherited) => merge(inherited, value),
                    None => value,
                };
                global.insert(key, merged);
            }
            Value::Object(global)
        }
        (Value::Array(mut global), Value::Array(own)) => {
            global.extend(own);
            Value::Array(global)
        }
        (global, Value::Null) => global,
        (_, own) => own,
    }
}

fn is_intrinsic(object: &Map<String, Value>) -> bool {
    object.len() == 1 && object.keys().all(|key| key == "Ref" || key.starts_with("Fn::"))
}

/// What AWS would fill in, with stand-ins for account and region that the caller may override.
fn pseudo_parameters(template: &str, overrides: &Parameters) -> BTreeMap<String, String> {
    let stack = template.rsplit('/').next().and_then(|file| file.split('.').next()).unwrap_or(template);
    let stack = stack.strip_prefix("template-").unwrap_or(stack);
    let defaults = [
        ("AWS::AccountId", "000000000000"),
        ("AWS::Partition", "aws"),
        ("AWS::Region", "us-east-1"),
        ("AWS::StackName", stack),
        ("AWS::StackId", stack),
        ("AWS::URLSuffix", "amazonaws.com"),
    ];
    let value = |name: &str, default: &str| overrides.0.get(name).map_or(default, String::as_str).to_owned();
    defaults.into_iter().map(|(name, default)| (name.to_owned(), value(name, default))).collect()
}

fn section_error(template: &str, section: &str, problem: &str) -> TopologyError {
    TopologyError::Template {
        template: template.to_owned(),
        section: section.to_owned(),
        problem: problem.to_owned(),
    }
}
