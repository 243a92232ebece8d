//! `AWS::Serverless::Function`.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use super::{
    arn::function_name,
    document::Document,
    error::TemplateError,
    intrinsic::{self, Scope as _},
    node::Node,
};

/// Lambda's default.
const TIMEOUT_SECONDS: u64 = 3;

/// Lambda's default.
const MEMORY_MB: u32 = 128;

/// How often Lambda tries an asynchronous invocation again, unless told otherwise.
const RETRIES: u32 = 2;

/// A function as it is to be run.
#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// The cargo binary that it is made from.
    pub(crate) binary: String,
    pub(crate) handler: String,
    pub(crate) timeout: Duration,
    pub(crate) memory_mb: u32,
    pub(crate) environment: BTreeMap<String, String>,
    /// How often a failed asynchronous invocation is tried again.
    pub(crate) retries: u32,
}

/// An event of a function.
pub(super) struct Event<'a> {
    pub(super) function: String,
    pub(super) properties: Node<'a>,
}

/// Types of events that have a reader.
const KNOWN_EVENTS: [&str; 3] = ["HttpApi", "MSK", "ScheduleV2"];

pub(super) fn read(document: &Document) -> Result<Vec<Function>, TemplateError> {
    Node::all(document, "AWS::Serverless::Function")?.iter().map(|node| function(document, node)).collect()
}

fn function(document: &Document, node: &Node) -> Result<Function, TemplateError> {
    let binary = match document.metadata(node.place())["BuildProperties"]["Binary"].as_str() {
        Some(binary) => binary.to_owned(),
        // Without `Binary` cargo-lambda builds the package in the folder.
        None => node.required("CodeUri", Node::text)?.rsplit('/').next().unwrap_or_default().to_owned(),
    };
    let mut environment = BTreeMap::new();
    if let Some(node) = node.node("Environment")?
        && let Some(Value::Object(variables)) = node.value("Variables")?
    {
        for (name, value) in variables {
            let text = intrinsic::text(&value);
            environment
                .insert(name.clone(), text.ok_or_else(|| node.error(&format!("Variables.{name}"), "is no text"))?);
        }
    }
    let retries = match node.node("EventInvokeConfig")? {
        Some(config) => config.number("MaximumRetryAttempts")?,
        None => None,
    };
    Ok(Function {
        name: name(document, node)?,
        binary,
        handler: node.text("Handler")?.unwrap_or_else(|| "bootstrap".to_owned()),
        timeout: Duration::from_secs(node.number("Timeout")?.unwrap_or(TIMEOUT_SECONDS)),
        memory_mb: node.number("MemorySize")?.unwrap_or(MEMORY_MB),
        environment,
        retries: retries.unwrap_or(RETRIES),
    })
}

fn name(document: &Document, node: &Node) -> Result<String, TemplateError> {
    let arn = document.attribute(node.place(), "Arn", node.place())?;
    Ok(function_name(&arn).to_owned())
}

/// The events of all functions that are of a type.
pub(super) fn events<'a>(document: &'a Document, kind: &str) -> Result<Vec<Event<'a>>, TemplateError> {
    let mut events = Vec::new();
    for node in Node::all(document, "AWS::Serverless::Function")? {
        for (_, event) in node.nodes("Events")? {
            let event_kind = event.required("Type", Node::text)?;
            if !KNOWN_EVENTS.contains(&event_kind.as_str()) {
                return Err(event.error("Type", format!("{event_kind} is not known to the local system")));
            }
            if event_kind == kind {
                let properties = event.required("Properties", Node::node)?;
                events.push(Event { function: name(document, &node)?, properties });
            }
        }
    }
    Ok(events)
}
