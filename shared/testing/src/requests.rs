//! What a client asks of its server.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use aws_sdk_dynamodb::{
    Client,
    config::{
        ConfigBag, Intercept, RuntimeComponents, interceptors::BeforeTransmitInterceptorContextMut, retry::RetryConfig,
    },
    error::BoxError,
};

/// Counts a client's requests, and lets none through while it is told so. All clones are one.
#[derive(Clone, Debug, Default)]
pub struct RequestCounter {
    sent: Arc<AtomicUsize>,
    is_cut: Arc<AtomicBool>,
}

impl RequestCounter {
    /// A client whose requests are counted, each as often as it is tried: once.
    #[must_use]
    pub fn on(&self, client: &Client) -> Client {
        let config = client.config().to_builder().interceptor(self.clone()).retry_config(RetryConfig::disabled());
        Client::from_conf(config.build())
    }

    /// How many requests there were since the last look.
    #[must_use]
    pub fn take(&self) -> usize {
        self.sent.swap(0, Ordering::SeqCst)
    }

    /// Lets no request through from now on, or all of them again.
    pub fn cut(&self, is_cut: bool) {
        self.is_cut.store(is_cut, Ordering::SeqCst);
    }
}

impl Intercept for RequestCounter {
    fn name(&self) -> &'static str {
        "request counter"
    }

    fn modify_before_transmit(
        &self,
        _: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        self.sent.fetch_add(1, Ordering::SeqCst);
        if self.is_cut.load(Ordering::SeqCst) { Err("cut".into()) } else { Ok(()) }
    }
}
