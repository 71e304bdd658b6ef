//! Tidegate: testkit.
