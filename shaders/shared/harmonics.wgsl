// Real spherical harmonics up to degree 3 as 3DGS (Kerbl et al. 2023) orders and signs them; twin of cpu/sh.rs.
const C0: f32 = 0.28209479177387814;
const C1: f32 = 0.4886025119029199;
const C20: f32 = 1.0925484305920792;
const C22: f32 = 0.31539156525252005;
const C24: f32 = 0.5462742152960396;
const C30: f32 = 0.5900435899266435;
const C31: f32 = 2.890611442640554;
const C32: f32 = 0.4570457994644658;
const C33: f32 = 0.3731763325901154;
const C35: f32 = 1.445305721320277;

// Function k at the unit direction d.
fn basis(k: u32, d: vec3<f32>) -> f32 {
    let x = d.x; let y = d.y; let z = d.z;
    let xx = x * x; let yy = y * y; let zz = z * z;
    switch k {
        case 0u: { return C0; }
        case 1u: { return -C1 * y; }
        case 2u: { return C1 * z; }
        case 3u: { return -C1 * x; }
        case 4u: { return C20 * x * y; }
        case 5u: { return -C20 * y * z; }
        case 6u: { return C22 * (2.0 * zz - xx - yy); }
        case 7u: { return -C20 * x * z; }
        case 8u: { return C24 * (xx - yy); }
        case 9u: { return -C30 * y * (3.0 * xx - yy); }
        case 10u: { return C31 * x * y * z; }
        case 11u: { return -C32 * y * (4.0 * zz - xx - yy); }
        case 12u: { return C33 * z * (2.0 * zz - 3.0 * xx - 3.0 * yy); }
        case 13u: { return -C32 * x * (4.0 * zz - xx - yy); }
        case 14u: { return C35 * z * (xx - yy); }
        default: { return -C30 * x * (xx - 3.0 * yy); }
    }
}

// Its derivative with respect to (x, y, z), the three taken as free numbers.
fn basis_derivative(k: u32, d: vec3<f32>) -> vec3<f32> {
    let x = d.x; let y = d.y; let z = d.z;
    let xx = x * x; let yy = y * y; let zz = z * z;
    switch k {
        case 0u: { return vec3(0.0); }
        case 1u: { return vec3(0.0, -C1, 0.0); }
        case 2u: { return vec3(0.0, 0.0, C1); }
        case 3u: { return vec3(-C1, 0.0, 0.0); }
        case 4u: { return C20 * vec3(y, x, 0.0); }
        case 5u: { return -C20 * vec3(0.0, z, y); }
        case 6u: { return C22 * vec3(-2.0 * x, -2.0 * y, 4.0 * z); }
        case 7u: { return -C20 * vec3(z, 0.0, x); }
        case 8u: { return C24 * vec3(2.0 * x, -2.0 * y, 0.0); }
        case 9u: { return -C30 * vec3(6.0 * x * y, 3.0 * xx - 3.0 * yy, 0.0); }
        case 10u: { return C31 * vec3(y * z, x * z, x * y); }
        case 11u: { return -C32 * vec3(-2.0 * x * y, 4.0 * zz - xx - 3.0 * yy, 8.0 * y * z); }
        case 12u: { return C33 * vec3(-6.0 * x * z, -6.0 * y * z, 6.0 * zz - 3.0 * xx - 3.0 * yy); }
        case 13u: { return -C32 * vec3(4.0 * zz - 3.0 * xx - yy, -2.0 * x * y, 8.0 * x * z); }
        case 14u: { return C35 * vec3(2.0 * x * z, -2.0 * y * z, xx - yy); }
        default: { return -C30 * vec3(3.0 * xx - 3.0 * yy, -6.0 * x * y, 0.0); }
    }
}
