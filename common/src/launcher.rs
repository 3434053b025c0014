//! What launchers (torchrun, Slurm, Open MPI, Kubeflow) say in the environment of the processes that they start: the one place
//! where their variables are read.
//!
//! Both programs call it; an error names the variable that is wrong. It takes the variables as a function, so that tests bring
//! their own.

use std::fmt;
use std::str::FromStr;

use crate::address::{self, HostPort};

/// Variables that are about one process of a launcher's: whoever starts others takes them away from those.
pub const OF_ONE_PROCESS: [&str; 9] = [
    "RANK",
    "LOCAL_RANK",
    "SLURM_PROCID",
    "SLURM_LOCALID",
    "OMPI_COMM_WORLD_RANK",
    "OMPI_COMM_WORLD_LOCAL_RANK",
    "MASTER_ADDR",
    "MASTER_PORT",
    "WORLD_SIZE",
];

/// From this one on Slurm's numbers of steps are those of scripts and interactive shells.
const STEPS_OF_SHELLS: u32 = 0xffff_fff0;

/// A variable that is set, and not to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// Its name.
    pub variable: &'static str,
    /// What it holds.
    pub value: String,
}

/// What is wrong with a launcher's variable, in words for the user.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the variable {variable} is `{value}`, {problem}")]
pub struct LauncherError {
    variable: &'static str,
    value: String,
    problem: String,
}

impl Given {
    /// What it holds as a number; `instead` says what to do where it is none.
    ///
    /// # Errors
    /// It is none.
    pub fn number<T: FromStr>(&self, instead: &str) -> Result<T, LauncherError> {
        self.value.parse().map_err(|_| self.is(format!("not a number: {instead}")))
    }

    fn is(&self, problem: String) -> LauncherError {
        LauncherError { variable: self.variable, value: self.value.clone(), problem }
    }
}

impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.variable, self.value)
    }
}

/// What a launcher has said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Launcher {
    /// This process's number: `RANK`, or that of Slurm or Open MPI.
    pub rank: Option<Given>,
    /// Its number on its machine.
    pub local_rank: Option<Given>,
    /// `WORLD_SIZE`: how many processes there are.
    pub world_size: Option<Given>,
    /// `MASTER_ADDR`.
    pub master_addr: Option<Given>,
    /// `MASTER_PORT`.
    pub master_port: Option<Given>,
    /// `MASTER_PORT` of torchrun, where its own store listens and nothing else can.
    pub port_of_store: Option<Given>,
    /// This process is the master of a job of Kubeflow's, whose other processes count from 1.
    pub is_master_of_pods: bool,
}

impl Launcher {
    /// What the variables of this process say.
    pub fn from_environment() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// What such variables say.
    pub fn from_variables(value: impl Fn(&str) -> Option<String>) -> Self {
        let given = |variable: &'static str| {
            let value = value(variable).filter(|value| !value.is_empty())?;
            Some(Given { variable, value })
        };
        let holds = |variable, number: &str| given(variable).is_some_and(|it| it.value == number);
        // Slurm numbers the tasks of a step. The job's script has the number 0, too, and hands it to all that it starts by
        // itself; so has a shell that is its step's only task.
        let step = given("SLURM_STEP_ID").and_then(|step| step.value.parse::<u32>().ok());
        let is_alone = step.is_none_or(|step| step >= STEPS_OF_SHELLS)
            || holds("SLURM_NTASKS", "1")
            || holds("SLURM_STEP_NUM_TASKS", "1");
        let of_slurm = |variable| if is_alone { None } else { given(variable) };
        let is_torchrun = given("TORCHELASTIC_RUN_ID").is_some()
            && !holds("TORCHELASTIC_USE_AGENT_STORE", "False");
        let (port_of_store, master_port) = match is_torchrun {
            true => (given("MASTER_PORT"), None),
            false => (None, given("MASTER_PORT")),
        };
        let local_rank = given("LOCAL_RANK")
            .or_else(|| of_slurm("SLURM_LOCALID"))
            .or_else(|| given("OMPI_COMM_WORLD_LOCAL_RANK"));
        Self {
            is_master_of_pods: holds("RANK", "0")
                && local_rank.is_none()
                && given("KUBERNETES_SERVICE_HOST").is_some(),
            rank: given("RANK")
                .or_else(|| of_slurm("SLURM_PROCID"))
                .or_else(|| given("OMPI_COMM_WORLD_RANK")),
            local_rank,
            world_size: given("WORLD_SIZE"),
            master_addr: given("MASTER_ADDR"),
            master_port,
            port_of_store,
        }
    }

    /// The variables that [`Launcher::coordinator`] goes by, in words.
    pub fn names_of_coordinator(&self) -> Option<String> {
        let addr = self.master_addr.as_ref()?;
        Some(match &self.master_port {
            Some(port) => format!("{addr}, {port}"),
            None => addr.to_string(),
        })
    }

    /// Where the coordinator is, `HOST:PORT`, with `default_port` where no port is said; none without a host.
    ///
    /// # Errors
    /// A variable holds no host, or no port.
    pub fn coordinator(&self, default_port: u16) -> Result<Option<String>, LauncherError> {
        let Some(addr) = &self.master_addr else { return Ok(None) };
        let HostPort { host, port } = addr.value.parse().map_err(|error| {
            addr.is(format!(
                "which {error}: set it to the coordinator's host, or give --coordinator"
            ))
        })?;
        let port = match &self.master_port {
            Some(given) => self::port(given)?,
            None => port.unwrap_or(default_port),
        };
        Ok(Some(address::join(&host, port)))
    }
}

/// The port of `PORT`, and of `tcp://HOST:PORT`, as Kubernetes says it of a service called `master`.
fn port(given: &Given) -> Result<u16, LauncherError> {
    let port = match given.value.strip_prefix("tcp://") {
        Some(place) => place.parse().ok().and_then(|place: HostPort| place.port),
        None => given.value.parse().ok(),
    };
    port.filter(|port| *port > 0).ok_or_else(|| {
        given.is("not a port: set it to the coordinator's, or give --coordinator".to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launcher(variables: &[(&str, &str)]) -> Launcher {
        Launcher::from_variables(|name| {
            variables.iter().find(|(other, _)| *other == name).map(|it| it.1.to_string())
        })
    }

    #[test]
    fn processes_have_numbers() {
        let check = |variables: &[(&str, &str)], rank: Option<&str>, local: Option<&str>| {
            let launcher = launcher(variables);
            let value = |given: &Option<Given>| given.as_ref().map(|given| given.value.clone());
            assert_eq!(value(&launcher.rank).as_deref(), rank, "{variables:?}");
            assert_eq!(value(&launcher.local_rank).as_deref(), local, "{variables:?}");
        };
        check(&[], None, None);
        check(&[("RANK", ""), ("LOCAL_RANK", "")], None, None);
        check(&[("RANK", "5"), ("LOCAL_RANK", "1"), ("SLURM_PROCID", "0")], Some("5"), Some("1"));
        let slurm = [("SLURM_PROCID", "3"), ("SLURM_LOCALID", "1"), ("SLURM_STEP_ID", "0")];
        check(&[&slurm[..], &[("SLURM_NTASKS", "8")]].concat(), Some("3"), Some("1"));
        // The shell of an interactive job of one task.
        check(&[&slurm[..], &[("SLURM_NTASKS", "1")]].concat(), None, None);
        // A job's script without srun.
        check(&[&slurm[..2], &[("SLURM_NTASKS", "8")]].concat(), None, None);
        check(&[&slurm[..2], &[("SLURM_STEP_ID", "4294967291")]].concat(), None, None);
        let open_mpi = [("OMPI_COMM_WORLD_RANK", "2"), ("OMPI_COMM_WORLD_LOCAL_RANK", "0")];
        check(&open_mpi, Some("2"), Some("0"));
    }

    #[test]
    fn the_coordinator_has_a_host_and_a_port() {
        let check = |variables: &[(&str, &str)], expected: Option<&str>| {
            let found = launcher(variables).coordinator(29400).unwrap();
            assert_eq!(found.as_deref(), expected, "{variables:?}");
        };
        check(&[("MASTER_PORT", "5")], None);
        check(&[("MASTER_ADDR", "host"), ("MASTER_PORT", "")], Some("host:29400"));
        check(&[("MASTER_ADDR", "host"), ("MASTER_PORT", "5")], Some("host:5"));
        check(&[("MASTER_ADDR", "fd00::1"), ("MASTER_PORT", "5")], Some("[fd00::1]:5"));
        check(&[("MASTER_ADDR", "[fd00::1]")], Some("[fd00::1]:29400"));
        check(&[("MASTER_ADDR", "host"), ("MASTER_PORT", "tcp://10.0.0.1:5")], Some("host:5"));
        check(&[("MASTER_ADDR", "host"), ("MASTER_PORT", "tcp://[fd00::1]:5")], Some("host:5"));
        let torchrun = [("MASTER_ADDR", "h"), ("MASTER_PORT", "5"), ("TORCHELASTIC_RUN_ID", "x")];
        check(&torchrun, Some("h:29400"));
        let own = [&torchrun[..], &[("TORCHELASTIC_USE_AGENT_STORE", "False")]].concat();
        check(&own, Some("h:5"));
    }

    #[test]
    fn an_error_names_its_variable() {
        let check = |variables: &[(&str, &str)], expected: &str| {
            let message = launcher(variables).coordinator(1).unwrap_err().to_string();
            assert!(message.starts_with(expected), "{message}");
        };
        check(&[("MASTER_ADDR", "http://h")], "the variable MASTER_ADDR is `http://h`, which is");
        check(&[("MASTER_ADDR", "h"), ("MASTER_PORT", "x")], "the variable MASTER_PORT is `x`,");
        let slurm = [("SLURM_PROCID", "two"), ("SLURM_STEP_ID", "0")];
        let error = launcher(&slurm).rank.unwrap().number::<u32>("give --rank").unwrap_err();
        let expected = "the variable SLURM_PROCID is `two`, not a number: give --rank";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn the_master_of_pods_is_no_worker() {
        let pod = [("RANK", "0"), ("WORLD_SIZE", "3"), ("KUBERNETES_SERVICE_HOST", "10.0.0.1")];
        assert!(launcher(&pod).is_master_of_pods);
        assert!(!launcher(&pod[..2]).is_master_of_pods);
        assert!(!launcher(&[&pod[..], &[("LOCAL_RANK", "0")]].concat()).is_master_of_pods);
    }
}
