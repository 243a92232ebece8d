//! What tokens claim.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::key::{Key, LOCAL_SECRET};

/// The permission to connect and to read.
pub const READ_LIVE: &str = "dashboard:read:live";

/// How long a token holds that nothing is said of.
const TTL: Duration = Duration::from_hours(1);

/// Whole seconds since 1970, now.
///
/// # Panics
/// When the clock stands before 1970.
#[must_use]
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("it is later than 1970").as_secs()
}

/// Claims that open everything that reading needs.
#[must_use]
pub fn claims(tenant: &str, user: &str) -> Value {
    let now = now();
    json!({"sub": user, "tenant_id": tenant, "permissions": [READ_LIVE], "iat": now, "exp": now + TTL.as_secs()})
}

/// The claims with some changed; `null` takes one out.
///
/// # Panics
/// When one of the two is no object.
#[must_use]
pub fn with(mut claims: Value, changes: &Value) -> Value {
    let object = claims.as_object_mut().expect("claims are an object");
    for (name, value) in changes.as_object().expect("changes are an object") {
        match value {
            Value::Null => drop(object.remove(name)),
            value => drop(object.insert(name.clone(), value.clone())),
        }
    }
    claims
}

/// A token of the local system.
#[must_use]
pub fn local_token(tenant: &str, user: &str, changes: &Value) -> String {
    let header = json!({"alg": "HS256", "typ": "JWT"}).to_string();
    Key::secret(LOCAL_SECRET.as_bytes(), "").sign(&header, &with(claims(tenant, user), changes).to_string())
}
