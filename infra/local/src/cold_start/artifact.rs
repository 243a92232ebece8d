//! The binaries: where each lies, and how large it is.

use std::{
    collections::BTreeMap,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use flate2::{Compression, write::DeflateEncoder};
use serde_yaml_ng::Value;

use crate::template::Function;

/// A folder of binaries.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    layout: Layout,
}

#[derive(Debug)]
enum Layout {
    /// Each by its name, as cargo leaves them.
    Cargo,
    /// `{logical id}/bootstrap`, as `sam build` leaves them; here is each binary's logical id.
    Sam(BTreeMap<String, String>),
}

impl Folder {
    /// A folder as cargo or as `sam build` leaves it; the latter puts the template beside the binaries.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        let template = path.join("template.yaml");
        let layout = match std::fs::read_to_string(&template) {
            Ok(text) => {
                Layout::Sam(logical_ids(&text).with_context(|| format!("{} is not `sam build`'s", template.display()))?)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Layout::Cargo,
            Err(error) => return Err(error).with_context(|| format!("{} cannot be read", template.display())),
        };
        Ok(Self { path: path.to_owned(), layout })
    }

    /// The binary of a function.
    pub(super) fn binary(&self, function: &Function) -> anyhow::Result<PathBuf> {
        let binary = match &self.layout {
            Layout::Cargo => self.path.join(&function.binary),
            Layout::Sam(ids) => match ids.get(&function.binary) {
                Some(id) => self.path.join(id).join(&function.handler),
                None => bail!("{} names no function {}", self.path.join("template.yaml").display(), function.name),
            },
        };
        if !binary.is_file() {
            bail!("{} has no binary: there is no {}", function.name, binary.display());
        }
        // What is started runs elsewhere.
        binary.canonicalize().with_context(|| format!("{} cannot be found", binary.display()))
    }
}

/// The logical id of each function in the template that `sam build` wrote, by the function's binary.
fn logical_ids(template: &str) -> anyhow::Result<BTreeMap<String, String>> {
    let template: Value = serde_yaml_ng::from_str(template)?;
    let resources = template["Resources"].as_mapping().context("it has no Resources")?;
    let functions = resources.iter().filter(|(_, resource)| resource["Type"] == "AWS::Serverless::Function");
    let id = |(id, resource): (&Value, &Value)| {
        Some((resource["Metadata"]["BuildProperties"]["Binary"].as_str()?.to_owned(), id.as_str()?.to_owned()))
    };
    Ok(functions.filter_map(id).collect())
}

/// How large a binary is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Bytes.
    pub(super) binary: u64,
    /// Bytes of it in a zip file, which is what is uploaded and what Lambda fetches. The file's own headers are 200 bytes.
    pub(super) zipped: u64,
}

impl Size {
    /// Deflates at the level that `sam deploy` uses, which is zlib's own.
    pub(super) fn of(binary: &Path) -> anyhow::Result<Self> {
        let deflate = || {
            let mut encoder = DeflateEncoder::new(Count(0), Compression::new(6));
            let binary = io::copy(&mut std::fs::File::open(binary)?, &mut encoder)?;
            io::Result::Ok(Self { binary, zipped: encoder.finish()?.0 })
        };
        deflate().with_context(|| format!("{} cannot be read", binary.display()))
    }
}

/// Counts what is written to it.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use super::*;

    fn function(name: &str) -> Function {
        Function {
            name: name.to_owned(),
            binary: name.to_owned(),
            handler: "bootstrap".to_owned(),
            timeout: Duration::from_secs(1),
            memory_mb: 256,
            environment: BTreeMap::new(),
            retries: 0,
        }
    }

    /// As `sam build` writes it: intrinsic functions in their long form, `CodeUri` where the binary went.
    const BUILT: &str = "
Resources:
  WsConnect:
    Type: AWS::Serverless::Function
    Metadata: { BuildMethod: rust-cargolambda, BuildProperties: { Binary: ws-connect }, SamResourceId: WsConnect }
    Properties: { CodeUri: WsConnect, LoggingConfig: { LogGroup: { Ref: WsConnectLog } } }
  Gone:
    Type: AWS::Serverless::Function
    Metadata: { BuildProperties: { Binary: gone } }
  Table:
    Type: AWS::DynamoDB::Table
";

    #[test]
    fn a_folder_of_cargos_has_binaries_by_name() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("ws-connect"), "x").unwrap();
        let binary = Folder::open(folder.path()).unwrap().binary(&function("ws-connect")).unwrap();
        assert!(binary.ends_with("ws-connect"), "{}", binary.display());
    }

    #[test]
    fn sam_build_has_binaries_by_logical_id() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("template.yaml"), BUILT).unwrap();
        fs::create_dir(folder.path().join("WsConnect")).unwrap();
        fs::write(folder.path().join("WsConnect/bootstrap"), "x").unwrap();
        let binary = Folder::open(folder.path()).unwrap().binary(&function("ws-connect")).unwrap();
        assert!(binary.ends_with("WsConnect/bootstrap"), "{}", binary.display());
    }

    #[test]
    fn a_binary_that_is_missing_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let error = |name| Folder::open(folder.path()).unwrap().binary(&function(name)).unwrap_err().to_string();
        assert!(error("other").starts_with("other has no binary: there is no "));
        fs::write(folder.path().join("template.yaml"), BUILT).unwrap();
        assert!(error("gone").ends_with("Gone/bootstrap"));
        assert!(error("other").ends_with("names no function other"));
    }

    #[test]
    fn the_zipped_size_is_what_deflate_makes_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let binary = folder.path().join("zeros");
        fs::write(&binary, vec![0; 1_000_000]).unwrap();
        let size = Size::of(&binary).unwrap();
        assert_eq!(size.binary, 1_000_000);
        // Deflate's greatest ratio is 1032.
        assert!((968..1200).contains(&size.zipped), "{size:?}");
    }
}
