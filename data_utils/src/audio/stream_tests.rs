use super::*;
use crate::audio::SAMPLES_PER_FRAME;
use crate::audio::mel_windows::tests::{encoder, voice};
use crate::audio::window::AudioRows;

/// After how many samples the window of each frame is complete, given one by one.
fn complete_after(mut stream: FeatureStream, frames: usize) -> Vec<usize> {
    let mut rows = AudioRows::new(stream.row_len(), WindowShape::of(stream.kind()));
    let mut after = Vec::new();
    for (received, sample) in voice(frames * SAMPLES_PER_FRAME + 5000).into_iter().enumerate() {
        rows.push(&stream.push(&[sample]).unwrap()).unwrap();
        while after.len() < frames && rows.window(after.len()).is_some() {
            after.push(received + 1);
        }
    }
    after
}

#[test]
fn the_look_ahead_is_kept_by_every_frame_and_needed_by_some() {
    let streams = [FeatureStream::mel(), FeatureStream::ave(encoder()), FeatureStream::speech().unwrap()];
    for (stream, frames) in streams.into_iter().zip([40, 6, 20]) {
        let ahead = look_ahead(stream.kind()).unwrap();
        let after = complete_after(stream, frames);
        assert_eq!(after.len(), frames);
        let needed = after.iter().enumerate().map(|(j, n)| n - j * SAMPLES_PER_FRAME).max().unwrap();
        assert!(needed <= ahead, "{needed} samples, {ahead} were said");
        // A column is 200 samples.
        assert!(needed + 200 > ahead, "{needed} samples, {ahead} were said");
    }
}
