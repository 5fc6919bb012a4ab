use super::*;
use proptest::prelude::*;

fn pack_of<T: AsRef<[u8]>>(elements: &[T]) -> Listpack {
    let mut pack = Listpack::new();
    elements.iter().for_each(|element| pack.push_back(element.as_ref()));
    pack
}

fn texts(pack: &Listpack) -> Vec<Vec<u8>> {
    pack.iter().map(|element| element.to_vec()).collect()
}

/// The entry of a single element, cut out of its listpack.
fn entry_of(element: &[u8]) -> Vec<u8> {
    let pack = pack_of(&[element]);
    pack.as_bytes()[HEADER_LEN..pack.end()].to_vec()
}

#[test]
fn golden_bytes_of_whole_listpacks() {
    assert_eq!(Listpack::new().as_bytes(), [7, 0, 0, 0, 0, 0, 0xFF]);
    let golden = [0x10, 0, 0, 0, 2, 0, 0x85, b'h', b'e', b'l', b'l', b'o', 0x06, 0x2A, 0x01, 0xFF];
    assert_eq!(pack_of(&["hello", "42"]).as_bytes(), golden);
    assert_eq!(texts(&Listpack::from_bytes(golden.to_vec()).unwrap()), [&b"hello"[..], b"42"]);
}

#[test]
fn golden_bytes_of_integers() {
    for (text, golden) in [
        ("0", &[0x00, 0x01][..]),
        ("127", &[0x7F, 0x01]),
        ("128", &[0xC0, 0x80, 0x02]),
        ("-1", &[0xDF, 0xFF, 0x02]),
        ("4095", &[0xCF, 0xFF, 0x02]),
        ("-4096", &[0xD0, 0x00, 0x02]),
        ("4096", &[0xF1, 0x00, 0x10, 0x03]),
        ("-32768", &[0xF1, 0x00, 0x80, 0x03]),
        ("32768", &[0xF2, 0x00, 0x80, 0x00, 0x04]),
        ("-8388608", &[0xF2, 0x00, 0x00, 0x80, 0x04]),
        ("8388608", &[0xF3, 0x00, 0x00, 0x80, 0x00, 0x05]),
        ("-2147483648", &[0xF3, 0x00, 0x00, 0x00, 0x80, 0x05]),
        ("2147483648", &[0xF4, 0, 0, 0, 0x80, 0, 0, 0, 0, 0x09]),
        ("-9223372036854775808", &[0xF4, 0, 0, 0, 0, 0, 0, 0, 0x80, 0x09]),
    ] {
        assert_eq!(entry_of(text.as_bytes()), golden, "{text}");
        assert_eq!(texts(&pack_of(&[text])), [text.as_bytes()]);
    }
    assert_eq!(entry_of(b"007"), [0x83, b'0', b'0', b'7', 0x04]);
}

#[test]
fn golden_heads_and_back_lengths_of_strings() {
    for (len, head, back) in [
        (0, &[0x80][..], &[0x01][..]),
        (63, &[0xBF], &[0x40]),
        (64, &[0xE0, 0x40], &[0x42]),
        (125, &[0xE0, 0x7D], &[0x7F]),
        (126, &[0xE0, 0x7E], &[0x01, 0x80]),
        (4095, &[0xEF, 0xFF], &[0x20, 0x81]),
        (4096, &[0xF0, 0x00, 0x10, 0, 0], &[0x20, 0x85]),
        (16_377, &[0xF0, 0xF9, 0x3F, 0, 0], &[0x7F, 0xFE]),
        (16_378, &[0xF0, 0xFA, 0x3F, 0, 0], &[0x00, 0xFF, 0xFF]),
        (2_097_146, &[0xF0, 0xFA, 0xFF, 0x1F, 0], &[0x00, 0xFF, 0xFF, 0xFF]),
    ] {
        let element = vec![b'x'; len];
        let golden = [head, &element, back].concat();
        assert!(entry_of(&element) == golden, "{len}");
        let pack = pack_of(&[&element[..], b"tail"]);
        assert_eq!(pack.iter().next_back(), Some(Scalar::Bytes(b"tail")));
        assert!(pack.iter().nth_back(1) == Some(Scalar::Bytes(&element)), "{len}");
        assert!(Listpack::from_bytes(pack.as_bytes().to_vec()) == Some(pack));
    }
}

#[test]
fn what_is_not_a_listpack_is_refused() {
    let good = pack_of(&["hello", "-300", "70000"]).as_bytes().to_vec();
    for len in 0..good.len() {
        assert_eq!(Listpack::from_bytes(good[..len].to_vec()), None);
    }
    let broken = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        Listpack::from_bytes(bytes)
    };
    assert_eq!(broken(0, 99), None, "total");
    assert_eq!(broken(4, 2), None, "count");
    assert_eq!(broken(6, 0xF5), None, "unknown encoding");
    assert_eq!(broken(6, 0x86), None, "length of a string");
    assert_eq!(broken(12, 0x05), None, "length behind it");
    assert_eq!(broken(good.len() - 1, 0), None, "final byte");
    let uncounted = broken(4, 0xFF).or_else(|| {
        let mut bytes = good.clone();
        bytes[4..6].fill(0xFF);
        Listpack::from_bytes(bytes)
    });
    assert_eq!(uncounted.unwrap().len(), 3);
}

#[test]
fn more_elements_than_the_header_counts() {
    let mut pack = pack_of(&vec!["1"; 65_534]);
    assert_eq!(pack.count_field(), 65_534);
    pack.push_back(b"2");
    pack.push_front(b"2");
    assert_eq!((pack.count_field(), pack.len()), (COUNT_UNKNOWN, 65_536));
    assert_eq!(pack.get(pack.seek(65_535).unwrap()), Scalar::Int(2));
    pack.remove_at(pack.first());
    assert_eq!(pack.len(), 65_535);
    assert_eq!(Listpack::from_bytes(pack.as_bytes().to_vec()), Some(pack));
}

#[test]
fn find_looks_only_at_every_step() {
    let pack = pack_of(&["a", "b", "b", "c"]);
    assert_eq!(pack.find(Needle::new(b"b"), 2), pack.seek(2));
    assert_eq!(pack.find(Needle::new(b"b"), 1), pack.seek(1));
    assert_eq!(pack.find(Needle::new(b"c"), 2), None);
}

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<i64>().prop_map(|value| value.to_string().into_bytes()),
        (-5000i64..5000).prop_map(|value| value.to_string().into_bytes()),
        prop::collection::vec(any::<u8>(), 0..80),
        prop::collection::vec(any::<u8>(), 4000..4200),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn edits_are_those_of_a_vec(edits in prop::collection::vec((0u8..6, any::<prop::sample::Index>(), element()), 1..60)) {
        let (mut pack, mut model) = (Listpack::new(), Vec::<Vec<u8>>::new());
        for (kind, at, element) in edits {
            let at = at.index(model.len() + 1);
            let position = pack.seek(at).unwrap();
            match kind {
                0 if at < model.len() => {
                    pack.remove_at(position);
                    model.remove(at);
                }
                1 if at < model.len() => {
                    let after = pack.replace_at(position, &element);
                    prop_assert_eq!(Some(after), pack.seek(at + 1));
                    model[at] = element;
                }
                2 => {
                    let right = pack.split_off(at);
                    prop_assert_eq!(right.len(), model.len() - at);
                    pack.append(&right);
                }
                3 if at < model.len() => {
                    pack.remove_span(position, pack.end(), model.len() - at);
                    model.truncate(at);
                }
                _ => {
                    let after = pack.insert_at(position, &element);
                    prop_assert_eq!(Some(after), pack.seek(at + 1));
                    model.insert(at, element);
                }
            }
            prop_assert_eq!(texts(&pack), model.clone());
            let mut backwards: Vec<_> = pack.iter().rev().map(|element| element.to_vec()).collect();
            backwards.reverse();
            prop_assert_eq!(&backwards, &model);
            prop_assert_eq!(pack.len(), model.len());
            prop_assert_eq!(Listpack::from_bytes(pack.as_bytes().to_vec()), Some(pack.clone()));
        }
    }

    #[test]
    fn hostile_bytes_are_refused_or_readable(
        elements in prop::collection::vec(element(), 0..8),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = pack_of(&elements).as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(pack) = Listpack::from_bytes(bytes) {
            prop_assert_eq!(pack.iter().count(), pack.iter().rev().count());
            prop_assert_eq!(pack.iter().count(), pack.len());
        }
    }

    #[test]
    fn random_bytes_never_panic(mut bytes in prop::collection::vec(any::<u8>(), 0..40), fix: bool) {
        if fix && bytes.len() > HEADER_LEN {
            let total = (bytes.len() as u32).to_le_bytes();
            bytes[..4].copy_from_slice(&total);
            bytes[4..6].fill(0xFF);
            *bytes.last_mut().unwrap() = END;
        }
        if let Some(pack) = Listpack::from_bytes(bytes) {
            prop_assert_eq!(pack.iter().count(), pack.iter().rev().count());
        }
    }
}
