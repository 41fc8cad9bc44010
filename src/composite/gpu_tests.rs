//! Both sides of a composition on lavapipe or a GPU: bytes within one of the CPU's.

use super::super::Seam;
use super::super::cpu::{HeadImages, compose};
use super::super::seam::kernel;
use super::*;
use crate::gpu::uniforms::assert_layout;
use crate::gpu::{Choice, ReadbackRing, Timing};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

fn gpu() -> Gpu {
    Gpu::open(Choice::Any).expect("a device").expect("a GPU, or Mesa's software one")
}

/// A head with a soft edge and noise, and layers of noise, for some frames.
struct Scene {
    size: [usize; 2],
    /// Colour of all frames, then alpha of all frames.
    images: Vec<f32>,
    rgb: Vec<Vec<u8>>,
    torso: Vec<Vec<u8>>,
    masks: Vec<[Vec<u8>; 2]>,
    plate: BackgroundPlate,
}

impl Scene {
    fn new(size: [usize; 2], frames: usize, seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let pixels = size[0] * size[1];
        let mut unit = || (random.next_u32() >> 8) as f32 / (1 << 24) as f32;
        let alpha: Vec<f32> = (0..frames * pixels)
            .map(|i| {
                let (x, y) = (i % pixels % size[0], i % pixels / size[0]);
                let [u, v] = [(x, size[0]), (y, size[1])].map(|(at, side)| at as f32 / side as f32 - 0.5);
                let disc = (8.0 * (0.35 - u.hypot(v)) + 0.5).clamp(0.0, 1.0);
                (disc * (0.9 + 0.1 * unit())).min(1.0)
            })
            .collect();
        // Some of it brighter than white.
        let color = (0..frames)
            .flat_map(|f| (0..3).map(move |_| f))
            .flat_map(|f| alpha[f * pixels..][..pixels].to_vec());
        let color: Vec<f32> = color.map(|a| a * 1.1 * unit()).collect();
        let mut bytes = |count: usize| (0..count).map(|_| (256.0 * unit()) as u8).collect::<Vec<u8>>();
        Scene {
            size,
            images: [color, alpha].concat(),
            rgb: (0..frames).map(|_| bytes(3 * pixels)).collect(),
            torso: (0..frames).map(|_| bytes(4 * pixels)).collect(),
            masks: (0..frames).map(|_| [bytes(pixels), bytes(pixels)]).collect(),
            plate: BackgroundPlate::new(bytes(3 * pixels)),
        }
    }

    /// Layers of every kind in turn.
    fn layers(&self, kind: usize) -> Vec<Layers<'_>> {
        let frames = self.rgb.iter().zip(&self.torso).zip(&self.masks).enumerate();
        frames
            .map(|(k, ((rgb, torso), [occlusion, mask]))| Layers {
                background: match (kind + k) % 3 {
                    _ if kind % 7 == 3 => Background::Transparent,
                    0 => Background::Color([0.2, 0.4, 0.9]),
                    1 => Background::Plate(&self.plate),
                    _ => Background::Frame(rgb),
                },
                torso: (kind + k).is_multiple_of(2).then(|| self.patch(kind + k, 4, torso)),
                occlusion: (kind % 4 < 2).then(|| self.patch(kind + k + 1, 1, occlusion)),
                mask: (kind % 5 < 2).then_some(mask),
            })
            .collect()
    }

    /// The whole picture, or a part of it.
    fn patch<'a>(&self, kind: usize, channels: usize, bytes: &'a [u8]) -> Patch<'a> {
        if kind.is_multiple_of(3) {
            return Patch::whole(self.size, bytes);
        }
        let corner = self.size.map(|side| (side / 3) as u32);
        let size: [u32; 2] =
            std::array::from_fn(|k| (self.size[k] as u32 - corner[k]) / (1 + kind as u32 % 2));
        Patch { corner, size, bytes: &bytes[..channels * (size[0] * size[1]) as usize] }
    }

    fn on_device(&self, gpu: &Gpu, compositor: &Compositor, composition: &Composition<'_>) -> Vec<Picture> {
        let images = gpu.upload(&[self.images.as_slice()]).expect("uploaded");
        let layers =
            compositor.upload(self.size, composition, 0..composition.frames.len()).expect("uploaded");
        let mut recorder = Recorder::new(gpu, Timing::Off);
        let images = DeviceImages { buffer: &images, at_color: 0, at_alpha: self.at_alpha() };
        let pictures = compositor.record(&mut recorder, &images, &layers).expect("recorded");
        let packed = compositor.record_pack(&mut recorder, &pictures).expect("recorded");
        let ring = ReadbackRing::new(gpu, 1);
        let sources = [(&*packed.buffer, 0..packed.bytes)];
        let pending = ring.submit(recorder.into_encoder(), &sources).expect("submitted");
        pending.wait().expect("composed");
        let mut found = Vec::new();
        pending.take(|_, data| found = packed.shape().pictures(data)).expect("read back");
        found
    }

    fn at_alpha(&self) -> u32 {
        (self.images.len() / 4 * 3) as u32
    }

    fn on_host(&self, composition: &Composition<'_>) -> Vec<Picture> {
        let pixels = self.size[0] * self.size[1];
        let (color, alpha) = self.images.split_at(self.at_alpha() as usize);
        let frames = composition.frames.iter().enumerate();
        frames
            .map(|(k, layers)| {
                let head = HeadImages {
                    size: self.size,
                    color: &color[3 * k * pixels..][..3 * pixels],
                    alpha: &alpha[k * pixels..][..pixels],
                };
                compose(&head, layers, composition.seam, composition.format).expect("composed")
            })
            .collect()
    }
}

/// The largest difference of two bytes, and how many differ at all.
fn difference(a: &[Picture], b: &[Picture]) -> (u8, usize) {
    assert_eq!(a.len(), b.len());
    let mut worst = (0, 0);
    for (a, b) in a.iter().zip(b) {
        assert_eq!((a.size, a.format, a.bytes.len()), (b.size, b.format, b.bytes.len()));
        for d in a.bytes.iter().zip(&b.bytes).map(|(a, b)| a.abs_diff(*b)) {
            worst = (worst.0.max(d), worst.1 + usize::from(d > 0));
        }
    }
    worst
}

#[test]
fn the_device_composes_as_the_cpu_does() {
    let gpu = gpu();
    let compositor = Compositor::new(&gpu);
    let formats = [PixelFormat::Rgba8, PixelFormat::Rgb8, PixelFormat::I420, PixelFormat::Nv12];
    let mut kind = 0;
    for (size, frames) in [([64, 48], 3), ([37, 21], 2), ([5, 3], 1), ([1, 1], 2)] {
        let scene = Scene::new(size, frames, size[0] as u64);
        for seam in [0, 3, 9] {
            for format in formats {
                kind += 1;
                let layers = scene.layers(kind);
                let seam = Seam::new(seam).expect("an odd width");
                let composition = Composition { frames: &layers, seam, format, torso: None };
                let (device, host) =
                    (scene.on_device(&gpu, &compositor, &composition), scene.on_host(&composition));
                let (worst, count) = difference(&device, &host);
                assert!(worst <= 1, "{size:?} {seam:?} {format:?} {kind}: {worst} in {count} bytes");
            }
        }
    }
}

#[test]
fn another_layer_is_another_picture_on_both_sides() {
    // A comparison that cannot fail would hold the two together by nothing.
    let gpu = gpu();
    let compositor = Compositor::new(&gpu);
    let scene = Scene::new([32, 32], 1, 7);
    let full = scene.layers(0);
    assert!(full[0].torso.is_some() && full[0].occlusion.is_some() && full[0].mask.is_some());
    fn composition<'a>(frames: &'a [Layers<'a>]) -> Composition<'a> {
        Composition { frames, seam: Seam::new(5).expect("odd"), format: PixelFormat::Rgba8, torso: None }
    }
    let host = scene.on_host(&composition(&full));
    let less = [
        Layers { torso: None, ..full[0] },
        Layers { occlusion: None, ..full[0] },
        Layers { mask: None, ..full[0] },
        Layers { background: Background::Color([0.0; 3]), ..full[0] },
        Layers { background: Background::Transparent, ..full[0] },
    ];
    for layers in less {
        let other = [layers];
        assert!(difference(&scene.on_device(&gpu, &compositor, &composition(&other)), &host).0 > 20);
    }
    let hard = Composition { seam: Seam::default(), ..composition(&full) };
    assert!(difference(&scene.on_device(&gpu, &compositor, &hard), &host).0 > 20);
}

#[test]
fn a_plate_is_brought_once_and_two_do_not_go_together() {
    let gpu = gpu();
    let compositor = Compositor::new(&gpu);
    let plates: Vec<BackgroundPlate> =
        (0..=PLATES_KEPT).map(|k| BackgroundPlate::new(vec![k as u8; 3])).collect();
    let on =
        |plate: &BackgroundPlate| compositor.plate(&[Layers::on(Background::Plate(plate))]).expect("a plate");
    let first = on(&plates[0]);
    assert!(Arc::ptr_eq(&first, &on(&plates[0].clone())));
    plates[1..].iter().for_each(|plate| drop(on(plate)));
    assert!(!Arc::ptr_eq(&first, &on(&plates[0])), "the one that was not used made room");
    let two = [Layers::on(Background::Plate(&plates[0])), Layers::on(Background::Plate(&plates[1]))];
    assert!(compositor.plate(&two).is_err());
}

/// The bytes of a texture on which the first frame of a scene of 64 × 40 pixels was shown.
fn shown(scene: &Scene, composition: &Composition<'_>, format: wgpu::TextureFormat) -> Vec<u8> {
    let gpu = gpu();
    let compositor = Compositor::new(&gpu);
    let extent = wgpu::Extent3d { width: 64, height: 40, depth_or_array_layers: 1 };
    let texture = gpu.device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: extent,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    let images = gpu.upload(&[scene.images.as_slice()]).expect("uploaded");
    let uploaded = compositor.upload(scene.size, composition, 0..1).expect("uploaded");
    let images = DeviceImages { buffer: &images, at_color: 0, at_alpha: scene.at_alpha() };
    let mut recorder = Recorder::new(&gpu, Timing::Off);
    let pictures = compositor.record(&mut recorder, &images, &uploaded).expect("recorded");
    let view = texture.create_view(&Default::default());
    compositor
        .record_show(&mut recorder, &pictures, TextureTarget { view: &view, format })
        .expect("recorded");
    // 64 pixels are 256 bytes, as copies of textures want their rows.
    let bytes = gpu.storage(4 * 64 * 40);
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(256), rows_per_image: None };
    recorder.encoder().copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo { buffer: &bytes, layout },
        extent,
    );
    let mut found = Vec::new();
    gpu.submit_and_read(recorder.into_encoder(), &[(&bytes, 4 * 64 * 40)], |_, data| found = data.to_vec())
        .expect("read");
    found
}

#[test]
fn a_texture_shows_what_is_read_back() {
    let scene = Scene::new([64, 40], 1, 3);
    let layers = scene.layers(1);
    let composition = Composition {
        frames: &layers,
        seam: Seam::new(3).expect("odd"),
        format: PixelFormat::Rgba8,
        torso: None,
    };
    let host = scene.on_host(&composition);
    for format in [wgpu::TextureFormat::Rgba8Unorm, wgpu::TextureFormat::Rgba8UnormSrgb] {
        let shown = [Picture { bytes: shown(&scene, &composition, format), ..host[0].clone() }];
        let (worst, count) = difference(&shown, &host);
        assert!(worst <= 1, "{format:?}: {worst} in {count} bytes");
    }
}

#[test]
fn over_nothing_a_texture_has_an_alpha_that_its_colours_carry() {
    let scene = Scene::new([64, 40], 1, 3);
    let layers = [Layers { background: Background::Transparent, ..scene.layers(1)[0] }];
    let composition =
        Composition { frames: &layers, seam: Seam::default(), format: PixelFormat::Rgba8, torso: None };
    let mut host = scene.on_host(&composition);
    let found = shown(&scene, &composition, wgpu::TextureFormat::Rgba8Unorm);
    for (rgba, shown) in host[0].bytes.chunks_exact_mut(4).zip(found.chunks_exact(4)) {
        let alpha = f32::from(rgba[3]) / 255.0;
        for (value, shown) in rgba[..3].iter_mut().zip(shown) {
            // A straight colour that was cut off at white has lost what it carried.
            *value = if *value == 255 { *shown } else { (f32::from(*value) * alpha).round() as u8 };
        }
    }
    assert!(host[0].bytes.chunks_exact(4).any(|rgba| (50..200).contains(&rgba[3])), "an edge");
    let (worst, count) = difference(&[Picture { bytes: found, ..host[0].clone() }], &host);
    assert!(worst <= 1, "{worst} in {count} bytes");
}

#[test]
fn layers_that_do_not_fit_are_refused() {
    let gpu = gpu();
    let compositor = Compositor::new(&gpu);
    let layers = [Layers::on(Background::Frame(&[0; 12]))];
    let composition =
        Composition { frames: &layers, seam: Seam::default(), format: PixelFormat::Rgba8, torso: None };
    assert!(compositor.upload([2, 2], &composition, 0..1).is_ok());
    assert!(compositor.upload([2, 3], &composition, 0..1).is_err());
    assert!(compositor.upload([2, 2], &composition, 0..2).is_err());
}

#[test]
fn structs_and_weights_are_those_of_the_shaders() {
    assert_layout("composite", "CompositeParams", CompositeParams::MEMBERS);
    assert_layout("composite", "FrameLayers", FrameLayers::MEMBERS);
    let text = include_str!("../../shaders/shared/seam.wgsl");
    let sum = text.split("BLUR_SUM: f32 = ").nth(1).and_then(|rest| rest.split(';').next());
    let sum: f32 = sum.expect("the sum").parse().expect("a number");
    let taps = kernel();
    assert!((taps[7] - 1.0 / sum).abs() < 1e-7, "{} {sum}", taps[7]);
    assert_eq!(taps.len(), 15);
}
