//! What a session asks of the thread that draws it. Interruptions and a live voice are not here: the thread looks for them before
//! each frame, so that no client can keep it busy with them.

use super::queue::Speech;
use std::sync::Arc;

/// A wish of the session with number `key`.
pub(super) struct SessionCommand {
    pub(super) key: u64,
    pub(super) wish: Wish,
}

/// What it asks for.
pub(super) enum Wish {
    /// Speech that was made for an interruption's number.
    Say { generation: u64, speech: Speech },
    /// The end.
    Close,
}

/// The way to the thread.
pub(super) type SendCommand = Arc<dyn Fn(SessionCommand) + Send + Sync>;
