//! How a newcomer gets the run's state from a member that has it: in pieces over the new generation's exchanges, checked
//! by its SHA-256.
//!
//! `origin` calls it on every rank, before the first step. Ranks that neither give nor need the state take part
//! in the exchanges with nothing, as every rank makes the same ones.

use common::config::Config;
use common::data_shape::DataShape;
use common::ids::Rank;
use prost::Message;
use proto::StateTransfer;
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

use super::ending::{Memory, Unprepared};
use super::error::TrainerError;
use crate::collective::{Collective, CollectiveError};
use crate::link::Outbox;
use crate::state::{ArchiveError, Checkpoint, State};

/// Bytes of a piece.
const PIECE: usize = 4 << 20;
/// Bytes of the announcement: the length, then the SHA-256.
const ANNOUNCEMENT: usize = 8 + 32;

/// Who gives and who needs the state.
#[derive(Clone, Debug)]
pub struct Roles {
    /// The rank that has it.
    pub source: Rank,
    /// The ranks that do not.
    pub lacking: Vec<Rank>,
}

/// Gives every rank that lacks it the source's state; `own` is what this rank has.
///
/// # Errors
/// A peer is lost, what arrived is not what was sent, or this rank lacks a state that it should have; with what this
/// rank had and still has.
pub fn share(
    collective: &mut dyn Collective,
    roles: &Roles,
    own: Option<Memory>,
    (config, data, kind): (&Config, DataShape, Kind),
) -> Result<Memory, Unprepared> {
    let me = collective.rank();
    if roles.lacking.contains(&me) {
        // Whatever it had is not what the others go on from.
        drop(own);
        let received = exchange(collective, roles, &[]).map_err(TrainerError::from);
        return received
            .and_then(|received| decode(&received, (config, data), kind))
            .map_err(|error| (error, None));
    }
    let Some(own) = own else {
        return Err((TrainerError::NoState, None));
    };
    match give(collective, roles, &own) {
        Ok(()) => Ok(own),
        Err(error) => Err((error, Some(own))),
    }
}

/// The part of a rank that has the state.
fn give(collective: &mut dyn Collective, roles: &Roles, own: &Memory) -> Result<(), TrainerError> {
    if roles.lacking.is_empty() {
        return Ok(());
    }
    let message = if collective.rank() == roles.source { encode(own)? } else { Vec::new() };
    exchange(collective, roles, &message)?;
    Ok(())
}

/// Passes the source's message on to all that lack it; they return it.
fn exchange(
    collective: &mut dyn Collective,
    roles: &Roles,
    message: &[u8],
) -> Result<Vec<u8>, CollectiveError> {
    let me = collective.rank();
    let everyone: Vec<Rank> =
        collective.world_size().ranks().filter(|rank| *rank != roles.source).collect();
    let announced = announcement(message);
    let announced = pass_on(collective, roles.source, &everyone, Some(&announced), ANNOUNCEMENT)?;
    let (length, sha256) = announced.split_at(8);
    let length = u64::from_le_bytes(length.try_into().expect("eight bytes")) as usize;
    let mut received = Vec::new();
    for start in (0..length).step_by(PIECE) {
        let size = PIECE.min(length - start);
        let piece = (me == roles.source).then(|| &message[start..start + size]);
        received.extend(pass_on(collective, roles.source, &roles.lacking, piece, size)?);
    }
    if roles.lacking.contains(&me) && Sha256::digest(&received).as_slice() != sha256 {
        return Err(CollectiveError::PeerLost {
            rank: roles.source,
            reason: "the state that it sent arrived damaged (its SHA-256 differs)".to_string(),
        });
    }
    Ok(received)
}

/// One exchange: `piece` goes from the source to `targets`; what this rank has afterwards.
fn pass_on(
    collective: &mut dyn Collective,
    source: Rank,
    targets: &[Rank],
    piece: Option<&[u8]>,
    size: usize,
) -> Result<Vec<u8>, CollectiveError> {
    let me = collective.rank();
    let (mut sends, mut receives) = (Vec::new(), Vec::new());
    if let (true, Some(piece)) = (me == source, piece) {
        let tensor = Tensor::from_slice(piece);
        sends.extend(targets.iter().map(|target| (*target, tensor.shallow_clone())));
    } else if targets.contains(&me) {
        receives.push((source, Tensor::empty([size as i64], (Kind::Uint8, Device::Cpu))));
    }
    let received = collective.exchange(sends, receives)?.wait()?;
    Ok(match received.first() {
        Some(tensor) => Vec::try_from(tensor)?,
        None => piece.map(<[u8]>::to_vec).unwrap_or_default(),
    })
}

fn announcement(message: &[u8]) -> Vec<u8> {
    let mut bytes = (message.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(&Sha256::digest(message));
    bytes
}

fn encode(memory: &Memory) -> Result<Vec<u8>, ArchiveError> {
    let Checkpoint { model, resume } = Checkpoint::of(&memory.state)?;
    let (first_upload, uploads) = memory.outbox.to_message();
    let transfer = StateTransfer {
        model: model.into(),
        resume: resume.into(),
        first_upload,
        uploads,
        ended: memory.state.ended,
    };
    Ok(transfer.encode_to_vec())
}

fn decode(
    message: &[u8],
    (config, data): (&Config, DataShape),
    kind: Kind,
) -> Result<Memory, TrainerError> {
    let transfer = StateTransfer::decode(message)
        .map_err(|error| TrainerError::Transfer(error.to_string()))?;
    let checkpoint =
        Checkpoint { model: transfer.model.to_vec(), resume: transfer.resume.to_vec() };
    let mut state = Box::new(State::from_checkpoint(&checkpoint, (config, data), kind)?);
    state.ended = transfer.ended;
    let outbox = Outbox::from_message(transfer.first_upload, transfer.uploads);
    Ok(Memory { state, outbox, identity: None })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::{Args, Command, FromArgMatches};
    use common::ids::{Epoch, Step};

    use super::*;
    use crate::collective::in_process::run_ranks;
    use crate::link::Upload;

    fn config() -> Config {
        let command = Config::augment_args(Command::new("worker"));
        Config::from_arg_matches(&command.get_matches_from(["worker"])).unwrap()
    }

    #[test]
    fn newcomers_get_the_bytes_of_the_source() {
        let states = run_ranks(4, Duration::from_secs(20), |mut collective| {
            let config = config();
            // Only the source's differs from a fresh one.
            let own = (collective.rank() == Rank(2)).then(|| {
                let mut state = Box::new(State::initial(&config, DataShape::MNIST, Kind::Float));
                state.centers[3] = 0.125;
                state.ended = true;
                state.position.step = Step(7);
                state.position.epoch = Epoch(1);
                let outbox = Outbox::default();
                let content = std::sync::Arc::new(vec![9; 5 << 20]);
                outbox.push(Upload::File { paths: vec!["pictures/a".into()], content });
                Memory { state, outbox, identity: None }
            });
            let roles = Roles { source: Rank(2), lacking: vec![Rank(0), Rank(1), Rank(3)] };
            let memory =
                share(&mut collective, &roles, own, (&config, DataShape::MNIST, Kind::Float))
                    .unwrap();
            let files = Checkpoint::of(&memory.state).unwrap();
            (files, memory.state.ended, memory.outbox.get(0))
        });
        assert!(states.iter().all(|state| *state == states[2] && state.1 && state.2.is_some()));
    }

    #[test]
    fn who_should_have_the_state_and_does_not_says_so() {
        let errors = run_ranks(2, Duration::from_secs(20), |mut collective| {
            let config = config();
            let roles = Roles { source: Rank(0), lacking: Vec::new() };
            share(&mut collective, &roles, None, (&config, DataShape::MNIST, Kind::Float))
                .map_err(|(error, _)| error)
                .err()
        });
        assert!(errors.iter().all(|error| matches!(error, Some(TrainerError::NoState))));
    }
}
