//! What tells this process from every other that has its number and its address: one that ran before, or one in another
//! container. `joining` says it in the Hello.

use std::os::linux::fs::MetadataExt;

/// Field of `/proc/self/stat` that holds the start, in clock ticks since the machine's, counted after the name.
const START_TIME: usize = 19;

/// When this process started and in which namespace its number counts.
pub fn incarnation() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let field = after_name.split(' ').nth(START_TIME).and_then(|ticks| ticks.parse().ok());
    let started: u64 = field.unwrap_or_default();
    let namespace = std::fs::metadata("/proc/self/ns/pid").map_or(0, |file| file.st_ino());
    namespace.rotate_left(32) ^ started
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stays_and_says_when_the_process_began() {
        assert_eq!(incarnation(), incarnation());
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let seconds: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let ticks = incarnation() & 0xffff_ffff ^ namespace_part();
        assert!(ticks > 0 && ticks as f64 / 100.0 <= seconds, "{ticks} ticks, {seconds} s");
    }

    fn namespace_part() -> u64 {
        std::fs::metadata("/proc/self/ns/pid").unwrap().st_ino().rotate_left(32) & 0xffff_ffff
    }
}
