//! What scripts rely on.
#[test]
fn placeholder() {}
