//! An experiment: NCCL refuses two ranks on one GPU of a host. Does it take them if each has an `NCCL_HOSTID` of its own
//! and so is on another host to the other? It is tried on a GPU and its outcome said, whichever it is. Where no GPU is,
//! the tests' own library stands in, and has to succeed.
//!
//! The variable is a process's, so each rank is one: this test once more, with `RANK` set.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use common::ids::{Rank, WorldSize};
use tch::{Device, Kind, Tensor};

use super::tests::stand_in;
use super::{NcclCollective, find};
use crate::bridge::cuda;
use crate::collective::{
    AbortHandle, Collective, CollectiveError, GlooCollective, KeyValueStore, Seat, StoreError,
};

const RANK: &str = "CONCENTRIC_TEST_RANK";
const FOLDER: &str = "CONCENTRIC_TEST_FOLDER";
const LIBRARY: &str = "CONCENTRIC_TEST_LIBRARY";
const TIMEOUT: Duration = Duration::from_secs(20);
/// A process that has not ended by then is ended.
const LIMIT: Duration = Duration::from_secs(60);

#[test]
fn two_ranks_on_one_gpu_as_if_on_two_hosts() {
    if let Ok(rank) = std::env::var(RANK) {
        return act(Rank(rank.parse().unwrap()));
    }
    let has_gpu = cuda::has_gpu();
    let library = if has_gpu { PathBuf::new() } else { stand_in(&[]) };
    let folder = tempfile::tempdir().unwrap();
    let ranks = [0, 1].map(|rank| start(rank, folder.path(), &library));
    let said = ranks.map(end);
    let succeeded = said.iter().all(|(success, _)| *success);
    if has_gpu {
        let outcome = if succeeded { "works" } else { "does not work" };
        eprintln!("two ranks on one GPU with an NCCL_HOSTID each: {outcome}\n{said:?}");
    } else {
        eprintln!("SKIPPED: there is no GPU here, NCCL itself was not asked for two ranks on one");
        assert!(succeeded, "{said:?}");
    }
}

fn start(rank: u32, folder: &Path, library: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["two_ranks_on_one_gpu_as_if_on_two_hosts", "--nocapture"])
        .env(RANK, rank.to_string())
        .env(FOLDER, folder)
        .env(LIBRARY, library)
        .env("NCCL_HOSTID", format!("host-{rank}"))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Whether a rank ended well, and what it said.
fn end(mut child: Child) -> (bool, String) {
    let started = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if started.elapsed() > LIMIT {
            child.kill().unwrap();
        }
        thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// One rank's part: a sum over both.
fn act(rank: Rank) {
    let library = PathBuf::from(std::env::var_os(LIBRARY).unwrap());
    let is_nccl = library.as_os_str().is_empty();
    let library = find((!is_nccl).then_some(library.as_path())).unwrap();
    let device = if is_nccl { Device::Cuda(0) } else { Device::Cpu };
    if is_nccl {
        cuda::open().unwrap();
        cuda::enter(0).unwrap();
    }
    let store = Arc::new(FolderStore(std::env::var_os(FOLDER).unwrap().into()));
    let address = "127.0.0.1".to_string();
    let seat = Seat { rank, world_size: WorldSize(2), address, timeout: TIMEOUT };
    let gloo = GlooCollective::connect(Arc::clone(&store) as _, seat, AbortHandle::new()).unwrap();
    let sum = || -> Result<Tensor, CollectiveError> {
        let mut nccl = NcclCollective::connect(&library, &*store, (device, TIMEOUT), gloo)?;
        let mut sum = Tensor::ones([1000], (Kind::Float, device)) * f64::from(rank.0 + 1);
        nccl.all_reduce(&mut sum)?;
        nccl.leave()?;
        Ok(sum.to_device(Device::Cpu))
    };
    match sum() {
        Ok(sum) => assert_eq!(sum, Tensor::ones([1000], (Kind::Float, Device::Cpu)) * 3.0),
        Err(error) => panic!("{error}"),
    }
}

/// Keys and values of several processes, as files of a folder.
struct FolderStore(PathBuf);

impl FolderStore {
    fn file(&self, key: &str) -> PathBuf {
        self.0.join(key.replace('/', "_"))
    }
}

impl KeyValueStore for FolderStore {
    fn set(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        let new = self.0.join(format!("{}.new", std::process::id()));
        let stored = fs::write(&new, value).and_then(|()| fs::rename(&new, self.file(key)));
        stored.map_err(|error| StoreError::Failed(error.to_string()))
    }

    fn get(&self, keys: &[String], timeout: Duration) -> Result<Vec<Vec<u8>>, StoreError> {
        let started = Instant::now();
        while !keys.iter().all(|key| self.file(key).exists()) {
            if started.elapsed() > timeout {
                return Err(StoreError::Missing { keys: keys.to_vec(), after: timeout });
            }
            thread::sleep(Duration::from_millis(5));
        }
        let read = |key: &String| fs::read(self.file(key));
        let values = keys.iter().map(read).collect::<Result<_, _>>();
        values.map_err(|error| StoreError::Failed(error.to_string()))
    }

    fn add(&self, key: &str, amount: i64) -> Result<i64, StoreError> {
        Err(StoreError::Failed(format!("nobody adds {amount} to {key} here")))
    }
}
