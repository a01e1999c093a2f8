// A layer of gated recurrent units, forward and backward, on one core; ears_gru.py builds and checks it.
// T steps, B tracks side by side, H units; gates in PyTorch's order: reset, update, new.
#include <cmath>
#include <torch/extension.h>

using at::Tensor;

static inline float sigmoid(float x) {
    x = x > 30.f ? 30.f : x < -30.f ? -30.f : x;
    return 1.f / (1.f + expf(-x));
}

// inputs [T, B, 3H] with the weights and biases of the inputs in them; weight [H, 3H] and bias [3H] of the past;
// first [B, H]. States [T + 1, B, H], and what `backward` needs of each step: r, z, n, the past's part of n.
std::vector<Tensor> forward(Tensor inputs, Tensor weight, Tensor bias, Tensor first) {
    const auto T = inputs.size(0), B = inputs.size(1), G = inputs.size(2), H = G / 3;
    const auto options = inputs.options();
    Tensor states = at::empty({T + 1, B, H}, options), gates = at::empty({T, B, 4 * H}, options);
    Tensor past = at::empty({B, G}, options);
    states[0].copy_(first);
    const auto each = states.unbind(0);
    for (int64_t t = 0; t < T; t++) {
        at::addmm_out(past, bias, each[t], weight);
        for (int64_t b = 0; b < B; b++) {
            const float* __restrict x = inputs.data_ptr<float>() + (t * B + b) * G;
            const float* __restrict q = past.data_ptr<float>() + b * G;
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

// d_states [T, B, H] of the loss; weight [3H, H] of the past. Derivatives of inputs, weight, bias, first.
std::vector<Tensor> backward(Tensor d_states, Tensor states, Tensor gates, Tensor weight) {
    const auto T = d_states.size(0), B = d_states.size(1), H = d_states.size(2), G = 3 * H;
    const auto options = d_states.options();
    Tensor d_inputs = at::empty({T, B, G}, options), d_past = at::empty({T, B, G}, options);
    Tensor d_state = at::zeros({B, H}, options), through = at::empty({B, H}, options);
    const auto each = d_past.unbind(0);
    for (int64_t t = T - 1; t >= 0; t--) {
        for (int64_t b = 0; b < B; b++) {
            const auto row = t * B + b;
            const float* __restrict out = d_states.data_ptr<float>() + row * H;
            const float* __restrict kept = gates.data_ptr<float>() + row * 4 * H;
            const float* __restrict old = states.data_ptr<float>() + row * H;
            const float* __restrict next = d_state.data_ptr<float>() + b * H;
            float* __restrict x = d_inputs.data_ptr<float>() + row * G;
            float* __restrict q = d_past.data_ptr<float>() + row * G;
            float* __restrict pass = through.data_ptr<float>() + b * H;
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
        at::addmm_out(d_state, through, each[t], weight);
    }
    const Tensor flat = d_past.view({T * B, G});
    return {d_inputs, at::mm(flat.t(), states.narrow(0, 0, T).reshape({T * B, H})), flat.sum(0), d_state};
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
    m.def("forward", &forward);
    m.def("backward", &backward);
}
