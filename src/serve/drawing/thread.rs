//! The one thread that draws: it owns every session's head, makes each frame when it is due, and hands it on.
//!
//! A live session's frame is due a little before its sound is heard. When drawing falls behind, pictures are passed over and
//! the sound goes on. A session that is rendered for a file has no time: it gets what is left.

use super::open_session::{MadeFrame, OpenSession};
use super::options::SessionOptions;
use super::shared::{Command, OpenRequest, Shared, lock};
use crate::gpu::Gpu;
use crate::head::Branch;
use crate::head::backend::{self, Backend, SharedBackend};
use crate::live::generated_motion::GeneratedMotion;
use crate::live::pose_source::PoseSource;
use crate::serve::backdrop::Backdrop;
use crate::serve::command::{SendCommand, SessionCommand, Wish};
use crate::serve::heads::ServedHead;
use crate::serve::session::Session;
use crate::serve::speaker::Speaker;
use crate::{Error, Result};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

/// Frames that are drawn of each head before anyone may come in: the first ones are slow.
const WARM_UP: u32 = 6;
/// Most frames of several sessions that a GPU is given at once: more would let the first one wait for the last.
const TOGETHER: usize = 8;
/// How soon it is asked again whether the reader of a file took a frame: it does not say so.
const SOON: Duration = Duration::from_millis(4);

/// What draws a head and, where it has a branch for it, its torso.
struct Loaded {
    served: Weak<ServedHead>,
    head: SharedBackend,
    torso: Option<SharedBackend>,
}

/// The thread's own state.
pub(super) struct Thread {
    gpu: Option<Gpu>,
    shared: Arc<Shared>,
    commands: Sender<Command>,
    sessions: BTreeMap<u64, OpenSession>,
    backends: Vec<Loaded>,
    /// Speakers made so far, a seed for each.
    speakers: u64,
    /// Sessions that are to be opened: one after each frame, so that those that run need not wait for all of them.
    opening: VecDeque<OpenRequest>,
}

impl Thread {
    pub(super) fn new(gpu: Option<Gpu>, shared: Arc<Shared>, commands: Sender<Command>) -> Self {
        Thread {
            gpu,
            shared,
            commands,
            sessions: BTreeMap::new(),
            backends: Vec::new(),
            speakers: 0,
            opening: VecDeque::new(),
        }
    }

    /// Draws until it is stopped.
    pub(super) fn run(mut self, heads: &[Arc<ServedHead>], commands: &Receiver<Command>) {
        if let Err(error) = heads.iter().try_for_each(|head| self.warm_up(head)) {
            tracing::error!(%error, "a head cannot be drawn");
            *lock(&self.shared.fault) = Some(error.to_string());
        }
        self.shared.is_ready.store(true, Ordering::Release);
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
                    let keys = self.due_with(key);
                    self.draw(&keys);
                    self.open_next();
                    continue;
                }
                Some((_, wait)) => wait,
                None => Duration::from_secs(3600),
            };
            if self.open_next() {
                continue;
            }
            match commands.recv_timeout(wait) {
                Ok(command) => self.obey(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Draws some frames of a head, so that what a frame costs is known, and keeps the first one as its still picture.
    fn warm_up(&mut self, head: &Arc<ServedHead>) -> Result<()> {
        let speaker = |thread: &mut Thread| thread.speaker(head, &Backdrop::default());
        let mut speakers: Vec<Speaker> =
            (0..self.together()).map(|_| speaker(self)).collect::<Result<_>>()?;
        for k in 0..WARM_UP {
            let begin = Instant::now();
            speakers.iter_mut().try_for_each(Speaker::start_frame)?;
            for speaker in &mut speakers {
                if let Some(picture) = speaker.next_frame(true)?.picture {
                    head.keep_still(picture);
                }
            }
            // The first ones also load plates and, on a GPU, shaders.
            if k >= WARM_UP / 2 {
                let each = begin.elapsed() / speakers.len() as u32;
                lock(&self.shared.places).add_cost(&head.name, each);
            }
        }
        let milliseconds = 1e3 * lock(&self.shared.places).cost(&head.name);
        tracing::info!(head = head.name, size = ?head.size, milliseconds, "a head is ready");
        Ok(())
    }

    /// A head that speaks. All sessions of a head draw with the same backends, which hold its parameters once.
    fn speaker(&mut self, head: &Arc<ServedHead>, backdrop: &Backdrop) -> Result<Speaker> {
        // Those of heads that nobody serves or speaks with any more go.
        self.backends.retain(|loaded| loaded.served.strong_count() > 0);
        let known = self.backends.iter().find(|loaded| loaded.served.as_ptr() == Arc::as_ptr(head));
        let (backend, torso) = match known {
            Some(loaded) => (loaded.head.clone(), loaded.torso.clone()),
            None => {
                let of_head = self.load(&head.name, head.head.first()?)?;
                let torso = head.head.torso().map(|branch| self.load(&head.name, branch)).transpose()?;
                let (served, loaded) = (Arc::downgrade(head), (of_head.clone(), torso.clone()));
                self.backends.push(Loaded { served, head: of_head, torso });
                loaded
            }
        };
        let mut options = backdrop.options(head)?;
        options.torso_backend = torso.map(|torso| Box::new(torso) as Box<dyn Backend>);
        // With a torso for any pose the head moves by the sound, each session in its own way.
        let (kind, clip) = (head.head.first()?.settings.audio, head.head.clip.as_ref());
        self.speakers += 1;
        if let Some(clip) = clip.filter(|_| options.frames.background.draws_torso()) {
            let motion = clip.motion.clone();
            let motion =
                motion.and_then(|motion| GeneratedMotion::new(motion, &clip.frames, kind, self.speakers));
            options.poses = motion.map(|motion| Box::new(motion) as Box<dyn PoseSource>);
        }
        Speaker::new(&head.head, Box::new(backend), options)
    }

    /// Frames that are drawn together: a GPU works on one while the next is prepared, a processor draws one after the other.
    fn together(&self) -> usize {
        if self.gpu.is_some() { TOGETHER } else { 1 }
    }

    fn load(&self, name: &str, branch: &Branch) -> Result<SharedBackend> {
        let opened = backend::open(self.gpu.as_ref(), branch, branch.cloud.len(), 1);
        if let Some(note) = opened.note {
            tracing::warn!(head = name, "{note}");
        }
        SharedBackend::load(opened.backend, branch)
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
        let mut files = self.sessions.iter().filter(|(_, open)| open.due().is_none()).peekable();
        if files.peek().is_none() {
            return live;
        }
        match files.find(|(_, open)| open.has_work()) {
            Some((key, _)) => Some((*key, Duration::ZERO)),
            None => Some(live.map_or((u64::MAX, SOON), |(key, wait)| (key, wait.min(SOON)))),
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Open(request) => self.opening.push_back(request),
            Command::Session(SessionCommand { key, wish: Wish::Close }) => self.close(key, None),
            Command::Session(SessionCommand { key, wish }) => {
                if let Some(Err(error)) = self.sessions.get_mut(&key).map(|open| open.obey(wish)) {
                    self.fail(key, &error);
                }
            }
            Command::Prepare(heads, reply) => {
                let prepared = heads.iter().try_for_each(|head| self.warm_up(head));
                // Who asked may be gone.
                let _ = reply.send(prepared);
            }
            Command::Stop => {}
        }
    }

    /// Opens the session that has waited longest; false when none has.
    fn open_next(&mut self) -> bool {
        let Some(request) = self.opening.pop_front() else { return false };
        let OpenRequest { key, head, options, id, reply } = request;
        // Who asked may be gone.
        let opened = match reply.is_closed() {
            true => Err(Error::Internal("nobody waits for this session".into())),
            false => self.open(key, &head, &options, id),
        };
        if opened.is_err() {
            lock(&self.shared.places).free(key);
        }
        // Where who asked is gone by now, the session goes with the handle.
        drop(reply.send(opened));
        true
    }

    fn open(
        &mut self,
        key: u64,
        head: &Arc<ServedHead>,
        options: &SessionOptions,
        id: String,
    ) -> Result<Arc<Session>> {
        let speaker = self.speaker(head, &options.backdrop)?;
        let (shared, commands) = (Arc::clone(&self.shared), self.commands.clone());
        let send: SendCommand = Arc::new(move |command| {
            if matches!(command.wish, Wish::Close) {
                // Its place is free at once, also while the thread draws.
                lock(&shared.places).free(command.key);
            }
            // Fails only after the thread has ended.
            let _ = commands.send(Command::Session(command));
        });
        let session = Arc::new(Session::new(id, key, Arc::clone(head), send));
        self.sessions.insert(key, OpenSession::new(speaker, &session, options.pace));
        lock(&self.shared.figures).opened += 1;
        Ok(session)
    }

    fn close(&mut self, key: u64, fault: Option<String>) {
        if let Some(session) = self.sessions.remove(&key).and_then(|open| open.session()) {
            session.outbox.close(fault);
        }
        lock(&self.shared.places).free(key);
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

    /// The sessions whose frames are drawn together with that of `key`, which is due first: those that are due by now as well.
    fn due_with(&self, key: u64) -> Vec<u64> {
        let now = Instant::now();
        let live = self.sessions.iter().filter_map(|(key, open)| Some((open.due()?, *key)));
        let mut due: Vec<(Instant, u64)> = live.filter(|(due, other)| *due <= now && *other != key).collect();
        due.sort();
        let others = due.into_iter().map(|(_, other)| other);
        std::iter::once(key).chain(others).take(self.together()).collect()
    }

    /// Draws the next frame of each of these sessions and hands it on.
    fn draw(&mut self, keys: &[u64]) {
        let start = Instant::now();
        let mut begun = Vec::new();
        for &key in keys {
            let Some(open) = self.sessions.get_mut(&key) else { continue };
            let Some(session) = open.session() else {
                self.close(key, None);
                continue;
            };
            match open.begin_frame(&session) {
                Ok(frame) => begun.push((key, session, frame)),
                Err(error) => self.fail(key, &error),
            }
        }
        let mut drawn = Vec::new();
        for (key, session, frame) in begun {
            let Some(open) = self.sessions.get_mut(&key) else { continue };
            let MadeFrame { frame, delay } = match open.take_frame(&frame) {
                Ok(made) => made,
                Err(error) => {
                    self.fail(key, &error);
                    continue;
                }
            };
            count(&self.shared, frame.picture.is_some(), delay);
            if frame.picture.is_some() {
                drawn.push(open.head.clone());
            }
            let waiting = open.speaker.waiting();
            if !session.deliver(frame, waiting) {
                self.close(key, None);
            }
        }
        if drawn.is_empty() {
            return;
        }
        let taken = start.elapsed();
        lock(&self.shared.figures).seconds += taken.as_secs_f64();
        // On a GPU a frame that was drawn alone does not tell how many fit.
        if drawn.len() > 1 || self.gpu.is_none() {
            let each = taken / drawn.len() as u32;
            let mut places = lock(&self.shared.places);
            drawn.iter().for_each(|head| places.add_cost(head, each));
        }
    }
}

/// Counts a frame.
fn count(shared: &Shared, is_drawn: bool, delay: Option<Duration>) {
    let mut figures = lock(&shared.figures);
    if is_drawn {
        figures.drawn += 1;
    } else {
        figures.skipped += 1;
    }
    if let Some(delay) = delay {
        figures.add_delay(delay);
    }
}

impl Drop for Thread {
    /// A bug ends the thread; then nobody waits for it in vain.
    fn drop(&mut self) {
        if std::thread::panicking() {
            *lock(&self.shared.fault) = Some("the thread that draws ended in a bug".into());
            self.close_all(Some("this is a bug of surfeltalk; please report it"));
        }
    }
}
