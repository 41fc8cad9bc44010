use super::*;
use std::path::PathBuf;

fn sample(sh_degree: usize, n: usize) -> Cloud {
    let bands = (sh_degree + 1).pow(2);
    let values = |count: usize, step: f32| (0..count).map(|i| (i as f32 * step).sin()).collect::<Vec<f32>>();
    Cloud {
        sh_degree,
        positions: values(n * 3, 0.7),
        rotations: values(n * 4, 1.3),
        log_scales: values(n * 2, 0.4).iter().map(|v| v - 4.0).collect(),
        opacity_logits: values(n, 2.1),
        harmonics: values(n * bands * 3, 0.9),
        embedding: vec![0.0; n * EMBEDDING],
        mouth: crate::head::cloud::Mouth::default(),
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

/// What SIBR's loader makes of a file: it skips two lines, takes the count from the third, skips to
/// `end_header`, then reads a packed struct of position, normal, harmonics, opacity, three scales, rotation.
struct Sibr {
    position: [f32; 3],
    /// RGB innermost, as its shader wants them.
    harmonics: Vec<f32>,
    opacity: f32,
    scale: [f32; 3],
    rotation: [f32; 4],
}

fn sibr(bytes: &[u8], sh_degree: usize) -> Vec<Sibr> {
    let end = bytes.windows(11).position(|w| w == b"end_header\n").expect("end of header") + 11;
    let text = std::str::from_utf8(&bytes[..end]).expect("text");
    let third = text.lines().nth(2).expect("three lines");
    let count: usize = third.split(' ').nth(2).expect("a count").parse().expect("a number");
    let sh = 3 * (sh_degree + 1).pow(2);
    let stride = 3 + 3 + sh + 1 + 3 + 4;
    let floats: Vec<f32> =
        bytes[end..].chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    assert_eq!(floats.len(), count * stride);
    floats
        .chunks_exact(stride)
        .map(|row| {
            let shs = &row[6..6 + sh];
            let bands = sh / 3;
            let mut harmonics = shs[..3].to_vec();
            for j in 1..bands {
                harmonics.extend((0..3).map(|c| shs[(j - 1) + 3 + c * (bands - 1)]));
            }
            let rest = &row[6 + sh..];
            Sibr {
                position: [row[0], row[1], row[2]],
                harmonics,
                opacity: 1.0 / (1.0 + (-rest[0]).exp()),
                scale: [rest[1].exp(), rest[2].exp(), rest[3].exp()],
                rotation: [rest[4], rest[5], rest[6], rest[7]],
            }
        })
        .collect()
}

#[test]
fn what_is_written_is_read_back() {
    let dir = folder();
    for sh_degree in 0..=3 {
        let (cloud, path) = (sample(sh_degree, 7), dir.path().join("a.ply"));
        write(&path, &cloud, &[]).expect("written");
        assert_eq!(read(&path).expect("read"), cloud);
    }
}

#[test]
fn sibr_reads_the_same_cloud_by_position() {
    let (dir, cloud) = (folder(), sample(3, 5));
    let path = dir.path().join("a.ply");
    write(&path, &cloud, &["viewer_from_head: 10".into()]).expect("written");
    let bytes = std::fs::read(&path).expect("bytes");
    let text = String::from_utf8_lossy(&bytes);
    assert_eq!(text.lines().filter(|l| l.starts_with("property float ")).count(), 62);
    assert_eq!(text.lines().nth(2), Some("element vertex 5"));
    assert_eq!(text.lines().nth(3), Some("comment SplatRenderMode: 2dgs"));
    assert_eq!(text.lines().nth(4), Some("comment viewer_from_head: 10"));
    let seen = sibr(&bytes, 3);
    assert_eq!(seen.len(), 5);
    for (i, s) in seen.iter().enumerate() {
        assert_eq!(s.position, cloud.positions[i * 3..i * 3 + 3]);
        assert_eq!(s.harmonics, cloud.harmonics[i * 48..(i + 1) * 48]);
        assert_eq!(s.rotation, cloud.rotations[i * 4..i * 4 + 4]);
        assert_eq!(s.scale[0], cloud.log_scales[i * 2].exp());
        assert!((s.scale[2] - 1e-6).abs() < 1e-11);
        assert!((s.opacity - 1.0 / (1.0 + (-cloud.opacity_logits[i]).exp())).abs() < 1e-7);
    }
}

#[test]
fn two_scales_other_types_and_any_order_are_read() {
    let header = "ply\r\nformat binary_little_endian 1.0\r\ncomment made elsewhere\r\nelement vertex 1\r\n\
        property float rot_3\r\nproperty float rot_2\r\nproperty float rot_1\r\nproperty float rot_0\r\n\
        property double x\r\nproperty float y\r\nproperty float z\r\nproperty float scale_1\r\n\
        property float scale_0\r\nproperty uchar red\r\nproperty float opacity\r\nproperty float f_dc_2\r\n\
        property float f_dc_1\r\nproperty float f_dc_0\r\nend_header\r\n";
    let dir = folder();
    let mut bytes = header.as_bytes().to_vec();
    let float =
        |bytes: &mut Vec<u8>, values: &[f32]| bytes.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    float(&mut bytes, &[0.1, 0.2, 0.3, 0.9]);
    bytes.extend(7.5f64.to_le_bytes());
    float(&mut bytes, &[8.5, 9.5, -2.0, -1.0]);
    bytes.push(200);
    float(&mut bytes, &[0.25, 3.0, 2.0, 1.0]);
    let path = dir.path().join("x.ply");
    std::fs::write(&path, bytes).expect("written");
    let cloud = read(&path).expect("read");
    assert_eq!(cloud.positions, [7.5, 8.5, 9.5]);
    assert_eq!(cloud.rotations, [0.9, 0.3, 0.2, 0.1]);
    assert_eq!(cloud.log_scales, [-1.0, -2.0]);
    assert_eq!(cloud.opacity_logits, [0.25]);
    assert_eq!((cloud.sh_degree, &cloud.harmonics[..]), (0, &[1.0, 2.0, 3.0][..]));
}

#[test]
fn the_thinnest_axis_of_an_ellipsoid_becomes_the_normal() {
    let q = quaternion::normalized([0.4, -0.2, 0.7, 0.5]);
    let before = quaternion::axes(q);
    for thin in 0..3 {
        let scales: [f32; 3] = std::array::from_fn(|k| if k == thin { -9.0 } else { -(k as f32) });
        let (turned, s) = longest_axes(q, scales);
        let after = quaternion::axes(turned);
        for k in 0..3 {
            assert!((after[2][k] - before[thin][k]).abs() < 1e-6);
            assert!((after[0][k] - before[(thin + 1) % 3][k]).abs() < 1e-6);
        }
        assert_eq!(s, [scales[(thin + 1) % 3], scales[(thin + 2) % 3]]);
    }
}

#[test]
fn discs_thinner_than_flat_keep_their_axes() {
    let (dir, mut cloud) = (folder(), sample(0, 2));
    cloud.log_scales[0] = -20.0;
    let path = dir.path().join("a.ply");
    write(&path, &cloud, &[]).expect("written");
    assert_eq!(read(&path).expect("read"), cloud);
}

#[test]
fn broken_files_are_refused() {
    let dir = folder();
    let good = {
        let path = dir.path().join("good.ply");
        write(&path, &sample(0, 2), &[]).expect("written");
        std::fs::read(&path).expect("bytes")
    };
    let refused = |bytes: &[u8], says: &str| {
        let path = dir.path().join("bad.ply");
        std::fs::write(&path, bytes).expect("written");
        let error = read(&path).expect_err("refused");
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(says), "{error}");
    };
    let text = String::from_utf8_lossy(&good).into_owned();
    let edited = |from: &str, to: &str| {
        let at = text.find(from).expect("part of the header");
        [&good[..at], to.as_bytes(), &good[at + from.len()..]].concat()
    };
    refused(&good[..good.len() - 1], "bytes after the header");
    refused(&[&good[..], &[0]].concat(), "bytes after the header");
    refused(&good[..40], "end_header");
    refused(b"", "end_header");
    refused(b"\x89PNG\n", "text");
    refused(b"solid\n", "`ply`");
    refused(&edited("vertex 2", "vertex 18446744073709551615"), "bytes after the header");
    refused(&edited("vertex 2", "vertex -2"), "a number of surfels");
    refused(&edited("binary_little_endian", "ascii"), "binary_little_endian");
    refused(&edited("property float opacity", "property float opacitx"), "`opacity`");
    refused(&edited("property float opacity", "property list uchar int opacity"), "plain properties");
    refused(&edited("float nx", "half nx"), "number type");
    refused(&edited("float nx", "float f_rest_0"), "f_rest");
    let mut nan = good.clone();
    let end = nan.len();
    nan[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
    refused(&nan, "finite");
    refused(b"ply\nformat binary_little_endian 1.0\nelement vertex 0\nend_header\n", "plain properties");
    let missing = read(&dir.path().join("none.ply")).expect_err("missing");
    assert_eq!(missing.exit_code(), 2);
}

#[test]
#[ignore = "needs ../shared/data/formats/lam_offset_3dgs.ply; SURFELTALK_SHARED_DIR names `shared`"]
fn a_file_of_another_program_is_read() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/formats/lam_offset_3dgs.ply");
    let path = std::env::var_os("SURFELTALK_SHARED_DIR")
        .map_or(path, |dir| PathBuf::from(dir).join("data/formats/lam_offset_3dgs.ply"));
    let cloud = read(&path).expect("read");
    assert_eq!((cloud.len(), cloud.sh_degree), (20_018, 0));
    assert!(cloud.log_scales.iter().all(|s| (-30.0..10.0).contains(s)));
}
