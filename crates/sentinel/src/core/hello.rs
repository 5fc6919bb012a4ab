//! The announcement that sentinels publish on `__sentinel__:hello` of every instance they watch.
//!
//! Eight fields with commas between: who speaks (`ip,port,id,epoch`) and what it believes of a master
//! (`name,ip,port,epoch`). It is the only way in which sentinels that share nothing but a master find each
//! other, and anybody who may publish there can forge one: a hello is a rumour, never a command.

use std::fmt;

use super::ids::{Addr, Epoch, SentinelId};

/// The channel of announcements.
pub const CHANNEL: &str = "__sentinel__:hello";

/// One announcement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Where the speaker listens.
    pub from: Addr,
    /// The speaker.
    pub id: SentinelId,
    /// The latest epoch that it knows.
    pub epoch: Epoch,
    /// The master that it speaks of.
    pub master: String,
    /// Where it believes the master to be.
    pub address: Addr,
    /// The epoch of that belief.
    pub config_epoch: Epoch,
}

impl fmt::Display for Hello {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, id, epoch, master, address, config_epoch } = self;
        write!(f, "{},{},{id},{epoch},{master},", from.host, from.port)?;
        write!(f, "{},{},{config_epoch}", address.host, address.port)
    }
}

impl Hello {
    /// Reads an announcement; `None` if it is not one.
    ///
    /// ```
    /// use redkeep_sentinel::core::hello::Hello;
    ///
    /// let text = format!("10.0.0.1,26379,{},3,mymaster,10.0.0.9,6379,2", "ab".repeat(20));
    /// let hello = Hello::parse(&text).unwrap();
    /// assert_eq!(hello.master, "mymaster");
    /// assert_eq!(hello.to_string(), text);
    /// assert!(Hello::parse("hello, sentinel").is_none());
    /// ```
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut fields = text.split(',');
        let mut field = || fields.next();
        let from = Addr::new(field()?, field()?.parse().ok()?);
        let id = field()?.parse().ok()?;
        let epoch = Epoch(field()?.parse().ok()?);
        let master = field()?.to_owned();
        let address = Addr::new(field()?, field()?.parse().ok()?);
        let config_epoch = Epoch(field()?.parse().ok()?);
        let whole = field().is_none() && !from.host.is_empty() && !address.host.is_empty();
        whole.then_some(Self { from, id, epoch, master, address, config_epoch })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anything_but_eight_good_fields_is_no_hello() {
        let id = "ab".repeat(20);
        for bad in [
            String::new(),
            format!("h,1,{id},0,m,h,1"),
            format!("h,1,{id},0,m,h,1,0,9"),
            format!("h,x,{id},0,m,h,1,0"),
            format!("h,1,{id},-1,m,h,1,0"),
            format!("h,1,{id},0,m,h,70000,0"),
            format!(",1,{id},0,m,h,1,0"),
            "h,1,short,0,m,h,1,0".to_owned(),
        ] {
            assert_eq!(Hello::parse(&bad), None, "{bad}");
        }
    }
}
