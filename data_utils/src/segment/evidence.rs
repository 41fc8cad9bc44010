//! What may be learned as background where the person may always have been.
//!
//! A head that hardly moves never shows the wall behind its hair, so hair looks like a wall that is always there. Around the
//! person a pixel therefore counts as background only where it was uncovered, or where its colour is clearly that of the
//! background farther away and not of the person.

use super::color::{Costs, Histogram, Lab, distance2, is_bar};
use super::person::Trimap;
use super::regions::FaceFrame;
use rayon::prelude::*;

/// How much more likely a colour must be under the background's model than under the person's: difference of their costs.
const CLEARLY: f32 = 1.0;
/// Cost of a colour that the person hardly has: a room may have more of a colour that hair has too.
const STRANGE: f32 = 0.0;
/// Share of the frames in which the person must cover a pixel that was uncovered, and frames in which it must be free.
const COVERED: f32 = 0.1;
const FREE: usize = 4;
/// Least distance of what is seen of an uncovered pixel with and without the person, L*a*b*.
const CHANGED: f32 = 8.0;

/// Height of the chin, face heights from the middle of the face: below it are clothes, which may be like the wall.
const CHIN: f32 = -0.5;

/// What is known of a clip's background before it is learned.
pub struct BackgroundEvidence<'a> {
    /// Pixels where the head or its hair may be in all frames, `[height, width]`.
    zone: Vec<bool>,
    /// Colours far from the person.
    background: Costs,
    /// Colours that are the person's by their place.
    person: &'a Costs,
}

impl<'a> BackgroundEvidence<'a> {
    /// Gathers it from frames and what their landmarks say; `person` are the colours of what is certainly the person.
    pub fn gather<'b>(
        frames: impl Iterator<Item = (&'b Lab, &'b Trimap, &'b FaceFrame)>,
        person: &'a Costs,
    ) -> BackgroundEvidence<'a> {
        let (mut zone, mut colors) = (Vec::new(), Histogram::default());
        for (picture, trimap, frame) in frames {
            zone.resize(picture.pixels.len(), true);
            for (at, color) in picture.pixels.iter().enumerate() {
                let place = [(at % picture.width) as f32 + 0.5, (at / picture.width) as f32 + 0.5];
                zone[at] &= !trimap.background[at] && frame.local(place)[1] > CHIN;
                if trimap.background[at] {
                    colors.add(*color, f64::from(u8::from(!is_bar(*color))));
                }
            }
        }
        BackgroundEvidence { zone, background: colors.costs(), person }
    }

    /// Clears pixels of `outside` that may be the person's; `inside` are the masks of the person, one for each frame, both
    /// `[height, width]`.
    pub fn confirm(&self, frames: &[&Lab], inside: &[Vec<bool>], outside: &mut [Vec<bool>]) {
        let uncovered: Vec<bool> = (0..self.zone.len())
            .into_par_iter()
            .map(|at| self.zone[at] && self.was_uncovered(at, frames, inside, outside))
            .collect();
        outside.par_iter_mut().zip(frames).for_each(|(free, frame)| {
            for (at, color) in frame.pixels.iter().enumerate().filter(|(at, _)| self.zone[*at]) {
                free[at] &= uncovered[at] || self.is_background(*color);
            }
        });
    }

    fn is_background(&self, color: [f32; 3]) -> bool {
        let person = self.person.of(color);
        person > STRANGE && self.background.of(color) + CLEARLY < person
    }

    /// Whether a pixel shows something else with the person than without.
    fn was_uncovered(&self, at: usize, frames: &[&Lab], inside: &[Vec<bool>], outside: &[Vec<bool>]) -> bool {
        let seen = |masks: &[Vec<bool>]| -> Vec<[f32; 3]> {
            let of = masks.iter().zip(frames).filter(|(mask, _)| mask[at]);
            of.map(|(_, frame)| frame.pixels[at]).collect()
        };
        let (with, without) = (seen(inside), seen(outside));
        let covered = COVERED * frames.len() as f32;
        if (with.len() as f32) < covered || without.len() < FREE {
            return false;
        }
        let (with, without) = (median(&with), median(&without));
        // A forehead that moves uncovers hair, which is the person's.
        let is_person = self.person.of(without) + CLEARLY < self.background.of(without);
        distance2(with, without) > CHANGED * CHANGED && !is_person
    }
}

fn median(colors: &[[f32; 3]]) -> [f32; 3] {
    std::array::from_fn(|k| {
        let mut values: Vec<f32> = colors.iter().map(|c| c[k]).collect();
        values.sort_by(f32::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use image::RgbImage;

    const WALL: [u8; 3] = [90, 120, 160];
    const HAIR: [u8; 3] = [60, 40, 30];

    /// A row of 40 pixels: wall, hair from `left` on for ten pixels, wall. The person may be from 8 to 32.
    fn frame(left: usize) -> (Lab, Trimap) {
        let color = |x: usize| if (left..left + 10).contains(&x) { HAIR } else { WALL };
        let picture = RgbImage::from_fn(40, 1, |x, _| image::Rgb(color(x as usize)));
        let trimap = Trimap {
            person: vec![false; 40],
            background: (0..40).map(|x| !(8..32).contains(&x)).collect(),
            likely: vec![0.0; 40],
            low: vec![0.0; 40],
            beside: vec![None; 40],
            shoulder: vec![false; 40],
        };
        (Lab::of(&picture), trimap)
    }

    fn confirmed(lefts: &[usize], inside: &[Vec<bool>], person: [u8; 3]) -> Vec<Vec<bool>> {
        let frames: Vec<(Lab, Trimap)> = lefts.iter().map(|left| frame(*left)).collect();
        let mut colors = Histogram::default();
        colors.add(Lab::of(&RgbImage::from_pixel(1, 1, image::Rgb(person))).pixels[0], 1.0);
        let person = colors.costs();
        let face = FaceFrame { center: [20.0, 0.5], up: [0.0, -1.0], width: 10.0, height: 10.0 };
        let evidence =
            BackgroundEvidence::gather(frames.iter().map(|(lab, trimap)| (lab, trimap, &face)), &person);
        let labs: Vec<&Lab> = frames.iter().map(|(lab, _)| lab).collect();
        let mut outside: Vec<Vec<bool>> =
            inside.iter().map(|mask| mask.iter().map(|m| !m).collect()).collect();
        evidence.confirm(&labs, inside, &mut outside);
        outside
    }

    #[test]
    fn hair_of_a_still_head_is_no_background_although_it_was_taken_for_it() {
        let found = confirmed(&[15; 8], &vec![vec![false; 40]; 8], HAIR);
        for mask in found {
            assert!((0..40).all(|x| mask[x] != (15..25).contains(&x)), "{mask:?}");
        }
    }

    #[test]
    fn what_a_moving_head_uncovers_is_background_whatever_its_colour() {
        // Half of the frames with the head on the left; the person wears the colour of the wall.
        let lefts: Vec<usize> = (0..16).map(|t| if t < 8 { 10 } else { 20 }).collect();
        let inside: Vec<Vec<bool>> =
            lefts.iter().map(|l| (0..40).map(|x| (*l..*l + 10).contains(&x)).collect()).collect();
        let found = confirmed(&lefts, &inside, WALL);
        assert!((10..20).all(|x| !found[0][x] && found[12][x]));
        assert!((20..30).all(|x| found[0][x] && !found[12][x]));
        // Never covered, and of the person's colour: it may be either.
        assert!(!found[0][31] && found[0][33]);
    }

    #[test]
    fn hair_that_a_moving_forehead_uncovers_is_no_background() {
        // The whole is the person's; in half of the frames the right part was taken for it, in the others the left.
        let lefts: Vec<usize> = (0..16).map(|t| if t < 8 { 10 } else { 20 }).collect();
        let inside: Vec<Vec<bool>> =
            lefts.iter().map(|l| (0..40).map(|x| !(*l..*l + 10).contains(&x)).collect()).collect();
        let found = confirmed(&lefts, &inside, HAIR);
        assert!((10..30).all(|x| !found[0][x] && !found[12][x]));
    }
}
