use super::*;
use proptest::prelude::*;

fn compiled(source: &str) -> Template {
    Template::compile(source).unwrap_or_else(|error| panic!("{source}: {error}"))
}

fn refusal(source: &str) -> String {
    Template::compile(source).expect_err(source).to_string()
}

#[test]
fn text_and_placeholders_are_read_and_rendered() {
    let template = compiled("Dear {{name}}, you owe {{ amount }} to\t{{\nname\n}} ");
    assert_eq!(template.placeholders().collect::<Vec<_>>(), ["name", "amount", "name"]);
    let values = [("name", "Alex"), ("amount", "200,000$")];
    let lookup = |wanted: &str| values.iter().find(|(name, _)| *name == wanted).map(|(_, value)| *value);
    assert_eq!(template.render(lookup).unwrap(), "Dear Alex, you owe 200,000$ to\tAlex ");
    assert_eq!(template.render(|name| (name == "name").then_some("x")), Err(RenderError::Missing("amount".into())));
    assert_eq!(template.literal_len(), "Dear , you owe  to\t ".len());
    assert_eq!(template.to_string(), "Dear {{name}}, you owe {{amount}} to\t{{name}} ");
}

#[test]
fn values_are_spoken_as_they_are() {
    let template = compiled("{{who}} & <b>\"you\"</b>");
    for value in ["Tom & Co <x>", "{{who}}", "\\{{who}}", "{{#each this}}", ""] {
        assert_eq!(template.render(|_| Some(value)).unwrap(), format!("{value} & <b>\"you\"</b>"));
    }
}

#[test]
fn names_may_be_of_any_script() {
    for name in ["due-date", "due_date", "$x", "a:b", "姓名", "नमस्ते", "1", "true", "thisOne", "as"] {
        assert_eq!(compiled(&format!("{{{{{name}}}}}")).placeholders().collect::<Vec<_>>(), [name]);
    }
}

#[test]
fn a_plain_text_is_kept_whole() {
    for text in ["Hello.", "  ", "a } b }} c { d", "back\\slash", " leading and trailing \n"] {
        assert_eq!(compiled(text).as_plain().map(|text| &**text), Some(text));
    }
    assert_eq!(compiled("").pieces, []);
}

#[test]
fn everything_else_of_handlebars_is_refused_with_a_reason() {
    let cases = [
        ("{{#if a}}b{{/if}}", "`{{#if a}}` is a block"),
        ("{{^}}", "a block"),
        ("{{/if}}", "a block"),
        ("{{else}}", "taken for an `else`"),
        ("{{elsewhere}}", "taken for an `else`"),
        ("{{> part}}", "a partial"),
        ("{{#> part}}x{{/part}}", "an inline or block partial"),
        ("{{#*inline \"a\"}}{{> a}}{{/inline}}{{> a}}", "an inline or block partial"),
        ("{{* deco}}", "a decorator"),
        ("{{{{raw}}}} {{x}} {{{{/raw}}}}", "a raw block"),
        ("{{! note }}", "a comment"),
        ("{{!-- note --}}", "a comment"),
        ("{{{x}}}", "an HTML expression"),
        ("{{&x}}", "an HTML expression"),
        ("{{~x}}", "whitespace control"),
        ("{{x~}}", "whitespace control"),
        ("{{../x}}", "a path"),
        ("{{./x}}", "a path"),
        ("{{a.b}}", "a path"),
        ("{{a/b}}", "a path"),
        ("{{this}}", "a reference to everything"),
        ("{{this.x}}", "a path"),
        ("{{@root.x}}", "a variable of handlebars"),
        ("{{@index}}", "a variable of handlebars"),
        ("{{[x y]}}", "a quoted name"),
        ("{{\"x\"}}", "a quoted name"),
        ("{{lookup a b}}", "a helper with parameters"),
        ("{{first name}}", "a name with blanks"),
        ("{{helper x=1}}", "a helper with parameters"),
        ("{{(a b)}}", "a subexpression"),
        ("{{a (b c)}}", "a subexpression"),
        ("{{}}", "an empty placeholder"),
        ("{{  }}", "an empty placeholder"),
        ("{{a,b}}", "not a name"),
        ("{{a\u{a0}}}", "not a name"),
        ("{{a{{b}}", "one that is not closed"),
        ("Dear {{name", "`{{name` is never closed by `}}`"),
        ("Dear {{name}", "is never closed"),
        ("\\{{name}}", "behind a backslash"),
        ("\\\\{{name}}", "behind a backslash"),
    ];
    for (source, reason) in cases {
        assert!(refusal(source).contains(reason), "{source}: {}", refusal(source));
    }
}

#[test]
fn a_thousand_characters_are_the_most_whatever_their_bytes() {
    assert_eq!(compiled(&"ü".repeat(1000)).literal_len(), 1000);
    assert_eq!(Template::compile(&"ü".repeat(1001)), Err(TemplateError::TooLong { chars: 1001 }));
    let template = compiled("ab{{x}}");
    assert!(template.render(|_| Some(&*"漢".repeat(998).leak())).is_ok());
    assert_eq!(template.render(|_| Some(&*"漢".repeat(999).leak())), Err(RenderError::TooLong));
    assert_eq!(template.render(|_| Some(&*"x".repeat(50_000_000).leak())), Err(RenderError::TooLong));
}

/// Texts of up to a thousand characters that nest as deeply as each construct of handlebars can.
fn bombs() -> Vec<String> {
    let openings = [
        "{{a (",
        "{{(",
        "{{a b=(",
        "{{#a}}",
        "{{#a ",
        "{{^a}}",
        "{{^}}",
        "{{{",
        "{{{{a}}}}",
        "{{{{",
        "{{",
        "{",
        "{{&",
        "{{>",
        "{{> a}}",
        "{{#> a}}",
        "{{#*inline \"a\"}}",
        "{{*a}}",
        "{{a [",
        "{{a {\"a\":",
        "{{a (b ",
        "{{else}}",
        "{{else if a}}",
        "{{!",
        "{{!--",
        "{{../",
        "{{@root.",
        "{{this.",
        "{{this/",
        "{{a.",
        "{{a.[",
        "{{~",
        "\\{{",
        "\\",
        "\\\\{{",
        "{{a \"",
        "{{a '",
        "{{#each a}}",
        "{{#if (a ",
        "{{a as |",
    ];
    let mut bombs = Vec::new();
    for opening in openings {
        bombs.push(opening.repeat(1000 / opening.len()));
        let inner = opening.trim_start_matches('{');
        bombs.push(format!("{{{{{}", inner.repeat(998 / inner.len().max(1))).chars().take(1000).collect());
        bombs.push(format!("{{{{{}}}}}", inner.repeat(996 / inner.len().max(1))).chars().take(1000).collect());
    }
    for (open, close) in
        [("(", ")"), ("[", "]"), ("{\"a\":", "}"), ("(a ", ")"), ("{{#a}}", "{{/a}}"), ("{{#a}}{{^}}", "{{/a}}")]
    {
        let depth = 990 / (open.len() + close.len());
        bombs.push(format!("{{{{a {}{}}}}}", open.repeat(depth), close.repeat(depth)));
        bombs.push(format!("{}{}", open.repeat(depth), close.repeat(depth)));
    }
    bombs
}

#[test]
fn nothing_overflows_a_small_stack() {
    let small = std::thread::Builder::new().stack_size(256 * 1024);
    let thread = small.spawn(|| {
        for bomb in bombs() {
            let result = Template::compile(&bomb);
            // `{{a}}}}a}}}}` is one placeholder and text.
            let flat = !bomb.contains("{{") || bomb.starts_with("{{a}}");
            assert!(result.is_err() || flat, "let through: {bomb}");
        }
        // What is let through is flat, however much of it there is.
        assert_eq!(compiled(&"{{a}}".repeat(200)).pieces.len(), 200);
        assert_eq!(compiled(&"{{a}} ".repeat(166)).pieces.len(), 332);
        assert_eq!(compiled(&"}".repeat(1000)).pieces.len(), 1);
    });
    thread.unwrap().join().unwrap();
}

proptest! {
    #[test]
    fn whatever_is_thrown_at_it_either_fails_or_reads_back(source in r#"(\{\{|\}\}|\{|\}|[a-z ()#>!/.~&@"\\\[\]\n|=^*-]|else|this|é){0,40}"#) {
        if let Ok(template) = Template::compile(&source) {
            // Blanks inside braces are the only thing a compiled template forgets.
            let written = template.to_string();
            prop_assert_eq!(Template::compile(&written), Ok(template));
        }
    }

    #[test]
    fn rendering_is_concatenation(parts in prop::collection::vec(("[^{}\\\\]{0,12}", "[a-z]{1,3}", " {0,2}", "\\PC{0,12}"), 0..12)) {
        let (mut source, mut expected) = (String::new(), String::new());
        for (literal, name, blank, _) in &parts {
            source += &format!("{literal}{{{{{blank}{name}{blank}}}}}");
        }
        let value = |wanted: &str| parts.iter().find(|(_, name, ..)| name == wanted).map(|(.., value)| value.as_str());
        for (literal, name, ..) in &parts {
            expected.push_str(literal);
            expected.push_str(value(name).unwrap());
        }
        let template = Template::compile(&source).unwrap();
        prop_assert_eq!(template.render(value), Ok(expected));
    }
}
