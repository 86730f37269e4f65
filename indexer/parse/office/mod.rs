//! Office files of today: Word, PowerPoint and, for all of them, what their packages say of themselves.

pub(super) mod docx;
mod numbering;
pub(super) mod pptx;
mod styles;

use std::collections::HashMap;

use autorag_store::Metadata;

use super::package::{Package, resolve};
use super::{Refusal, properties, xml};

/// Deepest nesting of tables, groups and text boxes that is followed.
const DEEPEST: usize = 40;

/// What a part of a package refers to: its targets by their ids, and by the last word of their types.
#[derive(Default)]
struct Relations {
    by_id: HashMap<String, String>,
    by_type: Vec<(String, String)>,
}

impl Relations {
    /// The relations of the part at `path`; of the package itself where that is empty.
    fn of(package: &mut Package<'_>, path: &str) -> Result<Relations, Refusal> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let file = match folder {
            "" => format!("_rels/{name}.rels"),
            folder => format!("{folder}/_rels/{name}.rels"),
        };
        let mut relations = Relations::default();
        let Some(text) = package.text(&file)? else {
            return Ok(relations);
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
                relations.by_type.push((kind.to_owned(), target.clone()));
            }
            relations.by_id.insert(id.to_owned(), target);
        }
        Ok(relations)
    }

    fn of_type<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        self.by_type
            .iter()
            .filter(move |(found, _)| found == kind)
            .map(|(_, target)| target.as_str())
    }

    fn first(&self, kind: &str) -> Option<&str> {
        let found = self.by_type.iter().find(|(found, _)| found == kind);
        found.map(|(_, target)| target.as_str())
    }
}

/// Title and metadata of a package. One whose properties are broken has none.
pub(super) fn metadata(package: &mut Package<'_>) -> (Option<String>, Metadata) {
    let Ok(Some(text)) = package.text("docProps/core.xml") else {
        return (None, Metadata::new());
    };
    xml::tree(&text, "docProps/core.xml")
        .map_or_else(|_| (None, Metadata::new()), |tree| properties::read(tree.root()))
}

/// Path of a package's main part.
fn main_part(package: &mut Package<'_>, otherwise: &str) -> Result<String, Refusal> {
    let relations = Relations::of(package, "")?;
    Ok(relations.first("officeDocument").unwrap_or(otherwise).to_owned())
}
