// Stage `blend_backward`: from image gradients to gradients of what blending read, one slot per (surfel, tile) pair, so
// that no two workgroups add to the same number and the sums do not depend on who runs when; twin of
// raster/cpu/blend_backward.rs, which explains V and q.
//#import params
//#import intersect
//#import staging
//#import saved
//#import range
//#import drawn
//#import slot
//#import seen
//#import upstream

// Images that were drawn and whose gradients arrive.
override ATTENTION: bool = true;
// Depth, median, normal or distortion have gradients.
override GEOMETRY: bool = true;
override MEDIAN: bool = true;
override DISTORTION: bool = true;

// Splats of a batch, a power of two, at most 32, and seven vectors for each.
override STAGED: u32 = 4u;
override STAGED_VECTORS: u32 = SPLAT_VECTORS * STAGED;
// Numbers of a slot: SLOT_PLAIN, or SLOT_MAX with geometry.
override SLOT_WIDTH: u32 = SLOT_MAX;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ranges: array<Range>;
// Instance of each pair.
@group(0) @binding(2) var<storage, read> lists: array<u32>;
@group(0) @binding(3) var<storage, read> splats: array<vec4<u32>>;
@group(0) @binding(4) var<storage, read> seen: array<Seen>;
@group(0) @binding(5) var<storage, read> saved: array<u32>;
// Gradients of the images.
@group(0) @binding(6) var<storage, read> upstream: array<f32>;
// See `drawn_at`.
@group(0) @binding(7) var<storage, read> drawn_blocks: array<u32>;
// [pair − slot_first, SLOT_WIDTH], zero before.
@group(0) @binding(8) var<storage, read_write> slots: array<f32>;

//#import reduce

var<workgroup> staged_pairs: array<u32, 32>;
var<workgroup> end_max: atomic<u32>;
var<workgroup> end_shared: u32;

// Number i of the slots of a batch of `count` splats.
fn write_slot(i: u32, count: u32) {
    if i >= count * SLOT_WIDTH { return; }
    let j = i / SLOT_WIDTH;
    let k = i % SLOT_WIDTH;
    // Wraps far up for pairs before the first.
    let slot = staged_pairs[j] - params.slot_first;
    if slot < params.slot_count { slots[slot * SLOT_WIDTH + k] = total(j, k); }
}

// Where a ray is on its way to the front.
struct Ray {
    transmittance: f32,
    // V: what lies behind is worth per unit of transmittance.
    behind: f32,
    // Places in the list, counted from 1, of the last surfel drawn and of the one at the median depth.
    last: u32,
    median_place: u32,
    // 1 − transmittance behind everything, 1/z of the first surfel, Σ w·m and Σ w·m².
    coverage: f32,
    first_inverse: f32,
    m1: f32,
    m2: f32,
}

fn ray_of(place: Place) -> Ray {
    let plane = params.width * params.height;
    let pixels = params.frames * plane;
    let at = place.frame * plane + place.pixel.y * params.width + place.pixel.x;
    var ray = Ray();
    ray.transmittance = bitcast<f32>(saved[SAVED_TRANSMITTANCE * pixels + at]);
    ray.coverage = 1.0 - ray.transmittance;
    ray.last = saved[SAVED_LAST * pixels + at];
    if GEOMETRY && MEDIAN { ray.median_place = saved[SAVED_MEDIAN * pixels + at]; }
    if GEOMETRY && DISTORTION {
        ray.first_inverse = bitcast<f32>(saved[SAVED_FIRST * pixels + at]);
        ray.m1 = bitcast<f32>(saved[SAVED_M1 * pixels + at]);
        ray.m2 = bitcast<f32>(saved[SAVED_M2 * pixels + at]);
    }
    return ray;
}

// Where the ray of a pixel meets splat j; nowhere unless it is `drawn`.
fn drawn_hit(j: u32, pixel: vec2<f32>, drawn: bool) -> Hit {
    let hit = hit_of(j, pixel);
    if drawn { return hit; }
    return Hit(0.0, 1.0, vec2(0.0), 0.0, 0.0, false);
}

// Takes the ray past staged splat j, which is the `nth` of the list; all is zero where it is not drawn.
fn go_past(ray: ptr<function, Ray>, up: Upstream, j: u32, nth: u32, hit: Hit, pixel: vec2<f32>) -> Slot {
    let splat = staged_splat(j);
    let at = pixel - splat.anchor;
    let c0 = staged_channels(j, 0u);
    let c1 = staged_channels(j, 1u);
    let c2 = staged_channels(j, 2u);
    var slot = Slot();
    let transmittance = (*ray).transmittance / (1.0 - hit.alpha);
    (*ray).transmittance = transmittance;
    let weight = hit.alpha * transmittance;
    var worth = up.alpha + dot(c0.xyz, up.color);
    slot.color = weight * up.color;
    if ATTENTION {
        worth += dot(vec4(c0.w, c1.xyz), up.attention);
        slot.attention = weight * up.attention;
    }
    var along = 0.0;
    if GEOMETRY {
        worth += up.depth * hit.depth + dot(vec3(c1.w, c2.xy), up.normal);
        along = up.depth * weight;
        if MEDIAN && hit.alpha > 0.0 && (*ray).median_place == nth { along += up.median; }
        if DISTORTION {
            let inverse_depth = 1.0 / hit.depth;
            let m = DISTORTION_SLOPE * ((*ray).first_inverse - inverse_depth);
            worth += up.distortion * (m * m * (*ray).coverage + (*ray).m2 - 2.0 * m * (*ray).m1);
            along += 2.0 * weight * (m * (*ray).coverage - (*ray).m1) * up.distortion
                * DISTORTION_SLOPE * inverse_depth * inverse_depth;
        }
        slot.tw = along * vec3(hit.s, 1.0);
        slot.normal = weight * up.normal;
    }
    let difference = worth - (*ray).behind;
    (*ray).behind += hit.alpha * difference;
    // The cap of alpha is ignored, as the published rasterizer does.
    slot.opacity = hit.gaussian * transmittance * difference;
    let exponent_gradient = splat.opacity * slot.opacity;
    if hit.low_pass {
        slot.center = 2.0 * exponent_gradient * (at - splat.center);
    } else {
        let ds = along * c2.zw - exponent_gradient * hit.s;
        let dp = vec3(ds, -dot(ds, hit.s)) * hit.inverse;
        slot.a = dp;
        slot.b = dp * at.x;
        slot.c = dp * at.y;
    }
    return slot;
}

// What a thread brings of the batch from place `first` on: a vector of a splat, or the number of its pair.
fn bring(range: Range, first: u32, count: u32, own: u32, part: u32, tile: vec2<u32>) -> vec4<u32> {
    var brought = vec4(0u);
    if own < count {
        let instance = lists[range.start + first + own];
        if part < SPLAT_VECTORS { brought = splats[SPLAT_VECTORS * instance + part]; }
        if part == SPLAT_VECTORS { brought.x = pair_of(seen[instance], tile); }
    }
    return brought;
}

@compute @workgroup_size(256)
fn blend_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    ids: Ids,
) {
    let thread = ids.thread;
    let turn = flat_workgroup(workgroup, workgroups);
    if turn >= params.tiles_x * params.tiles_y * params.frames { return; }
    let place = place_of(ranges[turn].turn, thread);
    let pixel = vec2<f32>(place.pixel);
    let range = ranges[place.number];
    if thread == 0u { atomicStore(&end_max, 0u); }
    workgroupBarrier();

    var ray = Ray();
    var up = Upstream();
    if place.inside {
        ray = ray_of(place);
        up = upstream_of(place);
        if !arrives(up) { ray.last = 0u; }
        atomicMax(&end_max, ray.last);
    }
    ray.behind = background_worth(up);
    workgroupBarrier();
    if thread == 0u { end_shared = atomicLoad(&end_max); }
    let end = workgroupUniformLoad(&end_shared);
    // STAGED is at most 32, so eight threads or more bring each splat.
    let own = thread / (256u / STAGED);
    let part = thread % (256u / STAGED);
    var first = (end + STAGED - 1u) / STAGED * STAGED;
    var count = end + STAGED - first;
    var brought = bring(range, first - STAGED, select(0u, count, end > 0u), own, part, place.tile);
    while first > 0u {
        first -= STAGED;
        clear_touched(thread);
        if own < count {
            if part < SPLAT_VECTORS { staged[SPLAT_VECTORS * own + part] = brought; }
            if part == SPLAT_VECTORS { staged_pairs[own] = brought.x; }
        }
        // The next batch is on its way while this one is worked on.
        if first > 0u { brought = bring(range, first - STAGED, STAGED, own, part, place.tile); }
        let word = drawn_blocks[drawn_at(range, place.number, first, block_of(thread))];
        workgroupBarrier();
        var mask = visited((word >> (first % 32u)) & select((1u << count) - 1u, 0xffffffffu, count == 32u), count);
        while mask != 0u {
            // Two at a time: where their rays meet them does not depend on each other.
            let j = firstLeadingBit(mask);
            mask ^= 1u << j;
            let is_second = mask != 0u;
            let second = select(j, firstLeadingBit(mask), is_second);
            if is_second { mask ^= 1u << second; }
            // Their places in the list, counted from 1 as `last` and `median_place` are.
            let nth = first + j + 1u;
            let second_nth = first + second + 1u;
            let hit = drawn_hit(j, pixel, nth <= ray.last);
            let second_hit = drawn_hit(second, pixel, is_second && second_nth <= ray.last);
            let slot = go_past(&ray, up, j, nth, hit, pixel);
            let second_slot = go_past(&ray, up, second, second_nth, second_hit, pixel);
            if any_of(hit.alpha > 0.0) { contribute(ids, j, slot); }
            if is_second && any_of(second_hit.alpha > 0.0) { contribute(ids, second, second_slot); }
        }
        workgroupBarrier();
        // At most 32 × 25 numbers, spelled out: software adapters end a shader after 65,535 turns of its loops.
        write_slot(thread, count);
        write_slot(thread + 256u, count);
        write_slot(thread + 512u, count);
        write_slot(thread + 768u, count);
        workgroupBarrier();
        count = STAGED;
    }
}
