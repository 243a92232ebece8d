//! Which tokens open something, and what each of the others is refused with: over REST and at the handshake alike.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

#[path = "tokens/keys.rs"]
mod keys;
#[path = "tokens/places.rs"]
mod places;

use e2e::{
    AUDIENCE, Algorithm, Issuer, Key, LOCAL_SECRET, Options, READ_LIVE, Refusal, Secrets, Socket, System, claims,
    encode, local_token, now, with,
};
use reqwest::Method;
use serde_json::{Value, json};

pub(crate) const USER: &str = "ann.quillfeather@example.com";

/// Something that every token of the tenant may read.
const PATH: &str = "/analytics/metrics";

/// How it goes: opened, or refused with a status and a code.
pub(crate) type Expected = Option<(u16, &'static str)>;

pub(crate) const OPENED: Expected = None;
pub(crate) const UNAUTHORIZED: Expected = Some((401, "unauthorized"));
/// Two of a kind are refused as none is: whoever sends them knows it.
pub(crate) const AMBIGUOUS: Expected = UNAUTHORIZED;
pub(crate) const ORIGIN: Expected = Some((403, "origin_not_allowed"));
pub(crate) const NO_ORIGIN: Expected = Some((403, "origin_missing"));

pub(crate) async fn over_rest(system: &System, query: &str, headers: &[(&'static str, String)]) -> Option<Refusal> {
    let mut request = system.rest(None).request(Method::GET, &format!("{PATH}{query}"));
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    let response = request.send().await.unwrap();
    let status = response.status().as_u16();
    let body: Value = serde_json::from_str(&response.text().await.unwrap()).unwrap_or(Value::Null);
    let code = body["error"]["code"].as_str().unwrap_or_default();
    (status != 200).then(|| Refusal(status, code.to_owned()))
}

pub(crate) async fn over_the_handshake(
    system: &System,
    query: &str,
    headers: &[(&'static str, String)],
) -> Option<Refusal> {
    let opened = Socket::handshake(&system.socket_url(query), headers).await.unwrap();
    opened.err().map(|refused| refused.refusal())
}

/// Presents a token in every way that there is: the name of each, and how it went.
async fn presented(system: &System, token: &str) -> Vec<(&'static str, Option<Refusal>)> {
    let bearer = [("authorization", format!("Bearer {token}"))];
    let cookie = [("cookie", format!("theme=dark; token={token}")), ("origin", system.origin())];
    let subprotocol = [("sec-websocket-protocol", format!("livefold.v1, bearer.{token}"))];
    vec![
        ("REST, header", over_rest(system, "", &bearer).await),
        ("REST, cookie", over_rest(system, "", &cookie).await),
        ("handshake, header", over_the_handshake(system, "", &bearer).await),
        ("handshake, cookie", over_the_handshake(system, "", &cookie).await),
        ("handshake, subprotocol", over_the_handshake(system, "", &subprotocol).await),
        ("handshake, query", over_the_handshake(system, &format!("?token={token}"), &[]).await),
    ]
}

pub(crate) fn refusal(expected: Expected) -> Option<Refusal> {
    expected.map(|(status, code)| Refusal(status, code.to_owned()))
}

/// Presents each token and says which of them did not go as they should. All of them, for one that slips through seldom
/// comes alone.
async fn check(system: &System, secrets: &Secrets, cases: Vec<(&str, String, Expected)>) {
    let mut wrong = Vec::new();
    for (what, token, expected) in cases {
        secrets.keep_token(token.as_str());
        for (way, outcome) in presented(system, &token).await {
            if outcome != refusal(expected) {
                wrong.push(format!("{what}, {way}: {outcome:?} instead of {expected:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

pub(crate) async fn system_with(issuer: &Issuer) -> System {
    let mut environment = issuer.environment();
    // Without one of its own, a token that names no tenant is nobody's.
    environment.push("DEFAULT_TENANT=".to_owned());
    // The table holds more tokens than a user has sockets at a time.
    environment.push("CONNECTIONS_PER_USER=1000".to_owned());
    System::start(Options { environment, ..Options::default() }).await.unwrap()
}

/// The text of a header with some fields more.
pub(crate) fn header(key: &Key, more: &Value) -> String {
    with(key.header(), more).to_string()
}

/// The text of claims that say something twice.
fn twice(claims: &Value, name: &str, value: &str) -> String {
    let text = claims.to_string();
    format!("{},\"{name}\":\"{value}\"}}", text.strip_suffix('}').unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_claim_is_refused_in_every_way() {
    let issuer = Issuer::start().await.unwrap();
    let system = system_with(&issuer).await;
    let secrets = Secrets::default();
    secrets.keep(USER);
    let good = issuer.claims("acme", USER);
    let token = |changes: Value| issuer.token(Algorithm::Rs256, &with(good.clone(), &changes));
    let text =
        |claims: String| issuer.key(Algorithm::Rs256).sign(&issuer.key(Algorithm::Rs256).header().to_string(), &claims);
    let now = now();
    let access =
        |changes: Value| token(with(json!({"aud": null, "client_id": AUDIENCE, "token_use": "access"}), &changes));
    let forbidden = Some((403, "forbidden"));
    let cases = vec![
        ("another issuer", token(json!({"iss": "https://issuer.example"})), UNAUTHORIZED),
        ("almost the issuer", token(json!({"iss": format!("{}/", issuer.url())})), UNAUTHORIZED),
        ("an issuer that is no text", token(json!({"iss": 7})), UNAUTHORIZED),
        ("no issuer", token(json!({"iss": null})), UNAUTHORIZED),
        ("another audience", token(json!({"aud": "billing"})), UNAUTHORIZED),
        ("several audiences, not ours", token(json!({"aud": ["billing", "livefold2"]})), UNAUTHORIZED),
        ("an empty list of audiences", token(json!({"aud": []})), UNAUTHORIZED),
        ("no audience and no client", token(json!({"aud": null})), UNAUTHORIZED),
        ("an access token of another client", access(json!({"client_id": "billing"})), UNAUTHORIZED),
        ("an access token for another audience", access(json!({"aud": "billing"})), UNAUTHORIZED),
        ("expired", token(json!({"exp": now - 60})), UNAUTHORIZED),
        ("expired in 1970", token(json!({"exp": 0})), UNAUTHORIZED),
        ("an end that is no number", token(json!({"exp": (now + 600).to_string()})), UNAUTHORIZED),
        ("no end", token(json!({"exp": null})), UNAUTHORIZED),
        ("not yet valid", token(json!({"nbf": now + 600})), UNAUTHORIZED),
        ("a start that is no number", token(json!({"nbf": "soon"})), UNAUTHORIZED),
        ("issued in the future", token(json!({"iat": now + 600})), UNAUTHORIZED),
        ("a list of channels that is none", text(twice(&good, "channels", "*")), UNAUTHORIZED),
        ("more channels than anybody watches", token(json!({"channels": vec!["campaigns"; 101]})), UNAUTHORIZED),
        ("no user", token(json!({"sub": null})), UNAUTHORIZED),
        ("an empty user", token(json!({"sub": ""})), UNAUTHORIZED),
        ("a user with a line break", token(json!({"sub": "ann\nquillfeather"})), UNAUTHORIZED),
        ("a user that is too long", token(json!({"sub": "a".repeat(257)})), UNAUTHORIZED),
        ("two users", text(twice(&good, "sub", "bob")), UNAUTHORIZED),
        ("no tenant", token(json!({"tenant_id": null})), UNAUTHORIZED),
        ("an empty tenant", token(json!({"tenant_id": ""})), UNAUTHORIZED),
        ("a tenant that no key can hold", token(json!({"tenant_id": "acme#other"})), UNAUTHORIZED),
        ("a tenant that is no text", token(json!({"tenant_id": 7})), UNAUTHORIZED),
        ("two tenants", text(twice(&good, "tenant_id", "other")), UNAUTHORIZED),
        ("claims that are a list", text("[]".to_owned()), UNAUTHORIZED),
        ("claims that are no JSON", text("claims".to_owned()), UNAUTHORIZED),
        ("oversized", token(json!({"padding": "x".repeat(9000)})), UNAUTHORIZED),
        ("no permissions", token(json!({"permissions": null})), forbidden),
        ("other permissions", token(json!({"permissions": ["dashboard:read", "*"]})), forbidden),
        ("an empty list beside a scope", token(json!({"permissions": [], "scope": READ_LIVE})), forbidden),
        ("another scope", token(json!({"permissions": null, "scope": "openid profile"})), forbidden),
    ];
    check(&system, &secrets, cases).await;
    secrets.assert_not_logged(&system);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_bad_signature_is_refused_in_every_way() {
    let issuer = Issuer::start().await.unwrap();
    let stranger = Issuer::start().await.unwrap();
    let system = system_with(&issuer).await;
    let secrets = Secrets::default();
    secrets.keep(USER);
    let claims = issuer.claims("acme", USER);
    let text = claims.to_string();
    let [rs, ps, es, ed] = Algorithm::PUBLIC.map(|algorithm| issuer.key(algorithm));
    let good = rs.token(&claims);
    let (message, signature) = good.rsplit_once('.').unwrap();
    let foreign = stranger.key(Algorithm::Rs256);
    let unsigned = |header: Value| format!("{}.{}.", encode(header.to_string()), encode(&text));
    // Signed as with a secret, which is the public key; every form of it that a naive verifier might hand on.
    let confused = |secret: &[u8]| Key::secret(secret, rs.id()).token(&claims);
    let jwk = rs.jwk();
    let modulus = base64_bytes(jwk["n"].as_str().unwrap());
    let other_claims = encode(issuer.claims("other", USER).to_string());
    let head = message.split('.').next().unwrap();
    let by = |key: &Key, more: Value| key.sign(&header(key, &more), &text);
    let cases = [
        ("garbage", "garbage".to_owned()),
        ("dots", "..".to_owned()),
        ("alg none", unsigned(json!({"alg": "none", "typ": "JWT"}))),
        ("alg none with a key's id", unsigned(json!({"alg": "none", "kid": rs.id()}))),
        ("alg None", unsigned(json!({"alg": "None", "kid": rs.id()}))),
        ("alg NONE with a signature", format!("{}{signature}", unsigned(json!({"alg": "NONE", "kid": rs.id()})))),
        ("an empty alg", unsigned(json!({"alg": "", "kid": rs.id()}))),
        ("no alg", unsigned(json!({"typ": "JWT", "kid": rs.id()}))),
        ("the public key, PEM, as a secret", confused(rs.pem().as_bytes())),
        ("the public key, PEM in one line, as a secret", confused(rs.pem().trim().as_bytes())),
        ("the public key, JWK, as a secret", confused(jwk.to_string().as_bytes())),
        ("the modulus as a secret", confused(&modulus)),
        ("the modulus in base64 as a secret", confused(jwk["n"].as_str().unwrap().as_bytes())),
        ("an empty secret", confused(b"")),
        ("the local secret", confused(LOCAL_SECRET.as_bytes())),
        ("another key with our key's id", by(&foreign, json!({"kid": rs.id()}))),
        ("another key of every algorithm: PS256", by(&stranger.key(Algorithm::Ps256), json!({"kid": ps.id()}))),
        ("another key of every algorithm: ES256", by(&stranger.key(Algorithm::Es256), json!({"kid": es.id()}))),
        ("another key of every algorithm: EdDSA", by(&stranger.key(Algorithm::EdDsa), json!({"kid": ed.id()}))),
        ("an unknown key", by(&foreign, json!({"kid": "unknown"}))),
        ("a key's id that is no text", by(&rs, json!({"kid": 7}))),
        ("a key's id with a path", by(&foreign, json!({"kid": "../../dev/null"}))),
        ("the key for encryption", by(&rs, json!({"kid": "for-encryption"}))),
        ("PS256 signed with the key for RS256", rs.sign_as(Algorithm::Ps256, &header(&rs, &json!({})), &text)),
        (
            "PS256, said so, with the key for RS256",
            rs.sign_as(Algorithm::Ps256, &header(&rs, &json!({"alg": "PS256"})), &text),
        ),
        ("RS256 with the id of the key for PS256", by(&rs, json!({"kid": ps.id()}))),
        ("RS256 with the id of the key for ES256", by(&rs, json!({"kid": es.id()}))),
        ("ES256 with the id of the key for EdDSA", by(&es, json!({"kid": ed.id()}))),
        ("a key in the header", by(&foreign, json!({"jwk": foreign.jwk()}))),
        ("a key in the header under our key's id", by(&foreign, json!({"kid": rs.id(), "jwk": foreign.jwk()}))),
        ("a key set in the header", by(&foreign, json!({"jku": format!("{}/jwks.json", stranger.url())}))),
        (
            "a certificate in the header",
            by(&foreign, json!({"x5u": format!("{}/jwks.json", stranger.url()), "x5c": ["AA=="]})),
        ),
        ("a type that is no access token", by(&rs, json!({"typ": "logout+jwt"}))),
        ("an extension that must be understood", by(&rs, json!({"crit": ["future"], "future": 1}))),
        ("other claims than signed", format!("{head}.{other_claims}.{signature}")),
        ("another tenant's claims, signature cut off", format!("{head}.{other_claims}.")),
        ("no signature", format!("{message}.")),
        ("half of the signature", format!("{message}.{}", &signature[..signature.len() / 2])),
        ("a padded signature", format!("{good}==")),
        ("four parts", format!("{good}.{signature}")),
        ("five parts, as encrypted ones have", format!("{good}.{signature}.{signature}")),
        (
            "an empty ECDSA signature",
            format!("{}.{}.{}", encode(es.header().to_string()), encode(&text), encode([0; 64])),
        ),
    ];
    // The good one is good: what follows is refused for nothing else.
    check(&system, &secrets, vec![("good", good.clone(), OPENED)]).await;
    check(&system, &secrets, cases.map(|(what, token)| (what, token, UNAUTHORIZED)).into()).await;
    assert_eq!(stranger.fetches(), 0, "a token's header has made a function ask somebody");
    secrets.assert_not_logged(&system);
}

fn base64_bytes(text: &str) -> Vec<u8> {
    use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
    BASE64_URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_tokens_of_every_algorithm_and_shape_open_everything() {
    let issuer = Issuer::start().await.unwrap();
    let system = system_with(&issuer).await;
    let secrets = Secrets::default();
    let good = issuer.claims("acme", USER);
    let changed = |changes: Value| issuer.token(Algorithm::Rs256, &with(good.clone(), &changes));
    let mut cases: Vec<_> =
        Algorithm::PUBLIC.map(|algorithm| (algorithm.name(), issuer.token(algorithm, &good), OPENED)).into();
    // https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
    let cognito = json!({
        "aud": null, "tenant_id": null, "permissions": null,
        "client_id": AUDIENCE, "token_use": "access", "custom:tenant_id": "acme", "scope": format!("openid {READ_LIVE}"),
        "origin_jti": "aaaaaaaa-bbbb-cccc-dddd-example", "event_id": "64f513be-32db-42b0-b78e-b02127b4f463", "version": 2,
        "auth_time": now(), "jti": "aaaaaaaa-bbbb-cccc-dddd-example", "username": USER,
    });
    cases.extend([
        ("Cognito's access token", changed(cognito), OPENED),
        ("several audiences, one ours", changed(json!({"aud": ["billing", AUDIENCE]})), OPENED),
        ("Auth0's tenant", changed(json!({"tenant_id": null, "org_id": "acme"})), OPENED),
        ("valid from now on", changed(json!({"nbf": now()})), OPENED),
        ("an end with a fraction", changed(json!({"exp": 4_000_000_000.5})), OPENED),
    ]);
    let token = cases[0].1.clone();
    check(&system, &secrets, cases).await;

    let offered = [("sec-websocket-protocol", format!("livefold.v1, bearer.{token}"))];
    let socket = Socket::handshake(&system.socket_url(""), &offered).await.unwrap().ok().unwrap();
    assert_eq!(socket.protocol(), Some("livefold.v1"), "the token is never sent back");
    let socket = system.socket(&token).await.unwrap();
    assert_eq!(socket.protocol(), None, "what was not offered is not chosen");
    secrets.assert_not_logged(&system);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_secret_only_tokens_signed_with_it_open() {
    let system = System::start(Options::default()).await.unwrap();
    let secrets = Secrets::default();
    secrets.keep(USER);
    let claims = claims("acme", USER);
    let own = Key::secret(LOCAL_SECRET.as_bytes(), "");
    let stranger = Key::new(Algorithm::Rs256, "1");
    let changed = |changes: &Value| local_token("acme", USER, changes);
    let good = changed(&json!({}));
    let (message, signature) = good.rsplit_once('.').unwrap();
    let cases = vec![
        ("good", good.clone(), OPENED),
        ("good, with some key's id", own.sign(&header(&own, &json!({"kid": "any"})), &claims.to_string()), OPENED),
        ("of whoever tries it out", changed(&json!({"tenant_id": null})), OPENED),
        ("another secret", Key::secret(b"another secret of more than 32 bytes", "").token(&claims), UNAUTHORIZED),
        ("HS512, said only", own.sign(&header(&own, &json!({"alg": "HS512"})), &claims.to_string()), UNAUTHORIZED),
        ("a public key's signature", stranger.token(&claims), UNAUTHORIZED),
        (
            "a key in the header",
            stranger.sign(&header(&stranger, &json!({"jwk": stranger.jwk()})), &claims.to_string()),
            UNAUTHORIZED,
        ),
        ("none", format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(claims.to_string())), UNAUTHORIZED),
        ("no signature", format!("{message}."), UNAUTHORIZED),
        ("one bit of the signature", format!("{message}.{}", flipped(signature)), UNAUTHORIZED),
        ("expired", changed(&json!({"exp": now() - 60})), UNAUTHORIZED),
        ("not yet valid", changed(&json!({"nbf": now() + 600})), UNAUTHORIZED),
        ("a tenant that no key can hold", changed(&json!({"tenant_id": "a/b"})), UNAUTHORIZED),
        ("no permission", changed(&json!({"permissions": []})), Some((403, "forbidden"))),
    ];
    check(&system, &secrets, cases).await;
    secrets.assert_not_logged(&system);
}

/// The signature with another first character.
fn flipped(signature: &str) -> String {
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    format!("{first}{}", &signature[1..])
}
