//! The intrinsic functions of CloudFormation, evaluated across templates that are deployed together.

mod identity;

use crate::template::{Stack, Templates};
use serde_json::{Map, Value};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Evaluates what one stack declares; what it refers to may be published by another.
pub(crate) struct Evaluator<'a> {
    templates: &'a Templates,
    stack: &'a Stack,
    /// What is being evaluated right now, of which template, so that a circle is seen instead of followed.
    trail: RefCell<Vec<(String, String)>>,
    effort: Rc<Effort>,
}

/// What evaluating has cost so far. Things that refer to each other may be no circle and still multiply: forty
/// names, each of which names the one before it twice, would be a text of a million million characters.
#[derive(Debug, Default)]
pub(crate) struct Effort {
    steps: Cell<usize>,
    depth: Cell<usize>,
}

/// More than any template takes; those of this system take about 11,000 together, 2,600 of them for what is wired.
const MAX_STEPS: usize = 30_000;
/// So many bytes of text cost as much as one step.
const BYTES_A_STEP: usize = 100;
/// Deeper than a template can be nested, and shallow enough for the stack of a small thread.
const MAX_DEPTH: usize = 128;

/// What could not be evaluated, and where: the innermost step comes first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Fault {
    pub(crate) path: Vec<String>,
    pub(crate) problem: String,
}

impl<T: Into<String>> From<T> for Fault {
    fn from(problem: T) -> Self {
        Fault { path: Vec::new(), problem: problem.into() }
    }
}

impl Fault {
    fn inside(mut self, step: impl Into<String>) -> Self {
        self.path.push(step.into());
        self
    }
}

impl<'a> Evaluator<'a> {
    pub(crate) fn new(templates: &'a Templates, stack: &'a Stack, effort: &Rc<Effort>) -> Self {
        Evaluator { templates, stack, trail: RefCell::default(), effort: effort.clone() }
    }

    /// The same evaluation, gone on with in another template.
    fn within(&self, stack: &'a Stack) -> Self {
        let (trail, effort) = (self.trail.clone(), self.effort.clone());
        Evaluator { templates: self.templates, stack, trail, effort }
    }

    /// Evaluates a mapping; nothing declared is an empty one.
    pub(crate) fn object(&self, declared: &Value) -> Result<Map<String, Value>, Fault> {
        match self.value(declared)? {
            Some(Value::Object(fields)) => Ok(fields),
            None | Some(Value::Null) => Ok(Map::new()),
            Some(_) => Err("is not a mapping, write names and values".into()),
        }
    }

    /// Whether the resource's condition holds.
    pub(crate) fn is_deployed(&self, logical_id: &str) -> Result<bool, Fault> {
        match self.stack.resource(logical_id).and_then(|resource| resource.get("Condition")) {
            None => Ok(true),
            Some(Value::String(name)) => self.condition(name),
            Some(_) => Err("names a condition, such as IsDev".into()),
        }
    }

    /// Evaluates a value; `None` is `AWS::NoValue`, which takes its place in a list or mapping with it.
    pub(crate) fn value(&self, declared: &Value) -> Result<Option<Value>, Fault> {
        let value = self.measured(|| self.value_of(declared))?;
        self.spend(value.as_ref().and_then(Value::as_str).map_or(0, str::len) / BYTES_A_STEP)?;
        Ok(value)
    }

    fn value_of(&self, declared: &Value) -> Result<Option<Value>, Fault> {
        match declared {
            Value::Object(fields) => match single(fields) {
                Some((name, argument)) if name == "Ref" || name.starts_with("Fn::") => {
                    self.call(name, argument)
                }
                _ => self.fields(fields).map(Value::Object).map(Some),
            },
            Value::Array(items) => self.items(items).map(Value::Array).map(Some),
            Value::String(text) if text.contains("{{resolve:") => {
                self.dynamic(text).map(Value::String).map(Some)
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(Some(declared.clone())),
        }
    }

    fn fields(&self, fields: &Map<String, Value>) -> Result<Map<String, Value>, Fault> {
        let mut evaluated = Map::new();
        for (name, value) in fields {
            if name.starts_with("Fn::") {
                return Err(Fault::from("an intrinsic function stands alone in its mapping").inside(name));
            }
            if let Some(value) = self.value(value).map_err(|fault| fault.inside(name))? {
                evaluated.insert(name.clone(), value);
            }
        }
        Ok(evaluated)
    }

    fn items(&self, items: &[Value]) -> Result<Vec<Value>, Fault> {
        let evaluated = items.iter().enumerate();
        let evaluated =
            evaluated.map(|(at, item)| self.value(item).map_err(|fault| fault.inside(at.to_string())));
        evaluated.filter_map(Result::transpose).collect()
    }

    fn call(&self, name: &str, argument: &Value) -> Result<Option<Value>, Fault> {
        let result = match (name, argument) {
            ("Ref", Value::String(target)) => return self.reference(target),
            ("Fn::If", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(condition), yes, no] => {
                    return self.value(if self.condition(condition)? { yes } else { no });
                }
                _ => Err("Fn::If takes a condition and two values".into()),
            },
            ("Fn::GetAtt", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(resource), attribute] => {
                    self.require_deployed(resource)?;
                    self.attribute(resource, &self.text(attribute)?).map(Value::String)
                }
                _ => Err("Fn::GetAtt takes a resource and an attribute".into()),
            },
            ("Fn::GetAtt", Value::String(path)) => match path.split_once('.') {
                Some((resource, attribute)) => {
                    self.require_deployed(resource)?;
                    self.attribute(resource, attribute).map(Value::String)
                }
                None => Err("Fn::GetAtt takes a resource and an attribute".into()),
            },
            ("Fn::Sub", Value::String(text)) => self.substitute(text, &Map::new()).map(Value::String),
            ("Fn::Sub", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(text), Value::Object(variables)] => {
                    self.substitute(text, variables).map(Value::String)
                }
                _ => Err("Fn::Sub takes a text, or a text and a mapping of variables".into()),
            },
            ("Fn::Join", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(delimiter), list] => {
                    let texts: Result<Vec<_>, _> = self.list(list)?.iter().map(scalar_text).collect();
                    Ok(Value::String(texts?.join(delimiter)))
                }
                _ => Err("Fn::Join takes a delimiter and a list".into()),
            },
            ("Fn::Select", Value::Array(parts)) => match parts.as_slice() {
                [index, list] => {
                    let index: usize =
                        self.text(index)?.parse().map_err(|_| "Fn::Select takes a number first")?;
                    let item = self.list(list)?.into_iter().nth(index);
                    item.ok_or_else(|| {
                        format!("Fn::Select finds nothing at {index}, the list is shorter").into()
                    })
                }
                _ => Err("Fn::Select takes an index and a list".into()),
            },
            ("Fn::Split", Value::Array(parts)) => match parts.as_slice() {
                [Value::String(delimiter), text] if !delimiter.is_empty() => {
                    Ok(self.text(text)?.split(delimiter.as_str()).map(Value::from).collect())
                }
                _ => Err("Fn::Split takes a delimiter and a text".into()),
            },
            ("Fn::FindInMap", Value::Array(parts)) => match parts.as_slice() {
                [map, top, second] => {
                    self.find_in_map(&self.text(map)?, &self.text(top)?, &self.text(second)?)
                }
                _ => Err("Fn::FindInMap takes a map and two keys".into()),
            },
            ("Fn::ImportValue", export) => self.import(&self.text(export)?),
            ("Fn::Equals" | "Fn::Not" | "Fn::And" | "Fn::Or", _) => self
                .decide(&Value::Object(Map::from_iter([(name.to_owned(), argument.clone())])))
                .map(Value::Bool),
            _ => Err("this use of an intrinsic function is not supported, write the value out".into()),
        };
        result.map(Some).map_err(|fault| fault.inside(name))
    }

    fn reference(&self, target: &str) -> Result<Option<Value>, Fault> {
        if target == "AWS::NoValue" {
            return Ok(None);
        }
        if let Some(value) = self.stack.pseudo.get(target) {
            return Ok(Some(Value::String(value.clone())));
        }
        if let Some(parameter) = self.stack.parameters.get(target) {
            let value = match parameter.is_published {
                true => self.published(&parameter.value)?,
                false => parameter.value.clone(),
            };
            return Ok(Some(match parameter.is_list {
                true => value.split(',').map(|item| Value::from(item.trim())).collect(),
                false => Value::String(value),
            }));
        }
        // SAM gives a function with an alias a name for it, which stands for the alias's ARN.
        if let Some(function) = target.strip_suffix(".Alias") {
            self.require_deployed(function)?;
            let properties = self.stack.properties(function);
            let alias = properties.get("AutoPublishAlias").and_then(Value::as_str);
            let alias = alias.ok_or_else(|| format!("{function} has no alias, add an AutoPublishAlias"))?;
            return Ok(Some(Value::String(format!("{}:{alias}", self.attribute(function, "Arn")?))));
        }
        self.require_deployed(target)?;
        let name = match self.kind(target) {
            Ok("AWS::SQS::Queue") => self.queue_url(&self.name_of(target)?),
            Ok(_) => self.name_of(target)?,
            Err(_) => format!("{}-{target}", self.pseudo("AWS::StackName")),
        };
        Ok(Some(Value::String(name)))
    }

    fn substitute(&self, text: &str, variables: &Map<String, Value>) -> Result<String, Fault> {
        let mut result = String::new();
        let mut left = text;
        while let Some((before, after)) = left.split_once("${") {
            let (name, after) = after.split_once('}').ok_or("a ${ has no }, close it")?;
            result.push_str(before);
            let name = name.trim();
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str("${");
                result.push_str(literal);
                result.push('}');
            } else if let Some(value) = variables.get(name) {
                result.push_str(&self.text(value)?);
            } else if let Some((resource, attribute)) = name.split_once('.') {
                self.require_deployed(resource)?;
                result.push_str(&self.attribute(resource, attribute)?);
            } else {
                let value = self.reference(name)?.ok_or("AWS::NoValue has no place in a text")?;
                result.push_str(&scalar_text(&value)?);
            }
            self.spend(result.len() / BYTES_A_STEP)?;
            left = after;
        }
        result.push_str(left);
        if result.contains("{{resolve:") { self.dynamic(&result) } else { Ok(result) }
    }

    /// Fills in `{{resolve:ssm:path}}`; secrets have no place in what is evaluated here.
    fn dynamic(&self, text: &str) -> Result<String, Fault> {
        let mut result = String::new();
        let mut left = text;
        while let Some((before, after)) = left.split_once("{{resolve:") {
            let (reference, after) = after.split_once("}}").ok_or("a {{resolve: has no }}, close it")?;
            result.push_str(before);
            match reference.strip_prefix("ssm:") {
                Some(path) => result.push_str(&self.published(path)?),
                // A secret is not known before run time, so it stays the reference it is.
                None => result.push_str(&format!("{{{{resolve:{reference}}}}}")),
            }
            left = after;
        }
        result.push_str(left);
        Ok(result)
    }

    /// The value that one of the templates publishes under the path in the parameter store.
    fn published(&self, path: &str) -> Result<String, Fault> {
        for stack in &self.templates.stacks {
            let evaluator = self.within(stack);
            for logical_id in stack.section("Resources").into_iter().flat_map(Map::keys) {
                if evaluator.kind(logical_id).ok() != Some("AWS::SSM::Parameter")
                    || !evaluator.is_deployed(logical_id)?
                    || evaluator.name_of(logical_id)? != path
                {
                    continue;
                }
                let value = stack.properties(logical_id).get("Value").cloned().unwrap_or_default();
                return evaluator.guarded(format!("the parameter {path}"), || evaluator.text(&value));
            }
        }
        Err(format!("no template publishes {path}, load the one with an AWS::SSM::Parameter of that name")
            .into())
    }

    fn import(&self, name: &str) -> Result<Value, Fault> {
        for stack in &self.templates.stacks {
            let evaluator = self.within(stack);
            for (output_id, output) in stack.section("Outputs").into_iter().flatten() {
                let Some(export) = output.get("Export").and_then(|export| export.get("Name")) else {
                    continue;
                };
                let what = format!("the export name of {output_id}");
                if evaluator.guarded(what, || evaluator.text(export))? == name {
                    let value = output.get("Value").cloned().unwrap_or_default();
                    return evaluator
                        .guarded(format!("the export {name}"), || evaluator.text(&value))
                        .map(Value::from);
                }
            }
        }
        Err(format!("no template exports {name}, load the one whose Outputs do").into())
    }

    fn find_in_map(&self, map: &str, top: &str, second: &str) -> Result<Value, Fault> {
        let found = self.stack.section("Mappings").and_then(|maps| maps.get(map)?.get(top)?.get(second));
        found.cloned().ok_or_else(|| format!("Mappings has no {map}.{top}.{second}, add it").into())
    }

    fn condition(&self, name: &str) -> Result<bool, Fault> {
        let declared = self.stack.section("Conditions").and_then(|conditions| conditions.get(name));
        let declared =
            declared.ok_or_else(|| format!("there is no condition {name}, declare it in Conditions"))?;
        self.guarded(format!("the condition {name}"), || self.decide(declared))
    }

    fn decide(&self, condition: &Value) -> Result<bool, Fault> {
        self.measured(|| self.decision(condition))
    }

    fn decision(&self, condition: &Value) -> Result<bool, Fault> {
        const SHAPE: &str = "a condition is Fn::Equals, Fn::Not, Fn::And, Fn::Or or the name of one";
        let (name, argument) = condition.as_object().and_then(single).ok_or(SHAPE)?;
        match (name, argument) {
            ("Condition", Value::String(name)) => self.condition(name),
            ("Fn::Equals", Value::Array(sides)) if sides.len() == 2 => {
                Ok(self.text(&sides[0])? == self.text(&sides[1])?)
            }
            ("Fn::Not", Value::Array(parts)) if parts.len() == 1 => self.decide(&parts[0]).map(|it| !it),
            ("Fn::And" | "Fn::Or", Value::Array(parts)) if (2..=10).contains(&parts.len()) => {
                let decided: Vec<bool> =
                    parts.iter().map(|part| self.decide(part)).collect::<Result<_, _>>()?;
                Ok(if name == "Fn::And" { decided.into_iter().all(|it| it) } else { decided.contains(&true) })
            }
            _ => Err(SHAPE.into()),
        }
    }

    fn list(&self, declared: &Value) -> Result<Vec<Value>, Fault> {
        match self.value(declared)? {
            Some(Value::Array(items)) => Ok(items),
            _ => Err("a list is missing here".into()),
        }
    }

    fn text(&self, declared: &Value) -> Result<String, Fault> {
        let value = self.value(declared)?.ok_or("AWS::NoValue has no place here")?;
        scalar_text(&value)
    }

    fn kind(&self, logical_id: &str) -> Result<&'a str, Fault> {
        let kind = self.stack.resource(logical_id).and_then(|resource| resource.get("Type"));
        kind.and_then(Value::as_str).ok_or_else(|| {
            format!("there is no parameter or resource {logical_id} in this template, correct its name")
                .into()
        })
    }

    fn require_deployed(&self, logical_id: &str) -> Result<(), Fault> {
        if !self.is_generated(logical_id) {
            self.kind(logical_id)?;
        }
        match self.is_deployed(logical_id)? {
            true => Ok(()),
            false => {
                Err(format!("{logical_id} is not deployed with these parameters, guard this with Fn::If")
                    .into())
            }
        }
    }

    /// Whether SAM makes this resource out of one that is declared.
    fn is_generated(&self, logical_id: &str) -> bool {
        let base = ["Role", "Stage"].iter().find_map(|suffix| logical_id.strip_suffix(suffix));
        let from_declared =
            base.is_some_and(|id| self.kind(id).is_ok_and(|it| it.starts_with("AWS::Serverless::")));
        from_declared || matches!(logical_id, "ServerlessRestApi" | "ServerlessHttpApi")
    }

    fn guarded<T>(&self, what: String, evaluate: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        let step = (self.stack.template.clone(), what);
        if self.trail.borrow().contains(&step) {
            return Err(format!("{} depends on itself, break the circle", step.1).into());
        }
        self.trail.borrow_mut().push(step);
        let result = evaluate();
        self.trail.borrow_mut().pop();
        result
    }

    /// One step of evaluating. Every way in which things refer to each other leads through here.
    fn measured<T>(&self, evaluate: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        self.spend(1)?;
        let depth = &self.effort.depth;
        if depth.get() >= MAX_DEPTH {
            return Err("things refer to each other through too many others, shorten the chain".into());
        }
        depth.set(depth.get() + 1);
        let result = evaluate();
        depth.set(depth.get() - 1);
        result
    }

    fn spend(&self, steps: usize) -> Result<(), Fault> {
        let spent = self.effort.steps.get() + steps;
        if spent > MAX_STEPS {
            return Err("things refer to each other too often, name some of them outright".into());
        }
        self.effort.steps.set(spent);
        Ok(())
    }

    fn pseudo(&self, name: &str) -> &str {
        self.stack.pseudo.get(name).map_or("", String::as_str)
    }
}

fn scalar_text(value: &Value) -> Result<String, Fault> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => Err("a text is missing here".into()),
    }
}

fn single(object: &Map<String, Value>) -> Option<(&str, &Value)> {
    let mut entries = object.iter();
    let (key, value) = entries.next()?;
    entries.next().is_none().then_some((key.as_str(), value))
}

#[cfg(test)]
mod tests {
    use crate::{Parameters, Source, Templates, TopologyError};
    use serde_json::{Value, json};

    const HEAD: &str = "
Parameters:
  Environment: { Type: String, Default: dev, AllowedValues: [dev, prod] }
  Zones: { Type: CommaDelimitedList, Default: 'a, b' }
Mappings: { Sizes: { dev: { memory: 128 }, prod: { memory: 1024 } } }
Conditions:
  IsDev: !Equals [!Ref Environment, dev]
  IsProd: !Not [!Condition IsDev]
  Both: !And [!Condition IsDev, !Condition IsProd]
  Either: !Or [!Condition IsDev, !Condition IsProd]
Resources:
  Queue: { Type: AWS::SQS::Queue, Properties: { QueueName: Q } }
  OnlyProd: { Type: AWS::SQS::Queue, Condition: IsProd }
  Probe:
    Type: Test::Probe
    Properties:
      Value: ";

    fn evaluate(expression: &str, parameters: &[(&str, &str)]) -> Result<Value, String> {
        let text = format!("{HEAD}{expression}\n");
        let parameters: Parameters = parameters.iter().copied().collect();
        let resources = Templates::read(&[Source { name: "template-t.yaml", text: &text }], &parameters)
            .and_then(|templates| templates.resources())
            .map_err(|error| match error {
                TopologyError::Resource { property, problem, .. } => format!("{property}: {problem}"),
                other => other.to_string(),
            })?;
        let probe = resources.into_iter().find(|it| it.logical_id == "Probe").unwrap();
        Ok(probe.properties.get("Value").cloned().unwrap_or(json!("no value")))
    }

    #[test]
    fn functions_give_what_cloudformation_gives() {
        let cases = [
            ("!Ref Environment", json!("dev")),
            ("!Ref Zones", json!(["a", "b"])),
            ("!Ref AWS::Region", json!("us-east-1")),
            ("!Ref AWS::NoValue", json!("no value")),
            ("[1, !Ref AWS::NoValue, 2]", json!([1, 2])),
            ("!Ref Queue", json!("https://sqs.us-east-1.amazonaws.com/000000000000/Q")),
            ("!GetAtt Queue.Arn", json!("arn:aws:sqs:us-east-1:000000000000:Q")),
            ("{ 'Fn::GetAtt': Queue.Arn }", json!("arn:aws:sqs:us-east-1:000000000000:Q")),
            ("!Sub 'x-${Environment}-${Queue.QueueName}-${!Literal}'", json!("x-dev-Q-${Literal}")),
            ("!Sub ['${A}${B}', {A: !Ref Environment, B: 5}]", json!("dev5")),
            ("!If [IsDev, { a: 1 }, 2]", json!({"a": 1})),
            ("!If [Both, 1, !If [Either, 2, 3]]", json!(2)),
            ("!Join ['-', [a, !Ref Environment, 1]]", json!("a-dev-1")),
            ("!Join ['-', !Ref Zones]", json!("a-b")),
            ("!Select [1, !Ref Zones]", json!("b")),
            ("!Select ['0', !Split ['/', 'x/y']]", json!("x")),
            ("!FindInMap [Sizes, !Ref Environment, memory]", json!(128)),
        ];
        for (expression, expected) in cases {
            assert_eq!(evaluate(expression, &[]), Ok(expected), "{expression}");
        }
    }

    #[test]
    fn parameters_are_overridden_and_checked() {
        assert_eq!(evaluate("!If [IsProd, 1, 2]", &[("Environment", "prod")]), Ok(json!(1)));
        let error = evaluate("1", &[("Environment", "test")]).unwrap_err();
        assert!(
            error.ends_with("Parameters.Environment: \"test\" is not allowed, pass one of dev, prod"),
            "{error}"
        );
        let error = evaluate("1", &[("Enviroment", "dev")]).unwrap_err();
        assert!(error.ends_with("no template has a parameter Enviroment, correct its name"), "{error}");
    }

    #[test]
    fn mistakes_are_named_where_they_are() {
        let cases = [
            ("{ a: [!Ref Nobody] }", "Value.a.0: there is no parameter or resource Nobody"),
            ("!GetAtt Queue.Colour", "Value.Fn::GetAtt: Queue has no attribute Colour"),
            ("!If [Nobody, 1, 2]", "Value: there is no condition Nobody"),
            ("!Ref OnlyProd", "Value: OnlyProd is not deployed with these parameters"),
            ("!Sub '${Environment'", "Value.Fn::Sub: a ${ has no }"),
            ("!Select [2, !Ref Zones]", "Value.Fn::Select: Fn::Select finds nothing at 2"),
            ("!ImportValue x", "Value.Fn::ImportValue: no template exports x"),
            ("'{{resolve:ssm:/x}}'", "Value: no template publishes /x"),
            ("!GetAZs ''", "Value.Fn::GetAZs: this use of an intrinsic function is not supported"),
        ];
        for (expression, expected) in cases {
            let error = evaluate(expression, &[]).unwrap_err();
            assert!(error.starts_with(expected), "{expression}: {error}");
        }
    }

    #[test]
    fn a_circle_is_an_error() {
        let text = "
Conditions: { A: !Not [!Condition B], B: !Not [!Condition A] }
Resources: { Queue: { Type: AWS::SQS::Queue, Condition: A } }";
        let templates = Templates::read(&[Source { name: "t", text }], &Parameters::default()).unwrap();
        let error = templates.resources().unwrap_err().to_string();
        assert!(error.contains("the condition A depends on itself"), "{error}");
    }

    /// What is wrong with a template of resources, of which each line is made from the number of the one before.
    fn refused(head: &str, count: usize, line: impl Fn(usize) -> String) -> String {
        let lines: String = (1..=count).map(|n| line(n - 1)).collect();
        let text = format!("{head}{lines}");
        let source = Source { name: "template-t.yaml", text: &text };
        let templates = Templates::read(&[source], &Parameters::default()).unwrap();
        templates.resources().unwrap_err().to_string()
    }

    #[test]
    fn a_circle_of_export_names_or_of_a_rule_and_its_bus_is_an_error() {
        let exports = "
Resources: { Q: { Type: AWS::SQS::Queue, Properties: { QueueName: !ImportValue x } } }
Outputs: { A: { Value: 1, Export: { Name: !ImportValue x } } }";
        let error = refused(exports, 0, |_| String::new());
        assert!(error.contains("the export name of A depends on itself"), "{error}");
        let rule =
            "Resources: { R: { Type: AWS::Events::Rule, Properties: { EventBusName: !GetAtt R.Arn } } }";
        let error = refused(rule, 0, |_| String::new());
        assert!(error.contains("the bus of R depends on itself"), "{error}");
    }

    #[test]
    fn names_that_multiply_are_refused_before_they_fill_the_memory() {
        let queues = "Resources:\n  Q0: { Type: AWS::SQS::Queue, Properties: { QueueName: q } }\n";
        let twice = |n| {
            let name = format!("${{Q{n}.QueueName}}${{Q{n}.QueueName}}");
            format!("  Q{}: {{ Type: AWS::SQS::Queue, Properties: {{ QueueName: !Sub '{name}' }} }}\n", n + 1)
        };
        assert!(refused(queues, 40, twice).contains("refer to each other too often"));
        let long =
            format!("Parameters: {{ Long: {{ Type: String, Default: {} }} }}\n{queues}", "x".repeat(100_000));
        let many = |_| {
            format!("  P: {{ Type: Test::Probe, Properties: {{ V: !Sub '{}' }} }}\n", "${Long}".repeat(2_000))
        };
        assert!(refused(&long, 1, many).contains("refer to each other too often"));
        let conditions = "Resources: { Q: { Type: AWS::SQS::Queue, Condition: C40 } }\nConditions:\n  C0: !Equals [a, a]\n";
        let both = |n| format!("  C{}: !And [!Condition C{n}, !Condition C{n}]\n", n + 1);
        assert!(refused(conditions, 40, both).contains("refer to each other too often"));
    }

    #[test]
    fn a_chain_of_names_is_followed_only_so_far() {
        let queues = "Resources:\n  Q0: { Type: AWS::SQS::Queue, Properties: { QueueName: q } }\n";
        let next = |n| {
            format!(
                "  Q{}: {{ Type: AWS::SQS::Queue, Properties: {{ QueueName: !GetAtt Q{n}.QueueName }} }}\n",
                n + 1
            )
        };
        assert!(refused(queues, 5_000, next).contains("through too many others"));
        let conditions = "Resources: { Q: { Type: AWS::SQS::Queue, Condition: C5000 } }\nConditions:\n  C0: !Equals [a, a]\n";
        let negated = |n| format!("  C{}: !Not [!Condition C{n}]\n", n + 1);
        assert!(refused(conditions, 5_000, negated).contains("through too many others"));
    }

    #[test]
    fn one_template_reads_what_the_other_publishes() {
        let ours = "
Parameters: { Bus: { Type: 'AWS::SSM::Parameter::Value<String>', Default: /bus } }
Resources: { Probe: { Type: Test::Probe, Properties: { A: !Ref Bus, B: !ImportValue bus, C: !Sub '${Bus}!' } } }";
        let theirs = "
Resources:
  EventBus: { Type: AWS::Events::EventBus, Properties: { Name: sagaline } }
  BusName: { Type: AWS::SSM::Parameter, Properties: { Name: /bus, Type: String, Value: !Ref EventBus } }
Outputs: { Bus: { Value: !GetAtt EventBus.Name, Export: { Name: bus } } }";
        let sources = [Source { name: "ours", text: ours }, Source { name: "theirs", text: theirs }];
        let resources = Templates::read(&sources, &Parameters::default()).unwrap().resources().unwrap();
        let probe = Value::Object(resources[0].properties.clone());
        assert_eq!(probe, json!({"A": "sagaline", "B": "sagaline", "C": "sagaline!"}));
    }
}
