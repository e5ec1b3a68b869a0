//! What is kept is what the code says.

use std::path::Path;

#[test]
fn the_documentation_of_the_events_is_what_the_code_and_the_templates_say() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("event-docs is a folder of the project");
    if let Err(error) = event_docs::check(root) {
        panic!("{error}");
    }
}
