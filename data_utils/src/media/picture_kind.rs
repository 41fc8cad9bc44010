//! What the pixels of a video mean, beyond their number: transfer, primaries, shape, fields and transparency; and the
//! filters that make of it what a dataset holds, progressive pictures of square Rec. 709 pixels.

/// What the pixels of a video mean. The default is what most videos are.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PictureKind {
    /// High dynamic range, where it has one.
    pub hdr: Option<Hdr>,
    /// Whether its colours are those of Rec. 2020.
    pub is_wide: bool,
    /// Width and height of a pixel, where these are not the same.
    pub pixel_shape: Option<[u32; 2]>,
    /// Whether each frame holds two half pictures of different times.
    pub is_interlaced: bool,
    /// Whether parts of the picture are transparent.
    pub has_alpha: bool,
}

/// A curve of high dynamic range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hdr {
    /// SMPTE ST 2084, of HDR10 and Dolby Vision.
    Pq,
    /// ARIB STD-B67.
    Hlg,
}

impl PictureKind {
    /// What ffprobe says of a stream.
    pub(super) fn of(stream: &serde_json::Value) -> Self {
        let text = |name: &str| stream[name].as_str().unwrap_or_default();
        let shape = text("sample_aspect_ratio").split_once(':');
        let shape = shape.and_then(|(x, y)| Some([x.parse::<u32>().ok()?, y.parse::<u32>().ok()?]));
        let format = text("pix_fmt");
        PictureKind {
            hdr: match text("color_transfer") {
                "smpte2084" => Some(Hdr::Pq),
                "arib-std-b67" => Some(Hdr::Hlg),
                _ => None,
            },
            is_wide: text("color_primaries") == "bt2020",
            // A pixel more than eight times as wide as high is a broken header.
            pixel_shape: shape.filter(|[x, y]| x != y && *x > 0 && *y > 0 && x / y < 8 && y / x < 8),
            is_interlaced: matches!(text("field_order"), "tt" | "bb" | "tb" | "bt"),
            has_alpha: ["yuva", "rgba", "bgra", "argb", "abgr", "gbrap", "ya8", "ya16"]
                .iter()
                .any(|f| format.starts_with(f)),
        }
    }

    /// Filters that make the pictures progressive, of square pixels and Rec. 709; `size` is width and height as shown.
    /// Colours need ffmpeg's zscale.
    pub(super) fn filters(&self, [width, height]: [u32; 2], has_zscale: bool) -> Vec<String> {
        let mut filters = Vec::new();
        if self.is_interlaced {
            filters.push("bwdif=mode=send_frame".into());
        }
        if self.pixel_shape.is_some() {
            filters.push(format!("scale={width}:{height}:flags=lanczos,setsar=1"));
        }
        match (self.hdr, has_zscale) {
            // 203 nits is the white of graphics in HDR (ITU-R BT.2408); Hable's curve keeps skin as it is.
            (Some(_), true) => filters.push(
                "zscale=t=linear:npl=203,format=gbrpf32le,zscale=p=bt709,tonemap=tonemap=hable:desat=0:peak=10,\
                 zscale=t=bt709:m=bt709:r=tv,format=yuv444p"
                    .into(),
            ),
            (None, true) if self.is_wide => {
                filters.push("zscale=p=bt709:t=bt709:m=bt709:r=tv,format=yuv444p".into());
            }
            _ => {}
        }
        filters
    }

    /// Whether its colours have to be converted.
    pub fn needs_conversion(&self) -> bool {
        self.hdr.is_some() || self.is_wide
    }

    /// What is unusual, a few words each.
    pub fn notes(&self, has_zscale: bool) -> Vec<String> {
        let mut notes = Vec::new();
        let converted = match has_zscale {
            true => "converted to Rec. 709",
            false => "taken as Rec. 709, which makes them grey: this ffmpeg has no zscale",
        };
        match self.hdr {
            Some(Hdr::Pq) => notes.push(format!("HDR video (PQ), its colours are {converted}")),
            Some(Hdr::Hlg) => notes.push(format!("HDR video (HLG), its colours are {converted}")),
            None if self.is_wide => notes.push(format!("colours of Rec. 2020 are {converted}")),
            None => {}
        }
        if let Some([x, y]) = self.pixel_shape {
            notes.push(format!("pixels of {x}:{y} are made square"));
        }
        if self.is_interlaced {
            notes.push("interlaced video is made progressive".into());
        }
        if self.has_alpha {
            notes.push("the video is transparent in parts; the colours behind that are used".into());
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(json: &str) -> PictureKind {
        PictureKind::of(&serde_json::from_str(json).expect("json"))
    }

    #[test]
    fn what_a_container_says_of_its_pixels_is_understood_and_said() {
        let usual = kind(
            r#"{"pix_fmt":"yuv420p","color_transfer":"bt709","sample_aspect_ratio":"1:1","field_order":"progressive"}"#,
        );
        assert_eq!(usual, PictureKind::default());
        assert!(usual.notes(true).is_empty() && usual.filters([4, 4], true).is_empty());
        let phone =
            kind(r#"{"pix_fmt":"yuv420p10le","color_transfer":"arib-std-b67","color_primaries":"bt2020"}"#);
        assert_eq!((phone.hdr, phone.is_wide), (Some(Hdr::Hlg), true));
        assert!(
            phone.filters([4, 4], true)[0].contains("tonemap") && phone.filters([4, 4], false).is_empty()
        );
        assert!(phone.notes(true)[0].contains("HLG") && phone.notes(false)[0].contains("zscale"));
        let tape = kind(r#"{"field_order":"tb","sample_aspect_ratio":"64:45","pix_fmt":"yuva444p"}"#);
        assert_eq!(tape.pixel_shape, Some([64, 45]));
        assert_eq!(tape.filters([1024, 576], true)[1], "scale=1024:576:flags=lanczos,setsar=1");
        assert_eq!(tape.notes(true).len(), 3);
        assert_eq!(kind(r#"{"sample_aspect_ratio":"0:1"}"#).pixel_shape, None);
    }
}
