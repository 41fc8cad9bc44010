//! SHA-256 of files and texts, in lower-case hexadecimal.

use crate::error::{Error, Result};
use crate::media::files::open_plain;
use sha2::{Digest as _, Sha256};
use std::io::Read;
use std::path::Path;

/// Size in bytes and SHA-256 of a file.
///
/// # Errors
/// [`Error::Input`] when the file cannot be read.
pub fn digest_file(path: &Path) -> Result<(u64, String)> {
    let fail = |e: std::io::Error| Error::io(path, "a readable file", &e);
    let mut file = open_plain(path).map_err(fail)?;
    let (mut hasher, mut bytes, mut part) = (Sha256::new(), 0, vec![0u8; 1 << 16]);
    loop {
        match file.read(&mut part).map_err(fail)? {
            0 => return Ok((bytes, hex(&hasher.finalize()))),
            n => {
                hasher.update(part.get(..n).unwrap_or_default());
                bytes += n as u64;
            }
        }
    }
}

/// SHA-256 of bytes.
pub fn digest_bytes(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// SHA-256 of a text.
pub fn digest_text(text: &str) -> String {
    digest_bytes(text.as_bytes())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_its_published_hash() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").expect("written");
        // FIPS 180-2, appendix B.1.
        let published = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest_file(&path).expect("read"), (3, published.to_owned()));
        assert_eq!(digest_text("abc"), published);
        assert_eq!(digest_file(&dir.path().join("none")).expect_err("refused").exit_code(), 2);
    }
}
