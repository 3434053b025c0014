//! Calls of every method of the service, one after the other or at the same time, beside sessions in any state.

#![no_main]

use std::collections::HashMap;
use std::time::Duration;

use coordinator::run_directory::artifact_path::FOLDERS;
use fuzz::calls::{METHODS, Method, answers, call, method};
use fuzz::made::{messages, word};
use fuzz::run::{INITIAL, Run, SAMPLES, hello, in_this_version, pass};
use fuzz::{Choices, pieces};
use libfuzzer_sys::fuzz_target;
use prost::Message;
use proto::{
    ArtifactPiece, CoordinatorMessage, GetArtifactRequest, SampleBlock, StateTransfer, StatusReply,
    TermsReply, WorkerMessage,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::codegen::Bytes;
use tonic::{Code, Status};

/// Workers at once.
const SESSIONS: u8 = 8;
/// Such a call's messages are made; they are the fuzzer's bytes otherwise.
const MADE: u8 = 0x80;

fuzz_target!(|data: &[u8]| Run::play(async |run| {
    let mut callers = Callers { run, sessions: HashMap::new(), waiting: JoinSet::new() };
    // Calls belong to a generation.
    callers.say(0, hello(None));
    pass(Duration::ZERO).await;
    for piece in pieces(data) {
        // Which method, and how long it is to the call after; then what is sent.
        let Some((&[which, delay], body)) = piece.split_first_chunk() else { continue };
        callers.call(which, body).await;
        pass(time(delay)).await;
    }
}));

/// Most often less than a second or two: who is silent for ten is evicted.
fn time(delay: u8) -> Duration {
    match delay {
        short @ ..240 => Duration::from_millis(100) * u32::from(short % 16),
        long => Duration::from_secs(5) * u32::from(long - 239),
    }
}

struct Callers<'r> {
    run: &'r Run,
    /// What their workers say.
    sessions: HashMap<u8, mpsc::UnboundedSender<Bytes>>,
    /// Calls that are not answered at once, and sessions.
    waiting: JoinSet<()>,
}

impl Callers<'_> {
    async fn call(&mut self, which: u8, body: &[u8]) {
        let number = usize::from(which & !MADE) % (METHODS.len() + 1);
        let Some(method) = METHODS.get(number) else { return read_elsewhere(body) };
        let is_made = which & MADE != 0;
        let generation = self.run.shared.cluster.view().generation.0;
        if method.name == "Session" {
            let Some((session, word)) = body.split_first() else { return };
            self.say(session % SESSIONS, words(word, is_made, generation));
            return;
        }
        let messages: Vec<Bytes> = match (is_made, method.takes_stream) {
            (true, _) => messages(method.name, &mut Choices(body), generation),
            (false, true) => pieces(body).map(Bytes::copy_from_slice).collect(),
            (false, false) => vec![Bytes::copy_from_slice(body)],
        };
        if method.name == "GetKeys" {
            let answers = answers(self.run.server.clone(), method, tokio_stream::iter(messages));
            self.waiting.spawn(async move { drop(answers.await) });
            return;
        }
        self.ask(method, messages).await;
    }

    /// A worker says something; nothing, and its session is over.
    fn say(&mut self, session: u8, word: Bytes) {
        if word.is_empty() {
            self.sessions.remove(&session);
            return;
        }
        let words = self.sessions.entry(session).or_insert_with(|| {
            let (words, said) = mpsc::unbounded_channel();
            let server = self.run.server.clone();
            self.waiting.spawn(async move {
                let said = UnboundedReceiverStream::new(said);
                let Ok(mut orders) = call(server, method("Session"), said).await else { return };
                while let Some(Ok(order)) = orders.next().await {
                    CoordinatorMessage::decode(order).expect("orders are messages");
                }
            });
            words
        });
        // One that is over is begun anew with the next word.
        if words.send(word).is_err() {
            self.sessions.remove(&session);
        }
    }

    /// What is refused changes nothing.
    async fn ask(&self, method: &'static Method, messages: Vec<Bytes>) {
        let before = self.run.results();
        let first = messages.first().cloned().unwrap_or_default();
        let answers = answers(self.run.server.clone(), method, tokio_stream::iter(messages)).await;
        match answers {
            Ok(answers) => check(method, &first, answers),
            Err(refused) => {
                check_refusal(method, &refused);
                assert_eq!(self.run.results(), before, "{method:?}: {refused:?}");
            }
        }
    }
}

/// A word as it is sent; none is an end.
fn words(body: &[u8], is_made: bool, generation: u64) -> Bytes {
    let word = match is_made {
        true => Ok(WorkerMessage { message: Some(word(&mut Choices(body), generation)) }),
        false => WorkerMessage::decode(body),
    };
    match word {
        Ok(word) => in_this_version(word).encode_to_vec().into(),
        Err(_) => Bytes::copy_from_slice(body),
    }
}

/// The disk is not full, and every method is there.
fn check_refusal(method: &Method, refused: &Status) {
    let is_storage = refused.code() == Code::ResourceExhausted;
    let is_unknown = refused.code() == Code::Unimplemented;
    assert!(!is_storage && !is_unknown, "{method:?}: {refused:?}");
}

fn check(method: &Method, request: &[u8], answers: Vec<Bytes>) {
    match method.name {
        "StreamSamples" => check_samples(answers),
        "GetArtifact" => check_artifact(request, answers),
        "GetTerms" => drop(TermsReply::decode(&*answers[0]).expect("it is a message")),
        "GetStatus" => drop(StatusReply::decode(&*answers[0]).expect("it is a message")),
        _ => {}
    }
}

/// What is sent is what the data has, whole samples, no more than an epoch.
fn check_samples(blocks: Vec<Bytes>) {
    let mut count = 0;
    for block in blocks {
        let SampleBlock { images, labels } = Message::decode(block).expect("it is a message");
        assert_eq!(images.len(), labels.len() * 784);
        count += labels.len();
    }
    assert!(count <= SAMPLES.0);
}

/// What is sent is the initial state, or in one of the folders.
fn check_artifact(request: &[u8], pieces: Vec<Bytes>) {
    let path = GetArtifactRequest::decode(request).expect("it was understood").path;
    if path == "initial.safetensors" {
        let contents = pieces.into_iter().map(ArtifactPiece::decode);
        let whole: Vec<u8> = contents.flat_map(|it| it.expect("it is a message").content).collect();
        assert_eq!(whole, INITIAL);
    } else {
        let (folder, name) = path.split_once('/').expect("it names a folder");
        assert!(FOLDERS.contains(&folder) && !name.contains(['/', '\\']) && name != "..", "{path}");
    }
}

/// What is no call: a worker reads it.
fn read_elsewhere(body: &[u8]) {
    drop(StateTransfer::decode(body));
    drop(CoordinatorMessage::decode(body));
}
