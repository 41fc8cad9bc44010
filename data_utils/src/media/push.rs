//! Live pictures and sound to a streaming service: ffmpeg encodes them as H.264 and AAC and sends them.

use super::ffmpeg::Ffmpeg;
use super::live_matroska::{cluster, header};
use super::process::{Pipe, Process};
use crate::error::{Error, Result};

/// Where a stream goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushTarget {
    url: String,
    format: &'static str,
}

/// Protocols and the format of each.
const PROTOCOLS: [(&str, &str); 6] = [
    ("rtmp", "flv"),
    ("rtmps", "flv"),
    ("srt", "mpegts"),
    ("udp", "mpegts"),
    ("tcp", "mpegts"),
    ("rtsp", "rtsp"),
];

impl PushTarget {
    /// The target of a URL.
    ///
    /// # Errors
    /// [`Error::Input`] for a protocol that is not known, and without an ffmpeg that writes H.264 and AAC.
    pub fn parse(url: &str) -> Result<Self> {
        let protocol = url.split_once("://").filter(|(_, rest)| !rest.is_empty()).map(|(name, _)| name);
        let format = PROTOCOLS.iter().find(|(name, _)| Some(*name) == protocol).map(|(_, format)| *format);
        let format = format.ok_or_else(|| {
            let names: Vec<&str> = PROTOCOLS.iter().map(|(name, _)| *name).collect();
            let remedy = "give it as rtmp://HOST/live/KEY";
            // A key may be part of it, so it is not repeated.
            Error::input("--push", format!("a URL of {}", names.join(", ")), "another text", remedy)
        })?;
        let missing = |found: String| {
            Error::input("--push", "an ffmpeg that writes H.264 and AAC", found, "install ffmpeg")
        };
        Ffmpeg::find().map_err(missing)?.writes_mp4().map_err(missing)?;
        Ok(PushTarget { url: url.to_owned(), format })
    }

    /// Protocol and host, without a key that may follow.
    pub fn host(&self) -> &str {
        let start = self.url.find("://").map_or(0, |at| at + 3);
        let rest = &self.url[start..];
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        // A name and a password before the host are left out as well.
        rest[..end].rsplit('@').next().unwrap_or_default()
    }
}

/// A stream that goes on.
pub struct Push {
    process: Process,
}

impl Push {
    /// Starts to send pictures of `size` pixels, `fps` a second, and mono sound at `rate` Hz.
    ///
    /// # Errors
    /// [`Error::Input`] when ffmpeg does not start or refuses the stream at once.
    pub fn start(target: &PushTarget, size: [u32; 2], fps: u32, rate: u32) -> Result<Self> {
        let fail = |found: String| {
            let remedy = "check that the service listens, and the key";
            Error::input("--push", format!("{} to take a stream", target.host()), found, remedy)
        };
        let ffmpeg = Ffmpeg::find().map_err(fail)?;
        let mut command = ffmpeg.command();
        command
            .args(["-f", "matroska", "-probesize", "262144", "-analyzeduration", "0", "-i", "pipe:0"])
            .args(["-c:v", "libx264", "-preset", "veryfast", "-tune", "zerolatency"])
            // Colour is halved, so sides are even.
            .args(["-vf", "pad=ceil(iw/2)*2:ceil(ih/2)*2", "-pix_fmt", "yuv420p"])
            .args(["-g", &(2 * fps).to_string(), "-c:a", "aac", "-b:a", "96k", "-ar", "44100"])
            .args(["-metadata", "comment=synthetic pictures and speech by surfeltalk"])
            .args(["-flush_packets", "1", "-f", target.format, &target.url]);
        let mut process = Process::start(&mut command, Pipe::Input, None).map_err(|e| fail(e.to_string()))?;
        let begun = process.write(&header(size, fps, rate));
        let mut push = Push { process };
        begun.or_else(|_| push.end()).map_err(|error| match error {
            Error::Input(_) => error,
            other => fail(other.to_string()),
        })?;
        Ok(push)
    }

    /// Sends a picture and its sound, `milliseconds` after the beginning: a JPEG, and samples of 16 bits, little-endian.
    ///
    /// # Errors
    /// [`Error::Input`] with what ffmpeg said last when the stream has ended.
    pub fn write(&mut self, milliseconds: u64, jpeg: &[u8], samples: &[u8]) -> Result<()> {
        match self.process.write(&cluster(milliseconds, jpeg, samples)) {
            Ok(()) => Ok(()),
            Err(_) => self.end(),
        }
    }

    /// Ends the stream.
    ///
    /// # Errors
    /// [`Error::Input`] with what ffmpeg said last when it failed.
    pub fn end(&mut self) -> Result<()> {
        match self.process.finish(None) {
            Ok(_) => Ok(()),
            Err(found) => {
                let remedy = "check that the service listens, and the key";
                Err(Error::input("--push", "a service that takes the stream", found, remedy))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_urls_of_streaming_protocols_and_their_keys_are_not_told() {
        if Ffmpeg::find().is_ok_and(|ffmpeg| ffmpeg.writes_mp4().is_ok()) {
            let target = PushTarget::parse("rtmp://user:word@example.com:1935/live/secret").unwrap();
            assert_eq!((target.host(), target.format), ("example.com:1935", "flv"));
            assert_eq!(PushTarget::parse("srt://127.0.0.1:9?mode=caller").unwrap().host(), "127.0.0.1:9");
        }
        for wrong in ["", "video.mp4", "file:///etc/passwd", "http://secret", "rtmp://", "-y"] {
            let error = PushTarget::parse(wrong).unwrap_err().to_string();
            assert!(error.contains("--push") && !error.contains("secret"), "{error}");
        }
    }
}
