// How a place lies on the tri-planes (K-Planes, Fridovich-Keil et al. 2023); see src/head/field/triplane.rs. Needs `params` and
// `places`.

fn side_of(scale: u32) -> u32 {
    return select(select(params.side_0, params.side_1, scale == 1u),
                  select(params.side_2, params.side_3, scale == 3u), scale >= 2u);
}

// First number of a plane; the planes of all scales follow each other, [side, side, channels] each.
fn plane_start(scale: u32, plane: u32) -> u32 {
    var start = 0u;
    for (var s = 0u; s < scale; s++) { start += 3u * side_of(s) * side_of(s); }
    return (start + plane * side_of(scale) * side_of(scale)) * params.channels;
}

// Where coordinate `axis` of a place lies between the texels of a side.
fn texel(i: u32, axis: u32, side: u32) -> f32 {
    let low = vec3(params.low_0, params.low_1, params.low_2)[axis];
    let high = vec3(params.high_0, params.high_1, params.high_2)[axis];
    let unit = (places[3u * i + axis] - low) / (high - low);
    return clamp(unit, 0.0, 1.0) * f32(side - 1u);
}

// The cell of a plane that a place falls into: its first texel, and the weights of that, of the next column, of the next row
// and of both.
struct Cell {
    first: u32,
    weights: vec4<f32>,
}

fn cell_of(i: u32, plane: u32, side: u32) -> Cell {
    let a = texel(i, select(0u, 1u, plane == 2u), side);
    let b = texel(i, select(2u, 1u, plane == 0u), side);
    // The last texel is reached as the end of the last cell.
    let column = min(u32(a), side - 2u);
    let row = min(u32(b), side - 2u);
    let u = a - f32(column);
    let v = b - f32(row);
    return Cell(row * side + column,
                vec4((1.0 - u) * (1.0 - v), u * (1.0 - v), (1.0 - u) * v, u * v));
}

// Number `channel` of the four texels of a cell.
fn corners(start: u32, cell: Cell, side: u32, channel: u32) -> vec4<u32> {
    let texels = cell.first + vec4(0u, 1u, side, side + 1u);
    return start + texels * params.channels + channel;
}
