//! Region and account as functions see them locally, and the ARNs that follow from them.

pub(crate) const REGION: &str = "us-east-1";
pub(crate) const ACCOUNT: &str = "123456789012";

/// The ARN of a function by its name.
pub(crate) fn function_arn(name: &str) -> String {
    format!("arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}")
}

/// The ARN of a secret by its name; AWS ends it in six characters of its own choice.
pub(crate) fn secret_arn(name: &str) -> String {
    format!("arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:{name}-000000")
}

/// The name of a function by its name or ARN, with or without a version.
pub(crate) fn function_name(name_or_arn: &str) -> &str {
    let name = name_or_arn.split_once(":function:").map_or(name_or_arn, |(_, name)| name);
    name.split(':').next().unwrap_or(name)
}

/// The ARN of a table by its name.
pub(crate) fn table_arn(name: &str) -> String {
    format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/{name}")
}
