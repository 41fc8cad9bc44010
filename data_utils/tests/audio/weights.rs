//! State dicts as PyTorch itself saved them.

use crate::fixture;
use candle_core::{DType, Tensor};
use data_utils::formats::weights;
use std::collections::BTreeMap;

fn floats(tensors: &BTreeMap<String, Tensor>, name: &str) -> Vec<f64> {
    let tensor = tensors.get(name).unwrap_or_else(|| panic!("{name} is missing among {:?}", tensors.keys()));
    tensor.to_dtype(DType::F64).unwrap().flatten_all().unwrap().to_vec1().unwrap()
}

/// What `parts` in make_weights.py holds, below `prefix`.
fn check_parts(tensors: &BTreeMap<String, Tensor>, prefix: &str) {
    let expected: [(&str, DType, &[usize], &[f64]); 14] = [
        ("plain", DType::F32, &[2, 2], &[1.5, -2.0, 0.25, 4.0]),
        ("transposed", DType::F32, &[6, 4], &TRANSPOSED),
        ("column", DType::F32, &[3], &[8.0, 14.0, 20.0]),
        ("expanded", DType::F32, &[3], &[7.0, 7.0, 7.0]),
        ("scalar", DType::I64, &[], &[3.0]),
        ("empty", DType::F32, &[0, 5], &[]),
        ("half", DType::F16, &[2], &[1.0, -0.5]),
        ("bfloat", DType::BF16, &[2], &[3.0, -1.0]),
        ("double", DType::F64, &[1], &[0.1]),
        ("int32", DType::I32, &[1], &[-70_000.0]),
        ("int16", DType::I16, &[1], &[-300.0]),
        ("int8", DType::I16, &[1], &[-3.0]),
        ("uint8", DType::U8, &[1], &[200.0]),
        ("bool", DType::U8, &[2], &[1.0, 0.0]),
    ];
    for (name, dtype, shape, values) in expected {
        let name = format!("{prefix}{name}");
        assert_eq!(floats(tensors, &name), values, "{name}");
        assert_eq!((tensors[&name].dtype(), tensors[&name].dims()), (dtype, shape), "{name}");
    }
}

const TRANSPOSED: [f64; 24] = [
    0., 6., 12., 18., 1., 7., 13., 19., 2., 8., 14., 20., 3., 9., 15., 21., 4., 10., 16., 22., 5., 11., 17.,
    23.,
];

#[test]
fn zip_and_legacy_checkpoints_hold_the_same_named_tensors() {
    for name in ["weights/zip.pth", "weights/legacy.pth"] {
        let tensors = weights::read(&fixture(name)).unwrap();
        check_parts(&tensors, "model.");
        assert_eq!(floats(&tensors, "layers.0"), [1.0, 1.0]);
        assert_eq!(floats(&tensors, "layers.1.bias"), [0.0]);
        assert_eq!(floats(&tensors, "parameter"), [5.0]);
        assert_eq!(floats(&tensors, "7"), [9.0]);
        // 14 parts and these four; numbers, texts and numpy scalars are left out.
        assert_eq!(tensors.len(), 18, "{:?}", tensors.keys());
    }
}

#[test]
fn safetensors_hold_the_same_tensors() {
    let tensors = weights::read(&fixture("weights/plain.safetensors")).unwrap();
    check_parts(&tensors, "");
    assert_eq!(tensors.len(), 14);
}

#[test]
fn a_format_is_known_by_its_content_whatever_the_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("weights.safetensors");
    std::fs::copy(fixture("weights/legacy.pth"), &path).unwrap();
    assert_eq!(weights::read(&path).unwrap().len(), 18);
}

#[test]
fn a_pickle_that_would_call_os_system_is_refused_by_name() {
    for name in ["weights/malicious_zip.pth", "weights/malicious_legacy.pth", "weights/malicious.pkl"] {
        let error = weights::read(&fixture(name)).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains("posix.system"), "{name}: {error}");
    }
}

#[test]
fn what_is_no_weights_file_is_refused_with_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("w.pth");
    let mut tar = vec![0u8; 512];
    tar[257..262].copy_from_slice(b"ustar");
    for (bytes, word) in
        [(&b""[..], "empty"), (b"hello world", "68, 65"), (&tar, "tar"), (b"\x80\x02}.", "bare pickle")]
    {
        std::fs::write(&path, bytes).unwrap();
        let message = weights::read(&path).unwrap_err().to_string();
        assert!(message.contains(word) && message.contains("w.pth"), "{message}");
    }
    let missing = weights::read(&dir.path().join("absent.pth")).unwrap_err();
    assert!(missing.to_string().contains("absent.pth"), "{missing}");
}
