//! What a step of an optimiser is asked to do, and what it remembers from step to step.

/// One step of an optimiser, its constants worked out. What all of them share stands here; what
/// makes each of them another one is its [`UpdateRule`].
///
/// ```text
///     ĝ = scale · g + l2 · w
///     pace, and what is remembered:  by the rule, from ĝ and from what was remembered
///     w = w − η · (pace + weight_decay · w)
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OptimizerStep {
    /// Learning rate η of this step.
    pub learning_rate: f32,
    /// What clipping has left of the gradient, in `(0, 1]`.
    pub scale: f32,
    /// Coupled decay: added to the gradient. PyTorch's `weight_decay`, but for AdamW.
    pub l2: f32,
    /// Decoupled decay, past the rule, as in AdamW.
    pub weight_decay: f32,
    /// From the gradient to the pace.
    pub rule: UpdateRule,
}

/// How a gradient becomes a pace. Each rule is as PyTorch's `torch.optim` has it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum UpdateRule {
    /// Running mean over the root of the running mean square.
    Adam(Adam),
    /// The gradient itself, or a velocity made of it.
    Sgd(Sgd),
    /// The gradient over the root of the sum of its squares so far.
    Adagrad(Adagrad),
    /// The gradient over the root of its running mean square.
    RmsProp(RmsProp),
}

/// Adam.
///
/// ```text
///     m    = β₁ m + (1 − β₁) ĝ
///     v    = β₂ v + (1 − β₂) ĝ²
///     pace = (m / correction_1) / (√(v / correction_2) + ε)
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Decay of the mean, β₁.
    pub beta_1: f32,
    /// Decay of the mean square, β₂.
    pub beta_2: f32,
    /// Added to the root, ε.
    pub epsilon: f32,
    /// `1 − β₁ᵗ` for step t, counted from 1.
    pub correction_1: f32,
    /// `1 − β₂ᵗ`.
    pub correction_2: f32,
}

/// Stochastic gradient descent. Where μ is zero, nothing is remembered.
///
/// ```text
///     μ = 0        pace = ĝ
///     μ > 0        b    = μ b + ĝ
///                  pace = b                 or  ĝ + μ b  as Nesterov has it
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// What a step leaves of the velocity, μ.
    pub momentum: f32,
    /// Whether the pace looks ahead by one more share of the velocity.
    pub nesterov: bool,
}

/// Adagrad. Its falling rate `η / (1 + (t − 1) · lr_decay)` is the step's learning rate.
///
/// ```text
///     v    = v + ĝ²
///     pace = ĝ / (√v + ε)
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adagrad {
    /// Added to the root, ε.
    pub epsilon: f32,
}

/// RMSprop.
///
/// ```text
///     v    = α v + (1 − α) ĝ²
///     m    = m + (1 − α) (ĝ − m)                    centered only
///     root = √v                                     or  √(v − m²)  centered
///     b    = μ b + ĝ / (root + ε)
///     pace = b                                      where μ = 0, b is not remembered
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsProp {
    /// Decay of the running means, α.
    pub alpha: f32,
    /// Added to the root, ε.
    pub epsilon: f32,
    /// What a step leaves of the velocity, μ.
    pub momentum: f32,
    /// Whether the square is taken round the running mean: a variance.
    pub centered: bool,
}

/// What is remembered of one parameter from step to step, or something of each part of it. A part
/// that a rule does not keep is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OptimizerState<M> {
    /// Running mean of the gradients.
    pub m: M,
    /// Running mean of their squares, or the sum of these.
    pub v: M,
    /// Velocity: what momentum carries on.
    pub b: M,
}

impl<M> OptimizerState<M> {
    /// Something made of each part.
    pub fn map<N>(self, mut make: impl FnMut(M) -> N) -> OptimizerState<N> {
        OptimizerState { m: make(self.m), v: make(self.v), b: make(self.b) }
    }

    /// Each part beside that of another state.
    pub fn zip<N>(self, other: OptimizerState<N>) -> OptimizerState<(M, N)> {
        OptimizerState { m: (self.m, other.m), v: (self.v, other.v), b: (self.b, other.b) }
    }

    /// A reference to each part.
    pub fn as_ref(&self) -> OptimizerState<&M> {
        OptimizerState { m: &self.m, v: &self.v, b: &self.b }
    }

    /// A reference to each part, to write.
    pub fn as_mut(&mut self) -> OptimizerState<&mut M> {
        OptimizerState { m: &mut self.m, v: &mut self.v, b: &mut self.b }
    }

    /// The parts in their order.
    pub fn into_array(self) -> [M; 3] {
        [self.m, self.v, self.b]
    }
}

impl UpdateRule {
    /// Which parts of the state the rule keeps.
    pub fn keeps(&self) -> OptimizerState<bool> {
        match *self {
            Self::Adam(_) => OptimizerState { m: true, v: true, b: false },
            Self::Sgd(Sgd { momentum, .. }) => {
                OptimizerState { m: false, v: false, b: momentum > 0.0 }
            }
            Self::Adagrad(_) => OptimizerState { m: false, v: true, b: false },
            Self::RmsProp(RmsProp { momentum, centered, .. }) => {
                OptimizerState { m: centered, v: true, b: momentum > 0.0 }
            }
        }
    }
}
