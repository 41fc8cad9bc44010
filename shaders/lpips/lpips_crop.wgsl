// Stage `lpips_crop`: patches of composites and targets as LPIPS's network takes them; twin of `cut` in src/loss/patches.rs.
// Outside the part's mask a composite is painted with its target. One thread per pixel of a patch.
//#import params
//#import targets
//#import patches

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> format: PatchFormat;
@group(0) @binding(2) var<storage, read> patches: array<Patch>;
@group(0) @binding(3) var<storage, read> targets: array<f32>;
@group(0) @binding(4) var<storage, read> images: array<f32>;
// Of the composites, then of the targets: [2 × patches, side, side]
@group(0) @binding(5) var<storage, read_write> result: array<vec4<f32>>;

@compute @workgroup_size(256)
fn lpips_crop(
    @builtin(workgroup_id) workgroup: vec3<u32>,
    @builtin(num_workgroups) workgroups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = flat_workgroup(workgroup, workgroups) * 256u + thread;
    let area = format.side * format.side;
    if i >= format.patches * area { return; }
    let patch_here = patches[i / area];
    let plane = params.width * params.height;
    let row = patch_here.row + (i % area) / format.side;
    let at = row * params.width + patch_here.column + i % format.side;
    let drawn = params.at_color + 3u * patch_here.frame * plane + at;
    let filmed = TARGET_PLANES * patch_here.frame * plane + at;
    let truth = vec3(targets[filmed], targets[filmed + plane], targets[filmed + 2u * plane]);
    let color = vec3(images[drawn], images[drawn + plane], images[drawn + 2u * plane]);
    let shown = mix(truth, color, targets[filmed + PLANE_MASK * plane]);
    result[i] = normalized(shown);
    result[format.patches * area + i] = normalized(truth);
}
