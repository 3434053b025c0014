//! The worker's command line. Everything about training comes from the coordinator.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser};
use common::access::Access;
use common::address;
use common::command_line;
use common::ids::Slot;
use common::launcher::Launcher;
use engine::Instructions;
use tch::Device;
use tonic::transport::Uri;

use crate::collective::agreement::{CollectiveChoice, CollectiveOptions};
use crate::collective::nccl;
use crate::machine::cpus::CpuBind;
use crate::machine::device::{self, DeviceChoice, EngineChoice, Placement};
use crate::machine::graphs::{self, GraphChoice, Graphs};

/// Port of a coordinator that nobody gave another.
const DEFAULT_PORT: u16 = 29400;

/// Train as one worker of a Concentric cluster: compute a share of every batch for the coordinator's run.
#[derive(Debug, Parser)]
#[command(name = "worker", version)]
struct RawArgs {
    /// This worker's number, from 0 [default: RANK, SLURM_PROCID or OMPI_COMM_WORLD_RANK where a launcher sets one, else
    /// the coordinator gives it a free one]
    #[arg(long, env = "CONCENTRIC_RANK", value_name = "N")]
    rank: Option<u32>,
    /// Where the coordinator is [default: http://127.0.0.1:29400, or MASTER_ADDR and MASTER_PORT]
    #[arg(long, env = "CONCENTRIC_COORDINATOR", value_name = "URL")]
    coordinator: Option<String>,
    /// Where to compute: auto, cpu, cuda (a GPU or an error) or cuda:I
    #[arg(long, env = "CONCENTRIC_DEVICE", default_value = "auto")]
    device: String,
    /// Whose kernels compute; tensors: libtorch's own on a CPU too, for comparisons with a GPU
    #[arg(long, env = "CONCENTRIC_ENGINE", value_enum, default_value_t = EngineChoice::Auto)]
    engine: EngineChoice,
    /// A CPU's instructions, avx512, avx2 or plain; the bits are the same [default: the fastest there are]
    #[arg(long, env = "CONCENTRIC_INSTRUCTIONS", value_name = "NAME", hide = true)]
    instructions: Option<Instructions>,
    /// Whether a GPU replays its steps as recorded graphs; the bits are the same
    #[arg(long, env = "CONCENTRIC_CUDA_GRAPH", value_enum, default_value_t = GraphChoice::Auto)]
    cuda_graph: GraphChoice,
    /// What carries the sums; auto: NCCL where every worker has a GPU of its own, else Gloo
    #[arg(long, env = "CONCENTRIC_COLLECTIVE", value_enum, default_value_t = CollectiveChoice::Auto)]
    collective: CollectiveChoice,
    /// NCCL's file [default: libnccl.so.2 of libtorch's packages, or on the loader's path]
    #[arg(long, env = "CONCENTRIC_NCCL_LIBRARY", value_name = "FILE")]
    nccl_library: Option<PathBuf>,
    /// Host or address at which the other workers reach this one [default: the one that faces the coordinator]
    #[arg(long, env = "CONCENTRIC_ADVERTISE", value_name = "HOST")]
    advertise: Option<String>,
    /// Seconds to go on trying to reach the coordinator
    #[arg(
        long,
        env = "CONCENTRIC_CONNECT_TIMEOUT",
        default_value_t = 300.0,
        value_name = "SECONDS"
    )]
    connect_timeout: f64,
    /// Seconds to hold the run's state and to go on trying when the coordinator is lost
    #[arg(
        long,
        env = "CONCENTRIC_COORDINATOR_TIMEOUT",
        default_value_t = 60.0,
        value_name = "SECONDS"
    )]
    coordinator_timeout: f64,
    /// Logical shards to compute side by side; does not change the result [default: this worker's share of the machine's
    /// cores, divided by --threads]
    #[arg(long, env = "CONCENTRIC_PARALLEL", value_name = "COUNT")]
    parallel: Option<usize>,
    /// Whether to compute on a share of the machine's cores of its own; does not change the result
    #[arg(long, env = "CONCENTRIC_CPU_BIND", value_enum, default_value_t = CpuBind::Auto)]
    cpu_bind: CpuBind,
    #[command(flatten)]
    access: Access,
}

/// A checked command line.
#[derive(Clone, Debug)]
pub struct WorkerArgs {
    /// This worker's slot; the coordinator gives it one where there is none.
    pub slot: Option<Slot>,
    /// The coordinator's URL.
    pub coordinator: Uri,
    /// Likewise in words: which variables have said so, where no flag has.
    pub coordinator_in_words: String,
    /// Where and how to compute.
    pub placement: Placement,
    /// What is to be told of variables, in words for the user.
    pub notes: Vec<String>,
    /// Why this worker computes on the CPU, where nobody has asked for that.
    pub no_gpu: Option<String>,
    /// What a CPU computes with.
    pub instructions: Instructions,
    /// What records steps.
    pub graphs: Graphs,
    /// What carries the sums.
    pub collective: CollectiveOptions,
    /// Address for the collectives, if given.
    pub advertise: Option<String>,
    /// Longest time without a coordinator at the start.
    pub connect_timeout: Duration,
    /// Longest time without a coordinator after a stay.
    pub coordinator_timeout: Duration,
    /// Logical shards side by side, if given.
    pub parallel: Option<usize>,
    /// Which processors it is bound to.
    pub cpu_bind: CpuBind,
    /// How it is let in.
    pub access: Access,
}

impl WorkerArgs {
    /// Checks a command line; clap answers `--help` and unknown flags by itself.
    ///
    /// # Errors
    /// What is wrong and what to give instead.
    pub fn parse(
        arguments: impl IntoIterator<Item = std::ffi::OsString>,
        launcher: &Launcher,
    ) -> anyhow::Result<Self> {
        let matches = command_line::parse(RawArgs::command(), arguments)?;
        let raw = RawArgs::from_arg_matches(&matches)?;
        let place = |flag: &str| place(&matches, flag);
        let choice: DeviceChoice =
            raw.device.parse().map_err(anyhow::Error::msg).with_context(|| place("device"))?;
        let slot = slot(&raw, launcher)?;
        let mut notes = Vec::new();
        let (coordinator, said_by) = match &raw.coordinator {
            Some(url) => {
                let uri = raw.access.coordinator(url).with_context(|| place("coordinator"))?;
                (uri, variable(&matches, "coordinator"))
            }
            None => {
                let uri = raw.access.coordinator(&looked_for(launcher, &mut notes)?)?;
                (uri, launcher.names_of_coordinator())
            }
        };
        let coordinator_in_words = match said_by {
            Some(variables) => format!("{coordinator} (as {variables} says)"),
            None => coordinator.to_string(),
        };
        let connect_timeout = seconds(&place("connect-timeout"), raw.connect_timeout)?;
        let coordinator_timeout = seconds(&place("coordinator-timeout"), raw.coordinator_timeout)?;
        if raw.parallel == Some(0) {
            bail!("{} must be at least 1", place("parallel"));
        }
        let advertise = raw.advertise.as_deref().map(|text| {
            address::host(text).with_context(|| format!("{} `{text}`", place("advertise")))
        });
        let local_rank = local_rank(launcher, slot)?;
        let (placement, no_gpu) =
            device::choose(choice, raw.engine, local_rank).map_err(anyhow::Error::msg)?;
        // A GPU or the CPU; which GPU does not matter here.
        let device = placement.of(Slot(0)).device;
        let graphs = graphs::choose(raw.cuda_graph, device).map_err(anyhow::Error::msg)?;
        let collective = CollectiveOptions { choice: raw.collective, library: raw.nccl_library };
        check_collective(&collective, device)?;
        Ok(Self {
            slot,
            coordinator,
            coordinator_in_words,
            placement,
            notes,
            no_gpu,
            graphs,
            collective,
            advertise: advertise.transpose()?,
            connect_timeout,
            coordinator_timeout,
            instructions: raw.instructions.unwrap_or_else(Instructions::detect),
            parallel: raw.parallel,
            cpu_bind: raw.cpu_bind,
            access: raw.access,
        })
    }
}

/// Whether NCCL can be had where it is insisted on; what the others have is not known yet.
fn check_collective(options: &CollectiveOptions, device: Device) -> anyhow::Result<()> {
    if options.choice != CollectiveChoice::Nccl {
        return Ok(());
    }
    if device == Device::Cpu && std::env::var_os(nccl::ON_CPU_VARIABLE).is_none() {
        bail!(
            "--collective nccl: NCCL connects GPUs, and this worker computes on the CPU; use --collective gloo or auto, \
             or --device cuda:I"
        );
    }
    nccl::find(options.library.as_deref())
        .map_err(anyhow::Error::msg)
        .context("--collective nccl")?;
    Ok(())
}

fn seconds(flag: &str, value: f64) -> anyhow::Result<Duration> {
    // A year is longer than anybody waits, and short enough to be added to any time.
    if !(0.0..=31_536_000.0).contains(&value) {
        bail!("{flag} is {value}, must be 0 seconds or more");
    }
    Ok(Duration::from_secs_f64(value))
}

/// How a value is called: by the variable that it comes from, or by its flag.
fn place(matches: &ArgMatches, flag: &str) -> String {
    variable(matches, flag).unwrap_or_else(|| format!("--{flag}"))
}

/// The variable that a flag's value comes from, in words.
fn variable(matches: &ArgMatches, flag: &str) -> Option<String> {
    let command = RawArgs::command();
    let variable = command_line::variable_behind(&command, matches, flag)?;
    Some(format!("the variable {}", variable.to_string_lossy()))
}

fn slot(raw: &RawArgs, launcher: &Launcher) -> anyhow::Result<Option<Slot>> {
    match (raw.rank, &launcher.rank) {
        (Some(rank), _) => Ok(Some(Slot(rank))),
        (None, Some(given)) => Ok(Some(Slot(given.number("correct it, or give --rank")?))),
        (None, None) => Ok(None),
    }
}

/// Where the coordinator is looked for that no flag names.
fn looked_for(launcher: &Launcher, notes: &mut Vec<String>) -> anyhow::Result<String> {
    let Some(address) = launcher.coordinator(DEFAULT_PORT)? else {
        return Ok(address::join("127.0.0.1", DEFAULT_PORT));
    };
    notes.extend(launcher.port_of_store.as_ref().map(|given| {
        format!(
            "{given} is the port of torchrun's own store: looking for the coordinator at {address}; --coordinator or \
             CONCENTRIC_COORDINATOR names another place"
        )
    }));
    Ok(address)
}

/// This process's number on its machine: the launcher's word, or the slot, as if all workers were on one machine.
fn local_rank(launcher: &Launcher, slot: Option<Slot>) -> anyhow::Result<Option<usize>> {
    match &launcher.local_rank {
        Some(given) => Ok(Some(given.number("correct or unset it")?)),
        None => Ok(slot.map(Slot::index)),
    }
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
