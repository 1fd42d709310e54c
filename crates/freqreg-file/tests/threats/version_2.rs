//! Version 2 of the format.

use super::*;

/// A sealed file of version 2 with this behind the version.
fn file_2(table: &[u8], values: &[u8]) -> Vec<u8> {
    sealed(&[b"\xFDFRQ\x02", table, values].concat())
}

#[test]
fn unknown_heads() {
    // An architecture by number 31, a configuration of the unknown form, packed JSON of the unknown kind, or nested without end.
    let deep = [&[0b10_0, 0][..], &[0b011_00001; 100]].concat();
    for head in [
        &[0b11111_00_0, 0][..],
        &[0b00001_11_0, 0],
        &[0b00001_10_0, 0xFF, 0],
        &[0b00001_10_0, 0b001_11111, 200, 0],
        &deep,
    ] {
        let error = refused(&file_2(head, &[]));
        assert!(matches!(error, Error::Malformed { .. }), "{error:?}");
    }
}

#[test]
fn rows_that_refer_to_nothing() {
    // A name that shares two bytes with none; a row like the one before the first; and one that says so and more.
    for row in [
        &[0b1, 2, 1, b't', 1, 1, 1][..],
        &[0b0100_0000, 0, 1, b't', 1, 1],
        &[0b0100_0001, 0, 1, b't', 1, 1, 1],
        &[0b0000_0111, 0, 1, b't', 1, 1, 1],
        &[0b0010_0000, 0, 1, b't', 1, 1, 1, 1],
    ] {
        let error = refused(&file_2(&[&[0, 1, b'a', 1], row].concat(), &[0; 2]));
        assert!(
            matches!(error, Error::Malformed { .. }),
            "{row:?}: {error:?}"
        );
    }
}

#[test]
fn rows_like_one_with_axes_of_its_own() {
    let rows = [
        0b0010_0001,
        0,
        1,
        b's',
        1,
        6,
        2,
        2,
        3,
        1,
        0b0100_0000,
        0,
        1,
        b't',
        1,
        6,
    ];
    let error = refused(&file_2(&[&[0, 1, b'a', 2][..], &rows].concat(), &[0; 4]));
    assert!(error.to_string().contains("axes of its own"), "{error}");
    let repeated = [0b0010_0001, 0, 1, b't', 1, 6, 1, 6, 1];
    let error = refused(&file_2(
        &[&[0, 1, b'a', 1][..], &repeated].concat(),
        &[0; 2],
    ));
    assert!(error.to_string().contains("not repeated"), "{error}");
}

#[test]
fn sums_beyond_what_can_be_counted() {
    let most = Limits {
        kept: usize::MAX,
        elements: usize::MAX,
        ..Limits::default()
    };
    let size = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20];
    for form in [0b001, 0b101] {
        let mut rows = vec![0, 1, b'a', 9];
        for name in b'a'..=b'i' {
            rows.extend([form, 0, 1, name, 1]);
            rows.extend(size);
            rows.extend(size);
            if form == 0b101 {
                rows.extend([0, 0x34]);
            }
        }
        let error = Model::from_bytes_limited(&file_2(&rows, &[]), most).unwrap_err();
        assert!(matches!(error, Error::Length { .. }), "{error:?}");
    }
}

#[test]
fn a_configuration_longer_than_its_limit() {
    // An array of a thousand times the same word.
    let config = [
        &[0b00001_10_0, 0b011_11111, 0xC9, 0x07][..],
        &[0b001_01011; 1000],
        &[0],
    ]
    .concat();
    let bytes = file_2(&config, &[]);
    assert!(Model::from_bytes(&bytes).is_ok());
    let limits = Limits {
        table_bytes: 2000,
        ..Limits::default()
    };
    assert!(Model::from_bytes_limited(&bytes, limits).is_err());
}

#[test]
fn steps_that_are_none() {
    // Zero, negative, infinite, and no number.
    for step in [[0, 0], [0, 0xB4], [0, 0x7C], [1, 0x7E]] {
        let row = [0b101, 0, 1, b't', 1, 4, 2, step[0], step[1]];
        let bytes = file_2(&[&[0, 1, b'a', 1][..], &row].concat(), &[0; 2]);
        assert!(matches!(fault(&bytes), Fault::Step { .. }), "{step:?}");
    }
}

#[test]
fn claims_that_bytes_do_not_carry() {
    // A million quantised values in a few bytes; 2^63 values; a name repeated until nothing holds it.
    let million = [
        0b101, 0, 1, b't', 1, 0xC0, 0x84, 0x3D, 0xC0, 0x84, 0x3D, 0, 0x34,
    ];
    let bytes = file_2(&[&[0, 1, b'a', 1][..], &million].concat(), &[1, 2, 3]);
    assert!(matches!(refused(&bytes), Error::Length { .. }));
    let huge = [&[0b101, 0, 1, b't', 1][..], &HUGE, &HUGE, &[0, 0x34]].concat();
    refused(&file_2(&[&[0, 1, b'a', 1][..], &huge].concat(), &[]));
    let letters = vec![b'n'; 60_000];
    let mut rows = [
        &[0, 1, b'a', 0xE8, 0x07, 1, 0, 0xE0, 0xD4, 0x03][..],
        &letters,
        &[1, 9, 1],
    ]
    .concat();
    for i in 1..1000u32 {
        // 60,000 letters of the name before, and two of its own.
        rows.extend([
            0b100_0000,
            0xE0,
            0xD4,
            0x03,
            2,
            b'a' + (i % 26) as u8,
            b'a' + (i / 26 % 26) as u8,
            1,
            9,
        ]);
    }
    assert!(matches!(
        refused(&file_2(&rows, &[0; 2000])),
        Error::Limit {
            what: "bytes of names",
            ..
        }
    ));
}
