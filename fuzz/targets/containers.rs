//! Messages of Outlook and archives, put together from the input.
//!
//! The first byte of the input chooses the container; names and contents follow in turn, with a byte 0xff between them.

#![no_main]

mod parsed;

use std::io::{Cursor, Write};

use flate2::Compression;
use flate2::write::GzEncoder;
use libfuzzer_sys::fuzz_target;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

fuzz_target!(
    init: {
        parsed::end_at_panics();
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
            parsed::seed("containers", &kind.to_string(), &input);
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
        // The writers of containers panic of some names, which is not what is looked for here.
        let container = std::panic::catch_unwind(|| match kind % 4 {
            0 => message(&members),
            1 => archive(&members),
            2 => tape(&members),
            _ => compressed(&tape(&members)),
        });
        if let Ok(container) = container {
            parsed::check("folder/name", &container, 32);
        }
    }
);

/// A compound file with these streams; those that cannot be made are left out.
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

fn archive(members: &[(String, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (name, content) in members {
        if writer.start_file(name.as_str(), stored).is_ok() {
            let _ = writer.write_all(content);
        }
    }
    writer.finish().unwrap().into_inner()
}

fn tape(members: &[(String, &[u8])]) -> Vec<u8> {
    let mut writer = tar::Builder::new(Vec::new());
    for (name, content) in members {
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        // Names that a careful writer refuses are what is of interest.
        let field = &mut header.as_old_mut().name;
        let length = name.len().min(field.len());
        field[..length].copy_from_slice(&name.as_bytes()[..length]);
        header.set_cksum();
        let _ = writer.append(&header, *content);
    }
    writer.into_inner().unwrap()
}

fn compressed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}
