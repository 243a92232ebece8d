//! `CloudFormation`'s YAML: short tags (`!Ref X`) become long forms (`{"Ref": "X"}`), so that only one form is evaluated.

use serde_json::{Map, Value};
use serde_yaml_ng::Value as Yaml;

use super::error::TemplateError;

/// Reads a template's text.
pub(super) fn parse(text: &str) -> Result<Value, TemplateError> {
    let yaml: Yaml = serde_yaml_ng::from_str(text).map_err(|e| TemplateError::new("the file", e.to_string()))?;
    long_form(yaml, "")
}

fn long_form(yaml: Yaml, place: &str) -> Result<Value, TemplateError> {
    Ok(match yaml {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::Bool(value),
        Yaml::String(text) => Value::String(text),
        Yaml::Number(number) => serde_json::to_value(number)
            .map_err(|_| TemplateError::new(place, "is a number that JSON does not have"))?,
        Yaml::Sequence(items) => {
            Value::Array(items.into_iter().map(|item| long_form(item, place)).collect::<Result<_, _>>()?)
        }
        Yaml::Mapping(entries) => {
            let mut object = Map::new();
            for (key, value) in entries {
                let key = match key {
                    Yaml::String(key) => key,
                    other => scalar(&other).ok_or_else(|| TemplateError::new(place, "has a key that is no text"))?,
                };
                let inner = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
                object.insert(key, long_form(value, &inner)?);
            }
            Value::Object(object)
        }
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = tag.trim_start_matches('!');
            let key = match name {
                "Ref" | "Condition" => name.to_owned(),
                _ => format!("Fn::{name}"),
            };
            let mut argument = long_form(tagged.value, place)?;
            // `!GetAtt A.B` is short for `Fn::GetAtt: [A, B]`; the attribute may hold dots itself.
            if let ("GetAtt", Value::String(text)) = (name, &argument) {
                argument =
                    text.split_once('.').map_or(Value::Null, |(id, attribute)| serde_json::json!([id, attribute]));
            }
            Value::Object(Map::from_iter([(key, argument)]))
        }
    })
}

fn scalar(yaml: &Yaml) -> Option<String> {
    match yaml {
        Yaml::Bool(value) => Some(value.to_string()),
        Yaml::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn short_tags_become_long_forms() {
        let value =
            parse("a: !Ref X\nb: !GetAtt T.Arn\nc: !If [C, !Sub 'x-${Y}', 1]\nd: {Condition: !Condition C}").unwrap();
        let expected = json!({
            "a": {"Ref": "X"},
            "b": {"Fn::GetAtt": ["T", "Arn"]},
            "c": {"Fn::If": ["C", {"Fn::Sub": "x-${Y}"}, 1]},
            "d": {"Condition": {"Condition": "C"}},
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn text_that_is_no_yaml_is_one_line() {
        let error = parse("a: [").unwrap_err().to_string();
        assert!(error.starts_with("template.yaml, the file: "), "{error}");
        assert!(!error.contains('\n'), "{error}");
    }
}
