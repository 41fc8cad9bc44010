use super::*;
use std::process::Command;

fn tools() -> Ffmpeg {
    Ffmpeg::find_with_probe().expect("ffmpeg and ffprobe")
}

/// A video of `seconds` at 25 frames a second, 64×48, whose red rises with the frame number; with sound.
fn made(tools: &Ffmpeg, path: &Path, seconds: u32) {
    let picture = format!("color=black:s=64x48:r=25:d={seconds},format=rgb24,geq=r='N*4':g=100:b=50");
    let status = Command::new(&tools.program)
        .args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i"])
        .arg(format!("sine=frequency=300:d={seconds}"))
        .args(["-c:v", "ffv1", "-c:a", "pcm_s16le"])
        .arg(path)
        .status()
        .expect("ffmpeg runs");
    assert!(status.success());
}

#[test]
fn a_video_is_probed_and_read_frame_by_frame() {
    let tools = tools();
    let dir = tempfile::tempdir().expect("a temporary folder");
    // A name that a shell or ffmpeg's protocols would take apart.
    let path = dir.path().join("-a: $(b) 'c'.mkv");
    made(&tools, &path, 2);
    let info = tools.probe(&path).expect("a video");
    assert_eq!((info.width, info.height, info.rate, info.sound.len()), (64, 48, 25.0, 1));
    assert!((info.seconds.expect("a length") - 2.0).abs() < 0.1);
    let frames: Vec<RgbImage> =
        tools.frames(&path, None, None).expect("frames").map(|f| f.expect("a frame")).collect();
    assert_eq!(frames.len(), 50);
    for (n, frame) in frames.iter().enumerate() {
        let red = frame[(30, 20)].0[0];
        assert!(red.abs_diff((n * 4) as u8) <= 3, "frame {n} has red {red}");
    }
    let few = tools.frames(&path, Some(5.0), Some([16, 12])).expect("frames");
    let few: Vec<RgbImage> = few.map(|f| f.expect("a frame")).collect();
    assert_eq!((few.len(), few[0].dimensions()), (10, (16, 12)));
}

#[test]
fn stopping_half_way_leaves_no_child_behind() {
    let tools = tools();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("long.mkv");
    made(&tools, &path, 20);
    let mut frames = tools.frames(&path, None, None).expect("frames");
    assert!(frames.next().expect("a frame").is_ok());
    let id = frames.process.as_ref().expect("running").id();
    drop(frames);
    if cfg!(target_os = "linux") {
        assert!(!Path::new(&format!("/proc/{id}")).exists());
    }
}

#[test]
fn what_is_no_video_is_refused_with_what_ffmpeg_said() {
    let tools = tools();
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("text.mp4");
    std::fs::write(&path, "no video at all").expect("written");
    let message = tools.probe(&path).expect_err("refused").to_string();
    assert!(message.contains("text.mp4") && message.contains("Invalid data"), "{message}");
    assert!(tools.probe(&dir.path().join("missing.mp4")).is_err());
    assert!(tools.probe(dir.path()).is_err());
    let sound = dir.path().join("sound.wav");
    crate::audio::write_wav(&sound, &crate::audio::Sound { samples: vec![0.1; 1600], rate: 16_000 })
        .expect("written");
    assert!(tools.frames(&sound, None, None).expect_err("refused").to_string().contains("no video stream"));
}

#[test]
fn a_program_that_is_not_there_is_the_users_to_install() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("any.mp4");
    std::fs::write(&path, "any").expect("written");
    let tools = Ffmpeg {
        program: "no-such-ffmpeg".into(),
        probe: "no-such-ffprobe".into(),
        has_h264: true,
        has_aac: true,
        has_webm: true,
        has_vp8: true,
    };
    let error = tools.probe(&path).expect_err("refused");
    assert!(error.exit_code() == 2 && error.to_string().contains("install ffmpeg"), "{error}");
}

#[test]
fn without_libx264_videos_are_written_all_the_same() {
    let tools = tools();
    let tools = Ffmpeg { has_h264: false, ..tools };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("a.mkv");
    made(&tools, &path, 1);
    let write = |name: &str| {
        let to = dir.path().join(name);
        tools.write_window(&path, 25.0, [8, 0, 48, 48], 48, &to).expect("written");
        std::fs::read(&to).expect("a video")
    };
    assert!(write("b.mp4") == write("c.mp4"));
    let written = tools.frames(&dir.path().join("b.mp4"), None, None).expect("frames");
    let reds: Vec<u8> = written.map(|f| f.expect("a frame")[(20, 20)].0[0]).collect();
    assert_eq!(reds.len(), 25);
    assert!(reds.iter().enumerate().all(|(n, red)| red.abs_diff((n * 4) as u8) <= 8), "{reds:?}");
}

/// Ten frames of black that turn white when a tone sets in, one stream later than the other in a container whose clock does
/// not begin at 0.
#[test]
fn picture_and_sound_keep_their_distance_whichever_of_them_begins_later() {
    let tools = tools();
    tools.writes_mp4().expect("an ffmpeg that writes H.264 and AAC");
    let dir = tempfile::tempdir().expect("a temporary folder");
    for (name, filter) in [
        ("sound", "[0:v]null[v];[1:a]atrim=start=0.4[a]"),
        ("picture", "[0:v]trim=start=0.4[v];[1:a]anull[a]"),
    ] {
        let path = dir.path().join(format!("{name}.ts"));
        let status = Command::new(&tools.program)
            .args(["-nostdin", "-v", "error", "-y", "-f", "lavfi", "-i"])
            .arg("color=black:s=64x48:r=25:d=3,drawbox=c=white:t=fill:enable='gte(t,1.999)'")
            .args(["-f", "lavfi", "-i", "aevalsrc='0.5*sin(2000*t)*gte(t,2)':s=48000:d=3"])
            .args(["-filter_complex", filter, "-map", "[v]", "-map", "[a]", "-c:v", "libx264", "-c:a", "aac"])
            .arg(&path)
            .status()
            .expect("ffmpeg runs");
        assert!(status.success());
        let frames = tools.window(&path, 25.0, [0, 0, 64, 48], 16).expect("frames");
        let white = frames.map(|f| f.expect("a frame")).position(|f| f[(8, 8)].0[1] > 128);
        let mut track = crate::media::sound::Track::open(&path, 0, 48_000, 1).expect("sound");
        let mut samples = Vec::new();
        while let Some(mut block) = track.next_block().expect("samples") {
            samples.append(&mut block[0]);
        }
        track.finish().expect("decoded");
        let tone = samples.iter().position(|s| s.abs() > 0.25).expect("a tone") as f64 / 48_000.0;
        let white = white.expect("a white frame") as f64 / 25.0;
        assert!((tone - white).abs() < 0.05, "{name} later: white at {white} s, tone at {tone} s");
        // Counted from the stream that begins first.
        assert!((white - 2.0).abs() < 0.09, "{name} later: white at {white} s");
    }
}
