//! The person divided into head (with hair and ears), neck, and torso: the jaw line of the landmarks, and below it
//! the colours of skin, hair and clothes with a graph cut along the picture's edges.

use super::color::{Costs, Histogram, Lab};
use super::cut::{CERTAIN, Cut};
use super::person::set_borders;
use super::regions::{self, FaceFrame};
use super::shapes;
use crate::dataset::{Label, grow};
use crate::face::Landmarks;

/// Cost of a border between two labels in these cuts.
const EDGE: f32 = 4.0;
/// Long hair: pixels beside the jaw, both sides together, are more than this share of the face.
const LONG_HAIR: f32 = 0.16;
/// Cost of a colour under the model of hair below which it may be hair.
const LIKE_HAIR: f32 = 0.0;
/// Hair hangs from this far beside the middle of the face to this much beyond its width beside the jaw, face widths.
const HANGS: [f32; 2] = [0.35, 0.5];
/// Hair is told from clothes by its colour where the clothes' model gives it at least this cost on average.
const DISTINCT: f32 = 1.5;
/// Preference for hair below the chin and its change for each face height further down: where its colour is its own, and where
/// clothes have it too.
const HANGING: [[f32; 2]; 2] = [[-0.5, 1.0], [-1.0, 6.0]];
/// Lowest place of hair, face heights from the middle of the face.
const LOWEST: f32 = -1.8;
/// Weight of the clip's usual neck.
const USUAL: f32 = 2.5;
/// Height of the chin in face heights from the middle of the face, and the preference for hair beside and above it.
const CHIN: f32 = -0.5;
const CURLS: f32 = 1.5;
/// Half the width, in face widths, below which a part of the body counts as a sliver, and how far from the middle of
/// the face slivers are removed.
const SLIVER: f32 = 0.035;
const ASIDE: f32 = 0.6;
/// A patch below the head that is smaller than the largest by this factor is dropped.
const STRAY: usize = 20;
/// The corners of the jaw, person's right and left.
const JAW_CORNERS: [usize; 2] = [58, 288];

/// Colours of skin, hair and clothes over a clip, and whether hair reaches below the jaw.
#[derive(Debug, Clone)]
pub struct BodyColors {
    skin: Costs,
    /// Skin in the shadow of the jaw or of a collar.
    shaded: Costs,
    hair: Costs,
    clothes: Costs,
    long_hair: bool,
    /// Whether clothes have other colours than hair.
    distinct_hair: bool,
    /// Share of the frames in which a pixel of the picture at half the size is neck, `[height, width]`, and that width.
    usual_neck: Option<(Vec<f32>, usize)>,
}

/// Gathers [`BodyColors`] frame by frame.
#[derive(Debug, Default)]
pub struct BodyGatherer {
    skin: Histogram,
    shaded: Histogram,
    hair: Histogram,
    /// Colours below the chin, and how far beside the middle of the face they are.
    below: Vec<([f32; 3], f32)>,
    /// Some of the hair's colours.
    strands: Vec<[f32; 3]>,
    beside_jaw: f64,
    /// Sum over the frames of how far from the middle the person reaches beside the jaw.
    reach: f64,
    frames: usize,
}

/// Cube roots of the share of light on skin in shadow, and the extra cost of explaining a colour by shadow.
const SHADES: [f32; 5] = [0.95, 0.88, 0.8, 0.72, 0.64];
const SHADED: f32 = 0.7;

/// A colour in less light: X, Y and Z are scaled by one factor, so L* + 16, a* and b* are scaled by its cube root.
fn darker([l, a, b]: [f32; 3], shade: f32) -> [f32; 3] {
    [(l + 16.0) * shade - 16.0, a * shade, b * shade]
}

/// Every so many pixels below the chin, one is kept as a sample.
const KEEP: usize = 7;

impl BodyGatherer {
    /// Adds a frame and the mask of its person.
    pub fn add(&mut self, picture: &Lab, person: &[bool], face: &Landmarks, frame: &FaceFrame) {
        let (width, height) = (picture.width, picture.height);
        let oval = regions::filled(face, &regions::OVAL, width, height);
        let inner = shapes::shrink(&oval, width, (0.05 * frame.width) as usize);
        let outer = grow(&oval, width, (0.04 * frame.width) as usize);
        let features = features(face, width, height);
        let (mut beside, mut reach) = (0usize, 0.0f32);
        for at in 0..oval.len() {
            let [right, up] = frame.local([(at % width) as f32 + 0.5, (at / width) as f32 + 0.5]);
            let color = picture.pixels[at];
            // The forehead's upper part may be hair.
            if inner[at] && !features[at] && up < 0.3 {
                self.skin.add(color, 1.0);
                SHADES.iter().for_each(|shade| self.shaded.add(darker(color, *shade), 1.0));
            }
            if !person[at] {
                continue;
            }
            if !outer[at] && up > -0.3 {
                self.hair.add(color, 1.0);
                if at % KEEP == 0 {
                    self.strands.push(color);
                }
            }
            if (-0.3..-0.1).contains(&up) && !outer[at] {
                beside += 1;
                reach = reach.max(right.abs());
            }
            if up < -0.62 && at % KEEP == 0 {
                self.below.push((color, right.abs()));
            }
        }
        self.beside_jaw += beside as f64 / f64::from(0.2 * frame.height * frame.width);
        self.reach += f64::from(reach);
        self.frames += 1;
    }

    /// The colours of all frames added.
    pub fn finish(self) -> BodyColors {
        let (skin, shaded) = (self.skin.costs(), self.shaded.costs());
        let hair = self.hair.costs();
        let frames = self.frames.max(1) as f64;
        let long_hair = self.beside_jaw / frames > f64::from(LONG_HAIR);
        let hangs = HANGS[0]..(self.reach / frames) as f32 + HANGS[1];
        let mut clothes = Histogram::default();
        for (color, aside) in &self.below {
            // Clothes: every colour below the chin that is not skin, and every colour at the shoulders; but not what hangs
            // below long hair and has its colour.
            let is_strand = long_hair && hangs.contains(aside) && hair.of(*color) < LIKE_HAIR;
            let weight = if is_strand {
                0.0
            } else if skin.of(*color).min(shaded.of(*color)) > 0.5 {
                1.0
            } else {
                f64::from(u8::from(*aside > 0.7))
            };
            clothes.add(*color, weight);
        }
        let clothes = clothes.costs();
        let cost = self.strands.iter().map(|color| clothes.of(*color)).sum::<f32>();
        let distinct_hair = cost / self.strands.len().max(1) as f32 >= DISTINCT;
        BodyColors { skin, shaded, hair, clothes, long_hair, distinct_hair, usual_neck: None }
    }
}

/// Eyes, brows and lips, whose colour is not that of skin.
fn features(face: &Landmarks, width: usize, height: usize) -> Vec<bool> {
    let mut mask = vec![false; width * height];
    regions::fill(&mut mask, width, &regions::outline(face, &regions::LIPS));
    for ring in &regions::EYES {
        regions::fill(&mut mask, width, &regions::outline(face, ring));
    }
    for ring in &regions::BROWS {
        regions::fill(&mut mask, width, &regions::outline(face, ring));
    }
    grow(&mask, width, 3)
}

impl BodyColors {
    /// Learns where the neck usually is, from masks of it in pictures at half the size, so that its edge does not jump from frame
    /// to frame where skin and clothes are alike.
    pub fn learn_usual_neck(&mut self, necks: &[Vec<bool>], width: usize) {
        let count = necks.first().map_or(0, Vec::len);
        let share = |at: usize| necks.iter().filter(|n| n[at]).count() as f32 / necks.len().max(1) as f32;
        self.usual_neck = (count > 0 && width > 0).then(|| ((0..count).map(share).collect(), width));
    }

    /// Preference for the neck at a pixel of a picture of this width.
    fn usual_neck(&self, at: usize, width: usize) -> f32 {
        let Some((share, half)) = &self.usual_neck else { return 0.0 };
        share.get(at / width / 2 * half + at % width / 2).map_or(0.0, |share| USUAL * (2.0 * share - 1.0))
    }

    /// Labels a person's pixels, bits of [`Label`], `[height, width]`: HEAD, NECK or TORSO, and within the head
    /// FACE and MOUTH.
    pub fn divide(&self, picture: &Lab, person: &[bool], face: &Landmarks, frame: &FaceFrame) -> Vec<u8> {
        let (width, height) = (picture.width, picture.height);
        let oval = regions::filled(face, &regions::OVAL, width, height);
        let jaw = jaw_level(face, frame);
        let local = |at: usize| frame.local([(at % width) as f32 + 0.5, (at / width) as f32 + 0.5]);
        let mut head = self.head(picture, person, &oval, &jaw, &local);
        head = shapes::touching(&head, &oval, width);
        gather_strays(&mut head, person, width);
        let mut body: Vec<bool> = person.iter().zip(&head).map(|(p, h)| *p && !h).collect();
        drop_slivers(&mut body, width, (SLIVER * frame.width) as usize, &local);
        let neck = self.neck(picture, &body, &grow(&oval, width, 3), &local);
        let mouth = regions::filled(face, &regions::MOUTH, width, height);
        (0..oval.len())
            .map(|at| match (body[at] || head[at] || oval[at], head[at], neck[at]) {
                (false, ..) => 0,
                (_, true, _) => {
                    let face = if oval[at] { Label::FACE } else { 0 };
                    Label::HEAD | face | if mouth[at] { Label::MOUTH } else { 0 }
                }
                (_, _, true) => Label::NECK,
                _ => Label::TORSO,
            })
            .collect()
    }

    /// The head: face, all above the corners of the jaw, and hair below them.
    fn head(
        &self,
        picture: &Lab,
        person: &[bool],
        oval: &[bool],
        jaw: &impl Fn([f32; 2]) -> f32,
        local: &impl Fn(usize) -> [f32; 2],
    ) -> Vec<bool> {
        let width = picture.width;
        let mut cut = Cut::new(width, picture.height);
        for (at, &color) in picture.pixels.iter().enumerate() {
            let place @ [right, up] = local(at);
            let above = jaw(place);
            let energy = if oval[at] {
                CERTAIN
            } else if !person[at] {
                0.0
            } else if above > 0.0 {
                // Everything above the corners of the jaw is head, unless a high collar shows clearly.
                if above > 0.12 { CERTAIN } else { 6.0 }
            } else if !self.long_hair || right.abs() < HANGS[0] || up < LOWEST {
                -CERTAIN
            } else {
                let body = self.skin.of(color).min(self.clothes.of(color));
                let [start, slope] = HANGING[usize::from(!self.distinct_hair)];
                // Above the chin, curls are more likely than clothes.
                let place = if up > CHIN && right.abs() > 0.3 { CURLS } else { start + slope * above };
                body - self.hair.of(color) + place
            };
            cut.prefer_inside(at, energy);
        }
        set_borders(&mut cut, picture, None, EDGE, |at| person[at] && jaw(local(at)) < 0.15);
        let head = cut.solve();
        let mut head: Vec<bool> =
            head.iter().zip(person).zip(oval).map(|((h, p), o)| *h && (*p || *o)).collect();
        // Thin strips labelled hair below the jaw are mislabelled edges of clothes.
        let solid = grow(&shapes::shrink(&head, width, 2), width, 2);
        for at in 0..head.len() {
            head[at] &= solid[at] || oval[at] || jaw(local(at)) > 0.0;
        }
        head
    }

    /// The neck: skin below the head that is connected to the jaw.
    fn neck(
        &self,
        picture: &Lab,
        body: &[bool],
        near_jaw: &[bool],
        local: &impl Fn(usize) -> [f32; 2],
    ) -> Vec<bool> {
        let width = picture.width;
        let mut cut = Cut::new(width, picture.height);
        for (at, &color) in picture.pixels.iter().enumerate() {
            let [right, up] = local(at);
            let energy = if !body[at] {
                0.0
            } else {
                let aside = (right.abs() - 0.4).max(0.0) * 30.0;
                let deep = (-0.9 - up).max(0.0) * 4.0;
                let jaw = if near_jaw[at] && right.abs() < 0.35 { 2.0 } else { 0.0 };
                let skin = self.skin.of(color).min(self.shaded.of(color) + SHADED);
                self.clothes.of(color) - skin + jaw - aside - deep + self.usual_neck(at, width)
            };
            cut.prefer_inside(at, energy);
        }
        set_borders(&mut cut, picture, None, EDGE, |at| body[at]);
        let neck: Vec<bool> = cut.solve().iter().zip(body).map(|(n, b)| *n && *b).collect();
        let seeds: Vec<bool> =
            (0..neck.len()).map(|at| near_jaw[at] && local(at)[0].abs() < 0.4 && neck[at]).collect();
        let mut neck = shapes::touching(&neck, &seeds, width);
        shapes::close_holes(&mut neck, width, 200);
        neck.iter_mut().zip(body).for_each(|(n, b)| *n &= *b);
        neck
    }
}

/// Removes thin parts beside the neck: edges of the background that touch a shoulder.
fn drop_slivers(body: &mut [bool], width: usize, radius: usize, local: &impl Fn(usize) -> [f32; 2]) {
    let solid = grow(&shapes::shrink(body, width, radius), width, radius);
    for (at, b) in body.iter_mut().enumerate() {
        *b &= solid[at] || local(at)[0].abs() < ASIDE;
    }
    // Parts that were connected through them.
    let (numbers, sizes) = shapes::patches(body, width);
    let largest = sizes.iter().copied().max().unwrap_or(0);
    for (b, number) in body.iter_mut().zip(&numbers) {
        *b &= sizes[*number as usize] * STRAY >= largest;
    }
}

/// Gives patches that are connected to no part of the body, such as tips of hair below the jaw, to the head.
fn gather_strays(head: &mut [bool], person: &[bool], width: usize) {
    let body: Vec<bool> = person.iter().zip(head.iter()).map(|(p, h)| *p && !h).collect();
    let (numbers, sizes) = shapes::patches(&body, width);
    let largest = sizes.iter().copied().max().unwrap_or(0);
    for (h, number) in head.iter_mut().zip(&numbers) {
        *h |= *number != 0 && sizes[*number as usize] * STRAY < largest;
    }
}

/// Height of a point above the line through the corners of the jaw, face heights.
fn jaw_level(face: &Landmarks, frame: &FaceFrame) -> impl Fn([f32; 2]) -> f32 {
    let corner = |i: usize| regions::point(face, i).map_or([0.0, -0.3], |p| frame.local(p));
    let ([x0, y0], [x1, y1]) = (corner(JAW_CORNERS[0]), corner(JAW_CORNERS[1]));
    let slope = if (x1 - x0).abs() > 1e-3 { ((y1 - y0) / (x1 - x0)).clamp(-1.0, 1.0) } else { 0.0 };
    move |[right, up]| up - (y0 + slope * (right - x0))
}
