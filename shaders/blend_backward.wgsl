// Stage `blend_backward`: from image gradients to gradients of what blending read, one slot per (surfel, tile) pair, so
// that no two workgroups add to the same number and the sums do not depend on who runs when; twin of
// raster/cpu/blend_backward.rs, which explains V and q.
//#import params
//#import splat
//#import intersect
//#import tile
//#import saved
//#import slot

// Images that were drawn and whose gradients arrive.
override ATTENTION: bool = true;
// Depth, median, normal or distortion have gradients.
override GEOMETRY: bool = true;
override MEDIAN: bool = true;
override DISTORTION: bool = true;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ranges: array<vec2<u32>>;
// Instance and pair.
@group(0) @binding(2) var<storage, read> pairs: array<vec2<u32>>;
@group(0) @binding(3) var<storage, read> splats: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> channels: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read> saved: array<u32>;
// Gradients of the images.
@group(0) @binding(6) var<storage, read> upstream: array<f32>;
// [pair − slot_first, slot_width], zero before.
@group(0) @binding(7) var<storage, read_write> slots: array<f32>;

//#import reduce

var<workgroup> staged: array<vec4<u32>, 64>;
var<workgroup> staged_channels: array<vec4<f32>, 64>;
var<workgroup> staged_pairs: array<u32, 16>;
var<workgroup> end_max: atomic<u32>;
var<workgroup> end_shared: u32;

fn upstream_at(image: u32, at: u32) -> f32 {
    if image == ABSENT { return 0.0; }
    return upstream[image + at];
}

// Number i of the slots of a batch of `count` splats.
fn write_slot(i: u32, count: u32) {
    if i >= count * params.slot_width { return; }
    let j = i / params.slot_width;
    let k = i % params.slot_width;
    // Wraps far up for pairs before the first.
    let slot = staged_pairs[j] - params.slot_first;
    if slot < params.slot_count { slots[slot * params.slot_width + k] = total(j, k); }
}

@compute @workgroup_size(256)
fn blend_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    ids: Ids,
) {
    let thread = ids.thread;
    let tiles = params.tiles_x * params.tiles_y;
    let number = flat_workgroup(workgroup, workgroups);
    if number >= tiles * params.frames { return; }
    let frame = number / tiles;
    let tile = vec2(number % tiles % params.tiles_x, number % tiles / params.tiles_x);
    let pixel = tile * TILE + pixel_of(thread);
    let range = ranges[number];

    // Gradients of this pixel.
    var up_color = vec3(0.0);
    var up_attention = vec4(0.0);
    var up_alpha = 0.0;
    var up_depth = 0.0;
    var up_median = 0.0;
    var up_normal = vec3(0.0);
    var up_distortion = 0.0;
    var transmittance = 1.0;
    var last = 0u;
    var median_place = 0u;
    var coverage = 0.0;
    var first_inverse = 0.0;
    var m1 = 0.0;
    var m2 = 0.0;
    if pixel.x < params.width && pixel.y < params.height {
        let plane = params.width * params.height;
        let pixels = params.frames * plane;
        let at = pixel.y * params.width + pixel.x;
        let flat = frame * plane + at;
        transmittance = bitcast<f32>(saved[SAVED_TRANSMITTANCE * pixels + flat]);
        last = saved[SAVED_LAST * pixels + flat];
        let three = 3u * frame * plane + at;
        up_color = vec3(
            upstream_at(params.at_color, three),
            upstream_at(params.at_color, three + plane),
            upstream_at(params.at_color, three + 2u * plane),
        );
        up_alpha = upstream_at(params.at_alpha, flat);
        if ATTENTION {
            let four = 4u * frame * plane + at;
            up_attention = vec4(
                upstream_at(params.at_attention, four),
                upstream_at(params.at_attention, four + plane),
                upstream_at(params.at_attention, four + 2u * plane),
                upstream_at(params.at_attention, four + 3u * plane),
            );
        }
        if GEOMETRY {
            up_depth = upstream_at(params.at_depth, flat);
            up_normal = vec3(
                upstream_at(params.at_normal, three),
                upstream_at(params.at_normal, three + plane),
                upstream_at(params.at_normal, three + 2u * plane),
            );
            if MEDIAN {
                up_median = upstream_at(params.at_median, flat);
                median_place = saved[SAVED_MEDIAN * pixels + flat];
            }
            if DISTORTION {
                up_distortion = upstream_at(params.at_distortion, flat);
                first_inverse = bitcast<f32>(saved[SAVED_FIRST * pixels + flat]);
                m1 = bitcast<f32>(saved[SAVED_M1 * pixels + flat]);
                m2 = bitcast<f32>(saved[SAVED_M2 * pixels + flat]);
            }
        }
        coverage = 1.0 - transmittance;
        // A pixel to which no gradient arrives has nothing to say.
        let arrives = any(up_color != vec3(0.0)) || any(up_attention != vec4(0.0)) || up_alpha != 0.0
            || up_depth != 0.0 || up_median != 0.0 || any(up_normal != vec3(0.0)) || up_distortion != 0.0;
        if !arrives { last = 0u; }
        atomicMax(&end_max, last);
    }
    // V: what lies behind is worth per unit of transmittance.
    var behind = dot(up_color, vec3(params.background_0, params.background_1, params.background_2))
        + dot(up_attention, vec4(params.background_3, params.background_4, params.background_5, params.background_6));

    workgroupBarrier();
    if thread == 0u { end_shared = atomicLoad(&end_max); }
    var end = workgroupUniformLoad(&end_shared);
    while end > 0u {
        let count = min(BATCH, end);
        clear_touched(thread);
        // Staged backwards: j = 0 is the farthest.
        if thread < 4u * count {
            let source = pairs[range.x + end - 1u - thread / 4u];
            staged[thread] = splats[4u * source.x + (thread & 3u)];
            staged_channels[thread] = channels[4u * source.x + (thread & 3u)];
            if (thread & 3u) == 0u { staged_pairs[thread / 4u] = source.y; }
        }
        workgroupBarrier();
        for (var j = 0u; j < count; j++) {
            // Place of this splat, counted from 1 as `last` and `median_place` are.
            let place = end - j;
            let g3 = staged[4u * j + 3u];
            var values = array<f32, 25>();
            var drawn = false;
            if place <= last && reaches(g3, pixel) {
                let splat = unpack_splat(staged[4u * j], staged[4u * j + 1u], staged[4u * j + 2u], g3);
                let at = vec2<f32>(pixel) - splat.anchor;
                let hit = intersect(splat, at);
                if hit.alpha > 0.0 {
                    drawn = true;
                    transmittance = transmittance / (1.0 - hit.alpha);
                    let weight = hit.alpha * transmittance;
                    let c0 = staged_channels[4u * j];
                    let c1 = staged_channels[4u * j + 1u];
                    let c2 = staged_channels[4u * j + 2u];
                    var worth = up_alpha + dot(c0.xyz, up_color);
                    values[SLOT_COLOR] = weight * up_color.x;
                    values[SLOT_COLOR + 1u] = weight * up_color.y;
                    values[SLOT_COLOR + 2u] = weight * up_color.z;
                    if ATTENTION {
                        worth += dot(vec4(c0.w, c1.xyz), up_attention);
                        values[SLOT_ATTENTION] = weight * up_attention.x;
                        values[SLOT_ATTENTION + 1u] = weight * up_attention.y;
                        values[SLOT_ATTENTION + 2u] = weight * up_attention.z;
                        values[SLOT_ATTENTION + 3u] = weight * up_attention.w;
                    }
                    var along = 0.0;
                    if GEOMETRY {
                        worth += up_depth * hit.depth + dot(vec3(c1.w, c2.xy), up_normal);
                        along = up_depth * weight;
                        if MEDIAN && median_place == place { along += up_median; }
                        if DISTORTION {
                            let inverse_depth = 1.0 / hit.depth;
                            let m = DISTORTION_SLOPE * (first_inverse - inverse_depth);
                            worth += up_distortion * (m * m * coverage + m2 - 2.0 * m * m1);
                            along += 2.0 * weight * (m * coverage - m1) * up_distortion
                                * DISTORTION_SLOPE * inverse_depth * inverse_depth;
                        }
                        let tw = select(SLOT_ATTENTION, SLOT_ATTENTION + 4u, ATTENTION);
                        values[tw] = along * hit.s.x;
                        values[tw + 1u] = along * hit.s.y;
                        values[tw + 2u] = along;
                        values[tw + 3u] = weight * up_normal.x;
                        values[tw + 4u] = weight * up_normal.y;
                        values[tw + 5u] = weight * up_normal.z;
                    }
                    let difference = worth - behind;
                    behind += hit.alpha * difference;
                    // The cap of alpha is ignored, as the published rasterizer does.
                    let opacity_gradient = hit.gaussian * transmittance * difference;
                    values[SLOT_OPACITY] = opacity_gradient;
                    let exponent_gradient = splat.opacity * opacity_gradient;
                    if hit.low_pass {
                        let d = 2.0 * exponent_gradient * (at - splat.center);
                        values[SLOT_CENTER] = d.x;
                        values[SLOT_CENTER + 1u] = d.y;
                    } else {
                        let ds = along * c2.zw - exponent_gradient * hit.s;
                        let dp = vec3(ds, -dot(ds, hit.s)) * hit.inverse;
                        values[SLOT_A] = dp.x;
                        values[SLOT_A + 1u] = dp.y;
                        values[SLOT_A + 2u] = dp.z;
                        values[SLOT_B] = dp.x * at.x;
                        values[SLOT_B + 1u] = dp.y * at.x;
                        values[SLOT_B + 2u] = dp.z * at.x;
                        values[SLOT_C] = dp.x * at.y;
                        values[SLOT_C + 1u] = dp.y * at.y;
                        values[SLOT_C + 2u] = dp.z * at.y;
                    }
                }
            }
            contribute(ids, j, drawn, params.slot_width, &values);
        }
        workgroupBarrier();
        // At most 16 × 25 numbers, spelled out as in `reduce`.
        write_slot(thread, count);
        write_slot(thread + 256u, count);
        workgroupBarrier();
        end -= count;
    }
}
