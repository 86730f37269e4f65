//! Builds Outlook messages and archives from the input, and parses them.
//!
//! The first byte of the input chooses the container. Names and contents follow alternately, separated by a byte 0xff.

#![no_main]

mod checks;

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fuzz_target!(
    init: {
        checks::abort_on_panic();
        for kind in 0..4 {
            let members = match kind {
                0 => &[
                    "__properties_version1.0", "x", "__substg1.0_0037001E", "Subject", "__substg1.0_1000001E", "Body of text",
                    "__attach_version1.0_#0/__substg1.0_3707001E", "a.md", "__attach_version1.0_#0/__substg1.0_37010102", "# A\n\nb",
                ][..],
                _ => &["a.md", "# One\n\ntext", "b/c.html", "<h1>Two</h1><p>text", "../d.json", "{\"a\": 1}"],
            };
            let members: Vec<&[u8]> = members.iter().map(|part| part.as_bytes()).collect();
            let input = [&[kind], members.join(&0xff).as_slice()].concat();
            checks::add_seed("containers", &kind.to_string(), &input);
        }
    },
    |input: &[u8]| {
        let Some((kind, input)) = input.split_first() else {
            return;
        };
        let mut parts = input.split(|byte| *byte == 0xff);
        let mut members = Vec::new();
        while let (Some(name), Some(content)) = (parts.next(), parts.next()) {
            members.push((String::from_utf8_lossy(name).into_owned(), content));
        }
        // Some names make the writers of containers panic. This target tests only the readers.
        let container = std::panic::catch_unwind(|| match kind % 4 {
            0 => message(&members),
            1 => zip(&members),
            2 => tar(&members),
            _ => gzip(&tar(&members)),
        });
        if let Ok(container) = container {
            checks::check("folder/name", &container, 32);
        }
    }
);

/// A compound file with these streams. Skips streams that cannot be created.
fn message(members: &[(String, &[u8])]) -> Vec<u8> {
    let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new())).unwrap();
    for (name, content) in members {
        let path = format!("/{name}");
        if let Some((folder, _)) = path.rsplit_once('/')
            && !folder.is_empty()
        {
            let _ = file.create_storage_all(folder);
        }
        if let Ok(mut stream) = file.create_stream(&path) {
            let _ = stream.write_all(content);
        }
    }
    file.flush().unwrap();
    file.into_inner().into_inner()
}

fn zip(members: &[(String, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in members {
        if writer.start_file(name.as_str(), stored).is_ok() {
            let _ = writer.write_all(content);
        }
    }
    writer.finish().unwrap().into_inner()
}

fn tar(members: &[(String, &[u8])]) -> Vec<u8> {
    let mut writer = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // Writes the name directly: a careful writer would refuse the interesting names.
        let field = &mut header.as_old_mut().name;
        let length = name.len().min(field.len());
        field[..length].copy_from_slice(&name.as_bytes()[..length]);
        header.set_cksum();
        let _ = writer.append(&header, *content);
    }
    writer.into_inner().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
