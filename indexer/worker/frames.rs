//! Frames between the two processes: a length of four bytes, little-endian, then that many bytes.

use std::io::{ErrorKind, Read, Write};

/// Longest frame, bytes. Both sides run the same program, so a longer one means that something else writes to the pipe.
const MAX_LENGTH: u32 = 1 << 30;

/// Writes `parts` as one frame.
pub(super) fn write(output: &mut impl Write, parts: &[&[u8]]) -> std::io::Result<()> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let length = u32::try_from(length).ok().filter(|length| *length <= MAX_LENGTH);
    let length = length.ok_or_else(|| std::io::Error::other("frame too long"))?;
    output.write_all(&length.to_le_bytes())?;
    for part in parts {
        output.write_all(part)?;
    }
    output.flush()
}

/// Reads a frame. Returns `None` if the other side has closed the pipe.
pub(super) fn read(input: &mut impl Read) -> std::io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match input.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length);
    if length > MAX_LENGTH {
        return Err(std::io::Error::other("frame too long"));
    }
    let mut frame = Vec::new();
    input.take(u64::from(length)).read_to_end(&mut frame)?;
    if frame.len() == length as usize {
        Ok(Some(frame))
    } else {
        Err(ErrorKind::UnexpectedEof.into())
    }
}

/// The head of a request: the length of the path in four bytes, then the path. The bytes of the file follow.
pub(super) fn request_head(path: &str) -> Vec<u8> {
    let length = path.len() as u32;
    [&length.to_le_bytes(), path.as_bytes()].concat()
}

/// Splits a request into the path and the bytes of the file.
pub(super) fn split_request(request: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = request.split_first_chunk::<4>()?;
    let (path, bytes) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((std::str::from_utf8(path).ok()?, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_round_trip_and_bad_ones_are_errors() {
        let mut stream = Vec::new();
        write(&mut stream, &[&request_head("a/ü.pdf"), b"\x00bytes"]).unwrap();
        write(&mut stream, &[]).unwrap();
        let mut input = stream.as_slice();
        let request = read(&mut input).unwrap().unwrap();
        assert_eq!(split_request(&request), Some(("a/ü.pdf", &b"\x00bytes"[..])));
        assert_eq!(read(&mut input).unwrap(), Some(Vec::new()));
        assert_eq!(read(&mut input).unwrap(), None);
        assert!(read(&mut &stream[..9]).is_err());
        assert!(read(&mut &[255u8; 8][..]).is_err());
        assert_eq!(split_request(&[200, 0, 0, 0, 1]), None);
    }
}
