//! What is left of a person's name for those who may not see it.

/// What stands for a name that initials would say too much or nothing of.
const NOBODY: &str = "?";

/// The first letters of the first and of the last word, `A. L.`; `?` where there are no letters.
///
/// Never all letters of the name: 王 明 is `王.`, and 王, like A, is `?`. Words end at white space, and one without
/// letters is none. Marks that are combined with a letter are left out.
#[must_use]
pub fn of(name: &str) -> String {
    let letters = name.chars().filter(|char| char.is_alphabetic()).count();
    let mut initials = name.split_whitespace().filter_map(initial);
    match (initials.next(), initials.next_back()) {
        (Some(first), Some(last)) if letters > 2 => format!("{first}. {last}."),
        (Some(first), _) if letters > 1 => format!("{first}."),
        _ => NOBODY.to_owned(),
    }
}

/// A word's first letter as a capital. Some letters have capitals of several (ß, ﬁ); one has to do.
fn initial(word: &str) -> Option<char> {
    let letter = word.chars().find(|char| char.is_alphabetic())?;
    Some(letter.to_uppercase().find(|char| char.is_alphabetic()).unwrap_or(letter))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_and_the_last_word_leave_a_letter_each() {
        for (name, initials) in [
            ("Ada Lovelace", "A. L."),
            ("Ada", "A."),
            ("ada king lovelace", "A. L."),
            ("Augusta Ada Byron King, Countess of Lovelace", "A. L."),
            ("  Ada \t Lovelace \n", "A. L."),
            ("Anna-Maria O'Neill", "A. O."),
            ("Lovelace, Ada", "L. A."),
            ("ada.lovelace@example.com", "A."),
        ] {
            assert_eq!(of(name), initials, "{name:?}");
        }
    }

    #[test]
    fn letters_are_those_of_all_scripts_and_characters_and_not_bytes() {
        for (name, initials) in [
            ("émile zola", "É. Z."),
            ("e\u{301}mile zola", "E. Z."),
            ("\u{301}ada", "A."),
            ("Анна Ахматова", "А. А."),
            ("Ἀριστοτέλης", "Ἀ."),
            ("محمد علي", "م. ع."),
            ("नितिन शर्मा", "न. श."),
            ("王小明", "王."),
            ("김 철수", "김. 철."),
            ("ßeta ﬁnn", "S. F."),
            ("ǆura İnci", "Ǆ. İ."),
        ] {
            assert_eq!(of(name), initials, "{name:?}");
        }
    }

    #[test]
    fn words_without_letters_are_none_and_a_name_without_letters_is_nobodys() {
        for (name, initials) in [
            ("", "?"),
            (" \t", "?"),
            ("42", "?"),
            ("+1 555 0100", "?"),
            ("🎉", "?"),
            ("👩‍💻 🎉", "?"),
            ("\u{301}", "?"),
            ("🎉 Ada 🎉", "A."),
            ("Ada 2", "A."),
            ("2pac shakur", "P. S."),
        ] {
            assert_eq!(of(name), initials, "{name:?}");
        }
    }

    #[test]
    fn a_name_that_is_as_short_as_its_initials_is_not_shown_as_a_whole() {
        for (name, initials) in
            [("王 明", "王."), ("A L", "A."), ("A. L.", "A."), ("王", "?"), ("a", "?"), ("Al", "A.")]
        {
            assert_eq!(of(name), initials, "{name:?}");
        }
    }

    fn letters(text: &str) -> usize {
        text.chars().filter(|char| char.is_alphabetic()).count()
    }

    /// Names as people have them, and anything else.
    fn name() -> impl Strategy<Value = String> {
        let words = prop::collection::vec("[\\p{L}\\p{M}\\p{N}.'-]{0,6}", 0..5).prop_map(|words| words.join(" "));
        prop_oneof![words, any::<String>()]
    }

    proptest! {
        #[test]
        fn no_word_of_two_letters_or_more_survives_nor_does_the_whole_name(name in name()) {
            let initials = of(&name);
            let shown = initials.to_lowercase();
            let words = name.split(|char: char| !char.is_alphabetic()).chain(name.split_whitespace());
            for word in words.map(str::to_lowercase).filter(|word| letters(word) > 1) {
                prop_assert!(!shown.contains(&word), "{:?} shows {:?}", initials, word);
            }
            prop_assert!(letters(&initials) <= 2);
            prop_assert!(initials == "?" || letters(&initials) < letters(&name), "{:?} is all of {:?}", initials, name);
        }
    }
}
