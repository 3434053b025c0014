//! What membership is decided by, fixed for the run.

use std::time::Duration;

/// What membership is decided by.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The run's identity, which a state that a worker holds must belong to.
    pub run: String,
    /// Workers to wait for before the first generation starts.
    pub workers: u32,
    /// Workers that a later generation may start with.
    pub min_workers: u32,
    /// Slots there are.
    pub max_workers: u32,
    /// V: more members than that do not all take part.
    pub logical_shards: u32,
    /// Generations that may end by a loss before the run does.
    pub max_generations: u64,
    /// Whether the coordinator starts workers.
    pub spawning: Spawning,
    /// Which workers may compute together.
    pub hardware: HardwareRule,
    /// How long each wait may last.
    pub timing: Timing,
}

/// Whether the coordinator starts workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spawning {
    /// One for every slot, and another when that ends.
    Spawned,
    /// They come by themselves.
    ByHand,
}

/// Which workers may compute together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HardwareRule {
    /// Those that compute alike: the promise of equal bits needs it.
    Alike,
    /// Any mixture.
    Mixed,
}

/// How long each wait may last.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// A worker that does not hear the coordinator for longer leaves its generation; a member that the coordinator does
    /// not hear for twice as long is evicted.
    pub heartbeat_timeout: Duration,
    /// A slot's holder must answer a ping within this when another worker asks for the slot.
    pub probe_timeout: Duration,
    /// Members that were told to leave a generation at once must have left within this.
    pub leave_timeout: Duration,
    /// Likewise after the step in flight.
    pub pause_timeout: Duration,
    /// Where no member holds the run's state: how long those who may are waited for, before the last checkpoint is used.
    pub rejoin_timeout: Duration,
    /// After a stop: how long members may take to store their state.
    pub stop_timeout: Duration,
    /// After the last step: how long workers that are missing are waited for, to be told that the run is complete.
    pub latecomers_timeout: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat_timeout: Duration::from_secs(5),
            probe_timeout: Duration::from_secs(2),
            leave_timeout: Duration::from_secs(10),
            pause_timeout: Duration::from_secs(120),
            rejoin_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(30),
            latecomers_timeout: Duration::from_secs(10),
        }
    }
}

impl Timing {
    /// A member unheard for longer is evicted: it has left its generation by itself before.
    pub fn eviction(&self) -> Duration {
        2 * self.heartbeat_timeout
    }
}
