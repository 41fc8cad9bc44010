//! Scenes, images and gradients of an independent CUDA implementation and of a float64 oracle, as npz files.

use super::scene::{ALL, Scene};
use data_utils::formats::npy::NpyArray;
use data_utils::formats::npz;
use std::collections::BTreeMap;
use surfeltalk::Camera;
use surfeltalk::raster::{ImageGradients, Outputs, RasterSettings};

/// The scenes that a folder of references holds.
pub const SCENES: [&str; 5] = ["tiny", "edge", "head20k_256", "sh3", "eye"];

/// The arrays of one scene.
pub struct Reference {
    /// What the CUDA implementation was given and computed.
    pub cuda: BTreeMap<String, NpyArray>,
    /// What the oracle computed.
    pub oracle: BTreeMap<String, NpyArray>,
}

impl Reference {
    pub fn read(folder: &std::path::Path, name: &str) -> Self {
        let read = |file: String| npz::read(&folder.join(file)).expect("a reference file");
        Reference { cuda: read(format!("{name}.npz")), oracle: read(format!("{name}.oracle.npz")) }
    }

    /// An input array.
    pub fn input(&self, name: &str) -> &[f32] {
        &self.cuda.get(name).unwrap_or_else(|| panic!("no array {name}")).data
    }

    /// Which pixels count: those that no rounding can turn over.
    pub fn stable(&self) -> Vec<bool> {
        self.input("flags").iter().map(|&f| f as u8 & 127 == 0).collect()
    }

    /// Whether colours are spherical harmonics.
    pub fn has_harmonics(&self) -> bool {
        self.cuda.contains_key("sh")
    }

    pub fn scene(&self) -> Scene<f32> {
        let w2c = self.input("w2c");
        let [fx, fy, cx, cy] = std::array::from_fn(|i| f64::from(self.input("intrinsics")[i]));
        let size = self.input("size");
        let camera = Camera {
            camera_from_world: std::array::from_fn(|r| std::array::from_fn(|c| f64::from(w2c[4 * r + c]))),
            fx,
            fy,
            cx,
            cy,
            width: size[0] as u32,
            height: size[1] as u32,
        };
        let surfels = self.input("opacities").len();
        let mut background = [0.0; 7];
        background[..self.input("background").len()].copy_from_slice(self.input("background"));
        let harmonics = self.has_harmonics();
        let rgb = |values: &[f32]| values.chunks(7).flat_map(|c| c[..3].to_vec()).collect::<Vec<f32>>();
        let rest = |values: &[f32]| values.chunks(7).flat_map(|c| c[3..].to_vec()).collect::<Vec<f32>>();
        Scene {
            surfels,
            copies: 1,
            positions: self.input("means").to_vec(),
            rotations: self.input("quats").to_vec(),
            scales: self.input("scales").to_vec(),
            opacities: self.input("opacities").to_vec(),
            colors: if harmonics { self.input("sh").to_vec() } else { rgb(self.input("colors")) },
            degree: harmonics.then_some(3),
            attention: (!harmonics).then(|| rest(self.input("colors"))),
            cameras: vec![camera],
            behind: None,
            settings: RasterSettings { background, outputs: Outputs { attention: !harmonics, ..ALL } },
        }
    }

    /// The gradients that came from upstream, of every image or of one.
    pub fn upstream(&self, only: Option<&str>) -> ImageGradients<f32> {
        let take = |name: &str| {
            let wanted = only.is_none_or(|only| only == name);
            if wanted { self.input(&format!("up_{name}")).to_vec() } else { Vec::new() }
        };
        let mut color = take("color");
        let pixels = self.input("flags").len();
        let attention = color.split_off(color.len().min(3 * pixels));
        ImageGradients {
            color,
            attention,
            alpha: take("alpha"),
            depth: take("depth"),
            median: take("median"),
            normal: take("normal"),
            distortion: take("distortion"),
        }
    }
}
