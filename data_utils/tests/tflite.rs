//! The TFLite reader and the networks it feeds, on a little network of every operator with the outputs of
//! LiteRT's reference kernels (tests/data/make_operators.py).

use data_utils::face::graph::Graph;
use data_utils::formats::tflite;

const NETWORK: &[u8] = include_bytes!("data/operators.tflite");
const GOLDEN: &[u8] = include_bytes!("data/operators.bin");

fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.chunks_exact(4).map(|c| f32::from_le_bytes([c[0], c[1], c[2], c[3]])).collect()
}

/// Reads and runs; none when the bytes are refused, which must be as the user's input.
fn outputs(bytes: &[u8]) -> Option<Vec<Vec<f32>>> {
    let graph = tflite::parse(bytes, "network").and_then(|model| Graph::new(&model, "network"));
    match graph {
        Ok(graph) => {
            let input = floats(GOLDEN);
            Some(graph.run(|x| x.iter_mut().zip(input.iter().cycle()).for_each(|(x, v)| *x = *v)))
        }
        Err(error) => {
            assert_eq!(error.exit_code(), 2, "{error}");
            None
        }
    }
}

#[test]
fn every_operator_agrees_with_the_reference_kernels() {
    let outputs = outputs(NETWORK).expect("the fixture is read").concat();
    let golden = floats(GOLDEN);
    let expected = &golden[golden.len() - outputs.len()..];
    assert_eq!(golden.len() - outputs.len(), 13 * 10 * 3, "the rest is the input");
    for (i, (a, b)) in outputs.iter().zip(expected).enumerate() {
        assert!((a - b).abs() <= 2e-6 * (1.0 + b.abs()), "output {i}: {a}, LiteRT {b}");
    }
}

#[test]
fn all_22_operators_are_in_the_fixture() {
    let model = tflite::parse(NETWORK, "network").expect("the fixture is read");
    let mut kinds: Vec<String> = model
        .operators
        .iter()
        .map(|o| {
            let whole = format!("{:?}", o.op);
            let kind = whole.split(['(', ' ']).next().unwrap_or_default().to_owned();
            match o.op {
                tflite::Op::Unary(kind) => format!("{kind:?}"),
                tflite::Op::Binary { kind, .. } => format!("{kind:?}"),
                tflite::Op::Reduce { mean } => format!("{kind} {mean}"),
                _ => kind,
            }
        })
        .collect();
    kinds.sort();
    kinds.dedup();
    assert_eq!(kinds.len(), 22, "{kinds:?}");
}

#[test]
fn a_second_run_in_the_same_places_gives_the_same() {
    let model = tflite::parse(NETWORK, "network").expect("the fixture is read");
    let graph = Graph::new(&model, "network").expect("the fixture fits together");
    let fill = |x: &mut [f32]| x.iter_mut().enumerate().for_each(|(i, v)| *v = (i as f32).sin());
    let first = graph.run(fill);
    graph.run(|x| x.fill(f32::NAN));
    assert_eq!(first, graph.run(fill));
}

#[test]
fn no_truncation_is_read_as_the_network() {
    let whole = outputs(NETWORK);
    for point in 0..64 {
        let cut = &NETWORK[..NETWORK.len() * point / 64];
        assert!(outputs(cut).is_none() || outputs(cut) == whole, "cut at {point} of 64");
    }
    assert!(outputs(&NETWORK[..NETWORK.len() / 2]).is_none());
}

#[test]
fn no_flipped_bit_makes_a_panic() {
    let mut refused = 0;
    for at in 0..NETWORK.len() {
        let mut bytes = NETWORK.to_vec();
        bytes[at] ^= 1 << (at % 8);
        refused += usize::from(outputs(&bytes).is_none());
    }
    assert!(refused > 100, "only {refused} of {} damaged files were noticed", NETWORK.len());
}

#[test]
fn no_huge_offset_or_size_makes_a_panic() {
    for at in (0..NETWORK.len() - 4).step_by(2) {
        for huge in [u32::MAX, i32::MAX as u32, 1 << 30, 0] {
            let mut bytes = NETWORK.to_vec();
            bytes[at..at + 4].copy_from_slice(&huge.to_le_bytes());
            outputs(&bytes);
        }
    }
}
