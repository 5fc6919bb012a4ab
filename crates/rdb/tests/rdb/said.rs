//! What a file says, as it comes out of the readers, in a form that can be compared.

use redkeep_rdb::{Attributes, Item, Limits, RdbError, Reader, SliceReader};

use crate::model::Model;

/// What a file says, in a form that can be compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Aux(Vec<u8>, Vec<u8>),
    SelectDb(u64),
    ResizeDb(u64, u64),
    Entry(Vec<u8>, Attributes, Model),
    Function(Vec<u8>),
    End,
}

impl Said {
    pub(crate) fn of(item: &Item<'_>) -> Self {
        match item {
            Item::Aux { key, value } => Said::Aux(key.to_vec(), value.to_vec()),
            Item::SelectDb(db) => Said::SelectDb(*db),
            Item::ResizeDb { keys, expires } => Said::ResizeDb(*keys, *expires),
            Item::Entry(entry) => Said::Entry(entry.key.to_vec(), entry.attributes, Model::of(&entry.value)),
            Item::Function(source) => Said::Function(source.to_vec()),
            Item::End => Said::End,
        }
    }
}

/// Reads a file that is there as a whole.
pub(crate) fn read(file: &[u8]) -> Result<Vec<Said>, RdbError> {
    SliceReader::new(file, Limits::default()).map(|item| item.map(|item| Said::of(&item))).collect()
}

/// Reads a file that arrives in these pieces.
pub(crate) fn read_pieces<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Said>, RdbError> {
    let mut reader = Reader::new(Limits::default());
    let mut said = Vec::new();
    for piece in pieces {
        reader.feed(piece);
        while let Some(item) = reader.next()? {
            said.push(Said::of(&item));
        }
    }
    reader.finish()?;
    Ok(said)
}
