use super::*;

/// A file image with this header dict and these bytes of values.
fn image(header: &str, values: &[u8]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend([1, 0]);
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(values);
    bytes
}

fn parse(bytes: &[u8]) -> std::result::Result<NpyArray, String> {
    read_from(&mut &bytes[..], bytes.len() as u64)
}

#[test]
fn what_is_written_is_read_back() {
    let dir = tempfile::tempdir().unwrap();
    for shape in [vec![], vec![0], vec![3], vec![2, 3], vec![2, 1, 4]] {
        let count = shape.iter().product::<usize>();
        let data: Vec<f32> = (0..count).map(|i| i as f32 * 0.37 - 1.0).collect();
        let path = dir.path().join("a.npy");
        write(&path, &shape, &data).unwrap();
        assert_eq!(read(&path).unwrap(), NpyArray { shape, data });
        assert_eq!(std::fs::read(&path).unwrap().len() % 64, count * 4 % 64);
    }
}

#[test]
fn a_shape_that_does_not_fit_its_values_is_not_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.npy");
    assert!(matches!(write(&path, &[2, 2], &[1.0]), Err(Error::Internal(_))));
    assert!(!path.exists());
}

#[test]
fn every_number_type_becomes_f32() {
    let one = |descr: &str, bytes: &[u8]| {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (1,), }}");
        parse(&image(&header, bytes)).unwrap().data[0]
    };
    assert_eq!(one("<f2", &0xc200u16.to_le_bytes()), -3.0);
    assert_eq!(one("<f2", &0x0001u16.to_le_bytes()), 2f32.powi(-24));
    assert_eq!(one("<f4", &1.5f32.to_le_bytes()), 1.5);
    assert_eq!(one("<f8", &(-0.25f64).to_le_bytes()), -0.25);
    assert_eq!(one("|i1", &[0xff]), -1.0);
    assert_eq!(one("<i2", &(-300i16).to_le_bytes()), -300.0);
    assert_eq!(one("<i4", &(-70_000i32).to_le_bytes()), -70_000.0);
    assert_eq!(one("<i8", &(-5i64).to_le_bytes()), -5.0);
    assert_eq!(one("|u1", &[0xff]), 255.0);
    assert_eq!(one("<u2", &65_535u16.to_le_bytes()), 65_535.0);
    assert_eq!(one("<u4", &7u32.to_le_bytes()), 7.0);
    assert_eq!(one("<u8", &u64::MAX.to_le_bytes()), 18_446_744_073_709_551_615.0);
    assert_eq!(one("|b1", &[1]), 1.0);
}

#[test]
fn fortran_order_is_turned_into_c_order() {
    // The 2 × 3 array [[0, 1, 2], [3, 4, 5]] as its columns.
    let array =
        parse(&image("{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3)}", &[0, 3, 1, 4, 2, 5]))
            .unwrap();
    assert_eq!(array.data, [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(array.shape, [2, 3]);
}

#[test]
fn an_object_array_is_refused_by_name() {
    let found =
        parse(&image("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}", b"\x80\x02N.")).unwrap_err();
    assert!(found.contains("object array"), "{found}");
}

#[test]
fn big_endian_structured_and_unknown_types_are_refused() {
    for (descr, word) in [
        ("'>f4'", "big-endian"),
        ("[('a', '<f4')]", "structured"),
        ("'<c8'", "c8"),
        ("'<U4'", "U4"),
        ("''", "empty"),
    ] {
        let header = format!("{{'descr': {descr}, 'fortran_order': False, 'shape': (1,)}}");
        let found = parse(&image(&header, &[0; 16])).unwrap_err();
        assert!(found.contains(word), "{found}");
    }
}

#[test]
fn a_count_that_is_not_the_files_length_is_refused() {
    for shape in
        ["(5,)", "(3,)", "(4294967295, 4294967295, 4294967295)", "(18446744073709551615,)", "(-4,)", "(4.0,)"]
    {
        let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}}}");
        assert!(parse(&image(&header, &[0; 16])).is_err(), "{shape}");
    }
}

#[test]
fn a_huge_header_is_refused_before_it_is_read() {
    let mut bytes = MAGIC.to_vec();
    bytes.extend([2, 0]);
    bytes.extend(u32::MAX.to_le_bytes());
    let found = parse(&bytes).unwrap_err();
    assert!(found.contains("4294967295"), "{found}");
}

#[test]
fn headers_of_python_2_and_of_version_3_are_read() {
    let array =
        parse(&image("{'descr': '<f4', 'fortran_order': False, 'shape': (1L, 1L)}", &1f32.to_le_bytes()))
            .unwrap();
    assert_eq!(array.shape, [1, 1]);
    let header = "{\"descr\": \"<f4\", \"fortran_order\": False, \"shape\": ()}";
    let mut bytes = MAGIC.to_vec();
    bytes.extend([3, 0]);
    bytes.extend((header.len() as u32).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(2f32.to_le_bytes());
    assert_eq!(parse(&bytes).unwrap(), NpyArray { shape: vec![], data: vec![2.0] });
}
