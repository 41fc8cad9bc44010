//! The descriptions that both ends of a call exchange (SDP, RFC 8866).

const STREAM: &str = "a=msid:";

/// The same description with all that is sent in one stream: only then do browsers keep sound and picture together (RFC 8830).
pub(super) fn one_stream(text: &str) -> String {
    let stream = |line: &str| Some(line.strip_prefix(STREAM)?.split(' ').next()?.to_owned());
    let Some(first) = text.lines().find_map(stream) else { return text.to_owned() };
    let line = |line: &str| match stream(line) {
        Some(other) => format!("{STREAM}{first}{}\r\n", &line[STREAM.len() + other.len()..]),
        None => format!("{line}\r\n"),
    };
    text.lines().map(line).collect()
}

/// Whether something is sent by this description: sound as Opus or pictures as VP8.
pub(super) fn has_media(answer: &str) -> bool {
    ["opus/48000", "VP8/90000"].iter().any(|codec| answer.contains(codec))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sound_and_picture_are_in_one_stream() {
        let text = "v=0\r\na=msid:one track1\r\nm=video 9\r\na=msid:two track2\r\na=mid:1\r\n";
        let wanted = "v=0\r\na=msid:one track1\r\nm=video 9\r\na=msid:one track2\r\na=mid:1\r\n";
        assert_eq!(one_stream(text), wanted);
        assert_eq!(one_stream("v=0\r\n"), "v=0\r\n");
    }
}
