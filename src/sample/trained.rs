//! A head that was trained on the sample talker, so that there is one without any training: `talker.md` says how it was made.

use crate::Result;
use crate::head::Head;

/// The bytes of its head file.
pub static TRAINED: &[u8] = include_bytes!("talker.safetensors");

/// The head.
///
/// # Errors
/// [`crate::Error::Input`] when the bytes in the program are damaged.
pub fn trained() -> Result<Head> {
    Head::from_bytes(TRAINED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trained_head_is_small_and_can_speak_alone() {
        assert!(TRAINED.len() < 2_000_000);
        let head = trained().expect("a head");
        let clip = head.clip.as_ref().expect("a clip");
        assert_eq!(clip.size, [256, 256]);
        assert!(clip.frames.len() > 50 && clip.plates.len() == clip.frames.len());
    }
}
