//! Speech and when each of its phones begins, by the library of espeak-ng.

use libloading::Library;
use std::error::Error;
use std::ffi::{CString, c_char, c_int, c_uint, c_void};

/// Names of the library, the usual one first.
const NAMES: [&str; 3] = ["libespeak-ng.so.1", "libespeak-ng.so", "libespeak-ng.dylib"];
/// Sound is given to a callback and not played, before the call returns.
const SYNCHRONOUS: c_int = 2;
/// Events for phonemes, in the phonetic alphabet.
const PHONEMES: c_int = 1 | 2;
const UTF8: c_uint = 1;
const RATE: c_int = 1;
const PITCH: c_int = 3;
const RANGE: c_int = 4;
const END_OF_EVENTS: c_int = 0;
const PHONEME: c_int = 7;

/// `espeak_EVENT`; the last field is a union of eight bytes.
#[repr(C)]
struct Event {
    kind: c_int,
    unique: c_uint,
    text_position: c_int,
    length: c_int,
    audio_position: c_int,
    sample: c_int,
    user_data: *mut c_void,
    id: [u8; 8],
}

type Callback = extern "C" fn(*mut i16, c_int, *mut Event) -> c_int;
type Initialize = unsafe extern "C" fn(c_int, c_int, *const c_char, c_int) -> c_int;
type SetCallback = unsafe extern "C" fn(Callback);
type SetVoice = unsafe extern "C" fn(*const c_char) -> c_int;
type SetParameter = unsafe extern "C" fn(c_int, c_int, c_int) -> c_int;
type Synth = unsafe extern "C" fn(
    *const c_void,
    usize,
    c_uint,
    c_int,
    c_uint,
    c_uint,
    *mut c_uint,
    *mut c_void,
) -> c_int;

/// The library, ready to speak.
pub struct Espeak {
    library: Library,
    rate: u32,
}

/// How a text is spoken.
pub struct Voice {
    /// Such as `en-us+m3`.
    pub name: String,
    /// Words a minute.
    pub speed: i32,
    /// 0 to 100.
    pub pitch: i32,
    /// 0 to 100.
    pub range: i32,
}

/// What was spoken.
#[derive(Default)]
pub struct Spoken {
    /// Full scale at ±1.
    pub samples: Vec<f32>,
    /// When each phone begins, samples, and its name.
    phones: Vec<(usize, String)>,
}

impl Spoken {
    /// When each phone begins, seconds.
    pub fn phones(&self, rate: u32) -> Vec<(f64, String)> {
        self.phones.iter().map(|(at, name)| (*at as f64 / f64::from(rate), name.clone())).collect()
    }
}

/// Gathers sound and phonemes in the [`Spoken`] that was given to `espeak_Synth`.
extern "C" fn gather(samples: *mut i16, count: c_int, events: *mut Event) -> c_int {
    let mut event = events;
    // SAFETY: espeak gives `count` samples or a null pointer, and a list of events that ends with one of kind 0, in each of which
    // `user_data` is the pointer that `Espeak::say` passed, to a `Spoken` that lives until that call returns.
    #[allow(unsafe_code, reason = "a callback from C")]
    unsafe {
        if event.is_null() {
            return 0;
        }
        let Some(spoken) = (*event).user_data.cast::<Spoken>().as_mut() else { return 0 };
        if !samples.is_null() && count > 0 {
            let samples = std::slice::from_raw_parts(samples, count as usize);
            spoken.samples.extend(samples.iter().map(|s| f32::from(*s) / 32768.0));
        }
        while (*event).kind != END_OF_EVENTS {
            if (*event).kind == PHONEME {
                let id = (*event).id;
                let end = id.iter().position(|b| *b == 0).unwrap_or(id.len());
                let name = String::from_utf8_lossy(&id[..end]).into_owned();
                spoken.phones.push((usize::try_from((*event).sample).unwrap_or(0), name));
            }
            event = event.add(1);
        }
    }
    0
}

impl Espeak {
    /// Opens the library.
    ///
    /// # Errors
    /// When there is none, or it has no voices.
    pub fn open() -> Result<Self, Box<dyn Error>> {
        // SAFETY: espeak-ng's library does nothing when it is loaded; types are those of speak_lib.h.
        #[allow(unsafe_code, reason = "calls into a C library")]
        unsafe {
            let library = NAMES.iter().find_map(|name| Library::new(name).ok());
            let library =
                library.ok_or("no libespeak-ng: install the packages libespeak-ng1 and espeak-ng-data")?;
            let rate = library.get::<Initialize>(b"espeak_Initialize")?(
                SYNCHRONOUS,
                300,
                std::ptr::null(),
                PHONEMES,
            );
            library.get::<SetCallback>(b"espeak_SetSynthCallback")?(gather);
            let rate =
                u32::try_from(rate).map_err(|_| "espeak-ng finds no voices: install espeak-ng-data")?;
            Ok(Espeak { library, rate })
        }
    }

    /// Samples a second.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// Speaks a text.
    ///
    /// # Errors
    /// When there is no such voice.
    pub fn say(&mut self, text: &str, voice: &Voice) -> Result<Spoken, Box<dyn Error>> {
        let name = CString::new(voice.name.as_str())?;
        let text = CString::new(text.replace('\0', " "))?;
        let mut spoken = Spoken::default();
        // SAFETY: pointers live until the calls return, since synthesis is synchronous; `&mut self` keeps calls apart.
        #[allow(unsafe_code, reason = "calls into a C library")]
        unsafe {
            if self.library.get::<SetVoice>(b"espeak_SetVoiceByName")?(name.as_ptr()) != 0 {
                return Err(format!("espeak-ng has no voice {}", voice.name).into());
            }
            let set = self.library.get::<SetParameter>(b"espeak_SetParameter")?;
            for (parameter, value) in [(RATE, voice.speed), (PITCH, voice.pitch), (RANGE, voice.range)] {
                set(parameter, value, 0);
            }
            let synth = self.library.get::<Synth>(b"espeak_Synth")?;
            let bytes = text.as_bytes_with_nul();
            let user_data = (&raw mut spoken).cast();
            synth(bytes.as_ptr().cast(), bytes.len(), 0, 1, 0, UTF8, std::ptr::null_mut(), user_data);
        }
        Ok(spoken)
    }
}
