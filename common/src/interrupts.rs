//! Ctrl-C and SIGTERM, as values: both programs listen for them, tests send their own.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

/// Signals that follow each other faster are one.
const BURST: Duration = Duration::from_millis(200);

/// A wish to end the run early. The second one ends it at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interrupt {
    /// Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl Interrupt {
    /// The exit code by convention: 128 and the signal's number.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Interrupt => 130,
            Self::Terminate => 143,
        }
    }

    /// As messages name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "interrupted (Ctrl-C, SIGINT)",
            Self::Terminate => "terminated (SIGTERM)",
        }
    }
}

/// Listens for both signals from now on.
///
/// # Errors
/// The system refuses to.
pub fn listen() -> std::io::Result<mpsc::Receiver<Interrupt>> {
    let (sender, receiver) = mpsc::channel(4);
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::spawn(async move {
        loop {
            let received = tokio::select! {
                Some(()) = interrupt.recv() => Interrupt::Interrupt,
                Some(()) = terminate.recv() => Interrupt::Terminate,
                () = sender.closed() => return,
            };
            sender.send(received).await.ok();
            // `timeout` and other supervisors signal a process and its group: that is one wish, not two.
            let more = async {
                loop {
                    tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
                }
            };
            tokio::time::timeout(BURST, more).await.ok();
        }
    });
    Ok(receiver)
}
