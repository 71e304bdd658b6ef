//! What an operation is asked to do, where the question is more than a few tensors.

/// How a product or a sum meets what its result already holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accumulate {
    /// The old contents are overwritten.
    Replace,
    /// The old contents are added to.
    Add,
}

/// One softmax over C candidate columns for each of N positions, with everything that bends the
/// scores before it.
///
/// ```text
///     s[p, c] = q_p · e_c + column_bias[c]
///             + Σ repeat_bias[lag]        over the entries (c, lag) of position p
///             + shift[p]                  where c is the target of p
/// ```
///
/// The candidates of position p are the columns `c < shared` and its own target. Columns from
/// `shared` on are therefore *private*: each is seen only by the positions whose target it is. Full
/// softmax has `shared = C`; sampled softmax lets the rare targets of a batch in as private columns.
///
/// ```text
///     t[p, c] = (1 − smoothing) · [c = target_p] + smoothing · column_share[c]
///     loss_p  = log Σ_c exp s[p, c] − Σ_c t[p, c] · s[p, c]
///     L       = Σ_p weight[p] · loss_p / Σ_p weight[p]
/// ```
#[derive(Debug, Clone, Copy)]
pub struct SoftmaxTask<'a> {
    /// The target's column for each position, `[N]`.
    pub target: &'a [u32],
    /// What each position counts, `[N]`, none negative, their sum positive.
    pub weight: &'a [f32],
    /// Added to the score of the target, `[N]`; empty means zero everywhere.
    pub shift: &'a [f32],
    /// Number of columns that are candidates for every position.
    pub shared: usize,
    /// Share of the target distribution that is spread over the shared columns, in `[0, 1)`.
    pub smoothing: f32,
    /// How the spread share is divided, `[shared]`, sum 1; empty means evenly.
    pub column_share: &'a [f32],
    /// Entries of position p are `repeat_offsets[p]..repeat_offsets[p + 1]`; `[N + 1]`, or empty
    /// where there are none at all.
    pub repeat_offsets: &'a [u32],
    /// Column of each entry. A position names a column at most once, and only shared columns or
    /// its own target.
    pub repeat_columns: &'a [u32],
    /// Index into the learned repeat biases for each entry.
    pub repeat_lags: &'a [u8],
}
