// A layer of gated recurrent units, forward and backward, on one core; ears_gru.py builds and checks it.
// T steps, B tracks side by side, H units; gates in PyTorch's order: reset, update, new.
#include <algorithm>
#include <cmath>
#include <torch/extension.h>

using at::Tensor;

static inline float sigmoid(float x) {
    x = x > 30.f ? 30.f : x < -30.f ? -30.f : x;
    return 1.f / (1.f + expf(-x));
}

// Sixteen numbers side by side; a row of the product is kept in registers.
typedef float Wide __attribute__((vector_size(64), aligned(4)));

// sums [ROWS, N] += left [ROWS, K] · right [K, N], of COLUMNS × 16 columns from `column` on.
template <int ROWS, int COLUMNS>
static inline void block(float* sums, const float* left, const float* right, int64_t K, int64_t N, int64_t column) {
    Wide sum[ROWS][COLUMNS];
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLUMNS; c++) sum[r][c] = *(const Wide*)(sums + r * N + column + 16 * c);
    for (int64_t k = 0; k < K; k++) {
        Wide row[COLUMNS];
        for (int c = 0; c < COLUMNS; c++) row[c] = *(const Wide*)(right + k * N + column + 16 * c);
#pragma GCC unroll 12
        for (int r = 0; r < ROWS; r++)
            for (int c = 0; c < COLUMNS; c++) sum[r][c] += left[r * K + k] * row[c];
    }
    for (int r = 0; r < ROWS; r++)
        for (int c = 0; c < COLUMNS; c++) *(Wide*)(sums + r * N + column + 16 * c) = sum[r][c];
}

// sums [B, N] += left [B, K] · right [K, N]; B of 12 tracks, N of 16 columns, or not.
static void multiply(float* sums, const float* left, const float* right, int64_t B, int64_t K, int64_t N) {
    int64_t n = 0;
    for (; n + 32 <= N; n += 32) {
        int64_t b = 0;
        for (; b + 12 <= B; b += 12) block<12, 2>(sums + b * N, left + b * K, right, K, N, n);
        for (; b < B; b++) block<1, 2>(sums + b * N, left + b * K, right, K, N, n);
    }
    for (; n + 16 <= N; n += 16)
        for (int64_t b = 0; b < B; b++) block<1, 1>(sums + b * N, left + b * K, right, K, N, n);
    for (; n < N; n++)
        for (int64_t b = 0; b < B; b++)
            for (int64_t k = 0; k < K; k++) sums[b * N + n] += left[b * K + k] * right[k * N + n];
}

// inputs [T, B, 3H] with the weights and biases of the inputs in them; weight [H, 3H] and bias [3H] of the past;
// first [B, H]. States [T + 1, B, H], and what `backward` needs of each step: r, z, n, the past's part of n.
std::vector<Tensor> forward(Tensor inputs, Tensor weight, Tensor bias, Tensor first) {
    const auto T = inputs.size(0), B = inputs.size(1), G = inputs.size(2), H = G / 3;
    const auto options = inputs.options();
    Tensor states = at::empty({T + 1, B, H}, options), gates = at::empty({T, B, 4 * H}, options);
    std::vector<float> past(B * G);
    states[0].copy_(first);
    const float *of_past = weight.data_ptr<float>(), *extra = bias.data_ptr<float>();
    for (int64_t t = 0; t < T; t++) {
        for (int64_t b = 0; b < B; b++) std::copy(extra, extra + G, &past[b * G]);
        multiply(past.data(), states.data_ptr<float>() + t * B * H, of_past, B, H, G);
        for (int64_t b = 0; b < B; b++) {
            const float* __restrict x = inputs.data_ptr<float>() + (t * B + b) * G;
            const float* __restrict q = past.data() + b * G;
            const float* __restrict old = states.data_ptr<float>() + (t * B + b) * H;
            float* __restrict kept = gates.data_ptr<float>() + (t * B + b) * 4 * H;
            float* __restrict state = states.data_ptr<float>() + ((t + 1) * B + b) * H;
#pragma GCC ivdep
            for (int64_t i = 0; i < H; i++) {
                const float r = sigmoid(x[i] + q[i]), z = sigmoid(x[H + i] + q[H + i]);
                // tanh by the same function.
                const float n = 2.f * sigmoid(2.f * (x[2 * H + i] + r * q[2 * H + i])) - 1.f;
                kept[i] = r, kept[H + i] = z, kept[2 * H + i] = n, kept[3 * H + i] = q[2 * H + i];
                state[i] = n + z * (old[i] - n);
            }
        }
    }
    return {states, gates};
}

// What comes from later steps may be so many times the largest of a track's derivatives: where the units are chaotic,
// it grows without bound and says nothing.
static const float MOST = 50.f;

// d_states [T, B, H] of the loss; weight [3H, H] of the past; `halves`: in short numbers where that is faster. Derivatives of inputs, weight, bias, first.
std::vector<Tensor> backward(Tensor d_states, Tensor states, Tensor gates, Tensor weight, bool halves) {
    const auto T = d_states.size(0), B = d_states.size(1), H = d_states.size(2), G = 3 * H;
    const auto options = d_states.options();
    Tensor d_inputs = at::empty({T, B, G}, options), d_past = at::empty({T, B, G}, options);
    Tensor d_state = at::zeros({B, H}, options);
    std::vector<float> through(B * H);
    const Tensor most = MOST * std::get<0>(d_states.norm(2, 2).max(0));
    const float* limit = most.data_ptr<float>();
    for (int64_t t = T - 1; t >= 0; t--) {
        for (int64_t b = 0; b < B; b++) {
            const auto row = t * B + b;
            const float* __restrict out = d_states.data_ptr<float>() + row * H;
            const float* __restrict kept = gates.data_ptr<float>() + row * 4 * H;
            const float* __restrict old = states.data_ptr<float>() + row * H;
            const float* __restrict next = d_state.data_ptr<float>() + b * H;
            float* __restrict x = d_inputs.data_ptr<float>() + row * G;
            float* __restrict q = d_past.data_ptr<float>() + row * G;
            float* __restrict pass = through.data() + b * H;
#pragma GCC ivdep
            for (int64_t i = 0; i < H; i++) {
                const float d = next[i] + out[i];
                const float r = kept[i], z = kept[H + i], n = kept[2 * H + i];
                const float dz = d * (old[i] - n) * z * (1 - z), dn = d * (1 - z) * (1 - n * n);
                const float dr = dn * kept[3 * H + i] * r * (1 - r);
                x[i] = dr, x[H + i] = dz, x[2 * H + i] = dn;
                q[i] = dr, q[H + i] = dz, q[2 * H + i] = dn * r;
                pass[i] = d * z;
            }
        }
        std::copy(through.begin(), through.end(), d_state.data_ptr<float>());
        multiply(d_state.data_ptr<float>(), d_past.data_ptr<float>() + t * B * G, weight.data_ptr<float>(), B, G, H);
        for (int64_t b = 0; b < B; b++) {
            float* __restrict next = d_state.data_ptr<float>() + b * H;
            float norm = 0;
            for (int64_t i = 0; i < H; i++) norm += next[i] * next[i];
            if (norm > limit[b] * limit[b]) {
                const float less = limit[b] / sqrtf(norm);
                for (int64_t i = 0; i < H; i++) next[i] *= less;
            }
        }
    }
    const Tensor flat = d_past.view({T * B, G});
    const Tensor before = states.narrow(0, 0, T).reshape({T * B, H});
    const Tensor d_weight = halves ? at::mm(flat.t().to(at::kBFloat16), before.to(at::kBFloat16)).to(at::kFloat) : at::mm(flat.t(), before);
    return {d_inputs, d_weight, flat.sum(0), d_state};
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
    m.def("forward", &forward);
    m.def("backward", &backward);
}
