// Stage `pack_picture`: finished pictures as bytes, four a thread; twin of src/composite/picture.rs, which gives the formulas.
//#import grid
//#import composite_params

// 0 RGBA8, 1 RGB8, 2 I420, 3 NV12.
override FORMAT: u32 = 0u;

@group(0) @binding(0) var<storage, read> params: CompositeParams;
// RGB, not clipped.
@group(0) @binding(1) var<storage, read> pictures: array<vec4<f32>>;
// [frames, out_words], the lowest byte first.
@group(0) @binding(2) var<storage, read_write> bytes: array<u32>;
// How much of each pixel is covered, where pictures are transparent.
@group(0) @binding(3) var<storage, read> coverage: array<f32>;

// A pixel, clipped; beyond the last row or column that one once more.
fn rgb_at(frame: u32, x: u32, y: u32) -> vec3<f32> {
    let at = pixel_index(params, frame, min(x, params.width - 1u), min(y, params.height - 1u));
    return clamp(pictures[at].xyz, vec3(0.0), vec3(1.0));
}

fn luma(rgb: vec3<f32>) -> f32 {
    return 0.2126 * rgb.x + 0.7152 * rgb.y + 0.0722 * rgb.z;
}

// Colour difference 0 (Cb) or 1 (Cr) of the 2 × 2 pixels number i.
fn chroma_byte(frame: u32, i: u32, which: u32) -> u32 {
    let x = 2u * (i % (params.out_width / 2u));
    let y = 2u * (i / (params.out_width / 2u));
    let mean = 0.25 * (rgb_at(frame, x, y) + rgb_at(frame, x + 1u, y)
        + rgb_at(frame, x, y + 1u) + rgb_at(frame, x + 1u, y + 1u));
    let difference = select((mean.z - luma(mean)) / 1.8556, (mean.x - luma(mean)) / 1.5748, which == 1u);
    return u32(128.0 + 224.0 * difference + 0.5);
}

// Byte i of a picture.
fn byte_at(frame: u32, i: u32) -> u32 {
    if FORMAT == 1u {
        let pixel = i / 3u;
        let rgb = rgb_at(frame, pixel % params.out_width, pixel / params.out_width);
        return u32(rgb[i % 3u] * 255.0 + 0.5);
    }
    let plane = params.out_width * params.out_height;
    if i < plane {
        return u32(16.0 + 219.0 * luma(rgb_at(frame, i % params.out_width, i / params.out_width)) + 0.5);
    }
    let j = i - plane;
    if FORMAT == 2u { return chroma_byte(frame, j % (plane / 4u), j / (plane / 4u)); }
    return chroma_byte(frame, j / 2u, j % 2u);
}

@compute @workgroup_size(256)
fn pack_picture(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let flat = 256u * flat_workgroup(workgroup, workgroups) + thread;
    if flat >= params.frames * params.out_words { return; }
    let frame = flat / params.out_words;
    let word = flat % params.out_words;
    if FORMAT == 0u {
        let x = word % params.out_width;
        let y = word / params.out_width;
        if params.transparent == 0u {
            bytes[flat] = pack4x8unorm(vec4(rgb_at(frame, x, y), 1.0));
            return;
        }
        // Colours that are not multiplied by their alpha; nothing where that is 0 of 255.
        let at = pixel_index(params, frame, x, y);
        let covered = coverage[at];
        if covered * 255.0 + 0.5 >= 1.0 {
            bytes[flat] = pack4x8unorm(clamp(vec4(pictures[at].xyz / covered, covered), vec4(0.0), vec4(1.0)));
        } else {
            bytes[flat] = 0u;
        }
        return;
    }
    let total = select(params.out_width * params.out_height / 2u, params.width * params.height, FORMAT == 1u) * 3u;
    var packed = 0u;
    for (var k = 0u; k < 4u; k++) {
        let i = 4u * word + k;
        if i < total { packed |= byte_at(frame, i) << (8u * k); }
    }
    bytes[flat] = packed;
}
