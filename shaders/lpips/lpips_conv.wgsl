// Stage `lpips_conv`: a convolution of LPIPS's network with its ReLU, or the gradient at its input; twin of Conv in
// src/metrics/lpips/network.rs. Features are [pictures, rows, columns, channels], channels by four ("quads").
//
// A thread sums, for four pixels and four channels of the result, a slice of the products; the slices of a workgroup are then
// added in order.
//#import grid

// Whether gradients go back through the convolution.
override BACKWARD: bool = false;

struct ConvParams {
    // Pixels of the result in all pictures; its size and that of what is read.
    pixels: u32,
    out_rows: u32,
    out_columns: u32,
    in_rows: u32,
    in_columns: u32,
    // Quads of channels.
    in_quads: u32,
    out_quads: u32,
    // Of the kernel: rows and columns, pixels between two windows, pixels around the picture.
    side: u32,
    stride: u32,
    padding: u32,
    // Where in `weights` the kernel [side, side, in channels, out channels] begins, and the bias [out channels]; quads.
    kernel: u32,
    bias: u32,
    // Quads below these know only the kernel's centre: of what is read, of the result.
    centre_in: u32,
    centre_out: u32,
    // Threads of a workgroup along quads of the result, along its pixels by four, and along slices: 256 in all.
    across: u32,
    down: u32,
    slices: u32,
    // Of gradients: whether they are added to what is there, and whether what they belong to is behind a ReLU.
    keep: u32,
    rectify: u32,
}

@group(0) @binding(0) var<storage, read> params: ConvParams;
@group(0) @binding(1) var<storage, read> features: array<vec4<f32>>;
@group(0) @binding(2) var<storage, read> weights: array<vec4<f32>>;
// Gradients are 0 where the features they belong to are not positive: those behind a ReLU, laid out as the result.
@group(0) @binding(3) var<storage, read> rectified: array<vec4<f32>>;
@group(0) @binding(4) var<storage, read_write> result: array<vec4<f32>>;

// Sums of four pixels, pixel by pixel.
var<workgroup> shares: array<vec4<f32>, 1024>;

// A pixel of the result: its picture's first pixel in what is read, its row and column; nothing past the last pixel.
struct Place {
    there: bool,
    first: u32,
    row: u32,
    column: u32,
}

fn place_of(pixel: u32) -> Place {
    var place: Place;
    let plane = params.out_rows * params.out_columns;
    place.there = pixel < params.pixels;
    place.first = (pixel / plane) * params.in_rows * params.in_columns;
    place.row = (pixel % plane) / params.out_columns;
    place.column = pixel % params.out_columns;
    return place;
}

// Where along one side the window at `at` meets what is read, `length` long, `tap` elements from its start; ABSENT outside.
fn meets(at: u32, tap: u32, length: u32) -> u32 {
    if BACKWARD {
        // What wraps below 0 is no multiple that is short enough.
        let offset = at + params.padding - tap;
        let found = offset / params.stride;
        return select(ABSENT, found, offset < ABSENT / 2u && offset % params.stride == 0u && found < length);
    }
    let found = at * params.stride + tap - params.padding;
    return select(ABSENT, found, found < length);
}

// The first quad of what a pixel of the result reads at a place of the kernel; ABSENT outside the picture.
fn start_of(place: Place, tap_row: u32, tap_column: u32) -> u32 {
    let row = meets(place.row, tap_row, params.in_rows);
    let column = meets(place.column, tap_column, params.in_columns);
    if !place.there || row == ABSENT || column == ABSENT { return ABSENT; }
    return (place.first + row * params.in_columns + column) * params.in_quads;
}

fn feature(start: u32, quad: u32) -> vec4<f32> {
    if start == ABSENT { return vec4(0.0); }
    return features[start + quad];
}

fn put(pixel: u32, quad: u32, sum: vec4<f32>) {
    let at = pixel * params.out_quads + quad;
    if BACKWARD {
        var value = sum;
        if params.keep != 0u { value += result[at]; }
        if params.rectify != 0u { value = select(vec4(0.0), value, rectified[at] > vec4(0.0)); }
        result[at] = value;
    } else {
        result[at] = max(sum + weights[params.bias + quad], vec4(0.0));
    }
}

@compute @workgroup_size(256)
fn lpips_conv(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group = flat_workgroup(workgroup, workgroups);
    let wide = (params.out_quads + params.across - 1u) / params.across;
    let first_pixel = group / wide * params.down * 4u;
    let first_quad = group % wide * params.across;
    if first_pixel >= params.pixels { return; }
    let block = params.across * params.down;
    let slice = thread / block;
    let number = thread % block;
    let pixel = first_pixel + number / params.across * 4u;
    let quad = first_quad + number % params.across;
    let a = place_of(pixel);
    let b = place_of(pixel + 1u);
    let c = place_of(pixel + 2u);
    let d = place_of(pixel + 3u);
    var sum_a = vec4(0.0);
    var sum_b = vec4(0.0);
    var sum_c = vec4(0.0);
    var sum_d = vec4(0.0);
    let taps = select(0u, params.side * params.side, quad < params.out_quads);
    for (var tap = 0u; tap < taps; tap++) {
        let centre = tap == taps / 2u;
        if !centre && quad < params.centre_out { continue; }
        let start_a = start_of(a, tap / params.side, tap % params.side);
        let start_b = start_of(b, tap / params.side, tap % params.side);
        let start_c = start_of(c, tap / params.side, tap % params.side);
        let start_d = start_of(d, tap / params.side, tap % params.side);
        for (var k = select(params.centre_in, 0u, centre) + slice; k < params.in_quads; k += params.slices) {
            let at = params.kernel + (tap * params.in_quads + k) * 4u * params.out_quads + quad;
            let x = weights[at];
            let y = weights[at + params.out_quads];
            let z = weights[at + 2u * params.out_quads];
            let w = weights[at + 3u * params.out_quads];
            let of_a = feature(start_a, k);
            let of_b = feature(start_b, k);
            let of_c = feature(start_c, k);
            let of_d = feature(start_d, k);
            sum_a += of_a.x * x + of_a.y * y + of_a.z * z + of_a.w * w;
            sum_b += of_b.x * x + of_b.y * y + of_b.z * z + of_b.w * w;
            sum_c += of_c.x * x + of_c.y * y + of_c.z * z + of_c.w * w;
            sum_d += of_d.x * x + of_d.y * y + of_d.z * z + of_d.w * w;
        }
    }
    shares[thread] = sum_a;
    shares[thread + 256u] = sum_b;
    shares[thread + 512u] = sum_c;
    shares[thread + 768u] = sum_d;
    workgroupBarrier();
    for (var k = thread; k < 4u * block; k += 256u) {
        let own = k / block;
        let own_pixel = first_pixel + (k % block) / params.across * 4u + own;
        let own_quad = first_quad + (k % block) % params.across;
        if own_pixel >= params.pixels || own_quad >= params.out_quads { continue; }
        var sum = vec4(0.0);
        for (var s = 0u; s < params.slices; s++) { sum += shares[own * 256u + s * block + k % block]; }
        put(own_pixel, own_quad, sum);
    }
}
