//! Ranks as threads of one process, for tests: real Gloo groups that meet in memory.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use common::ids::{Rank, WorldSize};

use super::{AbortHandle, GlooCollective, MemoryStore, Seat};

/// After this a test of ranks is hung.
const HARD_TIMEOUT: Duration = Duration::from_secs(60);

/// One connected collective per rank, in rank order, to be moved to a thread each.
pub fn in_process_group(ranks: u32, timeout: Duration) -> Vec<GlooCollective> {
    let store = Arc::new(MemoryStore::default());
    on_threads((0..ranks).map(Rank), move |rank| {
        let address = "127.0.0.1".to_owned();
        let seat = Seat { rank, world_size: WorldSize(ranks), address, timeout };
        GlooCollective::connect(Arc::clone(&store) as _, seat, AbortHandle::new())
            .expect("ranks of one process connect")
    })
}

/// Connects `ranks` ranks, runs `body` for each on a thread of its own, and returns what they
/// return in rank order. Panics if one of them panics or does not come to an end.
pub fn run_ranks<T: Send + 'static>(
    ranks: u32,
    timeout: Duration,
    body: impl Fn(GlooCollective) -> T + Send + Sync + 'static,
) -> Vec<T> {
    on_threads(in_process_group(ranks, timeout), body)
}

/// Runs `body` for each input on a thread of its own; what they return, in order. Panics as [`run_ranks`].
pub fn on_threads<I: Send + 'static, T: Send + 'static>(
    inputs: impl IntoIterator<Item = I>,
    body: impl Fn(I) -> T + Send + Sync + 'static,
) -> Vec<T> {
    let body = Arc::new(body);
    let running: Vec<_> = inputs
        .into_iter()
        .map(|input| {
            let body = Arc::clone(&body);
            let (sender, result) = mpsc::channel();
            thread::spawn(move || sender.send(body(input)));
            result
        })
        .collect();
    running
        .into_iter()
        .map(|result| result.recv_timeout(HARD_TIMEOUT).expect("a rank panicked or hangs"))
        .collect()
}
