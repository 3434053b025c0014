//! A way to the coordinator that can be cut, as a cable can: nothing arrives any more, and nobody is told.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// How soon a change is noticed.
const POLL: Duration = Duration::from_millis(10);

/// Forwards connections to an address until it is dropped.
#[derive(Debug)]
pub struct Wire {
    address: String,
    state: Arc<State>,
}

#[derive(Debug, Default)]
struct State {
    is_cut: AtomicBool,
    is_over: AtomicBool,
}

impl Wire {
    /// A wire to a coordinator with this address.
    pub fn to(coordinator: &str) -> Self {
        let target = coordinator.strip_prefix("http://").unwrap().to_string();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        thread::spawn(move || accept(&listener, &target, &shared));
        Self { address, state }
    }

    /// What a worker is told instead of the coordinator's own address.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// From now on nothing arrives on either side; connections stay as they are.
    pub fn cut(&self) {
        self.state.is_cut.store(true, Ordering::Relaxed);
    }

    /// What was sent meanwhile arrives, as TCP would repeat it.
    pub fn mend(&self) {
        self.state.is_cut.store(false, Ordering::Relaxed);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::Relaxed);
    }
}

impl State {
    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    /// Waits until the wire is whole; says whether it ever will be.
    fn is_whole(&self) -> bool {
        while self.is_cut.load(Ordering::Relaxed) && !self.is_over() {
            thread::sleep(POLL);
        }
        !self.is_over()
    }
}

fn accept(listener: &TcpListener, target: &str, state: &Arc<State>) {
    while state.is_whole() {
        let Ok((near, _)) = listener.accept() else {
            thread::sleep(POLL);
            continue;
        };
        let Ok(far) = TcpStream::connect(target) else { continue };
        for (from, to) in [(&near, &far), (&far, &near)] {
            let (from, to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
            let state = Arc::clone(state);
            thread::spawn(move || forward(from, to, &state));
        }
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, state: &State) {
    from.set_nonblocking(false).unwrap();
    from.set_read_timeout(Some(POLL)).unwrap();
    let mut buffer = [0; 16 << 10];
    while state.is_whole() {
        let count = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                continue;
            }
            Err(_) => break,
        };
        if !state.is_whole() || to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    for side in [from, to] {
        side.shutdown(Shutdown::Both).ok();
    }
}
