//! Tidegate: events.
