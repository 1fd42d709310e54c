//! The exponential and the normal distribution, written so that loops over them compile to vector instructions.

/// Functions whose fastest form depends on the scalar type: in f32 without calls and branches, in f64 by the mathematics library,
/// which is accurate to the last digits and is what gradients are checked in.
pub trait Special: Copy {
    /// e to the power of `self`. In f32 to 2e-7 of its value; below -87 it is that of -87, 1.6e-38.
    fn exponential(self) -> Self;
    /// The probability that a standard normal variable exceeds `|self|`, and its density at `self`. In f32 to
    /// 4e-7 (1 + x^2) of their value.
    fn normal_tail(self) -> (Self, Self);
}

/// 1 / sqrt(2 pi).
const DENSITY_AT_ZERO: f64 = 0.398_942_280_401_432_7;

impl Special for f32 {
    #[inline(always)]
    fn exponential(self) -> f32 {
        // e^x = 2^k e^r with k the nearest integer to x / ln 2, so that |r| <= ln 2 / 2.
        let x = if self < -87.0 { -87.0 } else { self };
        let x = if x > 88.0 { 88.0 } else { x };
        // Adding 1.5 * 2^23 leaves no bits for a fraction: the sum is rounded, and its lowest bits are k.
        const SHIFT: f32 = 12_582_912.0;
        let shifted = x * std::f32::consts::LOG2_E + SHIFT;
        let k = shifted - SHIFT;
        // ln 2 in two parts, the first short enough for k times it to be exact.
        let r = (x - k * 0.693_359_4) + k * 2.121_944_4e-4;
        // Taylor's series; its next term is below 6e-9.
        let mut p = 1.0 / 5040.0;
        for inverse in [
            1.0 / 720.0,
            1.0 / 120.0,
            1.0 / 24.0,
            1.0 / 6.0,
            0.5,
            1.0,
            1.0,
        ] {
            p = p * r + inverse;
        }
        // 2^k as an addition to the exponent. A NaN's bits add nothing and leave p, which is NaN.
        f32::from_bits(p.to_bits().wrapping_add(shifted.to_bits() << 23))
    }

    #[inline(always)]
    fn normal_tail(self) -> (f32, f32) {
        // The tail over e^(-x^2 / 2) is a smooth function of 1 / (1 + 0.3 |x|): a polynomial fitted to it (weighted least squares,
        // reweighted until the error was even) is within 4e-9 of its value.
        const FIT: [f32; 10] = [
            0.119_686_63,
            0.119_572_84,
            0.110_227_33,
            0.078_425_55,
            0.096_057_914,
            -0.079_247_52,
            0.191_581_92,
            -0.228_067_7,
            0.112_375_86,
            -0.020_612_845,
        ];
        let e = (-0.5 * self * self).exponential();
        let t = 1.0 / (1.0 + 0.3 * self.abs());
        let mut p = 0.0;
        for &c in FIT.iter().rev() {
            p = p * t + c;
        }
        (p * t * e, DENSITY_AT_ZERO as f32 * e)
    }
}

impl Special for f64 {
    #[inline(always)]
    fn exponential(self) -> f64 {
        self.exp()
    }

    #[inline(always)]
    fn normal_tail(self) -> (f64, f64) {
        let tail = 0.5 * libm::erfc(self.abs() * std::f64::consts::FRAC_1_SQRT_2);
        (tail, DENSITY_AT_ZERO * (-0.5 * self * self).exp())
    }
}

#[cfg(test)]
mod tests {
    use super::Special;

    #[test]
    fn single_precision_is_close_over_the_whole_range() {
        for i in -8700..=8800 {
            let x = i as f32 / 100.0 + 0.003;
            let x = x.min(88.0);
            let (got, want) = (f64::from(x.exponential()), f64::from(x).exp());
            assert!((got / want - 1.0).abs() < 2e-7, "e^{x}: {got} for {want}");
        }
        for i in -1200..=1200 {
            let x = i as f32 / 100.0 + 0.001;
            let (tail, density) = x.normal_tail();
            let (want_tail, want_density) = f64::from(x).normal_tail();
            for (got, want) in [(tail, want_tail), (density, want_density)] {
                let error = (f64::from(got) / want - 1.0).abs();
                assert!(
                    error < 4e-7 * f64::from(1.0 + x * x),
                    "at {x}: {got} for {want}"
                );
            }
        }
    }

    #[test]
    fn extremes_and_nan_stay_what_they_are() {
        assert_eq!(0f32.exponential(), 1.0);
        assert_eq!(f32::NEG_INFINITY.exponential(), (-87f32).exponential());
        assert!(f32::NAN.exponential().is_nan());
        assert!(f32::NAN.normal_tail().0.is_nan());
        assert_eq!(0f64.normal_tail().0, 0.5);
        // Known values: P(X > 1) and P(X > 3) of the standard normal distribution.
        assert!((1f64.normal_tail().0 - 0.158_655_253_931_457_05).abs() < 1e-15);
        assert!((f64::from(3f32.normal_tail().0) - 0.001_349_898_031_630_094_6).abs() < 1e-8);
    }
}
