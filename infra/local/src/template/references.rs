//! Whether all that a template refers to is there: also in what the local system does not run.

use serde_json::{Map, Value};

use super::{document::Document, error::TemplateError};

/// The sections of a template.
const SECTIONS: [&str; 11] = [
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Globals",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
    "Transform",
];

/// `CloudFormation`'s functions, without `Ref` and `Condition`.
const FUNCTIONS: [&str; 25] = [
    "And",
    "Base64",
    "Cidr",
    "Contains",
    "EachMemberEquals",
    "EachMemberIn",
    "Equals",
    "FindInMap",
    "GetAZs",
    "GetAtt",
    "If",
    "ImportValue",
    "Join",
    "Length",
    "Not",
    "Or",
    "RefAll",
    "Select",
    "Split",
    "Sub",
    "ToJsonString",
    "Transform",
    "ValueOf",
    "ValueOfAll",
    "ForEach",
];

/// Names that `CloudFormation` gives a value itself.
const PSEUDO_PARAMETERS: [&str; 8] = [
    "AWS::AccountId",
    "AWS::NoValue",
    "AWS::NotificationARNs",
    "AWS::Partition",
    "AWS::Region",
    "AWS::StackId",
    "AWS::StackName",
    "AWS::URLSuffix",
];

/// Fails at the first section, function or name that does not exist.
pub(super) fn check(document: &Document) -> Result<(), TemplateError> {
    for (section, value) in document.sections() {
        if !SECTIONS.contains(&section.as_str()) {
            return Err(TemplateError::new(section, "is no section of a template"));
        }
        check_value(document, value, section)?;
    }
    Ok(())
}

fn check_value(document: &Document, value: &Value, place: &str) -> Result<(), TemplateError> {
    match value {
        Value::Object(object) => {
            if let Some((name, argument)) = object.iter().next().filter(|_| object.len() == 1) {
                check_call(document, name, argument, place)?;
            }
            object.iter().try_for_each(|(key, value)| {
                let is_call = key.starts_with("Fn::");
                let inner = if is_call { place.to_owned() } else { format!("{place}.{key}") };
                check_value(document, value, &inner)
            })
        }
        Value::Array(items) => items.iter().try_for_each(|item| check_value(document, item, place)),
        _ => Ok(()),
    }
}

fn check_call(document: &Document, name: &str, argument: &Value, place: &str) -> Result<(), TemplateError> {
    let resource = |id: &str| exists(document.has_resource(id), place, &format!("resource {id}"));
    match (name, argument) {
        ("Ref", Value::String(name)) => {
            exists(is_named(document, name), place, &format!("parameter or resource {name}"))
        }
        ("Condition", Value::String(name)) => exists(document.has_condition(name), place, &format!("condition {name}")),
        ("Fn::If", Value::Array(arguments)) => match arguments.first() {
            Some(Value::String(name)) => exists(document.has_condition(name), place, &format!("condition {name}")),
            _ => Ok(()),
        },
        ("Fn::GetAtt", Value::Array(arguments)) => arguments.first().and_then(Value::as_str).map_or(Ok(()), resource),
        ("Fn::Sub", Value::String(template)) => check_substitution(document, template, &Map::new(), place),
        ("Fn::Sub", Value::Array(arguments)) => match arguments.as_slice() {
            [Value::String(template), Value::Object(names)] => check_substitution(document, template, names, place),
            _ => Ok(()),
        },
        (name, _) => match name.strip_prefix("Fn::") {
            // `Fn::ForEach::Name` has a name of its own behind it.
            Some(function) if !FUNCTIONS.contains(&function.split("::").next().unwrap_or_default()) => {
                Err(TemplateError::new(place, format!("!{function} is no function of CloudFormation")))
            }
            _ => Ok(()),
        },
    }
}

/// `${Name}` and `${Resource.Attribute}`; `${!Literal}` names nothing.
fn check_substitution(
    document: &Document,
    template: &str,
    names: &Map<String, Value>,
    place: &str,
) -> Result<(), TemplateError> {
    for part in template.split("${").skip(1) {
        let name = part.split('}').next().unwrap_or_default().trim();
        let (id, attribute) = name.split_once('.').unwrap_or((name, ""));
        let is_there = name.starts_with('!')
            || names.contains_key(name)
            || if attribute.is_empty() { is_named(document, id) } else { document.has_resource(id) };
        exists(is_there, place, &format!("parameter or resource {name}"))?;
    }
    Ok(())
}

fn is_named(document: &Document, name: &str) -> bool {
    PSEUDO_PARAMETERS.contains(&name) || document.has_parameter(name) || document.has_resource(name)
}

fn exists(is_there: bool, place: &str, what: &str) -> Result<(), TemplateError> {
    if is_there { Ok(()) } else { Err(TemplateError::new(place, format!("there is no {what}"))) }
}
