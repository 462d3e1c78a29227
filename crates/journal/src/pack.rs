//! Compressed months of the record log.

use std::io;

/// A compressed month's bytes.
pub(crate) fn unpack(packed: &[u8]) -> io::Result<Vec<u8>> {
    zstd::stream::decode_all(packed).map_err(|error| {
        let help = "a start fills in what the segments have; restore it from a copy otherwise";
        io::Error::new(error.kind(), format!("it cannot be decompressed ({error}): {help}"))
    })
}
