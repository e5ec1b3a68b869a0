//! A function that was not told enough says what is missing, instead of failing at its first message.
//!
//! That there is a test here also makes cargo build the programs wherever it builds tests, so that the end-to-end
//! test finds them.

use std::process::Command;

#[test]
fn a_function_without_its_variables_names_the_first_that_is_missing() {
    for program in [
        env!("CARGO_BIN_EXE_orders-worker"),
        env!("CARGO_BIN_EXE_inventory-worker"),
        env!("CARGO_BIN_EXE_payments-worker"),
        env!("CARGO_BIN_EXE_catalog-worker"),
        env!("CARGO_BIN_EXE_oms-sweeper"),
        env!("CARGO_BIN_EXE_oms-log-sweeper"),
        env!("CARGO_BIN_EXE_pipe-dlq"),
    ] {
        let ended = Command::new(program).env_clear().output().expect("the program was built");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && said.contains("AWS_REGION is not set"), "{program}: {said}");
    }
}
