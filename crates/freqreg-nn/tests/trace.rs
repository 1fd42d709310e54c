//! What a trace tells of layers is what they do.

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Conv2dConfig, ConvTranspose2dConfig, Module};
use freqreg_nn::{
    Conv2d, Execution, FeatureMap, Keep, LayerTrace, Store, conv_transpose2d_no_bias,
    conv2d_no_bias, linear_no_bias, no_grad, trace,
};

const PADDED: Conv2dConfig = Conv2dConfig {
    padding: 1,
    stride: 1,
    dilation: 1,
    groups: 1,
    cudnn_fwd_algo: None,
};

fn store(execution: Execution) -> Store {
    Store::new(1, DType::F32, &Device::Cpu).execution(execution)
}

fn ones(shape: &[usize]) -> Tensor {
    Tensor::ones(shape, DType::F32, &Device::Cpu).unwrap()
}

/// A 3 x 3 convolution of 8 channels to 10.
fn conv(keep: Keep, execution: Execution) -> Conv2d {
    conv2d_no_bias(8, 10, 3, PADDED, keep, store(execution).root().pp("conv")).unwrap()
}

fn only<T>(f: impl FnOnce() -> Result<T>) -> LayerTrace {
    let (result, layers) = trace(f);
    result.unwrap();
    let [layer] = &layers[..] else {
        panic!("one layer was run, told of are {layers:?}");
    };
    layer.clone()
}

#[test]
fn an_ordinary_layer_has_the_work_of_its_weight() {
    let (pixels, bytes) = (2.0 * 6.0 * 7.0, |numbers: f64| 4.0 * numbers);
    let x = ones(&[2, 8, 6, 7]);

    // Whether its weight is stored as it is, or rebuilt from coefficients, over one axis for all of its taps too.
    let flat = Keep::count(5).axes([10, 72]);
    for keep in [Keep::dense(), Keep::count(5), flat] {
        let layer = conv(keep, Execution::Spatial);
        let told = only(|| layer.forward(&x));
        assert_eq!(told.way, Execution::Spatial);
        assert_eq!(told.multiplications, pixels * 8.0 * 10.0 * 9.0);
        assert_eq!(told.bytes, bytes(pixels * 18.0 + 8.0 * 10.0 * 9.0));
    }

    let config = ConvTranspose2dConfig {
        stride: 2,
        ..ConvTranspose2dConfig::default()
    };
    let root = store(Execution::Auto).root();
    let up = conv_transpose2d_no_bias(8, 10, 2, config, Keep::dense(), root.pp("up")).unwrap();
    let told = only(|| up.forward(&x));
    assert_eq!(told.multiplications, pixels * 8.0 * 10.0 * 4.0);
    assert_eq!(
        told.bytes,
        bytes(pixels * (8.0 + 4.0 * 10.0) + 8.0 * 10.0 * 4.0)
    );

    let fc = linear_no_bias(8, 10, Keep::dense(), root.pp("fc")).unwrap();
    let told = only(|| fc.forward(&ones(&[3, 8])));
    assert_eq!(told.multiplications, 3.0 * 8.0 * 10.0);
    assert_eq!(told.bytes, bytes(3.0 * 18.0 + 8.0 * 10.0));
}

#[test]
fn few_coefficients_have_the_work_of_their_factors() {
    let pixels = 2.0 * 6.0 * 7.0;
    let x = ones(&[2, 8, 6, 7]);
    // The first coefficient alone: one channel in, one channel out.
    let (project, small, expand) = (pixels * 8.0, pixels * 9.0, pixels * 10.0);

    let layer = conv(Keep::count(1), Execution::Factored);
    let told = only(|| layer.forward(&x));
    assert_eq!(told.way, Execution::Factored);
    assert_eq!(told.multiplications, project + small + expand);

    // What runs fused leaves its expansion to whoever reads it.
    let (first, second) = (
        conv(Keep::count(1), Execution::Fused),
        conv2d_no_bias(
            10,
            4,
            3,
            PADDED,
            Keep::dense(),
            store(Execution::Spatial).root().pp("next"),
        )
        .unwrap(),
    );
    let (result, layers) =
        no_grad(|| trace(|| second.forward_map(&first.forward_map(&FeatureMap::from(x.clone()))?)));
    result.unwrap();
    let [of_first, of_second] = &layers[..] else {
        panic!("two layers were run, told of are {layers:?}");
    };
    assert_eq!(of_first.way, Execution::Fused);
    assert_eq!(of_first.multiplications, project + small);
    assert_eq!(of_second.way, Execution::Spatial);
    assert_eq!(
        of_second.multiplications,
        expand + pixels * 10.0 * 4.0 * 9.0
    );
    // It reads one narrow map and writes ten channels, which it then reads.
    let numbers = pixels * (1.0 + 10.0) + pixels * (10.0 + 4.0) + 10.0 * 4.0 * 9.0;
    assert_eq!(of_second.bytes, 4.0 * numbers);
}

#[test]
fn a_first_layer_run_as_windows_leaves_its_weight_to_the_next() {
    // 27 taps for 64 channels: the windows are less than half of what comes out.
    let root = store(Execution::Auto).root();
    let first = conv2d_no_bias(3, 64, 3, PADDED, Keep::dense(), root.pp("first")).unwrap();
    let second = conv2d_no_bias(64, 4, 3, PADDED, Keep::dense(), root.pp("second")).unwrap();
    let x = FeatureMap::from(ones(&[2, 3, 6, 7]));
    let (result, layers) = no_grad(|| trace(|| second.forward_map(&first.forward_map(&x)?)));
    result.unwrap();
    let pixels = 2.0 * 6.0 * 7.0;
    assert_eq!(layers[0].way, Execution::Fused);
    assert_eq!(layers[0].multiplications, 0.0);
    assert_eq!(layers[0].bytes, 4.0 * pixels * (3.0 + 27.0));
    let (of_first, of_second) = (pixels * 27.0 * 64.0, pixels * 64.0 * 4.0 * 9.0);
    assert_eq!(layers[1].multiplications, of_first + of_second);
}
