//! The samples a rank consumes: this epoch's, and the next one's on their way.

use std::ops::Range;

use common::ids::{Epoch, Step};
use common::status::ServiceError;
use proto::Split;

use crate::link::{Link, SampleRange, SampleStream};
use crate::state::Position;

/// Streams of training samples, in the order of the rank's steps.
pub struct Feed {
    link: Link,
    /// The rank's logical shards.
    shards: Range<usize>,
    current: Option<(Epoch, SampleStream)>,
    next: Option<(Epoch, SampleStream)>,
}

impl Feed {
    /// For a rank that owns `shards`.
    pub fn new(link: Link, shards: Range<usize>) -> Self {
        Self { link, shards, current: None, next: None }
    }

    /// Sees to it that the samples of `position`'s epoch come, and those of the next if `continues`.
    pub fn open(&mut self, position: Position, continues: bool) {
        let Position { epoch, step_in_epoch, .. } = position;
        if self.current.as_ref().is_some_and(|(of, _)| *of == epoch) {
            return;
        }
        let prefetched = self.next.take().filter(|(of, _)| *of == epoch);
        self.current =
            prefetched.or_else(|| Some((epoch, self.stream(Split::Train, epoch, step_in_epoch))));
        let following = Epoch(epoch.0 + 1);
        self.next = continues.then(|| (following, self.stream(Split::Train, following, Step(0))));
    }

    /// The next `samples` training samples: pixels, 784 each, and labels.
    ///
    /// # Errors
    /// The stream broke, ended early, or nothing came for long.
    pub fn take(&mut self, samples: usize) -> Result<(Vec<u8>, Vec<u8>), ServiceError> {
        let (_, stream) = self.current.as_mut().expect("the epoch was opened");
        stream.take(samples)
    }

    /// The rank's part of the test set.
    pub fn test_samples(&self) -> SampleStream {
        self.stream(Split::Test, Epoch(0), Step(0))
    }

    fn stream(&self, split: Split, epoch: Epoch, first_step: Step) -> SampleStream {
        let shards = self.shards.clone();
        SampleStream::open(&self.link, SampleRange { split, epoch, first_step, shards })
    }
}
