//! What an operator does to the deployed stacks, from a machine of their own: dead letters, replays, audits, the first
//! key.

mod dead_letters;
mod keys;
mod queues;
mod read_models;
mod redrive;
mod stacks;

pub use dead_letters::{DeadLetterQueue, Holds};
pub use event_store_dynamodb::Connection;
pub use keys::create_key;
pub use read_models::ReadModels;
pub use redrive::{DeadLetters, Depth, How, Redriven, Shown};
pub use stacks::STACKS;

/// How the account is reached: with what the variables say that AWS's own tools read too, or, at another address, as a
/// double that believes whoever asks and is never shown a credential.
///
/// # Errors
/// What is missing, and how to get it.
pub fn connection(
    endpoint_url: Option<&str>,
    variable: impl Fn(&str) -> Option<String>,
) -> anyhow::Result<Connection> {
    let region = || variable("AWS_REGION").or_else(|| variable("AWS_DEFAULT_REGION"));
    if let Some(endpoint_url) = endpoint_url {
        let mut double = Connection::to_a_double(endpoint_url);
        double.region = region().unwrap_or(double.region);
        return Ok(double);
    }
    let connection = Connection::of_variables(|name| match name {
        "AWS_REGION" => region(),
        // Clients of each service would all take this one.
        "AWS_ENDPOINT_URL" => None,
        name => variable(name),
    });
    connection.map_err(|missing| {
        anyhow::anyhow!(
            "{missing}; export AWS_REGION, and let the AWS CLI say who you are: \
             eval \"$(aws configure export-credentials --format env)\""
        )
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn connect(endpoint_url: Option<&str>, set: &[(&str, &str)]) -> anyhow::Result<Connection> {
        let set: BTreeMap<&str, &str> = set.iter().copied().collect();
        connection(endpoint_url, |name| set.get(name).map(|value| (*value).to_owned()))
    }

    const WHO: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "AKIA"), ("AWS_SECRET_ACCESS_KEY", "secret")];

    #[test]
    fn an_account_is_reached_with_the_variables_of_the_aws_tools() {
        let set = [&WHO[..], &[("AWS_DEFAULT_REGION", "eu-north-1")]].concat();
        let connection = connect(None, &set).unwrap();
        assert_eq!(
            (connection.region.as_str(), connection.credentials.access_key_id()),
            ("eu-north-1", "AKIA")
        );
        assert_eq!(connection.endpoint_url, None);
        let missing = connect(None, &WHO).unwrap_err().to_string();
        assert!(missing.starts_with("AWS_REGION is not set; export AWS_REGION"), "{missing}");
    }

    #[test]
    fn a_double_is_never_shown_who_asks() {
        let connection = connect(Some("http://127.0.0.1:4566"), &WHO).unwrap();
        assert_eq!(connection.credentials.access_key_id(), "local");
    }
}
