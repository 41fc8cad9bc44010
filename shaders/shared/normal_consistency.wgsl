//#import params
// The surface that the drawn depth describes. Needs `params`, `cameras` and `images`.

// Below this alpha a pixel's depth means nothing.
const ALPHA_MIN: f32 = 0.05;

fn alpha_at(frame: u32, at: u32) -> f32 {
    return images[params.at_alpha + frame * params.width * params.height + at];
}

// Expected depth, where alpha says that there is one.
fn depth_at(frame: u32, at: u32) -> f32 {
    return images[params.at_depth + frame * params.width * params.height + at] / alpha_at(frame, at);
}

// Of length 1 along z.
fn ray_of(frame: u32, at: u32) -> vec3<f32> {
    let camera = cameras[frame];
    let column = f32(at % params.width);
    let row = f32(at / params.width);
    return vec3((column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy, 1.0);
}
