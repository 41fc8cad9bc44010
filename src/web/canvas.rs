//! A canvas of the page as something to draw on, and the device that draws.

use crate::gpu::Gpu;
use crate::{Error, Result};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use web_sys::HtmlCanvasElement;

/// A canvas with its device.
pub(super) struct Canvas {
    pub(super) gpu: Gpu,
    surface: wgpu::Surface<'static>,
    device: wgpu::Device,
    queue: wgpu::Queue,
    settings: wgpu::SurfaceConfiguration,
    lost: Arc<AtomicBool>,
}

impl Canvas {
    /// Opens the page's adapter for a canvas that is given `size` = [width, height] pixels. WebGPU's default limits are enough.
    ///
    /// # Errors
    /// [`Error::Input`] when the browser has no WebGPU, or no adapter.
    pub(super) async fn open(element: HtmlCanvasElement, size: [u32; 2], transparent: bool) -> Result<Self> {
        let none = |found: String| {
            let remedy = "use a browser with WebGPU, and see whether its settings turn it off";
            Error::input("the page", "WebGPU", found, remedy)
        };
        [element.set_width(size[0]), element.set_height(size[1])];
        let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
            backends: wgpu::Backends::BROWSER_WEBGPU,
            ..wgpu::InstanceDescriptor::new_without_display_handle()
        });
        let target = wgpu::SurfaceTarget::Canvas(element);
        let surface = instance.create_surface(target).map_err(|e| none(e.to_string()))?;
        let options = wgpu::RequestAdapterOptions {
            power_preference: wgpu::PowerPreference::HighPerformance,
            compatible_surface: Some(&surface),
            ..Default::default()
        };
        let adapter = instance.request_adapter(&options).await.map_err(|e| none(e.to_string()))?;
        let request = adapter.request_device(&wgpu::DeviceDescriptor {
            label: Some("surfeltalk"),
            required_features: adapter.features() & wgpu::Features::SUBGROUP,
            required_limits: wgpu::Limits::default(),
            ..Default::default()
        });
        let (device, queue) = request.await.map_err(|e| Error::DeviceLost(e.to_string()))?;
        let lost = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&lost);
        device.set_device_lost_callback(move |_, _| told.store(true, Ordering::Relaxed));
        let formats = surface.get_capabilities(&adapter).formats;
        let format = formats.first().ok_or_else(|| none("a canvas that nothing can be drawn on".into()))?;
        let settings = wgpu::SurfaceConfiguration {
            alpha_mode: match transparent {
                true => wgpu::CompositeAlphaMode::PreMultiplied,
                false => wgpu::CompositeAlphaMode::Opaque,
            },
            format: *format,
            ..surface
                .get_default_config(&adapter, size[0], size[1])
                .ok_or_else(|| none("a canvas that the adapter cannot draw on".into()))?
        };
        surface.configure(&device, &settings);
        Ok(Canvas {
            gpu: Gpu::from_device(device.clone(), queue.clone())?,
            surface,
            device,
            queue,
            settings,
            lost,
        })
    }

    /// Has `draw` draw a picture onto the canvas, which shows it; nothing while the canvas cannot be drawn on, such as in a tab that
    /// is not seen.
    ///
    /// # Errors
    /// Those of `draw`.
    pub(super) fn draw<T>(
        &self,
        draw: impl FnOnce(&wgpu::TextureView, wgpu::TextureFormat) -> Result<Option<T>>,
    ) -> Result<Option<T>> {
        use wgpu::CurrentSurfaceTexture::{
            Lost, Occluded, Outdated, Suboptimal, Success, Timeout, Validation,
        };
        let texture = match self.surface.get_current_texture() {
            Success(texture) | Suboptimal(texture) => texture,
            Outdated | Lost => {
                self.surface.configure(&self.device, &self.settings);
                return Ok(None);
            }
            Timeout | Occluded | Validation => return Ok(None),
        };
        let view = texture.texture.create_view(&wgpu::TextureViewDescriptor::default());
        let drawn = draw(&view, self.settings.format)?;
        if drawn.is_some() {
            self.queue.present(texture);
        }
        Ok(drawn)
    }

    /// Whether the device went away; the page then begins anew.
    pub(super) fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Relaxed)
    }
}
