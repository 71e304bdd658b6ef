// The LSTM between two products: elementwise, one thread a unit of a row.
//
//     z      = x·w_xᵀ + b + h_prev·w_hᵀ
//     i f o  = σ(z_i) σ(z_f) σ(z_o)        g = tanh(z_g)
//     c      = f ⊙ c_prev + i ⊙ g          h = o ⊙ tanh(c)
//
// | version | idea |
// |---|---|
// | v1 | one kernel an equation of the reference: `arrivals`, `cell_forward`, `cell_backward`: the oracle |
// | v2 | `step_…`: what stands between the products of a step, the bias and the arrivals included, in one launch |
// | v3 | the whole sequence in one launch: `lstm_sequence.cu` |
//
// A tape lies as `layout::Steps` says: gates a by positions [N, 4H]; states c and h in slots [B + N, H].
// `position` is the first position of the step, `from` and `to` the first rows of the slots before and
// after it.

#include "common.cuh"

// a = z on entry, the activated gates on return.
extern "C" __global__ void lstm_cell_forward_v1(
    int rows, int hidden, int position, int from, int to,
    float* a,  // [N, 4H]
    float* c,  // [B + N, H]: slot before read, slot after written
    float* h)  // [B + N, H]: slot after written
{
    const int j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= hidden) return;
    for (int n = blockIdx.y * blockDim.y + threadIdx.y; n < rows; n += gridDim.y * blockDim.y) {
        float* a_n = a + static_cast<size_t>(position + n) * 4 * hidden;
        float gates[4];
        for (int gate = 0; gate < 4; ++gate) gates[gate] = a_n[gate_at(gate, hidden, j)];
        const float c_prev = c[static_cast<size_t>(from + n) * hidden + j];
        const size_t after = static_cast<size_t>(to + n) * hidden + j;
        lstm_cell(gates, c_prev, c[after], h[after]);
        for (int gate = 0; gate < 4; ++gate) a_n[gate_at(gate, hidden, j)] = gates[gate];
    }
}

// dh = dh_above + dh_carry
extern "C" __global__ void arrivals_v1(
    const float* dh_above,  // [N, H]
    const float* dh_carry,  // [B, H]
    int rows, int hidden, int position,
    float* dh)  // [B, H]
{
    const int j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= hidden) return;
    for (int n = blockIdx.y * blockDim.y + threadIdx.y; n < rows; n += gridDim.y * blockDim.y) {
        const size_t at = static_cast<size_t>(n) * hidden + j;
        dh[at] = dh_above[static_cast<size_t>(position + n) * hidden + j] + dh_carry[at];
    }
}

extern "C" __global__ void lstm_cell_backward_v1(
    const float* a,   // [N, 4H]
    const float* c,   // [B + N, H]
    const float* dh,  // [B, H]
    int rows, int hidden, int position, int from, int to,
    float* dz,  // [N, 4H]
    float* dc)  // [B, H]: dc_carry on entry, dc_prev on return
{
    const int j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= hidden) return;
    for (int n = blockIdx.y * blockDim.y + threadIdx.y; n < rows; n += gridDim.y * blockDim.y) {
        const size_t wide = static_cast<size_t>(position + n) * 4 * hidden;
        const size_t at = static_cast<size_t>(n) * hidden + j;
        float gates[4], slopes[4];
        for (int gate = 0; gate < 4; ++gate) gates[gate] = a[wide + gate_at(gate, hidden, j)];
        const float c_prev = c[static_cast<size_t>(from + n) * hidden + j];
        const float c_now = c[static_cast<size_t>(to + n) * hidden + j];
        dc[at] = lstm_cell_undone(gates, c_prev, c_now, dh[at], dc[at], slopes);
        for (int gate = 0; gate < 4; ++gate) dz[wide + gate_at(gate, hidden, j)] = slopes[gate];
    }
}

// --- v2 ---------------------------------------------------------------------------------------

// As `lstm_cell_forward_v1`, with a = x·w_xᵀ + h_prev·w_hᵀ on entry: the bias is added here.
extern "C" __global__ void lstm_step_forward_v2(
    const float* b,  // [4H]
    int rows, int hidden, int position, int from, int to,
    float* a, float* c, float* h) {
    const int j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= hidden) return;
    for (int n = blockIdx.y * blockDim.y + threadIdx.y; n < rows; n += gridDim.y * blockDim.y) {
        float* a_n = a + static_cast<size_t>(position + n) * 4 * hidden;
        float gates[4];
        for (int gate = 0; gate < 4; ++gate) {
            const size_t at = gate_at(gate, hidden, j);
            gates[gate] = a_n[at] + b[at];
        }
        const float c_prev = c[static_cast<size_t>(from + n) * hidden + j];
        const size_t after = static_cast<size_t>(to + n) * hidden + j;
        lstm_cell(gates, c_prev, c[after], h[after]);
        for (int gate = 0; gate < 4; ++gate) a_n[gate_at(gate, hidden, j)] = gates[gate];
    }
}

// As `lstm_cell_backward_v1`, with the sum of both arrivals. `carried` rows have a step after this one;
// to the others, whose last step this is, nothing is carried.
extern "C" __global__ void lstm_step_backward_v2(
    const float* a, const float* c,
    const float* dh_above,  // [N, H]
    const float* dh_carry,  // [B, H]
    int rows, int carried, int hidden, int position, int from, int to,
    float* dz, float* dc) {
    const int j = blockIdx.x * blockDim.x + threadIdx.x;
    if (j >= hidden) return;
    for (int n = blockIdx.y * blockDim.y + threadIdx.y; n < rows; n += gridDim.y * blockDim.y) {
        const size_t wide = static_cast<size_t>(position + n) * 4 * hidden;
        const size_t at = static_cast<size_t>(n) * hidden + j;
        float gates[4], slopes[4];
        for (int gate = 0; gate < 4; ++gate) gates[gate] = a[wide + gate_at(gate, hidden, j)];
        const float c_prev = c[static_cast<size_t>(from + n) * hidden + j];
        const float c_now = c[static_cast<size_t>(to + n) * hidden + j];
        const bool goes_on = n < carried;
        const float above = dh_above[static_cast<size_t>(position + n) * hidden + j];
        const float dh = goes_on ? above + dh_carry[at] : above;
        dc[at] = lstm_cell_undone(gates, c_prev, c_now, dh, goes_on ? dc[at] : 0.0f, slopes);
        for (int gate = 0; gate < 4; ++gate) dz[wide + gate_at(gate, hidden, j)] = slopes[gate];
    }
}

// What each position's step started from, one row a position: h_before[p] = h[slot before p].
// With rows of different lengths a slot holds more rows than the step after it reads, so that the
// states before all positions are no one block; the weights' gradient wants them as one.
extern "C" __global__ void states_before_v2(
    const float* h,      // [B + N, H]
    const int* offsets,  // [T + 1]
    int steps, int batch, int hidden,
    float* h_before)  // [N, H]
{
    for (int t = blockIdx.y; t < steps; t += gridDim.y) {
        const int first = offsets[t], end = offsets[t + 1];
        const int from = t == 0 ? 0 : batch + offsets[t - 1];
        for (int p = first; p < end; ++p) {
            for (int j = blockIdx.x * blockDim.x + threadIdx.x; j < hidden; j += gridDim.x * blockDim.x) {
                h_before[static_cast<size_t>(p) * hidden + j] =
                    h[static_cast<size_t>(from + p - first) * hidden + j];
            }
        }
    }
}
