use super::layout::{BOX, PILL, Shape, lay_out};
use super::outline::outline;
use super::*;
use crate::callflow::compile;
use crate::callflow::generate::flows;
use crate::reading::Problems;
use proptest::prelude::*;
use serde_json::{Value, json};

fn program(flow: &Value) -> Program {
    let mut problems = Problems::default();
    compile(flow, "callFlow", &mut problems).unwrap_or_else(|| panic!("{:?}", problems.first()))
}

fn play(text: &str) -> Value {
    json!({"name": "play", "message": {"msg": text}})
}

fn example() -> Value {
    json!({"steps": [
        play("Hello {{name}}"),
        {"name": "gather", "message": {"msg": "1 or 2?"}, "sensitive": true, "maxRetries": 1, "branches": [
            {"digit": "1", "default": true, "callFlow": {"steps": [
                {"name": "transfer", "destination": "Queue:sales", "alias": "Sales", "transferType": "blind", "onFailure": "continue"},
            ]}},
            {"digit": "2", "callFlow": {"steps": [{"name": "optOut", "message": {"media": "bye"}}, play("never")]}},
        ]},
        {"name": "gather", "message": {"msg": "Again?"}, "branches": [{"digit": "#", "callFlow": {"steps": [{"name": "hangup"}]}}]},
    ]})
}

/// A flow whose every text tries to be markup.
fn hostile() -> Program {
    let words = "</text><script>x</script> & \"q\" 'a' `t` \\ #35; ]] }} -->|x| \u{202e}end%%{init}%% ; \n graph";
    program(&json!({"steps": [play(words), {"name": "transfer", "destination": "Ext:1", "alias": "<b>\"A\"</b> \\n"}]}))
}

#[test]
fn a_flow_is_drawn_as_a_tree() {
    let expected = "\
Example
├─ play “Hello {{name}}”
├─ gather “1 or 2?” · 1 try · 5 s · sensitive
│  ├─ key 1 · otherwise
│  │  └─ transfer · to Sales (Queue:sales) · blind · rings 30 s · goes on if nobody reached
│  └─ key 2
│     ├─ optOut “♪ bye” · never call again
│     └─ play “never” · never reached
└─ gather “Again?” · 3 tries · 5 s
   ├─ key #
   │  └─ hangup
   └─ otherwise: the call ends (error_timeout)
";
    assert_eq!(render(&program(&example()), "Example", Form::Text), expected);
}

#[test]
fn mermaid_gets_every_step_and_every_way() {
    let text = render(&program(&example()), "Ex: \"a\"", Form::Mermaid);
    assert!(text.starts_with("---\ntitle: \"Ex: \\\"a\\\"\"\n---\nflowchart TD\n"), "{text}");
    let arrows: Vec<&str> = text.lines().filter(|line| line.contains("-->")).map(str::trim).collect();
    assert_eq!(
        arrows,
        [
            "s0 --> s1",
            "s1 -->|\"1 · otherwise\"| s2",
            "s1 -->|\"2\"| s3",
            "s2 -->|\"nobody reached\"| s5",
            "s4 --> s5",
            "s5 -->|\"#35;\"| s6",
            "s5 -->|\"otherwise\"| ending",
        ]
    );
}

#[test]
fn foreign_text_is_never_markup() {
    let program = hostile();
    let mermaid = render(&program, "---\nx", Form::Mermaid);
    assert!(!mermaid.contains("<script") && !mermaid.contains("%%{") && !mermaid.contains('`'), "{mermaid}");
    assert_eq!(mermaid.lines().filter(|line| line.starts_with("---")).count(), 2);
    let dot = render(&program, "a\"; b", Form::Dot);
    assert!(dot.contains("label=\"a\\\"; b\"") && dot.contains("&amp; \\\"q\\\"") && dot.contains("\\\\"), "{dot}");
    let svg = render(&program, "<i>", Form::Svg);
    assert!(!svg.contains("<script") && !svg.contains("<i>") && !svg.contains("<b>"), "{svg}");
    let text = render(&program, "a\nb", Form::Text);
    assert!(!text.contains(['\u{7}', '\u{202e}']) && text.starts_with("a b\n"), "{text}");
}

/// Whether every opened element is closed and nothing but known entities stands behind an ampersand.
fn is_well_formed(svg: &str) -> bool {
    let mut open = Vec::new();
    for part in svg.split('<').skip(1) {
        let Some((tag, text)) = part.split_once('>') else { return false };
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap_or_default();
        if tag.starts_with('/') {
            if open.pop() != Some(name) {
                return false;
            }
        } else if !tag.ends_with('/') {
            open.push(name);
        }
        let entities = text.split('&').skip(1);
        if !entities
            .into_iter()
            .all(|rest| ["lt;", "gt;", "amp;", "quot;", "#39;"].iter().any(|name| rest.starts_with(name)))
        {
            return false;
        }
    }
    open.is_empty()
}

/// What a shape covers: left, top, right, bottom. Lines and words beside them cover nothing.
fn covers(shape: &Shape) -> Option<(f32, f32, f32, f32)> {
    match shape {
        Shape::Step { corner: (x, y), height, .. } => Some((*x, *y, x + BOX, y + height)),
        Shape::Ending { centre: (x, y), width, .. } | Shape::Label { centre: (x, y), width, .. } => {
            Some((x - width / 2.0, y - PILL / 2.0, x + width / 2.0, y + PILL / 2.0))
        }
        Shape::Beside { .. } | Shape::Line { .. } => None,
    }
}

#[test]
fn the_widest_and_deepest_flows_are_drawn() {
    let wide: Vec<Value> = (0..12)
        .map(|key| json!({"digit": "0123456789*#"[key..=key], "default": key == 0, "callFlow": {"steps": vec![play("x"); 20]}}))
        .collect();
    let wide = json!({"steps": [{"name": "gather", "message": {"msg": "m"}, "branches": wide}]});
    let deep = (0..15).fold(json!({"steps": [play("x")]}), |inner, _| {
        json!({"steps": [{"name": "gather", "message": {"msg": "m"}, "branches": [{"digit": "1", "callFlow": inner}]}, play("y")]})
    });
    for flow in [wide, deep] {
        let program = program(&flow);
        for form in [Form::Text, Form::Mermaid, Form::Dot, Form::Svg] {
            assert!(render(&program, "t", form).len() < 200_000);
        }
    }
}

#[test]
fn a_program_made_by_hand_may_lead_anywhere() {
    let mut program = program(&example());
    for step in &mut program.steps {
        step.next = Some(40_000);
        if let Action::Gather(gather) = &mut step.action {
            gather.default = Some(0);
            gather.branches.iter_mut().for_each(|(_, target)| *target = u16::MAX);
        }
    }
    program.labels = [].into();
    program.messages = Default::default();
    for form in [Form::Text, Form::Mermaid, Form::Dot, Form::Svg] {
        assert!(!render(&program, "", form).is_empty());
    }
}

proptest! {
    #[test]
    fn every_step_is_drawn_once_and_nothing_covers_anything(flow in flows()) {
        let program = program(&flow);
        let svg = render(&program, "a & b", Form::Svg);
        prop_assert!(is_well_formed(&svg), "{}", svg);
        let picture = lay_out(&program, &outline(&program), 80.0, 32.0, 200.0);
        let mut steps: Vec<usize> =
            picture.shapes.iter().filter_map(|shape| if let Shape::Step { index, .. } = shape { Some(*index) } else { None }).collect();
        steps.sort_unstable();
        prop_assert_eq!(steps, (0..program.steps.len()).collect::<Vec<_>>());
        let areas: Vec<_> = picture.shapes.iter().filter_map(covers).collect();
        for (index, a) in areas.iter().enumerate() {
            prop_assert!(a.0 >= 0.0 && a.1 >= 80.0 && a.2 <= picture.width && a.3 <= picture.height, "{:?}", a);
            for b in &areas[index + 1..] {
                prop_assert!(a.2 <= b.0 || b.2 <= a.0 || a.3 <= b.1 || b.3 <= a.1, "{:?} {:?}", a, b);
            }
        }
        // The tree has a line for every step, too.
        let lines = render(&program, "t", Form::Text).lines().count();
        prop_assert!(lines > program.steps.len());
    }
}

mod wrapping {
    use super::super::wrap::{width, wrap};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn no_line_is_too_wide_and_nothing_is_lost(text in "[a-zA-Z漢é ,.]{0,120}", most in 1..6_usize) {
            let lines = wrap(&text, 120.0, 12.0, most);
            prop_assert!(lines.len() <= most);
            prop_assert!(lines.iter().all(|line| width(line, 12.0) <= 120.5), "{:?}", lines);
            let cut = lines.last().is_some_and(|line| line.ends_with('…'));
            let squeezed = |text: &str| text.replace(' ', "");
            if !cut {
                prop_assert_eq!(squeezed(&lines.concat()), squeezed(&text));
            }
        }
    }
}
