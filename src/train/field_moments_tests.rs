use super::*;
use crate::head::cloud::Cloud;
use crate::head::field::{FieldBounds, FieldConfig};
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

/// Trains on slices and with tensors; how far numbers lie apart at most.
fn apart(rates: &FieldRates, steps: usize) -> f32 {
    let (mut a, mut b) = (head(), head());
    let n = a.cloud.embedding.len();
    let mut host = FieldMoments::with(&a.field, n, |_| true).expect("moments");
    let mut device = FieldMoments::with(&b.field, n, |_| false).expect("moments");
    for round in 0..steps {
        let (ga, gb) = (gradients(&a, round), gradients(&b, round));
        host.step(&mut a, &ga, &RATES).expect("a step");
        device.step(&mut b, &gb, rates).expect("a step");
    }
    let moments = host.arrays().expect("moments").into_iter().zip(device.arrays().expect("moments"));
    for ((name, x), (other, y)) in moments {
        assert_eq!((name, x.steps), (other, y.steps));
        assert!(x.first.iter().zip(&y.first).all(|(p, q)| (p - q).abs() < 1e-7));
        assert!(x.second.iter().zip(&y.second).all(|(p, q)| (p - q).abs() < 1e-9));
    }
    numbers(&a).iter().zip(numbers(&b)).map(|(p, q)| (p - q).abs()).fold(0.0, f32::max)
}

#[test]
fn tensors_learn_as_slices_do() {
    assert!(apart(&RATES, 6) < 2e-6);
}

#[test]
fn another_rate_is_told_apart() {
    assert!(apart(&FieldRates { planes: 1e-2, ..RATES }, 6) > 1e-2);
    assert!(apart(&FieldRates { other: 3e-2, ..RATES }, 6) > 1e-2);
    assert!(apart(&FieldRates { embedding: 1e-2, ..RATES }, 6) > 1e-2);
}

#[test]
fn what_was_stored_goes_on_to_the_same_bits() {
    let run = |stop: bool| {
        let mut head = head();
        let n = head.cloud.embedding.len();
        let mut moments = FieldMoments::with(&head.field, n, |_| false).expect("moments");
        for round in 0..6 {
            if stop && round == 3 {
                let kept = moments.arrays().expect("moments");
                moments = FieldMoments::with(&head.field, n, |_| false).expect("moments");
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
    let mut moments =
        FieldMoments::with(&head.field, head.cloud.embedding.len(), |_| false).expect("moments");
    let g = gradients(&head, 0);
    moments.step(&mut head, &g, &RATES).expect("a step");
    moments
        .edit_embedding(|adam| {
            adam.first.truncate(64);
            adam.second.truncate(64);
            Ok(())
        })
        .expect("edited");
    let (name, adam) = moments.arrays().expect("moments").swap_remove(0);
    assert_eq!((name.as_str(), adam.first.len(), adam.second.len(), adam.steps), (EMBEDDING, 64, 64, 1));
    assert!(adam.first.iter().any(|v| *v != 0.0));
}
