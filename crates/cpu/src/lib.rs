//! Tidegate: cpu.
