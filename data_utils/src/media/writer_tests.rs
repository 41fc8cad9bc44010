//! Statements about both encoders. The AVI is taken apart by a parser of its own; ffprobe and ffmpeg are asked
//! as well where they are installed.

use super::*;
use crate::audio::Sound;
use std::process::Command;

const RATE: u32 = 16000;

/// A tone with `count` samples, none of them silent in the middle of a frame.
fn tone(count: usize) -> Sound {
    let samples = (0..count).map(|i| 0.5 * (i as f32 * 0.2).sin()).collect();
    Sound { samples, rate: RATE }
}

/// A picture whose colours change slowly from frame to frame.
fn picture(size: [u32; 2], frame: usize) -> Vec<u8> {
    let [red, green, blue] = color(frame);
    [red, green, blue].repeat((size[0] * size[1]) as usize)
}

fn color(frame: usize) -> [u8; 3] {
    [(40 + frame % 180) as u8, 200, (220 - frame % 180) as u8]
}

fn write(encoder: &Encoder, dir: &Path, size: [u32; 2], frames: usize, sound: Option<&Sound>) -> PathBuf {
    let mut writer =
        VideoWriter::create(encoder, &dir.join("talk.mp4"), rgb(size), sound.map(Sound::samples)).unwrap();
    for frame in 0..frames {
        writer.push(picture(size, frame)).unwrap();
    }
    assert_eq!(writer.frames(), frames as u64);
    writer.finish().unwrap()
}

fn files_in(dir: &Path) -> Vec<String> {
    let names =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

fn rgb(size: [u32; 2]) -> VideoFormat {
    VideoFormat { size, fps: 25, pixels: PixelFormat::Rgb24 }
}

fn embedded() -> Encoder {
    Encoder::Embedded("a test".into())
}

fn ffmpeg() -> Encoder {
    Encoder::Ffmpeg(Ffmpeg::find().expect("ffmpeg"))
}

/// (kind, frames read, duration in seconds) of each stream.
fn ffprobe(path: &Path) -> Vec<(String, usize, f64)> {
    let mut command = Command::new("ffprobe");
    command.args([
        "-v",
        "error",
        "-count_frames",
        "-show_entries",
        "stream=codec_type,nb_read_frames,duration",
    ]);
    let output = command.args(["-of", "json"]).arg(path).output().expect("ffprobe");
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let stream = |s: &serde_json::Value| {
        let text = |key: &str| s[key].as_str();
        // ffprobe knows no duration of sound in an AVI, whoever wrote it; there the decoded samples are counted.
        let duration = text("duration").map_or_else(|| heard_seconds(path), |text| text.parse().unwrap());
        (text("codec_type").unwrap().to_string(), text("nb_read_frames").unwrap().parse().unwrap(), duration)
    };
    json["streams"].as_array().unwrap().iter().map(stream).collect()
}

/// The length of the sound as ffmpeg decodes it.
fn heard_seconds(path: &Path) -> f64 {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-i"]).arg(path);
    command.args(["-map", "0:a", "-f", "s16le", "-ar", "16000", "pipe:1"]);
    command.output().unwrap().stdout.len() as f64 / 32000.0
}

/// Every frame as ffmpeg shows it, RGB.
fn decoded(path: &Path) -> Vec<u8> {
    let mut command = Command::new("ffmpeg");
    command.args(["-v", "error", "-nostdin", "-i"]).arg(path);
    command.args(["-f", "rawvideo", "-pix_fmt", "rgb24", "pipe:1"]).output().unwrap().stdout
}

struct Avi {
    bytes: Vec<u8>,
    avih: Vec<u32>,
    /// Kind, then scale, rate, length and sample size.
    streams: Vec<([u8; 4], [u32; 4])>,
    chunks: Vec<([u8; 4], std::ops::Range<usize>)>,
}

impl Avi {
    fn of_stream(&self, code: &[u8; 4]) -> Vec<&[u8]> {
        let of = self.chunks.iter().filter(|(name, _)| name == code);
        of.map(|(_, range)| &self.bytes[range.clone()]).collect()
    }
}

/// Takes an AVI apart by its declared lengths alone and checks that they agree with each other and the file.
fn parse(path: &Path) -> Avi {
    let bytes = std::fs::read(path).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let code = |at: usize| -> [u8; 4] { bytes[at..at + 4].try_into().unwrap() };
    let lists = |from: usize, to: usize| {
        let mut found = Vec::new();
        let mut at = from;
        while at < to {
            let length = word(at + 4) as usize;
            assert!(at + 8 + length <= to, "a chunk ends inside its list");
            found.push((code(at), at + 8..at + 8 + length));
            at += 8 + length + length % 2;
        }
        assert_eq!(at, to);
        found
    };
    assert_eq!((&code(0), word(4) as usize + 8, &code(8)), (b"RIFF", bytes.len(), b"AVI "));
    let top = lists(12, bytes.len());
    let names: Vec<_> = top.iter().map(|(name, range)| (*name, code(range.start))).collect();
    assert_eq!((names[0], names[1], names[2].0), ((*b"LIST", *b"hdrl"), (*b"LIST", *b"movi"), *b"idx1"));

    let mut avih = Vec::new();
    let mut streams = Vec::new();
    for (name, range) in lists(top[0].1.start + 4, top[0].1.end) {
        if &name == b"avih" {
            avih = range.step_by(4).map(word).collect();
        } else {
            let [strh, strf] = lists(range.start + 4, range.end).try_into().unwrap();
            assert_eq!((&strh.0, &strf.0), (b"strh", b"strf"));
            let at = strh.1.start;
            streams.push((code(at), [word(at + 20), word(at + 24), word(at + 32), word(at + 44)]));
        }
    }
    let movi = top[1].1.start;
    let chunks = lists(movi + 4, top[1].1.end);
    let index = top[2].1.clone().step_by(16);
    assert_eq!(index.len(), chunks.len(), "the index names every chunk");
    for (entry, (name, range)) in index.zip(&chunks) {
        assert_eq!((code(entry), word(entry + 4)), (*name, 0x10));
        assert_eq!(
            (movi + word(entry + 8) as usize + 8, word(entry + 12) as usize),
            (range.start, range.len())
        );
    }
    Avi { avih, streams, chunks, bytes }
}

#[test]
fn the_embedded_video_holds_every_picture_and_every_sample() {
    let dir = tempfile::tempdir().unwrap();
    let sound = tone(RATE as usize + 7);
    let frames = sound.video_frames();
    assert_eq!(frames, 26);
    let path = write(&embedded(), dir.path(), [48, 32], frames, Some(&sound));
    assert_eq!(path, dir.path().join("talk.avi"));
    let avi = parse(&path);
    assert_eq!([avi.avih[0], avi.avih[4], avi.avih[6], avi.avih[8], avi.avih[9]], [40_000, 26, 2, 48, 32]);
    assert_eq!(avi.streams, [(*b"vids", [1, 25, 26, 0]), (*b"auds", [2, 2 * RATE, 26 * 640, 2])]);

    for (frame, jpeg) in avi.of_stream(b"00dc").into_iter().enumerate() {
        let picture = image::load_from_memory(jpeg).unwrap().to_rgb8();
        assert_eq!(picture.dimensions(), (48, 32));
        let near = |p: &image::Rgb<u8>| p.0.iter().zip(color(frame)).all(|(a, b)| a.abs_diff(b) <= 3);
        assert!(picture.pixels().all(near), "frame {frame}");
    }
    let bytes = avi.of_stream(b"01wb").concat();
    let samples: Vec<i16> = bytes.chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect();
    assert_eq!(samples.len(), 26 * 640);
    for (found, original) in samples.iter().zip(&sound.samples) {
        assert!((f32::from(*found) / 32767.0 - original).abs() < 1e-4);
    }
    assert!(samples[sound.samples.len()..].iter().all(|s| *s == 0), "silence after the end");
}

#[test]
fn sound_and_pictures_stay_together_in_the_embedded_video() {
    let dir = tempfile::tempdir().unwrap();
    // 22 050 samples a second do not divide by 25: the cuts are uneven, and must not drift.
    let sound = Sound { samples: vec![0.25; 22050 * 2], rate: 22050 };
    let avi = parse(&write(&embedded(), dir.path(), [16, 16], 50, Some(&sound)));
    let order: Vec<[u8; 4]> = avi.chunks.iter().map(|chunk| chunk.0).collect();
    assert!(order.chunks(2).all(|pair| pair == [*b"00dc", *b"01wb"]));
    let pieces: Vec<usize> = avi.of_stream(b"01wb").iter().map(|piece| piece.len() / 2).collect();
    assert!(pieces.iter().all(|piece| (881..=883).contains(piece)), "{pieces:?}");
    assert_eq!(pieces.iter().sum::<usize>(), 44100);
}

#[test]
fn a_video_without_sound_has_one_stream() {
    let dir = tempfile::tempdir().unwrap();
    let avi = parse(&write(&embedded(), dir.path(), [16, 16], 3, None));
    assert_eq!(avi.streams, [(*b"vids", [1, 25, 3, 0])]);
    assert_eq!(avi.chunks.len(), 3);
    let encoder = ffmpeg();
    let streams = ffprobe(&write(&encoder, dir.path(), [16, 16], 3, None));
    assert!(streams.len() == 1 && streams[0].1 == 3);
}

#[test]
fn pictures_and_sound_last_equally_long() {
    for encoder in [embedded(), ffmpeg()] {
        for samples in [RATE as usize, 31 * RATE as usize - 301] {
            let dir = tempfile::tempdir().unwrap();
            let sound = tone(samples);
            let frames = sound.video_frames();
            let path = write(&encoder, dir.path(), [64, 48], frames, Some(&sound));
            let streams = ffprobe(&path);
            assert_eq!(streams.len(), 2, "{encoder:?}");
            let seconds = samples as f64 / f64::from(RATE);
            for (kind, read, duration) in streams {
                assert!(kind != "video" || read == frames, "{encoder:?}: {read} of {frames} frames");
                assert!(
                    (duration - seconds).abs() <= 0.04,
                    "{encoder:?}: {kind} {duration} s of {seconds} s"
                );
            }
        }
    }
}

#[test]
fn a_sound_of_another_length_is_brought_to_that_of_the_pictures() {
    for encoder in [embedded(), ffmpeg()] {
        for samples in [5 * RATE as usize, RATE as usize / 2] {
            let dir = tempfile::tempdir().unwrap();
            let path = write(&encoder, dir.path(), [32, 32], 50, Some(&tone(samples)));
            let streams = ffprobe(&path);
            for (kind, _, duration) in streams {
                assert!((duration - 2.0).abs() <= 0.04, "{encoder:?}: {kind} {duration} s");
            }
        }
    }
}

#[test]
fn a_player_shows_the_colours_that_were_pushed() {
    let size = [64, 48];
    for encoder in [embedded(), ffmpeg()] {
        let dir = tempfile::tempdir().unwrap();
        let shown = decoded(&write(&encoder, dir.path(), size, 30, None));
        assert_eq!(shown.len(), 30 * 64 * 48 * 3);
        for (frame, picture) in shown.chunks_exact(64 * 48 * 3).enumerate() {
            let worst = picture.iter().zip(color(frame).iter().cycle()).map(|(a, b)| a.abs_diff(*b)).max();
            assert!(worst <= Some(4), "{encoder:?} frame {frame}: off by {worst:?}");
        }
    }
}

#[test]
fn a_video_may_have_odd_sides() {
    for encoder in [embedded(), ffmpeg()] {
        let dir = tempfile::tempdir().unwrap();
        let path = write(&encoder, dir.path(), [33, 17], 3, None);
        assert_eq!(ffprobe(&path)[0].1, 3, "{encoder:?}");
    }
}

#[test]
fn an_unfinished_video_leaves_nothing_and_keeps_what_was_there() {
    for encoder in [embedded(), ffmpeg()] {
        let dir = tempfile::tempdir().unwrap();
        let old = format!("talk.{}", encoder.extension());
        std::fs::write(dir.path().join(&old), b"the last one").unwrap();
        let mut writer =
            VideoWriter::create(&encoder, &dir.path().join("talk"), rgb([32, 32]), Some(tone(640).samples()))
                .unwrap();
        writer.push(picture([32, 32], 0)).unwrap();
        assert_eq!(files_in(dir.path()).len(), 2, "a temporary file beside the old one");
        drop(writer);
        assert_eq!(files_in(dir.path()), std::slice::from_ref(&old), "{encoder:?}");
        assert_eq!(std::fs::read(dir.path().join(&old)).unwrap(), b"the last one");

        let path = write(&encoder, dir.path(), [32, 32], 2, Some(&tone(640)));
        assert_eq!(files_in(dir.path()), [old], "{encoder:?}");
        assert!(std::fs::read(path).unwrap().len() > 100);
    }
}

#[test]
fn names_that_look_like_options_or_protocols_are_names() {
    for encoder in [embedded(), ffmpeg()] {
        let dir = tempfile::tempdir().unwrap();
        for name in ["-y.mp4", "a%03d b'\"$(x).mp4"] {
            let place = dir.path().join(name);
            let mut writer =
                VideoWriter::create(&encoder, &place, rgb([16, 16]), Some(tone(640).samples())).unwrap();
            writer.push(picture([16, 16], 0)).unwrap();
            assert_eq!(writer.finish().unwrap(), place.with_extension(encoder.extension()));
        }
        assert_eq!(files_in(dir.path()).len(), 2);
    }
}

#[test]
fn what_cannot_be_a_video_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let create = |path: &Path, size, fps| {
        VideoWriter::create(&embedded(), path, VideoFormat { fps, ..rgb(size) }, None)
            .unwrap_err()
            .exit_code()
    };
    let path = dir.path().join("talk");
    assert_eq!(
        [create(&path, [0, 8], 25), create(&path, [8, 1 << 20], 25), create(&path, [8, 8], 0)],
        [2; 3]
    );
    std::fs::write(dir.path().join("file"), b"").unwrap();
    assert_eq!(create(&dir.path().join("file/talk"), [8, 8], 25), 2, "a folder that is a file");

    let mut writer = VideoWriter::create(&embedded(), &path, rgb([8, 8]), None).unwrap();
    assert_eq!(writer.push([0; 7]).unwrap_err().exit_code(), 1);
    assert_eq!(writer.finish().unwrap_err().exit_code(), 1, "no picture, no video");
    assert_eq!(files_in(dir.path()), ["file"]);
}

#[test]
fn the_environment_chooses_the_encoder() {
    let ffmpeg = |has_aac| Ffmpeg {
        program: "ffmpeg".into(),
        probe: "ffprobe".into(),
        has_h264: true,
        has_aac,
        has_webm: true,
        has_vp8: true,
    };
    let found = || Ok(ffmpeg(true));
    let missing = || Err("no ffmpeg on the search path".to_string());
    assert_eq!(Encoder::chosen("", found).unwrap(), Encoder::Ffmpeg(ffmpeg(true)));
    let without = Encoder::chosen("auto", missing).unwrap();
    assert_eq!(without.extension(), "avi");
    assert!(without.describe().contains("no ffmpeg on the search path"));
    assert_eq!(Encoder::chosen("embedded", found).unwrap().extension(), "avi");
    assert_eq!(Encoder::chosen("ffmpeg", found).unwrap(), Encoder::Ffmpeg(ffmpeg(true)));
    assert_eq!(Encoder::chosen("ffmpeg", missing).unwrap_err().exit_code(), 2);
    assert_eq!(Encoder::chosen("gif", found).unwrap_err().exit_code(), 2);
}

/// The picture of [`picture`] in the other formats.
fn as_format(rgb: &[u8], format: PixelFormat) -> Vec<u8> {
    match format {
        PixelFormat::Rgb24 => rgb.to_vec(),
        PixelFormat::Rgba8 => rgb.chunks_exact(3).flat_map(|p| [p[0], p[1], p[2], 7]).collect(),
        PixelFormat::Yuv420p => {
            let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(f32::from);
            let luma = 0.2126 * r + 0.7152 * g + 0.0722 * b;
            let pixels = rgb.len() / 3;
            let chroma = |c: f32, scale: f32| {
                vec![(128.0 + (c - luma) / scale * 224.0 / 255.0).round() as u8; pixels / 4]
            };
            let luma_plane = vec![(16.0 + luma * 219.0 / 255.0).round() as u8; pixels];
            [luma_plane, chroma(b, 1.8556), chroma(r, 1.5748)].concat()
        }
    }
}

#[test]
fn a_player_shows_the_same_colours_whatever_the_format_of_the_frames() {
    let with_ffmpeg = ffmpeg();
    let size = [64, 48];
    for encoder in [embedded(), with_ffmpeg] {
        for pixels in [PixelFormat::Rgb24, PixelFormat::Rgba8, PixelFormat::Yuv420p] {
            let dir = tempfile::tempdir().unwrap();
            let format = VideoFormat { pixels, ..rgb(size) };
            let mut writer = VideoWriter::create(&encoder, &dir.path().join("a"), format, None).unwrap();
            for frame in 0..4 {
                writer.push(as_format(&picture(size, frame), pixels)).unwrap();
            }
            let shown = decoded(&writer.finish().unwrap());
            assert_eq!(shown.len(), 4 * 64 * 48 * 3);
            for (frame, picture) in shown.chunks_exact(64 * 48 * 3).enumerate() {
                let worst =
                    picture.iter().zip(color(frame).iter().cycle()).map(|(a, b)| a.abs_diff(*b)).max();
                assert!(worst <= Some(4), "{encoder:?} {pixels:?} frame {frame}: off by {worst:?}");
            }
        }
    }
}

#[test]
fn many_frames_stay_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let path = write(&embedded(), dir.path(), [16, 16], 150, None);
    for (frame, jpeg) in parse(&path).of_stream(b"00dc").into_iter().enumerate() {
        let shown = image::load_from_memory(jpeg).unwrap().to_rgb8().get_pixel(8, 8).0;
        assert!(shown.iter().zip(color(frame)).all(|(a, b)| a.abs_diff(b) <= 3), "frame {frame}");
    }
    // From inside a pool of one thread, which can then not help.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    pool.install(|| write(&embedded(), dir.path(), [16, 16], 150, None));
}

#[cfg(unix)]
#[test]
fn an_encoder_that_fails_is_noticed_and_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("broken");
    std::fs::write(&program, "#!/bin/sh\necho cannot encode >&2\nexit 1\n").unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let ffmpeg = Ffmpeg {
        program,
        probe: "ffprobe".into(),
        has_h264: true,
        has_aac: true,
        has_webm: true,
        has_vp8: true,
    };
    let video = dir.path().join("talk");
    let mut writer = VideoWriter::create(&Encoder::Ffmpeg(ffmpeg), &video, rgb([128, 128]), None).unwrap();
    let pushed = (0..100).find_map(|frame| writer.push(picture([128, 128], frame)).err());
    let error = pushed.unwrap_or_else(|| writer.finish().unwrap_err());
    let text = error.to_string();
    assert_eq!(error.exit_code(), 2);
    assert!(text.contains("cannot encode") && text.contains("embedded"), "{text}");
    assert_eq!(files_in(dir.path()), ["broken"]);
}

/// A disc of half alpha in a transparent picture, straight colours.
fn see_through(size: [u32; 2]) -> Vec<u8> {
    let pixel = |at: u32| {
        let (x, y) = (at % size[0], at / size[0]);
        let is_inside = x.abs_diff(size[0] / 2).pow(2) + y.abs_diff(size[1] / 2).pow(2) < 300;
        if is_inside { [200, 80, 40, 128] } else { [0; 4] }
    };
    (0..size[0] * size[1]).flat_map(pixel).collect()
}

#[test]
fn png_files_hold_the_alpha_as_it_was_and_an_unfinished_run_leaves_none() {
    let dir = tempfile::tempdir().unwrap();
    // Odd sides stay odd: only video codecs need even ones.
    let format = VideoFormat { size: [61, 45], fps: 25, pixels: PixelFormat::Rgba8 };
    let start = || VideoWriter::create(&Encoder::Frames, &dir.path().join("frames"), format, None).unwrap();
    let mut writer = start();
    writer.push(see_through([61, 45])).unwrap();
    drop(writer);
    assert!(files_in(dir.path()).is_empty());
    let mut writer = start();
    (0..3).for_each(|_| writer.push(see_through([61, 45])).unwrap());
    let folder = writer.finish().unwrap();
    let mut names = files_in(&folder);
    names.sort();
    assert_eq!(names, ["00000.png", "00001.png", "00002.png"]);
    let picture = image::open(folder.join("00001.png")).unwrap().into_rgba8();
    assert_eq!(picture.into_raw(), see_through([61, 45]));
}

#[test]
fn a_webm_carries_alpha_and_sound_of_its_length() {
    let ffmpeg = Ffmpeg::find().expect("ffmpeg");
    ffmpeg.writes_webm().expect("an ffmpeg with libvpx and libopus, as Debian's");
    let dir = tempfile::tempdir().unwrap();
    let size = [96, 64];
    let format = VideoFormat { size, fps: 25, pixels: PixelFormat::Rgba8 };
    let sound = tone(RATE as usize);
    // As long as the sound, and shorter: then it is cut.
    for frames in [25, 10] {
        let path = dir.path().join(format!("{frames}.mp4"));
        let encoder = Encoder::Webm(ffmpeg.clone());
        let mut writer = VideoWriter::create(&encoder, &path, format, Some(sound.samples())).unwrap();
        (0..frames).for_each(|_| writer.push(see_through(size)).unwrap());
        let video = writer.finish().unwrap();
        assert_eq!(video.extension().unwrap(), "webm");
        let decoded = Command::new(&ffmpeg.program)
            .args(["-v", "error", "-c:v", "libvpx-vp9", "-i"])
            .arg(&video)
            .args(["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgba", "-"])
            .output()
            .unwrap();
        let pictures: Vec<&[u8]> = decoded.stdout.chunks_exact(96 * 64 * 4).collect();
        assert_eq!(pictures.len(), frames);
        let last = pictures[frames - 1];
        let (middle, corner) = (&last[(32 * 96 + 48) * 4..][..4], &last[..4]);
        assert!(middle[3].abs_diff(128) < 8 && corner[3] < 8, "{middle:?} {corner:?}");
        assert!(middle[..3].iter().zip([200, 80, 40]).all(|(a, b)| a.abs_diff(b) < 16), "{middle:?}");
        let probe = Command::new(&ffmpeg.probe)
            .args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"])
            .arg(&video)
            .output()
            .unwrap();
        let seconds: f64 = String::from_utf8_lossy(&probe.stdout).trim().parse().unwrap();
        assert!((seconds - frames as f64 / 25.0).abs() < 0.06, "{seconds} s for {frames} frames");
    }
}
