// Sums over the pixels of a tile, for adapters without subgroups: through workgroup memory, seven numbers at a time,
// with barriers only. Slower than with subgroups, and the order of every sum is fixed as well.
override SUBGROUPS: u32 = 1u;
override BATCH: u32 = 16u;

struct Ids {
    @builtin(local_invocation_index) thread: u32,
}

const TOGETHER: u32 = 7u;
var<workgroup> scratch: array<f32, 1792>;
var<workgroup> partials: array<f32, 400>;

fn clear_touched(thread: u32) {}

fn contribute(ids: Ids, j: u32, drawn: bool, width: u32, values: ptr<function, array<f32, 25>>) {
    let thread = ids.thread;
    for (var first = 0u; first < width; first += TOGETHER) {
        let count = min(TOGETHER, width - first);
        for (var k = 0u; k < count; k++) { scratch[k * 256u + thread] = (*values)[first + k]; }
        workgroupBarrier();
        // Thread t < count × 32 takes number t / 32 of eight neighbouring pixels.
        var sum = 0.0;
        if thread < count * 32u {
            for (var i = 0u; i < 8u; i++) { sum += scratch[thread * 8u + i]; }
        }
        workgroupBarrier();
        if thread < count * 32u { scratch[thread] = sum; }
        workgroupBarrier();
        if thread < count {
            var all_pixels = 0.0;
            for (var i = 0u; i < 32u; i++) { all_pixels += scratch[thread * 32u + i]; }
            partials[j * SLOT_MAX + first + thread] = all_pixels;
        }
        workgroupBarrier();
    }
}

fn total(j: u32, k: u32) -> f32 {
    return partials[j * SLOT_MAX + k];
}
