//! Where a generation's state comes from, and how it gets here. Called once, before the first step.

use common::config::Config;
use common::data_shape::DataShape;
use tch::Kind;

use super::ending::{Memory, Unprepared};
use super::error::TrainerError;
use super::transfer::{self, Roles};
use crate::collective::Collective;
use crate::link::{Link, Outbox};
use crate::state::{Checkpoint, State};

/// Where a generation's state comes from.
#[derive(Debug)]
pub enum Origin {
    /// Drawn from the seed.
    Seed,
    /// Parameters from a given file.
    Initial,
    /// The run's last checkpoint.
    Checkpoint,
    /// The memory of its members; `own` is what this one has.
    Members {
        /// Who gives it to whom.
        roles: Roles,
        /// This worker's.
        own: Option<Memory>,
    },
}

impl Origin {
    /// What this worker has brought along.
    pub fn memory(&self) -> Option<&Memory> {
        match self {
            Self::Members { own, .. } => own.as_ref(),
            _ => None,
        }
    }

    /// That, to keep it.
    pub fn into_memory(self) -> Option<Memory> {
        match self {
            Self::Members { own, .. } => own,
            _ => None,
        }
    }

    /// The state and what is to be stored with it, the same on every rank.
    ///
    /// # Errors
    /// Nobody gives it, or what was given cannot be read.
    pub fn restore(
        self,
        (config, data, link): (&Config, DataShape, &Link),
        collective: &mut dyn Collective,
        kind: Kind,
    ) -> Result<Memory, Unprepared> {
        let stored = match self {
            Self::Seed => Ok(State::initial(config, data, kind)),
            Self::Initial => initial((config, data), link, kind),
            Self::Checkpoint => checkpoint((config, data), link, kind),
            Self::Members { roles, own } => {
                return transfer::share(collective, &roles, own, (config, data, kind));
            }
        };
        let state = Box::new(stored.map_err(|error| (error, None))?);
        Ok(Memory { state, outbox: Outbox::default(), identity: None })
    }
}

fn initial(
    (config, data): (&Config, DataShape),
    link: &Link,
    kind: Kind,
) -> Result<State, TrainerError> {
    let mut state = State::initial(config, data, kind);
    state.load_model(&link.get_artifact("initial.safetensors")?)?;
    Ok(state)
}

fn checkpoint(
    (config, data): (&Config, DataShape),
    link: &Link,
    kind: Kind,
) -> Result<State, TrainerError> {
    let checkpoint = Checkpoint {
        model: link.get_artifact("checkpoints/last.safetensors")?,
        resume: link.get_artifact("checkpoints/last.resume.safetensors")?,
    };
    Ok(State::from_checkpoint(&checkpoint, (config, data), kind)?)
}
