//#import constants
// One surfel seen by one camera (2DGS, Huang et al. 2024, §4.2 and appendix A); twin of cpu/project.rs, in f32.
//
// Rows count pixels from an anchor near the disc. The rows of a disc of unit size are kept apart from its size, so
// that the products of very small discs do not underflow.
struct Projection {
    valid: bool,
    quaternion: vec4<f32>,
    // Columns of the rotation, world: tangents and normal.
    axis_u: vec3<f32>,
    axis_v: vec3<f32>,
    axis_n: vec3<f32>,
    // Tu, Tv, Tw of the disc whose larger scale is 1, and that scale.
    unit_u: vec3<f32>,
    unit_v: vec3<f32>,
    unit_w: vec3<f32>,
    size: f32,
    // Tu, Tv, Tw.
    row_u: vec3<f32>,
    row_v: vec3<f32>,
    row_w: vec3<f32>,
    anchor: vec2<f32>,
    // Of the 3σ box, from the anchor.
    center: vec2<f32>,
    denominator: f32,
    radius: f32,
    normal: vec3<f32>,
    sign: f32,
    depth: f32,
    // A, B, C and the determinant, scaled as blending wants them.
    a: vec3<f32>,
    b: vec3<f32>,
    c: vec3<f32>,
    determinant: f32,
    // 1 / the largest |z| of the unit disc's cofactors.
    factor: f32,
}

// Bits decide, since shaders may assume that no NaN exists.
fn ordinary(x: f32) -> bool {
    return (bitcast<u32>(x) & 0x7fffffffu) <= bitcast<u32>(MAGNITUDE_MAX);
}

fn ordinary2(v: vec2<f32>) -> bool { return ordinary(v.x) && ordinary(v.y); }
fn ordinary3(v: vec3<f32>) -> bool { return ordinary2(v.xy) && ordinary(v.z); }
fn ordinary4(v: vec4<f32>) -> bool { return ordinary3(v.xyz) && ordinary(v.w); }

fn rotate_to_view(camera: Camera, v: vec3<f32>) -> vec3<f32> {
    return vec3(
        camera.r00 * v.x + camera.r01 * v.y + camera.r02 * v.z,
        camera.r10 * v.x + camera.r11 * v.y + camera.r12 * v.z,
        camera.r20 * v.x + camera.r21 * v.y + camera.r22 * v.z,
    );
}

fn rotate_to_world(camera: Camera, v: vec3<f32>) -> vec3<f32> {
    return vec3(
        camera.r00 * v.x + camera.r10 * v.y + camera.r20 * v.z,
        camera.r01 * v.x + camera.r11 * v.y + camera.r21 * v.z,
        camera.r02 * v.x + camera.r12 * v.y + camera.r22 * v.z,
    );
}

// Centre (xy) and squared half sides (zw) of the box around the image of u² + v² ≤ r², t = (r², r², −1).
fn conic_box(u: vec3<f32>, v: vec3<f32>, w: vec3<f32>, t: vec3<f32>, denominator: f32) -> vec4<f32> {
    let f = t / denominator;
    let center = vec2(dot(f, u * w), dot(f, v * w));
    return vec4(center, center * center - vec2(dot(f, u * u), dot(f, v * v)));
}

// The geometry; not valid where the surfel is not drawn: behind the near plane, seen exactly from its plane, or not
// made of ordinary numbers.
fn geometry(camera: Camera, image: vec2<f32>, position: vec3<f32>, rotation: vec4<f32>, scale: vec2<f32>) -> Projection {
    var p: Projection;
    p.valid = false;
    if !(ordinary3(position) && ordinary4(rotation) && ordinary2(scale)) { return p; }
    let square = dot(rotation, rotation);
    p.size = max(abs(scale.x), abs(scale.y));
    if !(square > 1e-30 && p.size > 1e-30) { return p; }
    let q = rotation / sqrt(square);
    p.quaternion = q;
    // q is (w, x, y, z): components x, y, z, w of the vector.
    let w = q.x; let x = q.y; let y = q.z; let z = q.w;
    p.axis_u = vec3(1.0 - 2.0 * (y * y + z * z), 2.0 * (x * y + w * z), 2.0 * (x * z - w * y));
    p.axis_v = vec3(2.0 * (x * y - w * z), 1.0 - 2.0 * (x * x + z * z), 2.0 * (y * z + w * x));
    p.axis_n = vec3(2.0 * (x * z + w * y), 2.0 * (y * z - w * x), 1.0 - 2.0 * (x * x + y * y));
    let center = rotate_to_view(camera, position) + vec3(camera.t0, camera.t1, camera.t2);
    p.depth = center.z;
    if !(ordinary3(center) && p.depth > NEAR) { return p; }
    let normal = rotate_to_view(camera, p.axis_n);
    let facing = -dot(center, normal);
    if !(facing != 0.0 && ordinary(facing)) { return p; }
    p.sign = select(-1.0, 1.0, facing > 0.0);
    p.normal = normal * p.sign;

    let tangent_u = rotate_to_view(camera, p.axis_u) * (scale.x / p.size);
    let tangent_v = rotate_to_view(camera, p.axis_v) * (scale.y / p.size);
    let across = camera.fx * vec3(tangent_u.x, tangent_v.x, center.x);
    let down = camera.fy * vec3(tangent_u.y, tangent_v.y, center.y);
    let principal = vec2(camera.cx, camera.cy);
    let seen = principal + vec2(across.z, down.z) / p.depth;
    if !ordinary2(seen) { return p; }
    p.anchor = clamp(round(seen), -image, 2.0 * image);
    let shift = principal - p.anchor;
    p.unit_w = vec3(tangent_u.z, tangent_v.z, center.z);
    p.unit_u = across + shift.x * p.unit_w;
    p.unit_v = down + shift.y * p.unit_w;
    let sized = vec3(p.size, p.size, 1.0);
    p.row_u = p.unit_u * sized;
    p.row_v = p.unit_v * sized;
    p.row_w = p.unit_w * sized;

    let cutoff = vec3(CUTOFF * CUTOFF, CUTOFF * CUTOFF, -1.0);
    p.denominator = dot(cutoff, p.row_w * p.row_w);
    if !(p.denominator != 0.0) { return p; }
    let disc = conic_box(p.row_u, p.row_v, p.row_w, cutoff, p.denominator);
    p.center = disc.xy;
    let half_side = sqrt(max(disc.zw, vec2(HALF_BOX_SQUARED_MIN)));
    p.radius = ceil(max(max(half_side.x, half_side.y), CUTOFF * FILTER_SIZE));
    if !(ordinary2(p.center) && ordinary(p.radius)) { return p; }

    // The shift by the anchor drops out of B and C.
    let a = cross(p.unit_u, p.unit_v);
    let b = cross(down, p.unit_w);
    let c = cross(p.unit_w, across);
    let largest = max(abs(a.z), max(abs(b.z), abs(c.z)));
    if !(largest > 0.0 && ordinary(largest)) { return p; }
    p.factor = 1.0 / largest;
    let shape = vec3(1.0 / p.size, 1.0 / p.size, 1.0) * p.factor;
    p.a = a * shape;
    p.b = b * shape;
    p.c = c * shape;
    p.determinant = dot(p.unit_w, a) * p.factor;
    // A disc whose determinant or cofactors are no numbers has no area that a pixel could see.
    p.valid = ordinary3(p.a) && ordinary3(p.b) && ordinary3(p.c) && ordinary(p.determinant);
    return p;
}
