//! The readers, and the files that their inputs grow from.

use data_utils::Result;
use data_utils::audio::features::{AudioFeatures, AudioKind};
use data_utils::dataset::{AudioChoice, Dataset, OpenOptions};
use data_utils::formats::{mat, npy, npy_dict, npz, ply, tflite, weights};
use data_utils::media::pictures;
use data_utils::{Error, audio};
use std::io::Cursor;
use std::path::{Path, PathBuf};
use surfeltalk::head::Head;
use surfeltalk::raster::cpu::CpuRasterizer;
use surfeltalk::sample::{SampleClip, Sentence, Talker, write_dataset};
use surfeltalk::train::TrainConfig;

/// Reads the bytes of a file.
pub type Reader = Box<dyn Fn(&[u8]) -> Result<()>>;

/// A reader of one format.
pub struct Target {
    /// What it is called.
    pub name: &'static str,
    /// Texts of the format.
    pub words: &'static [&'static str],
    /// The reader, which may use a folder of its own.
    pub prepare: fn(&Path) -> Reader,
    /// Files that are read.
    pub seeds: fn(&Path) -> Vec<Vec<u8>>,
}

/// A reader of the file `name`, which the bytes are written to.
fn file(dir: &Path, name: &str, read: impl Fn(&Path) -> Result<()> + 'static) -> Reader {
    let path = dir.join(name);
    Box::new(move |bytes| {
        std::fs::write(&path, bytes).expect("written");
        read(&path)
    })
}

/// A fixture of `data_utils`.
fn fixture(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data_utils/tests/data").join(name);
    std::fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A dataset of a made-up talker in `dir/data`.
fn talker(dir: &Path) -> PathBuf {
    let data = dir.join("data");
    if !data.exists() {
        let sentence = [Sentence::new("Hi!").or_else(|_| Sentence::new("Hello!")).expect("known words")];
        let clip = SampleClip::speak(&sentence, 3).expect("spoken");
        write_dataset(&data, &Talker::new(0), &clip, 32, &CpuRasterizer::<f32>::new()).expect("written");
    }
    data
}

/// Opens the dataset of a made-up talker with the file `name` replaced.
fn in_dataset(dir: &Path, name: &'static str) -> Reader {
    let data = talker(dir);
    let options = OpenOptions { audio: AudioChoice::Kind(AudioKind::Mel), ..OpenOptions::default() };
    file(&data.clone(), name, move |_| Dataset::open(&data, &options).map(drop))
}

/// That file of the dataset as it was.
fn of_dataset(dir: &Path, name: &str) -> Vec<Vec<u8>> {
    let fresh = tempfile::tempdir_in(dir).expect("a folder");
    vec![std::fs::read(talker(fresh.path()).join(name)).expect("a file of the dataset")]
}

fn action_units(_: &Path) -> Vec<Vec<u8>> {
    let mut text = String::from("frame, face_id, timestamp, confidence, success, AU01_r, AU45_r\n");
    (1..60).for_each(|f| text.push_str(&format!("{f}, 0, {:.3}, 0.98, 1, 0.5, 1.25\n", f as f32 * 0.04)));
    vec![text.into_bytes()]
}

fn pictures_of(_: &Path) -> Vec<Vec<u8>> {
    let picture = image::RgbImage::from_fn(24, 16, |x, y| image::Rgb([x as u8 * 9, y as u8 * 9, 99]));
    let as_format = |format| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).expect("a picture");
        bytes.into_inner()
    };
    vec![as_format(image::ImageFormat::Png), as_format(image::ImageFormat::Jpeg)]
}

fn arrays_in_a_zip(dir: &Path) -> Vec<Vec<u8>> {
    let array = dir.join("a.npy");
    npy::write(&array, &[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).expect("written");
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for name in ["euler.npy", "trans.npy"] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).expect("an entry");
        std::io::Write::write_all(&mut zip, &std::fs::read(&array).expect("read")).expect("written");
    }
    vec![zip.finish().expect("a zip archive").into_inner()]
}

fn surfels(_: &Path) -> Vec<Vec<u8>> {
    let names =
        ["x", "y", "z", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity", "scale_0", "scale_1"];
    let names = names.iter().chain(&["rot_0", "rot_1", "rot_2", "rot_3"]);
    let mut bytes = b"ply\nformat binary_little_endian 1.0\nelement vertex 3\n".to_vec();
    let count = names.clone().count();
    names.for_each(|name| bytes.extend(format!("property float {name}\n").bytes()));
    bytes.extend(b"end_header\n");
    (0..3 * count).for_each(|i| bytes.extend((i as f32 * 0.1 + 0.1).to_le_bytes()));
    vec![bytes]
}

fn head(dir: &Path) -> Vec<Vec<u8>> {
    let data = talker(dir);
    let options = OpenOptions { audio: AudioChoice::Kind(AudioKind::Mel), ..OpenOptions::default() };
    let dataset = Dataset::open(&data, &options).expect("a dataset");
    let small = "max_points = 60\n[field]\nplane_resolutions = [4]\nplane_channels = 2\nmodel_width = 8\nfeed_width = 8\nhead_width = 8";
    let config = TrainConfig::from_tables("a test", small.parse().expect("TOML"), toml::Table::new());
    let mut trainer =
        surfeltalk::train::Trainer::new(config.expect("settings"), &dataset, None).expect("a trainer");
    let branch = trainer.branch().expect("a branch").copy().expect("a copy");
    let clip = surfeltalk::head::Clip::of(&dataset, data_utils::dataset::Part::Head).expect("a clip");
    let head = Head { branches: vec![branch], clip: Some(clip) };
    vec![head.to_bytes().expect("bytes")]
}

/// The readers.
pub const TARGETS: &[Target] = &[
    Target {
        name: "npy",
        words: &["'descr': '<f4'", "'fortran_order': True", "'shape': (2, 3), ", "|O", ">f8"],
        prepare: |dir| file(dir, "a.npy", |path| npy::read(path).map(drop)),
        seeds: |_| {
            vec![fixture("audio/voice_mel.npy")[..4096 + 128].to_vec(), fixture("bisenet.npy"), small_array()]
        },
    },
    Target {
        name: "npy_dict",
        words: &["cnumpy\n", "_reconstruct", "(lp0\n"],
        prepare: |dir| file(dir, "a.npy", |path| npy_dict::read(path).map(drop)),
        seeds: |_| vec![fixture("bfm/topology_info.npy"), fixture("bfm/exp_info.npy")],
    },
    Target {
        name: "npz",
        words: &["PK\u{3}\u{4}", "euler.npy"],
        prepare: |dir| file(dir, "a.npz", |path| npz::read(path).map(drop)),
        seeds: arrays_in_a_zip,
    },
    Target {
        name: "mat",
        words: &["MATLAB 5.0", "shapeMU"],
        prepare: |dir| file(dir, "a.mat", |path| mat::read_named(path, &["shapeMU", "shapePC"]).map(drop)),
        seeds: |_| vec![fixture("bfm/packed.mat"), fixture("bfm/plain.mat")],
    },
    Target {
        name: "weights",
        words: &["ctorch._utils\n_rebuild_tensor_v2\n", "cos\nsystem\n", "FloatStorage", "archive/data.pkl"],
        prepare: |dir| file(dir, "a.pth", |path| weights::read(path).map(drop)),
        seeds: |_| {
            vec![
                fixture("weights/zip.pth"),
                fixture("weights/legacy.pth"),
                fixture("weights/plain.safetensors"),
            ]
        },
    },
    Target {
        name: "tflite",
        words: &["TFL3"],
        prepare: |_| Box::new(|bytes| tflite::parse(bytes, "a.tflite").map(drop)),
        seeds: |_| vec![fixture("operators.tflite")],
    },
    Target {
        name: "ply_points",
        words: &[
            "element vertex 4000000000\n",
            "property list uchar int vertex_indices\n",
            "format ascii 1.0\n",
        ],
        prepare: |dir| file(dir, "a.ply", |path| ply::read_points(path).map(drop)),
        seeds: |dir| {
            let path = dir.join("seed.ply");
            let cloud = ply::PointCloud {
                positions: vec![[0.0, 1.0, 2.0]; 4],
                normals: Some(vec![[0.0, 0.0, 1.0]; 4]),
                colors: Some(vec![[1, 2, 3]; 4]),
                faces: vec![[0, 1, 2]],
            };
            ply::write_points(&path, &cloud).expect("written");
            let ascii = b"ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nend_header\n1 2 3\n";
            vec![std::fs::read(path).expect("read"), ascii.to_vec()]
        },
    },
    Target {
        name: "ply_surfels",
        words: &["element vertex 4000000000\n", "property double x\n", "property float f_rest_0\n"],
        prepare: |dir| file(dir, "a.ply", |path| surfeltalk::head::cloud::ply::read(path).map(drop)),
        seeds: surfels,
    },
    Target {
        name: "sound",
        words: &["RIFF", "WAVEfmt ", "data", "ID3", "fLaC", "ftyp", "moov", "elst"],
        prepare: |dir| file(dir, "a.wav", |path| audio::load_native(path, audio::LONGEST).map(drop)),
        seeds: |_| {
            let names = ["audio/voice.wav", "audio/voice.mp3", "audio/voice.m4a", "audio/voice.flac"];
            names.iter().map(|name| fixture(name)).collect()
        },
    },
    Target {
        name: "picture",
        words: &["IHDR", "IDAT", "iCCP", "IEND", "JFIF"],
        prepare: |_| {
            let refuse = |found: String| Error::input("a.png", "a picture", found, "mend it");
            Box::new(move |bytes| pictures::decode_picture(bytes).map(drop).map_err(refuse))
        },
        seeds: pictures_of,
    },
    Target {
        name: "features",
        words: &["'descr': '<f8'"],
        prepare: |dir| file(dir, "a.npy", |path| AudioFeatures::read(path, AudioKind::Ave).map(drop)),
        seeds: |dir| {
            let path = dir.join("seed.npy");
            npy::write(&path, &[2, 1, 512], &[0.5; 1024]).expect("written");
            vec![std::fs::read(path).expect("read")]
        },
    },
    Target {
        name: "transforms",
        words: &["\"img_id\":", "\"aud_id\":", "4294967295", "\"frames\":[", "\"focal_len\":"],
        prepare: |dir| in_dataset(dir, "transforms_train.json"),
        seeds: |dir| of_dataset(dir, "transforms_train.json"),
    },
    Target {
        name: "action_units",
        words: &["frame, ", "timestamp, ", "AU45_r", "\n1, 0, 0.04, 1, 1, 1, 1", ","],
        prepare: |dir| {
            let data = talker(dir);
            std::fs::remove_file(data.join("bs.npy")).ok();
            in_dataset(dir, "au.csv")
        },
        seeds: action_units,
    },
    Target {
        name: "settings",
        words: &["[field]\n", "plane_resolutions = ", "lambda_lips = ", "part = \"head\"\n"],
        prepare: |dir| {
            file(dir, "a.toml", |path| {
                TrainConfig::from_tables("a.toml", TrainConfig::read_table(path)?, toml::Table::new())
                    .map(drop)
            })
        },
        seeds: |_| vec![include_bytes!("../../arguments/quick.toml").to_vec()],
    },
    Target {
        name: "head",
        words: &["cloud.positions", "\"dtype\":\"F32\"", "data_offsets", "sh_degree"],
        prepare: |_| Box::new(|bytes| Head::from_bytes(bytes).map(drop)),
        seeds: head,
    },
    Target {
        name: "cfg_args",
        words: &["Namespace(", "source_path='", "sh_degree="],
        prepare: |_| {
            let refuse = |found: String| Error::input("cfg_args", "settings", found, "mend it");
            Box::new(move |bytes| {
                let text = String::from_utf8_lossy(bytes);
                surfeltalk::head::cloud::model_dir::CfgArgs::parse(&text).map(drop).map_err(refuse)
            })
        },
        seeds: |_| {
            vec![
                b"Namespace(sh_degree=3, source_path='/data/may', white_background=False, eval=True)"
                    .to_vec(),
            ]
        },
    },
];

fn small_array() -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("a.npy");
    npy::write(&path, &[2, 3], &[1.0; 6]).expect("written");
    std::fs::read(path).expect("read")
}
