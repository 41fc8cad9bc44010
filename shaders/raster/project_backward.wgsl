// Stage `project_backward`: from gradients of what blending read to gradients of a surfel's parameters; twin of
// raster/cpu/project_backward.rs. One thread per surfel of a copy; the frames that share the copy are added in order.
//
// As in the published rasterizer the quaternion's gradient is that of the rotation's polynomial at the unit quaternion,
// not projected, and the densification signal is taken before the low-pass centre adds its share to the rows.
//#import params
//#import geometry
//#import harmonics
//#import seen
//#import slot

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cameras: array<Camera>;
@group(0) @binding(2) var<storage, read> surfels: array<f32>;
@group(0) @binding(3) var<storage, read> colors: array<f32>;
@group(0) @binding(4) var<storage, read> seen: array<Seen>;
@group(0) @binding(5) var<storage, read> sums: array<f32>;
// Laid out as `surfels`.
@group(0) @binding(6) var<storage, read_write> gradients: array<f32>;
// Laid out as `colors`; zero before where they are harmonics.
@group(0) @binding(7) var<storage, read_write> color_gradients: array<f32>;
// The densification signal, [frames, surfels].
@group(0) @binding(8) var<storage, read_write> screen: array<vec2<f32>>;

//#import surfels

fn three(at: u32) -> vec3<f32> {
    return vec3(sums[at], sums[at + 1u], sums[at + 2u]);
}

// What the frames add up.
struct Sum {
    position: vec3<f32>,
    rotation: vec4<f32>,
    scale: vec2<f32>,
    opacity: f32,
    attention: vec4<f32>,
    color: vec3<f32>,
}

// Gradient of the rotation's polynomial, g by columns.
fn quaternion_gradient(q: vec4<f32>, u: vec3<f32>, v: vec3<f32>, n: vec3<f32>) -> vec4<f32> {
    let w = q.x; let x = q.y; let y = q.z; let z = q.w;
    // d(row, column): rows are components, columns u, v, n.
    return vec4(
        2.0 * (x * (v.z - n.y) + y * (n.x - u.z) + z * (u.y - v.x)),
        2.0 * (y * (v.x + u.y) + z * (n.x + u.z) + w * (v.z - n.y)) - 4.0 * x * (v.y + n.z),
        2.0 * (x * (v.x + u.y) + z * (n.y + v.z) + w * (n.x - u.z)) - 4.0 * y * (u.x + n.z),
        2.0 * (x * (n.x + u.z) + y * (n.y + v.z) + w * (u.y - v.x)) - 4.0 * z * (u.x + v.y),
    );
}

// Adds the coefficients' gradients; the gradient of the centre through the viewing direction.
fn harmonics_gradient(camera: Camera, i: u32, position: vec3<f32>, color: vec3<f32>) -> vec3<f32> {
    let from_camera = position - vec3(camera.x, camera.y, camera.z);
    let distance = length(from_camera);
    let direction = from_camera / distance;
    var raw = vec3(0.5);
    for (var k = 0u; k < params.functions; k++) {
        raw += basis(k, direction) * read_coefficient(i, k);
    }
    let kept = select(color, vec3(0.0), raw < vec3(0.0));
    var along = vec3(0.0);
    for (var k = 0u; k < params.functions; k++) {
        let to = 3u * (i * params.functions + k);
        let weight = basis(k, direction);
        color_gradients[to] += weight * kept.x;
        color_gradients[to + 1u] += weight * kept.y;
        color_gradients[to + 2u] += weight * kept.z;
        along += basis_derivative(k, direction) * dot(read_coefficient(i, k), kept);
    }
    // Normalising the direction leaves what is across it.
    return (along - direction * dot(direction, along)) / distance;
}

fn add_frame(frame: u32, i: u32, instance: u32, total: ptr<function, Sum>) {
    let camera = cameras[frame];
    let image = vec2(f32(params.width), f32(params.height));
    let position = read_position(i);
    let scale = read_scale(i);
    let p = geometry(camera, image, position, read_rotation(i), scale);
    if !p.valid { return; }
    let at = instance * params.slot_width;
    var depth_row = vec3(0.0);
    var normal = vec3(0.0);
    if params.slot_width > SLOT_PLAIN {
        depth_row = three(at + SLOT_TW);
        normal = three(at + SLOT_NORMAL);
    }
    // Gradients of the unit disc's rows. What is drawn does not depend on the common factor, so it is a constant.
    let shape = vec3(1.0 / p.size, 1.0 / p.size, 1.0) * p.factor;
    let a = three(at + SLOT_A) * shape;
    let b = three(at + SLOT_B) * shape;
    let c = three(at + SLOT_C) * shape;
    let unit = vec3(1.0 / p.size, 1.0 / p.size, 1.0);
    var row_u = (cross(p.unit_v, a) + cross(c, p.unit_w)) * unit;
    var row_v = (cross(a, p.unit_u) + cross(p.unit_w, b)) * unit;
    var row_w = (cross(b, p.unit_v) + cross(p.unit_u, c)) * unit + depth_row;
    screen[instance] = vec2(row_u.z, row_v.z) * p.row_w.z * 0.5 * image;
    let center = vec2(sums[at + SLOT_CENTER], sums[at + SLOT_CENTER + 1u]);
    if any(center != vec2(0.0)) {
        let weights = vec3(CUTOFF * CUTOFF, CUTOFF * CUTOFF, -1.0) / p.denominator;
        row_u += center.x * weights * p.row_w;
        row_v += center.y * weights * p.row_w;
        row_w += center.x * weights * (p.row_u - 2.0 * p.center.x * p.row_w)
            + center.y * weights * (p.row_v - 2.0 * p.center.y * p.row_w);
    }
    // The rows count pixels from the anchor: Tu = fx·(view x) + (cx − anchor)·Tw.
    let shift = vec2(camera.cx, camera.cy) - p.anchor;
    let depth_gradient = row_w + shift.x * row_u + shift.y * row_v;
    let tangent_u = rotate_to_world(camera, vec3(camera.fx * row_u.x, camera.fy * row_v.x, depth_gradient.x));
    let tangent_v = rotate_to_world(camera, vec3(camera.fx * row_u.y, camera.fy * row_v.y, depth_gradient.y));
    var along = rotate_to_world(camera, vec3(camera.fx * row_u.z, camera.fy * row_v.z, depth_gradient.z));
    let normal_world = rotate_to_world(camera, normal) * p.sign;
    (*total).scale += vec2(dot(tangent_u, p.axis_u), dot(tangent_v, p.axis_v));
    (*total).rotation +=
        quaternion_gradient(p.quaternion, tangent_u * scale.x, tangent_v * scale.y, normal_world);
    let color = three(at + SLOT_COLOR);
    if params.functions == 0u {
        (*total).color += color;
    } else {
        along += harmonics_gradient(camera, i, position, color);
    }
    (*total).position += along;
    (*total).opacity += sums[at + SLOT_OPACITY];
    let source = at + SLOT_ATTENTION;
    (*total).attention += vec4(sums[source], sums[source + 1u], sums[source + 2u], sums[source + 3u]);
}

@compute @workgroup_size(256)
fn project_backward(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_workgroup(workgroup, workgroups) * 256u + thread;
    if i >= params.copies * params.surfels { return; }
    var total: Sum;
    let frames = select(1u, params.frames, params.copies == 1u);
    for (var f = 0u; f < frames; f++) {
        let frame = select(i / params.surfels, f, params.copies == 1u);
        let instance = frame * params.surfels + i % params.surfels;
        screen[instance] = vec2(0.0);
        if tiles_in(seen[instance].rect) != 0u { add_frame(frame, i, instance, &total); }
    }
    var to = at_position(i);
    gradients[to] = total.position.x;
    gradients[to + 1u] = total.position.y;
    gradients[to + 2u] = total.position.z;
    to = at_rotation(i);
    gradients[to] = total.rotation.x;
    gradients[to + 1u] = total.rotation.y;
    gradients[to + 2u] = total.rotation.z;
    gradients[to + 3u] = total.rotation.w;
    to = at_scale(i);
    gradients[to] = total.scale.x;
    gradients[to + 1u] = total.scale.y;
    gradients[at_opacity(i)] = total.opacity;
    if params.attention != 0u {
        to = at_attention(i);
        gradients[to] = total.attention.x;
        gradients[to + 1u] = total.attention.y;
        gradients[to + 2u] = total.attention.z;
        gradients[to + 3u] = total.attention.w;
    }
    if params.functions == 0u {
        color_gradients[3u * i] = total.color.x;
        color_gradients[3u * i + 1u] = total.color.y;
        color_gradients[3u * i + 2u] = total.color.z;
    }
}
