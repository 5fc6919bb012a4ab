use super::*;
use proptest::prelude::*;

type Model = Vec<Vec<u8>>;

fn limits(size: i32) -> EncodingLimits {
    EncodingLimits { list_max_listpack_size: size, ..Default::default() }
}

fn list_of(elements: impl IntoIterator<Item = impl AsRef<[u8]>>, limits: &EncodingLimits) -> List {
    let mut list = List::new();
    elements.into_iter().for_each(|element| list.push(End::Back, element.as_ref(), limits));
    list
}

fn model_of<'a>(elements: impl IntoIterator<Item = Scalar<'a>>) -> Model {
    elements.into_iter().map(|element| element.to_vec()).collect()
}

#[test]
fn a_list_is_a_quicklist_while_it_is_longer_than_a_node() {
    let limits = limits(8);
    let mut list = list_of(["x"; 8], &limits);
    assert_eq!((list.encoding(), list.node_count()), ("listpack", 1));
    list.push(End::Back, b"x", &limits);
    assert_eq!((list.encoding(), list.node_count()), ("quicklist", 2));
    for left in [8, 7, 6, 5] {
        list.pop(End::Back, &limits, |_| ());
        assert_eq!((list.encoding(), list.len()), ("quicklist", left));
    }
    list.pop(End::Back, &limits, |_| ());
    assert_eq!((list.encoding(), list.len()), ("listpack", 4));
}

#[test]
fn nodes_are_limited_in_bytes() {
    let limits = EncodingLimits::default();
    let mut list = list_of([[b'x'; 1000]; 8], &limits);
    assert_eq!(list.encoding(), "listpack");
    list.push(End::Front, &[b'y'; 1000], &limits);
    assert_eq!(list.node_count(), 2);
    for size in [-1, -3, -5, -9] {
        let bytes = 4096 << ((-size).min(5) - 1);
        let limit = NodeLimit::of(&super::tests::limits(size));
        assert!(!limit.exceeded(bytes, usize::MAX) && limit.exceeded(bytes + 1, 1));
    }
}

#[test]
fn huge_elements_are_plain_nodes() {
    let limits = EncodingLimits::default();
    let huge = vec![b'h'; 8193];
    let mut list = list_of([&b"a"[..], &huge, b"b"], &limits);
    let plain = |list: &List| list.nodes().map(|node| matches!(node, NodeRef::Plain(_))).collect::<Vec<_>>();
    assert_eq!(plain(&list), [false, true, false]);
    assert!(list.get(1) == Some(Scalar::Bytes(&huge)));
    assert!(list.set(1, b"small", &limits));
    assert!(list.set(0, &huge, &limits));
    assert!(plain(&list)[0]);
    assert_eq!(model_of(list.range_rev(1..3)), [&b"b"[..], b"small"]);
    assert_eq!(list.remove(&huge, 0, &limits), 1);
    assert_eq!((list.encoding(), list.len()), ("listpack", 2));
}

#[test]
fn nodes_from_rdb_make_a_list() {
    let limits = limits(4);
    let pack = |elements: &[&str]| {
        let mut pack = Listpack::new();
        elements.iter().for_each(|element| pack.push_back(element.as_bytes()));
        pack
    };
    let mut list = List::new();
    list.append_packed(pack(&["a", "b", "c"]));
    list.append_packed(pack(&[]));
    list.normalize(&limits);
    assert_eq!((list.encoding(), list.len()), ("listpack", 3));
    list.append_plain(b"plain".to_vec());
    list.append_packed(pack(&["1"; 9]));
    list.normalize(&limits);
    assert_eq!((list.encoding(), list.len(), list.node_count()), ("quicklist", 13, 3));
    assert_eq!(list.get(3), Some(Scalar::Bytes(b"plain")));
    let mut empty = List::new();
    empty.append_packed(pack(&[]));
    empty.normalize(&limits);
    assert!(empty.is_empty() && empty.get(0).is_none() && empty.pop(End::Back, &limits, |_| ()).is_none());
}

#[test]
fn positions_by_rank_count_and_length() {
    let list = list_of(["a", "b", "c", "1", "2", "3", "c", "c"], &limits(3));
    let positions = |rank, count, max_len| {
        let mut found = Vec::new();
        list.positions(b"c", PositionQuery { rank, count, max_len }, &mut |index| found.push(index));
        found
    };
    assert_eq!(positions(1, 1, 0), [2]);
    assert_eq!(positions(2, 0, 0), [6, 7]);
    assert_eq!(positions(-1, 2, 0), [7, 6]);
    assert_eq!(positions(-2, 0, 2), [6]);
    assert_eq!(positions(1, 0, 2), []);
    assert_eq!(positions(-4, 1, 0), []);
    assert_eq!(positions(i64::MIN, 1, 0), []);
}

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => (0u8..6).prop_map(|i| i.to_string().into_bytes()),
        4 => (b'a'..b'e').prop_map(|letter| vec![letter; 30]),
        1 => (4000usize..4200).prop_map(|len| vec![b'h'; len]),
    ]
}

#[derive(Clone, Debug)]
enum Edit {
    Push(bool, Vec<u8>),
    Pop(bool),
    Set(i64, Vec<u8>),
    Insert(bool, Vec<u8>, Vec<u8>),
    Remove(Vec<u8>, i64),
    Trim(usize, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    prop_oneof![
        6 => (any::<bool>(), element()).prop_map(|(front, element)| Edit::Push(front, element)),
        2 => any::<bool>().prop_map(Edit::Pop),
        2 => (-30i64..30, element()).prop_map(|(index, element)| Edit::Set(index, element)),
        6 => (any::<bool>(), element(), element()).prop_map(|(before, pivot, element)| Edit::Insert(before, pivot, element)),
        1 => (element(), -3i64..4).prop_map(|(element, count)| Edit::Remove(element, count)),
        1 => (0usize..4, 0usize..60).prop_map(|(start, end)| Edit::Trim(start, end)),
    ]
}

/// Does the same to the list and to the model, and checks what both say.
fn apply(edit: Edit, list: &mut List, model: &mut Model, limits: &EncodingLimits) {
    let end = |front| if front { End::Front } else { End::Back };
    match edit {
        Edit::Push(front, element) => {
            list.push(end(front), &element, limits);
            model.insert(if front { 0 } else { model.len() }, element);
        }
        Edit::Pop(front) => {
            let popped = list.pop(end(front), limits, |element| element.to_vec());
            let expected = match front {
                _ if model.is_empty() => None,
                true => Some(model.remove(0)),
                false => model.pop(),
            };
            assert_eq!(popped, expected);
        }
        Edit::Set(index, element) => {
            let at = if index < 0 { index + model.len() as i64 } else { index };
            let slot = usize::try_from(at).ok().and_then(|at| model.get_mut(at));
            assert_eq!(list.set(index, &element, limits), slot.is_some());
            slot.into_iter().for_each(|slot| slot.clone_from(&element));
        }
        Edit::Insert(before, pivot, element) => {
            let place = if before { Place::Before } else { Place::After };
            let at = model.iter().position(|element| *element == pivot);
            assert_eq!(list.insert(place, &pivot, &element, limits), at.is_some());
            at.into_iter().for_each(|at| model.insert(at + usize::from(!before), element.clone()));
        }
        Edit::Remove(element, count) => {
            let mut matches: Vec<_> = (0..model.len()).filter(|&i| model[i] == element).collect();
            if count < 0 {
                matches.reverse();
            }
            matches.truncate(if count == 0 { usize::MAX } else { count.unsigned_abs() as usize });
            assert_eq!(list.remove(&element, count, limits), matches.len());
            let mut index = 0;
            model.retain(|_| (!matches.contains(&index), index += 1).0);
        }
        Edit::Trim(start, end) => {
            list.trim(start..end, limits);
            model.truncate(end);
            model.drain(..start.min(model.len()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn edits_are_those_of_a_vec(
        edits in prop::collection::vec(edit(), 1..100),
        size in prop::sample::select(vec![-1, 1, 2, 5, 128]),
        from: prop::sample::Index,
        to: prop::sample::Index,
    ) {
        let (mut list, mut model, limits) = (List::new(), Model::new(), limits(size));
        for edit in edits {
            apply(edit, &mut list, &mut model, &limits);
            prop_assert_eq!(list.len(), model.len());
            prop_assert_eq!(list.encoding() == "listpack", matches!(list.repr, Repr::Packed(_)));
        }
        prop_assert_eq!(&model_of(&list), &model);
        let (from, to) = (from.index(model.len() + 1), to.index(model.len() + 2));
        let expected = model.get(from..to.clamp(from, model.len())).unwrap();
        prop_assert_eq!(model_of(list.range(from..to)), expected);
        prop_assert_eq!(list.range(from..to).len(), expected.len());
        let mut backwards = model_of(list.range_rev(from..to));
        backwards.reverse();
        prop_assert_eq!(backwards, expected);
        for i in 0..model.len() as i64 {
            prop_assert_eq!(&list.get(i).unwrap().to_vec(), &model[i as usize]);
            prop_assert_eq!(list.get(i), list.get(i - model.len() as i64));
        }

        let mut copy = List::new();
        for node in list.nodes() {
            match node {
                NodeRef::Packed(pack) => copy.append_packed(Listpack::from_bytes(pack.as_bytes().to_vec()).unwrap()),
                NodeRef::Plain(element) => copy.append_plain(element.to_vec()),
            }
        }
        copy.normalize(&limits);
        prop_assert_eq!(&model_of(&copy), &model);
    }
}
