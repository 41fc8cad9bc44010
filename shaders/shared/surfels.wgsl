//#import places
// Reads the inputs of a batch. Needs `params`, `surfels` and `colors`.

// The input surfel that an instance (frame × surfels + surfel) draws.
fn input_of(instance: u32) -> u32 {
    if params.copies == 1u { return instance % params.surfels; }
    return instance;
}

fn read_position(i: u32) -> vec3<f32> {
    let at = at_position(i);
    return vec3(surfels[at], surfels[at + 1u], surfels[at + 2u]);
}

fn read_rotation(i: u32) -> vec4<f32> {
    let at = at_rotation(i);
    return vec4(surfels[at], surfels[at + 1u], surfels[at + 2u], surfels[at + 3u]);
}

fn read_scale(i: u32) -> vec2<f32> {
    let at = at_scale(i);
    return vec2(surfels[at], surfels[at + 1u]);
}

fn read_coefficient(i: u32, k: u32) -> vec3<f32> {
    let at = 3u * (i * params.functions + k);
    return vec3(colors[at], colors[at + 1u], colors[at + 2u]);
}
