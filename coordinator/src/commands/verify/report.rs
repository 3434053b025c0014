//! What was found, as a table and a sentence. Pure.

use std::time::Duration;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, Table};
use common::config::{Precision, Reduction};

use super::compare::{Comparison, Difference};

/// Float64 runs may differ by so much: the order of a sum, but no other arithmetic.
const LIMIT_F64: f64 = 1e-12;
/// Likewise float32 runs, where their bytes may differ.
const LIMIT_F32: f64 = 1e-3;

/// A run, and how far it is from that of one worker.
#[derive(Clone, Debug)]
pub struct Row {
    /// What it computed in.
    pub precision: Precision,
    /// Who computed.
    pub workers: u32,
    /// Workers that were killed.
    pub kills: usize,
    /// Workers that were to be.
    pub kills_wanted: usize,
    /// How long it took.
    pub time: Duration,
    /// With the run of one worker, for all others.
    pub comparison: Option<Comparison>,
}

/// The table.
pub fn table(rows: &[Row]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_HORIZONTAL_ONLY).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header([
        "precision",
        "workers",
        "kills",
        "seconds",
        "largest relative difference",
        "same bytes",
    ]);
    for row in rows {
        let compared =
            |show: fn(&Comparison) -> String| row.comparison.as_ref().map_or("–".to_string(), show);
        table.add_row([
            row.precision.to_string(),
            row.workers.to_string(),
            kills(row),
            format!("{:.1}", row.time.as_secs_f64()),
            compared(|comparison| difference(&comparison.largest)),
            compared(|comparison| if comparison.same_bytes { "yes" } else { "no" }.to_string()),
        ]);
    }
    table
}

fn kills(row: &Row) -> String {
    match row.kills == row.kills_wanted {
        true => row.kills.to_string(),
        false => format!("{} of {}", row.kills, row.kills_wanted),
    }
}

fn difference(largest: &Difference) -> String {
    match largest.relative {
        0.0 => "0".to_string(),
        relative => format!("{relative:.1e} ({})", largest.tensor),
    }
}

/// What speaks against the proof; nothing if it holds.
pub fn faults(rows: &[Row], reduction: Reduction) -> Vec<String> {
    rows.iter().flat_map(|row| faults_of(row, reduction)).collect()
}

fn faults_of(row: &Row, reduction: Reduction) -> Vec<String> {
    let run = format!("{} with {} workers", row.precision, row.workers);
    let mut faults = Vec::new();
    if row.kills < row.kills_wanted {
        let kills = kills(row);
        faults.push(format!("{run} was over after {kills} kills: give more --steps"));
    }
    let Some(Comparison { largest, same_bytes }) = &row.comparison else {
        return faults;
    };
    let limit = if row.precision == Precision::F64 { LIMIT_F64 } else { LIMIT_F32 };
    if largest.relative > limit {
        let Difference { relative, tensor } = largest;
        faults.push(format!(
            "{run} is {relative:.1e} away from one worker in {tensor}, more than {limit:e}"
        ));
    }
    if row.precision == Precision::F32 && reduction == Reduction::Ordered && !same_bytes {
        faults.push(format!("{run} left other bytes than one worker"));
    }
    faults
}

/// The sentence.
pub fn sentence(rows: &[Row], faults: &[String], reduction: Reduction) -> String {
    if !faults.is_empty() {
        return format!(
            "NOT proven that the result does not depend on the workers: {}",
            faults.join("; ")
        );
    }
    let workers = rows.iter().map(|row| row.workers).max().unwrap_or(1);
    let kills = rows.iter().map(|row| row.kills).max().unwrap_or(0);
    let under_kills = match kills {
        0 => String::new(),
        1 => ", one kill in each run,".to_string(),
        _ => format!(", {kills} kills in each run,"),
    };
    let single = match reduction {
        Reduction::Ordered => "at the same bytes in float32".to_string(),
        Reduction::Native => format!("within {LIMIT_F32:e} in float32 (native sums)"),
    };
    format!(
        "The result does not depend on the workers: {workers} of them{under_kills} arrive where one does, {single}, \
         within {LIMIT_F64:e} in float64."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(precision: Precision, relative: f64, same_bytes: bool) -> Row {
        let largest = Difference { relative, tensor: "center".to_string() };
        let comparison = Some(Comparison { largest, same_bytes });
        let time = Duration::from_secs(1);
        Row { precision, workers: 4, kills: 2, kills_wanted: 2, time, comparison }
    }

    fn check(row: Row, reduction: Reduction, expected: Option<&str>) {
        let faults = faults(std::slice::from_ref(&row), reduction);
        let text = sentence(&[row], &faults, reduction);
        match expected {
            None => assert!(text.starts_with("The result does not depend"), "{text}"),
            Some(fault) => assert!(text.starts_with("NOT") && text.contains(fault), "{text}"),
        }
    }

    #[test]
    fn float64_may_differ_a_little_float32_may_not() {
        check(row(Precision::F64, 1e-13, false), Reduction::Ordered, None);
        check(row(Precision::F64, 1e-11, false), Reduction::Ordered, Some("1.0e-11 away"));
        check(row(Precision::F64, f64::INFINITY, false), Reduction::Ordered, Some("inf away"));
        check(row(Precision::F32, 0.0, true), Reduction::Ordered, None);
        check(row(Precision::F32, 0.0, false), Reduction::Ordered, Some("other bytes"));
        check(row(Precision::F32, 1e-4, false), Reduction::Native, None);
        check(row(Precision::F32, 1e-2, false), Reduction::Native, Some("in center"));
    }

    #[test]
    fn kills_that_did_not_happen_prove_nothing() {
        let row = Row { kills: 1, ..row(Precision::F32, 0.0, true) };
        assert!(table(std::slice::from_ref(&row)).to_string().contains("1 of 2"));
        check(row, Reduction::Ordered, Some("over after 1 of 2 kills"));
    }
}
