//! The presets of `arguments/`, which are part of the program.

use crate::train::TrainConfig;
use crate::{Error, Result};
use std::path::Path;

/// Name and text of each preset.
const PRESETS: [(&str, &str); 6] = [
    ("head", include_str!("../../arguments/head.toml")),
    ("face", include_str!("../../arguments/face.toml")),
    ("all", include_str!("../../arguments/all.toml")),
    ("quick", include_str!("../../arguments/quick.toml")),
    ("short", include_str!("../../arguments/short.toml")),
    ("torso", include_str!("../../arguments/torso.toml")),
];

/// The preset `wanted` names: a file, or the name of one that is part of the program.
///
/// # Errors
/// [`Error::Input`] when there is neither.
pub fn read(wanted: &Path) -> Result<toml::Table> {
    if wanted.exists() {
        return TrainConfig::read_table(wanted);
    }
    match PRESETS.iter().find(|(name, _)| wanted == Path::new(name)) {
        Some((name, text)) => text.parse().map_err(|e| Error::Internal(format!("the preset {name}: {e}"))),
        None => {
            let names = PRESETS.map(|(name, _)| name).join(", ");
            let expected = format!("a preset file, or one of {names}");
            Err(Error::input(
                wanted.display(),
                expected,
                "no such file",
                "check the path, or name one of these",
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_are_read_by_name_and_by_path() {
        for (name, _) in PRESETS {
            assert!(read(Path::new(name)).expect("a preset").contains_key("part"), "{name}");
        }
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("quick");
        std::fs::write(&path, "seed = 7").expect("written");
        assert_eq!(read(&path).expect("a preset")["seed"].as_integer(), Some(7));
        let text = read(Path::new("fast")).expect_err("refused").to_string();
        assert!(text.contains("one of head, face, all, quick, short, torso"), "{text}");
    }
}
