//! How a command fails, and what the shell gets to know of it.

use std::fmt;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server said no.
    #[error("{0}")]
    Refused(Refusal),
    /// Nobody answered.
    #[error(
        "failed to reach {url}: {cause}\nis `sagaline up` running? Start it, or say with --url or SAGALINE_URL where it is"
    )]
    Unreachable {
        /// Where the server should be.
        url: String,
        /// What the network said.
        cause: String,
    },
    /// Somebody answered who is no Sagaline server.
    #[error("{url} answered {status} with something that is not JSON; is a Sagaline server listening there?")]
    NotSagaline {
        /// Where the server should be.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// The command line asks for something that is never done.
    #[error("{0}")]
    Usage(String),
    /// An order that was watched was cancelled.
    #[error("{order} is {status}")]
    CameToNothing {
        /// The order.
        order: String,
        /// Its state, and why.
        status: String,
    },
    /// Whatever was waited for did not happen in time.
    #[error("{what} has not ended within {seconds} seconds")]
    TimedOut {
        /// What.
        what: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

/// A refusal: an RFC 9457 problem, as far as a person needs it.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Refusal {
    /// The HTTP status.
    #[serde(skip)]
    pub status: u16,
    /// How long to wait before asking again, if the server said so.
    #[serde(skip)]
    pub retry_after: Option<Duration>,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    errors: Vec<BadField>,
}

#[derive(Debug, Clone, Deserialize)]
struct BadField {
    #[serde(alias = "parameter", default)]
    pointer: String,
    #[serde(default)]
    detail: String,
}

impl Refusal {
    /// Reads the body of an answer that is not a success.
    pub fn read(status: u16, body: &Value) -> Self {
        Refusal { status, ..serde_json::from_value(body.clone()).unwrap_or_default() }
    }

    /// Whether the same may be had later: there was too much to do, or something that is needed is not there.
    pub fn is_for_now(&self) -> bool {
        [429, 503].contains(&self.status)
    }

    /// Whether the server will not have this, whenever it is asked.
    pub fn is_final(&self) -> bool {
        self.status < 500 && !self.is_for_now()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.detail.as_str() {
            "" => write!(f, "the server refused with status {}", self.status)?,
            detail => f.write_str(detail)?,
        }
        if self.status == 401 {
            f.write_str(
                "\nname a key with --key or SAGALINE_API_KEY; `sagaline up` printed the first one, and \
                 `sagaline key create --data FOLDER` makes one while no server has the folder open",
            )?;
        }
        let place =
            |bad: &BadField| if bad.pointer.is_empty() { "/".to_owned() } else { bad.pointer.clone() };
        self.errors.iter().try_for_each(|bad| write!(f, "\n  {}: {}", place(bad), bad.detail))
    }
}

/// Says what went wrong on standard error, and answers 0 for success, 1 for a refusal, 2 for a wrong command
/// line, 3 for a server that is not there, 4 for an order that was cancelled while it was watched, 5 for one that did not
/// end in time, 130 after Ctrl-C.
pub fn exit_code(done: anyhow::Result<()>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read the output has seen enough: `sagaline order list | head`.
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(code(&error))
        }
    }
}

fn code(error: &anyhow::Error) -> u8 {
    match error.chain().find_map(|cause| cause.downcast_ref()) {
        Some(Failure::Usage(_)) => 2,
        Some(Failure::Unreachable { .. }) => 3,
        Some(Failure::CameToNothing { .. }) => 4,
        Some(Failure::TimedOut { .. }) => 5,
        Some(Failure::Interrupted) => 130,
        Some(Failure::Refused(_) | Failure::NotSagaline { .. }) | None => 1,
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let of_io = |cause: &(dyn std::error::Error + 'static)| cause.downcast_ref().map(io::Error::kind);
    error.chain().any(|cause| of_io(cause) == Some(io::ErrorKind::BrokenPipe))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_says_the_detail_and_where_each_field_is_wrong() {
        let body = json!({
            "type": "urn:sagaline:problem:invalid_fields", "status": 422, "code": "invalid_fields",
            "detail": "2 values of the body are wrong: see errors",
            "errors": [
                {"pointer": "/items/0/quantity", "detail": "must be at least 1", "code": "x"},
                {"parameter": "limit", "detail": "must be at most 200", "code": "y"},
            ],
        });
        let said = Refusal::read(422, &body).to_string();
        let expected = "2 values of the body are wrong: see errors\n  /items/0/quantity: must be at least 1\n  limit: must be at most 200";
        assert_eq!(said, expected);
    }

    #[test]
    fn a_refusal_without_words_still_says_its_status() {
        assert_eq!(
            Refusal::read(500, &json!({"message": "x"})).to_string(),
            "the server refused with status 500"
        );
    }

    #[test]
    fn the_exit_code_tells_refusal_usage_and_absence_apart() {
        let absent = Failure::Unreachable { url: "http://127.0.0.1:1".into(), cause: "refused".into() };
        let of = |failure: Failure| code(&anyhow::Error::from(failure).context("while placing order 1"));
        assert_eq!(of(absent), 3);
        assert_eq!(of(Failure::Usage("no".into())), 2);
        assert_eq!(of(Failure::Refused(Refusal::default())), 1);
        assert_eq!(of(Failure::Interrupted), 130);
        assert_eq!(code(&anyhow::anyhow!("3 differences")), 1);
    }

    #[test]
    fn a_reader_that_goes_away_is_no_error() {
        let gone = io::Error::from(io::ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&anyhow::Error::from(gone).context("failed to print")));
    }
}
