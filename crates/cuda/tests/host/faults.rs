//! Each check is checked: deliberate mistakes in the kernels do not get through.
//!
//! A fault is a piece of a kernel's source replaced by another, in a copy of the folder. It is caught
//! where a result is off, depends on the order of threads, or the shim itself complains: a guard band
//! written to, a barrier that some threads leave out, blocks that wait for ever.

use std::panic::{AssertUnwindSafe, catch_unwind};

use cuda::Rung;
use layout::Steps;
use testkit::assert_parity;
use testkit::tolerance::RECURRENT_ULPS;

use crate::layer::{Case, Results};
use crate::parity::{SMALL, assert_same};
use crate::shim::{Shim, kernels};

/// Orders of threads in which a faulty kernel is run.
const SCHEDULES: [u64; 4] = [1, 0, 20, 21];

/// A layer small enough to run often, and large enough for several blocks, groups and chunks.
fn case() -> Case {
    let steps = Steps::from_lengths(&[9, 9, 8, 7, 3, 3, 3, 3, 2, 2, 2, 1, 1, 1]);
    Case { steps, input: 5, hidden: 14, dense: true }
}

/// The kernels with the `number`th occurrence of `from` in `file` replaced; `None` without a compiler.
fn faulty(file: &str, from: &str, number: usize, to: &str) -> Option<Shim> {
    let folder = tempfile::tempdir().expect("a folder");
    for entry in std::fs::read_dir(kernels()).expect("the kernels") {
        let path = entry.expect("an entry").path();
        let Some(name) = path.file_name().filter(|_| path.is_file()) else { continue };
        let mut text = std::fs::read_to_string(&path).expect("a text");
        if name == file {
            let (at, _) = text.match_indices(from).nth(number).expect("there are so many");
            text.replace_range(at..at + from.len(), to);
        }
        std::fs::write(folder.path().join(name), text).expect("a copy");
    }
    Shim::of(folder.path())
}

/// What is found wrong with a kernel, if anything is.
fn complaint(shim: &Shim, rung: Rung) -> Option<String> {
    let case = case();
    let (plain, truth) = (case.in_reference::<f32>(), case.in_reference::<f64>());
    let mut first: Option<Results<f32>> = None;
    for schedule in SCHEDULES {
        let found = match case.on_card(&shim.card(SMALL, schedule), rung) {
            Ok(found) => found,
            Err(error) => return Some(error.to_string()),
        };
        let compared = catch_unwind(AssertUnwindSafe(|| {
            for ((tensor, found), ((_, plain), (_, truth))) in
                found.iter().zip(plain.iter().zip(&truth))
            {
                assert_parity(tensor, found.view(), plain.view(), truth.view(), RECURRENT_ULPS);
            }
            assert_same("orders", &found, first.get_or_insert_with(|| found.clone()));
        }));
        if let Err(panic) = compared {
            return Some(*panic.downcast::<String>().expect("a message"));
        }
    }
    None
}

/// Takes out each barrier of a file in turn. `needless` are those without which nothing goes wrong.
fn without_each_barrier(file: &str, rung: Rung, needless: &[usize]) {
    let text = std::fs::read_to_string(kernels().join(file)).expect("the kernels");
    let barriers = text.matches("__syncthreads();").count();
    assert!(barriers > 0);
    for number in 0..barriers {
        let Some(shim) = faulty(file, "__syncthreads();", number, ";") else { return };
        let found = complaint(&shim, rung);
        let caught = found.is_some();
        assert_eq!(caught, !needless.contains(&number), "{file}: barrier {number}: {found:?}");
    }
}

#[test]
fn nothing_is_wrong_with_the_kernels_as_they_are() {
    let Some(shim) = Shim::shipped() else { return };
    for rung in [Rung::V1, Rung::V2, Rung::V3] {
        assert_eq!(complaint(&shim, rung), None, "{rung:?}");
    }
}

#[test]
fn a_missing_barrier_is_seen_in_the_tiled_products() {
    without_each_barrier("linear.cu", Rung::V2, &[]);
}

#[test]
fn a_missing_barrier_is_seen_in_the_persistent_kernels() {
    without_each_barrier("lstm_sequence.cu", Rung::V3, &[]);
}

#[test]
fn slips_of_the_pen_are_seen() {
    let faults = [
        // An index off by one: the last unit, the first, one row too many.
        ("lstm.cu", "if (j >= hidden) return;", 0, "if (j >= hidden - 1) return;", Rung::V1),
        ("lstm.cu", "if (j >= hidden) return;", 0, "if (j > hidden) return;", Rung::V1),
        ("linear.cu", "k < DEPTH; ++k", 0, "k < DEPTH - 1; ++k", Rung::V2),
        ("linear.cu", "row >= rows || column", 0, "row > rows || column", Rung::V2),
        ("lstm_sequence.cu", "k < total) reinterpret", 0, "k < total - 1) reinterpret", Rung::V3),
        // One gate, one factor, one arrival.
        ("common.cuh", "a[2] = tanhf(a[2]);", 0, "a[2] = sigmoid(a[2]);", Rung::V1),
        ("common.cuh", "* (1.0f - u * u)", 0, "", Rung::V2),
        ("lstm.cu", "goes_on ? above + dh_carry[at] : above", 0, "above", Rung::V2),
        ("lstm_sequence.cu", "dh += carry;", 0, "", Rung::V3),
        // One buffer of shares where three are needed; a share that is not unset after it was read.
        ("lstm_sequence.cu", "turn % 3", 0, "turn % 1", Rung::V3),
        ("lstm_sequence.cu", "store_fresh(from[i]", 0, "if (false) store_fresh(from[i]", Rung::V3),
        // A block that does not wait.
        ("lstm_sequence.cu", "while (is_unset(got[i]))", 0, "while (false)", Rung::V3),
        // A sum that all threads add to at once.
        ("linear.cu", "left_tile[k * TILE + m] =", 0, "left_tile[m] +=", Rung::V2),
    ];
    for (file, from, number, to, rung) in faults {
        let Some(shim) = faulty(file, from, number, to) else { return };
        let found = complaint(&shim, rung);
        assert!(found.is_some(), "{file}: `{to}` for `{from}` got through");
    }
}
