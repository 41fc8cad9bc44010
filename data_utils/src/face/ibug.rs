//! The 68 points of the iBUG 300-W markup (Sagonas et al. 2013) among MediaPipe's 478, by the published table
//! of P. Yan ("Mediapipe_2_Dlib_Landmarks"); five iBUG points lie half-way between two of MediaPipe's.
//!
//! Order: jaw 0–16 from the person's right ear over the chin, brows 17–26, nose 27–35, eyes 36–47, lips
//! outside 48–59 and inside 60–67.

/// The pair of MediaPipe points whose mean each iBUG point is; most are one point twice.
pub const FROM_MEDIAPIPE: [[u16; 2]; 68] = {
    const ONE: [u16; 68] = [
        127, 234, 93, 58, 172, 136, 150, 176, 152, 400, 379, 365, 397, 361, 323, 454, 356, // jaw
        70, 63, 105, 66, 107, 336, 296, 334, 293, 300, // brows
        168, 195, 5, 4, 75, 97, 2, 326, 305, // nose
        33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380, // eyes
        61, 39, 37, 0, 267, 269, 291, 321, 314, 17, 84, 91, // lips, outside
        78, 82, 13, 312, 308, 317, 14, 87, // lips, inside
    ];
    let mut pairs = [[0; 2]; 68];
    let mut i = 0;
    while i < 68 {
        pairs[i] = [ONE[i], ONE[i]];
        i += 1;
    }
    pairs[3][1] = 132;
    pairs[4][1] = 58;
    pairs[12][1] = 288;
    pairs[27][1] = 6;
    pairs[28][1] = 197;
    pairs
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_within_the_mesh_and_none_is_used_for_two() {
        assert!(FROM_MEDIAPIPE.as_flattened().iter().all(|i| *i < 468));
        let mut sorted = FROM_MEDIAPIPE.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 68);
    }
}
