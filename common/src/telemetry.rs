//! Logging: to the terminal by level, and to any further place the caller gives.

use std::io;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::writer::MakeWriterExt;
use tracing_subscriber::fmt::{self, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

/// Sends log lines to `writer`, filtered by `CONCENTRIC_LOG`'s value if given (`info` otherwise).
///
/// # Errors
/// Logging was initialised before.
pub fn init<W>(filter: Option<&str>, writer: W, colours: Colours) -> Result<(), TryInitError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = filtering(filter);
    let layer = fmt::layer()
        .with_writer(writer.with_max_level(tracing::Level::TRACE))
        .with_ansi(colours == Colours::On)
        .with_target(false);
    tracing_subscriber::registry().with(filter).with(layer).try_init()
}

/// Like [`init`], with a second place (a file) that gets the same lines without colours.
///
/// # Errors
/// Logging was initialised before.
pub fn init_with_file<W, F>(
    filter: Option<&str>,
    writer: W,
    colours: Colours,
    file: F,
) -> Result<(), TryInitError>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
    F: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let filter = filtering(filter);
    let terminal =
        fmt::layer().with_writer(writer).with_ansi(colours == Colours::On).with_target(false);
    let plain = fmt::layer()
        .fmt_fields(PlainFields(fmt::format::DefaultFields::new()))
        .with_writer(file)
        .with_ansi(false)
        .with_target(false);
    tracing_subscriber::registry().with(filter).with(terminal).with(plain).try_init()
}

/// A filter that is empty is none.
fn filtering(given: Option<&str>) -> EnvFilter {
    let given = given.filter(|given| !given.is_empty()).unwrap_or("info");
    EnvFilter::try_new(given).unwrap_or_else(|_| EnvFilter::new("info"))
}

/// Formats as the default does, but is a type of its own: layers share formatted fields by type, colours included.
struct PlainFields(fmt::format::DefaultFields);

impl<'w> fmt::FormatFields<'w> for PlainFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'w>, fields: R) -> std::fmt::Result {
        self.0.format_fields(writer, fields)
    }
}

/// Whether log lines carry terminal colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colours {
    /// For a terminal.
    On,
    /// For a file or a pipe.
    Off,
}

impl Colours {
    /// On where standard error is a terminal.
    pub fn of_stderr() -> Self {
        if io::IsTerminal::is_terminal(&io::stderr()) { Self::On } else { Self::Off }
    }
}
