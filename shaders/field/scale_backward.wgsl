// Stage `scale_backward`: gradients of scale and shift of a layer norm, piece by piece; twin of normalise_backward() in
// src/head/field/rows_backward.rs. One workgroup per piece and 256 columns.
//#import grid

struct ScaleParams {
    // Rows of all frames; their width; rows of a piece; pieces.
    rows: u32,
    width: u32,
    piece: u32,
    pieces: u32,
}

@group(0) @binding(0) var<storage, read> params: ScaleParams;
// [rows, width]
@group(0) @binding(1) var<storage, read> units: array<f32>;
@group(0) @binding(2) var<storage, read> gradients: array<f32>;
// [pieces, 2, width]
@group(0) @binding(3) var<storage, read_write> pieces: array<f32>;

// Threads of a column: each takes every so manieth row.
const SIDE: u32 = 4u;
const COLUMNS: u32 = 64u;

var<workgroup> shares: array<vec2<f32>, 256>;

@compute @workgroup_size(256)
fn scale_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let across = (params.width + COLUMNS - 1u) / COLUMNS;
    let group = flat_workgroup(workgroup, workgroups);
    let piece = group / across;
    let column = group % across * COLUMNS + thread % COLUMNS;
    var sum = vec2(0.0);
    if column < params.width {
        let first = piece * params.piece;
        let end = min(first + params.piece, params.rows);
        for (var row = first + thread / COLUMNS; row < end; row += SIDE) {
            let g = gradients[row * params.width + column];
            sum += vec2(g * units[row * params.width + column], g);
        }
    }
    shares[thread] = sum;
    workgroupBarrier();
    if thread < COLUMNS && column < params.width && piece < params.pieces {
        let whole = (shares[thread] + shares[thread + 64u]) + (shares[thread + 128u] + shares[thread + 192u]);
        pieces[piece * 2u * params.width + column] = whole.x;
        pieces[(piece * 2u + 1u) * params.width + column] = whole.y;
    }
}
