//! A text cut into sentences, each of which can be said while the next one is made.

/// Longest piece that is said at once, characters; longer sentences are cut at a comma or a space.
const LONGEST: usize = 300;

/// The sentences of a text, without control characters and with single spaces; none are empty.
pub fn sentences(text: &str) -> Vec<String> {
    let mut sentences = Vec::new();
    let mut current = String::new();
    let plain: Vec<char> = text.chars().map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
    for (at, &c) in plain.iter().enumerate() {
        let next = plain.get(at + 1).copied();
        let ends_line = c == '\n' && (next == Some('\n') || next.is_none());
        if c == '\n' {
            current.push(' ');
        } else {
            current.push(c);
        }
        let is_abbreviation = c == '.' && ends_in_abbreviation(&current);
        let ends = match c {
            // Full stops of Chinese and Japanese need no space after them.
            '。' | '！' | '？' => true,
            '.' | '!' | '?' | '…' => next.is_none_or(char::is_whitespace) && !is_abbreviation,
            _ => ends_line,
        };
        if ends {
            finish(&mut current, &mut sentences);
        } else if current.chars().count() >= LONGEST {
            cut(&mut current, &mut sentences);
        }
    }
    finish(&mut current, &mut sentences);
    sentences
}

/// Whether a text ends in a title or a single letter with a full stop.
fn ends_in_abbreviation(text: &str) -> bool {
    let word = text.rsplit(char::is_whitespace).next().unwrap_or_default().trim_end_matches('.');
    let is_initial = word.chars().count() == 1 && word != "I" && word.chars().all(char::is_uppercase);
    is_initial || ["Mr", "Mrs", "Ms", "Dr", "Prof", "St", "vs", "e.g", "i.e"].contains(&word)
}

fn finish(current: &mut String, sentences: &mut Vec<String>) {
    let words: Vec<&str> = current.split_whitespace().collect();
    if words.iter().any(|word| word.chars().any(char::is_alphanumeric)) {
        sentences.push(words.join(" "));
    }
    current.clear();
}

/// Ends a sentence that is too long at its last comma, or else at its last space.
fn cut(current: &mut String, sentences: &mut Vec<String>) {
    let half = current.len() / 2;
    let place = |found: Option<usize>| found.filter(|at| *at > half);
    let at = place(current.rfind([',', ';', ':', '，', '、'])).or(place(current.rfind(' ')));
    let at = at.map_or(current.len(), |at| at + current[at..].chars().next().map_or(0, char::len_utf8));
    let rest = current.split_off(at);
    finish(current, sentences);
    current.clear();
    current.push_str(&rest);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_at_the_ends_of_its_sentences() {
        assert_eq!(
            sentences("Hello there!  How are\nyou? I am 3.5 m tall. "),
            ["Hello there!", "How are you?", "I am 3.5 m tall."]
        );
        assert_eq!(sentences("Dr. Smith met J. Doe. Then I."), ["Dr. Smith met J. Doe.", "Then I."]);
        assert_eq!(sentences("你好。今天好吗？"), ["你好。", "今天好吗？"]);
        assert_eq!(sentences("A title\n\nA text"), ["A title", "A text"]);
    }

    #[test]
    fn what_has_no_words_gives_no_sentence() {
        assert!(sentences("").is_empty());
        assert!(sentences(" ... !? \u{1}\u{7f}").is_empty());
        assert_eq!(sentences("a\u{0}b\u{1b}[31mc"), ["a b [31mc"]);
    }

    #[test]
    fn a_long_sentence_is_cut_at_a_comma_or_a_space() {
        let text = "word ".repeat(200);
        let parts = sentences(&text);
        assert!(parts.len() > 3 && parts.iter().all(|part| part.chars().count() <= LONGEST));
        assert_eq!(parts.join(" "), text.trim_end());
        assert_eq!(sentences(&"x".repeat(1000)).concat().len(), 1000);
    }
}
