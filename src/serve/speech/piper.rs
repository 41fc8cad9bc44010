//! A voice of Piper (VITS, Kim et al. 2021): a network `voice.onnx`, with `voice.onnx.json` beside it. espeak-ng, a program of its own,
//! gives the phonemes; the network makes sound of them.

use super::Engine;
use super::child::{find, say};
use super::phonemes::{VoiceSettings, clean, ids};
use crate::{Error, Result};
use data_utils::audio::resample::Resampler;
use data_utils::audio::{SAMPLE_RATE, Sound};
use data_utils::media::files::read_bounded;
use rten::{Model, NodeId, RunOptions, ThreadPool};
use rten_tensor::NdTensor;
use rten_tensor::prelude::*;
use std::path::Path;
use std::sync::Arc;

/// The largest network and the largest settings, bytes.
const LARGEST: u64 = 1 << 30;
const LARGEST_SETTINGS: u64 = 4 << 20;
/// The loudest sample of a sentence.
const PEAK: f32 = 0.7;
/// Threads of the network: the drawing needs the others.
const THREADS: usize = 1;

/// A voice.
pub struct Piper {
    name: String,
    settings: VoiceSettings,
    model: Model,
    inputs: Vec<NodeId>,
    output: NodeId,
    threads: Arc<ThreadPool>,
}

impl Piper {
    /// Loads a voice and tries it.
    ///
    /// # Errors
    /// [`Error::Input`] for files that are no voice, and without espeak-ng.
    pub fn open(path: &Path) -> Result<Self> {
        let at = path.display().to_string();
        let beside = format!("{at}.json");
        let settings = VoiceSettings::parse(&read_bounded(Path::new(&beside), LARGEST_SETTINGS)?, &beside)?;
        let wrong = |found: String| {
            let remedy = "give a voice of Piper: its .onnx, with the .onnx.json beside it";
            Error::input(&at, "the network of a Piper voice (ONNX)", found, remedy)
        };
        if find("espeak-ng").is_none() {
            let (expected, remedy) = ("espeak-ng, which gives the phonemes", "install espeak-ng");
            return Err(Error::input("--tts piper", expected, "none on the search path", remedy));
        }
        let model = Model::load(read_bounded(path, LARGEST)?).map_err(|e| wrong(e.to_string()))?;
        let node = |name: &str| model.node_id(name).map_err(|e| wrong(e.to_string()));
        let mut inputs =
            ["input", "input_lengths", "scales"].map(node).into_iter().collect::<Result<Vec<_>>>()?;
        if settings.num_speakers > 1 {
            inputs.push(node("sid")?);
        }
        let output = *model.output_ids().first().ok_or_else(|| wrong("one without an output".into()))?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let threads = Arc::new(ThreadPool::with_num_threads(THREADS));
        let voice = Piper { name: format!("piper {stem}"), settings, model, inputs, output, threads };
        voice.speak("Yes.").map_err(|e| wrong(e.to_string()))?;
        Ok(voice)
    }

    /// The sound of phonemes at the voice's rate.
    fn sound(&self, ids: Vec<i32>) -> std::result::Result<Vec<f32>, String> {
        let count = ids.len();
        let length = i32::try_from(count).map_err(|e| e.to_string())?;
        let mut values = vec![
            NdTensor::from_data([1, count], ids).into(),
            NdTensor::from_data([1], vec![length]).into(),
            NdTensor::from_data([3], self.settings.scales().to_vec()).into(),
        ];
        if self.inputs.len() > values.len() {
            // Of many speakers the first.
            values.push(NdTensor::from_data([1], vec![0_i32]).into());
        }
        let inputs = self.inputs.iter().copied().zip(values).collect();
        let mut options = RunOptions::default();
        options.thread_pool = Some(Arc::clone(&self.threads));
        let outputs = self.model.run(inputs, &[self.output], Some(options)).map_err(|e| e.to_string())?;
        let output = outputs.into_iter().next().ok_or("the network gives nothing")?;
        let output = output.into_tensor::<f32>().ok_or("the network gives no sound")?;
        Ok(output.to_vec())
    }
}

impl Engine for Piper {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn speak(&self, sentence: &str) -> Result<Sound> {
        let fail = |found: String| {
            Error::input(&*self.name, "a sentence that it can say", found, "try other words or another voice")
        };
        let arguments = ["-q", "--ipa", "-v", &self.settings.espeak.voice, "--stdin"];
        let phonemes = String::from_utf8_lossy(&say("espeak-ng", &arguments, sentence)?).into_owned();
        let ids = ids(&self.settings, &clean(&phonemes, sentence));
        let mut samples = self.sound(ids).map_err(fail)?;
        let peak = samples.iter().fold(0.0_f32, |most, sample| most.max(sample.abs()));
        if !peak.is_finite() || samples.iter().any(|sample| !sample.is_finite()) {
            return Err(fail("no numbers come out of the network".into()));
        }
        samples.iter_mut().for_each(|sample| *sample *= PEAK / peak.max(0.01));
        let mut resampler = Resampler::new(self.settings.audio.sample_rate)?;
        let mut sound = resampler.push(&samples)?;
        sound.extend(resampler.finish()?);
        Ok(Sound { samples: sound, rate: SAMPLE_RATE })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_that_are_no_voice_are_refused_by_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("voice.onnx");
        let refused = || Piper::open(&path).err().expect("refused").to_string();
        assert!(refused().contains("voice.onnx.json"));
        let settings = r#"{"audio": {"sample_rate": 22050}, "espeak": {"voice": "en-us"}, "phoneme_id_map": {"_": [0], "^": [1], "$": [2]}}"#;
        let beside = folder.path().join("voice.onnx.json");
        std::fs::write(&beside, settings).expect("a file");
        assert!(refused().contains("voice.onnx") || find("espeak-ng").is_none());
        for bytes in [&b""[..], b"no network", &[8, 7, 18, 255, 255, 255, 255, 15], &[0; 4096]] {
            std::fs::write(&path, bytes).expect("a file");
            assert!(refused().contains("Piper") || find("espeak-ng").is_none(), "{}", refused());
        }
        std::fs::write(&beside, "no settings").expect("a file");
        assert!(refused().contains("voice.onnx.json"));
    }

    /// `SURFELTALK_PIPER_VOICE` names one.
    #[test]
    #[ignore = "needs a Piper voice"]
    fn a_voice_speaks() {
        let Some(path) = std::env::var_os("SURFELTALK_PIPER_VOICE") else { return };
        let begin = std::time::Instant::now();
        let voice = Piper::open(Path::new(&path)).expect("a voice");
        let loaded = begin.elapsed();
        let begin = std::time::Instant::now();
        let sound = voice.speak("Hello there, this is a voice that was learned.").expect("speech");
        let seconds = sound.samples.len() as f64 / f64::from(SAMPLE_RATE);
        println!("{}: loaded in {loaded:?}, {seconds:.2} s of speech in {:?}", voice.name(), begin.elapsed());
        assert!((1.5..6.0).contains(&seconds), "{seconds} s");
        assert!(sound.samples.iter().any(|sample| sample.abs() > 0.3));
    }
}
