//! Gzip, bounded.
//!
//! The same input has the same output in one build: no time and no name stands in the header.

use std::io::{self, Read as _, Write as _};

use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;

/// What a Secret may hold once unpacked. A shard is at most 512 KiB packed, and JSON of targets packs
/// about sixfold: this leaves room for tenfold that, and stops a bomb.
pub(super) const UNPACKED_MAX_BYTES: u64 = 32 * 1024 * 1024;

/// Packs.
pub(super) fn pack(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// Unpacks.
///
/// # Errors
/// When it is no gzip, is cut off, or is too large.
pub(super) fn unpack(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut unpacked = Vec::new();
    let mut reader = GzDecoder::new(bytes).take(UNPACKED_MAX_BYTES + 1);
    reader.read_to_end(&mut unpacked)?;
    if unpacked.len() as u64 > UNPACKED_MAX_BYTES {
        let message = format!("has more than {UNPACKED_MAX_BYTES} bytes when unpacked");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(unpacked)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_unpacked_and_packs_the_same_again() {
        let bytes = b"order, order, order".repeat(100);
        let packed = pack(&bytes);
        assert!(packed.len() < bytes.len() / 4);
        assert_eq!(packed, pack(&bytes));
        assert_eq!(unpack(&packed).unwrap(), bytes);
    }

    #[test]
    fn what_is_cut_off_foreign_or_a_bomb_is_refused() {
        let packed = pack(b"order");
        assert!(unpack(&packed[..packed.len() - 1]).is_err());
        assert!(unpack(b"order").is_err());
        let bomb = pack(&vec![0; usize::try_from(UNPACKED_MAX_BYTES).unwrap() + 1]);
        assert!(bomb.len() < 512 * 1024);
        let error = unpack(&bomb).unwrap_err().to_string();
        assert!(error.contains("when unpacked"), "{error}");
    }
}
