//! Which model files there are: `process --check`.

use super::options::{self, LANDMARKER};
use crate::error::Result;
use crate::workspace::digest_file;
use std::path::{Path, PathBuf};

/// A model file the program can use.
struct Model {
    name: &'static str,
    /// SHA-256 of the published file, where it is known.
    sha256: Option<&'static str>,
    purpose: &'static str,
    licence: &'static str,
    source: &'static str,
}

/// ICT-FaceKit in its usual folder.
const FACE_MODEL: &str = "ict_facekit/ict_compact.npz";

/// BFM-2009 in its usual folder.
const BASEL: &str = "01_MorphableModel.mat";
/// RAFT-small.
const FLOW: &str = "raft-small.pth";

const MODELS: [Model; 6] = [
    Model {
        name: LANDMARKER,
        sha256: Some("64184e229b263107bc2b804c6625db1341ff2bb731874b0bcc2fe6544e0bc9ff"),
        purpose: "finds the face, 478 landmarks, 52 blendshapes, the default face model; needed",
        licence: "Apache-2.0 (Google, MediaPipe)",
        source: "https://ai.google.dev/edge/mediapipe/solutions/vision/face_landmarker",
    },
    Model {
        name: "79999_iter.pth",
        sha256: None,
        purpose: "face parsing (BiSeNet) with --parsing; without it masks are made from the picture alone",
        licence: "MIT for the code; trained on CelebAMask-HQ, which is for research only",
        source: "https://github.com/zllrunning/face-parsing.PyTorch",
    },
    Model {
        name: "audio_visual_encoder.pth",
        sha256: None,
        purpose: "audio features `ave`; without it speech features are used",
        licence: "that of SyncTalk's repository",
        source: "https://github.com/ZiqiaoPeng/SyncTalk",
    },
    Model {
        name: FACE_MODEL,
        sha256: None,
        purpose: "face model with --face_model; without it MediaPipe's own face, which fits a little less closely",
        licence: "MIT (USC ICT, ICT-FaceKit)",
        source: "https://github.com/ICT-VGL/ICT-FaceKit, reduced to mean, id, exp and the places of 468 landmarks",
    },
    Model {
        name: BASEL,
        sha256: None,
        purpose: "face model with --face_model, beside exp_info.npy, topology_info.npy and keys_info.npy",
        licence: "University of Basel's own: research, not commercial, not to be passed on",
        source: "https://faces.dmi.unibas.ch/bfm/; the npy files from the repository of AD-NeRF or SyncTalk",
    },
    Model {
        name: FLOW,
        sha256: None,
        purpose: "optical flow (RAFT-small) with --flow; without it poses are stabilized by Lucas–Kanade",
        licence: "BSD-3-Clause (Princeton, RAFT)",
        source: "https://github.com/princeton-vl/RAFT",
    },
];

/// Model files that were named; those that were not are looked for in the usual places.
#[derive(Debug, Clone, Default)]
pub struct ModelPaths {
    /// MediaPipe's networks.
    pub landmarker: Option<PathBuf>,
    /// Weights of the face-parsing network.
    pub parsing: Option<PathBuf>,
    /// Folder of the face model.
    pub face_model: Option<PathBuf>,
    /// Weights of the optical flow network.
    pub flow: Option<PathBuf>,
    /// Weights of the audio-visual encoder.
    pub ave_weights: Option<PathBuf>,
}

/// Says in lines which model files there are, what they are for and where to get them.
///
/// # Errors
/// [`crate::Error::Input`] when a file that is there cannot be read.
pub fn check(paths: &ModelPaths) -> Result<String> {
    let mut text = String::new();
    for model in &MODELS {
        let named = match model.name {
            LANDMARKER => paths.landmarker.clone(),
            "79999_iter.pth" => paths.parsing.clone(),
            FACE_MODEL => {
                paths.face_model.as_ref().map(|f| f.join("ict_compact.npz")).filter(|f| f.is_file())
            }
            BASEL => paths.face_model.as_ref().map(|f| f.join(BASEL)).filter(|f| f.is_file()),
            FLOW => paths.flow.clone(),
            _ => paths.ave_weights.clone(),
        };
        let path: Option<PathBuf> = named.or_else(|| options::find(Path::new("."), model.name));
        let state = match path {
            None => "not found".to_owned(),
            Some(path) => {
                let (_, found) = digest_file(&path)?;
                let verdict = match model.sha256 {
                    Some(known) if known == found => "the published file",
                    Some(_) => "NOT the published file",
                    None => "no published hash to hold it against",
                };
                format!("{} ({verdict}, sha256 {found})", path.display())
            }
        };
        text.push_str(&format!(
            "{}: {state}\n  for      {}\n  licence  {}\n  from     {}\n",
            model.name, model.purpose, model.licence, model.source
        ));
    }
    Ok(text)
}
