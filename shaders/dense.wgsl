// Stage `dense`: rows times a matrix of the shared weights or of their frame, plus what belongs there; twin of multiply() in
// src/field/matrix.rs. One workgroup per 64 rows of a frame and 64 columns; each thread has four of each.
//#import grid

struct DenseParams {
    // Rows of a frame; frames; numbers that are multiplied; columns of the result.
    rows: u32,
    frames: u32,
    inner: u32,
    columns: u32,
    // Where a frame's matrix [inner, columns] lies in the weights, and how far it is from one frame to the next.
    matrix: u32,
    matrix_frame: u32,
    // The same of a bias [columns]; ABSENT where there is none.
    bias: u32,
    bias_frame: u32,
    // From one frame of the rows to the next, 0 where all frames have the same; the same of `other`.
    from_frame: u32,
    other_frame: u32,
    // What `other`, laid out as the result, is for.
    purpose: u32,
    // Whether negative numbers are cut off.
    relu: u32,
}

const ABSENT: u32 = 0xffffffffu;
// Nothing; added; where it is not positive the result is 0; the same two with what was in the result.
const ADD: u32 = 1u;
const MASK: u32 = 2u;
const KEEP: u32 = 3u;
const MASK_KEPT: u32 = 4u;

@group(0) @binding(0) var<storage, read> params: DenseParams;
// [frames, rows, inner]
@group(0) @binding(1) var<storage, read> rows: array<f32>;
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> other: array<f32>;
// [frames, rows, columns]
@group(0) @binding(4) var<storage, read_write> result: array<f32>;

//#import block

fn row_number(frame: u32, row: u32, k: u32) -> f32 {
    if row >= params.rows || k >= params.inner { return 0.0; }
    return rows[frame * params.from_frame + row * params.inner + k];
}

fn weight(frame: u32, k: u32, column: u32) -> f32 {
    if column >= params.columns || k >= params.inner { return 0.0; }
    return weights[params.matrix + frame * params.matrix_frame + k * params.columns + column];
}

fn put(frame: u32, row: u32, column: u32, product: f32) {
    if row >= params.rows || column >= params.columns { return; }
    let here = row * params.columns + column;
    let at = frame * params.rows * params.columns + here;
    var value = product;
    if params.bias != ABSENT { value += weights[params.bias + frame * params.bias_frame + column]; }
    if params.purpose == ADD { value += other[frame * params.other_frame + here]; }
    if params.purpose == KEEP { value += result[at]; }
    if params.purpose == MASK && !(other[frame * params.other_frame + here] > 0.0) { value = 0.0; }
    if params.purpose == MASK_KEPT && !(result[at] > 0.0) { value = 0.0; }
    if params.relu != 0u { value = max(value, 0.0); }
    result[at] = value;
}

@compute @workgroup_size(256)
fn dense(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let across = (params.columns + BLOCK - 1u) / BLOCK;
    let down = (params.rows + BLOCK - 1u) / BLOCK;
    let group = flat_workgroup(workgroup, workgroups);
    if group >= across * down * params.frames { return; }
    let frame = group / (across * down);
    let first_row = group / across % down * BLOCK;
    let first_column = group % across * BLOCK;
    // While tiles are filled: which four rows and number of them, which number and four columns.
    let k_left = thread % DEPTH;
    let left = first_row + thread / DEPTH * 4u;
    let k_right = thread / DEPTH;
    let right = first_column + thread % DEPTH * 4u;
    var sums: array<vec4<f32>, 4>;
    for (var first = 0u; first < params.inner; first += DEPTH) {
        let k = first + k_left;
        lefts[k_left * DEPTH + thread / DEPTH] = vec4(row_number(frame, left, k), row_number(frame, left + 1u, k),
                                                      row_number(frame, left + 2u, k), row_number(frame, left + 3u, k));
        let l = first + k_right;
        rights[thread] = vec4(weight(frame, l, right), weight(frame, l, right + 1u),
                              weight(frame, l, right + 2u), weight(frame, l, right + 3u));
        workgroupBarrier();
        multiply_tiles(thread, &sums);
        workgroupBarrier();
    }
    for (var r = 0u; r < 4u; r++) {
        for (var c = 0u; c < 4u; c++) {
            put(frame, first_row + thread / DEPTH * 4u + r, right + c, sums[r][c]);
        }
    }
}
