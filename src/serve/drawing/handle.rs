//! The handle on the thread that draws.

use super::figures::Figures;
use super::options::{Admission, Pace, SessionOptions};
use super::shared::{Command, OpenRequest, Shared, lock};
use super::thread::Thread;
use crate::gpu::Gpu;
use crate::serve::heads::ServedHead;
use crate::serve::refusal::Refusal;
use crate::serve::session::{Session, random_name};
use crate::{Error, Result};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// A handle on the thread that draws; cheap to clone.
#[derive(Clone)]
pub struct Drawing {
    commands: Sender<Command>,
    shared: Arc<Shared>,
    admission: Admission,
    device: Arc<str>,
    /// Until somebody has waited for its end.
    thread: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Drawing {
    /// Starts the thread for a device. It draws some frames of every head first, and ends with [`Drawing::stop`].
    ///
    /// # Errors
    /// [`Error::Internal`] when the system gives no thread.
    pub fn start(gpu: Option<Gpu>, heads: Vec<Arc<ServedHead>>, admission: Admission) -> Result<Self> {
        let (commands, received) = channel();
        let device = gpu.as_ref().map_or_else(|| "the CPU".to_owned(), |gpu| gpu.name().to_string());
        let shared = Arc::<Shared>::default();
        let thread = Thread::new(gpu, Arc::clone(&shared), commands.clone());
        let thread = std::thread::Builder::new()
            .name("drawing".into())
            .spawn(move || thread.run(&heads, &received))
            .map_err(|e| Error::Internal(format!("a thread that draws: {e}")))?;
        let thread = Arc::new(Mutex::new(Some(thread)));
        Ok(Drawing { commands, shared, admission, device: device.into(), thread })
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
        &self.device
    }

    /// Sessions that are open.
    pub fn sessions(&self) -> usize {
        lock(&self.shared.places).count()
    }

    /// What was counted and measured so far.
    pub fn figures(&self) -> Figures {
        lock(&self.shared.figures).clone()
    }

    /// Milliseconds that a frame of a head takes.
    pub fn milliseconds(&self, head: &str) -> f64 {
        1e3 * lock(&self.shared.places).cost(head)
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
        let id = random_name()?;
        let key = self.admit(head, &options)?;
        let (reply, answer) = oneshot::channel();
        self.send(Command::Open(OpenRequest { key, head: Arc::clone(head), options, id, reply }));
        // A thread that ends answers nobody.
        let gone = |_| Refusal::Busy("the server is being stopped".into());
        Ok(answer.await.map_err(gone)??)
    }

    /// Keeps a place for another session of `head`, when there is one, and gives its key.
    fn admit(&self, head: &ServedHead, options: &SessionOptions) -> std::result::Result<u64, Refusal> {
        self.check_state()?;
        // Asked and kept under one lock: of two who ask at once for the last place, one gets it.
        let is_live = options.pace != Pace::Unpaced;
        let key = lock(&self.shared.places).take(&head.name, is_live, self.admission);
        key.ok_or_else(|| self.full())
    }

    /// Whether a session of `head` that has this pace would be opened now: asked before something is done in vain.
    ///
    /// # Errors
    /// [`Refusal::Busy`] when it would not.
    pub fn check_place(&self, head: &ServedHead, pace: Pace) -> std::result::Result<(), Refusal> {
        self.check_state()?;
        let has_place = lock(&self.shared.places).has(&head.name, pace != Pace::Unpaced, self.admission);
        if has_place { Ok(()) } else { Err(self.full()) }
    }

    fn full(&self) -> Refusal {
        lock(&self.shared.figures).refused += 1;
        Refusal::Busy("all sessions are taken".into())
    }

    /// # Errors
    /// [`Refusal::Busy`] when nothing is drawn.
    fn check_state(&self) -> std::result::Result<(), Refusal> {
        if let Some(fault) = self.fault() {
            return Err(Refusal::Busy(format!("the device cannot draw: {fault}")));
        }
        if self.shared.stopping.load(Ordering::Acquire) {
            return Err(Refusal::Busy("the server is being stopped".into()));
        }
        if !self.is_ready() {
            return Err(Refusal::Busy("the heads are being loaded".into()));
        }
        Ok(())
    }

    /// Draws some frames of heads that are to be served from now on. Sessions that run wait for each of them, some frames long.
    ///
    /// # Errors
    /// Those of drawing.
    pub async fn prepare(&self, heads: Vec<Arc<ServedHead>>) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Prepare(heads, reply));
        answer.await.map_err(|_| Error::Internal("the thread that draws has ended".into()))?
    }

    /// Waits until the thread has ended after [`Drawing::stop`], at most so long, and says whether it has: drivers of GPUs crash a
    /// program that ends while a thread of it draws.
    pub fn wait_for_end(&self, most: Duration) -> bool {
        let begin = Instant::now();
        let mut thread = lock(&self.thread);
        while thread.as_ref().is_some_and(|thread| !thread.is_finished()) {
            if begin.elapsed() > most {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        // A thread that panicked has said so.
        thread.take().is_none_or(|thread| thread.join().is_ok())
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
