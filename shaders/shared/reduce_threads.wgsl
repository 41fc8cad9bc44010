// Sums over the pixels of a tile, for adapters without subgroups: through workgroup memory, seven numbers at a time,
// with barriers only. Slower than with subgroups, and the order of every sum is fixed as well.
override SUBGROUPS: u32 = 1u;
override PARTIALS: u32 = SUBGROUPS * STAGED * SLOT_WIDTH;

struct Ids {
    @builtin(local_invocation_index) thread: u32,
}

const TOGETHER: u32 = 7u;
var<workgroup> scratch: array<f32, 1792>;
var<workgroup> partials: array<f32, PARTIALS>;

fn clear_touched(thread: u32) {}

fn any_of(condition: bool) -> bool {
    return true;
}

// All threads must take part in the sums of every splat.
fn visited(mask: u32, count: u32) -> u32 {
    return select((1u << count) - 1u, 0xffffffffu, count == 32u);
}

fn contribute(ids: Ids, j: u32, v: Slot) {
    var values = array<f32, 25>(
        v.a.x, v.a.y, v.a.z, v.b.x, v.b.y, v.b.z, v.c.x, v.c.y, v.c.z, v.center.x, v.center.y, v.opacity,
        v.color.x, v.color.y, v.color.z, v.attention.x, v.attention.y, v.attention.z, v.attention.w,
        v.tw.x, v.tw.y, v.tw.z, v.normal.x, v.normal.y, v.normal.z,
    );
    let thread = ids.thread;
    for (var first = 0u; first < SLOT_WIDTH; first += TOGETHER) {
        let count = min(TOGETHER, SLOT_WIDTH - first);
        for (var k = 0u; k < count; k++) { scratch[k * 256u + thread] = values[first + k]; }
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
            partials[j * SLOT_WIDTH + first + thread] = all_pixels;
        }
        workgroupBarrier();
    }
}

fn total(j: u32, k: u32) -> f32 {
    return partials[j * SLOT_WIDTH + k];
}
