//! A function that serves the routes of stock.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    api_functions::serve("ims-api", apis::ims_router).await
}
