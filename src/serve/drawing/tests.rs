//! Sessions as the thread draws them.

use super::{Admission, Drawing, Pace, SessionOptions};
use crate::gpu::{Choice, Gpu};
use crate::serve::backdrop::Backdrop;
use crate::serve::heads::ServedHead;
use crate::serve::picture::FramePicture;
use crate::serve::queue::{Mark, Speech};
use std::sync::Arc;
use std::time::{Duration, Instant};

async fn drawing(most: usize) -> (Drawing, Arc<ServedHead>) {
    drawing_on(None, most).await
}

async fn drawing_on(gpu: Option<Gpu>, most: usize) -> (Drawing, Arc<ServedHead>) {
    let sample = Arc::new(crate::sample::trained().expect("the sample head"));
    let head = Arc::new(ServedHead::new("sample", sample, true).expect("a head"));
    let drawing =
        Drawing::start(gpu, vec![Arc::clone(&head)], Admission { most, overcommit: true }).expect("a thread");
    let begin = Instant::now();
    while !drawing.is_ready() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", drawing.fault());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (drawing, head)
}

fn options(pace: Pace) -> SessionOptions {
    SessionOptions { pace, backdrop: Backdrop::default() }
}

#[tokio::test]
async fn of_four_who_ask_at_once_for_two_places_two_get_one() {
    let (drawing, head) = drawing(2).await;
    // For files, so that the cost of a frame on this machine does not matter.
    let open = || drawing.open(&head, options(Pace::Unpaced));
    let (a, b, c, d) = tokio::join!(open(), open(), open(), open());
    let asked = [a, b, c, d];
    assert_eq!(asked.iter().filter(|answer| answer.is_ok()).count(), 2);
    assert_eq!(drawing.sessions(), 2);
    assert_eq!(drawing.figures().refused, 2);
    drawing.stop();
}

#[tokio::test]
async fn a_client_that_interrupts_and_shouts_without_an_end_stops_nobody() {
    let (drawing, head) = drawing(4).await;
    let session = drawing.open(&head, options(Pace::Live { lead: Duration::ZERO })).await.expect("a session");
    let noise = Arc::clone(&session);
    let flood = std::thread::spawn(move || {
        for _ in 0..300_000 {
            noise.interrupt();
            noise.hear(vec![0.5; 64]);
        }
    });
    let mut positions = Vec::new();
    while positions.len() < 10 {
        positions.push(session.outbox.next().await.expect("a frame").position);
    }
    assert!(positions.windows(2).all(|pair| pair[1] == pair[0] + 640));
    flood.join().expect("ended");
    assert!(session.take_voice().len() <= 16_000);
    // What is said after the last interruption is said.
    let generation = session.generation();
    let speech = Speech { utterance: 1, sentence: None, samples: vec![0.1; 3200], is_last: true };
    assert!(session.say(generation, speech));
    let begin = Instant::now();
    loop {
        let frame = session.outbox.next().await.expect("a frame");
        if frame.events.iter().any(|event| event.mark == (Mark::Done { utterance: 1 })) {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(20), "nothing is said");
    }
    drawing.stop();
}

#[tokio::test]
async fn sessions_of_one_head_share_its_parameters_and_nothing_else() {
    two_backgrounds(None).await;
}

#[tokio::test]
async fn frames_of_several_sessions_that_a_gpu_draws_together_are_each_session_s_own() {
    let gpu = Gpu::open(Choice::Any).expect("a device").expect("a GPU, or Mesa's software one");
    two_backgrounds(Some(gpu)).await;
}

/// Two sessions before different colours, of which one says something.
async fn two_backgrounds(gpu: Option<Gpu>) {
    let (drawing, head) = drawing_on(gpu, 4).await;
    let open = |color: [u8; 3]| {
        let backdrop = Backdrop::Color(color);
        drawing.open(&head, SessionOptions { pace: Pace::Live { lead: Duration::ZERO }, backdrop })
    };
    let (red, blue) = tokio::join!(open([250, 0, 0]), open([0, 0, 250]));
    let (red, blue) = (red.expect("a session"), blue.expect("a session"));
    let speech = Speech { utterance: 1, sentence: None, samples: vec![0.1; 6400], is_last: true };
    assert!(red.say(red.generation(), speech));
    let (mut heard, mut corners) = ([false; 2], [[0; 3]; 2]);
    for _ in 0..15 {
        for (k, session) in [&red, &blue].into_iter().enumerate() {
            let frame = session.outbox.next().await.expect("a frame");
            heard[k] |= frame.is_speaking;
            if let Some(FramePicture { pixels, .. }) = frame.picture.as_deref() {
                corners[k] = [pixels[0], pixels[1], pixels[2]];
            }
        }
    }
    assert_eq!((heard, corners), ([true, false], [[250, 0, 0], [0, 0, 250]]));
    drawing.stop();
    assert!(drawing.wait_for_end(Duration::from_secs(20)));
    assert_eq!(drawing.sessions(), 0);
}
