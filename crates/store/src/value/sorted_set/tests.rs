use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Members with their scores; sorted when needed.
type Model = BTreeMap<Vec<u8>, f64>;

fn ordered(model: &Model) -> Vec<(Vec<u8>, f64)> {
    let mut pairs: Vec<_> = model.iter().map(|(member, score)| (member.clone(), *score)).collect();
    pairs.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap().then_with(|| a.0.cmp(&b.0)));
    pairs
}

fn pairs_of<'a>(members: impl IntoIterator<Item = (Scalar<'a>, f64)>) -> Vec<(Vec<u8>, f64)> {
    members.into_iter().map(|(member, score)| (member.to_vec(), score)).collect()
}

fn small_limits() -> EncodingLimits {
    EncodingLimits { zset_max_listpack_entries: 10, zset_max_listpack_value: 8, ..Default::default() }
}

fn set_of(pairs: &[(&str, f64)], limits: &EncodingLimits) -> SortedSet {
    let mut set = SortedSet::new();
    for (member, score) in pairs {
        let outcome = set.add(member.as_bytes(), *score, AddOptions::default(), limits);
        assert_eq!(outcome, AddOutcome::Added(*score));
    }
    set
}

/// The same members in each encoding.
fn in_both_encodings(pairs: &[(&str, f64)]) -> [SortedSet; 2] {
    let none = EncodingLimits { zset_max_listpack_entries: 0, ..Default::default() };
    let both = [set_of(pairs, &EncodingLimits::default()), set_of(pairs, &none)];
    assert_eq!(both.each_ref().map(SortedSet::encoding), ["listpack", "skiplist"]);
    both
}

#[test]
fn golden_bytes() {
    let [set, _] = in_both_encodings(&[("b", 1.5), ("a", 2.0), ("7", -1.0)]);
    let golden = [
        &[0x1C, 0, 0, 0, 6, 0][..],
        &[0x07, 0x01, 0xDF, 0xFF, 0x02],
        &[0x81, b'b', 0x02, 0x83, b'1', b'.', b'5', 0x04],
        &[0x81, b'a', 0x02, 0x02, 0x01],
        &[0xFF],
    ]
    .concat();
    let mut golden = golden;
    golden[0] = golden.len() as u8;
    assert_eq!(set.as_listpack().unwrap().as_bytes(), golden);
}

#[test]
fn thresholds_are_redis_s() {
    let limits = EncodingLimits::default();
    let mut set = SortedSet::new();
    (0..128).for_each(|i| _ = set.add(format!("m{i}").as_bytes(), 0.0, AddOptions::default(), &limits));
    assert_eq!(set.encoding(), "listpack");
    set.add(b"m5", 9.0, AddOptions::default(), &limits);
    assert_eq!(set.encoding(), "listpack");
    set.add(b"m128", 0.0, AddOptions::default(), &limits);
    assert_eq!((set.encoding(), set.len(), set.rank(b"m5")), ("skiplist", 129, Some(128)));
    assert_eq!(set_of(&[(&"x".repeat(64), 1.0)], &limits).encoding(), "listpack");
    assert_eq!(set_of(&[(&"x".repeat(65), 1.0)], &limits).encoding(), "skiplist");
    let hint = |members, longest| SortedSet::with_hint(members, longest, &limits).encoding();
    assert_eq!((hint(128, 64), hint(129, 1), hint(1, 65)), ("listpack", "skiplist", "skiplist"));
}

#[test]
fn options_of_zadd() {
    use AddOutcome::*;
    let limits = EncodingLimits::default();
    let none = AddOptions::default();
    let only_add = AddOptions { only_add: true, ..none };
    let only_update = AddOptions { only_update: true, ..none };
    let greater = AddOptions { greater: true, ..none };
    let less = AddOptions { less: true, ..none };
    let increment = AddOptions { increment: true, ..none };
    for set in in_both_encodings(&[("a", 1.0), ("inf", f64::INFINITY)]) {
        for (member, score, options, outcome) in [
            ("a", 2.0, only_add, Skipped),
            ("b", 2.0, only_update, Skipped),
            ("b", 2.0, only_add, Added(2.0)),
            ("b", 2.0, greater, Added(2.0)),
            ("a", 1.0, none, Unchanged(1.0)),
            ("a", 3.0, only_update, Updated(3.0)),
            ("a", 1.0, greater, Skipped),
            ("a", 0.5, greater, Skipped),
            ("a", 1.5, greater, Updated(1.5)),
            ("a", 1.5, less, Skipped),
            ("a", -1.0, less, Updated(-1.0)),
            ("a", 2.0, increment, Updated(3.0)),
            ("a", 0.0, increment, Unchanged(1.0)),
            ("b", 2.0, increment, Added(2.0)),
            ("a", -1.0, AddOptions { greater: true, ..increment }, Skipped),
            ("inf", f64::NEG_INFINITY, increment, NotANumber),
            ("a", f64::NAN, none, NotANumber),
        ] {
            let mut set = set.clone();
            assert_eq!(
                set.add(member.as_bytes(), score, options, &limits),
                outcome,
                "{member} {score} {options:?}"
            );
        }
    }
}

#[test]
fn intervals_of_scores_and_members() {
    let inclusive = |score| ScoreBound { score, exclusive: false };
    let exclusive = |score| ScoreBound { score, exclusive: true };
    for set in in_both_encodings(&[("a", 1.0), ("b", 2.0), ("c", 2.0), ("d", 3.5), ("e", f64::INFINITY)]) {
        for (min, max, ranks) in [
            (inclusive(f64::NEG_INFINITY), inclusive(f64::INFINITY), 0..5),
            (inclusive(2.0), inclusive(2.0), 1..3),
            (exclusive(2.0), exclusive(f64::INFINITY), 3..4),
            (exclusive(1.0), exclusive(2.0), 1..1),
            (inclusive(3.0), inclusive(1.0), 3..3),
            (exclusive(2.0), inclusive(2.0), 3..3),
        ] {
            assert_eq!(set.score_range(&ScoreRange { min, max }), ranks);
        }
    }
    for set in in_both_encodings(&[("a", 0.0), ("b", 0.0), ("10", 0.0), ("9", 0.0)]) {
        use LexBound::*;
        for (min, max, ranks) in [
            (Lowest, Highest, 0..4),
            (Included(&b"10"[..]), Excluded(&b"b"[..]), 0..3),
            (Excluded(b"10"), Included(b"b"), 1..4),
            (Included(b"2"), Highest, 1..4),
            (Highest, Lowest, 4..4),
            (Included(b"b"), Included(b"a"), 3..3),
        ] {
            assert_eq!(set.lex_range(&LexRange { min, max }), ranks, "{min:?} {max:?}");
        }
    }
}

#[test]
fn zeroes_are_equal() {
    for mut set in in_both_encodings(&[("b", 0.0), ("a", -0.0)]) {
        assert_eq!(set.rank(b"a"), Some(0));
        assert_eq!(set.add(b"b", -0.0, AddOptions::default(), &small_limits()), AddOutcome::Unchanged(0.0));
    }
}

#[test]
fn what_rdb_brings_is_checked_ordered_and_converted() {
    let from = |elements: &[&str]| {
        let mut pack = Listpack::new();
        elements.iter().for_each(|element| pack.push_back(element.as_bytes()));
        SortedSet::from_listpack(pack, &small_limits())
    };
    for broken in [&["a"][..], &["a", "x"], &["a", "nan"], &["a", "1", "a", "2"], &["1", "1", "01", ""]] {
        assert!(from(broken).is_none(), "{broken:?}");
    }
    let unordered = from(&["b", "2", "c", "-inf", "a", "2"]).unwrap();
    let expected =
        [("c", f64::NEG_INFINITY), ("a", 2.0), ("b", 2.0)].map(|(m, s)| (m.as_bytes().to_vec(), s));
    assert_eq!(pairs_of(&unordered), expected);
    assert_eq!(unordered.encoding(), "listpack");
    assert_eq!(from(&["123456789", "1"]).unwrap().encoding(), "skiplist");
}

#[test]
fn sets_may_go_to_other_threads() {
    let [_, set] = in_both_encodings(&[("a", 1.0), ("b", 2.0)]);
    let set = std::thread::spawn(move || (set.remove_and_return(), set).1);
    assert_eq!(set.join().unwrap().len(), 2);
}

impl SortedSet {
    fn remove_and_return(&self) -> usize {
        self.clone().remove_range(0..1)
    }
}

fn member() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        9 => (0u8..25).prop_map(|i| i.to_string().into_bytes()),
        6 => (b'a'..b'p').prop_map(|letter| vec![letter]),
        1 => prop::collection::vec(any::<u8>(), 0..10),
    ]
}

fn score() -> impl Strategy<Value = f64> {
    prop_oneof![
        (-3i8..4).prop_map(f64::from),
        -2.0..2.0,
        prop::sample::select(vec![f64::INFINITY, f64::NEG_INFINITY, 1e300, -0.0]),
    ]
}

/// Everything that can be asked, against the model.
fn check(set: &SortedSet, model: &Model, random: &mut fastrand::Rng) {
    let pairs = ordered(model);
    assert_eq!(pairs_of(set), pairs);
    for (rank, (member, score)) in pairs.iter().enumerate() {
        assert_eq!(set.rank_and_score(member), Some((rank, *score)));
        assert_eq!(set.get(rank).map(|(member, score)| (member.to_vec(), score)), Some(pairs[rank].clone()));
    }
    assert!(set.get(pairs.len()).is_none());
    let (from, to) = (random.usize(..=pairs.len()), random.usize(..pairs.len() + 3));
    let expected = &pairs[from..to.clamp(from, pairs.len())];
    assert_eq!(pairs_of(set.range(from..to)), expected);
    assert_eq!(set.range(from..to).len(), expected.len());
    let mut backwards = pairs_of(set.range_rev(from..to));
    backwards.reverse();
    assert_eq!(backwards, expected);

    let (mut scanned, mut cursor) = (Model::new(), 0);
    loop {
        cursor = set.scan(cursor, 3, &mut |member, score| _ = scanned.insert(member.to_vec(), score));
        if cursor == 0 {
            break;
        }
    }
    assert_eq!(&scanned, model);
    for count in [0, 1, pairs.len() / 4, pairs.len() + 1] {
        let picked: Model =
            pairs_of(set.random_distinct(count, &mut |n| random.usize(..n))).into_iter().collect();
        assert_eq!(picked.len(), count.min(pairs.len()));
        assert!(picked.iter().all(|(member, score)| model[member] == *score));
    }
    if let Some(pack) = set.as_listpack() {
        let again = SortedSet::from_listpack(pack.clone(), &small_limits()).unwrap();
        assert_eq!(again.as_listpack(), Some(pack));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn edits_are_those_of_a_map_in_order(
        edits in prop::collection::vec((0u8..14, member(), score(), 0usize..4), 1..150),
        seed: u64,
    ) {
        let (mut set, mut model, limits) = (SortedSet::new(), Model::new(), small_limits());
        let mut random = fastrand::Rng::with_seed(seed);
        for (kind, member, score, many) in edits {
            match kind {
                0..3 => prop_assert_eq!(set.remove(&member), model.remove(&member)),
                3 => {
                    let end = if many % 2 == 0 { End::Front } else { End::Back };
                    let popped = set.pop(end, |member, score| (member.to_vec(), score));
                    let pairs = ordered(&model);
                    prop_assert_eq!(&popped, &if end == End::Front { pairs.first() } else { pairs.last() }.cloned());
                    popped.into_iter().for_each(|(member, _)| _ = model.remove(&member));
                }
                4 => {
                    let from = random.usize(..=model.len());
                    let gone: Vec<_> = ordered(&model).into_iter().skip(from).take(many).collect();
                    prop_assert_eq!(set.remove_range(from..from + many), gone.len());
                    gone.into_iter().for_each(|(member, _)| _ = model.remove(&member));
                }
                _ => {
                    let outcome = set.add(&member, score, AddOptions::default(), &limits);
                    prop_assert_eq!(outcome, match model.insert(member.clone(), score) {
                        None => AddOutcome::Added(score),
                        Some(old) if old == score => AddOutcome::Unchanged(score),
                        Some(_) => AddOutcome::Updated(score),
                    });
                }
            }
            prop_assert_eq!(set.score(&member), model.get(&member).copied());
            prop_assert_eq!(set.len(), model.len());
        }
        check(&set, &model, &mut random);
        check(&set.clone(), &model, &mut random);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn a_large_one_keeps_table_and_tree_together(seed: u64, size in 1usize..2000) {
        let (mut set, mut model, limits) = (SortedSet::new(), Model::new(), small_limits());
        let mut random = fastrand::Rng::with_seed(seed);
        for _ in 0..2 * size {
            let member = random.usize(..size).to_string().into_bytes();
            let score = f64::from(random.u8(..40));
            if random.u8(..4) == 0 {
                prop_assert_eq!(set.remove(&member), model.remove(&member));
            } else {
                set.add(&member, score, AddOptions::default(), &limits);
                model.insert(member, score);
            }
        }
        check(&set, &model, &mut random);
        prop_assert_eq!(set.remove_range(0..size), model.len());
        prop_assert!(set.is_empty() && set.iter().next().is_none());
    }
}
