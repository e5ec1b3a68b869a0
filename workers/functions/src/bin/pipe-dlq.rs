//! A function that carries what the pipe gave up on.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    worker_functions::carry_again().await
}
