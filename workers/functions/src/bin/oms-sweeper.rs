//! The sweeper as a function: finds orders that stand still.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    worker_functions::sweep().await
}
