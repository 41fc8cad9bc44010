//! Numbers as English words.

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 10] =
    ["", "", "twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
const THOUSANDS: [(u64, &str); 4] =
    [(1_000_000_000_000, "trillion"), (1_000_000_000, "billion"), (1_000_000, "million"), (1000, "thousand")];

/// A number as it is read; one of more than fifteen digits digit by digit. `text` holds digits, and perhaps a decimal point
/// with digits after it.
pub(super) fn number_words(text: &str) -> String {
    let (whole, decimals) = text.split_once('.').map_or((text, ""), |(whole, rest)| (whole, rest));
    let mut words = Vec::new();
    match whole.parse::<u64>() {
        Ok(value) if whole.len() <= 15 => below(value, &mut words),
        _ => words.extend(digits(whole)),
    }
    if !decimals.is_empty() {
        words.push("point");
        words.extend(digits(decimals));
    }
    words.join(" ")
}

fn digits(text: &str) -> impl Iterator<Item = &'static str> {
    text.chars().filter_map(|c| c.to_digit(10)).map(|digit| ONES[digit as usize])
}

fn below(mut value: u64, words: &mut Vec<&'static str>) {
    for (size, name) in THOUSANDS {
        if value >= size {
            below(value / size, words);
            words.push(name);
            value %= size;
            if value == 0 {
                return;
            }
        }
    }
    if value >= 100 {
        words.extend([ONES[(value / 100) as usize], "hundred"]);
        value %= 100;
        if value == 0 {
            return;
        }
    }
    if value >= 20 {
        words.push(TENS[(value / 10) as usize]);
        value %= 10;
        if value == 0 {
            return;
        }
    }
    words.push(ONES[value as usize]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_words() {
        for (text, words) in [
            ("0", "zero"),
            ("15", "fifteen"),
            ("40", "forty"),
            ("123", "one hundred twenty three"),
            ("2026", "two thousand twenty six"),
            ("1000000", "one million"),
            ("3.14", "three point one four"),
            (
                "12345678901234567",
                "one two three four five six seven eight nine zero one two three four five six seven",
            ),
        ] {
            assert_eq!(number_words(text), words);
        }
    }
}
