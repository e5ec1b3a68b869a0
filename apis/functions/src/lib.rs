//! The API as functions: requests of API Gateway in, answers of the same routers out; and who says who asks.

mod authorizer;
mod xray;

pub use authorizer::authorize;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use apis::access::{Access, Guard};
use apis::problem::Problem;
use apis::{Api, Environment};
use async_trait::async_trait;
use axum::Router;
use axum::response::{IntoResponse, Response};
use event_store::SystemStamper;
use event_store_dynamodb::deadline;
use functions::{Function, required};
use lambda_http::{Request, RequestExt};
use lambda_runtime::Error;
use tokio::time::{Instant, timeout_at};
use tower::ServiceExt;
use views::Pause;

/// Answers requests with a router, for as long as the process lives.
///
/// # Errors
/// A variable that is missing, or a runtime that cannot be reached.
pub async fn serve(name: &'static str, router: fn(Arc<Api>) -> Router) -> Result<(), Error> {
    let function = Function::start(name)?;
    let store = Arc::new(function.store());
    let stamper = Arc::new(SystemStamper::new(name));
    let api = Api {
        log: store.clone(),
        orders: store.clone(),
        stock: store.clone(),
        catalog: store.clone(),
        access: Access::over(&store, stamper.clone(), Guard::Gateway),
        kept: store,
        pause: Arc::new(ByTheClock),
        stamper,
        environment: environment(&required("ENVIRONMENT")?)?,
    };
    let router = router(Arc::new(api));
    let function = &function;
    let answer = |mut request: Request| {
        let until = functions::deadline(&request.lambda_context());
        xray::continue_trace(request.headers_mut());
        if let Some(principal) = authorizer::said_by_the_gateway(&request) {
            request.extensions_mut().insert(principal);
        }
        if let Some(origin) = authorizer::origin(&request) {
            request.extensions_mut().insert(origin);
        }
        function.invocation(in_time(until, router.clone(), request))
    };
    lambda_http::run(lambda_http::service_fn(answer)).await
}

/// What the router answers, or, if that is not in time, that a client may ask again: whoever is killed by Lambda answers
/// with a 502 that says nothing.
async fn in_time(until: Instant, router: Router, request: Request) -> Result<Response, Infallible> {
    let answer = deadline::until(until, router.oneshot(request));
    match timeout_at(until, answer).await {
        Ok(answer) => answer,
        Err(_) => {
            tracing::warn!("time was up before there was an answer");
            Ok(Problem::late().into_response())
        }
    }
}

struct ByTheClock;

#[async_trait]
impl Pause for ByTheClock {
    async fn pause(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

fn environment(name: &str) -> Result<Environment, Error> {
    match name {
        "dev" => Ok(Environment::Dev),
        "prod" => Ok(Environment::Prod),
        other => Err(format!("ENVIRONMENT is {other}; it must be dev or prod").into()),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
    use axum::routing::get;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_that_takes_too_long_is_answered_while_there_is_time_and_may_be_repeated() {
        let router = Router::new()
            .route("/slow", get(async || tokio::time::sleep(Duration::from_secs(60)).await))
            .route("/fast", get(async || "here"));
        let (began, until) = (Instant::now(), Instant::now() + Duration::from_secs(8));
        let ask = async |path: &str| {
            let request = lambda_http::http::Request::get(path).body(lambda_http::Body::Empty).unwrap();
            in_time(until, router.clone(), request).await.unwrap()
        };
        assert_eq!(ask("/fast").await.status(), 200);
        let late = ask("/slow").await;
        assert_eq!(began.elapsed(), Duration::from_secs(8));
        let headers = late.headers();
        assert_eq!(
            (late.status().as_u16(), &headers[CONTENT_TYPE], &headers[RETRY_AFTER]),
            (503, &"application/problem+json".parse().unwrap(), &"1".parse().unwrap())
        );
    }
}
