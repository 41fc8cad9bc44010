// Where the numbers of surfel i (copies × surfels of them) lie in the buffer of inputs, and of their gradients:
// centres, then unit quaternions, standard deviations, opacities, attention. Needs `params`.
fn at_position(i: u32) -> u32 { return 3u * i; }
fn at_rotation(i: u32) -> u32 { return 3u * params.copies * params.surfels + 4u * i; }
fn at_scale(i: u32) -> u32 { return 7u * params.copies * params.surfels + 2u * i; }
fn at_opacity(i: u32) -> u32 { return 9u * params.copies * params.surfels + i; }
fn at_attention(i: u32) -> u32 { return 10u * params.copies * params.surfels + 4u * i; }
