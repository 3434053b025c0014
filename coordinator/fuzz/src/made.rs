//! Messages that choices make: right in form, anything in content. The fuzzer seldom finds the form by itself.

use common::computing::Proof;
use prost::Message;
use proto::put_artifact_piece::Piece;
use proto::report_metrics_request::Metrics;
use proto::worker_message::Message as Word;
use proto::{
    AddKeyRequest, Attempt, CheckingRank, Contacted, DrainRequest, EpochMetrics, Failed, Finished,
    GetArtifactRequest, GetKeysRequest, Heartbeat, HeldState, Hello, Leaving, Left, Pong,
    PutArtifactHeader, PutArtifactPiece, Reached, ReportMetricsRequest, SamplesRequest,
    ScaleRequest, SetKeyRequest, StepMetrics, TermMetrics, TestMetrics,
};
use tonic::codegen::Bytes;

use crate::Choices;
use crate::run::IDENTITY;

/// Where a file may be meant to stand.
pub const PATHS: [&str; 24] = [
    "checkpoints/last.safetensors",
    "checkpoints/last.resume.safetensors",
    "checkpoints/best.safetensors",
    "checkpoints/best.resume.safetensors",
    "checkpoints/epoch=0.safetensors",
    "checkpoints/epoch=0.resume.safetensors",
    "checkpoints/epoch=1.safetensors",
    "checkpoints/epoch=1.resume.safetensors",
    "checkpoints/epoch=2.safetensors",
    "checkpoints/epoch=3.safetensors",
    "checkpoints/last.previous.resume.safetensors",
    "features/epoch=1.safetensors",
    "features/last.safetensors",
    "pictures/epoch=1.png",
    "pictures/confusion.png",
    "pictures/curves.jpg",
    "pictures/features.gif",
    "checkpoints/../../x",
    "../checkpoints/last.safetensors",
    "checkpoints/.unfinished-1",
    "events.jsonl",
    "initial.safetensors",
    "pictures/\0",
    "",
];

/// Numbers that are none of a small run's.
const FAR: [u64; 6] = [1 << 16, u32::MAX as u64, 1 << 32, i64::MAX as u64, u64::MAX - 1, u64::MAX];

/// Losses, rates, shares, and what is none.
const FRACTIONS: [f64; 10] = [
    0.5,
    0.0,
    1.0,
    400.0,
    1.5,
    -0.5,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    f64::MIN_POSITIVE,
];

impl Choices<'_> {
    /// Most often one that a small run has.
    fn number(&mut self) -> u64 {
        match self.byte() {
            small @ ..128 => u64::from(small % 32),
            larger @ ..240 => larger.into(),
            far => FAR[usize::from(far - 240) % FAR.len()],
        }
    }

    /// Likewise, of 32 bits.
    fn short(&mut self) -> u32 {
        self.number() as u32
    }

    fn fraction(&mut self) -> f64 {
        self.of(&FRACTIONS)
    }

    /// One of these, or any.
    pub fn text(&mut self, known: &[&str]) -> String {
        match self.byte() {
            255 => String::from_utf8_lossy(self.bytes()).into_owned(),
            byte => known[usize::from(byte) % known.len()].to_string(),
        }
    }

    /// Most often this one, or one near it.
    fn near(&mut self, number: u64) -> u64 {
        number.wrapping_add_signed(self.of(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 1, -1, 100]))
    }

    fn reached(&mut self) -> Reached {
        Reached { step: self.number(), epochs: self.number(), ended: self.below(2) == 1 }
    }
}

/// The messages of a call of a method while a generation is running; none of one whose calls are not made.
pub fn messages(name: &str, choices: &mut Choices<'_>, generation: u64) -> Vec<Bytes> {
    let message = match name {
        "SetKey" => SetKeyRequest {
            generation: choices.near(generation),
            key: key(choices),
            value: Bytes::copy_from_slice(choices.0),
        }
        .encode_to_vec(),
        "GetKeys" => GetKeysRequest {
            generation: choices.near(generation),
            timeout_ms: choices.number(),
            keys: (0..choices.byte()).map(|_| key(choices)).collect(),
        }
        .encode_to_vec(),
        "AddKey" => AddKeyRequest {
            generation: choices.near(generation),
            key: key(choices),
            amount: choices.number().cast_signed(),
        }
        .encode_to_vec(),
        "StreamSamples" => SamplesRequest {
            generation: choices.near(generation),
            split: choices.below(3) as i32,
            epoch: choices.number(),
            first_step: choices.number(),
            first_shard: choices.short(),
            end_shard: choices.short(),
            checking: (choices.below(2) == 0)
                .then(|| CheckingRank { rank: choices.short(), world_size: choices.short() }),
        }
        .encode_to_vec(),
        "PutArtifact" => return upload(choices, generation),
        "GetArtifact" => GetArtifactRequest { path: choices.text(&PATHS) }.encode_to_vec(),
        "ReportMetrics" => metrics(choices, generation).encode_to_vec(),
        "Scale" => ScaleRequest { workers: choices.short() }.encode_to_vec(),
        "Drain" => DrainRequest { slot: choices.short() }.encode_to_vec(),
        _ => Vec::new(),
    };
    vec![message.into()]
}

fn key(choices: &mut Choices<'_>) -> String {
    choices.text(&["rank 0", "count", "", "a"])
}

/// The rest is the file.
fn upload(choices: &mut Choices<'_>, generation: u64) -> Vec<Bytes> {
    let header = PutArtifactHeader {
        generation: choices.near(generation),
        paths: (0..choices.below(4) + 1).map(|_| choices.text(&PATHS)).collect(),
        length: 0,
    };
    let length = choices.near(0).wrapping_add(choices.0.len() as u64);
    let header = Piece::Header(PutArtifactHeader { length, ..header });
    let content = choices.0.chunks(1000).map(Bytes::copy_from_slice).map(Piece::Content);
    let pieces = [header].into_iter().chain(content);
    pieces.map(|piece| PutArtifactPiece { piece: Some(piece) }.encode_to_vec().into()).collect()
}

fn metrics(choices: &mut Choices<'_>, generation: u64) -> ReportMetricsRequest {
    let generation = choices.near(generation);
    let metrics = match choices.below(3) {
        0 => Some(Metrics::Step(StepMetrics {
            epoch: choices.number(),
            step: choices.number(),
            loss: choices.fraction(),
            softmax_loss: choices.fraction(),
            center_loss: choices.fraction(),
            lr: choices.fraction(),
            images_per_second: choices.fraction(),
            digests: (0..choices.byte() % 80).map(|_| choices.number()).collect(),
            terms: terms(choices),
        })),
        1 => Some(Metrics::Epoch(EpochMetrics {
            epoch: choices.number(),
            loss: choices.fraction(),
            softmax_loss: choices.fraction(),
            center_loss: choices.fraction(),
            train_accuracy: choices.fraction(),
            lr: choices.fraction(),
            images_per_second: choices.fraction(),
            test: (choices.below(2) == 1).then(|| test_metrics(choices)),
            terms: terms(choices),
        })),
        _ => None,
    };
    ReportMetricsRequest { generation, metrics }
}

fn terms(choices: &mut Choices<'_>) -> Vec<TermMetrics> {
    let term = |choices: &mut Choices<'_>| TermMetrics {
        name: "supcon".to_string(),
        loss: choices.fraction(),
        anchors: choices.number(),
    };
    (0..choices.below(4).saturating_sub(2)).map(|_| term(choices)).collect()
}

fn test_metrics(choices: &mut Choices<'_>) -> TestMetrics {
    let classes = choices.of(&[10, 0, 9, 11]);
    TestMetrics {
        accuracy: choices.fraction(),
        class_accuracy: (0..classes).map(|_| choices.fraction()).collect(),
        intra_distance: choices.fraction(),
        inter_distance: choices.fraction(),
        distance_ratio: choices.fraction(),
        nearest_center_accuracy: choices.fraction(),
    }
}

/// What a worker says.
pub fn word(choices: &mut Choices<'_>, generation: u64) -> Word {
    match choices.below(8) {
        0 => Word::Hello(hello(choices, generation)),
        1 => Word::Heartbeat(Heartbeat {
            generation: choices.near(generation),
            step: choices.number(),
            epoch: choices.number(),
            images_per_second: choices.fraction(),
            collective_share: choices.fraction(),
            memory_bytes: choices.number(),
            phase: choices.text(&["training", "a\nb"]),
        }),
        2 => Word::Pong(Pong { nonce: choices.number() }),
        3 => Word::Finished(Finished {
            generation: choices.near(generation),
            stopped: choices.below(2) == 1,
            reached: (choices.below(4) < 3).then(|| choices.reached()),
        }),
        4 => Word::Failed(Failed {
            generation: choices.near(generation),
            ends_run: choices.below(2) == 1,
            reason: reason(choices),
            reached: (choices.below(4) < 3).then(|| choices.reached()),
            // Of no account to who takes part.
            diverged: false,
        }),
        5 => Word::Left(Left {
            generation: choices.near(generation),
            broken: choices.below(2) == 1,
            reached: (choices.below(4) < 3).then(|| choices.reached()),
            reason: reason(choices),
        }),
        6 => Word::Contacted(Contacted {
            attempts: (0..choices.below(4)).map(|_| attempt(choices)).collect(),
        }),
        _ => Word::Leaving(Leaving { reason: reason(choices) }),
    }
}

/// Of a way to one of the first sessions.
fn attempt(choices: &mut Choices<'_>) -> Attempt {
    let answered = (0..choices.below(3)).map(|_| u32::from(choices.byte() % 4)).collect();
    Attempt { session: u64::from(choices.byte() % 8), answered, failure: reason(choices) }
}

/// Most often of a worker like the others.
fn hello(choices: &mut Choices<'_>, generation: u64) -> Hello {
    let slot = choices.byte();
    Hello {
        slot: slot.checked_sub(1).map(|slot| u32::from(slot % 8)),
        process_id: choices.short(),
        incarnation: choices.number(),
        held: (choices.below(2) == 1).then(|| HeldState {
            generation: choices.near(generation),
            reached: Some(choices.reached()),
            run: choices.text(&[IDENTITY, "another"]),
        }),
        advertise: choices.text(&["a", "b"]),
        hardware: choices.text(&["a", "a", "a", "b"]),
        libtorch_version: choices.text(&["a", "a", "a", "b"]),
        proof: match choices.below(4) {
            0 | 1 => String::new(),
            2 => Proof::new([choices.byte() % 2; 32]).to_string(),
            _ => choices.text(&["1-", "no"]),
        },
        variables: (0..choices.byte() % 40).map(|_| choices.text(&["A=1", "B\n"])).collect(),
        protocol_version: choices.of(&[0, 0, 0, 1]),
        machine: choices.text(&["", "m", "n"]),
        listens_at: match choices.below(4) {
            0 => Vec::new(),
            1 => vec!["10.0.0.1:4000".into(), "[fd00::1]:4000".into()],
            2 => vec!["[fd00::2]:4000".into()],
            _ => vec!["10.0.0.2:4000".into()],
        },
        ..Hello::default()
    }
}

/// Short, or longer than what is kept, cut within a letter or between two.
fn reason(choices: &mut Choices<'_>) -> String {
    match choices.below(4) {
        0 | 1 => choices.text(&["x"]),
        2 => "ä".repeat(10_000),
        _ => format!("a{}", "ä".repeat(10_000)),
    }
}
