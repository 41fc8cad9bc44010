//! What the drawing thread keeps of a session.

use super::options::Pace;
use crate::Result;
use crate::serve::command::Wish;
use crate::serve::session::Session;
use crate::serve::speaker::{Speaker, SpokenFrame};
use data_utils::audio::SAMPLE_RATE;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// How late a frame may be before its picture is passed over.
const LATE: Duration = Duration::from_millis(80);
/// Pictures that are passed over in a row before one is drawn all the same, half a second: also on a machine that is too slow the
/// head moves now and then.
const MOST_SKIPPED: u32 = 12;
/// How far behind a session may fall before its clock is set anew, as after the computer slept.
const LOST: Duration = Duration::from_secs(2);

pub(super) struct OpenSession {
    pub(super) speaker: Speaker,
    pub(super) head: String,
    session: Weak<Session>,
    pace: Pace,
    /// When the first sample of the session is heard.
    start: Instant,
    generation: u64,
    /// Pictures that were passed over since the last one.
    skipped: u32,
}

/// A frame that is being drawn.
pub(super) struct BegunFrame {
    /// When it should be there.
    due: Option<Instant>,
    begin: Instant,
    /// How late it was then.
    late: Duration,
    /// Whether its picture is drawn.
    draws: bool,
}

/// A frame, and the times that belong to it.
pub(super) struct MadeFrame {
    pub(super) frame: SpokenFrame,
    /// How long after it was due a live session's frame was there.
    pub(super) delay: Option<Duration>,
}

impl OpenSession {
    pub(super) fn new(speaker: Speaker, session: &Arc<Session>, pace: Pace) -> Self {
        let lead = match pace {
            Pace::Live { lead } => lead,
            Pace::Unpaced => Duration::ZERO,
        };
        OpenSession {
            speaker,
            head: session.head.name.clone(),
            session: Arc::downgrade(session),
            pace,
            start: Instant::now() + lead,
            generation: 0,
            skipped: 0,
        }
    }

    /// As everyone else sees it; `None` when nobody does any more.
    pub(super) fn session(&self) -> Option<Arc<Session>> {
        self.session.upgrade()
    }

    /// Does what was asked of it.
    pub(super) fn obey(&mut self, wish: Wish) -> Result<()> {
        match wish {
            Wish::Say { generation, speech } => {
                self.interrupt(generation)?;
                // Older speech was on its way when it was interrupted.
                if generation == self.generation { self.speaker.say(speech) } else { Ok(()) }
            }
            Wish::Close => Ok(()),
        }
    }

    /// Falls silent when it was interrupted since.
    fn interrupt(&mut self, generation: u64) -> Result<()> {
        if generation <= self.generation {
            return Ok(());
        }
        self.generation = generation;
        self.speaker.interrupt().map(drop)
    }

    /// When the next frame should be there; `None` for one that has no time.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.pace {
            Pace::Live { lead } => {
                let position = self.speaker.position() as f64 / f64::from(SAMPLE_RATE);
                let heard = self.start + Duration::from_secs_f64(position);
                Some(heard.checked_sub(lead).unwrap_or(self.start))
            }
            Pace::Unpaced => None,
        }
    }

    /// Whether a frame of a session without a time can be made now.
    pub(super) fn has_work(&self) -> bool {
        // One whose reader is gone is to be closed.
        let has_room = || self.session.upgrade().is_none_or(|session| session.outbox.has_room());
        self.session.strong_count() == 0 || (self.speaker.is_speaking() && has_room())
    }

    /// Begins the next frame, of what was asked until now: a GPU draws while other sessions' frames are begun.
    ///
    /// # Errors
    /// Those of the speaker.
    pub(super) fn begin_frame(&mut self, session: &Session) -> Result<BegunFrame> {
        self.interrupt(session.generation())?;
        let dropped = self.speaker.hear(&session.take_voice());
        if dropped > 0 {
            tracing::debug!(dropped, "a live voice comes faster than it is heard");
        }
        let (due, begin) = (self.due(), Instant::now());
        let late = due.map_or(Duration::ZERO, |due| begin.saturating_duration_since(due));
        if late > LOST {
            self.start += late;
        }
        let draws = late <= LATE || late > LOST || self.skipped >= MOST_SKIPPED;
        if draws {
            self.speaker.start_frame()?;
        }
        Ok(BegunFrame { due, begin, late, draws })
    }

    /// Waits for a frame that was begun.
    ///
    /// # Errors
    /// Those of the speaker.
    pub(super) fn take_frame(&mut self, begun: &BegunFrame) -> Result<MadeFrame> {
        let frame = self.speaker.next_frame(begun.draws)?;
        self.skipped = if frame.picture.is_some() { 0 } else { self.skipped + 1 };
        Ok(MadeFrame { frame, delay: begun.due.map(|_| begun.late + begun.begin.elapsed()) })
    }
}
