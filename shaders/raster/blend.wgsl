// Stage `blend`: the surfels of a tile over each other, nearest first (2DGS §4.2; distortion: eq. 13); twin of
// raster/cpu/blend.rs. One workgroup per tile and frame, one thread per pixel.
//
// The distortion's m = far/(far−near)·(1 − near/z) is taken relative to the pixel's first surfel: its sums then do not
// cancel, which in f32 they otherwise do to the point of noise. The value is the same.
//#import params
//#import intersect
//#import blocks
//#import saved
//#import range
//#import drawn

// Images wanted beside colour and alpha.
override ATTENTION: bool = true;
override DEPTH: bool = true;
override MEDIAN: bool = true;
override NORMAL: bool = true;
override DISTORTION: bool = true;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ranges: array<Range>;
// Instance of each pair.
@group(0) @binding(2) var<storage, read> lists: array<u32>;
@group(0) @binding(3) var<storage, read> splats: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read_write> images: array<f32>;
@group(0) @binding(5) var<storage, read_write> saved: array<u32>;
// See `drawn_at`.
@group(0) @binding(6) var<storage, read_write> drawn: array<u32>;

const STAGED: u32 = 128u;
const STAGED_VECTORS: u32 = 896u;
// As `masks`.
var<workgroup> drawn_masks: array<atomic<u32>, 32>;
var<workgroup> ended: atomic<u32>;
var<workgroup> all_ended: u32;

// What a ray has gathered on its way.
struct Ray {
    // Whether it goes on.
    live: bool,
    transmittance: f32,
    // Places in the list, counted from 1, of the last surfel drawn and of the one at the median depth.
    last: u32,
    median_place: u32,
    color: vec3<f32>,
    attention: vec4<f32>,
    depth: f32,
    median: f32,
    normal: vec3<f32>,
    distortion: f32,
    // 1/z of the first surfel, Σ w·m and Σ w·m².
    first_inverse: f32,
    m1: f32,
    m2: f32,
}

// Writes word `word` of the splats staged before place `base`, and clears it.
fn write_drawn(range: Range, tile: u32, base: u32, word: u32) {
    let place = base + 32u * (word / 8u) - STAGED;
    if base > 0u && place < range.end - range.start {
        drawn[drawn_at(range, tile, place, word % 8u)] = atomicLoad(&drawn_masks[word]);
    }
    atomicStore(&drawn_masks[word], 0u);
}

// Takes the ray past staged splat j, the `nth` of the list; whether it is drawn.
fn pass_by(ray: ptr<function, Ray>, j: u32, hit: Hit, nth: u32) -> bool {
    if hit.alpha == 0.0 { return false; }
    let before = (*ray).transmittance;
    let after = before * (1.0 - hit.alpha);
    if after < TRANSMITTANCE_MIN {
        (*ray).live = false;
        atomicAdd(&ended, 1u);
        return false;
    }
    (*ray).transmittance = after;
    let weight = hit.alpha * before;
    (*ray).last = nth;
    let c0 = staged_channels(j, 0u);
    (*ray).color += weight * c0.xyz;
    if ATTENTION || NORMAL {
        let c1 = staged_channels(j, 1u);
        (*ray).attention += weight * vec4(c0.w, c1.xyz);
        if NORMAL { (*ray).normal += weight * vec3(c1.w, staged_channels(j, 2u).xy); }
    }
    if DEPTH { (*ray).depth += weight * hit.depth; }
    if MEDIAN && before > MEDIAN_TRANSMITTANCE {
        (*ray).median = hit.depth;
        (*ray).median_place = nth;
    }
    if DISTORTION {
        let inverse_depth = 1.0 / hit.depth;
        // Only an untouched ray has all its transmittance.
        if before == 1.0 { (*ray).first_inverse = inverse_depth; }
        let m = DISTORTION_SLOPE * ((*ray).first_inverse - inverse_depth);
        (*ray).distortion += weight * (m * m * (1.0 - before) + (*ray).m2 - 2.0 * m * (*ray).m1);
        (*ray).m1 += weight * m;
        (*ray).m2 += weight * m * m;
    }
    return true;
}

@compute @workgroup_size(256)
fn blend(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let turn = flat_workgroup(workgroup, workgroups);
    if turn >= params.tiles_x * params.tiles_y * params.frames { return; }
    // Kept outside the struct: Chromium takes every member of a struct for as non-uniform as its least uniform one.
    let number = ranges[turn].turn;
    let place = place_of(number, thread);
    let at_pixel = vec2<f32>(place.pixel);
    let range = ranges[number];
    let count = range.end - range.start;
    var ended_at = 0u;
    if thread < 32u { atomicStore(&drawn_masks[thread], 0u); }

    if thread == 0u { atomicStore(&ended, 0u); }
    workgroupBarrier();
    if !place.inside { atomicAdd(&ended, 1u); }
    var ray = Ray();
    ray.live = place.inside;
    ray.transmittance = 1.0;

    for (var base = 0u; base < count; base += STAGED) {
        workgroupBarrier();
        clear_masks(thread);
        if thread == 0u { all_ended = select(0u, 1u, atomicLoad(&ended) == 256u); }
        if workgroupUniformLoad(&all_ended) != 0u { break; }
        if thread < 32u { write_drawn(range, number, base, thread); }
        let own = thread / 2u;
        if own < count - base { stage_splat(own, thread & 1u, lists[range.start + base + own], place.tile); }
        workgroupBarrier();
        for (var group = 0u; group < STAGED / 32u && ray.live; group++) {
            let word = 8u * group + block_of(thread);
            var mask = atomicLoad(&masks[word]);
            var own_drawn = 0u;
            while mask != 0u && ray.live {
                // Two at a time: where their rays meet them does not depend on each other.
                let bit = firstTrailingBit(mask);
                mask &= mask - 1u;
                let is_second = mask != 0u;
                let second_bit = select(bit, firstTrailingBit(mask), is_second);
                mask &= mask - 1u;
                let j = 32u * group + bit;
                let second = 32u * group + second_bit;
                let hit = hit_of(j, at_pixel);
                let second_hit = hit_of(second, at_pixel);
                if pass_by(&ray, j, hit, base + j + 1u) { own_drawn |= 1u << bit; }
                if is_second && ray.live {
                    if pass_by(&ray, second, second_hit, base + second + 1u) { own_drawn |= 1u << second_bit; }
                }
            }
            if own_drawn != 0u { atomicOr(&drawn_masks[word], own_drawn); }
        }
        ended_at = base + STAGED;
    }
    workgroupBarrier();
    if thread < 32u { write_drawn(range, number, ended_at, thread); }

    if !place.inside { return; }
    let plane = params.width * params.height;
    let at = place.pixel.y * params.width + place.pixel.x;
    let color = ray.color + ray.transmittance
        * vec3(params.background_0, params.background_1, params.background_2);
    let to_color = params.at_color + 3u * place.frame * plane + at;
    images[to_color] = color.x;
    images[to_color + plane] = color.y;
    images[to_color + 2u * plane] = color.z;
    let flat = place.frame * plane + at;
    images[params.at_alpha + flat] = 1.0 - ray.transmittance;
    if ATTENTION {
        let attention = ray.attention + ray.transmittance
            * vec4(params.background_3, params.background_4, params.background_5, params.background_6);
        let to = params.at_attention + 4u * place.frame * plane + at;
        images[to] = attention.x;
        images[to + plane] = attention.y;
        images[to + 2u * plane] = attention.z;
        images[to + 3u * plane] = attention.w;
    }
    if DEPTH { images[params.at_depth + flat] = ray.depth; }
    if MEDIAN { images[params.at_median + flat] = ray.median; }
    if NORMAL {
        let to = params.at_normal + 3u * place.frame * plane + at;
        images[to] = ray.normal.x;
        images[to + plane] = ray.normal.y;
        images[to + 2u * plane] = ray.normal.z;
    }
    if DISTORTION { images[params.at_distortion + flat] = ray.distortion; }
    let pixels = params.frames * plane;
    saved[SAVED_TRANSMITTANCE * pixels + flat] = bitcast<u32>(ray.transmittance);
    saved[SAVED_LAST * pixels + flat] = ray.last;
    if MEDIAN || DISTORTION { saved[SAVED_MEDIAN * pixels + flat] = ray.median_place; }
    if DISTORTION {
        saved[SAVED_FIRST * pixels + flat] = bitcast<u32>(ray.first_inverse);
        saved[SAVED_M1 * pixels + flat] = bitcast<u32>(ray.m1);
        saved[SAVED_M2 * pixels + flat] = bitcast<u32>(ray.m2);
    }
}
