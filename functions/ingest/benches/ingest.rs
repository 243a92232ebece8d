//! How many call events one core takes in, from the text of an MSK event to slices in memory, beside the floor that
//! reading the event sets: `cargo bench -p ingest`.
#![expect(clippy::unwrap_used, reason = "clippy knows tests only by their attribute")]

#[path = "../tests/memory/mod.rs"]
#[expect(dead_code, reason = "the bench needs no faults")]
mod memory;
mod payload;

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ingest::{
    batch::{Batch, Reading},
    intake::Intake,
};
use memory::Memory;
use projections::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    records: BTreeMap<&'a str, Vec<Enveloped<'a>>>,
}

#[derive(Deserialize)]
struct Enveloped<'a> {
    value: &'a str,
}

/// As little of a call event as any projection could do with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct CallEvent<'a> {
    event_type: &'a str,
    campaign_id: &'a str,
}

/// Reads envelope, base64 and JSON, and does nothing with it.
fn floor(payload: &str) -> usize {
    let envelope: Envelope<'_> = serde_json::from_str(payload).unwrap();
    let mut buffer = Vec::new();
    let mut read = 0;
    for record in envelope.records.values().flatten() {
        buffer.clear();
        STANDARD.decode_vec(record.value, &mut buffer).unwrap();
        let event: CallEvent<'_> = serde_json::from_slice(&buffer).unwrap();
        read += event.event_type.len() + event.campaign_id.len();
    }
    read
}

fn ingest(criterion: &mut Criterion) {
    let first = payload::msk_event(0);
    let reading = Reading { default_tenant: None, epoch: 1 };
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();

    let mut group = criterion.benchmark_group("ingest");
    group.throughput(Throughput::Elements(payload::EVENTS as u64));
    // What lambda_runtime does before the handler: find the end of the payload, check that it is UTF-8, and copy it.
    group.bench_function("hand over", |bencher| {
        bencher.iter(|| serde_json::from_slice::<Box<RawValue>>(first.as_bytes()).unwrap());
    });
    group.bench_function("floor", |bencher| bencher.iter(|| floor(&first)));
    let now = Timestamp::from_millis(payload::STARTED_AT);
    group.bench_function("decode", |bencher| bencher.iter(|| Batch::read(&first, &reading, now).unwrap()));
    group.bench_function("decode, fold, commit", |bencher| {
        let memory = Memory::default();
        let intake = Intake::new(memory.clone(), reading.clone());
        let mut batch = 0;
        bencher.iter_batched(
            || {
                batch += 1;
                payload::msk_event(batch)
            },
            |payload| {
                let taken = runtime.block_on(intake.take(&payload, now, || now)).unwrap();
                assert_eq!(taken.applied, payload::EVENTS);
                payload
            },
            criterion::BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, ingest);
criterion_main!(benches);
