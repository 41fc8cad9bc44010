//#import params
// A pixel behind which the room is known. Needs `params`.
struct Behind {
    // Frame × pixels + pixel.
    at: u32,
    r: f32,
    g: f32,
    b: f32,
}

// By how much the room's colour differs from the background that was drawn over.
fn beyond_background(behind: Behind) -> vec3<f32> {
    return vec3(behind.r, behind.g, behind.b)
        - vec3(params.background_0, params.background_1, params.background_2);
}

// Where red of that pixel lies in [frames, 3, rows, columns]; the other two are a plane further each.
fn at_red(behind: Behind) -> u32 {
    let plane = params.width * params.height;
    return 3u * (behind.at / plane) * plane + behind.at % plane;
}
