//! The page: one answer that holds all it needs, put together from its parts.

use axum::response::{Html, IntoResponse};
use std::sync::LazyLock;

/// Scripts and styles are in the page itself, and nothing comes from elsewhere.
const POLICY: &str = "default-src 'none'; script-src 'unsafe-inline' blob:; style-src 'unsafe-inline'; \
                      img-src 'self' blob: data:; media-src 'self' blob:; connect-src 'self'; worker-src blob:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

static ENGLISH: LazyLock<String> = LazyLock::new(|| {
    let parts = [include_str!("page/words.js"), include_str!("page/call.js"), include_str!("page/page.js")];
    let script = ["'use strict';\n", &parts.concat()].concat();
    include_str!("page/page.html").replacen("/*page.css*/", include_str!("page/page.css"), 1).replacen(
        "/*page.js*/",
        &script,
        1,
    )
});
static CHINESE: LazyLock<String> =
    LazyLock::new(|| ENGLISH.replacen("<html lang=\"en\">", "<html lang=\"zh\">", 1));

pub(super) async fn english() -> impl IntoResponse {
    answer(&ENGLISH)
}

pub(super) async fn chinese() -> impl IntoResponse {
    answer(&CHINESE)
}

fn answer(page: &'static str) -> impl IntoResponse {
    let headers = [
        ("content-security-policy", POLICY),
        ("cache-control", "no-cache"),
        ("referrer-policy", "no-referrer"),
        ("x-content-type-options", "nosniff"),
    ];
    (headers, Html(page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_whole_in_both_languages() {
        for page in [&*ENGLISH, &*CHINESE] {
            assert!(page.contains("'use strict'") && page.contains("const WORDS") && page.contains(".stage"));
            assert!(!page.contains("/*page.") && page.trim_end().ends_with("</html>"));
        }
        assert!(CHINESE.contains("<html lang=\"zh\">") && ENGLISH.contains("<html lang=\"en\">"));
    }

    #[test]
    fn every_word_is_there_in_both_languages() {
        let words = include_str!("page/words.js");
        let of = |start: &str, end: &str| -> Vec<String> {
            let part = words.split(start).nth(1).and_then(|rest| rest.split(end).next()).expect("a language");
            let pieces = part.split('\n').flat_map(|line| line.split("', "));
            let mut keys: Vec<String> = pieces
                .filter_map(|piece| piece.split_once(": '"))
                .map(|(key, _)| key.trim().to_owned())
                .collect();
            keys.sort();
            keys
        };
        let (english, chinese) = (of("en: {", "\n  },"), of("zh: {", "\n  },"));
        assert!(english.len() > 50 && english == chinese, "{english:?}\n{chinese:?}");
    }
}
