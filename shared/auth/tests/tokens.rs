//! What a token has to claim to open a dashboard, and what each of the others is refused for.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests fail by panicking")]

#[allow(dead_code, reason = "each test uses a part of it")]
mod issuer;

use auth::{AuthError, Expectations, LEEWAY, MAX_TOKEN_BYTES, READ_LIVE, Unauthorized, Verifier};
use issuer::{ISSUER, Key, NOW, SECRET, at, claims, encoded, hs256, secrets, strict, verify, verify_at};
use projections::{TenantId, Timestamp};
use serde_json::{Value, json};

fn verifier() -> Verifier {
    strict(secrets(&[SECRET]))
}

fn lenient() -> Verifier {
    Verifier::fixed(secrets(&[SECRET]), None)
}

fn with_default() -> Verifier {
    Verifier::fixed(secrets(&[SECRET]), Some(TenantId::parse("house").unwrap()))
}

/// A token whose claims are this text, duplicates and all.
fn sign_text(claims: &str) -> String {
    Key::secret(SECRET).token_of_text(r#"{"alg":"HS256","typ":"JWT"}"#, claims, "HS256")
}

/// A good token with another header.
fn with_header(header: &str) -> String {
    Key::secret(SECRET).token_of_text(header, &claims(json!({})).to_string(), "HS256")
}

fn refused(token: &str) -> Result<String, AuthError> {
    verify(&verifier(), token).map(|principal| principal.user)
}

#[test]
fn a_good_token_says_who_it_is_and_until_when() {
    let principal = verify(&verifier(), &hs256(json!({ "channels": ["campaign:c-1", "event:*"] }))).unwrap();
    assert_eq!((principal.tenant.as_str(), principal.user.as_str()), ("acme", "ann"));
    assert_eq!(principal.permissions, [READ_LIVE]);
    assert_eq!(serde_json::to_value(principal.channels).unwrap(), json!(["campaign:c-1", "event:*"]));
    assert_eq!(principal.issued_at, at(NOW - 60));
    assert_eq!(principal.expires_at, at(NOW + 3600).plus(LEEWAY));
}

#[test]
fn what_is_no_token_is_refused() {
    use Unauthorized::{Malformed, Signature, TooLarge};
    let signed = hs256(json!({}));
    let (message, signature) = signed.rsplit_once('.').unwrap();
    let (header, _) = message.split_once('.').unwrap();
    let other_claims = encoded(claims(json!({ "tenant_id": "evil" })).to_string().as_bytes());
    let cases = [
        ("nothing", String::new(), Malformed),
        ("garbage", "garbage".to_owned(), Malformed),
        ("two dots", "..".to_owned(), Malformed),
        ("three dots", "...".to_owned(), Malformed),
        ("two parts", message.to_owned(), Malformed),
        ("four parts", format!("{signed}.x"), Malformed),
        ("four parts, of which two are the header", format!("x.{signed}"), Malformed),
        ("five parts, as an encrypted token has", format!("{header}.a.b.c.d"), Malformed),
        ("a space before it", format!(" {signed}"), Malformed),
        ("a space behind it", format!("{signed} "), Signature),
        ("padding", format!("{signed}="), Signature),
        ("no UTF-8 inside", format!("{}.x.x", encoded(&[0xff])), Malformed),
        ("a header that is no object", with_header("7"), Malformed),
        ("an empty header", with_header("{}"), Malformed),
        ("a signature cut off", format!("{message}."), Signature),
        ("a signature of other claims", format!("{header}.{other_claims}.{signature}"), Signature),
        ("one byte too many", format!("{signed}{}", "A".repeat(MAX_TOKEN_BYTES + 1 - signed.len())), TooLarge),
        (
            "as many bytes as are looked at",
            format!("{signed}{}", "A".repeat(MAX_TOKEN_BYTES - signed.len())),
            Signature,
        ),
    ];
    for (name, token, reason) in cases {
        assert_eq!(refused(&token), Err(reason.into()), "{name}");
    }
}

#[test]
fn a_header_that_we_do_not_understand_is_refused() {
    use Unauthorized::{Critical, Malformed, Type};
    for (header, reason) in [
        (r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, Critical),
        (r#"{"alg":"HS256","crit":["exp"],"exp":1}"#, Critical),
        (r#"{"alg":"HS256","crit":[]}"#, Critical),
        (r#"{"alg":"HS256","crit":null}"#, Critical),
        (r#"{"alg":"HS256","typ":"JWS"}"#, Type),
        (r#"{"alg":"HS256","typ":""}"#, Type),
        (r#"{"alg":"HS256","typ":"logout+jwt"}"#, Type),
        (r#"{"alg":"HS256","typ":"dpop+jwt"}"#, Type),
        (r#"{"alg":"HS256","typ":["JWT"]}"#, Malformed),
        (r#"{"alg":"HS256","kid":7}"#, Malformed),
        (r#"{"alg":["HS256"]}"#, Malformed),
        (r#"{"alg":null}"#, Malformed),
        (r#"{"typ":"JWT"}"#, Malformed),
        (r#"{"alg":"HS256","alg":"HS256"}"#, Malformed),
        (r#"{"alg":"HS256","typ":"JWT","typ":"JWT"}"#, Malformed),
        (r#"{"alg":"HS256","kid":"a","kid":"b"}"#, Malformed),
    ] {
        assert_eq!(refused(&with_header(header)), Err(reason.into()), "{header}");
    }
}

#[test]
fn the_type_is_taken_in_any_case_and_may_be_left_out() {
    for header in [
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS256","typ":null}"#,
        r#"{"alg":"HS256","typ":"jwt"}"#,
        r#"{"alg":"HS256","typ":"at+jwt"}"#,
        r#"{"alg":"HS256","typ":"AT+JWT"}"#,
    ] {
        assert_eq!(refused(&with_header(header)).as_deref(), Ok("ann"), "{header}");
    }
}

#[test]
fn claims_that_do_not_open_anything_are_refused_for_their_reason() {
    use Unauthorized::{
        BadTenant, Expired, IssuedInFuture, Malformed, NoExpiry, NoSubject, NoTenant, NotYetValid, UnknownTenantClaim,
    };
    for (changes, reason) in [
        (json!({ "exp": NOW - 5 }), Expired),
        (json!({ "exp": 0 }), Expired),
        (json!({ "exp": -1 }), Malformed),
        (json!({ "exp": null }), NoExpiry),
        (json!({ "exp": "2100-01-01" }), Malformed),
        (json!({ "exp": [NOW + 60] }), Malformed),
        (json!({ "nbf": NOW + 6 }), NotYetValid),
        (json!({ "nbf": 1e300 }), NotYetValid),
        (json!({ "nbf": "0" }), Malformed),
        (json!({ "nbf": -0.5 }), Malformed),
        (json!({ "iat": NOW + 6 }), IssuedInFuture),
        (json!({ "iat": -1 }), Malformed),
        (json!({ "iat": true }), Malformed),
        (json!({ "sub": null }), NoSubject),
        (json!({ "sub": "" }), NoSubject),
        (json!({ "sub": "x".repeat(257) }), NoSubject),
        (json!({ "sub": "ann\nadmin" }), NoSubject),
        (json!({ "sub": 7 }), Malformed),
        (json!({ "tenant_id": null }), NoTenant),
        (json!({ "tenant_id": "" }), BadTenant),
        (json!({ "tenant_id": "acme#campaign:c-1" }), BadTenant),
        (json!({ "tenant_id": ["acme"] }), BadTenant),
        (json!({ "tenant_id": 7 }), BadTenant),
        (json!({ "tenant_id": null, "orgId": "acme" }), UnknownTenantClaim("org")),
        (json!({ "permissions": READ_LIVE }), Malformed),
        (json!({ "permissions": [1] }), Malformed),
        (json!({ "channels": "campaigns" }), Malformed),
        (json!({ "channels": [7] }), Malformed),
        (json!({ "channels": vec!["a"; 101] }), Malformed),
        (json!({ "channels": ["x".repeat(201)] }), Malformed),
    ] {
        assert_eq!(refused(&hs256(changes.clone())), Err(reason.into()), "{changes}");
    }
}

#[test]
fn claims_that_only_a_text_can_hold_are_refused() {
    let good = claims(json!({})).to_string();
    let twice = |name: &str, value: &str| format!("{},\"{name}\":{value}}}", good.strip_suffix('}').unwrap());
    for text in [
        "\"ann\"".to_owned(),
        "null".to_owned(),
        String::new(),
        "{".to_owned(),
        format!("{good}{good}"),
        "[".repeat(6000),
        good.replace(&(NOW + 3600).to_string(), "1e999"),
        good.replace(&(NOW + 3600).to_string(), "NaN"),
        good.replace(&(NOW + 3600).to_string(), "Infinity"),
        twice("tenant_id", r#""evil""#),
        twice("sub", r#""eve""#),
        twice("exp", "4102444800"),
        twice("exp", "null"),
        twice("permissions", "[]"),
        twice("aud", r#""livefold""#),
        twice("iss", "null"),
        twice("channels", r#"null,"channels":[]"#),
    ] {
        assert_eq!(refused(&sign_text(&text)), Err(Unauthorized::Malformed.into()), "{text}");
    }
    assert_eq!(
        refused(&sign_text(&twice("exp", "null").replacen("\"exp\"", "\"was\"", 1))),
        Err(Unauthorized::NoExpiry.into())
    );
}

#[test]
fn a_list_of_channels_is_as_long_as_is_allowed_and_may_be_empty() {
    for (channels, count) in [(vec!["x".repeat(200); 25], 25), (vec!["a".to_owned(); 100], 100), (Vec::new(), 0)] {
        let principal = verify(&verifier(), &hs256(json!({ "channels": channels }))).unwrap();
        assert_eq!(principal.channels.map(|channels| channels.len()), Some(count));
    }
    for without in [json!({}), json!({ "channels": null })] {
        assert_eq!(verify(&verifier(), &hs256(without)).unwrap().channels, None);
    }
}

#[test]
fn the_time_is_the_callers_and_clocks_may_differ_a_little() {
    let leeway = i64::try_from(LEEWAY.as_secs()).unwrap();
    let token = hs256(json!({ "exp": NOW, "nbf": NOW - 60, "iat": NOW - 60 }));
    let verify = |seconds| verify_at(&verifier(), &token, at(seconds)).map(|principal| principal.expires_at);
    assert_eq!(verify(NOW - 60 - leeway), Ok(at(NOW + leeway)));
    assert_eq!(verify(NOW - 61 - leeway), Err(Unauthorized::NotYetValid.into()));
    assert_eq!(verify(NOW + leeway - 1), Ok(at(NOW + leeway)));
    assert_eq!(verify(NOW + leeway), Err(Unauthorized::Expired.into()));
    let issued = hs256(json!({ "iat": NOW }));
    assert!(verify_at(&verifier(), &issued, at(NOW - leeway)).is_ok());
    assert_eq!(verify_at(&verifier(), &issued, at(NOW - leeway - 1)), Err(Unauthorized::IssuedInFuture.into()));
}

#[test]
fn a_date_may_have_a_fraction_and_may_be_far_away() {
    let end = |exp: Value| verify(&verifier(), &hs256(json!({ "exp": exp }))).map(|principal| principal.expires_at);
    assert_eq!(end(json!(1_768_473_000.25)), Ok(Timestamp::from_millis(1_768_473_000_250).plus(LEEWAY)));
    assert_eq!(end(json!(1e300)), Ok(Timestamp::from_millis(i64::MAX)));
}

#[test]
fn a_token_that_does_not_say_when_it_was_issued_is_older_than_any_revocation() {
    assert_eq!(verify(&verifier(), &hs256(json!({ "iat": null }))).unwrap().issued_at, Timestamp::EPOCH);
}

#[test]
fn the_issuer_is_the_expected_one_exactly() {
    for iss in [
        json!(null),
        json!(""),
        json!("https://id.example/"),
        json!("https://ID.example"),
        json!("http://id.example"),
        json!("https://id.example.evil"),
    ] {
        assert_eq!(refused(&hs256(json!({ "iss": iss }))), Err(Unauthorized::Issuer.into()), "{iss}");
    }
    assert_eq!(refused(&hs256(json!({ "iss": [ISSUER] }))), Err(Unauthorized::Malformed.into()));
    assert!(verify(&lenient(), &hs256(json!({ "iss": "https://other.example" }))).is_ok());
}

#[test]
fn one_of_the_audiences_is_ours() {
    for aud in [json!("livefold"), json!("dashboards"), json!(["dialer", "livefold"])] {
        assert_eq!(refused(&hs256(json!({ "aud": aud }))).as_deref(), Ok("ann"), "{aud}");
    }
    for aud in [json!("dialer"), json!("Livefold"), json!("livefold "), json!([]), json!(["dialer"]), json!(null)] {
        assert_eq!(refused(&hs256(json!({ "aud": aud }))), Err(Unauthorized::Audience.into()), "{aud}");
    }
    assert_eq!(refused(&hs256(json!({ "aud": [7] }))), Err(Unauthorized::Malformed.into()));
    assert!(verify(&lenient(), &hs256(json!({ "aud": ["dialer"] }))).is_ok());
}

#[test]
fn an_access_token_of_cognito_has_a_client_instead_of_an_audience() {
    let user = |changes: Value| refused(&hs256(changes));
    assert_eq!(user(json!({ "aud": null, "token_use": "access", "client_id": "livefold" })).as_deref(), Ok("ann"));
    for other in [
        json!({ "aud": null, "token_use": "access", "client_id": "dialer" }),
        json!({ "aud": null, "token_use": "access" }),
        json!({ "aud": null, "token_use": "id", "client_id": "livefold" }),
        json!({ "aud": null, "client_id": "livefold" }),
        // An audience that is there counts alone.
        json!({ "aud": "dialer", "token_use": "access", "client_id": "livefold" }),
        json!({ "aud": [], "token_use": "access", "client_id": "livefold" }),
    ] {
        assert_eq!(user(other.clone()), Err(Unauthorized::Audience.into()), "{other}");
    }
    // Cognito's id tokens have an audience.
    assert_eq!(user(json!({ "aud": "livefold", "token_use": "id" })).as_deref(), Ok("ann"));
}

#[test]
fn the_first_tenant_claim_in_order_counts() {
    let names = ["tenant_id", "tenantId", "org_id", "organizationId", "custom:tenant_id"];
    for first in 0..names.len() {
        let mut changes = json!({ "tenant_id": null });
        for (index, name) in names.iter().enumerate().skip(first) {
            changes[name] = json!(format!("t{index}"));
        }
        for verifier in [verifier(), with_default()] {
            let principal = verify(&verifier, &hs256(changes.clone())).unwrap();
            assert_eq!(principal.tenant.as_str(), format!("t{first}"));
        }
    }
}

#[test]
fn the_default_tenant_is_for_tokens_that_name_no_organisation_at_all() {
    let tenant =
        |changes: Value| verify(&with_default(), &hs256(changes)).map(|principal| principal.tenant.to_string());
    assert_eq!(tenant(json!({ "tenant_id": null })).as_deref(), Ok("house"));
    assert_eq!(tenant(json!({ "tenant_id": "" })), Err(Unauthorized::BadTenant.into()));
    assert_eq!(tenant(json!({ "tenant_id": "a b" })), Err(Unauthorized::BadTenant.into()));
    for name in ["orgId", "custom:org", "https://id.example/claims/company", "workspace_id", "AccountName"] {
        let stranger = tenant(json!({ "tenant_id": null, name: "globex" }));
        assert!(
            matches!(stranger, Err(AuthError::Unauthorized(Unauthorized::UnknownTenantClaim(_)))),
            "{name}: {stranger:?}"
        );
    }
}

#[test]
fn the_words_of_a_scope_are_permissions_where_there_is_no_list_of_them() {
    let permissions = |changes: Value| verify(&verifier(), &hs256(changes)).unwrap().permissions;
    let scope = format!("openid  {READ_LIVE}");
    assert_eq!(permissions(json!({ "permissions": null, "scope": scope })), ["openid", READ_LIVE]);
    // A list of permissions is the whole list.
    assert_eq!(permissions(json!({ "permissions": [], "scope": READ_LIVE })), [""; 0]);
    assert_eq!(permissions(json!({ "permissions": null })), [""; 0]);
}

#[test]
fn what_is_logged_of_a_refused_token_holds_nothing_of_it() {
    for changes in [json!({ "sub": 5_550_100 }), json!({ "tenant_id": "+15550100" }), json!({ "exp": "5550100" })] {
        let error = verify(&verifier(), &hs256(changes)).unwrap_err();
        assert!(!format!("{error} {error:?}").contains("5550100"), "{error:?}");
    }
}

#[test]
fn without_expectations_only_the_signature_and_the_time_matter() {
    assert_eq!(Expectations::default(), Expectations { issuer: None, audiences: Vec::new(), default_tenant: None });
    assert!(verify(&lenient(), &hs256(json!({ "iss": null, "aud": null, "iat": null }))).is_ok());
}
