// Planes that blending leaves for the backward pass, each [frames, rows, columns]: transmittance behind everything;
// places in the tile's list after that of the last and of the median surfel; then the distortion's 1/z of the first
// surfel, Σ w·m and Σ w·m². Planes at the end are missing where nothing needs them.
const SAVED_TRANSMITTANCE: u32 = 0u;
const SAVED_LAST: u32 = 1u;
const SAVED_MEDIAN: u32 = 2u;
const SAVED_FIRST: u32 = 3u;
const SAVED_M1: u32 = 4u;
const SAVED_M2: u32 = 5u;
