//! Office Open XML: Word and PowerPoint files, and the properties of all Office packages.

pub(super) mod docx;
mod numbering;
pub(super) mod pptx;
mod styles;

use std::collections::HashMap;

use autorag_store::Metadata;

use super::package::{Package, resolve};
use super::{Refusal, properties, xml};

/// Deepest nesting of tables, groups and text boxes that is followed.
const MAX_DEPTH: usize = 40;

/// The relationships of a part of a package: targets by id, and by the last component of their type.
#[derive(Default)]
struct Relationships {
    by_id: HashMap<String, String>,
    by_type: Vec<(String, String)>,
}

impl Relationships {
    /// Reads the relationships of the part at `path`. An empty path means the package itself.
    fn of(package: &mut Package<'_>, path: &str) -> Result<Relationships, Refusal> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let file = match folder {
            "" => format!("_rels/{name}.rels"),
            folder => format!("{folder}/_rels/{name}.rels"),
        };
        let mut relationships = Relationships::default();
        let Some(text) = package.text(&file)? else {
            return Ok(relationships);
        };
        let tree = xml::tree(&text, &file)?;
        for node in tree.descendants().filter(|node| xml::is(node, "Relationship")) {
            let external = xml::attribute(node, "TargetMode") == Some("External");
            let (Some(id), Some(target)) = (xml::attribute(node, "Id"), xml::attribute(node, "Target"))
            else {
                continue;
            };
            if external {
                continue;
            }
            let target = resolve(path, target);
            if let Some(kind) = xml::attribute(node, "Type").and_then(|kind| kind.rsplit('/').next()) {
                relationships.by_type.push((kind.to_owned(), target.clone()));
            }
            relationships.by_id.insert(id.to_owned(), target);
        }
        Ok(relationships)
    }

    fn of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.by_type
            .iter()
            .filter(move |(other, _)| other == kind)
            .map(|(_, target)| target.as_str())
    }

    fn first(&self, kind: &str) -> Option<&str> {
        let first = self.by_type.iter().find(|(other, _)| other == kind);
        first.map(|(_, target)| target.as_str())
    }
}

/// Title and metadata of a package; none if its properties are malformed.
pub(super) fn metadata(package: &mut Package<'_>) -> (Option<String>, Metadata) {
    let Ok(Some(text)) = package.text("docProps/core.xml") else {
        return (None, Metadata::new());
    };
    xml::tree(&text, "docProps/core.xml")
        .map_or_else(|_| (None, Metadata::new()), |tree| properties::read(tree.root()))
}

/// Path of a package's main part; `default` if the package does not name it.
fn main_part(package: &mut Package<'_>, default: &str) -> Result<String, Refusal> {
    let relationships = Relationships::of(package, "")?;
    Ok(relationships
        .first("officeDocument")
        .unwrap_or(default)
        .to_owned())
}
