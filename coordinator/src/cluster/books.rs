//! Keeps a run's ledger while it goes on: generations before they begin, steps as they are done, losses and recoveries.
//!
//! `cluster` holds it under its lock and tells it what it decides and hears. It knows which samples a step consumes; who
//! takes part is decided elsewhere.

use std::sync::Arc;
use std::time::Duration;

use common::causes::in_words;
use common::computing::Computing;
use common::config::Config;
use common::ids::{Generation, Slot, Step, WorldSize};
use common::plan;
use common::status::ServiceError;
use proto::StartFrom;

use super::membership::{Begin, Identity, Loss, Origin, Place};
use crate::run_directory::RunDirectory;
use crate::run_directory::ledger::{Entry, Member, Summary};

/// The run's ledger, and where its state comes from when no member has it.
#[derive(Debug)]
pub struct Books {
    directory: Arc<RunDirectory>,
    /// Where a run without any checkpoint begins.
    beginning: StartFrom,
    shape: Shape,
    /// The generation that was begun last, and the steps known to be done.
    generation: Generation,
    done: u64,
    /// What the run is computed with, as it is written down.
    computing: Option<Computing>,
    recovering: Option<Recovering>,
}

/// What steps are made of.
#[derive(Clone, Debug)]
pub struct Shape {
    /// Training samples in use.
    pub samples: usize,
    /// Samples in a global batch.
    pub batch_size: usize,
    /// V.
    pub logical_shards: usize,
    /// Epochs between two pictures of the features, and the names of their formats.
    pub pictures: (u64, Vec<String>),
}

impl Shape {
    /// That of a run.
    pub fn new(config: &Config, samples: u64) -> Self {
        Self {
            samples: samples as usize,
            batch_size: config.batch_size as usize,
            logical_shards: config.shard_count(),
            pictures: (
                config.picture_every,
                config.picture_format.iter().map(ToString::to_string).collect(),
            ),
        }
    }

    fn steps_per_epoch(&self) -> u64 {
        plan::steps_per_epoch(self.samples, self.batch_size).max(1)
    }
}

/// A loss whose generation has not yet got a successor that is at work.
#[derive(Clone, Copy, Debug)]
struct Recovering {
    noticed: Duration,
    begun: Option<(Duration, u64)>,
}

/// How a generation's members start.
#[derive(Clone, Copy, Debug)]
pub struct Beginning {
    /// Where their state comes from.
    pub start_from: StartFrom,
    /// Steps that are done in it.
    pub step: u64,
    /// The first epoch whose picture is not stored, among the complete ones.
    pub pictures_from: u64,
}

impl Books {
    /// Goes on with the ledger in `directory`, of which this is known. A run without any checkpoint begins with `beginning`.
    pub fn new(
        directory: Arc<RunDirectory>,
        beginning: StartFrom,
        shape: Shape,
        history: &Summary,
    ) -> Self {
        let Summary { generation, done, .. } = *history;
        let computing = history.computing.clone();
        Self { directory, beginning, shape, generation, done, computing, recovering: None }
    }

    /// Writes down that a generation is about to begin, and says where its state comes from.
    ///
    /// # Errors
    /// It cannot be written, or there is a checkpoint but none can be used.
    pub fn begin(&mut self, now: Duration, begin: &Begin) -> Result<Beginning, ServiceError> {
        let (start_from, step) = match begin.origin {
            Origin::Member { reached, .. } => (StartFrom::Member, reached.step),
            Origin::Stored => self.go_back()?,
        };
        // What its state holds is done, also where the news of it was lost.
        self.done_until(step)?;
        if let Some(computing) = begin.computing.as_deref()
            && self.computing.as_ref() != Some(computing)
        {
            self.directory.record(Entry::Computing(computing.clone()))?;
            self.computing = Some(computing.clone());
        }
        let world_size = begin.world_size();
        self.directory.record_durably(Entry::Generation {
            generation: begin.generation,
            step,
            origin: origin_name(start_from).to_string(),
            members: begin.members.iter().map(|place| self.member(place, world_size)).collect(),
            cause: begin.cause.clone(),
        })?;
        self.directory.open_generation(begin.generation);
        (self.generation, self.done) = (begin.generation, step);
        if let Some(recovering) = &mut self.recovering {
            recovering.begun = Some((now, step));
        }
        let (every, formats) = &self.shape.pictures;
        self.directory.remove_undue_pictures(*every)?;
        let epochs = step / self.shape.steps_per_epoch();
        let pictures_from = self.directory.first_without_picture(epochs, *every, formats);
        Ok(Beginning { start_from, step, pictures_from })
    }

    /// A member of the running generation says how many steps are done.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn heard(&mut self, now: Duration, step: u64) -> Result<(), ServiceError> {
        self.done_until(step)?;
        let recovered = self.recovering.and_then(|recovering| {
            let (begun, first) = recovering.begun?;
            (step > first).then_some((recovering.noticed, begun))
        });
        let Some((noticed, begun)) = recovered else {
            return Ok(());
        };
        self.recovering = None;
        let reform = begun.saturating_sub(noticed);
        let first_step = now.saturating_sub(begun);
        tracing::info!(
            generation = %self.generation,
            reform_ms = reform.as_millis(),
            first_step_ms = first_step.as_millis(),
            "recovered"
        );
        self.directory.record(Entry::Recovery {
            generation: self.generation,
            reform_seconds: reform.as_secs_f64(),
            first_step_seconds: first_step.as_secs_f64(),
        })
    }

    /// A worker was let in.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn joined(
        &self,
        slot: Slot,
        identity: &Identity,
        holds: Option<u64>,
    ) -> Result<(), ServiceError> {
        let (host, process) = (identity.host.clone(), identity.process_id);
        self.directory.record(Entry::Join { slot, host, process, holds })
    }

    /// A member is gone.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn lost(&mut self, now: Duration, loss: &Loss) -> Result<(), ServiceError> {
        if loss.in_generation {
            self.recovering.get_or_insert(Recovering { noticed: now, begun: None });
        }
        self.directory.record(Entry::Loss {
            slot: loss.slot,
            generation: self.generation,
            cause: loss.cause.clone(),
            in_generation: loss.in_generation,
        })
    }

    /// A member was let go.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn let_go(&self, slot: Slot) -> Result<(), ServiceError> {
        self.directory.record(Entry::Leave { slot })
    }

    /// The run is over.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn ended(&self, outcome: &str) -> Result<(), ServiceError> {
        self.directory.record_durably(Entry::End { outcome: outcome.to_string() })
    }

    fn go_back(&self) -> Result<(StartFrom, u64), ServiceError> {
        let point = self.directory.rewind();
        let point = point.map_err(|error| ServiceError::Storage(in_words(error.as_ref())))?;
        Ok(match point {
            Some(point) => (StartFrom::Checkpoint, point.position.step),
            None => (self.beginning, 0),
        })
    }

    /// Adds the steps before `step` that are not written down yet, epoch by epoch.
    fn done_until(&mut self, step: u64) -> Result<(), ServiceError> {
        let per_epoch = self.shape.steps_per_epoch();
        while self.done < step {
            let epoch = self.done / per_epoch;
            let end = step.min((epoch + 1) * per_epoch);
            let samples = (self.position(self.done), self.position(end - 1));
            self.directory.record(Entry::Steps {
                generation: self.generation,
                epoch,
                first: self.done,
                end,
                samples: (samples.0.start as u64, samples.1.end as u64),
            })?;
            self.done = end;
        }
        Ok(())
    }

    /// The positions in its epoch that a step consumes.
    fn position(&self, step: u64) -> std::ops::Range<usize> {
        let within = Step(step % self.shape.steps_per_epoch());
        plan::batch(self.shape.samples, self.shape.batch_size, within)
    }

    fn member(&self, place: &Place, world_size: WorldSize) -> Member {
        let shards = plan::shards_of(self.shape.logical_shards, world_size, place.rank);
        Member { slot: place.slot, shards: (shards.start as u64, shards.end as u64) }
    }
}

fn origin_name(start_from: StartFrom) -> &'static str {
    match start_from {
        StartFrom::Seed => "seed",
        StartFrom::Initial => "initial",
        StartFrom::Checkpoint => "checkpoint",
        StartFrom::Member => "member",
    }
}
