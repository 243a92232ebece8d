//! One resource (or part of one) whose properties are evaluated as they are read.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{document::Document, error::TemplateError, intrinsic};

/// Properties at a place of the template. What is never read is never evaluated, so that the local system need not know
/// all that AWS does.
pub(super) struct Node<'a> {
    document: &'a Document,
    place: String,
    properties: Value,
}

impl<'a> Node<'a> {
    fn new(document: &'a Document, place: &str, properties: Value) -> Self {
        Self { document, place: place.to_owned(), properties }
    }

    /// The resources of a type whose condition holds.
    pub(super) fn all(document: &'a Document, kind: &str) -> Result<Vec<Self>, TemplateError> {
        let resources = document.resources(kind)?.into_iter();
        Ok(resources.map(|(id, properties)| Self::new(document, id, properties)).collect())
    }

    /// The resource of a type that there may be one of.
    pub(super) fn only(document: &'a Document, kind: &str) -> Result<Option<Self>, TemplateError> {
        let mut nodes = Self::all(document, kind)?;
        match nodes.pop() {
            Some(node) if !nodes.is_empty() => {
                Err(node.error("Type", format!("the local system runs one {kind} only")))
            }
            node => Ok(node),
        }
    }

    /// The resource's logical id and, within it, the path.
    pub(super) fn place(&self) -> &str {
        &self.place
    }

    /// What is wrong with a property.
    pub(super) fn error(&self, property: &str, problem: impl Into<String>) -> TemplateError {
        TemplateError::new(&format!("{}.{property}", self.place), problem)
    }

    fn get(&self, property: &str) -> Option<&Value> {
        self.document.seek(&self.place, property, &self.properties);
        self.properties.get(property)
    }

    /// A property's value, if it has one.
    pub(super) fn value(&self, property: &str) -> Result<Option<Value>, TemplateError> {
        let Some(value) = self.get(property) else { return Ok(None) };
        self.document.evaluate(value, &format!("{}.{property}", self.place))
    }

    /// A property that has to be there.
    pub(super) fn required<T>(
        &self,
        property: &str,
        read: impl FnOnce(&Self, &str) -> Result<Option<T>, TemplateError>,
    ) -> Result<T, TemplateError> {
        read(self, property)?.ok_or_else(|| self.error(property, "is missing"))
    }

    /// A property that is a text; numbers and truth values are texts to `CloudFormation`.
    pub(super) fn text(&self, property: &str) -> Result<Option<String>, TemplateError> {
        let Some(value) = self.value(property)? else { return Ok(None) };
        intrinsic::text(&value).map(Some).ok_or_else(|| self.error(property, "is no text"))
    }

    /// A property that is a number.
    pub(super) fn number<N: std::str::FromStr>(&self, property: &str) -> Result<Option<N>, TemplateError> {
        let Some(text) = self.text(property)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.error(property, "is no such number"))
    }

    /// A property that is true or false.
    pub(super) fn flag(&self, property: &str) -> Result<Option<bool>, TemplateError> {
        let Some(text) = self.text(property)? else { return Ok(None) };
        text.parse().map(Some).map_err(|_| self.error(property, "is neither true nor false"))
    }

    /// A property that is a list of texts.
    pub(super) fn texts(&self, property: &str) -> Result<Option<Vec<String>>, TemplateError> {
        let Some(value) = self.value(property)? else { return Ok(None) };
        let texts = value.as_array().and_then(|items| items.iter().map(intrinsic::text).collect());
        texts.map(Some).ok_or_else(|| self.error(property, "is no list of texts"))
    }

    /// A property that is an object, to be read in turn.
    pub(super) fn node(&self, property: &str) -> Result<Option<Node<'a>>, TemplateError> {
        let Some(value) = self.get(property) else { return Ok(None) };
        let place = format!("{}.{property}", self.place);
        // An `If` around the whole object is evaluated here, what is inside it later.
        let is_call = value.as_object().is_some_and(|object| intrinsic::call(object).is_some());
        let value = if is_call { self.document.evaluate(value, &place)? } else { Some(value.clone()) };
        match value {
            None => Ok(None),
            Some(value) if value.is_object() => Ok(Some(Node::new(self.document, &place, value))),
            Some(_) => Err(TemplateError::new(&place, "is no object")),
        }
    }

    /// A property that is an object of objects, by their names.
    pub(super) fn nodes(&self, property: &str) -> Result<BTreeMap<String, Node<'a>>, TemplateError> {
        let Some(parent) = self.node(property)? else { return Ok(BTreeMap::new()) };
        let names = parent.properties.as_object().into_iter().flatten().map(|(name, _)| name);
        // Names of one's own choice, which may well be near each other.
        names.filter_map(|name| parent.node(name).map(|n| n.map(|n| (name.clone(), n))).transpose()).collect()
    }
}
