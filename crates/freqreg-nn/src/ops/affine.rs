//! What linear layers, convolutions and transposed convolutions share: y = A(w) x + b, with the gradient of
//! each argument computed only where somebody asks for it. Written once, for the three geometries.

use super::kernel::{Differentiable, Element, Kernel, run_plain, run2, run3, wanted, wrap};
use candle_core::{Result, Shape, Tensor};
use freqreg_kernels::{Conv2d, ConvTranspose2d, Linear};

/// The sizes of such a map, with its kernels.
pub(crate) trait Affine: Copy + Send + Sync + 'static {
    const NAME: &'static str;
    fn input_shape(&self) -> Shape;
    fn weight_shape(&self) -> Shape;
    fn output_shape(&self) -> Shape;
    fn channels_out(&self) -> usize;
    fn forward<T: Element>(&self, x: &[T], w: &[T], b: Option<&[T]>, y: &mut [T]) -> Result<()>;
    fn grad_input<T: Element>(&self, w: &[T], grad: &[T], out: &mut [T]) -> Result<()>;
    fn grad_weight<T: Element>(&self, x: &[T], grad: &[T], out: &mut [T]) -> Result<()>;
    fn grad_bias<T: Element>(&self, grad: &[T], out: &mut [T]) -> Result<()>;
}

/// Runs the map as a node of the graph.
pub(crate) fn apply<A: Affine>(
    a: A,
    x: &Tensor,
    w: &Tensor,
    bias: Option<&Tensor>,
) -> Result<Tensor> {
    match bias {
        None => run2(Forward(a), [x, w]),
        Some(b) => run3(Forward(a), [x, w, b]),
    }
}

macro_rules! affine {
    ($geometry:ty, $name:literal, |$g:ident| $input:expr, $weight:expr, $output:expr, $channels:expr) => {
        impl Affine for $geometry {
            const NAME: &'static str = $name;
            fn input_shape(&self) -> Shape {
                let $g = self;
                $input.into()
            }
            fn weight_shape(&self) -> Shape {
                let $g = self;
                $weight.into()
            }
            fn output_shape(&self) -> Shape {
                let $g = self;
                $output.into()
            }
            fn channels_out(&self) -> usize {
                let $g = self;
                $channels
            }
            fn forward<T: Element>(
                &self,
                x: &[T],
                w: &[T],
                b: Option<&[T]>,
                y: &mut [T],
            ) -> Result<()> {
                <$geometry>::forward(self, x, w, b, y).map_err(wrap)
            }
            fn grad_input<T: Element>(&self, w: &[T], grad: &[T], out: &mut [T]) -> Result<()> {
                <$geometry>::grad_input(self, w, grad, out).map_err(wrap)
            }
            fn grad_weight<T: Element>(&self, x: &[T], grad: &[T], out: &mut [T]) -> Result<()> {
                <$geometry>::grad_weight(self, x, grad, out).map_err(wrap)
            }
            fn grad_bias<T: Element>(&self, grad: &[T], out: &mut [T]) -> Result<()> {
                <$geometry>::grad_bias(self, grad, out).map_err(wrap)
            }
        }
    };
}

affine!(
    Linear,
    "linear",
    |g| (g.rows, g.features_in),
    (g.features_out, g.features_in),
    (g.rows, g.features_out),
    g.features_out
);
affine!(
    Conv2d,
    "conv2d",
    |g| (g.batch, g.channels_in, g.height, g.width),
    (
        g.channels_out,
        g.channels_in / g.groups,
        g.kernel[0],
        g.kernel[1]
    ),
    (
        g.batch,
        g.channels_out,
        g.output_size()[0],
        g.output_size()[1]
    ),
    g.channels_out
);
affine!(
    ConvTranspose2d,
    "conv_transpose2d",
    |g| (g.batch, g.channels_in, g.height, g.width),
    (
        g.channels_in,
        g.channels_out / g.groups,
        g.kernel[0],
        g.kernel[1]
    ),
    (
        g.batch,
        g.channels_out,
        g.output_size()[0],
        g.output_size()[1]
    ),
    g.channels_out
);

struct Forward<A>(A);
struct GradInput<A>(A);
struct GradWeight<A>(A);
struct GradBias<A>(A);

impl<A: Affine> Forward<A> {
    fn compute<T: Element>(&self, x: &[T], w: &[T], bias: Option<&[T]>) -> Result<Vec<T>> {
        let mut y = zeros(&self.0.output_shape());
        self.0.forward(x, w, bias, &mut y)?;
        Ok(y)
    }

    fn grads(&self, x: &Tensor, w: &Tensor, grad: &Tensor) -> Result<[Option<Tensor>; 2]> {
        let gx = wanted(x).then(|| run_plain(&GradInput(self.0), [w, grad]));
        let gw = wanted(w).then(|| run_plain(&GradWeight(self.0), [x, grad]));
        Ok([gx.transpose()?, gw.transpose()?])
    }
}

fn zeros<T: Element>(shape: &Shape) -> Vec<T> {
    vec![T::zero(); shape.elem_count()]
}

impl<A: Affine> Kernel<2> for Forward<A> {
    const NAME: &'static str = A::NAME;
    fn output_shape(&self) -> Shape {
        self.0.output_shape()
    }
    fn run<T: Element>(&self, [x, w]: [&[T]; 2]) -> Result<Vec<T>> {
        self.compute(x, w, None)
    }
}

impl<A: Affine> Differentiable<2> for Forward<A> {
    fn backward(
        &self,
        [x, w]: [&Tensor; 2],
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; 2]> {
        self.grads(x, w, grad)
    }
}

impl<A: Affine> Kernel<3> for Forward<A> {
    const NAME: &'static str = A::NAME;
    fn output_shape(&self) -> Shape {
        self.0.output_shape()
    }
    fn run<T: Element>(&self, [x, w, b]: [&[T]; 3]) -> Result<Vec<T>> {
        self.compute(x, w, Some(b))
    }
}

impl<A: Affine> Differentiable<3> for Forward<A> {
    fn backward(
        &self,
        [x, w, b]: [&Tensor; 3],
        _: &Tensor,
        grad: &Tensor,
    ) -> Result<[Option<Tensor>; 3]> {
        let [gx, gw] = self.grads(x, w, grad)?;
        let gb = wanted(b).then(|| run_plain(&GradBias(self.0), [grad]));
        Ok([gx, gw, gb.transpose()?])
    }
}

macro_rules! gradient {
    ($op:ident, $n:literal, [$($input:ident),+], |$g:ident| $shape:expr, $method:ident) => {
        impl<A: Affine> Kernel<$n> for $op<A> {
            const NAME: &'static str = A::NAME;
            fn output_shape(&self) -> Shape {
                let $g = &self.0;
                $shape.into()
            }
            fn run<T: Element>(&self, [$($input),+]: [&[T]; $n]) -> Result<Vec<T>> {
                let mut out = zeros(&self.output_shape());
                self.0.$method($($input,)+ &mut out)?;
                Ok(out)
            }
        }
    };
}
gradient!(GradInput, 2, [w, grad], |g| g.input_shape(), grad_input);
gradient!(GradWeight, 2, [x, grad], |g| g.weight_shape(), grad_weight);
gradient!(GradBias, 1, [grad], |g| g.channels_out(), grad_bias);
