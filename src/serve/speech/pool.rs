//! A chain of engines that many ask at once: as many are answered as the machine has cores, the others wait for their turn.
//!
//! An engine may hang for some seconds. Then those who wait do so without a thread, so that nothing else has to.

use super::chain::{SpeechChain, Spoken, State};
use crate::Error;
use crate::serve::refusal::Refusal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::task::spawn_blocking;

/// How long a sentence waits for its turn.
const TURN: Duration = Duration::from_secs(20);
/// How long the answer to [`SpeechPool::state`] stays true.
const STATE: Duration = Duration::from_secs(10);

/// Text to speech for many.
pub struct SpeechPool {
    chain: Arc<SpeechChain>,
    turns: Arc<Semaphore>,
    known: Arc<Mutex<Option<(Instant, State)>>>,
    asking: Arc<tokio::sync::Mutex<()>>,
}

impl SpeechPool {
    /// The engines of a chain.
    pub fn new(chain: SpeechChain) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, |count| count.get().max(2));
        SpeechPool {
            chain: Arc::new(chain),
            turns: Arc::new(Semaphore::new(cores)),
            known: Arc::default(),
            asking: Arc::default(),
        }
    }

    /// The names of the engines in their order.
    pub fn names(&self) -> Vec<String> {
        self.chain.names()
    }

    /// A sentence as speech; `engine` names one of them to be tried alone. Where nobody waits any more, its turn ends with the
    /// sentence.
    ///
    /// # Errors
    /// [`Refusal::Busy`] when the turn does not come within 20 seconds, else those of [`SpeechChain::speak`].
    pub async fn speak(&self, sentence: &str, engine: Option<&str>) -> Result<Spoken, Refusal> {
        let busy = |_| Refusal::Busy("too many sentences wait for their speech".into());
        let turn = tokio::time::timeout(TURN, Arc::clone(&self.turns).acquire_owned()).await.map_err(busy)?;
        let (chain, sentence, engine) =
            (Arc::clone(&self.chain), sentence.to_owned(), engine.map(str::to_owned));
        let work = move || {
            let _turn = turn;
            chain.speak(&sentence, engine.as_deref())
        };
        Ok(spawn_blocking(work).await.map_err(|e| Error::Internal(e.to_string()))??)
    }

    /// Which engine answers now. Asked again after 10 seconds only, and by one at a time.
    pub async fn state(&self) -> State {
        if let Some(state) = self.known_state() {
            return state;
        }
        let asking = Arc::clone(&self.asking).lock_owned().await;
        if let Some(state) = self.known_state() {
            return state;
        }
        let (chain, known) = (Arc::clone(&self.chain), Arc::clone(&self.known));
        let work = move || {
            let _asking = asking;
            let state = chain.state();
            *known.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), state.clone()));
            state
        };
        spawn_blocking(work).await.unwrap_or(State { engine: None, is_first: false })
    }

    fn known_state(&self) -> Option<State> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.as_ref().filter(|(at, _)| at.elapsed() < STATE).map(|(_, state)| state.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::super::Engine;
    use super::*;
    use crate::Result;
    use data_utils::audio::Sound;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// An engine that takes its time, and counts who asks.
    #[derive(Default)]
    struct Slow {
        now: AtomicUsize,
        most: AtomicUsize,
        asked: AtomicUsize,
    }

    impl Engine for Slow {
        fn name(&self) -> String {
            "slow".into()
        }

        fn speak(&self, _: &str) -> Result<Sound> {
            self.asked.fetch_add(1, Ordering::SeqCst);
            let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
            self.most.fetch_max(now, Ordering::SeqCst);
            std::thread::sleep(Duration::from_millis(100));
            self.now.fetch_sub(1, Ordering::SeqCst);
            Ok(Sound { samples: vec![0.1; 100], rate: 16_000 })
        }
    }

    fn pool() -> (Arc<SpeechPool>, Arc<Slow>) {
        let engine = Arc::<Slow>::default();
        (Arc::new(SpeechPool::new(SpeechChain::new(vec![engine.clone()]))), engine)
    }

    #[tokio::test]
    async fn many_sentences_are_made_by_few_threads() {
        let (pool, engine) = pool();
        let cores = std::thread::available_parallelism().map_or(2, |count| count.get().max(2));
        let ask = |_| {
            let pool = Arc::clone(&pool);
            tokio::spawn(async move { pool.speak("words", None).await.is_ok() })
        };
        for task in (0..6 * cores).map(ask).collect::<Vec<_>>() {
            assert!(task.await.expect("ended"));
        }
        assert!(engine.most.load(Ordering::SeqCst) <= cores);
    }

    #[tokio::test]
    async fn many_who_ask_for_the_state_ask_the_engine_once() {
        let (pool, engine) = pool();
        let ask = |k: u64| {
            let pool = Arc::clone(&pool);
            // Half of them do not wait for the answer.
            let patience = Duration::from_millis(if k.is_multiple_of(2) { 5 } else { 5000 });
            tokio::spawn(async move { tokio::time::timeout(patience, pool.state()).await })
        };
        for task in (0..40).map(ask).collect::<Vec<_>>() {
            if let Ok(state) = task.await.expect("ended") {
                assert_eq!(state, State { engine: Some("slow".into()), is_first: true });
            }
        }
        assert_eq!(engine.asked.load(Ordering::SeqCst), 1);
    }
}
