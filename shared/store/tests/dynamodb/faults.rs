//! Requests that fail on their way, as they do in a real network.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    config::{
        ConfigBag, Intercept, RuntimeComponents,
        http::HttpResponse,
        interceptors::{BeforeDeserializationInterceptorContextMut, BeforeTransmitInterceptorContextMut},
        retry::{RetryConfig, RetryPartition},
    },
    error::BoxError,
};

/// A path at which DynamoDB does nothing and answers 404.
const NOWHERE: &str = "nowhere";

/// What happens to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// It is carried out, and the answer is lost.
    Lost,
    /// It is not carried out, and the answer says so.
    Throttled,
}

/// The faults of a client's next requests, one after the other; then there are none.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    next: Arc<Mutex<VecDeque<Fault>>>,
    /// How many of the answers under way get lost.
    lost: Arc<AtomicUsize>,
}

impl Faults {
    pub fn set(&self, faults: &[Fault]) {
        *self.next.lock().unwrap() = faults.iter().copied().collect();
        self.lost.store(0, Ordering::SeqCst);
    }

    /// A client that has them and tries again without waiting.
    pub fn on(&self, client: &Client) -> Client {
        let config = client
            .config()
            .to_builder()
            .interceptor(self.clone())
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
            // Its failures are its own: the partition's budget for trying again would be everybody's.
            .retry_partition(RetryPartition::new(uuid::Uuid::new_v4().to_string()));
        Client::from_conf(config.build())
    }
}

impl Intercept for Faults {
    fn name(&self) -> &'static str {
        "faults"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        match self.next.lock().unwrap().pop_front() {
            None | Some(Fault::None) => {}
            Some(Fault::Lost) => {
                self.lost.fetch_add(1, Ordering::SeqCst);
            }
            Some(Fault::Throttled) => {
                let nowhere = format!("{}{NOWHERE}", context.request().uri());
                context.request_mut().set_uri(nowhere)?;
            }
        }
        Ok(())
    }

    fn modify_before_deserialization(
        &self,
        context: &mut BeforeDeserializationInterceptorContextMut<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let is_lost = || self.lost.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |lost| lost.checked_sub(1)).is_ok();
        let (status, code) = match context.response().status().as_u16() {
            404 => (400_u16, "ThrottlingException"),
            _ if is_lost() => (500, "InternalServerError"),
            _ => return Ok(()),
        };
        let body = format!(r#"{{"__type":"com.amazonaws.dynamodb.v20120810#{code}"}}"#);
        *context.response_mut() = HttpResponse::new(status.try_into()?, body.into());
        Ok(())
    }
}
