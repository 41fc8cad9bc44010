//! PyTorch files since 1.6: a zip archive with a pickle, `<name>/data.pkl`, and one entry per storage,
//! `<name>/data/<key>`, little endian.

use super::pickle::{self, Outcome, PICKLE_LIMIT, Refusal, broken};
use super::state_dict;
use crate::error::{Error, Result};
use crate::media::files::open_plain;
use candle_core::Tensor;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;
use zip::ZipArchive;

/// The most entries, and the most bytes in all of them together.
const ENTRY_LIMIT: usize = 4096;
const TOTAL_LIMIT: u64 = 4 << 30;
/// How much larger than its compressed form an entry may be; PyTorch itself stores without compression.
const RATIO_LIMIT: u64 = 100;

/// Reads the tensors of a zip archive by dotted name.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Tensor>> {
    let file = open_plain(path).map_err(|e| Error::io(path, "a PyTorch state dict", &e))?;
    read_archive(BufReader::new(file)).map_err(|refusal| state_dict::refused(path, refusal))
}

fn read_archive(file: BufReader<File>) -> Outcome<BTreeMap<String, Tensor>> {
    let mut archive = ZipArchive::new(file).or_else(|e| broken(format!("a damaged zip archive ({e})")))?;
    if archive.len() > ENTRY_LIMIT {
        return broken(format!("{} zip entries where {ENTRY_LIMIT} are allowed", archive.len()));
    }
    let mut names = Vec::new();
    for name in archive.file_names() {
        names.push(name.or_else(|e| broken(format!("a damaged zip archive ({e})")))?.into_owned());
    }
    let pickles: Vec<&String> = names.iter().filter(|name| is_named(name, "data.pkl")).collect();
    let [data] = pickles[..] else {
        return broken(format!("a zip archive with {} entries data.pkl where one belongs", pickles.len()));
    };
    let folder = data.strip_suffix("data.pkl").unwrap_or_default().to_string();
    let byte_order = format!("{folder}byteorder");
    if names.contains(&byte_order) && entry(&mut archive, &byte_order, 16)? != b"little" {
        return broken("big-endian values");
    }
    let bytes = entry(&mut archive, data, PICKLE_LIMIT)?;
    let (value, pickle, _) = pickle::load(&bytes)?;
    let named = state_dict::flatten(value, &pickle)?;

    let mut source_bytes = 0u64;
    for at in 0..archive.len() {
        let entry = archive.by_index_raw(at).or_else(|e| broken(format!("a damaged zip archive ({e})")))?;
        source_bytes = source_bytes.saturating_add(checked_size(entry.size(), entry.compressed_size())?);
    }
    if source_bytes > TOTAL_LIMIT {
        return broken(format!("an archive of {source_bytes} bytes where {TOTAL_LIMIT} are allowed"));
    }
    state_dict::assemble(&named, source_bytes, |storage| {
        let name = format!("{folder}data/{}", storage.key);
        let Some(length) = storage.count.checked_mul(storage.scalar.size()) else {
            return broken(format!("a storage of {} values", storage.count));
        };
        entry(&mut archive, &name, length as u64)
    })
}

/// True for `last` at the top of the archive or in its one folder.
fn is_named(name: &str, last: &str) -> bool {
    name == last || name.strip_suffix(last).is_some_and(|folder| folder.ends_with('/'))
}

fn checked_size(size: u64, compressed: u64) -> Outcome<u64> {
    if size > compressed.saturating_mul(RATIO_LIMIT).saturating_add(4096) {
        return broken(format!("a zip entry that grows from {compressed} to {size} bytes"));
    }
    Ok(size)
}

/// The bytes of one entry, at most `limit`; memory grows with what is really read.
fn entry(archive: &mut ZipArchive<BufReader<File>>, name: &str, limit: u64) -> Outcome<Vec<u8>> {
    let damaged = |e: &dyn std::fmt::Display| Refusal::Broken(format!("entry {name}: {e}"));
    let entry = archive.by_name(name).map_err(|e| damaged(&e))?;
    checked_size(entry.size(), entry.compressed_size())?;
    let mut bytes = Vec::new();
    entry.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(|e| damaged(&e))?;
    if bytes.len() as u64 > limit {
        return broken(format!("entry {name} of more than {limit} bytes"));
    }
    Ok(bytes)
}
