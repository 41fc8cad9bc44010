// Where there is nothing.
const ABSENT: u32 = 0xffffffffu;

// More workgroups than one dimension holds are spread over two.
fn flat_workgroup(id: vec3<u32>, count: vec3<u32>) -> u32 {
    return id.x + id.y * count.x;
}
