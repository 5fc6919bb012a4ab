//! What is written is read again, for random values of all types, sizes and encodings.

use crate::model::{Built, Model};
use crate::said::{Said, read, read_pieces};
use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use redkeep_rdb::{Attributes, Encoder, Limits, Loaded, Writer, WriterOptions, dump, restore};
use redkeep_store::value::EncodingLimits;

fn element() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (any::<i64>(), 0u32..64).prop_map(|(value, shift)| (value >> shift).to_string().into_bytes()),
        4 => vec(any::<u8>(), 0..12),
        1 => (vec(b'a'..b'e', 1..20), 1usize..40).prop_map(|(word, times)| word.repeat(times)),
        1 => vec(any::<u8>(), 60..300),
    ]
}

fn score() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<f64>().prop_filter("a score is a number", |score| !score.is_nan()),
        any::<i32>().prop_map(f64::from),
        Just(f64::INFINITY),
        Just(f64::NEG_INFINITY),
    ]
    // Redis does not tell the two zeros apart.
    .prop_map(|score| if score == 0.0 { 0 } else { score.to_bits() })
}

pub(crate) fn model() -> impl Strategy<Value = Model> {
    let count = || prop_oneof![3 => 1usize..12, 1 => 100usize..200];
    prop_oneof![
        element().prop_map(Model::String),
        count().prop_flat_map(|n| vec(element(), n)).prop_map(Model::List),
        count().prop_flat_map(|n| btree_set(element(), 1..=n)).prop_map(Model::Set),
        count().prop_flat_map(|n| btree_map(element(), element(), 1..=n)).prop_map(Model::Hash),
        count().prop_flat_map(|n| btree_map(element(), score(), 1..=n)).prop_map(Model::SortedSet),
    ]
}

fn attributes() -> impl Strategy<Value = Attributes> {
    (any::<Option<u32>>(), any::<Option<u64>>(), any::<Option<u8>>()).prop_map(
        |(expire, idle_seconds, freq)| Attributes {
            expire_ms: expire.map(|expire| u64::from(expire) << 10),
            idle_seconds,
            freq,
        },
    )
}

pub(crate) fn encodings() -> impl Strategy<Value = EncodingLimits> {
    prop_oneof![
        Just(EncodingLimits::default()),
        Just(EncodingLimits {
            hash_max_listpack_entries: 4,
            hash_max_listpack_value: 16,
            list_max_listpack_size: 3,
            set_max_intset_entries: 4,
            set_max_listpack_entries: 4,
            set_max_listpack_value: 16,
            zset_max_listpack_entries: 4,
            zset_max_listpack_value: 16,
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn files(
        entries in vec((element(), attributes(), model()), 1..6),
        written in encodings(), compression: bool, checksum: bool, piece in 1usize..5000,
    ) {
        let mut writer = Writer::new(WriterOptions { compression, checksum });
        let mut expected = vec![Said::SelectDb(1 << 20)];
        writer.select_db(1 << 20);
        for (key, attributes, model) in entries {
            writer.entry(&key, &attributes, model.build(&written).as_ref());
            expected.push(Said::Entry(key, attributes, model));
        }
        expected.push(Said::End);
        let file = writer.finish();
        prop_assert_eq!(&read(&file).unwrap(), &expected);
        prop_assert_eq!(&read_pieces(file.chunks(piece)).unwrap(), &expected);
    }

    #[test]
    fn payloads(model in model(), written in encodings(), encodings in encodings(), compression: bool) {
        let mut payload = b"before".to_vec();
        dump(&mut payload, &mut Encoder::new(compression), model.build(&written).as_ref());
        let limits = Limits { encodings: encodings.clone(), ..Limits::default() };
        let loaded = restore(&payload[6..], &limits).unwrap();
        prop_assert_eq!(Model::of(&loaded), model.clone());
        // The reader's limits decide the encoding, not the writer's. But the nodes of a list are taken as they come.
        let nodes_as_they_come = matches!(model, Model::List(_)) && written != encodings;
        if let (Loaded::Value(value), Built::Value(fresh)) = (&loaded, model.build(&encodings))
            && !nodes_as_they_come
        {
            prop_assert_eq!(value.as_ref().encoding(), fresh.as_ref().encoding());
        }
    }
}
