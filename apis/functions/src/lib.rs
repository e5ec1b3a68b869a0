//! The API as functions: requests of API Gateway in, answers of the same routers out.

mod xray;

use std::sync::Arc;
use std::time::Duration;

use apis::{Api, Environment};
use async_trait::async_trait;
use axum::Router;
use event_store::SystemStamper;
use event_store_dynamodb::deadline;
use functions::{Function, required};
use lambda_http::{Request, RequestExt};
use lambda_runtime::Error;
use tower::ServiceExt;
use views::Pause;

/// Answers requests with a router, for as long as the process lives.
///
/// # Errors
/// A variable that is missing, or a runtime that cannot be reached.
pub async fn serve(name: &'static str, router: fn(Arc<Api>) -> Router) -> Result<(), Error> {
    let function = Function::start(name)?;
    let store = Arc::new(function.store());
    let api = Api {
        log: store.clone(),
        orders: store.clone(),
        stock: store.clone(),
        catalog: store,
        pause: Arc::new(ByTheClock),
        stamper: Arc::new(SystemStamper::new(name)),
        environment: environment(&required("ENVIRONMENT")?)?,
    };
    let router = router(Arc::new(api));
    let function = &function;
    let answer = |mut request: Request| {
        let until = functions::deadline(&request.lambda_context());
        xray::continue_trace(request.headers_mut());
        function.invocation(deadline::until(until, router.clone().oneshot(request)))
    };
    lambda_http::run(lambda_http::service_fn(answer)).await
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
