//! A key-value store in memory, for ranks that are threads of one process. Tests use it.

use std::collections::HashMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::bridge::rendezvous::{KeyValueStore, StoreError};

/// Keys and values behind a lock. Counters are kept as little-endian `i64`.
#[derive(Debug, Default)]
pub struct MemoryStore {
    values: Mutex<HashMap<String, Vec<u8>>>,
    changed: Condvar,
}

impl KeyValueStore for MemoryStore {
    fn set(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values.insert(key.to_owned(), value);
        self.changed.notify_all();
        Ok(())
    }

    fn get(&self, keys: &[String], timeout: Duration) -> Result<Vec<Vec<u8>>, StoreError> {
        let deadline = Instant::now() + timeout;
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let missing: Vec<_> =
                keys.iter().filter(|key| !values.contains_key(*key)).cloned().collect();
            if missing.is_empty() {
                return Ok(keys.iter().map(|key| values[key].clone()).collect());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(StoreError::Missing { keys: missing, after: timeout });
            }
            (values, _) =
                self.changed.wait_timeout(values, left).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn add(&self, key: &str, amount: i64) -> Result<i64, StoreError> {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let value = values.entry(key.to_owned()).or_insert_with(|| 0i64.to_le_bytes().to_vec());
        let bytes = value.as_slice().try_into().map_err(|_| {
            StoreError::Failed(format!("{key} holds {} bytes, not a counter", value.len()))
        })?;
        let sum = i64::from_le_bytes(bytes) + amount;
        *value = sum.to_le_bytes().to_vec();
        self.changed.notify_all();
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_for_every_key_and_keeps_their_order() {
        let store = MemoryStore::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                std::thread::sleep(Duration::from_millis(20));
                store.set("b", vec![2]).unwrap();
                store.set("a", vec![1]).unwrap();
            });
            let keys = ["b".to_owned(), "a".to_owned()];
            let values = store.get(&keys, Duration::from_secs(5)).unwrap();
            assert_eq!(values, [vec![2], vec![1]]);
        });
    }

    #[test]
    fn names_what_is_missing() {
        let store = MemoryStore::default();
        store.set("here", Vec::new()).unwrap();
        let keys = ["here".to_owned(), "gone".to_owned()];
        let error = store.get(&keys, Duration::from_millis(10)).unwrap_err();
        assert_eq!(error.to_string(), "nobody has set gone within 10ms");
    }

    #[test]
    fn counts() {
        let store = MemoryStore::default();
        assert_eq!(store.add("count", 2).unwrap(), 2);
        assert_eq!(store.add("count", -5).unwrap(), -3);
        store.set("text", b"x".to_vec()).unwrap();
        assert!(store.add("text", 1).is_err());
    }
}
