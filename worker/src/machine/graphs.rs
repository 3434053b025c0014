//! Whether a step is recorded as a graph and replayed, and which library does it. Decided once, with the device.

use std::path::{Path, PathBuf};

use clap::ValueEnum;
use tch::Device;

use crate::bridge::graphs::GraphLibrary;

/// Names another file than the ones that are looked for.
pub const LIBRARY: &str = "CONCENTRIC_GRAPHS_LIBRARY";
/// What the library of CUDA graphs is called.
const FILE: &str = "libconcentric_graphs.so";

/// `--cuda-graph`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum GraphChoice {
    /// Where it can be done.
    Auto,
    /// Or else not at all.
    On,
    /// Never.
    Off,
}

/// How this worker's device is asked for steps.
#[derive(Clone, Debug, Default)]
pub struct Graphs {
    /// What records them, if anything.
    pub library: Option<&'static GraphLibrary>,
    /// Whether a step that cannot be recorded is an error.
    pub required: bool,
    /// Why there is nothing, where there might be.
    pub absent: Option<String>,
}

/// Finds what records the steps of `device`.
///
/// # Errors
/// It was asked for and is not there: why, and what to do.
pub fn choose(choice: GraphChoice, device: Device) -> Result<Graphs, String> {
    let named = std::env::var_os(LIBRARY).filter(|path| !path.is_empty()).map(PathBuf::from);
    match choice {
        GraphChoice::Off => Ok(Graphs::default()),
        GraphChoice::Auto if device == Device::Cpu => Ok(Graphs::default()),
        GraphChoice::Auto => Ok(match find(named, device) {
            Ok(library) => Graphs { library: Some(library), ..Graphs::default() },
            Err(reason) => Graphs { absent: Some(reason), ..Graphs::default() },
        }),
        GraphChoice::On if device == Device::Cpu && named.is_none() => {
            Err("--cuda-graph on needs a GPU, and this worker computes on the CPU".to_string())
        }
        GraphChoice::On => match find(named, device) {
            Ok(library) => Ok(Graphs { library: Some(library), required: true, absent: None }),
            Err(reason) => Err(format!("--cuda-graph on: {reason}")),
        },
    }
}

fn find(named: Option<PathBuf>, device: Device) -> Result<&'static GraphLibrary, String> {
    let candidates = match named {
        Some(path) => vec![path],
        None => places(std::env::current_exe().ok().as_deref()),
    };
    let Some(path) = candidates.iter().find(|path| path.exists()) else {
        let looked: Vec<String> =
            candidates.iter().map(|path| path.display().to_string()).collect();
        return Err(format!(
            "there is no {}; `make cuda` builds it, {LIBRARY} names another place",
            looked.join(" nor ")
        ));
    };
    let library = GraphLibrary::open(path)?;
    let wanted = match device {
        Device::Cpu => "cpu",
        _ => "cuda",
    };
    if library.device() != wanted {
        let (path, records) = (path.display(), library.device());
        return Err(format!(
            "{path} records the work of {records}, this worker computes on {wanted}"
        ));
    }
    // One a process, for as long as it lives: what it has recorded may live as long.
    Ok(Box::leak(Box::new(library)))
}

/// Beside the program, or in the checkout that it was built in.
fn places(program: Option<&Path>) -> Vec<PathBuf> {
    let folder = program.and_then(Path::parent).unwrap_or_else(|| Path::new("."));
    vec![folder.join(FILE), folder.join("../../.libtorch").join(FILE)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_the_way_to_get_it() {
        let missing = find(Some("/nowhere/graphs.so".into()), Device::Cuda(0)).unwrap_err();
        assert!(missing.contains("no /nowhere/graphs.so"), "{missing}");
        assert!(missing.contains("make cuda"), "{missing}");
        let other = std::env::current_exe().unwrap();
        let not_one = find(Some(other.clone()), Device::Cuda(0)).unwrap_err();
        assert!(not_one.contains(&other.display().to_string()), "{not_one}");
        let places = places(Some(Path::new("/opt/bin/worker")));
        assert_eq!(places[0], Path::new("/opt/bin/libconcentric_graphs.so"));
    }

    #[test]
    fn a_cpu_has_none() {
        assert!(choose(GraphChoice::Auto, Device::Cpu).unwrap().library.is_none());
        let refused = choose(GraphChoice::On, Device::Cpu).unwrap_err();
        assert!(refused.contains("needs a GPU"), "{refused}");
    }
}
