//! MULTI: what is queued until EXEC.

use crate::commands::{Command, OwnedArgs};

/// The commands queued since MULTI.
#[derive(Default)]
pub struct Transaction {
    /// In order.
    pub queue: Vec<(&'static Command, OwnedArgs)>,
    /// Whether a command was refused when it was queued: EXEC then executes none.
    pub failed: bool,
    /// Bytes that the queue keeps.
    pub memory: usize,
    /// Flags that at least one of the queued commands has.
    pub any: u32,
    /// Flags that at least one of the queued commands lacks.
    pub lacking: u32,
}

impl Transaction {
    /// Queues a command.
    pub fn push(&mut self, command: &'static Command, args: OwnedArgs) {
        self.memory += args.memory();
        self.any |= command.spec.flags;
        self.lacking |= !command.spec.flags;
        self.queue.push((command, args));
    }
}
