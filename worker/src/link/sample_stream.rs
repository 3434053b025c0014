//! The samples a rank consumes, as the coordinator streams them in the order of its steps.
//!
//! A task on the tokio side receives while the trainer computes, so the next epoch's samples arrive while this one
//! trains. Consumed blocks are freed; at most one epoch's rest and one whole epoch are held.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use common::data_shape::DataShape;
use common::ids::{Epoch, Rank, Step, WorldSize};
use common::labels;
use common::status::ServiceError;
use proto::{CheckingRank, SampleBlock, SamplesRequest, Split};
use tokio::sync::mpsc;

use super::calls::Link;

/// Longest wait for the next block.
const BLOCK_DEADLINE: Duration = Duration::from_secs(60);

/// Which samples.
#[derive(Clone, Debug)]
pub struct SampleRange {
    /// Training or test set.
    pub split: Split,
    /// Whose permutation, for training samples.
    pub epoch: Epoch,
    /// The first step wanted.
    pub first_step: Step,
    /// The logical shards wanted of every batch.
    pub shards: Shards,
}

/// Logical shards of batches.
#[derive(Clone, Debug)]
pub enum Shards {
    /// These of every batch.
    Range(Range<usize>),
    /// The one that this rank of so many checks, of batches that are cross-checked.
    CheckedBy(Rank, WorldSize),
}

/// One stream of samples.
pub struct SampleStream {
    blocks: mpsc::UnboundedReceiver<Result<SampleBlock, ServiceError>>,
    link: Link,
    data: DataShape,
    pixels: VecDeque<u8>,
    labels: VecDeque<u16>,
}

impl SampleStream {
    /// Asks for samples of such data and begins to receive them.
    pub fn open(link: &Link, range: SampleRange, data: DataShape) -> Self {
        let (sender, blocks) = mpsc::unbounded_channel();
        let ended = link.ended().clone();
        let mut client = link.client();
        let (shards, checking) = match range.shards {
            Shards::Range(shards) => (shards, None),
            Shards::CheckedBy(rank, world_size) => {
                (0..0, Some(CheckingRank { rank: rank.0, world_size: world_size.0 }))
            }
        };
        let request = SamplesRequest {
            generation: link.generation().0,
            split: range.split.into(),
            epoch: range.epoch.0,
            first_step: range.first_step.0,
            first_shard: shards.start as u32,
            end_shard: shards.end as u32,
            checking,
        };
        link.runtime().spawn(async move {
            let receive = async {
                let mut stream = client.stream_samples(request).await?.into_inner();
                while let Some(block) = stream.message().await? {
                    if sender.send(Ok(block)).is_err() {
                        break;
                    }
                }
                Ok::<_, tonic::Status>(())
            };
            let result = tokio::select! {
                () = ended.cancelled() => return,
                result = receive => result,
            };
            if let Err(status) = result {
                // The receiver is gone if nobody waits for these samples any more.
                let _ = sender.send(Err(status.into()));
            }
        });
        let (pixels, labels) = (VecDeque::new(), VecDeque::new());
        Self { blocks, link: link.clone(), data, pixels, labels }
    }

    /// The next `samples` samples: pixels of each, and labels.
    ///
    /// # Errors
    /// The stream broke, ended early, or nothing came for a minute.
    pub fn take(&mut self, samples: usize) -> Result<(Vec<u8>, Vec<u16>), ServiceError> {
        while self.labels.len() < samples {
            let block = self.next_block()?;
            let labels = labels::from_bytes(&block.labels, self.data.classes);
            if block.images.len() != labels.len() * self.data.numbers() {
                let message = "a block of samples has more images than labels, or fewer";
                return Err(ServiceError::Internal(message.to_string()));
            }
            if let Some(class) =
                labels.iter().find(|class| usize::from(**class) >= self.data.classes)
            {
                let message = format!("a sample has class {class}, of {}", self.data.classes);
                return Err(ServiceError::Internal(message));
            }
            self.pixels.extend(block.images.iter());
            self.labels.extend(labels);
        }
        let pixels = self.pixels.drain(..samples * self.data.numbers()).collect();
        Ok((pixels, self.labels.drain(..samples).collect()))
    }

    fn next_block(&mut self) -> Result<SampleBlock, ServiceError> {
        let ended = self.link.ended().clone();
        let blocks = &mut self.blocks;
        self.link.runtime().block_on(async {
            tokio::select! {
                // First, as its receiver ends with the generation, too.
                biased;
                () = ended.cancelled() => {
                    Err(ServiceError::Ending("the generation has ended".to_string()))
                }
                block = tokio::time::timeout(BLOCK_DEADLINE, blocks.recv()) => match block {
                    Ok(Some(block)) => block,
                    Ok(None) => Err(ServiceError::Internal(
                        "the coordinator sent fewer samples than the plan says".to_string(),
                    )),
                    Err(_) => Err(ServiceError::TimedOut(format!(
                        "no samples came from the coordinator for {BLOCK_DEADLINE:?}"
                    ))),
                },
            }
        })
    }
}
