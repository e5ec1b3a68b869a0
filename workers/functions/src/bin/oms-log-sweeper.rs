//! The log sweeper as a function: finds what stands still and has no row.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    worker_functions::sweep_log().await
}
