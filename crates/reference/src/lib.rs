//! Tidegate: reference.
