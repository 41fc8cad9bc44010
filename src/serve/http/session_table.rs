//! Sessions by their names.

use super::reply::{Answer, Fault};
use crate::serve::session::Session;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// The sessions that are open.
#[derive(Default)]
pub(super) struct SessionTable(Mutex<BTreeMap<String, Weak<Session>>>);

impl SessionTable {
    pub(super) fn add(&self, session: &Arc<Session>) {
        self.add_as(&session.id, session);
    }

    /// Adds a session under another name.
    pub(super) fn add_as(&self, name: &str, session: &Arc<Session>) {
        let mut sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|_, session| session.strong_count() > 0);
        sessions.insert(name.to_owned(), Arc::downgrade(session));
    }

    /// The open session of this name.
    pub(super) fn find(&self, id: &str) -> Answer<Arc<Session>> {
        let sessions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = sessions.get(id).and_then(Weak::upgrade).filter(|session| !session.outbox.is_closed());
        found.ok_or_else(|| Fault::missing("session not found"))
    }
}
