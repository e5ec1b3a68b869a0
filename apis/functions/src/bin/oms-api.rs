//! A function that serves the routes of orders, customers and products.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    api_functions::serve("oms-api", apis::oms_router).await
}
