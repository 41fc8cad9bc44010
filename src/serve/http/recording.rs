//! A session into a video: pictures are kept as JPEGs in a file while it goes on, and become a video at its end, when all of
//! its sound is known.

use super::frames::jpeg;
use super::reply::{Answer, Fault};
use super::video_file::{VideoFile, create, finish};
use crate::serve::picture::FramePicture;
use crate::serve::session::Recorder;
use crate::serve::speaker::SpokenFrame;
use crate::{Error, Result};
use axum::http::StatusCode;
use data_utils::audio::{SAMPLE_RATE, Sound};
use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The longest recording, frames: 10 minutes.
const LONGEST: usize = 15_000;
/// Frames that wait for the thread that keeps them; with more, pictures are dropped.
const WAITING: usize = 64;
/// JPEG quality of what is kept.
const QUALITY: u8 = 92;
/// Recordings that are kept.
const MOST: usize = 16;
/// Sessions that are recorded at once: ten minutes of one may take a gigabyte of the disk.
const RUNNING: usize = 8;

/// Finished recordings by the names of their sessions, the oldest first.
pub(super) struct Recordings {
    finished: Mutex<VecDeque<(String, Arc<VideoFile>)>>,
    running: Arc<Semaphore>,
}

impl Default for Recordings {
    fn default() -> Self {
        Recordings { finished: Mutex::default(), running: Arc::new(Semaphore::new(RUNNING)) }
    }
}

impl Recordings {
    /// Starts to record a session, where not too many are recorded.
    pub(super) fn start(&self) -> Answer<SessionRecorder> {
        let full = |_| Fault::new(StatusCode::SERVICE_UNAVAILABLE, "too many sessions are recorded");
        let place = Arc::clone(&self.running).try_acquire_owned().map_err(full)?;
        Ok(SessionRecorder::start(place)?)
    }

    pub(super) fn add(&self, id: &str, file: VideoFile) {
        let mut finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        finished.retain(|(other, _)| other != id);
        finished.push_back((id.to_owned(), Arc::new(file)));
        if finished.len() > MOST {
            finished.pop_front();
        }
    }

    pub(super) fn get(&self, id: &str) -> Answer<Arc<VideoFile>> {
        let finished = self.finished.lock().unwrap_or_else(PoisonError::into_inner);
        let found = finished.iter().find(|(other, _)| other == id).map(|(_, file)| Arc::clone(file));
        found.ok_or_else(|| Fault::missing("there is no recording of this session"))
    }
}

/// Records a session.
pub(super) struct SessionRecorder {
    frames: Sender<SpokenFrame>,
    waiting: Arc<AtomicUsize>,
    thread: JoinHandle<Result<Kept>>,
    count: usize,
    _place: OwnedSemaphorePermit,
}

/// What was kept: the sound, and where in the file each frame's JPEG ends; a frame without a picture ends where the one
/// before does.
struct Kept {
    size: Option<[usize; 2]>,
    sound: Vec<f32>,
    ends: Vec<u64>,
    file: File,
}

impl SessionRecorder {
    fn start(place: OwnedSemaphorePermit) -> Result<Self> {
        let (frames, received) = channel();
        let waiting = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&waiting);
        let file = tempfile::tempfile().map_err(|e| fail(&e))?;
        let thread = std::thread::Builder::new().name("recording".into());
        let thread = thread.spawn(move || keep(&received, &counted, file)).map_err(|e| fail(&e))?;
        Ok(SessionRecorder { frames, waiting, thread, count: 0, _place: place })
    }

    /// The video of what was recorded. Waits.
    pub(super) fn finish(self) -> Result<VideoFile> {
        drop(self.frames);
        let kept = self.thread.join().map_err(|_| Error::Internal("the recording thread ended".into()))??;
        kept.into_video()
    }
}

impl Recorder for SessionRecorder {
    fn push(&mut self, frame: &SpokenFrame) -> bool {
        self.count += 1;
        if self.count > LONGEST {
            // What there is stays until it is asked for.
            return true;
        }
        let mut frame = frame.clone();
        if self.waiting.fetch_add(1, Ordering::Relaxed) > WAITING {
            frame.picture = None;
        }
        // Where the thread has ended, its error is found at the end.
        let _ = self.frames.send(frame);
        true
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any + Send> {
        self
    }
}

fn fail(error: &std::io::Error) -> Error {
    Error::Internal(format!("a recording: {error}"))
}

fn keep(frames: &Receiver<SpokenFrame>, waiting: &AtomicUsize, file: File) -> Result<Kept> {
    let mut kept = Kept { size: None, sound: Vec::new(), ends: Vec::new(), file };
    let mut end = 0;
    for frame in frames {
        waiting.fetch_sub(1, Ordering::Relaxed);
        kept.sound.extend_from_slice(&frame.sound);
        if let Some(picture) = &frame.picture {
            kept.size.get_or_insert(picture.size);
            let bytes = jpeg(picture, QUALITY)?;
            kept.file.write_all(&bytes).map_err(|e| fail(&e))?;
            end += bytes.len() as u64;
        }
        kept.ends.push(end);
    }
    Ok(kept)
}

impl Kept {
    fn into_video(mut self) -> Result<VideoFile> {
        let nothing = || Error::input("the recording", "at least one picture", "none", "record for longer");
        let size = self.size.ok_or_else(nothing)?;
        let sound = Sound { samples: self.sound, rate: SAMPLE_RATE };
        let (mut writer, folder) = create(size.map(|side| side as u32), &sound)?;
        self.file.seek(SeekFrom::Start(0)).map_err(|e| fail(&e))?;
        let mut last = FramePicture { size, pixels: vec![0; 3 * size[0] * size[1]] };
        let mut start = 0;
        for end in self.ends {
            if end > start {
                let mut bytes = vec![0; (end - start) as usize];
                self.file.read_exact(&mut bytes).map_err(|e| fail(&e))?;
                let picture = image::load_from_memory_with_format(&bytes, image::ImageFormat::Jpeg);
                last.pixels = picture.map_err(|e| Error::Internal(e.to_string()))?.into_rgb8().into_raw();
                start = end;
            }
            // A picture that was passed over: the one before stays.
            writer.push(last.pixels.as_slice())?;
        }
        finish(writer, folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_has_a_picture_for_every_frame_and_all_of_the_sound() {
        let mut recorder = Recordings::default().start().expect("a recorder");
        for k in 0..10_u64 {
            let picture = FramePicture { size: [16, 16], pixels: vec![(20 * k) as u8; 768] };
            let picture = (k % 3 != 2).then(|| Arc::new(picture));
            let frame =
                SpokenFrame { position: 640 * k, sound: vec![0.1; 640], picture, ..SpokenFrame::default() };
            assert!(recorder.push(&frame));
        }
        let file = recorder.finish().expect("a video");
        let length = std::fs::metadata(&file.path).expect("a file").len();
        assert!(length > 1000, "{length} bytes");
        let sound = data_utils::audio::load(&file.path).map(|sound| sound.samples.len());
        // An AVI is read by ffmpeg alone.
        assert!(sound.is_err() || sound.is_ok_and(|samples| samples >= 6400));
    }

    #[test]
    fn no_more_are_recorded_at_once_than_the_disk_bears() {
        let recordings = Recordings::default();
        let running: Vec<SessionRecorder> = (0..20).map_while(|_| recordings.start().ok()).collect();
        assert_eq!(running.len(), RUNNING);
        drop(running);
        assert!(recordings.start().is_ok());
    }

    #[test]
    fn a_recording_without_a_picture_is_refused() {
        let recorder = Recordings::default().start().expect("a recorder");
        assert!(recorder.finish().expect_err("refused").to_string().contains("picture"));
    }
}
