// Stage `seam_columns`: the second half of the blur and of the extremes, along columns; along the edge the picture becomes the
// blurred one. A pixel a thread.
//
// edge = dilation − erosion, picture += (blurred − picture) · edge.
//#import grid
//#import composite_params
//#import seam

@group(0) @binding(0) var<storage, read> params: CompositeParams;
@group(0) @binding(1) var<storage, read> blurred: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> lowest: array<f32>;
// Each thread reads and writes its own pixel alone.
@group(0) @binding(3) var<storage, read_write> pictures: array<vec4<f32>>;
// As in `seam_rows`, where pictures are transparent.
@group(0) @binding(4) var<storage, read> blurred_coverage: array<f32>;
@group(0) @binding(5) var<storage, read_write> coverage: array<f32>;

@compute @workgroup_size(256)
fn seam_columns(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let plane = params.width * params.height;
    let flat = 256u * flat_workgroup(workgroup, workgroups) + thread;
    if flat >= params.frames * plane { return; }
    let x = flat % params.width;
    let y = flat % plane / params.width;
    let column = flat - y * params.width;
    var high = blurred[flat].w;
    var low = lowest[flat];
    let end = min(y + params.radius, params.height - 1u);
    for (var v = y - min(y, params.radius); v <= end; v++) {
        high = max(high, blurred[column + v * params.width].w);
        low = min(low, lowest[column + v * params.width]);
    }
    let edge = clamp(high - low, 0.0, 1.0);
    if edge == 0.0 { return; }
    var soft = vec3(0.0);
    for (var k = 0u; k <= 2u * BLUR_RADIUS; k++) {
        soft += blur_tap(k) * blurred[column + mirrored(y, k, params.height) * params.width].xyz;
    }
    let picture = pictures[flat];
    pictures[flat] = vec4(picture.xyz + (soft - picture.xyz) * edge, picture.w);
    if params.transparent != 0u {
        var covered = 0.0;
        for (var k = 0u; k <= 2u * BLUR_RADIUS; k++) {
            covered += blur_tap(k) * blurred_coverage[column + mirrored(y, k, params.height) * params.width];
        }
        coverage[flat] += (covered - coverage[flat]) * edge;
    }
}
