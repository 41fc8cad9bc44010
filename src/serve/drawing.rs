//! The one thread that draws: it owns every session's head, makes each frame when it is due, and hands it on.
//!
//! A live session's frame is due a little before its sound is heard. When drawing falls behind, pictures are passed over and
//! the sound goes on. A session that is rendered for a file has no time: it gets what is left.

use super::command::{SendCommand, SessionCommand, Wish};
use super::costs::Costs;
use super::heads::ServedHead;
use super::session::Session;
use super::speaker::Speaker;
use crate::gpu::Gpu;
use crate::head::backend;
use crate::live::background::BackgroundType;
use crate::live::frame_renderer::FrameOptions;
use crate::live::performance::PerformanceOptions;
use crate::{Error, Result};
use data_utils::audio::{FRAME_RATE, SAMPLE_RATE};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// How late a frame may be before its picture is passed over.
const LATE: Duration = Duration::from_millis(80);
/// How far behind a session may fall before its clock is set anew, as after the computer slept.
const LOST: Duration = Duration::from_secs(2);
/// Frames that are drawn of each head before anyone may come in: the first ones are slow.
const WARM_UP: u32 = 6;
/// Delays kept for the percentiles.
const DELAYS: usize = 1024;

/// When the frames of a session are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// 25 a second, each so long before its sound is heard.
    Live {
        /// The time before.
        lead: Duration,
    },
    /// As fast as they are taken.
    Unpaced,
}

/// How a session looks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SessionOptions {
    /// When its frames are made.
    pub pace: Pace,
    /// What is behind the head.
    pub background: BackgroundType,
}

/// What the thread is asked to do.
enum Command {
    Open(OpenRequest),
    Session(SessionCommand),
    Stop,
}

struct OpenRequest {
    /// Under which a place is kept for it.
    key: u64,
    head: Arc<ServedHead>,
    options: SessionOptions,
    id: String,
    reply: oneshot::Sender<Result<Arc<Session>>>,
}

/// Why a session was not opened.
#[derive(Debug)]
pub enum Refusal {
    /// All is taken; it may be tried again.
    Busy(String),
    /// It would fail again.
    Failed(Error),
}

/// A handle on the thread that draws; cheap to clone.
#[derive(Clone)]
pub struct Drawing {
    commands: Sender<Command>,
    shared: Arc<Shared>,
}

struct Shared {
    is_ready: AtomicBool,
    stopping: AtomicBool,
    fault: Mutex<Option<String>>,
    figures: Mutex<Figures>,
    most: usize,
    reserved: Mutex<Reserved>,
    device: String,
    keys: AtomicU64,
}

/// Who was let in.
#[derive(Default)]
struct Reserved {
    sessions: BTreeMap<u64, String>,
    costs: Costs,
}

/// What was counted and measured.
#[derive(Debug, Clone, Default)]
pub struct Figures {
    /// Pictures drawn.
    pub drawn: u64,
    /// Pictures passed over, since they would have come too late.
    pub skipped: u64,
    /// Seconds of drawing.
    pub seconds: f64,
    /// Sessions opened.
    pub opened: u64,
    /// Sessions refused.
    pub refused: u64,
    /// How long after it was due each of the last frames was there, seconds.
    delays: Vec<f64>,
    next_delay: usize,
}

impl Figures {
    fn add_delay(&mut self, delay: Duration) {
        let seconds = delay.as_secs_f64();
        if self.delays.len() < DELAYS {
            self.delays.push(seconds);
        } else {
            self.delays[self.next_delay] = seconds;
            self.next_delay = (self.next_delay + 1) % DELAYS;
        }
    }

    /// The delay that so large a share (0..1) of the last frames stayed below, seconds.
    pub fn delay(&self, share: f64) -> f64 {
        let mut sorted = self.delays.clone();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().saturating_sub(1);
        sorted.get((share * last as f64).round() as usize).copied().unwrap_or(0.0)
    }
}

impl Drawing {
    /// Starts the thread for a device; `most` sessions are let in at once. It draws some frames of every head first, and ends
    /// with [`Drawing::stop`].
    ///
    /// # Errors
    /// [`Error::Internal`] when the system gives no thread.
    pub fn start(gpu: Option<Gpu>, heads: Vec<Arc<ServedHead>>, most: usize) -> Result<Self> {
        let (commands, received) = channel();
        let device = gpu.as_ref().map_or_else(|| "the CPU".to_owned(), |gpu| gpu.name().to_string());
        let shared = Arc::new(Shared {
            is_ready: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            fault: Mutex::default(),
            figures: Mutex::default(),
            most,
            reserved: Mutex::default(),
            device,
            keys: AtomicU64::new(0),
        });
        let drawing = Drawing { commands, shared: Arc::clone(&shared) };
        let handle = drawing.clone();
        let work = move || {
            let mut thread = Thread { gpu, shared, handle, sessions: BTreeMap::new() };
            if let Err(error) = thread.warm_up(&heads) {
                tracing::error!(%error, "a head cannot be drawn");
                *lock(&thread.shared.fault) = Some(error.to_string());
            }
            thread.shared.is_ready.store(true, Ordering::Release);
            thread.run(&received);
        };
        std::thread::Builder::new()
            .name("drawing".into())
            .spawn(work)
            .map_err(|e| Error::Internal(format!("a thread that draws: {e}")))?;
        Ok(drawing)
    }

    /// Whether heads can be drawn: after the first frames, and until the device fails.
    pub fn is_ready(&self) -> bool {
        self.shared.is_ready.load(Ordering::Acquire) && self.fault().is_none()
    }

    /// Why nothing can be drawn.
    pub fn fault(&self) -> Option<String> {
        lock(&self.shared.fault).clone()
    }

    /// What draws.
    pub fn device(&self) -> &str {
        &self.shared.device
    }

    /// Sessions that are open.
    pub fn sessions(&self) -> usize {
        lock(&self.shared.reserved).sessions.len()
    }

    /// What was counted and measured so far.
    pub fn figures(&self) -> Figures {
        lock(&self.shared.figures).clone()
    }

    /// Milliseconds that a frame of a head takes.
    pub fn milliseconds(&self, head: &str) -> f64 {
        1e3 * lock(&self.shared.reserved).costs.of(head)
    }

    /// Opens a session, when there is room for another one.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn open(
        &self,
        head: &Arc<ServedHead>,
        options: SessionOptions,
    ) -> std::result::Result<Arc<Session>, Refusal> {
        let id = super::session::random_name().map_err(Refusal::Failed)?;
        let key = self.admit(head, options)?;
        let (reply, answer) = oneshot::channel();
        self.send(Command::Open(OpenRequest { key, head: Arc::clone(head), options, id, reply }));
        let gone = || Error::Internal("the thread that draws has ended".into());
        answer.await.map_err(|_| Refusal::Failed(gone()))?.map_err(Refusal::Failed)
    }

    /// Keeps a place for another session of `head`, when there is one, and gives its key.
    fn admit(&self, head: &ServedHead, options: SessionOptions) -> std::result::Result<u64, Refusal> {
        if let Some(fault) = self.fault() {
            return Err(Refusal::Busy(format!("the device cannot draw: {fault}")));
        }
        if self.shared.stopping.load(Ordering::Acquire) {
            return Err(Refusal::Busy("the server is being stopped".into()));
        }
        if !self.is_ready() {
            return Err(Refusal::Busy("the heads are being loaded".into()));
        }
        let mut reserved = lock(&self.shared.reserved);
        let rate = f64::from(FRAME_RATE);
        let taken: f64 = reserved.sessions.values().map(|name| reserved.costs.load(name, rate)).sum();
        let is_live = options.pace != Pace::Unpaced;
        let is_full = reserved.sessions.len() >= self.shared.most
            || (is_live && !reserved.costs.fits(&head.name, rate, taken));
        if is_full {
            drop(reserved);
            lock(&self.shared.figures).refused += 1;
            return Err(Refusal::Busy("all sessions are taken".into()));
        }
        // Under the same lock: of two who ask at once for the last place, one gets it.
        let key = self.shared.keys.fetch_add(1, Ordering::Relaxed);
        reserved.sessions.insert(key, head.name.clone());
        Ok(key)
    }

    /// Ends all sessions, and lets no other in.
    pub fn stop(&self) {
        self.shared.stopping.store(true, Ordering::Release);
        // Wakes the thread.
        self.send(Command::Stop);
    }

    fn send(&self, command: Command) {
        // Fails only after the thread has ended; then there is nobody to tell.
        let _ = self.commands.send(command);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's own state.
struct Thread {
    gpu: Option<Gpu>,
    shared: Arc<Shared>,
    handle: Drawing,
    sessions: BTreeMap<u64, OpenSession>,
}

struct OpenSession {
    speaker: Speaker,
    session: Weak<Session>,
    head: String,
    pace: Pace,
    /// When the first sample of the session is heard.
    start: Instant,
    generation: u64,
}

impl OpenSession {
    fn obey(&mut self, wish: Wish) -> Result<()> {
        match wish {
            // Speech that was on its way when it was interrupted.
            Wish::Say { generation, .. } if generation < self.generation => Ok(()),
            Wish::Say { speech, .. } => self.speaker.say(speech),
            Wish::Hear(samples) => {
                let dropped = self.speaker.hear(&samples);
                if dropped > 0 {
                    tracing::debug!(dropped, "a live voice comes faster than it is heard");
                }
                Ok(())
            }
            Wish::Interrupt { generation } => {
                self.generation = generation;
                self.speaker.interrupt().map(drop)
            }
            Wish::Close => Ok(()),
        }
    }

    /// When the next frame should be there.
    fn due(&self) -> Option<Instant> {
        match self.pace {
            Pace::Live { lead } => {
                let position = self.speaker.position() as f64 / f64::from(SAMPLE_RATE);
                let heard = self.start + Duration::from_secs_f64(position);
                Some(heard.checked_sub(lead).unwrap_or(self.start))
            }
            Pace::Unpaced => None,
        }
    }
}

impl Thread {
    /// Draws some frames of each head, so that what a frame costs is known.
    fn warm_up(&mut self, heads: &[Arc<ServedHead>]) -> Result<()> {
        for head in heads {
            let mut speaker = self.speaker(head, BackgroundType::default())?;
            for k in 0..WARM_UP {
                let begin = Instant::now();
                speaker.next_frame(true)?;
                // The first ones also load plates and, on a GPU, shaders.
                if k >= WARM_UP / 2 {
                    lock(&self.shared.reserved).costs.add(&head.name, begin.elapsed());
                }
            }
            let milliseconds = self.handle.milliseconds(&head.name);
            tracing::info!(head = head.name, size = ?head.size, milliseconds, "a head is ready");
        }
        Ok(())
    }

    fn speaker(&self, head: &ServedHead, background: BackgroundType) -> Result<Speaker> {
        let branch = head.head.first()?;
        let opened = backend::open(self.gpu.as_ref(), branch, branch.cloud.len(), 1);
        if let Some(note) = opened.note {
            tracing::warn!(head = head.name, "{note}");
        }
        let options = PerformanceOptions {
            frames: FrameOptions { batch: 1, background, ..FrameOptions::default() },
            ..PerformanceOptions::default()
        };
        Speaker::new(&head.head, opened.backend, options)
    }

    fn run(&mut self, commands: &Receiver<Command>) {
        loop {
            while let Ok(command) = commands.try_recv() {
                self.obey(command);
            }
            if self.shared.stopping.load(Ordering::Acquire) {
                self.close_all(None);
                return;
            }
            let wait = match self.next_session() {
                Some((key, wait)) if wait.is_zero() => {
                    self.draw(key);
                    continue;
                }
                Some((_, wait)) => wait,
                None => Duration::from_secs(3600),
            };
            match commands.recv_timeout(wait) {
                Ok(command) => self.obey(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// The session whose frame is to be made next, and the time until then.
    fn next_session(&self) -> Option<(u64, Duration)> {
        let now = Instant::now();
        let live = self.sessions.iter().filter_map(|(key, open)| Some((*key, open.due()?)));
        let live =
            live.min_by_key(|(_, due)| *due).map(|(key, due)| (key, due.saturating_duration_since(now)));
        if live.is_some_and(|(_, wait)| wait.is_zero()) {
            return live;
        }
        let has_room = |open: &OpenSession| open.session.upgrade().is_none_or(|s| s.outbox.has_room());
        let mut unpaced = self.sessions.iter().filter(|(_, open)| open.pace == Pace::Unpaced).peekable();
        let anyone = unpaced.peek().is_some();
        if let Some((key, _)) = unpaced.find(|(_, open)| open.speaker.is_speaking() && has_room(open)) {
            return Some((*key, Duration::ZERO));
        }
        match (live, anyone) {
            // A reader that takes a frame of a file does not say so.
            (live, true) => {
                let soon = Duration::from_millis(4);
                Some(live.map_or((u64::MAX, soon), |(key, wait)| (key, wait.min(soon))))
            }
            (live, false) => live,
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Open(OpenRequest { key, head, options, id, reply }) => {
                let opened = self.open(key, &head, options, id);
                if opened.is_err() {
                    lock(&self.shared.reserved).sessions.remove(&key);
                }
                // Where who asked is gone, the session goes with the handle.
                drop(reply.send(opened));
            }
            Command::Session(SessionCommand { key, wish: Wish::Close }) => self.close(key, None),
            Command::Session(SessionCommand { key, wish }) => {
                if let Some(Err(error)) = self.sessions.get_mut(&key).map(|open| open.obey(wish)) {
                    self.fail(key, &error);
                }
            }
            Command::Stop => {}
        }
    }

    fn open(
        &mut self,
        key: u64,
        head: &Arc<ServedHead>,
        options: SessionOptions,
        id: String,
    ) -> Result<Arc<Session>> {
        let speaker = self.speaker(head, options.background)?;
        let handle = self.handle.clone();
        let send: SendCommand = Arc::new(move |command| {
            if matches!(command.wish, Wish::Close) {
                // Its place is free at once, also while the thread draws.
                lock(&handle.shared.reserved).sessions.remove(&command.key);
            }
            handle.send(Command::Session(command));
        });
        let session = Arc::new(Session::new(id, key, Arc::clone(head), send));
        let lead = match options.pace {
            Pace::Live { lead } => lead,
            Pace::Unpaced => Duration::ZERO,
        };
        let open = OpenSession {
            speaker,
            session: Arc::downgrade(&session),
            head: head.name.clone(),
            pace: options.pace,
            start: Instant::now() + lead,
            generation: 0,
        };
        self.sessions.insert(key, open);
        lock(&self.shared.figures).opened += 1;
        Ok(session)
    }

    fn close(&mut self, key: u64, fault: Option<String>) {
        if let Some(open) = self.sessions.remove(&key)
            && let Some(session) = open.session.upgrade()
        {
            session.outbox.close(fault);
        }
        lock(&self.shared.reserved).sessions.remove(&key);
    }

    fn close_all(&mut self, fault: Option<&str>) {
        let keys: Vec<u64> = self.sessions.keys().copied().collect();
        keys.into_iter().for_each(|key| self.close(key, fault.map(str::to_owned)));
    }

    /// Ends a session that cannot go on; all of them when the device is gone.
    fn fail(&mut self, key: u64, error: &Error) {
        tracing::error!(%error, "a session cannot go on");
        if matches!(error, Error::DeviceLost(_)) {
            *lock(&self.shared.fault) = Some(error.to_string());
            self.close_all(Some("the device was lost"));
        } else {
            self.close(key, Some(error.to_string()));
        }
    }

    fn draw(&mut self, key: u64) {
        let Some(open) = self.sessions.get_mut(&key) else { return };
        let Some(session) = open.session.upgrade() else {
            self.close(key, None);
            return;
        };
        let due = open.due();
        let begin = Instant::now();
        let late = due.map_or(Duration::ZERO, |due| begin.saturating_duration_since(due));
        if late > LOST {
            open.start += late;
        }
        let draws = late <= LATE || late > LOST;
        let frame = match open.speaker.next_frame(draws) {
            Ok(frame) => frame,
            Err(error) => return self.fail(key, &error),
        };
        let taken = begin.elapsed();
        {
            let mut figures = lock(&self.shared.figures);
            if frame.picture.is_some() {
                figures.drawn += 1;
                figures.seconds += taken.as_secs_f64();
            } else {
                figures.skipped += 1;
            }
            if due.is_some() {
                figures.add_delay(late + taken);
            }
        }
        if frame.picture.is_some() {
            lock(&self.shared.reserved).costs.add(&open.head, taken);
        }
        let waiting = open.speaker.waiting();
        if !session.deliver(frame, waiting) {
            self.close(key, None);
        }
    }
}

#[cfg(test)]
#[path = "drawing_tests.rs"]
mod tests;
