//! `CloudFormation`'s intrinsic functions.

use serde_json::{Map, Value};

use super::error::TemplateError;

/// Where functions find what they name.
pub(super) trait Scope {
    /// What `Ref` gives; nothing for `AWS::NoValue`.
    fn reference(&self, name: &str, place: &str) -> Result<Option<Value>, TemplateError>;
    /// What `Fn::GetAtt` gives.
    fn attribute(&self, id: &str, attribute: &str, place: &str) -> Result<String, TemplateError>;
    /// Whether a condition holds.
    fn condition(&self, name: &str, place: &str) -> Result<bool, TemplateError>;
    /// The value of a key of `Mappings`.
    fn mapping(&self, map: &str, top: &str, second: &str) -> Option<&Value>;
}

/// The name and argument, if an object is a call of an intrinsic function.
pub(super) fn call(object: &Map<String, Value>) -> Option<(&str, &Value)> {
    let (name, argument) = object.iter().next().filter(|_| object.len() == 1)?;
    // `Condition: X` is a call within `Conditions` and a property elsewhere; no property read here is called so.
    (name == "Ref" || name == "Condition" || name.starts_with("Fn::")).then_some((name, argument))
}

/// Evaluates what stands at `place`. Nothing comes of `AWS::NoValue`.
pub(super) fn evaluate(scope: &dyn Scope, value: &Value, place: &str) -> Result<Option<Value>, TemplateError> {
    match value {
        Value::Object(object) => {
            if let Some((name, argument)) = call(object) {
                return evaluate_call(&Call { scope, name, place }, argument);
            }
            let mut result = Map::new();
            for (key, value) in object {
                if let Some(value) = evaluate(scope, value, &format!("{place}.{key}"))? {
                    result.insert(key.clone(), value);
                }
            }
            Ok(Some(Value::Object(result)))
        }
        Value::Array(items) => {
            let items = items.iter().map(|item| evaluate(scope, item, place)).filter_map(Result::transpose);
            Ok(Some(Value::Array(items.collect::<Result<_, _>>()?)))
        }
        other => Ok(Some(other.clone())),
    }
}

fn evaluate_call(call: &Call<'_>, argument: &Value) -> Result<Option<Value>, TemplateError> {
    let Call { scope, name, place } = *call;
    let value = match name {
        "Ref" => return scope.reference(call.literal(argument)?, place),
        "Condition" => scope.condition(call.literal(argument)?, place)?.into(),
        "Fn::GetAtt" => call.get_att(argument)?,
        "Fn::Sub" => call.sub(argument)?,
        "Fn::If" => return call.choose(argument),
        "Fn::Join" => call.join(argument)?,
        "Fn::Split" => {
            let [separator, text] = call.arguments(argument)?;
            call.text(text)?.split(call.literal(separator)?).map(Value::from).collect()
        }
        "Fn::Select" => {
            let [index, list] = call.arguments(argument)?;
            let index: usize = call.text(index)?.parse().map_err(|_| call.wrong())?;
            call.list(list)?.get(index).cloned().ok_or_else(|| call.error("has no element of that number"))?
        }
        "Fn::FindInMap" => {
            let [map, top, second] = call.arguments(argument)?;
            let (map, top, second) = (call.text(map)?, call.text(top)?, call.text(second)?);
            let found = scope.mapping(&map, &top, &second);
            found.cloned().ok_or_else(|| call.error(&format!("there is no {map}.{top}.{second} in Mappings")))?
        }
        "Fn::Equals" => {
            let [left, right] = call.arguments(argument)?;
            (call.text(left)? == call.text(right)?).into()
        }
        "Fn::Not" => {
            let [condition] = call.arguments(argument)?;
            (!call.holds(condition)?).into()
        }
        "Fn::And" | "Fn::Or" => {
            let conditions = argument.as_array().ok_or_else(|| call.wrong())?;
            let holds = conditions.iter().map(|c| call.holds(c)).collect::<Result<Vec<_>, _>>()?;
            if name == "Fn::And" { holds.iter().all(|h| *h) } else { holds.iter().any(|h| *h) }.into()
        }
        _ => return Err(call.error("is not known to the local system")),
    };
    Ok(Some(value))
}

/// A scalar as text, which is how `CloudFormation` compares and joins.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(value) => Some(value.to_string()),
        _ => None,
    }
}

struct Call<'a> {
    scope: &'a dyn Scope,
    name: &'a str,
    place: &'a str,
}

impl Call<'_> {
    fn error(&self, problem: &str) -> TemplateError {
        TemplateError::new(self.place, format!("{} {problem}", self.name))
    }

    fn wrong(&self) -> TemplateError {
        self.error("has the wrong arguments")
    }

    fn literal<'v>(&self, value: &'v Value) -> Result<&'v str, TemplateError> {
        value.as_str().ok_or_else(|| self.wrong())
    }

    fn arguments<'v, const N: usize>(&self, argument: &'v Value) -> Result<&'v [Value; N], TemplateError> {
        argument.as_array().and_then(|list| list.as_slice().try_into().ok()).ok_or_else(|| self.wrong())
    }

    fn value(&self, value: &Value) -> Result<Value, TemplateError> {
        evaluate(self.scope, value, self.place)?.ok_or_else(|| self.wrong())
    }

    fn text(&self, value: &Value) -> Result<String, TemplateError> {
        text(&self.value(value)?).ok_or_else(|| self.wrong())
    }

    fn list(&self, value: &Value) -> Result<Vec<Value>, TemplateError> {
        match self.value(value)? {
            Value::Array(items) => Ok(items),
            _ => Err(self.wrong()),
        }
    }

    fn holds(&self, condition: &Value) -> Result<bool, TemplateError> {
        self.value(condition)?.as_bool().ok_or_else(|| self.wrong())
    }

    fn get_att(&self, argument: &Value) -> Result<Value, TemplateError> {
        let [id, attribute] = self.arguments(argument)?;
        Ok(self.scope.attribute(self.literal(id)?, &self.text(attribute)?, self.place)?.into())
    }

    fn choose(&self, argument: &Value) -> Result<Option<Value>, TemplateError> {
        let [condition, yes, no] = self.arguments(argument)?;
        let holds = self.scope.condition(self.literal(condition)?, self.place)?;
        evaluate(self.scope, if holds { yes } else { no }, self.place)
    }

    fn join(&self, argument: &Value) -> Result<Value, TemplateError> {
        let [separator, list] = self.arguments(argument)?;
        let items = self.list(list)?;
        let items = items.iter().map(|item| text(item).ok_or_else(|| self.wrong())).collect::<Result<Vec<_>, _>>()?;
        Ok(items.join(self.literal(separator)?).into())
    }

    /// `"…${Name}…${Resource.Attribute}…${!Literal}…"`, alone or with a map of names.
    fn sub(&self, argument: &Value) -> Result<Value, TemplateError> {
        let (template, names) = match argument {
            Value::Array(list) => match list.as_slice() {
                [template, Value::Object(names)] => (template, Some(names)),
                _ => return Err(self.wrong()),
            },
            template => (template, None),
        };
        let mut rest = self.literal(template)?;
        let mut result = String::new();
        while let Some((before, after)) = rest.split_once("${") {
            let (name, after) = after.split_once('}').ok_or_else(|| self.error("has a ${ without }"))?;
            result.push_str(before);
            let value = match (name.strip_prefix('!'), names.and_then(|names| names.get(name.trim()))) {
                (Some(literal), _) => format!("${{{literal}}}"),
                (None, Some(value)) => self.text(value)?,
                (None, None) => self.named(name.trim())?,
            };
            result.push_str(&value);
            rest = after;
        }
        Ok((result + rest).into())
    }

    fn named(&self, name: &str) -> Result<String, TemplateError> {
        if let Some((id, attribute)) = name.split_once('.') {
            return self.scope.attribute(id, attribute, self.place);
        }
        let value = self.scope.reference(name, self.place)?;
        value.as_ref().and_then(text).ok_or_else(|| self.error(&format!("cannot put {name} into a text")))
    }
}
