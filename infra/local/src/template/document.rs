//! A template with its parameters and conditions, and the evaluation of what its properties say.

use std::{cell::RefCell, collections::BTreeMap};

use serde_json::Value;

use super::{
    arn::{ACCOUNT, REGION, function_arn, secret_arn},
    error::TemplateError,
    intrinsic::{self, Scope},
    spelling::Spelling,
    yaml,
};

const STACK: &str = "livefold";

/// A parsed template.
pub(super) struct Document {
    root: Value,
    parameters: BTreeMap<String, Value>,
    spelling: RefCell<Spelling>,
}

impl Document {
    /// Parses `text`; `given` are the values of parameters that the local system sets itself.
    pub(super) fn parse(text: &str, given: &[(&str, &str)]) -> Result<Self, TemplateError> {
        let root = yaml::parse(text)?;
        if !root["Resources"].is_object() {
            return Err(TemplateError::new("Resources", "is missing"));
        }
        let mut parameters = BTreeMap::new();
        for (name, parameter) in entries(&root["Parameters"]) {
            let given = given.iter().find(|(given, _)| given == name).map(|(_, value)| Value::from(*value));
            let Some(value) = given.or_else(|| parameter.get("Default").cloned()) else { continue };
            let is_list = parameter["Type"] == "CommaDelimitedList";
            let value = match value.as_str() {
                Some(text) if is_list => text.split(',').map(|item| Value::from(item.trim())).collect(),
                _ => value,
            };
            parameters.insert(name.clone(), value);
        }
        Ok(Self { root, parameters, spelling: RefCell::default() })
    }

    /// The resources of a type whose condition holds: their logical ids, and their properties with what `Globals` says.
    pub(super) fn resources(&self, kind: &str) -> Result<Vec<(&str, Value)>, TemplateError> {
        let types = entries(&self.root["Resources"]).filter_map(|(_, resource)| resource["Type"].as_str());
        self.spelling.borrow_mut().seek("Resources", kind, types);
        let mut resources = Vec::new();
        for (id, resource) in entries(&self.root["Resources"]) {
            if resource["Type"] == kind && self.exists(id, resource)? {
                resources.push((id.as_str(), self.with_globals(kind, &resource["Properties"])));
            }
        }
        Ok(resources)
    }

    fn exists(&self, id: &str, resource: &Value) -> Result<bool, TemplateError> {
        resource["Condition"].as_str().map_or(Ok(true), |condition| self.condition(condition, id))
    }

    /// A resource's metadata, as it is written.
    pub(super) fn metadata(&self, id: &str) -> &Value {
        &self.root["Resources"][id]["Metadata"]
    }

    /// What `Globals` says for resources of this type, under what the resource says itself.
    fn with_globals(&self, kind: &str, properties: &Value) -> Value {
        let section = kind.strip_prefix("AWS::Serverless::").unwrap_or_default();
        merge(&self.root["Globals"][section], properties)
    }

    /// Evaluates what stands at `place`. Nothing comes of `AWS::NoValue`.
    pub(super) fn evaluate(&self, value: &Value, place: &str) -> Result<Option<Value>, TemplateError> {
        intrinsic::evaluate(self, value, place)
    }

    /// A property is looked for at a place with these properties.
    pub(super) fn seek(&self, place: &str, property: &str, there: &Value) {
        self.spelling.borrow_mut().seek(place, property, entries(there).map(|(name, _)| name.as_str()));
    }

    /// Fails for what is nearly the name of something that has been looked for.
    pub(super) fn check_spelling(&self) -> Result<(), TemplateError> {
        self.spelling.borrow().check()
    }

    /// The sections by their names.
    pub(super) fn sections(&self) -> impl Iterator<Item = (&String, &Value)> {
        entries(&self.root)
    }

    /// Whether there is such a parameter, with a value or without.
    pub(super) fn has_parameter(&self, name: &str) -> bool {
        self.root["Parameters"].get(name).is_some()
    }

    /// Whether there is such a resource, in the template or made by SAM, whatever its condition.
    pub(super) fn has_resource(&self, id: &str) -> bool {
        self.find_owner(id).is_some()
    }

    /// Whether there is such a condition.
    pub(super) fn has_condition(&self, name: &str) -> bool {
        self.root["Conditions"].get(name).is_some()
    }

    fn parameter_or_resource(&self, name: &str, place: &str) -> Result<Value, TemplateError> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        if self.has_parameter(name) {
            return Err(TemplateError::new(
                &format!("Parameters.{name}"),
                "has no default, and the local system gives it no value",
            ));
        }
        Ok(self.physical_id(self.owner(name, place)?, name)?.into())
    }

    fn find_owner(&self, id: &str) -> Option<(&String, &Value)> {
        let candidates = entries(&self.root["Resources"]).filter(|(owner, resource)| {
            owner.as_str() == id
                || resource["Type"].as_str().is_some_and(|t| t.starts_with("AWS::Serverless::"))
                    && id.starts_with(owner.as_str())
        });
        candidates.max_by_key(|(owner, _)| owner.len())
    }

    /// The resource that `id` names: itself, or the one that SAM makes it from (`IngestRole`, `SocketApiPingRoute`).
    fn owner<'a>(&'a self, id: &str, place: &str) -> Result<&'a str, TemplateError> {
        let Some((owner, resource)) = self.find_owner(id) else {
            return Err(TemplateError::new(place, format!("there is no parameter or resource {id}")));
        };
        if !self.exists(owner, resource)? {
            let condition = resource["Condition"].as_str().unwrap_or_default();
            return Err(TemplateError::new(
                place,
                format!("there is no {id}, as its condition {condition} does not hold"),
            ));
        }
        Ok(owner)
    }

    /// The name of a resource in the running system.
    fn physical_id(&self, owner: &str, id: &str) -> Result<String, TemplateError> {
        if owner != id {
            return Ok(id.to_owned());
        }
        let resource = &self.root["Resources"][owner];
        let named = |property: &str| -> Result<Option<String>, TemplateError> {
            let place = format!("{owner}.{property}");
            let Some(value) = resource["Properties"].get(property) else { return Ok(None) };
            Ok(self.evaluate(value, &place)?.and_then(|v| intrinsic::text(&v)))
        };
        Ok(match resource["Type"].as_str().unwrap_or_default() {
            // Without a name of its own a function is called after its binary, which is how people know it.
            "AWS::Serverless::Function" => match named("FunctionName")? {
                Some(name) => name,
                None => self.metadata(owner)["BuildProperties"]["Binary"].as_str().unwrap_or(owner).to_owned(),
            },
            "AWS::DynamoDB::Table" => named("TableName")?.unwrap_or_else(|| owner.to_owned()),
            "AWS::SecretsManager::Secret" => secret_arn(&named("Name")?.unwrap_or_else(|| owner.to_owned())),
            // The id of an API is part of a host name.
            "AWS::Serverless::WebSocketApi" | "AWS::Serverless::HttpApi" => owner.to_lowercase(),
            _ => owner.to_owned(),
        })
    }
}

impl Scope for Document {
    /// Whether a condition of `Conditions` holds.
    fn condition(&self, name: &str, place: &str) -> Result<bool, TemplateError> {
        let Some(condition) = self.root["Conditions"].get(name) else {
            return Err(TemplateError::new(place, format!("there is no condition {name}")));
        };
        let holds = self.evaluate(condition, &format!("Conditions.{name}"))?;
        holds
            .and_then(|v| v.as_bool())
            .ok_or_else(|| TemplateError::new(&format!("Conditions.{name}"), "is no condition"))
    }

    /// The value of a key of `Mappings`.
    fn mapping(&self, map: &str, top: &str, second: &str) -> Option<&Value> {
        self.root["Mappings"].get(map)?.get(top)?.get(second)
    }

    /// What `Ref` gives.
    fn reference(&self, name: &str, place: &str) -> Result<Option<Value>, TemplateError> {
        let value = match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::Region" => REGION.into(),
            "AWS::AccountId" => ACCOUNT.into(),
            "AWS::Partition" => "aws".into(),
            "AWS::StackName" => STACK.into(),
            "AWS::StackId" => format!("arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/{STACK}/local").into(),
            "AWS::URLSuffix" => "amazonaws.com".into(),
            "AWS::NotificationARNs" => Value::Array(Vec::new()),
            _ => return self.parameter_or_resource(name, place).map(Some),
        };
        Ok(Some(value))
    }

    /// What `Fn::GetAtt` gives. Only attributes that functions are told of matter here; others are a name.
    fn attribute(&self, id: &str, attribute: &str, place: &str) -> Result<String, TemplateError> {
        let owner = self.owner(id, place)?;
        let name = self.physical_id(owner, id)?;
        Ok(match (self.root["Resources"][owner]["Type"].as_str().unwrap_or_default(), attribute) {
            ("AWS::Serverless::Function", "Arn") if owner == id => function_arn(&name),
            ("AWS::DynamoDB::Table", "Arn") => format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}"),
            ("AWS::SecretsManager::Secret", "Id") => name,
            _ => format!("{name}.{attribute}"),
        })
    }
}

fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// As SAM merges `Globals`: objects key by key, lists one after the other, and what the resource says wins.
fn merge(global: &Value, own: &Value) -> Value {
    match (global, own) {
        (Value::Object(global), Value::Object(own))
            if intrinsic::call(global).is_none() && intrinsic::call(own).is_none() =>
        {
            let mut merged = global.clone();
            for (key, value) in own {
                let value = merged.get(key).map_or_else(|| value.clone(), |global| merge(global, value));
                merged.insert(key.clone(), value);
            }
            Value::Object(merged)
        }
        (Value::Array(global), Value::Array(own)) => global.iter().chain(own).cloned().collect(),
        (global, Value::Null) => global.clone(),
        (_, own) => own.clone(),
    }
}
