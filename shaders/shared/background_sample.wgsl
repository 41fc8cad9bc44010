//#import params
// A pixel behind which the background is known. Needs `params`.
struct BackgroundSample {
    // Frame × pixels + pixel.
    pixel: u32,
    r: f32,
    g: f32,
    b: f32,
}

// The background's colour minus the colour that was drawn over.
fn difference_to_background(sample: BackgroundSample) -> vec3<f32> {
    return vec3(sample.r, sample.g, sample.b)
        - vec3(params.background_0, params.background_1, params.background_2);
}

// Where red of that pixel lies in [frames, 3, rows, columns]; green and blue follow a plane further each.
fn at_red(sample: BackgroundSample) -> u32 {
    let plane = params.width * params.height;
    return 3u * (sample.pixel / plane) * plane + sample.pixel % plane;
}
