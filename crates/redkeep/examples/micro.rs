//! The hot path without sockets: nanoseconds for each command of a batch of 64 over random keys.
//!
//! `cargo run --release -p redkeep --features jemalloc --example micro -- [keys] [operations]`. The time is that of the
//! median batch, which does not see when another process had the processor, so that repeats agree within a few percent
//! even on a busy machine: this is the check before and after a change of the hot path.

use std::sync::Arc;
use std::time::Instant;

use redkeep_resp::RequestReader;
use redkeep_server::client::Client;
use redkeep_server::config::Settings;
use redkeep_server::dispatch::Executor;
use redkeep_server::engine::{Engine, Host};
use redkeep_server::session::{Origin, Session};

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

const BATCH: usize = 64;
const REPEATS: usize = 5;

struct Bench {
    engine: Arc<Engine>,
    executor: Executor,
    session: Session,
    reader: RequestReader,
    random: fastrand::Rng,
    input: Vec<u8>,
    output: Vec<u8>,
    keys: u64,
}

/// A request as redis-benchmark sends it, and where its key's digits are.
struct Template {
    bytes: &'static [u8],
    digits: usize,
}

const SET: Template =
    Template { bytes: b"*3\r\n$3\r\nSET\r\n$16\r\nkey:000000000000\r\n$3\r\nxxx\r\n", digits: 22 };
const GET: Template = Template { bytes: b"*2\r\n$3\r\nGET\r\n$16\r\nkey:000000000000\r\n", digits: 22 };

impl Bench {
    /// Executes `operations` in batches; the time of one in the median batch, in nanoseconds, without making the
    /// requests.
    fn run(
        &mut self,
        template: &Template,
        operations: usize,
        mut next_key: impl FnMut(&mut Self) -> u64,
    ) -> f64 {
        let mut times = Vec::with_capacity(operations / BATCH);
        for _ in 0..operations / BATCH {
            self.input.clear();
            for _ in 0..BATCH {
                let mut key = next_key(self);
                let start = self.input.len();
                self.input.extend_from_slice(template.bytes);
                for digit in self.input[start + template.digits..][..12].iter_mut().rev() {
                    *digit = b'0' + (key % 10) as u8;
                    key /= 10;
                }
            }
            self.output.clear();
            let started = Instant::now();
            let (session, reader) = (&mut self.session, &mut self.reader);
            let progress =
                self.executor.run(&self.engine, session, reader, &mut self.input, &mut self.output);
            times.push(started.elapsed().as_nanos() as f64 / BATCH as f64);
            assert_eq!(progress.consumed, self.input.len());
        }
        median(times)
    }

    fn random_key(&mut self) -> u64 {
        self.random.u64(0..self.keys)
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|arg| arg.parse::<usize>().ok());
    let keys = numbers.next().unwrap_or(1_000_000);
    let operations = numbers.next().unwrap_or(4_000_000);
    let settings = Settings { io_threads: 1, ..Settings::default() };
    let engine = Engine::new(settings, None, 0, &Host::default());
    let client = Client::new(1, String::new(), String::new(), Instant::now());
    let mut bench = Bench {
        executor: Executor::new(engine.clone(), 0),
        engine,
        session: Session::new(client, Origin::Client, true),
        reader: RequestReader::default(),
        random: fastrand::Rng::with_seed(1),
        input: Vec::new(),
        output: Vec::new(),
        keys: keys as u64,
    };
    let mut next = 0;
    bench.run(&SET, keys.next_multiple_of(BATCH), |_| {
        next += 1;
        next - 1
    });
    let mut times = (Vec::new(), Vec::new());
    for _ in 0..REPEATS {
        times.0.push(bench.run(&SET, operations, Bench::random_key));
        times.1.push(bench.run(&GET, operations, Bench::random_key));
    }
    println!("{keys} keys, batches of {BATCH}, ns an operation (median of {REPEATS}):");
    println!("SET {:.0}", median(times.0));
    println!("GET {:.0}", median(times.1));
}
