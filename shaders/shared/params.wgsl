//#import grid
// What holds for a whole batch. Every member is four bytes wide, so host and device lay it out alike.
struct Params {
    // Surfels in one copy, frames (one per camera), copies (1 or as many as frames), frames × surfels.
    surfels: u32,
    frames: u32,
    copies: u32,
    instances: u32,
    // Of the image, pixels; and tiles across and down it.
    width: u32,
    height: u32,
    tiles_x: u32,
    tiles_y: u32,
    // Spherical harmonics per colour channel, 0 where the colours are ready.
    functions: u32,
    // Whether the surfels carry attention.
    attention: u32,
    // Pairs there is room for.
    pairs_max: u32,
    // Where each image starts in the buffer of images (or of their gradients), numbers; ABSENT where there is none.
    // Each is [frames, channels, rows, columns].
    at_color: u32,
    at_attention: u32,
    at_alpha: u32,
    at_depth: u32,
    at_median: u32,
    at_normal: u32,
    at_distortion: u32,
    // Gradient slots: the first pair that has one now, how many have, numbers in each.
    slot_first: u32,
    slot_count: u32,
    slot_width: u32,
    // Pixels behind which the background is known.
    background_samples: u32,
    // The first surfel of a copy that is sorted as if it lay farther away, as are all after it; and how much farther.
    behind_first: u32,
    behind_offset: f32,
    // Behind everything, colour then attention.
    background_0: f32,
    background_1: f32,
    background_2: f32,
    background_3: f32,
    background_4: f32,
    background_5: f32,
    background_6: f32,
}


// A pinhole camera: world to camera (rows of rotation, then translation), its place in the world, focal lengths and
// principal point in pixels.
struct Camera {
    r00: f32, r01: f32, r02: f32,
    r10: f32, r11: f32, r12: f32,
    r20: f32, r21: f32, r22: f32,
    t0: f32, t1: f32, t2: f32,
    x: f32, y: f32, z: f32,
    fx: f32, fy: f32,
    cx: f32, cy: f32,
    padding: f32,
}
