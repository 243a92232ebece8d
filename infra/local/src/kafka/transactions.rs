//! What a transactional producer is told: that there are no transactions. Tansu 0.6 has no route to end one.

use tansu_sans_io::{
    ErrorCode, FindCoordinatorRequest, FindCoordinatorResponse, InitProducerIdResponse,
    find_coordinator_response::Coordinator,
};

use crate::console;

/// Kafka's number for coordinators of transactions; those of groups have 0.
const TRANSACTION: i8 = 1;

/// What clients show to whoever runs them.
const REASON: &str = "the embedded Kafka of `cargo dev` has no transactions; use a real one with --kafka";

/// The protocol has no error for it. With this one clients give up at once and show the message that comes along; most
/// others they would try again for a minute.
const ERROR: ErrorCode = ErrorCode::ClusterAuthorizationFailed;

/// Whether a transactional producer looks for its coordinator, which is the first that it does.
pub(super) fn wants_coordinator(request: &FindCoordinatorRequest) -> bool {
    request.key_type == Some(TRANSACTION)
}

/// The answer to [`wants_coordinator`].
pub(super) fn refuse_coordinator(request: FindCoordinatorRequest) -> FindCoordinatorResponse {
    let ids = request.key.into_iter().chain(request.coordinator_keys.unwrap_or_default());
    let refuse = |id: String| {
        console::warn(&format!("the transactional producer {id} was refused: {REASON}"));
        let nowhere = Coordinator::default().key(id).node_id(-1).host(String::new()).port(-1);
        nowhere.error_code(ERROR.into()).error_message(Some(REASON.to_owned()))
    };
    FindCoordinatorResponse::default()
        .throttle_time_ms(Some(0))
        .error_code(Some(ERROR.into()))
        .error_message(Some(REASON.to_owned()))
        .node_id(Some(-1))
        .host(Some(String::new()))
        .port(Some(-1))
        .coordinators(Some(ids.map(refuse).collect()))
}

/// The answer to a transactional producer that asks for its id without a coordinator.
pub(super) fn refuse_producer(id: &str) -> InitProducerIdResponse {
    console::warn(&format!("the transactional producer {id} was refused: {REASON}"));
    InitProducerIdResponse::default().throttle_time_ms(0).error_code(ERROR.into()).producer_id(-1).producer_epoch(-1)
}
