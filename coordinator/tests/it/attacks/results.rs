//! Attacks on what a run leaves: metrics and files with numbers, shapes, steps and names that cannot be.

use std::net::IpAddr;
use std::time::Duration;

use common::status::ServiceError;
use coordinator::service::artifacts::UPLOADS;
use proto::coordinator_client::CoordinatorClient;
use proto::put_artifact_piece::Piece;
use proto::report_metrics_request::Metrics;
use proto::{
    EpochMetrics, PutArtifactHeader, PutArtifactPiece, ReportMetricsRequest, StepMetrics,
    TestMetrics,
};
use safetensors::Dtype;
use tokio_stream::StreamExt;
use tonic::transport::Endpoint;

use super::Honest;
use crate::files::{Named, archive, features, metadata, model};
use crate::harness::{Caller, within};

/// What a call was refused with.
fn invalid(refused: Result<(), ServiceError>, expected: &str) {
    let Err(ServiceError::Invalid(message)) = refused else { panic!("{expected}: {refused:?}") };
    assert!(message.contains(expected), "`{message}` without `{expected}`");
}

async fn report(
    worker: &mut Caller,
    generation: u64,
    metrics: Metrics,
) -> Result<(), ServiceError> {
    let request = ReportMetricsRequest { generation, metrics: Some(metrics) };
    within(worker.client.report_metrics(request)).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_that_cannot_be_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let honest = Honest::begin(&folder).await;
    let mut intruder = honest.intruder().await;
    let step = |change: fn(&mut StepMetrics)| {
        let mut metrics = StepMetrics { epoch: 999, step: 9999, ..StepMetrics::default() };
        change(&mut metrics);
        Metrics::Step(metrics)
    };
    let test = TestMetrics { class_accuracy: vec![f64::NAN; 10], ..TestMetrics::default() };
    let epoch = |change: fn(&mut EpochMetrics, TestMetrics)| {
        let mut metrics = EpochMetrics { epoch: 999, ..EpochMetrics::default() };
        change(&mut metrics, test.clone());
        Metrics::Epoch(metrics)
    };
    for (metrics, expected) in [
        (step(|it| it.loss = f64::NAN), "loss is NaN"),
        (step(|it| it.softmax_loss = f64::INFINITY), "softmax_loss is inf"),
        (step(|it| it.center_loss = -1.0), "center_loss is -1"),
        (step(|it| it.lr = f64::NEG_INFINITY), "lr is -inf"),
        (step(|it| it.images_per_second = f64::NAN), "images_per_second is NaN"),
        (step(|it| it.step = 10_000), "step 10001 of a run of 10000"),
        (step(|it| it.step = u64::MAX), "a step beyond"),
        (step(|it| it.epoch = 998), "step 9999 is not of epoch 998"),
        (epoch(|it, _| it.loss = f64::NAN), "loss is NaN"),
        (epoch(|it, _| it.epoch = 1000), "epoch 1000 of a run of 1000"),
        (epoch(|it, _| it.train_accuracy = 1.5), "train_accuracy is 1.5"),
        (
            epoch(|it, test| it.test = Some(TestMetrics { accuracy: -0.5, ..test })),
            "accuracy is -0.5",
        ),
        (
            epoch(|it, test| it.test = Some(TestMetrics { class_accuracy: vec![0.5; 9], ..test })),
            "accuracies of 9 classes",
        ),
        (
            epoch(|it, test| {
                it.test = Some(TestMetrics { intra_distance: f64::INFINITY, ..test });
            }),
            "intra_distance is inf",
        ),
    ] {
        invalid(report(&mut intruder, 1, metrics).await, expected);
    }
    for generation in [0, 2] {
        let stale = report(&mut intruder, generation, step(|_| ())).await;
        assert!(matches!(stale, Err(ServiceError::Stale(_))), "{stale:?}");
    }
    honest.ends_well().await;
}

/// A model file of step 12 whose tensors were changed.
fn changed_model(change: fn(&mut Vec<Named>)) -> Vec<u8> {
    let mut tensors = model();
    change(&mut tensors);
    archive(&tensors, Some(metadata([1, 2, 12], b"")))
}

fn changed_features(change: fn(&mut Vec<Named>)) -> Vec<u8> {
    let mut tensors = features(97);
    change(&mut tensors);
    archive(&tensors, None)
}

/// A resume file of one tensor like the output layer's bias.
fn moments(name: &str, number: f32) -> Vec<u8> {
    let mut tensor = (name.to_string(), Dtype::F32, vec![10], vec![0; 40]);
    put_number(&mut tensor, number);
    archive(&[tensor], None)
}

/// A resume file of an epoch's samples so far.
fn record(samples: usize, number: f32) -> Vec<u8> {
    archive(&[points("record.features", samples, number)], None)
}

/// Features of so many samples, the first of which begins with a number.
fn points(name: &str, samples: usize, number: f32) -> Named {
    let mut tensor = (name.to_string(), Dtype::F32, vec![samples, 2], vec![0; 8 * samples]);
    put_number(&mut tensor, number);
    tensor
}

fn put_number(tensor: &mut Named, number: f32) {
    tensor.3[..4].copy_from_slice(&number.to_le_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_not_the_runs_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let honest = Honest::begin(&folder).await;
    let mut intruder = honest.intruder().await;
    let at = |position| archive(&model(), Some(metadata(position, b"")));
    let moment = |name: &str| (name.to_string(), Dtype::F32, vec![1], vec![0; 4]);
    for (path, content, expected) in [
        ("best.safetensors", changed_model(|it| put_number(&mut it[0], f32::NAN)), "not finite"),
        (
            "best.safetensors",
            changed_model(|it| put_number(&mut it[46], f32::INFINITY)),
            "not finite",
        ),
        (
            "best.safetensors",
            changed_model(|it| it[0].2 = vec![32, 5, 5, 1]),
            "not F32 [32, 1, 5, 5]",
        ),
        ("best.safetensors", changed_model(|it| it[1].1 = Dtype::I32), "not F32 [32]"),
        (
            "best.safetensors",
            changed_model(|it| drop(it.pop())),
            "46 tensors, not the network's 47",
        ),
        ("best.safetensors", changed_model(|it| it[3].0 = "x".to_string()), "running_mean"),
        ("best.safetensors", at([1, 2, 13]), "step 2 of epoch 1 as step 13"),
        ("best.safetensors", at([0, 12, 12]), "step 12 of epoch 0"),
        ("best.safetensors", at([1001, 0, 10_010]), "step 10010 of a run of 10000"),
        ("best.safetensors", at([u64::MAX, 0, 0]), "as step 0"),
        ("best.safetensors", archive(&model(), None), "no `concentric` metadata"),
        ("best.safetensors", b"rubbish".to_vec(), "is damaged"),
        ("best.resume.safetensors", b"rubbish".to_vec(), "no whole safetensors file"),
        ("best.resume.safetensors", archive(&[moment("x")], None), "belongs to no state"),
        (
            "best.resume.safetensors",
            archive(&[moment("momentum.output.bias")], None),
            "not F32 [10]",
        ),
        ("best.resume.safetensors", moments("momentum.output.bias", f32::INFINITY), "not finite"),
        ("best.resume.safetensors", moments("second_moment.output.bias", f32::NAN), "not finite"),
        ("best.resume.safetensors", record(97, f32::NAN), "not finite"),
        ("best.resume.safetensors", record(98, 0.0), "98 rows, of 97 samples"),
    ] {
        invalid(intruder.put(&[&format!("checkpoints/{path}")], &content).await, expected);
    }
    for (content, expected) in [
        (changed_features(|it| put_number(&mut it[0], f32::NAN)), "not finite"),
        (changed_features(|it| it.push(points("test.features", 1, f32::NAN))), "not finite"),
        (changed_features(|it| it[0].2 = vec![2, 97]), "not F32 [2, 2]"),
        (changed_features(|it| it[1].0 = "labels".to_string()), "no part of a feature file"),
        (archive(&features(98), None), "98 rows, of 97 samples"),
    ] {
        invalid(intruder.put(&["features/epoch=3.safetensors"], &content).await, expected);
    }
    for folder in ["features", "pictures"] {
        assert_eq!(std::fs::read_dir(honest.run.root.join(folder)).unwrap().count(), 0);
    }
    assert!(!honest.run.root.join("checkpoints/best.safetensors").exists());
    honest.ends_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_lengths_that_a_run_does_not_have_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let honest = Honest::begin(&folder).await;
    let mut intruder = honest.intruder().await;
    for path in [
        "checkpoints/worst.safetensors",
        "checkpoints/epoch=1000.safetensors",
        "checkpoints/epoch=03.safetensors",
        "checkpoints/last.safetensors.bak",
        "checkpoints/last",
        "features/last.safetensors",
        "features/epoch=3.png",
        "pictures/epoch=3.svg",
        "pictures/other.png",
        "pictures/curves.png.gif",
        "checkpoints/%2e%2e",
        "checkpoints/..%2fconfig.toml",
        "checkpoints/../../etc/passwd",
        "checkpoints/last.previous.resume.safetensors",
        "\\\\host\\share",
        "logs/worker-0.log",
    ] {
        let refused = intruder.put(&[path], b"x").await;
        assert!(matches!(refused, Err(ServiceError::Invalid(_))), "{path}: {refused:?}");
    }
    let of_two = ["pictures/curves.png", "checkpoints/last.safetensors"];
    invalid(intruder.put(&of_two, b"x").await, "not those of one file");
    invalid(intruder.put(&["pictures/curves.png"; 5], b"x").await, "not those of one file");
    for path in
        ["checkpoints/last.safetensors", "features/epoch=3.safetensors", "pictures/curves.png"]
    {
        // Not a byte of it has to come.
        invalid(intruder.put_as(1, &[path], b"", u64::MAX).await, "such a file has at most");
    }
    honest.ends_well().await;
}

/// Begins an upload from an address that is not the honest workers', and waits for its end.
async fn upload(address: String, ends: bool) -> Result<(), ServiceError> {
    let elsewhere = Some(IpAddr::from([127, 0, 0, 2]));
    let endpoint = Endpoint::from_shared(address).unwrap().local_address(elsewhere);
    let mut client = CoordinatorClient::new(endpoint.connect().await.unwrap());
    let piece = |piece| PutArtifactPiece { piece: Some(piece) };
    let paths = vec!["pictures/curves.png".to_string()];
    let header = piece(Piece::Header(PutArtifactHeader { generation: 1, paths, length: 1 }));
    let pieces = tokio_stream::once(header);
    if ends {
        client
            .put_artifact(pieces.chain(tokio_stream::once(piece(Piece::Content("x".into())))))
            .await?;
    } else {
        client.put_artifact(pieces.chain(tokio_stream::pending())).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_that_do_not_end_leave_room_for_others() {
    let folder = tempfile::tempdir().unwrap();
    let honest = Honest::begin(&folder).await;
    let address = || honest.run.address.clone();
    let begun: Vec<_> = (0..UPLOADS).map(|_| tokio::spawn(upload(address(), false))).collect();
    // Half of all is what one address may have.
    let refused = || begun.iter().filter(|upload| upload.is_finished()).count();
    let pause = || tokio::time::sleep(Duration::from_millis(10));
    within(async {
        while refused() < UPLOADS / 2 {
            pause().await;
        }
    })
    .await;
    let error = within(upload(address(), true)).await.unwrap_err();
    assert!(error.is_retryable() && error.to_string().contains("too many uploads"), "{error:?}");
    assert_eq!(refused(), UPLOADS / 2);
    for upload in begun {
        upload.abort();
    }
    within(async {
        while upload(address(), true).await.is_err() {
            pause().await;
        }
    })
    .await;
    honest.ends_well().await;
}
