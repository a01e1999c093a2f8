//! The stem, the residual unit and the pool as operations of burn's CPU backend.
//!
//! Composed of burn's own operations the network trains several times slower: its grouped
//! convolutions' gradients go one group at a time. [`super::plain`] is that composition, for
//! comparison and for other devices.

// The macro below names traits and types of `burn::backend`.
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::flex::FlexTensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, Dispatch, Flex, backend_extension};
use burn::tensor::{Tensor, TensorData};

use super::{stem, unit};
use crate::kernels::normal::Moments;
use crate::kernels::{Group, WIDTH, pool, wide};
use rayon::prelude::*;
use std::sync::{Arc, Mutex, PoisonError};

/// Share of a batch in the running moments, as in PyTorch.
const MOMENTUM: f32 = 0.1;

/// Running moments of the normalisations of one layer, which its forward passes keep up.
#[derive(Clone, Debug)]
pub(super) struct Running(Arc<Mutex<Vec<Moments>>>);

impl Running {
    /// Mean 0 and variance 1, for normalisations of so many features.
    pub(super) fn new(normals: &[usize]) -> Self {
        let start = |&features: &usize| Moments {
            mean: vec![0.0; features],
            variance: vec![1.0; features],
        };
        Self::from(normals.iter().map(start).collect::<Vec<_>>())
    }

    /// The moments now.
    pub(super) fn get(&self) -> Vec<Moments> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn see<'a>(&self, batch: impl IntoIterator<Item = &'a Moments>) {
        let mut running = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let towards = |old: &mut Vec<f32>, new: &[f32]| {
            for (old, new) in old.iter_mut().zip(new) {
                *old += MOMENTUM * (new - *old);
            }
        };
        for (old, new) in running.iter_mut().zip(batch) {
            towards(&mut old.mean, &new.mean);
            towards(&mut old.variance, &new.variance);
        }
    }
}

impl From<Vec<Moments>> for Running {
    fn from(moments: Vec<Moments>) -> Self {
        Self(Arc::new(Mutex::new(moments)))
    }
}

/// The network's own operations. Tensors lie in groups, see [`crate::kernels`].
#[backend_extension(Flex, Autodiff)]
pub(super) trait MetricOps: Backend {
    /// `[batch, side, side]` to `[groups, 50, row]`.
    fn metric_stem(
        maps: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        side: usize,
        group: Group,
        running: Running,
    ) -> FloatTensor<Self>;

    /// `[groups, 50, row]` to the same.
    fn metric_unit(
        features: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        group: Group,
        running: Running,
    ) -> FloatTensor<Self>;

    /// `[groups, 50, row]` to a quarter of the row.
    fn metric_pool(features: FloatTensor<Self>, group: Group) -> FloatTensor<Self>;
}

/// See [`MetricOps::metric_stem`].
pub(super) fn stem(
    maps: Tensor<3>,
    weights: Tensor<1>,
    side: usize,
    group: Group,
    running: Running,
) -> Tensor<3> {
    let (maps, weights) = (maps.into_dispatch(), weights.into_dispatch());
    Tensor::from_dispatch(Dispatch::metric_stem(maps, weights, side, group, running))
}

/// See [`MetricOps::metric_unit`].
pub(super) fn unit(
    features: Tensor<3>,
    weights: Tensor<1>,
    group: Group,
    running: Running,
) -> Tensor<3> {
    let (features, weights) = (features.into_dispatch(), weights.into_dispatch());
    Tensor::from_dispatch(Dispatch::metric_unit(features, weights, group, running))
}

/// See [`MetricOps::metric_pool`].
pub(super) fn pool(features: Tensor<3>, group: Group) -> Tensor<3> {
    Tensor::from_dispatch(Dispatch::metric_pool(features.into_dispatch(), group))
}

fn values(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice().unwrap_or_default()
}

fn tensor(values: Vec<f32>, shape: &[usize]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}

/// Groups of 50 rows.
fn grouped(values: Vec<f32>, group: Group) -> FlexTensor {
    let groups = values.len() / (WIDTH * group.row());
    tensor(values, &[groups, WIDTH, group.row()])
}

fn pooled(features: &[f32], group: Group) -> Vec<f32> {
    let mut out = vec![0.0; features.len() / 4];
    let len = WIDTH * group.row();
    out.par_chunks_exact_mut(len / 4)
        .zip(features.par_chunks_exact(len))
        .for_each(|(out, rows)| {
            wide(
                #[inline(always)]
                || pool::pool(rows, out, group),
            );
        });
    out
}

impl MetricOps for Flex {
    fn metric_stem(
        maps: FlexTensor,
        weights: FlexTensor,
        side: usize,
        group: Group,
        running: Running,
    ) -> FlexTensor {
        let (maps, weights) = (maps.to_contiguous(), weights.to_contiguous());
        let (out, saved) = stem::forward(values(&maps), values(&weights), side, group);
        running.see([&saved.moments]);
        grouped(out, group)
    }

    fn metric_unit(
        features: FlexTensor,
        weights: FlexTensor,
        group: Group,
        running: Running,
    ) -> FlexTensor {
        let (features, weights) = (features.to_contiguous(), weights.to_contiguous());
        let (out, saved) = unit::forward(values(&features), values(&weights), group);
        running.see(&saved.moments);
        grouped(out, group)
    }

    fn metric_pool(features: FlexTensor, group: Group) -> FlexTensor {
        let features = features.to_contiguous();
        grouped(pooled(values(&features), group), group.halved())
    }
}

#[derive(Debug)]
struct StemBackward;

impl Backward<Flex, 2> for StemBackward {
    type State = (FlexTensor, FlexTensor, Arc<stem::Saved>, usize, Group);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (maps, weights, saved, side, group) = ops.state;
        let [_, parent] = ops.parents;
        let Some(parent) = parent else { return };
        let by = stem::backward(
            values(&maps),
            values(&weights),
            &saved,
            values(&grad),
            side,
            group,
        );
        let len = by.len();
        grads.register::<Flex>(parent.id, tensor(by, &[len]));
    }
}

#[derive(Debug)]
struct UnitBackward;

impl Backward<Flex, 2> for UnitBackward {
    type State = (FlexTensor, FlexTensor, Arc<unit::Saved>, Group);

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (features, weights, saved, group) = ops.state;
        let [by_features, by_weights] = ops.parents;
        let (features, weights) = (values(&features), values(&weights));
        let (back, weight) = unit::backward(features, weights, &saved, values(&grad), group);
        if let Some(parent) = by_features {
            grads.register::<Flex>(parent.id, grouped(back, group));
        }
        if let Some(parent) = by_weights {
            let len = weight.len();
            grads.register::<Flex>(parent.id, tensor(weight, &[len]));
        }
    }
}

#[derive(Debug)]
struct PoolBackward;

impl Backward<Flex, 1> for PoolBackward {
    type State = (FlexTensor, FlexTensor, Group);

    fn backward(self, ops: Ops<Self::State, 1>, grads: &mut Gradients, _: &mut Checkpointer) {
        let grad = grads.consume::<Flex>(&ops.node).to_contiguous();
        let (features, out, group) = ops.state;
        let [Some(parent)] = ops.parents else { return };
        let len = WIDTH * group.row();
        let mut back = vec![0.0; values(&features).len()];
        back.par_chunks_exact_mut(len)
            .zip(values(&features).par_chunks_exact(len))
            .zip(values(&out).par_chunks_exact(len / 4))
            .zip(values(&grad).par_chunks_exact(len / 4))
            .for_each(|(((back, rows), out), grad)| {
                wide(
                    #[inline(always)]
                    || pool::pool_gradient(rows, out, grad, back, group),
                );
            });
        grads.register::<Flex>(parent.id, grouped(back, group));
    }
}

impl<C: CheckpointStrategy> MetricOps for Autodiff<Flex, C> {
    fn metric_stem(
        maps: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        side: usize,
        group: Group,
        running: Running,
    ) -> FloatTensor<Self> {
        let nodes = [maps.node(), weights.node()];
        let maps = maps.into_primitive().to_contiguous();
        let weights = weights.into_primitive().to_contiguous();
        let (out, saved) = stem::forward(values(&maps), values(&weights), side, group);
        running.see([&saved.moments]);
        let out = grouped(out, group);
        match StemBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish((maps, weights, Arc::new(saved), side, group), out)
            }
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }

    fn metric_unit(
        features: FloatTensor<Self>,
        weights: FloatTensor<Self>,
        group: Group,
        running: Running,
    ) -> FloatTensor<Self> {
        let nodes = [features.node(), weights.node()];
        let features = features.into_primitive().to_contiguous();
        let weights = weights.into_primitive().to_contiguous();
        let (out, saved) = unit::forward(values(&features), values(&weights), group);
        running.see(&saved.moments);
        let out = grouped(out, group);
        match UnitBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((features, weights, Arc::new(saved), group), out),
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }

    fn metric_pool(features: FloatTensor<Self>, group: Group) -> FloatTensor<Self> {
        let nodes = [features.node()];
        let features = features.into_primitive().to_contiguous();
        let out = grouped(pooled(values(&features), group), group.halved());
        match PoolBackward.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((features, out.clone(), group), out),
            OpsKind::UnTracked(prep) => prep.finish(out),
        }
    }
}
