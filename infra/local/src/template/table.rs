//! `AWS::DynamoDB::Table`.

use super::{document::Document, error::TemplateError, intrinsic::Scope as _, node::Node};

/// A table to be made.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// Partition key first, then the sort key, if there is one.
    pub(crate) keys: Vec<Key>,
    /// The attribute that says when an item expires.
    pub(crate) ttl: Option<String>,
}

/// A key attribute.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) name: String,
    /// `S`, `N` or `B`.
    pub(crate) kind: String,
}

pub(super) fn read(document: &Document) -> Result<Vec<Table>, TemplateError> {
    Node::all(document, "AWS::DynamoDB::Table")?.iter().map(|node| table(document, node)).collect()
}

fn table(document: &Document, node: &Node) -> Result<Table, TemplateError> {
    for property in ["GlobalSecondaryIndexes", "LocalSecondaryIndexes", "StreamSpecification"] {
        if node.value(property)?.is_some() {
            return Err(node.error(property, "is not known to the local system"));
        }
    }
    let arn = document.attribute(node.place(), "Arn", node.place())?;
    let name = arn.rsplit('/').next().unwrap_or_default().to_owned();
    let definitions = node.required("AttributeDefinitions", Node::value)?;
    let schema = node.required("KeySchema", Node::value)?;
    let mut keys = Vec::new();
    for role in ["HASH", "RANGE"] {
        let Some(key) = items(&schema).find(|key| key["KeyType"] == role) else { continue };
        let Some(name) = key["AttributeName"].as_str() else {
            return Err(node.error("KeySchema", "has a key without a name"));
        };
        let definition = items(&definitions).find(|definition| definition["AttributeName"] == name);
        let kind = definition.and_then(|d| d["AttributeType"].as_str()).filter(|kind| ["S", "N", "B"].contains(kind));
        let kind =
            kind.ok_or_else(|| node.error("AttributeDefinitions", format!("has no type of S, N or B for {name}")))?;
        keys.push(Key { name: name.to_owned(), kind: kind.to_owned() });
    }
    if keys.is_empty() {
        return Err(node.error("KeySchema", "has no HASH key"));
    }
    let ttl = match node.node("TimeToLiveSpecification")? {
        Some(ttl) if ttl.flag("Enabled")? == Some(true) => Some(ttl.required("AttributeName", Node::text)?),
        _ => None,
    };
    Ok(Table { name, keys, ttl })
}

fn items(value: &serde_json::Value) -> impl Iterator<Item = &serde_json::Value> {
    value.as_array().into_iter().flatten()
}
