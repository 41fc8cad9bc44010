//! The heads that are served, by name.

use crate::head::Head;
use crate::live::background::BackgroundType;
use crate::{Error, Result};
use std::sync::Arc;

/// A head that can be spoken with.
pub struct ServedHead {
    /// Its name in requests: letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// The head.
    pub head: Arc<Head>,
    /// Width and height of its pictures, pixels.
    pub size: [u32; 2],
    /// True for the made-up talker, who is nobody.
    pub is_sample: bool,
}

impl ServedHead {
    /// A head under a name made from `name`: other characters than letters, digits, `-`, `_` and `.` become `_`.
    ///
    /// # Errors
    /// [`Error::Input`] for a head without its clip, which cannot speak alone.
    pub fn new(name: &str, head: Arc<Head>, is_sample: bool) -> Result<Self> {
        let Some(clip) = &head.clip else {
            return Err(Error::input(
                name,
                "a head that speaks without its dataset",
                "one without a clip: it was saved while training went on, or by an earlier version",
                "convert it once: surfeltalk convert -m MODEL -s DATASET",
            ));
        };
        let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let name: String = name.chars().map(plain).take(64).collect();
        Ok(ServedHead { name, size: clip.size, head, is_sample })
    }
}

/// All heads that are served, at least one.
pub struct Heads(Vec<Arc<ServedHead>>);

impl Heads {
    /// These heads; of two with one name the second gets a number.
    ///
    /// # Errors
    /// [`Error::Internal`] without any.
    pub fn new(heads: Vec<ServedHead>) -> Result<Self> {
        let mut all: Vec<Arc<ServedHead>> = Vec::new();
        for mut head in heads {
            let name = head.name.clone();
            let mut number = 2;
            while all.iter().any(|other| other.name == head.name) {
                head.name = format!("{name}-{number}");
                number += 1;
            }
            all.push(Arc::new(head));
        }
        if all.is_empty() {
            return Err(Error::Internal("no head to serve".into()));
        }
        Ok(Heads(all))
    }

    /// The head of this name; the first one for `None`.
    ///
    /// # Errors
    /// [`Error::Input`] when there is no such head.
    pub fn find(&self, name: Option<&str>) -> Result<&Arc<ServedHead>> {
        let found = match name {
            None => self.0.first(),
            Some(name) => self.0.iter().find(|head| head.name == name),
        };
        found.ok_or_else(|| {
            let names: Vec<&str> = self.names().collect();
            let expected = format!("one of {}", names.join(", "));
            Error::input(
                "the head",
                expected,
                format!("{:?}", name.unwrap_or_default()),
                "choose one of these",
            )
        })
    }

    /// Their names, the first one first.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|head| head.name.as_str())
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ServedHead>> {
        self.0.iter()
    }
}

/// The background named in a request. Filmed frames and another colour in each frame are not for live pictures.
///
/// # Errors
/// [`Error::Input`] for another name.
pub fn background(name: Option<&str>) -> Result<BackgroundType> {
    let Some(name) = name else { return Ok(BackgroundType::default()) };
    match name.parse() {
        Ok(BackgroundType::Gt | BackgroundType::Hair | BackgroundType::Random) | Err(_) => Err(Error::input(
            "the background",
            "one of white, black, scene, torso, bg_w_torso",
            format!("{name:?}"),
            "choose one of these",
        )),
        Ok(background) => Ok(background),
    }
}
