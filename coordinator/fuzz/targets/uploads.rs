//! Files on their way in: such as a run has, then changed, then sent as no worker would.
//!
//! The tensors of a whole model are more than the fuzzer writes by itself; it says what is wrong with them.

#![no_main]

use std::fs;
use std::sync::LazyLock;
use std::time::Duration;

use coordinator::run_directory::CheckpointMetadata;
use coordinator::run_directory::model_file::METADATA_KEY;
use fuzz::archive::{self, Tensors, encode, metadata, tensors_sha256, zeros};
use fuzz::calls::{answers, method};
use fuzz::made::PATHS;
use fuzz::run::{CONFIG, EPOCHS, Run, SAMPLES, STEPS_PER_EPOCH, hello, pass};
use fuzz::{Choices, pieces};
use libfuzzer_sys::fuzz_target;
use prost::Message;
use proto::put_artifact_piece::Piece;
use proto::{PutArtifactHeader, PutArtifactPiece};
use safetensors::{Dtype, SafeTensors};
use tokio::sync::mpsc;
use tokio::task::yield_now;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::Code;
use tonic::codegen::Bytes;

fuzz_target!(|data: &[u8]| Run::play(async |run| {
    let (words, said) = mpsc::unbounded_channel::<Bytes>();
    words.send(hello(None)).expect("it is kept");
    let session = fuzz::calls::call(
        run.server.clone(),
        method("Session"),
        UnboundedReceiverStream::new(said),
    );
    let _orders = session.await.expect("nobody else is there");
    pass(Duration::ZERO).await;
    for piece in pieces(data) {
        let mut choices = Choices(piece);
        let kind = choices.of(&[Kind::Model, Kind::Resume, Kind::Features, Kind::Picture]);
        let sending = Sending::of(kind, &mut choices);
        let file = File::of(kind, &mut choices);
        send(run, &sending, &file).await;
    }
}));

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Model,
    Resume,
    Features,
    Picture,
}

impl Kind {
    /// Where such a file may stand.
    fn name(self) -> &'static str {
        match self {
            Self::Model => "checkpoints/last.safetensors",
            Self::Resume => "checkpoints/last.resume.safetensors",
            Self::Features => "features/epoch=0.safetensors",
            Self::Picture => "pictures/curves.svg",
        }
    }
}

/// How a file is sent.
#[derive(Debug)]
struct Sending {
    paths: Vec<String>,
    /// Added to the current one.
    generation: u8,
    /// Added to the length.
    length: i8,
    parts: usize,
    fault: Fault,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    None,
    NoHeader,
    TwoHeaders,
    NoPiece,
    NoMessage,
    /// The caller says no more, and goes.
    NoEnd,
}

/// Most are sent as they should be.
const FAULTS: [Fault; 10] = [
    Fault::None,
    Fault::None,
    Fault::None,
    Fault::None,
    Fault::None,
    Fault::NoHeader,
    Fault::TwoHeaders,
    Fault::NoPiece,
    Fault::NoMessage,
    Fault::NoEnd,
];

impl Sending {
    fn of(kind: Kind, choices: &mut Choices<'_>) -> Self {
        let count = choices.of(&[0, 0, 0, 1, 1, 2, 3, 4, 5]);
        let named: Vec<String> = (0..count).map(|_| choices.text(&PATHS)).collect();
        Self {
            paths: if count == 0 { vec![kind.name().to_string()] } else { named },
            generation: choices.of(&[0, 0, 0, 0, 0, 0, 0, 1]),
            length: choices.of(&[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, -1, 100]),
            parts: 1 + choices.below(4),
            fault: choices.of(&FAULTS),
        }
    }

    fn is_honest(&self, kind: Kind) -> bool {
        let place = [kind.name().to_string()];
        self.paths == place && self.generation == 0 && self.length == 0 && self.fault == Fault::None
    }

    /// What goes over the line.
    fn messages(&self, generation: u64, content: &[u8]) -> Vec<Bytes> {
        let header = PutArtifactHeader {
            generation: generation + u64::from(self.generation),
            paths: self.paths.clone(),
            length: (content.len() as u64).wrapping_add_signed(self.length.into()),
        };
        let size = content.len().div_ceil(self.parts).max(1);
        let parts = content.chunks(size).map(Bytes::copy_from_slice).map(Piece::Content);
        let mut pieces: Vec<Option<Piece>> = parts.map(Some).collect();
        let begin = if self.fault == Fault::NoHeader { None } else { Some(Piece::Header(header)) };
        match self.fault {
            Fault::TwoHeaders => pieces.push(begin.clone()),
            Fault::NoPiece => pieces.insert(pieces.len() / 2, None),
            _ => {}
        }
        let pieces = begin.map(Some).into_iter().chain(pieces);
        let messages = pieces.map(|piece| PutArtifactPiece { piece }.encode_to_vec().into());
        let mut messages: Vec<Bytes> = messages.collect();
        if self.fault == Fault::NoMessage {
            messages.insert(messages.len() / 2, Bytes::from_static(b"\xff"));
        }
        messages
    }
}

/// A file of some kind, with what was changed in it.
#[derive(Debug)]
struct File {
    kind: Kind,
    content: Vec<u8>,
    is_changed: bool,
}

/// The model file's tensors.
static MODEL: LazyLock<Tensors> =
    LazyLock::new(|| archive::model(CONFIG.network, CONFIG.feature_dim as usize));
/// Their digest.
static MODEL_SHA256: LazyLock<String> = LazyLock::new(|| tensors_sha256(&MODEL));

/// Names of tensors.
const TENSORS: [&str; 12] = [
    "center",
    "momentum.features.weight",
    "second_moment.features.weight",
    "momentum.center",
    "record.features",
    "record.labels",
    "record.predictions",
    "train.features",
    "train.labels",
    "test.features",
    "test.predictions",
    "centers",
];

/// Bits of a number.
const NUMBERS: [u64; 6] = [
    0x3ff0_0000_0000_0000,
    // 32 bits that are no number, infinite, negative and infinite; then no number in 64.
    0x7fc0_0000,
    0x7f80_0000,
    0xff80_0000,
    0x7ff8_0000_0000_0000,
    u64::MAX,
];

impl File {
    fn of(kind: Kind, choices: &mut Choices<'_>) -> Self {
        if kind == Kind::Picture {
            return Self { kind, content: choices.0.to_vec(), is_changed: false };
        }
        let is_changed = choices.are_left();
        let mut tensors = tensors_of(kind);
        let mut text = (kind == Kind::Model)
            .then(|| metadata([1, 2, STEPS_PER_EPOCH + 2], &[], Some(MODEL_SHA256.clone())));
        let mut damage = Vec::new();
        while choices.are_left() {
            match choices.below(6) {
                0 => text = described(&tensors, choices),
                1 => damage.push((choices.byte(), choices.byte())),
                _ => change(&mut tensors, choices),
            }
        }
        let mut content = encode(&tensors, text);
        for (place, bits) in damage {
            // The end is missing, or a byte of the header is another.
            if bits == 0 {
                content.truncate(content.len().saturating_sub(place.into()));
            } else if let Some(byte) = content.get_mut(usize::from(place)) {
                *byte ^= bits;
            }
        }
        Self { kind, content, is_changed }
    }
}

fn tensors_of(kind: Kind) -> Tensors {
    let dim = CONFIG.feature_dim as usize;
    let tensors: &[(&str, Dtype, &[usize])] = match kind {
        Kind::Model => return MODEL.clone(),
        Kind::Resume => &[
            ("momentum.features.bias", Dtype::F32, &[dim]),
            ("record.features", Dtype::F32, &[3, dim]),
            ("record.labels", Dtype::U8, &[3]),
            ("record.predictions", Dtype::U8, &[3]),
        ],
        Kind::Features => &[
            ("train.features", Dtype::F32, &[SAMPLES.0, dim]),
            ("train.labels", Dtype::U8, &[SAMPLES.0]),
            ("test.features", Dtype::F32, &[SAMPLES.1, dim]),
            ("test.labels", Dtype::U8, &[SAMPLES.1]),
            ("centers", Dtype::F32, &[10, dim]),
        ],
        Kind::Picture => &[],
    };
    let tensors = tensors.iter().map(|(name, dtype, shape)| ((*name).into(), zeros(*dtype, shape)));
    tensors.collect()
}

/// What a file says of itself, right or wrong.
fn described(tensors: &Tensors, choices: &mut Choices<'_>) -> Option<String> {
    let (epoch, within) = (u64::from(choices.byte()), u64::from(choices.byte()));
    let step =
        (STEPS_PER_EPOCH * epoch + within).wrapping_add_signed(choices.byte().cast_signed().into());
    let digest = match choices.below(5) {
        0 => None,
        1 => Some(tensors_sha256(tensors)),
        2 => Some("0".repeat(64)),
        3 => return None,
        _ => return Some(String::from_utf8_lossy(choices.bytes()).into_owned()),
    };
    Some(metadata([epoch, within, step], &[], digest))
}

/// Numbers of the largest tensor: more than the network's.
const LARGEST: usize = 1 << 20;

/// Changes one tensor.
fn change(tensors: &mut Tensors, choices: &mut Choices<'_>) {
    let which = choices.below(tensors.len().max(1));
    let Some(name) = tensors.keys().nth(which).cloned() else { return };
    let (mut dtype, mut shape, mut bytes) = tensors.remove(&name).expect("it is there");
    let mut new_name = name;
    match choices.below(6) {
        0 => return,
        1 => dtype = choices.of(&[Dtype::F64, Dtype::F16, Dtype::I64, Dtype::U8, Dtype::F32]),
        2 => shape.insert(0, choices.byte().into()),
        3 => *shape.first_mut().unwrap_or(&mut 0) = choices.byte().into(),
        4 => {
            let number = choices.of(&NUMBERS).to_le_bytes();
            let size = (dtype.bitsize() / 8).min(8);
            let place = choices.below(256) * size;
            if let Some(bytes) = bytes.get_mut(place..place + size) {
                bytes.copy_from_slice(&number[..size]);
            }
        }
        _ => new_name = choices.of(&TENSORS).to_string(),
    }
    if shape.iter().product::<usize>() > LARGEST {
        shape = vec![1];
    }
    bytes.resize(zeros(dtype, &shape).2.len(), 0);
    tensors.insert(new_name, (dtype, shape, bytes));
}

/// How often others have their turn before a caller goes that says no more.
const PATIENCE: usize = 20;

/// Sends a file. It is stored as it is, and nothing is wrong with it; or nothing has changed.
async fn send(run: &Run, sending: &Sending, file: &File) {
    let before = run.results();
    let generation = run.shared.cluster.view().generation.0;
    let (pieces, sent) = mpsc::unbounded_channel();
    for message in sending.messages(generation, &file.content) {
        pieces.send(message).expect("it is kept");
    }
    let is_endless = sending.fault == Fault::NoEnd;
    let pieces = is_endless.then_some(pieces);
    let sent = UnboundedReceiverStream::new(sent);
    let call = tokio::spawn(answers(run.server.clone(), method("PutArtifact"), sent));
    if is_endless {
        // A file is being written then.
        for _ in 0..PATIENCE {
            yield_now().await;
        }
        call.abort();
    }
    let answered = call.await;
    drop(pieces);
    pass(Duration::ZERO).await;
    let is_stored = match answered {
        Ok(Err(refused)) => {
            assert_ne!(refused.code(), Code::ResourceExhausted, "{refused:?}");
            false
        }
        Ok(Ok(_)) => true,
        Err(_) => {
            assert!(is_endless, "{sending:?}");
            run.results() != before
        }
    };
    if is_stored {
        check_stored(run, sending, file);
    } else {
        assert!(!sending.is_honest(file.kind) || file.is_changed, "{sending:?}");
        assert_eq!(run.results(), before, "{sending:?}");
    }
}

fn check_stored(run: &Run, sending: &Sending, file: &File) {
    assert!(sending.length == 0 && sending.generation == 0, "{sending:?}");
    for path in &sending.paths {
        match fs::read(run.shared.directory.root().join(path)) {
            Ok(content) => assert!(content == file.content, "{path} is another file"),
            // There were newer ones.
            Err(_) => assert!(path.starts_with("checkpoints/epoch="), "{path} is not there"),
        }
    }
    let is_picture = |path: &String| path.starts_with("pictures/");
    if !sending.paths.iter().all(is_picture) {
        check_numbers(&file.content);
    }
    let is_model = |path: &String| path.starts_with("checkpoints/") && !path.contains(".resume.");
    if sending.paths.iter().any(is_model) {
        check_model(&file.content);
    }
}

/// Nothing that is no number; what is infinite only where it may be.
fn check_numbers(content: &[u8]) {
    let tensors = SafeTensors::deserialize(content).expect("it was checked");
    for (name, tensor) in tensors.iter() {
        let numbers: Vec<f64> = match tensor.dtype() {
            Dtype::F32 => {
                let numbers = tensor.data().as_chunks().0.iter();
                numbers.map(|number| f32::from_le_bytes(*number).into()).collect()
            }
            Dtype::F64 => panic!("the run computes in 32 bits"),
            _ => continue,
        };
        let may_be_infinite = name.starts_with("second_moment.") || name == "test.features";
        let is_good = |number: &f64| number.is_finite() || (may_be_infinite && !number.is_nan());
        assert!(numbers.iter().all(is_good), "{name}");
    }
}

/// The network's tensors, and a position that the run has.
fn check_model(content: &[u8]) {
    let tensors = SafeTensors::deserialize(content).expect("it was checked");
    assert_eq!(tensors.len(), MODEL.len());
    for (name, (dtype, shape, _)) in MODEL.iter() {
        let tensor = tensors.tensor(name).expect("it was checked");
        assert_eq!((tensor.dtype(), tensor.shape()), (*dtype, &shape[..]), "{name}");
    }
    let (_, header) = SafeTensors::read_metadata(content).expect("it was checked");
    let text = &header.metadata().as_ref().expect("it was checked")[METADATA_KEY];
    let position: CheckpointMetadata = serde_json::from_str(text).expect("it was checked");
    let whole = position.epoch * STEPS_PER_EPOCH + position.step_in_epoch;
    assert!(position.step == whole && whole <= EPOCHS * STEPS_PER_EPOCH, "{position:?}");
}
