use super::*;
use crate::head::BranchSettings;
use crate::head::field::FieldConfig;
use candle_core::Device;
use data_utils::audio::features::AudioKind;
use data_utils::dataset::Part;

fn branch() -> Branch {
    let n = 5;
    let cloud = Cloud {
        sh_degree: 0,
        positions: (0..3 * n).map(|i| (i as f32 * 0.37).sin()).collect(),
        rotations: vec![0.5; 4 * n],
        log_scales: vec![-3.0; 2 * n],
        opacity_logits: vec![0.0; n],
        harmonics: vec![0.1; 3 * n],
        embedding: (0..32 * n).map(|i| (i as f32 * 0.11).cos()).collect(),
        mouth: crate::head::cloud::Mouth::default(),
    };
    let config = FieldConfig { plane_resolutions: vec![4], plane_channels: 2, ..FieldConfig::default() };
    let settings = BranchSettings::new(Part::Head, AudioKind::Ave, 64, 1, &cloud, config);
    Branch::new(settings.expect("settings"), cloud, &Device::Cpu).expect("a branch")
}

fn gradients(branch: &Branch) -> FieldGradients {
    let like = |tensor: &Tensor, seed: usize| {
        let count = tensor.elem_count();
        let values: Vec<f32> = (0..count).map(|i| ((i * 7 + seed * 13) as f32).sin() * 1e-2).collect();
        Tensor::from_vec(values, tensor.shape(), tensor.device()).expect("a tensor")
    };
    let parameters = branch.field.parameters().iter().enumerate();
    FieldGradients {
        parameters: parameters.map(|(i, (_, var))| like(var, i)).collect(),
        embedding: like(branch.embedding(), 99),
    }
}

#[test]
fn each_kind_of_parameter_learns_at_its_own_rate() {
    const RATES: FieldRates = FieldRates { planes: 3e-2, other: 1e-2, embedding: 2e-2 };
    let before = branch();
    let mut after = before.copy().expect("a copy");
    let mut moments = BranchMoments::new(&after);
    let g = gradients(&before);
    moments.step_field(&mut after, &g, &RATES).expect("a step");
    // Adam's first step is as long as the rate and goes against the gradient.
    let check = |name: &str, before: &Tensor, after: &Tensor, gradient: &Tensor, rate: f32| {
        let flat = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers");
        for ((b, a), g) in flat(before).iter().zip(flat(after)).zip(flat(gradient)) {
            let step = if g == 0.0 { 0.0 } else { rate * g.signum() };
            assert!((a - (b - step)).abs() < 1e-5, "{name}: {b} became {a} along {g}");
        }
    };
    check("embedding", before.embedding(), after.embedding(), &g.embedding, RATES.embedding);
    let pairs = before.field.parameters().iter().zip(after.field.parameters()).zip(&g.parameters);
    for (((name, b), (_, a)), g) in pairs {
        let rate = if name.starts_with("planes.") { RATES.planes } else { RATES.other };
        check(name, b, a, g, rate);
    }
}

#[test]
fn names_of_checkpoints_stay() {
    let names: Vec<String> =
        BranchMoments::new(&branch()).arrays().into_iter().map(|(name, _)| name).collect();
    let first = ["cloud.positions", "cloud.rotations", "cloud.log_scales", "cloud.opacity_logits"];
    assert_eq!(names[..4], first);
    assert_eq!(names[4..7], ["cloud.harmonics", "cloud.embedding", "field.planes.0.xy"]);
}

#[test]
fn the_state_grows_and_shrinks_with_the_cloud() {
    use crate::head::cloud::density::{DensityOptions, DensityStats, decide};
    let mut branch = branch();
    branch.cloud.opacity_logits[1] = -9.0;
    let mut moments = BranchMoments::new(&branch);
    for (_, adam) in moments.arrays_mut() {
        adam.first.iter_mut().enumerate().for_each(|(i, m)| *m = i as f32);
        adam.steps = 1;
    }
    let stats = DensityStats::new(branch.cloud.len());
    let edits = decide(&branch.cloud, &stats, &DensityOptions::default()).expect("a list");
    moments.edit(&edits, branch.cloud.bands()).expect("edited");
    let [positions, ..] = &moments.cloud;
    assert_eq!(positions.first, [0.0, 1.0, 2.0, 6.0, 7.0, 8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0]);
    assert_eq!((moments.embedding.first.len(), moments.embedding.steps), (4 * 32, 1));
    assert!(moments.edit(&edits, branch.cloud.bands()).is_err(), "the list was made for another cloud");
}
