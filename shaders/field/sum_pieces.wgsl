// Stage `sum_pieces`: adds the pieces of gradients in their order. One thread per number of a result.
//#import grid

struct PieceParams {
    // Numbers of a result; results; pieces that each is made of, one after the other.
    count: u32,
    results: u32,
    pieces: u32,
    // Where the first result goes, and how far it is from one to the next.
    first: u32,
    stride: u32,
    // Whether the sums start at 0.
    fresh: u32,
}

@group(0) @binding(0) var<storage, read> params: PieceParams;
// [results, pieces, count]
@group(0) @binding(1) var<storage, read> pieces: array<f32>;
@group(0) @binding(2) var<storage, read_write> sums: array<f32>;

@compute @workgroup_size(256)
fn sum_pieces(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let at = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if at >= params.count * params.results { return; }
    let result = at / params.count;
    let number = at % params.count;
    let place = params.first + result * params.stride + number;
    var sum = 0.0;
    if params.fresh == 0u { sum = sums[place]; }
    for (var piece = 0u; piece < params.pieces; piece++) {
        sum += pieces[(result * params.pieces + piece) * params.count + number];
    }
    sums[place] = sum;
}
