//! Motion in the arrays of a head file, f64 all, behind `motion.`: `basis` (mean rotation 4, translation 3, blendshapes 22),
//! `components`, `deviations`, `weights`, `noise`, `start`, `limits`, `loudness`, `liveliness`, `intervals` and `blinks`.

use super::blinks::Blinks;
use super::series::{Basis, POSE};
use super::{INPUTS, Motion, ORDER};
use crate::head::archive::Archive;
use crate::head::field::EXPRESSION;
use crate::{Error, Result};

const BASIS: &str = "motion.basis";
/// More numbers than a frame has.
const WIDEST: usize = 64;

impl Motion {
    /// Puts the motion into an archive.
    pub(in crate::head) fn store(&self, archive: &mut Archive) {
        let basis = &self.basis;
        let means: Vec<f64> =
            basis.rotation.iter().chain(&basis.translation).chain(&basis.expression).copied().collect();
        let shapes: Vec<f64> = self.blinks.shapes.iter().map(|v| f64::from(*v)).collect();
        let parts: [(&str, Vec<f64>); 11] = [
            ("basis", means),
            ("components", basis.components.clone()),
            ("deviations", basis.deviations.clone()),
            ("weights", self.weights.clone()),
            ("noise", self.noise.clone()),
            ("start", self.start.clone()),
            ("limits", self.limits.clone()),
            ("loudness", self.loudness.clone()),
            ("liveliness", vec![self.liveliness]),
            ("intervals", self.blinks.intervals.clone()),
            ("blinks", shapes),
        ];
        for (name, values) in parts {
            archive.put_f64(format!("motion.{name}"), &[values.len()], values);
        }
    }

    /// Takes the motion out of an archive; `None` where it holds none. `at` names the file in errors.
    ///
    /// # Errors
    /// [`Error::Input`] when something is missing or does not fit together.
    pub(in crate::head) fn restore(archive: &mut Archive, at: &str) -> Result<Option<Self>> {
        if !archive.has(BASIS) {
            return Ok(None);
        }
        let mut take = |name: &str| archive.take_f64(at, &format!("motion.{name}"), 1);
        let (means, components, deviations) = (take("basis")?, take("components")?, take("deviations")?);
        let (weights, noise, start) = (take("weights")?, take("noise")?, take("start")?);
        let (limits, loudness, liveliness) = (take("limits")?, take("loudness")?, take("liveliness")?);
        let (intervals, shapes) = (take("intervals")?, take("blinks")?);
        let d = deviations.len();
        let lengths = [
            (means.len(), 7 + EXPRESSION),
            (components.len(), d.saturating_sub(POSE) * EXPRESSION),
            (weights.len(), (ORDER * d + INPUTS) * d),
            (noise.len(), d * d),
            (start.len(), ORDER * d),
            (limits.len(), 2 * d),
            (liveliness.len(), 1),
            (shapes.len() % Blinks::SHAPE, 0),
        ];
        let all =
            [&means, &components, &deviations, &weights, &noise, &start, &limits, &loudness, &liveliness];
        let finite = all.into_iter().chain([&intervals, &shapes]).flatten().all(|v| v.abs() < 1e9);
        let fits = (POSE..=WIDEST).contains(&d) && lengths.iter().all(|(found, expected)| found == expected);
        let blinks = intervals.is_empty() == shapes.is_empty();
        if !finite || !fits || !blinks || loudness.len() < 2 {
            let remedy = "use a file that this version of surfeltalk wrote";
            return Err(Error::input(at, "arrays of motion that fit together", "others", remedy));
        }
        let basis = Basis {
            rotation: std::array::from_fn(|k| means[k]),
            translation: std::array::from_fn(|k| means[4 + k]),
            expression: std::array::from_fn(|k| means[7 + k]),
            components,
            deviations,
        };
        let blinks = Blinks { intervals, shapes: shapes.into_iter().map(|v| v as f32).collect() };
        let liveliness = liveliness[0];
        Ok(Some(Motion { basis, weights, noise, start, limits, loudness, liveliness, blinks }))
    }
}
