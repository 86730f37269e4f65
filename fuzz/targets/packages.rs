//! Office files, OpenDocument files and books in which one member is replaced.
//!
//! The first byte of the input chooses the package, the second the member. The remaining bytes are the member's
//! content.

#![no_main]

#[path = "../../indexer/parse/fixtures.rs"]
#[allow(dead_code, reason = "the indexer's tests use more of them")]
mod fixtures;
mod checks;

use std::io::{Cursor, Read, Write};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Names and contents of the members of a package.
type Members = Vec<(String, Vec<u8>)>;

static PACKAGES: LazyLock<Vec<Members>> = LazyLock::new(|| {
    let packages = [
        fixtures::docx(),
        fixtures::pptx(),
        fixtures::xlsx(),
        fixtures::odt(),
        fixtures::odp(),
        fixtures::epub(),
    ];
    packages.iter().map(|package| members(package)).collect()
});

fn members(package: &[u8]) -> Members {
    let mut archive = ZipArchive::new(Cursor::new(package)).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut member = archive.by_index(index).unwrap();
            let mut content = Vec::new();
            member.read_to_end(&mut content).unwrap();
            (member.name().unwrap().into_owned(), content)
        })
        .collect()
}

fuzz_target!(
    init: {
        checks::abort_on_panic();
        for (kind, members) in PACKAGES.iter().enumerate() {
            for (index, (_, content)) in members.iter().enumerate() {
                let input = [&[kind as u8, index as u8], content.as_slice()].concat();
                checks::add_seed("packages", &format!("{kind}-{index}"), &input);
            }
        }
    },
    |input: &[u8]| {
        let [kind, index, content @ ..] = input else {
            return;
        };
        let members = &PACKAGES[usize::from(*kind) % PACKAGES.len()];
        let replaced = usize::from(*index) % members.len();
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for (index, (name, original)) in members.iter().enumerate() {
            writer.start_file(name.as_str(), stored).unwrap();
            writer.write_all(if index == replaced { content } else { original }).unwrap();
        }
        checks::check("folder/name", &writer.finish().unwrap().into_inner(), 32);
    }
);
