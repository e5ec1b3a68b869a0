//! Reading the properties of a resource, so that whatever is wrong is named with its place.

use crate::error::TopologyError;
use crate::template::Resource;
use serde_json::{Map, Value};
use std::ops::RangeInclusive;
use std::time::Duration;

/// A mapping somewhere in the properties of a resource.
#[derive(Clone)]
pub(crate) struct Properties<'a> {
    owner: &'a Resource,
    path: String,
    fields: &'a Map<String, Value>,
}

impl<'a> Properties<'a> {
    pub(crate) fn of(owner: &'a Resource) -> Self {
        Properties { owner, path: String::new(), fields: &owner.properties }
    }

    pub(crate) fn metadata_of(owner: &'a Resource) -> Self {
        Properties { owner, path: "Metadata".to_owned(), fields: &owner.metadata }
    }

    pub(crate) fn error(&self, name: &str, problem: impl ToString) -> TopologyError {
        TopologyError::Resource {
            template: self.owner.template.clone(),
            resource: self.owner.logical_id.clone(),
            property: self.path_of(name),
            problem: problem.to_string(),
        }
    }

    /// Refuses every property but the known ones: one that is not known might change what happens.
    pub(crate) fn only(&self, known: &[&str]) -> Result<(), TopologyError> {
        match self.fields.keys().find(|name| !known.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                Err(self.error(name, format!("is not supported here, remove it or use {}", known.join(", "))))
            }
        }
    }

    pub(crate) fn value(&self, name: &str) -> Option<&'a Value> {
        self.fields.get(name).filter(|value| !value.is_null())
    }

    pub(crate) fn text(&self, name: &str) -> Result<Option<&'a str>, TopologyError> {
        self.value(name).map(|value| value.as_str().ok_or_else(|| self.error(name, "is no text"))).transpose()
    }

    pub(crate) fn required_text(&self, name: &str) -> Result<&'a str, TopologyError> {
        self.text(name)?.ok_or_else(|| self.error(name, "is missing, add it"))
    }

    pub(crate) fn number(
        &self,
        name: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, TopologyError> {
        let Some(value) = self.value(name) else { return Ok(None) };
        let number = value.as_i64().or_else(|| value.as_str()?.parse().ok()).filter(|it| range.contains(it));
        let problem = || format!("is {value}, write a number from {} to {}", range.start(), range.end());
        number.map(Some).ok_or_else(|| self.error(name, problem()))
    }

    /// A whole number that is never negative, as `u32`.
    pub(crate) fn count(&self, name: &str, range: RangeInclusive<u32>) -> Result<Option<u32>, TopologyError> {
        let number = self.number(name, i64::from(*range.start())..=i64::from(*range.end()))?;
        Ok(number.and_then(|number| u32::try_from(number).ok()))
    }

    pub(crate) fn seconds(
        &self,
        name: &str,
        range: RangeInclusive<u32>,
    ) -> Result<Option<Duration>, TopologyError> {
        Ok(self.count(name, range)?.map(|seconds| Duration::from_secs(seconds.into())))
    }

    pub(crate) fn flag(&self, name: &str) -> Result<Option<bool>, TopologyError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(Value::String(text)) if text == "true" || text == "false" => Ok(Some(text == "true")),
            Some(_) => Err(self.error(name, "is neither true nor false")),
        }
    }

    pub(crate) fn within(&self, name: &str) -> Result<Option<Properties<'a>>, TopologyError> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Object(fields)) => {
                Ok(Some(Properties { owner: self.owner, path: self.path_of(name), fields }))
            }
            Some(_) => Err(self.error(name, "is not a mapping, write names and values")),
        }
    }

    pub(crate) fn required_within(&self, name: &str) -> Result<Properties<'a>, TopologyError> {
        self.within(name)?.ok_or_else(|| self.error(name, "is missing, add it"))
    }

    pub(crate) fn list(&self, name: &str) -> Result<&'a [Value], TopologyError> {
        match self.value(name) {
            None => Ok(&[]),
            Some(Value::Array(items)) => Ok(items),
            Some(_) => Err(self.error(name, "is no list")),
        }
    }

    /// The mappings in a list.
    pub(crate) fn each(&self, name: &str) -> Result<Vec<Properties<'a>>, TopologyError> {
        let items = self.list(name)?.iter().enumerate();
        let items = items.map(|(at, item)| {
            let path = format!("{}.{at}", self.path_of(name));
            let fields =
                item.as_object().ok_or_else(|| self.error(name, format!("item {at} is not a mapping")))?;
            Ok(Properties { owner: self.owner, path, fields })
        });
        items.collect()
    }

    /// The mappings in a mapping, by name.
    pub(crate) fn named(&self, name: &str) -> Result<Vec<(&'a str, Properties<'a>)>, TopologyError> {
        let Some(inner) = self.within(name)? else { return Ok(Vec::new()) };
        let entries = inner.fields.keys().map(|key| Ok((key.as_str(), inner.required_within(key)?)));
        entries.collect()
    }

    fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }
}
