//! Random valid flows for property tests.

use proptest::prelude::*;
use serde_json::{Value, json};

/// Flow documents of all steps, some levels deep.
pub(super) fn flows() -> impl Strategy<Value = Value> {
    let message = "[a-z&\"<]{1,8}( \\{\\{ ?[a-c] ?\\}\\})?".prop_map(|text| json!({"msg": text, "pitch": 3}));
    let leaf = (message, 0..5u8).prop_map(|(message, kind)| match kind {
        0 => json!({"name": "hangup"}),
        1 => json!({"name": "optOut", "message": message}),
        2 => json!({"name": "transfer", "destination": "Queue:q", "onFailure": "continue", "message": message}),
        3 => json!({"name": "transfer", "destination": "sip:a@b"}),
        _ => json!({"name": "play", "message": message}),
    });
    let steps = prop::collection::vec(leaf, 1..4).prop_map(|steps| json!({"steps": steps}));
    steps.prop_recursive(4, 60, 4, |inner| {
        (prop::collection::vec(inner.clone(), 1..4), inner, any::<bool>(), any::<bool>()).prop_map(
            |(branches, mut flow, default, sensitive)| {
                let mut branches: Vec<Value> = branches
                    .into_iter()
                    .zip(["1", "*", "0"])
                    .map(|(flow, digit)| json!({"digit": digit, "callFlow": flow}))
                    .collect();
                branches[0]["default"] = json!(default);
                let gather =
                    json!({"name": "gather", "message": {"msg": "m"}, "sensitive": sensitive, "branches": branches});
                flow["steps"].as_array_mut().unwrap().insert(0, gather);
                flow
            },
        )
    })
}
