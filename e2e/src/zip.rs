//! A zip file of one program that is stored as it is: what a function's code comes in.

/// The file's bytes.
pub(crate) fn of_program(name: &str, program: &[u8]) -> Vec<u8> {
    let size = u32::try_from(program.len()).expect("a program is smaller than 4 GB");
    let name_size = u16::try_from(name.len()).expect("a name is short");
    // What the entry and the directory say alike: version, flags, method, time, day, checksum, sizes.
    let mut about = Vec::new();
    about.extend(20_u16.to_le_bytes());
    about.extend([0; 4]);
    about.extend([0, 0, 0x21, 0]); // 1980-01-01, so that the same program is the same file
    about.extend(checksum(program).to_le_bytes());
    about.extend(size.to_le_bytes());
    about.extend(size.to_le_bytes());
    about.extend(name_size.to_le_bytes());
    about.extend([0; 2]);
    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend(&about);
    zip.extend(name.as_bytes());
    zip.extend(program);
    let directory_at = u32::try_from(zip.len()).expect("a program is smaller than 4 GB");
    zip.extend(b"PK\x01\x02");
    zip.extend([20, 3]); // made on Unix, whose modes follow
    zip.extend(&about);
    zip.extend([0; 6]);
    zip.extend((0o100_755_u32 << 16).to_le_bytes());
    zip.extend([0; 4]);
    zip.extend(name.as_bytes());
    let directory_size = u32::try_from(zip.len()).expect("a program is smaller than 4 GB") - directory_at;
    zip.extend(b"PK\x05\x06");
    zip.extend([0, 0, 0, 0, 1, 0, 1, 0]);
    zip.extend(directory_size.to_le_bytes());
    zip.extend(directory_at.to_le_bytes());
    zip.extend([0; 2]);
    zip
}

/// CRC-32 as zip files have it.
fn checksum(bytes: &[u8]) -> u32 {
    let table: [u32; 256] = std::array::from_fn(|byte| {
        (0..8).fold(byte as u32, |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 })
    });
    let step = |crc: u32, byte: &u8| table[((crc ^ u32::from(*byte)) & 0xff) as usize] ^ crc >> 8;
    !bytes.iter().fold(!0, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checksum_is_the_one_that_everybody_makes() {
        assert_eq!(checksum(b"123456789"), 0xcbf4_3926);
    }
}
