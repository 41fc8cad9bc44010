// A render pass: a finished picture onto the whole of a texture, nearest pixel.
//#import composite_params

// Whether the texture's format encodes linear light as sRGB when it is written, which pictures already are.
override LINEARIZE: bool = false;

@group(0) @binding(0) var<storage, read> params: CompositeParams;
// RGB, not clipped; the first frame is shown.
@group(0) @binding(1) var<storage, read> pictures: array<vec4<f32>>;
// How much of each pixel is covered; one word unless pictures are transparent.
@group(0) @binding(2) var<storage, read> coverage: array<f32>;

struct Corner {
    @builtin(position) position: vec4<f32>,
    @location(0) at: vec2<f32>,
}

// Three corners of a triangle that covers the texture.
@vertex
fn corner(@builtin(vertex_index) index: u32) -> Corner {
    let at = vec2(f32((index << 1u) & 2u), f32(index & 2u));
    return Corner(vec4(2.0 * at.x - 1.0, 1.0 - 2.0 * at.y, 0.0, 1.0), at);
}

fn linear_of(value: f32) -> f32 {
    return select(pow((value + 0.055) / 1.055, 2.4), value / 12.92, value <= 0.04045);
}

@fragment
fn show_picture(input: Corner) -> @location(0) vec4<f32> {
    let size = vec2(params.width, params.height);
    let pixel = min(vec2<u32>(input.at * vec2<f32>(size)), size - 1u);
    let at = pixel_index(params, 0u, pixel.x, pixel.y);
    let rgb = clamp(pictures[at].xyz, vec3(0.0), vec3(1.0));
    // Colours carry their alpha.
    var alpha = 1.0;
    if params.transparent != 0u { alpha = clamp(coverage[at], 0.0, 1.0); }
    if LINEARIZE { return vec4(linear_of(rgb.x), linear_of(rgb.y), linear_of(rgb.z), alpha); }
    return vec4(rgb, alpha);
}
