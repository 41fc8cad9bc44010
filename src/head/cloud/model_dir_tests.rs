use super::*;

fn folder() -> (tempfile::TempDir, ModelDir) {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let model = ModelDir::new(dir.path().join("model"));
    (dir, model)
}

/// What SIBR takes from the first line: the text from behind the key to the next comma or bracket.
fn sibr_argument<'a>(line: &'a str, key: &str) -> &'a str {
    let at = line.find(key).expect("the key") + key.len();
    let end = line[at..].find([',', ')']).expect("an end");
    &line[at..at + end]
}

#[test]
fn sibr_finds_its_three_keys() {
    let (_dir, model) = folder();
    let mut args = CfgArgs::new(3, "data/someone", true);
    args.set("part", "head");
    model.write_cfg_args(&args).expect("written");
    let line = std::fs::read_to_string(model.root().join("cfg_args")).expect("text");
    assert_eq!(sibr_argument(&line, "source_path="), "'data/someone'");
    assert_eq!(sibr_argument(&line, "white_background="), "True");
    assert_eq!(sibr_argument(&line, "sh_degree="), "3");
    assert_eq!(model.read_cfg_args().expect("read"), args);
}

#[test]
fn awkward_texts_survive_the_round_trip() {
    let mut args = CfgArgs::default();
    for (i, text) in ["it's", "C:\\data\\x", "a, b=(c)", "\"quoted\"", "", "ends in \\", "line\nbreak", "Ünï"]
        .into_iter()
        .enumerate()
    {
        args.set(&format!("k{i}"), text);
    }
    args.set("rate", 1e-4);
    args.set("whole", 2.0);
    args.set("count", -7i64);
    assert_eq!(CfgArgs::parse(&args.to_string()).expect("parsed"), args);
}

#[test]
fn a_line_that_python_wrote_is_read() {
    let line = "Namespace(data_device='cuda', eval=False, images=\"it's\", lr=0.00016, \
        levels=[1, 2, (3, 4)], resolution=-1, sh_degree=3, source_path='/data/a b', start=None)\n";
    let args = CfgArgs::parse(line).expect("parsed");
    assert_eq!(args.text("source_path"), Some("/data/a b"));
    assert_eq!(args.text("images"), Some("it's"));
    assert_eq!(args.int("sh_degree"), Some(3));
    assert_eq!(args.int("resolution"), Some(-1));
    assert_eq!(args.bool("eval"), Some(false));
    assert_eq!(args.get("lr"), Some(&CfgValue::Float(0.00016)));
    assert_eq!(args.get("start"), Some(&CfgValue::None));
    assert_eq!(args.get("levels"), Some(&CfgValue::Other("[1, 2, (3, 4)]".into())));
}

#[test]
fn code_in_cfg_args_is_text_or_refused() {
    let args = CfgArgs::parse("Namespace(a=__import__('os').system('id'))").expect("parsed");
    assert!(matches!(args.get("a"), Some(CfgValue::Other(_))));
    for bad in [
        "",
        "Namespace(",
        "Namespace(a=1",
        "{}",
        "Namespace(a)",
        "Namespace(a='x)",
        "Namespace(a=[1)",
        "Namespace(=1)",
        "Namespace(a=, b=1)",
        "Namespace(a=')",
    ] {
        assert!(CfgArgs::parse(bad).is_err(), "{bad}");
    }
    let (_dir, model) = folder();
    assert_eq!(model.read_cfg_args().expect_err("missing").exit_code(), 2);
}

#[test]
fn cameras_come_test_first_with_eight_fields_each() {
    let (_dir, model) = folder();
    let (s, c) = (0.6f64, 0.8f64);
    let camera = |z: f64| Camera {
        camera_from_world: [[c, -s, 0.0, 0.1], [s, c, 0.0, 0.2], [0.0, 0.0, 1.0, z]],
        fx: 900.0,
        fy: 901.0,
        cx: 255.5,
        cy: 255.5,
        width: 512,
        height: 480,
    };
    model
        .write_cameras(&[("7".into(), camera(2.0))], &[("0".into(), camera(3.0)), ("1".into(), camera(4.0))])
        .expect("written");
    let text = std::fs::read(model.root().join("cameras.json")).expect("bytes");
    let list: Vec<serde_json::Map<String, serde_json::Value>> = serde_json::from_slice(&text).expect("json");
    let names: Vec<&str> = list.iter().map(|r| r["img_name"].as_str().expect("a text")).collect();
    assert_eq!(names, ["7", "0", "1"]);
    for (id, record) in list.iter().enumerate() {
        let mut keys: Vec<&str> = record.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["fx", "fy", "height", "id", "img_name", "position", "rotation", "width"]);
        assert_eq!(record["id"], id);
    }
    // The columns of `rotation` are the camera's axes in the world; its centre solves R p + t = 0.
    let number = |v: &serde_json::Value| v.as_f64().expect("a number");
    assert!((number(&list[0]["rotation"][1][0]) - -s).abs() < 1e-12);
    assert!((number(&list[0]["rotation"][0][1]) - s).abs() < 1e-12);
    let p: Vec<f64> = (0..3).map(|k| number(&list[0]["position"][k])).collect();
    assert!((c * p[0] - s * p[1] + 0.1).abs() < 1e-12 && (s * p[0] + c * p[1] + 0.2).abs() < 1e-12);
    assert!((p[2] + 2.0).abs() < 1e-12);
}

#[test]
fn input_holds_positions_normals_and_colours() {
    let (_dir, model) = folder();
    let points = Points {
        positions: &[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
        normals: Some(&[[0.0, 0.0, 1.0]; 2]),
        colors: Some(&[[1, 2, 3], [4, 5, 6]]),
        faces: &[],
    };
    model.write_input(&points).expect("written");
    let bytes = std::fs::read(model.root().join("input.ply")).expect("bytes");
    let at = bytes.windows(11).position(|w| w == b"end_header\n").expect("a header") + 11;
    assert_eq!(bytes.len() - at, 2 * 27);
    assert_eq!(bytes[at + 27..at + 31], 4f32.to_le_bytes());
    assert_eq!(bytes[at + 24..at + 27], [1, 2, 3]);
    assert_eq!(String::from_utf8_lossy(&bytes[..at]).lines().nth(2), Some("element vertex 2"));
}

#[test]
fn the_newest_iteration_is_the_largest_number() {
    let (_dir, model) = folder();
    assert_eq!(model.iterations().expect("listed"), Vec::<u64>::new());
    let error = model.iteration(None).expect_err("none");
    assert!(error.exit_code() == 2 && error.to_string().contains("train first"));
    for (iteration, file) in
        [(500, ITERATION_FILES[0]), (2000, ITERATION_FILES[1]), (1000, ITERATION_FILES[0])]
    {
        std::fs::create_dir_all(model.iteration_dir(iteration)).expect("a folder");
        std::fs::write(model.iteration_dir(iteration).join(file), "").expect("written");
    }
    // None is an iteration: another name, and a folder without a head or a cloud.
    for name in ["coarse_iteration_9000", "iteration_9000x", "iteration_9000", "iteration_"] {
        std::fs::create_dir_all(model.root().join("point_cloud").join(name)).expect("a folder");
    }
    assert_eq!(model.iterations().expect("listed"), [500, 1000, 2000]);
    assert_eq!(model.iteration(None).expect("newest"), 2000);
    assert_eq!(model.iteration(Some(500)).expect("that one"), 500);
    let error = model.iteration(Some(7)).expect_err("absent").to_string();
    assert!(error.contains("iteration 7") && error.contains("500, 1000, 2000"), "{error}");
}
