//! Two writers and a follower of one log: `cargo run -p redkeep-replication --example follow`.

use redkeep_replication::{Log, ReplOffset};

fn main() {
    const WRITERS: usize = 2;
    const EFFECTS: usize = 1000;
    let log = Log::new(WRITERS, 1 << 20);
    log.activate();
    let mut follower = log.reader(ReplOffset(0), 0).expect("the log begins here");
    std::thread::scope(|threads| {
        for slot in 0..WRITERS {
            let log = &log;
            threads.spawn(move || {
                for _ in 0..EFFECTS {
                    log.append(slot, slot, b"*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n");
                }
            });
        }
    });
    let mut bytes = 0;
    loop {
        let len = follower.peek(4096).expect("nobody is far behind here").len();
        if len == 0 {
            break;
        }
        follower.consume(len);
        bytes += len;
    }
    println!("{bytes} bytes followed, the log ends at {}", log.end().0);
}
