//! What is propagated for a command, where that is not the command itself.
//!
//! Effects are deterministic: a random choice, a relative time or a float sum is replaced by its result.

use redkeep_resp::client::encode_command;

/// One or more commands in the form in which they go to the log.
#[derive(Debug, Default, Clone)]
pub struct Effect {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Effect {
    /// One command.
    pub fn command(words: &[&[u8]]) -> Self {
        let mut effect = Effect::default();
        effect.push(words);
        effect
    }

    /// Adds a command. Several are propagated as a transaction.
    pub fn push(&mut self, words: &[&[u8]]) {
        encode_command(&mut self.bytes, words);
        self.ends.push(self.bytes.len());
    }

    /// The encoded commands.
    pub fn commands(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, &end)| &self.bytes[start..end])
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }
}
