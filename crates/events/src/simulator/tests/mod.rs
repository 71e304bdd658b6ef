//! What the simulator promises, checked from outside the equations.

mod campaign;
mod exact;
mod log;
mod score;

use super::{ShopConfig, UserType};

/// A shop so small that all its sessions can be listed, with no two rates alike.
fn tiny() -> ShopConfig {
    let first = UserType {
        name: "first".into(),
        share: 3.0,
        stay: 0.37,
        detour: 0.21,
        basic: 0.28,
        taste: 0.55,
        cart: 0.31,
        purchase: 0.43,
        back: 0.23,
        leave: 0.11,
        leave_after_purchase: 0.41,
        frugal: 0.62,
    };
    let second = UserType {
        name: "second".into(),
        share: 2.0,
        stay: 0.58,
        detour: 0.09,
        basic: 0.47,
        taste: 0.34,
        cart: 0.17,
        purchase: 0.26,
        back: 0.36,
        leave: 0.19,
        leave_after_purchase: 0.13,
        frugal: 0.24,
    };
    ShopConfig {
        categories: 3,
        styles: 2,
        items_per_cell: 3,
        missions: 3,
        route_length: 2,
        zipf: 0.9,
        detour_zipf: 0.7,
        own_missions: 0.66,
        own_styles: 0.71,
        mission_drift: 0.15,
        style_drift: 0.27,
        accessory: 0.53,
        session_drift: 0.22,
        session_renewal: 0.35,
        come_back: 0.6,
        min_events: 2,
        max_events: 9,
        max_sessions: 4,
        types: vec![first, second],
        campaign: None,
    }
}
