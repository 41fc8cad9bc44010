//#import constants
//#import params
// Where a workgroup of 256 threads draws: one tile of one frame, a pixel a thread.
struct Place {
    // Frame × tiles + tile.
    number: u32,
    frame: u32,
    // Column and row of the tile.
    tile: vec2<u32>,
    pixel: vec2<u32>,
    // Whether the pixel lies in the image.
    inside: bool,
}

// Pixel of a thread inside its tile. Neighbouring threads form compact blocks of 4×2, 4×4, 8×4, 8×8 pixels, so that
// a subgroup of any size sees few discs that miss most of it.
fn pixel_of(thread: u32) -> vec2<u32> {
    let x = (thread & 3u) | ((thread >> 2u) & 4u) | ((thread >> 3u) & 8u);
    let y = ((thread >> 2u) & 1u) | ((thread >> 2u) & 2u) | ((thread >> 3u) & 4u) | ((thread >> 4u) & 8u);
    return vec2(x, y);
}

fn place_of(number: u32, thread: u32) -> Place {
    var p: Place;
    let tiles = params.tiles_x * params.tiles_y;
    p.number = number;
    p.frame = number / tiles;
    let tile = number % tiles;
    p.tile = vec2(tile % params.tiles_x, tile / params.tiles_x);
    p.pixel = p.tile * TILE + pixel_of(thread);
    p.inside = p.pixel.x < params.width && p.pixel.y < params.height;
    return p;
}
