//! Scenes that own their numbers, and small ones made up here.

use surfeltalk::Camera;
use surfeltalk::raster::{
    Behind, Colors, ImageGradients, Outputs, RasterSettings, Real, Rendered, SurfelBatch,
};

/// A batch with its cameras and settings.
#[derive(Debug, Clone)]
pub struct Scene<R> {
    pub surfels: usize,
    pub copies: usize,
    pub positions: Vec<R>,
    pub rotations: Vec<R>,
    pub scales: Vec<R>,
    pub opacities: Vec<R>,
    /// RGB, or coefficients when a degree is given.
    pub colors: Vec<R>,
    pub degree: Option<usize>,
    pub attention: Option<Vec<R>>,
    pub cameras: Vec<Camera>,
    pub settings: RasterSettings<R>,
    pub behind: Option<Behind>,
}

/// Every image there is.
pub const ALL: Outputs =
    Outputs { attention: true, depth: true, median: true, normal: true, distortion: true };

impl<R: Real> Scene<R> {
    pub fn batch(&self) -> SurfelBatch<'_, R> {
        SurfelBatch {
            surfels: self.surfels,
            copies: self.copies,
            positions: &self.positions,
            rotations: &self.rotations,
            scales: &self.scales,
            opacities: &self.opacities,
            colors: match self.degree {
                None => Colors::Ready(&self.colors),
                Some(degree) => Colors::Harmonics { degree, coefficients: &self.colors },
            },
            attention: self.attention.as_deref(),
            behind: self.behind,
        }
    }

    /// The same scene in other numbers.
    pub fn cast<Q: Real>(&self) -> Scene<Q> {
        let cast = |values: &Vec<R>| values.iter().map(|v| Q::from_f64(v.to_f64())).collect();
        Scene {
            surfels: self.surfels,
            copies: self.copies,
            positions: cast(&self.positions),
            rotations: cast(&self.rotations),
            scales: cast(&self.scales),
            opacities: cast(&self.opacities),
            colors: cast(&self.colors),
            degree: self.degree,
            attention: self.attention.as_ref().map(cast),
            cameras: self.cameras.clone(),
            behind: self.behind,
            settings: RasterSettings {
                background: self.settings.background.map(|v| Q::from_f64(v.to_f64())),
                outputs: self.settings.outputs,
            },
        }
    }
}

/// A camera at the origin that looks along +z.
pub fn camera(width: u32, height: u32) -> Camera {
    let focal = 1.2 * f64::from(width.max(height));
    Camera {
        camera_from_world: [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]],
        fx: focal,
        fy: focal,
        cx: (f64::from(width) - 1.0) / 2.0,
        cy: (f64::from(height) - 1.0) / 2.0,
        width,
        height,
    }
}

/// A small generator with the same numbers everywhere (splitmix64).
#[derive(Debug, Clone)]
pub struct Random(pub u64);

impl Random {
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in low..high.
    pub fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A uniform unit quaternion.
    pub fn quaternion(&mut self) -> [f64; 4] {
        loop {
            let q: [f64; 4] = std::array::from_fn(|_| self.uniform(-1.0, 1.0));
            let square = q.iter().map(|v| v * v).sum::<f64>();
            if (0.01..1.0).contains(&square) {
                return q.map(|v| v / square.sqrt());
            }
        }
    }
}

/// `surfels` discs in front of a camera, each a few pixels to a quarter of the image wide, not too near their edge.
pub fn random_scene(seed: u64, surfels: usize, width: u32, height: u32) -> Scene<f64> {
    let mut random = Random(seed);
    let view = camera(width, height);
    let (half_x, half_y) = (f64::from(width) / view.fx / 2.0, f64::from(height) / view.fy / 2.0);
    let mut scene = Scene {
        surfels,
        copies: 1,
        positions: Vec::new(),
        rotations: Vec::new(),
        scales: Vec::new(),
        opacities: Vec::new(),
        colors: Vec::new(),
        degree: None,
        attention: Some(Vec::new()),
        cameras: vec![view],
        behind: None,
        settings: RasterSettings { background: [0.3, 0.1, 0.7, 0.2, 0.9, 0.4, 0.6], outputs: ALL },
    };
    for _ in 0..surfels {
        let z = random.uniform(2.0, 4.0);
        let x = random.uniform(-1.0, 1.0) * half_x * z;
        let y = random.uniform(-1.0, 1.0) * half_y * z;
        scene.positions.extend([x, y, z]);
        let q = loop {
            let q = random.quaternion();
            // z of the normal: the disc is not seen from its edge.
            let normal_z = 1.0 - 2.0 * (q[1] * q[1] + q[2] * q[2]);
            if normal_z.abs() > 0.5 {
                break q;
            }
        };
        scene.rotations.extend(q);
        let size = z / view.fx * f64::from(width.max(height));
        scene.scales.extend([random.uniform(0.03, 0.12) * size, random.uniform(0.03, 0.12) * size]);
        scene.opacities.push(random.uniform(0.1, 0.9));
        scene.colors.extend([(); 3].map(|()| random.uniform(0.0, 1.0)));
        let attention = [(); 4].map(|()| random.uniform(0.0, 1.0));
        scene.attention.get_or_insert_default().extend(attention);
    }
    scene
}

/// Random gradients for the images that were drawn.
pub fn random_gradients<R: Real>(seed: u64, rendered: &Rendered<R>) -> ImageGradients<R> {
    let mut random = Random(seed);
    let mut like = |image: &Vec<R>| image.iter().map(|_| R::from_f64(random.uniform(-1.0, 1.0))).collect();
    ImageGradients {
        color: like(&rendered.color),
        attention: like(&rendered.attention),
        alpha: like(&rendered.alpha),
        depth: like(&rendered.depth),
        median: like(&rendered.median),
        normal: like(&rendered.normal),
        distortion: like(&rendered.distortion),
    }
}

/// Σ image · gradient.
pub fn loss(rendered: &Rendered<f64>, gradients: &ImageGradients<f64>) -> f64 {
    [
        (&rendered.color, &gradients.color),
        (&rendered.attention, &gradients.attention),
        (&rendered.alpha, &gradients.alpha),
        (&rendered.depth, &gradients.depth),
        (&rendered.median, &gradients.median),
        (&rendered.normal, &gradients.normal),
        (&rendered.distortion, &gradients.distortion),
    ]
    .iter()
    .flat_map(|(image, gradient)| image.iter().zip(gradient.iter()).map(|(a, b)| a * b))
    .sum()
}
