//! The pictures of a session as VP8: a thread writes them to ffmpeg, another one reads what comes back. Where they come faster than
//! they are coded, new ones are left out.

use crate::serve::picture::FramePicture;
use crate::{Error, Result};
use data_utils::audio::FRAME_RATE;
use data_utils::media::live_vp8::{self, CodedPictures, PictureCoder};
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// Pictures that wait to be coded, and coded ones that wait to be sent.
const WAITING: usize = 2;
const CODED: usize = 16;

/// Codes the pictures of one session.
pub struct Coder {
    pictures: SyncSender<(u64, Arc<FramePicture>)>,
    coded: mpsc::Receiver<(u64, Vec<u8>)>,
}

type Positions = Arc<Mutex<VecDeque<u64>>>;

impl Coder {
    /// A coder of pictures of `size` pixels. It takes a moment.
    ///
    /// # Errors
    /// [`Error::Input`] without an ffmpeg that codes VP8.
    pub fn start(size: [u32; 2]) -> Result<Self> {
        let (coder, from) = live_vp8::start(size, FRAME_RATE)?;
        let (pictures, received) = sync_channel(WAITING);
        let (sender, coded) = mpsc::channel(CODED);
        let positions = Positions::default();
        let written = Arc::clone(&positions);
        let fail = |e: std::io::Error| Error::Internal(format!("a thread that codes pictures: {e}"));
        let thread = |name: &str| std::thread::Builder::new().name(name.into());
        thread("pictures in").spawn(move || write(coder, &received, &written)).map_err(fail)?;
        thread("pictures out").spawn(move || read(from, &sender, &positions)).map_err(fail)?;
        Ok(Coder { pictures, coded })
    }

    /// Has a picture coded that is seen at sample `position`; false when it is left out.
    pub fn push(&self, position: u64, picture: Arc<FramePicture>) -> bool {
        self.pictures.try_send((position, picture)).is_ok()
    }

    /// The next coded picture with its sample; `None` when no more come.
    pub async fn next(&mut self) -> Option<(u64, Vec<u8>)> {
        self.coded.recv().await
    }
}

/// Writes pictures until there are no more; then the child ends, and with it the other thread.
fn write(mut coder: PictureCoder, pictures: &Receiver<(u64, Arc<FramePicture>)>, positions: &Positions) {
    for (position, picture) in pictures {
        positions.lock().unwrap_or_else(PoisonError::into_inner).push_back(position);
        if let Err(error) = coder.write(&picture.rgb()) {
            tracing::error!(%error, "pictures are not coded any more");
            return;
        }
    }
}

fn read(mut from: CodedPictures, to: &mpsc::Sender<(u64, Vec<u8>)>, positions: &Positions) {
    // The number of the first one whose position is kept.
    let mut first = 0;
    loop {
        let picture = match from.next_picture() {
            Ok(Some(picture)) => picture,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(%error, "pictures are not coded any more");
                return;
            }
        };
        let mut positions = positions.lock().unwrap_or_else(PoisonError::into_inner);
        let mut position = None;
        while first <= picture.number && !positions.is_empty() {
            position = positions.pop_front();
            first += 1;
        }
        drop(positions);
        let Some(position) = position else { continue };
        if to.blocking_send((position, picture.data)).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn coded_pictures_keep_their_samples() {
        let mut coder = Coder::start([16, 16]).expect("a coder");
        for number in [0_u64, 1, 5, 6] {
            let picture = FramePicture { size: [16, 16], pixels: vec![40 * number as u8; 768] };
            assert!(coder.push(640 * number, Arc::new(picture)));
            let (position, data) = coder.next().await.expect("a picture");
            assert_eq!(position, 640 * number);
            // The first one needs no other.
            assert_eq!(data[0] & 1 == 0, number == 0);
        }
    }
}
