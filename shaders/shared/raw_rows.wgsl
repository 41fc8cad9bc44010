//#import raw
// Raw parameters of row (copy × surfels + surfel): the surfel's own and what is added. Needs `params`, `own` and `rows`.

// Below this length a quaternion has no direction and stands for no rotation.
const SHORTEST: f32 = 1e-12;

fn place(row: u32, column: u32) -> u32 {
    return (params.first_row + row) * params.width + column;
}

// What is added to number k of the parameter whose numbers start in `column`.
fn moved(row: u32, column: u32, k: u32) -> f32 {
    if column == ABSENT { return 0.0; }
    return rows[place(row, column + k)];
}

fn is_mouth(row: u32) -> bool {
    return row % params.surfels >= params.first_of_mouth;
}

// The column of a parameter to which nothing is added inside the mouth.
fn of_skin(row: u32, column: u32) -> u32 {
    return select(column, ABSENT, is_mouth(row));
}

fn raw_rotation(row: u32) -> vec4<f32> {
    let at = own_rotation(row % params.surfels);
    let c = of_skin(row, params.rotation);
    return vec4(own[at], own[at + 1u], own[at + 2u], own[at + 3u])
        + vec4(moved(row, c, 0u), moved(row, c, 1u), moved(row, c, 2u), moved(row, c, 3u));
}

fn raw_log_scale(row: u32) -> vec2<f32> {
    let at = own_log_scale(row % params.surfels);
    return vec2(own[at], own[at + 1u]) + vec2(moved(row, params.log_scale, 0u), moved(row, params.log_scale, 1u));
}

fn raw_opacity(row: u32) -> f32 {
    return own[own_opacity(row % params.surfels)] + moved(row, of_skin(row, params.opacity), 0u);
}

fn logistic(x: f32) -> f32 {
    return 1.0 / (1.0 + exp(-x));
}
