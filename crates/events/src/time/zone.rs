//! The zone of times that say none.

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::Error;

/// `--time-zone NAME`: where the clock hung that wrote times without a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Zone(Option<TimeZone>);

impl Default for Zone {
    /// UTC.
    fn default() -> Self {
        Self(None)
    }
}

impl Zone {
    /// What a clock here has shown (milliseconds as if it stood in UTC), in milliseconds since 1970.
    ///
    /// An hour that a clock shows twice in autumn is taken for the first, one that it skips in spring
    /// for the time an hour later.
    pub(crate) fn moment(&self, local: i64) -> Option<i64> {
        match &self.0 {
            None => Some(local),
            Some(zone) => local_to_utc(zone, local),
        }
    }
}

impl Zone {
    /// Its name.
    pub fn name(&self) -> &str {
        self.0.as_ref().and_then(TimeZone::iana_name).unwrap_or("UTC")
    }

    /// What a clock here shows at a moment, in milliseconds as if it stood in UTC.
    pub fn clock(&self, moment: i64) -> i64 {
        let Some(zone) = &self.0 else { return moment };
        let Ok(time) = Timestamp::from_millisecond(moment) else { return moment };
        moment.saturating_add(1000 * i64::from(zone.to_offset(time).seconds()))
    }
}

impl FromStr for Zone {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let name = text.trim();
        if name.eq_ignore_ascii_case("utc") {
            return Ok(Self(None));
        }
        let zone = TimeZone::get(name).map_err(|_| Error::Flag {
            flag: "--time-zone",
            value: text.to_owned(),
            reason: "expected a name of the IANA database such as Europe/Warsaw or Asia/Shanghai"
                .to_owned(),
        })?;
        Ok(Self(Some(zone)))
    }
}

pub(super) fn local_to_utc(zone: &TimeZone, local: i64) -> Option<i64> {
    let local = DateTime::new(1970, 1, 1, 0, 0, 0, 0)
        .and_then(|start| start.checked_add(SignedDuration::from_millis(local)))
        .ok()?;
    zone.to_timestamp(local).ok().map(Timestamp::as_millisecond)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::{format_time, parse_time};

    #[test]
    fn a_zone_knows_summer_and_winter() {
        let zone: Zone = "Europe/London".parse().unwrap();
        for (clock, iso) in [
            ("2010-12-01 08:26", "2010-12-01T08:26:00Z"),
            ("2011-06-01 08:26", "2011-06-01T07:26:00Z"),
            // Shown twice, and never.
            ("2011-10-30 01:30", "2011-10-30T00:30:00Z"),
            ("2011-03-27 01:30", "2011-03-27T01:30:00Z"),
        ] {
            let local = parse_time(clock).unwrap();
            assert_eq!(zone.moment(local).map(format_time).as_deref(), Some(iso), "{clock}");
        }
        let summer = parse_time("2011-06-01T07:26:00Z").unwrap();
        assert_eq!(format_time(zone.clock(summer)), "2011-06-01T08:26:00Z");
        assert_eq!((zone.clock(i64::MAX), Zone::default().clock(5)), (i64::MAX, 5));
        assert_eq!((zone.name(), Zone::default().name()), ("Europe/London", "UTC"));
        assert_eq!(Zone::default().moment(5), Some(5));
        assert_eq!(zone.moment(i64::MAX), None);
    }

    #[test]
    fn a_zone_that_nobody_knows_is_refused() {
        for name in ["Middle/Earth", "", "+02:00"] {
            let error = name.parse::<Zone>().unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("--time-zone"), "{error}");
        }
        assert_eq!("utc".parse::<Zone>().unwrap(), Zone::default());
    }
}
