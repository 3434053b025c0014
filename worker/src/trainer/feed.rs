//! The samples a rank consumes: this epoch's, and the next one's on their way.

use std::ops::Range;

use common::data_shape::DataShape;
use common::ids::{Epoch, Rank, Step, WorldSize};
use common::status::ServiceError;
use proto::Split;

use crate::link::{Link, SampleRange, SampleStream, Shards};
use crate::state::Position;

/// Pixels `[samples, height, width, channels]`, and labels.
pub type Taken = (Vec<u8>, Vec<u16>);

/// Streams of training samples, in the order of the rank's steps.
pub struct Feed {
    link: Link,
    /// Of the images, and how many classes there are.
    data: DataShape,
    /// The rank's logical shards.
    owned: Range<usize>,
    /// Whose logical shards it checks, where it does.
    checking: Option<(Rank, WorldSize)>,
    current: Option<(Epoch, Streams)>,
    next: Option<(Epoch, Streams)>,
}

/// Those of an epoch.
struct Streams {
    own: SampleStream,
    /// Of the logical shards that are checked.
    checked: Option<SampleStream>,
}

impl Feed {
    /// Of such data, for a rank that owns the logical shards `owned`, and checks others' if it is `checking`.
    pub fn new(
        (link, data): (Link, DataShape),
        owned: Range<usize>,
        checking: Option<(Rank, WorldSize)>,
    ) -> Self {
        Self { link, data, owned, checking, current: None, next: None }
    }

    /// Sees to it that the samples of `position`'s epoch come, and those of the next if `continues`.
    pub fn open(&mut self, position: Position, continues: bool) {
        let Position { epoch, step_in_epoch, .. } = position;
        if self.current.as_ref().is_some_and(|(of, _)| *of == epoch) {
            return;
        }
        let prefetched = self.next.take().filter(|(of, _)| *of == epoch);
        self.current = prefetched.or_else(|| Some((epoch, self.streams(epoch, step_in_epoch))));
        let following = Epoch(epoch.0 + 1);
        self.next = continues.then(|| (following, self.streams(following, Step(0))));
    }

    /// The next `samples` of the rank's own training samples.
    ///
    /// # Errors
    /// The stream broke, ended early, or nothing came for long.
    pub fn take(&mut self, samples: usize) -> Result<Taken, ServiceError> {
        self.streams_of_epoch().own.take(samples)
    }

    /// The next `samples` of those that it checks.
    ///
    /// # Errors
    /// As [`Feed::take`].
    pub fn take_checked(&mut self, samples: usize) -> Result<Taken, ServiceError> {
        let stream = self.streams_of_epoch().checked.as_mut();
        stream.expect("this rank checks others").take(samples)
    }

    /// Once more the `samples` that some logical shards consume in the step of a position.
    ///
    /// # Errors
    /// As [`Feed::take`].
    pub fn again(
        &self,
        position: Position,
        shards: Range<usize>,
        samples: usize,
    ) -> Result<Taken, ServiceError> {
        let Position { epoch, step_in_epoch, .. } = position;
        self.stream(Split::Train, (epoch, step_in_epoch), Shards::Range(shards)).take(samples)
    }

    /// The rank's part of the test set.
    pub fn test_samples(&self) -> SampleStream {
        self.stream(Split::Test, (Epoch(0), Step(0)), Shards::Range(self.owned.clone()))
    }

    fn streams_of_epoch(&mut self) -> &mut Streams {
        let (_, streams) = self.current.as_mut().expect("the epoch was opened");
        streams
    }

    fn streams(&self, epoch: Epoch, first_step: Step) -> Streams {
        let stream = |shards| self.stream(Split::Train, (epoch, first_step), shards);
        Streams {
            own: stream(Shards::Range(self.owned.clone())),
            checked: self.checking.map(|(rank, world)| stream(Shards::CheckedBy(rank, world))),
        }
    }

    fn stream(
        &self,
        split: Split,
        (epoch, first_step): (Epoch, Step),
        shards: Shards,
    ) -> SampleStream {
        SampleStream::open(&self.link, SampleRange { split, epoch, first_step, shards }, self.data)
    }
}
