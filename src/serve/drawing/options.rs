//! How a session looks, and when its frames are made.

use crate::serve::backdrop::Backdrop;
use std::time::Duration;

/// When the frames of a session are made.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Pace {
    /// 25 a second, each so long before its sound is heard.
    Live {
        /// The time before.
        lead: Duration,
    },
    /// As fast as they are taken.
    Unpaced,
}

/// How a session looks.
#[derive(Debug, Clone, PartialEq)]
pub struct SessionOptions {
    /// When its frames are made.
    pub pace: Pace,
    /// What is behind the head.
    pub backdrop: Backdrop,
}

/// Who is let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// The most live sessions at once.
    pub most: usize,
    /// Let in so many even where drawing them takes longer than there is time, so that pictures are passed over.
    pub overcommit: bool,
}
