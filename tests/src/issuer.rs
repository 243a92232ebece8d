//! An `OpenID` Connect issuer on loopback, with real keys.

use std::{
    future::pending,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use anyhow::Result;
use axum::{Json, Router, extract::State, routing::get};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{
    claims::{claims, with},
    key::{Algorithm, Key},
};

/// For whom its tokens are.
pub const AUDIENCE: &str = "livefold";

/// An issuer; it is gone when this is dropped.
pub struct Issuer {
    url: String,
    shared: Arc<Shared>,
    server: JoinHandle<()>,
}

struct Shared {
    url: String,
    keys: Mutex<Vec<Arc<Key>>>,
    generation: AtomicUsize,
    is_silent: AtomicBool,
    fetches: AtomicUsize,
}

impl Issuer {
    /// An issuer that answers, with a key of each algorithm.
    pub async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}", listener.local_addr()?);
        let shared = Arc::new(Shared {
            url: url.clone(),
            keys: Mutex::new(Vec::new()),
            generation: AtomicUsize::new(0),
            is_silent: AtomicBool::new(false),
            fetches: AtomicUsize::new(0),
        });
        let routes = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/jwks.json", get(key_set))
            .with_state(shared.clone());
        let server = tokio::spawn(async move {
            // It ends with the test.
            let _ = axum::serve(listener, routes).await;
        });
        let issuer = Self { url, shared, server };
        issuer.rotate();
        Ok(issuer)
    }

    /// Its name, which is where it is.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The variables that make a system take its tokens.
    #[must_use]
    pub fn environment(&self) -> Vec<String> {
        let issuer = format!("TOKEN_ISSUER={}", self.url);
        vec!["TOKEN_SIGNING=issuer".to_owned(), issuer, format!("TOKEN_AUDIENCE={AUDIENCE}")]
    }

    /// Puts new keys in the place of the old ones, which it publishes no more.
    pub fn rotate(&self) {
        let generation = self.shared.generation.fetch_add(1, Ordering::Relaxed);
        let key = |algorithm: Algorithm| Arc::new(Key::new(algorithm, format!("{}-{generation}", algorithm.name())));
        *self.shared.keys() = Algorithm::PUBLIC.map(key).to_vec();
    }

    /// It takes connections and answers nothing, from now on: worse than one that refuses.
    pub fn fall_silent(&self) {
        self.shared.is_silent.store(true, Ordering::Relaxed);
    }

    /// It answers again.
    pub fn answer(&self) {
        self.shared.is_silent.store(false, Ordering::Relaxed);
    }

    /// How often anything was asked for.
    #[must_use]
    pub fn fetches(&self) -> usize {
        self.shared.fetches.load(Ordering::Relaxed)
    }

    /// The key that it signs with now.
    ///
    /// # Panics
    /// When the algorithm is none that it has.
    #[must_use]
    pub fn key(&self, algorithm: Algorithm) -> Arc<Key> {
        let keys = self.shared.keys();
        keys.iter().find(|key| key.algorithm() == algorithm).expect("an algorithm of public keys").clone()
    }

    /// What its tokens claim.
    #[must_use]
    pub fn claims(&self, tenant: &str, user: &str) -> Value {
        with(claims(tenant, user), &json!({"iss": self.url, "aud": AUDIENCE}))
    }

    /// A token of these claims.
    #[must_use]
    pub fn token(&self, algorithm: Algorithm, claims: &Value) -> String {
        self.key(algorithm).token(claims)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    fn keys(&self) -> MutexGuard<'_, Vec<Arc<Key>>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn count_fetch(&self) {
        self.fetches.fetch_add(1, Ordering::Relaxed);
        if self.is_silent.load(Ordering::Relaxed) {
            pending::<()>().await;
        }
    }
}

async fn configuration(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.count_fetch().await;
    Json(json!({"issuer": shared.url, "jwks_uri": format!("{}/jwks.json", shared.url)}))
}

async fn key_set(State(shared): State<Arc<Shared>>) -> Json<Value> {
    shared.count_fetch().await;
    let mut keys: Vec<Value> = shared.keys().iter().map(|key| key.jwk()).collect();
    // Issuers publish keys for other uses beside, and of kinds that nobody here knows.
    keys.push(
        json!({"kty": "RSA", "use": "enc", "kid": "for-encryption", "alg": "RSA-OAEP", "n": "AQAB", "e": "AQAB"}),
    );
    keys.push(json!({"kty": "LATTICE", "kid": "of-the-future", "alg": "ML-DSA-65"}));
    Json(json!({"keys": keys}))
}
