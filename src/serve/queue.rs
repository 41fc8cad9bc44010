//! What a head is to say: speech that is there already, then a live voice, then silence.

use std::collections::VecDeque;
use std::sync::Arc;

/// Samples of a live voice that are waited for before it is heard, 60 ms: they may come unevenly.
const LIVE_START: usize = 960;
/// The most of a live voice that waits, one second; older samples are dropped.
const LIVE_LIMIT: usize = 16_000;

/// A piece of speech, 16 kHz mono.
#[derive(Debug, Clone)]
pub struct Speech {
    /// Number of the text or sound that it belongs to.
    pub utterance: u64,
    /// The sentence that is said, and its number in the text; a sound has none.
    pub sentence: Option<(usize, Arc<str>)>,
    /// Samples, full scale ±1.
    pub samples: Vec<f32>,
    /// Whether the utterance ends with it.
    pub is_last: bool,
}

/// Something that begins or ends at a sample.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// Speech begins after silence.
    Speaking,
    /// A sentence of an utterance begins.
    Sentence {
        /// Number of the utterance.
        utterance: u64,
        /// Number of the sentence in it, from 0.
        index: usize,
        /// The sentence.
        text: Arc<str>,
    },
    /// An utterance ends.
    Done {
        /// Its number.
        utterance: u64,
    },
    /// Speech was cut off by an interruption.
    Cut,
    /// Nothing is said from here on.
    Silent,
}

/// The samples taken from a queue, and what begins or ends in them.
#[derive(Debug, Default)]
pub struct Piece {
    /// Samples; silence where there was nothing to say.
    pub samples: Vec<f32>,
    /// Marks with their place in the samples.
    pub marks: Vec<(usize, Mark)>,
    /// Samples up to the last one that was said.
    pub spoken: usize,
}

/// Speech and live voice that wait.
#[derive(Debug, Default)]
pub struct SpeechQueue {
    blocks: VecDeque<Speech>,
    /// Samples of the first block that were taken.
    taken: usize,
    live: VecDeque<f32>,
    live_runs: bool,
    is_speaking: bool,
}

impl SpeechQueue {
    /// Adds speech behind what waits.
    pub fn push(&mut self, speech: Speech) {
        self.blocks.push_back(speech);
    }

    /// Adds samples of a live voice, 16 kHz; gives how many old ones were dropped since they came faster than they were heard.
    pub fn push_live(&mut self, samples: &[f32]) -> usize {
        self.live.extend(samples);
        let excess = self.live.len().saturating_sub(LIVE_LIMIT);
        self.live.drain(..excess);
        excess
    }

    /// Forgets all that waits.
    pub fn clear(&mut self) {
        *self = SpeechQueue::default();
    }

    /// Whether there is something to say now.
    pub fn has_speech(&self) -> bool {
        !self.blocks.is_empty() || self.live_is_ready()
    }

    /// Samples of speech that wait, without the live voice.
    pub fn waiting(&self) -> usize {
        self.blocks.iter().map(|speech| speech.samples.len()).sum::<usize>() - self.taken
    }

    fn live_is_ready(&self) -> bool {
        if self.live_runs { !self.live.is_empty() } else { self.live.len() >= LIVE_START }
    }

    /// The next `count` samples.
    pub fn take(&mut self, count: usize) -> Piece {
        let mut piece = Piece { samples: Vec::with_capacity(count), ..Piece::default() };
        while piece.samples.len() < count && !self.blocks.is_empty() {
            self.take_speech(count, &mut piece);
        }
        if piece.samples.len() < count && self.live_is_ready() {
            self.live_runs = true;
            self.begin_speaking(&mut piece);
            let wanted = (count - piece.samples.len()).min(self.live.len());
            piece.samples.extend(self.live.drain(..wanted));
            piece.spoken = piece.samples.len();
        }
        if piece.samples.len() < count {
            // A live voice that ran dry starts anew once enough of it is there.
            self.live_runs = false;
            if std::mem::take(&mut self.is_speaking) {
                piece.marks.push((piece.samples.len(), Mark::Silent));
            }
            piece.samples.resize(count, 0.0);
        }
        piece
    }

    fn begin_speaking(&mut self, piece: &mut Piece) {
        if !std::mem::replace(&mut self.is_speaking, true) {
            piece.marks.push((piece.samples.len(), Mark::Speaking));
        }
    }

    fn take_speech(&mut self, count: usize, piece: &mut Piece) {
        self.begin_speaking(piece);
        let Some(speech) = self.blocks.front() else { return };
        let at = piece.samples.len();
        if let (0, Some((index, text))) = (self.taken, &speech.sentence) {
            let mark = Mark::Sentence { utterance: speech.utterance, index: *index, text: Arc::clone(text) };
            piece.marks.push((at, mark));
        }
        let end = speech.samples.len().min(self.taken + count - at);
        piece.samples.extend_from_slice(&speech.samples[self.taken..end]);
        piece.spoken = piece.samples.len();
        if end < speech.samples.len() {
            self.taken = end;
            return;
        }
        if speech.is_last {
            piece.marks.push((piece.samples.len(), Mark::Done { utterance: speech.utterance }));
        }
        self.taken = 0;
        self.blocks.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn speech(utterance: u64, length: usize, is_last: bool) -> Speech {
        let sentence = Some((usize::from(is_last), Arc::from("words")));
        Speech { utterance, sentence, samples: vec![0.5; length], is_last }
    }

    #[test]
    fn speech_comes_in_its_order_with_marks_at_its_samples_and_silence_after_it() {
        let mut queue = SpeechQueue::default();
        queue.push(speech(7, 100, false));
        queue.push(speech(7, 50, true));
        assert_eq!(queue.waiting(), 150);
        let first = queue.take(120);
        assert_eq!((first.samples.len(), first.spoken), (120, 120));
        let text: Arc<str> = Arc::from("words");
        let sentence = |index| Mark::Sentence { utterance: 7, index, text: Arc::clone(&text) };
        assert_eq!(first.marks, [(0, Mark::Speaking), (0, sentence(0)), (100, sentence(1))]);
        assert_eq!(queue.waiting(), 30);
        let second = queue.take(120);
        assert_eq!(second.marks, [(30, Mark::Done { utterance: 7 }), (30, Mark::Silent)]);
        assert_eq!(second.spoken, 30);
        assert!(second.samples[..30].iter().all(|s| *s == 0.5));
        assert!(second.samples[30..].iter().all(|s| *s == 0.0));
        assert_eq!(queue.take(10).marks, []);
    }

    #[test]
    fn a_live_voice_is_heard_once_enough_of_it_is_there() {
        let mut queue = SpeechQueue::default();
        queue.push_live(&[0.25; 640]);
        assert!(!queue.has_speech());
        assert_eq!(queue.take(640).spoken, 0);
        queue.push_live(&[0.25; 640]);
        let piece = queue.take(640);
        assert_eq!((piece.spoken, piece.marks), (640, vec![(0, Mark::Speaking)]));
        // The rest of what has come is heard before silence.
        let piece = queue.take(1280);
        assert_eq!((piece.spoken, piece.marks), (640, vec![(640, Mark::Silent)]));
    }

    #[test]
    fn a_live_voice_that_comes_too_fast_loses_its_oldest_samples() {
        let mut queue = SpeechQueue::default();
        assert_eq!(queue.push_live(&vec![0.5; LIVE_LIMIT + 10]), 10);
        assert_eq!(queue.push_live(&[0.5; 5]), 5);
    }

    #[test]
    fn what_was_cleared_is_not_said() {
        let mut queue = SpeechQueue::default();
        queue.push(speech(1, 1000, true));
        queue.push_live(&[0.5; 2000]);
        queue.take(10);
        queue.clear();
        let piece = queue.take(100);
        assert_eq!((piece.spoken, piece.samples), (0, vec![0.0; 100]));
    }
}
