//! Office files, OpenDocument files and books, whole but for one of the files that they are packed from.
//!
//! The first byte of the input chooses the package, the second the file in it; the rest is what that file holds.

#![no_main]

#[path = "../../indexer/parse/fixtures.rs"]
#[allow(dead_code, reason = "the tests of the indexer have more")]
mod fixtures;
mod parsed;

use std::io::{Cursor, Read, Write};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Names and contents of what is packed.
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
        parsed::end_at_panics();
        for (kind, members) in PACKAGES.iter().enumerate() {
            for (index, (_, content)) in members.iter().enumerate() {
                let input = [&[kind as u8, index as u8], content.as_slice()].concat();
                parsed::seed("packages", &format!("{kind}-{index}"), &input);
            }
        }
    },
    |input: &[u8]| {
        let [kind, index, content @ ..] = input else {
            return;
        };
        let members = &PACKAGES[usize::from(*kind) % PACKAGES.len()];
        let damaged = usize::from(*index) % members.len();
        let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
        let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        for (index, (name, whole)) in members.iter().enumerate() {
            writer.start_file(name.as_str(), stored).unwrap();
            writer.write_all(if index == damaged { content } else { whole }).unwrap();
        }
        parsed::check("folder/name", &writer.finish().unwrap().into_inner(), 32);
    }
);
