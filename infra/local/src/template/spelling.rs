//! Names that are in a template, and names that were looked for: one that is nearly another was probably meant to be it.

use std::collections::{BTreeMap, BTreeSet};

use super::error::TemplateError;

/// Insertions, deletions, changes and swaps of letters between a name and what was meant.
const NEAR: usize = 2;

/// Shorter names are near to each other by chance.
const LONG_ENOUGH: usize = 5;

/// What has been looked for at each place, and what is there.
///
/// A template has much that the local system never reads, so that a name that it does not know is nothing unusual. One that
/// differs by a letter from a name that it does know is: what it says would have no effect.
#[derive(Debug, Default)]
pub(super) struct Spelling(BTreeMap<String, Names>);

#[derive(Debug, Default)]
struct Names {
    sought: BTreeSet<String>,
    there: BTreeSet<String>,
}

impl Spelling {
    /// A name is looked for at a place that has the names `there`.
    pub(super) fn seek<'a>(&mut self, place: &str, sought: &str, there: impl Iterator<Item = &'a str>) {
        let names = self.0.entry(place.to_owned()).or_default();
        if names.sought.insert(sought.to_owned()) {
            names.there.extend(there.map(ToOwned::to_owned));
        }
    }

    /// Fails for a name that nobody has looked for, and that is nearly one that somebody has.
    pub(super) fn check(&self) -> Result<(), TemplateError> {
        for (place, Names { sought, there }) in &self.0 {
            for name in there.difference(sought).filter(|name| name.len() >= LONG_ENOUGH) {
                if let Some(meant) = sought.iter().find(|meant| strsim::osa_distance(meant, name) <= NEAR) {
                    return Err(TemplateError::new(place, format!("{name} is not known; is {meant} meant?")));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(sought: &[&str], there: &[&str]) -> Result<(), String> {
        let mut spelling = Spelling::default();
        for name in sought {
            spelling.seek("Work", name, there.iter().copied());
        }
        spelling.check().map_err(|error| error.to_string())
    }

    #[test]
    fn a_name_that_is_nearly_another_is_an_error() {
        let error = check(&["Handler", "Timeout"], &["Handlers"]).unwrap_err();
        assert_eq!(error, "template.yaml, Work: Handlers is not known; is Handler meant?");
        assert!(check(&["Handler"], &["Handler", "Hnadler"]).is_err());
    }

    #[test]
    fn names_that_nobody_looks_for_and_names_that_are_short_are_none() {
        assert_eq!(check(&["Handler", "Role"], &["Layers", "Runtime", "Rule"]), Ok(()));
    }
}
