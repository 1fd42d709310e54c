//! What the layers promise: candle's conventions, budgets, seeds, truncation.

mod common;

use candle_core::{DType, Device, Tensor};
use candle_nn::{Conv2dConfig, Module, Optimizer, VarBuilder, VarMap};
use common::{difference, values};
use freqreg_nn::{Budget, Error, Init, Keep, KeepOrder, Store, conv2d, linear, linear_no_bias};

fn store() -> Store {
    Store::new(7, DType::F64, &Device::Cpu)
}

#[test]
fn a_layer_takes_candles_var_builder_and_trains_with_candles_optimiser()
-> Result<(), Box<dyn std::error::Error>> {
    let map = VarMap::new();
    let vb = VarBuilder::from_varmap(&map, DType::F32, &Device::Cpu);
    let layer = linear(6, 4, Keep::count(5), vb.pp("fc"))?;
    let mut names: Vec<_> = map.data().lock().unwrap().keys().cloned().collect();
    names.sort();
    assert_eq!(names, ["fc.bias", "fc.weight"]);
    assert_eq!(
        map.all_vars().iter().map(|v| v.elem_count()).sum::<usize>(),
        5 + 4
    );
    let x = Tensor::from_vec(common::noise(48, 1), (8, 6), &Device::Cpu)?.to_dtype(DType::F32)?;
    let loss = || -> candle_core::Result<Tensor> { (layer.forward(&x)? - 1.0)?.sqr()?.mean_all() };
    let before = loss()?.to_scalar::<f32>()?;
    let mut sgd = candle_nn::SGD::new(map.all_vars(), 0.3)?;
    for _ in 0..50 {
        sgd.backward_step(&loss()?)?;
    }
    assert!(loss()?.to_scalar::<f32>()? < 0.5 * before);
    assert!(
        matches!(layer.weight().truncate(3), Err(Error::NotOwned(name)) if name == "fc.weight")
    );
    Ok(())
}

#[test]
fn the_same_seed_gives_the_same_network_in_any_order_of_building() {
    let (a, b) = (store(), store());
    let keep = || Keep::count(9);
    linear_no_bias(5, 4, keep(), a.root().pp("one")).unwrap();
    linear_no_bias(5, 4, keep(), a.root().pp("two")).unwrap();
    linear_no_bias(5, 4, keep(), b.root().pp("two")).unwrap();
    linear_no_bias(5, 4, keep(), b.root().pp("one")).unwrap();
    let of = |s: &Store, name: &str| {
        let all = s.parameters();
        all.iter()
            .find(|p| p.name() == name)
            .unwrap()
            .values()
            .unwrap()
    };
    assert_eq!(of(&a, "one.weight"), of(&b, "one.weight"));
    assert_ne!(of(&a, "one.weight"), of(&a, "two.weight"));
}

#[test]
fn truncation_keeps_the_first_coefficients_and_drops_the_rest_for_good() {
    let s = store();
    let layer = conv2d(3, 4, 3, Conv2dConfig::default(), Keep::count(60), s.root()).unwrap();
    let p = layer.weight();
    let before = p.values().unwrap();
    p.truncate(17).unwrap();
    assert_eq!(p.kept(), 17);
    assert_eq!(p.values().unwrap(), before[..17]);
    // The weight is that of a layer built with 17 from the start.
    let t = store();
    let other = conv2d(3, 4, 3, Conv2dConfig::default(), Keep::count(17), t.root()).unwrap();
    other.weight().set_values(&before[..17]).unwrap();
    let (a, b) = (p.weight().unwrap(), other.weight().weight().unwrap());
    assert!(difference(&values(&a), &values(&b)) < 1e-14);
    // A new variable: the gradient goes there.
    let grads = p
        .weight()
        .unwrap()
        .sqr()
        .unwrap()
        .sum_all()
        .unwrap()
        .backward()
        .unwrap();
    assert_eq!(grads.get(&p.variable()).unwrap().dims(), [17]);
    assert!(matches!(p.truncate(18), Err(Error::Budget { .. })));
    assert!(matches!(p.truncate(0), Err(Error::Budget { .. })));
    let bias = layer.bias().unwrap();
    assert!(matches!(bias.truncate(1), Err(Error::NotPrefix(_))));
}

#[test]
fn budgets_that_do_not_fit_are_refused_with_the_shape() {
    let cases = [
        (Budget::Count(0), "0"),
        (Budget::Count(21), "21"),
        (Budget::Fraction(0.0), "share 0"),
        (Budget::Fraction(1.5), "share 1.5"),
        (Budget::Fraction(f64::NAN), "share NaN"),
    ];
    for (budget, text) in cases {
        let e = linear(5, 4, budget, store().root().pp("fc"))
            .unwrap_err()
            .to_string();
        assert!(
            e.contains("fc.weight") && e.contains("[4, 5]") && e.contains(text),
            "{e}"
        );
    }
    let e = linear(5, 4, Keep::count(3).axes([4, 6]), store().root()).unwrap_err();
    assert!(
        matches!(
            e,
            Error::Axes {
                expected: 20,
                found: 24,
                ..
            }
        ),
        "{e}"
    );
}

#[test]
fn the_papers_floors_hold() {
    let kept = |keep: Keep, i, o| {
        let s = store();
        linear_no_bias(i, o, keep, s.root()).unwrap();
        s.parameters()[0].kept()
    };
    assert_eq!(kept(Budget::PaperFraction(0.01).into(), 100, 80), 256);
    assert_eq!(kept(Budget::PaperFraction(0.01).into(), 1000, 800), 8001);
    assert_eq!(kept(Budget::PaperFraction(0.01).into(), 10, 8), 80);
}

#[test]
fn a_name_twice_is_refused() {
    let s = store();
    linear(5, 4, Keep::count(3), s.root().pp("fc")).unwrap();
    let e = linear(5, 4, Keep::count(3), s.root().pp("fc")).unwrap_err();
    assert!(matches!(e, Error::Duplicate(name) if name == "fc.weight"));
}

#[test]
fn the_variance_preserving_start_does() {
    for k in [50, 500, 20_000] {
        let s = store();
        linear_no_bias(
            200,
            100,
            Keep::count(k).order(KeepOrder::InverseSqrt),
            s.root(),
        )
        .unwrap();
        let w = values(&s.parameters()[0].weight().unwrap());
        let mean_square = w.iter().map(|x| x * x).sum::<f64>() / w.len() as f64;
        // 2 / fan_in, within four deviations of a mean of k squares.
        let expected = 0.01;
        let room = 4.0 * expected * (2.0 / k as f64).sqrt();
        assert!((mean_square - expected).abs() < room, "{k}: {mean_square}");
    }
    let s = store();
    linear_no_bias(200, 100, Keep::count(5000).init(Init::Paper), s.root()).unwrap();
    let c = s.parameters()[0].values().unwrap();
    let deviation = (c.iter().map(|x| x * x).sum::<f64>() / 5000.0).sqrt();
    assert!((deviation - 0.1).abs() < 0.005, "{deviation}");
}

#[test]
fn a_dense_layer_and_one_with_all_coefficients_do_the_same() {
    let (a, b) = (store(), store());
    let dense = conv2d(3, 4, 3, Conv2dConfig::default(), Keep::dense(), a.root()).unwrap();
    let full = conv2d(3, 4, 3, Conv2dConfig::default(), Keep::count(108), b.root()).unwrap();
    let plan = freqreg_dct::Plan::<f64>::new(&[4, 3, 3, 3], &KeepOrder::Zigzag, 108).unwrap();
    let spatial = dense.weight().values().unwrap();
    full.weight()
        .set_values(&plan.analyze(&spatial).unwrap())
        .unwrap();
    full.bias()
        .unwrap()
        .set_values(&dense.bias().unwrap().values().unwrap())
        .unwrap();
    let x = common::variable(&[2, 3, 7, 5], 1);
    let (y, z) = (dense.forward(&x).unwrap(), full.forward(&x).unwrap());
    assert!(difference(&values(&z), &values(&y)) < 1e-12);
}
