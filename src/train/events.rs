//! What a training run tells the outside: one JSON line per record, and the same as TensorBoard events.
//!
//! TensorBoard's file is a sequence of TFRecords (length, masked CRC-32C, bytes, masked CRC-32C) of `Event`
//! protocol buffers; the four fields needed are written by hand.

use crate::{Error, Result};
use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The two logs of a run. Both are appended to, so a resumed run goes on in the same files.
pub struct Events {
    jsonl: Log,
    tensorboard: Log,
}

struct Log {
    path: PathBuf,
    file: BufWriter<File>,
}

impl Log {
    fn open(path: PathBuf) -> Result<Self> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(|e| Error::io(&path, "a log to append to", &e))?;
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
    /// Opens `metrics.jsonl` and `events.out.tfevents.surfeltalk` in `dir`.
    ///
    /// # Errors
    /// [`Error::Input`] when the folder cannot be written to.
    pub fn open(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir).map_err(|e| Error::io(dir, "a folder to write to", &e))?;
        let mut tensorboard = Log::open(dir.join("events.out.tfevents.surfeltalk"))?;
        let version = [double(1, now()), bytes(3, b"brain.Event:2")].concat();
        tensorboard.write(&record(&version))?;
        Ok(Events { jsonl: Log::open(dir.join("metrics.jsonl"))?, tensorboard })
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
    fn every_step_is_one_json_line() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut events = Events::open(dir.path()).expect("opened");
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
