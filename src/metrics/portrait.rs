//! How good a portrait is: a drawn face in the original frame. Most of its pixels are copied, so these figures stand in a row of
//! their own that says how many, and are not to be compared with those of frames that are drawn.

use super::accumulator::MetricModels;
use super::planes::masked_planes;
use super::psnr::psnr;
use super::report::{Column, Figure, Mean, Report};
use super::seam::seam_error;
use crate::Result;

/// One frame of a portrait.
#[derive(Debug, Clone, Copy)]
pub struct PortraitPicture<'a> {
    /// Width and height of the whole frame, pixels.
    pub size: [usize; 2],
    /// The finished frame, RGB, before it is encoded.
    pub finished: &'a [u8],
    /// The original frame, RGB.
    pub original: &'a [u8],
    /// The finished and the original crop, RGB.
    pub crops: [&'a [u8]; 2],
    /// Width of the crop.
    pub width: usize,
    /// How much of the drawing is seen in the crop, 0..255.
    pub mask: &'a [u8],
    /// Pixels of the whole frame that are copied.
    pub copied: u64,
}

/// Takes one frame after the other and sums up.
pub struct PortraitScore<'a> {
    models: &'a MetricModels,
    /// Whether the mouth says what was filmed.
    is_own_voice: bool,
    frames: usize,
    psnr: Mean,
    lpips: Mean,
    copied: Mean,
    ring: Mean,
    step: Mean,
}

impl<'a> PortraitScore<'a> {
    /// Without any frame yet. Of another voice than the filmed one only the seam is compared.
    pub fn new(models: &'a MetricModels, is_own_voice: bool) -> Self {
        let mean = Mean::default();
        PortraitScore {
            models,
            is_own_voice,
            frames: 0,
            psnr: mean,
            lpips: mean,
            copied: mean,
            ring: mean,
            step: mean,
        }
    }

    /// Adds a frame.
    ///
    /// # Errors
    /// Those of the network.
    pub fn add(&mut self, picture: &PortraitPicture<'_>) -> Result<()> {
        let pixels = picture.size[0] * picture.size[1];
        self.frames += 1;
        self.copied.add(100.0 * picture.copied as f64 / pixels.max(1) as f64);
        let edge: Vec<bool> = picture.mask.iter().map(|m| *m >= 128).collect();
        let seam = seam_error(picture.crops[0], picture.crops[1], &edge, picture.width);
        seam.step.into_iter().for_each(|v| self.step.add(v));
        if !self.is_own_voice {
            return Ok(());
        }
        seam.ring.into_iter().for_each(|v| self.ring.add(v));
        let all = vec![1.0; pixels];
        let [a, b] = [picture.finished, picture.original].map(|rgb| masked_planes(rgb, &all, [0.0; 3]));
        self.psnr.add(psnr(&a, &b)?);
        let distance = self.models.lpips_of(&a, &b, [picture.size[1], picture.size[0]])?;
        distance.into_iter().for_each(|v| self.lpips.add(v));
        Ok(())
    }

    /// The scores so far, one row called `name`.
    ///
    /// # Errors
    /// [`crate::Error::Internal`] when figures and columns disagree.
    pub fn report(&self, name: &str) -> Result<Report> {
        let mut report = Report::new(vec![
            Column::new("portrait_psnr_full_frame", "portrait: PSNR full frame dB", 2),
            Column::new("portrait_lpips_full_frame", "LPIPS full frame", 4),
            Column::new("portrait_copied_percent", "pixels copied %", 1),
            Column::new("portrait_ring_error", "ring ±8 px error", 2),
            Column::new("portrait_seam_step", "seam step", 2),
        ]);
        let other = "another voice than the filmed one";
        let compared = |mean: &Mean, why: &str| match self.is_own_voice {
            true => mean.figure(why),
            false => Figure::missing(other),
        };
        let figures = vec![
            compared(&self.psnr, "no frames"),
            compared(&self.lpips, "give --lpips_weights"),
            self.copied.figure("no frames"),
            compared(&self.ring, "no face in any frame"),
            self.step.figure("no face in any frame"),
        ];
        report.push(name, self.frames, figures)?;
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_says_how_much_is_copied_and_another_voice_has_no_truth() {
        let models = MetricModels::open(None, None, None).expect("none");
        // A crop of 40 × 40 in a frame of 80 × 50, drawn 4 levels lighter inside 20 × 20.
        let mask: Vec<u8> = (0..1600)
            .map(|i| if (10..30).contains(&(i % 40)) && (400..1200).contains(&i) { 255 } else { 0 })
            .collect();
        let original = vec![100; 3 * 80 * 50];
        let mut finished = original.clone();
        let drawn: Vec<u8> = mask.iter().flat_map(|m| [100 + if *m > 0 { 4 } else { 0 }; 3]).collect();
        for y in 0..40 {
            finished[3 * (y * 80 + 20)..][..120].copy_from_slice(&drawn[120 * y..][..120]);
        }
        let filmed = vec![100; 3 * 1600];
        let picture = PortraitPicture {
            size: [80, 50],
            finished: &finished,
            original: &original,
            crops: [&drawn, &filmed],
            width: 40,
            mask: &mask,
            copied: 4000 - 400,
        };
        let figures = |own: bool| {
            let mut score = PortraitScore::new(&models, own);
            score.add(&picture).expect("scored");
            let report = score.report("test").expect("a report");
            report.rows()[0].figures.iter().map(Figure::value).collect::<Vec<_>>()
        };
        let own = figures(true);
        let expected = -10.0 * (0.1f64 * (4.0f64 / 255.0).powi(2)).log10();
        assert!((own[0].expect("a PSNR") - expected).abs() < 1e-3, "{own:?}");
        assert_eq!((own[1], own[2]), (None, Some(90.0)));
        assert!((own[4].expect("a step") - 4.0).abs() < 1e-6, "{own:?}");
        let foreign = figures(false);
        assert_eq!((foreign[0], foreign[3]), (None, None));
        assert_eq!((foreign[2], foreign[4]), (own[2], own[4]));
    }
}
