//! Calls as bytes: what is sent need be no message, and goes the way that every message takes through the server.

use std::sync::LazyLock;

use coordinator::service::Service;
use prost::bytes::{Buf, BufMut};
use proto::coordinator_server::{CoordinatorServer, SERVICE_NAME};
use tokio_stream::{Stream, StreamExt};
use tonic::client::Grpc;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::codegen::Bytes;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Request, Status, Streaming};

/// A method of the service.
#[derive(Debug)]
pub struct Method {
    /// As the `.proto` file has it.
    pub name: &'static str,
    /// Whether it takes any number of messages.
    pub takes_stream: bool,
    path: PathAndQuery,
}

/// All of them: one that is new in the `.proto` file is called as soon as it is there.
pub static METHODS: LazyLock<Vec<Method>> = LazyLock::new(|| {
    let methods = include_str!("../../../proto/concentric.proto").lines().filter_map(|line| {
        let (name, message) = line.trim().strip_prefix("rpc ")?.split_once('(')?;
        let path = format!("/{SERVICE_NAME}/{name}").parse().expect("a name is a path");
        Some(Method { name, takes_stream: message.starts_with("stream "), path })
    });
    methods.collect()
});

/// The method of this name.
///
/// # Panics
/// There is none.
pub fn method(name: &str) -> &'static Method {
    METHODS.iter().find(|method| method.name == name).expect("it is in the .proto file")
}

/// The server of a service, but for its connections.
pub type Server = CoordinatorServer<Service>;

/// Sends messages and returns the stream of answers.
///
/// # Errors
/// What the server refuses the call with.
pub async fn call(
    server: Server,
    method: &Method,
    messages: impl Stream<Item = Bytes> + Send + 'static,
) -> Result<Streaming<Bytes>, Status> {
    let mut client = Grpc::new(server);
    client.ready().await.expect("it is always ready");
    let answers = client.streaming(Request::new(messages), method.path.clone(), Raw).await;
    Ok(answers?.into_inner())
}

/// Sends messages and collects all answers.
///
/// # Errors
/// What the server refuses the call with, at once or after some answers.
pub async fn answers(
    server: Server,
    method: &Method,
    messages: impl Stream<Item = Bytes> + Send + 'static,
) -> Result<Vec<Bytes>, Status> {
    call(server, method, messages).await?.collect().await
}

/// Messages that are bytes.
#[derive(Clone, Copy, Debug)]
struct Raw;

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
