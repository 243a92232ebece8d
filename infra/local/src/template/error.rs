//! What is wrong with a template, in one line.

/// A template that the local system cannot run. It names the resource and the property.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("template.yaml, {place}: {problem}")]
pub(crate) struct TemplateError {
    place: String,
    problem: String,
}

impl TemplateError {
    pub(super) fn new(place: &str, problem: impl Into<String>) -> Self {
        Self { place: place.to_owned(), problem: problem.into() }
    }
}
