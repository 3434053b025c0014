//! Whether workers reach each other: this one answers those that try, and tries those that the coordinator names.
//!
//! `joining` listens before it says where, and `stay` follows the orders and passes on what came of it. Nothing is sent
//! but a number that tells this process from whoever else may listen at its address.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use proto::{Attempt, Contact, Peer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, timeout};

/// How long one try may take, and an answer.
const TRY: Duration = Duration::from_secs(1);
/// How long further addresses of a worker may take once one has answered.
const FURTHER: Duration = Duration::from_millis(300);
/// News of tries that may wait to be passed on.
const NEWS: usize = 256;
/// Addresses of one worker that are tried; a machine with more interfaces has `--advertise`.
const MOST_ADDRESSES: usize = 16;

/// Places where this worker answers; it ends with the value.
#[derive(Debug)]
pub struct Listening {
    /// Where, the best first.
    pub addresses: Vec<SocketAddr>,
    /// What it answers.
    pub answer: u64,
    _answering: JoinSet<()>,
}

impl Listening {
    /// Listens at those of the addresses that are this machine's, at ports that the system chooses, and answers.
    ///
    /// # Errors
    /// None is.
    pub async fn at(own: &[IpAddr]) -> io::Result<Self> {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        let mut listeners = Vec::new();
        for address in own.iter().take(MOST_ADDRESSES) {
            match TcpListener::bind((*address, 0)).await {
                Ok(listener) => listeners.push(listener),
                Err(error) => failure = error,
            }
        }
        if listeners.is_empty() { Err(failure) } else { Self::with(listeners) }
    }

    fn with(listeners: Vec<TcpListener>) -> io::Result<Self> {
        let addresses = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
        // The keys of std's hash maps come from the system's generator of random numbers.
        let answer = RandomState::new().build_hasher().finish();
        let mut answering = JoinSet::new();
        for listener in listeners {
            answering.spawn(answer_at(listener, answer));
        }
        Ok(Self { addresses, answer, _answering: answering })
    }
}

async fn answer_at(listener: TcpListener, answer: u64) {
    loop {
        match listener.accept().await {
            Ok((mut stream, _)) => {
                // Eight bytes fit what a new connection takes at once.
                timeout(TRY, stream.write_all(&answer.to_be_bytes())).await.ok();
            }
            // Descriptors are short, say; the connection that failed is gone.
            Err(_) => tokio::time::sleep(Duration::from_millis(100)).await,
        }
    }
}

/// The tries that are under way.
#[derive(Debug)]
pub struct Tries {
    tasks: JoinSet<()>,
    news: mpsc::Receiver<Attempt>,
    sender: mpsc::Sender<Attempt>,
}

impl Tries {
    /// None yet.
    pub fn none() -> Self {
        let (sender, news) = mpsc::channel(NEWS);
        Self { tasks: JoinSet::new(), news, sender }
    }

    /// Tries the workers that an order names, in place of those before.
    pub fn follow(&mut self, order: Contact) {
        self.tasks.abort_all();
        self.tasks = JoinSet::new();
        let every = Duration::from_millis(order.interval_ms.max(1));
        for peer in order.peers {
            self.tasks.spawn(try_until_it_answers(peer, every, self.sender.clone()));
        }
    }

    /// Waits for news, and takes all that there are. Cancel-safe.
    pub async fn news(&mut self) -> Vec<Attempt> {
        let mut news = Vec::new();
        // The sender that is kept here keeps the channel open.
        self.news.recv_many(&mut news, NEWS).await;
        news
    }
}

/// Tries until the worker has answered; tells of the first failure, and of every other kind of one.
async fn try_until_it_answers(peer: Peer, every: Duration, news: mpsc::Sender<Attempt>) {
    let addresses: Vec<SocketAddr> =
        peer.listens_at.iter().filter_map(|address| address.parse().ok()).collect();
    let (session, answer) = (peer.session, peer.answer);
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut tries: JoinSet<Result<Vec<u32>, String>> = JoinSet::new();
    let mut told = None;
    loop {
        // One that hangs must not keep the next from being made: the way may be open by then.
        let attempt = tokio::select! {
            _ = ticks.tick() => {
                tries.spawn(try_all(addresses.clone(), answer));
                continue;
            }
            Some(Ok(outcome)) = tries.join_next() => match outcome {
                Ok(answered) => Attempt { session, answered, failure: String::new() },
                Err(failure) if told.as_ref() == Some(&failure) => continue,
                Err(failure) => {
                    told = Some(failure.clone());
                    Attempt { session, answered: Vec::new(), failure }
                }
            },
        };
        let is_reached = !attempt.answered.is_empty();
        if news.send(attempt).await.is_err() || is_reached {
            return;
        }
    }
}

/// Tries all addresses of a worker side by side: which of them answer, or why the first does not.
async fn try_all(addresses: Vec<SocketAddr>, answer: u64) -> Result<Vec<u32>, String> {
    let mut knocks = JoinSet::new();
    for (index, address) in (0..).zip(addresses) {
        knocks.spawn(async move { (index, knock(address, answer).await) });
    }
    let (mut answered, mut failures) = (Vec::new(), Vec::new());
    loop {
        let patience = if answered.is_empty() { 2 * TRY } else { FURTHER };
        match timeout(patience, knocks.join_next()).await {
            Ok(Some(Ok((index, Ok(()))))) => answered.push(index),
            Ok(Some(Ok((index, Err(failure))))) => failures.push((index, failure)),
            Ok(Some(Err(_))) => {}
            Ok(None) | Err(_) => break,
        }
    }
    if answered.is_empty() {
        failures.sort_unstable();
        let first = failures.into_iter().next().map(|(_, failure)| failure);
        return Err(first.unwrap_or_else(|| "it has no address".to_string()));
    }
    answered.sort_unstable();
    Ok(answered)
}

/// Connects, and hears whether it is who it should be.
async fn knock(address: SocketAddr, answer: u64) -> Result<(), String> {
    let mut stream = match timeout(TRY, TcpStream::connect(address)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return Err(error.to_string()),
        Err(_) => return Err(format!("no connection within {TRY:?}")),
    };
    match timeout(TRY, stream.read_u64()).await {
        Ok(Ok(heard)) if heard == answer => Ok(()),
        Ok(_) => Err("somebody else listens there".to_string()),
        Err(_) => Err(format!("a connection, but no answer within {TRY:?}")),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn order(listening: &[(u64, SocketAddr, u64)]) -> Contact {
        let peer = |(session, address, answer): &(u64, SocketAddr, u64)| Peer {
            session: *session,
            listens_at: vec![address.to_string()],
            answer: *answer,
        };
        Contact { peers: listening.iter().map(peer).collect(), interval_ms: 20 }
    }

    async fn next(tries: &mut Tries) -> Vec<Attempt> {
        timeout(Duration::from_secs(10), tries.news()).await.unwrap()
    }

    #[tokio::test]
    async fn who_answers_is_told_once_and_who_does_not_until_it_does() {
        let there = Listening::at(&[Ipv4Addr::LOCALHOST.into()]).await.unwrap();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let late = free.local_addr().unwrap();
        drop(free);
        let mut tries = Tries::none();
        tries.follow(order(&[(7, there.addresses[0], there.answer), (8, late, 5)]));
        let mut heard = Vec::new();
        while heard.len() < 2 {
            heard.extend(next(&mut tries).await);
        }
        heard.sort_by_key(|attempt| attempt.session);
        assert_eq!((heard[0].session, &heard[0].answered[..]), (7, &[0][..]));
        assert!(heard[1].failure.contains("refused"), "{heard:?}");

        // Somebody comes to listen there, who is not the one.
        let listener = TcpListener::bind(late).await.unwrap();
        let other = Listening::with(vec![listener]).unwrap();
        let news = next(&mut tries).await;
        assert!(news[0].failure.contains("somebody else"), "{news:?}");
        tries.follow(order(&[(8, late, other.answer)]));
        assert_eq!(next(&mut tries).await[0].answered, [0]);
    }

    #[tokio::test]
    async fn only_addresses_of_this_machine_are_listened_at() {
        let other: IpAddr = Ipv4Addr::new(192, 0, 2, 1).into();
        Listening::at(&[other]).await.unwrap_err();
        Listening::at(&[]).await.unwrap_err();
        let own = Listening::at(&[other, Ipv4Addr::LOCALHOST.into()]).await.unwrap();
        assert_eq!(own.addresses.len(), 1);
        assert!(own.addresses[0].ip().is_loopback());
    }
}
