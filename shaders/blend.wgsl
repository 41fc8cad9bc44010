// Stage `blend`: the surfels of a tile over each other, nearest first (2DGS §4.2; distortion: eq. 13); twin of
// raster/cpu/blend.rs. One workgroup per tile and frame, one thread per pixel.
//
// The distortion's m = far/(far−near)·(1 − near/z) is taken relative to the pixel's first surfel: its sums then do not
// cancel, which in f32 they otherwise do to the point of noise. The value is the same.
//#import params
//#import splat
//#import intersect
//#import tile
//#import saved

// Images wanted beside colour and alpha.
override ATTENTION: bool = true;
override DEPTH: bool = true;
override MEDIAN: bool = true;
override NORMAL: bool = true;
override DISTORTION: bool = true;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ranges: array<vec2<u32>>;
// Instance and pair.
@group(0) @binding(2) var<storage, read> pairs: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> splats: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> channels: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> images: array<f32>;
@group(0) @binding(6) var<storage, read_write> saved: array<u32>;

const STAGED: u32 = 128u;
var<workgroup> staged: array<vec4<u32>, 512>;
var<workgroup> staged_channels: array<vec4<f32>, 384>;
var<workgroup> ended: atomic<u32>;
var<workgroup> all_ended: u32;

@compute @workgroup_size(256)
fn blend(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let tiles = params.tiles_x * params.tiles_y;
    let number = flat_workgroup(workgroup, workgroups);
    if number >= tiles * params.frames { return; }
    let frame = number / tiles;
    let tile = vec2(number % tiles % params.tiles_x, number % tiles / params.tiles_x);
    let pixel = tile * TILE + pixel_of(thread);
    let inside = pixel.x < params.width && pixel.y < params.height;
    let range = ranges[number];

    var live = inside;
    if !inside { atomicAdd(&ended, 1u); }
    var transmittance = 1.0;
    var last = 0u;
    var color = vec3(0.0);
    var attention = vec4(0.0);
    var depth = 0.0;
    var median = 0.0;
    var median_place = 0u;
    var normal = vec3(0.0);
    var distortion = 0.0;
    var first_inverse = 0.0;
    var m1 = 0.0;
    var m2 = 0.0;

    for (var base = range.x; base < range.y; base += STAGED) {
        workgroupBarrier();
        if thread == 0u { all_ended = select(0u, 1u, atomicLoad(&ended) == 256u); }
        if workgroupUniformLoad(&all_ended) != 0u { break; }
        let count = min(STAGED, range.y - base);
        if (thread & 127u) < count {
            let j = thread & 127u;
            let at = 4u * pairs[base + j].x;
            if thread < STAGED {
                for (var k = 0u; k < 4u; k++) { staged[4u * j + k] = splats[at + k]; }
            } else {
                for (var k = 0u; k < 3u; k++) { staged_channels[3u * j + k] = channels[at + k]; }
            }
        }
        workgroupBarrier();
        for (var j = 0u; j < count && live; j++) {
            let g3 = staged[4u * j + 3u];
            if !reaches(g3, pixel) { continue; }
            let splat = unpack_splat(staged[4u * j], staged[4u * j + 1u], staged[4u * j + 2u], g3);
            let hit = intersect(splat, vec2<f32>(pixel) - splat.anchor);
            if hit.alpha == 0.0 { continue; }
            let before = transmittance;
            let after = before * (1.0 - hit.alpha);
            if after < TRANSMITTANCE_MIN {
                live = false;
                atomicAdd(&ended, 1u);
                break;
            }
            transmittance = after;
            let weight = hit.alpha * before;
            let place = base - range.x + j + 1u;
            last = place;
            let c0 = staged_channels[3u * j];
            color += weight * c0.xyz;
            if ATTENTION || NORMAL {
                let c1 = staged_channels[3u * j + 1u];
                attention += weight * vec4(c0.w, c1.xyz);
                if NORMAL { normal += weight * vec3(c1.w, staged_channels[3u * j + 2u].xy); }
            }
            if DEPTH { depth += weight * hit.depth; }
            if MEDIAN && before > MEDIAN_TRANSMITTANCE {
                median = hit.depth;
                median_place = place;
            }
            if DISTORTION {
                let inverse_depth = 1.0 / hit.depth;
                // Only an untouched ray has all its transmittance.
                if before == 1.0 { first_inverse = inverse_depth; }
                let m = DISTORTION_SLOPE * (first_inverse - inverse_depth);
                distortion += weight * (m * m * (1.0 - before) + m2 - 2.0 * m * m1);
                m1 += weight * m;
                m2 += weight * m * m;
            }
        }
    }

    if !inside { return; }
    let plane = params.width * params.height;
    let at = pixel.y * params.width + pixel.x;
    color += transmittance * vec3(params.background_0, params.background_1, params.background_2);
    let to_color = params.at_color + 3u * frame * plane + at;
    images[to_color] = color.x;
    images[to_color + plane] = color.y;
    images[to_color + 2u * plane] = color.z;
    let flat = frame * plane + at;
    images[params.at_alpha + flat] = 1.0 - transmittance;
    if ATTENTION {
        attention += transmittance
            * vec4(params.background_3, params.background_4, params.background_5, params.background_6);
        let to = params.at_attention + 4u * frame * plane + at;
        images[to] = attention.x;
        images[to + plane] = attention.y;
        images[to + 2u * plane] = attention.z;
        images[to + 3u * plane] = attention.w;
    }
    if DEPTH { images[params.at_depth + flat] = depth; }
    if MEDIAN { images[params.at_median + flat] = median; }
    if NORMAL {
        let to = params.at_normal + 3u * frame * plane + at;
        images[to] = normal.x;
        images[to + plane] = normal.y;
        images[to + 2u * plane] = normal.z;
    }
    if DISTORTION { images[params.at_distortion + flat] = distortion; }
    let pixels = params.frames * plane;
    saved[SAVED_TRANSMITTANCE * pixels + flat] = bitcast<u32>(transmittance);
    saved[SAVED_LAST * pixels + flat] = last;
    if MEDIAN || DISTORTION { saved[SAVED_MEDIAN * pixels + flat] = median_place; }
    if DISTORTION {
        saved[SAVED_FIRST * pixels + flat] = bitcast<u32>(first_inverse);
        saved[SAVED_M1 * pixels + flat] = bitcast<u32>(m1);
        saved[SAVED_M2 * pixels + flat] = bitcast<u32>(m2);
    }
}
