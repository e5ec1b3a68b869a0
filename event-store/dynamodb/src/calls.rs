//! Asking the service until it answers: what is tried again, how long, and what its answers mean.

use std::any::type_name;
use std::fmt::Debug;
use std::future::Future;

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, ReturnConsumedCapacity, TransactWriteItem};
use event_store::StoreError;
use tracing::Instrument;

use crate::meter::Measured;
use crate::pauses::Pauses;
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

impl DynamoStore {
    /// Calls until there is an answer, or until the deadline.
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
        let mut pauses = Pauses::until(deadline::of_a_call(self.limits.patience));
        let mut may_be_a_repeat = false;
        loop {
            // Whether a try was done that is cut short is as unknown as of any that was not answered.
            let Some(answer) = deadline::in_time(call()).await else {
                let late = "there is no time left to wait for an answer";
                return Err(Refused::Unavailable(StoreError::Unavailable(late.into())));
            };
            let why = match answer {
                Ok(output) => {
                    self.meter.count(&output);
                    return Ok(output);
                }
                Err(SdkError::ServiceError(context)) => {
                    let failed_inside = context.raw().status().is_server_error();
                    match meaning(context.err()) {
                        // What stands between may say that in words of its own.
                        Meaning::No if !failed_inside => {
                            return Err(Refused::ByService(context.into_err(), may_be_a_repeat));
                        }
                        Meaning::NotNow => {}
                        Meaning::No | Meaning::Unknown => may_be_a_repeat = true,
                    }
                    DisplayErrorContext(context.into_err()).to_string()
                }
                Err(SdkError::ConstructionFailure(never_sent)) => {
                    return Err(Refused::Unavailable(StoreError::Unavailable(format!("{never_sent:?}"))));
                }
                Err(no_answer) => {
                    may_be_a_repeat = true;
                    DisplayErrorContext(no_answer).to_string()
                }
            };
            pauses.pause(|| why).await.map_err(Refused::Unavailable)?;
        }
    }
}

impl DynamoStore {
    /// Writes all of some items or none of them, under one token: a try whose answer was lost is not done twice.
    /// Where the condition of the first item fails, that decides, whatever happened to the others.
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
    use std::time::Duration;

    use event_store::{Appended, EventLog};
    use serde_json::json;
    use tokio::time::Instant;

    use super::*;
    use crate::Limits;
    use crate::event_item::of_event;
    use crate::scripted::{Answer, Server, as_sent, noted};

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

    #[tokio::test]
    async fn a_server_that_fails_in_words_of_its_own_is_asked_again() {
        let html = || Answer::Says(503, "<html>Service Unavailable</html>".into());
        let server = Server::that([html(), html(), Answer::ok(json!({}))]);
        let appended = server.store(Limits::default()).append(noted()).await;
        assert!(matches!(appended, Ok(Appended::Stored(_))), "{appended:?}");
    }

    #[tokio::test]
    async fn what_a_server_that_failed_had_done_all_the_same_is_known_again() {
        let item = as_sent(&of_event(&noted()));
        let taken = json!({ "__type": "ConditionalCheckFailedException", "Item": item });
        let server = Server::that([Answer::Says(500, "<html>".into()), Answer::Says(400, taken.to_string())]);
        let appended = server.store(Limits::default()).append(noted()).await;
        assert!(matches!(appended, Ok(Appended::Stored(_))), "{appended:?}");
    }

    #[tokio::test]
    async fn a_try_that_was_begun_in_time_is_not_waited_for_beyond_the_deadline() {
        let server = Server::that([Answer::error("ThrottlingException"), Answer::Waits]);
        let store = server.store(Limits::default());
        let began = Instant::now();
        let appended = deadline::until(began + Duration::from_millis(300), store.append(noted())).await;
        assert!(matches!(appended, Err(StoreError::Unavailable(_))), "{appended:?}");
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
        let appended = deadline::until(Instant::now(), store.append(noted())).await;
        assert!(matches!(appended, Err(StoreError::Unavailable(_))), "{appended:?}");
        assert_eq!(server.operations(), ["PutItem", "PutItem"], "nothing is begun when time is up");
    }
}
