//! The filter against the process itself: every way in which a session can come about is walked
//! through, by answering the choices of `session` in all ways, and the probabilities are added up.

use std::ops::ControlFlow;

use super::tiny;
use crate::simulator::draw::{Choose, Dice};
use crate::simulator::process::{Interest, session};
use crate::simulator::{Filter, Shop, ShopConfig};

/// Answers choices along one path of the tree of all answers, and knows the next path.
#[derive(Default)]
struct Path {
    /// The answer at each depth and the weights it was chosen from.
    answers: Vec<(usize, Vec<f64>)>,
    depth: usize,
    probability: f64,
}

impl Path {
    fn begin(&mut self) {
        self.depth = 0;
        self.probability = 1.0;
    }

    /// Goes to the next path; false after the last.
    fn next(&mut self) -> bool {
        self.answers.truncate(self.depth);
        while let Some((answer, weights)) = self.answers.pop() {
            let later = (answer + 1..weights.len()).find(|&other| weights[other] > 0.0);
            if let Some(later) = later {
                self.answers.push((later, weights));
                return true;
            }
        }
        false
    }
}

impl Choose for Path {
    fn choose(&mut self, weights: &[f64]) -> usize {
        if self.depth == self.answers.len() {
            let first = weights.iter().position(|&weight| weight > 0.0).unwrap();
            self.answers.push((first, weights.to_vec()));
        }
        let answer = self.answers[self.depth].0;
        self.depth += 1;
        self.probability *= weights[answer] / weights.iter().sum::<f64>();
        answer
    }
}

/// `P(next item | prefix, the session goes on)` by adding up all paths that begin with `prefix`.
fn by_enumeration(shop: &Shop, prefix: &[usize]) -> Vec<f64> {
    let shares: Vec<f64> = shop.config.types.iter().map(|t| t.share).collect();
    let mut next = vec![0.0; shop.items()];
    let mut path = Path::default();
    loop {
        path.begin();
        let of = path.choose(&shares);
        let interest = Interest::draw(shop, of, &mut path);
        let (mut events, mut reached) = (0, None);
        session(shop, of, interest, &mut path, |event| {
            if events == prefix.len() {
                reached = Some(event.item);
                return ControlFlow::Break(());
            }
            events += 1;
            if event.item == prefix[events - 1] {
                ControlFlow::Continue(())
            } else {
                ControlFlow::Break(())
            }
        });
        if let Some(item) = reached {
            next[item] += path.probability;
        }
        if !path.next() {
            break;
        }
    }
    let total: f64 = next.iter().sum();
    next.iter().map(|p| p / total).collect()
}

/// The filter's prediction after a prefix.
fn by_filter(shop: &Shop, prefix: &[usize]) -> Vec<f64> {
    let mut filter = Filter::new(shop);
    for &item in prefix {
        filter.observe(item).unwrap();
    }
    let mut next = vec![f64::NAN; shop.items()];
    filter.predict(&mut next);
    next
}

/// The worst error seen is below 1e-15: both sides add up the same few thousand products.
fn assert_exact(shop: &Shop, prefix: &[usize]) {
    let (expected, found) = (by_enumeration(shop, prefix), by_filter(shop, prefix));
    for (item, (expected, found)) in expected.iter().zip(&found).enumerate() {
        let error = (expected - found).abs();
        assert!(
            error < 1e-12,
            "after {prefix:?}, item {item}: all paths {expected:.15}, filter {found:.15}"
        );
    }
}

/// The first tiny shop in which the two missions of the first type begin differently: where they do
/// not, a drift to the wrong one of them would not show.
fn tiny_shop() -> Shop {
    let mut shops = (0..).map(|seed| Shop::new(tiny(), seed).unwrap());
    shops.find(|shop| shop.routes[0][0] != shop.routes[2][0]).unwrap()
}

/// Sessions as the shop makes them, cut where the third view would come: more is too much to list.
#[test]
fn the_filter_agrees_with_all_paths_of_sessions_of_the_shop() {
    let shop = tiny_shop();
    let mut dice = Dice::for_user(9, 0);
    let mut kinds = [0; 3];
    for round in 0..12 {
        let of = round % 2;
        let interest = Interest::draw(&shop, of, &mut dice);
        let (mut prefix, mut views) = (Vec::new(), 0);
        session(&shop, of, interest, &mut dice, |event| {
            views += usize::from(event.kind == crate::simulator::Kind::View);
            if views == 3 {
                return ControlFlow::Break(());
            }
            kinds[event.kind as usize] += 1;
            prefix.push(event.item);
            ControlFlow::Continue(())
        });
        assert_exact(&shop, &prefix);
    }
    assert!(kinds.iter().all(|&count| count >= 2), "every kind is met: {kinds:?}");
}

/// A view, a cart, a view, a second look that is no second look as the item is in the cart, and the
/// purchase, the accessory, and the return to what was bought: everything that excludes something.
#[test]
fn the_filter_agrees_with_all_paths_where_views_are_excluded() {
    let shop = tiny_shop();
    let a = shop.cell(0, 1);
    let accessory = shop.cell(shop.accessory_of[0], 1) + 2;
    let prefixes: [&[usize]; 6] = [
        &[],
        &[a, a],
        &[a, a, a + 1],
        &[a, a + 1, a],
        &[a, a, a, accessory],
        &[a, a, a + 2, a, a + 1],
    ];
    for prefix in prefixes {
        assert_exact(&shop, prefix);
    }
}

/// One mission, one style, one type, a route of one category: where drifting leads back to itself.
#[test]
fn the_filter_agrees_with_all_paths_of_degenerate_shops() {
    let mut types = tiny().types;
    types.truncate(1);
    let alone = ShopConfig { styles: 1, missions: 1, route_length: 1, types, ..tiny() };
    let never = ShopConfig { mission_drift: 0.0, style_drift: 1.0, accessory: 1.0, ..tiny() };
    for config in [alone, never] {
        let shop = Shop::new(config, 6).unwrap();
        let at = shop.cell(shop.routes[0][0], 0);
        assert_exact(&shop, &[at]);
        assert_exact(&shop, &[at, at + 1]);
        assert_exact(&shop, &[at, at, at]);
    }
}

/// Whichever session of a user is looked at, its interest has the shares of the first.
#[test]
fn drifting_keeps_the_shares_of_interests() {
    let shop = tiny_shop();
    for of in 0..2 {
        let shares = |drifts: usize| {
            let mut shares = vec![0.0; shop.config.missions * shop.config.styles * 2];
            let mut path = Path::default();
            loop {
                path.begin();
                let mut interest = Interest::draw(&shop, of, &mut path);
                for _ in 0..drifts {
                    interest = interest.drift(&shop, of, &mut path);
                }
                let Interest { mission, style, budget, .. } = interest;
                shares[(mission * shop.config.styles + style) * 2 + budget] += path.probability;
                if !path.next() {
                    return shares;
                }
            }
        };
        let (first, third) = (shares(0), shares(2));
        for (first, third) in first.iter().zip(&third) {
            assert!((first - third).abs() < 1e-12, "{first} {third}");
        }
    }
}
