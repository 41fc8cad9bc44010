// Stage `project`: every surfel as its camera sees it, with its colour; twin of raster/cpu/project.rs.
// One thread per instance (frame × surfels + surfel). Counts the (surfel, tile) pairs, by tile and by block of instances.
//#import params
//#import geometry
//#import harmonics
//#import splat
//#import seen

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cameras: array<Camera>;
@group(0) @binding(2) var<storage, read> surfels: array<f32>;
@group(0) @binding(3) var<storage, read> colors: array<f32>;
@group(0) @binding(4) var<storage, read_write> splats: array<vec4<u32>>;
// The first pair is counted from the first of the block of 256 instances.
@group(0) @binding(5) var<storage, read_write> seen: array<Seen>;
// In pixels, 0 where it is not drawn.
@group(0) @binding(6) var<storage, read_write> radii: array<u32>;
// Pairs of each tile (frame × tiles + tile), zero before; then those of each block.
@group(0) @binding(7) var<storage, read_write> counts: array<atomic<u32>>;

//#import surfels
//#import workgroup_scan
//#import block_pairs

// First and last pixel (inclusive) outside which alpha stays under ALPHA_MIN, empty where it does so everywhere.
// Generous by a hair, so that rounding in the pixels' arithmetic cannot reach beyond it.
struct Reach {
    some: bool,
    first: vec2<u32>,
    last: vec2<u32>,
}

fn reach(p: Projection, opacity: f32, image: vec2<f32>) -> Reach {
    var r: Reach;
    r.some = false;
    if !(opacity > 0.0) { return r; }
    let level = 2.0 * log(opacity / ALPHA_MIN) * (1.0 + 1e-4) + 1e-3;
    if !(level > 0.0) { return r; }
    let t = vec3(level, level, -1.0);
    let denominator = dot(t, p.row_w * p.row_w);
    var first = vec2(0.0);
    var last = image - 1.0;
    // Where part of the disc is behind the eye its image has no box.
    if denominator < -1e-3 * p.row_w.z * p.row_w.z {
        let disc = conic_box(p.row_u, p.row_v, p.row_w, t, denominator);
        let half_side = sqrt(max(disc.zw, vec2(0.0))) * (1.0 + 1e-3) + 0.01;
        let low_pass = sqrt(level / FILTER_INVERSE_SQUARE) + 0.01;
        let low = p.anchor + ceil(min(disc.xy - half_side, p.center - low_pass));
        let high = p.anchor + floor(max(disc.xy + half_side, p.center + low_pass));
        if !(ordinary2(low) && ordinary2(high)) { return r; }
        first = max(first, low);
        last = min(last, high);
    }
    if first.x > last.x || first.y > last.y { return r; }
    r.some = true;
    r.first = vec2<u32>(first);
    r.last = vec2<u32>(last);
    return r;
}

fn color_of(camera: Camera, i: u32, position: vec3<f32>) -> vec3<f32> {
    if params.functions == 0u {
        return vec3(colors[3u * i], colors[3u * i + 1u], colors[3u * i + 2u]);
    }
    let direction = normalize(position - vec3(camera.x, camera.y, camera.z));
    var color = vec3(0.5);
    for (var k = 0u; k < params.functions; k++) {
        color += basis(k, direction) * read_coefficient(i, k);
    }
    // Not max(): it may swallow a NaN, which must hide the surfel.
    return select(color, vec3(0.0), color < vec3(0.0));
}

// Draws up one instance; the tiles that can show it, none where it is not drawn.
fn draw_up(instance: u32) -> Seen {
    var found = Seen(vec2(0u), 0u, 0u);
    radii[instance] = 0u;
    let camera = cameras[instance / params.surfels];
    let i = input_of(instance);
    let image = vec2(f32(params.width), f32(params.height));
    let tiles = vec2(f32(params.tiles_x), f32(params.tiles_y));
    let position = read_position(i);
    let p = geometry(camera, image, position, read_rotation(i), read_scale(i));
    if !p.valid { return found; }
    let at = p.anchor + p.center;
    let side = f32(TILE);
    let square_first = clamp(trunc((at - p.radius) / side), vec2(0.0), tiles);
    let square_last = clamp(trunc((at + p.radius + (side - 1.0)) / side), vec2(0.0), tiles);
    if square_first.x >= square_last.x || square_first.y >= square_last.y { return found; }

    let color = color_of(camera, i, position);
    var attention = vec4(0.0);
    if params.attention != 0u {
        let source = at_attention(i);
        attention = vec4(surfels[source], surfels[source + 1u], surfels[source + 2u], surfels[source + 3u]);
    }
    let opacity = surfels[at_opacity(i)];
    if !(ordinary3(color) && ordinary4(attention) && ordinary(opacity)) { return found; }
    radii[instance] = u32(min(p.radius, 2147483520.0));
    let r = reach(p, opacity, image);
    if !r.some { return found; }
    let first = max(vec2<u32>(square_first), r.first / TILE);
    let last = min(vec2<u32>(square_last), r.last / TILE + 1u);
    if any(first >= last) { return found; }

    let to = SPLAT_VECTORS * instance;
    splats[to] = vec4(bitcast<vec3<u32>>(p.a), bitcast<u32>(p.determinant));
    splats[to + 1u] = vec4(bitcast<vec3<u32>>(p.b), bitcast<u32>(opacity));
    splats[to + 2u] = vec4(bitcast<vec3<u32>>(p.c), pack_signed(vec2<i32>(p.anchor)));
    splats[to + 3u] = vec4(bitcast<vec2<u32>>(p.center), pack_pixel(r.first), pack_pixel(r.last));
    splats[to + 4u] = bitcast<vec4<u32>>(vec4(color, attention.x));
    splats[to + 5u] = bitcast<vec4<u32>>(vec4(attention.yzw, p.normal.x));
    splats[to + 6u] = bitcast<vec4<u32>>(vec4(p.normal.yz, p.row_w.xy));
    found.rect = vec2(pack_pixel(first), pack_pixel(last));
    let is_behind = instance % params.surfels >= params.behind_first;
    found.depth = bitcast<u32>(p.depth + select(0.0, params.behind_offset, is_behind));
    return found;
}

@compute @workgroup_size(256)
fn project(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let block = flat_workgroup(workgroup, workgroups);
    let instance = block * 256u + thread;
    var found = Seen(vec2(0u), 0u, 0u);
    if instance < params.instances { found = draw_up(instance); }
    let pairs = tiles_in(found.rect);
    let sum = scan_inclusive(thread, pairs);
    if instance < params.instances {
        found.first_pair = sum - pairs;
        seen[instance] = found;
    }
    block_rects[thread] = found.rect;
    block_ends[thread] = sum;
    workgroupBarrier();
    let total = block_ends[255];
    let tiles = params.tiles_x * params.tiles_y;
    for (var p = thread; p < total; p += 256u) {
        let pair = block_pair(p);
        let frame = (block * 256u + pair.owner) / params.surfels;
        atomicAdd(&counts[frame * tiles + pair.tile.y * params.tiles_x + pair.tile.x], 1u);
    }
    if thread == 255u && block * 256u < params.instances {
        atomicStore(&counts[params.frames * tiles + block], sum);
    }
}
