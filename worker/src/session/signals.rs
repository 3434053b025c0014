//! Signals that this worker has been sent. Every wait of the session listens for them; the first one that came is heard by
//! whoever begins to listen later, too.

use std::io;

use common::interrupts::{self, Interrupt};
use tokio::sync::watch;

/// The signals so far.
#[derive(Clone, Debug)]
pub struct Signals(watch::Receiver<Heard>);

#[derive(Clone, Copy, Debug, Default)]
struct Heard {
    count: u32,
    last: Option<Interrupt>,
}

impl Signals {
    /// Listens from now on, in place of ending at the first one.
    ///
    /// # Errors
    /// The system refuses to.
    pub fn listen() -> io::Result<Self> {
        let mut interrupts = interrupts::listen()?;
        let (sender, receiver) = watch::channel(Heard::default());
        tokio::spawn(async move {
            while let Some(interrupt) = interrupts.recv().await {
                sender.send_modify(|heard| {
                    *heard = Heard { count: heard.count + 1, last: Some(interrupt) };
                });
            }
        });
        Ok(Self(receiver))
    }

    /// Waits until so many have come; says which was the last.
    pub async fn reach(&self, count: u32) -> &'static str {
        let mut heard = self.0.clone();
        let last = heard.wait_for(|heard| heard.count >= count).await.map(|heard| heard.last);
        match last {
            Ok(Some(interrupt)) => interrupt.name(),
            // Nobody listens any more.
            _ => std::future::pending().await,
        }
    }
}
