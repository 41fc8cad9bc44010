// Stage `ssim_backward`: adds the weighted gradient of 1 − similarity to that of the colour; twin of metrics/ssim.rs. One
// workgroup per tile and channel.
//#import params
//#import targets
//#import window

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> window: Window;
// Weight of a window of each term: [frames, TERMS]
@group(0) @binding(2) var<storage, read> weights: array<f32>;
@group(0) @binding(3) var<storage, read> targets: array<f32>;
@group(0) @binding(4) var<storage, read> images: array<f32>;
// [frames, 3 channels, 3 moments, rows, columns]
@group(0) @binding(5) var<storage, read> partials: array<f32>;
@group(0) @binding(6) var<storage, read_write> upstream: array<f32>;

// Terms that have a weight, and the number of this one among them.
override TERMS: u32 = 1u;
override TERM: u32 = 0u;

// Derivatives of a tile's windows and of those that reach it.
var<workgroup> derivatives: array<array<f32, 676>, 3>;
// The same filtered along rows.
var<workgroup> means: array<array<f32, 416>, 3>;

@compute @workgroup_size(256)
fn ssim_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let number = flat_workgroup(workgroup, workgroups);
    if number >= 3u * params.frames * params.tiles_x * params.tiles_y { return; }
    let own = patch_of(number);
    let plane = params.width * params.height;
    for (var k = thread; k < WIDE_AREA; k += 256u) {
        let at = wide_pixel(own.first, k);
        for (var moment = 0u; moment < 3u; moment++) {
            var value = 0.0;
            if at != ABSENT { value = partials[(3u * own.picture + moment) * plane + at]; }
            derivatives[moment][k] = value;
        }
    }
    workgroupBarrier();
    for (var k = thread; k < ROWS_AREA; k += 256u) {
        let from_left = (k / TILE) * WIDE + k % TILE;
        var sum = vec3(0.0);
        for (var d = 0u; d < WINDOW; d++) {
            let at = from_left + d;
            sum += window_number(d) * vec3(derivatives[0][at], derivatives[1][at], derivatives[2][at]);
        }
        means[0][k] = sum.x;
        means[1][k] = sum.y;
        means[2][k] = sum.z;
    }
    workgroupBarrier();
    let place = vec2(thread % TILE, thread / TILE);
    let pixel = own.first + place;
    if pixel.x >= params.width || pixel.y >= params.height { return; }
    var sum = vec3(0.0);
    for (var d = 0u; d < WINDOW; d++) {
        let at = (place.y + d) * TILE + place.x;
        sum += window_number(d) * vec3(means[0][at], means[1][at], means[2][at]);
    }
    let at = pixel.y * params.width + pixel.x;
    let to = params.at_color + own.picture * plane + at;
    let x = images[to];
    let y = targets[(TARGET_PLANES * own.frame + own.channel) * plane + at];
    upstream[to] -= weights[own.frame * TERMS + TERM] * (sum.x + 2.0 * x * sum.y + y * sum.z);
}
