//! The inventory worker as a function.

use lambda_runtime::Error;
use workers::Worker;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    worker_functions::work(Worker::Inventory).await
}
