//! What a run reports, which every rank keeps and the first one sends, and the pace that every rank measures.
//!
//! What is reported of a step may go out only when every rank is known to have all it needs to commit the step, too;
//! until then it is kept back.

use std::sync::Arc;
use std::time::Duration;

use common::config::Config;
use common::ids::{Epoch, Step};
use common::metrics::StepMetrics;

use super::error::TrainerError;
use crate::fault::Faults;
use crate::link::{Link, Outbox, Uplink, Upload};
use crate::mathematics::batch_terms::{self, TermValue, Terms};
use crate::mathematics::kernels::digest::Digest;
use crate::results::artist::{Artist, FEATURES, Gallery, features_path};
use crate::results::epoch_features::EpochFeatures;
use crate::state::{Checkpoint, EpochRecord};

/// What this rank reports.
pub struct Reporter {
    outbox: Outbox,
    /// The first rank's.
    sender: Option<Sender>,
    /// Pace since the last line of metrics.
    since_report: Pace,
    /// Pace of the epoch's training.
    pub(super) epoch: Pace,
    /// Of all files and lines that were kept here, but for the pace in those.
    kept: Digest,
}

/// The first rank's two queues: results, in order, and pictures.
struct Sender {
    uplink: Uplink,
    artist: Artist,
    /// Epochs to be drawn once they may go out, with the number of the upload after theirs.
    to_draw: Vec<(u64, EpochFeatures)>,
}

/// The losses of one global batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Losses {
    /// Mean negative log-likelihood.
    pub softmax: f64,
    /// Center loss, 0 where it is switched off.
    pub center: f64,
    /// What looks at every sample of the batch.
    pub terms: Vec<TermValue>,
}

impl Losses {
    /// What is minimised.
    pub fn total(&self) -> f64 {
        total([self.softmax, self.center], &self.terms)
    }

    /// Adds a step of so many samples to the epoch's record.
    pub fn add_to(&self, record: &mut EpochRecord, samples: usize) {
        record.softmax_loss += self.softmax * samples as f64;
        record.center_loss += self.center * samples as f64;
        batch_terms::add_step(&mut record.terms, &self.terms, samples);
    }
}

/// The sum of all losses.
pub fn total([softmax, center]: [f64; 2], terms: &[TermValue]) -> f64 {
    terms.iter().fold(softmax + center, |sum, term| sum + term.loss)
}

/// Samples over time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    samples: usize,
    time: Duration,
}

impl Pace {
    /// Adds a step.
    pub fn add(&mut self, samples: usize, time: Duration) {
        self.samples += samples;
        self.time += time;
    }

    /// Samples a second, 0 before the first.
    pub fn images_per_second(&self) -> f64 {
        if self.time.is_zero() { 0.0 } else { self.samples as f64 / self.time.as_secs_f64() }
    }
}

impl Reporter {
    /// A rank that only keeps what `outbox` holds.
    pub fn keeping(outbox: Outbox) -> Self {
        let (since_report, epoch) = (Pace::default(), Pace::default());
        Self { outbox, sender: None, since_report, epoch, kept: Digest::default() }
    }

    /// The first rank: sends what `outbox` holds, and draws. Epochs before `epochs` are complete; those from
    /// `pictures_from` on may lack their pictures.
    ///
    /// # Errors
    /// The system gives no more threads, or a feature file in the outbox cannot be read.
    pub fn sending(
        outbox: Outbox,
        (link, config, faults): (&Link, &Config, &Faults),
        (epochs, pictures_from): (Epoch, Epoch),
    ) -> Result<Self, TrainerError> {
        let threads = |error: std::io::Error| TrainerError::Threads(error.to_string());
        let pending = outbox.files_in(FEATURES);
        let pending: Result<Vec<_>, _> =
            pending.iter().map(|file| EpochFeatures::from_safetensors(file)).collect();
        let gallery = Gallery { epochs, pictures_from, pending: pending? };
        let artist =
            Artist::start(link.clone(), config, gallery, faults.clone()).map_err(threads)?;
        let uplink =
            Uplink::start(link.clone(), outbox.clone(), faults.clone()).map_err(threads)?;
        let sender = Some(Sender { uplink, artist, to_draw: Vec::new() });
        Ok(Self { sender, ..Self::keeping(outbox) })
    }

    /// Takes note of a step's time.
    pub fn measured(&mut self, samples: usize, time: Duration) {
        self.since_report.add(samples, time);
        self.epoch.add(samples, time);
    }

    /// Keeps a line of metrics about a step, and what it has left of each tensor.
    pub fn step(
        &mut self,
        (epoch, step): (Epoch, Step),
        (losses, learning_rate): (&Losses, f64),
        terms: &Terms,
        digests: Vec<u64>,
    ) {
        let metrics = StepMetrics {
            epoch,
            step,
            loss: losses.total(),
            softmax_loss: losses.softmax,
            center_loss: losses.center,
            terms: terms.metrics(&losses.terms, 1.0),
            lr: learning_rate,
            images_per_second: self.since_report.images_per_second(),
            digests,
        };
        self.since_report = Pace::default();
        self.kept.extend(&metrics.digests);
        self.kept.extend(&[metrics.loss, metrics.softmax_loss, metrics.center_loss, metrics.lr]);
        for term in &losses.terms {
            self.kept.extend(&[term.loss, term.anchors as f64]);
        }
        self.outbox.push(Upload::Step(metrics));
    }

    /// Keeps a checkpoint under all of `names`: resume files first.
    pub fn save(&mut self, checkpoint: Checkpoint, names: &[String]) {
        let Checkpoint { model, resume } = checkpoint;
        for (content, suffix) in [(resume, "resume.safetensors"), (model, "safetensors")] {
            let paths = names.iter().map(|name| format!("checkpoints/{name}.{suffix}")).collect();
            self.push_file(paths, content);
        }
    }

    fn push_file(&mut self, paths: Vec<String>, content: Vec<u8>) {
        self.kept.extend_bytes(&content);
        self.outbox.push(Upload::File { paths, content: Arc::new(content) });
    }

    /// What all that was kept since this rank's generation began comes to.
    pub fn kept(&self) -> u64 {
        self.kept.value()
    }

    /// Takes back what was kept from upload number `end` on.
    pub fn withdraw(&mut self, end: u64) {
        self.outbox.withdraw(end);
        if let Some(sender) = &mut self.sender {
            sender.to_draw.retain(|(number, _)| *number <= end);
        }
    }

    /// Keeps an epoch's metrics and features, and draws its pictures.
    ///
    /// # Errors
    /// The features cannot be written.
    pub fn epoch(&mut self, features: EpochFeatures, config: &Config) -> Result<(), TrainerError> {
        self.outbox.push(Upload::Epoch(features.metrics.clone()));
        let content = features.to_safetensors(config.precision)?;
        self.push_file(vec![features_path(features.epoch())], content);
        if let Some(sender) = &mut self.sender {
            sender.to_draw.push((self.outbox.end(), features));
        }
        self.epoch = Pace::default();
        Ok(())
    }

    /// Everything kept so far may go out: every rank has what it needs to get as far as this one.
    ///
    /// # Errors
    /// Something that went out before could not be stored.
    pub fn release(&mut self) -> Result<(), TrainerError> {
        self.release_before(self.outbox.end())
    }

    /// Everything kept before upload number `end` may go out.
    ///
    /// # Errors
    /// As [`Reporter::release`].
    pub fn release_before(&mut self, end: u64) -> Result<(), TrainerError> {
        if let Some(sender) = &mut self.sender {
            sender.uplink.release(end)?;
            let drawn = sender.to_draw.iter().take_while(|(number, _)| *number <= end).count();
            sender.to_draw.drain(..drawn).for_each(|(_, features)| sender.artist.draw(features));
        }
        Ok(())
    }

    /// The number that the next upload will get.
    pub fn end(&self) -> u64 {
        self.outbox.end()
    }

    /// How many uploads are known to be stored.
    pub fn stored(&self) -> u64 {
        self.outbox.stored()
    }

    /// The first rank says how many are.
    pub fn acknowledge(&self, stored: u64) {
        self.outbox.acknowledge(stored);
    }

    /// What is not known to be stored.
    pub fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }

    /// Waits until everything is stored and drawn.
    ///
    /// # Errors
    /// What could not be.
    pub fn finish(&mut self) -> Result<(), TrainerError> {
        self.release()?;
        let Some(Sender { mut uplink, artist, .. }) = self.sender.take() else {
            return Ok(());
        };
        // The artist's animation reads what the uplink stores.
        uplink.finish()?;
        Ok(artist.finish()?)
    }
}
