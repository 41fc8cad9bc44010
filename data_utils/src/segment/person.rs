//! Person and background: a graph cut between the background plate and the colours of the person.

use super::color::{Costs, Histogram, Lab, distance2, is_bar};
use super::cut::{CERTAIN, Cut};
use super::plate::Plate;
use super::regions::{self, FaceFrame};
use super::shapes;
use super::still::StillEdges;
use crate::dataset::grow;
use crate::face::Landmarks;

/// Cost of a border between two pixels of one colour, and the part of the cost that a strong edge removes.
const BORDER: f32 = 0.6;
const EDGE: f32 = 7.0;
/// Distances from the plate are clamped to this, squared standard deviations.
const FOREIGN: f32 = 40.0;
/// Distance from the plate below which a pixel is background, squared standard deviations over three channels: the mean
/// distance of the background's own pixels, with a margin.
const NEAR: f32 = 9.0;
/// The same where the background is extrapolated.
const GUESS: f32 = 4.0;
/// How far the extrapolated background is trusted, pixels in a picture of 512, and the preference for the person beyond
/// that.
const REACH: f32 = 24.0;
const FAR: f32 = 3.0;
/// How far the border may move from that of a given guess, pixels in a picture of 512.
const BAND: f32 = 5.0;
/// Largest weight of the colour models beside that of the plate.
const COLORS: f32 = 3.0;
/// Cost of labelling a colour as person that was never seen on the person.
const STRANGE: f32 = 1.0;
/// Pixels of background beside the body from which its colours are learned.
const FEW: f64 = 2000.0;
/// Weight of the plate's evidence against the person beside the chest, where shoulders hardly move either.
const SHOULDERS: f32 = 0.35;
/// Preference for a body that is as wide on one side as on the other.
const MIRRORED: f32 = 3.0;
/// Largest hole in the person that is closed, as a share of the picture.
const HOLES: f32 = 0.01;

/// Colours of the person and of the background over a whole clip.
#[derive(Debug, Clone)]
pub struct PersonColors {
    /// The person.
    pub person: Costs,
    /// Pixels that belong to the person by their place alone.
    pub seeds: Costs,
    /// Those of them below the chin.
    pub chest: Costs,
    /// Everything else.
    pub background: Costs,
    /// The background beside the body, on the picture's left and on its right.
    beside: [Costs; 2],
}

impl PersonColors {
    /// Learns the colours from pictures and masks, `[height, width]`.
    pub fn learn<'a>(
        pictures: impl Iterator<Item = (&'a Lab, &'a Trimap, &'a [bool], &'a [bool])>,
        [seeds, chest]: [&Costs; 2],
    ) -> PersonColors {
        let (mut person, mut background) = (Histogram::default(), Histogram::default());
        let mut beside = [Histogram::default(), Histogram::default()];
        for (picture, trimap, inside, outside) in pictures {
            for (at, color) in picture.pixels.iter().enumerate() {
                if inside[at] {
                    person.add(*color, 1.0);
                } else if outside[at] && !is_bar(*color) {
                    background.add(*color, 1.0);
                    if let Some(side) = trimap.beside[at] {
                        beside[usize::from(side)].add(*color, 1.0);
                    }
                }
            }
        }
        let costs = background.costs();
        let beside = beside.map(|b| if b.total() >= FEW { b.costs() } else { costs.clone() });
        let (seeds, chest) = (seeds.clone(), chest.clone());
        PersonColors { person: person.costs(), seeds, chest, background: costs, beside }
    }

    /// Evidence of a colour for the person, beside the chest.
    fn apart(&self, color: [f32; 3], side: Option<bool>, shoulder: bool) -> f32 {
        let background = side.map_or(&self.background, |s| &self.beside[usize::from(s)]);
        // There is no skin at the shoulders, but there may be walls of its colour.
        let body = if shoulder { &self.chest } else { &self.seeds };
        (background.of(color) - body.of(color)).clamp(-COLORS, COLORS)
    }
}

/// What the landmarks alone say about a frame.
#[derive(Debug, Clone)]
pub struct Trimap {
    /// Certainly person: the face, and the middle of the chest.
    pub person: Vec<bool>,
    /// Certainly background: far from head and shoulders.
    pub background: Vec<bool>,
    /// Preference for the person by place: above 0 where a head with hair and shoulders usually are.
    pub likely: Vec<f32>,
    /// 0 beside the face and above, 1 from the chin down.
    pub low: Vec<f32>,
    /// From the middle of the face down, whether a pixel lies on the picture's right of it; none above.
    pub beside: Vec<Option<bool>>,
    /// Below the chin and beside the neck.
    pub shoulder: Vec<bool>,
}

impl Trimap {
    /// The trimap of a frame.
    pub fn of(face: &Landmarks, frame: &FaceFrame, width: usize, height: usize) -> Trimap {
        let mut person = regions::filled(face, &regions::OVAL, width, height);
        let mut background = vec![false; width * height];
        let mut likely = vec![0.0; width * height];
        let mut low = vec![0.0; width * height];
        let mut beside = vec![None; width * height];
        let mut shoulder = vec![false; width * height];
        for at in 0..person.len() {
            let pixel = [(at % width) as f32 + 0.5, (at / width) as f32 + 0.5];
            let [right, up] = frame.local(pixel);
            let aside = right.abs();
            // Half a width of chest below the neck, from a fifth of a face below the chin.
            person[at] |= up < -0.75 && aside < 0.45 && aside < 0.2 + (-0.75 - up);
            let head = (right / 1.15).powi(2) + ((up - 0.15) / 1.2).powi(2) < 1.0;
            // Shoulders widen downwards from the height of the mouth.
            let body = up < -0.25 && aside < 0.6 + 5.0 * (-0.25 - up);
            background[at] = !(head || body);
            let hair = 1.0 - (right / 0.85).powi(2) - ((up - 0.1) / 0.85).powi(2);
            let shoulders = (-0.55 - up - 0.12 * aside) * 10.0;
            likely[at] = hair.max(shoulders).clamp(-1.0, 1.0) * 3.0;
            low[at] = ((-0.4 - up) / 0.12).clamp(0.0, 1.0);
            beside[at] = (up < 0.0).then_some(right > 0.0);
            shoulder[at] = up < -0.5 && aside > 0.5;
        }
        Trimap { person, background, likely, low, beside, shoulder }
    }
}

/// Strength of the edges of a picture: twice the mean squared difference of neighbours.
fn contrast(picture: &Lab) -> f32 {
    let (mut sum, mut count) = (0.0f64, 0usize);
    for row in picture.pixels.chunks_exact(picture.width.max(1)) {
        for pair in row.windows(2) {
            sum += f64::from(distance2(pair[0], pair[1]));
            count += 1;
        }
    }
    (2.0 * sum / count.max(1) as f64).max(1.0) as f32
}

/// Sets the costs of borders between neighbours by the picture's edges; edges that the background plate has as well
/// count less (Sun et al., "Background Cut", ECCV 2006). Only `wanted` pixels get borders.
pub fn set_borders(
    cut: &mut Cut,
    picture: &Lab,
    plate: Option<&Plate>,
    edge: f32,
    wanted: impl Fn(usize) -> bool,
) {
    let scale = 1.0 / contrast(picture);
    for at in (0..picture.pixels.len()).filter(|at| wanted(*at)) {
        let color = picture.pixels[at];
        cut.neighbours(at, |other, length| {
            let mut difference = distance2(color, picture.pixels[other]);
            if let Some(plate) = plate.filter(|p| p.known[at] && p.known[other]) {
                let behind = distance2(plate.lab.pixels[at], plate.lab.pixels[other]);
                let free = plate.distance2(at, color).max(plate.distance2(other, picture.pixels[other]));
                difference /= 1.0 + behind / 16.0 * (-free / 20.0).exp();
            }
            (BORDER + edge * (-difference * scale).exp()) / length
        });
    }
}

/// What was learned about a clip before a frame is segmented.
#[derive(Debug, Clone, Copy)]
pub struct Priors<'a> {
    /// The background.
    pub plate: &'a Plate,
    /// What person and background look like.
    pub colors: &'a PersonColors,
    /// Edges of the background.
    pub edges: Option<&'a StillEdges>,
    /// How often the other side of the body covers a pixel's mirror image, `[height, width]`.
    pub mirrored: Option<&'a [f32]>,
    /// Weight of the usual place of a person.
    pub place: f32,
}

/// Segments a frame into person (true) and background, `[height, width]`. With a `guess` only pixels near its border
/// can change.
pub fn segment(picture: &Lab, priors: &Priors, trimap: &Trimap, guess: Option<&[bool]>) -> Vec<bool> {
    let (width, height) = (picture.width, picture.height);
    let size = width.max(height) as f32 / 512.0;
    let near = guess.map(|g| border(g, width, ((BAND * size) as usize).max(2)));
    let open = |at: usize| near.as_ref().is_none_or(|n| n[at]);
    let mut cut = Cut::new(width, height);
    for (at, &color) in picture.pixels.iter().enumerate() {
        let energy = if let Some(guess) = guess.filter(|_| !open(at)) {
            if guess[at] { CERTAIN } else { -CERTAIN }
        } else if trimap.person[at] {
            CERTAIN
        } else {
            priors.energy(at, color, trimap, REACH * size)
        };
        cut.prefer_inside(at, energy);
    }
    set_borders(&mut cut, picture, Some(priors.plate), EDGE, open);
    let mut person = shapes::touching(&cut.solve(), &trimap.person, width);
    shapes::close_holes(&mut person, width, (HOLES * (width * height) as f32) as usize);
    person
}

impl Priors<'_> {
    /// The cost of a pixel being background minus the cost of it being person.
    fn energy(&self, at: usize, color: [f32; 3], trimap: &Trimap, reach: f32) -> f32 {
        let Priors { plate, colors, .. } = self;
        let (seen, distance, low) = (plate.known[at], plate.distance2(at, color), trimap.low[at]);
        if trimap.background[at] && !(seen && distance >= FOREIGN) {
            return -CERTAIN;
        }
        if low == 0.0 && self.edges.is_some_and(|e| e.seen(at, color)) {
            return -CERTAIN;
        }
        // A colour that was seen on neither speaks for the person.
        let by_color = colors.background.of(color) - colors.person.of(color).min(STRANGE);
        let off = distance.min(FOREIGN);
        let apart = colors.apart(color, trimap.beside[at], trimap.shoulder[at]);
        let (above, below) = if seen {
            let plain = 0.5 * (off - NEAR).min(14.0);
            let above = plain + by_color.clamp(-COLORS, COLORS) * 0.4;
            (above, if plain < 0.0 { SHOULDERS * plain + apart } else { above })
        } else if plate.away[at] <= reach {
            // Near known background its extrapolation is trusted. Beside the chest, where the background may differ,
            // its colours elsewhere have the same weight.
            let sure = colors.background.of(color) - colors.seeds.of(color).min(STRANGE);
            let foreign = 0.5 * (off - GUESS);
            let by_color = by_color.clamp(-COLORS, COLORS);
            let above = foreign.min(4.0) + 0.3 * by_color + 0.5 * sure.clamp(-COLORS, COLORS);
            // A colour that was seen neither on the chest nor in the background is decided by place and edges.
            let strange = if colors.seeds.of(color) > STRANGE { 0.3 } else { 1.0 };
            (above, strange * foreign.min(3.0) + apart)
        } else {
            (FAR, apart)
        };
        // Shoulders are about as wide on one side as on the other.
        let mirrored = self.mirrored.map_or(0.0, |m| MIRRORED * (2.0 * m[at] - 1.0).max(0.0));
        above + low * (below + mirrored - above) + self.place * trimap.likely[at]
    }
}

/// Pixels within `radius` of the border of a mask.
fn border(mask: &[bool], width: usize, radius: usize) -> Vec<bool> {
    let (grown, shrunk) = (grow(mask, width, radius), shapes::shrink(mask, width, radius));
    grown.iter().zip(shrunk).map(|(g, s)| *g && !s).collect()
}
