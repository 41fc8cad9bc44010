// Stage `dense`: rows times a matrix of the shared weights or of their frame, plus what belongs there; twin of multiply() in
// src/head/field/matrix.rs. One workgroup per 64 rows of a frame and 64 columns; each thread has four of each.
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

// Number k of a row that starts at `start`; 0 for rows and numbers that are not there.
fn row_number(start: u32, there: bool, k: u32) -> f32 {
    if !there || k >= params.inner { return 0.0; }
    return rows[start + k];
}

fn weight(at: u32, there: bool) -> f32 {
    if !there { return 0.0; }
    return weights[at];
}

fn bias(frame: u32, column: u32) -> f32 {
    if params.bias == ABSENT || column >= params.columns { return 0.0; }
    return weights[params.bias + frame * params.bias_frame + column];
}

fn put(start: u32, start_other: u32, column: u32, product: f32) {
    if column >= params.columns { return; }
    let at = start + column;
    var value = product;
    if params.purpose == ADD { value += other[start_other + column]; }
    if params.purpose == KEEP { value += result[at]; }
    if params.purpose == MASK && !(other[start_other + column] > 0.0) { value = 0.0; }
    if params.purpose == MASK_KEPT && !(result[at] > 0.0) { value = 0.0; }
    if params.relu != 0u { value = max(value, 0.0); }
    result[at] = value;
}

fn put_row(frame: u32, row: u32, column: u32, products: vec4<f32>) {
    if row >= params.rows { return; }
    let start = (frame * params.rows + row) * params.columns;
    let start_other = frame * params.other_frame + row * params.columns;
    put(start, start_other, column, products.x);
    put(start, start_other, column + 1u, products.y);
    put(start, start_other, column + 2u, products.z);
    put(start, start_other, column + 3u, products.w);
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
    let at_left = frame * params.from_frame + left * params.inner;
    let left_there = vec4(left, left + 1u, left + 2u, left + 3u) < vec4(params.rows);
    let at_right = params.matrix + frame * params.matrix_frame + right;
    let right_there = vec4(right, right + 1u, right + 2u, right + 3u) < vec4(params.columns);
    var sums: Sums;
    for (var first = 0u; first < params.inner; first += DEPTH) {
        let k = first + k_left;
        lefts[k_left * DEPTH + thread / DEPTH] = vec4(
            row_number(at_left, left_there.x, k), row_number(at_left + params.inner, left_there.y, k),
            row_number(at_left + 2u * params.inner, left_there.z, k),
            row_number(at_left + 3u * params.inner, left_there.w, k));
        let l = first + k_right;
        let there = right_there & vec4(l < params.inner);
        let at = at_right + l * params.columns;
        rights[thread] = vec4(weight(at, there.x), weight(at + 1u, there.y),
                              weight(at + 2u, there.z), weight(at + 3u, there.w));
        workgroupBarrier();
        sums = multiply_tiles(thread, sums);
        workgroupBarrier();
    }
    let shift = vec4(bias(frame, right), bias(frame, right + 1u), bias(frame, right + 2u), bias(frame, right + 3u));
    put_row(frame, left, right, sums.a + shift);
    put_row(frame, left + 1u, right, sums.b + shift);
    put_row(frame, left + 2u, right, sums.c + shift);
    put_row(frame, left + 3u, right, sums.d + shift);
}
