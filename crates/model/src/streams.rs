//! The names of the random streams: one for each use, so that no two uses share a number.

/// Start values; the step is the tensor's place in the catalogue.
pub(crate) const START: u32 = 0x4D00_0000;
/// The candidates drawn for the sampled softmax.
pub(crate) const CANDIDATES: u32 = 0x4D00_0001;
/// Dropout on what enters the first layer.
pub(crate) const DROPOUT_INPUT: u32 = 0x4D00_0002;
/// Dropout on the last item in the readout.
pub(crate) const DROPOUT_LAST_ITEM: u32 = 0x4D00_0003;
/// Dropout on the context in the readout.
pub(crate) const DROPOUT_CONTEXT: u32 = 0x4D00_0004;
/// Dropout on what leaves the readout.
pub(crate) const DROPOUT_OUTPUT: u32 = 0x4D00_0005;
/// Dropout on what passes from layer `l` to layer `l + 1`; add `l`.
pub(crate) const DROPOUT_LAYER: u32 = 0x4D00_0100;
/// Dropout of the recurrent weights of layer `l`; add `l`.
pub(crate) const DROPOUT_WEIGHTS: u32 = 0x4D00_0200;
/// Dropout on what the recurrent product of layer `l` sees; add `l`.
pub(crate) const DROPOUT_RECURRENT: u32 = 0x4D00_0300;
/// Zoneout of the cell states of layer `l`; add `l`.
pub(crate) const ZONEOUT_CELL: u32 = 0x4D00_0400;
/// Zoneout of the hidden states of layer `l`; add `l`.
pub(crate) const ZONEOUT_HIDDEN: u32 = 0x4D00_0500;
/// Dropout on what leaves dense layer `k` of the head; add `k`.
pub(crate) const DROPOUT_HEAD: u32 = 0x4D00_0600;
/// Dropout on what leaves dense layer `k` of the head of answer `a`; add `128 a + k`.
pub(crate) const DROPOUT_ANSWER: u32 = 0x4D10_0000;
