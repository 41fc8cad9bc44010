//! Statements about the field's arithmetic: both its ways agree with each other, with differences and with the formulas.

use super::*;

#[test]
fn the_rows_say_what_the_graph_says() {
    for (layers, frames, rows, driven_heads) in
        [(1, 1, 1, true), (2, 3, 300, true), (1, 2, 5000, true), (2, 2, 300, false)]
    {
        let config = FieldConfig { layers, driven_heads, ..small() };
        let f = field(config.clone(), DType::F32);
        let prepared = f.prepare(&places(rows)).unwrap();
        let e = embedding(&config, rows, DType::F32);
        let c = conditions(&config, frames);
        let fast = f.infer(&prepared, &e, &c).unwrap().packed;
        let graph = f.forward(&prepared, &e, &c).unwrap().packed;
        assert!(difference(&fast, &graph) < 1e-5);
    }
}

#[test]
fn the_rows_go_back_as_the_graph_does() {
    for (layers, frames, rows, driven_heads) in
        [(1, 1, 1, true), (2, 3, 300, true), (1, 2, 5000, true), (2, 2, 300, false)]
    {
        let config = FieldConfig { layers, driven_heads, ..small() };
        let f = field(config.clone(), DType::F32);
        let prepared = f.prepare(&places(rows)).unwrap();
        let e = embedding(&config, rows, DType::F32);
        let c = conditions(&config, frames);
        let g = weights(&[frames, rows, f.layout().columns], DType::F32);
        let rows = f.backward(&prepared, &e, &c, &g).unwrap();
        let graph = f.graph_step(&prepared, &e, &c, |_| Ok(g.clone())).unwrap();
        assert!(difference(&rows.embedding, &graph.embedding) < 1e-4);
        for (((name, _), a), b) in f.parameters().iter().zip(&rows.parameters).zip(&graph.parameters) {
            let d = difference(a, b);
            assert!(d < 2e-4, "{name}: {d}");
        }
    }
}

#[test]
fn the_networks_of_a_frame_are_those_of_the_graph() {
    for (audio_channels, audio_width, layers, driven_heads) in
        [(3, 1, 1, true), (3, 16, 2, true), (4, 2, 1, false), (5, 7, 1, true), (9, 1, 2, true)]
    {
        // Nine channels: four components of the first seven, two as they are.
        let [audio_components, audio_direct] = if audio_channels == 9 { [4, 2] } else { [0; 2] };
        let config = FieldConfig {
            audio_channels,
            audio_width,
            audio_components,
            audio_direct,
            layers,
            driven_heads,
            ..small()
        };
        let mut f = field(config.clone(), DType::F32);
        f.set_statistics(&conditions(&config, 7));
        // Opened, as in the comparison with central differences.
        for (name, var) in f.parameters() {
            if name.starts_with("audio.attention.") && !name.contains("mix") {
                var.set(&var.abs().unwrap()).unwrap();
            }
        }
        let prepared = f.prepare(&places(40)).unwrap();
        let e = embedding(&config, 40, DType::F32);
        let c = conditions(&config, 3);
        let g = weights(&[3, 40, f.layout().columns], DType::F32);
        let what = format!("{audio_channels} channels of {audio_width}");
        let said = f.infer(&prepared, &e, &c).unwrap().packed;
        assert!(difference(&said, &f.forward(&prepared, &e, &c).unwrap().packed) < 1e-5, "{what}");
        let ours = f.backward(&prepared, &e, &c, &g).unwrap();
        let graph = f.graph_step(&prepared, &e, &c, |_| Ok(g.clone())).unwrap();
        for (((name, _), a), b) in f.parameters().iter().zip(&ours.parameters).zip(&graph.parameters) {
            assert!(values(b).iter().any(|v| *v != 0.0), "{what}: {name} has no gradient");
            let d = difference(a, b);
            assert!(d < 5e-4, "{what}, {name}: {d}");
        }
    }
}

#[test]
fn the_default_field_goes_back_as_its_graph_does() {
    let config = FieldConfig { head_gain: 0.5, ..FieldConfig::default() };
    let f = field(config.clone(), DType::F32);
    let prepared = f.prepare(&places(400)).unwrap();
    let e = embedding(&config, 400, DType::F32);
    let c = conditions(&config, 1);
    let g = weights(&[1, 400, f.layout().columns], DType::F32);
    let rows = f.step(&prepared, &e, &c, |_| Ok(g.clone())).unwrap();
    let graph = f.graph_step(&prepared, &e, &c, |_| Ok(g.clone())).unwrap();
    for (((name, _), a), b) in f.parameters().iter().zip(&rows.parameters).zip(&graph.parameters) {
        let d = difference(a, b);
        assert!(d < 5e-4, "{name}: {d}");
    }
}

#[test]
fn gradients_are_the_same_for_any_number_of_threads() {
    let config = small();
    let f = field(config.clone(), DType::F32);
    let prepared = f.prepare(&places(9000)).unwrap();
    let e = embedding(&config, 9000, DType::F32);
    let c = conditions(&config, 2);
    let g = weights(&[2, 9000, f.layout().columns], DType::F32);
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| f.backward(&prepared, &e, &c, &g).unwrap())
    };
    let (one, three) = (run(1), run(3));
    assert_eq!(values(&one.embedding), values(&three.embedding));
    for (a, b) in one.parameters.iter().zip(&three.parameters) {
        assert_eq!(values(a), values(b));
    }
}

#[test]
fn gradients_agree_with_central_differences() {
    let variants = [(3, 1), (3, 16), (4, 2)]; // dense, and both lengths of convolution
    for (audio_channels, audio_width) in variants {
        let config = FieldConfig { audio_channels, audio_width, ..small() };
        let f = field(config.clone(), DType::F64);
        // Five leaky ReLUs all but close the attention over the audio rows when it starts; opened here, so that its
        // gradients are large enough for differences to show.
        let row_attention = |name: &str| name.starts_with("audio.attention.") && !name.contains("mix");
        for (_, var) in f.parameters().iter().filter(|(name, _)| row_attention(name)) {
            var.set(&var.abs().unwrap()).unwrap();
        }
        let prepared = f.prepare(&places(11)).unwrap();
        let e = candle_core::Var::from_tensor(&embedding(&config, 11, DType::F64)).unwrap();
        let c = conditions(&config, 2);
        let w = weights(&[2, 11, f.layout().columns], DType::F64);
        let loss = || -> f64 {
            let packed = f.forward(&prepared, &e, &c).unwrap().packed;
            (packed * &w).unwrap().sum_all().unwrap().to_scalar().unwrap()
        };
        let packed = f.forward(&prepared, &e, &c).unwrap().packed;
        let through = (packed * &w).unwrap().sum_all().unwrap().backward().unwrap();
        let step = f.graph_step(&prepared, &e, &c, |_| Ok(w.clone())).unwrap();
        let mut all: Vec<_> = f.parameters().to_vec();
        all.push(("embedding".into(), e.clone()));
        // Only the audio nets differ between the variants.
        let asked = |name: &str| audio_width == 1 || name.starts_with("audio.");
        for (i, (name, var)) in all.iter().enumerate().filter(|(_, (name, _))| asked(name)) {
            let of_graph = values(through.get(var).unwrap_or_else(|| panic!("{name} gets no gradient")));
            let of_step = values(step.parameters.get(i).unwrap_or(&step.embedding));
            let start = values(var);
            let set = |v: Vec<f64>| {
                var.set(&Tensor::from_vec(v, var.dims(), &Device::Cpu).unwrap()).unwrap();
            };
            let scale = of_graph.iter().fold(1e-6, |m: f64, v| m.max(v.abs()));
            assert!(of_graph.iter().any(|v| *v != 0.0), "{name} has no influence");
            for k in (0..start.len()).step_by(start.len().div_ceil(5)) {
                let h = 1e-5;
                let at = |v: f64| {
                    let mut moved = start.clone();
                    moved[k] = v;
                    set(moved);
                    loss()
                };
                let numeric = (at(start[k] + h) - at(start[k] - h)) / (2.0 * h);
                for (way, analytic) in [("graph", of_graph[k]), ("step", of_step[k])] {
                    let error = (analytic - numeric).abs() / scale;
                    assert!(error < 1e-4, "{name}[{k}], {way}: {analytic} against {numeric}");
                }
            }
            set(start);
        }
    }
}

#[test]
fn folding_the_projections_changes_nothing() {
    // Attention as Vaswani et al. write it: project queries, keys and values, then mix.
    let config = small();
    let mut p = params::Parameters::new(3, DType::F64, &Device::Cpu);
    let layer = attention::Layer::new(&mut p, 0, &config).unwrap();
    let named = |name: &str| {
        p.list.iter().find(|(n, _)| n == &format!("layers.0.{name}")).unwrap().1.as_tensor().clone()
    };
    let project = |x: &Tensor, name: &str| {
        let y = x.broadcast_matmul(&named(&format!("{name}.weight")).t().unwrap()).unwrap();
        if name == "key" { y } else { y.broadcast_add(&named(&format!("{name}.bias"))).unwrap() }
    };
    let x = weights(&[2, 9, 8], DType::F64);
    let tokens = weights(&[2, 4, 8], DType::F64);
    let heads = |t: Tensor| {
        let (b, n, _) = t.dims3().unwrap();
        t.reshape((b, n, 2, 4)).unwrap().transpose(1, 2).unwrap().contiguous().unwrap()
    };
    let (q, k, v) = (project(&x, "query"), project(&tokens, "key"), project(&tokens, "value"));
    let (q, k, v) = (heads(q), heads(k), heads(v));
    let score = (q.matmul(&k.t().unwrap().contiguous().unwrap()).unwrap() / 2.0).unwrap(); // √(8 / 2)
    let a = candle_nn::ops::softmax(&score, candle_core::D::Minus1).unwrap();
    let mixed = a.matmul(&v).unwrap().transpose(1, 2).unwrap().reshape((2, 9, 8)).unwrap();
    let answer = project(&mixed, "output");

    let folded = layer.fold(&tokens).unwrap();
    let score = x.matmul(&folded.score.t().unwrap().contiguous().unwrap()).unwrap();
    let score = score.broadcast_add(&folded.score_bias.unsqueeze(1).unwrap()).unwrap();
    let b = candle_nn::ops::softmax(&score.reshape((2, 9, 2, 4)).unwrap(), candle_core::D::Minus1).unwrap();
    let ours = b.reshape((2, 9, 8)).unwrap().matmul(&folded.answer).unwrap();
    let ours = ours.broadcast_add(layer.answer_bias().unwrap()).unwrap();
    assert!(difference(&ours, &answer) < 1e-12);
    assert!(difference(&b.mean(2).unwrap(), &a.mean(1).unwrap()) < 1e-12);
}

#[test]
fn the_corners_of_the_bounds_are_the_corners_of_the_planes() {
    let config = FieldConfig { plane_resolutions: vec![5], plane_channels: 1, ..small() };
    let mut p = params::Parameters::new(3, DType::F64, &Device::Cpu);
    let planes = triplane::TriPlane::new(&mut p, &config).unwrap();
    let beyond = [100.0, -100.0, 0.5];
    let points = [BOX.min, BOX.max, beyond].concat();
    let features = values(&planes.forward(&planes.prepare(&points, &BOX).unwrap()).unwrap());
    let texel =
        |axes: usize, first: usize, second: usize| values(p.list[axes].1.as_tensor())[second * 5 + first];
    let at = |x, y, z| texel(0, x, y) * texel(1, x, z) * texel(2, y, z);
    for (feature, expected) in features.iter().zip([at(0, 0, 0), at(4, 4, 4), at(4, 0, 0)]) {
        assert!((feature - expected).abs() < 1e-7);
    }
}
