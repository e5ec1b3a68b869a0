//! Reads a template once, where there is time for YAML, so that the function that needs it starts with JSON.

use std::path::Path;
use std::{env, fs};

use topology::Source;

const TEMPLATE: &str = "../../template-oms.yaml";

#[allow(clippy::disallowed_methods, reason = "cargo says by the environment where a build script writes")]
fn main() {
    println!("cargo::rerun-if-changed={TEMPLATE}");
    let text = fs::read_to_string(TEMPLATE).expect("the template stands beside the workspace's folders");
    let document = Source { name: TEMPLATE, text: &text }.document().expect("the templates are tested");
    let folder = env::var("OUT_DIR").expect("cargo says where");
    fs::write(Path::new(&folder).join("template-oms.json"), document.to_string())
        .expect("cargo made the folder");
}
