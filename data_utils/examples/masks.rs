use data_utils::{
    dataset::Label,
    face::Landmarks,
    formats::npy,
    parse::{Clip, Parser},
};
use rayon::prelude::*;
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let dir = std::path::PathBuf::from(&a[1]);
    let out = std::path::PathBuf::from(&a[2]);
    let step: usize = a[3].parse().unwrap();
    let l = npy::read(&dir.join("landmarks478.npy")).unwrap();
    let faces: Vec<Option<Landmarks>> = l
        .data
        .chunks_exact(478 * 3)
        .map(|c| {
            Some(Landmarks { points: c.chunks_exact(3).map(|p| [p[0], p[1], p[2]]).collect(), score: 1.0 })
        })
        .collect();
    let read = |i: usize| Ok(image::open(dir.join(format!("ori_imgs/{i}.jpg"))).unwrap().to_rgb8());
    let t = std::time::Instant::now();
    let p = Parser::learn(&Clip { faces: &faces, read: &read }).unwrap();
    eprintln!("learned {:?}", t.elapsed());
    std::fs::create_dir_all(&out).unwrap();
    p.plate().picture.save(out.join("plate.png")).unwrap();
    let k = image::GrayImage::from_raw(
        512,
        512,
        p.plate().known.iter().map(|k| if *k { 255 } else { 0 }).collect(),
    )
    .unwrap();
    k.save(out.join("known.png")).unwrap();
    let t = std::time::Instant::now();
    let ids: Vec<usize> = (0..faces.len()).step_by(step).collect();
    let n = ids.len();
    let rows: Vec<_> = ids
        .par_iter()
        .map(|&i| {
            let pic = read(i).unwrap();
            let lab = p.labels(&pic, faces[i].as_ref().unwrap()).unwrap().unwrap();
            let reference = image::open(dir.join(format!("parsing/{i}.png"))).unwrap().to_rgb8();
            let m = image::RgbImage::from_raw(
                512,
                512,
                lab.iter().flat_map(|l| Label::to_color(*l & 7)).collect(),
            )
            .unwrap();
            m.save(out.join(format!("{i}.png"))).unwrap();
            let mut c = [[0usize; 2]; 4];
            for (q, (x, y)) in lab.iter().zip(reference.pixels()).enumerate() {
                let _ = q;
                let y = Label::of_color(y.0).unwrap();
                for (k, b) in [1u8, 2, 4, 7].iter().enumerate() {
                    let (s, t) = (x & b != 0, y & b != 0);
                    if s && t {
                        c[k][0] += 1
                    }
                    if s || t {
                        c[k][1] += 1
                    }
                }
            }
            (i, c.map(|[a, b]| a as f64 / b.max(1) as f64))
        })
        .collect();
    eprintln!("labels {:?} for {n}", t.elapsed());
    let mut s = [0.0; 4];
    for (i, r) in &rows {
        if ids.len() < 30 || r[0] < 0.94 {
            println!("{i} head {:.4} neck {:.4} torso {:.4} person {:.4}", r[0], r[1], r[2], r[3]);
        }
        for k in 0..4 {
            s[k] += r[k] / n as f64
        }
    }
    println!("mean head {:.4} neck {:.4} torso {:.4} person {:.4}", s[0], s[1], s[2], s[3]);
}
