//! How a stay begins: the worker connects, says what it is and which slot it asks for, and is told which one it has.

use std::time::Duration;

use common::computing::Proof;
use common::ids::Slot;
use common::status::ServiceError;
use engine::Instructions;
use proto::coordinator_message::Message as Order;
use proto::worker_message::Message as Word;
use proto::{CoordinatorMessage, HeldState, Hello, PROTOCOL_VERSION, Welcome, WorkerMessage};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::contact::Listening;
use super::incarnation::incarnation;
use super::own_address;
use super::proofs::Proofs;
use crate::args::WorkerArgs;
use crate::bridge;
use crate::collective::agreement::CollectiveOptions;
use crate::link::{Client, connect};
use crate::machine::cpus::CpuBind;
use crate::machine::cpus::allotment::Allotment;
use crate::machine::device::Place;
use crate::machine::environment;
use crate::machine::graphs::Graphs;
use crate::machine::hardware;

/// How long the coordinator may take to welcome a worker that it has let in.
const WELCOME: Duration = Duration::from_secs(5);

/// What a worker is in a stay, for every generation of it.
#[derive(Clone, Debug)]
pub struct Post {
    /// Its slot.
    pub slot: Slot,
    /// Where and how it computes.
    pub place: Place,
    /// What a CPU computes with.
    pub instructions: Instructions,
    /// What records steps.
    pub graphs: Graphs,
    /// What carries the sums.
    pub collective: CollectiveOptions,
    /// Address for the collectives.
    pub advertise: String,
    /// Logical shards side by side, if given.
    pub parallel: Option<usize>,
    /// Which processors it is bound to.
    pub cpu_bind: CpuBind,
}

/// A worker that was let in.
pub struct Joined {
    /// What it is.
    pub post: Post,
    /// Its connection.
    pub client: Client,
    /// What it says.
    pub words: mpsc::Sender<WorkerMessage>,
    /// What it is told.
    pub orders: Streaming<CoordinatorMessage>,
    /// The first thing that it was told.
    pub welcome: Welcome,
    /// Where it answers other workers.
    pub listening: Listening,
}

/// Joins the coordinator, in this slot or in any.
///
/// # Errors
/// It is out of reach, or refuses this worker; or this worker cannot compute what the run does.
pub async fn join(
    args: &WorkerArgs,
    proofs: &mut Proofs,
    slot: Option<Slot>,
    held: Option<HeldState>,
) -> Result<Joined, ServiceError> {
    let mut client = connect(&args.coordinator, &args.access).await?;
    // As far as it is known before the slot is: all GPUs of a machine are taken to be alike.
    let place = args.placement.of(slot.unwrap_or_default());
    let proof = proofs.of(&mut client, (place, args.instructions)).await.map_err(of_an_answer)?;
    let listening = listen(args).await?;
    let own = || listening.addresses[0].ip().to_string();
    let advertise = args.advertise.clone().unwrap_or_else(own);
    let (words, outgoing) = mpsc::channel(16);
    let computes = (place, proof);
    let hello = Word::Hello(hello(args, (slot, held), (advertise.clone(), &listening), computes));
    words.try_send(WorkerMessage { message: Some(hello) }).expect("the channel is new");
    let session = client.session(ReceiverStream::new(outgoing)).await;
    let mut orders = session.map_err(|status| of_an_answer(status.into()))?.into_inner();
    let welcome = welcome(&mut orders).await?;
    let own = Slot(welcome.slot);
    let how = if slot.is_some() { "joined" } else { "joined, and was given this slot" };
    tracing::info!(coordinator = %args.coordinator, slot = %own, "{how}");
    let told = hardware::describe(place);
    let place = args.placement.of(own);
    if told != hardware::describe(place) {
        return Err(ServiceError::Invalid(format!(
            "the GPUs of this machine are not alike, and slot {own} would compute on {place}: give --device or --rank"
        )));
    }
    let post = Post {
        slot: own,
        place,
        graphs: args.graphs.clone(),
        collective: args.collective.clone(),
        advertise,
        instructions: args.instructions,
        parallel: args.parallel,
        cpu_bind: args.cpu_bind,
    };
    Ok(Joined { post, client, words, orders, welcome, listening })
}

/// What no answer means where a connection was accepted: the store of another program may listen there.
fn of_an_answer(error: ServiceError) -> ServiceError {
    match error {
        ServiceError::Unreachable(why) => ServiceError::Unreachable(format!(
            "what accepts connections there does not answer as a coordinator does ({why})"
        )),
        error => error,
    }
}

/// The first order of a coordinator that has let this worker in.
async fn welcome(orders: &mut Streaming<CoordinatorMessage>) -> Result<Welcome, ServiceError> {
    let unreachable = |what: &str| ServiceError::Unreachable(format!("the coordinator {what}"));
    let late = |_| unreachable(&format!("did not welcome this worker within {WELCOME:?}"));
    let first = timeout(WELCOME, orders.message()).await.map_err(late)??;
    match first.and_then(|order| order.message) {
        Some(Order::Welcome(welcome)) => Ok(welcome),
        _ => Err(unreachable("ended the session before it had begun")),
    }
}

/// Begins to answer other workers at every address at which they may reach this one.
///
/// # Errors
/// `--advertise` is not this machine's, or none of its addresses faces the coordinator.
async fn listen(args: &WorkerArgs) -> Result<Listening, ServiceError> {
    let Some(host) = &args.advertise else {
        let own = own_address::all(&args.coordinator).await.map_err(|error| {
            ServiceError::Unreachable(format!(
                "cannot tell which address of this machine faces {}: {error}; give it with --advertise",
                args.coordinator
            ))
        })?;
        return Listening::at(&own).await.map_err(|error| {
            ServiceError::Unreachable(format!("this worker cannot listen at {}: {error}", own[0]))
        });
    };
    let listening = async { Listening::at(&own_address::of_name(host).await?).await };
    listening.await.map_err(|error| {
        ServiceError::NotFound(format!(
            "this worker cannot listen at {host}, where the others are to reach it: {error}; give --advertise a name or \
             an address of this machine"
        ))
    })
}

/// What this worker says first: which slot it asks for, where others reach it, and what it computes with.
fn hello(
    args: &WorkerArgs,
    (slot, held): (Option<Slot>, Option<HeldState>),
    (advertise, listening): (String, &Listening),
    (place, proof): (Place, Option<Proof>),
) -> Hello {
    let device = match slot {
        Some(slot) => args.placement.of(slot).to_string(),
        None => args.placement.to_string(),
    };
    Hello {
        protocol_version: PROTOCOL_VERSION,
        slot: slot.map(|slot| slot.0),
        advertise,
        device,
        hardware: hardware::describe(place),
        kernels: hardware::kernels(place),
        libtorch_version: bridge::LIBTORCH_VERSION.to_string(),
        program_version: env!("CARGO_PKG_VERSION").to_string(),
        process_id: std::process::id(),
        held,
        incarnation: incarnation(),
        machine: Allotment::of_this_process().name(),
        listens_at: listening.addresses.iter().map(ToString::to_string).collect(),
        answer: listening.answer,
        proof: proof.map(|proof| proof.to_string()).unwrap_or_default(),
        variables: environment::choosing_kernels(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_accepts_connections_is_not_always_the_coordinator() {
        let told = of_an_answer(ServiceError::Unreachable("http2 error".to_string())).to_string();
        assert!(told.contains("does not answer as a coordinator does (http2 error)"), "{told}");
        let complete = ServiceError::Complete("the run is complete".to_string());
        assert_eq!(of_an_answer(complete.clone()), complete);
    }
}
