//! The words that records use for event types, statuses and outcomes, as their producers happen to write them.

/// What a word stands for: `no_answer`, `NO_ANSWER`, `no-answer`, `no.answer`, `no answer` and `noAnswer` are one.
pub(crate) fn find<T: Copy>(text: &str, words: &[(&str, T)]) -> Option<T> {
    // Nearly every producer writes them as we do.
    let exact = words.iter().find(|(word, _)| *word == text);
    exact.or_else(|| words.iter().find(|(word, _)| letters(word).eq(letters(text)))).map(|(_, meaning)| *meaning)
}

/// What is left of a word without case and without what separates its parts.
fn letters(text: &str) -> impl Iterator<Item = u8> {
    text.bytes().filter(|byte| !matches!(byte, b'_' | b'-' | b'.' | b' ')).map(|byte| byte.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORDS: &[(&str, u8)] = &[("busy", 1), ("no_answer", 2), ("CHECK_IN_PROCESSED", 3)];

    #[test]
    fn case_and_separators_make_no_other_word() {
        for text in
            ["no_answer", "NO_ANSWER", "no-answer", "no.answer", "No Answer", "noAnswer", "NoAnswer", "noanswer"]
        {
            assert_eq!(find(text, WORDS), Some(2), "{text}");
        }
        for text in ["CHECK_IN_PROCESSED", "checkInProcessed", "check-in.processed"] {
            assert_eq!(find(text, WORDS), Some(3), "{text}");
        }
    }

    #[test]
    fn another_word_is_another_word() {
        for text in ["", "_", "no", "no_answers", "answer_no", "bus", "no/answer", "nö_answer"] {
            assert_eq!(find(text, WORDS), None, "{text}");
        }
    }
}
