//! Host memory that callers are done with, kept for the next batch: pages of fresh memory cost more than what is copied
//! into them.

use crate::raster::Rendered;
use std::sync::{Mutex, PoisonError};

/// Images of one batch, at most.
#[derive(Debug, Default)]
pub(super) struct HostWorkspace {
    images: Mutex<Option<Images>>,
}

/// Those of [`Rendered`], and the radii.
#[derive(Debug, Default)]
struct Images {
    images: [Vec<f32>; 7],
    radii: Vec<u32>,
}

impl HostWorkspace {
    /// A batch without images yet; their memory is what was kept.
    pub(super) fn rendered(&self, frames: usize, [width, height]: [usize; 2]) -> Rendered<f32> {
        let kept = self.images.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Images { images, mut radii } = kept.unwrap_or_default();
        radii.clear();
        let [color, attention, alpha, depth, median, normal, distortion] = images.map(cleared);
        Rendered {
            frames,
            width,
            height,
            color,
            attention,
            alpha,
            depth,
            median,
            normal,
            distortion,
            radii,
            state: Box::new(()),
        }
    }

    /// Keeps the memory of images that nobody needs any more.
    pub(super) fn keep_rendered(&self, r: Rendered<f32>) {
        let images = [r.color, r.attention, r.alpha, r.depth, r.median, r.normal, r.distortion];
        let kept = Images { images, radii: r.radii };
        *self.images.lock().unwrap_or_else(PoisonError::into_inner) = Some(kept);
    }
}

fn cleared(mut values: Vec<f32>) -> Vec<f32> {
    values.clear();
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_kept_comes_back_empty_and_with_its_memory() {
        let workspace = HostWorkspace::default();
        let mut rendered = workspace.rendered(2, [4, 3]);
        rendered.color = vec![1.0; 1000];
        rendered.radii = vec![7; 10];
        let place = rendered.color.as_ptr();
        workspace.keep_rendered(rendered);
        let again = workspace.rendered(1, [5, 2]);
        assert!(again.color.is_empty() && again.radii.is_empty() && again.color.as_ptr() == place);
        assert_eq!((again.frames, again.width, again.height), (1, 5, 2));
        assert_ne!(workspace.rendered(1, [5, 2]).color.as_ptr(), place, "it is lent once");
    }
}
