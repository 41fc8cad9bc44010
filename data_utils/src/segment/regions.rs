//! The parts of a face in the picture, from its landmarks.

use crate::face::Landmarks;

/// The outline of the face, from the middle of the forehead over the person's left cheek and the chin back to the
/// forehead.
pub const OVAL: [usize; 36] = [
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176,
    149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
];
/// The jaw line from the person's left ear lobe over the chin to the right one.
pub const JAW: [usize; 17] =
    [323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136, 172, 58];
/// Outer edge of the lips.
pub const LIPS: [usize; 20] =
    [61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291, 409, 270, 269, 267, 0, 37, 39, 40, 185];
/// Inner edge of the lips.
pub const MOUTH: [usize; 20] =
    [78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308, 415, 310, 311, 312, 13, 82, 81, 80, 191];
/// Edge of the lids of the person's right and left eye.
pub const EYES: [[usize; 16]; 2] = [
    [33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246],
    [263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466],
];
/// Brows, person's right and left.
pub const BROWS: [[usize; 10]; 2] =
    [[70, 63, 105, 66, 107, 55, 65, 52, 53, 46], [300, 293, 334, 296, 336, 285, 295, 282, 283, 276]];

/// The coordinate frame of a face in the picture: its middle, its upward direction and its size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FaceFrame {
    /// The middle between forehead and chin, pixels.
    pub center: [f32; 2],
    /// Unit vector from the chin to the forehead.
    pub up: [f32; 2],
    /// Distance from ear to ear, pixels; at least a third of `height`, so that a face in profile still has a width.
    pub width: f32,
    /// Distance from chin to the forehead's top, pixels.
    pub height: f32,
}

impl FaceFrame {
    /// The frame of a face's landmarks; none for landmarks that do not span a face.
    pub fn of(face: &Landmarks) -> Option<FaceFrame> {
        let [top, chin, right, left] =
            [point(face, 10)?, point(face, 152)?, point(face, 234)?, point(face, 454)?];
        let height = (top[0] - chin[0]).hypot(top[1] - chin[1]);
        let width = (right[0] - left[0]).hypot(right[1] - left[1]).max(height / 3.0);
        if !(height.is_finite() && width.is_finite() && height > 1.0) {
            return None;
        }
        Some(FaceFrame {
            center: [(top[0] + chin[0]) / 2.0, (top[1] + chin[1]) / 2.0],
            up: [(top[0] - chin[0]) / height, (top[1] - chin[1]) / height],
            width,
            height,
        })
    }

    /// A pixel in the coordinates of the face: from its middle to the picture's right in face widths, and upwards in face
    /// heights.
    pub fn local(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (dx, dy) = (x - self.center[0], y - self.center[1]);
        let [ux, uy] = self.up;
        [(-dx * uy + dy * ux) / self.width, (dx * ux + dy * uy) / self.height]
    }

    /// The pixel of coordinates in the face.
    pub fn pixel(&self, [right, up]: [f32; 2]) -> [f32; 2] {
        let [ux, uy] = self.up;
        let (right, up) = (right * self.width, up * self.height);
        [self.center[0] - right * uy + up * ux, self.center[1] + right * ux + up * uy]
    }
}

/// Column and row of a landmark, pixels; none when there is no such landmark.
pub fn point(face: &Landmarks, index: usize) -> Option<[f32; 2]> {
    face.points.get(index).map(|p| [p[0], p[1]])
}

/// Columns and rows of landmarks in the order given.
pub fn outline(face: &Landmarks, indices: &[usize]) -> Vec<[f32; 2]> {
    indices.iter().filter_map(|i| point(face, *i)).collect()
}

/// Sets the pixels of `mask`, `[height, width]`, that are inside a closed line: those whose centre (index + 0.5) is
/// inside by the even-odd rule.
pub fn fill(mask: &mut [bool], width: usize, line: &[[f32; 2]]) {
    if width == 0 || line.iter().flatten().any(|v| !v.is_finite()) {
        return;
    }
    let height = mask.len() / width;
    let mut crossings = Vec::new();
    for (y, row) in mask.chunks_exact_mut(width).enumerate().take(height) {
        let at = y as f32 + 0.5;
        crossings.clear();
        for (i, a) in line.iter().enumerate() {
            let b = line[(i + 1) % line.len()];
            if (a[1] <= at) != (b[1] <= at) {
                crossings.push(a[0] + (at - a[1]) / (b[1] - a[1]) * (b[0] - a[0]));
            }
        }
        crossings.sort_by(f32::total_cmp);
        for pair in crossings.chunks_exact(2) {
            // Casting saturates below 0; pixel i has its centre at i + 0.5.
            let from = ((pair[0] - 0.5).ceil().max(0.0) as usize).min(width);
            let to = ((pair[1] - 0.5).ceil().max(0.0) as usize).min(width);
            row[from..to.max(from)].iter_mut().for_each(|m| *m = true);
        }
    }
}

/// The mask of a closed line of landmarks, `[height, width]`.
pub fn filled(face: &Landmarks, indices: &[usize], width: usize, height: usize) -> Vec<bool> {
    let mut mask = vec![false; width * height];
    fill(&mut mask, width, &outline(face, indices));
    mask
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_is_filled_and_its_outside_is_not() {
        let mut mask = vec![false; 10 * 8];
        fill(&mut mask, 10, &[[2.0, 3.0], [6.0, 3.0], [6.0, 5.0], [2.0, 5.0]]);
        let inside = |x: usize, y: usize| (2..6).contains(&x) && (3..5).contains(&y);
        assert!((0..80).all(|i| mask[i] == inside(i % 10, i / 10)));
    }

    #[test]
    fn lines_that_leave_the_picture_are_cut_and_numbers_that_are_none_ignored() {
        let mut mask = vec![false; 16];
        fill(&mut mask, 4, &[[-1e9, -5.0], [1e9, -5.0], [1e9, 1e9], [-1e9, 1e9]]);
        assert!(mask.iter().all(|m| *m));
        let mut mask = vec![false; 16];
        fill(&mut mask, 4, &[[0.0, 0.0], [f32::NAN, 4.0], [4.0, 4.0]]);
        assert!(mask.iter().all(|m| !*m));
    }

    #[test]
    fn the_frame_of_a_face_goes_there_and_back() {
        let mut face = Landmarks { points: vec![[0.0; 3]; 478], score: 1.0 };
        for (i, p) in [(10, [100.0, 50.0]), (152, [110.0, 150.0]), (234, [60.0, 95.0]), (454, [150.0, 105.0])]
        {
            face.points[i] = [p[0], p[1], 0.0];
        }
        let frame = FaceFrame::of(&face).expect("a face");
        let [x, y] = frame.pixel(frame.local([77.0, 33.0]));
        assert!((x - 77.0).abs() < 1e-3 && (y - 33.0).abs() < 1e-3);
        let [right, up] = frame.local([110.0, 150.0]);
        assert!(
            right.abs() < 1e-5 && (up + 0.5).abs() < 1e-5,
            "the chin lies half a height below the middle"
        );
        assert!(frame.local([150.0, 105.0])[0] > 0.3, "the person's left is the picture's right");
        assert!(FaceFrame::of(&Landmarks { points: Vec::new(), score: 1.0 }).is_none());
    }
}
