//! The interface's document as a page for people: no scripts, nothing from elsewhere.

use std::fmt::Write as _;
use std::sync::LazyLock;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use handlebars::html_escape;
use serde_json::Value;

use super::answer::plain;
use super::openapi::document;

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c1c1c}\
table{border-collapse:collapse;width:100%;margin:.5rem 0 1rem}td,th{border-bottom:1px solid #ddd;padding:.3rem .5rem;\
text-align:left;vertical-align:top}code{background:#f3f3f3;padding:0 .2rem;overflow-wrap:anywhere}h2{margin-top:2.5rem}\
.method{font-weight:700}.quiet{color:#666}nav a{display:inline-block;margin-right:1rem}\
@media(prefers-color-scheme:dark){body{background:#181818;color:#e6e6e6}code{background:#2a2a2a}td,th{border-color:#444}\
a{color:#8ab4f8}.quiet{color:#aaa}}";

/// Serves the page.
pub(super) async fn serve() -> Response {
    static PAGE: LazyLock<String> = LazyLock::new(|| page(&document()));
    let mut response = plain(StatusCode::OK);
    *response.body_mut() = PAGE.as_str().into();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let policy = "default-src 'none'; style-src 'unsafe-inline'";
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    response
}

fn escaped(value: &Value) -> String {
    html_escape(value.as_str().unwrap_or_default())
}

fn code(text: &str) -> String {
    format!("<code>{}</code>", html_escape(text))
}

/// The page of a document.
fn page(document: &Value) -> String {
    let (mut list, mut operations) = (String::new(), String::new());
    for (path, methods) in document["paths"].as_object().into_iter().flatten() {
        for (method, operation) in methods.as_object().into_iter().flatten() {
            let name = escaped(&operation["operationId"]);
            let _written = write!(list, "<a href=\"#{name}\">{}</a>", escaped(&operation["summary"]));
            describe(&mut operations, document, path, method, operation);
        }
    }
    let mut schemas = String::new();
    for (name, schema) in document.pointer("/components/schemas").and_then(Value::as_object).into_iter().flatten() {
        let name = html_escape(name);
        let _written = write!(schemas, "<h3 id=\"s-{name}\">{name}</h3><p>{}</p>", escaped(&schema["description"]));
        fields(&mut schemas, schema);
    }
    format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title} {version}</title><style>{STYLE}</style><h1>{title} {version}</h1><p>{summary}</p>\
         <p>As a document for programs: <a href=\"openapi.json\">openapi.json</a>.</p><nav>{list}</nav>\
         {operations}<h2>Schemas</h2>{schemas}</html>\n",
        title = escaped(&document["info"]["title"]),
        version = escaped(&document["info"]["version"]),
        summary = escaped(&document["info"]["summary"]),
    )
}

fn describe(page: &mut String, document: &Value, path: &str, method: &str, operation: &Value) {
    let text = escaped(&operation["description"]).replace("\n\n", "</p><p>");
    let _written = write!(
        page,
        "<h2 id=\"{}\">{}</h2><p><span class=\"method\">{}</span> {}</p><p>{text}</p>",
        escaped(&operation["operationId"]),
        escaped(&operation["summary"]),
        method.to_uppercase(),
        code(path),
    );
    let parameters = operation["parameters"].as_array().into_iter().flatten();
    let rows: Vec<String> = parameters
        .map(|parameter| {
            let name = code(parameter["name"].as_str().unwrap_or_default());
            let (place, about) = (escaped(&parameter["in"]), escaped(&parameter["description"]));
            format!("<tr><td>{name}<td class=\"quiet\">{place}<td>{}<td>{about}", kind(&parameter["schema"]))
        })
        .collect();
    if !rows.is_empty() {
        let _written = write!(page, "<table><tr><th>Parameter<th>in<th>is<th>{}</table>", rows.concat());
    }
    if let Some(body) = operation.pointer("/requestBody/content/application~1json/schema") {
        let _written = write!(page, "<p>Body: {}</p>", kind(body));
    }
    page.push_str("<table><tr><th>Answer<th>is<th>");
    for (status, answer) in operation["responses"].as_object().into_iter().flatten() {
        let referred = answer["$ref"].as_str().and_then(|place| document.pointer(place.strip_prefix('#')?));
        let answer = referred.unwrap_or(answer);
        let content = answer["content"].as_object().into_iter().flatten().next();
        let content = content.map(|(media, content)| match &**media {
            "application/json" => kind(&content["schema"]),
            media => code(media),
        });
        let _written =
            write!(page, "<tr><td>{status}<td>{}<td>{}", content.unwrap_or_default(), escaped(&answer["description"]));
    }
    page.push_str("</table>");
}

/// What an object has, or what else a schema allows.
fn fields(page: &mut String, schema: &Value) {
    let Some(properties) = schema["properties"].as_object() else {
        let _written = write!(page, "<p>{}</p>", kind(schema));
        return;
    };
    page.push_str("<table><tr><th>Field<th>is<th>");
    for (name, field) in properties {
        let is_needed =
            schema["required"].as_array().is_some_and(|required| required.iter().any(|known| known == name));
        let _written = write!(
            page,
            "<tr><td>{}{}<td>{}<td>{}",
            code(name),
            if is_needed { "" } else { " <span class=\"quiet\">optional</span>" },
            kind(field),
            escaped(&field["description"]),
        );
    }
    page.push_str("</table>");
    for part in ["allOf", "anyOf", "oneOf"] {
        for schema in schema[part].as_array().into_iter().flatten() {
            fields(page, schema);
        }
    }
}

/// What a schema allows, in a line.
fn kind(schema: &Value) -> String {
    if let Some(target) = schema["$ref"].as_str() {
        let name = html_escape(target.rsplit('/').next().unwrap_or_default());
        return format!("<a href=\"#s-{name}\">{name}</a>");
    }
    for (part, between) in [("anyOf", " or "), ("oneOf", " or "), ("allOf", " and ")] {
        if let Some(schemas) = schema[part].as_array() {
            return schemas.iter().map(kind).collect::<Vec<_>>().join(between);
        }
    }
    if let Some(only) = schema.get("const") {
        return code(&only.to_string());
    }
    if let Some(words) = schema["enum"].as_array() {
        return words.iter().map(|word| code(&word.to_string())).collect::<Vec<_>>().join(", ");
    }
    let mut types: Vec<&str> = match &schema["type"] {
        Value::String(only) => vec![only],
        Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
        _ => vec!["anything"],
    };
    if schema["items"].is_object() {
        types.retain(|name| *name != "array");
        return [vec![format!("list of {}", kind(&schema["items"]))], types.into_iter().map(str::to_owned).collect()]
            .concat()
            .join(" or ");
    }
    let mut text = types.join(" or ");
    if schema["additionalProperties"].is_object() {
        let _written = write!(text, " of {}", kind(&schema["additionalProperties"]));
    }
    if let Some(properties) = schema["properties"].as_object() {
        let within = properties.iter().map(|(name, field)| format!("{}: {}", code(name), kind(field)));
        let _written = write!(text, " {{{}}}", within.collect::<Vec<_>>().join(", "));
    }
    for (name, before) in [
        ("format", ", "),
        ("pattern", ", like "),
        ("minimum", ", from "),
        ("maximum", ", to "),
        ("minLength", ", at least of length "),
        ("maxLength", ", at most of length "),
    ] {
        match &schema[name] {
            Value::Null => {}
            Value::String(value) => text = text + before + &code(value),
            value => text = text + before + &value.to_string(),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_operation_and_schema_and_every_link_leads_somewhere() {
        let document = document();
        let page = page(&document);
        for operation in super::super::operations::all() {
            assert!(page.contains(&format!("<h2 id=\"{}\">", operation.id)), "{}", operation.id);
        }
        for name in document["components"]["schemas"].as_object().unwrap().keys() {
            assert!(page.contains(&format!("<h3 id=\"s-{name}\">")), "{name}");
        }
        let links: Vec<&str> = page.split("href=\"#").skip(1).map(|rest| rest.split('"').next().unwrap()).collect();
        assert!(links.len() > 100);
        for link in links {
            assert!(page.contains(&format!("id=\"{link}\"")), "{link}");
        }
    }

    #[test]
    fn nothing_in_a_document_becomes_a_part_of_the_page() {
        let hostile = "<script>alert(1)</script>";
        let document = serde_json::json!({
            "info": {"title": hostile, "version": hostile, "summary": hostile},
            "paths": {hostile: {"get": {
                "operationId": hostile, "summary": hostile, "description": hostile,
                "parameters": [{"name": hostile, "in": hostile, "description": hostile,
                                "schema": {"type": "string", "pattern": hostile, "enum": [hostile]}}],
                "responses": {"200": {"description": hostile, "content": {"text/x": {"schema": {"const": hostile}}}}},
            }}},
            "components": {"schemas": {hostile: {"description": hostile, "properties": {hostile: {"type": "string"}}}}},
        });
        assert!(!page(&document).contains("<script"));
    }
}
