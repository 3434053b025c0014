//! How many workers one coordinator can lead: the program itself, and simulated workers that only talk.
//!
//! `make bench-coordinator` runs it and prints markdown. A tour:
//!
//! - `setting`: what one measurement is made with;
//! - `measure`: its course, and its figures;
//! - `program`: the coordinator, a process of its own;
//! - `crowd`: all simulated workers, and the waits for what every one of them must see;
//! - `simulated`: one of them;
//! - `table`: the figures beside their targets.
//!
//! Coordinator and workers share the cores of this machine: one that has its machine to itself does better. A bad
//! figure is printed like a good one; only one that could not be taken is an error.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use coordinator::interrupts;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::runtime::Runtime;

mod crowd;
mod measure;
mod program;
mod setting;
mod simulated;
mod table;

use setting::Setting;

/// Measures how many simulated workers one coordinator can lead.
#[derive(Debug, Parser)]
struct Arguments {
    /// Numbers of workers to measure with, comma-separated
    #[arg(long, value_delimiter = ',', default_value = "1000,10000", value_name = "COUNTS",
          value_parser = clap::value_parser!(u32).range(3..=65_536))]
    workers: Vec<u32>,
    /// Folder of the programs; a relative one is below the workspace
    #[arg(long, default_value = "target/release", value_name = "DIR")]
    programs: PathBuf,
    /// Connections that the workers share
    #[arg(long, default_value_t = 64, value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Behind TLS, with certificates on both sides, and a join token
    #[arg(long)]
    tls: bool,
    /// What `cargo bench` says, and `cargo test` does not
    #[arg(long, hide = true)]
    bench: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if !arguments.bench {
        eprintln!("nothing is measured without --bench, which `cargo bench` gives");
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Arguments) -> Result<()> {
    raise_descriptor_limit().context("raising the limit of open files")?;
    Runtime::new().context("starting the runtime")?.block_on(measure_all(arguments))
}

/// Whatever ends it, the coordinator ends with it.
async fn measure_all(arguments: &Arguments) -> Result<()> {
    let mut interrupts = interrupts::listen().context("listening for signals")?;
    // Cargo starts benches in the folder of their package.
    let programs = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..").join(&arguments.programs);
    let mut figures = Vec::new();
    for &workers in &arguments.workers {
        let Arguments { connections, tls, .. } = *arguments;
        let setting = Setting { programs: &programs, workers, connections, tls };
        tokio::select! {
            measured = measure::measure(setting) => {
                figures.push(measured.with_context(|| format!("measuring with {workers} workers"))?);
            }
            Some(interrupt) = interrupts.recv() => bail!("{}", interrupt.name()),
        }
    }
    println!("{}", table::markdown(&figures));
    Ok(())
}

/// A connection takes a descriptor on either side; the coordinator inherits the limit.
fn raise_descriptor_limit() -> nix::Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)
}
