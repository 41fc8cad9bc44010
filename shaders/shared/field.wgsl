//#import grid
// Sizes of the field and of the frames it is asked about; see src/head/field/mod.rs. J = 4·heads, column h·4 + token.
// Every member is four bytes wide, so host and device lay it out alike.
struct FieldParams {
    // Surfels, which are the rows of a frame; frames at hand; the first of them among those of the packed deformation.
    surfels: u32,
    frames: u32,
    first_frame: u32,
    // Channels of a plane; scales, and the side of each.
    channels: u32,
    scales: u32,
    side_0: u32,
    side_1: u32,
    side_2: u32,
    side_3: u32,
    // Width of the embedding.
    embedding: u32,
    // Heads of the attention; what one counts for in the mean; whether the sums of the attention start here.
    heads: u32,
    share: f32,
    fresh: u32,
    // Hidden width of a head; numbers that all heads give; columns of the packed deformation, those of the attention last.
    hidden: u32,
    outputs: u32,
    columns: u32,
    // Where in the weights the heads' last layers [hidden, outputs] and their biases lie, and those of the drives,
    // [2, hidden, outputs] for each frame, `frame` numbers apart; ABSENT where heads are not driven. The same layers the
    // other way round, [outputs, hidden], for the way back.
    last: u32,
    last_bias: u32,
    drives: u32,
    last_back: u32,
    drives_back: u32,
    frame: u32,
    // Factor of the position columns.
    reach: f32,
    // The box of the planes.
    low_0: f32,
    low_1: f32,
    low_2: f32,
    high_0: f32,
    high_1: f32,
    high_2: f32,
}

// Tokens: audio, expression, camera, frame. The first two also drive the heads.
const TOKENS: u32 = 4u;
const DRIVES: u32 = 2u;
const HEADS: u32 = 5u;
// Columns of all heads but the last.
const GEOMETRY: u32 = 10u;

// Which head gives column `p`: position 3, rotation 4, log-scales 2, opacity 1, harmonics.
fn head_of(p: u32) -> u32 {
    return select(0u, 1u, p >= 3u) + select(0u, 1u, p >= 7u) + select(0u, 1u, p >= 9u) + select(0u, 1u, p >= 10u);
}

// The first column of a head, and the one after the last.
fn first_of(head: u32) -> u32 {
    if head >= HEADS { return params.outputs; }
    return array(0u, 3u, 7u, 9u, 10u)[head];
}

// Where the first of what reaches column `p` lies in a row of `heads_backward`, and how far it is to the next.
fn heard_at(p: u32) -> u32 {
    return select(p, 2u * GEOMETRY + p, p >= GEOMETRY);
}

fn heard_apart(p: u32) -> u32 {
    return select(GEOMETRY, params.outputs - GEOMETRY, p >= GEOMETRY);
}
