//! Asking the service until it answers: what is tried again, how long, and what its answers mean.

use std::any::type_name;
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, ReturnConsumedCapacity, TransactWriteItem};
use event_store::StoreError;
use telemetry::metrics;
use tokio::time::{Instant, sleep};
use tracing::Instrument;

use crate::meter::Measured;
use crate::{DynamoStore, deadline};

/// Why a call came to nothing.
pub(crate) enum Refused<Error> {
    /// The service says no, and would say it again. Perhaps an earlier try had its effect although no answer
    /// came: then this is `true`.
    ByService(Error, bool),
    /// No answer until the deadline.
    Unavailable(StoreError),
}

impl<Error: std::error::Error + Send + Sync + 'static> From<Refused<Error>> for StoreError {
    fn from(refused: Refused<Error>) -> StoreError {
        match refused {
            Refused::ByService(error, _) => StoreError::Unavailable(DisplayErrorContext(error).to_string()),
            Refused::Unavailable(error) => error,
        }
    }
}

/// What an error of the service means for whoever asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Ask again: nothing was done.
    NotNow,
    /// Ask again: perhaps it was done.
    Unknown,
    /// Asking again would not help.
    No,
}

const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

impl DynamoStore {
    /// Calls until there is an answer. Pauses are drawn from a range that doubles, so that those who collided
    /// do not collide again.
    pub(crate) async fn call<Output, Error, Call>(
        &self,
        call: impl Fn() -> Call,
    ) -> Result<Output, Refused<Error>>
    where
        Output: Measured,
        Error: ProvideErrorMetadata + Debug + std::error::Error + 'static,
        Call: Future<Output = Result<Output, SdkError<Error, HttpResponse>>>,
    {
        self.call_unless(call, |error| meaning_of_code(error.code())).await
    }

    /// As [`DynamoStore::call`], where the caller knows better what an error of the service means.
    pub(crate) async fn call_unless<Output, Error, Call>(
        &self,
        call: impl Fn() -> Call,
        meaning: impl Fn(&Error) -> Meaning,
    ) -> Result<Output, Refused<Error>>
    where
        Output: Measured,
        Error: ProvideErrorMetadata + Debug + std::error::Error + 'static,
        Call: Future<Output = Result<Output, SdkError<Error, HttpResponse>>>,
    {
        let operation =
            type_name::<Output>().rsplit("::").next().unwrap_or_default().trim_end_matches("Output");
        let span = tracing::info_span!("dynamodb", otel.name = operation, otel.kind = "client");
        self.tried(call, meaning).instrument(span).await
    }

    async fn tried<Output, Error, Call>(
        &self,
        call: impl Fn() -> Call,
        meaning: impl Fn(&Error) -> Meaning,
    ) -> Result<Output, Refused<Error>>
    where
        Output: Measured,
        Error: ProvideErrorMetadata + Debug + std::error::Error + 'static,
        Call: Future<Output = Result<Output, SdkError<Error, HttpResponse>>>,
    {
        let deadline = deadline::of_a_call(self.limits.patience);
        let (mut longest, mut may_be_a_repeat) = (FIRST_PAUSE, false);
        loop {
            let why = match call().await {
                Ok(output) => {
                    self.meter.count(&output);
                    return Ok(output);
                }
                Err(SdkError::ServiceError(context)) => match meaning(context.err()) {
                    Meaning::No => return Err(Refused::ByService(context.into_err(), may_be_a_repeat)),
                    Meaning::NotNow => DisplayErrorContext(context.into_err()).to_string(),
                    Meaning::Unknown => {
                        may_be_a_repeat = true;
                        DisplayErrorContext(context.into_err()).to_string()
                    }
                },
                Err(SdkError::ConstructionFailure(never_sent)) => {
                    return Err(Refused::Unavailable(StoreError::Unavailable(format!("{never_sent:?}"))));
                }
                Err(no_answer) => {
                    may_be_a_repeat = true;
                    DisplayErrorContext(no_answer).to_string()
                }
            };
            let pause = longest.mul_f64(fastrand::f64());
            if Instant::now() + pause >= deadline {
                return Err(Refused::Unavailable(StoreError::Unavailable(why)));
            }
            metrics::call_retried();
            sleep(pause).await;
            longest = (longest * 2).min(LONGEST_PAUSE);
        }
    }
}

impl DynamoStore {
    /// Writes all of some items or none of them, under one token: a try whose answer was lost is not done twice.
    /// The condition of the first item is the one that decides.
    pub(crate) async fn transact(
        &self,
        items: Vec<TransactWriteItem>,
    ) -> Result<(), Refused<TransactWriteItemsError>> {
        let write = self
            .client
            .transact_write_items()
            .set_transact_items(Some(items))
            .client_request_token(format!("{:032x}", fastrand::u128(..)))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        self.call_unless(|| write.clone().send(), meaning_of_a_transaction).await.map(drop)
    }
}

/// Whether an item's condition is why a transaction was cancelled.
pub(crate) fn failed(reason: &CancellationReason) -> bool {
    reason.code() == Some("ConditionalCheckFailed")
}

/// A cancelled transaction is final if its first condition failed, whatever else did; a conflict comes again.
fn meaning_of_a_transaction(error: &TransactWriteItemsError) -> Meaning {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        return meaning_of_code(error.code());
    };
    let reasons = cancelled.cancellation_reasons();
    let not_now = |reason: &CancellationReason| meaning_of_code(reason.code()) != Meaning::No;
    match reasons.first() {
        Some(first) if failed(first) => Meaning::No,
        _ if reasons.iter().any(not_now) => Meaning::NotNow,
        _ => Meaning::No,
    }
}

/// What the service's codes mean. Source: "Error handling with DynamoDB", Amazon DynamoDB Developer Guide.
pub(crate) fn meaning_of_code(code: Option<&str>) -> Meaning {
    match code {
        Some(
            "ProvisionedThroughputExceededException"
            | "ProvisionedThroughputExceeded"
            | "RequestLimitExceeded"
            | "ThrottlingException"
            | "ThrottlingError"
            | "TransactionConflictException"
            | "TransactionConflict"
            | "LimitExceededException",
        ) => Meaning::NotNow,
        Some(
            "InternalServerError"
            | "InternalFailure"
            | "ServiceUnavailable"
            | "TransactionInProgressException",
        ) => Meaning::Unknown,
        _ => Meaning::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_tried_again_is_what_may_go_through_later() {
        for (code, meaning) in [
            (Some("ThrottlingException"), Meaning::NotNow),
            (Some("TransactionConflict"), Meaning::NotNow),
            (Some("InternalServerError"), Meaning::Unknown),
            (Some("ConditionalCheckFailedException"), Meaning::No),
            (Some("ValidationException"), Meaning::No),
            (None, Meaning::No),
        ] {
            assert_eq!(meaning_of_code(code), meaning, "{code:?}");
        }
    }
}
