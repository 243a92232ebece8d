//! The Lambda function behind the custom resource `Custom::KafkaTopics`: makes the Kafka topics after a deployment, and never
//! deletes one.

mod answer;
mod brokers;
mod cluster;
mod handler;
mod instructions;
#[cfg(test)]
mod loopback;
mod msk;
mod reconcile;
mod request;
mod token;

use std::time::SystemTime;

use answer::Answerer;
use aws_lambda_events::cloudformation::CloudFormationCustomResourceRequest as Request;
use cluster::Clusters;
use handler::Resource;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use runtime::{Clients, Variables, telemetry};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init();
    let sdk = Clients::new(Variables::from_env()).await.sdk;
    let resource = Resource { clusters: Clusters::new(&sdk, brokers::tls()?)?, answerer: Answerer::new()? };
    let handle = async |event: LambdaEvent<Request>| {
        let left = event.context.deadline().duration_since(SystemTime::now()).unwrap_or_default();
        Ok::<_, Error>(resource.handle(event.payload, left).await?)
    };
    lambda_runtime::run(service_fn(handle)).await
}
