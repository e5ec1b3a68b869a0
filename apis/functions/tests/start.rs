//! A function that was not told enough says what is missing, instead of failing at its first request.
//!
//! That there is a test here also makes cargo build the programs wherever it builds tests, so that the end-to-end
//! test finds them.

use std::process::Command;

#[test]
fn a_function_without_its_variables_names_the_first_that_is_missing() {
    for program in [
        env!("CARGO_BIN_EXE_oms-api"),
        env!("CARGO_BIN_EXE_ims-api"),
        env!("CARGO_BIN_EXE_chaos-api"),
        env!("CARGO_BIN_EXE_oms-authorizer"),
        env!("CARGO_BIN_EXE_ims-authorizer"),
    ] {
        let ended = Command::new(program).env_clear().output().expect("the program was built");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && said.contains("AWS_REGION is not set"), "{program}: {said}");
    }
}
