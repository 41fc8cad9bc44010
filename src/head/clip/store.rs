//! A clip in the arrays of a head file.
//!
//! | array | type | meaning |
//! |---|---|---|
//! | `clip.size` | f64 `[2]` | width, height |
//! | `clip.frames` | f64 `[n, 19]` | img_id, audio row, 1 if held out; camera_from_world row by row (12); fx, fy, cx, cy |
//! | `clip.expressions` | f32 `[n, 22]` | blendshapes |
//! | `clip.voice` | f32 `[80, 4]` or empty | quiet, loud, least, most of each mel channel |
//! | `motion.…` | f64 | how the person moves, see [`crate::head::motion`]; may be absent |
//! | `clip.background` | bytes | a PNG or JPEG file, or empty |
//! | `clip.plate_index` | f64 `[n, 6]` | column, row, width, height; bytes of the colours, of the masks |
//! | `clip.plates` | bytes | for each frame a JPEG of the colours, then a PNG of the masks |

use super::frames::{Clip, ClipFrame};
use super::plates::{Entry, Plates};
use crate::head::archive::Archive;
use crate::head::field::EXPRESSION;
use crate::head::motion::Motion;
use crate::head::voice_statistics::VoiceStatistics;
use crate::{Camera, Error, Result};

const FRAME: usize = 19;
const PLATE: usize = 6;
const SIZE: &str = "clip.size";
const FRAMES: &str = "clip.frames";
const EXPRESSIONS: &str = "clip.expressions";
const VOICE: &str = "clip.voice";
const BACKGROUND: &str = "clip.background";
const PLATE_INDEX: &str = "clip.plate_index";
const PLATES: &str = "clip.plates";
/// Longest side of a picture, pixels.
const LONGEST_SIDE: f64 = 16384.0;

impl Clip {
    /// Puts the clip into an archive.
    pub(in crate::head) fn store(&self, archive: &mut Archive) {
        let n = self.frames.len();
        archive.put_f64(SIZE, &[2], self.size.map(f64::from).to_vec());
        archive.put_f64(FRAMES, &[n, FRAME], self.frames.iter().flat_map(frame_numbers).collect());
        let expressions = self.frames.iter().flat_map(|frame| frame.expression).collect();
        archive.put(EXPRESSIONS, &[n, EXPRESSION], expressions);
        let voice = self.voice.as_ref().map(VoiceStatistics::to_numbers).unwrap_or_default();
        archive.put(VOICE, &[voice.len() / 4, 4], voice);
        if let Some(motion) = &self.motion {
            motion.store(archive);
        }
        archive.put_bytes(BACKGROUND, self.background.clone());
        let index = self.plates.entries.iter().flat_map(plate_numbers).collect();
        archive.put_f64(PLATE_INDEX, &[self.plates.len(), PLATE], index);
        archive.put_bytes(PLATES, self.plates.bytes.clone());
    }

    /// Takes the clip out of an archive. `at` names the file in errors.
    ///
    /// # Errors
    /// [`Error::Input`] when something is missing or does not fit together.
    pub(in crate::head) fn restore(archive: &mut Archive, at: &str) -> Result<Self> {
        let damaged = |expected: &str, found: String| {
            Error::input(at, expected, found, "use a file that this version of surfeltalk wrote")
        };
        let size = archive.take_f64(at, SIZE, 2)?;
        let side = |v: &f64| (1.0..=LONGEST_SIDE).contains(v) && v.fract() == 0.0;
        if size.len() != 2 || !size.iter().all(side) {
            return Err(damaged("width and height of the clip", format!("{size:?}")));
        }
        let size = [size[0] as u32, size[1] as u32];
        let frames = archive.take_f64(at, FRAMES, FRAME)?;
        let expressions = archive.take(at, EXPRESSIONS, EXPRESSION)?;
        if frames.iter().any(|v| !v.is_finite()) || expressions.iter().any(|v| !v.is_finite()) {
            return Err(damaged("finite poses and blendshapes", "others".into()));
        }
        let index = archive.take_f64(at, PLATE_INDEX, PLATE)?;
        let n = frames.len() / FRAME;
        if n == 0 || expressions.len() / EXPRESSION != n || index.len() / PLATE != n {
            let found = format!(
                "{n} poses, {} blendshapes, {} torso plates",
                expressions.len() / EXPRESSION,
                index.len() / PLATE
            );
            return Err(damaged("as many poses, blendshapes and torso plates, at least one", found));
        }
        let frames = frames
            .chunks_exact(FRAME)
            .zip(expressions.as_chunks::<EXPRESSION>().0)
            .map(|(numbers, expression)| frame_of(numbers, *expression, size))
            .collect();
        let voice = archive.take(at, VOICE, 4)?;
        let voice = match voice.is_empty() {
            true => None,
            false => Some(VoiceStatistics::from_numbers(&voice, at)?),
        };
        let bytes = archive.take_bytes(at, PLATES)?;
        let entries = entries_of(&index, size, bytes.len())
            .ok_or_else(|| damaged("torso plates that lie in the picture", "others".into()))?;
        Ok(Clip {
            size,
            frames,
            voice,
            motion: Motion::restore(archive, at)?,
            background: archive.take_bytes(at, BACKGROUND)?,
            plates: Plates { entries, bytes },
        })
    }
}

fn frame_numbers(frame: &ClipFrame) -> Vec<f64> {
    let c = &frame.camera;
    let mut numbers = vec![frame.img_id.into(), frame.audio_row.into(), f64::from(u8::from(frame.held_out))];
    numbers.extend(c.camera_from_world.iter().flatten());
    numbers.extend([c.fx, c.fy, c.cx, c.cy]);
    numbers
}

fn frame_of(numbers: &[f64], expression: [f32; EXPRESSION], size: [u32; 2]) -> ClipFrame {
    let row = |r: usize| std::array::from_fn(|c| numbers[3 + 4 * r + c]);
    ClipFrame {
        img_id: numbers[0] as u32,
        audio_row: numbers[1] as u32,
        held_out: numbers[2] != 0.0,
        camera: Camera {
            camera_from_world: std::array::from_fn(row),
            fx: numbers[15],
            fy: numbers[16],
            cx: numbers[17],
            cy: numbers[18],
            width: size[0],
            height: size[1],
        },
        expression,
    }
}

fn plate_numbers(entry: &Entry) -> [f64; PLATE] {
    let [x, y] = entry.corner.map(f64::from);
    let [width, height] = entry.size.map(f64::from);
    [x, y, width, height, entry.color as f64, entry.mask as f64]
}

/// The plates' places; `None` when one lies outside the picture or outside the bytes.
fn entries_of(index: &[f64], size: [u32; 2], bytes: usize) -> Option<Vec<Entry>> {
    let mut start = 0usize;
    let mut entries = Vec::with_capacity(index.len() / PLATE);
    for numbers in index.chunks_exact(PLATE) {
        if numbers.iter().any(|v| !(0.0..=bytes.max(1 << 15) as f64).contains(v)) {
            return None;
        }
        let [x, y, width, height] = std::array::from_fn(|k| numbers[k] as u32);
        let [color, mask] = [numbers[4] as usize, numbers[5] as usize];
        if x + width > size[0] || y + height > size[1] || start + color + mask > bytes {
            return None;
        }
        entries.push(Entry { corner: [x, y], size: [width, height], color, mask, start });
        start += color + mask;
    }
    (start == bytes).then_some(entries)
}
