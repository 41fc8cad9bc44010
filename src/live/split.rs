//! The inputs of a dataset's own frames, as training saw them.

use super::driver::FrameInputs;
use crate::head::field::Conditions;
use data_utils::dataset::{Dataset, Split};

/// The inputs of every frame of one split, in their order, each with its own audio, pose and frame code. A frame whose audio
/// row lies past the end hears the last row (SyncTalk).
pub fn split_frames(dataset: &Dataset, split: Split) -> Vec<FrameInputs> {
    let numbers: Vec<(u32, bool)> =
        dataset.frames.iter().map(|frame| (frame.img_id, frame.split == Split::Train)).collect();
    let last_row = dataset.audio.rows.saturating_sub(1);
    let frames = dataset.frames.iter().zip(frame_codes(&numbers)).enumerate();
    frames
        .filter(|(_, (frame, _))| frame.split == split)
        .map(|(index, (frame, code))| FrameInputs {
            conditions: Conditions {
                audio: dataset.audio.window((frame.aud_id as usize).min(last_row)),
                expression: frame.expression.to_vec(),
                camera: frame.camera.token(),
                frame: code,
            },
            camera: frame.camera,
            plate: index,
        })
        .collect()
}

/// The frame code of each frame of a dataset, from (number in the source video, whether it was trained on): training frames are
/// counted from 0 in their order; a held-out frame takes the code of the training frame nearest in time, the earlier of two,
/// since the field never saw a code of its own. Without any training frame all are 0.
pub fn frame_codes(frames: &[(u32, bool)]) -> Vec<f32> {
    let mut trained: Vec<(u32, f32)> = Vec::new();
    for (id, _) in frames.iter().filter(|(_, train)| *train) {
        trained.push((*id, trained.len() as f32));
    }
    trained.sort_by_key(|(id, _)| *id);
    let nearest = |id: u32| {
        let after = trained.partition_point(|(other, _)| *other < id);
        let around = trained[after.saturating_sub(1)..trained.len().min(after + 1)].iter();
        around.min_by_key(|(other, _)| other.abs_diff(id)).map_or(0.0, |(_, code)| *code)
    };
    frames.iter().map(|(id, _)| nearest(*id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_held_out_frame_takes_the_code_of_its_nearest_training_frame() {
        let frames =
            [(0, false), (3, true), (4, true), (5, false), (6, false), (7, false), (9, true), (20, false)];
        assert_eq!(frame_codes(&frames), [0.0, 0.0, 1.0, 1.0, 1.0, 2.0, 2.0, 2.0]);
        assert_eq!(frame_codes(&[(5, false), (6, false)]), [0.0, 0.0]);
        assert!(frame_codes(&[]).is_empty());
    }
}
