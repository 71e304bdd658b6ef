//! The kernels by name, and their PTX.

/// A file of kernels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Module {
    /// `kernels/linear.cu`
    Linear,
    /// `kernels/lstm.cu`
    Lstm,
    /// `kernels/lstm_sequence.cu`
    LstmSequence,
}

impl Module {
    /// All of them, in the order of their variants.
    pub const ALL: [Self; 3] = [Self::Linear, Self::Lstm, Self::LstmSequence];

    /// The file's name without its ending.
    pub fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Lstm => "lstm",
            Self::LstmSequence => "lstm_sequence",
        }
    }

    /// What nvcc has made of it: `cargo xtask kernels`.
    pub fn ptx(self) -> &'static str {
        match self {
            Self::Linear => include_str!("../../../kernels/linear.ptx"),
            Self::Lstm => include_str!("../../../kernels/lstm.ptx"),
            Self::LstmSequence => include_str!("../../../kernels/lstm_sequence.ptx"),
        }
    }
}

/// One row a kernel: its variant, its name in the file, the file, the kinds of its arguments.
macro_rules! kernels {
    ($($variant:ident $name:literal $module:ident $signature:literal)*) => {
        /// A kernel. What each computes stands over it in its file.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Kernel {
            $(#[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Kernel {
            /// All of them, in the order of their variants.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name in the file.
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The file that it stands in.
            pub fn module(self) -> Module {
                match self { $(Self::$variant => Module::$module),* }
            }

            /// A letter an argument: `f` floats, `k` ints, in capitals where they are written, `n` a
            /// number.
            pub fn signature(self) -> &'static str {
                match self { $(Self::$variant => $signature),* }
            }
        }
    };
}

kernels! {
    LinearForwardV1 "linear_forward_v1" Linear "ffnnnnnnF"
    LinearBackwardInputV1 "linear_backward_input_v1" Linear "ffnnnnnF"
    LinearBackwardWeightsV1 "linear_backward_weights_v1" Linear "ffnnnnnF"
    LinearForwardV2 "linear_forward_v2" Linear "ffnnnnnnF"
    LinearBackwardInputV2 "linear_backward_input_v2" Linear "ffnnnnnF"
    LinearBackwardWeightsV2 "linear_backward_weights_v2" Linear "ffnnnnnF"
    BiasForwardV1 "bias_forward_v1" Linear "fnnF"
    BiasBackwardV1 "bias_backward_v1" Linear "fnnF"
    BiasBackwardStretchesV2 "bias_backward_stretches_v2" Linear "fnnnF"
    LstmCellForwardV1 "lstm_cell_forward_v1" Lstm "nnnnnFFF"
    ArrivalsV1 "arrivals_v1" Lstm "ffnnnF"
    LstmCellBackwardV1 "lstm_cell_backward_v1" Lstm "fffnnnnnFF"
    LstmStepForwardV2 "lstm_step_forward_v2" Lstm "fnnnnnFFF"
    LstmStepBackwardV2 "lstm_step_backward_v2" Lstm "ffffnnnnnnFF"
    StatesBeforeV2 "states_before_v2" Lstm "fknnnF"
    LstmSequenceForwardV3 "lstm_sequence_forward_v3" LstmSequence "ffknnnnnFFF"
    LstmSequenceBackwardV3 "lstm_sequence_backward_v3" LstmSequence "ffffknnnnnFFFF"
}
