//! Programs that speak: flite and espeak-ng. They are started for each sentence; the text goes through a pipe, never into the
//! arguments.

use super::{Engine, decode};
use crate::{Error, Result};
use data_utils::audio::Sound;
use data_utils::media::child::answer;
use data_utils::media::files::read_bounded;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a sentence may take.
const TIME: Duration = Duration::from_secs(6);
/// The most sound that is taken, bytes.
const LIMIT: u64 = 32 << 20;

/// flite, a small English voice.
pub struct Flite {
    voice: String,
}

/// espeak-ng, many languages.
pub struct Espeak {
    voice: String,
}

impl Flite {
    /// Speaks with one of flite's voices (slt, rms, awb, kal16).
    ///
    /// # Errors
    /// [`Error::Input`] for a name that no voice can have.
    pub fn new(voice: &str) -> Result<Self> {
        Ok(Flite { voice: voice_name(voice)? })
    }

    /// flite's best voice, where it is installed.
    pub fn installed() -> Option<Self> {
        find("flite").map(|_| Flite { voice: "slt".into() })
    }
}

impl Espeak {
    /// Speaks with one of espeak-ng's voices (en-us, de, cmn, …).
    ///
    /// # Errors
    /// [`Error::Input`] for a name that no voice can have.
    pub fn new(voice: &str) -> Result<Self> {
        Ok(Espeak { voice: voice_name(voice)? })
    }

    /// English, where espeak-ng is installed.
    pub fn installed() -> Option<Self> {
        find("espeak-ng").map(|_| Espeak { voice: "en-us".into() })
    }
}

impl Engine for Flite {
    fn name(&self) -> String {
        format!("flite {}", self.voice)
    }

    fn speak(&self, sentence: &str) -> Result<Sound> {
        // flite cannot write to a pipe what it reads from one.
        let fail = |e: std::io::Error| Error::Internal(format!("a temporary file for a sound: {e}"));
        let file = tempfile::NamedTempFile::new().map_err(fail)?;
        let to = file.path().to_str().ok_or_else(|| Error::Internal("a temporary file's name".into()))?;
        say("flite", &["-voice", &self.voice, "-f", "/dev/stdin", "-o", to], sentence)?;
        decode(&read_bounded(file.path(), LIMIT)?, None)
    }
}

impl Engine for Espeak {
    fn name(&self) -> String {
        format!("espeak {}", self.voice)
    }

    fn speak(&self, sentence: &str) -> Result<Sound> {
        decode(&say("espeak-ng", &["-v", &self.voice, "--stdin", "--stdout"], sentence)?, None)
    }
}

/// Has a program say a sentence, and gives what it writes.
pub(super) fn say(program: &str, arguments: &[&str], sentence: &str) -> Result<Vec<u8>> {
    let path = find(program).unwrap_or_else(|| program.into());
    answer(&path, arguments, &format!("{sentence}\n"), LIMIT, TIME).map_err(|found| {
        let remedy = format!("check that {program} is installed and has this voice");
        Error::input(program, "speech", found, remedy)
    })
}

/// A program on the search path.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|dir| dir.join(program)).find(|path| Path::is_file(path))
}

/// A voice's name: it becomes an argument, so it may hold few characters, and not begin as an option does.
pub(super) fn voice_name(voice: &str) -> Result<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_+".contains(c);
    let is_name = (1..=64).contains(&voice.len()) && voice.chars().all(is_plain);
    if is_name && !voice.starts_with(['-', '+']) {
        return Ok(voice.to_owned());
    }
    let expected = "a voice's name: letters, digits, - and _";
    Err(Error::input("--tts", expected, format!("{voice:?}"), "list the voices of the program"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_voice_cannot_be_an_option_or_a_path() {
        for wrong in ["", "-f", "../x", "a b", "a\nb", "slt;x"] {
            assert!(Flite::new(wrong).is_err() && Espeak::new(wrong).is_err(), "{wrong:?}");
        }
        assert_eq!(Espeak::new("en-us+f3").expect("a voice").name(), "espeak en-us+f3");
    }

    #[test]
    #[ignore = "needs flite"]
    fn flite_speaks() {
        speaks(&Flite::installed().expect("flite"));
    }

    #[test]
    #[ignore = "needs espeak-ng"]
    fn espeak_speaks() {
        speaks(&Espeak::installed().expect("espeak-ng"));
    }

    fn speaks(engine: &dyn Engine) {
        let sound = engine.speak("-o is not an option; \"quotes\" $(neither).").expect("speech");
        assert!(sound.samples.len() > 16_000, "{} samples", sound.samples.len());
        assert!(sound.samples.iter().any(|sample| sample.abs() > 0.05));
    }
}
