//! A mirror on this machine, for tests: answers each request with the bytes a function gives, then hangs up.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A running mirror; its thread ends with the test process.
pub struct Mirror {
    /// Its address, ending in `/`.
    pub address: String,
    requests: Arc<AtomicUsize>,
}

impl Mirror {
    /// Starts a mirror; `answer` gets the number of the request, from 0, and the name of the file, and gives the whole
    /// response.
    pub fn start(answer: impl Fn(usize, &str) -> Vec<u8> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}/", listener.local_addr().expect("is bound"));
        let requests = Arc::new(AtomicUsize::new(0));
        let counter = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let name = requested(&stream);
                let response = answer(counter.fetch_add(1, Ordering::SeqCst), &name);
                // The client may have hung up: its own test says so.
                let _ = (&stream).write_all(&response);
            }
        });
        Self { address, requests }
    }

    /// How many requests have come.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// The address of a mirror that nobody runs.
pub fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    format!("http://{}/", listener.local_addr().expect("is bound"))
}

/// A whole response with this body.
pub fn ok(body: &[u8]) -> Vec<u8> {
    status("200 OK", body)
}

/// A whole response with this status.
pub fn status(status: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn requested(stream: &TcpStream) -> String {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next().unwrap_or_default();
    let _rest = lines.take_while(|line| !line.is_empty()).count();
    first.split(' ').nth(1).unwrap_or_default().trim_start_matches('/').to_owned()
}
