//! The streams of all ranks together are the plan.

use std::ops::Range;

use common::ids::{Epoch, Rank, Step, WorldSize};
use common::plan::{self, Shuffle};
use common::status::ServiceError;
use dataset::{Dataset, DatasetSource, LoadOptions, Samples};
use proto::{CheckingRank, SamplesRequest, Split};

use crate::harness::{FakeWorker, TestRun, within};

fn dataset() -> Dataset {
    let options =
        LoadOptions { train_samples: Some(97), test_samples: Some(23), ..LoadOptions::default() };
    dataset::load(&DatasetSource::Synthetic, &options).unwrap()
}

fn request(split: Split, shards: Range<usize>) -> SamplesRequest {
    SamplesRequest {
        generation: 1,
        split: split.into(),
        epoch: 1,
        first_step: 0,
        first_shard: shards.start as u32,
        end_shard: shards.end as u32,
        checking: None,
    }
}

async fn receive(
    worker: &mut FakeWorker,
    request: SamplesRequest,
) -> Result<Samples, ServiceError> {
    let mut stream = within(worker.client.stream_samples(request)).await?.into_inner();
    let (mut images, mut labels) = (Vec::new(), Vec::new());
    while let Some(block) = within(stream.message()).await? {
        images.extend_from_slice(&block.images);
        labels.extend(block.labels.iter().map(|label| u16::from(*label)));
    }
    assert_eq!(images.len(), 784 * labels.len());
    Ok(Samples::new(images, labels))
}

fn image(samples: &Samples, index: usize) -> Vec<u8> {
    let mut image = Vec::new();
    samples.read_image(index, &mut image).unwrap();
    image
}

/// What ranks received, put together step by step, must be `order` of `samples`.
fn check(ranks: &[Samples], samples: &Samples, order: &[u32], batch_size: usize, first_step: u64) {
    let world = WorldSize(ranks.len() as u32);
    let mut taken = vec![0; ranks.len()];
    for step in first_step..plan::steps_per_epoch(samples.len(), batch_size) {
        let batch = plan::batch(samples.len(), batch_size, Step(step));
        for (rank, received) in ranks.iter().enumerate() {
            let shards = plan::shards_of(4, world, Rank(rank as u32));
            for position in plan::slices(batch.len(), 4, &shards) {
                let row = order[batch.start + position] as usize;
                assert_eq!(image(received, taken[rank]), image(samples, row), "step {step}");
                assert_eq!(received.labels()[taken[rank]], samples.labels()[row]);
                taken[rank] += 1;
            }
        }
    }
    assert!(ranks.iter().zip(taken).all(|(received, taken)| received.len() == taken));
}

#[tokio::test]
async fn all_ranks_together_receive_every_sample_once_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--workers", "3", "--seed", "5"]).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 3).await;
    let data = dataset();
    let shuffled = plan::permutation(97, 5, Epoch(1), Shuffle::EveryEpoch);
    let file_order: Vec<u32> = (0..23).collect();
    for first_step in [0, 4] {
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for (rank, worker) in workers.iter_mut().enumerate() {
            let shards = plan::shards_of(4, WorldSize(3), Rank(rank as u32));
            let mut ask = request(Split::Train, shards.clone());
            ask.first_step = first_step;
            train.push(receive(worker, ask).await.unwrap());
            test.push(receive(worker, request(Split::Test, shards)).await.unwrap());
        }
        check(&train, &data.train, &shuffled, 10, first_step);
        check(&test, &data.test, &file_order, 7, 0);
    }
}

#[tokio::test]
async fn who_checks_others_receives_their_samples_of_those_steps() {
    let folder = tempfile::tempdir().unwrap();
    let flags = ["--workers", "3", "--seed", "5", "--cross-check", "3"];
    let run = TestRun::start(&folder, &flags).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 3).await;
    let data = dataset();
    let order = plan::permutation(97, 5, Epoch(1), Shuffle::EveryEpoch);
    for (rank, worker) in workers.iter_mut().enumerate() {
        let checking = Some(CheckingRank { rank: rank as u32, world_size: 3 });
        let ask = SamplesRequest { checking, first_step: 2, ..request(Split::Train, 0..0) };
        let received = receive(worker, ask).await.unwrap();
        // The second epoch begins with the run's step 10; every third of the run's is checked.
        let mut expected = Vec::new();
        for (within, of_run) in [(2, 12), (5, 15), (8, 18)] {
            let rank = (WorldSize(3), Rank(rank as u32));
            let shard = plan::cross_checked_shard((5, Step(of_run)), 4, rank).unwrap();
            let batch = plan::batch(97, 10, Step(within));
            let slice = plan::slices(batch.len(), 4, &(shard..shard + 1));
            expected.extend(slice.map(|position| order[batch.start + position] as usize));
        }
        assert_eq!(received.len(), expected.len());
        for (place, row) in expected.into_iter().enumerate() {
            assert_eq!(image(&received, place), image(&data.train, row));
        }
    }
}

#[tokio::test]
async fn what_the_run_does_not_have_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &[]).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 1).await;
    let worker = &mut workers[0];
    let good = request(Split::Train, 0..4);
    assert_eq!(receive(worker, good).await.unwrap().len(), 97);
    assert_eq!(receive(worker, request(Split::Train, 2..2)).await.unwrap().len(), 0);
    assert_eq!(receive(worker, SamplesRequest { first_step: 10, ..good }).await.unwrap().len(), 0);
    let checking = |rank, world_size| Some(CheckingRank { rank, world_size });
    for bad in [
        SamplesRequest { epoch: 3, ..good },
        SamplesRequest { epoch: u64::MAX, ..good },
        SamplesRequest { first_step: 11, ..good },
        SamplesRequest { end_shard: 5, ..good },
        SamplesRequest { first_shard: 3, end_shard: 2, ..good },
        SamplesRequest { split: 7, ..good },
        SamplesRequest { checking: checking(1, 1), ..good },
        SamplesRequest { checking: checking(u32::MAX, 5), ..good },
        SamplesRequest { checking: checking(0, 1), split: Split::Test.into(), ..good },
    ] {
        let refused = receive(worker, bad).await;
        assert!(matches!(refused, Err(ServiceError::Invalid(_))), "{bad:?}: {refused:?}");
    }
    let stale = receive(worker, SamplesRequest { generation: 2, ..good }).await;
    assert!(matches!(stale, Err(ServiceError::Stale(_))), "{stale:?}");
}

#[tokio::test]
async fn file_order_stays_file_order() {
    let folder = tempfile::tempdir().unwrap();
    let run = TestRun::start(&folder, &["--shuffle", "false"]).await;
    let (mut workers, _) = FakeWorker::start_all(&run, 1).await;
    let received = receive(&mut workers[0], request(Split::Train, 0..4)).await.unwrap();
    assert_eq!(received, dataset().train);
}
