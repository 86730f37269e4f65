//! Decodes bytes to text in any encoding, and detects bytes that are not text.

use chardetng::EncodingDetector;
use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

use super::{ReasonCode, Refusal};

/// How much of a file is sampled to decide whether it is text: bytes, or characters once it is decoded.
const SAMPLE: usize = 8192;
/// A sample with a higher share of control characters is not text.
const MAX_CONTROL_SHARE: f64 = 0.05;

/// Magic numbers and names of formats that no parser reads.
const MAGIC: &[(&[u8], &str)] = &[
    (b"7z\xbc\xaf\x27\x1c", "7-Zip archive; unpack it"),
    (b"Rar!\x1a\x07", "RAR archive; unpack it"),
    (b"\x89PNG\r\n\x1a\n", "PNG image"),
    (b"\xff\xd8\xff", "JPEG image"),
    (b"GIF8", "GIF image"),
    (b"II*\0", "TIFF image"),
    (b"MM\0*", "TIFF image"),
    (b"RIFF", "RIFF container (audio, video or WebP)"),
    (b"OggS", "Ogg media"),
    (b"ID3", "MP3 audio"),
    (b"fLaC", "FLAC audio"),
    (b"\x1a\x45\xdf\xa3", "Matroska or WebM video"),
    (b"\x7fELF", "ELF program"),
    (b"MZ", "Windows program"),
    (b"\xca\xfe\xba\xbe", "Java class or Mach-O program"),
    (b"\xcf\xfa\xed\xfe", "Mach-O program"),
    (b"\0asm", "WebAssembly"),
    (b"SQLite format 3\0", "SQLite database"),
    (b"!<arch>\n", "ar archive"),
    (b"wOFF", "WOFF font"),
    (b"wOF2", "WOFF2 font"),
];

/// Decodes `bytes`.
///
/// # Errors
/// [`Refusal`] if `bytes` are empty or not text.
pub(super) fn decode(bytes: &[u8]) -> Result<String, Refusal> {
    if bytes.is_empty() {
        return Err(Refusal::new(ReasonCode::Empty, "empty file"));
    }
    if let Some((_, format)) = MAGIC
        .iter()
        .find(|(magic, _)| bytes.starts_with(magic) && !is_prose(magic, bytes))
    {
        return Err(Refusal::unsupported(format));
    }
    if let Some((encoding, bom)) = Encoding::for_bom(bytes) {
        return check(encoding.decode_without_bom_handling(&bytes[bom..]).0.into_owned());
    }
    let head = &bytes[..bytes.len().min(SAMPLE)];
    if head.contains(&0) {
        return match utf16_without_bom(head) {
            Some(encoding) => check(encoding.decode_without_bom_handling(bytes).0.into_owned()),
            None => Err(binary()),
        };
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        return check(text.to_owned());
    }
    let mut detector = EncodingDetector::new(chardetng::Iso2022JpDetection::Allow);
    detector.feed(bytes, true);
    let encoding = detector.guess(None, chardetng::Utf8Detection::Allow);
    check(encoding.decode_without_bom_handling(bytes).0.into_owned())
}

fn binary() -> Refusal {
    Refusal::new(ReasonCode::Binary, "binary file, not text")
}

/// Whether a file that begins with `magic` is text after all. Some magic numbers are also the beginning of words.
fn is_prose(magic: &[u8], bytes: &[u8]) -> bool {
    let may_be_word = [
        &b"MZ"[..],
        b"ID3",
        b"RIFF",
        b"GIF8",
        b"OggS",
        b"fLaC",
        b"wOFF",
        b"wOF2",
    ]
    .contains(&magic);
    may_be_word && std::str::from_utf8(&bytes[..bytes.len().min(64)]).is_ok_and(|text| !text.contains('\0'))
}

/// Recognizes UTF-16 without a byte order mark: in Latin text, every other byte is zero.
fn utf16_without_bom(head: &[u8]) -> Option<&'static Encoding> {
    let pairs = head.chunks_exact(2);
    let count = pairs.len().max(1);
    let (mut high_zero, mut low_zero, mut both_zero) = (0, 0, 0);
    for pair in pairs {
        match (pair[0], pair[1]) {
            (0, 0) => both_zero += 1,
            (0, _) => high_zero += 1,
            (_, 0) => low_zero += 1,
            _ => {}
        }
    }
    let most = |zeros: usize| zeros * 10 >= count * 6 && both_zero == 0;
    if most(high_zero) {
        Some(UTF_16BE)
    } else if most(low_zero) {
        Some(UTF_16LE)
    } else {
        None
    }
}

/// Refuses a text with too many control and replacement characters.
fn check(text: String) -> Result<String, Refusal> {
    let mut sampled = 0;
    let mut odd = 0;
    for c in text.chars().take(SAMPLE) {
        sampled += 1;
        let control = c.is_control() && !matches!(c, '\n' | '\r' | '\t' | '\u{c}' | '\u{1b}' | '\u{8}');
        odd += usize::from(control || c == char::REPLACEMENT_CHARACTER);
    }
    if odd as f64 > MAX_CONTROL_SHARE * sampled as f64 {
        return Err(binary());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_in_many_encodings_is_decoded() {
        let text = "Die Brücke über den Fluß ist schön und führt hinüber zur Mühle, größer als jede andere.";
        let (latin, _, _) = encoding_rs::WINDOWS_1252.encode(text);
        assert_eq!(decode(&latin).unwrap(), text);
        assert_eq!(decode(text.as_bytes()).unwrap(), text);
        assert_eq!(
            decode(&[b"\xef\xbb\xbf", text.as_bytes()].concat()).unwrap(),
            text
        );
        let units = |order: fn(u16) -> [u8; 2]| text.encode_utf16().flat_map(order).collect::<Vec<u8>>();
        assert_eq!(
            decode(&[&[0xff, 0xfe][..], &units(u16::to_le_bytes)].concat()).unwrap(),
            text
        );
        assert_eq!(decode(&units(u16::to_le_bytes)).unwrap(), text);
        assert_eq!(decode(&units(u16::to_be_bytes)).unwrap(), text);
        let japanese = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。";
        assert_eq!(
            decode(&encoding_rs::SHIFT_JIS.encode(japanese).0).unwrap(),
            japanese
        );
        let russian =
            "Все счастливые семьи похожи друг на друга, каждая несчастливая семья несчастлива по-своему.";
        assert_eq!(decode(&encoding_rs::KOI8_R.encode(russian).0).unwrap(), russian);
    }

    #[test]
    fn files_that_are_not_text_are_refused_with_their_format() {
        let refusal = |bytes: &[u8]| decode(bytes).unwrap_err();
        assert_eq!(
            refusal(b"\x89PNG\r\n\x1a\n..."),
            Refusal::unsupported("PNG image")
        );
        assert_eq!(refusal(b"").code, ReasonCode::Empty);
        assert_eq!(refusal(&[1, 2, 3, 0, 0, 0, 9, 200]).code, ReasonCode::Binary);
        assert_eq!(refusal(&[0, 0, 0, 0]).code, ReasonCode::Binary);
        assert_eq!(
            refusal(b"MZ\x90\0\x03\0"),
            Refusal::unsupported("Windows program")
        );
        assert_eq!(decode(b"MZ is also a word").unwrap(), "MZ is also a word");
    }
}
