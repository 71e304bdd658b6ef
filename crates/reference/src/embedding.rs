//! Rows of a table, by id.

use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

/// Looks up one row of the table for every position.
///
/// ```text
///     out[p] = table[ids[p]]
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry            | on return |
/// |----------|----------|---------------------|-----------|
/// | `table`  | `[V, E]` | one row an item     | untouched |
/// | `ids`    | `[N]`    | each below V        | untouched |
/// | `out`    | `[N, E]` | anything            | replaced  |
///
/// # Panics
///
/// Where an id is not below V.
pub fn embedding_forward<S: NdFloat>(
    table: ArrayView2<'_, S>,
    ids: &[u32],
    mut out: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(out.dim(), (ids.len(), table.ncols()), "out is [N, E]");
    for (mut out, &id) in out.rows_mut().into_iter().zip(ids) {
        out.assign(&table.row(id as usize));
    }
}

/// Takes the gradient of the looked-up rows back to the table. An item that stands at several
/// positions collects all of them, in the order of the positions.
///
/// ```text
///     out[p]          = table[ids[p]]
///     dtable[ids[p]] += dout[p]
/// ```
///
/// # Shapes
///
/// | argument | shape    | on entry                        | on return |
/// |----------|----------|---------------------------------|-----------|
/// | `ids`    | `[N]`    | as forward read them            | untouched |
/// | `dout`   | `[N, E]` | ∂L/∂out                         | untouched |
/// | `dtable` | `[V, E]` | what other uses of `table` gave | added to  |
///
/// # Panics
///
/// Where an id is not below V.
pub fn embedding_backward<S: NdFloat>(
    ids: &[u32],
    dout: ArrayView2<'_, S>,
    mut dtable: ArrayViewMut2<'_, S>,
) {
    debug_assert_eq!(dout.dim(), (ids.len(), dtable.ncols()), "dout is [N, E]");
    for (dout, &id) in dout.rows().into_iter().zip(ids) {
        let mut row = dtable.row_mut(id as usize);
        row += &dout;
    }
}
