//! What tells this process from every other that has its number and its address: one that ran before, one in another
//! container, or one that claims to be it. `joining` says it in the Hello.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::OnceLock;

/// A number that is drawn once in a process, and that nobody else can guess.
pub fn incarnation() -> u64 {
    static DRAWN: OnceLock<u64> = OnceLock::new();
    // The keys of std's hash maps come from the system's generator of random numbers.
    *DRAWN.get_or_init(|| RandomState::new().build_hasher().finish())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    /// Asks another process for its number.
    const ASKED: &str = "CONCENTRIC_TEST_INCARNATION";

    #[test]
    fn it_stays_in_a_process_and_differs_between_two() {
        assert_eq!(incarnation(), incarnation());
        if std::env::var_os(ASKED).is_some() {
            println!("drawn {}", incarnation());
            return;
        }
        let mut other = Command::new(std::env::current_exe().unwrap());
        other
            .args(["it_stays_in_a_process_and_differs_between_two", "--nocapture"])
            .env(ASKED, "1");
        let printed = String::from_utf8(other.output().unwrap().stdout).unwrap();
        assert!(printed.contains("drawn "), "{printed}");
        assert!(!printed.contains(&format!("drawn {}", incarnation())), "{printed}");
    }
}
