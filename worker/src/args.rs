//! The worker's command line. Everything about training comes from the coordinator.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Parser;
use common::access::Access;
use common::ids::Slot;
use tch::Device;
use tonic::transport::Uri;

use crate::collective::agreement::{CollectiveChoice, CollectiveOptions};
use crate::collective::nccl;
use crate::device::{self, DeviceChoice, EngineChoice, Place};

/// Port of a coordinator that nobody gave another.
const DEFAULT_PORT: u16 = 29400;

/// Train as one worker of a Concentric cluster: compute a share of every batch for the coordinator's run.
#[derive(Debug, Parser)]
#[command(name = "worker", version)]
struct RawArgs {
    /// This worker's number, from 0 [env: RANK where a launcher sets it]
    #[arg(long, env = "CONCENTRIC_RANK", value_name = "N")]
    rank: Option<u32>,
    /// Where the coordinator is [default: http://127.0.0.1:29400, or MASTER_ADDR and MASTER_PORT]
    #[arg(long, env = "CONCENTRIC_COORDINATOR", value_name = "URL")]
    coordinator: Option<String>,
    /// Where to compute: auto, cpu or cuda:I
    #[arg(long, env = "CONCENTRIC_DEVICE", default_value = "auto")]
    device: String,
    /// Whose kernels compute; tensors: libtorch's own on a CPU too, for comparisons with a GPU
    #[arg(long, env = "CONCENTRIC_ENGINE", value_enum, default_value_t = EngineChoice::Auto)]
    engine: EngineChoice,
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
    /// Logical shards to compute side by side; does not change the result [default: the cores, divided by --threads]
    #[arg(long, env = "CONCENTRIC_PARALLEL", value_name = "COUNT")]
    parallel: Option<usize>,
    #[command(flatten)]
    access: Access,
}

/// A checked command line.
#[derive(Clone, Debug)]
pub struct WorkerArgs {
    /// This worker's slot.
    pub slot: Slot,
    /// The coordinator's URL.
    pub coordinator: Uri,
    /// Where and how to compute.
    pub place: Place,
    /// What carries the sums.
    pub collective: CollectiveOptions,
    /// Address for the collectives.
    pub advertise: String,
    /// Longest time without a coordinator at the start.
    pub connect_timeout: Duration,
    /// Longest time without a coordinator after a stay.
    pub coordinator_timeout: Duration,
    /// Logical shards side by side, if given.
    pub parallel: Option<usize>,
    /// How it is let in.
    pub access: Access,
}

/// What a launcher (torchrun, Slurm, Kubernetes) has set in the environment.
#[derive(Clone, Debug, Default)]
pub struct Launcher {
    /// `RANK`.
    pub rank: Option<String>,
    /// `LOCAL_RANK` (torchrun) or `SLURM_LOCALID`.
    pub local_rank: Option<String>,
    /// `MASTER_ADDR`.
    pub master_addr: Option<String>,
    /// `MASTER_PORT`.
    pub master_port: Option<String>,
}

impl Launcher {
    /// The variables of this process.
    pub fn from_environment() -> Self {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            rank: variable("RANK"),
            local_rank: variable("LOCAL_RANK").or_else(|| variable("SLURM_LOCALID")),
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
        let place = device::choose(choice, raw.engine, local_rank(launcher, slot)?)
            .map_err(anyhow::Error::msg)?;
        let collective = CollectiveOptions { choice: raw.collective, library: raw.nccl_library };
        check_collective(&collective, place)?;
        let advertise = match raw.advertise {
            Some(host) => host,
            None => facing_address(&coordinator)?,
        };
        Ok(Self {
            slot,
            coordinator,
            place,
            collective,
            advertise,
            connect_timeout,
            coordinator_timeout,
            parallel: raw.parallel,
            access: raw.access,
        })
    }
}

/// Whether NCCL can be had where it is insisted on; what the others have is not known yet.
fn check_collective(options: &CollectiveOptions, place: Place) -> anyhow::Result<()> {
    if options.choice != CollectiveChoice::Nccl {
        return Ok(());
    }
    if place.device == Device::Cpu && std::env::var_os(nccl::ON_CPU_VARIABLE).is_none() {
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

fn slot(raw: &RawArgs, launcher: &Launcher) -> anyhow::Result<Slot> {
    if let Some(rank) = raw.rank {
        return Ok(Slot(rank));
    }
    let Some(text) = &launcher.rank else {
        bail!(
            "--rank is missing: give each worker its own number, from 0 to the coordinator's --workers minus 1"
        );
    };
    let rank =
        text.parse().with_context(|| format!("the variable RANK is `{text}`, not a number"))?;
    Ok(Slot(rank))
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

/// This process's number on its machine: the launcher's word, or the slot where all workers are on one machine.
fn local_rank(launcher: &Launcher, slot: Slot) -> anyhow::Result<usize> {
    match &launcher.local_rank {
        None => Ok(slot.0 as usize),
        Some(text) => text
            .parse()
            .with_context(|| format!("the launcher's local rank is `{text}`, not a number")),
    }
}

/// The address of this machine that packets to the coordinator leave from. Nothing is sent.
fn facing_address(coordinator: &Uri) -> anyhow::Result<String> {
    let host = coordinator.host().unwrap_or("127.0.0.1").trim_matches(['[', ']']);
    let port = coordinator.port_u16().unwrap_or(DEFAULT_PORT);
    let any = if host.contains(':') { "[::]:0" } else { "0.0.0.0:0" };
    let socket = UdpSocket::bind(any).context("open a socket")?;
    // A host whose name is not known yet may be so later: the connection is what is retried.
    match socket.connect((host, port)).and_then(|()| socket.local_addr()) {
        Ok(address) => Ok(address.ip().to_string()),
        Err(_) => Ok("127.0.0.1".to_string()),
    }
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
        assert_eq!((args.slot, args.advertise.as_str()), (Slot(2), "127.0.0.1"));
        assert_eq!(args.coordinator.to_string(), "http://127.0.0.1:29400/");
        let launcher = Launcher {
            local_rank: Some("3".into()),
            rank: Some("3".into()),
            master_addr: Some("127.0.0.1".into()),
            master_port: Some("1234".into()),
        };
        let args = parse(&[], &launcher).unwrap();
        assert_eq!(args.slot, Slot(3));
        assert_eq!(args.coordinator.to_string(), "http://127.0.0.1:1234/");
        assert_eq!(parse(&["--rank", "0"], &launcher).unwrap().slot, Slot(0));
    }

    #[test]
    fn what_cannot_be_is_refused() {
        refused(&[], "--rank is missing");
        refused(&["--rank", "0", "--device", "tpu"], "use auto, cpu or cuda:I");
        refused(&["--rank", "0", "--device", "cuda:0"], "use --device cpu");
        refused(&["--rank", "0", "--collective", "nccl"], "this worker computes on the CPU");
        refused(&["--rank", "0", "--collective", "mpi"], "[possible values: auto, nccl, gloo]");
        refused(&["--rank", "0", "--coordinator", "http://host"], "has no port");
        refused(&["--rank", "0", "--coordinator", "ftp://host:1"], "http://HOST:PORT");
        refused(&["--rank", "0", "--parallel", "0"], "--parallel");
        refused(&["--rank", "0", "--connect-timeout", "-1"], "unexpected argument");
    }
}
