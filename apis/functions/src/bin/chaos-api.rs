//! A function that serves the routes that forge events.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    api_functions::serve("chaos-api", apis::chaos_router).await
}
