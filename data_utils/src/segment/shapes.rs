//! Small operations on masks, `[height, width]`: distances, patches, growing and shrinking.

use crate::dataset::grow;

/// A mask eroded by `radius` pixels in a square window; the picture's edge does not erode it.
pub fn shrink(mask: &[bool], width: usize, radius: usize) -> Vec<bool> {
    let outside: Vec<bool> = mask.iter().map(|m| !m).collect();
    grow(&outside, width, radius).into_iter().map(|m| !m).collect()
}

/// Labels the connected patches of a mask (four neighbours): 0 outside, then 1, 2, … in the order of their first pixel.
/// Also returns the number of pixels of each label.
pub fn patches(mask: &[bool], width: usize) -> (Vec<u32>, Vec<usize>) {
    let mut numbers = vec![0u32; mask.len()];
    let mut sizes = vec![0usize];
    let mut open = Vec::new();
    for start in 0..mask.len() {
        if !mask[start] || numbers[start] != 0 {
            continue;
        }
        let number = sizes.len() as u32;
        numbers[start] = number;
        open.push(start);
        let mut size = 0;
        while let Some(at) = open.pop() {
            size += 1;
            let x = at % width;
            let near = [
                (x > 0).then(|| at - 1),
                (x + 1 < width).then(|| at + 1),
                at.checked_sub(width),
                (at + width < mask.len()).then_some(at + width),
            ];
            for next in near.into_iter().flatten() {
                if mask[next] && numbers[next] == 0 {
                    numbers[next] = number;
                    open.push(next);
                }
            }
        }
        sizes.push(size);
    }
    (numbers, sizes)
}

/// Keeps the patches of a mask that have a pixel of `seeds`.
pub fn touching(mask: &[bool], seeds: &[bool], width: usize) -> Vec<bool> {
    let (numbers, sizes) = patches(mask, width);
    let mut kept = vec![false; sizes.len()];
    for (number, seed) in numbers.iter().zip(seeds) {
        kept[*number as usize] |= *seed;
    }
    numbers.iter().map(|n| *n != 0 && kept[*n as usize]).collect()
}

/// Sets the holes of a mask that have at most `most` pixels and do not reach the picture's edge.
pub fn close_holes(mask: &mut [bool], width: usize, most: usize) {
    let outside: Vec<bool> = mask.iter().map(|m| !m).collect();
    let (numbers, sizes) = patches(&outside, width);
    let mut open = vec![false; sizes.len()];
    let rows = mask.len().checked_div(width).unwrap_or(0);
    for (i, number) in numbers.iter().enumerate() {
        let (x, y) = (i % width, i / width);
        open[*number as usize] |= x == 0 || y == 0 || x + 1 == width || y + 1 == rows;
    }
    for (m, number) in mask.iter_mut().zip(&numbers) {
        let n = *number as usize;
        *m |= n != 0 && !open[n] && sizes[n] <= most;
    }
}

/// A mask of `width` columns at twice the size, `[new_height, new_width]`.
pub fn doubled(mask: &[bool], width: usize, new_width: usize, new_height: usize) -> Vec<bool> {
    (0..new_width * new_height)
        .map(|at| mask.get(at / new_width / 2 * width + at % new_width / 2).copied().unwrap_or(false))
        .collect()
}

/// Distance of each pixel to the nearest set one, in pixels, by two sweeps with steps of 1 and √2 (Borgefors
/// 1986, within 8 % of the Euclidean); infinite where none is set.
pub fn distances(mask: &[bool], width: usize) -> Vec<f32> {
    let mut out: Vec<f32> = mask.iter().map(|m| if *m { 0.0 } else { f32::INFINITY }).collect();
    let height = mask.len().checked_div(width).unwrap_or(0);
    let diagonal = std::f32::consts::SQRT_2;
    let relax = |out: &mut [f32], at: usize, other: usize, length: f32| {
        let through = out[other] + length;
        if through < out[at] {
            out[at] = through;
        }
    };
    for y in 0..height {
        for x in 0..width {
            let at = y * width + x;
            if x > 0 {
                relax(&mut out, at, at - 1, 1.0);
            }
            if y > 0 {
                relax(&mut out, at, at - width, 1.0);
                if x > 0 {
                    relax(&mut out, at, at - width - 1, diagonal);
                }
                if x + 1 < width {
                    relax(&mut out, at, at - width + 1, diagonal);
                }
            }
        }
    }
    for y in (0..height).rev() {
        for x in (0..width).rev() {
            let at = y * width + x;
            if x + 1 < width {
                relax(&mut out, at, at + 1, 1.0);
            }
            if y + 1 < height {
                relax(&mut out, at, at + width, 1.0);
                if x + 1 < width {
                    relax(&mut out, at, at + width + 1, diagonal);
                }
                if x > 0 {
                    relax(&mut out, at, at + width - 1, diagonal);
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask(rows: &[&str]) -> Vec<bool> {
        rows.iter().flat_map(|r| r.bytes().map(|b| b == b'#')).collect()
    }

    #[test]
    fn only_patches_with_a_seed_stay() {
        let both = mask(&["##..#", "#...#", "....#"]);
        let seeds = mask(&[".....", "....#", "....."]);
        assert_eq!(touching(&both, &seeds, 5), mask(&["....#", "....#", "....#"]));
    }

    #[test]
    fn small_holes_close_and_bays_stay_open() {
        let mut ring = mask(&["#####", "#.#.#", "#####", "#...."]);
        close_holes(&mut ring, 5, 1);
        assert_eq!(ring, mask(&["#####", "#####", "#####", "#...."]));
    }

    #[test]
    fn distances_are_those_of_steps() {
        let far = distances(&mask(&["#...", "....", "...."]), 4);
        assert_eq!((far[0], far[3]), (0.0, 3.0));
        assert!((far[10] - (2.0 * std::f32::consts::SQRT_2)).abs() < 1e-6);
        assert!(distances(&[false; 4], 2).iter().all(|d| d.is_infinite()));
    }

    #[test]
    fn shrinking_takes_the_edge_but_not_at_the_pictures_end() {
        assert_eq!(shrink(&mask(&["###.", "###.", "###."]), 4, 1), mask(&["##..", "##..", "##.."]));
    }
}
