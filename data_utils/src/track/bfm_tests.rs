use super::*;
use crate::track::model::tests::egg;

/// A made-up model of that layout, written by SciPy and NumPy (tests/data/make_bfm.py).
fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bfm")
}

/// As make_bfm.py moves the egg: metres.
fn moved(p: V3) -> V3 {
    let (s, c) = 6f64.to_radians().sin_cos();
    let turned = [p[0], c * p[1] - s * p[2], s * p[1] + c * p[2]];
    let shift = [300e-6, -5000e-6, 2000e-6];
    std::array::from_fn(|k| turned[k] * 1.2 + shift[k])
}

#[test]
fn landmarks_and_modes_are_those_of_the_files() {
    let model = FaceModel::bfm(&folder(), &egg()).expect("a model");
    assert_eq!((model.identity.modes(), model.expression.modes()), (4, 3));
    let middle = {
        let n = 1500;
        let point = |i: usize| {
            let (r, turn) = (((i as f64 + 0.5) / n as f64).sqrt() * 0.97, i as f64 * 2.399_963);
            let (x, y) = (r * turn.cos(), r * turn.sin());
            moved([0.07 * x, 0.09 * y, 0.08 * (1.0 - r * r).sqrt() - 0.02])
        };
        scale((0..n).map(point).fold([0.0; 3], add), 1.0 / n as f64)
    };
    let mut away = Vec::new();
    for (l, vertex) in egg().vertices.iter().enumerate() {
        let goal = moved(vertex.map(|c| f64::from(c) * 0.01));
        away.push(length(sub(model.mean[l], goal)));
        let at = model.mean[l].map(|v| v - 10e-6);
        let place: V3 = std::array::from_fn(|k| (at[k] - middle[k]) / 0.05);
        let [first, _, third, _] = [0, 1, 2, 3].map(|m| model.identity.of(l)[m]);
        let expected = [place.map(|v| 0.9 * v / 100.0), place.map(|v| 0.2 * v * v / 100.0)];
        let last = [place[2], place[0], place[1]].map(|v| 0.5 * v * 500e-6);
        for k in 0..3 {
            assert!((first[k] - expected[0][k]).abs() < 2e-6, "{first:?} {expected:?}");
            assert!((third[k] - expected[1][k]).abs() < 2e-6);
            assert!((model.expression.of(l)[2][k] - last[k]).abs() < 1e-6);
        }
    }
    // Vertices lie 4 mm apart, more on the steep rim.
    away.sort_by(f64::total_cmp);
    println!("landmarks {} m from their place, at most {}", away[234], away[467]);
    assert!(away[234] < 0.003 && away[467] < 0.01);
}

#[test]
fn a_folder_of_its_files_is_opened_as_it() {
    let model = crate::track::open_model(&folder(), &egg()).expect("a model");
    assert_eq!(model.name, "BFM-2009");
    assert_eq!(crate::track::model_files(&folder()).len(), 4);
}

/// The model's files in a folder of their own.
fn copied() -> tempfile::TempDir {
    let to = tempfile::tempdir().expect("a folder");
    for name in FaceModel::bfm_files() {
        std::fs::copy(folder().join(name), to.path().join(name)).expect("copied");
    }
    to
}

#[test]
fn missing_cut_and_exchanged_files_are_refused() {
    for name in FaceModel::bfm_files() {
        let folder = copied();
        let path = folder.path().join(name);
        let whole = std::fs::read(&path).expect("a file");
        for cut in [0, 9, 130, whole.len() / 2, whole.len() - 5] {
            std::fs::write(&path, &whole[..cut]).expect("written");
            let error = FaceModel::bfm(folder.path(), &egg()).expect_err("cut");
            assert!(error.exit_code() == 2 && error.to_string().contains(name), "{name} {cut}: {error}");
        }
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(FaceModel::bfm(folder.path(), &egg()).expect_err("missing").exit_code(), 2);
    }
    let folder = copied();
    std::fs::copy(folder.path().join("keys_info.npy"), folder.path().join("exp_info.npy")).expect("copied");
    let error = FaceModel::bfm(folder.path(), &egg()).expect_err("another model");
    assert!(error.exit_code() == 2 && error.to_string().contains("mu_exp"), "{error}");
}

#[test]
fn a_pickle_that_names_a_function_is_refused_by_that_name() {
    let folder = copied();
    let path = folder.path().join("exp_info.npy");
    let mut bytes = std::fs::read(&path).expect("a file");
    let header = 10 + usize::from(bytes[8]) + 256 * usize::from(bytes[9]);
    bytes.truncate(header);
    bytes.extend(b"\x80\x02cos\nsystem\nX\x04\x00\x00\x00true\x85R.");
    std::fs::write(&path, &bytes).expect("written");
    let error = FaceModel::bfm(folder.path(), &egg()).expect_err("code");
    assert!(error.exit_code() == 2 && error.to_string().contains("os.system"), "{error}");
}
