//! The figures as a table: a column for every number of workers, and what is aimed at.

use std::time::Duration;

use crate::measure::Figures;

/// A row: what it tells, how, and what is aimed at.
type Row = (&'static str, fn(&Figures) -> String, &'static str);

/// In the order of a run's life.
const ROWS: [Row; 14] = [
    ("all joined, s", |f| seconds(f.joining), ""),
    ("joins per second", |f| rate(f.workers.into(), f.joining), ""),
    ("first generation begun by all, s", |f| seconds(f.starting), ""),
    ("longest wait for an answer while they join, s", |f| seconds(f.longest_waits.0), "< 10"),
    ("heartbeats per second, offered", |f| format!("{:.0}", f.heartbeats.0), ""),
    ("heartbeats per second, answered", |f| format!("{:.0}", f.heartbeats.1), "as offered"),
    ("longest wait for an answer later, s", |f| seconds(f.longest_waits.1), "< 10"),
    ("generation change, s", |f| seconds(f.change), ""),
    ("generation change, half of them a step behind, s", |f| seconds(f.uneven_change), ""),
    ("joined, and one such change, s", |f| seconds(f.starting + f.uneven_change), "≤ 10"),
    ("peak memory, MB", |f| format!("{:.0}", f.peak_memory as f64 / 1e6), "≤ 1000"),
    ("falsely evicted", |f| f.astray.to_string(), "0"),
    ("plan of an epoch, ms", |f| format!("{:.2}", 1e3 * f.permutation.as_secs_f64()), ""),
    ("samples of an epoch streamed, s (MB/s)", epoch, ""),
];

/// The table.
pub fn markdown(figures: &[Figures]) -> String {
    let columns = |cell: &dyn Fn(&Figures) -> String| {
        figures.iter().map(|figures| format!(" {} |", cell(figures))).collect::<String>()
    };
    let mut lines = vec![
        format!("| |{} target |", columns(&|figures| format!("{} workers", figures.workers))),
        format!("|---|{}---:|", columns(&|_| "---:".to_string())),
    ];
    let rows =
        ROWS.iter().map(|(what, cell, target)| format!("| {what} |{} {target} |", columns(cell)));
    lines.extend(rows);
    lines.join("\n")
}

fn seconds(duration: Duration) -> String {
    format!("{:.3}", duration.as_secs_f64())
}

fn rate(count: f64, duration: Duration) -> String {
    format!("{:.0}", count / duration.as_secs_f64())
}

fn epoch(figures: &Figures) -> String {
    let (took, bytes) = figures.epoch;
    format!("{} ({})", seconds(took), rate(bytes as f64 / 1e6, took))
}
