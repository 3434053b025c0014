//! A network of its own for a worker, joined to this machine's by one cable. Needs root and `ip`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// The network; goes away with it.
#[derive(Debug)]
pub struct Island {
    name: String,
    cable: String,
    /// Of this machine, seen from there.
    pub mainland: String,
}

impl Island {
    /// Joins a new one to this machine; `None`, and a word of it, where that is not allowed.
    pub fn new() -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let process = std::process::id();
        let name = format!("concentric-{process}-{number}");
        // Names of interfaces have 15 characters at most.
        let (cable, end) = (format!("cc{process}n{number}"), format!("ce{process}n{number}"));
        let subnet = format!("10.{}.{}", 64 + process % 64, number);
        let mainland = format!("{subnet}.1");
        if !ip(&["netns", "add", &name]) {
            println!("skipped: no network of its own can be made here (needs root and `ip`)");
            return None;
        }
        let island = Self { name, cable, mainland };
        let name = &island.name;
        let near = format!("{}/24", island.mainland);
        let far = format!("{subnet}.2/24");
        let is_joined = ip(&[
            "link",
            "add",
            &island.cable,
            "type",
            "veth",
            "peer",
            "name",
            &end,
            "netns",
            name,
        ]) && ip(&["addr", "add", &near, "dev", &island.cable])
            && ip(&["link", "set", &island.cable, "up"])
            && ip(&["-n", name, "addr", "add", &far, "dev", &end])
            && ip(&["-n", name, "link", "set", "lo", "up"])
            && ip(&["-n", name, "link", "set", &end, "up"]);
        if !is_joined {
            println!("skipped: no cable can be laid here");
            return None;
        }
        Some(island)
    }

    /// The names that programs here know, in the words of `/etc/hosts`; they can be given again at any time.
    pub fn know(&self, hosts: &str) {
        let folder = self.own_files();
        fs::create_dir_all(&folder).unwrap();
        // `ip netns exec` shows these files in place of the machine's.
        fs::write(folder.join("hosts"), hosts).unwrap();
        fs::write(folder.join("resolv.conf"), "").unwrap();
    }

    fn own_files(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.name)
    }

    /// A program that sees this network alone.
    pub fn program(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name, program]);
        command
    }

    /// Pulls the cable: nobody hears anybody, and nobody is told.
    pub fn cut(&self) {
        assert!(ip(&["link", "set", &self.cable, "down"]));
    }

    /// Puts it back.
    pub fn mend(&self) {
        assert!(ip(&["link", "set", &self.cable, "up"]));
    }

    /// From now on only what goes to a port of the mainland, and comes from there, gets through; all else is dropped.
    /// Whether that can be done here.
    pub fn wall_off_but(&self, port: u16) -> bool {
        let port = port.to_string();
        let is_walled = self.filter("-I", "OUTPUT", "--dport", &port)
            && self.filter("-I", "INPUT", "--sport", &port);
        if !is_walled {
            println!("skipped: packets cannot be filtered here (needs `iptables`)");
        }
        is_walled
    }

    /// Everything gets through again.
    pub fn open_but(&self, port: u16) {
        let port = port.to_string();
        assert!(self.filter("-D", "OUTPUT", "--dport", &port));
        assert!(self.filter("-D", "INPUT", "--sport", &port));
    }

    fn filter(&self, change: &str, chain: &str, end: &str, port: &str) -> bool {
        let mut command = self.program("iptables");
        command.args([change, chain, "-p", "tcp", "!", end, port, "-j", "DROP"]);
        command.output().is_ok_and(|output| output.status.success())
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        ip(&["link", "del", &self.cable]);
        ip(&["netns", "del", &self.name]);
        fs::remove_dir_all(self.own_files()).ok();
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|output| output.status.success())
}
