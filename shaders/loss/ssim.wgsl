// Stage `ssim`: the similarity of every window of composite and target (Wang et al. 2004), and its derivatives with respect
// to the window's mean of x, of x² and of xy; twin of metrics/ssim.rs. One workgroup per tile and channel, which leaves its
// sum of 1 − similarity.
//#import params
//#import targets
//#import window

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<uniform> window: Window;
@group(0) @binding(2) var<storage, read> targets: array<f32>;
@group(0) @binding(3) var<storage, read> images: array<f32>;
// [frames, 3 channels, 3 moments, rows, columns]
@group(0) @binding(4) var<storage, read_write> partials: array<f32>;
// [frames, 3 channels, tiles]
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;

// Drawing and target of a tile and what its windows reach.
var<workgroup> pixels: array<vec2<f32>, 676>;
// x, y, x², y², xy filtered along rows.
var<workgroup> means: array<array<f32, 416>, 5>;
var<workgroup> shares: array<f32, 256>;

@compute @workgroup_size(256)
fn ssim(
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
        var both = vec2(0.0);
        if at != ABSENT {
            both = vec2(
                images[params.at_color + own.picture * plane + at],
                targets[(TARGET_PLANES * own.frame + own.channel) * plane + at],
            );
        }
        pixels[k] = both;
    }
    workgroupBarrier();
    for (var k = thread; k < ROWS_AREA; k += 256u) {
        let from_left = (k / TILE) * WIDE + k % TILE;
        var mean = vec2(0.0);
        var square = vec2(0.0);
        var product = 0.0;
        for (var d = 0u; d < WINDOW; d++) {
            let both = pixels[from_left + d];
            let weight = window_number(d);
            mean += weight * both;
            square += weight * both * both;
            product += weight * both.x * both.y;
        }
        means[0][k] = mean.x;
        means[1][k] = mean.y;
        means[2][k] = square.x;
        means[3][k] = square.y;
        means[4][k] = product;
    }
    workgroupBarrier();
    let place = vec2(thread % TILE, thread / TILE);
    var m: array<f32, 5>;
    for (var d = 0u; d < WINDOW; d++) {
        let weight = window_number(d);
        let at = (place.y + d) * TILE + place.x;
        for (var field = 0u; field < 5u; field++) { m[field] += weight * means[field][at]; }
    }
    let c1 = window_number(WINDOW);
    let c2 = window_number(WINDOW + 1u);
    let a1 = 2.0 * m[0] * m[1] + c1;
    let a2 = 2.0 * (m[4] - m[0] * m[1]) + c2;
    let b1 = m[0] * m[0] + m[1] * m[1] + c1;
    let b2 = (m[2] - m[0] * m[0]) + (m[3] - m[1] * m[1]) + c2;
    let similarity = a1 * a2 / (b1 * b2);
    let pixel = own.first + place;
    let inside = pixel.x < params.width && pixel.y < params.height;
    if inside {
        let to = 3u * own.picture * plane + pixel.y * params.width + pixel.x;
        partials[to] = 2.0 * m[1] * (a2 - a1) / (b1 * b2) - 2.0 * m[0] * similarity * (1.0 / b1 - 1.0 / b2);
        partials[to + plane] = -similarity / b2;
        partials[to + 2u * plane] = 2.0 * a1 / (b1 * b2);
    }
    shares[thread] = select(0.0, 1.0 - similarity, inside);
    for (var step = 128u; step > 0u; step = step >> 1u) {
        workgroupBarrier();
        if thread < step { shares[thread] += shares[thread + step]; }
    }
    if thread == 0u { sums[number] = shares[0]; }
}
