//! What verifying a token costs once its keys are known: from the text to the principal, all checks included. The goal is
//! less than 100 µs: `cargo bench -p auth`.
#![expect(clippy::unwrap_used, clippy::panic, reason = "benches fail by panicking")]

#[path = "../tests/issuer/mod.rs"]
#[expect(dead_code, reason = "the bench needs good tokens alone")]
mod issuer;

use criterion::{Criterion, criterion_group, criterion_main};
use issuer::{CURVE, EDWARDS, Key, RSA, SECRET, claims, published, secrets, strict, verify};
use serde_json::json;

fn verifying(criterion: &mut Criterion) {
    let keys = [
        RSA.jwk(json!({ "kid": "rsa" })),
        RSA.jwk(json!({ "kid": "pss", "alg": "PS256" })),
        CURVE.jwk(json!({ "kid": "curve" })),
        EDWARDS.jwk(json!({ "kid": "edwards" })),
    ];
    let mut group = criterion.benchmark_group("verify");
    for (alg, kid, key) in [
        ("HS256", None, &Key::secret(SECRET)),
        ("RS256", Some("rsa"), &*RSA),
        ("PS256", Some("pss"), &*RSA),
        ("ES256", Some("curve"), &*CURVE),
        ("EdDSA", Some("edwards"), &*EDWARDS),
    ] {
        let verifier = strict(if kid.is_some() { published(&keys) } else { secrets(&[SECRET]) });
        let token = key.token(&json!({ "alg": alg, "kid": kid, "typ": "JWT" }), &claims(json!({})));
        // The first one has the keys fetched.
        assert!(verify(&verifier, &token).is_ok(), "{alg}");
        group.bench_function(alg, |bencher| bencher.iter(|| verify(&verifier, &token).unwrap()));
    }
    group.finish();
}

criterion_group!(benches, verifying);
criterion_main!(benches);
