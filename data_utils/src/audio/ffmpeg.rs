//! ffmpeg as a child process for sound that no decoder here reads (Opus, HE-AAC, Vorbis, AC-3 and so on).
//!
//! The file name is an argument and never part of a shell command; only local files and pipes may be opened;
//! what comes back, and how long it may take, is bounded.

use super::decode::Failure;
use super::{LONGEST, SAMPLE_RATE};
use std::ffi::OsString;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// How long ffmpeg may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// How much of what ffmpeg says about a failure is passed on, in bytes.
const MESSAGE_LIMIT: u64 = 4096;

/// Decodes the first audio track of `path` to mono samples at 16 kHz.
pub(super) fn decode(path: &Path) -> Result<Vec<f32>, Failure> {
    run(Command::new("ffmpeg"), path, PATIENCE)
}

fn run(mut command: Command, path: &Path, patience: Duration) -> Result<Vec<f32>, Failure> {
    let failed = |e: &dyn std::fmt::Display| Failure::Unsupported(format!("ffmpeg: {e}"));
    let mut input = OsString::from("file:");
    input.push(path);
    command
        .args(["-nostdin", "-v", "error", "-xerror", "-protocol_whitelist", "file,pipe", "-i"])
        .arg(input)
        .args([
            "-map",
            "0:a:0",
            "-ac",
            "1",
            "-ar",
            &SAMPLE_RATE.to_string(),
            "-t",
            &(LONGEST + 1).to_string(),
        ])
        .args(["-f", "f32le", "pipe:1"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(Failure::Unsupported(
                "ffmpeg, which reads more formats, is not installed".to_string(),
            ));
        }
        Err(e) => return Err(failed(&e)),
    };
    let (Some(output), Some(messages)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(failed(&"no pipes"));
    };
    let (done, outcome) = mpsc::channel();
    let limit = u64::from(LONGEST + 1) * u64::from(SAMPLE_RATE) * 4;
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = output.take(limit).read_to_end(&mut bytes).map(|_| bytes);
        // Nobody listens any more when patience has run out.
        drop(done.send(read));
    });
    let listener = std::thread::spawn(move || {
        let mut text = Vec::new();
        let mut messages = messages;
        let heard = messages.by_ref().take(MESSAGE_LIMIT).read_to_end(&mut text);
        // The rest is read too, or ffmpeg would wait for it.
        drop(heard.and_then(|_| std::io::copy(&mut messages, &mut std::io::sink())));
        String::from_utf8_lossy(&text).trim().replace('\n', "; ")
    });
    let outcome = outcome.recv_timeout(patience);
    if outcome.is_err() {
        drop(child.kill());
    }
    let status = child.wait().map_err(|e| failed(&e))?;
    let message = listener.join().unwrap_or_default();
    drop(reader.join());
    let bytes = match outcome {
        Ok(bytes) => bytes.map_err(|e| failed(&e))?,
        Err(_) => return Err(failed(&format!("still busy after {} s", patience.as_secs()))),
    };
    if !status.success() {
        return Err(failed(&message));
    }
    let samples: Vec<f32> =
        bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    match samples.len() as u64 {
        0 => Err(Failure::NoSound("a file without samples".to_string())),
        n if n > u64::from(LONGEST) * u64::from(SAMPLE_RATE) => Err(Failure::TooLong),
        _ if samples.iter().any(|s| !s.is_finite()) => {
            Err(Failure::NoSound("samples that are not finite numbers".to_string()))
        }
        _ => Ok(samples),
    }
}
