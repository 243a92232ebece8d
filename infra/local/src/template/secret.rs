//! `AWS::SecretsManager::Secret`.

use super::{arn::secret_arn, document::Document, error::TemplateError, node::Node};

/// The secret that tokens are signed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Secret {
    pub(crate) name: String,
    pub(crate) arn: String,
}

pub(super) fn read(document: &Document) -> Result<Option<Secret>, TemplateError> {
    let Some(node) = Node::only(document, "AWS::SecretsManager::Secret")? else { return Ok(None) };
    let name = node.text("Name")?.unwrap_or_else(|| node.place().to_owned());
    Ok(Some(Secret { arn: secret_arn(&name), name }))
}
