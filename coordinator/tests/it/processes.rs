//! The program as a process: a full disk, spawned workers, signals.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::status::ServiceError;
use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::command_line::PROGRAM;
use crate::harness::{FakeWorker, hello};
use crate::program::{Process, address, arguments, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_keeps_the_previous_checkpoint_and_ends_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("run");
    // No file may grow beyond 12,000 blocks: a write fails with EFBIG as it would with ENOSPC on a full disk.
    let script = "trap '' XFSZ; ulimit -f 12000; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh", PROGRAM]).args(arguments(&root));
    let process = Process::start(&mut command);
    let mut worker = FakeWorker::join_at(&address(&root), hello(0)).await.unwrap();
    worker.start().await;
    worker.checkpoint(&["last"], [0, 7, 7]).await.unwrap();
    let model = std::fs::read(root.join("checkpoints/last.safetensors")).unwrap();

    let refused = worker.put(&["checkpoints/last.safetensors"], &vec![1; 13 << 20]).await;
    let Err(ServiceError::Storage(message)) = refused else { panic!("{refused:?}") };
    assert!(message.contains("cannot store checkpoints/last.safetensors"), "{message}");
    assert_eq!(std::fs::read(root.join("checkpoints/last.safetensors")).unwrap(), model);
    assert_eq!(
        std::fs::read_dir(root.join("checkpoints")).unwrap().count(),
        2,
        "nothing is left behind"
    );
    let (code, printed) = process.end();
    assert_eq!(code, Some(1));
    assert!(printed.contains("cannot store checkpoints/last.safetensors"), "{printed}");
    assert!(printed.contains("(epoch 0, step 7)"), "{printed}");
}

/// Whom a folder's permissions bind: not root.
const NOBODY: u32 = 65534;

/// The program as somebody who may not write where the folder's permissions forbid it.
fn as_anybody() -> Command {
    let mut command = Command::new(PROGRAM);
    if nix::unistd::geteuid().is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

/// Lets anybody write into a folder, or nobody.
fn permit(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_run_directory_that_cannot_be_written_is_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    permit(folder.path(), 0o555);
    let root = folder.path().join("run");
    let (code, printed) = Process::start(as_anybody().args(arguments(&root))).end();
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains(&root.display().to_string()), "{printed}");
    assert!(printed.contains("Permission denied"), "{printed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_directory_that_becomes_read_only_ends_the_run_and_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    permit(folder.path(), 0o777);
    let root = folder.path().join("run");
    let process = Process::start(as_anybody().args(arguments(&root)));
    let mut worker = FakeWorker::join_at(&address(&root), hello(0)).await.unwrap();
    worker.start().await;
    worker.checkpoint(&["last"], [0, 7, 7]).await.unwrap();
    let model = std::fs::read(root.join("checkpoints/last.safetensors")).unwrap();
    permit(&root.join("checkpoints"), 0o555);
    let refused = worker.checkpoint(&["last"], [0, 9, 9]).await;
    permit(&root.join("checkpoints"), 0o777);
    let Err(ServiceError::Storage(message)) = refused else { panic!("{refused:?}") };
    assert!(message.contains("cannot store checkpoints/last"), "{message}");
    let (code, printed) = process.end();
    assert_eq!(code, Some(1), "{printed}");
    assert!(printed.contains("Permission denied"), "{printed}");
    assert!(printed.contains("(epoch 0, step 7)"), "{printed}");
    assert_eq!(std::fs::read(root.join("checkpoints/last.safetensors")).unwrap(), model);

    let mut resumed = as_anybody();
    resumed.args(["--listen", "127.0.0.1:0", "--resume"]).arg(&root);
    let process = Process::start(&mut resumed);
    eventually("another coordinator", || {
        let log = std::fs::read_to_string(root.join("coordinator.log")).ok()?;
        (log.matches("listening address=").count() == 2).then_some(())
    });
    process.signal(Signal::SIGTERM);
    let (_, printed) = process.end();
    assert!(!printed.contains("Permission denied"), "{printed}");
}

/// The program with a `worker` of the test's own beside it.
fn installed(folder: &TempDir, worker: Option<&str>) -> PathBuf {
    let program = folder.path().join("coordinator");
    if std::fs::hard_link(PROGRAM, &program).is_err() {
        std::fs::copy(PROGRAM, &program).unwrap();
    }
    if let Some(script) = worker {
        let path = folder.path().join("worker");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    program
}

fn spawning(folder: &TempDir, worker: Option<&str>) -> Process {
    let mut command = Command::new(installed(folder, worker));
    command.args(arguments(&folder.path().join("run"))).args(["--spawn", "--workers", "2"]);
    if worker.is_none() {
        command.env("PATH", "/nowhere");
    }
    Process::start(&mut command)
}

#[test]
fn a_missing_worker_program_says_how_to_build_it() {
    let folder = tempfile::tempdir().unwrap();
    let (code, printed) = spawning(&folder, None).end();
    assert_eq!(code, Some(1));
    assert!(printed.contains("cargo build --release -p worker"), "{printed}");
}

#[test]
fn a_worker_that_ends_before_it_joins_ends_the_run_with_its_last_words() {
    let folder = tempfile::tempdir().unwrap();
    let worker = "if [ \"$2\" = 1 ]; then echo 'no such device' >&2; exit 3; fi; exec sleep 1000";
    let (code, printed) = spawning(&folder, Some(worker)).end();
    assert_eq!(code, Some(1));
    assert!(printed.contains("slot 1 exited with code 3"), "{printed}");
    assert!(printed.contains("no such device"), "{printed}");
}

/// Process ids that the workers of the next test have written.
fn pids(folder: &TempDir) -> Option<Vec<i32>> {
    let read = |name| std::fs::read_to_string(folder.path().join(name)).ok()?.trim().parse().ok();
    ["0", "0-child", "1", "1-child"].into_iter().map(read).collect()
}

fn is_alive(pid: i32) -> bool {
    // A killed process whose parent has not waited for it (here: the container's init) is dead all the same.
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn spawned_workers_and_their_children_end_with_the_run() {
    let written = "d=$(dirname \"$0\"); sleep 1000 & echo $! > $d/$2-child; echo $$ > $d/$2; echo \"$*\" > $d/args; wait";
    for (signals, expected) in [(1, 143), (2, 143)] {
        let folder = tempfile::tempdir().unwrap();
        let process = spawning(&folder, Some(written));
        let pids = eventually("the workers", || pids(&folder));
        assert!(pids.iter().all(|pid| is_alive(*pid)));
        for _ in 0..signals {
            process.signal(Signal::SIGTERM);
            std::thread::sleep(Duration::from_millis(300));
        }
        let (code, printed) = process.end();
        assert_eq!(code, Some(expected), "{printed}");
        eventually("the workers' end", || (!pids.iter().any(|pid| is_alive(*pid))).then_some(()));
        let args = std::fs::read_to_string(folder.path().join("args")).unwrap();
        assert!(args.contains("--coordinator http://127.0.0.1:"), "{args}");
        assert!(folder.path().join("run/logs/worker-1.log").exists());
    }
}
