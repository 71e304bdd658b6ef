//! What an operation is asked to do, where the question is more than a few tensors.

/// How a product or a sum meets what its result already holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accumulate {
    /// The old contents are overwritten.
    Replace,
    /// The old contents are added to.
    Add,
}

/// What a pooling makes of the positions of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pooling {
    /// Their mean.
    Mean,
    /// The largest of each column; of equal ones the earliest counts.
    Max,
}

/// Which positions of its row an answer sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Itself and those before it: an answer for each position, `[N, ·]`.
    Causal,
    /// All of them: an answer for each row, `[B, ·]`.
    Row,
}

/// What a dense layer does to its sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activation {
    /// `max(0, z)`
    Relu,
    /// `tanh z`
    Tanh,
    /// `z` where it is positive, `eᶻ − 1` where it is not.
    Elu,
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
/// softmax has `shared = C`; sampled softmax lets the rare targets of a batch in as private
/// columns.
///
/// ```text
///     L       = Σ_p weight[p] · loss_p / Σ_p weight[p]
/// ```
///
/// with `loss_p` as [`CandidateLoss`] has it.
#[derive(Debug, Clone, Copy)]
pub struct SoftmaxTask<'a> {
    /// What a position's scores are worth.
    pub loss: CandidateLoss,
    /// The target's column for each position, `[N]`.
    pub target: &'a [u32],
    /// What each position counts, `[N]`, none negative, their sum positive.
    pub weight: &'a [f32],
    /// Added to the score of the target, `[N]`; empty means zero everywhere.
    pub shift: &'a [f32],
    /// Number of columns that are candidates for every position.
    pub shared: usize,
    /// Share of the target distribution that is spread over the shared columns, in `[0, 1)`; read
    /// by the cross-entropy alone.
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

/// What the scores of a position are worth, of which one belongs to the target i and the others, j,
/// to its negatives.
///
/// The ranking losses look at how far the target is ahead of each negative, and weigh a negative by
/// its share π of a softmax **over the negatives alone**: the nearer it comes to the top, the more
/// it counts. A position without negatives has a loss of zero.
///
/// ```text
///     π[j] = exp s[j] / Σ_k exp s[k]          j, k over the negatives
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum CandidateLoss {
    /// The target is to have the whole softmax over all candidates, but for what smoothing spreads.
    ///
    /// ```text
    ///     t[c]   = (1 − smoothing) · [c = target] + smoothing · column_share[c]
    ///     loss_p = log Σ_c exp s[c] − Σ_c t[c] · s[c]
    /// ```
    #[default]
    CrossEntropy,
    /// BPR-max: the target is to be ahead of whatever negative comes near the top, whose scores are
    /// to stay small.
    ///
    /// ```text
    ///     loss_p = −log Σ_j π[j] σ(s[i] − s[j]) + regularization · Σ_j π[j] s[j]²
    /// ```
    BprMax {
        /// How much the squared scores of the negatives count.
        regularization: f32,
    },
    /// TOP1-max: the same with a bounded loss for each negative.
    ///
    /// ```text
    ///     loss_p = Σ_j π[j] ( σ(s[j] − s[i]) + σ(s[j]²) )
    /// ```
    Top1Max,
}

/// A loss for every output of every position on its own: z is what the model says, y what is true.
///
/// ```text
///     L = Σ_p weight[p] · Σ_c loss(z[p, c], y[p, c]) / (C · Σ_p weight[p])
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ElementTask<'a> {
    /// What one output is worth.
    pub loss: ElementLoss<'a>,
    /// What each position counts, `[N]`, none negative, their sum positive.
    pub weight: &'a [f32],
}

/// What one output is worth.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ElementLoss<'a> {
    /// z is the logit of a probability, y that it came true: 0, 1, or a share of both.
    ///
    /// ```text
    ///     loss = −(positive · y · log σ(z) + (1 − y) · log(1 − σ(z)))
    /// ```
    BinaryCrossEntropy {
        /// How much a true one counts beside a false one, by column, `[C]`; empty means one.
        positive: &'a [f32],
    },
    /// `loss = (z − y)²`.
    SquaredError,
    /// Squared near y and straight beyond δ.
    ///
    /// ```text
    ///     loss = ½ d²            where |d| ≤ δ,    d = z − y
    ///            δ (|d| − ½ δ)   elsewhere
    /// ```
    Huber {
        /// Where the straight part begins, δ > 0.
        delta: f32,
    },
    /// Binary cross-entropy in which what is known well already counts little; y is 0 or 1.
    ///
    /// ```text
    ///     q, a = σ(z), alpha            where y = 1
    ///            1 − σ(z), 1 − alpha    where y = 0
    ///     loss = −a · (1 − q)^γ · log q
    /// ```
    Focal {
        /// How fast the known fades, γ ≥ 0; 0 is the weighted cross-entropy.
        gamma: f32,
        /// What a true one counts; a false one counts `1 − alpha`.
        alpha: f32,
    },
    /// z is the logarithm of what is expected of y ≥ 0: a count, money, a time. Whatever the spread of y,
    /// the best z is the logarithm of its mean.
    ///
    /// ```text
    ///     loss = eᶻ − y · z
    /// ```
    Poisson,
}

/// Which of C classes a position is of: cross-entropy in which classes count differently. z are the
/// scores, `[N, C]`.
///
/// ```text
///     u[p] = weight[p] · class_weight[target[p]]
///     L    = Σ_p u[p] · (log Σ_c exp z[p, c] − z[p, target[p]]) / Σ_p u[p]
/// ```
#[derive(Debug, Clone, Copy)]
pub struct ClassTask<'a> {
    /// The class of each position, `[N]`.
    pub target: &'a [u32],
    /// What each class counts, `[C]`, none negative; empty means one.
    pub class_weight: &'a [f32],
    /// What each position counts, `[N]`, none negative; the sum of all u is positive.
    pub weight: &'a [f32],
}
