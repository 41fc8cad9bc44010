use super::*;

/// A small stream of numbers, the same everywhere.
struct Stream(u64);

impl Stream {
    fn next(&mut self, below: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % below
    }
}

/// Costs of a made-up picture: of each pixel, and between pixels.
struct Made {
    width: usize,
    height: usize,
    inside: Vec<f32>,
    between: Vec<Vec<f32>>,
}

impl Made {
    fn new(width: usize, height: usize, seed: u64) -> Made {
        let mut stream = Stream(seed);
        let count = width * height;
        let inside = (0..count).map(|_| stream.next(41) as f32 - 20.0).collect();
        let between = (0..count).map(|_| (0..count).map(|_| stream.next(12) as f32).collect()).collect();
        Made { width, height, inside, between }
    }

    fn solve(&self) -> Vec<bool> {
        let mut cut = Cut::new(self.width, self.height);
        for at in 0..self.inside.len() {
            cut.prefer_inside(at, self.inside[at]);
            cut.neighbours(at, |other, _| self.between[at][other]);
        }
        cut.solve()
    }

    /// The energy of a division.
    fn energy(&self, division: &[bool]) -> f32 {
        let mut sum = 0.0;
        for at in 0..division.len() {
            sum += if division[at] { (-self.inside[at]).max(0.0) } else { self.inside[at].max(0.0) };
            let (x, y) = ((at % self.width) as isize, (at / self.width) as isize);
            for [dx, dy] in STEPS.into_iter().take(4) {
                let (nx, ny) = (x + dx, y + dy);
                if nx >= 0 && ny >= 0 && nx < self.width as isize && ny < self.height as isize {
                    let other = ny as usize * self.width + nx as usize;
                    sum += if division[at] == division[other] { 0.0 } else { self.between[at][other] };
                }
            }
        }
        sum
    }
}

#[test]
fn no_division_of_a_small_picture_is_cheaper() {
    for seed in 0..60 {
        let made = Made::new(4, 3, seed);
        let found = made.energy(&made.solve());
        let least = (0..1u32 << 12)
            .map(|bits| made.energy(&(0..12).map(|i| bits >> i & 1 == 1).collect::<Vec<bool>>()))
            .fold(f32::INFINITY, f32::min);
        assert_eq!(found, least, "picture {seed}");
    }
}

#[test]
fn no_single_change_of_a_larger_picture_is_cheaper() {
    let made = Made::new(24, 17, 5);
    let found = made.solve();
    let energy = made.energy(&found);
    assert!(found.iter().any(|v| *v) && found.iter().any(|v| !*v), "all on one side proves nothing");
    for at in 0..found.len() {
        let mut other = found.clone();
        other[at] = !other[at];
        assert!(made.energy(&other) >= energy, "pixel {at}");
    }
}

#[test]
fn certain_pixels_stay_where_they_are_and_the_rest_follows_the_weak_edge() {
    let mut cut = Cut::new(9, 1);
    for at in 0..9 {
        cut.prefer_inside(at, [CERTAIN, 0.0, -CERTAIN][usize::from(at > 0) + usize::from(at == 8)]);
        cut.neighbours(at, |other, _| if (at, other) == (5, 6) { 1.0 } else { 10.0 });
    }
    assert_eq!(cut.solve(), [true, true, true, true, true, true, false, false, false]);
}

#[test]
fn empty_pictures_have_no_pixels() {
    assert!(Cut::new(0, 0).solve().is_empty());
    assert!(Cut::new(3, 0).solve().is_empty());
}
