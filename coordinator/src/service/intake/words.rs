//! The messages of a session: short texts, steps that the run has, finite numbers.
//!
//! What can be shortened is shortened; a member that says what cannot be true is lost like any other.

use common::computing::Proof;
use common::status::ServiceError;
use proto::worker_message::Message;
use proto::{Heartbeat, Hello, Reached};

use super::{Intake, refused};

/// Longest name of a host, device, processor or version, bytes.
const LONGEST_NAME: usize = 256;
/// Longest reason that is kept, bytes: a message of libtorch's, with its trace.
const LONGEST_REASON: usize = 16 << 10;

/// Most variables that choose kernels: more are not known.
const MOST_VARIABLES: usize = 32;
/// Most addresses of one worker.
const MOST_ADDRESSES: usize = 16;

impl Intake {
    /// A worker's introduction, without the state of a run that went further than this one can: that was another.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check_hello(&self, mut hello: Hello) -> Result<Hello, ServiceError> {
        let Hello { advertise, device, hardware, libtorch_version, program_version, .. } = &hello;
        let run = hello.held.as_ref().map_or("", |held| &held.run);
        let names = [advertise, device, hardware, libtorch_version, program_version];
        let others = [&hello.machine, &hello.proof].into_iter().chain(&hello.variables);
        let others = others.map(String::as_str);
        for name in names.into_iter().map(String::as_str).chain(others).chain([run]) {
            check_name(name).map_err(|why| refused("a worker's Hello", why))?;
        }
        if hello.variables.len() > MOST_VARIABLES {
            let why = format!("{} variables; {MOST_VARIABLES} are the most", hello.variables.len());
            return Err(refused("a worker's Hello", why));
        }
        if !hello.proof.is_empty() {
            let parsed = hello.proof.parse::<Proof>();
            parsed.map_err(|error| refused("a worker's Hello", error.to_string()))?;
        }
        if hello.listens_at.len() > MOST_ADDRESSES {
            let count = hello.listens_at.len();
            let why = format!("{count} addresses; {MOST_ADDRESSES} are the most");
            return Err(refused("a worker's Hello", why));
        }
        for address in &hello.listens_at {
            let why = || format!("`{}` as an address", address.escape_default());
            let parsed = address.parse::<std::net::SocketAddr>();
            parsed.map_err(|_| refused("a worker's Hello", why()))?;
        }
        hello.held = hello.held.filter(|held| self.check_reached(held.reached.as_ref()).is_ok());
        Ok(hello)
    }

    /// Shortens a message to what is kept of it.
    ///
    /// # Errors
    /// What in it cannot be true.
    pub fn tidy(&self, mut message: Message) -> Result<Message, String> {
        match &mut message {
            Message::Heartbeat(heartbeat) => self.check_heartbeat(heartbeat)?,
            Message::Finished(finished) => self.check_reached(finished.reached.as_ref())?,
            Message::Left(left) => {
                self.check_reached(left.reached.as_ref())?;
                shorten(&mut left.reason);
            }
            Message::Failed(failed) => {
                self.check_reached(failed.reached.as_ref())?;
                shorten(&mut failed.reason);
            }
            Message::Contacted(contacted) => {
                for attempt in &mut contacted.attempts {
                    attempt.answered.truncate(MOST_ADDRESSES);
                    shorten(&mut attempt.failure);
                }
            }
            Message::Leaving(leaving) => shorten(&mut leaving.reason),
            Message::Hello(_) | Message::Pong(_) => {}
        }
        Ok(message)
    }

    fn check_heartbeat(&self, heartbeat: &Heartbeat) -> Result<(), String> {
        check_name(&heartbeat.phase)?;
        self.check_done(heartbeat.step)?;
        self.check_epochs_done(heartbeat.epoch)?;
        let Heartbeat { images_per_second, collective_share, .. } = *heartbeat;
        for (name, number) in [
            ("images a second", images_per_second),
            ("share of time in collectives", collective_share),
        ] {
            if !number.is_finite() || number < 0.0 {
                return Err(format!("{number} as its {name}"));
            }
        }
        Ok(())
    }

    fn check_reached(&self, reached: Option<&Reached>) -> Result<(), String> {
        let Some(reached) = reached else { return Ok(()) };
        self.check_done(reached.step)?;
        self.check_epochs_done(reached.epochs)
    }

    fn check_epochs_done(&self, done: u64) -> Result<(), String> {
        let epochs = self.epochs();
        (done <= epochs).then_some(()).ok_or_else(|| format!("epoch {done} of a run of {epochs}"))
    }
}

fn check_name(name: &str) -> Result<(), String> {
    let length = name.len();
    let is_plain = length <= LONGEST_NAME && !name.chars().any(char::is_control);
    is_plain.then_some(()).ok_or_else(|| {
        format!("a name of {length} bytes; names are one line of at most {LONGEST_NAME} bytes")
    })
}

fn shorten(reason: &mut String) {
    if reason.len() > LONGEST_REASON {
        let end = (0..=LONGEST_REASON).rev().find(|&end| reason.is_char_boundary(end));
        reason.truncate(end.unwrap_or(0));
        reason.push('…');
    }
}
