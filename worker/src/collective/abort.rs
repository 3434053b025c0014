//! Ends every operation of a collective from another thread. The session holds the handle; the
//! engines register what has to be broken for their waits to end.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use super::error::CollectiveError;

/// Something whose waits end when it is cancelled.
pub(super) trait Cancel: Send + Sync {
    /// Makes pending operations fail soon; called at most once per abort, from any thread.
    fn cancel(&self);
}

/// Aborts one collective, from any thread. Clones act on the same one.
#[derive(Clone, Default)]
pub struct AbortHandle {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    reason: Option<String>,
    registered: Vec<Weak<dyn Cancel>>,
}

impl AbortHandle {
    /// A handle that is not aborted, to be given to a collective.
    pub fn new() -> Self {
        Self::default()
    }

    /// Every pending and future operation fails with [`CollectiveError::Aborted`], in a few
    /// milliseconds. The first reason stays.
    pub fn abort(&self, reason: impl Into<String>) {
        let registered = {
            let mut state = self.lock();
            state.reason.get_or_insert_with(|| reason.into());
            std::mem::take(&mut state.registered)
        };
        for cancel in registered.iter().filter_map(Weak::upgrade) {
            cancel.cancel();
        }
    }

    /// Whether the collective may still be used.
    ///
    /// # Errors
    ///
    /// [`CollectiveError::Aborted`] once [`AbortHandle::abort`] was called.
    pub fn check(&self) -> Result<(), CollectiveError> {
        match &self.lock().reason {
            None => Ok(()),
            Some(reason) => Err(CollectiveError::Aborted { reason: reason.clone() }),
        }
    }

    /// Cancels `cancel` on abort, at once if that has happened.
    pub(super) fn register(&self, cancel: Weak<dyn Cancel>) {
        let mut state = self.lock();
        if state.reason.is_none() {
            state.registered.retain(|registered| registered.strong_count() > 0);
            state.registered.push(cancel);
            return;
        }
        drop(state);
        if let Some(cancel) = cancel.upgrade() {
            cancel.cancel();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AbortHandle").field("reason", &self.lock().reason).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[derive(Default)]
    struct Counter(AtomicUsize);

    impl Cancel for Counter {
        fn cancel(&self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn cancels_what_is_and_will_be_registered() {
        let handle = AbortHandle::new();
        let early: Arc<Counter> = Arc::default();
        let late: Arc<Counter> = Arc::default();
        handle.register(Arc::downgrade(&early) as Weak<dyn Cancel>);
        assert_eq!(handle.check(), Ok(()));

        handle.clone().abort("first");
        handle.abort("second");
        handle.register(Arc::downgrade(&late) as Weak<dyn Cancel>);
        assert_eq!(handle.check(), Err(CollectiveError::Aborted { reason: "first".into() }));
        assert_eq!(early.0.load(Ordering::SeqCst), 1);
        assert_eq!(late.0.load(Ordering::SeqCst), 1);
    }
}
