//! `worker`: one per GPU, or several on one CPU.

use std::process::ExitCode;

use common::causes::in_words;
use common::command_line::variables;
use common::launcher::Launcher;
use common::telemetry::{self, Colours};
use worker::args::WorkerArgs;
use worker::bridge;
use worker::machine::environment;
use worker::session;

fn main() -> ExitCode {
    let set_right = match environment::set_right() {
        Ok(set_right) => set_right,
        Err(error) => return refuse(&anyhow::Error::msg(error)),
    };
    bridge::memory::keep_freed_memory();
    let args = match WorkerArgs::parse(std::env::args_os(), &Launcher::from_environment()) {
        Ok(args) => args,
        Err(error) => return refuse(&error),
    };
    let filter = std::env::var("CONCENTRIC_LOG").ok();
    if let Err(error) = telemetry::init(filter.as_deref(), std::io::stderr, Colours::of_stderr()) {
        eprintln!("worker: cannot log: {error}");
    }
    if let Some(reason) = &args.no_gpu {
        tracing::info!("computing on the CPU: {reason}");
    }
    if let Some(names) = set_right {
        tracing::warn!("{names} would change what --precision says: computing without");
    }
    let told = args.notes.iter().cloned();
    for line in told.chain(variables::misspelt(std::env::vars_os())) {
        tracing::warn!("{line}");
    }
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let result = match runtime {
        Ok(runtime) => runtime.block_on(session::run(&args)),
        Err(error) => Err(anyhow::Error::from(error).context("start the runtime")),
    };
    match result {
        Ok(()) => leave(ExitCode::SUCCESS),
        Err(error) => {
            tracing::error!("{}", in_words(error.as_ref()));
            leave(ExitCode::FAILURE)
        }
    }
}

/// Ends the process even if a trainer thread hangs in a kernel or a call that cannot be aborted.
fn leave(code: ExitCode) -> ! {
    std::process::exit(i32::from(code != ExitCode::SUCCESS))
}

/// Says what is wrong with the command line; `--help` is no error.
fn refuse(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref::<clap::Error>() {
        Some(error) => error.exit(),
        None => {
            eprintln!("worker: {}", in_words(error.as_ref()));
            ExitCode::from(2)
        }
    }
}
