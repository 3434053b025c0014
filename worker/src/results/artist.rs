//! Rank 0's drawing thread: epochs in, pictures out to the coordinator, while training goes on.
//!
//! The queue drops nothing. Pictures are functions of the run's feature files alone, so a run that was resumed draws the
//! same ones: what earlier epochs left is read back from the coordinator.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Sender};
use std::thread::JoinHandle;
use std::time::Instant;

use common::config::{Config, PictureFormat};
use common::ids::Epoch;
use common::metrics::EpochMetrics;
use common::status::ServiceError;

use super::epoch_features::{EpochFeatures, FeatureError};
use super::picture::{
    Animation, Extent, History, PictureError, draw_confusion, draw_curves, draw_features,
};
use crate::fault::{Faults, Phase};
use crate::link::Link;
use crate::machine::cpus;

/// Folder of the feature files.
pub const FEATURES: &str = "features/";

/// Where an epoch's features are kept.
pub fn features_path(epoch: Epoch) -> String {
    format!("{FEATURES}epoch={epoch}.safetensors")
}

/// Why the pictures of a run are not all there.
#[derive(Debug, thiserror::Error)]
pub enum ArtistError {
    /// The coordinator refused or is out of reach.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// A feature file cannot be read.
    #[error(transparent)]
    Features(#[from] FeatureError),
    /// A picture cannot be drawn.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// A defect.
    #[error("the artist thread panicked; this is a defect, its message is above")]
    Panicked,
}

/// What is there when a first rank begins.
pub struct Gallery {
    /// Epochs before this one are complete.
    pub epochs: Epoch,
    /// Complete epochs from this one on may lack their pictures; curves and confusion matrix may be those of an earlier
    /// epoch than the last.
    pub pictures_from: Epoch,
    /// Features that the coordinator may not have stored yet.
    pub pending: Vec<EpochFeatures>,
}

/// The thread.
pub struct Artist {
    queue: Sender<EpochFeatures>,
    thread: JoinHandle<Result<(), ArtistError>>,
}

impl Artist {
    /// Starts drawing: first what earlier first ranks left undone.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn start(
        link: Link,
        config: &Config,
        gallery: Gallery,
        faults: Faults,
    ) -> std::io::Result<Self> {
        let (queue, epochs) = mpsc::channel::<EpochFeatures>();
        let mut studio = Studio {
            link,
            formats: config.picture_format.clone(),
            every: config.picture_every,
            epochs: BTreeMap::new(),
            faults,
        };
        let thread = std::thread::Builder::new().name("artist".to_string()).spawn(move || {
            // Not on the core that the other workers wait for.
            cpus::release();
            studio.look_back(gallery)?;
            for features in epochs {
                studio.draw(&features)?;
            }
            studio.finish()
        })?;
        Ok(Self { queue, thread })
    }

    /// Queues an epoch.
    pub fn draw(&self, features: EpochFeatures) {
        // A thread that has failed says why when it is joined.
        let _ = self.queue.send(features);
    }

    /// Waits until everything is drawn and stored.
    ///
    /// # Errors
    /// What could not be drawn or stored.
    pub fn finish(self) -> Result<(), ArtistError> {
        drop(self.queue);
        self.thread.join().unwrap_or_else(|_| Err(ArtistError::Panicked))
    }
}

/// What the thread knows.
struct Studio {
    link: Link,
    formats: Vec<PictureFormat>,
    every: u64,
    /// What curves and the animation's axes need of every epoch.
    epochs: BTreeMap<Epoch, (EpochMetrics, Extent)>,
    faults: Faults,
}

impl Studio {
    fn look_back(&mut self, gallery: Gallery) -> Result<(), ArtistError> {
        let Gallery { epochs, pictures_from, pending } = gallery;
        // The last epoch's may have been interrupted between two of its pictures.
        let redrawn = pictures_from.min(Epoch(epochs.0.saturating_sub(1)));
        let mut pending: BTreeMap<Epoch, EpochFeatures> =
            pending.into_iter().map(|features| (features.epoch(), features)).collect();
        for epoch in (0..epochs.0).map(Epoch) {
            let features = match pending.remove(&epoch) {
                Some(features) => features,
                None => self.read(epoch)?,
            };
            if epoch < redrawn {
                self.remember(&features)?;
            } else {
                self.draw(&features)?;
            }
        }
        // Features of an epoch that the run ended within.
        pending.into_values().try_for_each(|features| self.draw(&features))
    }

    fn read(&self, epoch: Epoch) -> Result<EpochFeatures, ArtistError> {
        let file = self.link.get_artifact(&features_path(epoch))?;
        Ok(EpochFeatures::from_safetensors(&file)?)
    }

    fn remember(&mut self, features: &EpochFeatures) -> Result<(), ArtistError> {
        let extent = Extent::of(features)?;
        self.epochs.insert(features.epoch(), (features.metrics.clone(), extent));
        Ok(())
    }

    fn draw(&mut self, features: &EpochFeatures) -> Result<(), ArtistError> {
        self.remember(features)?;
        let epoch = features.epoch();
        let curves: Vec<EpochMetrics> =
            self.epochs.values().map(|(metrics, _)| metrics.clone()).collect();
        let history = History { epochs: &curves, synthetic: features.synthetic };
        for format in self.formats.clone() {
            if epoch.0.is_multiple_of(self.every) {
                let name = format!("epoch={epoch}");
                let picture = timed("features", || draw_features(features, format))?;
                self.store(&name, format, picture)?;
            }
            let picture = timed("curves", || draw_curves(history, format))?;
            self.store("curves", format, picture)?;
            if features.test.is_some() {
                let picture = timed("confusion", || draw_confusion(features, format))?;
                self.store("confusion", format, picture)?;
            }
        }
        Ok(())
    }

    /// The last epoch's picture, if its turn had not come, and the animation.
    fn finish(&mut self) -> Result<(), ArtistError> {
        let Some(last) = self.epochs.keys().next_back().copied() else {
            return Ok(());
        };
        let extents = self.epochs.values().map(|(_, extent)| *extent);
        let extent = extents.reduce(Extent::union).expect("there is an epoch");
        let mut animation = Animation::new(extent);
        let frames = self.epochs.keys().copied();
        let frames: Vec<Epoch> =
            frames.filter(|epoch| epoch.0.is_multiple_of(self.every) || *epoch == last).collect();
        for epoch in frames {
            let features = self.read(epoch)?;
            timed("frame", || animation.push(&features))?;
            if epoch == last && !epoch.0.is_multiple_of(self.every) {
                for format in self.formats.clone() {
                    let picture = draw_features(&features, format)?;
                    self.store(&format!("epoch={epoch}"), format, picture)?;
                }
            }
        }
        self.put("pictures/features.gif".to_string(), animation.finish()?)
    }

    fn store(
        &self,
        name: &str,
        format: PictureFormat,
        content: Vec<u8>,
    ) -> Result<(), ArtistError> {
        self.put(format!("pictures/{name}.{format}"), content)
    }

    fn put(&self, path: String, content: Vec<u8>) -> Result<(), ArtistError> {
        self.faults.point(Phase::Picture);
        Ok(self.link.put_artifact(vec![path], Arc::new(content))?)
    }
}

/// Draws, and tells those who want to know how long it took.
fn timed<R>(picture: &str, draw: impl FnOnce() -> R) -> R {
    let started = Instant::now();
    let drawn = draw();
    tracing::debug!(picture, seconds = started.elapsed().as_secs_f64(), "drawn");
    drawn
}
