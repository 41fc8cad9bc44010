//! Speech from a server with OpenAI's `POST /v1/audio/speech`.

use super::{Engine, decode};
use crate::{Error, Result};
use data_utils::audio::Sound;
use std::time::Duration;

/// How long a sentence may take, until its first byte and in all.
const FIRST: Duration = Duration::from_secs(5);
const WHOLE: Duration = Duration::from_secs(30);
/// The most sound that is taken, bytes.
const LIMIT: u64 = 32 << 20;
/// Samples a second of raw PCM, which servers also send where another format was asked for.
const PCM_RATE: u32 = 24_000;
/// Where the key is taken from; it stands in no argument.
const KEY: &str = "OPENAI_API_KEY";

/// A server that speaks.
pub struct OpenAi {
    base: String,
    voice: String,
    model: String,
    key: Option<String>,
    agent: ureq::Agent,
}

impl OpenAi {
    /// `URL[,voice[,model]]`; the key is the value of the environment variable `OPENAI_API_KEY`, where there is one.
    ///
    /// # Errors
    /// [`Error::Input`] for what is no URL of http or https.
    pub fn parse(text: &str) -> Result<Self> {
        let mut parts = text.split(',');
        let base = parts.next().unwrap_or_default().trim_end_matches('/').trim_end_matches("/v1");
        let host = base.strip_prefix("http://").or_else(|| base.strip_prefix("https://"));
        if host.is_none_or(|host| host.is_empty() || host.contains(char::is_whitespace)) {
            let remedy = "give it as openai:http://HOST:PORT";
            return Err(Error::input("--tts", "a URL of http or https", format!("{base:?}"), remedy));
        }
        let config = ureq::Agent::config_builder()
            .timeout_recv_response(Some(FIRST))
            .timeout_connect(Some(FIRST))
            .timeout_global(Some(WHOLE))
            .build();
        Ok(OpenAi {
            base: base.to_owned(),
            voice: parts.next().unwrap_or("alloy").to_owned(),
            model: parts.next().unwrap_or("tts-1").to_owned(),
            key: std::env::var(KEY).ok().filter(|key| !key.is_empty()),
            agent: config.into(),
        })
    }

    fn ask(&self, sentence: &str) -> std::result::Result<Vec<u8>, ureq::Error> {
        let body = serde_json::json!({
            "model": self.model, "input": sentence, "voice": self.voice, "response_format": "wav"
        });
        let mut request = self.agent.post(format!("{}/v1/audio/speech", self.base));
        if let Some(key) = &self.key {
            request = request.header("Authorization", format!("Bearer {key}"));
        }
        request.send_json(body)?.body_mut().with_config().limit(LIMIT).read_to_vec()
    }
}

impl Engine for OpenAi {
    fn name(&self) -> String {
        format!("openai {}", self.base)
    }

    fn speak(&self, sentence: &str) -> Result<Sound> {
        let bytes = self.ask(sentence).map_err(|error| {
            Error::input(
                &self.base,
                "speech from POST /v1/audio/speech",
                error.to_string(),
                "check the server",
            )
        })?;
        decode(&bytes, Some(PCM_RATE))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Builtin, SpeechChain, wav};
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::sync::mpsc::{Receiver, channel};
    use std::time::Instant;

    /// A server that answers one request, and the request.
    fn server(answer: impl FnOnce(&mut TcpStream) + Send + 'static) -> (String, Receiver<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let (sender, request) = channel();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a client");
            let mut bytes = Vec::new();
            let mut part = [0; 1024];
            // The body is one object, whose end is the end of the request.
            while !bytes.ends_with(b"}") {
                let count = stream.read(&mut part).expect("a request");
                bytes.extend_from_slice(&part[..count]);
            }
            sender.send(String::from_utf8_lossy(&bytes).into_owned()).expect("told");
            answer(&mut stream);
        });
        (url, request)
    }

    fn reply(kind: &str, body: &[u8]) -> Vec<u8> {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nConnection: close\r\n\r\n");
        [head.as_bytes(), body].concat()
    }

    #[test]
    fn a_server_is_asked_as_openai_s_is_and_its_bytes_are_trusted_more_than_their_type() {
        let sound = Sound { samples: vec![0.25; 8000], rate: 16_000 };
        let pcm: Vec<u8> = super::super::pcm_bytes(&[0.25; 12_000]).collect();
        for body in [wav(&sound), pcm] {
            let (url, request) = server(move |stream| {
                stream.write_all(&reply("audio/wav", &body)).expect("answered");
            });
            let engine = OpenAi::parse(&format!("{url}/v1/,nova")).expect("an engine");
            let spoken = engine.speak("Say \"this\".").expect("speech");
            assert_eq!(spoken.samples.len(), 8000);
            let request = request.recv().expect("a request");
            assert!(request.starts_with("POST /v1/audio/speech "), "{request}");
            let body: serde_json::Value =
                serde_json::from_str(&request[request.find("\r\n\r\n").expect("a body")..]).expect("JSON");
            assert_eq!((&body["input"], &body["voice"]), (&"Say \"this\".".into(), &"nova".into()));
        }
    }

    #[test]
    fn a_server_that_hangs_is_replaced_by_the_next_voice() {
        let (url, _request) = server(|_| std::thread::sleep(Duration::from_secs(60)));
        let engine = OpenAi::parse(&url).expect("an engine");
        let chain = SpeechChain::new(vec![Arc::new(engine), Arc::new(Builtin)]);
        let begin = Instant::now();
        assert_eq!(chain.speak("Hello.", None).expect("speech").engine, "builtin");
        assert!(begin.elapsed() < Duration::from_secs(15), "{:?}", begin.elapsed());
        // It is not waited for again at once.
        let begin = Instant::now();
        chain.speak("Hello.", None).expect("speech");
        assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    }
}
