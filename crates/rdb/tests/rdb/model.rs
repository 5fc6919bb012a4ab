//! Values as plain collections, to build, to compare, and one of every kind.

use std::collections::{BTreeMap, BTreeSet};

use redkeep_rdb::{Attributes, Loaded, Writer, WriterOptions};
use redkeep_store::value::{
    AddOptions, EncodingLimits, End, Hash, List, ScalarBuf, Set, SortedSet, Value, ValueRef,
};

/// A value as plain collections. Scores are kept as their bits, so that they can be compared exactly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    String(Vec<u8>),
    List(Vec<Vec<u8>>),
    Set(BTreeSet<Vec<u8>>),
    Hash(BTreeMap<Vec<u8>, Vec<u8>>),
    SortedSet(BTreeMap<Vec<u8>, u64>),
}

/// A value to write: a string has no type of its own in the store.
pub(crate) enum Built {
    String(Vec<u8>),
    Value(Value),
}

impl Built {
    pub(crate) fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Built::String(bytes) => ValueRef::String(bytes),
            Built::Value(value) => value.as_ref(),
        }
    }
}

impl Model {
    pub(crate) fn string(bytes: &[u8]) -> Self {
        Model::String(bytes.to_vec())
    }

    pub(crate) fn list<T: AsRef<[u8]>>(elements: &[T]) -> Self {
        Model::List(elements.iter().map(|element| element.as_ref().to_vec()).collect())
    }

    pub(crate) fn set<T: AsRef<[u8]>>(members: &[T]) -> Self {
        Model::Set(members.iter().map(|member| member.as_ref().to_vec()).collect())
    }

    pub(crate) fn hash<T: AsRef<[u8]>, U: AsRef<[u8]>>(pairs: &[(T, U)]) -> Self {
        Model::Hash(pairs.iter().map(|(f, v)| (f.as_ref().to_vec(), v.as_ref().to_vec())).collect())
    }

    pub(crate) fn sorted_set<T: AsRef<[u8]>>(pairs: &[(T, f64)]) -> Self {
        Model::SortedSet(pairs.iter().map(|(m, score)| (m.as_ref().to_vec(), score.to_bits())).collect())
    }

    pub(crate) fn build(&self, limits: &EncodingLimits) -> Built {
        Built::Value(match self {
            Model::String(bytes) => return Built::String(bytes.clone()),
            Model::List(elements) => {
                let mut list = List::new();
                elements.iter().for_each(|element| list.push(End::Back, element, limits));
                list.into()
            }
            Model::Set(members) => {
                let mut set = Set::new();
                members.iter().for_each(|member| assert!(set.add(member, limits)));
                set.into()
            }
            Model::Hash(pairs) => {
                let mut hash = Hash::new();
                pairs.iter().for_each(|(field, value)| assert!(hash.set(field, value, limits)));
                hash.into()
            }
            Model::SortedSet(pairs) => {
                let mut sorted_set = SortedSet::new();
                for (member, score) in pairs {
                    sorted_set.add(member, f64::from_bits(*score), AddOptions::default(), limits);
                }
                sorted_set.into()
            }
        })
    }

    pub(crate) fn of(loaded: &Loaded<'_>) -> Self {
        let value = match loaded {
            Loaded::String(bytes) => return Model::String(bytes.to_vec()),
            Loaded::Value(value) => value.as_ref(),
        };
        match value {
            ValueRef::String(bytes) => Model::String(bytes.to_vec()),
            ValueRef::List(list) => Model::List(list.iter().map(|element| element.to_vec()).collect()),
            ValueRef::Set(set) => Model::Set(set.iter().map(|member| member.to_vec()).collect()),
            ValueRef::Hash(hash) => {
                Model::Hash(hash.iter().map(|(field, value)| (field.to_vec(), value.to_vec())).collect())
            }
            ValueRef::SortedSet(sorted_set) => Model::SortedSet(
                sorted_set
                    .iter()
                    .map(|(member, score)| (member.as_bytes(&mut ScalarBuf::new()).to_vec(), score.to_bits()))
                    .collect(),
            ),
        }
    }
}

/// One value of every type and size class, with the key it is stored under.
pub(crate) fn every_kind() -> Vec<(&'static str, Model)> {
    let numbered =
        |prefix: &str, count: usize| (0..count).map(|i| format!("{prefix}{i}")).collect::<Vec<_>>();
    let long = |i: usize| format!("{i}-{}", "lorem ipsum ".repeat(20));
    vec![
        ("string", Model::string(b"hello")),
        ("string:empty", Model::string(b"")),
        ("string:int", Model::string(b"-12345")),
        ("string:int64", Model::string(b"9223372036854775807")),
        ("string:binary", Model::string(b"\0\xff\r\n\x80")),
        ("string:long", Model::string("abcabcabc, ".repeat(5000).as_bytes())),
        ("list", Model::list(&["a", "1", "-70000", "", "b"])),
        ("list:large", Model::List((0..300).map(|i| long(i).into_bytes()).collect())),
        ("list:huge-element", Model::list(&["x".to_owned(), "y".repeat(20_000), "z".to_owned()])),
        ("set:ints", Model::set(&["1", "-2", "300000", "5000000000"])),
        ("set:listpack", Model::set(&["1", "two", "three"])),
        ("set:large", Model::set(&numbered("member:", 600))),
        ("set:many-ints", Model::set(&numbered("", 1000))),
        ("hash", Model::hash(&[("name", "x"), ("age", "30"), ("empty", "")])),
        (
            "hash:large",
            Model::Hash((0..500).map(|i| (format!("f{i}").into(), format!("{i}").into())).collect()),
        ),
        ("hash:long", Model::hash(&[("one", long(1)), ("two", long(2))])),
        ("zset", Model::sorted_set(&[("a", 1.0), ("b", -2.5), ("7", 1e17), ("d", 0.1)])),
        ("zset:inf", Model::sorted_set(&[("low", f64::NEG_INFINITY), ("high", f64::INFINITY)])),
        ("zset:tiny", Model::sorted_set(&[("tiny", 4.9e-324), ("big", 1.7976931348623157e308)])),
        (
            "zset:large",
            Model::SortedSet(
                (0..400).map(|i| (format!("m{i}").into(), (i as f64 / 3.0).to_bits())).collect(),
            ),
        ),
    ]
}

/// A file with [`every_kind`] in it, and one of each record that the writer makes.
pub(crate) fn sample_file(options: WriterOptions) -> Vec<u8> {
    let limits = EncodingLimits::default();
    let mut writer = Writer::new(options);
    writer.information(&redkeep_rdb::Information { redis_version: "7.0.15", ..Default::default() });
    writer.function(b"#!lua name=mylib\nredis.register_function('f', function() return 1 end)");
    writer.select_db(0);
    writer.resize_db(every_kind().len() as u64, 0);
    for (key, model) in every_kind() {
        writer.entry(key.as_bytes(), &Attributes::default(), model.build(&limits).as_ref());
    }
    writer.finish()
}
