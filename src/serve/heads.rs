//! The heads that are served, by name.

use super::picture::FramePicture;
use crate::head::Head;
use crate::{Error, Result};
use std::sync::{Arc, OnceLock, PoisonError, RwLock};

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
    still: OnceLock<Arc<FramePicture>>,
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
        Ok(ServedHead { name, size: clip.size, head, is_sample, still: OnceLock::new() })
    }

    /// The head as it waits; `None` before it was drawn for the first time.
    pub fn still(&self) -> Option<&Arc<FramePicture>> {
        self.still.get()
    }

    /// Keeps a picture as [`ServedHead::still`], where there is none yet.
    pub(super) fn keep_still(&self, picture: Arc<FramePicture>) {
        // The first one stays.
        let _ = self.still.set(picture);
    }
}

/// All heads that are served, at least one. They can be replaced while the server runs; sessions keep the head they began with.
pub struct Heads(RwLock<Vec<Arc<ServedHead>>>);

impl Heads {
    /// These heads; of two with one name the second gets a number.
    ///
    /// # Errors
    /// [`Error::Internal`] without any.
    pub fn new(heads: Vec<ServedHead>) -> Result<Self> {
        Ok(Heads(RwLock::new(named(heads)?)))
    }

    /// The head of this name; the first one for `None`.
    ///
    /// # Errors
    /// [`Error::Input`] when there is no such head.
    pub fn find(&self, name: Option<&str>) -> Result<Arc<ServedHead>> {
        let all = self.all();
        let found = match name {
            None => all.first(),
            Some(name) => all.iter().find(|head| head.name == name),
        };
        found.cloned().ok_or_else(|| {
            let names: Vec<&str> = all.iter().map(|head| head.name.as_str()).collect();
            let expected = format!("one of {}", names.join(", "));
            let found = format!("{:?}", name.unwrap_or_default());
            Error::input("the head", expected, found, "choose one of these")
        })
    }

    /// Their names, the first one first.
    pub fn names(&self) -> Vec<String> {
        self.all().iter().map(|head| head.name.clone()).collect()
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<ServedHead>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Serves these from now on.
    pub(super) fn replace(&self, heads: Vec<Arc<ServedHead>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = heads;
    }
}

/// Heads with names of their own.
///
/// # Errors
/// [`Error::Internal`] without any.
pub(super) fn named(heads: Vec<ServedHead>) -> Result<Vec<Arc<ServedHead>>> {
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
    match all.is_empty() {
        true => Err(Error::Internal("no head to serve".into())),
        false => Ok(all),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_have_names_of_their_own_and_can_be_replaced() {
        let sample = Arc::new(crate::sample::trained().expect("the sample head"));
        let head = |name: &str| ServedHead::new(name, Arc::clone(&sample), true).expect("a head");
        let heads = Heads::new(vec![head("a/b"), head("a b"), head("c")]).expect("heads");
        assert_eq!(heads.names(), ["a_b", "a_b-2", "c"]);
        let kept = heads.find(Some("c")).expect("a head");
        heads.replace(named(vec![head("d")]).expect("heads"));
        assert_eq!((heads.names(), kept.name.as_str()), (vec!["d".to_owned()], "c"));
        assert!(heads.find(Some("c")).err().is_some_and(|error| error.to_string().contains("one of d")));
        assert!(Heads::new(Vec::new()).is_err());
    }
}
