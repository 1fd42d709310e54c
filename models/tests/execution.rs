//! However the layers run, a network computes the same: with each weight rebuilt, through its factors, and fused with its neighbours.
//! Random sizes, odd ones too, random budgets, every norm.

use candle_core::{DType, Device, Tensor};
use freqreg_models::{Architecture, Budgets, LayerKeep, Layers, Model};
use freqreg_nn::{Execution, Init, Store, no_grad};
use proptest::prelude::*;

/// The architecture with `keep` coefficients in every layer, or all where a layer has fewer.
fn build(text: &str, keep: usize, execution: Execution) -> (Box<dyn Model>, Store) {
    let architecture: Architecture = toml::from_str(text).unwrap();
    let store = Store::new(3, DType::F32, &Device::Cpu);
    architecture.build(Layers::dense(store.root())).unwrap();
    let budgets: Budgets = store
        .parameters()
        .iter()
        .filter_map(|p| {
            let name = p.name().strip_suffix(".weight")?.to_string();
            let keep = Some(keep.min(p.weights()));
            Some((
                name,
                LayerKeep {
                    keep,
                    ..LayerKeep::default()
                },
            ))
        })
        .collect();
    let store = Store::new(3, DType::F32, &Device::Cpu).execution(execution);
    let layers = Layers::regularised(store.root(), &budgets, Init::VariancePreserving);
    let model = architecture.build(layers).unwrap();
    (model, store)
}

fn outputs(text: &str, keep: usize, input: [usize; 4]) -> Vec<(Execution, Vec<f32>)> {
    let x = Tensor::from_vec(
        (0..input.iter().product::<usize>())
            .map(|i| ((i * 7919) % 1009) as f32 / 504.5 - 1.0)
            .collect::<Vec<_>>(),
        &input,
        &Device::Cpu,
    )
    .unwrap();
    [
        Execution::Spatial,
        Execution::Factored,
        Execution::Fused,
        Execution::Auto,
    ]
    .map(|execution| {
        let (model, _) = build(text, keep, execution);
        let y = no_grad(|| model.forward(&x)).unwrap();
        (execution, y.flatten_all().unwrap().to_vec1().unwrap())
    })
    .into()
}

fn same(text: &str, keep: usize, input: [usize; 4]) -> Result<(), TestCaseError> {
    let all = outputs(text, keep, input);
    let norm = |v: &mut dyn Iterator<Item = f64>| v.map(|v| v * v).sum::<f64>().sqrt();
    let expected = &all[0].1;
    let size = norm(&mut expected.iter().map(|&v| f64::from(v)));
    prop_assert!(size.is_finite());
    for (execution, found) in &all[1..] {
        prop_assert_eq!(found.len(), expected.len());
        let pairs = found.iter().zip(expected);
        let off = norm(&mut pairs.map(|(&a, &b)| f64::from(a) - f64::from(b)));
        prop_assert!(
            off < 1e-4 * size,
            "{:?}: {:e} of {:e}",
            execution,
            off,
            size
        );
    }
    Ok(())
}

fn norms() -> impl Strategy<Value = &'static str> {
    prop_oneof![
        Just("none"),
        Just("sample"),
        Just("batch"),
        Just("instance"),
        Just("group:2")
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn unet(n in 1usize..3, h in 8usize..50, w in 8usize..70, keep in 3usize..60, width in 2usize..9, norm in norms()) {
        let text = format!("architecture = 'unet'\nwidth = {}\ndepth = 3\nnorm = '{norm}'", 2 * width);
        same(&text, keep, [n, 3, h, w])?;
    }

    #[test]
    fn resnet18(n in 1usize..4, h in 8usize..40, w in 8usize..40, keep in 3usize..60, imagenet in any::<bool>(), norm in norms()) {
        // Instance norms need more than one pixel in the last stage.
        let (h, w) = (h + 24, w + 24);
        let stem = if imagenet { "imagenet" } else { "cifar" };
        let text = format!("architecture = 'resnet18'\nwidth = 8\nstem = '{stem}'\nnorm = '{norm}'");
        same(&text, keep, [n, 3, h, w])?;
    }

    #[test]
    fn vgg(n in 2usize..4, h in 16usize..50, w in 16usize..50, keep in 3usize..60, norm in norms()) {
        let text = format!("architecture = 'vgg'\nconvolutions = [1, 2, 2]\nchannels = [8, 12, 20]\nnorm = '{norm}'");
        same(&text, keep, [n, 3, h, w])?;
    }
}
