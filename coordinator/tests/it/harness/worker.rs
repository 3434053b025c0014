//! Workers that only talk: mere clients of the coordinator's.

use std::ops::{Deref, DerefMut};

use common::access::Access;
use common::config::Config;
use common::status::ServiceError;
use proto::coordinator_message::Message as Order;
use proto::worker_message::Message as Word;
use proto::{
    CoordinatorMessage, Finished, Heartbeat, Hello, Left, PROTOCOL_VERSION, Reached, Start,
    Welcome, WorkerMessage,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::caller::Caller;
use super::patience::within;
use super::run::TestRun;

/// A worker that only talks.
#[derive(Debug)]
pub struct FakeWorker {
    words: mpsc::Sender<WorkerMessage>,
    pub orders: Streaming<CoordinatorMessage>,
    caller: Caller,
}

impl Deref for FakeWorker {
    type Target = Caller;

    fn deref(&self) -> &Caller {
        &self.caller
    }
}

impl DerefMut for FakeWorker {
    fn deref_mut(&mut self) -> &mut Caller {
        &mut self.caller
    }
}

/// What an ordinary worker says first.
pub fn hello(slot: u32) -> Hello {
    Hello {
        protocol_version: PROTOCOL_VERSION,
        slot: Some(slot),
        advertise: format!("host-{slot}"),
        device: "cpu".to_string(),
        hardware: "Xeon".to_string(),
        libtorch_version: "2.11.0".to_string(),
        program_version: "0.1.0".to_string(),
        process_id: 100 + slot,
        held: None,
        incarnation: 1000 + u64::from(slot),
        machine: String::new(),
        listens_at: Vec::new(),
        kernels: 0,
        answer: 0,
        proof: String::new(),
        variables: Vec::new(),
    }
}

/// A step that is done.
pub fn at(step: u64) -> Option<Reached> {
    Some(Reached { step, ..Reached::default() })
}

impl FakeWorker {
    pub async fn join(run: &TestRun, slot: u32) -> Self {
        Self::join_as(run, hello(slot)).await.unwrap()
    }

    pub async fn join_as(run: &TestRun, hello: Hello) -> Result<Self, ServiceError> {
        Self::join_with(&run.address, &run.access, hello).await
    }

    pub async fn join_at(address: &str, hello: Hello) -> Result<Self, ServiceError> {
        Self::join_with(address, &Access::default(), hello).await
    }

    pub async fn join_with(
        address: &str,
        access: &Access,
        hello: Hello,
    ) -> Result<Self, ServiceError> {
        Self::join_over(Caller::connect(address, access).await?, hello).await
    }

    pub async fn join_over(mut caller: Caller, hello: Hello) -> Result<Self, ServiceError> {
        let (words, outgoing) = mpsc::channel(16);
        words.send(WorkerMessage { message: Some(Word::Hello(hello)) }).await.unwrap();
        let session = caller.client.session(ReceiverStream::new(outgoing));
        let orders = within(session).await?.into_inner();
        Ok(Self { words, orders, caller })
    }

    /// `count` workers that have been told to start.
    pub async fn start_all(run: &TestRun, count: u32) -> (Vec<Self>, Vec<Start>) {
        let mut workers = Vec::new();
        for slot in 0..count {
            workers.push(Self::join(run, slot).await);
        }
        let mut starts = Vec::new();
        for worker in &mut workers {
            starts.push(worker.start().await);
        }
        (workers, starts)
    }

    pub async fn say(&self, word: Word) {
        self.words.send(WorkerMessage { message: Some(word) }).await.unwrap();
    }

    pub async fn beat(&self, step: u64) {
        let heartbeat =
            Heartbeat { generation: 1, phase: "training".into(), step, ..Heartbeat::default() };
        self.say(Word::Heartbeat(heartbeat)).await;
    }

    pub async fn finish(&self, stopped: bool) {
        self.finish_in(1, stopped, 30).await;
    }

    pub async fn finish_in(&self, generation: u64, stopped: bool, step: u64) {
        self.say(Word::Finished(Finished { generation, stopped, reached: at(step) })).await;
    }

    /// Leaves a generation whose exchanges broke.
    pub async fn leave(&self, generation: u64, step: u64) {
        let reason = "rank 9 is lost".to_string();
        self.say(Word::Left(Left { generation, reached: at(step), reason, broken: true })).await;
    }

    /// The next order, or how the stream ended. Greetings and answers to heartbeats are passed over.
    pub async fn order(&mut self) -> Result<Option<Order>, Status> {
        loop {
            let order = within(self.orders.message()).await?.and_then(|order| order.message);
            if !matches!(order, Some(Order::Welcome(_) | Order::Heard(_))) {
                return Ok(order);
            }
        }
    }

    /// The greeting that must come next.
    pub async fn welcome(&mut self) -> Welcome {
        match within(self.orders.message()).await.unwrap().and_then(|order| order.message) {
            Some(Order::Welcome(welcome)) => welcome,
            other => panic!("{other:?} instead of Welcome"),
        }
    }

    pub async fn start(&mut self) -> Start {
        match self.order().await {
            Ok(Some(Order::Start(start))) => start,
            other => panic!("{other:?} instead of Start"),
        }
    }

    /// The reason of the Halt that must come next, and whether it is to be followed at once.
    pub async fn halted(&mut self) -> (String, bool) {
        match self.order().await {
            Ok(Some(Order::Halt(halt))) => (halt.reason, halt.at_once),
            other => panic!("{other:?} instead of Halt"),
        }
    }

    /// The reason of the Abort that must come next.
    pub async fn aborted(&mut self) -> String {
        match self.order().await {
            Ok(Some(Order::Abort(abort))) => abort.reason,
            other => panic!("{other:?} instead of Abort"),
        }
    }
}

/// The settings that workers were sent.
pub fn config(start: &Start) -> Config {
    Config::from_toml(&start.config).unwrap()
}
