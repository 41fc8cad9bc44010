//! A head that speaks without its dataset: sound in any pieces, the same frames.

mod common {
    pub mod speaking_head;
}

use common::speaking_head::{CLIP_FRAMES, speaking_head, spoken};
use image::{Rgb, RgbImage};
use std::sync::Arc;
use surfeltalk::Result;
use surfeltalk::composite::gpu::TextureTarget;
use surfeltalk::gpu::Gpu;
use surfeltalk::head::backend::{CpuBackend, GpuBackend};
use surfeltalk::head::{Head, Plate};
use surfeltalk::live::background::BackgroundType;
use surfeltalk::live::frame_renderer::{FrameOptions, RenderedFrame};
use surfeltalk::live::performance::{Performance, PerformanceOptions};
use surfeltalk::live::plate_source::{FilmedFrame, FramePlate, PlateRequest, PlateSource};
use surfeltalk::live::portrait_frame::PortraitFrame;
use surfeltalk::live::pose_source::ping_pong;

const SIZE: u32 = 48;

fn options(batch: usize) -> PerformanceOptions {
    PerformanceOptions { frames: FrameOptions { batch, ..FrameOptions::default() }, ..Default::default() }
}

/// All frames of a voice at `rate` that is pushed in pieces of `piece` samples.
fn frames(
    head: &Arc<Head>,
    samples: &[f32],
    rate: u32,
    piece: usize,
    batch: usize,
) -> Result<Vec<RenderedFrame>> {
    let mut performance = Performance::new(head, Box::new(CpuBackend::new()), options(batch))?;
    let mut frames = Vec::new();
    for piece in samples.chunks(piece) {
        performance.push_audio(piece, rate)?;
        while let Some(frame) = performance.next_frame()? {
            frames.push(frame);
        }
    }
    performance.finish()?;
    while let Some(frame) = performance.next_frame()? {
        frames.push(frame);
    }
    assert!(performance.is_finished());
    assert_eq!(performance.total_frames(), Some(frames.len()));
    Ok(frames)
}

#[test]
fn sound_in_pieces_of_20_ms_gives_the_frames_of_the_whole_sound() {
    let head = speaking_head(200, SIZE);
    let sound = spoken("Papa!", 3).sound;
    let whole = frames(&head, &sound.samples, sound.rate, usize::MAX, 16).expect("frames");
    assert_eq!(whole.len(), sound.video_frames());
    let moving = whole.windows(2).filter(|pair| pair[0].picture != pair[1].picture).count();
    assert!(moving > whole.len() / 2, "{moving} of {} frames differ from the one before", whole.len());
    for (piece, batch) in [(320, 1), (320, 16), (7777, 5)] {
        let pieces = frames(&head, &sound.samples, sound.rate, piece, batch).expect("frames");
        assert_eq!(pieces.len(), whole.len());
        for (a, b) in pieces.iter().zip(&whole) {
            assert_eq!((a.number, a.plate, a.camera), (b.number, b.plate, b.camera));
            assert_eq!(a.picture, b.picture, "frame {} of pieces of {piece} samples", a.number);
        }
    }
}

#[test]
fn sound_at_another_rate_in_pieces_gives_the_same_frames_too() {
    let head = speaking_head(100, SIZE);
    let samples: Vec<f32> =
        (0..24_000).map(|i| 0.3 * (i as f32 * 0.05).sin() * (i as f32 * 0.0007).sin()).collect();
    let whole = frames(&head, &samples, 48_000, usize::MAX, 16).expect("frames");
    let pieces = frames(&head, &samples, 48_000, 960, 16).expect("frames");
    assert_eq!(whole.len(), 13);
    assert!(whole.iter().zip(&pieces).all(|(a, b)| a.picture == b.picture));
}

#[test]
fn a_head_out_of_its_file_speaks_and_walks_its_clip_forwards_and_backwards() {
    let bytes = speaking_head(100, SIZE).to_bytes().expect("bytes");
    let head = Arc::new(Head::from_bytes(&bytes).expect("a head"));
    let sound = spoken("Papa!", 3).sound;
    let frames = frames(&head, &sound.samples, sound.rate, usize::MAX, 16).expect("frames");
    for frame in &frames {
        assert_eq!(frame.plate, ping_pong(frame.number, CLIP_FRAMES as usize));
        assert_eq!(frame.size, [SIZE as usize; 2]);
        // The torso of its plate, in the lowest row, where no head is drawn.
        let pixel = &frame.picture[3 * (48 * 47 + 24)..][..3];
        let expected = [60 + 20 * frame.plate as u8, 90, 120];
        assert!(pixel.iter().zip(expected).all(|(a, b)| a.abs_diff(b) <= 3), "{pixel:?} {expected:?}");
    }
}

#[test]
fn sound_after_the_end_at_another_rate_or_for_a_missing_dataset_is_refused() {
    let head = speaking_head(50, SIZE);
    let mut performance =
        Performance::new(&head, Box::new(CpuBackend::new()), options(1)).expect("a performance");
    performance.push_audio(&[0.0; 100], 16_000).expect("taken");
    assert_eq!(performance.push_audio(&[0.0; 100], 8_000).expect_err("another rate").exit_code(), 2);
    performance.finish().expect("finished");
    assert!(performance.push_audio(&[0.0; 100], 16_000).is_err());
    let mut filmed = options(1);
    filmed.frames.background = BackgroundType::Gt;
    let error = Performance::new(&head, Box::new(CpuBackend::new()), filmed).err().expect("no filmed frames");
    assert!(error.to_string().contains("dataset"), "{error}");
    let mut bare = Head::from_bytes(&head.to_bytes().expect("bytes")).expect("a head");
    bare.clip = None;
    let error =
        Performance::new(&Arc::new(bare), Box::new(CpuBackend::new()), options(1)).err().expect("no clip");
    assert!(error.to_string().contains("convert"), "{error}");
}

/// Frames of noise that a head is laid into: the crop's left half alone is the head's.
struct Film;

impl PlateSource for Film {
    fn size(&self) -> [u32; 2] {
        [30, 30]
    }

    fn picture_size(&self) -> [u32; 2] {
        [64, 40]
    }

    fn background(&self) -> Result<RgbImage> {
        Ok(RgbImage::new(30, 30))
    }

    fn has_filmed_frames(&self) -> bool {
        true
    }

    fn load(&self, index: usize, _: PlateRequest) -> Result<FramePlate> {
        let noise = |x: u32, y: u32| Rgb([(x * 37 + y * 11) as u8, (x * y) as u8, 20 * index as u8]);
        let mask: Vec<u8> = (0..900).map(|at| if at % 30 < 15 { 255 } else { 0 }).collect();
        let portrait = PortraitFrame {
            original: Arc::new(RgbImage::from_fn(64, 40, noise)),
            corner: [20, 5],
            size: [30, 30],
            mask: Arc::new(mask.clone()),
        };
        let filmed = FilmedFrame { rgb: portrait.filmed(), mask, cuts: true, portrait: Some(portrait) };
        Ok(FramePlate { torso: Plate::default(), filmed: Some(filmed) })
    }
}

#[test]
fn a_portrait_is_the_film_to_the_bit_outside_its_mask_whatever_size_the_head_was_trained_at() {
    let head = speaking_head(200, SIZE);
    let mut options = options(4);
    options.frames.background = BackgroundType::Gt;
    options.plates = Some(Arc::new(Film));
    let mut performance =
        Performance::new(&head, Box::new(CpuBackend::new()), options).expect("a performance");
    let sound = spoken("Papa!", 3).sound;
    performance.push_audio(&sound.samples, sound.rate).expect("taken");
    performance.finish().expect("finished");
    let mut drawn = 0;
    while let Some(frame) = performance.next_frame().expect("a frame") {
        assert_eq!(frame.size, [64, 40]);
        let portrait = frame.portrait.as_ref().expect("the film");
        // Frame, mask and pose walk forwards and backwards together.
        assert_eq!(portrait.original.get_pixel(0, 0).0[2], 20 * frame.plate as u8);
        let laid = frame.to_image().expect("a picture");
        for (x, y, pixel) in laid.enumerate_pixels() {
            let inside = (20..35).contains(&x) && (5..35).contains(&y);
            let same = pixel == portrait.original.get_pixel(x, y);
            assert!(inside || same, "frame {} at {x}, {y}", frame.number);
            drawn += usize::from(!same);
        }
    }
    assert!(drawn > 1000, "{drawn} pixels are drawn");
}

/// A device of the caller's, with a texture of the frame's size.
fn own_texture() -> (wgpu::Device, wgpu::Queue, wgpu::Texture) {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = pollster::block_on(instance.request_adapter(&wgpu::RequestAdapterOptions::default()));
    let opened = pollster::block_on(adapter.expect("an adapter").request_device(&Default::default()));
    let (device, queue) = opened.expect("a device");
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: None,
        size: wgpu::Extent3d { width: SIZE, height: SIZE, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    (device, queue, texture)
}

/// The bytes of a texture, RGB.
fn bytes_of(device: &wgpu::Device, queue: &wgpu::Queue, texture: &wgpu::Texture) -> Vec<u8> {
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: u64::from(256 * SIZE),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&Default::default());
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(256), rows_per_image: None };
    let to = wgpu::TexelCopyBufferInfo { buffer: &buffer, layout };
    encoder.copy_texture_to_buffer(texture.as_image_copy(), to, texture.size());
    queue.submit([encoder.finish()]);
    buffer.map_async(wgpu::MapMode::Read, .., |_| ());
    device.poll(wgpu::PollType::wait_indefinitely()).expect("done");
    let view = buffer.get_mapped_range(..).expect("mapped");
    let row =
        |line: &[u8]| line[..4 * SIZE as usize].chunks_exact(4).flat_map(|p| [p[0], p[1], p[2]]).collect();
    view.chunks_exact(256).flat_map(|line| -> Vec<u8> { row(line) }).collect()
}

#[test]
fn frames_are_drawn_on_a_texture_of_the_caller_without_waiting() {
    let head = speaking_head(300, SIZE);
    let sound = spoken("Hello there!", 4).sound.samples;
    let expected = frames(&head, &sound, 16_000, sound.len(), 1).expect("frames");
    let (device, queue, texture) = own_texture();
    let view = texture.create_view(&Default::default());
    let gpu = Gpu::from_device(device.clone(), queue.clone()).expect("enough for our shaders");
    let backend = Box::new(GpuBackend::new(gpu));
    let mut performance = Performance::new(&head, backend, options(1)).expect("a performance");
    let target = TextureTarget { view: &view, format: wgpu::TextureFormat::Rgba8Unorm };
    assert!(performance.draw_next_on(target).expect("no fault").is_none(), "no sound, no frame");
    performance.push_audio(&sound, 16_000).expect("heard");
    for frame in &expected[..3] {
        let mut images = performance.draw_next_on(target).expect("drawn").expect("a frame");
        // As a page asks again with every picture of the screen.
        let begin = std::time::Instant::now();
        while images.try_take().transpose().expect("drawn").is_none() {
            assert!(begin.elapsed().as_secs() < 60, "asking never ends");
            std::thread::yield_now();
        }
        let found = bytes_of(&device, &queue, &texture);
        let worst = found.iter().zip(&frame.picture).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(worst <= Some(2), "frame {}: {worst:?}", frame.number);
    }
}

#[test]
fn the_processor_has_no_textures() {
    let head = speaking_head(300, SIZE);
    let (_, _, texture) = own_texture();
    let view = texture.create_view(&Default::default());
    let mut performance = Performance::new(&head, Box::new(CpuBackend::new()), options(1)).expect("ready");
    performance.push_audio(&[0.0; 16_000], 16_000).expect("heard");
    let target = TextureTarget { view: &view, format: wgpu::TextureFormat::Rgba8Unorm };
    let refused = performance.draw_next_on(target).map(drop).expect_err("refused");
    assert_eq!(refused.exit_code(), 2);
}
