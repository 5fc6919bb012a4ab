//! One event as one line.

use super::Told;
use crate::local_time::{self, Stamp};
use std::{fmt, sync::Arc, time::SystemTime};
use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    registry::LookupSpan,
};

/// Formats events as Redis formats its log lines.
pub(super) struct LineFormat {
    told: Arc<Told>,
}

impl LineFormat {
    pub(super) fn new(told: Arc<Told>) -> Self {
        LineFormat { told }
    }
}

impl<S, N> FormatEvent<S, N> for LineFormat
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let role = char::from(self.told.role() as u8);
        let now = local_time::stamp(SystemTime::now());
        write_line(&mut out, std::process::id(), role, &now, event)
    }
}

fn write_line(
    out: &mut impl fmt::Write,
    pid: u32,
    role: char,
    now: &Stamp,
    event: &Event<'_>,
) -> fmt::Result {
    write!(out, "{pid}:{role} {now} {} ", level_letter(*event.metadata().level()))?;
    let mut fields = Fields { out: &mut *out, result: Ok(()) };
    event.record(&mut fields);
    fields.result?;
    out.write_char('\n')
}

fn level_letter(level: Level) -> char {
    match level {
        Level::TRACE => '.',
        Level::DEBUG => '-',
        Level::INFO => '*',
        Level::WARN | Level::ERROR => '#',
    }
}

/// Writes an event's message, and what else it carries as ` name=value`.
struct Fields<'a, W> {
    out: &'a mut W,
    result: fmt::Result,
}

impl<W: fmt::Write> Visit for Fields<'_, W> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.result.is_ok() {
            self.result = match field.name() {
                "message" => write!(self.out, "{value:?}"),
                name => write!(self.out, " {name}={value:?}"),
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::logging::Role;
    use std::{io, sync::Mutex};
    use tracing_subscriber::{Registry, fmt::MakeWriter, layer::SubscriberExt as _};

    #[derive(Clone, Default)]
    struct Captured(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Captured {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("not poisoned").extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Captured {
        type Writer = Captured;

        fn make_writer(&self) -> Captured {
            self.clone()
        }
    }

    #[test]
    fn lines_look_like_those_of_redis() {
        let captured = Captured::default();
        let told = Arc::<Told>::default();
        assert!(told.role.set(Box::new(|| Role::Sentinel)).is_ok());
        let format = LineFormat::new(told);
        let layer = tracing_subscriber::fmt::layer().event_format(format).with_writer(captured.clone());
        tracing::subscriber::with_default(Registry::default().with(layer), || {
            tracing::info!("Ready to accept connections");
            tracing::warn!(port = 7, "bind: {}", "in use");
            tracing::debug!("quiet");
            tracing::trace!("quieter");
        });
        let text = String::from_utf8(captured.0.lock().expect("not poisoned").clone()).expect("text");
        let start = format!("{}:X ", std::process::id());
        // "dd Mon yyyy hh:mm:ss.mmm" is 24 characters.
        let rest: Vec<&str> = text
            .lines()
            .map(|line| line.strip_prefix(&start).expect("pid and role"))
            .map(|line| &line[24..])
            .collect();
        let expected = [" * Ready to accept connections", " # bind: in use port=7", " - quiet", " . quieter"];
        assert_eq!(rest, expected);
    }
}
