//! What every request sees, and who may ask.

use super::backdrop_table::Backdrops;
use super::debug_files::DebugSettings;
use super::job_table::Jobs;
use super::recording::Recordings;
use super::session_table::SessionTable;
use super::strikes::Strikes;
use crate::serve::drawing::Drawing;
use crate::serve::heads::{Heads, ServedHead};
use crate::serve::rtc::port::Port;
use crate::serve::speech::{SpeechChain, SpeechPool};
use crate::{Error, Result};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

/// Who may ask.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// The token that requests must name; everyone on this computer without one.
    pub token: Option<String>,
}

/// Loads the heads again, as they are now.
pub type LoadHeads = Box<dyn Fn() -> Result<Vec<ServedHead>> + Send + Sync>;

/// What every request sees.
pub struct Service {
    /// Who can be spoken with.
    pub heads: Heads,
    /// Who draws.
    pub drawing: Drawing,
    /// Who makes speech.
    pub speech: SpeechPool,
    /// Who may ask.
    pub access: Access,
    pub(super) started: Instant,
    pub(super) strikes: Strikes,
    pub(super) backdrops: Backdrops,
    /// WebSockets and calls that are open; the server does not count them.
    pub(super) conversations: Arc<AtomicUsize>,
    pub(super) sessions: SessionTable,
    /// Where calls come in.
    pub(super) calls: Option<Arc<Port>>,
    pub(super) jobs: Jobs,
    pub(super) recordings: Recordings,
    pub(super) debug: DebugSettings,
    pub(super) load: LoadHeads,
    /// Heads are loaded anew by one at a time.
    pub(super) reloading: tokio::sync::Mutex<()>,
}

impl Service {
    /// A service that nobody has asked yet.
    ///
    /// `load` gives the heads as they are now, when it is asked to serve them anew. In `debug_dir` pictures and sounds are kept where a client switches that on; without one, none are.
    pub fn new(
        heads: Heads,
        drawing: Drawing,
        speech: SpeechChain,
        access: Access,
        debug_dir: Option<PathBuf>,
        load: LoadHeads,
    ) -> Self {
        Service {
            heads,
            drawing,
            speech: SpeechPool::new(speech),
            access,
            started: Instant::now(),
            strikes: Strikes::default(),
            backdrops: Backdrops::default(),
            conversations: Arc::default(),
            sessions: SessionTable::default(),
            calls: None,
            jobs: Jobs::default(),
            recordings: Recordings::default(),
            debug: DebugSettings::new(debug_dir),
            load,
            reloading: tokio::sync::Mutex::default(),
        }
    }

    /// Takes calls by WebRTC at this port.
    #[must_use]
    pub fn with_calls(mut self, port: Option<Arc<Port>>) -> Self {
        self.calls = port;
        self
    }
}

pub(super) type App = axum::extract::State<Arc<Service>>;

/// Refuses to listen where others than this computer can connect, unless they must name a token.
///
/// # Errors
/// [`Error::Input`] for such an address without a token, or a token that is too short.
pub fn check_access(address: SocketAddr, access: &Access) -> Result<()> {
    match &access.token {
        None if !address.ip().is_loopback() => Err(Error::input(
            "--listen",
            "an address of this computer alone (127.0.0.1 or [::1]), or a --token",
            format!("{address} without a token"),
            "add --token SECRET, which every request must then name",
        )),
        Some(token) if token.len() < 8 => {
            let found = format!("{} characters", token.len());
            Err(Error::input("--token", "at least 8 characters", found, "choose a longer one"))
        }
        _ => Ok(()),
    }
}
