// Stage `lpips_scatter`: adds the gradients of patches to that of the composites' colour; the way back of `lpips_crop`. One
// thread per pixel of a patch. Patches of a frame follow each other and may overlap: the first that a pixel lies in adds
// those of all.
//#import params
//#import targets
//#import patches

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> format: PatchFormat;
@group(0) @binding(2) var<storage, read> patches: array<Patch>;
@group(0) @binding(3) var<storage, read> targets: array<f32>;
// [patches, side, side]
@group(0) @binding(4) var<storage, read> gradient: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> upstream: array<f32>;

// The number of a pixel in a patch; ABSENT outside it.
fn within(patch_there: Patch, row: u32, column: u32) -> u32 {
    // What lies above or left of it wraps far up.
    let r = row - patch_there.row;
    let c = column - patch_there.column;
    return select(ABSENT, r * format.side + c, r < format.side && c < format.side);
}

@compute @workgroup_size(256)
fn lpips_scatter(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_workgroup(workgroup, workgroups) * 256u + thread;
    let area = format.side * format.side;
    if i >= format.patches * area { return; }
    let number = i / area;
    let own = patches[number];
    let row = own.row + (i % area) / format.side;
    let column = own.column + i % format.side;
    for (var k = number; k > 0u && patches[k - 1u].frame == own.frame; k--) {
        if within(patches[k - 1u], row, column) != ABSENT { return; }
    }
    var sum = gradient[i].xyz;
    for (var k = number + 1u; k < format.patches && patches[k].frame == own.frame; k++) {
        let at = within(patches[k], row, column);
        if at != ABSENT { sum += gradient[k * area + at].xyz; }
    }
    let plane = params.width * params.height;
    let at = row * params.width + column;
    let mask = targets[(TARGET_PLANES * own.frame + PLANE_MASK) * plane + at];
    let slope = mask * 2.0 * sum / deviations();
    let to = params.at_color + 3u * own.frame * plane + at;
    upstream[to] += slope.x;
    upstream[to + plane] += slope.y;
    upstream[to + 2u * plane] += slope.z;
}
