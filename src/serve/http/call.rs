//! A call that goes on: frames of its session to the other end, and what that one says to the session.

use super::frames::mark_sound;
use super::messages::{REPLIES, Up, event_json, hello, obey};
use super::service::Service;
use super::sessions::{OpenConversation, OwnSession};
use crate::Result;
use crate::serve::rtc::coder::Coder;
use crate::serve::rtc::peer::{Peer, PeerOutput};
use crate::serve::rtc::port::Call as Way;
use crate::serve::speaker::SpokenFrame;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::{Sender, channel};
use tokio::time::sleep_until;

/// How long the other end may take to find the way here.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a call is made of.
pub(super) struct Call {
    pub(super) peer: Peer,
    pub(super) way: Way,
    pub(super) coder: Coder,
    /// Pictures have a mark where sound is heard.
    pub(super) marks: bool,
}

/// Both ways until one end hangs up.
pub(super) async fn talk(service: Arc<Service>, session: OwnSession, mut call: Call) {
    let _open = OpenConversation::count(&service.conversations);
    let why = match go_on(&service, &session, &mut call).await {
        Ok(why) => why.to_owned(),
        Err(error) => error.to_string(),
    };
    call.peer.end();
    // The other end is told; where that fails it finds out alone.
    while let Ok(PeerOutput::Send { to, bytes }) = call.peer.poll(Instant::now()) {
        call.way.send(to, &bytes);
    }
    tracing::info!(session = session.id, pictures_dropped = session.outbox.dropped(), why, "a call ended");
}

async fn go_on(service: &Arc<Service>, session: &OwnSession, call: &mut Call) -> Result<&'static str> {
    let (replies, mut waiting) = channel::<Value>(REPLIES);
    let begin = Instant::now();
    loop {
        let Some(wait) = call.send_all(service, session, &replies)? else {
            return Ok("the other end hung up");
        };
        if !call.peer.is_connected() && begin.elapsed() > PATIENCE {
            return Ok("the other end did not find the way here");
        }
        tokio::select! {
            frame = session.outbox.next() => match frame {
                Some(frame) => call.push(frame)?,
                None => return Ok("the session ended"),
            },
            picture = call.coder.next() => match picture {
                Some((position, data)) => call.peer.push_picture(Instant::now(), position, data),
                None => return Ok("pictures are not coded any more"),
            },
            datagram = call.way.next() => match datagram {
                Some(datagram) => call.peer.receive(Instant::now(), datagram.source, &datagram.bytes)?,
                None => return Ok("the port was closed"),
            },
            Some(reply) = waiting.recv() => {
                call.peer.say(&reply.to_string());
            }
            () = sleep_until(wait.into()) => call.peer.wake(Instant::now())?,
        }
    }
}

impl Call {
    /// Sends all that is ready, and gives the time until which there is nothing more; `None` when the call is over.
    fn send_all(
        &mut self,
        service: &Arc<Service>,
        session: &OwnSession,
        replies: &Sender<Value>,
    ) -> Result<Option<Instant>> {
        loop {
            match self.peer.poll(Instant::now())? {
                PeerOutput::Send { to, bytes } => self.way.send(to, &bytes),
                PeerOutput::Connected => tracing::info!(session = session.id, "a call begins"),
                PeerOutput::Opened => {
                    let hello = hello(service, session, Duration::ZERO, "video");
                    self.peer.say(&hello.to_string());
                }
                PeerOutput::Text(text) => obey(service, session, Up::Text(&text), replies),
                PeerOutput::Samples(bytes) => obey(service, session, Up::Samples(&bytes), replies),
                PeerOutput::Ended => return Ok(None),
                PeerOutput::Wait(time) => return Ok(Some(time)),
            }
        }
    }

    /// Sends the sound of a frame, has its picture coded, and says what happens in it. Before anyone is there it is forgotten.
    fn push(&mut self, mut frame: SpokenFrame) -> Result<()> {
        if !self.peer.is_connected() {
            return Ok(());
        }
        if self.marks {
            mark_sound(&mut frame);
        }
        for event in &frame.events {
            // A client without a data channel has /sse.
            self.peer.say(&event_json(event).to_string());
        }
        self.peer.push_sound(Instant::now(), frame.position, &frame.sound)?;
        if let Some(picture) = frame.picture {
            // Where one is still being coded it is left out.
            self.coder.push(frame.position, picture);
        }
        Ok(())
    }
}
