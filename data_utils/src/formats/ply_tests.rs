use super::*;

fn square() -> PointCloud {
    PointCloud {
        positions: vec![[0.0, 0.5, 1.0], [1.0, 0.5, 1.0], [1.0, -0.5, 1.0], [0.0, -0.5, 1.0]],
        normals: Some(vec![[0.0, 0.0, 1.0]; 4]),
        colors: Some(vec![[1, 2, 3], [40, 50, 60], [255, 0, 255], [7, 8, 9]]),
        faces: vec![[0, 1, 2], [0, 2, 3]],
    }
}

fn read(bytes: &[u8]) -> Result<PointCloud> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("cloud.ply");
    std::fs::write(&path, bytes).expect("written");
    read_points(&path)
}

fn written(cloud: &PointCloud) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("cloud.ply");
    write_points(&path, cloud).expect("written");
    std::fs::read(path).expect("read")
}

const ASCII: &str = "ply\nformat ascii 1.0\ncomment made by hand\nelement vertex 4\nproperty double x\n\
    property double y\nproperty double z\nproperty float nx\nproperty float ny\nproperty float nz\n\
    property uchar red\nproperty uchar green\nproperty uchar blue\nelement face 1\n\
    property list uchar uint vertex_index\nend_header\n0 0.5 1 0 0 2 1 2 3\n1 0.5 1 0 0 1 40 50 60\n\
    1 -0.5 1 0 0 1 255 0 255\n0 -0.5 1 0 0 1 7 8 9\n4 0 1 2 3\n";

#[test]
fn a_written_cloud_reads_back_equal() {
    assert_eq!(read(&written(&square())).expect("a cloud"), square());
    let bare = PointCloud { positions: vec![[1.0, 2.0, 3.0]], ..PointCloud::default() };
    assert_eq!(read(&written(&bare)).expect("a cloud"), bare);
}

#[test]
fn ascii_polygons_and_long_normals_become_the_same_cloud() {
    assert_eq!(read(ASCII.as_bytes()).expect("a cloud"), square());
    assert_eq!(read(ASCII.replace('\n', "\r\n").as_bytes()).expect("a cloud"), square());
}

#[test]
fn big_endian_gives_the_same_places() {
    let mut bytes =
        b"ply\nformat binary_big_endian 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\nend_header\n".to_vec();
    [1.5f32, -2.0, 3.25].iter().for_each(|v| bytes.extend(v.to_be_bytes()));
    assert_eq!(read(&bytes).expect("a cloud").positions, [[1.5, -2.0, 3.25]]);
}

#[test]
fn a_gaussian_cloud_shows_its_first_harmonic() {
    let text = "ply\nformat ascii 1.0\nelement vertex 1\nproperty float x\nproperty float y\nproperty float z\n\
        property float f_dc_0\nproperty float f_dc_1\nproperty float f_dc_2\nend_header\n0 0 0 0 9 -9\n";
    assert_eq!(read(text.as_bytes()).expect("a cloud").colors, Some(vec![[128, 255, 0]]));
}

#[test]
fn a_lying_count_is_refused_before_memory_is_taken() {
    let bytes = written(&square());
    for (element, count) in [("vertex 4", "999999999999"), ("vertex 4", "5"), ("face 2", "4000000000")] {
        let name = element.split(' ').next().expect("a name");
        let lying = String::from_utf8_lossy(&bytes[..300]).replace(element, &format!("{name} {count}"));
        let end = lying.find("end_header\n").expect("a header") + 11;
        let payload = bytes.windows(11).position(|w| w == b"end_header\n").expect("a header") + 11;
        let all = [&lying.as_bytes()[..end], &bytes[payload..]].concat();
        let message = read(&all).expect_err("refused").to_string();
        assert!(message.contains("cloud.ply") && message.contains(name), "{message}");
    }
}

#[test]
fn an_element_without_properties_cannot_keep_us_busy() {
    let text = ASCII.replace("element vertex 4", "element nothing 999999999999\nelement vertex 4");
    assert!(read(text.as_bytes()).is_err());
}

#[test]
fn every_cut_and_every_flipped_byte_is_an_answer_and_no_panic() {
    for bytes in [written(&square()), ASCII.as_bytes().to_vec()] {
        for cut in 0..bytes.len() - 1 {
            assert!(read(&bytes[..cut]).is_err() || cut + 2 >= bytes.len(), "cut at {cut}");
        }
        for at in 0..bytes.len() {
            let mut turned = bytes.clone();
            turned[at] ^= 0x55;
            let _ = read(&turned);
        }
    }
}

#[test]
fn places_that_are_not_finite_and_faces_beyond_the_points_are_refused() {
    let nan = ASCII.replace("1 0.5 1 0 0 1 40", "1 1e39 1 0 0 1 40");
    assert!(read(nan.as_bytes()).expect_err("refused").to_string().contains("finite"));
    let beyond = ASCII.replace("4 0 1 2 3", "4 0 1 2 4");
    assert!(read(beyond.as_bytes()).expect_err("refused").to_string().contains("point 4"));
    let flat = ASCII.replace("property double z", "property double height");
    assert!(read(flat.as_bytes()).expect_err("refused").to_string().contains("x, y, z"));
}

#[test]
fn colours_are_read_under_the_names_that_programs_give_them() {
    for names in [["diffuse_red", "diffuse_green", "diffuse_blue"], ["r", "g", "b"]] {
        let text =
            ["red", "green", "blue"].iter().zip(names).fold(ASCII.to_owned(), |text, (ours, theirs)| {
                text.replace(&format!("uchar {ours}"), &format!("uchar {theirs}"))
            });
        assert_eq!(read(text.as_bytes()).expect("a cloud").colors, square().colors, "{names:?}");
    }
    // Floats of 0 to 255.
    let floats = ASCII.replace("uchar red", "float red").replace("uchar green", "float green");
    let floats = floats.replace("uchar blue", "float blue");
    assert_eq!(read(floats.as_bytes()).expect("a cloud").colors, square().colors);
}
