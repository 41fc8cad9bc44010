// Stage `seam_rows`: along rows, a Gaussian of 15 taps of the picture and the extremes of what the edge is taken of, a pixel a
// thread; with `seam_columns` the twin of src/composite/seam.rs.
//#import grid
//#import composite_params
//#import seam

@group(0) @binding(0) var<storage, read> params: CompositeParams;
@group(0) @binding(1) var<storage, read> pictures: array<vec4<f32>>;
// Blurred RGB and the highest value within `radius`: [frames, rows, columns].
@group(0) @binding(2) var<storage, read_write> blurred: array<vec4<f32>>;
// The lowest value within `radius`: [frames, rows, columns].
@group(0) @binding(3) var<storage, read_write> lowest: array<f32>;
// How much of each pixel is covered, and the same blurred, where pictures are transparent.
@group(0) @binding(4) var<storage, read> coverage: array<f32>;
@group(0) @binding(5) var<storage, read_write> blurred_coverage: array<f32>;

@compute @workgroup_size(256)
fn seam_rows(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let flat = 256u * flat_workgroup(workgroup, workgroups) + thread;
    if flat >= params.frames * params.width * params.height { return; }
    let x = flat % params.width;
    let row = flat - x;
    var rgb = vec3(0.0);
    for (var k = 0u; k <= 2u * BLUR_RADIUS; k++) {
        rgb += blur_tap(k) * pictures[row + mirrored(x, k, params.width)].xyz;
    }
    if params.transparent != 0u {
        var covered = 0.0;
        for (var k = 0u; k <= 2u * BLUR_RADIUS; k++) {
            covered += blur_tap(k) * coverage[row + mirrored(x, k, params.width)];
        }
        blurred_coverage[flat] = covered;
    }
    var high = pictures[flat].w;
    var low = high;
    let end = min(x + params.radius, params.width - 1u);
    for (var u = x - min(x, params.radius); u <= end; u++) {
        high = max(high, pictures[row + u].w);
        low = min(low, pictures[row + u].w);
    }
    blurred[flat] = vec4(rgb, high);
    lowest[flat] = low;
}
