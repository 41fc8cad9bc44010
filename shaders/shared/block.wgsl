// Products of two tiles of 64 columns each, 16 numbers deep, by 256 threads with four by four results each.
const BLOCK: u32 = 64u;
const DEPTH: u32 = 16u;

// Number by number, the columns by fours.
var<workgroup> lefts: array<vec4<f32>, 256>;
var<workgroup> rights: array<vec4<f32>, 256>;

// Results of a thread: four left columns by four right ones.
struct Sums {
    a: vec4<f32>,
    b: vec4<f32>,
    c: vec4<f32>,
    d: vec4<f32>,
}

fn multiply_number(sums: Sums, left: u32, right: u32) -> Sums {
    let l = lefts[left];
    let r = rights[right];
    return Sums(fma(vec4(l.x), r, sums.a), fma(vec4(l.y), r, sums.b), fma(vec4(l.z), r, sums.c), fma(vec4(l.w), r, sums.d));
}

// Adds the products of the tiles. Written out: loops in shaders are guarded, which costs more than what is in them.
fn multiply_tiles(thread: u32, before: Sums) -> Sums {
    let left = thread / DEPTH;
    let right = thread % DEPTH;
    var sums = before;
    sums = multiply_number(sums, left, right);
    sums = multiply_number(sums, left + 16u, right + 16u);
    sums = multiply_number(sums, left + 32u, right + 32u);
    sums = multiply_number(sums, left + 48u, right + 48u);
    sums = multiply_number(sums, left + 64u, right + 64u);
    sums = multiply_number(sums, left + 80u, right + 80u);
    sums = multiply_number(sums, left + 96u, right + 96u);
    sums = multiply_number(sums, left + 112u, right + 112u);
    sums = multiply_number(sums, left + 128u, right + 128u);
    sums = multiply_number(sums, left + 144u, right + 144u);
    sums = multiply_number(sums, left + 160u, right + 160u);
    sums = multiply_number(sums, left + 176u, right + 176u);
    sums = multiply_number(sums, left + 192u, right + 192u);
    sums = multiply_number(sums, left + 208u, right + 208u);
    sums = multiply_number(sums, left + 224u, right + 224u);
    sums = multiply_number(sums, left + 240u, right + 240u);
    return sums;
}
