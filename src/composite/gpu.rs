//! Composition on the device, from the rasterizer's images to bytes or a texture; twin of `cpu`.

pub use super::device_images::DeviceImages;
use super::picture::{Picture, PixelFormat};
use super::{Background, BackgroundPlate, Composition, DeviceTorso, Layers, Patch};
use crate::gpu::shaders::{Reduce, render_source};
use crate::gpu::uniforms::{ABSENT, uniform};
use crate::gpu::{Gpu, PooledBuffer, Recorder, StagingWriter};
use crate::{Error, Result};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

uniform! {
    /// See `shaders/shared/composite_params.wgsl`.
    CompositeParams {
        width: u32,
        height: u32,
        frames: u32,
        at_color: u32,
        at_alpha: u32,
        radius: u32,
        out_width: u32,
        out_height: u32,
        out_words: u32,
        transparent: u32,
        drawn_torso: u32,
    }
}

uniform! {
    /// See `shaders/composite/composite.wgsl`.
    FrameLayers {
        frame: u32,
        plate: u32,
        red: f32,
        green: f32,
        blue: f32,
        torso: u32,
        torso_left: u32,
        torso_top: u32,
        torso_width: u32,
        torso_height: u32,
        occlusion: u32,
        occlusion_left: u32,
        occlusion_top: u32,
        occlusion_width: u32,
        occlusion_height: u32,
        mask: u32,
    }
}

/// Plates that stay on the device: a head has one, and another when the user changes it.
const PLATES_KEPT: usize = 4;

/// A plate on the device, by [`BackgroundPlate::id`].
type DevicePlate = (u64, Arc<PooledBuffer>);

/// Puts pictures together on a device. Cheap to clone; clones share plates and pipelines.
#[derive(Debug, Clone)]
pub struct Compositor {
    gpu: Gpu,
    /// The one used last at the end.
    plates: Arc<Mutex<Vec<DevicePlate>>>,
    /// Render pipelines by the texture's format.
    shows: Arc<Mutex<BTreeMap<String, wgpu::RenderPipeline>>>,
}

/// A texture that a picture is drawn onto.
#[derive(Debug, Clone, Copy)]
pub struct TextureTarget<'a> {
    /// A view of it; its usages include `RENDER_ATTACHMENT`.
    pub view: &'a wgpu::TextureView,
    /// The view's format, any that can be rendered to.
    pub format: wgpu::TextureFormat,
}

/// The layers of some frames, on the device.
#[derive(Debug)]
pub struct DeviceLayers {
    size: [usize; 2],
    count: usize,
    radius: usize,
    format: PixelFormat,
    transparent: bool,
    frames: PooledBuffer,
    layers: PooledBuffer,
    plate: Arc<PooledBuffer>,
    /// Torsos that were drawn here, and which of them is the first frame's.
    torso: Option<(DeviceTorso, u32)>,
}

/// Finished pictures on the device, as floats: RGB and a fourth value, `[frames, rows, columns, 4]`.
#[derive(Debug)]
pub struct DevicePictures {
    size: [usize; 2],
    count: usize,
    format: PixelFormat,
    params: PooledBuffer,
    pictures: PooledBuffer,
    /// How much of each pixel is covered, `[frames, rows, columns]`; a word where all of it is.
    coverage: PooledBuffer,
    /// Needed until the stages are submitted.
    _scratch: Vec<PooledBuffer>,
}

/// Finished pictures on the device, as bytes.
#[derive(Debug)]
pub struct PackedPictures {
    size: [usize; 2],
    count: usize,
    format: PixelFormat,
    /// `[frames, words]`.
    pub buffer: PooledBuffer,
    /// Bytes of all pictures, each filled up to whole words.
    pub bytes: u64,
}

impl Compositor {
    /// One that composes on `gpu`.
    pub fn new(gpu: &Gpu) -> Self {
        Compositor { gpu: gpu.clone(), plates: Arc::default(), shows: Arc::default() }
    }

    /// Brings the layers of the `frames` of a composition to the device; waits for nothing.
    ///
    /// # Errors
    /// [`Error::Internal`] when a layer is not of `size` = [width, height], or frames have several plates;
    /// [`Error::DeviceLost`] when the device is gone.
    pub fn upload(
        &self,
        size: [usize; 2],
        composition: &Composition<'_>,
        frames: Range<usize>,
    ) -> Result<DeviceLayers> {
        let torso = composition.torso.map(|torso| (torso.clone(), frames.start as u32));
        let frames = composition.frames.get(frames.clone()).ok_or_else(|| {
            let count = composition.frames.len();
            Error::Internal(format!("layers of {count} frames where {frames:?} are drawn"))
        })?;
        frames.iter().try_for_each(|layers| layers.check(size))?;
        if let Some(torso) = composition.torso {
            check_torso(torso, size, composition.frames)?;
        }
        let is_transparent = |layers: &Layers<'_>| matches!(layers.background, Background::Transparent);
        let transparent = frames.iter().any(is_transparent);
        if transparent && !frames.iter().all(is_transparent) {
            return Err(Error::Internal("frames with and without a background composed together".into()));
        }
        let pixels = size[0] * size[1];
        let mut next = 0;
        let mut place = |words: Option<usize>| {
            let Some(words) = words else { return ABSENT };
            next += words;
            (next - words) as u32
        };
        let mut words = Vec::new();
        for layers in frames {
            let (rgb, [red, green, blue]) = match layers.background {
                Background::Color(color) => (None, color),
                Background::Plate(_) | Background::Transparent => (None, [0.0; 3]),
                Background::Frame(rgb) => (Some(rgb), [0.0; 3]),
            };
            let corner_and_size = |patch: Option<Patch<'_>>| {
                patch.map_or([0; 4], |Patch { corner: [x, y], size: [w, h], .. }| [x, y, w, h])
            };
            let [torso_left, torso_top, torso_width, torso_height] = corner_and_size(layers.torso);
            let [occlusion_left, occlusion_top, occlusion_width, occlusion_height] =
                corner_and_size(layers.occlusion);
            let of = FrameLayers {
                frame: place(rgb.map(|_| pixels)),
                plate: u32::from(matches!(layers.background, Background::Plate(_))),
                red,
                green,
                blue,
                torso: place(layers.torso.map(|torso| torso.pixels())),
                torso_left,
                torso_top,
                torso_width,
                torso_height,
                occlusion: place(layers.occlusion.map(|patch| patch.pixels().div_ceil(4))),
                occlusion_left,
                occlusion_top,
                occlusion_width,
                occlusion_height,
                mask: place(layers.mask.map(|_| pixels.div_ceil(4))),
            };
            words.extend(of.words());
        }
        let uploaded = self.gpu.upload_with(4 * next.max(1), |to| {
            let filled = |to: &mut StagingWriter<'_>, mask: &[u8]| {
                to.write_bytes(mask)?;
                to.write_bytes(&[0; 3][..mask.len().next_multiple_of(4) - mask.len()])
            };
            for Layers { background, torso, occlusion, mask } in frames {
                if let Background::Frame(rgb) = background {
                    to.write_bytes(&rgba_of(rgb))?;
                }
                torso.map_or(Ok(()), |torso| to.write_bytes(torso.bytes))?;
                occlusion.map_or(Ok(()), |patch| filled(to, patch.bytes))?;
                mask.map_or(Ok(()), |mask| filled(to, mask))?;
            }
            if next == 0 { to.write_bytes(&[0; 4]) } else { Ok(()) }
        })?;
        Ok(DeviceLayers {
            size,
            count: frames.len(),
            radius: composition.seam.radius(),
            format: composition.format,
            transparent,
            frames: self.gpu.upload(&[&words])?,
            layers: uploaded,
            plate: self.plate(frames)?,
            torso,
        })
    }

    /// The plate of these frames on the device; something else where they have none.
    fn plate(&self, frames: &[Layers<'_>]) -> Result<Arc<PooledBuffer>> {
        let mut found: Option<&BackgroundPlate> = None;
        for layers in frames {
            let Background::Plate(plate) = layers.background else { continue };
            if found.is_some_and(|other| other.id() != plate.id()) {
                return Err(Error::Internal("frames that are composed together have several plates".into()));
            }
            found = Some(plate);
        }
        let Some(plate) = found else { return Ok(Arc::new(self.gpu.storage(4))) };
        let mut kept = self.plates.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = match kept.iter().position(|(id, _)| *id == plate.id()) {
            Some(at) => kept.remove(at),
            None => (plate.id(), Arc::new(self.gpu.upload(&[&rgba_of(plate.rgb())])?)),
        };
        let buffer = entry.1.clone();
        kept.push(entry);
        let extra = kept.len().saturating_sub(PLATES_KEPT);
        kept.drain(..extra);
        Ok(buffer)
    }

    /// Records the composition of what was drawn with its layers.
    ///
    /// # Errors
    /// [`Error::Internal`] when a shader is missing.
    pub fn record(
        &self,
        recorder: &mut Recorder<'_>,
        images: &DeviceImages<'_>,
        layers: &DeviceLayers,
    ) -> Result<DevicePictures> {
        let DeviceLayers { size, count, radius, format, transparent, .. } = *layers;
        let [out_width, out_height] = format.size(size).map(|side| side as u32);
        let params = CompositeParams {
            width: size[0] as u32,
            height: size[1] as u32,
            frames: count as u32,
            at_color: images.at_color,
            at_alpha: images.at_alpha,
            radius: radius as u32,
            out_width,
            out_height,
            out_words: format.bytes(size).div_ceil(4) as u32,
            transparent: u32::from(transparent),
            drawn_torso: layers.torso.as_ref().map_or(ABSENT, |(_, first)| *first),
        };
        let params = self.gpu.uniform_as_storage(&params.words());
        let pixels = (count * size[0] * size[1]) as u64;
        let pictures = self.gpu.storage(16 * pixels);
        // A word where nobody asks: most pictures have a background.
        let covered = || self.gpu.storage(if transparent { 4 * pixels } else { 4 });
        let coverage = covered();
        let groups = pixels.div_ceil(256);
        let any = Reduce::Threads;
        // Something else that nothing reads, where there is none.
        let torso = layers.torso.as_ref().map_or(&layers.frames, |(torso, _)| &*torso.buffer);
        let buffers: [(u32, &wgpu::Buffer); 8] = [
            (0, &params),
            (1, &layers.frames),
            (2, &layers.plate),
            (3, &layers.layers),
            (4, images.buffer),
            (5, &pictures),
            (6, &coverage),
            (7, torso),
        ];
        recorder.stage("composite", any, vec![], &buffers, groups)?;
        let mut scratch = Vec::new();
        if radius > 0 {
            let (blurred, lowest) = (self.gpu.storage(16 * pixels), self.gpu.storage(4 * pixels));
            let blurred_coverage = covered();
            let buffers: [(u32, &wgpu::Buffer); 6] = [
                (0, &params),
                (1, &pictures),
                (2, &blurred),
                (3, &lowest),
                (4, &coverage),
                (5, &blurred_coverage),
            ];
            recorder.stage("seam_rows", any, vec![], &buffers, groups)?;
            let buffers: [(u32, &wgpu::Buffer); 6] = [
                (0, &params),
                (1, &blurred),
                (2, &lowest),
                (3, &pictures),
                (4, &blurred_coverage),
                (5, &coverage),
            ];
            recorder.stage("seam_columns", any, vec![], &buffers, groups)?;
            scratch.extend([blurred, lowest, blurred_coverage]);
        }
        Ok(DevicePictures { size, count, format, params, pictures, coverage, _scratch: scratch })
    }

    /// Records the packing of finished pictures as bytes, to be read back.
    ///
    /// # Errors
    /// As [`Compositor::record`].
    pub fn record_pack(&self, recorder: &mut Recorder<'_>, from: &DevicePictures) -> Result<PackedPictures> {
        let DevicePictures { size, count, format, .. } = *from;
        let words = (count * format.bytes(size).div_ceil(4)) as u64;
        let buffer = self.gpu.storage(4 * words);
        let number = match format {
            PixelFormat::Rgba8 => 0,
            PixelFormat::Rgb8 => 1,
            PixelFormat::I420 => 2,
            PixelFormat::Nv12 => 3,
        };
        let buffers: [(u32, &wgpu::Buffer); 4] =
            [(0, &from.params), (1, &from.pictures), (2, &buffer), (3, &from.coverage)];
        let constants = vec![("FORMAT", number)];
        recorder.stage("pack_picture", Reduce::Threads, constants, &buffers, words.div_ceil(256))?;
        Ok(PackedPictures { size, count, format, buffer, bytes: 4 * words })
    }

    /// Records the drawing of the first finished picture onto all of a texture, which the caller has made to be rendered to. Over
    /// nothing its colours carry their alpha, as on black.
    ///
    /// # Errors
    /// As [`Compositor::record`].
    pub fn record_show(
        &self,
        recorder: &mut Recorder<'_>,
        from: &DevicePictures,
        to: TextureTarget<'_>,
    ) -> Result<()> {
        let pipeline = self.show_pipeline(to.format)?;
        let group = self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some("show_picture"),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[
                wgpu::BindGroupEntry { binding: 0, resource: from.params.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 1, resource: from.pictures.as_entire_binding() },
                wgpu::BindGroupEntry { binding: 2, resource: from.coverage.as_entire_binding() },
            ],
        });
        let mut pass = recorder.encoder().begin_render_pass(&wgpu::RenderPassDescriptor {
            label: Some("show_picture"),
            color_attachments: &[Some(wgpu::RenderPassColorAttachment {
                view: to.view,
                depth_slice: None,
                resolve_target: None,
                ops: wgpu::Operations {
                    load: wgpu::LoadOp::Clear(wgpu::Color::BLACK),
                    store: wgpu::StoreOp::Store,
                },
            })],
            ..Default::default()
        });
        pass.set_pipeline(&pipeline);
        pass.set_bind_group(0, &group, &[]);
        pass.draw(0..3, 0..1);
        Ok(())
    }

    fn show_pipeline(&self, format: wgpu::TextureFormat) -> Result<wgpu::RenderPipeline> {
        let mut shows = self.shows.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{format:?}");
        if let Some(pipeline) = shows.get(&key) {
            return Ok(pipeline.clone());
        }
        let device = &self.gpu.device;
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("show_picture"),
            source: wgpu::ShaderSource::Wgsl(render_source("show_picture")?.into()),
        });
        let constants = [("LINEARIZE", f64::from(u8::from(format.is_srgb())))];
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("show_picture"),
            layout: None,
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("corner"),
                compilation_options: Default::default(),
                buffers: &[],
            },
            primitive: Default::default(),
            depth_stencil: None,
            multisample: Default::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("show_picture"),
                compilation_options: wgpu::PipelineCompilationOptions {
                    constants: &constants,
                    ..Default::default()
                },
                targets: &[Some(format.into())],
            }),
            multiview_mask: None,
            cache: None,
        });
        shows.insert(key, pipeline.clone());
        Ok(pipeline)
    }
}

impl PackedPictures {
    /// What the bytes that were read back are pictures of.
    pub fn shape(&self) -> PictureShape {
        PictureShape { size: self.size, count: self.count, format: self.format }
    }
}

/// Pictures whose bytes come back from the device.
#[derive(Debug, Clone, Copy)]
pub struct PictureShape {
    size: [usize; 2],
    count: usize,
    format: PixelFormat,
}

impl PictureShape {
    /// The pictures, from the bytes of [`PackedPictures::buffer`].
    pub fn pictures(&self, data: &[u8]) -> Vec<Picture> {
        let bytes = self.format.bytes(self.size);
        let stride = bytes.next_multiple_of(4);
        let picture = |k: usize| Picture {
            size: self.format.size(self.size),
            format: self.format,
            bytes: data[k * stride..][..bytes].to_vec(),
        };
        (0..self.count).into_par_iter().map(picture).collect()
    }
}

/// # Errors
/// [`Error::Internal`] when these are no torsos of `frames` of this size, or frames have torsos of their own.
fn check_torso(torso: &DeviceTorso, size: [usize; 2], frames: &[Layers<'_>]) -> Result<()> {
    let (own, found) = ((torso.frames, torso.size), (frames.len(), size));
    if own != found {
        return Err(Error::Internal(format!("torsos for {own:?} where {found:?} are composed")));
    }
    match frames.iter().all(|layers| layers.torso.is_none() && layers.occlusion.is_none()) {
        true => Ok(()),
        false => Err(Error::Internal("a frame with two torsos".into())),
    }
}

/// RGB bytes as RGBA, opaque.
fn rgba_of(rgb: &[u8]) -> Vec<u8> {
    let mut rgba = vec![255; rgb.len() / 3 * 4];
    let pixels = rgba.as_chunks_mut::<4>().0.par_iter_mut().zip(rgb.as_chunks::<3>().0.par_iter());
    pixels.with_min_len(1 << 14).for_each(|(to, from)| to[..3].copy_from_slice(from));
    rgba
}

#[cfg(test)]
#[path = "gpu_tests.rs"]
mod tests;
