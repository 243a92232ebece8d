//! The token that opens a Kafka connection to MSK with IAM: a signed request that is never sent.
//!
//! Its form is that of AWS's own signers (`aws-msk-iam-sasl-signer-*`). The crate of that name for Rust brings the SDK's
//! older TLS stack along and reads the clock by itself, so the signing is done here, with the SDK's own signer.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sigv4::{
    http_request::{
        SignableBody, SignableRequest, SignatureLocation, SigningError, SigningParams, SigningSettings, sign,
    },
    sign::v4,
};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

/// How long a token opens connections: what MSK's signers use.
const LIFETIME: Duration = Duration::from_mins(15);

/// What MSK calls itself in a signature.
const SERVICE: &str = "kafka-cluster";

/// Who asks; it comes behind the signature and is not part of it.
const USER_AGENT: &str = concat!("livefold-topics%2F", env!("CARGO_PKG_VERSION"));

/// There is no token, and without one no connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokenError {
    /// The region does not make a URL.
    #[error("the region makes no address: {0}")]
    Address(#[from] http::Error),
    /// The signer lacks something.
    #[error("the token cannot be signed: {0}")]
    Settings(#[from] v4::signing_params::BuildError),
    /// The signer fails.
    #[error("the token cannot be signed: {0}")]
    Signing(#[from] SigningError),
}

/// Signs a token for the clusters of a region. It is a secret until it has expired.
pub(crate) fn sign_token(credentials: Credentials, region: &str, now: SystemTime) -> Result<String, TokenError> {
    let url = format!("https://kafka.{region}.amazonaws.com/?Action=kafka-cluster%3AConnect");
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFETIME);
    let identity = credentials.into();
    let params: SigningParams<'_> = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SERVICE)
        .time(now)
        .settings(settings)
        .build()?
        .into();
    let request = SignableRequest::new("GET", url.as_str(), std::iter::empty(), SignableBody::Bytes(&[]))?;
    let (instructions, _signature) = sign(request, &params)?.into_parts();
    let mut request = http::Request::get(url.as_str()).body(())?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(BASE64_URL_SAFE_NO_PAD.encode(format!("{}&User-Agent={USER_AGENT}", request.uri())))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2026-01-15T10:30:00Z
    const NOW: u64 = 1_768_473_000;

    /// The fields of a token, in their order.
    fn fields(session_token: Option<&str>) -> Vec<(String, String)> {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        let credentials = Credentials::new("AKIDEXAMPLE", secret, session_token.map(str::to_owned), None, "test");
        let token = sign_token(credentials, "eu-central-1", SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)).unwrap();
        let url = String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).unwrap()).unwrap();
        let query = url.strip_prefix("https://kafka.eu-central-1.amazonaws.com/?").expect("the region's address");
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap());
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    /// What `aws-msk-iam-sasl-signer-python` 1.0.2 (botocore 1.44.8) makes of the same key at the same time.
    #[test]
    fn a_token_has_the_fields_and_the_signature_that_awss_own_signer_makes() {
        let mut fields = fields(Some("session/token+with=signs"));
        assert_eq!(fields.first().unwrap(), &("Action".into(), "kafka-cluster%3AConnect".into()));
        assert_eq!(fields.pop().unwrap(), ("User-Agent".into(), "livefold-topics%2F0.1.0".into()));
        fields.sort();
        let expected = [
            ("Action", "kafka-cluster%3AConnect"),
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256"),
            ("X-Amz-Credential", "AKIDEXAMPLE%2F20260115%2Feu-central-1%2Fkafka-cluster%2Faws4_request"),
            ("X-Amz-Date", "20260115T103000Z"),
            ("X-Amz-Expires", "900"),
            ("X-Amz-Security-Token", "session%2Ftoken%2Bwith%3Dsigns"),
            ("X-Amz-Signature", "ed5c5370a9167def3803012d9a70aee886d95255d75528a521e2140689c55f33"),
            ("X-Amz-SignedHeaders", "host"),
        ];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_lasting_key_has_no_session_token_and_another_signature() {
        let fields = fields(None);
        assert!(fields.iter().all(|(name, _)| name != "X-Amz-Security-Token"));
        let (_, signature) = fields.iter().find(|(name, _)| name == "X-Amz-Signature").unwrap();
        assert_eq!(signature, "65932bd348aeb75cb777b4a607eccff747ab92476a8d97a3531a0a27b7c3e85a");
    }
}
