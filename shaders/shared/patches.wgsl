// Square patches of frames.
struct PatchFormat {
    patches: u32,
    // Pixels along a side.
    side: u32,
    // Mean and deviation that the network expects of colours in −1..1.
    mean_red: f32,
    mean_green: f32,
    mean_blue: f32,
    deviation_red: f32,
    deviation_green: f32,
    deviation_blue: f32,
}

struct Patch {
    frame: u32,
    // Of its first pixel.
    row: u32,
    column: u32,
    padding: u32,
}

fn deviations() -> vec3<f32> {
    return vec3(format.deviation_red, format.deviation_green, format.deviation_blue);
}

// A colour in 0..1 as the network takes it. Needs `format`.
fn normalized(color: vec3<f32>) -> vec4<f32> {
    let mean = vec3(format.mean_red, format.mean_green, format.mean_blue);
    return vec4((2.0 * color - 1.0 - mean) / deviations(), 0.0);
}
