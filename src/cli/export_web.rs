//! `surfeltalk export --web`: a folder of static files with a page in which the head speaks, drawn by the visitor's browser.

use crate::head::Head;
use crate::head::backend::CpuBackend;
use crate::live::performance::{Performance, PerformanceOptions};
use crate::{Error, Result};
use data_utils::audio::SAMPLE_RATE;
use data_utils::media::files;
use data_utils::workspace::{Ledger, Lock, Origin};
use image::RgbImage;
use std::path::Path;
use std::sync::Arc;

/// The files that are the same for every head. The last two are the browser's module, which `.ci/web-module` builds.
const PAGE: [(&str, &[u8]); 9] = [
    ("index.html", include_bytes!("../web/page/index.html")),
    ("page.css", include_bytes!("../web/page/page.css")),
    ("page.js", include_bytes!("../web/page/page.js")),
    ("player.js", include_bytes!("../web/page/player.js")),
    ("head.js", include_bytes!("../web/page/head.js")),
    ("head.d.ts", include_bytes!("../web/page/head.d.ts")),
    ("package.json", include_bytes!("../web/page/package.json")),
    ("surfeltalk.js", include_bytes!("../web/module/surfeltalk.js")),
    ("surfeltalk.wasm.gz", include_bytes!("../web/module/surfeltalk.wasm.gz")),
];
/// The head, and what is shown where it cannot be drawn.
const HEAD: &str = "head.safetensors";
const STILL: &str = "still.png";

/// Writes the page of a head, given as the bytes of its file, and gives the size of all files in bytes. Files there that are no
/// earlier page, or were changed since, are replaced only where `overwrite` says so.
///
/// # Errors
/// [`Error::Input`] when the head has no clip, or the folder holds other files or cannot be written to.
pub(super) fn write(bytes: &[u8], folder: &Path, overwrite: bool) -> Result<u64> {
    let still = still(&Arc::new(Head::from_bytes(bytes)?))?;
    std::fs::create_dir_all(folder).map_err(|e| Error::io(folder, "a folder that can be made", &e))?;
    let _lock = Lock::acquire(folder, "export")?;
    let all: Vec<(&str, &[u8])> = PAGE.into_iter().chain([(HEAD, bytes), (STILL, &still)]).collect();
    let earlier = Ledger::read(folder)?.filter(|ledger| ledger.program == "export");
    for (name, _) in all.iter().filter(|_| !overwrite) {
        let origin = match &earlier {
            Some(ledger) => ledger.origin(folder, name)?,
            None if folder.join(name).exists() => Origin::Foreign,
            None => Origin::Missing,
        };
        if matches!(origin, Origin::Changed | Origin::Foreign) {
            let found = if origin == Origin::Changed { "one that was changed since" } else { "another file" };
            let remedy = "name another folder, or add --overwrite";
            return Err(Error::input(
                folder.join(name).display(),
                "a file of an earlier page",
                found,
                remedy,
            ));
        }
    }
    for (name, bytes) in &all {
        files::write_bytes(&folder.join(name), bytes)?;
    }
    let mut ledger = Ledger::new("export", "web".into());
    ledger.record(folder, all.iter().map(|(name, _)| *name))?;
    ledger.write(folder)?;
    Ok(all.iter().map(|(_, bytes)| bytes.len() as u64).sum())
}

/// The head in silence, as PNG.
fn still(head: &Arc<Head>) -> Result<Vec<u8>> {
    let options = PerformanceOptions { frame_count: Some(1), ..PerformanceOptions::default() };
    let mut performance = Performance::new(head, Box::new(CpuBackend::new()), options)?;
    performance.push_audio(&vec![0.0; SAMPLE_RATE as usize], SAMPLE_RATE)?;
    performance.finish()?;
    let frame =
        performance.next_frame()?.ok_or_else(|| Error::Internal("a second without a frame".into()))?;
    let [width, height] = head.clip.as_ref().map_or([0, 0], |clip| clip.size);
    let picture = RgbImage::from_raw(width, height, frame.picture);
    files::png(&picture.ok_or_else(|| Error::Internal("a picture of another size".into()))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::TRAINED;

    #[test]
    fn a_page_is_replaced_by_a_page_and_nothing_else_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let page = folder.path().join("page");
        let bytes = write(TRAINED, &page, false).expect("written");
        assert!(bytes < 6_000_000, "{bytes} bytes");
        assert_eq!(std::fs::read(page.join(HEAD)).expect("the head"), TRAINED);
        let still = image::open(page.join(STILL)).expect("a picture").into_rgb8();
        assert_eq!(still.dimensions(), (256, 256));
        assert!(still.pixels().any(|pixel| pixel.0 != still.get_pixel(0, 0).0));
        write(TRAINED, &page, false).expect("an earlier page is ours");
        std::fs::write(page.join("index.html"), "mine").expect("changed");
        assert_eq!(write(TRAINED, &page, false).expect_err("refused").exit_code(), 2);
        assert_eq!(std::fs::read_to_string(page.join("index.html")).expect("text"), "mine");
        write(TRAINED, &page, true).expect("asked for");
        let site = folder.path().join("site");
        std::fs::create_dir(&site).expect("a folder");
        std::fs::write(site.join("index.html"), "a site").expect("written");
        assert_eq!(write(TRAINED, &site, false).expect_err("refused").exit_code(), 2);
        assert_eq!(write(&TRAINED[..1000], &site, false).expect_err("cut short").exit_code(), 2);
    }
}
