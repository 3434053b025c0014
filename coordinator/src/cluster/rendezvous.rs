//! The key-value store through which the members of a generation find each other's collectives.
//!
//! `service::rendezvous` calls it. Its content belongs to one generation: the next one begins empty, and a call that
//! belongs to another is refused. Whoever waits is woken when the generation ends, never left.

use std::collections::HashMap;
use std::time::Duration;

use common::ids::Generation;
use common::status::ServiceError;
use tokio::sync::watch;
use tokio::time::timeout;
use tonic::codegen::Bytes;

/// Longest wait that a call may ask for.
pub const LONGEST_WAIT: Duration = Duration::from_secs(600);
/// Largest value, bytes: addresses and identifiers are far smaller.
pub const LARGEST_VALUE: usize = 1 << 20;
/// Longest key, bytes.
pub const LONGEST_KEY: usize = 256;
/// Most keys of one generation.
pub const MOST_KEYS: usize = 1 << 20;
/// Bytes of all keys and values of one generation.
pub const MOST_BYTES: usize = 64 << 20;
/// Most keys that one call may ask for.
pub const MOST_ASKED: usize = 1 << 16;
/// Bytes of all values in one answer: what a worker takes in one message.
pub const LARGEST_ANSWER: usize = 15 << 20;

/// Missing keys that a message names before it only counts them.
const NAMED: usize = 16;

/// A key-value store scoped to the current generation, with waiting reads.
#[derive(Debug, Default)]
pub struct Rendezvous {
    store: watch::Sender<Store>,
}

#[derive(Debug, Default)]
struct Store {
    generation: Generation,
    entries: HashMap<String, Bytes>,
    /// Of all keys and values.
    bytes: usize,
    /// Why nothing may be asked any more.
    closed: Option<String>,
}

impl Rendezvous {
    /// Begins a generation with an empty store; waiters of the one before are refused.
    pub fn open(&self, generation: Generation) {
        self.store.send_modify(|store| {
            *store = Store { generation, ..Store::default() };
        });
    }

    /// Refuses every present and future call.
    pub fn close(&self, reason: &str) {
        self.store.send_modify(|store| store.closed = Some(reason.to_string()));
    }

    /// Stores a value, over an earlier one if there is one.
    ///
    /// # Errors
    /// The generation is not the current one, or the store is full.
    pub fn set(
        &self,
        generation: Generation,
        key: String,
        value: Bytes,
    ) -> Result<(), ServiceError> {
        self.change(generation, |store| store.insert(key, value))
    }

    /// Adds to the decimal number under a key, absent meaning 0, and returns the sum.
    ///
    /// # Errors
    /// The generation is not the current one, or the key holds no number.
    pub fn add(
        &self,
        generation: Generation,
        key: String,
        amount: i64,
    ) -> Result<i64, ServiceError> {
        self.change(generation, |store| {
            let sum = store.number(&key)?.checked_add(amount).ok_or_else(|| {
                ServiceError::Invalid(format!("adding {amount} to key `{key}` overflows"))
            })?;
            store.insert(key, sum.to_string().into())?;
            Ok(sum)
        })
    }

    /// The values of all `keys`, waiting until each is there, for at most `wait`.
    ///
    /// # Errors
    /// The missing keys where the wait was too long; or the generation is not, or no longer, the current one.
    pub async fn get(
        &self,
        generation: Generation,
        keys: &[String],
        wait: Duration,
    ) -> Result<Vec<Bytes>, ServiceError> {
        if keys.len() > MOST_ASKED || keys.iter().any(|key| key.len() > LONGEST_KEY) {
            return Err(ServiceError::Invalid(format!(
                "a call may ask for {MOST_ASKED} keys of at most {LONGEST_KEY} bytes, this one asks for {}",
                keys.len()
            )));
        }
        let mut updates = self.store.subscribe();
        let answered = |store: &Store| store.check(generation).is_err() || store.has_all(keys);
        let waited = timeout(wait.min(LONGEST_WAIT), updates.wait_for(answered)).await;
        if let Ok(Err(_)) = waited {
            return Err(ServiceError::Ending("the coordinator is ending".to_string()));
        }
        drop(waited);
        let store = self.store.borrow();
        store.check(generation)?;
        store.values(keys).unwrap_or_else(|| {
            let missing = store.missing(keys);
            Err(ServiceError::TimedOut(format!("keys missing after {wait:?}: {missing}")))
        })
    }

    fn change<T>(
        &self,
        generation: Generation,
        change: impl FnOnce(&mut Store) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        let mut result = None;
        self.store.send_if_modified(|store| {
            let changed = store.check(generation).and_then(|()| change(store));
            result.insert(changed).is_ok()
        });
        result.expect("the closure above ran")
    }
}

impl Store {
    fn check(&self, generation: Generation) -> Result<(), ServiceError> {
        if let Some(reason) = &self.closed {
            return Err(ServiceError::Ending(reason.clone()));
        }
        if generation != self.generation || generation == Generation(0) {
            return Err(ServiceError::Stale(format!(
                "this call belongs to generation {generation}, the current one is {}",
                self.generation
            )));
        }
        Ok(())
    }

    fn insert(&mut self, key: String, value: Bytes) -> Result<(), ServiceError> {
        if key.len() > LONGEST_KEY || value.len() > LARGEST_VALUE {
            return Err(ServiceError::Invalid(format!(
                "a key of {} bytes with a value of {} does not fit: {LONGEST_KEY} and {LARGEST_VALUE} are the most",
                key.len(),
                value.len()
            )));
        }
        let earlier = self.entries.get(&key).map(|earlier| key.len() + earlier.len());
        let bytes = self.bytes - earlier.unwrap_or(0) + key.len() + value.len();
        if bytes > MOST_BYTES || (earlier.is_none() && self.entries.len() >= MOST_KEYS) {
            return Err(ServiceError::Invalid(format!(
                "key `{key}` does not fit: a generation has at most {MOST_KEYS} keys and {MOST_BYTES} bytes of them and \
                 their values"
            )));
        }
        self.bytes = bytes;
        self.entries.insert(key, value);
        Ok(())
    }

    /// The values of all `keys`, if all are there and fit an answer.
    fn values(&self, keys: &[String]) -> Option<Result<Vec<Bytes>, ServiceError>> {
        let values: Vec<&Bytes> =
            keys.iter().map(|key| self.entries.get(key)).collect::<Option<_>>()?;
        let bytes: usize = values.iter().map(|value| value.len()).sum();
        if bytes > LARGEST_ANSWER {
            return Some(Err(ServiceError::Invalid(format!(
                "the values of these keys have {bytes} bytes, an answer at most {LARGEST_ANSWER}"
            ))));
        }
        Some(Ok(values.into_iter().cloned().collect()))
    }

    fn number(&self, key: &str) -> Result<i64, ServiceError> {
        let Some(value) = self.entries.get(key) else {
            return Ok(0);
        };
        let text = std::str::from_utf8(value).ok();
        text.and_then(|text| text.parse().ok())
            .ok_or_else(|| ServiceError::Invalid(format!("key `{key}` holds no decimal number")))
    }

    fn has_all(&self, keys: &[String]) -> bool {
        keys.iter().all(|key| self.entries.contains_key(key))
    }

    fn missing(&self, keys: &[String]) -> String {
        let mut missing = keys.iter().filter(|key| !self.entries.contains_key(*key));
        let named: Vec<&str> = missing.by_ref().take(NAMED).map(String::as_str).collect();
        match missing.count() {
            0 => named.join(", "),
            more => format!("{} and {more} more", named.join(", ")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const FIRST: Generation = Generation(1);

    fn opened() -> Arc<Rendezvous> {
        let rendezvous = Arc::new(Rendezvous::default());
        rendezvous.open(FIRST);
        rendezvous
    }

    fn keys(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_string()).collect()
    }

    #[tokio::test]
    async fn a_reader_waits_for_every_key() {
        let rendezvous = opened();
        let reader = tokio::spawn({
            let rendezvous = Arc::clone(&rendezvous);
            async move { rendezvous.get(FIRST, &keys(&["a", "b"]), LONGEST_WAIT).await }
        });
        rendezvous.set(FIRST, "b".into(), "2".into()).unwrap();
        tokio::task::yield_now().await;
        assert!(!reader.is_finished());
        rendezvous.set(FIRST, "a".into(), "1".into()).unwrap();
        assert_eq!(reader.await.unwrap().unwrap(), ["1", "2"]);
    }

    #[tokio::test]
    async fn the_missing_are_named() {
        let rendezvous = opened();
        rendezvous.set(FIRST, "a".into(), "1".into()).unwrap();
        let answer = rendezvous.get(FIRST, &keys(&["a", "b", "c"]), Duration::ZERO).await;
        let Err(ServiceError::TimedOut(message)) = answer else { panic!("{answer:?}") };
        assert!(message.ends_with("b, c"), "{message}");
    }

    #[tokio::test]
    async fn counters_count() {
        let rendezvous = opened();
        assert_eq!(rendezvous.add(FIRST, "n".into(), 2), Ok(2));
        assert_eq!(rendezvous.add(FIRST, "n".into(), -5), Ok(-3));
        assert_eq!(rendezvous.get(FIRST, &keys(&["n"]), Duration::ZERO).await.unwrap(), ["-3"]);
        rendezvous.set(FIRST, "n".into(), "x".into()).unwrap();
        assert!(matches!(rendezvous.add(FIRST, "n".into(), 1), Err(ServiceError::Invalid(_))));
    }

    #[tokio::test]
    async fn what_does_not_fit_is_refused_and_changes_nothing() {
        let rendezvous = opened();
        let set = |key: String, length: usize| rendezvous.set(FIRST, key, vec![0; length].into());
        let refused = |result: Result<(), ServiceError>, expected: &str| {
            let Err(ServiceError::Invalid(message)) = result else { panic!("{result:?}") };
            assert!(message.contains(expected), "{message}");
        };
        refused(set("k".repeat(LONGEST_KEY + 1), 0), "does not fit");
        refused(set("k".into(), LARGEST_VALUE + 1), "does not fit");
        let fitting = MOST_BYTES / LARGEST_VALUE - 1;
        for number in 0..fitting {
            set(format!("{number:02}"), LARGEST_VALUE).unwrap();
            set(format!("{number:02}"), LARGEST_VALUE).unwrap();
        }
        set("last".into(), LARGEST_VALUE - 1000).unwrap();
        refused(set("more".into(), 1000), "of them and their values");
        set("last".into(), 10).unwrap();
        set("more".into(), 1000).unwrap();

        let all: Vec<String> = (0..fitting).map(|number| format!("{number:02}")).collect();
        let answer = rendezvous.get(FIRST, &all, Duration::ZERO).await.map(drop);
        refused(answer, "an answer at most");
        let many = vec!["more".to_string(); MOST_ASKED + 1];
        refused(rendezvous.get(FIRST, &many, Duration::ZERO).await.map(drop), "may ask for");
        assert_eq!(rendezvous.get(FIRST, &all[..9], Duration::ZERO).await.unwrap().len(), 9);
    }

    #[tokio::test]
    async fn another_generation_is_refused_and_waiters_are_woken() {
        let rendezvous = opened();
        let reader = tokio::spawn({
            let rendezvous = Arc::clone(&rendezvous);
            async move { rendezvous.get(FIRST, &keys(&["a"]), LONGEST_WAIT).await }
        });
        tokio::task::yield_now().await;
        rendezvous.open(Generation(2));
        assert!(matches!(reader.await.unwrap(), Err(ServiceError::Stale(_))));
        let late = rendezvous.set(FIRST, "a".into(), "1".into());
        assert!(matches!(late, Err(ServiceError::Stale(_))));
        rendezvous.close("rank 3 is gone");
        let closed = rendezvous.get(Generation(2), &keys(&["a"]), LONGEST_WAIT).await;
        assert_eq!(closed, Err(ServiceError::Ending("rank 3 is gone".to_string())));
    }
}
