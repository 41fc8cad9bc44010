//! What a training run tells the outside: one JSON line per record, and the same as TensorBoard events.
//!
//! TensorBoard's file is a sequence of TFRecords (length, masked CRC-32C, bytes, masked CRC-32C) of `Event`
//! protocol buffers; the four fields needed are written by hand.

use crate::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// Longest line or record that is read back, bytes.
const LONGEST_RECORD: u64 = 64 << 20;

/// The two logs of a run. A resumed run goes on in the same files, from the step of its checkpoint on.
pub struct Events {
    jsonl: Log,
    tensorboard: Log,
}

struct Log {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Log {
    /// Opens a log, of which `whole` gives the length of the part that is kept.
    fn open(path: PathBuf, whole: impl FnOnce(&mut dyn Read) -> std::io::Result<u64>) -> Result<Self> {
        let fail = |e: std::io::Error| Error::io(&path, "a log to append to", &e);
        let mut options = OpenOptions::new();
        let file = options.read(true).create(true).append(true).open(&path).map_err(fail)?;
        let kept = whole(&mut BufReader::new(&file)).map_err(fail)?;
        file.set_len(kept).map_err(fail)?;
        Ok(Log { path, file: BufWriter::new(file) })
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|e| Error::io(&self.path, "room to write to", &e))
    }

    fn flush(&mut self) -> Result<()> {
        self.file.flush().map_err(|e| Error::io(&self.path, "room to write to", &e))
    }
}

impl Events {
    /// Opens `metrics.jsonl` and `events.out.tfevents.surfeltalk` in `dir` for a run that stands after step `done`. What
    /// a run that was killed said about later steps is cut off, since these steps come again.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder cannot be written to.
    pub fn open(dir: &Path, done: u64) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, "a folder to write to", &e))?;
        let tensorboard = dir.join("events.out.tfevents.surfeltalk");
        let mut tensorboard = Log::open(tensorboard, |log| events_until(log, done))?;
        let version = [double(1, now()), bytes(3, b"brain.Event:2")].concat();
        tensorboard.write(&record(&version))?;
        let jsonl = Log::open(dir.join("metrics.jsonl"), |log| lines_until(log, done))?;
        Ok(Events { jsonl, tensorboard })
    }

    /// Scalars of one step: one JSON line `{"kind", "step", name: value, …}` and one event.
    ///
    /// # Errors
    /// [`Error::Input`] when the disk is full.
    pub fn scalars(&mut self, kind: &str, step: u64, values: &[(&str, f64)]) -> Result<()> {
        let mut line = serde_json::Map::new();
        line.insert("kind".into(), kind.into());
        line.insert("step".into(), step.into());
        line.extend(values.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())));
        self.jsonl.write(serde_json::Value::Object(line).to_string().as_bytes())?;
        self.jsonl.write(b"\n")?;
        let summary: Vec<u8> = values
            .iter()
            .flat_map(|(name, value)| {
                let tag = bytes(1, format!("{kind}/{name}").as_bytes());
                bytes(1, &[tag, float(2, *value as f32)].concat())
            })
            .collect();
        self.tensorboard.write(&record(&event(step, &summary)))
    }

    /// A picture, already encoded as PNG.
    ///
    /// # Errors
    /// [`Error::Input`] when the disk is full.
    pub fn picture(&mut self, tag: &str, step: u64, size: [u32; 2], png: &[u8]) -> Result<()> {
        let image =
            [varint(1, u64::from(size[1])), varint(2, u64::from(size[0])), varint(3, 3), bytes(4, png)]
                .concat();
        let summary = bytes(1, &[bytes(1, tag.as_bytes()), bytes(4, &image)].concat());
        self.tensorboard.write(&record(&event(step, &summary)))
    }

    /// Brings everything to the disk's cache; called at every checkpoint.
    ///
    /// # Errors
    /// [`Error::Input`] when the disk is full.
    pub fn flush(&mut self) -> Result<()> {
        self.jsonl.flush()?;
        self.tensorboard.flush()
    }
}

/// Bytes of the lines before the first that is of a later step than `done`, or no line of ours.
fn lines_until(log: &mut dyn Read, done: u64) -> std::io::Result<u64> {
    let (mut log, mut kept, mut line) = (BufReader::new(log), 0, Vec::new());
    loop {
        line.clear();
        let length = log.by_ref().take(LONGEST_RECORD).read_until(b'\n', &mut line)?;
        let step = serde_json::from_slice(&line).ok().and_then(|v: serde_json::Value| v["step"].as_u64());
        match step {
            Some(step) if step <= done && line.ends_with(b"\n") => kept += length as u64,
            _ => return Ok(kept),
        }
    }
}

/// Bytes of the records before the first that is of a later step than `done`, or damaged.
fn events_until(log: &mut dyn Read, done: u64) -> std::io::Result<u64> {
    let mut kept = 0;
    loop {
        let mut head = Vec::new();
        log.take(12).read_to_end(&mut head)?;
        let length = head.first_chunk().map(|length| u64::from_le_bytes(*length));
        let Some(length) = length.filter(|length| *length <= LONGEST_RECORD) else { return Ok(kept) };
        let mut data = Vec::new();
        log.take(length + 4).read_to_end(&mut data)?;
        let Some(body) = data.len().checked_sub(4).filter(|body| *body as u64 == length) else {
            return Ok(kept);
        };
        if data[body..] != masked_crc(&data[..body]) || step_of(&data[..body]).is_none_or(|step| step > done)
        {
            return Ok(kept);
        }
        kept += 16 + length;
    }
}

/// The step of an event as [`event`] writes it, 0 for the one with the version.
fn step_of(event: &[u8]) -> Option<u64> {
    // After the time, a double in field 1.
    let rest = event.get(9..)?;
    if rest.first() != Some(&(2 << 3)) {
        return Some(0);
    }
    let (mut step, mut shift) = (0u64, 0);
    for byte in rest.get(1..)? {
        step |= u64::from(byte & 0x7f).checked_shl(shift)?;
        if byte & 0x80 == 0 {
            return Some(step);
        }
        shift += 7;
    }
    None
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

fn event(step: u64, summary: &[u8]) -> Vec<u8> {
    [double(1, now()), varint(2, step), bytes(5, summary)].concat()
}

fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked_crc(&length), data, &masked_crc(data)].concat()
}

fn masked_crc(data: &[u8]) -> [u8; 4] {
    let crc = crc32c::crc32c(data);
    crc.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

fn raw_varint(mut value: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
    out
}

fn varint(field: u64, value: u64) -> Vec<u8> {
    [raw_varint(field << 3), raw_varint(value)].concat()
}

fn double(field: u64, value: f64) -> Vec<u8> {
    [raw_varint(field << 3 | 1), value.to_le_bytes().to_vec()].concat()
}

fn bytes(field: u64, value: &[u8]) -> Vec<u8> {
    [raw_varint(field << 3 | 2), raw_varint(value.len() as u64), value.to_vec()].concat()
}

fn float(field: u64, value: f32) -> Vec<u8> {
    [raw_varint(field << 3 | 5), value.to_le_bytes().to_vec()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_carries_the_checksums_tensorboard_wants() {
        // The length of an empty record and its masked CRC, as TensorFlow writes them.
        let r = record(b"");
        assert_eq!(r.len(), 16);
        assert_eq!(&r[8..12], &masked_crc(&[0; 8]));
        assert_eq!(masked_crc(b""), 0xa282_ead8u32.to_le_bytes());
        assert_eq!(crc32c::crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn a_run_that_goes_on_cuts_what_a_killed_run_said_about_later_steps() {
        let dir = tempfile::tempdir().expect("a folder");
        let run = |done: u64, steps: std::ops::Range<u64>| {
            let mut events = Events::open(dir.path(), done).expect("opened");
            for step in steps {
                events.scalars("train", step, &[("total", step as f64)]).expect("written");
            }
            events.flush().expect("flushed");
        };
        run(0, 1..200);
        // Killed in the middle of a line and of a record.
        for name in ["metrics.jsonl", "events.out.tfevents.surfeltalk"] {
            let path = dir.path().join(name);
            let bytes = std::fs::read(&path).expect("read");
            std::fs::write(&path, &bytes[..bytes.len() - 5]).expect("written");
        }
        run(150, 151..160);
        let text = std::fs::read_to_string(dir.path().join("metrics.jsonl")).expect("read");
        let step =
            |line: &str| serde_json::from_str::<serde_json::Value>(line).expect("json")["step"].as_u64();
        let steps: Vec<u64> = text.lines().filter_map(step).collect();
        assert_eq!(steps, (1..160).collect::<Vec<_>>());
        let events = std::fs::read(dir.path().join("events.out.tfevents.surfeltalk")).expect("read");
        // One version for each run, one record for each step.
        let mut at = 0;
        let mut records = 0;
        while at < events.len() {
            at += 16 + u64::from_le_bytes(events[at..at + 8].try_into().expect("8 bytes")) as usize;
            records += 1;
        }
        assert_eq!((at, records), (events.len(), 159 + 2));
        // A new run begins anew.
        run(0, 1..2);
        assert_eq!(
            std::fs::read_to_string(dir.path().join("metrics.jsonl")).expect("read").lines().count(),
            1
        );
    }

    #[test]
    fn every_step_is_one_json_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut events = Events::open(dir.path(), 0).expect("opened");
        events.scalars("train", 7, &[("total", 0.5), ("l1", 0.25)]).expect("written");
        events.scalars("train", 8, &[("total", 0.4)]).expect("written");
        events.picture("test/frame", 8, [1, 1], b"png").expect("written");
        events.flush().expect("flushed");
        let text = std::fs::read_to_string(dir.path().join("metrics.jsonl")).expect("read");
        let lines: Vec<serde_json::Value> =
            text.lines().map(|l| serde_json::from_str(l).expect("json")).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((lines[0]["step"].as_u64(), lines[0]["l1"].as_f64()), (Some(7), Some(0.25)));
        let events = std::fs::read(dir.path().join("events.out.tfevents.surfeltalk")).expect("read");
        let mut at = 0;
        let mut records = 0;
        while at < events.len() {
            let length = u64::from_le_bytes(events[at..at + 8].try_into().expect("8 bytes")) as usize;
            assert_eq!(events[at + 8..at + 12], masked_crc(&events[at..at + 8]));
            let data = &events[at + 12..at + 12 + length];
            assert_eq!(events[at + 12 + length..at + 16 + length], masked_crc(data));
            at += 16 + length;
            records += 1;
        }
        assert_eq!(records, 4);
    }
}
