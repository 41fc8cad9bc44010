// Stage `dense_backward`: gradients of matrices, Σ over rows of left · right, piece by piece; twin of multiply() in
// src/field/matrix.rs with its first matrix transposed. One workgroup per piece of a frame's rows, 64 columns of either side.
//#import grid

struct ProductParams {
    // Rows of a frame; frames; rows of a piece, a multiple of 16; pieces of a frame.
    rows: u32,
    frames: u32,
    piece: u32,
    pieces: u32,
    // Columns of either side.
    left: u32,
    right: u32,
    // From one frame of the left side to the next, 0 where all frames have the same.
    left_frame: u32,
    // 1 where the left side has one more column, of ones, whose products are the sums of the right side.
    ones: u32,
}

@group(0) @binding(0) var<storage, read> params: ProductParams;
// [frames, rows, left]
@group(0) @binding(1) var<storage, read> lefts_of: array<f32>;
// [frames, rows, right]
@group(0) @binding(2) var<storage, read> rights_of: array<f32>;
// [frames, pieces, left + ones, right]
@group(0) @binding(3) var<storage, read_write> pieces: array<f32>;

//#import block

fn left_number(frame: u32, row: u32, column: u32, end: u32) -> f32 {
    if row >= end { return 0.0; }
    if column < params.left { return lefts_of[frame * params.left_frame + row * params.left + column]; }
    return select(0.0, 1.0, column - params.left < params.ones);
}

fn right_number(frame: u32, row: u32, column: u32, end: u32) -> f32 {
    if row >= end || column >= params.right { return 0.0; }
    return rights_of[(frame * params.rows + row) * params.right + column];
}

fn put_row(piece: u32, left: u32, right: u32, products: vec4<f32>) {
    let lefts_in_all = params.left + params.ones;
    if left >= lefts_in_all { return; }
    let start = (piece * lefts_in_all + left) * params.right;
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
    let lefts_in_all = params.left + params.ones;
    let across = (params.right + BLOCK - 1u) / BLOCK;
    let down = (lefts_in_all + BLOCK - 1u) / BLOCK;
    let group = flat_workgroup(workgroup, workgroups);
    if group >= across * down * params.pieces * params.frames { return; }
    let piece = group / (across * down);
    let frame = piece / params.pieces;
    let first_row = piece % params.pieces * params.piece;
    let end = min(first_row + params.piece, params.rows);
    let first_left = group / across % down * BLOCK;
    let first_right = group % across * BLOCK;
    let k = thread / DEPTH;
    let left = first_left + thread % DEPTH * 4u;
    let right = first_right + thread % DEPTH * 4u;
    var sums: Sums;
    for (var first = first_row; first < end; first += DEPTH) {
        let row = first + k;
        lefts[thread] = vec4(left_number(frame, row, left, end), left_number(frame, row, left + 1u, end),
                             left_number(frame, row, left + 2u, end), left_number(frame, row, left + 3u, end));
        rights[thread] = vec4(right_number(frame, row, right, end), right_number(frame, row, right + 1u, end),
                              right_number(frame, row, right + 2u, end), right_number(frame, row, right + 3u, end));
        workgroupBarrier();
        sums = multiply_tiles(thread, sums);
        workgroupBarrier();
    }
    let l = first_left + thread / DEPTH * 4u;
    put_row(piece, l, right, sums.a);
    put_row(piece, l + 1u, right, sums.b);
    put_row(piece, l + 2u, right, sums.c);
    put_row(piece, l + 3u, right, sums.d);
}
