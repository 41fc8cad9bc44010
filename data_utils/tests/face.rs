use data_utils::face::*;
use std::path::{Path,PathBuf};
#[test]
fn golden_dev() {
    let models = FaceModels::open(Path::new("/work/shared/data/models/face_landmarker.task")).unwrap();
    let (mut maxp, mut maxb) = (0f32, 0f32);
    let mut all=vec![]; let mut ts=vec![];
    let mut files: Vec<PathBuf> = std::fs::read_dir("/work/scratch/face/golden").unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e=="png")).collect();
    files.sort();
    for f in &files {
        let img = image::open(f).unwrap().to_rgb8();
        let g: Vec<f32> = std::fs::read(f.with_extension("f32")).unwrap().chunks_exact(4).map(|c| f32::from_le_bytes(c.try_into().unwrap())).collect();
        let t = std::time::Instant::now();
        let l = models.landmarks(&img).unwrap().unwrap();
        ts.push(t.elapsed().as_secs_f64()*1e3);
        let b = models.blendshapes(&l).unwrap();
        let d = l.points.iter().zip(g.chunks_exact(3)).map(|(a,b)| (a[0]-b[0]).hypot(a[1]-b[1])).fold(0f32,f32::max);
        let dz = l.points.iter().zip(g.chunks_exact(3)).map(|(a,b)| (a[2]-b[2]).abs()).fold(0f32,f32::max);
        all.extend(l.points.iter().zip(g.chunks_exact(3)).map(|(a,b)| (a[0]-b[0]).hypot(a[1]-b[1])));
        let e = b.iter().zip(&g[478*3..]).map(|(a,b)| (a-b).abs()).fold(0f32,f32::max);
        println!("{} {d:.4} z {dz:.4} bs {e:.5} score {}", f.file_name().unwrap().to_string_lossy(), l.score);
        maxp=maxp.max(d); maxb=maxb.max(e);
    }
    all.sort_by(f32::total_cmp); ts.sort_by(f64::total_cmp);
    println!("max {maxp} median {} bs {maxb} ms {}", all[all.len()/2], ts[ts.len()/2]);
}
