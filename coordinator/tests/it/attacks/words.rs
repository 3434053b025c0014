//! Attacks by a worker that was let in, as a spare: what it says, and that it does not read.

use common::status::ServiceError;
use proto::coordinator_client::CoordinatorClient;
use proto::coordinator_message::Message as Order;
use proto::worker_message::Message as Word;
use proto::{
    Failed, Finished, Heartbeat, HeldState, Hello, Leaving, Reached, SamplesRequest, SetKeyRequest,
};
use tonic::transport::Endpoint;

use super::Honest;
use crate::harness::{Caller, FakeWorker, hello, within};

/// Why the spare's session was ended.
async fn evicted(spare: &mut FakeWorker) -> String {
    match spare.order().await {
        Ok(Some(Order::Evict(evict))) => evict.reason,
        other => panic!("{other:?} instead of Evict"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_true_ends_the_session_of_who_says_it() {
    let folder = tempfile::tempdir().unwrap();
    let honest = Honest::begin(&folder).await;
    let beat = |change: fn(&mut Heartbeat)| {
        let mut heartbeat = Heartbeat { generation: 1, ..Heartbeat::default() };
        change(&mut heartbeat);
        Word::Heartbeat(heartbeat)
    };
    let reached = Some(Reached { step: u64::MAX, ..Reached::default() });
    for (word, expected) in [
        (beat(|it| it.step = u64::MAX), "step 18446744073709551615 of a run of 10000"),
        (beat(|it| it.epoch = 1001), "epoch 1001 of a run of 1000"),
        (beat(|it| it.images_per_second = f64::NAN), "NaN as its images a second"),
        (beat(|it| it.collective_share = f64::INFINITY), "inf as its share"),
        (beat(|it| it.phase = "x".repeat(1 << 20)), "a name of 1048576 bytes"),
        (Word::Finished(Finished { generation: 1, reached, stopped: false }), "of a run of 10000"),
    ] {
        let mut spare = FakeWorker::join(&honest.run, 2).await;
        spare.say(word).await;
        let reason = evicted(&mut spare).await;
        assert!(
            reason.contains("said what cannot be true") && reason.contains(expected),
            "{reason}"
        );
    }
    honest.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reasons_are_kept_short_and_names_are_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let honest = Honest::begin(&folder).await;
    let held = HeldState { run: "x".repeat(300), ..HeldState::default() };
    for wrong in [
        Hello { advertise: "x".repeat(300), ..hello(2) },
        Hello { hardware: "a\nb".to_string(), ..hello(2) },
        Hello { machine: "x".repeat(300), ..hello(2) },
        Hello { held: Some(held), ..hello(2) },
    ] {
        let refused = FakeWorker::join_as(&honest.run, wrong).await.unwrap_err();
        assert!(
            matches!(&refused, ServiceError::Invalid(m) if m.contains("a name of")),
            "{refused}"
        );
    }
    let mut spare = FakeWorker::join(&honest.run, 2).await;
    let reason = "é".repeat(100_000);
    spare
        .say(Word::Failed(Failed { generation: 1, reason: reason.clone(), ..Failed::default() }))
        .await;
    evicted(&mut spare).await;
    let mut spare = FakeWorker::join(&honest.run, 2).await;
    spare.say(Word::Leaving(Leaving { reason })).await;
    assert!(matches!(spare.order().await, Ok(Some(Order::Goodbye(_)))));
    drop(spare);
    let events = honest.ends_well().await;
    let longest = events.iter().map(|event| event.to_string().len()).max().unwrap();
    assert!((16_000..20_000).contains(&longest), "{longest}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_is_lost_and_slows_nobody() {
    let folder = tempfile::tempdir().unwrap();
    let honest = Honest::begin(&folder).await;
    let endpoint = Endpoint::from_shared(honest.run.address.clone()).unwrap();
    let narrow = endpoint.initial_stream_window_size(1 << 10);
    let line = honest.run.access.connect(narrow).await.unwrap();
    let spare = FakeWorker::join_over(Caller { client: CoordinatorClient::new(line) }, hello(2))
        .await
        .unwrap();
    // Streams of samples that nobody reads.
    let mut streams = Vec::new();
    let mut reader = honest.intruder().await;
    for epoch in 0..50 {
        let request =
            SamplesRequest { generation: 1, epoch, end_shard: 2, ..SamplesRequest::default() };
        streams.push(within(reader.client.stream_samples(request)).await.unwrap());
    }
    for _ in 0..1000 {
        spare.say(Word::Heartbeat(Heartbeat { generation: 1, ..Heartbeat::default() })).await;
    }
    // It is out: another takes its slot without a ping to it.
    let again = Hello { process_id: 999, ..hello(2) };
    while FakeWorker::join_as(&honest.run, again.clone()).await.is_err() {}
    let events = honest.ends_well().await;
    let lost = events.iter().find(|event| event["kind"] == "loss").unwrap();
    assert!(lost.to_string().contains("does not read its orders"), "{lost}");
    drop((spare, streams));
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_that_are_too_large_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let honest = Honest::begin(&folder).await;
    let mut intruder = honest.intruder().await;
    let set = |key: &str, length: usize| SetKeyRequest {
        generation: 1,
        key: key.to_string(),
        value: vec![0; length].into(),
    };
    let refused = within(intruder.client.set_key(set("large", 5 << 20))).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::OutOfRange, "{refused}");
    let refused = within(intruder.client.set_key(set("large", 2 << 20))).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
    let refused = within(intruder.client.set_key(set(&"k".repeat(300), 1))).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
    // All the memory that there is for keys.
    let mut full = None;
    for number in 0..70 {
        let set = within(intruder.client.set_key(set(&number.to_string(), 1 << 20))).await;
        full = full.or(set.err());
    }
    assert_eq!(full.unwrap().code(), tonic::Code::InvalidArgument);
    let mut request = tonic::Request::new(proto::StatusRequest {});
    request.metadata_mut().insert("x", "x".repeat(40_000).parse().unwrap());
    within(intruder.client.get_status(request)).await.unwrap_err();
    let mut spare = FakeWorker::join(&honest.run, 2).await;
    let reason = "x".repeat(5 << 20);
    spare
        .say(Word::Failed(Failed { generation: 1, reason, ends_run: true, ..Failed::default() }))
        .await;
    assert!(!matches!(spare.order().await, Ok(Some(Order::Abort(_)))));
    honest.ends_well().await;
}
