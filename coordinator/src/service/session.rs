//! A worker's whole stay: its Hello, the wait for its place, then its messages until either side ends it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use common::status::ServiceError;
use proto::worker_message::Message;
use proto::{CoordinatorMessage, Hello, WorkerMessage};
use tokio::time::timeout;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::board::Board;
use super::intake::Intake;
use super::shared::{Outgoing, Shared};
use crate::cluster::Seat;
use crate::cluster::membership::Event;
use crate::cluster::translation::event;
use crate::run_directory::ledger::COMPLETE;

/// A worker says Hello at once.
const HELLO_DEADLINE: Duration = Duration::from_secs(10);
/// After the last order, a worker reads it and closes its side itself.
const FAREWELL: Duration = Duration::from_secs(3);

/// Lets the worker in and returns the stream of its orders.
pub async fn serve(
    shared: &Shared,
    caller: Option<IpAddr>,
    mut messages: Streaming<WorkerMessage>,
) -> Result<Outgoing<CoordinatorMessage>, ServiceError> {
    let hello = shared.intake.check_hello(hello(&mut messages).await?)?;
    if let Some(caller) = caller {
        shared.joins.count(shared.cluster.uptime(), caller, hello.slot)?;
    }
    if shared.was_complete {
        shared.cluster.has_told_latecomer();
        return Err(ServiceError::Complete(COMPLETE.to_string()));
    }
    let (seat, orders) = Seat::take(&shared.cluster, hello).await?;
    let (cancel, intake) = (shared.cancel.clone(), shared.intake.clone());
    let board = Arc::clone(&shared.board);
    let listening =
        async move { cancel.run_until_cancelled(listen(seat, messages, &intake, &board)).await };
    shared.tasks.spawn(listening);
    Ok(Box::pin(ReceiverStream::new(orders).map(Ok)))
}

async fn hello(messages: &mut Streaming<WorkerMessage>) -> Result<Hello, ServiceError> {
    let first = timeout(HELLO_DEADLINE, messages.message())
        .await
        .map_err(|_| ServiceError::TimedOut(format!("no Hello came within {HELLO_DEADLINE:?}")))?;
    match first?.and_then(|message| message.message) {
        Some(Message::Hello(hello)) => Ok(hello),
        _ => Err(ServiceError::Invalid("a session must begin with a Hello".to_string())),
    }
}

/// Passes on what the worker says until its connection or its session ends.
async fn listen(
    seat: Seat,
    mut messages: Streaming<WorkerMessage>,
    intake: &Intake,
    board: &Board,
) {
    let closing = seat.closing.clone();
    let how = closing.run_until_cancelled(pass_on(&seat, &mut messages, intake, board)).await;
    match how {
        Some(how) => seat.leave(how),
        None => {
            // Closing before the worker has read its last order could take that from it.
            timeout(FAREWELL, async { while let Ok(Some(_)) = messages.message().await {} })
                .await
                .ok();
        }
    }
}

/// Returns how the connection ended.
async fn pass_on(
    seat: &Seat,
    messages: &mut Streaming<WorkerMessage>,
    intake: &Intake,
    board: &Board,
) -> String {
    loop {
        match messages.message().await {
            Ok(Some(message)) => {
                let tidied = message.message.map(|message| intake.tidy(message)).transpose();
                let message = match tidied {
                    Ok(message) => message,
                    Err(what) => return format!("said what cannot be true: {what}"),
                };
                if matches!(&message, Some(Message::Failed(failed)) if failed.diverged) {
                    board.update(|record| record.diverged = true);
                }
                let Some(event) = message.and_then(|message| event(seat.session, message)) else {
                    continue;
                };
                let is_heartbeat = matches!(event, Event::Heard { .. });
                seat.apply(event);
                if is_heartbeat {
                    seat.confirm();
                }
            }
            Ok(None) => return "closed its connection".to_string(),
            Err(status) => return format!("lost its connection ({})", status.message()),
        }
    }
}
