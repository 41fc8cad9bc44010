//#import grid
// The surfels' own parameters and what a field adds to them, a row per surfel and frame; see src/head/cloud/activate.rs.
// Every member is four bytes wide, so host and device lay it out alike.
struct RowParams {
    // Surfels in one copy, copies (frames that have rows, or 1 without).
    surfels: u32,
    copies: u32,
    // Numbers of a row, 0 without rows; the first row that is meant.
    width: u32,
    first_row: u32,
    // Columns in which what is added to each parameter starts, ABSENT where nothing is.
    position: u32,
    rotation: u32,
    log_scale: u32,
    opacity: u32,
    harmonics: u32,
    attention: u32,
    // Numbers that are added to a surfel's harmonics; those it has; those that are drawn.
    added: u32,
    stored: u32,
    drawn: u32,
    // Whether attention is drawn.
    attends: u32,
    // Workgroups that see to geometry; those after them see to harmonics, a number a thread.
    geometry_groups: u32,
    // Whether the sums of gradients start at 0.
    fresh: u32,
    // The first surfel of the inside of the mouth, which is moved and scaled alone.
    first_of_mouth: u32,
    // Gradient of a displacement by the way it has gone, whatever its length.
    rest: f32,
}


// Own parameters of surfel i: centres, then quaternions, ln of the scales, opacity logits. Needs `params`.
fn own_position(i: u32) -> u32 { return 3u * i; }
fn own_rotation(i: u32) -> u32 { return 3u * params.surfels + 4u * i; }
fn own_log_scale(i: u32) -> u32 { return 7u * params.surfels + 2u * i; }
fn own_opacity(i: u32) -> u32 { return 9u * params.surfels + i; }
