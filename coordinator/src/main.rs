//! The program: parse, then train or show the status.

use std::io::Write;
use std::process::ExitCode;

use anyhow::{Context, Result};
use common::causes::in_words;
use common::command_line::variables;
use common::config::ConfigError;
use common::launcher::Launcher;
use common::telemetry::{self, Colours};
use coordinator::clock::Clock;
use coordinator::cluster::membership::{Outcome, Timing};
use coordinator::commands::args::{self, Command, Environment};
use coordinator::commands::verdict::Verdict;
use coordinator::commands::{audit, fingerprint, operator, replay, status, verify};
use coordinator::door::{self, certs};
use coordinator::interrupts;
use coordinator::log::{LogFile, Terminal};
use coordinator::run::{self, Ended, Inputs, RunPlan};
use coordinator::run_directory::{EVENTS, events_log, ledger};
use coordinator::service::server;
use tokio::runtime::Runtime;

fn main() -> ExitCode {
    match args::parse(std::env::args_os(), &environment()).and_then(start) {
        Ok(code) => code,
        Err(error) => refuse(&error),
    }
}

fn environment() -> Environment {
    Environment {
        launcher: Launcher::from_environment(),
        mnist_dir: std::env::var_os("CONCENTRIC_MNIST_DIR")
            .filter(|folder| !folder.is_empty())
            .map(Into::into),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
    }
}

fn start(command: Command) -> Result<ExitCode> {
    let runtime = Runtime::new().context("starting the runtime")?;
    let code = match command {
        Command::Run(plan) => runtime.block_on(train(*plan)),
        Command::Status(plan) => runtime.block_on(status::status(&plan)).map(print),
        Command::Scale(plan) => runtime.block_on(operator::scale(&plan)).map(print),
        Command::Drain(plan) => runtime.block_on(operator::drain(&plan)).map(print),
        Command::Audit(plan) => audit::command(&plan).map(print_verdict),
        Command::Fingerprint(plan) => fingerprint::command(&plan).map(print),
        Command::Certs(plan) => certs::command(&plan).map(print),
        Command::Replay(plan) => runtime.block_on(replay::command(&plan)).map(print_verdict),
        Command::Verify(plan) => runtime.block_on(verify::command(&plan)).map(print_verdict),
    };
    // A download that was interrupted must not hold up the exit.
    runtime.shutdown_background();
    code
}

fn print(answer: String) -> ExitCode {
    println!("{answer}");
    ExitCode::SUCCESS
}

fn print_verdict(verdict: Verdict) -> ExitCode {
    println!("{}", verdict.text);
    verdict.exit_code()
}

async fn train(plan: RunPlan) -> Result<ExitCode> {
    let interrupts = interrupts::listen().context("listening for signals")?;
    let terminal = Terminal::of_stderr();
    let mut log = LogFile::default();
    let filter = std::env::var("CONCENTRIC_LOG").ok();
    telemetry::init_with_file(
        filter.as_deref(),
        terminal.clone(),
        Colours::of_stderr(),
        log.clone(),
    )
    .context("starting the log")?;
    for line in variables::misspelt(std::env::vars_os()) {
        tracing::warn!("{line}");
    }
    let door = door::open(&plan.door)?;
    let listener = server::bind_again(&plan.config.listen, known_address(&plan).as_deref()).await?;
    let inputs = Inputs {
        listener,
        door,
        interrupts,
        clock: Clock::monotonic(),
        timing: Timing::default(),
        terminal,
        log: log.clone(),
    };
    let ended = run::run(plan, inputs).await;
    let (message, code) = match &ended {
        Ok(ended) => (failure(ended), ended.exit_code()),
        Err(error) => (Some(in_words(error.as_ref())), 1),
    };
    if let Some(message) = message {
        eprintln!("error: {message}");
        writeln!(log, "error: {message}").ok();
    }
    Ok(ExitCode::from(code))
}

/// Where the workers of a run that is resumed look for its coordinator.
fn known_address(plan: &RunPlan) -> Option<String> {
    let directory = plan.config.run_dir.as_ref().filter(|_| plan.resume)?;
    // What is wrong with the ledger shows where it is used.
    let lines = events_log::read(&directory.join(EVENTS)).ok()?;
    ledger::summarise(&lines).coordinator.map(|coordinator| coordinator.address)
}

fn failure(ended: &Ended) -> Option<String> {
    match &ended.outcome {
        Outcome::Failed { reason, .. } => Some(reason.clone()),
        Outcome::Completed | Outcome::Stopped { .. } => None,
    }
}

/// What is wrong with the command line, with the usage where clap says it.
fn refuse(error: &anyhow::Error) -> ExitCode {
    match error.downcast_ref() {
        Some(ConfigError::CommandLine(usage)) => usage.exit(),
        _ => eprintln!("error: {}", in_words(error.as_ref())),
    }
    ExitCode::FAILURE
}
