//! Chooses the poses of a clip: stabilized ones where they agree with the landmarks.

use crate::error::Result;
use crate::track::reprojection::reprojection;
use crate::track::stabilise::{Amplitude, amplitude, follow_slowly, held_out_jitter, jitter};
use crate::track::{
    FlowTracker, FrameLandmarks, Head, Lens, Pictures, Pose, ResidualMotion, StabiliseOptions, Stabilization,
    stabilise,
};

/// Largest distance of the landmarks through the poses, as a multiple of that through poses fitted to each frame alone.
const LARGEST_RATIO: f64 = 1.3;
/// Frames around the reference on which the poses are fitted once more, to some of the skin alone.
const HELD_OUT_FRAMES: usize = 250;

/// What the poses follow. Stabilized poses must turn as far as those of the landmarks: hair swings and skin slides, and poses
/// that follow them turn too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    /// Skin and hair.
    SkinAndHair,
    /// The skin of the face alone.
    Skin,
    /// The landmarks over a third of a second and more, the skin from frame to frame.
    SkinOverLandmarks,
    /// The landmarks.
    Landmarks,
}

impl Choice {
    /// The choice in words; `asked` where stabilizing was not wanted.
    pub fn words(self, asked: bool) -> &'static str {
        match self {
            Choice::SkinAndHair => "poses stabilized",
            Choice::Skin => {
                "poses stabilized by the skin alone, since the hair turns otherwise than the face"
            }
            Choice::SkinOverLandmarks => {
                "poses follow the skin from frame to frame and the landmarks in the long run, since what is seen turns otherwise \
                 than they do"
            }
            Choice::Landmarks if asked => "jitter measured",
            Choice::Landmarks => {
                "poses are those of the landmarks, since what is seen of skin and hair turns otherwise than they do"
            }
        }
    }
}

/// The poses that were chosen.
pub struct ChosenPoses {
    /// What they follow.
    pub choice: Choice,
    /// One for each frame.
    pub poses: Vec<Pose>,
    /// The motion that the poses of the fit leave, and that these leave where they are others.
    pub residuals: [Option<ResidualMotion>; 2],
}

/// A clip whose poses were fitted to landmarks.
pub struct FittedClip<'a> {
    /// Its frames.
    pub pictures: &'a Pictures<'a>,
    /// The head.
    pub head: Head<'a>,
    /// The lens.
    pub lens: &'a Lens,
    /// Frames with a face.
    pub seen: &'a [bool],
    /// Their landmarks.
    pub landmarks: &'a [FrameLandmarks],
    /// The fitted poses.
    pub poses: &'a [Pose],
    /// A network that follows the picture.
    pub flow: Option<&'a FlowTracker<'a>>,
}

impl FittedClip<'_> {
    /// The fitted poses as they are.
    ///
    /// # Errors
    /// Those of reading pictures.
    pub fn keep(&self) -> Result<ChosenPoses> {
        let first = jitter(self.pictures, &self.head, self.lens, self.seen, self.poses)?;
        Ok(ChosenPoses {
            choice: Choice::Landmarks,
            poses: self.poses.to_vec(),
            residuals: [Some(first), None],
        })
    }

    /// The most stable poses that agree with the landmarks.
    ///
    /// # Errors
    /// Those of reading pictures.
    pub fn choose(&self, options: &StabiliseOptions) -> Result<ChosenPoses> {
        let (mut poses, mut first) = (Vec::new(), None);
        for choice in [Choice::SkinAndHair, Choice::Skin] {
            let done;
            (poses, done) = self.stabilised(choice, self.seen, options)?;
            let first = first.get_or_insert(done.before);
            if self.agrees(&poses) {
                let residuals = [Some(first.clone()), Some(done.after)];
                return Ok(ChosenPoses { choice, poses, residuals });
            }
        }
        follow_slowly(self.poses, &mut poses, self.seen, &options.cuts);
        let after = jitter(self.pictures, &self.head, self.lens, self.seen, &poses)?;
        let shakes = |r: &ResidualMotion| r.jitter.frame_to_frame.iter().map(|v| v * v).sum::<f64>();
        if self.agrees(&poses) && first.as_ref().is_some_and(|first| shakes(&after) < shakes(first)) {
            let residuals = [first, Some(after)];
            return Ok(ChosenPoses { choice: Choice::SkinOverLandmarks, poses, residuals });
        }
        Ok(ChosenPoses { choice: Choice::Landmarks, poses: self.poses.to_vec(), residuals: [first, None] })
    }

    /// The motion that the fitted poses leave and that poses as chosen leave, measured on skin that these were not fitted to: a part of
    /// the clip is fitted once more without that skin. None where too little skin is seen.
    ///
    /// # Errors
    /// Those of reading pictures.
    pub fn held_out(
        &self,
        choice: Choice,
        options: &StabiliseOptions,
    ) -> Result<Option<[ResidualMotion; 2]>> {
        let options = StabiliseOptions { hold_out: true, ..options.clone() };
        let part = self.part();
        let (mut poses, done) = self.stabilised(choice, &part, &options)?;
        let after = match choice {
            Choice::SkinOverLandmarks => {
                follow_slowly(self.poses, &mut poses, &part, &options.cuts);
                held_out_jitter(self.pictures, &self.head, self.lens, &part, [self.poses, &poses])?
            }
            Choice::SkinAndHair | Choice::Skin | Choice::Landmarks => done.after,
        };
        let is_measured = done.before.jitter.patches > 0 && after.jitter.patches > 0;
        Ok(is_measured.then_some([done.before, after]))
    }

    /// The seen frames around the reference.
    fn part(&self) -> Vec<bool> {
        let known: Vec<usize> = (0..self.seen.len()).filter(|i| self.seen[*i]).collect();
        let middle = known.partition_point(|i| *i < self.head.reference);
        let last = known.len().saturating_sub(HELD_OUT_FRAMES);
        let first = middle.saturating_sub(HELD_OUT_FRAMES / 2).min(last);
        let mut part = vec![false; self.seen.len()];
        known.iter().skip(first).take(HELD_OUT_FRAMES).for_each(|i| part[*i] = true);
        part
    }

    fn stabilised(
        &self,
        choice: Choice,
        seen: &[bool],
        options: &StabiliseOptions,
    ) -> Result<(Vec<Pose>, Stabilization)> {
        let hair = self.head.hair.filter(|_| choice == Choice::SkinAndHair);
        let head = Head { hair, ..self.head };
        let mut poses = self.poses.to_vec();
        let done = stabilise(self.pictures, &head, self.lens, seen, &mut poses, options, self.flow)?;
        Ok((poses, done))
    }

    /// Whether poses turn as the fitted ones do, and show the landmarks where they are.
    fn agrees(&self, poses: &[Pose]) -> bool {
        let turns = amplitude(self.poses, poses, self.seen);
        let shown = reprojection(&self.head.mesh.vertices, self.landmarks, poses, self.lens);
        turns.iter().flatten().all(Amplitude::agrees) && shown.is_none_or(|r| r.ratio() <= LARGEST_RATIO)
    }
}
