//! NCCL itself, with one rank: where a GPU is it sums and ends, where none is it says so.

use std::sync::Arc;

use common::config;
use common::ids::{Rank, WorldSize};
use tch::Device;

use super::{NcclCollective, PATIENT, find, join, partial};
use crate::bridge::cuda;
use crate::bridge::nccl::Library;
use crate::collective::{
    AbortHandle, Collective, CollectiveError, GlooCollective, MemoryStore, Seat,
};
use crate::reduction::Reduction;

#[test]
fn nccl_itself_begins_where_a_gpu_is_and_says_why_not_where_none_is() {
    let library = match find(None) {
        Ok(library) => library,
        Err(problem) => {
            eprintln!("SKIPPED: nothing was tested with NCCL itself: {problem}");
            return;
        }
    };
    library.unique_id().unwrap();
    if cuda::has_gpu() {
        return;
    }
    let error = join(&library, &Arc::default(), (0, 1), PATIENT).err().unwrap();
    eprintln!("NCCL {} without a GPU: {error}", library.version());
    assert!(matches!(error, CollectiveError::Unusable { .. }), "{error}");
}

/// NCCL itself on the first GPU, where there is one; says so where there is none.
fn gpu() -> Option<Arc<Library>> {
    if cuda::has_gpu() {
        cuda::enter(0).unwrap();
        return Some(find(None).unwrap());
    }
    eprintln!("SKIPPED: there is no GPU here, nothing was tested on one");
    None
}

#[test]
fn one_rank_on_a_gpu() {
    let Some(library) = gpu() else { return };
    let device = Device::Cuda(0);
    let (ordered, native) = (config::Reduction::Ordered, config::Reduction::Native);
    // Each round is a generation. One ends by an abort, and others begin after it; one rank alone asks NCCL for native
    // sums only.
    for (mode, in_order) in [(native, false), (ordered, true), (native, true), (native, false)] {
        let store = Arc::new(MemoryStore::default());
        let seat = Seat {
            rank: Rank(0),
            world_size: WorldSize(1),
            address: "127.0.0.1".into(),
            timeout: PATIENT,
        };
        let gloo = GlooCollective::connect(Arc::clone(&store) as _, seat, AbortHandle::new());
        let place = (device, PATIENT);
        let nccl = NcclCollective::connect(&library, &*store, place, gloo.unwrap()).unwrap();
        let abort = nccl.abort_handle();
        let mut reduction = Reduction::new(Box::new(nccl), 4, mode);
        let partials: Vec<_> = (0..4).map(|shard| partial(shard, 33).to_device(device)).collect();
        let sum = partials[0].zeros_like();
        let bucket = reduction.start_bucket(&partials, sum.shallow_clone()).unwrap();
        reduction.finish_bucket(bucket).unwrap();
        let sum = sum.to_device(Device::Cpu);
        let shard = |shard| partial(shard, 33);
        let expected = match mode {
            config::Reduction::Ordered => (shard(0) + shard(1)) + (shard(2) + shard(3)),
            config::Reduction::Native => ((shard(0) + shard(1)) + shard(2)) + shard(3),
        };
        assert!(sum.allclose(&expected, 1e-6, 1e-6, false));
        reduction.check().unwrap();
        if in_order {
            reduction.leave().unwrap();
        } else {
            abort.abort("enough");
            let error = reduction.check().unwrap_err();
            assert!(matches!(error, CollectiveError::Aborted { .. }), "{error}");
        }
    }
}
