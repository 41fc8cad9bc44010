// How pictures are put together; see src/composite/gpu.rs.
struct CompositeParams {
    width: u32,
    height: u32,
    // Frames put together.
    frames: u32,
    // Where colour [frames, 3, rows, columns] and alpha [frames, rows, columns] begin in the images.
    at_color: u32,
    at_alpha: u32,
    // Pixels on either side of the edge that are softened.
    radius: u32,
    // Of the bytes that come out: size of a picture, and words of one.
    out_width: u32,
    out_height: u32,
    out_words: u32,
    // Not 0 where a picture has no background, and the coverage of its pixels is asked for.
    transparent: u32,
    // Number of the first frame among the torsos that a branch drew, or ABSENT.
    drawn_torso: u32,
}

// Row-major number of a pixel of a frame.
fn pixel_index(params: CompositeParams, frame: u32, x: u32, y: u32) -> u32 {
    return (frame * params.height + y) * params.width + x;
}
