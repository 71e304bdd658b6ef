//! ln Γ and its derivative.

/// ln Γ(x) for x > 0.
pub(crate) fn ln_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// ψ(x) = d ln Γ(x) / dx for x > 0.
///
/// ```text
///     ψ(x) = ψ(x + 1) − 1/x                                        up to 10
///     ψ(x) ~ ln x − 1/(2x) − Σ_k B_2k / (2k x^2k)                  from there
/// ```
///
/// # Source
///
/// M. Abramowitz, I. Stegun, "Handbook of mathematical functions", 1964, 6.3.5 and 6.3.18.
pub(crate) fn digamma(mut x: f64) -> f64 {
    let mut shift = 0.0;
    while x < 10.0 {
        shift -= 1.0 / x;
        x += 1.0;
    }
    let square = 1.0 / (x * x);
    // B_2k / 2k, from the last.
    let series =
        [691.0 / 32760.0, -1.0 / 132.0, 1.0 / 240.0, -1.0 / 252.0, 1.0 / 120.0, -1.0 / 12.0]
            .into_iter()
            .fold(0.0, |sum, term| (sum + term) * square);
    shift + x.ln() - 0.5 / x + series
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use layout::random::Stream;

    // scipy 1.17.1: scipy.special.digamma, gammaln.
    #[test]
    fn scipy_agrees() {
        for (x, psi, ln) in [
            (1e-7, -10000000.5772155, 16.118095593236763),
            (0.243, -4.351093864423211, 1.3180435846996699),
            (1.5, 0.03648997397857652, -0.12078223763524526),
            (9.99, 2.250700372831201, 12.779315214350195),
            (12345.0, 9.420965899004846, 103953.5324720479),
        ] {
            let error =
                |found: f64, expected: f64| (found - expected).abs() / expected.abs().max(1.0);
            assert!(error(digamma(x), psi) < 1e-14, "{x}: {} {psi}", digamma(x));
            assert!(error(ln_gamma(x), ln) < 1e-14, "{x}: {} {ln}", ln_gamma(x));
        }
    }

    /// Random numbers of the distributions that simulated shops are made of.
    pub(crate) struct Draws {
        stream: Stream,
        next: u64,
    }

    impl Draws {
        pub(crate) fn new(seed: u64) -> Self {
            Self { stream: Stream::new(seed, 0x6d61, 0), next: 0 }
        }

        pub(crate) fn uniform(&mut self) -> f64 {
            self.next += 1;
            let [a, b, ..] = self.stream.block(self.next);
            (((u64::from(a) << 32 | u64::from(b)) >> 11) as f64 + 0.5) / (1u64 << 53) as f64
        }

        pub(crate) fn exponential(&mut self, rate: f64) -> f64 {
            -self.uniform().ln() / rate
        }

        pub(crate) fn normal(&mut self) -> f64 {
            (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
        }

        /// G. Marsaglia, W. Tsang, "A simple method for generating gamma variables", 2000.
        pub(crate) fn gamma(&mut self, shape: f64, rate: f64) -> f64 {
            if shape < 1.0 {
                let power = self.uniform().powf(1.0 / shape);
                return self.gamma(shape + 1.0, rate) * power;
            }
            let d = shape - 1.0 / 3.0;
            loop {
                let x = self.normal();
                let v = (1.0 + x / (9.0 * d).sqrt()).powi(3);
                if v > 0.0 && self.uniform().ln() < 0.5 * x * x + d * (1.0 - v + v.ln()) {
                    return d * v / rate;
                }
            }
        }

        pub(crate) fn beta(&mut self, a: f64, b: f64) -> f64 {
            let (x, y) = (self.gamma(a, 1.0), self.gamma(b, 1.0));
            x / (x + y)
        }
    }
}
