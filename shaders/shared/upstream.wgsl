//#import params
//#import tile
// Gradients of one pixel of the images; 0 where an image has none. Needs `upstream` and the overrides ATTENTION,
// GEOMETRY, MEDIAN and DISTORTION.
struct Upstream {
    color: vec3<f32>,
    attention: vec4<f32>,
    alpha: f32,
    depth: f32,
    median: f32,
    normal: vec3<f32>,
    distortion: f32,
}

fn upstream_at(image: u32, at: u32) -> f32 {
    if image == ABSENT { return 0.0; }
    return upstream[image + at];
}

fn upstream_three(image: u32, at: u32, plane: u32) -> vec3<f32> {
    return vec3(upstream_at(image, at), upstream_at(image, at + plane), upstream_at(image, at + 2u * plane));
}

fn upstream_of(place: Place) -> Upstream {
    let plane = params.width * params.height;
    let at = place.pixel.y * params.width + place.pixel.x;
    let one = place.frame * plane + at;
    let three = 3u * place.frame * plane + at;
    let four = 4u * place.frame * plane + at;
    var up = Upstream();
    up.color = upstream_three(params.at_color, three, plane);
    up.alpha = upstream_at(params.at_alpha, one);
    if ATTENTION {
        let image = params.at_attention;
        up.attention = vec4(upstream_three(image, four, plane), upstream_at(image, four + 3u * plane));
    }
    if GEOMETRY {
        up.depth = upstream_at(params.at_depth, one);
        up.normal = upstream_three(params.at_normal, three, plane);
        if MEDIAN { up.median = upstream_at(params.at_median, one); }
        if DISTORTION { up.distortion = upstream_at(params.at_distortion, one); }
    }
    return up;
}

// Whether the pixel has anything to say.
fn arrives(up: Upstream) -> bool {
    return any(up.color != vec3(0.0)) || any(up.attention != vec4(0.0)) || up.alpha != 0.0
        || up.depth != 0.0 || up.median != 0.0 || any(up.normal != vec3(0.0)) || up.distortion != 0.0;
}

fn background_worth(up: Upstream) -> f32 {
    return dot(up.color, vec3(params.background_0, params.background_1, params.background_2))
        + dot(up.attention, vec4(params.background_3, params.background_4, params.background_5, params.background_6));
}
