//#import rect
// Pairs of a block of 256 instances, shared out evenly over its 256 threads, however many tiles each instance has.
var<workgroup> block_rects: array<vec2<u32>, 256>;
// Pairs of the block's first instances, up to and with each.
var<workgroup> block_ends: array<u32, 256>;

struct BlockPair {
    // Instance in the block.
    owner: u32,
    // Column and row of the tile.
    tile: vec2<u32>,
}

// Past the `reach` instances from `first` where all their pairs come before pair p.
fn skip(first: u32, reach: u32, p: u32) -> u32 {
    return select(first, first + reach, block_ends[first + reach - 1u] <= p);
}

// Pair p of the block.
fn block_pair(p: u32) -> BlockPair {
    // The first instance that ends behind p, by bisection. Spelled out: see `stage_splat`.
    var owner = skip(0u, 128u, p);
    owner = skip(owner, 64u, p);
    owner = skip(owner, 32u, p);
    owner = skip(owner, 16u, p);
    owner = skip(owner, 8u, p);
    owner = skip(owner, 4u, p);
    owner = skip(owner, 2u, p);
    owner = skip(owner, 1u, p);
    let rect = block_rects[owner];
    let place = p + tiles_in(rect) - block_ends[owner];
    let first = unpack_tile(rect.x);
    let across = (rect.y & 0xffffu) - first.x;
    return BlockPair(owner, first + vec2(place % across, place / across));
}
