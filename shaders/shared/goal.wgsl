// What a frame is compared with beside its pixels: its crops, and what one pixel adds to the loss. Every member is four
// bytes wide.
struct Goal {
    // Per number: of |drawn − target|, and of a window's similarity, which is wanted large and so weighs less than nothing.
    l1: f32,
    similarity: f32,
    // Per pixel: cross-entropy of alpha and mask, audio attention, expression attention.
    mask: f32,
    audio: f32,
    expression: f32,
    // And normal consistency, distortion.
    normal: f32,
    distortion: f32,
    // Per number of a crop, and the crop's first row, row after the last, first column, column after the last.
    lips: f32,
    lips_row0: u32,
    lips_row1: u32,
    lips_col0: u32,
    lips_col1: u32,
    eyes: f32,
    eyes_row0: u32,
    eyes_row1: u32,
    eyes_col0: u32,
    eyes_col1: u32,
}

// Planes of a frame's target: red, green, blue, mask, trust in the mask. [frames, TARGET_PLANES, rows, columns]
const TARGET_PLANES: u32 = 5u;
const PLANE_MASK: u32 = 3u;
const PLANE_TRUST: u32 = 4u;
