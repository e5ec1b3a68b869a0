//! A function that says who asks the API of IMS.

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    api_functions::authorize("ims-authorizer").await
}
