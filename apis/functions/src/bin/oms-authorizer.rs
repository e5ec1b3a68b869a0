//! A function that says who asks the API of OMS.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    api_functions::authorize("oms-authorizer").await
}
