//! What a resource is called in the account: its name, and the attributes that others refer to it by.

use super::{Evaluator, Fault};

impl Evaluator<'_> {
    /// The name a resource has in the account, which is what `Ref` gives for most types.
    pub(crate) fn name_of(&self, logical_id: &str) -> Result<String, Fault> {
        let declared = match name_property(self.kind(logical_id)?) {
            Some(property) => self.stack.properties(logical_id).get(property).cloned(),
            None => None,
        };
        match declared {
            Some(name) => self.guarded(format!("the name of {logical_id}"), || self.text(&name)),
            None => Ok(format!("{}-{logical_id}", self.pseudo("AWS::StackName"))),
        }
    }

    /// What `Fn::GetAtt` gives.
    pub(crate) fn attribute(&self, logical_id: &str, attribute: &str) -> Result<String, Fault> {
        let kind = match self.kind(logical_id) {
            Ok(kind) => kind,
            // SAM makes a role for each function that does not name one.
            Err(_) if self.is_generated(logical_id) => "AWS::IAM::Role",
            Err(fault) => return Err(fault),
        };
        let name = || self.name_of(logical_id);
        Ok(match (kind, attribute) {
            ("AWS::SQS::Queue", "Arn") => self.arn("sqs", &name()?),
            ("AWS::SQS::Queue", "QueueName") | ("AWS::Events::EventBus", "Name") => name()?,
            ("AWS::SQS::Queue", "QueueUrl") => self.queue_url(&name()?),
            ("AWS::DynamoDB::Table", "Arn") => self.arn("dynamodb", &format!("table/{}", name()?)),
            ("AWS::DynamoDB::Table", "StreamArn") => {
                if self.stack.properties(logical_id).get("StreamSpecification").is_none() {
                    return Err(format!("table {logical_id} has no stream, add a StreamSpecification").into());
                }
                self.arn("dynamodb", &format!("table/{}/stream/latest", name()?))
            }
            ("AWS::Events::EventBus", "Arn") => self.arn("events", &format!("event-bus/{}", name()?)),
            ("AWS::Events::Rule", "Arn") => self.arn("events", &self.rule_path(logical_id)?),
            ("AWS::Pipes::Pipe", "Arn") => self.arn("pipes", &format!("pipe/{}", name()?)),
            ("AWS::Serverless::Function", "Arn") => self.arn("lambda", &format!("function:{}", name()?)),
            // SAM publishes a version with each change of a function that has an alias.
            ("AWS::Serverless::Function", "Version.Version")
                if self.stack.properties(logical_id).get("AutoPublishAlias").is_some() =>
            {
                format!("{}-{logical_id}.Version", self.pseudo("AWS::StackName"))
            }
            (
                "AWS::SQS::Queue"
                | "AWS::DynamoDB::Table"
                | "AWS::Events::EventBus"
                | "AWS::Events::Rule"
                | "AWS::Pipes::Pipe"
                | "AWS::Serverless::Function",
                _,
            ) => return Err(format!("{logical_id} has no attribute {attribute}, correct its name").into()),
            // Types that do nothing at run time only need a text that says where it came from.
            _ => format!("{}-{logical_id}.{attribute}", self.pseudo("AWS::StackName")),
        })
    }

    /// A rule's ARN names its bus, unless that is the default one.
    fn rule_path(&self, logical_id: &str) -> Result<String, Fault> {
        let name = self.name_of(logical_id)?;
        let Some(bus) = self.stack.properties(logical_id).get("EventBusName").cloned() else {
            return Ok(format!("rule/{name}"));
        };
        let bus = self.guarded(format!("the bus of {logical_id}"), || self.text(&bus))?;
        let bus = bus.rsplit('/').next().unwrap_or_default();
        Ok(if bus == "default" { format!("rule/{name}") } else { format!("rule/{bus}/{name}") })
    }

    fn arn(&self, service: &str, resource: &str) -> String {
        let (partition, region) = (self.pseudo("AWS::Partition"), self.pseudo("AWS::Region"));
        format!("arn:{partition}:{service}:{region}:{}:{resource}", self.pseudo("AWS::AccountId"))
    }

    pub(super) fn queue_url(&self, name: &str) -> String {
        let (region, suffix) = (self.pseudo("AWS::Region"), self.pseudo("AWS::URLSuffix"));
        format!("https://sqs.{region}.{suffix}/{}/{name}", self.pseudo("AWS::AccountId"))
    }
}

fn name_property(kind: &str) -> Option<&'static str> {
    Some(match kind {
        "AWS::SQS::Queue" => "QueueName",
        "AWS::DynamoDB::Table" => "TableName",
        "AWS::Serverless::Function" => "FunctionName",
        "AWS::IAM::Role" => "RoleName",
        "AWS::Logs::LogGroup" => "LogGroupName",
        "AWS::CloudWatch::Alarm" => "AlarmName",
        "AWS::Events::EventBus" | "AWS::Events::Rule" | "AWS::Pipes::Pipe" | "AWS::SSM::Parameter" => "Name",
        _ => return None,
    })
}
