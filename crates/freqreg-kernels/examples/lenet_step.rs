//! One training step of LeNet5 (forward, backward, Adam) from bare kernels, timed kernel by kernel.
//!
//! `cargo run --release -p freqreg-kernels --example lenet_step -- [caffe|paper] [batch] [steps]`

use std::time::Instant;

use freqreg_kernels::{
    Conv2d, Linear, Pool2d, Result, relu, relu_backward, softmax_cross_entropy,
    softmax_cross_entropy_backward,
};

/// A tensor of the network: its values and its gradient.
#[derive(Default)]
struct Tensor {
    value: Vec<f32>,
    grad: Vec<f32>,
}

impl Tensor {
    fn zeros(len: usize) -> Self {
        Self {
            value: vec![0.0; len],
            grad: vec![0.0; len],
        }
    }
}

/// A weight or bias with its Adam moments.
struct Parameter {
    tensor: Tensor,
    moments: [Vec<f32>; 2],
}

impl Parameter {
    fn random(len: usize, spread: f32, seed: &mut u64) -> Self {
        let mut tensor = Tensor::zeros(len);
        tensor.value.fill_with(|| spread * uniform(seed));
        Self {
            tensor,
            moments: [vec![0.0; len], vec![0.0; len]],
        }
    }

    fn adam(&mut self, rate: f32, step: i32) {
        let (b1, b2) = (0.9f32, 0.999f32);
        let (c1, c2) = (1.0 - b1.powi(step), (1.0 - b2.powi(step)).sqrt());
        let [m, v] = &mut self.moments;
        let values = self.tensor.value.iter_mut().zip(&self.tensor.grad);
        for (((w, &g), m), v) in values.zip(m).zip(v) {
            *m += (1.0 - b1) * (g - *m);
            *v += (1.0 - b2) * (g * g - *v);
            *w -= rate / c1 * *m / (v.sqrt() / c2 + 1e-8);
        }
    }
}

/// In [-1, 1).
fn uniform(seed: &mut u64) -> f32 {
    *seed = seed
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    (*seed >> 40) as f32 / (1 << 23) as f32 - 1.0
}

/// Time spent in each kernel, in the order of first use.
#[derive(Default)]
struct Clock(Vec<(&'static str, Vec<f64>)>);

impl Clock {
    fn time(&mut self, name: &'static str, f: impl FnOnce() -> Result<()>) -> Result<()> {
        let start = Instant::now();
        f()?;
        let spent = start.elapsed().as_secs_f64() * 1e3;
        match self.0.iter_mut().find(|(n, _)| *n == name) {
            Some((_, times)) => times.push(spent),
            None => self.0.push((name, vec![spent])),
        }
        Ok(())
    }
}

fn median_and_min(times: &mut [f64]) -> (f64, f64) {
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[0])
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default| {
        arguments
            .get(i)
            .and_then(|a| a.parse().ok())
            .unwrap_or(default)
    };
    let form = arguments.first().map_or("caffe", String::as_str);
    let (a, b, hidden) = if form == "paper" {
        (8, 128, 196)
    } else {
        (20, 50, 500)
    };
    let (batch, steps): (usize, usize) = (number(1, 128), number(2, 40));

    let conv1 = Conv2d {
        batch,
        height: 28,
        width: 28,
        channels_out: a,
        kernel: [5, 5],
        ..Conv2d::default()
    };
    let halve = |planes, size| Pool2d {
        planes,
        height: size,
        width: size,
        kernel: [2, 2],
        stride: [2, 2],
        padding: [0, 0],
    };
    let (pool1, pool2) = (halve(batch * a, 24), halve(batch * b, 8));
    let conv2 = Conv2d {
        channels_in: a,
        channels_out: b,
        height: 12,
        width: 12,
        ..conv1
    };
    let fc1 = Linear {
        rows: batch,
        features_in: b * 16,
        features_out: hidden,
    };
    let fc2 = Linear {
        rows: batch,
        features_in: hidden,
        features_out: 10,
    };

    let seed = &mut 7;
    let x: Vec<f32> = (0..conv1.input_len()).map(|_| uniform(seed)).collect();
    let targets: Vec<u32> = (0..batch as u32).map(|i| i * 7 % 10).collect();
    let mut parameters = [
        (conv1.weight_len(), 25),
        (a, 25),
        (conv2.weight_len(), 25 * a),
        (b, 25 * a),
        (fc1.weight_len(), fc1.features_in),
        (hidden, fc1.features_in),
        (fc2.weight_len(), hidden),
        (10, hidden),
    ]
    .map(|(len, fan_in)| Parameter::random(len, (fan_in as f32).powf(-0.5), seed));
    let mut t = [
        conv1.output_len(), // 0: conv1, 1: relu, 2: pool
        conv1.output_len(),
        pool1.output_len(),
        conv2.output_len(), // 3: conv2, 4: relu, 5: pool
        conv2.output_len(),
        pool2.output_len(),
        fc1.output_len(), // 6: fc1, 7: relu
        fc1.output_len(),
        fc2.output_len(), // 8: logits
    ]
    .map(Tensor::zeros);

    let (mut clock, mut whole) = (Clock::default(), Vec::new());
    let mut losses = Vec::new();
    for step in 1..=steps {
        let start = Instant::now();
        let c = &mut clock;
        {
            let [w1, b1, w2, b2, w3, b3, w4, b4] =
                parameters.each_ref().map(|p| &p.tensor.value[..]);
            let [t0, t1, t2, t3, t4, t5, t6, t7, t8] = t.each_mut().map(|t| &mut t.value[..]);
            c.time("conv1 forward", || conv1.forward(&x, w1, Some(b1), t0))?;
            c.time("relu forward", || relu(t0, t1))?;
            c.time("pool forward", || pool1.max_forward(t1, t2))?;
            c.time("conv2 forward", || conv2.forward(t2, w2, Some(b2), t3))?;
            c.time("relu forward", || relu(t3, t4))?;
            c.time("pool forward", || pool2.max_forward(t4, t5))?;
            c.time("fc1 forward", || fc1.forward(t5, w3, Some(b3), t6))?;
            c.time("relu forward", || relu(t6, t7))?;
            c.time("fc2 forward", || fc2.forward(t7, w4, Some(b4), t8))?;
        }
        let [t0, t1, t2, t3, t4, t5, t6, t7, t8] = &mut t;
        c.time("loss", || {
            losses.push(softmax_cross_entropy(&t8.value, &targets, 10, 0.0)?);
            softmax_cross_entropy_backward(&t8.value, &targets, 10, 0.0, 1.0, &mut t8.grad)
        })?;
        {
            let [w1, b1, w2, b2, w3, b3, w4, b4] = parameters.each_mut().map(|p| &mut p.tensor);
            c.time("fc2 weight", || {
                fc2.grad_weight(&t7.value, &t8.grad, &mut w4.grad)
            })?;
            c.time("biases", || fc2.grad_bias(&t8.grad, &mut b4.grad))?;
            c.time("fc2 input", || {
                fc2.grad_input(&w4.value, &t8.grad, &mut t7.grad)
            })?;
            c.time("relu backward", || {
                relu_backward(&t7.value, &t7.grad, &mut t6.grad)
            })?;
            c.time("fc1 weight", || {
                fc1.grad_weight(&t5.value, &t6.grad, &mut w3.grad)
            })?;
            c.time("biases", || fc1.grad_bias(&t6.grad, &mut b3.grad))?;
            c.time("fc1 input", || {
                fc1.grad_input(&w3.value, &t6.grad, &mut t5.grad)
            })?;
            c.time("pool backward", || {
                pool2.max_backward(&t4.value, &t5.grad, &mut t4.grad)
            })?;
            c.time("relu backward", || {
                relu_backward(&t4.value, &t4.grad, &mut t3.grad)
            })?;
            c.time("conv2 weight", || {
                conv2.grad_weight(&t2.value, &t3.grad, &mut w2.grad)
            })?;
            c.time("biases", || conv2.grad_bias(&t3.grad, &mut b2.grad))?;
            c.time("conv2 input", || {
                conv2.grad_input(&w2.value, &t3.grad, &mut t2.grad)
            })?;
            c.time("pool backward", || {
                pool1.max_backward(&t1.value, &t2.grad, &mut t1.grad)
            })?;
            c.time("relu backward", || {
                relu_backward(&t1.value, &t1.grad, &mut t0.grad)
            })?;
            c.time("conv1 weight", || {
                conv1.grad_weight(&x, &t0.grad, &mut w1.grad)
            })?;
            c.time("biases", || conv1.grad_bias(&t0.grad, &mut b1.grad))?;
        }
        c.time("adam", || {
            parameters
                .iter_mut()
                .for_each(|p| p.adam(1e-3, step as i32));
            Ok(())
        })?;
        whole.push(start.elapsed().as_secs_f64() * 1e3);
    }
    println!(
        "loss {:.4} -> {:.4} in {steps} steps",
        losses[0],
        losses[steps - 1]
    );
    for (name, times) in &mut clock.0 {
        let calls = times.len() as f64 / steps as f64;
        let (median, min) = median_and_min(times);
        println!("{name:16} {median:8.3} ms  min {min:8.3}  x{calls}");
    }
    let (median, min) = median_and_min(&mut whole);
    println!("{:16} {median:8.3} ms  min {min:8.3}", "step");
    Ok(())
}
