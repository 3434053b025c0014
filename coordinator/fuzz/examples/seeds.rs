//! Writes the inputs to start from that are made of messages, tensors or certificates: `cargo run --example seeds`, in
//! this folder. The others in `corpus/` are written by hand.

use std::fs;
use std::path::Path;

use coordinator::door::certs::{self, CertsPlan};
use fuzz::archive::{Tensors, encode, metadata, tensors_sha256, zeros};
use fuzz::calls::METHODS;
use fuzz::folder;
use fuzz::run::IDENTITY;
use prost::Message;
use proto::put_artifact_piece::Piece;
use proto::report_metrics_request::Metrics;
use proto::worker_message::Message as Word;
use proto::{
    AddKeyRequest, DrainRequest, EpochMetrics, Failed, Finished, GetArtifactRequest,
    GetKeysRequest, Heartbeat, HeldState, Hello, Leaving, Left, PendingFile, PendingUpload, Pong,
    PutArtifactHeader, PutArtifactPiece, Reached, ReportMetricsRequest, SamplesRequest,
    ScaleRequest, SetKeyRequest, StateTransfer, StatusRequest, StepMetrics, TermsRequest,
    TestMetrics, WorkerMessage, pending_upload,
};
use safetensors::Dtype;

fn main() {
    requests();
    sessions();
    uploads();
    resumed();
    checkpoint();
    door();
}

/// Replaces a target's inputs.
fn write(target: &str, inputs: &[(&str, Vec<u8>)]) {
    let folder = Path::new("corpus").join(target);
    fs::create_dir_all(&folder).expect("this is run in the folder of the targets");
    for (name, input) in inputs {
        fs::write(folder.join(name), input).expect("it can be written");
    }
}

/// Pieces as `fuzz::pieces` cuts them.
fn joined(pieces: &[Vec<u8>]) -> Vec<u8> {
    let length = |piece: &Vec<u8>| u16::try_from(piece.len()).expect("inputs are small");
    pieces.iter().flat_map(|piece| [&length(piece).to_le_bytes()[..], piece].concat()).collect()
}

/// A call, and some tenths of a second after it.
fn call(name: &str, delay: u8, body: impl AsRef<[u8]>) -> Vec<u8> {
    let which = METHODS.iter().position(|method| method.name == name);
    let which = which.unwrap_or(METHODS.len()) as u8;
    [&[which, delay], body.as_ref()].concat()
}

fn requests() {
    let calls: [(&str, Vec<u8>); 11] = [
        (
            "SetKey",
            message(&SetKeyRequest { generation: 1, key: "rank 0".into(), value: "a".into() }),
        ),
        (
            "GetKeys",
            message(&GetKeysRequest {
                generation: 1,
                keys: vec!["rank 0".into(), "count".into()],
                timeout_ms: 500,
            }),
        ),
        ("AddKey", message(&AddKeyRequest { generation: 1, key: "count".into(), amount: -3 })),
        (
            "StreamSamples",
            message(&SamplesRequest {
                generation: 1,
                epoch: 1,
                first_step: 2,
                first_shard: 1,
                end_shard: 3,
                ..SamplesRequest::default()
            }),
        ),
        ("PutArtifact", joined(&artifact("pictures/curves.svg", b"<svg/>"))),
        ("GetArtifact", message(&GetArtifactRequest { path: "initial.safetensors".into() })),
        ("ReportMetrics", message(&step_metrics(0, 0))),
        ("GetTerms", message(&TermsRequest {})),
        ("GetStatus", message(&StatusRequest {})),
        ("Scale", message(&ScaleRequest { workers: 2 })),
        ("Drain", message(&DrainRequest { slot: 0 })),
    ];
    for (name, body) in &calls {
        write("requests", &[(name, joined(&[call(name, 1, body)]))]);
    }
    let all: Vec<_> = calls.iter().map(|(name, body)| call(name, 1, body)).collect();
    let file = GetArtifactRequest { path: "pictures/curves.svg".into() };
    // Messages that choices make: a second worker comes, and every method is called.
    let joins = vec![0x80, 1, 1, 0, 2, 101, 1];
    let calls = (1..METHODS.len()).map(|which| vec![0x80 | which as u8, 1, 0, 0, 0, 1, 0, 3]);
    let made: Vec<_> = [joins].into_iter().chain(calls).collect();
    let features =
        encode(&Tensors::from([("centers".to_string(), zeros(Dtype::F32, &[10, 1]))]), None);
    write(
        "requests",
        &[
            ("all", joined(&all)),
            (
                "artifacts",
                joined(&[
                    call(
                        "PutArtifact",
                        0,
                        joined(&artifact("features/epoch=0.safetensors", &features)),
                    ),
                    call("PutArtifact", 0, joined(&artifact("pictures/curves.svg", b"<svg/>"))),
                    call("GetArtifact", 0, message(&file)),
                    call("PutArtifact", 0, joined(&artifact("pictures/../x", b"x"))),
                ]),
            ),
            (
                "metrics",
                joined(&[
                    call("ReportMetrics", 0, message(&step_metrics(0, 0))),
                    call("ReportMetrics", 0, message(&step_metrics(1, 9))),
                    call("ReportMetrics", 0, message(&epoch_metrics(0))),
                    call("GetStatus", 0, message(&StatusRequest {})),
                ]),
            ),
            (
                "growing",
                joined(&[
                    call("Session", 1, said(0, heartbeat(1, 3))),
                    call("Session", 1, said(1, hello(Some(1)))),
                    call("Session", 1, said(0, left(1, 4, false))),
                    call("Session", 5, said(1, finished(2, 24))),
                    call("Session", 5, said(0, finished(2, 24))),
                ]),
            ),
            (
                "scaled",
                joined(&[
                    call("Scale", 1, message(&ScaleRequest { workers: 3 })),
                    call("Session", 1, said(1, hello(None))),
                    call("Session", 1, said(0, left(1, 4, false))),
                    call("Drain", 1, message(&DrainRequest { slot: 1 })),
                    call("GetStatus", 245, message(&StatusRequest {})),
                ]),
            ),
            (
                // Who comes back with the run's state says how far it has got, which may be no step that the run has.
                "far",
                joined(&[
                    call("Session", 1, vec![0]),
                    call("Session", 1, said(1, holding(1, u64::MAX))),
                    call("GetStatus", 0, message(&StatusRequest {})),
                ]),
            ),
            ("made", joined(&made)),
            ("state", joined(&[call("", 0, message(&state()))])),
        ],
    );
}

fn message(message: &impl Message) -> Vec<u8> {
    message.encode_to_vec()
}

/// An upload's messages.
fn artifact(path: &str, content: &[u8]) -> Vec<Vec<u8>> {
    let header =
        PutArtifactHeader { generation: 1, paths: vec![path.into()], length: content.len() as u64 };
    let pieces = [Piece::Header(header), Piece::Content(content.to_vec().into())];
    pieces.map(|piece| message(&PutArtifactPiece { piece: Some(piece) })).into()
}

fn step_metrics(epoch: u64, step: u64) -> ReportMetricsRequest {
    let metrics = StepMetrics {
        epoch,
        step,
        loss: 0.5,
        softmax_loss: 0.25,
        center_loss: 0.25,
        lr: 0.1,
        images_per_second: 400.0,
        digests: Vec::new(),
        terms: Vec::new(),
    };
    ReportMetricsRequest { generation: 1, metrics: Some(Metrics::Step(metrics)) }
}

fn epoch_metrics(epoch: u64) -> ReportMetricsRequest {
    let mut class_accuracy = vec![0.5; 10];
    class_accuracy[3] = f64::NAN;
    let test = TestMetrics {
        accuracy: 0.5,
        class_accuracy,
        intra_distance: 1.0,
        inter_distance: 2.0,
        distance_ratio: 0.5,
        nearest_center_accuracy: 0.75,
    };
    let metrics =
        EpochMetrics { epoch, train_accuracy: 0.5, test: Some(test), ..EpochMetrics::default() };
    ReportMetricsRequest { generation: 1, metrics: Some(Metrics::Epoch(metrics)) }
}

fn state() -> StateTransfer {
    let file = PendingFile { paths: vec!["pictures/epoch=1.png".into()], content: "x".into() };
    let upload = PendingUpload { upload: Some(pending_upload::Upload::File(file)) };
    StateTransfer {
        model: "ab".into(),
        resume: "cd".into(),
        first_upload: 1,
        uploads: vec![upload],
        ended: true,
    }
}

/// What a worker says in its session of the service.
fn said(session: u8, word: Word) -> Vec<u8> {
    [vec![session], message(&WorkerMessage { message: Some(word) })].concat()
}

fn hello(slot: Option<u32>) -> Word {
    Word::Hello(Hello {
        slot,
        advertise: "h".into(),
        device: "cpu".into(),
        process_id: 101 + slot.unwrap_or(0),
        incarnation: 5,
        ..Hello::default()
    })
}

/// A worker that comes back with the run's state.
fn holding(generation: u64, step: u64) -> Word {
    let reached = Some(Reached { step, epochs: 0, ended: false });
    let held = Some(HeldState { run: IDENTITY.into(), generation, reached });
    match hello(Some(1)) {
        Word::Hello(hello) => Word::Hello(Hello { held, ..hello }),
        other => other,
    }
}

fn heartbeat(generation: u64, step: u64) -> Word {
    Word::Heartbeat(Heartbeat {
        generation,
        phase: "training".into(),
        step,
        images_per_second: 400.0,
        memory_bytes: 1 << 20,
        collective_share: 0.25,
        ..Heartbeat::default()
    })
}

fn left(generation: u64, step: u64, broken: bool) -> Word {
    let reached = Some(Reached { step, epochs: step / 8, ended: false });
    Word::Left(Left { generation, reached, reason: "x".into(), broken })
}

fn finished(generation: u64, step: u64) -> Word {
    let reached = Some(Reached { step, epochs: step / 8, ended: true });
    Word::Finished(Finished { generation, stopped: false, reached })
}

fn leaving() -> Word {
    Word::Leaving(Leaving { reason: "SIGTERM".into() })
}

fn failed() -> Word {
    Word::Failed(Failed {
        generation: 1,
        reason: "out of memory".into(),
        ends_run: true,
        ..Failed::default()
    })
}

fn sessions() {
    let say = |who: u8, delay: u8, word: Word| {
        [vec![who, delay], message(&WorkerMessage { message: Some(word) })].concat()
    };
    let all = |count: u32| (0..count).map(move |slot| say(slot as u8, 1, hello(Some(slot))));
    let inputs: [(&str, Vec<Vec<u8>>); 6] = [
        (
            "two",
            all(2)
                .chain([
                    say(0, 10, heartbeat(1, 3)),
                    say(1, 1, left(1, 3, true)),
                    say(0, 1, left(1, 3, true)),
                ])
                .collect(),
        ),
        (
            "four",
            all(4)
                .chain([say(3, 1, leaving()), say(0, 1, finished(1, 24)), vec![1, 9, 0xff]])
                .collect(),
        ),
        (
            "lost",
            all(2)
                .chain([
                    vec![1, 1],
                    say(0, 1, left(1, 3, true)),
                    say(2, 1, holding(1, 3)),
                    say(0, 5, finished(2, 24)),
                    say(2, 5, finished(2, 24)),
                ])
                .collect(),
        ),
        (
            "probe",
            vec![
                say(0, 1, hello(Some(0))),
                say(1, 1, hello(Some(0))),
                say(0, 1, Word::Pong(Pong { nonce: 1 })),
                say(2, 200, hello(Some(1))),
                say(0, 200, leaving()),
                say(2, 255, failed()),
            ],
        ),
        (
            // Words that choices make, one of each.
            "made",
            vec![
                vec![0x40, 1, 0, 1, 100, 1],
                vec![0x41, 1, 0, 2, 101, 1],
                vec![0x40, 1, 1, 0, 3, 0, 0, 1],
                vec![0x41, 1, 2, 1],
                vec![0x41, 1, 5, 0, 0, 0, 3],
                vec![0x40, 1, 5, 0, 0, 0, 3],
                vec![0x40, 1, 3, 0, 0, 0, 24, 3, 1],
                vec![0x41, 1, 6],
                vec![0x41, 1, 4],
            ],
        ),
        (
            "unchecked",
            vec![
                say(0x80, 1, hello(None)),
                say(0x81, 1, hello(None)),
                say(0x80, 1, heartbeat(1, u64::MAX)),
                say(0x81, 1, left(1, u64::MAX, false)),
                say(0x82, 1, holding(1, u64::MAX)),
            ],
        ),
    ];
    for (name, pieces) in inputs {
        write("sessions", &[(name, joined(&pieces))]);
    }
}

fn uploads() {
    // Kind; default name, generation, length; parts, fault; changes.
    let whole = |kind: u8| vec![kind, 0, 0, 0, 1, 0];
    let changed = |kind: u8, changes: &[u8]| [&whole(kind), changes].concat();
    let sent = |how: [u8; 5]| [&[1], &how[..]].concat();
    write(
        "uploads",
        &[
            ("all", joined(&[whole(1), whole(0), whole(2), changed(3, b"<svg/>")])),
            ("replaced", joined(&[whole(1), whole(0), whole(1), whole(1), whole(0)])),
            // Of the third to the fifth change of a tensor: the fifth number is none.
            ("no-number", joined(&[changed(2, &[2, 1, 4, 1, 5])])),
            ("no-number-in-model", joined(&[changed(0, &[2, 7, 4, 1, 5])])),
            ("removed", joined(&[changed(0, &[2, 9, 0])])),
            ("retyped", joined(&[changed(0, &[2, 9, 1, 0])])),
            ("grown", joined(&[changed(2, &[2, 3, 3, 60])])),
            ("renamed", joined(&[changed(1, &[2, 1, 5, 11])])),
            ("position", joined(&[changed(0, &[0, 2, 3, 0, 1]), changed(0, &[0, 9, 0, 0, 1])])),
            ("digest", joined(&[changed(0, &[0, 1, 2, 0, 2])])),
            ("text", joined(&[changed(0, &[0, 1, 2, 0, 4, 3, b'{', b'}', b'x'])])),
            ("header", joined(&[changed(2, &[1, 9, 1]), changed(1, &[1, 5, 0])])),
            ("stale", joined(&[sent([0, 7, 0, 1, 0])])),
            ("short", joined(&[sent([0, 0, 11, 1, 0]), sent([0, 0, 10, 2, 0])])),
            ("faults", joined(&[5, 6, 7, 8, 9].map(|fault| sent([0, 0, 0, 2, fault])))),
            (
                "names",
                joined(&[vec![1, 5, 25, 27, 0, 0, 1, 0], vec![0, 6, 24, 26, 28, 0, 0, 1, 0]]),
            ),
            // One name twice.
            ("twice", joined(&[vec![0, 5, 8, 8, 0, 0, 1, 0]])),
            (
                "outside",
                joined(&[
                    vec![3, 3, 41, 0, 0, 1, 0, b'x'],
                    [&[3, 3, 255, 4], &b"../x"[..], &[0, 0, 1, 0, b'x']].concat(),
                ]),
            ),
        ],
    );
}

fn resumed() {
    let file = |which: u8, text: &str| [&[which], text.as_bytes()].concat();
    let metrics = "{\"kind\":\"step\",\"epoch\":0,\"step\":0}\n{\"kind\":\"epoch\",\"epoch\":0}\n\
                   {\"kind\":\"step\",\"epoch\":1,\"step\":9}\n";
    let events = "{\"time\":\"t\",\"kind\":\"coordinator\",\"run\":\"run\",\"address\":\"a\",\"process\":1}\n\
                  {\"time\":\"t\",\"kind\":\"join\",\"slot\":0,\"host\":\"h\",\"process\":2,\"holds\":null}\n\
                  {\"time\":\"t\",\"kind\":\"generation\",\"generation\":1,\"step\":0,\"origin\":\"seed\",\
                  \"members\":[{\"slot\":0,\"shards\":[0,3]}],\"cause\":\"c\"}\n\
                  {\"time\":\"t\",\"kind\":\"steps\",\"generation\":1,\"epoch\":0,\"first\":0,\"end\":8,\
                  \"samples\":[0,50]}\n";
    let data = "{\"dataset\":\"mnist\",\"train-samples\":50,\"test-samples\":20,\"sha256\":\"\"}";
    // Which checkpoint, its files, damage, position.
    let checkpoint = |stem: u8, files: u8, damage: u8, step: u8| {
        vec![3, stem, files, damage, step / 8, step % 8, step]
    };
    write(
        "resumed",
        &[
            (
                "whole",
                joined(&[
                    file(0, metrics),
                    file(1, events),
                    file(2, data),
                    checkpoint(0, 3, 0, 9),
                    checkpoint(3, 3, 0, 8),
                ]),
            ),
            ("torn", joined(&[file(0, &metrics[..50]), file(1, &events[..90]), file(2, "{")])),
            ("previous", joined(&[file(0, metrics), checkpoint(0, 5, 0, 9)])),
            ("damaged", joined(&[checkpoint(0, 3, 9, 9), checkpoint(3, 3, 0, 8)])),
            ("best", joined(&[checkpoint(0, 2, 0, 9), checkpoint(1, 7, 0, 8)])),
            ("none", joined(&[checkpoint(0, 1, 0, 9), checkpoint(4, 2, 0, 8)])),
            (
                "far",
                joined(&[file(
                    0,
                    &format!("{{\"kind\":\"step\",\"epoch\":0,\"step\":{}}}\n", u64::MAX),
                )]),
            ),
        ],
    );
}

fn checkpoint() {
    let tensors = |list: &[(&str, Dtype, &[usize])]| -> Tensors {
        list.iter().map(|(name, dtype, shape)| ((*name).into(), zeros(*dtype, shape))).collect()
    };
    let center = tensors(&[("center", Dtype::F32, &[10, 1])]);
    let resume = tensors(&[
        ("momentum.features.bias", Dtype::F32, &[1]),
        ("second_moment.features.bias", Dtype::F32, &[1]),
        ("record.features", Dtype::F32, &[2, 1]),
        ("record.labels", Dtype::U8, &[2]),
        ("record.predictions", Dtype::U8, &[2]),
    ]);
    let features = tensors(&[
        ("train.features", Dtype::F32, &[3, 1]),
        ("train.labels", Dtype::U8, &[3]),
        ("train.predictions", Dtype::U8, &[3]),
        ("test.features", Dtype::F32, &[2, 1]),
        ("test.labels", Dtype::U8, &[2]),
        ("test.predictions", Dtype::U8, &[2]),
        ("centers", Dtype::F32, &[10, 1]),
    ]);
    let text = metadata([1, 2, 10], &[], Some(tensors_sha256(&center)));
    write(
        "checkpoint",
        &[
            ("center", encode(&center, Some(text))),
            ("resume", encode(&resume, Some("{}".to_string()))),
            ("features", encode(&features, None)),
        ],
    );
}

fn door() {
    let folder = folder();
    let made = folder.path().to_path_buf();
    let plan =
        CertsPlan { folder: made.clone(), names: vec![], days: 1, renew: false, if_missing: false };
    certs::command(&plan).expect("they can be made");
    // The coordinator's has the name of the machine that makes it.
    let files = ["worker.pem", "ca.pem", "join-token"].map(|name| fs::read(made.join(name)));
    let [certificate, authority, token] = files.map(|file| file.expect("it was made"));
    // No secret: it is none.
    let key = b"-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----\n".to_vec();
    let none = Vec::new;
    write(
        "door",
        &[
            ("all", joined(&[certificate.clone(), key.clone(), authority.clone(), token.clone()])),
            ("tls", joined(&[certificate, key])),
            ("token", joined(&[none(), none(), none(), token])),
            ("authority", joined(&[none(), none(), authority])),
        ],
    );
}
