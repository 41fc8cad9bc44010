// The crops of lips and eyes of a frame: first row, row after the last, first column, column after the last. Every member is
// four bytes wide.
struct Crops {
    lips_row0: u32,
    lips_row1: u32,
    lips_col0: u32,
    lips_col1: u32,
    eyes_row0: u32,
    eyes_row1: u32,
    eyes_col0: u32,
    eyes_col1: u32,
}

// Planes of a frame's target: red, green, blue, mask, how much the mask counts. [frames, TARGET_PLANES, rows, columns]
const TARGET_PLANES: u32 = 5u;
const PLANE_MASK: u32 = 3u;
const PLANE_CONFIDENCE: u32 = 4u;
