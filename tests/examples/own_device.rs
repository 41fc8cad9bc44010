//! A head on the caller's own wgpu device: `cargo run --release --example own_device -- HEAD PICTURE`.
//!
//! A viewer or a game has a device already. Here one is made with WebGPU's default limits; the head draws the first frame of
//! its clip onto a texture of that device, in silence, and the texture is saved as PICTURE (PNG).

use image::ExtendedColorType::Rgba8;
use surfeltalk::composite::gpu::TextureTarget;
use surfeltalk::composite::{Background, Composition, Layers, PixelFormat, Seam};
use surfeltalk::gpu::Gpu;
use surfeltalk::head::Head;
use surfeltalk::head::backend::{Backend, GpuBackend, Output, RenderRequest};
use surfeltalk::head::field::Conditions;
use surfeltalk::raster::Outputs;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [head, picture] = &arguments[..] else {
        return Err("expected HEAD PICTURE".into());
    };
    let (device, queue) = pollster::block_on(own_device())?;

    let head = Head::from_bytes(&std::fs::read(head)?)?;
    let branch = &head.branches[0];
    let frame = head.clip.as_ref().and_then(|clip| clip.frames.first()).ok_or("a head without a clip")?;
    let mut backend = GpuBackend::new(Gpu::from_device(device.clone(), queue.clone())?);
    backend.load_state(branch, None)?;

    let [width, height] = [frame.camera.width, frame.camera.height];
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("the head"),
        size: wgpu::Extent3d { width, height, depth_or_array_layers: 1 },
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::RENDER_ATTACHMENT | wgpu::TextureUsages::COPY_SRC,
        view_formats: &[],
    });
    let view = texture.create_view(&wgpu::TextureViewDescriptor::default());
    let layers = [Layers::on(Background::Color([0.1, 0.3, 0.5]))];
    let composition =
        Composition { frames: &layers, seam: Seam::default(), format: PixelFormat::Rgba8, torso: None };
    let field = &branch.settings.field;
    let silence = Conditions {
        audio: vec![0.0; 8 * field.audio_channels * field.audio_width],
        expression: frame.expression.to_vec(),
        camera: frame.camera.token(),
        frame: 0.0,
    };
    let target = TextureTarget { view: &view, format: wgpu::TextureFormat::Rgba8Unorm };
    let request = RenderRequest {
        conditions: &[silence],
        cameras: &[frame.camera],
        background: [0.0; 7],
        outputs: Outputs::default(),
        output: Output::Texture(&composition, target),
    };
    backend.render(&request)?.wait()?;

    image::save_buffer(picture, &pixels(&device, &queue, &texture)?, width, height, Rgba8)?;
    Ok(())
}

/// The device that a viewer would have.
async fn own_device() -> Result<(wgpu::Device, wgpu::Queue), Box<dyn std::error::Error>> {
    let instance = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let adapter = instance.request_adapter(&wgpu::RequestAdapterOptions::default()).await?;
    Ok(adapter.request_device(&wgpu::DeviceDescriptor::default()).await?)
}

/// The bytes of a texture, RGBA.
fn pixels(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    texture: &wgpu::Texture,
) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
    let (row, height) = (4 * texture.width(), texture.height());
    // Rows of a copy begin at multiples of 256 bytes.
    let stride = row.next_multiple_of(256);
    let buffer = device.create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: u64::from(stride * height),
        usage: wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        mapped_at_creation: false,
    });
    let mut encoder = device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
    let layout = wgpu::TexelCopyBufferLayout { offset: 0, bytes_per_row: Some(stride), rows_per_image: None };
    encoder.copy_texture_to_buffer(
        texture.as_image_copy(),
        wgpu::TexelCopyBufferInfo { buffer: &buffer, layout },
        texture.size(),
    );
    queue.submit([encoder.finish()]);
    buffer.map_async(wgpu::MapMode::Read, .., |_| ());
    device.poll(wgpu::PollType::wait_indefinitely())?;
    let view = buffer.get_mapped_range(..)?;
    Ok(view.chunks_exact(stride as usize).flat_map(|line| line[..row as usize].to_vec()).collect())
}
