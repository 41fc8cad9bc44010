//#import constants
//#import params
// The Gaussian window of SSIM over one tile of one channel, rows first, then columns; zeros outside the picture. Needs
// `params` and `window`.
const WINDOW: u32 = 11u;
const REACH: u32 = 5u;
// A tile and what its windows reach.
const WIDE: u32 = 26u;
const WIDE_AREA: u32 = 676u;
// Numbers of one field that is filtered along its rows: WIDE × TILE.
const ROWS_AREA: u32 = 416u;

// The window's weights, then the two constants of SSIM.
struct Window {
    numbers: array<vec4<f32>, 4>,
}

fn window_number(k: u32) -> f32 {
    return window.numbers[k / 4u][k % 4u];
}

// One tile of one channel of one frame.
struct Patch {
    // Frame × 3 + channel.
    picture: u32,
    frame: u32,
    channel: u32,
    // Column and row of the first pixel.
    first: vec2<u32>,
}

fn patch_of(number: u32) -> Patch {
    let tiles = params.tiles_x * params.tiles_y;
    var p: Patch;
    p.picture = number / tiles;
    p.frame = p.picture / 3u;
    p.channel = p.picture % 3u;
    let tile = number % tiles;
    p.first = TILE * vec2(tile % params.tiles_x, tile / params.tiles_x);
    return p;
}

// The pixel, row × columns + column, of place k of the tile and what its windows reach; ABSENT outside the picture.
fn wide_pixel(first: vec2<u32>, k: u32) -> u32 {
    let column = first.x + k % WIDE;
    let row = first.y + k / WIDE;
    if column < REACH || row < REACH || column >= params.width + REACH || row >= params.height + REACH {
        return ABSENT;
    }
    return (row - REACH) * params.width + column - REACH;
}
