//! The bridge between candle's custom operations and kernels on plain slices, in one place: an operation says
//! what it computes for any float type and what its gradients are, and nothing about storages and layouts.

use candle_core::{
    CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor, WithDType, bail,
};

/// The float types that kernels run in.
pub(crate) trait Element:
    freqreg_kernels::Real + super::synthesis::PlanOf + WithDType + Send + Sync
{
    fn storage(values: Vec<Self>) -> CpuStorage;
}

impl Element for f32 {
    fn storage(values: Vec<Self>) -> CpuStorage {
        CpuStorage::F32(values)
    }
}

impl Element for f64 {
    fn storage(values: Vec<Self>) -> CpuStorage {
        CpuStorage::F64(values)
    }
}

/// A computation on `N` contiguous inputs of one float type.
pub(crate) trait Kernel<const N: usize>: Send + Sync {
    const NAME: &'static str;
    fn output_shape(&self) -> Shape;
    fn run<T: Element>(&self, inputs: [&[T]; N]) -> Result<Vec<T>>;
}

/// A computation with gradients. `backward` skips inputs for which [`wanted`] is false.
pub(crate) trait Differentiable<const N: usize>: Kernel<N> + 'static {
    fn backward(
        &self,
        inputs: [&Tensor; N],
        result: &Tensor,
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; N]>;
}

/// Whether anybody asks for the gradient of `t`: a variable, or something computed from one. The images of
/// a batch are neither, and their gradient is the largest of all.
pub(crate) fn wanted(t: &Tensor) -> bool {
    t.track_op()
}

/// Kernel errors as candle's.
pub(crate) fn wrap<E: std::error::Error + Send + Sync + 'static>(e: E) -> candle_core::Error {
    candle_core::Error::wrap(e)
}

pub(crate) fn slice<'a, T: Element>(s: &'a CpuStorage, l: &Layout, name: &str) -> Result<&'a [T]> {
    let all = s.as_slice::<T>()?;
    match l.contiguous_offsets() {
        Some((from, to)) => Ok(&all[from..to]),
        None => bail!("{name}: input of shape {:?} is not contiguous", l.shape()),
    }
}

fn dispatch<const N: usize, K: Kernel<N>>(
    kernel: &K,
    inputs: [(&CpuStorage, &Layout); N],
) -> Result<(CpuStorage, Shape)> {
    fn typed<T: Element, const N: usize, K: Kernel<N>>(
        kernel: &K,
        inputs: [(&CpuStorage, &Layout); N],
    ) -> Result<CpuStorage> {
        let mut slices: [&[T]; N] = [&[]; N];
        for (to, (s, l)) in slices.iter_mut().zip(inputs) {
            *to = slice::<T>(s, l, K::NAME)?;
        }
        Ok(T::storage(kernel.run(slices)?))
    }
    let out = match inputs[0].0 {
        CpuStorage::F32(_) => typed::<f32, N, K>(kernel, inputs)?,
        CpuStorage::F64(_) => typed::<f64, N, K>(kernel, inputs)?,
        other => {
            use candle_core::backend::BackendStorage;
            bail!("{}: runs in f32 or f64, not {:?}", K::NAME, other.dtype())
        }
    };
    Ok((out, kernel.output_shape()))
}

struct Op<K>(K);

macro_rules! bridge {
    ($trait:ident, $n:literal, $run:ident, $apply:ident, $first:ident $(, $rest:ident)*; $($s:ident $l:ident),+; $ret:ty, $unpack:expr) => {
        impl<K: Differentiable<$n>> $trait for Op<K> {
            fn name(&self) -> &'static str {
                K::NAME
            }

            fn cpu_fwd(&self, $($s: &CpuStorage, $l: &Layout),+) -> Result<(CpuStorage, Shape)> {
                dispatch(&self.0, [$(($s, $l)),+])
            }

            fn bwd(&self, $first: &Tensor, $($rest: &Tensor,)* result: &Tensor, grad: &Tensor) -> Result<$ret> {
                let grads = self.0.backward([$first $(, $rest)*], result, &grad.contiguous()?)?;
                Ok($unpack(grads))
            }
        }

        /// Runs the kernel as a node of the graph.
        pub(crate) fn $run<K: Differentiable<$n>>(kernel: K, [$first $(, $rest)*]: [&Tensor; $n]) -> Result<Tensor> {
            $first.contiguous()?.$apply($(&$rest.contiguous()?,)* Op(kernel))
        }
    };
}

type Grad = Option<Tensor>;
bridge!(CustomOp1, 1, run1, apply_op1, a; s1 l1; Grad, |[a]: [Grad; 1]| a);
bridge!(CustomOp2, 2, run2, apply_op2, a, b; s1 l1, s2 l2; (Grad, Grad), |[a, b]: [Grad; 2]| (a, b));
bridge!(CustomOp3, 3, run3, apply_op3, a, b, c; s1 l1, s2 l2, s3 l3; (Grad, Grad, Grad), |[a, b, c]: [Grad; 3]| (a, b, c));

/// Runs the kernel outside of the graph: for gradients.
pub(crate) fn run_plain<const N: usize, K: Kernel<N>>(
    kernel: &K,
    inputs: [&Tensor; N],
) -> Result<Tensor> {
    let held: Vec<Tensor> = inputs
        .iter()
        .map(|t| t.contiguous())
        .collect::<Result<_>>()?;
    let guards: Vec<_> = held.iter().map(|t| t.storage_and_layout()).collect();
    let mut views = Vec::with_capacity(N);
    for (storage, layout) in &guards {
        match &**storage {
            candle_core::Storage::Cpu(s) => views.push((s, *layout)),
            _ => bail!("{}: runs on the CPU only", K::NAME),
        }
    }
    let Ok(views) = <[(&CpuStorage, &Layout); N]>::try_from(views) else {
        bail!("{}: takes {N} inputs", K::NAME)
    };
    let (storage, shape) = dispatch(kernel, views)?;
    Ok(Tensor::from_storage(
        candle_core::Storage::Cpu(storage),
        shape,
        candle_core::op::BackpropOp::none(),
        false,
    ))
}
