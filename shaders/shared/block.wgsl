// Products of two tiles of 64 columns each, 16 numbers deep, by 256 threads with four by four results each.
const BLOCK: u32 = 64u;
const DEPTH: u32 = 16u;

// Number by number, the columns by fours.
var<workgroup> lefts: array<vec4<f32>, 256>;
var<workgroup> rights: array<vec4<f32>, 256>;

// Adds the products of four left columns with four right ones.
fn multiply_tiles(thread: u32, sums: ptr<function, array<vec4<f32>, 4>>) {
    let left = thread / DEPTH;
    let right = thread % DEPTH;
    for (var k = 0u; k < DEPTH; k++) {
        let a = lefts[k * DEPTH + left];
        let b = rights[k * DEPTH + right];
        (*sums)[0] += a.x * b;
        (*sums)[1] += a.y * b;
        (*sums)[2] += a.z * b;
        (*sums)[3] += a.w * b;
    }
}
