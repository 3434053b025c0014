//! The `CONCENTRIC_…` variables there are. One that is misspelt does nothing, so it is told.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::{Args, Command};

use crate::access::{Access, token};
use crate::config::Config;
use crate::nearest::nearest;

/// What all of them begin with.
const PREFIX: &str = "CONCENTRIC_";
/// Those beside the settings of a run and of access: of either program, of its tests, and of the files in `deploy/`. Each
/// program has a test that its own are among them.
const OTHERS: [&str; 39] = [
    "ADVERTISE",
    "BENCH_RUN",
    "CHAOS",
    "COLLECTIVE",
    "CONFIG",
    "CONNECT_TIMEOUT",
    "COORDINATOR",
    "COORDINATOR_TIMEOUT",
    "CPU_BIND",
    "CRASH_AT",
    "CUDA_GRAPH",
    "DEVICE",
    "ENGINE",
    "FAULT",
    "GRAPHS_LIBRARY",
    "INSECURE",
    "INSTRUCTIONS",
    "LIBTORCH_VERSION",
    "LOG",
    "MNIST_DIR",
    "NCCL_LIBRARY",
    "NCCL_ON_CPU",
    "PARALLEL",
    "PEERS",
    "PORT",
    "PYTHON",
    "RANK",
    "RECIPE",
    "RESUME_IF_ANY",
    "RUN",
    "RUNS",
    "SET_RIGHT",
    "TEST_FOLDER",
    "TEST_INCARNATION",
    "TEST_LIBRARY",
    "TEST_RANK",
    "USER",
    "VERSION",
    "WORKER_MEMORY",
];

/// The names of all variables.
pub fn known() -> BTreeSet<String> {
    let of_settings = Access::augment_args(Config::augment_args(Command::new("settings")));
    let named = of_settings.get_arguments().filter_map(|arg| arg.get_env()?.to_str());
    let named: Vec<String> = named.map(str::to_string).collect();
    let others = OTHERS.iter().map(|name| format!("{PREFIX}{name}"));
    named.into_iter().chain(others).chain([token::VARIABLE.to_string()]).collect()
}

/// What is to be told of variables that are none of the known ones: a line for each, with the one that may be meant.
pub fn misspelt(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Vec<String> {
    let known = known();
    let set = variables.into_iter().filter(|(_, value)| !value.is_empty());
    let names = set.filter_map(|(name, _)| name.into_string().ok());
    let unknown = names.filter(|name| {
        name.starts_with(PREFIX) && !known.contains(name) && !is_of_kubernetes(name)
    });
    let tell = |name: String| {
        let candidates = known.iter().filter_map(|known| known.strip_prefix(PREFIX));
        match nearest(&name[PREFIX.len()..], candidates) {
            Some(meant) => format!(
                "the variable {name} is not known and does nothing; did you mean {PREFIX}{meant}?"
            ),
            None => format!("the variable {name} is not known and does nothing"),
        }
    };
    unknown.map(tell).collect()
}

/// Kubernetes sets some for each service, as for one that is called `concentric-coordinator`.
fn is_of_kubernetes(name: &str) -> bool {
    let ends = ["_SERVICE_HOST", "_SERVICE_PORT", "_PORT"];
    ends.iter().any(|end| name.ends_with(end))
        || name.contains("_SERVICE_PORT_")
        || name.contains("_PORT_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(name: &str, value: &str) -> String {
        misspelt([(name.into(), value.into())]).concat()
    }

    #[test]
    fn a_slip_is_told_with_what_was_meant() {
        let check = |name: &str, expected: &str| {
            let told = told(name, "1");
            assert!(told.contains(expected), "{told}");
            assert_eq!(told.is_empty(), expected.is_empty(), "{told}");
        };
        check("CONCENTRIC_BATCHSIZE", "did you mean CONCENTRIC_BATCH_SIZE?");
        check("CONCENTRIC_DEVCE", "did you mean CONCENTRIC_DEVICE?");
        check("CONCENTRIC_XYZ", "CONCENTRIC_XYZ is not known and does nothing");
        check("CONCENTRIC_BATCH_SIZE", "");
        check("CONCENTRIC_JOIN_TOKEN", "");
        check("CONCENTRIC_COORDINATOR_PORT_29400_TCP", "");
        check("BATCHSIZE", "");
        assert_eq!(told("CONCENTRIC_BATCHSIZE", ""), "");
    }
}
