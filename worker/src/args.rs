//! The worker's command line. Everything about training comes from the coordinator.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use common::access::Access;
use common::ids::Slot;
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
    /// Where and how to compute.
    pub placement: Placement,
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

/// What a launcher (torchrun, Slurm, Kubernetes) has set in the environment.
#[derive(Clone, Debug, Default)]
pub struct Launcher {
    /// `RANK` (torchrun), `SLURM_PROCID` or `OMPI_COMM_WORLD_RANK`.
    pub rank: Option<String>,
    /// `LOCAL_RANK` (torchrun), `SLURM_LOCALID` or `OMPI_COMM_WORLD_LOCAL_RANK`.
    pub local_rank: Option<String>,
    /// `MASTER_ADDR`.
    pub master_addr: Option<String>,
    /// `MASTER_PORT`.
    pub master_port: Option<String>,
}

impl Launcher {
    /// The variables of this process.
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    fn from_variables(value: impl Fn(&str) -> Option<String>) -> Self {
        let variable = |name: &str| value(name).filter(|value| !value.is_empty());
        let first = |names: [&str; 3]| names.into_iter().find_map(variable);
        // A shell that Slurm has started as its only task is no launcher: whatever is started in it has that number.
        let is_alone = variable("SLURM_NTASKS").is_some_and(|tasks| tasks == "1");
        let of_slurm = |name| if is_alone { "" } else { name };
        Self {
            rank: first(["RANK", of_slurm("SLURM_PROCID"), "OMPI_COMM_WORLD_RANK"]),
            local_rank: first([
                "LOCAL_RANK",
                of_slurm("SLURM_LOCALID"),
                "OMPI_COMM_WORLD_LOCAL_RANK",
            ]),
            master_addr: variable("MASTER_ADDR"),
            master_port: variable("MASTER_PORT"),
        }
    }
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
        let raw = RawArgs::try_parse_from(arguments)?;
        let choice: DeviceChoice = raw.device.parse().map_err(anyhow::Error::msg)?;
        let slot = slot(&raw, launcher)?;
        let coordinator = coordinator(&raw, launcher)?;
        let connect_timeout = seconds("--connect-timeout", raw.connect_timeout)?;
        let coordinator_timeout = seconds("--coordinator-timeout", raw.coordinator_timeout)?;
        if raw.parallel == Some(0) {
            bail!("--parallel must be at least 1");
        }
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
            placement,
            no_gpu,
            graphs,
            collective,
            advertise: raw.advertise.filter(|host| !host.is_empty()),
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

fn slot(raw: &RawArgs, launcher: &Launcher) -> anyhow::Result<Option<Slot>> {
    let given = raw.rank.map(Slot);
    let of_launcher = || number(launcher.rank.as_deref(), "rank");
    given.map_or_else(of_launcher, |slot| Ok(Some(slot)))
}

/// A number that the launcher has set.
fn number<T: FromStr>(text: Option<&str>, what: &str) -> anyhow::Result<Option<T>> {
    let parse = |text: &str| {
        text.parse().ok().with_context(|| {
            format!("the launcher's {what} is `{text}`, not a number: correct its variable or give --rank")
        })
    };
    text.map(parse).transpose()
}

fn coordinator(raw: &RawArgs, launcher: &Launcher) -> anyhow::Result<Uri> {
    let scheme = raw.access.scheme();
    let text = match (&raw.coordinator, &launcher.master_addr) {
        (Some(url), _) => url.clone(),
        (None, Some(host)) => {
            let port = launcher.master_port.clone().unwrap_or_else(|| DEFAULT_PORT.to_string());
            format!("{scheme}://{host}:{port}")
        }
        (None, None) => format!("{scheme}://127.0.0.1:{DEFAULT_PORT}"),
    };
    let text = if text.contains("://") { text } else { format!("{scheme}://{text}") };
    let hint = "give it as http://HOST:PORT or https://HOST:PORT";
    let uri: Uri =
        text.parse().with_context(|| format!("--coordinator `{text}` is no URL: {hint}"))?;
    match (uri.scheme_str(), uri.host(), uri.port_u16()) {
        (Some("http" | "https"), Some(_), Some(_)) => {
            raw.access.check(&uri)?;
            Ok(uri)
        }
        (Some("http" | "https"), Some(_), None) => {
            bail!("--coordinator `{text}` has no port: {hint}")
        }
        _ => bail!("--coordinator `{text}`: {hint}"),
    }
}

/// This process's number on its machine: the launcher's word, or the slot, as if all workers were on one machine.
fn local_rank(launcher: &Launcher, slot: Option<Slot>) -> anyhow::Result<Option<usize>> {
    let of_launcher = number(launcher.local_rank.as_deref(), "local rank")?;
    Ok(of_launcher.or(slot.map(Slot::index)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(flags: &[&str], launcher: &Launcher) -> anyhow::Result<WorkerArgs> {
        let arguments = ["worker"].iter().chain(flags).map(|flag| (*flag).into());
        WorkerArgs::parse(arguments.collect::<Vec<_>>(), launcher)
    }

    fn refused(flags: &[&str], expected: &str) {
        let message = format!("{:#}", parse(flags, &Launcher::default()).unwrap_err());
        assert!(message.contains(expected), "{flags:?}: {message}");
    }

    #[test]
    fn defaults_and_launchers() {
        let args = parse(&["--rank", "2"], &Launcher::default()).unwrap();
        assert_eq!((args.slot, args.advertise), (Some(Slot(2)), None));
        assert_eq!(args.coordinator.to_string(), "http://127.0.0.1:29400/");
        let launcher = Launcher {
            local_rank: Some("3".into()),
            rank: Some("3".into()),
            master_addr: Some("127.0.0.1".into()),
            master_port: Some("1234".into()),
        };
        let args = parse(&[], &launcher).unwrap();
        assert_eq!(args.slot, Some(Slot(3)));
        assert_eq!(args.coordinator.to_string(), "http://127.0.0.1:1234/");
        assert_eq!(parse(&["--rank", "0"], &launcher).unwrap().slot, Some(Slot(0)));
        assert_eq!(parse(&[], &Launcher::default()).unwrap().slot, None);
    }

    #[test]
    fn launchers_number_their_processes() {
        let check = |variables: &[(&str, &str)], rank: Option<&str>, local: Option<&str>| {
            let launcher = Launcher::from_variables(|name| {
                variables.iter().find(|(other, _)| *other == name).map(|it| it.1.to_string())
            });
            assert_eq!((launcher.rank.as_deref(), launcher.local_rank.as_deref()), (rank, local));
        };
        check(&[], None, None);
        check(&[("RANK", "5"), ("LOCAL_RANK", "1"), ("SLURM_PROCID", "0")], Some("5"), Some("1"));
        let slurm = [("SLURM_PROCID", "3"), ("SLURM_LOCALID", "1")];
        check(&[&slurm[..], &[("SLURM_NTASKS", "8")]].concat(), Some("3"), Some("1"));
        // The shell of an interactive job of one task.
        check(&[&slurm[..], &[("SLURM_NTASKS", "1")]].concat(), None, None);
        let open_mpi = [("OMPI_COMM_WORLD_RANK", "2"), ("OMPI_COMM_WORLD_LOCAL_RANK", "0")];
        check(&open_mpi, Some("2"), Some("0"));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let odd = Launcher { rank: Some("two".to_string()), ..Launcher::default() };
        let message = parse(&[], &odd).unwrap_err().to_string();
        assert!(message.contains("`two`, not a number") && message.contains("--rank"), "{message}");
        refused(&["--rank", "0", "--device", "tpu"], "use auto, cpu, cuda or cuda:I");
        refused(&["--rank", "0", "--device", "cuda:99"], "--device cuda:99: ");
        refused(&["--rank", "0", "--device", "cpu", "--cuda-graph", "on"], "needs a GPU");
        let nccl_on_a_cpu = ["--rank", "0", "--device", "cpu", "--collective", "nccl"];
        refused(&nccl_on_a_cpu, "this worker computes on the CPU");
        refused(&["--rank", "0", "--collective", "mpi"], "[possible values: auto, nccl, gloo]");
        refused(&["--rank", "0", "--coordinator", "http://host"], "has no port");
        refused(&["--rank", "0", "--coordinator", "ftp://host:1"], "http://HOST:PORT");
        refused(&["--rank", "0", "--parallel", "0"], "--parallel");
        refused(&["--rank", "0", "--cpu-bind", "sockets"], "[possible values: auto, cores, none]");
        refused(&["--rank", "0", "--connect-timeout", "-1"], "unexpected argument");
    }
}
