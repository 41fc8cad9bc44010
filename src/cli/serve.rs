//! The `serve` program: heads speak live, to a web page or any program.

use super::device::Device;
use super::interrupt::Interrupt;
use super::output;
use crate::head::Head;
use crate::head::cloud::model_dir::ModelDir;
use crate::serve::drawing::{Admission, Drawing};
use crate::serve::heads::{Heads, ServedHead};
use crate::serve::http::{Access, PushTarget, Service, check_access, serve};
use crate::serve::rtc::port::Port;
use crate::serve::speech::SpeechChain;
use crate::{Error, Result, sample};
use clap::Parser;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing_subscriber::filter::LevelFilter;

/// Lets heads speak live: a web page, an HTTP API and WebSockets.
#[derive(Debug, Parser)]
#[command(name = "serve", version, rename_all = "snake_case")]
pub struct ServeFlags {
    /// Folder of a trained model (model/xxx), or a head file; may be given often. Without one a sample head speaks
    #[arg(short = 'm', long = "model_path")]
    models: Vec<PathBuf>,
    /// Text to speech: auto, builtin, flite[:voice], espeak[:voice], piper:voice.onnx or openai:URL[,voice[,model]]; may be given often, the next
    /// one is asked when one does not answer
    #[arg(long)]
    tts: Vec<String>,
    /// Address and port
    #[arg(long, default_value = "127.0.0.1:8000")]
    listen: SocketAddr,
    /// UDP port of all calls by WebRTC, which needs an ffmpeg that codes VP8; 0 takes none. Without it, the number of --listen
    #[arg(long)]
    webrtc_port: Option<u16>,
    /// Address under which others see this computer, where that is another one: callers are told to send there
    #[arg(long)]
    public_ip: Option<IpAddr>,
    /// A secret that every request must name; needed to listen to other computers. Better given by the environment
    #[arg(long, env = "SURFELTALK_TOKEN", hide_env_values = true)]
    token: Option<String>,
    /// Most sessions at once; fewer are let in when drawing takes longer
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u16).range(1..=1000))]
    max_sessions: u16,
    /// Let in --max_sessions sessions also where drawing them takes longer than there is time: pictures are then left out
    #[arg(long)]
    overcommit: bool,
    /// Where the work is done: auto, gpu or cpu
    #[arg(long, default_value = "auto")]
    device: Device,
    /// Folder where pictures and sounds are kept when a client switches debugging on; without one none are
    #[arg(long)]
    debug_dir: Option<PathBuf>,
    /// Also send a session to a streaming service, by ffmpeg as H.264 and AAC: rtmp://HOST/live/KEY, or rtmps, srt, udp, tcp, rtsp. It
    /// speaks by POST /human with sessionid push
    #[arg(long, env = "SURFELTALK_PUSH", hide_env_values = true)]
    push: Option<String>,
    /// What is logged on stderr: error, warn, info, debug or trace
    #[arg(long, default_value = "info")]
    log: LevelFilter,
}

/// Runs `serve` with the flags given, until it is stopped.
///
/// # Errors
/// [`Error::Input`] for the user's mistakes, before anyone can connect.
pub fn run(flags: &ServeFlags) -> Result<()> {
    let access = Access { token: flags.token.clone().filter(|token| !token.is_empty()) };
    check_access(flags.listen, &access)?;
    // A second start in one process keeps the first one's logs.
    let _ = tracing_subscriber::fmt().with_writer(std::io::stderr).with_max_level(flags.log).try_init();
    let speech = SpeechChain::parse(&flags.tts)?;
    let push = flags.push.as_deref().map(PushTarget::parse).transpose()?;
    let heads = Heads::new(heads(&flags.models)?)?;
    let listener = TcpListener::bind(flags.listen).map_err(|error| {
        let remedy = "choose another port by --listen 127.0.0.1:PORT";
        Error::input("--listen", format!("{} to be free", flags.listen), error.to_string(), remedy)
    })?;
    let address = listener.local_addr().map_err(|e| Error::Internal(e.to_string()))?;
    let calls = calls(flags, address)?;
    let gpu = flags.device.gpu()?;
    let admission = Admission { most: flags.max_sessions.into(), overcommit: flags.overcommit };
    let drawing = Drawing::start(gpu, heads.all(), admission)?;
    tracing::info!(%address, device = drawing.device(), speech = ?speech.names(), "serving");
    if heads.all().iter().any(|head| !head.is_sample) {
        output::note(
            "use the face and the voice of a person only with their consent; all pictures and sounds are synthetic",
        );
    }
    output::result(format_args!("http://{address}"));
    let models = flags.models.clone();
    let load = Box::new(move || self::heads(&models));
    let service = Service::new(heads, drawing, speech, access, flags.debug_dir.clone(), load);
    let service = Arc::new(service.with_calls(calls));
    let interrupt = Interrupt::get();
    serve(service, listener, push, move || interrupt.raised())
}

/// The port of calls; `address` is where requests are answered.
fn calls(flags: &ServeFlags, address: SocketAddr) -> Result<Option<Arc<Port>>> {
    let number = flags.webrtc_port.unwrap_or(address.port());
    if number == 0 {
        return Ok(None);
    }
    match Port::open(SocketAddr::new(address.ip(), number), flags.public_ip) {
        Ok(port) => Ok(Some(port)),
        // Nobody asked for this one.
        Err(error) if flags.webrtc_port.is_none() => {
            tracing::warn!(number, %error, "no calls by WebRTC: choose a UDP port by --webrtc_port");
            Ok(None)
        }
        Err(error) => {
            let expected = format!("UDP port {number} to be free");
            Err(Error::input("--webrtc_port", expected, error.to_string(), "choose another one"))
        }
    }
}

/// The heads of the models named; the sample head when none is.
fn heads(models: &[PathBuf]) -> Result<Vec<ServedHead>> {
    if models.is_empty() {
        return Ok(vec![ServedHead::new("sample", Arc::new(sample::trained()?), true)?]);
    }
    models.iter().map(|path| load(path)).collect()
}

fn load(path: &Path) -> Result<ServedHead> {
    let name = path.file_stem().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
    let head = if path.is_file() {
        let bytes = data_utils::media::files::read_bounded(path, 8 << 30)?;
        Head::from_bytes(&bytes).map_err(|error| match error {
            Error::Input(mut problem) => {
                problem.at = path.display().to_string();
                Error::Input(problem)
            }
            other => other,
        })?
    } else {
        let folder = ModelDir::new(path);
        Head::load(&folder.iteration_dir(folder.iteration(None)?))?
    };
    ServedHead::new(&name, Arc::new(head), false)
}
