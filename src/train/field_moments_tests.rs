use super::*;
use crate::head::cloud::Cloud;
use crate::head::field::{FieldBounds, FieldConfig};
use candle_core::Device;
use data_utils::audio::features::AudioKind;
use data_utils::dataset::Part;

fn head() -> Branch {
    let n = 5;
    let cloud = Cloud {
        sh_degree: 0,
        positions: (0..3 * n).map(|i| (i as f32 * 0.37).sin()).collect(),
        rotations: vec![0.5; 4 * n],
        log_scales: vec![-3.0; 2 * n],
        opacity_logits: vec![0.0; n],
        harmonics: vec![0.1; 3 * n],
        embedding: (0..32 * n).map(|i| (i as f32 * 0.11).cos()).collect(),
    };
    let config = FieldConfig { plane_resolutions: vec![4], plane_channels: 2, ..FieldConfig::default() };
    let settings = crate::head::BranchSettings::new(Part::Head, AudioKind::Ave, 64, 1, &cloud, config);
    assert!(FieldBounds::around(&cloud.positions).is_ok());
    Branch::new(settings.expect("settings"), cloud, &Device::Cpu).expect("a head")
}

fn gradients(head: &Branch, round: usize) -> FieldGradients {
    let like = |tensor: &Tensor, seed: usize| {
        let count = tensor.elem_count();
        let values: Vec<f32> =
            (0..count).map(|i| ((i * 7 + seed * 13 + round * 29) as f32).sin() * 1e-2).collect();
        Tensor::from_vec(values, tensor.shape(), tensor.device()).expect("a tensor")
    };
    FieldGradients {
        parameters: head.field.parameters().iter().enumerate().map(|(i, (_, var))| like(var, i)).collect(),
        embedding: like(head.embedding(), 99),
    }
}

const RATES: FieldRates = FieldRates { planes: 3e-2, other: 1e-2, embedding: 2e-2 };

fn numbers(head: &Branch) -> Vec<f32> {
    let parameters = head.field.parameters().iter().map(|(_, var)| var.as_tensor());
    let all = parameters.chain([head.embedding()]);
    all.flat_map(|t| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers")).collect()
}

#[test]
fn each_kind_of_parameter_learns_at_its_own_rate() {
    let before = head();
    let mut after = head();
    let mut moments = FieldMoments::new(&after);
    let g = gradients(&before, 0);
    moments.step(&mut after, &g, &RATES).expect("a step");
    // Adam's first step is as long as the rate and goes against the gradient.
    let check = |name: &str, before: &Tensor, after: &Tensor, gradient: &Tensor, rate: f32| {
        let flat = |t: &Tensor| t.flatten_all().and_then(|t| t.to_vec1::<f32>()).expect("numbers");
        for ((b, a), g) in flat(before).iter().zip(flat(after)).zip(flat(gradient)) {
            assert!((a - (b - rate * g.signum())).abs() < 1e-5, "{name}: {b} became {a} along {g}");
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
fn what_was_stored_goes_on_to_the_same_bits() {
    let run = |stop: bool| {
        let mut head = head();
        let mut moments = FieldMoments::new(&head);
        for round in 0..6 {
            if stop && round == 3 {
                let kept = moments.arrays();
                moments = FieldMoments::new(&head);
                moments.set(kept.into_iter().map(|(_, adam)| adam).collect()).expect("taken");
            }
            let g = gradients(&head, round);
            moments.step(&mut head, &g, &RATES).expect("a step");
        }
        numbers(&head)
    };
    assert_eq!(run(true), run(false));
}

#[test]
fn the_embedding_s_state_grows_and_shrinks_with_the_cloud() {
    let mut head = head();
    let mut moments = FieldMoments::new(&head);
    let g = gradients(&head, 0);
    moments.step(&mut head, &g, &RATES).expect("a step");
    moments
        .edit_embedding(|adam| {
            adam.first.truncate(64);
            adam.second.truncate(64);
            Ok(())
        })
        .expect("edited");
    let (name, adam) = moments.arrays().swap_remove(0);
    assert_eq!((name.as_str(), adam.first.len(), adam.second.len(), adam.steps), (EMBEDDING, 64, 64, 1));
    assert!(adam.first.iter().any(|v| *v != 0.0));
}
