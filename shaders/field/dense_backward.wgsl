// Stage `dense_backward`: gradients of matrices, Σ over rows of left · right, piece by piece; twin of multiply() in
// src/head/field/matrix.rs with its first matrix transposed. One workgroup per piece of a frame's rows, 64 columns of either side.
//#import grid

struct ProductParams {
    // Rows of a frame; frames; rows of a piece, a multiple of 16; pieces of a frame.
    rows: u32,
    frames: u32,
    piece: u32,
    pieces: u32,
    // Columns of either side; where they start in a row, and numbers of a row.
    left: u32,
    left_start: u32,
    left_row: u32,
    right: u32,
    right_start: u32,
    right_row: u32,
    // From one frame of the left side to the next, 0 where all frames have the same.
    left_frame: u32,
}

@group(0) @binding(0) var<storage, read> params: ProductParams;
// [frames, rows, left_row]
@group(0) @binding(1) var<storage, read> lefts_of: array<f32>;
// [frames, rows, right_row]
@group(0) @binding(2) var<storage, read> rights_of: array<f32>;
// [frames, pieces, left + 1, right]; in the last row the sums of the right side.
@group(0) @binding(3) var<storage, read_write> pieces: array<f32>;

//#import block

fn left_number(start: u32, column: u32, there: bool) -> f32 {
    if !there || column >= params.left { return 0.0; }
    return lefts_of[start + column];
}

fn right_number(start: u32, column: u32, there: bool) -> f32 {
    if !there || column >= params.right { return 0.0; }
    return rights_of[start + column];
}

fn put_row(piece: u32, left: u32, right: u32, products: vec4<f32>) {
    let start = (piece * (params.left + 1u) + left) * params.right;
    if right < params.right { pieces[start + right] = products.x; }
    if right + 1u < params.right { pieces[start + right + 1u] = products.y; }
    if right + 2u < params.right { pieces[start + right + 2u] = products.z; }
    if right + 3u < params.right { pieces[start + right + 3u] = products.w; }
}

@compute @workgroup_size(256)
fn dense_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let across = (params.right + BLOCK - 1u) / BLOCK;
    let down = (params.left + BLOCK - 1u) / BLOCK;
    let group = flat_workgroup(workgroup, workgroups);
    if group >= across * down * params.pieces * params.frames { return; }
    let piece = group / (across * down);
    let frame = piece / params.pieces;
    let first_row = piece % params.pieces * params.piece;
    let end = min(first_row + params.piece, params.rows);
    let first_left = group / across % down * BLOCK;
    // While tiles are filled: which row, and which four columns of either side.
    let k = thread / DEPTH;
    let left = first_left + thread % DEPTH * 4u;
    let right = group % across * BLOCK + thread % DEPTH * 4u;
    var sums: Sums;
    var ones = vec4(0.0);
    for (var first = first_row; first < end; first += DEPTH) {
        let row = first + k;
        let there = row < end;
        let at_left = frame * params.left_frame + row * params.left_row + params.left_start;
        let at_right = (frame * params.rows + row) * params.right_row + params.right_start;
        lefts[thread] = vec4(left_number(at_left, left, there), left_number(at_left, left + 1u, there),
                             left_number(at_left, left + 2u, there), left_number(at_left, left + 3u, there));
        let rights_here = vec4(right_number(at_right, right, there), right_number(at_right, right + 1u, there),
                               right_number(at_right, right + 2u, there), right_number(at_right, right + 3u, there));
        rights[thread] = rights_here;
        ones += rights_here;
        workgroupBarrier();
        sums = multiply_tiles(thread, sums);
        workgroupBarrier();
    }
    let l = first_left + thread / DEPTH * 4u;
    if l < params.left { put_row(piece, l, right, sums.a); }
    if l + 1u < params.left { put_row(piece, l + 1u, right, sums.b); }
    if l + 2u < params.left { put_row(piece, l + 2u, right, sums.c); }
    if l + 3u < params.left { put_row(piece, l + 3u, right, sums.d); }
    // What the threads of a column of fours have added, one after the other.
    lefts[thread] = ones;
    workgroupBarrier();
    if thread < DEPTH && first_left == 0u {
        var sum = vec4(0.0);
        for (var lane = 0u; lane < DEPTH; lane++) { sum += lefts[lane * DEPTH + thread]; }
        put_row(piece, params.left, right, sum);
    }
}
