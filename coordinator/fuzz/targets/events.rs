//! The ledger of a run: reading it, resuming from it, auditing it.

#![no_main]

use coordinator::commands::audit::{self, RunShape};
use coordinator::run_directory::{events_log, ledger};
use fuzz::with_file;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    with_file("events.jsonl", data, |path| {
        events_log::cut_torn_line(path).expect("a file can be cut");
        if let Ok(lines) = events_log::read(path) {
            let _ = ledger::summarise(&lines);
            audit::audit(&lines, RunShape { samples: 400, batch_size: 20, total_steps: 40 });
        }
    });
});
