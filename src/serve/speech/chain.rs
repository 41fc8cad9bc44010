//! Engines in a row.

use super::{Builtin, Engine, Espeak, Flite, OpenAi};
use crate::{Error, Result};
use data_utils::audio::Sound;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long an engine that failed is left alone.
const REST: Duration = Duration::from_secs(30);
/// What the command line may name.
const EXPECTED: &str = "auto, builtin, flite[:voice], espeak[:voice], piper:voice.onnx or openai:URL[,voice]";

/// Engines, the best first.
pub struct SpeechChain {
    engines: Vec<Slot>,
}

struct Slot {
    engine: Arc<dyn Engine>,
    failed: Mutex<Option<Instant>>,
}

/// Speech, and who made it.
#[derive(Debug, Clone)]
pub struct Spoken {
    /// 16 kHz.
    pub sound: Sound,
    /// The engine's name.
    pub engine: String,
}

/// Which engine answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The engine's name, when there is one.
    pub engine: Option<String>,
    /// Whether it is the first of the chain.
    pub is_first: bool,
}

impl SpeechChain {
    /// A chain of these engines.
    pub fn new(engines: Vec<Arc<dyn Engine>>) -> Self {
        let slot = |engine| Slot { engine, failed: Mutex::default() };
        SpeechChain { engines: engines.into_iter().map(slot).collect() }
    }

    /// The chain that `--tts` names, one engine each. `auto` stands for what is installed, and is what an empty list means; the
    /// built-in voice is last unless it is named before.
    ///
    /// # Errors
    /// [`Error::Input`] for an unknown name or a URL that is none.
    pub fn parse(names: &[String]) -> Result<Self> {
        let mut engines: Vec<Arc<dyn Engine>> = Vec::new();
        let auto = ["auto".to_owned()];
        let mut has_builtin = false;
        for name in if names.is_empty() { &auto } else { names } {
            let (kind, rest) = name.split_once(':').map_or((name.as_str(), None), |(k, r)| (k, Some(r)));
            match (kind, rest) {
                ("auto", None) => {
                    if let Some(flite) = Flite::installed() {
                        engines.push(Arc::new(flite));
                    }
                    if let Some(espeak) = Espeak::installed() {
                        engines.push(Arc::new(espeak));
                    }
                }
                ("builtin", None) => {
                    has_builtin = true;
                    engines.push(Arc::new(Builtin));
                }
                ("flite", voice) => engines.push(Arc::new(Flite::new(voice.unwrap_or("slt"))?)),
                ("espeak", voice) => engines.push(Arc::new(Espeak::new(voice.unwrap_or("en-us"))?)),
                #[cfg(feature = "piper")]
                ("piper", Some(path)) => engines.push(Arc::new(super::Piper::open(path.as_ref())?)),
                #[cfg(not(feature = "piper"))]
                ("piper", Some(_)) => {
                    let (expected, found) = ("a program that speaks with Piper's voices", "one without them");
                    let remedy = "build it with the feature piper";
                    return Err(Error::input("--tts", expected, found, remedy));
                }
                ("openai", Some(rest)) => engines.push(Arc::new(OpenAi::parse(rest)?)),
                _ => {
                    let remedy = "see serve --help";
                    return Err(Error::input("--tts", EXPECTED, format!("{name:?}"), remedy));
                }
            }
        }
        if !has_builtin {
            engines.push(Arc::new(Builtin));
        }
        Ok(SpeechChain::new(engines))
    }

    /// The names of the engines in their order.
    pub fn names(&self) -> Vec<String> {
        self.engines.iter().map(|slot| slot.engine.name()).collect()
    }

    /// A sentence as speech. `engine` names one of them to be tried alone.
    ///
    /// # Errors
    /// [`Error::Input`] when there is no such engine, or none of them can say it: what each said.
    pub fn speak(&self, sentence: &str, engine: Option<&str>) -> Result<Spoken> {
        let wanted = |slot: &&Slot| engine.is_none_or(|name| slot.engine.name() == name);
        if let Some(name) = engine
            && !self.engines.iter().any(|slot| wanted(&slot))
        {
            let expected = format!("one of {}", self.names().join(", "));
            return Err(Error::input("the voice", expected, format!("{name:?}"), "choose one of these"));
        }
        let mut faults: Vec<String> = Vec::new();
        // Those that failed a moment ago are asked only when nobody else is left.
        let (resting, ready): (Vec<&Slot>, Vec<&Slot>) =
            self.engines.iter().filter(wanted).partition(|slot| slot.rests());
        for slot in ready.into_iter().chain(resting) {
            match slot.engine.speak(sentence) {
                Ok(sound) if !sound.samples.is_empty() => {
                    slot.set_failed(None);
                    return Ok(Spoken { sound, engine: slot.engine.name() });
                }
                Ok(_) => faults.push(format!("{}: no sound", slot.engine.name())),
                Err(error) => {
                    tracing::warn!(engine = slot.engine.name(), %error, "no speech");
                    faults.push(format!("{}: {error}", slot.engine.name()));
                    slot.set_failed(Some(Instant::now()));
                }
            }
        }
        let remedy = "try other words, or name another engine by --tts";
        Err(Error::input("the text", "words that an engine can say", faults.join("; "), remedy))
    }

    /// Which engine answers now: it says a word. Waits for it.
    pub fn state(&self) -> State {
        let engine = self.speak("Test.", None).ok().map(|spoken| spoken.engine);
        let is_first = engine.as_deref() == self.names().first().map(String::as_str);
        State { engine, is_first }
    }
}

impl Slot {
    /// Whether it failed a moment ago.
    fn rests(&self) -> bool {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.is_some_and(|at| at.elapsed() < REST)
    }

    fn set_failed(&self, at: Option<Instant>) {
        *self.failed.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    struct Test {
        name: &'static str,
        speaks: bool,
        asked: AtomicUsize,
    }

    impl Engine for Test {
        fn name(&self) -> String {
            self.name.into()
        }

        fn speak(&self, _: &str) -> Result<Sound> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            match self.speaks {
                true => Ok(Sound { samples: vec![0.1; 100], rate: 16_000 }),
                false => Err(Error::input("a test", "speech", "none", "nothing")),
            }
        }
    }

    fn engine(name: &'static str, speaks: bool) -> Arc<Test> {
        Arc::new(Test { name, speaks, asked: AtomicUsize::new(0) })
    }

    #[test]
    fn the_next_engine_speaks_and_the_one_that_failed_is_left_alone() {
        let (first, second) = (engine("first", false), engine("second", true));
        let chain = SpeechChain::new(vec![first.clone(), second.clone()]);
        for _ in 0..3 {
            assert_eq!(chain.speak("words", None).expect("speech").engine, "second");
        }
        assert_eq!(first.asked.load(Ordering::Relaxed), 1);
        assert_eq!(chain.state(), State { engine: Some("second".into()), is_first: false });
    }

    #[test]
    fn when_no_engine_speaks_each_says_why() {
        let chain = SpeechChain::new(vec![engine("first", false), engine("second", false)]);
        let error = chain.speak("words", None).expect_err("no speech").to_string();
        assert!(error.contains("first") && error.contains("second"), "{error}");
        assert_eq!(chain.state().engine, None);
    }

    #[test]
    fn an_engine_can_be_named() {
        let chain = SpeechChain::new(vec![engine("first", true), engine("second", true)]);
        assert_eq!(chain.speak("words", Some("second")).expect("speech").engine, "second");
        let error = chain.speak("words", Some("third")).expect_err("refused").to_string();
        assert!(error.contains("first, second"), "{error}");
    }

    #[test]
    fn the_command_line_names_engines() {
        let names = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(ToString::to_string).collect();
            SpeechChain::parse(&given).map(|chain| chain.names())
        };
        assert_eq!(names(&["builtin"]).expect("a chain"), ["builtin"]);
        let chain = names(&["openai:http://127.0.0.1:9/,nova"]).expect("a chain");
        assert_eq!(chain, ["openai http://127.0.0.1:9", "builtin"]);
        assert_eq!(names(&[]).expect("a chain").last().map(String::as_str), Some("builtin"));
        for wrong in ["piper", "openai:ftp://x", "openai:", "builtin:x", ""] {
            let error = names(&[wrong]).expect_err(wrong).to_string();
            assert!(error.contains("--tts"), "{error}");
        }
    }
}
