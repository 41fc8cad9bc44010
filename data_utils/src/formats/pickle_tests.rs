use super::super::state_dict::{assemble, flatten};
use super::*;

fn refusal(program: &[u8]) -> Refusal {
    load(program).map(|(value, ..)| value).unwrap_err()
}

/// `GLOBAL module name`.
fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

#[test]
fn a_global_outside_the_table_is_refused_even_when_it_is_never_called() {
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("torch.hub", "load"),
        ("torch.storage", "_load_from_bytes"),
        ("torch", "FloatStorage.__init__"),
        ("numpy.core.multiarray", "fromfile"),
    ] {
        let program = [b"\x80\x02".as_slice(), &global(module, name), b"0N."].concat();
        assert_eq!(refusal(&program), Refusal::Forbidden(format!("{module}.{name}")));
        let (m, n) = (module.len() as u8, name.len() as u8);
        let by_stack =
            [b"\x80\x04\x8c", &[m][..], module.as_bytes(), b"\x8c", &[n], name.as_bytes(), b"\x93."].concat();
        assert_eq!(refusal(&by_stack), Refusal::Forbidden(format!("{module}.{name}")));
    }
}

#[test]
fn instructions_that_import_in_other_ways_are_unknown() {
    // INST, OBJ, EXT1 and the text forms of protocol 0.
    for program in [&b"(ios\nsystem\n."[..], b"(os.", b"\x82\x01.", b"S'x'\n.", b"I1\n."] {
        assert!(matches!(refusal(program), Refusal::Broken(_)), "{program:?}");
    }
}

#[test]
fn what_is_no_function_is_not_called() {
    for program in [&b"N)R."[..], b"}N\x81.", b"Nb.", b"N.N"] {
        drop(load(program));
    }
    assert!(matches!(refusal(b"N)R."), Refusal::Broken(_)));
    // A storage type is no function.
    let program = [&global("torch", "FloatStorage")[..], b")R."].concat();
    assert!(matches!(refusal(&program), Refusal::Broken(_)));
}

#[test]
fn a_program_that_misuses_its_stack_is_refused() {
    for program in [
        &b"0."[..],
        b".",
        b"t.",
        b"\x86.",
        b"N(\x85.",
        b"a.",
        b"]a.",
        b"u.",
        b"}(Nu.",
        b"h\x00.",
        b"N(0.",
        b"NQ.",
        b")Q.",
        b"N",
    ] {
        assert!(matches!(refusal(program), Refusal::Broken(_)), "{program:?}");
    }
}

#[test]
fn a_huge_length_is_refused_and_takes_no_memory() {
    for program in [
        &b"X\xff\xff\xff\xffab."[..],
        b"B\xff\xff\xff\x7f.",
        b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff.",
        b"\x8a\xffa.",
    ] {
        assert!(matches!(refusal(program), Refusal::Broken(_)), "{program:?}");
    }
}

#[test]
fn endless_nesting_and_endless_stacks_are_refused() {
    let deep = [b"]".repeat(100_000), b"a".repeat(99_999), b".".to_vec()].concat();
    let (value, parts, _) = load(&deep).unwrap();
    assert!(flatten(value, &parts).is_err());
    assert!(matches!(refusal(&b"N".repeat(300_000)), Refusal::Broken(_)));
    assert!(matches!(refusal(&b"(".repeat(3000)), Refusal::Broken(_)));
    assert!(matches!(refusal(&b"}0".repeat(300_000)), Refusal::Broken(_)));
}

#[test]
fn a_dict_that_holds_itself_is_refused() {
    let (value, parts, _) = load(b"}q\x00X\x01\x00\x00\x00ah\x00s.").unwrap();
    assert!(flatten(value, &parts).is_err());
}

#[test]
fn parts_shared_beyond_measure_are_refused() {
    // Fourteen lists, each holding the one before a hundred times.
    let mut program = b"]q\x00".to_vec();
    for level in 0..14u8 {
        program.extend(b"](");
        program.extend([b'h', level].repeat(100));
        program.extend([b'e', b'q', level + 1]);
    }
    program.push(b'.');
    let (value, parts, _) = load(&program).unwrap();
    assert!(flatten(value, &parts).is_err());
    // The same list of pairs made into a dict over and over.
    let mut program = global("collections", "OrderedDict");
    program.extend(b"q\x00](");
    program.extend(b"NN\x86".repeat(1000));
    program.extend(b"e\x85q\x01");
    program.extend(b"h\x00h\x01R".repeat(1000));
    program.push(b'.');
    assert!(matches!(refusal(&program), Refusal::Broken(_)));
}

/// `{'w': tensor}` over one float storage of `count`, with this offset, shape and strides.
fn one_tensor(count: u32, offset: u32, shape: &[u32], strides: &[u32]) -> Vec<u8> {
    let number = |n: &u32| [b"J".as_slice(), &n.to_le_bytes()].concat();
    let tuple =
        |numbers: &[u32]| [b"(".to_vec(), numbers.iter().flat_map(number).collect(), b"t".to_vec()].concat();
    [
        b"}X\x01\x00\x00\x00w".to_vec(),
        global("torch._utils", "_rebuild_tensor_v2"),
        b"((X\x07\x00\x00\x00storage".to_vec(),
        global("torch", "FloatStorage"),
        b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpu".to_vec(),
        number(&count),
        b"tQ".to_vec(),
        number(&offset),
        tuple(shape),
        tuple(strides),
        b"\x89NtRs.".to_vec(),
    ]
    .concat()
}

fn build(program: &[u8], storage: &[f32]) -> Outcome<Vec<f32>> {
    let bytes: Vec<u8> = storage.iter().flat_map(|v| v.to_le_bytes()).collect();
    let (value, parts, _) = load(program)?;
    let named = flatten(value, &parts)?;
    let tensors = assemble(&named, bytes.len() as u64, |_| Ok(bytes.clone()))?;
    Ok(tensors["w"].flatten_all().unwrap().to_vec1().unwrap())
}

#[test]
fn a_strided_view_takes_its_own_values() {
    let storage = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];
    assert_eq!(build(&one_tensor(6, 1, &[2, 2], &[1, 3]), &storage).unwrap(), [1.0, 4.0, 2.0, 5.0]);
    assert_eq!(build(&one_tensor(6, 5, &[1], &[77]), &storage).unwrap(), [5.0]);
    assert_eq!(build(&one_tensor(6, 9, &[0, 3], &[3, 1]), &storage).unwrap(), [0.0; 0]);
}

#[test]
fn views_beyond_their_storage_and_larger_than_memory_are_refused() {
    let storage = [0.0; 6];
    for program in [
        one_tensor(6, 0, &[7], &[1]),
        one_tensor(6, 5, &[2], &[1]),
        one_tensor(6, 0, &[2, 2], &[i32::MAX as u32, i32::MAX as u32]),
        one_tensor(6, 0, &[1 << 30], &[0]),
        one_tensor(6, 0, &[1 << 30, 1 << 30, 1 << 30], &[0, 0, 0]),
        one_tensor(6, 0, &[u32::MAX], &[1]),
        one_tensor(7, 0, &[1], &[1]),
        one_tensor(6, 0, &[2, 3], &[1]),
    ] {
        assert!(matches!(build(&program, &storage), Err(Refusal::Broken(_))));
    }
}
