//! What a session is, without a clock and without a network.

use super::*;
use crate::head::backend::CpuBackend;
use crate::sample;
use std::sync::OnceLock;

fn speaker() -> Speaker {
    static HEAD: OnceLock<Arc<Head>> = OnceLock::new();
    let head = HEAD.get_or_init(|| Arc::new(sample::trained().expect("a head")));
    Speaker::new(head, Box::new(CpuBackend::new()), PerformanceOptions::default()).expect("a speaker")
}

fn voice() -> Vec<f32> {
    let sentence = sample::Sentence::new("Hello there!").expect("known words");
    sample::speak(&[sentence], 1).expect("speech").samples
}

fn speech(utterance: u64, samples: Vec<f32>) -> Speech {
    Speech { utterance, sentence: Some((0, Arc::from("Hello there!"))), samples, is_last: true }
}

fn frames(speaker: &mut Speaker, count: usize, draw: bool) -> Vec<SpokenFrame> {
    (0..count).map(|_| speaker.next_frame(draw).expect("a frame")).collect()
}

fn events(frames: &[SpokenFrame]) -> Vec<(u64, &Mark)> {
    frames.iter().flat_map(|frame| &frame.events).map(|event| (event.position, &event.mark)).collect()
}

#[test]
fn a_head_that_waits_moves_in_silence() {
    let mut speaker = speaker();
    let frames = frames(&mut speaker, 12, true);
    for (k, frame) in frames.iter().enumerate() {
        assert_eq!(frame.position, 640 * k as u64);
        assert_eq!(frame.sound, [0.0; 640]);
        assert!(!frame.is_speaking && frame.events.is_empty());
        assert_eq!(frame.picture.as_ref().expect("a picture").size, [256, 256]);
    }
    assert!(frames.windows(2).any(|pair| pair[0].picture != pair[1].picture));
    assert!(!speaker.is_speaking());
}

#[test]
fn a_frame_that_was_begun_is_the_one_that_comes() {
    let (mut at_once, mut begun) = (speaker(), speaker());
    for _ in 0..4 {
        begun.start_frame().expect("begun");
        assert_eq!(begun.next_frame(true).expect("a frame"), at_once.next_frame(true).expect("a frame"));
    }
    // One that is being drawn comes, also where it would be passed over by now.
    begun.start_frame().expect("begun");
    assert!(begun.next_frame(false).expect("a frame").picture.is_some());
}

#[test]
fn speech_begins_in_the_next_frame_whole_and_with_its_events() {
    let mut speaker = speaker();
    frames(&mut speaker, 5, false);
    let voice = voice();
    speaker.say(speech(3, voice.clone())).expect("said");
    assert!(speaker.is_speaking());
    assert_eq!(speaker.waiting(), voice.len() as u64);
    let count = voice.len().div_ceil(640) + 4;
    let spoken = frames(&mut speaker, count, false);
    let heard: Vec<f32> = spoken.iter().flat_map(|frame| frame.sound.clone()).collect();
    assert_eq!(heard[..voice.len()], voice);
    assert!(heard[voice.len()..].iter().all(|sample| *sample == 0.0));
    let (start, end) = (5 * 640, 5 * 640 + voice.len() as u64);
    let marks = events(&spoken);
    assert_eq!(marks[0], (start, &Mark::Speaking));
    assert!(matches!(marks[1], (at, Mark::Sentence { utterance: 3, index: 0, .. }) if at == start));
    assert_eq!(marks[2..], [(end, &Mark::Done { utterance: 3 }), (end, &Mark::Silent)]);
    // Every event comes with the frame that its sample is in.
    for frame in &spoken {
        assert!(frame.events.iter().all(|event| event.position / 640 == frame.position / 640));
    }
    let last = spoken.iter().rposition(|frame| frame.is_speaking).expect("speech");
    assert_eq!(last, (voice.len() - 1) / 640);
}

#[test]
fn an_interruption_is_silent_from_its_sample_on_and_what_comes_next_is_said() {
    let mut speaker = speaker();
    let voice = voice();
    speaker.say(speech(0, voice.clone())).expect("said");
    speaker.say(speech(1, voice.clone())).expect("said");
    frames(&mut speaker, 10, false);
    let cut = speaker.interrupt().expect("cut");
    assert_eq!(cut, 10 * 640);
    assert!(!speaker.is_speaking() || speaker.waiting() <= FADE as u64);
    let after = frames(&mut speaker, 3, false);
    assert_eq!(events(&after), [(cut, &Mark::Cut)]);
    // The voice fades out over 5 ms, in which it goes on where it was.
    let sound = &after[0].sound;
    assert_eq!(sound[0], voice[6400]);
    assert!(sound[FADE..].iter().all(|sample| *sample == 0.0));
    speaker.say(speech(2, voice.clone())).expect("said");
    let next = frames(&mut speaker, 2, false);
    assert_eq!(next[0].sound, voice[..640]);
    assert_eq!(events(&next)[0], (13 * 640, &Mark::Speaking));
    // Nothing to interrupt: nothing is said about it.
    speaker.interrupt().expect("cut");
    frames(&mut speaker, 2, false);
    speaker.interrupt().expect("cut");
    assert!(events(&frames(&mut speaker, 2, false)).is_empty());
}

#[test]
fn a_live_voice_is_heard_later_by_its_look_ahead_and_without_gaps() {
    let mut speaker = speaker();
    let voice = voice();
    let mut heard = Vec::new();
    let mut pieces = voice.chunks(640);
    for _ in 0..voice.len().div_ceil(640) + 12 {
        if let Some(piece) = pieces.next() {
            assert_eq!(speaker.hear(piece), 0);
        }
        heard.extend(speaker.next_frame(false).expect("a frame").sound);
    }
    let first = heard.iter().position(|sample| *sample != 0.0).expect("a voice");
    let own = voice.iter().position(|sample| *sample != 0.0).expect("a voice");
    let delay = first - own;
    assert!(delay <= Performance::LOOK_AHEAD + 2 * 640, "{delay} samples");
    assert_eq!(heard[delay..delay + voice.len() - 640], voice[..voice.len() - 640]);
}

#[test]
fn frames_that_were_passed_over_change_no_later_one() {
    let (mut drawn, mut skipping) = (speaker(), speaker());
    for speaker in [&mut drawn, &mut skipping] {
        speaker.say(speech(0, voice())).expect("said");
    }
    let all = frames(&mut drawn, 8, true);
    let some: Vec<SpokenFrame> = (0..8).map(|k| skipping.next_frame(k % 3 == 0).expect("a frame")).collect();
    for (k, (a, b)) in all.iter().zip(&some).enumerate() {
        assert_eq!((a.position, &a.sound, &a.events), (b.position, &b.sound, &b.events));
        assert_eq!(b.picture.is_some(), k % 3 == 0);
        assert!(b.picture.is_none() || a.picture == b.picture, "frame {k}");
    }
}

#[test]
fn the_mouth_moves_with_speech_and_rests_in_silence() {
    let mut speaker = speaker();
    let silent = frames(&mut speaker, 10, true);
    speaker.say(speech(0, voice())).expect("said");
    let spoken = frames(&mut speaker, 25, true);
    // The lower half of the face, where lips and jaw are.
    let movement = |frames: &[SpokenFrame]| -> f64 {
        let mouth = |frame: &SpokenFrame| -> Vec<f64> {
            let picture = frame.picture.as_ref().expect("a picture");
            let rows = (140..200).flat_map(|y| (90..166).map(move |x| 3 * (y * 256 + x)));
            rows.map(|at| f64::from(picture.pixels[at])).collect()
        };
        let mouths: Vec<Vec<f64>> = frames.iter().map(mouth).collect();
        let change = |pair: &[Vec<f64>]| {
            pair[0].iter().zip(&pair[1]).map(|(a, b)| (a - b).abs()).sum::<f64>() / pair[0].len() as f64
        };
        mouths.windows(2).map(change).sum::<f64>() / (mouths.len() - 1) as f64
    };
    let (rest, speech) = (movement(&silent), movement(&spoken));
    assert!(speech > 2.0 * rest, "{speech} while it speaks, {rest} in silence");
}
