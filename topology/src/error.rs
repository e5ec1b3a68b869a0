//! What can be wrong with a pair of templates.

/// Why no topology could be made of the templates.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TopologyError {
    /// The text of a template is not the YAML that CloudFormation takes.
    #[error("failed to read {template}, line {line}, column {column}: {problem}")]
    Yaml {
        /// Name of the template.
        template: String,
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Something in a template outside of its resources is wrong.
    #[error("failed to understand {template}: {section}: {problem}")]
    Template {
        /// Name of the template.
        template: String,
        /// Where in the template, such as `Parameters.Environment`.
        section: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// A resource is wrong, or asks for something this system does not do.
    #[error("failed to understand {template}: resource {resource}, property {property}: {problem}")]
    Resource {
        /// Name of the template.
        template: String,
        /// Logical id of the resource.
        resource: String,
        /// Path of the property, such as `Targets.0.Arn`.
        property: String,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The templates are fine one by one but do not make a whole.
    #[error("failed to wire the templates together: {0}")]
    Wiring(String),
}
