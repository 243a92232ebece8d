//! The folder in which a system keeps its DynamoDB from one start to the next.

use std::{
    fs::{File, TryLockError},
    io::{Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow, bail};

/// The file of `SQLite`, with those that it puts beside it.
const DATABASE: &str = "dynamodb.sqlite";

/// Holds the epoch of the topics of the latest start, and is locked while a system runs.
const EPOCH: &str = "epoch";

/// A folder that belongs to one system at a time, for as long as this value lives or the process does.
#[derive(Debug)]
pub(crate) struct DataFolder {
    path: PathBuf,
    epoch: File,
}

impl DataFolder {
    /// Opens the folder, and makes it where it is not there yet. Fails if another system uses it.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let failed = || format!("--data: {} cannot be used", path.display());
        std::fs::create_dir_all(path).with_context(failed)?;
        let epoch = File::options().read(true).write(true).create(true).truncate(false).open(path.join(EPOCH));
        let epoch = epoch.with_context(failed)?;
        match epoch.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), epoch }),
            Err(TryLockError::WouldBlock) => bail!("--data: {} is in use by another system", path.display()),
            Err(TryLockError::Error(error)) => Err(error).with_context(failed),
        }
    }

    /// Where the database lies.
    pub(crate) fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }

    /// An epoch for topics that begin anew: one that no start before has had, this one's second where it can be.
    pub(crate) fn next_epoch(&mut self, now_seconds: i64) -> anyhow::Result<i64> {
        let mut text = String::new();
        self.epoch.read_to_string(&mut text)?;
        let latest = match text.trim() {
            "" => 0,
            number => {
                let path = self.path.join(EPOCH);
                number.parse().map_err(|_| {
                    anyhow!("{} holds no number; what was counted cannot be told from what is new", path.display())
                })?
            }
        };
        let epoch = now_seconds.max(latest + 1);
        // Never empty in between: a greater number is as long or longer.
        self.epoch.rewind()?;
        self.epoch.write_all(epoch.to_string().as_bytes())?;
        self.epoch.rewind()?;
        Ok(epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_starts_have_the_same_epoch_whatever_the_clock_says() {
        let folder = tempfile::tempdir().unwrap();
        let next = |now| DataFolder::open(folder.path()).unwrap().next_epoch(now).unwrap();
        assert_eq!([next(100), next(100), next(90), next(200)], [100, 101, 102, 200]);
    }

    #[test]
    fn a_folder_is_one_systems_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("made/on/the/way");
        let first = DataFolder::open(&path).unwrap();
        let error = DataFolder::open(&path).unwrap_err();
        assert_eq!(error.to_string(), format!("--data: {} is in use by another system", path.display()));
        drop(first);
        DataFolder::open(&path).unwrap();
    }

    #[test]
    fn an_epoch_that_cannot_be_read_is_not_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(EPOCH), "soon").unwrap();
        let error = DataFolder::open(folder.path()).unwrap().next_epoch(100).unwrap_err();
        assert!(error.to_string().contains("holds no number"), "{error}");
    }
}
