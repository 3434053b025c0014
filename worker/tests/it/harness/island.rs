//! A network of its own for a worker, joined to this machine's by one cable. Needs root and `ip`.

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
}

impl Drop for Island {
    fn drop(&mut self) {
        ip(&["link", "del", &self.cable]);
        ip(&["netns", "del", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> bool {
    Command::new("ip").args(arguments).output().is_ok_and(|output| output.status.success())
}
